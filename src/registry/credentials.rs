//! Credentials: docker's config.json and podman's auth.json, and the helpers that they name.
//!
//! In: the files' text, a host and a repository. Out: a [`Found`] credential and where it came
//! from (containers-auth.json(5); docker's `cli/config/configfile`). Which entry is meant is
//! decided here, since podman's keys may be prefixes of repositories; decoding it and speaking
//! to a helper is done by `docker_credential`.

use std::collections::BTreeMap;
use std::fmt;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde::Deserialize;
use serde_json::{Value, json};

/// What proves who we are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// Secret.
        password: String,
    },
    /// A token that the registry's token service takes for another one (OAuth 2 refresh token).
    IdentityToken(String),
}

/// Without the secret.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credential::Password { user, .. } => write!(f, "user `{user}`"),
            Credential::IdentityToken(_) => write!(f, "identity token"),
        }
    }
}

/// A credential, and what to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What proves who we are.
    pub credential: Credential,
    /// For people: the file and the entry.
    pub source: String,
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthFile {
    path: String,
    auths: BTreeMap<String, Value>,
    store: Option<String>,
    helpers: BTreeMap<String, String>,
}

/// Why a helper gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelperError {
    /// It has nothing for that server.
    NotFound,
    /// It failed; why, for people.
    Failed(String),
}

/// The name that Docker Hub has in docker's files.
const HUB: &str = "https://index.docker.io/v1/";

impl AuthFile {
    /// Reads the text; `path` names it in messages. An error is a reason for people.
    pub fn parse(text: &str, path: &str) -> Result<AuthFile, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct File {
            auths: Option<BTreeMap<String, Value>>,
            creds_store: Option<String>,
            cred_helpers: Option<BTreeMap<String, String>>,
        }
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(AuthFile {
            path: path.to_owned(),
            auths: file.auths.unwrap_or_default(),
            store: file.creds_store.filter(|name| !name.is_empty()),
            helpers: file.cred_helpers.unwrap_or_default(),
        })
    }

    /// The entry of `auths` that fits best: the longest prefix of `host/repository`.
    fn entry(&self, host: &str, repository: &str) -> Option<(&String, &Value)> {
        let mut name = format!("{}/{repository}", hub_name(host));
        loop {
            let fits = |key: &&String| normal_key(key) == name;
            if let Some(key) = self.auths.keys().find(fits) {
                return self.auths.get_key_value(key);
            }
            name.truncate(name.rfind('/')?);
        }
    }

    /// Helpers to ask, and as which server.
    fn helpers(&self, host: &str) -> Vec<(&str, String)> {
        let named = self
            .helpers
            .iter()
            .find(|(key, helper)| normal_key(key) == hub_name(host) && !helper.is_empty());
        let mut asked: Vec<_> = named
            .into_iter()
            .map(|(key, helper)| (helper.as_str(), key.clone()))
            .collect();
        if let (Some(store), true) = (&self.store, asked.is_empty()) {
            if hub_name(host) == "docker.io" {
                asked.push((store, HUB.to_owned()));
            }
            asked.push((store, hub_name(host).to_owned()));
        }
        asked
    }
}

/// The credential for a repository: of the first file that has one, from its helpers before its
/// `auths`. `run` asks a helper about a server; `warn` hears of what is broken.
pub fn find(
    files: &[AuthFile],
    host: &str,
    repository: &str,
    run: &dyn Fn(&str, &str) -> Result<Credential, HelperError>,
    warn: &dyn Fn(String),
) -> Option<Found> {
    for file in files {
        let path = &file.path;
        for (helper, server) in file.helpers(host) {
            match run(helper, &server) {
                Ok(credential) => {
                    let source =
                        format!("`{server}` of `docker-credential-{helper}`, named in `{path}`");
                    return Some(Found { credential, source });
                }
                Err(HelperError::NotFound) => {}
                Err(HelperError::Failed(reason)) => warn(format!(
                    "`docker-credential-{helper}`, which `{path}` names for {host}, fails: {reason}"
                )),
            }
        }
        let Some((key, entry)) = file.entry(host, repository) else {
            continue;
        };
        match decode(entry) {
            Ok(Some(credential)) => {
                let source = format!("`{key}` of `{path}`");
                return Some(Found { credential, source });
            }
            Ok(None) => {}
            Err(error) => warn(format!("`{key}` of `{path}` can't be read: {error}")),
        }
    }
    None
}

/// Runs `docker-credential-HELPER get`. Waits as long as it takes: it may ask the user.
pub fn run_helper(helper: &str, server: &str) -> Result<Credential, HelperError> {
    if helper.contains(['/', '\0']) {
        return Err(HelperError::Failed("its name is a path".to_owned()));
    }
    let file = json!({ "credHelpers": { server: helper } });
    match docker_credential::get_credential_from_reader(file.to_string().as_bytes(), server) {
        Ok(credential) => credential_of(credential).ok_or(HelperError::NotFound),
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. }) => {
            let said = format!("{} {}", stdout.trim(), stderr.trim());
            // The one sentence by which docker's own helpers say so, on standard output.
            if said.contains("credentials not found in native keychain") {
                return Err(HelperError::NotFound);
            }
            Err(HelperError::Failed(super::error::plain(said.trim())))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => Err(HelperError::Failed(
            "it can't be run, or ended without listening; is it on the PATH?".to_owned(),
        )),
        Err(error) => Err(HelperError::Failed(error.to_string())),
    }
}

