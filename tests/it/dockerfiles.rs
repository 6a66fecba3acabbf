//! Images of Dockerfiles: the same as of recipes that say the same, and as people expect them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use crate::support::tars::archive;
use crate::support::{cairn, run, temp};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A context and a store.
struct Case(tempfile::TempDir);

impl Case {
    fn new(files: &[(&str, &str)]) -> Case {
        let case = Case(temp());
        for (name, content) in files {
            case.write(name, content.as_bytes());
        }
        case
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.context().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn context(&self) -> std::path::PathBuf {
        self.0.path().join("context")
    }

    fn command(&self, recipe: &str, arguments: &[&str]) -> std::process::Command {
        let name = match recipe.contains("from = ") {
            true => "recipe.toml",
            false => "Dockerfile",
        };
        self.write(name, recipe.as_bytes());
        let mut command = cairn(&self.0.path().join("store"));
        command.args(["build", "-q", "--platform", "linux/amd64", "-f"]);
        command.arg(self.context().join(name)).args(arguments);
        command.arg(self.context());
        command
    }

    /// The image's digest.
    fn digest(&self, recipe: &str) -> String {
        run(&mut self.command(recipe, &[])).trim().to_owned()
    }

    /// What an image holds: mode, owner and content, or a link's target, by path.
    fn files(&self, recipe: &str, arguments: &[&str]) -> BTreeMap<String, String> {
        let out = self.0.path().join("out.tar");
        let output = format!("type=tar,dest={}", out.display());
        run(self.command(recipe, arguments).args(["-o", &output]));
        let mut tar = tar::Archive::new(std::fs::File::open(out).unwrap());
        let mut files = BTreeMap::new();
        for member in tar.entries().unwrap() {
            let mut member = member.unwrap();
            let path = member.path().unwrap().display().to_string();
            if path == "./" {
                continue;
            }
            let header = member.header();
            let (mode, uid, gid) = (
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
            );
            let mut text = String::new();
            let link = member
                .link_name()
                .unwrap()
                .map(|to| to.display().to_string());
            member.read_to_string(&mut text).unwrap();
            let text = link.unwrap_or(text);
            files.insert(
                path,
                format!("{mode:o} {uid}:{gid} {text}").trim().to_owned(),
            );
        }
        files
    }

    fn failure(&self, recipe: &str) -> String {
        let output = self.command(recipe, &[]).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

fn of<'a>(files: &'a BTreeMap<String, String>, path: &str) -> &'a str {
    let file = files.get(path).or_else(|| files.get(&format!("{path}/")));
    file.map_or("", String::as_str)
}

#[test]
fn what_says_the_same_gives_the_same_image() {
    let case = Case::new(&[
        ("site/index.html", "hi"),
        ("site/draft.md", "no"),
        ("lib", "l"),
    ]);
    let dockerfile = "FROM scratch AS lib\nCOPY lib /out/lib\nFROM scratch\n\
        COPY --chmod=0640 --chown=7:8 --exclude=*.md site /srv/www/\n\
        COPY --from=lib /out/lib /opt/\nCOPY <<END /etc/motd\nhello\nEND\nWORKDIR /srv\n\
        ENV A=1\nLABEL b=c\nUSER 7\nEXPOSE 80\n";
    let recipe = format!(
        "from = \"scratch\"\nsteps = [\n\
        {{ copy = {{ paths = [\"site\"], to = \"/srv/www/\", exclude = [\"*.md\"], mode = \"0640\", \
        owner = \"7:8\", missing-ok = true }} }},\n\
        {{ copy = {{ from = {{ stage = \"lib\" }}, paths = [\"out/lib\"], to = \"/opt/\" }} }},\n\
        {{ file = {{ path = \"/etc/motd\", content = \"hello\\n\" }} }},\n\
        {{ directory = {{ path = \"/srv\", keep = true }} }},\n]\n\
        [stages.lib]\nfrom = \"scratch\"\n\
        steps = [{{ copy = {{ paths = [\"lib\"], to = \"/out/lib\" }} }}]\n\
        [config]\nenv = {{ PATH = \"{PATH}\", A = \"1\" }}\nworkdir = \"/srv\"\n\
        labels = {{ b = \"c\" }}\nuser = \"7\"\nports = [\"80\"]\n"
    );
    assert_eq!(case.digest(dockerfile), case.digest(&recipe));
}

#[test]
fn add_unpacks_archives_and_replaces_what_is_in_the_way() {
    let case = Case::new(&[("plain", "text")]);
    let tar = archive(&[
        ("dir", b'0', "a file now"),
        ("file/", b'5', ""),
        ("file/inside", b'0', "a directory now"),
    ]);
    case.write("a.tar", &tar);
    case.write("first/dir/old", b"old");
    case.write("first/file", b"old");
    let files = case.files("FROM scratch\nCOPY first /\nADD a.tar plain /\n", &[]);
    assert!(of(&files, "dir").ends_with("a file now"), "{files:?}");
    assert!(of(&files, "file/inside").ends_with("a directory now"));
    assert!(of(&files, "plain").ends_with("text"));
    assert!(!files.contains_key("dir/old"));
    let files = case.files("FROM scratch\nADD --unpack=false a.tar /x/\n", &[]);
    assert!(files.contains_key("x/a.tar"), "{files:?}");
}

#[test]
fn linked_copies_are_the_same_layers_over_any_base() {
    let case = Case::new(&[("a", "1"), ("b", "2")]);
    let one = "FROM scratch\nCOPY a /x/\nCOPY --link b /y/\n";
    let other = "FROM scratch\nCOPY b /z\nCOPY --link b /y/\n";
    let files = case.files(one, &[]);
    assert!(of(&files, "y/b").ends_with('2'));
    assert!(of(&files, "x/a").ends_with('1'));
    let last = |recipe: &str| {
        let layout = self::layout(&case, recipe);
        layout.last().unwrap().clone()
    };
    assert_eq!(last(one), last(other));
}

/// The digests of an image's layers.
fn layout(case: &Case, recipe: &str) -> Vec<String> {
    let folder = temp();
    let output = format!("type=oci-dir,dest={}", folder.path().join("l").display());
    run(case.command(recipe, &[]).args(["-o", &output]));
    let read = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let root = folder.path().join("l");
    let index = read(&root.join("index.json"));
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let blob = digest.replace(':', "/");
    let manifest = read(&root.join("blobs").join(blob));
    let layers = manifest["layers"].as_array().unwrap();
    let digests = layers.iter().map(|layer| layer["digest"].as_str().unwrap());
    digests.map(str::to_owned).collect()
}

#[test]
fn modes_may_be_symbolic_and_links_at_the_destination_are_followed() {
    let case = Case::new(&[("d/f", "x"), ("g", "y")]);
    std::os::unix::fs::symlink("target", case.context().join("link")).unwrap();
    case.write("l/keep", b"");
    std::os::unix::fs::symlink("../away/f", case.context().join("l/gone")).unwrap();
    let recipe = "FROM scratch\nCOPY --chmod=u=rwX,go= d /d\nCOPY l /l\nCOPY g /l/gone\n";
    let files = case.files(recipe, &[]);
    assert_eq!(of(&files, "d/f"), "600 0:0 x");
    assert_eq!(of(&files, "d"), "700 0:0");
    assert!(of(&files, "l/gone").ends_with("../away/f"));
    assert!(of(&files, "away/f").ends_with('y'), "{files:?}");
}

#[test]
fn arguments_choose_and_their_rules_leave_out() {
    let case = Case::new(&[
        ("a", "1"),
        ("b", "2"),
        ("Dockerfile.dockerignore", "b\nDocker*\n"),
    ]);
    let recipe = "ARG BASE=scratch\nFROM $BASE\nARG WHAT=b\nCOPY ${WHAT}* /\n";
    let files = case.files(recipe, &["--build-arg", "WHAT=a"]);
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), ["a"]);
    // A wildcard may match nothing; a name may not.
    assert!(case.files(recipe, &[]).is_empty());
    let error = case.failure("FROM scratch\nCOPY b /\n");
    assert!(error.contains("there is no `b`"), "{error}");
}

#[test]
fn a_base_says_what_is_done_above_it() {
    let case = Case::new(&[("a", "1")]);
    let base =
        "FROM scratch\nCOPY a /base\nENV X=from-base\nWORKDIR /w\nONBUILD COPY a triggered\n";
    run(case
        .command(base, &[])
        .args(["-t", "registry.example/base"]));
    let files = case.files("FROM registry.example/base\nCOPY a /$X\n", &[]);
    assert!(files.contains_key("w/triggered"), "{files:?}");
    assert!(files.contains_key("from-base"));
    let error = case.failure("FROM registry.invalid:1/none\nCOPY a /\n");
    assert!(error.contains("Dockerfile:1:6"), "{error}");
}
