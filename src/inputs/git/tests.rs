//! What git is asked, and what comes of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use super::program::command;
use super::*;
use crate::canon::event::Events;
use crate::canon::{EntryPath, Epoch};
use crate::inputs::Access;
use crate::plan::Selection;
use crate::plan::step::MovingRef;

/// Two commits, a tag of the first, and a submodule in the second.
fn repository(folder: &Path, path: &OsStr) -> (String, String) {
    let git = |at: &str, arguments: &[&str]| {
        let mut command = command(&folder.join(at), path, arguments);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "a");
            command.env(format!("GIT_{role}_EMAIL"), "a@example.org");
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for name in ["a", "b"] {
        std::fs::create_dir(folder.join(name)).unwrap();
        git(name, &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(folder.join(name).join("file"), name).unwrap();
        git(name, &["add", "."]);
        git(name, &["commit", "--quiet", "-m", "first"]);
    }
    git("a", &["tag", "-a", "-m", "one", "v1"]);
    let url = format!("file://{}", folder.join("b").display());
    let add = ["submodule", "--quiet", "add", &url, "sub"];
    git(
        "a",
        &[&["-c", "protocol.file.allow=always"], &add[..]].concat(),
    );
    git("a", &["commit", "--quiet", "-m", "second"]);
    let commit = |name| git("a", &["rev-parse", name]);
    (commit("v1^{commit}"), commit("HEAD"))
}

#[test]
fn names_mean_commits_and_extras_are_among_the_files() {
    #[expect(clippy::disallowed_methods, reason = "git is looked for in it")]
    let path = std::env::var_os("PATH").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = repository(folder.path(), &path);
    let url = format!("file://{}", folder.path().join("a").display());
    let store = Store::open(&folder.path().join("store")).unwrap();
    let secrets = BTreeMap::new();
    let access = Access {
        secrets: &secrets,
        agent: None,
    };
    let remote = Remote::new(&url, None, &access, &path).unwrap();
    let meant = |name: Option<&str>, checksum: Option<&str>| {
        let wanted = MovingRef {
            name: name.map(str::to_owned),
            checksum: checksum.map(str::to_owned),
        };
        resolve(&remote, &wanted, &store)
    };
    for (name, commit, full) in [
        (None, &second, Some("refs/heads/main")),
        (Some("main"), &second, Some("refs/heads/main")),
        (Some("refs/heads/main"), &second, Some("refs/heads/main")),
        (Some("heads/main"), &second, Some("refs/heads/main")),
        (Some("v1"), &first, Some("refs/tags/v1")),
        (Some("refs/tags/v1"), &first, Some("refs/tags/v1")),
        (Some(&second[..]), &second, None),
    ] {
        let resolved = meant(name, Some(&commit[..9])).unwrap();
        assert_eq!(resolved.commit, *commit, "{name:?}");
        let named = resolved.named.map(|named| named.name);
        assert_eq!(named.as_deref(), full, "{name:?}");
    }
    // A tag that is an object is known by its own digits, too.
    let tag = meant(Some("v1"), None).unwrap().named.unwrap();
    assert_ne!(tag.object, first);
    assert!(meant(Some("v1"), Some(&tag.object[..9])).is_ok());
    for none in ["no", &first[..7]] {
        let refused = meant(Some(none), None);
        assert!(matches!(refused, Err(Error::NoRef { .. })), "{none}");
    }
    let other = meant(Some("main"), Some(&first));
    assert!(matches!(other, Err(Error::Checksum { .. })));

    let digest = |extras: &GitExtras, commit: &str, paths: &[&str]| {
        let checkout = check_out(&remote, commit, extras, &store).unwrap();
        let work = Events::none().start("read");
        let selection = Selection {
            sources: vec![".".to_owned()],
            ..Selection::default()
        };
        let files = checkout.context.files(&selection, Epoch::default(), &work);
        let files = files.unwrap();
        let entries = files.picks[0].tree.entries();
        for path in paths {
            let path = EntryPath::new(path.as_bytes()).unwrap();
            assert!(entries.iter().any(|entry| entry.path == path), "{path}");
        }
        let link = EntryPath::new(b"sub/.git").unwrap();
        assert!(entries.iter().all(|entry| entry.path != link));
        files.digest()
    };
    let all = GitExtras {
        keep_git_dir: true,
        submodules: true,
        ..GitExtras::default()
    };
    digest(&GitExtras::default(), &second, &["file", ".gitmodules"]);
    let paths = ["file", "sub/file", ".git/HEAD", ".git/index"];
    let one = digest(&all, &second, &paths);
    assert_eq!(one, digest(&all, &second, &paths));
    let named = GitExtras {
        kept_ref: Some(tag),
        ..all
    };
    let paths = ["file", ".git/HEAD", ".git/refs/tags/v1"];
    let one = digest(&named, &first, &paths);
    assert_eq!(one, digest(&named, &first, &paths));
}
