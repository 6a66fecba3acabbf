//! Packages whose answer is locked.

use cairn::inputs::Pins;
use cairn::inputs::pins::Unheld;
use cairn::plan::Operation;
use cairn::plan::packages::{Archive, Distribution, Mirror, Packages, Variant};

use super::ground::Ground;
use crate::support::archive::{Archive as Served, Signer};
use crate::support::require;

fn question(mirror: &str) -> Operation {
    Operation::Packages(Box::new(Packages {
        distribution: Distribution::Debian,
        platform: "linux/amd64".parse().unwrap(),
        archives: vec![Archive {
            suite: "test".to_owned(),
            components: vec!["main".to_owned()],
            mirror: Some(Mirror::Today(mirror.to_owned())),
        }],
        install: vec!["lib".to_owned()],
        keys: vec!["archive.asc".to_owned()],
        variant: Variant::Distroless,
        recommends: false,
        solved: None,
    }))
}

#[test]
fn what_is_locked_stays_whatever_the_archive_has() {
    if !["dpkg-deb", "dpkg-scanpackages", "gpg"]
        .iter()
        .all(|name| require(name))
    {
        return;
    }
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let (served, signer) = (Served::new(), Signer::new("never"));
    served.add(
        "lib",
        "Version: 1\nDepends: data\n",
        &[],
        &[("usr/lib/lib.so", "one")],
    );
    served.add("data", "", &[], &[("usr/share/data", "data")]);
    served.publish(&signer, "");
    std::fs::write(ground.folder.path().join("archive.asc"), signer.key()).unwrap();
    let scratch = ground.step(Operation::Scratch, &[]);
    let top = ground.step(question(&served.url()), &[scratch]);
    let first = ground.build(top).unwrap();
    let found = ground.settings.pins.found();
    let set = &found.platforms[&"linux/amd64".parse().unwrap()].packages[0].answer;
    let names: Vec<_> = set
        .packages
        .iter()
        .map(|one| (one.name.as_str(), one.automatic))
        .collect();
    assert_eq!(names, [("data", true), ("lib", false)]);
    assert_eq!(set.releases.len(), 1);
    assert!(
        set.releases[0].signer.len() == 40,
        "{}",
        set.releases[0].signer
    );

    served.add("lib", "Version: 2\n", &[], &[("usr/lib/lib.so", "two")]);
    served.publish(&signer, "");
    let changed = ground.build(top).unwrap();
    assert_ne!(changed.descriptor, first.descriptor);
    let asked = served.server.seen("GET", "").len();
    ground.settings.pins = Pins::new(Some(found), Unheld::Refused, true);
    let locked = ground.build(top).unwrap();
    assert_eq!(locked, first);
    assert_eq!(served.server.seen("GET", "").len(), asked);
}
