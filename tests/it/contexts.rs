//! Contexts that are no folder: a tar on standard input, one that a server has, a commit.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::repository::Repository;
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
        ("#main:../nowhere", "`nowhere`"),
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
        let output = command.arg(folder.path()).output().unwrap();
        assert_eq!(digest(&output), format!("{expected}\n"));
        String::from_utf8(output.stderr).unwrap()
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
    let by_own = "out: `/b`, by line 1 of Dockerfile.dockerignore: `b`";
    let said = explain("b", by_own);
    assert!(said.contains("there is no `/b` in the context"), "{said}");
    std::fs::write(folder.path().join("b"), "").unwrap();
    assert_eq!(explain("b", by_own), "");
    let mut outside = cairn(home.path());
    outside.args(["explain", "--ignore", "/elsewhere"]);
    let output = outside.arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// A repository with two commits, a tag of the first, a submodule below `dir`.
fn with_submodule(folder: &Path) -> Repository {
    let inner = Repository::new(&folder.join("inner.git"), "sha1");
    inner.commit(&[("inside", "text")]);
    let outer = Repository::new(&folder.join("outer.git"), "sha1");
    outer.commit(&[
        ("dir/Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("dir/file", "one"),
    ]);
    outer.git(&["tag", "v1"]);
    outer.git(&["submodule", "--quiet", "add", &inner.url(), "dir/sub"]);
    outer.commit(&[("dir/file", "two")]);
    outer
}

/// The paths that an image of that build holds, with the content and time of `dir/file`.
fn held(home: &Path, arguments: &[&str]) -> (Vec<String>, String, u64) {
    let out = home.join("out.tar");
    let output = format!("-o=type=tar,dest={}", out.display());
    run(build(home, &["--platform", "linux/amd64", &output]).args(arguments));
    let mut tar = tar::Archive::new(std::fs::File::open(out).unwrap());
    let (mut paths, mut content, mut time) = (Vec::new(), String::new(), 0);
    for member in tar.entries().unwrap() {
        let mut member = member.unwrap();
        let path = member.path().unwrap().display().to_string();
        if path == "file" || path.ends_with("/file") {
            std::io::Read::read_to_string(&mut member, &mut content).unwrap();
            time = member.header().mtime().unwrap();
        }
        if !path.contains(".git/") && !path.ends_with('/') {
            paths.push(path);
        } else if path.ends_with(".git/HEAD") {
            paths.push(".git".to_owned());
        }
    }
    (paths, content, time)
}

#[test]
fn queries_say_what_of_a_repository_is_the_context() {
    if !require("git") {
        return;
    }
    let (home, folder) = (temp(), temp());
    let url = with_submodule(folder.path()).url();
    let held = |rest: &str| held(home.path(), &[&format!("{url}{rest}")]);
    let epoch = 315_532_800;
    for (rest, paths, content, time) in [
        ("?subdir=dir", "Dockerfile file sub/inside", "two", epoch),
        ("#main:%64ir", "Dockerfile file sub/inside", "two", epoch),
        (
            "?subdir=dir&submodules=false",
            "Dockerfile file",
            "two",
            epoch,
        ),
        ("?subdir=dir&tag=v1", "Dockerfile file", "one", epoch),
        ("?ref=v1#:dir", "Dockerfile file", "one", epoch),
        (
            "?ref=v1&subdir=dir&mtime=commit",
            "Dockerfile file",
            "one",
            1_000_000_000,
        ),
    ] {
        let expected: Vec<_> = paths.split(' ').map(str::to_owned).collect();
        assert_eq!(held(rest), (expected, content.to_owned(), time), "{rest}");
    }
    let refused = build(home.path(), &[&format!("{url}?depth=1")]).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("`depth`") && said.contains("hint: of a repository"),
        "{said}"
    );
    let refused = build(home.path(), &["ssh://me:secret@a.test/b"]).output();
    let said = String::from_utf8_lossy(&refused.unwrap().stderr).into_owned();
    assert!(
        said.contains("ssh asks an agent") && !said.contains("secret"),
        "{said}"
    );
}

