//! What fetches files and repositories: curl, wget, git.

use std::path::Path;

use super::world::{Answers, Page, Pages, World};
use super::{Bench, Changes};
use crate::support::repository::Repository;

/// Where the newest of a tool is said to be, and all that there are.
fn releases(versions: &[&str]) -> Pages {
    let of = |version: &str| format!("/tool-{version}.tar.gz");
    let newest = of(versions.last().unwrap());
    let pages = versions
        .iter()
        .map(|version| (of(version), Page::from(*version)));
    let latest = ("/latest".to_owned(), Page::Moved(newest));
    pages.chain([latest]).collect()
}

fn changes<'a>(told: [&'a str; 2]) -> Changes<'a> {
    Changes {
        newer: &|world| world.set(Answers::Pages(releases(&["0.9", "1.0", "1.1"]))),
        other: &World::spoil,
        said: "tool 1.0→1.0,1.1",
        other_said: "other answer",
        asks: ("wanted", "tool-0.9.tar.gz"),
        told,
    }
}

#[test]
fn curl() {
    let script = "curl -fsSL HTTPS/latest -o /out/latest
        curl -fsS HTTPS/$(cat /input/wanted) -o /out/wanted
        curl -fsS --http1.1 HTTPS/tool-1.0.tar.gz HTTP/tool-1.0.tar.gz -o /out/one -o /out/two
        curl -fsS -r 0-1 HTTPS/tool-1.0.tar.gz -o /out/part
        curl -sS -I HTTPS/none -o /out/none";
    let Some(bench) = Bench::new("curl", "tools", "tools:1", script) else {
        return;
    };
    bench.write("input/wanted", "tool-1.0.tar.gz");
    bench.world.set(Answers::Pages(releases(&["0.9", "1.0"])));
    bench.check(&changes([
        "`GET HTTPS/tool-0.9.tar.gz`",
        "`GET HTTPS/tool-1.0.tar.gz`: another path",
    ]));
}

#[test]
fn wget() {
    let script = "wget -qO /out/latest HTTPS/latest
        wget -qO /out/wanted HTTPS/$(cat /input/wanted)
        wget -qO /out/plain HTTP/tool-1.0.tar.gz
        wget -q --spider HTTPS/none || true";
    let Some(bench) = Bench::new("wget", "tools", "tools:1", script) else {
        return;
    };
    bench.write("input/wanted", "tool-1.0.tar.gz");
    bench.world.set(Answers::Pages(releases(&["0.9", "1.0"])));
    bench.check(&changes([
        "`GET HTTPS/tool-0.9.tar.gz`",
        "`GET HTTPS/tool-1.0.tar.gz`: another path",
    ]));
}

/// Two branches; `main` has this in its file.
fn branches(root: &Path, text: &str) -> Repository {
    let repository = Repository::new(&root.join("repository"), "sha1");
    repository.commit(&[("file", text)]);
    repository.git(&["checkout", "--quiet", "-b", "other"]);
    repository.commit(&[("file", "of another branch")]);
    repository.git(&["checkout", "--quiet", "main"]);
    repository
}

#[test]
fn git() {
    let script = "git clone -q -b $(cat /input/wanted) HTTPS/repository/.git /out/secure
        git clone -q --depth 1 HTTP/repository/.git /out/plain
        rm -rf /out/*/.git";
    let Some(bench) = Bench::new("git", "tools", "tools:1", script) else {
        return;
    };
    bench.write("input/wanted", "main");
    let [first, second] = ["first", "second"].map(|name| bench.folder.path().join(name));
    let repository = branches(&first, "one");
    branches(&second, "another history");
    bench.world.set(Answers::Repositories(first));
    bench.check(&Changes {
        newer: &|_| drop(repository.commit(&[("file", "two")])),
        other: &|world| world.set(Answers::Repositories(second.clone())),
        said: "more request",
        other_said: "other answer",
        asks: ("wanted", "other"),
        told: [
            "`POST HTTPS/repository/.git/git-upload-pack`",
            "a body of digest",
        ],
    });
}

#[test]
fn what_was_made_while_the_lock_was_is_what_is_made_by_it() {
    // As whoever made a lock has the images of others, by the same clock, in files that hold times, too.
    let script = "curl -fsS HTTPS/latest -o /out/latest
        gzip -k /out/latest
        tar -cf /out/latest.tar -C /out latest
        date > /out/date
        sleep 3";
    let Some(bench) = Bench::new("times", "tools", "tools:1", script) else {
        return;
    };
    bench.write("input/wanted", "");
    bench.world.set(Answers::Pages(releases(&["0.9", "1.0"])));
    bench.run(&["lock"]);
    let recorded = bench.run(&["build", "-q", "--locked"]);
    assert_eq!(bench.replay(&[]), recorded);
}
