//! Which package a URL is of, as the package managers' own servers lay them out.
//!
//! In: a URL that a command fetched. Out: the package's name and version, for people; none where
//! it isn't sure. Pure.

use std::borrow::Cow;

/// A package, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// `libssl3`, `@babel/core`, `golang.org/x/sys`.
    pub name: String,
    /// As its manager writes it.
    pub version: String,
}

/// The package that is at `url`.
pub fn package(url: &str) -> Option<Named> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    let parts: Vec<Cow<'_, str>> = path.split('/').skip(1).map(decoded).collect();
    let file = parts.last()?.as_ref();
    let named = |name: &str, version: &str| {
        let is_some = !name.is_empty() && !version.is_empty();
        is_some.then(|| Named {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    };
    // deb: NAME_VERSION_ARCHITECTURE.deb (debian-policy, 3.2); an epoch isn't in it.
    if let Some(stem) = file.strip_suffix(".deb") {
        let mut fields = stem.split('_');
        return named(fields.next()?, fields.next()?);
    }
    // rpm: NAME-VERSION-RELEASE.ARCHITECTURE.rpm
    if let Some(stem) = file.strip_suffix(".rpm") {
        let (stem, _) = stem.rsplit_once('.')?;
        let (rest, release) = stem.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        return named(name, &format!("{version}-{release}"));
    }
    // apk: NAME-VERSION-rRELEASE.apk
    if let Some(stem) = file.strip_suffix(".apk") {
        let (rest, release) = stem.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        return named(name, &format!("{version}-{release}"));
    }
    // wheel: NAME-VERSION-….whl (packaging.python.org, "Binary distribution format")
    if let Some(stem) = file.strip_suffix(".whl") {
        let mut fields = stem.split('-');
        return named(fields.next()?, fields.next()?);
    }
    if let Some(stem) = file.strip_suffix(".gem").or(file.strip_suffix(".crate")) {
        let (name, version) = versioned(stem)?;
        return named(name, version);
    }
    // npm: …/[@SCOPE/]NAME/-/NAME-VERSION.tgz
    if let [before @ .., dash, _] = &parts[..]
        && dash == "-"
        && let Some(stem) = file.strip_suffix(".tgz")
    {
        let name = before.last()?;
        let version = stem.strip_prefix(name.as_ref())?.strip_prefix('-')?;
        let scope = before.len().checked_sub(2).and_then(|at| before.get(at));
        let scope = scope.filter(|scope| scope.starts_with('@'));
        return match scope {
            Some(scope) => named(&format!("{scope}/{name}"), version),
            None => named(name, version),
        };
    }
    // crates: …/crates/NAME/VERSION/download
    if let [.., crates, name, version, download] = &parts[..]
        && crates == "crates"
        && download == "download"
    {
        return named(name, version);
    }
    // Go: MODULE/@v/VERSION.zip (go.dev/ref/mod, "GOPROXY protocol"); a module begins with a domain,
    // and a proxy may have folders above it.
    if let Some(at) = parts.iter().position(|part| part == "@v")
        && let Some(version) = file.strip_suffix(".zip")
    {
        let module = parts.get(..at)?;
        let domain = module.iter().position(|part| part.contains('.'));
        let module = module.get(domain.unwrap_or(0)..)?.join("/");
        return named(&go_case(&module), &go_case(version));
    }
    // Maven: GROUP/ARTIFACT/VERSION/ARTIFACT-VERSION[-CLASSIFIER].jar
    if let [before @ .., artifact, version, _] = &parts[..]
        && file.ends_with(".jar")
        && file.starts_with(&format!("{artifact}-{version}"))
    {
        let group = before.last().map_or("", |part| part.as_ref());
        return named(&format!("{group}:{artifact}"), version);
    }
    // Python's sources: NAME-VERSION.tar.gz
    let stem = file.strip_suffix(".tar.gz").or(file.strip_suffix(".zip"))?;
    let (name, version) = versioned(stem)?;
    named(name, version)
}

/// `NAME-VERSION`, where the version begins with a digit.
fn versioned(stem: &str) -> Option<(&str, &str)> {
    let begins = |at: &usize| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let mut dashes = stem.match_indices('-').map(|(at, _)| at);
    let at = dashes.find(begins)?;
    Some((&stem[..at], &stem[at + 1..]))
}

/// `path` as Go's modules are written: a proxy has `!a` for `A`.
fn go_case(path: &str) -> String {
    let mut parts = path.split('!');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        plain.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        plain.push_str(letters.as_str());
    }
    plain
}

/// `part` without percent signs, where that is text.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return part.into();
    }
    let mut bytes = Vec::new();
    let mut rest = part;
    while let Some(at) = rest.find('%') {
        bytes.extend(&rest.as_bytes()[..at]);
        let hex = rest.get(at + 1..at + 3);
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                bytes.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    bytes.extend(rest.as_bytes());
    String::from_utf8(bytes).map_or_else(|_| part.into(), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_managers_files_tell_name_and_version() {
        for (path, name, version) in [
            (
                "pool/main/o/openssl/libssl3_3.0.16-1~deb12u1_amd64.deb",
                "libssl3",
                "3.0.16-1~deb12u1",
            ),
            (
                "pool/main/g/gcc/g++-12_12.2.0-14%2bdeb12u1_amd64.deb",
                "g++-12",
                "12.2.0-14+deb12u1",
            ),
            (
                "a/Packages/o/openssl-libs-3.0.7-27.el9.x86_64.rpm",
                "openssl-libs",
                "3.0.7-27.el9",
            ),
            (
                "v3.20/main/x86_64/ca-certificates-20240705-r0.apk",
                "ca-certificates",
                "20240705-r0",
            ),
            (
                "ab/cd/requests-2.32.3-py3-none-any.whl",
                "requests",
                "2.32.3",
            ),
            ("ab/cd/six-1.16.0.tar.gz", "six", "1.16.0"),
            (
                "gems/nokogiri-1.16.5-x86_64-linux.gem",
                "nokogiri",
                "1.16.5-x86_64-linux",
            ),
            ("left-pad/-/left-pad-1.3.0.tgz", "left-pad", "1.3.0"),
            ("@babel/core/-/core-7.25.2.tgz", "@babel/core", "7.25.2"),
            ("api/v1/crates/itoa/1.0.11/download", "itoa", "1.0.11"),
            (
                "golang.org/x/sys/@v/v0.20.0.zip",
                "golang.org/x/sys",
                "v0.20.0",
            ),
            (
                "api/go/github.com/!burnt!sushi/toml/@v/v1.4.0.zip",
                "github.com/BurntSushi/toml",
                "v1.4.0",
            ),
            (
                "maven2/junit/junit/4.13.2/junit-4.13.2.jar",
                "junit:junit",
                "4.13.2",
            ),
        ] {
            let found = package(&format!("https://example.org/{path}")).unwrap();
            assert_eq!(
                (found.name.as_str(), found.version.as_str()),
                (name, version)
            );
        }
    }

    #[test]
    fn what_is_no_package_is_none() {
        for url in [
            "https://example.org/",
            "https://example.org/dists/bookworm/InRelease",
            "https://example.org/simple/requests/",
            "https://example.org/archive/main.tar.gz",
            "https://example.org/_.deb",
            "no address",
        ] {
            assert_eq!(package(url), None, "{url}");
        }
    }
}
