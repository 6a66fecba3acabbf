//! Commands in builds: what becomes of what they change, write and mount.

mod debris;
pub mod ground;
mod network;
mod packages;

use std::sync::{Arc, Mutex};

use cairn::plan::command::{MountKind, Sharing};
use cairn::plan::{Operation, Plan};

use cairn::sandbox::Wanted;

use crate::support::temp;
use ground::{Ground, mounted, path, script};

/// The layer that a command makes on the base.
#[track_caller]
fn makes(text: &str, expected: &[&str]) {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let top = ground.run(script(text), &[base]);
    assert_eq!(ground.layer(top), expected);
    assert!(ground.is_tidy());
}

#[test]
fn what_a_command_changes_is_a_layer() {
    makes(
        "mkdir /a && echo x > /a/f && ln /a/f /a/g && ln -s f /a/l && rm /bin/ls && chmod 600 /etc/group",
        &[
            "d 0755 0:0 a -",
            "f 0644 0:0 a/f 2",
            "h 0644 0:0 a/g a/f",
            "l 0777 0:0 a/l f",
            "d 0755 0:0 bin -",
            "w 0000 0:0 bin/ls -",
            "d 0755 0:0 etc -",
            "f 0600 0:0 etc/group 12",
        ],
    );
}

#[test]
fn a_directory_made_anew_hides_what_was_in_it_one_by_one() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let first = ground.run(script("mkdir -p /d/e; touch /d/1 /d/2 /d/e/3"), &[base]);
    let top = ground.run(
        script("rm -r /d && mkdir -p /d/e && echo x > /d/x"),
        &[first],
    );
    let expected = [
        "d 0755 0:0 d -",
        "w 0000 0:0 d/1 -",
        "w 0000 0:0 d/2 -",
        "d 0755 0:0 d/e -",
        "w 0000 0:0 d/e/3 -",
        "f 0644 0:0 d/x 2",
    ];
    assert_eq!(ground.layer(top), expected);
}

#[test]
fn a_command_that_changes_nothing_adds_no_layer() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let alone = ground.build(base).unwrap();
    let text =
        "touch /etc/passwd && cat /etc/group > /g && cat /g > /etc/group && rm /g; echo done";
    let top = ground.run(script(text), &[base]);
    let layers = |built: &cairn::build::Built, ground: &Ground| {
        let manifest = ground
            .settings
            .store
            .read(&built.descriptor.digest, 1 << 20);
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.unwrap()).unwrap();
        manifest["layers"].clone()
    };
    let built = ground.build(top).unwrap();
    assert_eq!(layers(&built, &ground), layers(&alone, &ground));
    assert_eq!(ground.output(), ["done"]);
    // And it is not run again.
    ground.build(top).unwrap();
    assert_eq!(ground.output(), [""; 0]);
}

#[test]
fn commands_see_what_those_before_them_made_and_as_whom_they_run() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let first = ground.run(script("echo one > /one; rm /bin/mv"), &[base]);
    let mut second = script("cat /one; ls /bin/mv; id; echo $HOME $PWD");
    second.user = Some("web".to_owned());
    second.workdir = path("srv/www");
    let second = ground.run(second, &[first]);
    ground.build(second).unwrap();
    let mut output = ground.output();
    output.sort();
    assert_eq!(
        output,
        [
            "/srv /srv/www",
            "ls: /bin/mv: No such file or directory",
            "one",
            "uid=33(web) gid=34 groups=4(adm)",
        ]
    );
}

#[test]
fn a_failure_tells_how_it_ended_and_what_was_written_last_and_is_not_cached() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    for (text, expected) in [
        ("echo so; echo near >&2; exit 7", "exit code 7"),
        ("echo so; echo near >&2; kill -9 $$", "signal 9 (SIGKILL)"),
    ] {
        let base = ground.base();
        let top = ground.run(script(text), &[base]);
        for _ in 0..2 {
            let error = ground.build(top).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("near"), "{error}");
            assert_eq!(ground.output().len(), 2);
        }
        ground.plan = Plan::default();
    }
    let logs = ground.settings.store.logs();
    let log = std::fs::read_to_string(ground.settings.store.log_path(&logs[0])).unwrap();
    assert!(log.contains("so\n") && log.contains("near\n"));
    assert!(ground.is_tidy());
}

#[test]
fn where_a_command_failed_can_be_looked_at() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let hear = said.clone();
    ground.settings.on_failure = Some(Box::new(move |scene| {
        let (input, typed) = std::io::pipe().unwrap();
        let (mut shown, output) = std::io::pipe().unwrap();
        let write = std::thread::spawn(move || {
            use std::io::Write;
            let mut typed = typed;
            typed.write_all(b"cat /left\nexit\n").unwrap();
            typed
        });
        let outcome = scene.shell(input.into(), output.into());
        drop(write.join());
        std::io::Read::read_to_end(&mut shown, &mut hear.lock().unwrap()).unwrap();
        outcome.unwrap();
    }));
    let base = ground.base();
    let top = ground.run(script("echo evidence > /left; exit 1"), &[base]);
    ground.build(top).unwrap_err();
    let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
    assert!(said.contains("evidence"), "{said}");
}

