//! Step keys: what a step's result is stored under.
//!
//! In: a step, the digest of each input's *output*, the epoch. Out: [`StepKey`], the sha256 of
//! canonical JSON (`canon::json`). As the inputs' outputs enter and not their keys, a change that
//! comes out the same ends there: nothing after it runs.
//!
//! ```text
//! {"epoch":315532800,"format":1,"inputs":["sha256:…"],"step":{"operation":"copy",…}}
//! ```
//!
//! | member | what enters | steps |
//! | --- | --- | --- |
//! | `format` | `canon::format::CURRENT` | all |
//! | `step` | every member of the [`Operation`] | all |
//! | `strict` | `--strict`: processes run one at a time; not there where they don't | `run`, `packages` |
//! | `surroundings` | `SURROUNDINGS`: what a command sees of this version, and what becomes of its files | `run`, `packages` |
//! | `inputs` | [`OutputDigest`]s in the order of [`Step::inputs`] | those with inputs |
//! | `without` | the names of the normalisers that are turned off, sorted | commands, where there are any |
//! | `fetched` | the digest of the record that the lock has of what it fetches; else of the source policy that judges that | commands that have one |
//! | `epoch` | seconds since 1970 | those that write times ([`Operation::writes_times`]): all but `scratch`, `image`, `select`, `remove`, `merge` |
//!
//! Names, stages and places in the recipe don't enter: they change no byte of a layer.
//!
//! The keys of `context`, of an `image` without a digest, and of `packages` that aren't solved, name
//! a question and not its answer ([`Operation::is_decided_by_key`]).

use serde::Serialize;

use super::{Operation, Step};
use crate::canon::{ChainId, DiffId, Digest, Epoch, StepKey, TreeDigest, format, json};

/// What a step came out as: all that the steps after it can see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct OutputDigest(pub Digest);

impl OutputDigest {
    /// Of layers, bottom first: their chain ID; the digest of no bytes where there are none.
    pub fn of_layers(diff_ids: &[DiffId]) -> OutputDigest {
        OutputDigest(ChainId::of(diff_ids).map_or_else(|| Digest::of(b""), |chain| chain.0))
    }

    /// Of files: their table's digest, which covers names, metadata and contents.
    pub fn of_files(tree: TreeDigest) -> OutputDigest {
        OutputDigest(tree.0)
    }
}

/// Counts the changes of what commands are told, and of what is left out of what they leave, since
/// format 1 was begun: 1, they are told `SOURCE_DATE_EPOCH`, and caches of file times are left out; 2,
/// where they have a clock of their own, file times are shown by it; 3, with it goes chance of their own,
/// and commands without network have both; 4, they see the one machine of `sandbox::facts`, directories
/// by name, and Python and Perl hash without chance; 5, what is left out, and changed, is what the
/// normalisers say (`crate::normal`); 6, sizes of directories, room of files, more of `/proc/PID` and the
/// network's hardware address are the same everywhere, no disk tells of itself, a file that is linked
/// keeps its number, and there are normalisers for git's index and ninja's records; 7, real time passes only in
/// commands that wait, a clock stands still for who sleeps while its children work, servers know their users,
/// there are normalisers for Berkeley DB, CMake, Go and PostgreSQL, and times of a clock that tells the very
/// moment stay in files; 8, what was spent of processors is by a command's own clock, and pages of Berkeley
/// DB that a database's first page was in forget its inode, and results of rustc's queries and names of folders that
/// RubyGems had are left out.
const SURROUNDINGS: u32 = 8;

/// Why a step has no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A caller's fault.
    #[error("this is a bug in cairn: a step has {expected} inputs, and {got} outputs were given")]
    Inputs {
        /// Inputs of the step.
        expected: usize,
        /// Outputs given.
        got: usize,
    },
    /// A number that JSON can't hold exactly.
    #[error("a step can't be written as canonical JSON: {0}")]
    Json(#[from] json::Error),
}

/// The key of `step`, whose inputs came out as `inputs`, in a build with `epoch`.
pub fn step_key(step: &Step, inputs: &[OutputDigest], epoch: Epoch) -> Result<StepKey, Error> {
    fetching_key(step, inputs, epoch, None, Manner::default())
}

