//! What cairn does in a command's stead: no more than the command may do.

use cairn::sandbox::{Exit, FoundKind, Identity, Security, Wanted};

use super::ground::Ground;
use super::users::as_user;
use crate::support::programs::make_narrow;
use crate::support::{require, temp};

/// Runs `test` where cairn is root, where it has a range of users, and where it has none.
fn everywhere(test: impl Fn(&Ground, bool)) {
    if !require("cc") {
        return;
    }
    let folder = temp();
    let ranged = as_user(folder.path(), "made:400000:65536\n");
    let grounds = [
        Ground::new(Wanted::Best),
        ranged
            .as_ref()
            .and_then(|(program, _)| Ground::with(program, Wanted::Best, 30001)),
        Ground::new(Wanted::Single),
    ];
    for ground in grounds.into_iter().flatten() {
        test(&ground, ground.session.identity() == Identity::Single);
    }
}

/// What a script prints, run by a user, and the devices that it leaves.
fn devices(ground: &Ground, uid: u32, script: &str) -> (String, Vec<String>) {
    let mut request = ground.with_tries(script);
    (request.uid, request.gid) = (uid, uid);
    let (outcome, out, err) = ground.run(&request);
    assert_eq!(outcome.exit, Exit::Code(0), "{script}: {out}{err}");
    let changes = ground.changes(&request, &outcome);
    let devices = changes.iter().filter(|found| {
        matches!(
            found.kind,
            FoundKind::CharacterDevice(_) | FoundKind::BlockDevice(_)
        )
    });
    let of = |found: &cairn::sandbox::Found| format!("{} {}:{}", found.path, found.uid, found.gid);
    (out, devices.map(of).collect())
}

#[test]
fn a_user_makes_no_devices() {
    everywhere(|ground, _| {
        let script = "/tries mknod /etc/ld.so.preload 20666 1 3; /tries mknod /tmp/d 60666 8 0; \
                      mknod /tmp/e c 1 3; ls /tmp; test ! -e /etc/ld.so.preload";
        let said = "mknod: Operation not permitted\n";
        assert_eq!(devices(ground, 1000, script), (said.repeat(2), Vec::new()));
    });
}

#[test]
fn a_users_own_namespace_gives_it_no_rights_outside() {
    everywhere(|ground, _| {
        let script = "unshare -U /tries mknod /tmp/d 20666 1 3; ls /tmp";
        let mut request = ground.with_tries(script);
        (request.uid, request.security) = (1000, Security::Insecure);
        ground.answers(&request, "mknod: Operation not permitted\n");
    });
}

#[test]
fn who_may_make_devices_makes_them_as_who_it_is() {
    everywhere(|ground, is_single| {
        // CAP_MKNOD without root's way past permissions: `/etc` is root's.
        if is_single {
            // The kernel's capabilities say nothing there.
            return;
        }
        // CAP_MKNOD without root's way past permissions, and root's without CAP_MKNOD.
        let script = "umask 0; mkdir -m 700 /own; mkdir -m 777 /own/open; \
                      for d in /etc/d /own/open/d /tmp/d; do /tries as 1000 8000000 mknod $d 20666 1 3; done; \
                      /tries as 0 a00425fb mknod /d 20666 1 3; true";
        let (said, made) = devices(ground, 0, script);
        let denied = "mknod: Permission denied\n".repeat(2);
        let expected = format!("{denied}mknod: done\nmknod: Operation not permitted\n");
        assert_eq!(
            (said, made),
            (expected, vec!["/tmp/d 1000:1000".to_owned()])
        );
    });
}

