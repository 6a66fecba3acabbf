//! Archives that lie: what their key didn't sign, or signed for another time, is refused.

use crate::packages::{Ground, archive, date, told, tools};
use crate::support::archive::{Archive, Signer};
use crate::support::cairn;
use crate::support::programs::program;

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
fn endless_files_of_the_image_below_are_not_cut() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let ground = Ground::new(&archive, &signer);
    let file = std::fs::File::create(ground.path().join("large")).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    for place in [
        "/var/lib/dpkg/status",
        "/usr/share/keyrings/debian-archive-keyring.gpg",
    ] {
        ground.write("cairn.toml", &format!(
            "from = \"scratch\"\n[[steps]]\ncopy = {{ paths = [\"large\"], to = \"{place}\" }}\n\
             [[steps]]\npackages.debian = {{ suite = \"test\", mirror = \"{}\", install = [\"app\"], variant = \"distroless\" }}\n",
            archive.url()
        ));
        let (code, said) = told(ground.build(&[], &[])).unwrap_err();
        assert_eq!(code, 1, "{said}");
        let path = place.trim_start_matches('/');
        assert!(
            said.contains(&format!("{path}` of the image below is larger")),
            "{said}"
        );
    }
}

#[test]
fn logins_of_mirrors_are_shown_to_them_alone() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(&signer, "");
    // `me:secret-word`, as HTTP's Basic scheme has it (RFC 7617).
    let basic = "Basic bWU6c2VjcmV0LXdvcmQ=".to_owned();
    *archive.guard.lock().unwrap() = Some(basic);
    let ground = Ground::new(&archive, &signer);
    let named = archive.url().replace("http://", "http://me:secret-word@");
    let wrong = archive.url().replace("http://", "http://me:secret-words@");
    let run = |store: &str, arguments: &[&str], mirror: &str| {
        let mut command = cairn(&ground.path().join(store));
        command.env("CAIRN_DEBIAN_MIRROR", mirror).args(arguments);
        command.args([
            "--debug",
            "--platform",
            "linux/amd64",
            "--progress",
            "plain",
        ]);
        let output = command.arg(ground.path()).output().unwrap();
        let told = told(output);
        let (Ok((_, said)) | Err((_, said))) = &told;
        assert!(!said.contains("secret-word"), "{said}");
        told
    };
    ground.recipe("keys = [\"archive.asc\"], install = [\"app\"]");
    for mirror in [&wrong, &archive.url()] {
        let (code, said) = run("other", &["lock"], mirror).unwrap_err();
        assert_eq!(code, 3, "{said}");
        assert!(
            said.contains("InRelease`: the server answers 401"),
            "{said}"
        );
    }
    // A secret of the mirror's host does it, too.
    let secret = "--secret=id=HTTP_AUTH_TOKEN_127.0.0.1,env=CAIRN_DEBIAN_MIRROR";
    assert!(run("other", &["lock", secret], &wrong).is_err());
    let last = archive.server.seen("GET", "InRelease").pop().unwrap();
    assert_eq!(
        last.header("authorization"),
        Some(&*format!("Bearer {wrong}"))
    );
    run("store", &["lock"], &named).unwrap();
    let lock = std::fs::read_to_string(ground.path().join("cairn.lock")).unwrap();
    assert!(
        lock.contains(&format!("\"{}/pool/app.deb\"", archive.url())),
        "{lock}"
    );
    // What is locked is fetched by whoever may today.
    let locked = ["build", "--locked"];
    let (first, _) = run("store", &locked, &named).unwrap();
    assert_eq!(run("fresh", &locked, &named).unwrap().0, first);
    let found = program(
        "grep",
        &["-r", "secret-word", ground.path().to_str().unwrap()],
    )
    .output()
    .unwrap();
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    ground.recipe(&format!(
        "mirror = \"{named}\", keys = [\"archive.asc\"], install = [\"app\"]"
    ));
    let (_, said) = run("store", &["lock"], "").unwrap_err();
    assert!(said.contains("name or password"), "{said}");
}

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
