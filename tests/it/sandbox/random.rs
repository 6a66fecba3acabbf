//! A step's own chance, asked for by real programs in every way that there is.

use std::collections::BTreeSet;

use cairn::sandbox::{ClockWay, Constants, Error, Exit, Request, Seed, Wanted};

use super::clock::{for_all, with_machine};
use super::ground::Ground;
use crate::support::programs::make;
use crate::support::require;

/// With the machine's programs, `support/chance.c` as `/chance`, and chance that follows from `seed`,
/// or none of its own.
fn by_chance(ground: &Ground, seed: Option<u8>, script: &str) -> Request {
    let tools = ground.folder.path().join("chance");
    if !tools.exists() {
        std::fs::create_dir(&tools).unwrap();
        make("chance.c", &tools.join("chance"), &["-static", "-pthread"]);
    }
    let mut request = with_machine(ground, ClockWay::Rewritten, script);
    request.lowers.insert(0, tools);
    request.constants = seed.map(|seed| Constants {
        instant: 1_600_000_000,
        seed: Seed([seed; 32]),
    });
    request
}

fn told(ground: &Ground, seed: Option<u8>, script: &str) -> String {
    let request = by_chance(ground, seed, script);
    let (outcome, out, err) = ground.run(&request);
    assert_eq!(outcome.exit, Exit::Code(0), "{out}{err}");
    out
}

#[test]
fn what_a_program_takes_for_chance_follows_from_the_seed() {
    for_all(|ground| {
        let script = "/chance; /chance";
        let [first, again, other, real] =
            [Some(1), Some(1), Some(2), None].map(|seed| told(ground, seed, script));
        assert_eq!(first, again);
        // Each line that is chance differs by seed, and where it is the machine's.
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (first, other, real) = (lines(&first), lines(&other), lines(&real));
        assert_eq!(first.len(), 28, "{first:#?}");
        for at in 0..first.len() {
            let is_chance = !["wrong", "vdso"].iter().any(|it| first[at].starts_with(it));
            assert_eq!(first[at] != other[at], is_chance, "{}", first[at]);
            assert!(!is_chance || first[at] != real[at], "{}", first[at]);
        }
        assert!(first.contains(&"vdso gone".to_owned()));
        assert!(first.contains(&real[4]), "{first:#?} {}", real[4]);
        // Nobody gets the same twice, but who opens the device in another way than to read it alone, by
        // its name: three do in each run.
        let all = first.iter().filter_map(|line| line.rsplit_once(' '));
        let asked: Vec<_> = all.filter(|(_, bytes)| bytes.len() == 32).collect();
        let distinct: BTreeSet<_> = asked.iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(distinct.len(), asked.len() - 5, "{first:#?}");
    });
}

#[test]
fn names_salts_hashes_and_passwords_are_the_same_in_every_run() {
    let tools = ["python3", "openssl", "perl"];
    if !tools.iter().all(|tool| require(tool)) {
        return;
    }
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let scripts = [
        "mktemp; mktemp; mktemp -d",
        "for n in $(seq 100); do mktemp; done",
        "tr -dc a-z0-9 < /dev/urandom | head -c 24; tr -dc a-z0-9 < /dev/urandom | head -c 24",
        "head -c 100000 /dev/urandom | sha256sum; dd if=/dev/random bs=1M count=8 status=none | sha256sum",
        "openssl rand -hex 16; openssl rand -hex 16; openssl passwd -6 word",
        "python3 -c 'import os, uuid, random, tempfile\nprint(hash(\"a\"), os.urandom(4), uuid.uuid4(), random.random(), tempfile.mkdtemp())'",
        "python3 -c 'print({str(n) for n in range(40)})'",
        "perl -e 'print rand, join \",\", keys %{{map {$_ => 1} 1..40}}'",
        "cat /proc/sys/kernel/random/uuid; cat /proc/sys/kernel/random/uuid",
    ];
    for script in scripts {
        let [first, again, other] =
            [Some(1), Some(1), Some(2)].map(|seed| told(&ground, seed, script));
        assert_eq!(first, again, "{script}");
        assert_ne!(first, other, "{script}");
        let lines: BTreeSet<_> = first.lines().collect();
        assert_eq!(lines.len(), first.lines().count(), "{first}");
    }
}

#[test]
fn what_a_process_has_spent_of_a_processor_is_no_chance() {
    if !require("python3") {
        return;
    }
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let script = "python3 -c 'import time\nwhile time.process_time() < 0.01: pass\nprint(time.process_time(), time.thread_time())'";
    let [first, again, real] = [Some(1), Some(1), None].map(|seed| told(&ground, seed, script));
    assert_eq!(first, again);
    assert_ne!(first, real);
}

#[test]
fn what_runs_beside_it_changes_nothing_for_a_command() {
    if !require("openssl") {
        return;
    }
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let alone = told(&ground, Some(3), "openssl rand -hex 16; mktemp -u");
    let beside = told(
        &ground,
        Some(3),
        "for n in 1 2 3 4 5; do head -c 9$n /dev/urandom > /dev/null & openssl rand $n > /dev/null & done; \
         openssl rand -hex 16; mktemp -u; wait",
    );
    assert_eq!(alone, beside);
}

#[test]
fn who_wants_more_than_there_is_ends_the_step() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let enough = told(&ground, Some(4), "head -c 33554432 /dev/urandom | wc -c");
    assert_eq!(enough, "33554432\n");
    let request = by_chance(&ground, Some(4), "head -c 60000000 /dev/urandom | wc -c");
    match ground.session.run(&request, &mut |_, _| Ok(())) {
        Err(Error::Refused(why)) => assert!(why.contains("more than 32 MiB"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_compilers_and_mktemp_make_is_found_again_by_all() {
    if !require("gcc") {
        return;
    }
    for_all(|ground| {
        let script = "cd /tmp; echo 'int main(void) { return 7; }' > m.c; gcc -o m m.c; ./m; echo $?; \
            gcc -v -c m.c 2>&1 | grep -o '/tmp/cc[A-Za-z0-9]*' | uniq -c; ls | grep -c cc; \
            cd $(mktemp -d) && pwd && echo x > $(mktemp -p .) && cat tmp.*";
        let told = |seed| {
            let (outcome, out, err) = ground.run(&by_chance(ground, Some(seed), script));
            assert!(out.starts_with("7\n"), "{outcome:?} {out}{err}");
            out
        };
        let first = told(1);
        assert!(
            first.contains("\n0\n") && first.ends_with("\nx\n"),
            "{first}"
        );
        assert_eq!(first, told(1));
        assert_ne!(first, told(2));
    });
}
