//! What the caller says of archives: where they are, who asks, what time it is.
//!
//! In: addresses as the environment and apt's own lists have them. Out: [`PackageSettings`], in
//! which logins stand apart: an address is written down, and who asks never is.

use std::collections::BTreeMap;

use crate::canon::{Login, login};
use crate::packages::sources;
use crate::plan::packages::Distribution;

/// What the caller says of archives and the time. None of it is in a key: it decides where
/// packages come from, and what they are is written down.
#[derive(Debug, Clone, Default)]
pub struct PackageSettings {
    /// Addresses of mirrors that the caller gives.
    pub mirrors: BTreeMap<Distribution, String>,
    /// Those that this machine's apt has.
    pub host: Vec<sources::Archive>,
    /// Who asks, by the address of the mirror, which itself has no login.
    pub logins: BTreeMap<String, Login>,
    /// The present, in seconds since 1970.
    pub now: i64,
}

impl PackageSettings {
    /// With the logins taken out of the addresses, that of a mirror as that of a package.
    pub fn new(
        mirrors: BTreeMap<Distribution, String>,
        host: Vec<sources::Archive>,
        now: i64,
    ) -> PackageSettings {
        let mut settings = PackageSettings {
            mirrors,
            host,
            logins: BTreeMap::new(),
            now,
        };
        let host = settings.host.iter_mut().map(|archive| &mut archive.mirror);
        for mirror in settings.mirrors.values_mut().chain(host) {
            let (address, login) = login::split(mirror.trim_end_matches('/'));
            if let Some(login) = login {
                let entry = settings.logins.entry(address.clone());
                entry.or_insert(login);
            }
            *mirror = address;
        }
        settings
    }

    /// Who asks for what is at `url`.
    pub fn login(&self, url: &str) -> Option<&Login> {
        let is_below = |mirror: &str| {
            let rest = url.strip_prefix(mirror);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        // Of two that begin with the same the longer comes first.
        let mut logins = self.logins.iter().rev();
        let found = logins.find(|(mirror, _)| is_below(mirror));
        found.map(|(_, login)| login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_stand_apart_from_addresses() {
        let archive = |mirror: &str| sources::Archive {
            mirror: mirror.to_owned(),
            suite: "test".to_owned(),
            components: Vec::new(),
        };
        let given = "http://me:one@a.test/debian/".to_owned();
        let settings = PackageSettings::new(
            BTreeMap::from([(Distribution::Debian, given)]),
            vec![
                archive("http://me:two@a.test/debian/old"),
                archive("http://b.test/debian"),
            ],
            0,
        );
        assert_eq!(
            settings.mirrors[&Distribution::Debian],
            "http://a.test/debian"
        );
        let host: Vec<_> = settings.host.iter().map(|one| &*one.mirror).collect();
        assert_eq!(host, ["http://a.test/debian/old", "http://b.test/debian"]);
        for (url, expected) in [
            ("http://a.test/debian/pool/x.deb", Some("me:one")),
            ("http://a.test/debian/old/pool/x.deb", Some("me:two")),
            ("http://a.test/debian-security/x", None),
            ("http://a.test.evil/debian/x", None),
            ("http://b.test/debian/x", None),
        ] {
            let login = settings.login(url).map(Login::pair);
            assert_eq!(login.as_deref(), expected, "{url}");
        }
        assert!(!format!("{settings:?}").contains("one\""));
    }
}