#[test]
fn secrets_are_there_for_the_command_and_nowhere_else() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let secret = b"correct horse\n".to_vec();
    ground
        .settings
        .commands
        .secrets
        .insert("key".to_owned(), secret);
    let base = ground.base();
    let kind = |id: &str| MountKind::Secret {
        id: id.to_owned(),
        file: true,
        variable: Some("KEY".to_owned()),
        required: true,
        mode: 0o400,
        uid: 0,
        gid: 0,
    };
    let text = "ls -l /run/secrets/key; cat /run/secrets/key; echo $KEY";
    let top = ground.run(mounted("run/secrets/key", kind("key"), text), &[base]);
    ground.build(top).unwrap();
    let output = ground.output();
    assert!(output[0].starts_with("-r--------"), "{output:?}");
    assert_eq!(output[1..], ["***", "***"]);
    ground.plan = Plan::default();
    let base = ground.base();
    let top = ground.run(mounted("run/secrets/key", kind("none"), text), &[base]);
    let error = ground.build(top).unwrap_err().to_string();
    assert!(error.contains("--secret id=none"), "{error}");
    let found = std::process::Command::new("grep")
        .args(["-rl", "correct horse"])
        .arg(ground.folder.path().join("store"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
}

#[test]
fn mounts_are_no_part_of_the_layer() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    std::fs::create_dir_all(ground.folder.path().join("context/src/deep")).unwrap();
    std::fs::write(ground.folder.path().join("context/src/deep/f"), "text\n").unwrap();
    let base = ground.base();
    let files = ground.files("src");
    let stage = ground.file(base, "from/stage", "staged\n");
    let bind = |source: &str, writable| MountKind::Bind {
        source: path(source),
        writable,
    };
    let mut command = mounted("m/files", bind("", false), "");
    let mut add = |target: &str, kind| {
        let target = path(target);
        command
            .mounts
            .push(cairn::plan::command::Mount { target, kind });
    };
    add("m/stage", bind("from", true));
    let tmpfs = MountKind::Tmpfs {
        size: None,
        read_only: false,
    };
    add("m/tmp", tmpfs);
    let inline = MountKind::Inline {
        content: "inline\n".to_owned(),
        mode: 0o755,
    };
    add("m/inline", inline);
    command.arguments = script(
        "cat /m/files/deep/f /m/stage/stage /m/inline && ! touch /m/files/x 2> /dev/null \
         && echo new > /m/stage/stage && cat /m/stage/stage && touch /m/tmp/x && echo kept > /kept",
    )
    .arguments;
    let top = ground.run(command, &[base, files, stage]);
    assert_eq!(ground.layer(top), ["f 0644 0:0 kept 5"]);
    assert_eq!(ground.output(), ["text", "staged", "inline", "new"]);
}

#[test]
fn caches_outlive_the_build_and_no_cache() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let kind = |from: bool| MountKind::Cache {
        id: format!("id {from}"),
        sharing: Sharing::Locked,
        read_only: false,
        from: from.then(|| path("etc")),
        mode: 0o700,
        uid: 0,
        gid: 0,
    };
    let text = "echo x >> /c/n; cat /c/n; ls -d /c/*; ls -ld /c";
    let top = ground.run(mounted("c", kind(false), text), &[base]);
    ground.settings.no_cache = true;
    for times in 1..3 {
        ground.build(top).unwrap();
        let output = ground.output();
        assert_eq!(output.iter().filter(|line| *line == "x").count(), times);
        assert!(
            output.last().unwrap().starts_with("drwx------"),
            "{output:?}"
        );
    }
    ground.plan = Plan::default();
    let base = ground.base();
    let top = ground.run(mounted("c", kind(true), "ls /c"), &[base, base]);
    ground.build(top).unwrap();
    assert_eq!(ground.output(), ["group", "passwd"]);
}

#[test]
fn steps_that_do_not_need_each_other_run_at_one_time() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    // Each waits for the other, by a cache that both have.
    let kind = MountKind::Cache {
        id: "meeting".to_owned(),
        sharing: Sharing::Shared,
        read_only: false,
        from: None,
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    let meet = |me: &str, other: &str| {
        let text =
            format!("touch /c/{me}; while ! [ -e /c/{other} ]; do :; done; echo {me} > /{me}");
        mounted("c", kind.clone(), &text)
    };
    let a = ground.run(meet("a", "b"), &[base]);
    let b = ground.run(meet("b", "a"), &[base]);
    let top = ground.step(Operation::Merge, &[a, b]);
    ground.build(top).unwrap();
}

#[test]
fn with_one_user_alone_the_digest_is_the_same() {
    if Ground::new().is_none() {
        return;
    }
    let digests = [Wanted::Best, Wanted::Single].map(|identity| {
        let mut ground = Ground::at(temp(), identity);
        let base = ground.base();
        let text = "mkdir -m 1777 /t; echo x > /t/f; chmod 4755 /t/f; ln /t/f /t/g; rm /bin/rm";
        let top = ground.run(script(text), &[base]);
        let top = ground.run(script("cat /t/g > /t/h; ! ls /bin/rm 2> /dev/null"), &[top]);
        ground.build(top).unwrap().descriptor.digest
    });
    assert_eq!(digests[0], digests[1]);
}