fn decode(entry: &Value) -> Result<Option<Credential>, CredentialRetrievalError> {
    let mut entry = entry.clone();
    if let Value::Object(members) = &mut entry {
        members.retain(|_, member| member.as_str() != Some(""));
    }
    let file = json!({ "auths": { "entry": entry } });
    match docker_credential::get_credential_from_reader(file.to_string().as_bytes(), "entry") {
        Ok(credential) => Ok(credential_of(credential)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(error) => Err(error),
    }
}

fn credential_of(credential: DockerCredential) -> Option<Credential> {
    match credential {
        DockerCredential::IdentityToken(token) if token.is_empty() => None,
        DockerCredential::IdentityToken(token) => Some(Credential::IdentityToken(token)),
        DockerCredential::UsernamePassword(user, password) => {
            // docker pads passwords with zeros on some systems.
            let password = password.trim_matches('\0').to_owned();
            (!user.is_empty() || !password.is_empty())
                .then_some(Credential::Password { user, password })
        }
    }
}

fn hub_name(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

/// A key of a file as `host[:port][/path]`. docker's old keys are URLs, whose path means nothing.
fn normal_key(key: &str) -> String {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let is_url = bare.is_some();
    let name = bare.unwrap_or(key).trim_end_matches('/');
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let host = hub_name(host);
    match path {
        "" | "v1" | "v2" => host.to_owned(),
        _ if is_url => host.to_owned(),
        path => format!("{host}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn password(user: &str, password: &str) -> Credential {
        Credential::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    fn nobody(_: &str, _: &str) -> Result<Credential, HelperError> {
        Err(HelperError::NotFound)
    }

    // `printf u:p | base64` and so on.
    const FILE: &str = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "aHViOnA="},
        "r.example": {"auth": "aG9zdDpw"},
        "r.example/team": {"auth": "dGVhbTpw"},
        "r.example/team/tool": {"auth": "dG9vbDpw"},
        "http://old.example:5000/v1/": {"auth": "b2xkOnA6cQ=="},
        "token.example": {"auth": "", "identitytoken": "t0ken"},
        "plain.example": {"username": "u", "password": "p"},
        "empty.example": {},
        "broken.example": {"auth": "!"}
    }}"#;

    #[test]
    fn longest_prefix_wins_and_urls_mean_their_host() {
        let files = [AuthFile::parse(FILE, "f").unwrap()];
        for (host, repository, expected) in [
            ("docker.io", "library/alpine", Some(password("hub", "p"))),
            ("registry-1.docker.io", "me/x", Some(password("hub", "p"))),
            ("r.example", "other/x", Some(password("host", "p"))),
            ("r.example", "team/x", Some(password("team", "p"))),
            ("r.example", "teams/x", Some(password("host", "p"))),
            ("r.example", "team/tool", Some(password("tool", "p"))),
            ("r.example", "team/tool/sub", Some(password("tool", "p"))),
            ("r.example:443", "team/tool", None),
            ("old.example:5000", "a", Some(password("old", "p:q"))),
            (
                "token.example",
                "a",
                Some(Credential::IdentityToken("t0ken".to_owned())),
            ),
            ("plain.example", "a", Some(password("u", "p"))),
            ("empty.example", "a", None),
            ("none.example", "a", None),
        ] {
            let found = find(&files, host, repository, &nobody, &|warning| {
                panic!("{warning}")
            });
            assert_eq!(
                found.map(|found| found.credential),
                expected,
                "{host}/{repository}"
            );
        }
    }

    #[test]
    fn what_is_broken_is_said_and_the_next_file_asked() {
        let broken = r#"{"credsStore": "gone", "auths": {"broken.example": {"auth": "!"}}}"#;
        let files = [
            AuthFile::parse(broken, "first").unwrap(),
            AuthFile::parse(r#"{"auths":{"broken.example":{"auth":"dTpw"}}}"#, "second").unwrap(),
        ];
        let warnings = RefCell::new(Vec::new());
        let failing = |_: &str, _: &str| Err(HelperError::Failed("locked".to_owned()));
        let found = find(&files, "broken.example", "a", &failing, &|warning| {
            warnings.borrow_mut().push(warning);
        });
        assert_eq!(found.unwrap().source, "`broken.example` of `second`");
        let warnings = warnings.into_inner();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("docker-credential-gone") && warnings[0].contains("locked"));
        assert!(warnings[1].contains("`broken.example` of `first`"));
    }

    #[test]
    fn helpers_are_asked_by_the_name_that_they_know() {
        let text = r#"{"credsStore": "all", "credHelpers": {"gcr.io": "gcr", "https://index.docker.io/v1/": ""}}"#;
        let files = [AuthFile::parse(text, "f").unwrap()];
        for (host, expected) in [
            ("gcr.io", vec!["gcr gcr.io"]),
            (
                "docker.io",
                vec!["all https://index.docker.io/v1/", "all docker.io"],
            ),
            ("x.example:5000", vec!["all x.example:5000"]),
        ] {
            let asked = RefCell::new(Vec::new());
            let run = |helper: &str, server: &str| {
                asked.borrow_mut().push(format!("{helper} {server}"));
                Err(HelperError::NotFound)
            };
            assert_eq!(find(&files, host, "a", &run, &|_| {}), None);
            assert_eq!(asked.into_inner(), expected);
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let printed = format!(
            "{:?} {:?}",
            password("u", "s3cret"),
            Credential::IdentityToken("s3cret".to_owned())
        );
        assert!(!printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn a_helper_that_is_a_path_is_not_run() {
        let error = run_helper("../../bin/sh", "x").unwrap_err();
        assert!(matches!(error, HelperError::Failed(_)));
    }

    #[test]
    fn a_missing_helper_is_a_failure_and_not_an_absent_entry() {
        let error = run_helper("cairn-has-no-such-helper", "x").unwrap_err();
        assert!(matches!(error, HelperError::Failed(reason) if reason.contains("PATH")));
    }
}
