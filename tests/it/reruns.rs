//! `cairn explain --why`: each thing that a step's key is made of is named when it changes.

use std::process::Output;

use crate::support::users::{User, Users};
use crate::support::{cairn, require, run, temp};

/// What the tests are about is the last command.
const STEPS: &str = "COPY --chmod=755 busybox /bin/busybox
ENV PATH=/bin
RUN --network=none [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
COPY files /etc
ARG CC=gcc
RUN --network=none --mount=type=bind,source=mounted,target=/m cat /etc/* /m/* > /out
";

struct Bench {
    users: Users,
}

impl Bench {
    fn new() -> Option<Bench> {
        if !require("busybox") {
            return None;
        }
        let users = Users::new()?;
        std::fs::create_dir(users.path("context")).unwrap();
        std::fs::copy("/bin/busybox", users.path("context/busybox")).unwrap();
        for name in ["files/a", "files/b", "mounted/c"] {
            users.write(&format!("context/{name}"), name);
        }
        Some(Bench { users })
    }

    fn recipe(&self, from: &str, change: impl Fn(&str) -> String) {
        let recipe = format!("FROM {from}\n{}", change(STEPS));
        self.users.write("context/Dockerfile", &recipe);
    }

    fn cairn(&self, arguments: &[&str]) -> Output {
        let mut command = self.users.cairn(User::Me);
        command.args(arguments).output().unwrap()
    }

    /// What a build says.
    fn build(&self, arguments: &[&str]) -> String {
        let context = self.users.text("context");
        let output = self.cairn(&[&["build", "--progress=plain", &context], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said
    }

    fn why(&self, arguments: &[&str]) -> String {
        let output = self.cairn(&[&["explain", "--why"], arguments].concat());
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }
}

/// What is told of a step, by lines.
fn of<'a>(told: &'a str, step: &str) -> Vec<&'a str> {
    let lines = told.lines().skip_while(|line| !line.starts_with(step));
    let more = lines.clone().skip(1);
    let more = more.take_while(|line| line.starts_with(' '));
    lines.take(1).chain(more).map(str::trim).collect()
}

#[test]
fn whatever_of_a_commands_key_changes_is_named_with_what_it_was() {
    let Some(bench) = Bench::new() else { return };
    let same = |steps: &str| steps.to_owned();
    let policy = bench.users.text("policy.json");
    let open = r#"{"version":1,"rules":[{"action":"ALLOW","selector":{"identifier":"*"}}]}"#;
    bench.users.write("policy.json", open);
    let with_policy = ["--source-policy-file", &policy];
    let changed = |from: &'static str, to: &'static str| {
        move |steps: &str| {
            assert!(steps.contains(from));
            steps.replace(from, to)
        }
    };
    type Change<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let run_with = "RUN --network=none --mount";
    let cases: Vec<(Change<'_>, &[&str], &str, [&str; 2])> = vec![
        (
            Box::new(changed("> /out", "> /other")),
            &[],
            "the command",
            ["cat /etc/* /m/* > /out", "cat /etc/* /m/* > /other"],
        ),
        (
            Box::new(same),
            &["--build-arg", "CC=clang"],
            "the variable `CC`",
            ["gcc", "clang"],
        ),
        (
            Box::new(changed(
                run_with,
                "WORKDIR /etc\nRUN --network=none --mount",
            )),
            &[],
            "the working directory",
            ["", "etc"],
        ),
        (
            Box::new(changed(run_with, "USER 0\nRUN --network=none --mount")),
            &[],
            "the user",
            ["(none)", "0"],
        ),
        (
            Box::new(changed("target=/m", "target=/m,rw")),
            &[],
            "the mount at `m`",
            [
                r#"{"source":"","type":"bind"}"#,
                r#"{"source":"","type":"bind","writable":true}"#,
            ],
        ),
        (
            Box::new(same),
            &["--add-host", "a.example:1.2.3.4"],
            "the host `a.example`",
            ["(none)", "1.2.3.4"],
        ),
        (
            Box::new(same),
            &["--ulimit", "nofile=64"],
            "the limit `nofile`",
            ["(none)", r#"{"hard":64,"soft":64}"#],
        ),
        (
            Box::new(same),
            &["--shm-size", "1m"],
            "the size of /dev/shm",
            ["(none)", "1048576"],
        ),
        (
            Box::new(same),
            &["--no-normalise", "gzip"],
            "the normalisers that are turned off",
            ["(none)", "gzip"],
        ),
        (
            Box::new(same),
            &["--strict"],
            "the order of processes (`--strict`)",
            ["(none)", "true"],
        ),
        (
            Box::new(same),
            &["--build-arg", "SOURCE_DATE_EPOCH=1600000000"],
            "the epoch (SOURCE_DATE_EPOCH)",
            ["315532800", "1600000000"],
        ),
        (
            Box::new(changed(run_with, "RUN --mount")),
            &with_policy,
            "what the lock or the policy says of what it fetches",
            ["(none)", "sha256:"],
        ),
    ];
    for (change, arguments, what, [was, is]) in cases {
        bench.recipe("scratch", same);
        bench.build(&[]);
        bench.recipe("scratch", change);
        let said = bench.build(arguments);
        let told = bench.why(&["cat /etc"]);
        let lines = of(&told, "run cat");
        let at = lines.iter().position(|line| *line == what);
        let at = at.unwrap_or_else(|| panic!("{what}: {told}"));
        assert_eq!(lines[at + 1], format!("was  {was}").trim_end(), "{told}");
        let expected = format!("is   {is}");
        match is {
            "sha256:" => assert!(lines[at + 2].starts_with(&expected), "{told}"),
            _ => assert_eq!(lines[at + 2], expected, "{told}"),
        }
        assert!(said.contains("runs again, as the "), "{said}");
        // And nothing else.
        let all = lines.iter().filter(|line| line.starts_with("the "));
        let own = all.filter(|line| !line.starts_with("the layers below"));
        let most = match what {
            // A command that has a network is another in that, too.
            "what the lock or the policy says of what it fetches" => 2,
            // The files of contexts have that time.
            "the epoch (SOURCE_DATE_EPOCH)" => 2,
            _ => 1,
        };
        assert!(own.count() <= most, "{told}");
    }
}

#[test]
fn files_and_layers_that_changed_are_named_with_the_step_that_they_began_with() {
    let Some(bench) = Bench::new() else { return };
    bench.recipe("scratch", str::to_owned);
    bench.build(&[]);
    let all = bench.why(&[]);
    assert_eq!(
        of(&all, "copy files")[1],
        "is new: the build before had no such step"
    );
    let said = bench.build(&[]);
    assert!(!said.contains("runs again"), "{said}");
    assert_eq!(bench.why(&[]), "4 steps were cached\n");

    bench.users.write("context/files/a", "other");
    bench.users.write("context/files/new", "new");
    std::fs::remove_file(bench.users.path("context/files/b")).unwrap();
    let said = bench.build(&[]);
    let told = bench.why(&["cat /etc"]);
    let (command, copy) = (of(&told, "run cat"), of(&told, "copy files"));
    assert_eq!(
        command[1], "the layers below, of `copy files → /etc`",
        "{told}"
    );
    assert_eq!(command.len(), 4, "{told}");
    assert_eq!(copy[1], "the files of `read files`", "{told}");
    let [was, is] = [(2, "was  "), (3, "is   ")].map(|(at, word): (usize, &str)| {
        let digest = copy[at].strip_prefix(word).unwrap();
        digest.parse::<cairn::canon::Digest>().unwrap()
    });
    assert_ne!(was, is);
    let short = |content: &[u8]| cairn::canon::Digest::of(content).short();
    let expected = [
        format!("~ /etc/a  {} → {}", short(b"files/a"), short(b"other")),
        "- /etc/b".to_owned(),
        "+ /etc/new".to_owned(),
    ];
    assert_eq!(copy[4..], expected, "{told}");
    // One line in the build, for what all the rest follows from.
    let again: Vec<_> = said
        .lines()
        .filter(|line| line.contains("runs again"))
        .collect();
    let expected = format!(
        "copy files → /etc: runs again, as the files of `read files` changed: {} → {}",
        was.short(),
        is.short()
    );
    assert_eq!(again, [expected]);

    bench.users.write("context/mounted/c", "other");
    bench.build(&[]);
    let told = bench.why(&["cat /etc"]);
    let lines = of(&told, "run cat");
    assert_eq!(lines[1], "the files of `read mounted`", "{told}");
    let changed = format!("{} → {}", short(b"mounted/c"), short(b"other"));
    assert!(
        lines[4].contains("c  ") && lines[4].ends_with(&changed),
        "{told}"
    );
    // The same by its key.
    let output = bench.cairn(&["log"]);
    let list = String::from_utf8(output.stdout).unwrap();
    let key = list.lines().find(|line| line.contains("cat /etc")).unwrap();
    let key = key.split_whitespace().next().unwrap();
    assert_eq!(bench.why(&[key]), told);
}

#[test]
fn a_base_that_changed_is_named_and_so_is_what_ran_for_no_such_reason() {
    let Some(bench) = Bench::new() else { return };
    let base = bench.users.text("base");
    for content in ["one", "two"] {
        bench
            .users
            .write("base-context/Dockerfile", "FROM scratch\nCOPY f /f\n");
        bench.users.write("base-context/f", content);
        let context = bench.users.text("base-context");
        let _ = std::fs::remove_dir_all(&base);
        let to = format!("type=oci-dir,dest={base}");
        let output = bench.cairn(&["build", "-q", "-o", &to, &context]);
        assert!(output.status.success());
        bench.recipe("base", str::to_owned);
        let from = format!("base=oci-layout://{base}");
        bench.build(&["--build-context", &from]);
    }
    let told = bench.why(&["copy busybox"]);
    let lines = of(&told, "copy busybox");
    assert!(lines[1].starts_with("the layers below, of `"), "{told}");
    let digests = [(2, "was  sha256:"), (3, "is   sha256:")];
    let digests = digests.map(|(at, word): (usize, &str)| lines[at].strip_prefix(word).unwrap());
    assert_ne!(digests[0], digests[1]);

    bench.recipe("scratch", str::to_owned);
    bench.build(&[]);
    bench.build(&["--no-cache"]);
    let told = bench.why(&[]);
    let expected = "ran as `--no-cache` says; its key is what it was";
    assert_eq!(of(&told, "run cat")[1], expected, "{told}");
}

#[test]
fn what_is_not_known_is_said() {
    let home = temp();
    let why = |asked: &str| {
        let mut command = cairn(home.path());
        command
            .args(["explain", "--why"])
            .args(Some(asked).filter(|it| !it.is_empty()));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    };
    let (code, said) = why("");
    assert_eq!(
        (code, said.as_str()),
        (0, "no build has come to a step yet\n")
    );
    let context = home.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("f"), "f").unwrap();
    std::fs::write(
        context.join("Dockerfile"),
        "FROM scratch\nCOPY f /a\nCOPY f /b\n",
    )
    .unwrap();
    run(cairn(home.path()).args(["build", "-q"]).arg(&context));
    for (asked, code, why_not) in [
        ("make", 3, "the last build had no step `make`"),
        ("copy", 2, "is in the names of 2 steps"),
        ("0123456789abcdef", 3, "there is no log of a step"),
    ] {
        let (got, said) = why(asked);
        assert_eq!(got, code, "{said}");
        assert!(said.contains(why_not), "{said}");
    }
    // Records are caches: without them a build is the same, and nothing is known.
    let digest = |home: &std::path::Path| run(cairn(home).args(["build", "-q"]).arg(&context));
    let before = digest(home.path());
    std::fs::remove_dir_all(home.path().join("builds")).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "each is damaged, in whatever order"
    )]
    let records = std::fs::read_dir(home.path().join("steps")).unwrap();
    for record in records {
        let path = record.unwrap().path();
        if path.extension().is_some_and(|it| it == "made") {
            std::fs::write(path, "damaged").unwrap();
        }
    }
    assert_eq!(digest(home.path()), before);
    std::fs::write(context.join("f"), "g").unwrap();
    digest(home.path());
    let output = cairn(home.path())
        .args(["explain", "--why"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        of(&told, "copy f → /a")[1],
        "the files of `read f`",
        "{told}"
    );
}
