//! The files of `/etc` that are the sandbox's own: the same on every machine.
//!
//! In: the request's names of hosts. Out: text.

use std::fmt::Write as _;

use super::network::{HOST_GATEWAY, address as cable};

/// `/etc/hosts`, with the request's names behind the sandbox's own.
pub(super) fn hosts(names: &[(String, String)]) -> String {
    let mut text =
        "127.0.0.1\tlocalhost cairn\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    for (name, address) in names {
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
        let text = super::hosts(&[("db".to_owned(), "10.0.0.7".to_owned())]);
        assert!(text.starts_with("127.0.0.1\tlocalhost cairn\n"));
        assert!(text.ends_with("\n10.0.0.7\tdb\n"));
    }
}
