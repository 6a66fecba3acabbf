//! Proxies of the caller's, as a step may use them.
//!
//! In: variables such as `HTTP_PROXY`. Out: the same for the step, in which a proxy on the host's
//! loopback has an address that leads there, and what leads where. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address;
use super::destination::Proxies;

/// The variables that name a proxy: Docker's predefined build arguments (Dockerfile reference,
/// "Predefined ARGs"), in both cases of letters.
pub const VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY"];

/// Whether `name` is the name of such a variable.
pub fn is_proxy(name: &str) -> bool {
    VARIABLES
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// `variables` for a step, and the proxies that it reaches by them, by their port at
/// [`address::PROXY_V4`]. What isn't a proxy's variable, or leads elsewhere, stays as it is.
pub fn for_step(variables: &[(String, String)]) -> (Vec<(String, String)>, Proxies) {
    let mut proxies = Proxies::new();
    let mut changed = Vec::with_capacity(variables.len());
    for (name, value) in variables {
        let on_host = match is_proxy(name) {
            true => on_host(value),
            false => None,
        };
        let value = match on_host {
            None => value.clone(),
            Some(place) => {
                let targets = proxies.entry(place.port).or_default();
                for ip in place.ips {
                    let target = SocketAddr::new(ip, place.port);
                    if !targets.contains(&target) {
                        targets.push(target);
                    }
                }
                let (before, after) = (place.before, place.after);
                format!("{before}{}{after}", address::PROXY_V4)
            }
        };
        changed.push((name.clone(), value));
    }
    (changed, proxies)
}

/// A proxy on the host's loopback: its URL around the host's name.
struct Place<'a> {
    before: &'a str,
    after: &'a str,
    ips: Vec<IpAddr>,
    port: u16,
}

/// The parts of `url`, `[scheme://][user@]host[:port][/…]`, if it is on the host.
fn on_host(url: &str) -> Option<Place<'_>> {
    let (scheme, start) = match url.find("://") {
        Some(at) => (url.get(..at)?, at + 3),
        None => ("http", 0),
    };
    let rest = url.get(start..)?;
    let length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..length)?;
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let host_port = authority.get(host_at..)?;
    let bracketed = host_port.starts_with('[');
    let host_length = match bracketed {
        true => host_port.find(']')? + 1,
        false => host_port.find(':').unwrap_or(host_port.len()),
    };
    let (host, port) = host_port.split_at_checked(host_length)?;
    let port = match port.strip_prefix(':') {
        Some("") | None => match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            "socks4" | "socks4a" | "socks5" | "socks5h" | "socks" => 1080,
            _ => return None,
        },
        Some(port) => port.parse().ok()?,
    };
    let (v4, v6) = (
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    );
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let ips = if name == "localhost" || name.ends_with(".localhost") {
        vec![v4, v6]
    } else {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let ip = bare.parse::<IpAddr>().ok()?.to_canonical();
        match ip {
            _ if ip.is_loopback() => vec![ip],
            _ if ip.is_unspecified() => vec![v4],
            _ => return None,
        }
    };
    let end = start + host_at + host_length;
    Some(Place {
        before: url.get(..start + host_at)?,
        after: url.get(end..)?,
        ips,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> (String, Vec<String>) {
        let variables = [("https_proxy".to_owned(), value.to_owned())];
        let (changed, proxies) = for_step(&variables);
        let targets = proxies.into_values().flatten();
        (
            changed[0].1.clone(),
            targets.map(|target| target.to_string()).collect(),
        )
    }

    #[test]
    fn a_proxy_on_the_loopback_gets_an_address_that_leads_there() {
        for (value, changed, targets) in [
            (
                "http://127.0.0.1:3128",
                "http://192.0.0.4:3128",
                vec!["127.0.0.1:3128"],
            ),
            ("127.0.0.2:81/", "192.0.0.4:81/", vec!["127.0.0.2:81"]),
            ("http://[::1]:8/x", "http://192.0.0.4:8/x", vec!["[::1]:8"]),
            (
                "socks5h://u:p@ss@LocalHost",
                "socks5h://u:p@ss@192.0.0.4",
                vec!["127.0.0.1:1080", "[::1]:1080"],
            ),
            (
                "https://localhost.",
                "https://192.0.0.4",
                vec!["127.0.0.1:443", "[::1]:443"],
            ),
            (
                "http://[::ffff:127.0.0.1]:9",
                "http://192.0.0.4:9",
                vec!["127.0.0.1:9"],
            ),
        ] {
            let expected: Vec<_> = targets.into_iter().map(str::to_owned).collect();
            assert_eq!(one(value), (changed.to_owned(), expected));
        }
    }

    #[test]
    fn what_leads_elsewhere_stays() {
        for value in [
            "",
            "http://proxy.corp:3128",
            "http://127.0.0.1.corp:3128",
            "http://10.0.0.1:3128",
            "http://127.0.0.1@corp:80",
            "http://[::1:80",
            "http://127.0.0.1:99999",
            "gopher://localhost",
        ] {
            assert_eq!(one(value), (value.to_owned(), vec![]));
        }
        let variables = [("NO_PROXY".to_owned(), "127.0.0.1".to_owned())];
        assert_eq!(for_step(&variables).0, variables);
    }
}
