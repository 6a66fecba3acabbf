//! Which hosts stand for a reference, in which order, and how each is spoken to.
//!
//! In: a reference, registries.conf's rules and a host's hosts.toml, as values. Out:
//! [`Place`]s (names that stand for the repository) and their [`Endpoint`]s (URLs to ask). Pure.

use std::net::IpAddr;

use super::error::Error;
use super::hosts_toml::{HostTable, HostsToml};
use super::registries_conf::{Registries, Serves, relocated};
use crate::canon::Reference;

/// A name under which the repository is found: a mirror's or its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `host[:port]`.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// registries.conf calls it insecure.
    pub insecure: bool,
    /// For people: who named it.
    pub why: String,
}

/// How a host may be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// TLS alone.
    Https,
    /// Plain HTTP alone.
    Http,
    /// TLS, and plain HTTP where the host doesn't speak TLS.
    Either,
}

/// One host to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `host[:port]`: its name in certs.d and in credentials files.
    pub host: String,
    /// How to speak to it.
    pub scheme: Scheme,
    /// What comes before the repository in a URL: `/v2`, or `/prefix/v2`.
    pub path: String,
    /// The repository there.
    pub repository: String,
    /// Its certificate is checked.
    pub verify: bool,
    /// CA files beside the usual ones, as hosts.toml writes them.
    pub ca: Vec<String>,
    /// The client's certificate and key, as hosts.toml writes them.
    pub client: Option<(String, Option<String>)>,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
    /// The registry that it stands for, as containerd tells its mirrors.
    pub namespace: Option<String>,
    /// It gives blobs, and manifests by digest.
    pub can_pull: bool,
    /// It gives manifests by tag.
    pub can_resolve: bool,
    /// For people: who named it.
    pub why: String,
}

/// Where to pull `reference` from: the mirrors, then itself.
pub fn places_to_pull(reference: &Reference, registries: &Registries) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    if let Some(rule) = registries.rule(reference) {
        let by_digest = reference.digest.is_some();
        let serves = |serves| match serves {
            Serves::All => true,
            Serves::DigestOnly => by_digest,
            Serves::TagOnly => !by_digest,
        };
        for mirror in rule.mirrors.iter().filter(|mirror| serves(mirror.serves)) {
            let name = relocated(rule, &mirror.location, reference);
            let why = format!("mirror, by `{}`", rule.from);
            places.extend(place(&name, mirror.insecure, why));
        }
    }
    places.push(place_to_push(reference, registries)?);
    Ok(places)
}

/// Where to push `reference` to.
pub fn place_to_push(reference: &Reference, registries: &Registries) -> Result<Place, Error> {
    let rule = registries.rule(reference);
    if let Some(rule) = rule.filter(|rule| rule.blocked) {
        return Err(Error::Blocked {
            name: reference.name(),
            by: rule.from.clone(),
        });
    }
    let insecure = rule.is_some_and(|rule| rule.insecure);
    let moved = rule.and_then(|rule| {
        let name = relocated(rule, rule.location.as_deref()?, reference);
        place(&name, insecure, format!("location, by `{}`", rule.from))
    });
    Ok(moved.unwrap_or_else(|| Place {
        registry: reference.registry.clone(),
        repository: reference.repository.clone(),
        insecure,
        why: "the registry itself".to_owned(),
    }))
}

fn place(name: &str, insecure: bool, why: String) -> Option<Place> {
    let (registry, repository) = name.split_once('/')?;
    Some(Place {
        registry: registry.to_owned(),
        repository: repository.to_owned(),
        insecure,
        why,
    })
}

/// The hosts that hosts.toml names for `place`, and then itself.
pub fn endpoints_to_pull(place: &Place, toml: Option<&HostsToml>) -> Result<Vec<Endpoint>, String> {
    let mut endpoints = Vec::new();
    for table in toml.iter().flat_map(|toml| &toml.hosts) {
        let mut endpoint = endpoint_at(place, table)?;
        endpoint.namespace = Some(place.registry.clone());
        if table.can_pull || table.can_resolve {
            endpoints.push(endpoint);
        }
    }
    endpoints.push(own_endpoint(place, toml)?);
    Ok(endpoints)
}

