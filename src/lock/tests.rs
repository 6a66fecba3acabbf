//! Locks as text, there and back, and what is refused.

use super::*;
use crate::canon::Source;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn asker(step: &str) -> Asker {
    Asker {
        step: step.to_owned(),
        stage: Some("build".to_owned()),
        selected: digest(step),
    }
}

fn body(text: &str) -> Option<Body> {
    Some(Body {
        sha256: digest(text),
        size: text.len() as u64,
    })
}

/// A lock with something in every member.
fn full() -> Lock {
    let pair = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let exchange = Exchange {
        request: Request {
            url: "https://example.org/a?b=\"c\"\n".to_owned(),
            method: "POST".to_owned(),
            asked: pair("accept", "*/*"),
            sent: body("question"),
        },
        response: Response {
            status: 200,
            headers: pair("content-type", "text/plain"),
            body: body("answer"),
            trailers: pair("grpc-status", "0"),
        },
    };
    let package = Package {
        name: "curl".to_owned(),
        version: "7.88.1-10+deb12u12".to_owned(),
        architecture: "amd64".to_owned(),
        url: "http://example.org/curl.deb".to_owned(),
        sha256: digest("deb"),
        size: 3,
        automatic: true,
    };
    let release = Release {
        url: "http://example.org/InRelease".to_owned(),
        sha256: digest("release"),
        signer: "ABCD".to_owned(),
    };
    let of = OfPlatform {
        images: BTreeMap::from([(
            "docker.io/library/debian:12".to_owned(),
            Image {
                index: Some(digest("index")),
                manifest: digest("manifest"),
            },
        )]),
        packages: vec![Asked {
            by: asker("packages curl"),
            answer: PackageSet {
                instant: 1_798_459_200,
                releases: vec![release],
                packages: vec![package],
            },
        }],
        commands: vec![Asked {
            by: asker("run apt-get update"),
            answer: Record {
                instant: 1_798_459_200,
                names: vec!["example.org".to_owned()],
                exchanges: vec![exchange],
            },
        }],
    };
    let commit = Commit {
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        named: Some(["refs/tags/v1".to_owned(), "89abcdef".to_owned()]),
        tree: digest("tree"),
    };
    let file = File {
        sha256: digest("file"),
        size: 4,
        modified: Some(7),
    };
    Lock {
        recipe: "Dockerfile".to_owned(),
        epoch: Some(LockedEpoch {
            seconds: 315_532_800,
            from: EpochFrom::Default,
        }),
        git: BTreeMap::from([(git_name("https://e.org/r", Some("v1"), true, false), commit)]),
        http: BTreeMap::from([("https://example.org/tool.tgz".to_owned(), file)]),
        platforms: BTreeMap::from([("linux/amd64".parse().unwrap(), of)]),
    }
}

fn read_text(text: &str) -> Result<Lock, Box<read::Error>> {
    read::read(&Source::new("cairn.lock", text.into(), LARGEST).unwrap())
}

fn refusal(text: &str) -> String {
    let problem = read_text(text).unwrap_err().problem;
    assert!(problem.hint.is_some(), "{problem:?}");
    problem.message
}

#[test]
fn what_is_written_is_read_as_it_was() {
    let empty = Lock {
        epoch: full().epoch,
        ..Lock::default()
    };
    for lock in [full(), empty] {
        let text = write::write(&lock).unwrap();
        assert_eq!(read_text(&text).unwrap(), lock, "{text}");
    }
}

#[test]
fn each_exchange_and_name_has_a_line_of_its_own() {
    let text = write::write(&full()).unwrap();
    let lines = |begin: &str| text.lines().filter(|line| line.starts_with(begin)).count();
    assert_eq!(lines("  { method = \"POST\", url = "), 1, "{text}");
    assert_eq!(lines("  { name = \"curl\", version = "), 1, "{text}");
    assert_eq!(
        lines("\"docker.io/library/debian:12\" = { index = "),
        1,
        "{text}"
    );
    assert_eq!(lines("[platform.\"linux/amd64\".images]"), 1, "{text}");
    assert!(
        text.contains("instant = 1798459200 # 2026-12-28T12:00:00Z\n"),
        "{text}"
    );
}

/// Every word, number and digest of the text, changed one after the other.
#[test]
fn whatever_is_changed_by_hand_is_told() {
    let text = write::write(&full()).unwrap();
    let start = text.find("[epoch]").unwrap();
    let mut changed = 0;
    for (at, character) in text.char_indices().skip_while(|(at, _)| *at < start) {
        let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let is_comment = text[line_start..at].contains(" # ");
        let other = match character {
            '0'..='8' => ((character as u8) + 1) as char,
            'a'..='y' => ((character as u8) + 1) as char,
            _ => continue,
        };
        if is_comment {
            continue;
        }
        let edited = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert!(read_text(&edited).is_err(), "{edited}");
        changed += 1;
    }
    assert!(changed > 500, "{changed}");
}

