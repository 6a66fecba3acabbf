//! Versions of Debian packages, and how they compare (Debian Policy 5.6.12).
//!
//! In: `[epoch:]upstream[-revision]`. Out: [`Version`], whose order is dpkg's.

use std::cmp::Ordering;

/// A version as it stands in a package's control file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// `text` as a version; none where dpkg would take it for none.
    pub fn new(text: &str) -> Option<Version> {
        let text = text.trim();
        let is_fine = |c: char| c.is_ascii_alphanumeric() || ".+-~:".contains(c);
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let has_epoch = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
        let (upstream, _) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let begins_with_digit = upstream.starts_with(|c: char| c.is_ascii_digit());
        let is_version = has_epoch && begins_with_digit && rest.chars().all(is_fine);
        is_version.then(|| Version(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Epoch, upstream version, revision.
    fn parts(&self) -> (&str, &str, &str) {
        let (epoch, rest) = self.0.split_once(':').unwrap_or(("", &self.0));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// `1.0` and `0:1.0` are equal in this order, though not as text.
impl Version {
    /// dpkg's order.
    pub fn compare(&self, other: &Version) -> Ordering {
        let (a, b) = (self.parts(), other.parts());
        number(a.0, b.0)
            .then_with(|| part(a.1.as_bytes(), b.1.as_bytes()))
            .then_with(|| part(a.2.as_bytes(), b.2.as_bytes()))
    }
}

/// Two runs of digits as numbers of any length.
fn number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// What a byte that is no digit sorts as: `~` before the end, letters before all else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

/// Runs of other bytes and of digits in turn.
fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (x, y) = (a.first().copied(), b.first().copied());
            let is_end = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_digit());
            if is_end(x) && is_end(y) {
                break;
            }
            match weight(x).cmp(&weight(y)) {
                Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
                order => return order,
            }
        }
        let digits = |text: &[u8]| text.iter().take_while(|byte| is_digit(byte)).count();
        let (in_a, in_b) = (digits(a), digits(b));
        let text = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
        match number(&text(&a[..in_a]), &text(&b[..in_b])) {
            Ordering::Equal => (a, b) = (&a[in_a..], &b[in_b..]),
            order => return order,
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn policy_order_holds() {
        // Debian Policy 5.6.12: `~~`, `~~a`, `~`, the empty part, `a`.
        let sorted = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0~rc1-1",
            "1.0",
            "1.0-0.1",
            "1.0-1",
            "1.0a",
            "1.0+b1",
            "1.1",
            "1.9",
            "1.10",
            "1:0.1",
            "2:0",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(
                version(pair[0]).compare(&version(pair[1])),
                Ordering::Less,
                "{pair:?}"
            );
        }
        for (a, b) in [
            ("1.0", "0:1.0"),
            ("1.0", "1.0-0"),
            ("1.00", "1.0"),
            ("001", "1"),
        ] {
            assert_eq!(version(a).compare(&version(b)), Ordering::Equal, "{a} {b}");
        }
        for text in ["", "a", ":1", "1:", "x:1", "1 2", "1_2", "-1"] {
            assert_eq!(Version::new(text), None, "{text}");
        }
    }

    fn dpkg(a: &str, b: &str) -> Option<Ordering> {
        let is = |operator: &str| {
            let mut dpkg = std::process::Command::new("dpkg");
            let status = dpkg.args(["--compare-versions", a, operator, b]).status();
            status.unwrap().success()
        };
        match (is("lt"), is("eq"), is("gt")) {
            (true, false, false) => Some(Ordering::Less),
            (false, true, false) => Some(Ordering::Equal),
            (false, false, true) => Some(Ordering::Greater),
            _ => None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn order_is_dpkgs(
            a in "([0-2]:)?[0-9][0-9a-b.+~]{0,6}(-[0-9a-b.+~]{1,4})?",
            b in "([0-2]:)?[0-9][0-9a-b.+~]{0,6}(-[0-9a-b.+~]{1,4})?",
        ) {
            let order = version(&a).compare(&version(&b));
            prop_assert_eq!(Some(order), dpkg(&a, &b));
            prop_assert_eq!(order.reverse(), version(&b).compare(&version(&a)));
        }
    }
}
