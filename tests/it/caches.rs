//! Caches save work and never change a result: they may go, wholly or in part, and be damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::random::Random;
use crate::support::recipes::{Checkout, below, checkout, digests, entries};
use crate::support::{cairn, run, temp};

/// All that is not the image layout.
const CACHES: [&str; 8] = [
    "trees",
    "steps",
    "layers",
    "chunks",
    "contexts",
    "sources",
    "builds",
    "snapshots",
];

/// Recipes that use every kind of cache between them.
const RECIPES: [&str; 7] = [
    "base",
    "copy",
    "large",
    "platforms",
    "remove",
    "stages",
    "unpack",
];

/// A store in which the recipes were built, and the archives that came of them.
struct Built {
    checkout: std::sync::Arc<Checkout>,
    folder: tempfile::TempDir,
    archives: BTreeMap<&'static str, Vec<u8>>,
}

impl Built {
    fn new(recipes: &[&'static str]) -> Built {
        let mut built = Built {
            checkout: checkout(),
            folder: temp(),
            archives: BTreeMap::new(),
        };
        for &name in recipes {
            let archive = built.archive(name);
            built.archives.insert(name, archive);
        }
        built
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Builds a recipe, whose digest must be what it is, to an archive.
    #[track_caller]
    fn archive(&self, name: &str) -> Vec<u8> {
        let archive = self.folder.path().join("archive");
        let mut command = cairn(&self.store());
        command.args(self.checkout.arguments(name));
        command.arg(format!("--output=type=oci,dest={}", archive.display()));
        let digest = run(&mut command);
        assert_eq!(digest.trim_end(), digests()[name], "`{name}`");
        std::fs::read(&archive).unwrap()
    }

    /// That everything still comes out as it did, to the last byte.
    #[track_caller]
    fn must_build_after(&self, what: &str) {
        for (name, expected) in &self.archives {
            assert!(self.archive(name) == *expected, "`{name}` after {what}");
        }
    }

    /// Every file of the store, or of one folder of it.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let folder = self.store().join(folder);
        let files = below(&folder).into_iter().map(|path| folder.join(path));
        files.filter(|path| path.is_file()).collect()
    }
}

#[test]
fn any_folder_of_the_store_may_go() {
    let built = Built::new(&RECIPES);
    for cache in CACHES {
        assert!(!built.files(cache).is_empty(), "{cache} is never used");
    }
    for folder in CACHES.into_iter().chain(["tmp", "blobs"]) {
        std::fs::remove_dir_all(built.store().join(folder)).unwrap();
        built.must_build_after(&format!("the loss of {folder}"));
    }
    for file in ["index.json", "oci-layout", "lock", "index.lock"] {
        std::fs::remove_file(built.store().join(file)).unwrap();
        built.must_build_after(&format!("the loss of {file}"));
    }
    for cache in CACHES {
        std::fs::remove_dir_all(built.store().join(cache)).unwrap();
    }
    built.must_build_after("the loss of all caches");
    std::fs::remove_dir_all(built.store()).unwrap();
    built.must_build_after("the loss of everything");
}

#[test]
fn any_blob_may_go() {
    let built = Built::new(&["base", "stages"]);
    let blobs = built.files("blobs");
    assert!(blobs.len() > 10);
    for blob in blobs {
        std::fs::remove_file(&blob).unwrap();
        built.must_build_after(&format!("the loss of {}", blob.display()));
    }
}

#[test]
fn what_was_removed_is_built_again_as_it_was() {
    let built = Built::new(&RECIPES);
    let blobs = built.files("blobs").len();
    let images = |argument| run(cairn(&built.store()).args(["images", argument]));
    for digest in images("--quiet").lines() {
        let mut command = cairn(&built.store());
        let output = command.args(["rm", digest]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && text.contains(" freed; "),
            "{text}"
        );
        // Other images live on what is left of the removed one.
        built.must_build_after("the removal of one image");
    }
    for digest in images("--quiet").lines() {
        run(cairn(&built.store()).args(["rm", digest]));
    }
    assert_eq!(images("--json").trim(), "[]");
    let left = built.files("blobs").len();
    assert!(left < blobs / 2, "{left} of {blobs}");
    built.must_build_after("the removal of all images");
    assert_eq!(built.files("blobs").len(), blobs);
}

#[test]
fn any_record_may_go() {
    let built = Built::new(&["base", "unpack"]);
    for cache in CACHES {
        for file in built.files(cache) {
            std::fs::remove_file(&file).unwrap();
            built.must_build_after(&format!("the loss of {}", file.display()));
        }
    }
}

/// Damages a file so that it has other bytes.
fn damage(path: &Path, how: usize, random: &mut Random) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = random.below(bytes.len().max(1) as u64) as usize;
    match how {
        0 => bytes.truncate(at),
        1 => bytes = random.bytes(bytes.len() + 1),
        2 => bytes.extend_from_within(..at),
        // One digit becomes another, or one byte.
        _ if bytes.is_empty() => bytes.push(0),
        _ => bytes[at] ^= 1,
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_records_are_missing_ones() {
    let built = Built::new(&RECIPES);
    let mut random = Random::new(1);
    for cache in CACHES {
        for how in 0..6 {
            for file in built.files(cache) {
                damage(&file, how, &mut random);
            }
            built.must_build_after(&format!("damage of kind {how} to {cache}"));
        }
    }
}

#[test]
fn records_that_swap_their_places_are_missing_ones() {
    let built = Built::new(&RECIPES);
    for cache in CACHES {
        let files = built.files(cache);
        let contents: Vec<_> = files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();
        for (file, content) in files.iter().zip(contents.iter().cycle().skip(1)) {
            std::fs::write(file, content).unwrap();
        }
        built.must_build_after(&format!("a swap in {cache}"));
    }
}

#[test]
fn cut_off_blobs_and_damaged_documents_are_made_anew() {
    let built = Built::new(&["base", "copy", "platforms"]);
    let mut random = Random::new(2);
    for how in [0, 2, 3] {
        for blob in built.files("blobs") {
            // A layer of its old length is taken for what it was; to read it all would take as
            // long as to make it.
            let is_document = std::fs::read(&blob).unwrap().starts_with(b"{");
            if how == 0 || how == 2 || is_document {
                damage(&blob, how, &mut random);
            }
        }
        built.must_build_after(&format!("damage of kind {how} to blobs"));
    }
}

#[test]
fn a_damaged_layer_reaches_no_output() {
    let built = Built::new(&["large"]);
    let blobs = built.files("blobs").into_iter();
    let size = |blob: &PathBuf| blob.metadata().unwrap().len();
    let layer = blobs.max_by_key(size).unwrap();
    let mut bytes = std::fs::read(&layer).unwrap();
    assert!(bytes.len() > 1 << 20);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&layer, bytes).unwrap();
    let out = built.folder.path().join("out");
    let name = layer.file_name().unwrap().to_str().unwrap();
    for kind in ["oci", "docker", "oci-dir"] {
        let mut command = cairn(&built.store());
        command.args(built.checkout.arguments("large"));
        let output = command.arg(format!("--output=type={kind},dest={}", out.display()));
        let output = output.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{kind}: {text}");
        assert!(text.contains(name) && text.contains("hint: "), "{text}");
        match kind {
            "oci-dir" => assert!(!out.join("index.json").exists()),
            _ => assert!(!out.exists(), "{kind}"),
        }
    }
    std::fs::remove_file(&layer).unwrap();
    built.must_build_after("what the hint says");
}

#[test]
fn what_is_left_in_tmp_is_removed() {
    let built = Built::new(&["file"]);
    let tmp = built.store().join("tmp");
    std::fs::write(tmp.join(".tmpleft"), "x").unwrap();
    std::fs::create_dir_all(tmp.join(".tmpcheckout/tree")).unwrap();
    built.must_build_after("a crash");
    assert_eq!(entries(&tmp), Vec::<PathBuf>::new());
}

#[test]
fn a_layer_that_expands_far_is_read_again_without_its_table() {
    let (folder, store) = (temp(), temp());
    let recipe = "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n\
        [stages.zeros]\nfrom = \"scratch\"\n\
        [[stages.zeros.steps]]\ncopy = { paths = [\"zeros\"], to = \"/\" }\n\
        [[steps]]\ncopy = { from = { stage = \"zeros\" }, paths = [\"/zeros\"], to = \"/a\" }\n";
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    let file = std::fs::File::create(folder.path().join("zeros")).unwrap();
    file.set_len(80 << 20).unwrap();
    let build = || run(cairn(store.path()).arg("build").arg(folder.path()));
    let digest = build();
    for cache in ["trees", "snapshots", "steps"] {
        std::fs::remove_dir_all(store.path().join(cache)).unwrap();
    }
    assert_eq!(build(), digest);
}

#[test]
fn a_first_build_reads_its_files_once_to_the_same_digests() {
    let (folder, store) = (temp(), temp());
    let recipe = "platforms = [\"linux/amd64\"]\nfrom = { stage = \"below\" }\n\
        [stages.below]\nfrom = \"scratch\"\n\
        [[stages.below.steps]]\nfile = { path = \"/to/same\", content = \"same\", mode = \"0644\" }\n\
        [[steps]]\ncopy = { paths = [\"a/\", \"b/\", \"a/\"], to = \"/to/\" }\n\
        [[steps]]\ncopy = { paths = [\"b/\", \"a/twice\"], to = \"/other/\" }\n";
    for (name, content) in [
        ("cairn.toml", recipe),
        ("a/twice", "of a"),
        ("a/only", "only"),
        ("a/empty", ""),
        ("b/twice", "of b, which is longer"),
        ("b/same", "same"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let files = |store: &Path, more: &[&str]| {
        let (mut command, tar) = (cairn(store), store.join("files.tar"));
        command.args(["build", "-q"]).args(more).arg(folder.path());
        let digest = run(command
            .arg("-o")
            .arg(format!("type=tar,dest={}", tar.display())));
        (
            digest,
            run(std::process::Command::new("tar").arg("-xOf").arg(tar)),
        )
    };
    let first = files(store.path(), &[]);
    // What is known of the last build lets no file be read but for its digest.
    assert_eq!(files(store.path(), &["--no-cache"]), first);
    // other/{same,twice} and to/{empty,only,same,twice}: the last source of a name wins.
    assert_eq!(
        first.1,
        ["same", "of a", "", "only", "same", "of a"].concat()
    );
}

/// How each piece of work of a build ended, by its name.
fn outcomes(store: &Path, folder: &Path, more: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut command = cairn(store);
    command
        .args(["build", "--progress=json"])
        .args(more)
        .arg(folder);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    let (mut names, mut outcomes) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let word = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        match word("event").as_str() {
            "started" => drop(names.insert(event["id"].as_u64(), word("name"))),
            "finished" => {
                let name: &String = &names[&event["id"].as_u64()];
                assert!(
                    ["done", "cached"].contains(&word("outcome").as_str()),
                    "{line}"
                );
                outcomes
                    .entry(name.clone())
                    .or_default()
                    .push(word("outcome"));
            }
            _ => {}
        }
    }
    outcomes
}

/// The names of the steps that had to be done, but for reading the context.
fn done(outcomes: &BTreeMap<String, Vec<String>>) -> Vec<&str> {
    let is_done = |outcomes: &Vec<String>| outcomes.iter().any(|outcome| outcome != "cached");
    let done = outcomes.iter().filter(|(_, outcomes)| is_done(outcomes));
    let names = done.map(|(name, _)| name.as_str());
    names.filter(|name| !name.starts_with("read ")).collect()
}

/// Three steps of a stage, and an image that takes one file of it.
const CUTOFF: &str = r#"
from = "scratch"
platforms = ["linux/amd64"]

[stages.make]
from = "scratch"
[[stages.make.steps]]
copy = { paths = ["src"], to = "/src/" }
[[stages.make.steps]]
remove = { paths = ["/src/comment"] }
[[stages.make.steps]]
file = { path = "/done", content = "" }

[[steps]]
copy = { from = { stage = "make" }, paths = ["/src"], to = "/out/" }
[[steps]]
file = { path = "/last", content = "" }
"#;

#[test]
fn a_change_that_comes_out_the_same_runs_nothing_after_it() {
    let (folder, store) = (temp(), temp());
    let source = folder.path().join("src");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(folder.path().join("cairn.toml"), CUTOFF).unwrap();
    let write = |name: &str, text: &str| std::fs::write(source.join(name), text).unwrap();
    write("comment", "one");
    write("program", "one");
    let build = || outcomes(store.path(), folder.path(), &[]);
    let first = build();
    // Whatever they are called: five steps make layers.
    assert_eq!(done(&first).len(), 5, "{first:?}");
    let again = build();
    assert_eq!(done(&again), Vec::<&str>::new(), "{again:?}");

    // Other times and modes, same content: nothing at all.
    write("program", "one");
    assert_eq!(done(&build()), Vec::<&str>::new());

    // A file that the stage removes again: what the image copies is as it was.
    write("comment", "two");
    let changed = build();
    let steps: BTreeSet<_> = done(&changed).into_iter().collect();
    assert!(!steps.is_empty() && steps.len() <= 3, "{changed:?}");
    assert!(
        steps
            .iter()
            .all(|name| !name.contains("/out") && !name.contains("/last")),
        "{steps:?}"
    );

    // And one that counts.
    write("program", "two");
    let changed = build();
    assert!(
        done(&changed).iter().any(|name| name.contains("/out")),
        "{changed:?}"
    );
}

#[test]
fn one_changed_file_compresses_only_its_chunks_anew() {
    let (folder, store) = (temp(), temp());
    let recipe = "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n\
        [[steps]]\ncopy = { paths = [\"tree\"], to = \"/\" }\n";
    std::fs::write(folder.path().join("cairn.toml"), recipe).unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut random = Random::new(3);
    for number in 0..100 {
        std::fs::write(tree.join(format!("{number:03}")), random.text(200_000)).unwrap();
    }
    for codec in ["gzip", "zstd"] {
        std::fs::write(tree.join("050-"), random.text(2_000)).unwrap();
        let build = || outcomes(store.path(), folder.path(), &["--compression", codec]);
        let chunks = || -> BTreeSet<PathBuf> {
            let all = entries(&store.path().join("chunks")).into_iter();
            all.filter(|path| path.extension().unwrap() == codec)
                .collect()
        };
        build();
        let before = chunks();
        assert!(before.len() > 10, "{}", before.len());
        std::fs::write(tree.join("050-"), random.text(2_001)).unwrap();
        assert_eq!(done(&build()), ["copy tree → /"]);
        let new = chunks().difference(&before).count();
        assert!((1..=2).contains(&new), "{new} of {}", before.len());
    }
}
