//! Where a machine's apt gets its packages: `sources.list`(5).
//!
//! In: its files. Out: [`Archive`]s, those for binary packages alone.

use super::control::paragraphs;

/// One suite of one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where its `dists` is, without a slash at the end.
    pub mirror: String,
    /// `bookworm`, `bookworm-security`.
    pub suite: String,
    /// `main`, …
    pub components: Vec<String>,
}

/// What a file in the style of one line each has.
pub fn lines(text: &str) -> Vec<Archive> {
    let archive = |line: &str| {
        let rest = line
            .trim()
            .strip_prefix("deb")?
            .strip_prefix([' ', '\t'])?
            .trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let rest = rest.split('#').next()?;
        let mut words = rest.split_whitespace().map(str::to_owned);
        archive(&words.next()?, words.next()?, words.collect())
    };
    text.lines().filter_map(archive).collect()
}

/// What a file in deb822 style has.
pub fn stanzas(text: &str) -> Vec<Archive> {
    let mut archives = Vec::new();
    for paragraph in paragraphs(text) {
        let words = |field| {
            let words = paragraph.get(field).unwrap_or("").lines();
            let words = words.filter(|line| !line.trim_start().starts_with('#'));
            let words = words.flat_map(str::split_whitespace).map(str::to_owned);
            words.collect::<Vec<_>>()
        };
        let is_off = paragraph.get("Enabled").is_some_and(|value| value == "no");
        if is_off || !words("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        for suite in words("Suites") {
            let mirrors = words("URIs");
            let all = mirrors
                .iter()
                .filter_map(|mirror| archive(mirror, suite.clone(), words("Components")));
            archives.extend(all);
        }
    }
    archives
}

/// An archive that is reached over HTTP, and has no flat repository.
fn archive(mirror: &str, suite: String, components: Vec<String>) -> Option<Archive> {
    let is_http = mirror.starts_with("http://") || mirror.starts_with("https://");
    (is_http && !suite.ends_with('/')).then(|| Archive {
        mirror: mirror.trim_end_matches('/').to_owned(),
        suite,
        components,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_are_read() {
        let expected = |mirror: &str, suite: &str, components: &[&str]| Archive {
            mirror: mirror.to_owned(),
            suite: suite.to_owned(),
            components: components.iter().map(|&one| one.to_owned()).collect(),
        };
        let text = "# deb http://no.example/ x main\n\
            deb [signed-by=/a arch=amd64] http://a.example/debian/ bookworm main contrib # why\n\
            deb-src http://a.example/debian bookworm main\n\
            deb cdrom:[x]/ bookworm main\ndeb http://flat.example/ ./\n";
        let one = expected("http://a.example/debian", "bookworm", &["main", "contrib"]);
        assert_eq!(lines(text), [one]);
        let text = "Types: deb deb-src\nURIs: https://a.example/debian\n# a comment\n\
            Suites: bookworm bookworm-updates\nComponents: main\n\n\
            Types: deb\nEnabled: no\nURIs: http://b.example\nSuites: x\nComponents: main\n\n\
            Types: deb-src\nURIs: http://b.example\nSuites: x\nComponents: main\n";
        let suites = ["bookworm", "bookworm-updates"];
        let all = suites.map(|suite| expected("https://a.example/debian", suite, &["main"]));
        assert_eq!(stanzas(text), all);
    }
}
