//! What servers are shown that ask who is there, and that nobody else ever sees it.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::repository::{Repository, guarded};
use crate::support::rude::{Reply, Rude};
use crate::support::{cairn, require, run, temp};

const TOKEN: &str = "t0ps3cret";
/// `x-access-token:t0ps3cret` and `me:t0ps3cret` in base64, which is no hiding place.
const BASIC_TOKEN: &str = "Basic eC1hY2Nlc3MtdG9rZW46dDBwczNjcmV0";
const BASIC_LOGIN: &str = "Basic bWU6dDBwczNjcmV0";
const CODES: [&str; 3] = [
    TOKEN,
    "eC1hY2Nlc3MtdG9rZW46dDBwczNjcmV0",
    "bWU6dDBwczNjcmV0",
];

/// A store, a folder of repositories, a context.
struct Case {
    home: tempfile::TempDir,
    work: tempfile::TempDir,
}

impl Case {
    /// With the repository `r.git`, which has a Dockerfile, and one beside it.
    fn new() -> Case {
        let case = Case {
            home: temp(),
            work: temp(),
        };
        let inner = Repository::new(&case.root().join("inner.git"), "sha1");
        inner.commit(&[("inside", "of the submodule")]);
        let outer = Repository::new(&case.root().join("r.git"), "sha1");
        outer.commit(&[("file", "x"), ("Dockerfile", "FROM scratch\nCOPY . /\n")]);
        case
    }

    fn root(&self) -> std::path::PathBuf {
        self.work.path().join("root")
    }

    fn dockerfile(&self, text: &str) -> String {
        let folder = self.work.path().join("context");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("Dockerfile"), text).unwrap();
        folder.display().to_string()
    }

    fn build(&self, arguments: &[&str], secrets: &[(&str, &str)]) -> Output {
        let mut command = cairn(self.home.path());
        command.args(["build", "--debug", "--progress", "plain", "--no-cache"]);
        command.args(["--platform", "linux/amd64"]).args(arguments);
        for (number, (id, value)) in secrets.iter().enumerate() {
            let name = format!("SECRET{number}");
            command.arg(format!("--secret=id={id},env={name}"));
            command.env(name, value);
        }
        command.output().unwrap()
    }

    /// A build that is done, and has told nothing, in what it says or keeps.
    #[track_caller]
    fn done(&self, arguments: &[&str], secrets: &[(&str, &str)]) -> String {
        let output = self.build(arguments, secrets);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?} {secrets:?}: {said}");
        self.tells_nothing(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], secrets: &[(&str, &str)]) -> String {
        let output = self.build(arguments, secrets);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        self.tells_nothing(&output);
        said
    }

    #[track_caller]
    fn tells_nothing(&self, output: &Output) {
        for code in CODES {
            for text in [&output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(text);
                assert!(!text.contains(code), "{code}: {text}");
            }
            assert_eq!(holding(self.home.path(), code), "", "{code}");
        }
    }
}

