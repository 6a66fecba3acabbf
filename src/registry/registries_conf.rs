//! registries.conf, version 2: which registries have mirrors, are insecure or are blocked.
//!
//! In: the text of registries.conf and of the files of registries.conf.d, in the order in which
//! they are read. Out: [`Registries`], and for a reference the [`Rule`] whose prefix is the
//! longest that matches (containers-registries.conf(5)). Pure.
//!
//! Not interpreted: `unqualified-search-registries` and `[aliases]`, by which one short name is
//! another image on another machine (a reference is complete before it comes here);
//! `credential-helpers`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::canon::Reference;

/// What all files together say, by prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    rules: BTreeMap<String, Rule>,
}

/// What is to be done with the repositories under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `host[:port][/path]`, or `*.domain`.
    pub prefix: String,
    /// What stands in the place of the prefix when the registry is asked; none keeps the name.
    pub location: Option<String>,
    /// Plain HTTP and certificates that nobody vouches for are fine.
    pub insecure: bool,
    /// Nothing is to be pulled from there.
    pub blocked: bool,
    /// Asked first, in this order.
    pub mirrors: Vec<Mirror>,
    /// The file that says so.
    pub from: String,
}

/// A mirror of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// What stands in the place of the prefix.
    pub location: String,
    /// As in [`Rule`].
    pub insecure: bool,
    /// Which references it is asked for.
    pub serves: Serves,
}

/// Which references a mirror is asked for (`pull-from-mirror`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serves {
    /// All.
    #[default]
    All,
    /// Those with a digest.
    DigestOnly,
    /// Those without one.
    TagOnly,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<RegistryTable>,
    /// Version 1 has `[registries.search]` and the like.
    registries: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RegistryTable {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Serves>,
}

impl Registries {
    /// Takes in the next file: a prefix that an earlier one had is replaced as a whole. An error
    /// is a reason for people, without the file's name.
    pub fn add(&mut self, text: &str, from: &str) -> Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.registries.is_some() {
            return Err("it is of version 1: write `[[registry]]` tables instead".to_owned());
        }
        for table in file.registry {
            let rule = rule(table, from)?;
            self.rules.insert(rule.prefix.clone(), rule);
        }
        Ok(())
    }

    /// The rule for `reference`: the one with the longest prefix.
    pub fn rule(&self, reference: &Reference) -> Option<&Rule> {
        let name = reference.to_string();
        self.rules
            .values()
            .filter(|rule| matches(&rule.prefix, &name))
            .max_by_key(|rule| rule.prefix.len())
    }
}

fn rule(table: RegistryTable, from: &str) -> Result<Rule, String> {
    let trimmed = |text: Option<String>| {
        text.map(|text| text.trim_end_matches('/').to_owned())
            .filter(|text| !text.is_empty())
    };
    let location = trimmed(table.location);
    let Some(prefix) = trimmed(table.prefix).or_else(|| location.clone()) else {
        return Err("a `[[registry]]` has neither `prefix` nor `location`".to_owned());
    };
    for name in [Some(&prefix), location.as_ref()].into_iter().flatten() {
        if name.contains("://") {
            return Err(format!("`{name}` must not begin with a scheme"));
        }
    }
    let default = match table.mirror_by_digest_only {
        true => Serves::DigestOnly,
        false => Serves::All,
    };
    let mut mirrors = Vec::new();
    for mirror in table.mirror {
        let Some(location) = trimmed(Some(mirror.location)) else {
            return Err(format!("a mirror of `{prefix}` has no `location`"));
        };
        if location.contains("://") {
            return Err(format!("`{location}` must not begin with a scheme"));
        }
        mirrors.push(Mirror {
            location,
            insecure: mirror.insecure,
            serves: mirror.pull_from_mirror.unwrap_or(default),
        });
    }
    Ok(Rule {
        location: location.filter(|location| *location != prefix),
        prefix,
        insecure: table.insecure,
        blocked: table.blocked,
        mirrors,
        from: from.to_owned(),
    })
}