#[test]
fn queries_say_what_of_a_repository_a_named_context_has() {
    if !require("git") {
        return;
    }
    let (home, folder, context) = (temp(), temp(), temp());
    let url = with_submodule(folder.path()).url();
    let recipe = "FROM scratch\nCOPY --from=g . /\n";
    std::fs::write(context.path().join("Dockerfile"), recipe).unwrap();
    for (rest, paths) in [
        ("", ".gitmodules dir/Dockerfile dir/file dir/sub/inside"),
        ("?submodules=false", ".gitmodules dir/Dockerfile dir/file"),
        ("?keep-git-dir=true&ref=v1", ".git dir/Dockerfile dir/file"),
    ] {
        let named = format!("--build-context=g={url}{rest}");
        let context = context.path().display().to_string();
        let (held, ..) = held(home.path(), &[&named, &context]);
        assert_eq!(held.join(" "), paths, "{rest}");
    }
    // The build's own context keeps it by an argument, too.
    for asked in ["?keep-git-dir", ""] {
        let url = format!("{url}{asked}");
        let argument = match asked {
            "" => "--build-arg=BUILDKIT_CONTEXT_KEEP_GIT_DIR=1",
            _ => "--build-arg=A=1",
        };
        let (held, ..) = held(home.path(), &["-f=dir/Dockerfile", argument, &url]);
        assert!(held.contains(&".git".to_owned()), "{held:?}");
    }
    // Without a value it takes the environment's, and nobody says that it does nothing.
    let name = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";
    for (value, keeps) in [("1", true), ("0", false)] {
        let mut asked = build(home.path(), &["-f=dir/Dockerfile", "--build-arg", name]);
        let asked = asked.arg(&url).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(asked.status.success() && !said.contains(name), "{said}");
        let keeper = format!("--build-arg={name}={value}");
        let given = build(home.path(), &["-f=dir/Dockerfile", &keeper, &url]);
        assert_eq!(digest(&asked), digest(&{ given }.output().unwrap()));
        let plain = build(home.path(), &["-f=dir/Dockerfile", &url]);
        let plain = digest(&{ plain }.output().unwrap());
        assert_eq!(digest(&asked) != plain, keeps, "{value}");
    }
}

#[test]
fn a_recipe_of_a_server_needs_no_name() {
    let home = temp();
    let server = Rude::new(|_, _| Reply::new(200, "FROM scratch\nENV A=1\n"));
    let url = format!("http://{}/any", server.address);
    let plain = digest(&build(home.path(), &[&url]).output().unwrap());
    let upper = build(home.path(), &[&url.replace("http", "HTTP")]);
    assert_eq!(digest(&{ upper }.output().unwrap()), plain);
    let refused = build(home.path(), &["ftp://me:secret@a.test/any"]).output();
    let refused = refused.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("ftp") && !said.contains("secret"), "{said}");
    let named = build(home.path(), &["-f", "other.Dockerfile", &url]);
    assert_eq!(digest(&{ named }.output().unwrap()), plain);
    let stdin = fed(build(home.path(), &["-f", "other", "-"]), b"FROM scratch\n");
    assert_eq!(stdin.status.code(), Some(1));
}

#[test]
fn an_image_of_a_layout_is_named_by_tag_and_digest() {
    let (home, folder) = (temp(), temp());
    let context = folder.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nENV A=1\n").unwrap();
    let layout = folder.path().join("layout");
    let output = format!("-o=type=oci-dir,dest={},name=a:v1", layout.display());
    let context = context.display().to_string();
    let made = digest(&build(home.path(), &[&output, &context]).output().unwrap());
    let made = made.trim();
    std::fs::write(folder.path().join("context/Dockerfile"), "FROM base\n").unwrap();
    for rest in [format!("@{made}"), format!(":any@{made}"), String::new()] {
        let base = format!(
            "--build-context=base=oci-layout://{}{rest}",
            layout.display()
        );
        let built = build(temp().path(), &[&base, &context]).output().unwrap();
        assert!(!digest(&built).is_empty(), "{rest}");
    }
    // Also of one that only an index of it names.
    let several = ["--platform=linux/amd64,linux/arm64", &output, &context];
    std::fs::write(
        folder.path().join("context/Dockerfile"),
        "FROM scratch\nENV B=1\n",
    )
    .unwrap();
    let index = digest(&build(home.path(), &several).output().unwrap());
    let blobs = layout.join("blobs/sha256");
    let index = std::fs::read(blobs.join(&index.trim()["sha256:".len()..])).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let member = index["manifests"][1]["digest"].as_str().unwrap();
    std::fs::write(folder.path().join("context/Dockerfile"), "FROM base\n").unwrap();
    let base = format!(
        "--build-context=base=oci-layout://{}@{member}",
        layout.display()
    );
    let built = build(temp().path(), &["--platform=linux/arm64", &base, &context]);
    assert!(!digest(&{ built }.output().unwrap()).is_empty());
    let wrong = format!(
        "--build-context=base=oci-layout://{}@sha256:{}",
        layout.display(),
        "0".repeat(64)
    );
    let refused = build(home.path(), &[&wrong, &context]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    let recipe = "FROM base\nENV A=1\n";
    std::fs::write(folder.path().join("context/Dockerfile"), recipe).unwrap();
    let scratch = "--build-context=base=docker-image://scratch";
    let built = build(home.path(), &[scratch, &context]).output().unwrap();
    assert_eq!(digest(&built).trim(), made);
}
