//! A first build reads a context's files once, and learns what they are while it packs them: the
//! image and what is kept for later builds are those of files that were read before.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::recipes::{below, entries};
use crate::support::{cairn, temp};

const RECIPE: &str = r#"
from = "scratch"
platforms = ["linux/amd64"]
[stages.twice]
from = "scratch"
[[stages.twice.steps]]
copy = { paths = ["one/./f", "./one/f", "one", "one/f"], to = "/twice/", parents = true }
[stages.overwritten]
from = "scratch"
[[stages.overwritten.steps]]
copy = { paths = ["three/f", "two/f"], to = "/over/" }
[stages.there]
from = "scratch"
[[stages.there.steps]]
copy = { paths = ["four"], to = "/there/" }
[[stages.there.steps]]
copy = { paths = ["four", "five"], to = "/there/" }
[stages.unchanged]
from = "scratch"
[[stages.unchanged.steps]]
file = { path = "/f", content = "CONTENT" }
[[stages.unchanged.steps]]
copy = { paths = ["same"], to = "/f" }
[stages.empty]
from = "scratch"
[[stages.empty.steps]]
copy = { paths = ["none"], to = "/none/" }
[[steps]]
copy = { from = { stage = "twice" }, paths = ["/"], to = "/" }
[[steps]]
copy = { from = { stage = "overwritten" }, paths = ["/"], to = "/" }
[[steps]]
copy = { from = { stage = "there" }, paths = ["/"], to = "/" }
[[steps]]
copy = { from = { stage = "unchanged" }, paths = ["/"], to = "/" }
[[steps]]
copy = { from = { stage = "empty" }, paths = ["/"], to = "/" }
[[steps]]
copy = { paths = ["one", "two", "all"], to = "/all/" }
"#;

/// Waits until `stat` tells any later change of what is in `folder`.
fn settle(folder: &Path) {
    let change = |path: &Path| {
        let stat = std::fs::symlink_metadata(path).unwrap();
        (stat.ctime(), stat.ctime_nsec())
    };
    let last = below(folder)
        .iter()
        .map(|path| change(&folder.join(path)))
        .max()
        .unwrap();
    let clock = temp();
    loop {
        let now = clock.path().join("now");
        std::fs::write(&now, "").unwrap();
        let (seconds, nanoseconds) = change(&now);
        let since = (seconds - last.0) * 1_000_000_000 + nanoseconds - last.1;
        if since > 50_000_000 {
            return;
        }
    }
}

fn write_sources(folder: &Path, text: &str) {
    // Each step has files of its own, so that nobody has read them when it comes.
    for (name, length) in [
        ("one/f", 1),
        ("one/e", 0),
        ("two/f", 400_000),
        ("three/f", 2),
        ("four/f", 3),
        ("five/f", 3),
        ("five/g", 70),
        ("same", 1),
        ("all/g", 70),
    ] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.repeat(length)).unwrap();
    }
    std::fs::create_dir_all(folder.join("none/empty")).unwrap();
    std::fs::write(folder.join("none/file"), "").unwrap();
}

/// The image's digest, and whether a step ran without knowing what its files are.
fn build(store: &Path, folder: &Path) -> (String, bool) {
    let mut command = cairn(store);
    let output = command.args(["build", "--debug"]).arg(folder).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let is_whole = output.status.success() && !said.contains("failed");
    assert!(is_whole, "{said}");
    let is_unread = said.contains("nothing is known of its files");
    (String::from_utf8(output.stdout).unwrap(), is_unread)
}

fn records(store: &Path, kind: &str) -> BTreeMap<String, Vec<u8>> {
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.to_owned(), std::fs::read(path).unwrap())
    };
    entries(&store.join(kind)).iter().map(read).collect()
}

#[test]
fn one_reading_gives_what_two_give() {
    let (folder, once, twice) = (temp(), temp(), temp());
    let sources = folder.path();
    std::fs::write(
        sources.join("cairn.toml"),
        RECIPE.replace("CONTENT", "now "),
    )
    .unwrap();
    // Where every step was packed before, files are read for their digests first.
    write_sources(sources, "old ");
    build(twice.path(), sources);
    write_sources(sources, "now ");
    settle(sources);
    let (digest, is_unread) = build(twice.path(), sources);
    assert!(!is_unread);
    assert_eq!(build(once.path(), sources), (digest, true));
    for kind in ["steps", "trees", "layers"] {
        let all = records(twice.path(), kind);
        for (name, record) in records(once.path(), kind) {
            // What a key is made of names files only where they were known.
            if name.ends_with(".made") {
                continue;
            }
            assert!(all.get(&name) == Some(&record), "{kind}/{name}");
        }
    }
    assert!(!build(once.path(), sources).1);
}
