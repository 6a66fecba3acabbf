//! The host's resolvers, as resolv.conf(5) names them.
//!
//! In: the text of the host's `/etc/resolv.conf`. Out: addresses to ask. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// Most resolvers that are asked: what glibc takes (`MAXNS`).
const MOST: usize = 3;
/// Most lines of the file that are looked at.
const MOST_LINES: usize = 10_000;

/// The resolvers in the order in which they are asked; the host's own if the file names none.
/// `interface` gives the number of an interface by its name.
pub fn resolvers(text: &str, interface: impl Fn(&str) -> Option<u32>) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for line in text.lines().take(MOST_LINES) {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let Some(address) = words.next().and_then(|word| parse(word, &interface)) else {
            continue;
        };
        if found.len() < MOST && !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() {
        found.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
    }
    found
}

fn parse(word: &str, interface: &impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Ok(ip) = word.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, 53));
    }
    let (ip, scope) = word.split_once('%')?;
    let scope = scope.parse().ok().or_else(|| interface(scope))?;
    Some(SocketAddrV6::new(ip.parse().ok()?, 53, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let number = |name: &str| (name == "eth0").then_some(2);
        let found = resolvers(text, number);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nameservers_are_taken_as_glibc_takes_them() {
        let text = "# ours\nsearch corp\nnameserver 127.0.0.53\n  nameserver\t::1 # more\n\
                    nameserver 127.0.0.53\nnameserver bad\nnameserver\nnameserver fe80::1%eth0\n\
                    nameserver 9.9.9.9\n;nameserver 1.1.1.1\n";
        assert_eq!(found(text), ["127.0.0.53:53", "[::1]:53", "[fe80::1%2]:53"]);
        assert_eq!(found("nameserver fe80::1%7"), ["[fe80::1%7]:53"]);
        for none in ["", "options edns0\n", "nameserver fe80::1%nowhere\n"] {
            assert_eq!(found(none), ["127.0.0.1:53"]);
        }
    }
}