#[test]
fn an_entry_that_was_changed_is_named() {
    let text = write::write(&full()).unwrap();
    let edited = text.replace("status = 200", "status = 404");
    let named = "the lock's entry of `run apt-get update` was changed by hand";
    assert_eq!(refusal(&edited), named);
    // An entry keeps its seal only in its place.
    let moved = text.replace("debian:12", "debian:13");
    let named = "the lock's entry of `docker.io/library/debian:13` was changed by hand";
    assert_eq!(refusal(&moved), named);
}

#[test]
fn merges_that_stopped_and_versions_to_come_are_told() {
    let text = write::write(&full()).unwrap();
    let merged = text.replace("[git]", "<<<<<<< ours\n[git]");
    assert_eq!(
        refusal(&merged),
        "the lock holds two sides of a merge that nobody has ended"
    );
    for mark in ["||||||| base", "=======", ">>>>>>> theirs"] {
        let left = text.replace("[git]", &format!("{mark}\n[git]"));
        assert_eq!(refusal(&left), refusal(&merged), "{mark}");
    }
    let later = text.replace("version = 1\n", "version = 2\nnew = true\n");
    assert_eq!(
        refusal(&later),
        "the lock has version 2, and this cairn reads version 1"
    );
    for empty in ["", " \n\n"] {
        assert_eq!(refusal(empty), "the lock is empty");
    }
    let unknown = text.replace("[epoch]\n", "[epoch]\nnew = true\n");
    assert!(refusal(&unknown).starts_with("the lock can't be read: unknown field"));
}

#[test]
fn two_sides_that_add_different_names_are_one_lock() {
    let (mut ours, mut theirs) = (full(), full());
    let file = ours.http.values().next().copied().unwrap();
    ours.http.insert("https://a.example/1".to_owned(), file);
    theirs.http.insert("https://z.example/1".to_owned(), file);
    let line_of = |lock: &Lock, start: &str| {
        let text = write::write(lock).unwrap();
        let line = text.lines().find(|line| line.starts_with(start)).unwrap();
        line.to_owned()
    };
    let text = write::write(&ours).unwrap();
    let last = line_of(&ours, "\"https://example.org/tool.tgz\"");
    let added = line_of(&theirs, "\"https://z.example/1\"");
    let merged = text.replace(&last, &format!("{last}\n{added}"));
    assert_eq!(read_text(&merged).unwrap().http.len(), 3);
}

/// git has no reason to see that two steps that were added on both sides are one.
#[test]
fn a_step_that_stands_there_twice_is_told() {
    let mut lock = full();
    let of = lock.platforms.values_mut().next().unwrap();
    let mut second = of.commands[0].clone();
    second.by.step = "run something".to_owned();
    of.commands.push(second);
    assert_eq!(
        refusal(&write::write(&lock).unwrap()),
        "the lock has two entries of one step: `run apt-get update` and `run something`"
    );
    let mut lock = full();
    let of = lock.platforms.values_mut().next().unwrap();
    of.packages.push(of.packages[0].clone());
    let told = refusal(&write::write(&lock).unwrap());
    assert!(
        told.contains("`packages curl` and `packages curl`"),
        "{told}"
    );
}

#[test]
fn what_moved_is_said_in_words() {
    use difference::{How, difference};
    let (before, mut after) = (full(), full());
    assert_eq!(difference(&before, &after), []);
    after.git.values_mut().next().unwrap().commit = "f".repeat(40);
    after.http.clear();
    let of = after.platforms.values_mut().next().unwrap();
    let fetched = |version: &str| Exchange {
        request: Request {
            url: format!("http://example.org/pool/libssl3_{version}_amd64.deb"),
            method: "GET".to_owned(),
            asked: BTreeMap::new(),
            sent: None,
        },
        response: Response {
            status: 200,
            headers: BTreeMap::new(),
            body: body(version),
            trailers: BTreeMap::new(),
        },
    };
    of.commands[0].answer.exchanges[0].response.status = 404;
    of.commands[0].answer.exchanges.push(fetched("3.0.16"));
    of.packages[0].answer.packages[0].version = "8".to_owned();
    let mut earlier = before.clone();
    let exchanges = &mut earlier.platforms.values_mut().next().unwrap().commands[0].answer;
    exchanges.exchanges.push(fetched("3.0.15"));
    let said: Vec<_> = difference(&earlier, &after)
        .into_iter()
        .map(|moved| match moved.how {
            How::Changed(how) => format!("{}: {how}", moved.what),
            other => format!("{}: {other:?}", moved.what),
        })
        .collect();
    assert_eq!(
        said,
        [
            "git https://e.org/r#v1+submodules: commit 0123456789ab→ffffffffffff",
            "http https://example.org/tool.tgz: Removed",
            "packages curl (linux/amd64): 1 package changed, curl 7.88.1-10+deb12u12→8",
            "run apt-get update (linux/amd64): 1 other answer; 1 more request; 1 fewer request; \
             1 package changed, libssl3 3.0.15→3.0.16",
        ]
    );
}
