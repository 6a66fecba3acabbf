//! containerd's hosts.toml: which hosts stand for a registry, and what each can do.
//!
//! In: the text of `certs.d/HOST/hosts.toml`. Out: [`HostsToml`], hosts in the order of the file
//! (containerd, docs/hosts.md). Pure. Of several `client` certificates the first is used.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostsToml {
    /// The registry itself, asked last; its URL is none where the file names no `server`.
    pub server: HostTable,
    /// Asked first, in this order.
    pub hosts: Vec<HostTable>,
}

/// One host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostTable {
    /// `scheme://host[:port][/path]`.
    pub url: Option<String>,
    /// Gives manifests by digest, and blobs.
    pub can_pull: bool,
    /// Gives manifests by tag.
    pub can_resolve: bool,
    /// Takes what is pushed; only where the file says so by name.
    pub can_push: bool,
    /// Its certificate is not checked.
    pub skip_verify: bool,
    /// The URL's path is used as it is, without `/v2`.
    pub override_path: bool,
    /// CA files; relative ones to the folder of hosts.toml.
    pub ca: Vec<String>,
    /// The client's certificate and its key, files likewise; no key where both are in one file.
    pub client: Option<(String, Option<String>)>,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// One file, several, or several pairs of certificate and key.
#[derive(Deserialize)]
#[serde(untagged)]
enum Clients {
    One(String),
    Many(Vec<OneOrMany>),
}

impl Clients {
    /// The first of them.
    fn first(self) -> Result<Option<(String, Option<String>)>, String> {
        let mut files = match self {
            Clients::One(one) => vec![one],
            Clients::Many(many) => match many.into_iter().next() {
                Some(first) => first.into_vec(),
                None => return Ok(None),
            },
        }
        .into_iter();
        match (files.next(), files.next(), files.next()) {
            (Some(certificate), key, None) if !certificate.is_empty() => {
                Ok(Some((certificate, key.filter(|key| !key.is_empty()))))
            }
            _ => Err("`client` is a file, or a list of `[CERTIFICATE, KEY]`".to_owned()),
        }
    }
}

#[derive(Deserialize)]
struct Table {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<Clients>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    header: BTreeMap<String, OneOrMany>,
}

#[derive(Deserialize)]
struct File {
    server: Option<String>,
    #[serde(default)]
    host: BTreeMap<Spanned<String>, Table>,
    #[serde(flatten)]
    top: Table,
}

impl HostsToml {
    /// Reads the text; an error is a reason for people, without the file's name.
    pub fn parse(text: &str) -> Result<HostsToml, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut hosts: Vec<_> = file.host.into_iter().collect();
        hosts.sort_by_key(|(url, _)| url.span().start);
        let hosts = hosts
            .into_iter()
            .map(|(url, table)| host(Some(url.into_inner()), table))
            .collect::<Result<_, _>>()?;
        Ok(HostsToml {
            server: host(file.server, file.top)?,
            hosts,
        })
    }
}

fn host(url: Option<String>, table: Table) -> Result<HostTable, String> {
    let url = url.map(|url| match url.contains("://") {
        true => url,
        false => format!("https://{url}"),
    });
    if let Some(url) = &url
        && !url.starts_with("https://")
        && !url.starts_with("http://")
    {
        return Err(format!("`{url}` is no URL that begins with http or https"));
    }
    let can = |word: &str| match &table.capabilities {
        Some(words) => words.iter().any(|other| other == word),
        None => word != "push",
    };
    let (can_pull, can_resolve, can_push) = (can("pull"), can("resolve"), can("push"));
    let unknown = table.capabilities.iter().flatten().find(|word| {
        !matches!(
            word.as_str(),
            "pull" | "resolve" | "push" | "referrers" | "dialstdio"
        )
    });
    if let Some(word) = unknown {
        return Err(format!(
            "`{word}` is no capability: write `pull`, `resolve` or `push`"
        ));
    }
    let mut headers = Vec::new();
    for (name, values) in table.header {
        for value in values.into_vec() {
            headers.push((name.clone(), value));
        }
    }
    Ok(HostTable {
        url,
        can_pull,
        can_resolve,
        can_push,
        skip_verify: table.skip_verify,
        override_path: table.override_path,
        ca: table.ca.map(OneOrMany::into_vec).unwrap_or_default(),
        client: table.client.map_or(Ok(None), Clients::first)?,
        headers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_keep_the_order_of_the_file() {
        let toml = HostsToml::parse(
            r#"
            server = "https://registry-1.docker.io"
            ca = "top.pem"
            [host."https://z.example:5000/hub"]
            capabilities = ["pull"]
            skip_verify = true
            override_path = true
            ca = ["a.pem", "/b.pem"]
            [host."https://z.example:5000/hub".header]
            x-one = "1"
            x-two = ["2", "3"]
            [host."http://a.example"]
            capabilities = ["pull", "resolve", "push"]
            [host."b.example"]
            "#,
        )
        .unwrap();
        let urls: Vec<_> = toml.hosts.iter().filter_map(|h| h.url.as_deref()).collect();
        assert_eq!(
            urls,
            [
                "https://z.example:5000/hub",
                "http://a.example",
                "https://b.example"
            ]
        );
        let first = &toml.hosts[0];
        assert!(first.can_pull && !first.can_resolve && !first.can_push);
        assert!(first.skip_verify && first.override_path);
        assert_eq!(first.ca, ["a.pem", "/b.pem"]);
        let headers: Vec<_> = first
            .headers
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        assert_eq!(headers, ["x-one=1", "x-two=2", "x-two=3"]);
        assert!(toml.hosts[1].can_push);
        assert!(toml.hosts[2].can_pull && !toml.hosts[2].can_push);
        assert_eq!(
            toml.server.url.as_deref(),
            Some("https://registry-1.docker.io")
        );
        assert_eq!(toml.server.ca, ["top.pem"]);
    }

    #[test]
    fn clients_are_a_file_or_pairs() {
        let client = |text: &str| HostsToml::parse(&format!("client = {text}"));
        let first = |text: &str| client(text).unwrap().server.client;
        let pair = |certificate: &str, key: Option<&str>| {
            Some((certificate.to_owned(), key.map(str::to_owned)))
        };
        assert_eq!(first("\"a.pem\""), pair("a.pem", None));
        assert_eq!(first("[\"a.pem\", \"b.pem\"]"), pair("a.pem", None));
        assert_eq!(
            first("[[\"a\", \"k\"], [\"b\", \"\"]]"),
            pair("a", Some("k"))
        );
        assert_eq!(first("[[\"a\", \"\"]]"), pair("a", None));
        assert_eq!(first("[]"), None);
        for text in ["[[]]", "\"\"", "[[\"a\", \"b\", \"c\"]]", "1"] {
            assert!(client(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_file_names_no_server() {
        let toml = HostsToml::parse("").unwrap();
        assert!(toml.server.url.is_none() && toml.hosts.is_empty() && toml.server.can_pull);
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (text, reason) in [
            ("server = 1", "string"),
            ("[host.\"ftp://a\"]", "http or https"),
            ("[host.\"https://a\"]\ncapabilities = [\"fly\"]", "`fly`"),
            ("[host", ""),
        ] {
            let error = HostsToml::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