/// The one host to push to: the first that hosts.toml says can push, else itself.
pub fn endpoint_to_push(place: &Place, toml: Option<&HostsToml>) -> Result<Endpoint, String> {
    let mut hosts = toml.iter().flat_map(|toml| &toml.hosts);
    match hosts.find(|table| table.can_push) {
        Some(table) => endpoint_at(place, table),
        None => own_endpoint(place, toml),
    }
}

fn own_endpoint(place: &Place, toml: Option<&HostsToml>) -> Result<Endpoint, String> {
    if let Some(toml) = toml
        && toml.server.url.is_some()
    {
        return endpoint_at(place, &toml.server);
    }
    let host = api_host(&place.registry);
    let server = toml.map(|toml| &toml.server);
    let scheme = match place.insecure || is_loopback(host) {
        true => Scheme::Either,
        false => Scheme::Https,
    };
    Ok(Endpoint {
        host: host.to_owned(),
        scheme,
        path: "/v2".to_owned(),
        repository: place.repository.clone(),
        verify: !place.insecure && !server.is_some_and(|server| server.skip_verify),
        ca: server.map(|server| server.ca.clone()).unwrap_or_default(),
        client: server.and_then(|server| server.client.clone()),
        headers: server
            .map(|server| server.headers.clone())
            .unwrap_or_default(),
        namespace: None,
        can_pull: true,
        can_resolve: true,
        why: place.why.clone(),
    })
}

fn endpoint_at(place: &Place, table: &HostTable) -> Result<Endpoint, String> {
    let url = table.url.as_deref().unwrap_or_default();
    let parsed = reqwest::Url::parse(url).map_err(|error| format!("`{url}`: {error}"))?;
    let Some(name) = parsed.host_str() else {
        return Err(format!("`{url}` has no host"));
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("a host's URL must not hold credentials: use `header`".to_owned());
    }
    let host = match parsed.port() {
        Some(port) => format!("{name}:{port}"),
        None => api_host(name).to_owned(),
    };
    let path = parsed.path().trim_end_matches('/');
    let path = match table.override_path || path.ends_with("/v2") {
        true => path.to_owned(),
        false => format!("{path}/v2"),
    };
    Ok(Endpoint {
        host,
        scheme: match parsed.scheme() {
            "http" => Scheme::Http,
            _ => Scheme::Https,
        },
        path,
        repository: place.repository.clone(),
        verify: !table.skip_verify && !place.insecure,
        ca: table.ca.clone(),
        client: table.client.clone(),
        headers: table.headers.clone(),
        namespace: None,
        can_pull: table.can_pull,
        can_resolve: table.can_resolve,
        why: format!("hosts.toml of `{}`", place.registry),
    })
}

/// Where a registry is spoken to: `docker.io` is a name for people, and leads to a page for them.
fn api_host(registry: &str) -> &str {
    match registry {
        "docker.io" => "registry-1.docker.io",
        other => other,
    }
}

