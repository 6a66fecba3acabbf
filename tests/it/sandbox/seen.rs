//! What a command sees, and what it leaves.

use cairn::canon::EntryPath;
use cairn::sandbox::{ClockWay, Exit, FoundKind, Mount, Request, Source, Wanted};

use super::clock::{for_all, with_machine};
use super::ground::Ground;

const BOTH: [Wanted; 2] = [Wanted::Best, Wanted::Single];

fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

fn mount(target: &str, source: Source) -> Mount {
    let target = path(target);
    Mount { target, source }
}

#[test]
fn the_world_is_the_same_everywhere() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        ground.says(
            "echo hello; id -u; hostname; echo $$",
            "hello\n0\ncairn\n2\n",
        );
        ground.says("ls /", "bin\ndev\netc\nproc\nsys\ntmp\n");
        let devices =
            "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
        ground.says("ls /sys; echo $(ls /dev)", &format!("devices\n{devices}\n"));
        ground.says("cat; umask; env", "0022\nSHLVL=1\nPATH=/bin\nPWD=/\n");
        ground.says("ls /proc/self/fd", "0\n1\n2\n3\n");
        ground.says(
            "cat /etc/hostname; echo /proc/[0-9]*",
            "cairn\n/proc/1 /proc/2\n",
        );
        ground.says("ip addr | grep -c inet.127.0.0.1", "1\n");
        // Whatever group it is in; and the kernel ends it first when memory runs out.
        ground.says(
            "! grep -v ':/$' /proc/self/cgroup && cat /proc/self/oom_score_adj",
            "1000\n",
        );
    }
}

#[test]
fn mounting_leaves_nothing_behind() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        let mut request = ground.request("cat /run/secrets/a; stat -c %a /run/secrets/a");
        let file = Source::File {
            content: b"s3cret".to_vec(),
            mode: 0o400,
            uid: 0,
            gid: 0,
        };
        request.mounts.push(mount("run/secrets/a", file));
        let (outcome, out, err) = ground.run(&request);
        assert_eq!(
            (outcome.exit, out.as_str()),
            (Exit::Code(0), "s3cret400\n"),
            "{err}"
        );
        let base = ground.session.list(&request.lowers[0]).unwrap();
        for found in ground.changes(&request, &outcome).iter().skip(1) {
            let before = base.iter().find(|before| before.path == found.path);
            let before = before.unwrap_or_else(|| panic!("{found:?}"));
            assert_eq!(
                (before.mtime, before.mode),
                (found.mtime, found.mode),
                "{found:?}"
            );
        }
        let stubs: Vec<_> = outcome.stubs.iter().map(|stub| stub.to_string()).collect();
        assert!(stubs.contains(&"/run/secrets/a".to_owned()), "{stubs:?}");
        assert!(stubs.contains(&"/etc/hosts".to_owned()), "{stubs:?}");
        let text = std::fs::read(request.upper.join("run/secrets/a"));
        assert_eq!(text.unwrap(), b"");
    }
}

#[test]
fn what_a_command_changes_is_listed() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        let script = "rm /etc/passwd; echo new > /made; ln /made /linked; ln -s made /link; \
                      rm -r /tmp; mkdir /tmp; chmod 4755 /made; mkfifo /pipe; mv /bin/true /bin/yes";
        let request = ground.request(script);
        let (outcome, _, err) = ground.run(&request);
        assert_eq!(outcome.exit, Exit::Code(0), "{err}");
        let changes = ground.changes(&request, &outcome);
        let at = |name: &str| {
            let found = changes.iter().find(|found| found.path == path(name));
            found.unwrap_or_else(|| panic!("{name} in {changes:?}"))
        };
        assert_eq!(at("etc/passwd").kind, FoundKind::Whiteout);
        assert_eq!(at("bin/true").kind, FoundKind::Whiteout);
        assert_eq!(
            at("bin/yes").kind,
            FoundKind::Symlink(Box::from(*b"busybox"))
        );
        assert_eq!(at("tmp").kind, FoundKind::Directory { opaque: true });
        assert_eq!(at("pipe").kind, FoundKind::Fifo);
        assert_eq!(at("link").kind, FoundKind::Symlink(Box::from(*b"made")));
        let made = at("made");
        let kind = FoundKind::File { size: 4 };
        assert_eq!((made.mode, made.uid, &made.kind), (0o4755, 0, &kind));
        assert_eq!((made.inode, made.links), (at("linked").inode, 2));
        assert!(changes.iter().all(|found| found.xattrs.is_empty()));
        let mut text = String::new();
        let mut file = ground.session.read(&request.upper, &path("made")).unwrap();
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, "new\n");
        for not_read in ["link", "pipe", "etc/passwd", "none"] {
            assert!(
                ground
                    .session
                    .read(&request.upper, &path(not_read))
                    .is_err()
            );
        }
        // The next command stands on what this one left.
        let mut next = ground.request("cat /made; ls /tmp; ! ls /etc/passwd");
        next.lowers.push(request.upper.clone());
        let (outcome, out, err) = ground.run(&next);
        assert_eq!(
            (outcome.exit, out.as_str()),
            (Exit::Code(0), "new\n"),
            "{err}"
        );
    }
}

