//! Processes that run one at a time: whatever races, comes out the same.

use std::collections::BTreeSet;

use cairn::sandbox::{ClockWay, Exit, Request, Wanted};

use super::clock::{for_all, with_machine};
use super::ground::Ground;
use crate::support::load::Load;
use crate::support::require;

/// Eight processes that write to one file; the calls of each are cheap, so that they meet.
const RACE: &str = "cd /tmp; for n in 1 2 3 4 5 6 7 8; do \
    (i=0; while [ $i -lt 60 ]; do echo $n; [ -e /etc/passwd ]; i=$((i+1)); done >> f) & \
    done; wait; sha256sum < f; wc -l < f";

fn turns(ground: &Ground, script: &str) -> Request {
    Request {
        takes_turns: true,
        ..with_machine(ground, ClockWay::Rewritten, script)
    }
}

/// What a script prints.
fn printed(ground: &Ground, request: &Request) -> String {
    let (outcome, out, err) = ground.run(request);
    assert_eq!(outcome.exit, Exit::Code(0), "{out}{err}");
    out
}

#[test]
fn a_race_ends_the_same_way_in_every_run() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let mut ends = BTreeSet::new();
    // Without it there are others, sooner or later.
    while ends.len() < 2 {
        let free = with_machine(&ground, ClockWay::Rewritten, RACE);
        ends.insert(printed(&ground, &free));
    }
    let first = printed(&ground, &turns(&ground, RACE));
    assert!(first.ends_with("\n480\n"), "{first}");
    let load = Load::begin(3);
    for _ in 0..4 {
        assert_eq!(printed(&ground, &turns(&ground, RACE)), first);
    }
    drop(load);
    for_all(|other| {
        let request = turns(other, RACE);
        assert_eq!(printed(other, &request), first);
    });
}

#[test]
fn who_waits_for_others_lets_them_go_on() {
    if !["make", "python3"].into_iter().all(require) {
        return;
    }
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    for (script, expected) in [
        // By a pipe, by a named one, by looking again and again, by a lock, by signals.
        ("seq 20000 | sort -rn | head -n 1 | cat", "20000\n"),
        ("mkfifo /tmp/p; (echo a > /tmp/p) & cat /tmp/p; wait", "a\n"),
        (
            "(sleep 0.1; : > /tmp/f) & while ! [ -e /tmp/f ]; do :; done; echo b",
            "b\n",
        ),
        (
            "flock /tmp/l sh -c 'sleep 0.1; echo c' & sleep 0.05; flock /tmp/l echo d; wait",
            "c\nd\n",
        ),
        (
            "trap 'echo e; exit 0' USR1; (kill -USR1 $$) & while :; do wait; done",
            "e\n",
        ),
        // vfork(2), threads, children that nobody waits for.
        (
            "python3 -Ic 'import subprocess, concurrent.futures as f\n\
             one = lambda n: subprocess.run([\"echo\", str(n)], capture_output=True).stdout.decode()\n\
             print(*f.ThreadPoolExecutor(4).map(one, range(9)), sep=\"\", end=\"\")'",
            "0\n1\n2\n3\n4\n5\n6\n7\n8\n",
        ),
        (
            "(setsid sh -c 'sleep 0.1; echo g > /tmp/g' &); until [ -s /tmp/g ]; do sleep 0.02; done; cat /tmp/g",
            "g\n",
        ),
        (
            "cd /tmp; printf 'all: 1 2 3 4 5 6\\n%%:\\n\\t@echo $@ >> out\\n' > Makefile; make -s -j4; cat out",
            "1\n2\n3\n4\n5\n6\nall\n",
        ),
    ] {
        let got = printed(&ground, &turns(&ground, script));
        assert_eq!(got, expected, "{script}");
    }
}

#[test]
fn it_ends_with_its_first_process_and_in_time() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let mut request = turns(&ground, "while :; do :; done & echo a");
    ground.answers(&request, "a\n");
    request = turns(&ground, "while [ -e /etc ]; do :; done & wait");
    request.limits.time = Some(std::time::Duration::from_millis(500));
    let (outcome, _, _) = ground.run(&request);
    assert_eq!(outcome.exit, Exit::TimedOut);
}