/// Whether `prefix` is a prefix of `name` that ends where a part of the name ends.
fn matches(prefix: &str, name: &str) -> bool {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = name.split('/').next().unwrap_or(name);
        let host = host.split(':').next().unwrap_or(host);
        return domain.starts_with('.') && host.ends_with(domain);
    }
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
}

/// `registry/repository` with the prefix of `rule` replaced by `location`.
pub fn relocated(rule: &Rule, location: &str, reference: &Reference) -> String {
    let name = reference.name();
    if rule.prefix.starts_with('*') {
        return format!("{location}/{}", reference.repository);
    }
    match name.strip_prefix(&rule.prefix) {
        Some(rest) => format!("{location}{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        unqualified-search-registries = ["docker.io"]
        short-name-mode = "enforcing"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.example:5000/hub/"
        insecure = true
        [[registry.mirror]]
        location = "second.example"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "r.example/team"
        location = "other.example/ours"
        blocked = false
        [[registry]]
        prefix = "*.bad.example"
        blocked = true
        [[registry]]
        location = "plain.example:80"
        insecure = true
    "#;

    fn registries() -> Registries {
        let mut registries = Registries::default();
        registries.add(TEXT, "a").unwrap();
        registries
    }

    #[test]
    fn longest_prefix_that_ends_at_a_part_wins() {
        let mut registries = registries();
        registries
            .add("[[registry]]\nprefix = \"r.example\"\ninsecure = true", "b")
            .unwrap();
        for (name, prefix) in [
            ("alpine", Some("docker.io")),
            ("r.example/team/tool:1", Some("r.example/team")),
            ("r.example/team", Some("r.example/team")),
            ("r.example/teams/tool", Some("r.example")),
            ("r.example:5000/team/tool", Some("r.example")),
            ("r.example.org/team/tool", None),
            ("x.bad.example/a", Some("*.bad.example")),
            ("x.bad.example:5000/a", Some("*.bad.example")),
            ("bad.example/a", None),
            ("plain.example:80/a", Some("plain.example:80")),
            ("plain.example/a", None),
        ] {
            let rule = registries.rule(&name.parse().unwrap());
            assert_eq!(
                rule.map(|rule| rule.prefix.as_str()),
                prefix,
                "rule of {name}"
            );
        }
    }

    #[test]
    fn a_location_stands_in_the_place_of_the_prefix() {
        let registries = registries();
        for (name, location, expected) in [
            (
                "alpine",
                "mirror.example:5000/hub",
                "mirror.example:5000/hub/library/alpine",
            ),
            (
                "r.example/team/tool:1",
                "other.example/ours",
                "other.example/ours/tool",
            ),
            ("x.bad.example/a/b", "good.example", "good.example/a/b"),
        ] {
            let reference = name.parse().unwrap();
            let rule = registries.rule(&reference).unwrap();
            assert_eq!(relocated(rule, location, &reference), expected);
        }
        let hub = registries.rule(&"alpine".parse().unwrap()).unwrap();
        assert!(hub.mirrors[0].insecure && hub.mirrors[0].location == "mirror.example:5000/hub");
        assert_eq!(hub.mirrors[1].serves, Serves::DigestOnly);
        assert_eq!(hub.location, None);
    }

    #[test]
    fn a_later_file_replaces_the_rule_of_a_prefix() {
        let mut registries = registries();
        registries
            .add("[[registry]]\nlocation = \"docker.io\"", "later")
            .unwrap();
        let rule = registries.rule(&"alpine".parse().unwrap()).unwrap();
        assert_eq!((rule.mirrors.len(), rule.from.as_str()), (0, "later"));
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (text, reason) in [
            ("[[registry]]\ninsecure = true", "neither `prefix` nor"),
            ("[[registry]]\nlocation = \"https://a\"", "scheme"),
            (
                "[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\nlocation = \"\"",
                "no `location`",
            ),
            ("[registries.search]\nregistries = []", "version 1"),
            ("[[registry]]\nlocation = 1", "string"),
            ("[[registry]", ""),
        ] {
            let error = Registries::default().add(text, "f").unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
