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
    try: resource.getrusage(7)\n\
    except ValueError: print(\"nobody\")\n\
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
            assert!(first.ends_with("\nnobody\nTrue\n0.000 0.000\n"), "{first}");
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