#[test]
fn mounts_are_what_they_say() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        let given = ground.folder.path().join("given");
        std::fs::create_dir(&given).unwrap();
        std::fs::write(given.join("file"), "given").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", given.join("out")).unwrap();
        let bind = |path: &str, read_only| Source::Bind {
            folder: given.clone(),
            path: self::path(path),
            read_only,
        };
        let overlay = Source::Overlay {
            lowers: vec![given.clone()],
            path: EntryPath::root(),
            read_only: false,
        };
        let run = |mounts: Vec<Mount>, script: &str| {
            let request = Request {
                mounts,
                ..ground.request(script)
            };
            let (outcome, out, err) = ground.run(&request);
            assert_eq!(outcome.exit, Exit::Code(0), "{out} {err}");
            out
        };
        let mounts = vec![
            mount("mnt", bind("", true)),
            mount("one", bind("file", true)),
            mount("mnt2/deep", overlay),
            mount(
                "mem",
                Source::Tmpfs {
                    read_only: false,
                    size: Some(1 << 20),
                },
            ),
        ];
        let script = "cat /mnt/file /one /mnt2/deep/file; ! touch /mnt/new 2>/dev/null && \
                      ! touch /one 2>/dev/null && echo lost > /mnt2/deep/file && \
                      cat /mnt2/deep/file && touch /mem/x && \
                      ! dd if=/dev/zero of=/mem/y bs=2000000 count=1 2>/dev/null";
        assert_eq!(run(mounts, script), "givengivengivenlost\n");
        assert_eq!(std::fs::read(given.join("file")).unwrap(), b"given");
        run(vec![mount("mnt", bind("", false))], "echo kept > /mnt/file");
        assert_eq!(std::fs::read(given.join("file")).unwrap(), b"kept\n");
        // A link in what is mounted leads nowhere but there.
        let request = Request {
            mounts: vec![mount("mnt", bind("out", true))],
            ..ground.request("true")
        };
        assert!(ground.session.run(&request, &mut |_, _| Ok(())).is_err());
    }
}

#[test]
fn a_command_is_its_user() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let script = "id -u; id -g; id -G; grep Cap /proc/self/status; ! touch /etc/x 2>/dev/null";
    let mut request = ground.request(script);
    (request.uid, request.gid, request.groups) = (33, 34, vec![34, 35]);
    let (outcome, out, err) = ground.run(&request);
    let none = "0000000000000000";
    let expected = format!(
        "33\n34\n34 35\nCapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\n\
         CapBnd:\t00000000a80425fb\nCapAmb:\t{none}\n"
    );
    assert_eq!((outcome.exit, out), (Exit::Code(0), expected), "{err}");
    for (uid, gid) in [(33, 34), (0, 0)] {
        let script = "cat < /dev/stdin; echo out > /dev/stdout; echo err >> /dev/stderr";
        let mut request = ground.request(script);
        (request.uid, request.gid) = (uid, gid);
        let (outcome, out, err) = ground.run(&request);
        let said = (outcome.exit, out.as_str(), err.as_str());
        assert_eq!(said, (Exit::Code(0), "out\n", "err\n"));
    }
    // As under Docker, root has these, and set-id programs work.
    let script = "grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; \
                  chown 33:34 /tmp; stat -c %u:%g /tmp";
    ground.says(script, "CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\n33:34\n");
}

#[test]
fn what_processes_are_told_of_themselves_can_be_copied() {
    // cp(1) leaves out what isn't the file any more that it saw before it opened it.
    let script = "set -e; for name in stat status maps mounts mountinfo mountstats cgroup uid_map gid_map; do \
        /usr/bin/cp /proc/self/$name /tmp/$name; done; cp -L /proc/mounts /tmp/all; \
        cmp /tmp/all /proc/mounts; cmp /tmp/mountinfo /proc/self/mountinfo; grep -c ^Name: /tmp/status";
    for_all(|ground| {
        let request = with_machine(ground, ClockWay::Rewritten, script);
        ground.answers(&request, "1\n");
    });
}
