//! What an archive signs: `Release` files (the Debian repository format).
//!
//! In: the signed text. Out: [`Release`]: which suite it is, how long it holds, and the hashes of
//! its indexes.

use std::collections::BTreeMap;

use crate::canon::Digest;
use crate::packages::control::Paragraph;
use crate::registry::retry;

/// A signed list of indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `stable`, and such.
    pub suite: Option<String>,
    /// `bookworm`, and such.
    pub codename: Option<String>,
    /// When it was made, in seconds since 1970.
    pub date: Option<i64>,
    /// Until when it holds, in seconds since 1970.
    pub valid_until: Option<i64>,
    /// Whether indexes can be had under their digests.
    pub has_by_hash: bool,
    /// Digest and bytes by path below the suite's folder.
    pub files: BTreeMap<String, (Digest, u64)>,
}

impl Release {
    /// Of a signed text; why it is none.
    pub fn new(text: &str) -> Result<Release, String> {
        let paragraph = Paragraph::new(text);
        let text = |field| paragraph.get(field).map(str::to_owned);
        let time = |field| match paragraph.get(field) {
            None => Ok(None),
            Some(date) => match seconds(date) {
                Some(time) => Ok(Some(time)),
                None => Err(format!("its `{field}` is no date: `{date}`")),
            },
        };
        let hashes = paragraph.get("SHA256").ok_or("it has no SHA256 hashes")?;
        let mut files = BTreeMap::new();
        for line in hashes.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let entry = match words[..] {
                [hex, size, path] => Digest::from_hex(hex)
                    .ok()
                    .zip(size.parse().ok())
                    .map(|of| (path, of)),
                _ => None,
            };
            let (path, of) =
                entry.ok_or_else(|| format!("its line `{}` is no hash", line.trim()))?;
            files.insert(path.to_owned(), of);
        }
        Ok(Release {
            suite: text("Suite"),
            codename: text("Codename"),
            date: time("Date")?,
            valid_until: time("Valid-Until")?,
            has_by_hash: paragraph.get("Acquire-By-Hash") == Some("yes"),
            files,
        })
    }

    /// Whether it is the suite that was asked for, by name or by code name.
    pub fn is_of(&self, suite: &str) -> bool {
        // Security suites of old call themselves by the code name alone.
        let is_it = |name: &Option<String>| {
            let name = name.as_deref();
            name == Some(suite)
                || (name.is_some() && name == suite.split_once('/').map(|(one, _)| one))
        };
        is_it(&self.suite) || is_it(&self.codename)
    }
}

/// `Sat, 17 May 2025 07:52:52 UTC` in seconds since 1970.
pub fn seconds(date: &str) -> Option<i64> {
    let words: Vec<&str> = date.split_whitespace().collect();
    let [weekday, day, month, year, time, zone] = words[..] else {
        return None;
    };
    let is_utc = matches!(zone, "UTC" | "GMT" | "Z" | "+0000");
    let date = format!("{weekday} {day:0>2} {month} {year} {time} GMT");
    is_utc.then(|| retry::since_1970(&date)).flatten()
}

/// The instant that an address of a snapshot holds: `…/20250520T000000Z/…`.
pub fn snapshot_instant(url: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let instant = |part: &str| {
        let (day, time) = part.strip_suffix('Z')?.split_once('T')?;
        let is_number = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(day, 8) || !is_number(time, 6) {
            return None;
        }
        let month = MONTHS.get(day[4..6].parse::<usize>().ok()?.checked_sub(1)?)?;
        let time = format!("{}:{}:{}", &time[..2], &time[2..4], &time[4..]);
        seconds(&format!(
            "Xxx, {} {month} {} {time} UTC",
            &day[6..],
            &day[..4]
        ))
    };
    url.split('/').find_map(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds() {
        assert_eq!(seconds("Thu, 01 Jan 1970 00:01:00 UTC"), Some(60));
        assert_eq!(seconds("Sat,  1 Jan 2000 00:00:00 UTC"), Some(946_684_800));
        assert_eq!(seconds("Sat, 1 Jan 2000 00:00:00 CET"), None);
        let url = "http://a.example/archive/debian/20000101T000000Z";
        assert_eq!(snapshot_instant(url), Some(946_684_800));
        assert_eq!(snapshot_instant("http://a.example/debian"), None);
        assert_eq!(snapshot_instant("http://a.example/20001301T000000Z"), None);
    }

    #[test]
    fn hashes_are_by_path() {
        let digest = Digest::of(b"x");
        let text = format!(
            "Suite: stable\nCodename: bookworm\nAcquire-By-Hash: yes\nMD5Sum:\n 0 0 no\n\
             SHA256:\n {} 12 main/binary-amd64/Packages.xz\n",
            digest.hex()
        );
        let release = Release::new(&text).unwrap();
        let path = "main/binary-amd64/Packages.xz";
        assert_eq!(release.files.get(path), Some(&(digest, 12)));
        assert!(release.is_of("stable") && release.is_of("bookworm") && !release.is_of("sid"));
        assert!(Release::new("Suite: x\n").is_err());
        assert!(Release::new("SHA256:\n zz 1 a\n").is_err());
        assert!(Release::new(&format!("Valid-Until: never\n{text}")).is_err());
    }
}
