//! How packages depend on each other (Debian Policy 7.1).
//!
//! In: the text of `Depends`, `Conflicts`, `Provides` and the like, or what a recipe asks for.
//! Out: [`Clause`]s of [`Relation`]s.

use std::cmp::Ordering;

use super::Version;

/// Alternatives, the preferred one first.
pub type Clause = Vec<Relation>;

/// One package that is needed, or must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// `libc6`.
    pub name: String,
    /// `any`, `native`, `amd64`.
    pub architecture: Option<String>,
    /// Which versions; all, where there is none.
    pub versions: Option<(Operator, Version)>,
}

/// How a version must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    const ALL: [(&'static str, Operator); 7] = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">=", Operator::LaterOrEqual),
        (">>", Operator::Later),
        ("=", Operator::Equal),
        // As dpkg still reads them (deb-control(5)).
        ("<", Operator::EarlierOrEqual),
        (">", Operator::LaterOrEqual),
    ];
}

impl Relation {
    /// One relation: `name[:architecture] [(operator version)]`; none where it is none.
    pub fn new(text: &str) -> Option<Relation> {
        // What follows for other architectures and build profiles stands in sources alone.
        let text = text
            .split(['[', '<'])
            .next()
            .filter(|_| !text.contains('('))
            .unwrap_or(text);
        let (name, versions) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(constraint(rest.trim_end().strip_suffix(')')?)?)),
            None => (text, None),
        };
        let name = name.trim();
        let (name, architecture) = match name.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture.to_owned())),
            None => (name, None),
        };
        is_name(name).then(|| Relation {
            name: name.to_owned(),
            architecture,
            versions,
        })
    }

    /// Whether `version` is one of those that are meant.
    pub fn admits(&self, version: &Version) -> bool {
        let Some((operator, wanted)) = &self.versions else {
            return true;
        };
        let order = version.compare(wanted);
        match operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if let Some(architecture) = &self.architecture {
            write!(f, ":{architecture}")?;
        }
        if let Some((operator, version)) = &self.versions {
            let sign = Operator::ALL.iter().find(|(_, other)| other == operator);
            write!(f, " ({} {version})", sign.map_or("=", |(sign, _)| sign))?;
        }
        Ok(())
    }
}

/// `operator version`.
fn constraint(text: &str) -> Option<(Operator, Version)> {
    let text = text.trim();
    let (sign, operator) = Operator::ALL
        .iter()
        .find(|(sign, _)| text.starts_with(sign))?;
    Some((*operator, Version::new(&text[sign.len()..])?))
}

/// Whether `text` is a package's name (Debian Policy 5.6.1); of one character some are, too.
pub fn is_name(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(is_fine)
        && text
            .bytes()
            .all(|byte| is_fine(byte) || b"+-.".contains(&byte))
}

/// All of a field. A relation that can't be read is an alternative less: of a clause without any
/// left, whoever has it can't be installed.
pub fn clauses(text: &str) -> Vec<Clause> {
    let clauses = text.split(',').filter(|clause| !clause.trim().is_empty());
    let clause = |clause: &str| clause.split('|').filter_map(Relation::new).collect();
    clauses.map(clause).collect()
}

/// What a recipe asks for: a relation, or as apt-get(8) has it `name=version`. The error says
/// what is wrong with it.
pub fn wanted(text: &str) -> Result<Relation, &'static str> {
    let text = text.trim();
    if text.contains('|') || text.contains(',') {
        return Err("one package stands in each text");
    }
    if let Some((_, target)) = text.split_once('/') {
        let _ = target;
        return Err("a suite can't be said for one package");
    }
    let relation = match text.split_once('=') {
        Some((name, version)) if is_name(name.trim()) => {
            let version = Version::new(version).ok_or("what follows `=` is no version")?;
            Relation {
                name: name.trim().to_owned(),
                architecture: None,
                versions: Some((Operator::Equal, version)),
            }
        }
        _ => Relation::new(text).ok_or("it is no package's name, with or without a version")?,
    };
    match relation.architecture.as_deref() {
        None | Some("any" | "native") => Ok(relation),
        Some(_) => Err("packages of other architectures can't be installed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_clauses_of_alternatives() {
        let text = "libc6 (>= 2.34), gpgv | gpgv2:any | x (<< 1~), python3:any (>= 3.9~),\n a(=1),, b <!nocheck>";
        let shown: Vec<Vec<String>> = clauses(text)
            .iter()
            .map(|clause| clause.iter().map(ToString::to_string).collect())
            .collect();
        let expected: [&[&str]; 5] = [
            &["libc6 (>= 2.34)"],
            &["gpgv", "gpgv2:any", "x (<< 1~)"],
            &["python3:any (>= 3.9~)"],
            &["a (= 1)"],
            &["b"],
        ];
        assert_eq!(shown, expected);
        assert_eq!(
            clauses("Bad Name, ok | (1)")
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>(),
            [0, 1]
        );
    }

    #[test]
    fn versions_are_admitted() {
        let admits = |relation: &str, version: &str| {
            let version = Version::new(version).unwrap();
            Relation::new(relation).unwrap().admits(&version)
        };
        for (relation, before, same, after) in [
            ("a", true, true, true),
            ("a (<< 2)", true, false, false),
            ("a (<= 2)", true, true, false),
            ("a (= 2)", false, true, false),
            ("a (>= 2)", false, true, true),
            ("a (>> 2)", false, false, true),
        ] {
            let found = ["1", "2", "3"].map(|version| admits(relation, version));
            assert_eq!(found, [before, same, after], "{relation}");
        }
    }

    #[test]
    fn recipes_ask_as_people_do() {
        let shown = |text| wanted(text).map(|relation| relation.to_string());
        assert_eq!(shown("curl"), Ok("curl".into()));
        assert_eq!(shown("libssl3 (>= 3.0)"), Ok("libssl3 (>= 3.0)".into()));
        assert_eq!(shown("vim=2:9.0.1378-2"), Ok("vim (= 2:9.0.1378-2)".into()));
        for text in [
            "", "a b", "Curl", "a|b", "a, b", "a/stable", "a:i386", "a=", "-a",
        ] {
            assert!(shown(text).is_err(), "{text}");
        }
    }
}
