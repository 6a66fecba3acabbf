//! Caches of commands: what `cairn caches` says of them, how they are bounded, and who is kept out.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::recipes::below;
use crate::support::users::{User, Users};
use crate::support::{require, run};

/// A folder whose Dockerfile keeps caches, on this machine's busybox.
fn context(users: &Users, lines: &str) -> String {
    users.write(
        "context/Dockerfile",
        &format!("FROM scratch\nCOPY --chmod=755 busybox /bin/sh\nENV PATH=/bin\n{lines}\n"),
    );
    std::fs::copy("/bin/busybox", users.path("context/busybox")).unwrap();
    users.text("context")
}

/// A line that fills a cache with that many kilobytes, in a directory that none but its owner
/// reads.
fn fill(id: &str, kilobytes: u32) -> String {
    format!(
        "RUN --mount=type=cache,id={id},target=/c mkdir -p -m 700 /c/d && chown 7:7 /c/d && \
         dd if=/dev/zero of=/c/d/{id} bs=1k count={kilobytes} && chown 7:7 /c/d/{id}"
    )
}

#[test]
fn caches_are_listed_bounded_and_removed() {
    if !require("busybox") {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    for user in User::ALL {
        let cairn = |arguments: &[&str]| {
            let mut command = users.cairn(user);
            command.args(arguments);
            command
        };
        let listed = || -> Vec<(String, u64)> {
            let text = run(&mut cairn(&["caches", "--json"]));
            let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
            let rows = rows.as_array().unwrap().iter();
            rows.map(|row| {
                let size = row["size"].as_u64().unwrap();
                (row["id"].as_str().unwrap().to_owned(), size)
            })
            .collect()
        };
        let names = || -> Vec<String> { listed().into_iter().map(|(id, _)| id).collect() };
        let lines = [fill("a", 300), fill("b", 400)].join("\n");
        let folder = context(&users, &lines);
        run(&mut cairn(&["build", "-q", &folder]));
        let sizes = listed();
        assert_eq!(names(), ["a", "b"], "{user:?}");
        assert!(
            sizes[0].1 >= 300 << 10 && sizes[0].1 < 400 << 10,
            "{sizes:?}"
        );
        // One more than all may hold: the oldest has to go.
        let folder = context(&users, &fill("c", 300));
        let arguments = ["build", "--progress=plain", "--cache-size=800k", &folder];
        let built = cairn(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
        assert!(said.contains("removed the cache `a`"), "{said}");
        assert_eq!(names(), ["b", "c"], "{user:?}");
        run(&mut cairn(&["caches", "--remove", "b"]));
        assert_eq!(names(), ["c"]);
        let text = run(&mut cairn(&["caches"]));
        assert!(
            text.starts_with("ID  ") && text.lines().count() == 2,
            "{text}"
        );
        let missing = cairn(&["caches", "--remove", "b"]).output().unwrap();
        assert_eq!(missing.status.code(), Some(3));
        run(&mut cairn(&["caches", "--remove-all"]));
        assert_eq!(listed(), []);
        // What is left are locks.
        let left = below(&users.store(user).join("caches"));
        assert!(
            left.iter()
                .all(|path| path.extension().is_some_and(|end| end == "lock"))
        );
    }
}

#[test]
fn programs_of_images_are_kept_from_other_users_of_the_machine() {
    if !require("busybox") {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    let lines = "RUN --mount=type=cache,target=/c cp /bin/sh /c/set && cp /bin/sh /set && \
         chmod 4755 /c/set /set\nRUN /bin/sh -c true";
    let folder = context(&users, lines);
    let mut build = users.cairn(User::Me);
    run(build.args(["build", "-q", &folder]));
    let store = users.store(User::Me);
    let is_set = |path: &Path| {
        let meta = store.join(path).symlink_metadata().unwrap();
        meta.is_file() && meta.permissions().mode() & 0o4000 != 0
    };
    let programs: Vec<_> = below(&store)
        .into_iter()
        .filter(|path| is_set(path))
        .collect();
    assert!(programs.len() >= 2, "{programs:?}");
    for program in programs {
        let program = store.join(program);
        let mut other = users.command(User::Single, program.to_str().unwrap());
        let error = other.args(["-c", "id"]).output().unwrap();
        assert!(!error.status.success(), "{}", program.display());
    }
}
