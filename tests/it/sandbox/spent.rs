//! What programs of a step are told that they have spent of processors.

use cairn::sandbox::{ClockWay, Exit};

use super::clock::{for_all, with_machine};
use crate::support::require;

/// Spends a twentieth of a second itself, and in a child; prints what it is told of all numbers, and what a
/// shell tells.
const SCRIPT: &str = "python3 -Ic 'import os, resource, time\n\
    def work():\n    end = time.monotonic() + 0.05\n    while time.monotonic() < end: pass\n\
    child = os.fork()\n\
    work()\n\
    if child == 0: os._exit(0)\n\
    os.waitpid(child, 0)\n\
    for who in resource.RUSAGE_SELF, resource.RUSAGE_THREAD, resource.RUSAGE_CHILDREN:\n    \
        print(*resource.getrusage(who))\n\
    print(*os.times()[:4], time.process_time(), time.thread_time())\n\
    for who in 7, -2:\n    \
        try: resource.getrusage(who)\n    \
        except ValueError: print(\"nobody\")\n\
    import ctypes, threading\n\
    c = ctypes.CDLL(None, use_errno=True)\n\
    print(c.getrusage(0, None), ctypes.get_errno(), c.times(None) > 0)\n\
    clocks = [time.pthread_getcpuclockid(threading.get_ident()), ~os.getpid() << 3 | 2, ~os.getpid() << 3, -2, -6]\n\
    print(*[time.clock_gettime(clock) for clock in clocks])\n\
    print(time.clock_gettime(~1 << 3 | 2) < 1000)\n\
    began = os.times().elapsed; time.sleep(0.1)\n\
    print(0.05 < os.times().elapsed - began < 30)' && \
    TIMEFORMAT='%U %S' bash -c 'time python3 -Ic \"sum(range(10**6))\"' 2>&1";

#[test]
fn what_was_spent_of_processors_is_the_same_in_every_run() {
    if !require("python3") || !require("bash") {
        return;
    }
    for_all(|ground| {
        let told = |request: &_| {
            let (outcome, out, err) = ground.run(request);
            assert_eq!(outcome.exit, Exit::Code(0), "{out}{err}");
            out
        };
        for way in [ClockWay::Rewritten, ClockWay::Hidden] {
            let mut request = with_machine(ground, way, SCRIPT);
            let first = told(&request);
            let none = " 0.0 65536 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
            let children = format!("0.0{none}");
            assert!(first.contains(&children), "{first}");
            assert_eq!(first.matches(none).count(), 3, "{first}");
            assert!(first.ends_with("\nTrue\nTrue\n0.000 0.000\n"), "{first}");
            assert!(first.contains("\nnobody\nnobody\n-1 14 True\n"), "{first}");
            assert_eq!(first, told(&with_machine(ground, way, SCRIPT)));
            // Without a clock of its own it is told what it has spent.
            request = with_machine(ground, way, SCRIPT);
            request.constants = None;
            let real = told(&request);
            assert_eq!(real.matches(" 0.0 65536 ").count(), 0, "{real}");
            assert!(!real.ends_with("0.000 0.000\n"), "{real}");
        }
    });
}

/// Works twice as much each time until that takes a second.
const CALIBRATES: &str = "python3 -Ic 'import resource, time\n\
    def spent(): return resource.getrusage(resource.RUSAGE_SELF).ru_utime\n\
    for asks in time.process_time, time.thread_time, spent:\n    \
        count = 1\n    \
        while True:\n        \
            begin = asks()\n        \
            for _ in range(count): pass\n        \
            if asks() - begin > 1: break\n        \
            count *= 2\n    \
        print(count < 1 << 20)'";

/// Calibrates how often it hashes a passphrase.
const ENCRYPTS: &str = "mkdir -m 700 /tmp/keys; echo text > /tmp/text; \
    gpg --homedir /tmp/keys --batch --pinentry-mode loopback --passphrase x -c /tmp/text 2>&1 && \
    test -s /tmp/text.gpg && gpgconf --homedir /tmp/keys --kill all && echo done";

#[test]
fn who_works_until_some_time_was_spent_ends() {
    if !require("python3") || !require("gpg") {
        return;
    }
    for_all(|ground| {
        let calibrates = with_machine(ground, ClockWay::default(), CALIBRATES);
        ground.answers(&calibrates, "True\nTrue\nTrue\n");
        let mut encrypts = with_machine(ground, ClockWay::default(), ENCRYPTS);
        encrypts.env.push(("HOME".to_owned(), "/tmp".to_owned()));
        let (outcome, out, err) = ground.run(&encrypts);
        assert_eq!(outcome.exit, Exit::Code(0), "{out}{err}");
        assert!(out.ends_with("done\n"), "{out}{err}");
    });
}
