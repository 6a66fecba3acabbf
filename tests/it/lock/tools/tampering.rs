//! Records whose bytes are others or gone, that are another's, and two of them at once.

use std::path::{Path, PathBuf};
use std::process::Output;

use cairn::canon::Digest;

use super::Bench;
use super::world::{Answers, Page, Pages};
use crate::support::{run, temp};

/// A world with one file.
fn file(text: &str) -> Answers {
    Answers::Pages(Pages::from([("/file".to_owned(), Page::from(text))]))
}

const FETCH: &str = "/usr/lib/apt/apt-helper -q download-file HTTPS/file /out/file";

#[test]
fn a_body_that_is_other_or_gone_is_refused_and_so_is_the_record_of_others() {
    let Some(bench) = Bench::new("tampering", "debian", "debian:bookworm", FETCH) else {
        return;
    };
    bench.write("input/none", "");
    let stores = [temp(), temp()];
    let [store, elsewhere] = stores.each_ref().map(|store| store.path());
    let lock_in = |store: &Path, text: &str| {
        bench.world.set(file(text));
        run(&mut bench.command_in(store, &["lock", "--update"]));
        bench.lock()
    };
    let build = || {
        let arguments = ["build", "--locked", "--no-cache", "--progress=plain"];
        let Output { status, stderr, .. } = bench.command_in(store, &arguments).output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    let others = lock_in(elsewhere, "what others got");
    let own = lock_in(store, "what was fetched");
    assert_eq!(build().0, Some(0));
    let url = format!("`{}/file`", bench.url());
    let digest = Digest::of(b"what was fetched").hex();
    let blob = store.join(format!("blobs/sha256/{digest}"));
    let good = std::fs::read(&blob).unwrap();
    let refused = |code: i32, parts: &[&str]| {
        let (ended, text) = build();
        assert_eq!(ended, Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
    };
    let mut poisoned = good.clone();
    poisoned[0] ^= 1;
    std::fs::write(&blob, poisoned).unwrap();
    refused(4, &[&url, &digest, "cairn pull --inputs"]);
    std::fs::write(&blob, &good[1..]).unwrap();
    refused(4, &[&url, &digest]);
    std::fs::remove_file(&blob).unwrap();
    refused(3, &[&url, &digest, "cairn pull --inputs"]);
    std::fs::write(&blob, &good).unwrap();
    assert_eq!(build().0, Some(0));
    // The whole lock of others, and a line of it in this one.
    let theirs = Digest::of(b"what others got").hex();
    bench.write("cairn.lock", &others);
    refused(3, &[&url, &theirs]);
    let line = |lock: &str, digest: &str| {
        let mut lines = lock.lines();
        lines.find(|line| line.contains(digest)).unwrap().to_owned()
    };
    let mixed = own.replace(&line(&own, &digest), &line(&others, &theirs));
    bench.write("cairn.lock", mixed);
    let (code, text) = build();
    assert!(matches!(code, Some(3 | 4)), "{text}");
    let edited = own.replace(&*digest, &theirs);
    assert_ne!(edited, own);
    bench.write("cairn.lock", edited);
    refused(4, &["--> cairn.lock:"]);
    bench.write("cairn.lock", own);
    assert_eq!(build().0, Some(0));
}

#[test]
fn builds_by_two_locks_with_one_cache_do_not_disturb_each_other() {
    let Some(bench) = Bench::new("caches", "debian", "debian:bookworm", "") else {
        return;
    };
    let dockerfile = format!(
        "FROM debian:bookworm AS fetch
RUN --mount=type=cache,target=/cache <<END
set -e
mkdir /out
[ -e /cache/file ] || /usr/lib/apt/apt-helper -q download-file {}/file /cache/file
cp /cache/file /out/
END
FROM scratch
COPY --from=fetch /out /
",
        bench.url()
    );
    let contexts = ["one", "two"].map(|text| bench.folder.path().join(text));
    let build = |context: &PathBuf| {
        let mut command = bench.command(&["build", "-q", "--locked", "--no-cache"]);
        run(command.current_dir(context))
    };
    let digests = contexts.each_ref().map(|context| {
        std::fs::create_dir(context).unwrap();
        std::fs::write(context.join("Dockerfile"), &dockerfile).unwrap();
        let text = context.file_name().unwrap().to_str().unwrap();
        bench.world.set(file(text));
        run(bench.command(&["lock"]).current_dir(context));
        build(context)
    });
    assert_ne!(digests[0], digests[1]);
    bench.world.set(Answers::Failure(500));
    let (build, digests) = (&build, &digests);
    std::thread::scope(|scope| {
        for (context, digest) in contexts.iter().zip(digests) {
            scope.spawn(move || {
                for _ in 0..4 {
                    assert_eq!(build(context), *digest);
                }
            });
        }
    });
}