/// Whether `host[:port]` is this machine by its name alone.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost"
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registries(text: &str) -> Registries {
        let mut registries = Registries::default();
        registries.add(text, "r.conf").unwrap();
        registries
    }

    fn urls(reference: &str, registries: &Registries, toml: Option<&HostsToml>) -> Vec<String> {
        let mut urls = Vec::new();
        for place in places_to_pull(&reference.parse().unwrap(), registries).unwrap() {
            for endpoint in endpoints_to_pull(&place, toml).unwrap() {
                let scheme = match endpoint.scheme {
                    Scheme::Https => "https",
                    Scheme::Http => "http",
                    Scheme::Either => "either",
                };
                let Endpoint {
                    host,
                    path,
                    repository,
                    ..
                } = endpoint;
                urls.push(format!("{scheme}://{host}{path}/{repository}"));
            }
        }
        urls
    }

    #[test]
    fn loopback_and_insecure_hosts_may_speak_plain_http_and_no_others() {
        let registries = registries("[[registry]]\nlocation = \"plain.example\"\ninsecure = true");
        for (reference, url) in [
            ("alpine", "https://registry-1.docker.io/v2/library/alpine"),
            ("r.example/a", "https://r.example/v2/a"),
            ("plain.example/a", "either://plain.example/v2/a"),
            ("localhost:5000/a", "either://localhost:5000/v2/a"),
            ("localhost/a", "either://localhost/v2/a"),
            ("127.1.2.3:5000/a", "either://127.1.2.3:5000/v2/a"),
            ("[::1]:5000/a", "either://[::1]:5000/v2/a"),
            ("localhost.example/a", "https://localhost.example/v2/a"),
            ("10.0.0.1:5000/a", "https://10.0.0.1:5000/v2/a"),
        ] {
            assert_eq!(urls(reference, &registries, None), [url]);
        }
    }

    #[test]
    fn mirrors_of_both_files_come_before_the_origin() {
        let registries = registries(
            "[[registry]]\nlocation = \"r.example\"\n[[registry.mirror]]\nlocation = \"m.example/x\"\n[[registry.mirror]]\nlocation = \"d.example\"\npull-from-mirror = \"digest-only\"",
        );
        assert_eq!(
            urls("r.example/a", &registries, None),
            ["https://m.example/v2/x/a", "https://r.example/v2/a"]
        );
        let digest = crate::canon::Digest::of(b"");
        assert_eq!(
            urls(&format!("r.example/a@{digest}"), &registries, None),
            [
                "https://m.example/v2/x/a",
                "https://d.example/v2/a",
                "https://r.example/v2/a"
            ]
        );
        let toml = HostsToml::parse(
            "server = \"http://s.example\"\n[host.\"https://h.example:1/p\"]\noverride_path = true\n[host.\"https://i.example/q\"]",
        )
        .unwrap();
        assert_eq!(
            urls("r.example/a", &Registries::default(), Some(&toml)),
            [
                "https://h.example:1/p/a",
                "https://i.example/q/v2/a",
                "http://s.example/v2/a"
            ]
        );
    }

    #[test]
    fn pushes_go_to_the_origin_unless_a_host_says_push() {
        let registries = registries(
            "[[registry]]\nlocation = \"r.example\"\n[[registry.mirror]]\nlocation = \"m.example\"",
        );
        let reference = "r.example/a".parse().unwrap();
        let place = place_to_push(&reference, &registries).unwrap();
        let pull_only = HostsToml::parse("[host.\"https://h.example\"]").unwrap();
        let push = HostsToml::parse(
            "[host.\"https://h.example\"]\n[host.\"https://p.example\"]\ncapabilities = [\"push\"]",
        )
        .unwrap();
        for (toml, host) in [
            (None, "r.example"),
            (Some(&pull_only), "r.example"),
            (Some(&push), "p.example"),
        ] {
            assert_eq!(endpoint_to_push(&place, toml).unwrap().host, host);
        }
    }

    #[test]
    fn docker_hub_is_spoken_to_where_it_answers() {
        let toml = HostsToml::parse("server = \"https://docker.io\"").unwrap();
        let hub = ["https://registry-1.docker.io/v2/library/alpine"];
        assert_eq!(urls("alpine", &Registries::default(), Some(&toml)), hub);
        let place = place_to_push(&"a".parse().unwrap(), &Registries::default()).unwrap();
        let pushed_to = endpoint_to_push(&place, Some(&toml)).unwrap();
        assert_eq!(pushed_to.host, "registry-1.docker.io");
    }

    #[test]
    fn a_blocked_registry_is_neither_pulled_from_nor_pushed_to() {
        let registries = registries("[[registry]]\nlocation = \"r.example\"\nblocked = true");
        let reference = "r.example/a".parse().unwrap();
        for result in [
            places_to_pull(&reference, &registries).map(drop),
            place_to_push(&reference, &registries).map(drop),
        ] {
            assert!(matches!(result, Err(Error::Blocked { by, .. }) if by == "r.conf"));
        }
    }
}