/// How the commands of a build are run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner<'a> {
    /// The names of the normalisers that are turned off, sorted.
    pub without: &'a [&'a str],
    /// Whether processes run one at a time.
    pub takes_turns: bool,
}

/// As [`step_key`], of a command that fetches what a record of the digest `fetched` has, run in such a
/// manner.
pub fn fetching_key(
    step: &Step,
    inputs: &[OutputDigest],
    epoch: Epoch,
    fetched: Option<&Digest>,
    manner: Manner<'_>,
) -> Result<StepKey, Error> {
    let preimage = preimage(step, inputs, epoch, fetched, manner)?;
    Ok(StepKey(Digest::of(&preimage)))
}

/// What [`fetching_key`] is the digest of.
pub fn preimage(
    step: &Step,
    inputs: &[OutputDigest],
    epoch: Epoch,
    fetched: Option<&Digest>,
    manner: Manner<'_>,
) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Preimage<'a> {
        format: u32,
        step: &'a Operation,
        #[serde(skip_serializing_if = "Option::is_none")]
        surroundings: Option<u32>,
        inputs: &'a [OutputDigest],
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        fetched: Option<&'a Digest>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        without: &'a [&'a str],
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    }
    if inputs.len() != step.inputs.len() {
        return Err(Error::Inputs {
            expected: step.inputs.len(),
            got: inputs.len(),
        });
    }
    let is_command = matches!(step.operation, Operation::Run(_) | Operation::Packages(_));
    let preimage = Preimage {
        format: format::CURRENT.number(),
        step: &step.operation,
        surroundings: is_command.then_some(SURROUNDINGS),
        inputs,
        epoch: step.operation.writes_times().then(|| epoch.seconds()),
        fetched,
        without: if is_command { manner.without } else { &[] },
        strict: (is_command && manner.takes_turns).then_some(true),
    };
    Ok(json::to_vec(&preimage)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::canon::{EntryPath, Platform};
    use crate::plan::packages::{Distribution, Installed, Packages, Variant};
    use crate::plan::step::{
        Destination, GitExtras, KeptRef, Ownership, Revision, Selection, Source, StepId,
    };
    use crate::plan::{Command, Mode};

    fn step(operation: Operation, inputs: usize) -> Step {
        Step {
            operation,
            inputs: (0..inputs).map(StepId).collect(),
            name: String::new(),
            stage: None,
            span: 0..0,
        }
    }

    fn output(text: &str) -> OutputDigest {
        OutputDigest(Digest::of(text.as_bytes()))
    }

    fn key(operation: Operation) -> StepKey {
        step_key(&step(operation, 0), &[], Epoch::default()).unwrap()
    }

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    fn to(text: &str, is_directory: bool) -> Destination {
        Destination {
            path: path(text),
            is_directory,
        }
    }

    fn owned(mode: Option<u16>, owner: Option<&str>) -> Ownership {
        let owner = owner.map(str::to_owned);
        let mode = mode.map(Mode::Bits);
        Ownership { mode, owner }
    }

    fn select(sources: &str, include: &[&str], exclude: &[&str]) -> Selection {
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Selection {
            sources: vec![sources.to_owned()],
            parents: false,
            include: list(include),
            exclude: list(exclude),
            may_be_empty: false,
        }
    }

    /// apt's memory of why a package is there is in the layer, too.
    #[test]
    fn why_a_package_is_there_is_in_the_key() {
        let question = Packages {
            distribution: Distribution::Debian,
            platform: Platform::new("linux", "amd64", None),
            archives: Vec::new(),
            install: Vec::new(),
            keys: Vec::new(),
            variant: Variant::Plain,
            recommends: false,
            solved: None,
        };
        let of = |automatic| {
            let text = str::to_owned;
            let solved = question.solved(vec![Installed {
                name: text("a"),
                version: text("1"),
                architecture: text("all"),
                sha256: Digest::of(b"deb"),
                size: 3,
                automatic,
            }]);
            key(Operation::Packages(Box::new(solved)))
        };
        assert_ne!(of(true), of(false));
    }

    #[test]
    fn key_is_the_digest_of_canonical_json() {
        let file = Operation::File {
            path: path("etc/motd"),
            name: None,
            content: "hi\n".to_owned(),
            ownership: owned(Some(0o600), None),
        };
        let input = output("below");
        let expected = format!(
            r#"{{"epoch":7,"format":1,"inputs":["{}"],"step":{{"content":"hi\n","mode":384,"operation":"file","path":"etc/motd"}}}}"#,
            input.0
        );
        let found = step_key(&step(file, 1), &[input], "7".parse().unwrap()).unwrap();
        assert_eq!(found, StepKey(Digest::of(expected.as_bytes())));
    }

    #[test]
    fn every_field_changes_the_key() {
        let image = |source: &str, platform: &str| Operation::Image {
            source: Source::Registry(source.parse().unwrap()),
            platform: platform.parse::<Platform>().unwrap(),
        };
        let layout = |path: &str, name: Option<&str>| Operation::Image {
            source: Source::Layout {
                path: path.to_owned(),
                name: name.map(str::to_owned),
            },
            platform: "arm64".parse().unwrap(),
        };
        let context = |name: &str, selection| Operation::Context {
            name: name.to_owned(),
            selection,
        };
        let http = |url: &str, bytes: &[u8], name: &str| Operation::Http {
            url: url.to_owned(),
            sha256: Some(Digest::of(bytes)),
            file_name: name.to_owned(),
        };
        let git = |url: &str, commit: &str, selection| Operation::Git {
            url: url.to_owned(),
            revision: Revision::Commit(commit.to_owned()),
            selection,
            extras: GitExtras::default(),
        };
        let git_with = |change: fn(&mut GitExtras)| {
            let mut extras = GitExtras::default();
            change(&mut extras);
            Operation::Git {
                url: "u".to_owned(),
                revision: Revision::Commit("c".to_owned()),
                selection: select("s", &[], &[]),
                extras,
            }
        };
        let with_parents = Selection {
            parents: true,
            ..select("s", &[], &[])
        };
        let copy = |to, ownership| Operation::Copy {
            to,
            unpack: false,
            ownership,
        };
        let unpack = |to, strip, ownership| Operation::Unpack {
            to,
            strip,
            ownership,
        };
        let file = |at: &str, content: &str, ownership| Operation::File {
            path: path(at),
            name: None,
            content: content.to_owned(),
            ownership,
        };
        let directory = |at: &str, ownership| Operation::Directory {
            path: path(at),
            keep: false,
            ownership,
        };
        let symlink = |at: &str, target: &str| Operation::Symlink {
            path: path(at),
            target: target.to_owned(),
        };
        let remove = |pattern: &str, missing_ok| Operation::Remove {
            paths: vec![pattern.to_owned()],
            missing_ok,
        };
        let (plain, moded) = (owned(None, None), owned(Some(0o644), None));
        let all = [
            Operation::Scratch,
            image("a", "amd64"),
            image("b", "amd64"),
            image("a", "arm64"),
            layout("a", None),
            layout("b", None),
            layout("a", Some("n")),
            context("a", select("s", &[], &[])),
            context("b", select("s", &[], &[])),
            context("a", with_parents),
            context("a", select("t", &[], &[])),
            context("a", select("s", &["i"], &[])),
            context("a", select("s", &[], &["i"])),
            Operation::Select {
                selection: select("s", &[], &[]),
            },
            http("u", b"1", "f"),
            http("v", b"1", "f"),
            http("u", b"2", "f"),
            http("u", b"1", "g"),
            git("u", "c", select("s", &[], &[])),
            git_with(|extras| extras.keep_git_dir = true),
            git_with(|extras| extras.submodules = true),
            git_with(|extras| extras.commit_times = true),
            git_with(|extras| extras.kept_ref = kept("refs/tags/a", "c")),
            git_with(|extras| extras.kept_ref = kept("refs/tags/b", "c")),
            git_with(|extras| extras.kept_ref = kept("refs/tags/a", "d")),
            git("v", "c", select("s", &[], &[])),
            git("u", "d", select("s", &[], &[])),
            git("u", "c", select("t", &[], &[])),
            copy(to("a", false), plain.clone()),
            copy(to("b", false), plain.clone()),
            copy(to("a", true), plain.clone()),
            copy(to("a", false), moded.clone()),
            copy(to("a", false), owned(None, Some("0"))),
            unpack(to("a", false), 0, plain.clone()),
            unpack(to("a", false), 1, plain.clone()),
            unpack(to("a", false), 0, moded.clone()),
            file("a", "c", plain.clone()),
            file("b", "c", plain.clone()),
            file("a", "d", plain.clone()),
            file("a", "c", moded.clone()),
            Operation::File {
                path: path("a"),
                name: Some("n".to_owned()),
                content: "c".to_owned(),
                ownership: plain.clone(),
            },
            directory("a", plain),
            directory("a", moded),
            symlink("a", "t"),
            symlink("b", "t"),
            symlink("a", "u"),
            remove("a", false),
            remove("b", false),
            remove("a", true),
        ];
        let keys: BTreeSet<_> = all.iter().cloned().map(key).collect();
        assert_eq!(keys.len(), all.len());
    }

    fn kept(name: &str, object: &str) -> Option<KeptRef> {
        let (name, object) = (name.to_owned(), object.to_owned());
        Some(KeptRef { name, object })
    }

    #[test]
    fn inputs_and_their_order_change_the_key() {
        let copy = step(
            Operation::Copy {
                to: to("a", false),
                unpack: false,
                ownership: owned(None, None),
            },
            2,
        );
        let key = |a, b| step_key(&copy, &[output(a), output(b)], Epoch::default()).unwrap();
        let keys: BTreeSet<_> = [key("1", "2"), key("2", "1"), key("1", "3")].into();
        assert_eq!(keys.len(), 3);
        assert!(step_key(&copy, &[output("1")], Epoch::default()).is_err());
    }

    #[test]
    fn names_stages_and_places_do_not_change_the_key() {
        let plain = step(Operation::Scratch, 0);
        let named = Step {
            name: "another".to_owned(),
            stage: Some("build".to_owned()),
            span: 3..9,
            ..plain.clone()
        };
        let key = |step| step_key(step, &[], Epoch::default()).unwrap();
        assert_eq!(key(&plain), key(&named));
    }

    #[test]
    fn epoch_changes_keys_of_steps_that_write_times_alone() {
        let key = |operation: &Operation, epoch: &str| {
            step_key(&step(operation.clone(), 0), &[], epoch.parse().unwrap()).unwrap()
        };
        let remove = Operation::Remove {
            paths: vec!["a".to_owned()],
            missing_ok: false,
        };
        let directory = Operation::Directory {
            path: path("a"),
            keep: false,
            ownership: owned(None, None),
        };
        for (operation, writes) in [
            (Operation::Scratch, false),
            (remove, false),
            (directory, true),
        ] {
            let differs = key(&operation, "1") != key(&operation, "2");
            assert_eq!(differs, writes, "{operation:?}");
        }
    }

    #[test]
    fn how_commands_are_run_is_in_their_keys_alone() {
        let key = |operation: &Operation, without: &[&str], takes_turns: bool| {
            let step = step(operation.clone(), 0);
            let manner = Manner {
                without,
                takes_turns,
            };
            fetching_key(&step, &[], Epoch::default(), None, manner).unwrap()
        };
        let command = Operation::Run(Box::new(Command {
            arguments: vec!["true".to_owned()],
            env: Vec::new(),
            workdir: EntryPath::root(),
            user: None,
            mounts: Vec::new(),
            network: Default::default(),
            security: Default::default(),
            devices: Vec::new(),
            hostname: None,
            hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: None,
        }));
        for (operation, differs) in [(command, true), (Operation::Merge, false)] {
            let offs = [&[][..], &["a"], &["b"]];
            let [none, one, other] = offs.map(|off| key(&operation, off, false));
            assert_eq!(none != one && one != other, differs, "{operation:?}");
            assert_eq!(none != key(&operation, &[], true), differs, "{operation:?}");
        }
    }

    #[test]
    fn no_layers_have_a_digest_too() {
        assert_eq!(OutputDigest::of_layers(&[]), OutputDigest(Digest::of(b"")));
        let layer = DiffId(Digest::of(b"tar"));
        assert_eq!(OutputDigest::of_layers(&[layer]), OutputDigest(layer.0));
    }
}
