//! Which images of the store a repository of the server means; the rule is in [`super`].
//!
//! In: the NAME of a URL and the server's own names. Out: [`Repository`], which ranks references.
//! Pure.

use std::net::SocketAddr;

use crate::canon::reference::is_repository_component;
use crate::canon::{Digest, Reference};

/// The registry under which pushed images are stored: without a port, so that a later run on
/// another port finds them.
const OWN_REGISTRY: &str = "localhost";

/// Longest NAME, in characters: `localhost/NAME` must still be a reference.
const LONGEST_NAME: usize = 245;

/// A repository of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// As in the URL.
    pub(super) name: String,
    /// Registries and repositories of the references that it means, the first wins.
    places: Vec<(String, String)>,
}

impl Repository {
    /// The repository `name`, none where that is no name, on a server at `address`.
    pub(super) fn new(name: &str, address: SocketAddr) -> Option<Repository> {
        if name.len() > LONGEST_NAME || !name.split('/').all(is_repository_component) {
            return None;
        }
        let mut places = vec![(OWN_REGISTRY.to_owned(), name.to_owned())];
        places.extend(own_names(address).map(|registry| (registry, name.to_owned())));
        if let Ok(reference) = name.parse::<Reference>() {
            places.push((reference.registry, reference.repository));
        }
        Some(Repository {
            name: name.to_owned(),
            places,
        })
    }

    /// How near `reference` is to this repository, 0 the nearest; none when it is another's.
    pub(super) fn rank(&self, reference: &Reference) -> Option<usize> {
        self.places.iter().position(|(registry, repository)| {
            *registry == reference.registry && *repository == reference.repository
        })
    }

    /// What an image pushed as `tag` is stored as.
    pub(super) fn tagged(&self, tag: &str) -> Reference {
        Reference {
            registry: OWN_REGISTRY.to_owned(),
            repository: self.name.clone(),
            tag: Some(tag.to_owned()),
            digest: None,
        }
    }

    /// What an image pushed without a tag is stored as.
    pub(super) fn at(&self, digest: Digest) -> Reference {
        self.tagged("").at(digest)
    }
}

/// The shortest NAME that means the images of `reference` on a server at `address`, where a URL
/// can say it at all.
pub(super) fn name_of(reference: &Reference, address: SocketAddr) -> Option<String> {
    let is_own = reference.registry == OWN_REGISTRY
        || own_names(address).any(|registry| registry == reference.registry);
    let full = reference.name();
    let name = if is_own {
        &reference.repository
    } else {
        let in_default = full.strip_prefix("docker.io/");
        in_default
            .and_then(|name| name.strip_prefix("library/"))
            .or(in_default)
            .unwrap_or(&full)
    };
    let repository = Repository::new(name, address)?;
    repository.rank(reference).map(|_| repository.name)
}

/// `localhost:PORT` and what else the server's own address is called.
fn own_names(address: SocketAddr) -> impl Iterator<Item = String> {
    let port = address.port();
    [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
        address.to_string(),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> SocketAddr {
        "127.0.0.1:5000".parse().unwrap()
    }

    fn rank(name: &str, reference: &str) -> Option<usize> {
        let repository = Repository::new(name, here()).unwrap();
        repository.rank(&reference.parse().unwrap())
    }

    #[test]
    fn what_was_pushed_here_is_nearer_than_what_was_built_elsewhere() {
        let pushed = rank("app", "localhost/app:1").unwrap();
        let addressed = rank("app", "localhost:5000/app:1").unwrap();
        let built = rank("app", "app:1").unwrap();
        assert!(pushed < addressed && addressed < built);
        assert!(rank("library/app", "app:1").is_some());
        assert!(rank("team/app", "team/app:1").is_some());
        assert!(rank("r.example/app", "r.example/app:1").is_some());
    }

    #[test]
    fn other_registries_images_are_not_served_as_ones_own() {
        for reference in ["localhost:5001/app", "r.example/app", "team/app"] {
            assert_eq!(rank("app", reference), None, "{reference}");
        }
    }

    #[test]
    fn a_pushed_image_is_stored_under_a_name_that_can_be_read_again() {
        let longest = "a".repeat(LONGEST_NAME);
        let repository = Repository::new(&longest, here()).unwrap();
        let digest = Digest::of(b"");
        for reference in [repository.tagged("1"), repository.at(digest)] {
            assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
            assert_eq!(repository.rank(&reference), Some(0));
        }
        assert_eq!(Repository::new(&"a".repeat(LONGEST_NAME + 1), here()), None);
    }

    #[test]
    fn every_listed_name_leads_back_to_its_image() {
        for (reference, name) in [
            ("localhost/team/app:1", Some("team/app")),
            ("localhost:5000/app", Some("app")),
            ("app", Some("app")),
            ("team/app", Some("team/app")),
            ("r.example/a/b", Some("r.example/a/b")),
            // A port can't be said in a URL's NAME.
            ("r.example:5000/a", None),
        ] {
            let reference: Reference = reference.parse().unwrap();
            assert_eq!(name_of(&reference, here()).as_deref(), name);
        }
    }
}
