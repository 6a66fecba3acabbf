//! The files of `/etc` that are the sandbox's own: the same on every machine.
//!
//! In: the request's names of hosts. Out: text.

use std::fmt::Write as _;

use super::Request;
use super::network::{HOST_GATEWAY, address as cable};

/// The name of the host that a command is on.
pub(super) fn hostname(request: &Request) -> &str {
    request.hostname.as_deref().unwrap_or("cairn")
}

/// `/etc/hosts`, with the request's names behind the sandbox's own.
pub(super) fn hosts(request: &Request) -> String {
    let own = hostname(request);
    let mut text =
        format!("127.0.0.1\tlocalhost {own}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in &request.hosts {
        let gateway = cable::GATE_V4.to_string();
        let address = match address.as_str() {
            HOST_GATEWAY => &gateway,
            other => other,
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_come_after_the_sandboxs_own() {
        let request = super::Request {
            hosts: vec![("db".to_owned(), "10.0.0.7".to_owned())],
            ..super::Request::default()
        };
        let text = super::hosts(&request);
        assert!(text.starts_with("127.0.0.1\tlocalhost cairn\n"));
        assert!(text.ends_with("\n10.0.0.7\tdb\n"));
    }
}
