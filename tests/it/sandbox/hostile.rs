//! Commands that would do harm.

use cairn::sandbox::{Error, Exit, Security, Wanted};

use super::ground::Ground;

const BOTH: [Wanted; 2] = [Wanted::Best, Wanted::Single];

#[test]
fn what_must_not_work_does_not() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        for script in [
            "mount -t tmpfs none /tmp",
            "mount -t proc none /tmp",
            "mount -o remount,rw /proc/sys",
            "umount /proc/sys",
            "umount /etc/hosts",
            "echo b > /proc/sysrq-trigger",
            "echo 1 > /proc/sys/kernel/panic",
            "echo evil > /proc/sys/kernel/core_pattern",
            "ls /proc/1/root/",
            "cat /proc/1/environ",
            "readlink /proc/1/fd/0",
            "cat /proc/1/maps",
            "readlink /proc/1/exe",
            "echo x > /proc/1/exe",
            // What is made is a record for the layer, and no way to the device.
            "mknod /disk b 259 0; test -s /disk || echo x | grep y /disk",
            "mknod /mem c 1 1; dd if=/mem bs=1 count=1 | grep .",
            "mknod /null c 1 3; echo x > /null; test ! -s /null",
            "hostname evil",
            "ip link add dummy0 type dummy",
            "chroot / sh -c 'mount -t tmpfs none /tmp'",
            "cat /etc/shadow",
            "touch /sys/x",
            "grep . /proc/kcore",
            "grep . /proc/keys",
        ] {
            let (outcome, out, err) = ground.run(&ground.request(script));
            assert!(
                matches!(outcome.exit, Exit::Code(1..)),
                "{script}: {out}{err}"
            );
        }
    }
}

#[test]
fn the_program_itself_cannot_be_written_to() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cairn"));
    let before = std::fs::metadata(program).unwrap();
    // The interpreter of this script would be cairn itself.
    let request = ground.request("echo '#!/proc/self/exe' > /again; chmod 755 /again");
    assert_eq!(ground.run(&request).0.exit, Exit::Code(0));
    for name in ["/again", "/proc/self/exe"] {
        let mut again = ground.request("");
        again.lowers.push(request.upper.clone());
        again.arguments = vec![name.to_owned()];
        // The root has no library for it; it matters that it ends.
        let _ = ground.session.run(&again, &mut |_, _| Ok(()));
    }
    let after = std::fs::metadata(program).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    ground.says("echo still here", "still here\n");
}

#[test]
fn much_output_is_all_handed_on() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let mut bytes = 0;
    let request = ground.request("head -c 50000000 /dev/zero");
    let outcome = ground.session.run(&request, &mut |_, piece| {
        bytes += piece.len();
        Ok(())
    });
    assert_eq!((outcome.unwrap().exit, bytes), (Exit::Code(0), 50_000_000));
}

#[test]
fn a_deep_tree_is_refused_and_removed() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let script = "i=0; while [ $i -lt 1500 ]; do p=$p/d; i=$((i+1)); done; \
                  mkdir -p /a$p /b$p && mv /b /a$p";
    let request = ground.request(script);
    let (outcome, _, err) = ground.run(&request);
    assert_eq!(outcome.exit, Exit::Code(0), "{err}");
    let error = ground.session.list(&request.upper).unwrap_err();
    assert!(error.to_string().contains("is in no layer"), "{error}");
    ground.session.remove(&request.upper).unwrap();
    assert!(!request.upper.exists());
}

/// Descriptors that the processes of a step may have had open.
const DESCRIPTORS: std::ops::Range<u32> = 0..64;

#[test]
fn no_descriptor_leads_a_program_s_path_out_of_the_root() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        let is_missing = |program: &str, path: String| {
            let mut request = ground.request("");
            // Beside the upper folder, where a descriptor of that would lead.
            let beside = request.upper.parent().unwrap().join("evil");
            std::fs::copy("/bin/busybox", beside).unwrap();
            request.arguments = vec![program.to_owned()];
            request.env = vec![("PATH".to_owned(), path)];
            match ground.session.run(&request, &mut |_, _| Ok(())) {
                // A directory would be refused for another reason.
                Err(Error::Program { is_missing, .. }) => is_missing,
                other => panic!("{program}: {other:?}"),
            }
        };
        for number in DESCRIPTORS {
            let program = format!("/proc/self/fd/{number}/.");
            assert!(is_missing(&program, String::new()), "{program}");
        }
        let folders = DESCRIPTORS.map(|number| format!("/proc/self/fd/{number}/.."));
        let path: Vec<_> = folders.collect();
        assert!(is_missing("evil", path.join(":")));
    }
}

