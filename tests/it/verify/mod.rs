//! `cairn verify`: a rebuild's verdict, its statement, and what rebuilders agree on; in [`why`] what is
//! said of where they differ.

mod why;

use std::path::Path;
use std::process::Output;

use cairn::canon::Digest;
use serde_json::Value;

use crate::support::users::{User, Users};
use crate::support::{require, run};

/// What sees the clock, chance, memory, names and the order of what it finds.
const SEES: &str = "RUN --network=none mkdir /tmp && date > /now && stat -c '%n %s %a %X %Y %Z' /etc/* > /stat && ls -lR /etc > /list && \
    head -c 99 /dev/urandom > /chance && cat /etc/* > /all && \
    tar cf /tar /etc /now && sleep 0.01 && date +%s%N >> /now";

struct Bench {
    users: Users,
    user: User,
}

impl Bench {
    fn new(user: User) -> Option<Bench> {
        if !require("busybox") {
            return None;
        }
        let users = Users::new()?;
        Some(Bench { users, user })
    }

    /// A context on this machine's busybox, with such further lines. Each applet is a file of its own, so
    /// that a shell executes it as it would any program.
    fn on_busybox(&self, lines: &str) -> String {
        let start = "FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\nENV PATH=/bin\n\
            RUN --network=none [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
        self.users
            .write("context/Dockerfile", &format!("{start}{lines}\n"));
        std::fs::copy("/bin/busybox", self.users.path("context/busybox")).unwrap();
        self.users.text("context")
    }

    /// The same with files in `/etc`.
    fn context(&self, lines: &str) -> String {
        for name in ["b", "a", "c", "z"] {
            self.users.write(&format!("context/files/{name}"), name);
        }
        self.on_busybox(&format!("COPY files /etc\n{lines}"))
    }

    fn cairn(&self, arguments: &[&str]) -> Output {
        let mut command = self.users.cairn(self.user);
        command.args(arguments).output().unwrap()
    }

    fn build(&self, arguments: &[&str]) {
        let mut command = self.users.cairn(self.user);
        run(command.args(["build", "-q"]).args(arguments));
    }