/// The files below `folder` that hold `text`.
fn holding(folder: &Path, text: &str) -> String {
    let output = Command::new("grep")
        .args(["-rlF", text])
        .arg(folder)
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn repositories_and_files_are_had_with_secrets() {
    if !["git", "grep"].into_iter().all(require) {
        return;
    }
    let case = Case::new();
    let open = case.done(&[&format!("file://{}/r.git", case.root().display())], &[]);
    for (given, authorization) in [
        ("GIT_AUTH_TOKEN", BASIC_TOKEN),
        ("GIT_AUTH_HEADER", TOKEN),
        ("GIT_AUTH_TOKEN.HOST", BASIC_TOKEN),
        ("GIT_AUTH_HEADER.HOST", TOKEN),
    ] {
        let server = guarded(&case.root(), authorization);
        let secret = given.replace("HOST", &server.address.to_string());
        let secrets = [(&*secret, TOKEN)];
        let url = format!("http://{}/r.git", server.address);
        let main = case.done(&[&url], &secrets);
        assert_eq!(main, open);
        let folder = case.dockerfile(&format!("FROM scratch\nADD {url} /\n"));
        case.done(&[&folder], &secrets);
        let folder = case.dockerfile("FROM scratch\nCOPY --from=named . /\n");
        let named = format!("--build-context=named={url}");
        case.done(&[&folder, &named], &secrets);
        let said = case.refused(&[&url], &[("GIT_AUTH_TOKEN.other.test", TOKEN)]);
        assert!(said.contains("--secret id=GIT_AUTH_TOKEN"), "{said}");
    }
    for (given, authorization) in [
        ("HTTP_AUTH_TOKEN_127.0.0.1", format!("Bearer {TOKEN}")),
        ("HTTP_AUTH_HEADER_127.0.0.1", TOKEN.to_owned()),
    ] {
        let server = guarded(&case.root(), &authorization);
        let url = format!("http://{}/file", server.address);
        let folder = case.dockerfile(&format!("FROM scratch\nADD {url} /\n"));
        case.done(&[&folder], &[(given, TOKEN)]);
        let said = case.refused(&[&folder], &[("GIT_AUTH_TOKEN", TOKEN)]);
        assert!(said.contains("HTTP_AUTH_TOKEN_127.0.0.1"), "{said}");
        let folder = case.dockerfile("FROM scratch\nCOPY --from=named . /\n");
        let named = format!("--build-context=named={url}");
        // It is no tar, but it was had.
        let output = case.build(&[&folder, &named], &[(given, TOKEN)]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("401"), "{said}");
    }
}

#[test]
fn a_login_in_an_address_is_used_and_never_told() {
    if !["git", "grep"].into_iter().all(require) {
        return;
    }
    let case = Case::new();
    let open = case.done(&[&format!("file://{}/r.git", case.root().display())], &[]);
    let server = guarded(&case.root(), BASIC_LOGIN);
    let (url, plain) = (
        format!("http://me:{TOKEN}@{}", server.address),
        format!("http://{}", server.address),
    );
    assert_eq!(case.done(&[&format!("{url}/r.git")], &[]), open);
    let folder = case.dockerfile("FROM scratch\nCOPY --from=named . /\n");
    case.done(
        &[&folder, &format!("--build-context=named={url}/r.git")],
        &[],
    );
    // Git takes it along to addresses that are relative to this one.
    let outer = Repository(case.root().join("r.git"));
    let inner = outer.url().replace("r.git", "inner.git");
    outer.git(&["submodule", "--quiet", "add", &inner, "sub"]);
    outer.git(&[
        "config",
        "-f",
        ".gitmodules",
        "submodule.sub.url",
        "../inner.git",
    ]);
    outer.commit(&[("more", "y")]);
    let recipe = format!("FROM scratch\nADD {url}/r.git /r\n");
    case.done(&[&case.dockerfile(&recipe)], &[]);
    outer.git(&["reset", "--quiet", "--hard", "HEAD~1"]);

    let recipe = format!("FROM scratch\nADD {url}/file /\nADD {url}/r.git /r\n");
    // The same image as of who isn't asked: who asks is in no key and no history.
    let folder = case.dockerfile(&recipe);
    let with_login = case.done(&[&folder], &[]);
    let folder = case.dockerfile(&recipe.replace(&url, &plain));
    let secrets = [
        ("GIT_AUTH_HEADER", BASIC_LOGIN),
        ("HTTP_AUTH_HEADER_127.0.0.1", BASIC_LOGIN),
    ];
    assert_eq!(case.done(&[&folder], &secrets), with_login);

    for context in [
        format!("{url}/no.git"),
        format!("{url}/r.git#none"),
        format!("{url}/file#"),
    ] {
        let said = case.build(&[&context], &[]);
        case.tells_nothing(&said);
        assert!(!said.status.success());
    }
    let folder = case.dockerfile(&format!("FROM scratch\nADD {url}/nothing /\n"));
    let said = case.refused(&[&folder], &[]);
    assert!(said.contains("| ADD http://xx"), "{said}");
    let mut plan = cairn(case.home.path());
    let printed = run(plan.args(["plan", "--json", &folder]));
    assert!(
        printed.contains("/nothing") && !printed.contains(TOKEN),
        "{printed}"
    );
}

#[test]
fn no_secret_goes_where_a_server_points() {
    if !["git", "grep"].into_iter().all(require) {
        return;
    }
    let case = Case::new();
    let root = case.root();
    let thief = Rude::new(move |request, _| match request.path.split('?').next() {
        Some("/file") => Reply::new(200, "the file"),
        _ => crate::support::repository::git_answer(&root, request),
    });
    let target = format!("http://localhost:{}", thief.address.port());
    let server = Rude::new(move |request, _| {
        Reply::new(302, "").with("Location", format!("{target}{}", request.path))
    });
    let url = format!("http://{}", server.address);
    let folder = case.dockerfile(&format!("FROM scratch\nADD {url}/file /\n"));
    case.done(&[&folder], &[("HTTP_AUTH_TOKEN_127.0.0.1", TOKEN)]);
    let said = case.refused(&[&format!("{url}/r.git")], &[("GIT_AUTH_TOKEN", TOKEN)]);
    assert!(said.contains("leads to another address"), "{said}");
    // On the server itself it is gone along, as where a repository has another name.
    let root = case.root();
    let renamed = Rude::new(
        move |request, _| match request.path.strip_prefix("/old.git") {
            Some(rest) => Reply::new(301, "").with("Location", format!("/r.git{rest}")),
            None if request.header("authorization") != Some(BASIC_TOKEN) => Reply::new(404, ""),
            None => crate::support::repository::git_answer(&root, request),
        },
    );
    let old = format!("http://{}/old.git", renamed.address);
    case.done(&[&old], &[("GIT_AUTH_TOKEN", TOKEN)]);
    // Without one, it is gone along anywhere.
    case.done(&[&format!("{url}/r.git")], &[]);
    assert!(!server.seen("GET", "/file").is_empty() && !thief.seen("GET", "/file").is_empty());
    for request in [thief.seen("GET", "/"), thief.seen("POST", "/")].concat() {
        assert_eq!(request.header("authorization"), None, "{}", request.path);
    }
}

#[test]
fn git_gets_no_secret_among_its_arguments() {
    if !["git", "grep", "sh"].into_iter().all(require) {
        return;
    }
    let case = Case::new();
    let server = guarded(&case.root(), BASIC_TOKEN);
    let url = format!("http://{}/r.git", server.address);
    let folder = case.work.path().join("bin");
    let seen = case.work.path().join("arguments");
    std::fs::create_dir_all(&folder).unwrap();
    let real = run(Command::new("sh").args(["-c", "command -v git"]));
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nexec {} \"$@\"\n",
        seen.display(),
        real.trim()
    );
    // `sh` writes it: a child that another test forks meanwhile would hold the file open, and
    // nobody could run it.
    let place = folder.join("git");
    let write = "printf '%s' \"$1\" > \"$2\" && chmod 755 \"$2\"";
    run(Command::new("sh")
        .args(["-c", write, "sh", &script])
        .arg(&place));
    let mut command = cairn(case.home.path());
    command.args(["build", "-q", "--secret", "id=GIT_AUTH_TOKEN", &url]);
    let path = command.get_envs().find(|(name, _)| *name == "PATH");
    let path = path.and_then(|(_, path)| path).unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), path.to_str().unwrap());
    run(command.env("GIT_AUTH_TOKEN", TOKEN).env("PATH", path));
    let arguments = std::fs::read_to_string(&seen).unwrap();
    assert!(arguments.contains("ls-remote"), "{arguments}");
    for code in CODES {
        assert!(!arguments.contains(code), "{arguments}");
    }
}

