//! Archives that lie: what their key didn't sign, or signed for another time, is refused.

use crate::packages::{Ground, archive, date, tools};
use crate::support::archive::{Archive, Signer};

/// What is wrong with the archive, what it ends with, and what is said.
type Refusal = (
    &'static str,
    fn(&Archive, &Signer),
    i32,
    &'static [&'static str],
);

const REFUSALS: &[Refusal] = &[
    (
        "another signer",
        |archive, _| archive.publish(&Signer::new("never"), ""),
        4,
        &[
            "InRelease` is not to be trusted: it is signed by key",
            "none of the given ones",
        ],
    ),
    (
        "no signature",
        |archive, _| archive.change("InRelease", |text| *text = b"Suite: test\n".to_vec()),
        4,
        &["InRelease` is not to be trusted: it is not clear-signed"],
    ),
    (
        "another text",
        |archive, _| {
            archive.change("InRelease", |text| {
                let changed = String::from_utf8_lossy(text).replace("tester", "faster");
                *text = changed.into_bytes();
            });
        },
        4,
        &[
            "InRelease` is not to be trusted: the signature of key",
            "is wrong",
        ],
    ),
    (
        "an old list",
        |archive, signer| archive.publish(signer, &format!("Valid-Until: {}\n", date(-2))),
        4,
        &["InRelease` is out of date: it held until", "snapshot"],
    ),
    (
        "a list of the future",
        |archive, signer| archive.publish(signer, &format!("Date: {}\n", date(3))),
        4,
        &["InRelease` is out of date: it was made on", "yet to come"],
    ),
    (
        "another suite",
        |archive, signer| {
            archive.publish(signer, "");
            let signed = "Suite: old\nCodename: older\nSHA256:\n";
            let signed = signer.sign(signed);
            archive.change("InRelease", |text| *text = signed.clone().into_bytes());
        },
        3,
        &["it is of `old`, `older`, and `test` was asked for"],
    ),
    (
        "another index",
        |archive, _| archive.change("Packages", |text| text[0] ^= 1),
        4,
        &[
            "Packages` is not what the archive signed",
            "expected sha256:",
        ],
    ),
    (
        "a longer index",
        |archive, _| archive.change("Packages", |text| text.push(b'\n')),
        4,
        &["Packages` is not what the archive signed: it should have"],
    ),
    (
        "another package",
        |archive, _| archive.change("pool/lib_2.deb", |deb| *deb.last_mut().unwrap() ^= 1),
        4,
        &["pool/lib_2.deb` is not what the archive signed"],
    ),
    (
        "no package",
        |archive, _| {
            drop(
                archive
                    .files
                    .lock()
                    .unwrap()
                    .remove("debian/pool/lib_2.deb"),
            )
        },
        3,
        &["can't fetch", "pool/lib_2.deb`: the server answers 404"],
    ),
    (
        "no list",
        |archive, _| archive.files.lock().unwrap().clear(),
        3,
        &["can't fetch", "InRelease`: the server answers 404"],
    ),
];

#[test]
fn what_the_key_did_not_sign_is_refused() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    for (what, harm, code, expected) in REFUSALS {
        archive.publish(&signer, "");
        harm(&archive, &signer);
        let ground = Ground::new(&archive, &signer);
        let (found, said) = ground.install("\"app\"").unwrap_err();
        assert_eq!(found, *code, "{what}: {said}");
        for part in *expected {
            assert!(said.contains(part), "{what}: {part}\n{said}");
        }
        // What was refused isn't there the next time either.
        archive.publish(&signer, "");
        let fresh = Ground::new(&archive, &signer);
        let (digest, _) = fresh.install("\"app\"").unwrap();
        assert_eq!(ground.install("\"app\"").unwrap().0, digest, "{what}");
    }
}