    /// The exit code and what was told.
    fn verify(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.cairn(&[&["verify"], arguments].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        (code, text(output.stdout), text(output.stderr))
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_step_without_network_is_identical_whatever_is_otherwise() {
    for user in User::ALL {
        let Some(bench) = Bench::new(user) else {
            return;
        };
        let context = bench.context(SEES);
        bench.build(&["-t", "app:1", &context]);
        let statement = bench.users.store(user).join("said.json");
        let statement = statement.to_str().unwrap();
        let arguments = [
            "app:1",
            &context,
            "--vary",
            "all",
            "--rebuilder",
            "me",
            "-o",
            statement,
        ];
        let (code, out, err) = bench.verify(&arguments);
        assert_eq!(code, 0, "{user:?}\n{out}{err}");
        assert!(out.starts_with("IDENTICAL\n"), "{out}");
        let said = json(Path::new(statement));
        assert_eq!(said["predicateType"], "urn:cairn:rebuild:1");
        let predicate = &said["predicate"];
        assert_eq!(predicate["verdict"], "IDENTICAL");
        assert_eq!(predicate["rebuilt"], said["subject"][0]["digest"]);
        // All were, but what the user may not.
        let count = |what: &str| match &predicate[what] {
            Value::Array(all) => all.len(),
            Value::Object(all) => all.len(),
            _ => 0,
        };
        assert_eq!(count("varied") + count("notVaried"), 11, "{said}");
        assert!(count("varied") >= 9, "{said}");
        // Nothing is left of the rebuild.
        let images = String::from_utf8(bench.cairn(&["images", "-q"]).stdout).unwrap();
        assert_eq!(images.lines().count(), 1, "{images}");
    }
}

#[test]
fn a_statement_names_what_was_taken_and_said() {
    let Some(bench) = Bench::new(User::ALL[0]) else {
        return;
    };
    let base = bench.context("");
    let layout = format!("{}/layout", bench.users.text("context"));
    bench.build(&["-o", &format!("type=oci-dir,dest={layout}"), &base]);
    let index = json(Path::new(&format!("{layout}/index.json")));
    bench.users.write(
        "context/Dockerfile",
        "FROM base\nARG WHO\nCOPY files/a /a\nRUN --network=none echo $WHO > /who\n",
    );
    let said = [
        "--build-context",
        &format!("base=oci-layout://{layout}"),
        "--build-arg",
        "WHO=me",
        "--build-arg",
        "NPM_TOKEN=hidden",
        "--build-arg",
        "https_proxy=http://me:hidden@proxy.test:1/",
        "--label",
        "a=b",
        "--annotation",
        "c=d",
        "--ulimit",
        "nofile=512:1024",
        "--no-normalise",
        "zip",
        "--network",
        "none",
        "--strict",
        &base,
    ];
    bench.build(&[&["-t", "app:1"], &said[..]].concat());
    let statement = bench.users.text("said.json");
    let (code, out, err) = bench.verify(&[&["app:1", "-o", &statement], &said[..]].concat());
    assert_eq!(code, 0, "{out}{err}");
    let predicate = json(Path::new(&statement))["predicate"].take();
    let platform = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        _ => "linux/arm64",
    };
    let told = serde_json::json!({
        "annotation": ["c=d"], "build-context": ["base"], "label": ["a=b"],
        "build-arg": ["WHO=me", "NPM_TOKEN", "https_proxy=http://xxxxx@proxy.test:1/"],
        "network": ["none"], "no-normalise": ["zip"], "platform": [platform],
        "source-date-epoch": ["315532800"], "strict": ["true"], "ulimit": ["nofile=512:1024"],
    });
    assert_eq!(predicate["parameters"], told);
    let materials = predicate["materials"].as_array().unwrap();
    let names: Vec<_> = materials.iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["Dockerfile", "image layout", "read files/a"]);
    let digest = |at: usize| materials[at]["digest"]["sha256"].as_str().unwrap();
    let recipe = std::fs::read(bench.users.path("context/Dockerfile")).unwrap();
    assert_eq!(digest(0), Digest::of(&recipe).hex());
    let manifest = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(format!("sha256:{}", digest(1)), manifest);
}

#[test]
fn the_ladder_is_never_blurred() {
    let Some(bench) = Bench::new(User::ALL[0]) else {
        return;
    };
    let context = bench.context("RUN --network=none echo made > /made");
    bench.build(&["-t", "app:1", &context]);
    bench.build(&["-t", "named:1", "--label", "a=b", &context]);
    bench.build(&[
        "-t",
        "later:1",
        "--build-arg",
        "SOURCE_DATE_EPOCH=1600000000",
        &context,
    ]);
    bench.users.write("context/files/a", "changed");
    bench.build(&["-t", "other:1", &context]);
    bench.users.write("context/files/a", "a");
    for (image, code, verdict, told) in [
        ("app:1", 0, "IDENTICAL", "rebuilt"),
        ("named:1", 1, "SAME-CONTENT", "config.config.Labels"),
        ("later:1", 1, "SAME-AFTER-NAMED-PASSES", "passes     times"),
        ("other:1", 1, "DIFFERENT", "~ /etc/a"),
    ] {
        let (got, out, err) = bench.verify(&[image, &context]);
        assert_eq!(got, code, "{image}: {out}{err}");
        assert_eq!(out.lines().next(), Some(verdict), "{out}");
        assert!(out.contains(told), "{image}: {out}");
    }
    bench
        .users
        .write("context/Dockerfile", "FROM nothing.invalid/none:1\n");
    let (code, out, err) = bench.verify(&["app:1", &context]);
    assert_eq!(
        (code, out.lines().next()),
        (2, Some("CANNOT-REBUILD")),
        "{err}"
    );
    assert!(err.contains("nothing.invalid/none:1"), "{err}");
    let (code, _, err) = bench.verify(&["absent:1", &context]);
    assert_eq!(code, 2);
    assert!(err.contains("no image `"), "{err}");
}

#[test]
fn what_others_leave_behind_is_named_by_the_normaliser_that_would_not() {
    let Some(bench) = Bench::new(User::ALL[0]) else {
        return;
    };
    let context = bench.context(
        "RUN --network=none mkdir -p /var/log /var/cache/ldconfig && echo ran > /var/log/dpkg.log && \
         echo seen > /var/cache/ldconfig/aux-cache",
    );
    bench.build(&["-t", "raw:1", "--no-normalise", "all", &context]);
    let (code, out, err) = bench.verify(&["raw:1", &context]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.starts_with("SAME-AFTER-NAMED-PASSES\n"), "{out}");
    assert!(out.contains("passes     ldconfig, logs\n"), "{out}");
}

#[test]
fn what_was_compressed_otherwise_is_rebuilt_so() {
    let Some(bench) = Bench::new(User::ALL[0]) else {
        return;
    };
    let context = bench.context("");
    for codec in ["zstd", "uncompressed", "gzip"] {
        let output = format!("type=image,name=app:{codec},compression={codec}");
        bench.build(&["-o", &output, &context]);
        let (code, out, err) = bench.verify(&[&format!("app:{codec}"), &context]);
        assert_eq!(code, 0, "{codec}: {out}{err}");
    }
}

#[test]
fn several_rebuilders_decide() {
    let Some(bench) = Bench::new(User::ALL[0]) else {
        return;
    };
    let context = bench.context("");
    bench.build(&["-t", "app:1", &context]);
    let file = |name: &str| bench.users.text(&format!("{name}.json"));
    for name in ["anna", "ben"] {
        let (code, ..) = bench.verify(&["app:1", &context, "--rebuilder", name, "-o", &file(name)]);
        assert_eq!(code, 0);
    }
    let text = std::fs::read_to_string(file("ben")).unwrap();
    let other = text
        .replace("\"ben\"", "\"cara\"")
        .replace("IDENTICAL", "DIFFERENT");
    std::fs::write(file("cara"), other).unwrap();
    let decide = |quorum: &str, names: &[&str]| {
        let files: Vec<_> = names
            .iter()
            .map(|name| format!("--statement={}", file(name)))
            .collect();
        let files = files.iter().map(String::as_str);
        let arguments: Vec<_> = ["app:1", "--require", quorum]
            .into_iter()
            .chain(files)
            .collect();
        bench.verify(&arguments)
    };
    let (code, out, _) = decide("2-of-3", &["anna", "ben", "cara"]);
    assert_eq!((code, out.lines().next()), (0, Some("ENOUGH")));
    assert!(out.contains("cara: DIFFERENT"), "{out}");
    assert_eq!(decide("3-of-3", &["anna", "ben", "cara"]).0, 1);
    assert_eq!(decide("2-of-3", &["anna", "anna"]).0, 1);
    assert_eq!(decide("1-of-2", &["anna", "ben", "cara"]).0, 2);
    assert_eq!(decide("2-of-1", &["anna"]).0, 2);
    // One's own rebuild counts beside them.
    let own = [
        "app:1",
        &context,
        "--rebuild",
        "--rebuilder",
        "dora",
        "--require",
        "2-of-2",
    ];
    let anna = format!("--statement={}", file("anna"));
    assert_eq!(bench.verify(&[&own[..], &[&anna]].concat()).0, 0);
    std::fs::write(file("none"), "{}").unwrap();
    let (code, _, err) = decide("1-of-1", &["none"]);
    assert!(code == 2 && err.contains("no in-toto statement"), "{err}");
}