#[test]
fn what_is_shut_is_shut_to_what_cairn_does_for_a_user() {
    everywhere(|ground, _| {
        let script = "mkdir /shut; touch /shut/f; mkfifo /shut/p; chown 1000 /shut/f /shut/p; chmod 0 /shut; umask 0
            try() { /tries as 1000 0 \"$@\"; }
            try mknod /shut/new 10666 0 0; try mkdir /shut/new; try symlink /shut/new; try create /shut/new
            try chown /shut/f 1000; try stat /shut/f; try link /shut/p /tmp/l; try rename /shut/p /tmp/l
            try listxattr /shut/f; try setxattr /shut/f user.a b
            chmod 755 /shut; ls /shut /tmp";
        let calls = "mknod mkdir symlink create chown stat link rename listxattr setxattr";
        let denied = calls
            .split(' ')
            .map(|call| format!("{call}: Permission denied\n"));
        let expected = format!("{}/shut:\nf\np\n\n/tmp:\n", denied.collect::<String>());
        ground.answers(&ground.with_tries(script), &expected);
    });
}

#[test]
fn ways_into_proc_lead_where_the_callers_own_lead() {
    everywhere(|ground, _| {
        let script = "ln -s /dev/stdout /l; ln -s proc/self/fd /d; ln -s /proc /p
            try() { chown $1 $2 >/tmp/f; stat -c %u /tmp/f; stat -Lc %u $2 >/tmp/f; cat /tmp/f; }
            try 1 /l; try 2 //proc/self/fd/1; try 3 /../proc/self/fd/1; try 4 /d/1; try 5 /p/self/fd/1
            try 6 /p/thread-self/fd/1; try 7 /dev/stdout; cd /proc; try 8 ./self/fd/1; try 9 ../dev/fd/1
            cd self; try 10 ../self/fd/1; cd /dev; try 11 stdout; cd ../bin; try 12 ../proc/self/fd/1";
        let expected: String = (1..=12).map(|uid| format!("{uid}\n{uid}\n")).collect();
        ground.answers(&ground.request(script), &expected);
    });
}

#[test]
fn what_a_file_stands_for_is_cairns_to_say() {
    everywhere(|ground, _| {
        let make = "touch /f /race; chmod 666 /f /race; mknod /d c 1 3; chmod 666 /d";
        let base = ground.request(make);
        assert_eq!(ground.run(&base).0.exit, Exit::Code(0));
        let script = "n=user.cairn.owner; v=0:0:b:8:0
            for how in setxattr lsetxattr fsetxattr setxattrat; do /tries $how /f $n $v; done
            /tries setxattr /d $n 5:6; /tries race /race $v
            for f in /f /d; do /tries getxattr $f $n; /tries removexattr $f $n; /tries removexattrat $f $n; done
            /tries listxattr /d; /tries setxattr /d user.a b; /tries listxattr /d; /tries getxattr /d user.a
            /tries removexattr /d user.a; /tries removexattr /d user.a; /tries setxattr /f user.b c; true";
        let denied = "Operation not permitted";
        let (none, missing) = ("No data available", "Function not implemented");
        let hidden =
            format!("getxattr: {none}\nremovexattr: {none}\nremovexattrat: {missing}\n").repeat(2);
        let expected = format!(
            "setxattr: {denied}\nlsetxattr: {denied}\nfsetxattr: {denied}\nsetxattrat: {missing}\n\
             setxattr: {denied}\nrace: done\n{hidden}listxattr: done\nsetxattr: done\n\
             user.a\nlistxattr: done\nb\ngetxattr: done\nremovexattr: done\nremovexattr: {none}\nsetxattr: done\n"
        );
        for uid in [0, 1000] {
            let mut request = ground.with_tries(script);
            (request.uid, request.gid) = (uid, uid);
            request.lowers.push(base.upper.clone());
            let (outcome, out, err) = ground.run(&request);
            assert_eq!(
                (outcome.exit, out.as_str()),
                (Exit::Code(0), expected.as_str()),
                "{err}"
            );
            let changes = ground.changes(&request, &outcome);
            // Whether the race changed anything at all is the scheduler's affair.
            for found in &changes {
                let is_device = matches!(found.kind, FoundKind::CharacterDevice(_));
                assert_eq!(is_device, found.path.as_bytes() == b"d", "{found:?}");
                assert_eq!((found.uid, found.gid), (0, 0), "{found:?}");
                assert!(
                    !found
                        .xattrs
                        .keys()
                        .any(|name| name.starts_with(b"user.cairn"))
                );
            }
            let paths: Vec<_> = changes.iter().map(|found| found.path.to_string()).collect();
            let both = ["/d", "/f"].map(str::to_owned);
            assert!(both.iter().all(|path| paths.contains(path)), "{paths:?}");
        }
    });
}

#[test]
fn programs_of_32_bits_may_do_no_more_than_others() {
    everywhere(|ground, is_single| {
        let tools = ground.folder.path().join("narrow");
        std::fs::create_dir(&tools).unwrap();
        if !make_narrow(&tools.join("narrow"), &[]) {
            return;
        }
        let mut request = ground.request("/narrow; umask");
        request.lowers.insert(0, tools);
        let (outcome, out, err) = ground.run(&request);
        assert_eq!(outcome.exit, Exit::Code(0));
        if is_single {
            assert_eq!(out, "0022\n");
            assert!(err.contains("32-bit programs don't run"), "{err}");
            assert!(err.contains("Operation not supported"), "{err}");
            return;
        }
        let expected = "unshare 01\nclone 01\nmount 01\numount 01\nstime 01\nclock_settime64 01\nkeyctl 01\n\
             clone3 38\nsocketcall 38\nsocket 01\nunix socket 00\nmknod 00\nsetxattr 01\nsetxattrat 38\n\
             listxattr 00\n0022\n";
        assert_eq!(out, expected, "{err}");
        let changes = ground.changes(&request, &outcome);
        let made = changes
            .iter()
            .find(|found| found.path.as_bytes() == b"d")
            .unwrap();
        assert!(matches!(made.kind, FoundKind::CharacterDevice(_)));
    });
}

#[test]
fn who_may_not_run_a_program_does_not_become_its_owner() {
    everywhere(|ground, _| {
        let script = "mkdir /shut; cat /bin/busybox >/s; cat /s >/shut/s
            chmod 4010 /s; chmod 4755 /shut/s; chmod 0 /shut
            /tries as 1000 0 exec /s; /tries as 1000 0 exec /shut/s; chmod 755 /shut";
        let expected = "still 1000\nexec: Permission denied\n".repeat(2);
        ground.answers(&ground.with_tries(script), &expected);
    });
}
