//! How commands end, and that nothing outlives them.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use cairn::canon::EntryPath;
use cairn::sandbox::{ClockWay, Error, Exit, Limits, Mount, Source, Wanted};

use super::clock::{for_all, with_machine};
use super::ground::{Ground, open};
use crate::support::require;

#[test]
fn codes_and_signals_are_told_truthfully() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    for (script, exit) in [
        ("true", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -TERM $$; sleep 100", Exit::Signal(15)),
        // Signals to the first process from inside are as to any first process.
        (
            "kill -9 1; kill -TERM 1; kill -INT 1; exit 3",
            Exit::Code(3),
        ),
        ("exec kill -SEGV $$", Exit::Signal(11)),
    ] {
        let (outcome, _, err) = ground.run(&ground.request(script));
        assert_eq!(outcome.exit, exit, "{script}: {err}");
    }
}

#[test]
fn programs_that_cannot_run_are_told_apart() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    for (program, missing) in [
        ("/bin/nothing", true),
        ("nothing", true),
        ("/etc/passwd", false),
        ("/etc", false),
    ] {
        let mut request = ground.request("");
        request.arguments = vec![program.to_owned()];
        match ground
            .session
            .run(&request, &mut |_, _| Ok(()))
            .unwrap_err()
        {
            Error::Program { is_missing, .. } => assert_eq!(is_missing, missing, "{program}"),
            other => panic!("{program}: {other}"),
        }
    }
}

#[test]
fn a_command_has_its_time() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let mut request = ground.request("trap '' TERM INT; while true; do sleep 1000; done");
    request.limits.time = Some(Duration::from_millis(200));
    assert_eq!(ground.run(&request).0.exit, Exit::TimedOut);
}

#[test]
fn nothing_outlives_its_command() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let shared = ground.folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let pipe = shared.join("pipe");
    let (kind, mode) = (
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o666),
    );
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut reader = std::fs::OpenOptions::new();
    let mut reader = reader.read(true).custom_flags(flags).open(&pipe).unwrap();
    for (end, exit) in [
        ("exit 0", Exit::Code(0)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -9 -1; exit 4", Exit::Code(4)),
    ] {
        // Each writer ignores what it can, and holds the pipe for ever.
        let script = format!(
            "for i in 1 2 3; do (trap '' TERM HUP INT; exec 9>/shared/pipe; \
             echo up >&9; touch /tmp/$i; while true; do sleep 1000; done) & done; \
             while [ ! -e /tmp/1 -o ! -e /tmp/2 -o ! -e /tmp/3 ]; do :; done; {end}"
        );
        let mut request = ground.request(&script);
        request.mounts.push(Mount {
            target: EntryPath::new(b"shared").unwrap(),
            source: Source::Bind {
                folder: shared.clone(),
                path: EntryPath::root(),
                read_only: false,
            },
        });
        let (outcome, _, err) = ground.run(&request);
        assert_eq!(outcome.exit, exit, "{err}");
        let mut said = String::new();
        // The end, and not "nothing yet": nobody has it open for writing.
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "up\nup\nup\n");
    }
}

#[test]
fn memory_has_a_limit() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    // tail keeps all but one byte of what comes.
    let mut request = ground.request("exec tail -c 299999999 /dev/zero");
    request.limits = Limits {
        memory: Some(64 << 20),
        ..Limits::default()
    };
    let (outcome, out, err) = ground.run(&request);
    assert_eq!(out, "");
    let is_told = outcome.exit == Exit::OutOfMemory || err.contains("out of memory");
    assert!(is_told, "{outcome:?} {err}");
}

#[test]
fn a_fork_bomb_goes_with_its_command() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let script = "bomb() { bomb | bomb & }; bomb; while :; do (true) || exit 5; done";
    let mut request = ground.request(script);
    request.limits = Limits {
        processes: Some(40),
        time: Some(Duration::from_secs(3)),
        ..Limits::default()
    };
    let mut said = Vec::new();
    let mut hear = |_, bytes: &[u8]| {
        said.extend_from_slice(bytes);
        Ok(())
    };
    let outcome = match ground.session.run(&request, &mut hear) {
        // Where root may make no control group, nothing would hold.
        Err(Error::Unsupported { what, .. }) if what.contains("limit the processes") => return,
        other => other.unwrap(),
    };
    let err = String::from_utf8_lossy(&said);
    assert!(err.contains("can't fork"), "{err}");
    let is_ended = matches!(outcome.exit, Exit::Code(1..) | Exit::TimedOut);
    assert!(is_ended, "{outcome:?}");
    ground.says("echo well", "well\n");
}

#[test]
fn a_killed_agent_ends_what_it_runs() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let request = ground.request("echo up; sleep 1000");
    let session = open(Path::new(env!("CARGO_BIN_EXE_cairn")), Wanted::Best);
    let agent = rustix::process::Pid::from_raw(session.process() as i32).unwrap();
    // Once it runs, its output ends only when it is gone.
    let mut kill = |_, _: &[u8]| {
        rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
        Ok(())
    };
    let error = session.run(&request, &mut kill).unwrap_err();
    assert!(matches!(error, Error::Ended), "{error}");
    assert!(session.list(&request.upper).is_err());
}

#[test]
fn the_end_of_a_child_breaks_no_call_off() {
    if !require("dash") {
        return;
    }
    // Its handler of that signal has no `SA_RESTART`.
    let script = "exec dash -c 'i=0; while [ $i -lt 300 ]; do /bin/true & \
        [ -e /etc/passwd ] || echo lost; i=$((i+1)); done; wait'";
    for_all(|ground| {
        let request = with_machine(ground, ClockWay::Rewritten, script);
        ground.answers(&request, "");
    });
}

#[test]
fn who_waits_for_a_handler_is_woken_by_it() {
    if !require("python3") {
        return;
    }
    // By a call that the kernel would make anew if the handler had `SA_RESTART`.
    let script = "python3 -c 'import signal, subprocess, threading\n\
        ended = threading.Event()\n\
        signal.signal(signal.SIGCHLD, lambda *_: ended.set())\n\
        child = subprocess.Popen([\"sleep\", \"0.3\"])\n\
        signal.alarm(30)\n\
        print(ended.wait())'";
    for_all(|ground| {
        let request = with_machine(ground, ClockWay::Rewritten, script);
        ground.answers(&request, "True\n");
    });
}
