//! `--add-host`, `--ulimit`, `--allow`, sizes and durations.
//!
//! In: a value as Docker takes it. Out: what a command of the plan, or the sandbox, is told.

use std::net::IpAddr;
use std::time::Duration;

use crate::cli::csv;
use crate::plan::command::Ulimit;

/// What a recipe's commands may do besides, once the caller allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allow {
    /// `RUN --network=host`.
    HostNetwork,
    /// `RUN --security=insecure`.
    Insecure,
    /// `RUN --device`: one of that name, or any.
    Device(Option<String>),
}

/// Reads one `--allow`.
pub fn allow(text: &str) -> Result<Allow, String> {
    match text.split_once('=').unwrap_or((text, "")) {
        ("network.host", "") => Ok(Allow::HostNetwork),
        ("security.insecure", "") => Ok(Allow::Insecure),
        ("device", "") => Ok(Allow::Device(None)),
        ("device", name) => Ok(Allow::Device(Some(name.to_owned()))),
        _ => Err("what can be allowed is network.host, security.insecure and device".to_owned()),
    }
}

/// Reads one `--add-host`: a name and an address, or `host-gateway`, this machine.
pub fn add_host(text: &str) -> Result<(String, String), String> {
    // An address of IPv6 has colons of its own: the first one ends the name.
    let parted = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) = parted.ok_or("it has to be NAME:ADDRESS")?;
    let plain = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'))
        .unwrap_or(address);
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(format!("`{name}` is no name of a host"));
    }
    if plain == "host-gateway" {
        return Ok((name.to_owned(), plain.to_owned()));
    }
    match plain.parse::<IpAddr>() {
        Ok(address) => Ok((name.to_owned(), address.to_string())),
        Err(_) => Err(format!("`{address}` is no IP address")),
    }
}

const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads one `--ulimit`: `NAME=SOFT[:HARD]`, of which -1 is no limit.
pub fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, limits) = text.split_once('=').ok_or("it has to be NAME=SOFT:HARD")?;
    if !ULIMITS.contains(&name) {
        let known = ULIMITS.join(", ");
        return Err(format!("there is no limit `{name}`: it is one of {known}"));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let limit = |text: &str| match text {
        "-1" => Ok(None),
        _ => match text.parse() {
            Ok(limit) => Ok(Some(limit)),
            Err(_) => Err(format!("`{text}` is no limit: it is a number, -1 for none")),
        },
    };
    let (soft, hard) = (limit(soft)?, limit(hard)?);
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err("the soft limit is above the hard one".to_owned());
    }
    Ok(Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}

/// What `--resource` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
}

/// Reads one `--resource`: BuildKit's fields, of which cairn has `memory`.
pub fn resources(text: &str) -> Result<Resources, String> {
    let mut resources = Resources::default();
    for field in csv::fields(text)? {
        match field.split_once('=') {
            Some(("memory", size)) => resources.memory = Some(bytes(size)?),
            Some((name, _)) => {
                return Err(format!(
                    "cairn limits `memory` alone, and not `{name}`: cores never change an image"
                ));
            }
            None => return Err("it has to be memory=BYTES".to_owned()),
        }
    }
    Ok(resources)
}

/// Reads a size in bytes: `512`, `64m`, `1.5g`, `2GiB`; a step is 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "it has to be a number of bytes, such as 64m or 2g".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let steps = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit != "i" && unit != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let size = number * f64::from(1 << 10).powi(steps);
    // All of this is far from where a float is no longer exact.
    match size >= 1.0 && size <= 2f64.powi(50) {
        true => Ok(size as u64),
        false => Err(wrong()),
    }
}

/// Reads a duration: `90s`, `5m`, `1h30m`, `500ms`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "it has to be a duration, such as 90s or 1h30m".to_owned();
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(60 * 60),
            _ => return Err(wrong()),
        };
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let part = unit.checked_mul(number).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    match total.is_zero() {
        true => Err(wrong()),
        false => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_name_and_an_address() {
        for (text, expected) in [
            ("a:10.0.0.1", Some(("a", "10.0.0.1"))),
            ("a.b=10.0.0.1", Some(("a.b", "10.0.0.1"))),
            ("a:::1", Some(("a", "::1"))),
            ("a=[::1]", Some(("a", "::1"))),
            ("a:host-gateway", Some(("a", "host-gateway"))),
            ("a", None),
            (":10.0.0.1", None),
            ("a b:10.0.0.1", None),
            ("a:10.0.0", None),
            ("a:", None),
        ] {
            let expected = expected.map(|(name, address)| (name.to_owned(), address.to_owned()));
            assert_eq!(add_host(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn ulimits_are_one_number_or_two() {
        for (text, expected) in [
            ("nofile=1:2", Some((Some(1), Some(2)))),
            ("nofile=1", Some((Some(1), Some(1)))),
            ("nproc=1:-1", Some((Some(1), None))),
            ("core=-1", Some((None, None))),
            ("nofile=2:1", None),
            ("nofile=-1:1", None),
            ("nofile=-2", None),
            ("files=1", None),
            ("nofile", None),
            ("nofile=", None),
        ] {
            let got = ulimit(text).ok().map(|limit| (limit.soft, limit.hard));
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn sizes_and_durations_have_units() {
        for (text, expected) in [
            ("512", Some(512)),
            ("512b", Some(512)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("2GiB", Some(2 << 30)),
            ("1t", Some(1 << 40)),
            ("0", None),
            ("-1", None),
            ("m", None),
            ("1x", None),
            ("1i", None),
            ("99999999999t", None),
            ("1.2.3", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        for (text, milliseconds) in [
            ("90s", Some(90_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("", None),
            ("5", None),
            ("5d", None),
            ("s", None),
            ("0s", None),
            ("99999999999s", None),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn resources_are_memory_alone() {
        let memory = Some(64 << 20);
        assert_eq!(resources("memory=64m"), Ok(Resources { memory }));
        for text in ["", "memory", "memory=x", "memory=1g,cpu-quota=5"] {
            assert!(resources(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_can_be_allowed_is_a_short_list() {
        assert_eq!(allow("network.host"), Ok(Allow::HostNetwork));
        assert_eq!(allow("security.insecure"), Ok(Allow::Insecure));
        assert_eq!(allow("device"), Ok(Allow::Device(None)));
        let gpu = Some("vendor.test/gpu=all".to_owned());
        assert_eq!(allow("device=vendor.test/gpu=all"), Ok(Allow::Device(gpu)));
        for text in ["", "network", "network.host=x", "security"] {
            assert!(allow(text).is_err(), "{text}");
        }
    }
}