#[test]
fn the_first_process_has_nothing_of_the_host_open() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        let mut request = ground.request("for fd in /proc/1/fd/*; do readlink $fd; done");
        request.security = Security::Insecure;
        let (outcome, out, err) = ground.run(&request);
        assert_eq!(outcome.exit, Exit::Code(0), "{err}");
        // Pipes are the command's own streams, and how it tells that it has begun: it may have
        // before the first process has closed them.
        let names = out.lines().filter(|name| !name.starts_with("pipe:"));
        let (sockets, others): (Vec<_>, Vec<_>) =
            names.partition(|name| name.starts_with("socket:"));
        // The one is what it reports by.
        assert_eq!((sockets.len(), others), (1, vec!["/dev/null"; 3]), "{out}");
    }
}

#[test]
fn with_every_capability_the_host_s_settings_still_can_not_be_opened_for_writing() {
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"] {
            // Nothing is written, should it be open after all.
            let mut request = ground.request(&format!("mount -t tmpfs none /tmp && : >> {path}"));
            request.security = Security::Insecure;
            let (outcome, _, err) = ground.run(&request);
            assert!(matches!(outcome.exit, Exit::Code(1..)), "{path}: {err}");
            assert!(err.contains(path), "{err}");
        }
    }
}

/// Devices that a step has from the host.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

#[test]
fn the_host_s_devices_stay_as_they_are() {
    use std::os::unix::fs::MetadataExt as _;
    let state = || {
        DEVICES.map(|name| {
            let found = std::fs::metadata(format!("/dev/{name}")).unwrap();
            (found.mode(), found.uid(), found.gid())
        })
    };
    let before = state();
    for identity in BOTH {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        // As MAKEDEV and packages' scripts do it; one of /proc is masked by a file.
        let places = DEVICES.map(|name| format!("/dev/{name}")).join(" ");
        // Each to what it is already, lest a failure here harms the machine.
        let script = format!(
            "for place in {places} /proc/interrupts; do \
             chmod $(stat -c %a $place) $place; chown $(stat -c %u:%g $place) $place; \
             touch -c $place; done"
        );
        let (_, out, err) = ground.run(&ground.request(&script));
        let refused = err.matches("Read-only file system").count();
        assert_eq!(
            (out.as_str(), refused),
            ("", 3 * (DEVICES.len() + 1)),
            "{err}"
        );
        ground.says(
            "echo x > /dev/null && head -c 2 /dev/zero | wc -c && head -c 2 /dev/urandom | wc -c; \
             ! echo x 2>/dev/null > /dev/full && cat /proc/iomem",
            "2\n2\n",
        );
        // What a package makes beside them is the step's own.
        let script = "mknod /dev/made c 1 3; chmod 0640 /dev/made && chmod 0755 /dev && \
             ln -s null /dev/other && echo x > /dev/other";
        ground.says(script, "");
    }
    assert_eq!(state(), before);
}

#[test]
fn only_devices_are_devices() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("file"), "").unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(place("socket")).unwrap();
    std::os::unix::fs::symlink("/dev/null", place("link")).unwrap();
    std::os::unix::fs::symlink("/dev", place("links")).unwrap();
    let wrong = ["", "file", "socket", "link", "links/null"].map(place);
    for device in wrong {
        let mut request = ground.request("true");
        request.devices = vec![device.clone()];
        let error = ground
            .session
            .run(&request, &mut |_, _| Ok(()))
            .unwrap_err();
        let (error, device) = (error.to_string(), device.display().to_string());
        assert!(error.contains(&device), "{error}");
    }
    let mut request = ground.request("echo x > /dev/null && test -c /dev/null");
    request.devices = vec!["/dev/null".into()];
    assert_eq!(ground.run(&request).0.exit, Exit::Code(0));
}
