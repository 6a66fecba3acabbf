//! Contexts that are no folder: a tar on standard input, one that a server has, a commit.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::rude::{Reply, Rude};
use crate::support::tars::{Member, archive};
use crate::support::{cairn, require, run, temp};

const RECIPE: &str = "platforms = [\"linux/amd64\"]\nfrom = \"scratch\"\n\
    [[steps]]\ncopy = { paths = [\".\"], to = \"/\", exclude = [\"cairn.toml\"] }\n";
const MEMBERS: [Member; 3] = [
    ("cairn.toml", b'0', RECIPE),
    ("deep/er/file", b'0', "text"),
    ("deep/link", b'2', "er/file"),
];

/// What `command` gives when `bytes` are its standard input.
fn fed(mut command: Command, bytes: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // It may refuse before it has read all.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap()
}

fn digest(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The image of a folder with the same files.
fn expected(home: &Path) -> String {
    let folder = temp();
    let at = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(at("deep/er")).unwrap();
    std::fs::write(at("cairn.toml"), RECIPE).unwrap();
    std::fs::write(at("deep/er/file"), "text").unwrap();
    std::os::unix::fs::symlink("er/file", at("deep/link")).unwrap();
    run(cairn(home).args(["build", "-q"]).arg(folder.path()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn build(home: &Path, arguments: &[&str]) -> Command {
    let mut command = cairn(home);
    command.args(["build", "-q"]).args(arguments);
    command
}

#[test]
fn a_tar_is_as_good_as_the_folder_that_it_is_of() {
    let home = temp();
    let expected = expected(home.path());
    let tar = archive(&MEMBERS);
    for bytes in [tar.clone(), gzip(&tar)] {
        let output = fed(build(home.path(), &["-"]), &bytes);
        assert_eq!(digest(&output), expected);
    }
    let server = Rude::new(move |_, _| Reply::new(200, gzip(&tar)));
    let url = format!("http://{}/context.tgz", server.address);
    let output = build(home.path(), &[&url]).output().unwrap();
    assert_eq!(digest(&output), expected);
    // Nothing of it stays in the store.
    let kept = crate::support::recipes::entries(&home.path().join("tmp"));
    let folders: Vec<_> = kept.iter().filter(|path| path.is_dir()).collect();
    assert!(folders.is_empty(), "{folders:?}");
}

#[test]
fn the_time_of_what_is_fetched_is_not_read() {
    let home = temp();
    let argument = ["--build-arg", "SOURCE_DATE_EPOCH=context", "-"];
    let tar = archive(&[("Dockerfile", b'0', "FROM scratch\n")]);
    let output = fed(build(home.path(), &argument), &tar);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`git log -1 --format=%ct`"), "{said}");
}

/// BuildKit unpacks no archive that is a named context.
#[test]
fn a_named_download_is_one_file() {
    let (home, folder) = (temp(), temp());
    let packed = gzip(&archive(&MEMBERS));
    let reply = packed.clone();
    let server = Rude::new(move |_, _| Reply::new(200, reply.clone()));
    let recipe = "FROM h AS a\nFROM scratch\nCOPY --from=h . /b\nCOPY --from=h context /c\n\
        COPY --from=a / /d\n";
    std::fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
    let context = format!("h=http://{}/context.tgz", server.address);
    let output = home.path().join("out");
    let to = format!("type=local,dest={}", output.display());
    let mut build = build(home.path(), &["--build-context", &context, "-o", &to]);
    run(build.arg(folder.path()));
    for path in ["b/context", "c", "d/context"] {
        assert!(
            std::fs::read(output.join(path)).unwrap() == packed,
            "{path}"
        );
    }
}

/// BuildKit leaves nothing out of what it fetches.
#[test]
fn of_what_is_fetched_a_dockerfile_has_all() {
    let home = temp();
    let ignored = |name, recipe| {
        let members = [
            (name, b'0', recipe),
            (".dockerignore", b'0', "left-out\n"),
            ("left-out", b'0', "x"),
        ];
        let output = home.path().join("out");
        let to = format!("type=local,dest={}", output.display());
        let fed = fed(build(home.path(), &["-o", &to, "-"]), &archive(&members));
        let said = String::from_utf8_lossy(&fed.stderr).into_owned();
        let found = output.join("left-out").exists();
        let _ = std::fs::remove_dir_all(output);
        (fed.status.success(), found, said)
    };
    let (_, found, said) = ignored("Dockerfile", "FROM scratch\nCOPY . /\n");
    assert!(found, "{said}");
    let (succeeded, found, said) = ignored("cairn.toml", RECIPE);
    assert!(succeeded && !found, "{said}");
}

#[test]
fn a_commit_is_as_good_as_the_folder_that_it_is_of() {
    if !["git", "sh"].into_iter().all(require) {
        return;
    }
    let (home, folder) = (temp(), temp());
    let expected = expected(home.path());
    let script = "git init -q -b main work && cd work && mkdir -p sub/deep/er && \
        printf '%s' \"$RECIPE\" > sub/cairn.toml && printf text > sub/deep/er/file && \
        ln -s er/file sub/deep/link && ln -s /etc out && git add . && \
        git -c user.name=a -c user.email=a@example.org commit -qm one && \
        git branch other && git clone -q --bare . ../repository.git";
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(folder.path());
    run(command.env("RECIPE", RECIPE).env("HOME", folder.path()));
    let url = format!("file://{}/repository.git", folder.path().display());
    for fragment in ["#main:sub", "#:sub", "#refs/heads/other:/sub/"] {
        let context = format!("{url}{fragment}");
        let output = build(home.path(), &[&context]).output().unwrap();
        assert_eq!(digest(&output), expected, "{fragment}");
    }
    for (fragment, says) in [
        ("#none", "none"),
        ("#main:nowhere", "nowhere"),
        // A link out of the repository is no folder of it.
        ("#main:out", "out"),
        ("#main:..", ".."),
    ] {
        let context = format!("{url}{fragment}");
        let output = build(home.path(), &[&context]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{fragment}: {said}");
        assert!(said.contains(says), "{fragment}: {said}");
    }
    // Nor does a recipe's name lead out.
    let context = format!("{url}#main:sub");
    for file in ["../../../../../../etc/passwd", "/etc/passwd"] {
        let output = build(home.path(), &["-f", file, &context])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(!said.contains("root:"), "{said}");
    }
}

#[test]
fn hostile_streams_are_refused() {
    let home = temp();
    let through_a_link = archive(&[
        ("cairn.toml", b'0', RECIPE),
        ("a", b'2', "/tmp"),
        ("a/b", b'0', "escaped"),
    ]);
    let climbing = archive(&[("../escaped", b'0', "x")]);
    for (bytes, code) in [
        (&through_a_link[..], 1),
        (&climbing, 1),
        (b"", 3),
        (&through_a_link[..700], 1),
    ] {
        let output = fed(build(home.path(), &["-"]), bytes);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
    }
    let both = build(home.path(), &["-f", "-", "-"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn the_rule_that_decides_is_told() {
    let (home, folder) = (temp(), temp());
    let rules = "# rules\n*.md\n!keep.md\nsecret\n";
    std::fs::write(folder.path().join(".dockerignore"), rules).unwrap();
    let explain = |path: &str, expected: &str| {
        let mut command = cairn(home.path());
        command.args(["explain", "--ignore", path]);
        assert_eq!(run(command.arg(folder.path())), format!("{expected}\n"));
    };
    explain("a.md", "out: `/a.md`, by line 2 of .dockerignore: `*.md`");
    explain(
        "keep.md",
        "in: `/keep.md`, by line 3 of .dockerignore: `!keep.md`",
    );
    explain(
        "secret/x",
        "out: `/secret/x`, by line 4 of .dockerignore: `secret`",
    );
    explain("b", "in: `/b`, as no rule of .dockerignore matches it");
    let own = folder.path().join("Dockerfile.dockerignore");
    std::fs::write(own, "b\n").unwrap();
    explain("b", "out: `/b`, by line 1 of Dockerfile.dockerignore: `b`");
    let mut outside = cairn(home.path());
    outside.args(["explain", "--ignore", "/elsewhere"]);
    let output = outside.arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