#[test]
fn ssh_has_the_agent_that_is_given() {
    if !["git", "sh", "ssh-agent"].into_iter().all(require) {
        return;
    }
    let case = Case::new();
    let folder = case.work.path().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let seen = case.work.path().join("agent");
    // It runs on this machine what it should run on another.
    let script = format!(
        "#!/bin/sh\necho \"$SSH_AUTH_SOCK $*\" >> {}\nfor last; do :; done\nexec sh -c \"$last\"\n",
        seen.display()
    );
    let write = "printf '%s' \"$1\" > \"$2\" && chmod 755 \"$2\"";
    let place = folder.join("ssh");
    run(Command::new("sh")
        .args(["-c", write, "sh", &script])
        .arg(&place));
    let socket = case.work.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let url = format!("ssh://git@host.test{}/r.git", case.root().display());
    let context = case.dockerfile(&format!("FROM scratch\nADD {url} /\n"));
    let mut command = cairn(case.home.path());
    let path = command.get_envs().find(|(name, _)| *name == "PATH");
    let path = path.and_then(|(_, path)| path).unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), path.to_str().unwrap());
    command.args(["build", "-q", "--ssh", "default", &context]);
    run(command.env("PATH", &path).env("SSH_AUTH_SOCK", &socket));
    let mut main = cairn(case.home.path());
    main.arg("build")
        .arg("-q")
        .arg(format!("--ssh=default={}", socket.display()));
    run(main.arg(&url).env("PATH", &path));
    let told = std::fs::read_to_string(&seen).unwrap();
    assert!(told.lines().count() >= 4, "{told}");
    for line in told.lines() {
        assert!(
            line.starts_with(&format!("{} ", socket.display())),
            "{line}"
        );
        assert!(line.contains("BatchMode=yes"), "{line}");
    }
    // Without one, none is there, whatever the environment says.
    std::fs::remove_file(&seen).unwrap();
    let mut none = cairn(case.home.path());
    none.args(["build", "-q", &url]).env("PATH", &path);
    run(none.env("SSH_AUTH_SOCK", &socket));
    let told = std::fs::read_to_string(&seen).unwrap();
    assert!(told.lines().all(|line| line.starts_with(' ')), "{told}");
    drop(listener);
}
