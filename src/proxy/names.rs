//! Names inside of a recorded step: each has an address of its own that leads to the proxy.
//!
//! In: DNS messages (RFC 1035), whether a name exists. Out: answers. No address of the real network
//! gets into a step, so that none can get into what it makes. Pure.

use std::net::Ipv4Addr;

use crate::canon::Digest;
use crate::sandbox::network::dns;

/// The network for benchmarks, 198.18.0.0/15 (RFC 2544): no host is there.
const NETWORK: u32 = 0xc612_0000;
/// Bits of its hosts.
const BITS: u32 = 17;
/// Seconds that a resolver may keep an answer.
const TTL: u32 = 60;

/// A host's address.
const A: u16 = 1;
/// A host's address of IPv6.
const AAAA: u16 = 28;
/// The internet's class.
const IN: u16 = 1;

/// What a resolver says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It exists.
    Exists,
    /// It doesn't.
    Missing,
}

/// The address of a name. Two names may share one: a request says itself which it is for.
pub fn address(name: &str) -> Ipv4Addr {
    let digest = Digest::of(name.as_bytes());
    let hash = digest.bytes().iter().take(4);
    let hash = hash.fold(0_u32, |hash, byte| hash << 8 | u32::from(*byte));
    // Neither the first nor the last, which mean the network itself.
    Ipv4Addr::from(NETWORK + 1 + hash % ((1 << BITS) - 2))
}

/// Whether `ip` is one that [`address`] gives.
pub fn is_address(ip: Ipv4Addr) -> bool {
    u32::from(ip) >> BITS == NETWORK >> BITS
}

/// A name as records have it: lower-case, without the last dot. None, if it is none of a host.
pub fn host(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = (1..=253).contains(&name.len()) && name.chars().all(is_fine);
    is_name.then(|| name.to_ascii_lowercase())
}

/// The name whose existence decides the answer to `message`; none if another thing than a host's
/// address is asked for.
pub fn asked(message: &[u8]) -> Option<String> {
    let (kind, class) = kind(message)?;
    let is_host = matches!(kind, A | AAAA) && class == IN;
    dns::name(message)
        .filter(|_| is_host)
        .and_then(|name| host(&name))
}

/// The type and class that are asked for.
fn kind(message: &[u8]) -> Option<(u16, u16)> {
    let end = dns::question_end(message)?;
    let [a, b, c, d] = *message.get(end - 4..end)?.first_chunk()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// The answer to `message`. Of a name that exists there is an address of IPv4 and nothing else.
pub fn answer(message: &[u8], verdict: Verdict) -> Vec<u8> {
    let mut answer = dns::failure(message);
    let code = match verdict {
        Verdict::Exists => 0,
        Verdict::Missing => 3,
    };
    let Some(header) = answer.first_chunk_mut::<12>() else {
        return answer;
    };
    header[3] = 0x80 | code;
    let name = asked(message).filter(|_| kind(message) == Some((A, IN)));
    let Some(name) = name.filter(|_| verdict == Verdict::Exists) else {
        return answer;
    };
    header[7] = 1;
    // The question's name, by a pointer to it.
    answer.extend_from_slice(&[0xc0, 12]);
    answer.extend_from_slice(&A.to_be_bytes());
    answer.extend_from_slice(&IN.to_be_bytes());
    answer.extend_from_slice(&TTL.to_be_bytes());
    answer.extend_from_slice(&4_u16.to_be_bytes());
    answer.extend_from_slice(&address(&name).octets());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &[u8], kind: u8) -> Vec<u8> {
        let header = [0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&header[..], name, &[0, kind, 0, 1]].concat()
    }

    #[test]
    fn a_name_has_the_same_address_each_time_and_others_have_others() {
        let names = ["a.example", "b.example", "deb.debian.org"];
        let addresses = names.map(address);
        assert_eq!(addresses, names.map(address));
        assert!(addresses.iter().all(|ip| is_address(*ip)));
        assert!(addresses[0] != addresses[1] && addresses[1] != addresses[2]);
        for (ip, is_one) in [
            ("198.18.0.0", true),
            ("198.19.255.255", true),
            ("198.20.0.0", false),
            ("198.17.255.255", false),
        ] {
            assert_eq!(is_address(ip.parse().unwrap()), is_one, "{ip}");
        }
    }

    #[test]
    fn an_answer_has_an_address_of_ipv4_alone() {
        let asked = question(b"\x01A\x07exaMple\0", 1);
        assert_eq!(super::asked(&asked).unwrap(), "a.example");
        let answered = answer(&asked, Verdict::Exists);
        assert_eq!(answered[..8], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1]);
        assert_eq!(answered[12..asked.len()], asked[12..]);
        assert!(answered.ends_with(&address("a.example").octets()));
        let six = question(b"\x01a\x07example\0", 28);
        let none = answer(&six, Verdict::Exists);
        assert_eq!(
            (&none[2..8], none.len()),
            (&[0x81, 0x80, 0, 1, 0, 0][..], six.len())
        );
        assert_eq!(answer(&six, Verdict::Missing)[3], 0x83);
        let service = question(b"\x05_http\x01a\x07example\0", 33);
        assert_eq!(super::asked(&service), None);
        for length in 0..asked.len() {
            answer(&asked[..length], Verdict::Exists);
        }
    }

    #[test]
    fn names_are_those_of_hosts() {
        assert_eq!(host("Deb.Debian.org.").unwrap(), "deb.debian.org");
        for bad in ["", ".", "a b", "a/b", "a\\.b", &"a".repeat(254)] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
