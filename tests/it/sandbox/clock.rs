//! A step's own clock, read by real programs in every way that there is.

use std::path::Path;
use std::process::{Command, Stdio};

use cairn::sandbox::{
    ClockWay, Constants, Error, Exit, Mount, Request, Security, Seed, Source, Wanted,
};

use super::ground::{Ground, path};
use super::users::as_user;
use crate::support::programs::{make, make_narrow_hours, skipped};
use crate::support::{require, temp};

const INSTANT: i64 = 1_600_000_000;
const WAYS: [ClockWay; 2] = [ClockWay::Rewritten, ClockWay::Hidden];

fn constants(instant: i64) -> Option<Constants> {
    let seed = Seed::default();
    Some(Constants { instant, seed })
}

/// A request with a clock, and `support/hours.c` as `/hours`.
fn timed(ground: &Ground, way: ClockWay, script: &str) -> Request {
    let tools = ground.folder.path().join("hours");
    if !tools.exists() {
        std::fs::create_dir(&tools).unwrap();
        make("hours.c", &tools.join("hours"), &["-static", "-pthread"]);
    }
    let mut request = ground.request(script);
    request.lowers.insert(0, tools);
    request.constants = constants(INSTANT);
    request.ways.clock = way;
    request
}

/// As [`timed`], with the machine's own programs.
pub fn with_machine(ground: &Ground, way: ClockWay, script: &str) -> Request {
    let mut request = timed(ground, way, script);
    for (target, source) in [
        ("usr", "usr"),
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        let (folder, path, target) = ("/".into(), path(source), path(target));
        let read_only = true;
        request.mounts.push(Mount {
            target,
            source: Source::Bind {
                folder,
                path,
                read_only,
            },
        });
    }
    request.env = vec![("PATH".to_owned(), "/usr/bin".to_owned())];
    request
}

/// Does the same for root, for root as if alone, for a user with others, for one without.
pub fn for_all(what: impl Fn(&Ground)) {
    for identity in [Wanted::Best, Wanted::Single] {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        what(&ground);
    }
    for range in ["made:400000:65536\n", ""] {
        let folder = temp();
        let Some((program, _users)) = as_user(folder.path(), range) else {
            return;
        };
        let Some(ground) = Ground::with(&program, Wanted::Best, 30001) else {
            return;
        };
        what(&ground);
    }
}

#[test]
fn every_read_gives_the_instant_and_other_clocks_are_real() {
    let old = match std::fs::read_to_string("/proc/self/maps") {
        Ok(maps) if maps.contains("[vsyscall]") => " old",
        _ => "",
    };
    for_all(|ground| {
        for way in WAYS {
            let script = format!("/hours all{old} rising monotonic");
            let mut expected = vec![INSTANT.to_string(); 12].join(" ");
            if !old.is_empty() {
                expected += &format!("\n{INSTANT} {INSTANT}");
            }
            expected += "\nrises\nreal\n";
            ground.answers(&timed(ground, way, &script), &expected);
        }
    });
}

#[test]
fn every_program_has_it_however_it_begins() {
    for_all(|ground| {
        for way in WAYS {
            let script = "cp /hours /tmp/roots; chmod 4755 /tmp/roots; \
                /hours children; /hours threads; /hours killed; /hours user; \
                busybox seq 1000 | busybox xargs -P 8 -I % /hours % seconds | busybox uniq -c";
            let expected = format!("{INSTANT}\n").repeat(4)
                + &format!("done\n0 {INSTANT}\n   1000 {INSTANT}\n");
            ground.answers(&timed(ground, way, script), &expected);
        }
    });
}

#[test]
fn who_executes_is_as_free_as_ever() {
    for way in WAYS {
        let Some(ground) = Ground::new(Wanted::Best) else {
            return;
        };
        let script = "/hours signals; \
            for turn in $(busybox seq 300); do /hours threads; done | busybox uniq -c";
        let expected = format!("1000\ndone\n    300 {INSTANT}\n");
        ground.answers(&timed(&ground, way, script), &expected);
    }
}

#[test]
fn a_command_with_every_right_has_it_in_namespaces_of_its_own() {
    for identity in [Wanted::Best, Wanted::Single] {
        let Some(ground) = Ground::new(identity) else {
            return;
        };
        let script = "unshare -r -p -f -m /hours seconds; chroot / /hours seconds; /hours refused";
        let mut request = timed(&ground, ClockWay::Rewritten, script);
        request.security = Security::Insecure;
        let refused = ["Operation not permitted"; 4].join(" ");
        let expected = format!("{INSTANT}\n{INSTANT}\n{refused}\n");
        ground.answers(&request, &expected);
    }
}

#[test]
fn what_would_tell_or_need_real_time_is_refused() {
    for way in WAYS {
        let Some(ground) = Ground::new(Wanted::Best) else {
            return;
        };
        let expected = ["Operation not permitted"; 4].join(" ") + "\n";
        ground.answers(&timed(&ground, way, "/hours refused"), &expected);
    }
}

#[test]
fn what_waits_for_an_instant_waits_as_long_as_it_meant() {
    let expected = "condition right over Connection timed out\n\
        condition right over Connection timed out\n\
        again Connection timed out\n\
        semaphore right over Connection timed out\n\
        sleep right over 0\n\
        timer right over 0\n\
        alarm right over 0\n\
        queue right over Connection timed out\n";
    // Behind the machine's clock, and before it.
    for instant in [INSTANT, 4_000_000_000] {
        for way in WAYS {
            let Some(ground) = Ground::new(Wanted::Best) else {
                return;
            };
            let mut request = timed(&ground, way, "/hours waits");
            request.constants = constants(instant);
            ground.answers(&request, expected);
        }
    }
}

#[test]
fn time_passes_for_who_waits_for_it() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let loops = "end=$(( $(/hours seconds) + 1 )); \
        while [ $(/hours seconds) -lt $end ]; do $1; done; /hours seconds";
    let expected = format!("{}\n", INSTANT + 1);
    for (way, script) in [
        (ClockWay::Rewritten, "/hours polling; /hours slept"),
        (ClockWay::Hidden, "echo ends; /hours slept"),
    ] {
        ground.answers(&timed(&ground, way, script), "ends\nslept 1\n");
        for each in ["true", "sleep 0.5"] {
            let script = format!("set -- x '{each}'; shift; {loops}");
            ground.answers(&timed(&ground, way, &script), &expected);
        }
    }
}

#[test]
fn programs_in_other_languages_have_it() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    for (program, script, expected) in [
        (
            "python3",
            "python3 -Ic 'import time, datetime; print(int(time.time()), \
                time.time_ns() // 10**9, datetime.datetime.now().isoformat(\" \", \"seconds\"))'",
            "1600000000 1600000000 2020-09-13 12:26:40\n",
        ),
        (
            "perl",
            "perl -e 'print time, \" \", scalar(gmtime), \"\\n\"'",
            "1600000000 Sun Sep 13 12:26:40 2020\n",
        ),
        ("bash", "bash -c 'echo $EPOCHSECONDS'", "1600000000\n"),
        (
            "date",
            "date -u; timeout 0.1 sleep 600; echo $?; ld=$(echo /lib64/ld-linux-*); $ld /bin/date +%s",
            "Sun Sep 13 12:26:40 UTC 2020\n124\n1600000000\n",
        ),
    ] {
        if !Path::new("/usr/bin").join(program).exists() {
            skipped(&format!("`{program}` is not installed"));
            continue;
        }
        for way in WAYS {
            ground.answers(&with_machine(&ground, way, script), expected);
        }
    }
}

#[test]
fn programs_of_32_bits_have_it() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let folder = ground.folder.path().join("narrow");
    std::fs::create_dir(&folder).unwrap();
    if !make_narrow_hours(&folder.join("narrow")) {
        return;
    }
    let mut request = timed(&ground, ClockWay::Rewritten, "/narrow");
    request.lowers.insert(0, folder);
    let [before, after] = [INSTANT, INSTANT + 1].map(|time| format!("{time} ").repeat(4));
    ground.answers(&request, &format!("{before}{after}0 0 65536 8 0 9 "));
}

#[test]
fn it_is_the_machines_where_none_is_asked_for() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let mut request = timed(
        &ground,
        ClockWay::default(),
        "[ $(/hours seconds) -gt 1700000000 ]",
    );
    request.constants = None;
    ground.answers(&request, "");
    for instant in [-1, i64::MAX] {
        request.constants = constants(instant);
        let error = ground.session.run(&request, &mut |_, _| Ok(()));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("can't begin"), "{error}");
    }
}

#[test]
fn a_process_whose_clock_cant_be_set_ends_the_step() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    if !rustix::process::geteuid().is_root() || !require("busybox") {
        return;
    }
    let shared = ground.folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let script = "echo ready; while ! [ -e /shared/go ]; do :; done; exec /hours seconds";
    let mut request = timed(&ground, ClockWay::Rewritten, script);
    request.mounts.push(Mount {
        target: path("shared"),
        source: Source::Bind {
            folder: shared.clone(),
            path: path(""),
            read_only: true,
        },
    });
    let hours = ground.folder.path().join("hours/hours");
    let mut tracer = None;
    let mut said = Vec::new();
    let error = ground.session.run(&request, &mut |_, bytes| {
        said.extend_from_slice(bytes);
        if tracer.is_none() {
            let process = running(script);
            let mut command = Command::new(&hours);
            command.args(["follow", &process]).stdout(Stdio::piped());
            let mut child = command.spawn()?;
            let mut out = [0; 8];
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut out)?;
            assert_eq!(&out, b"follows\n");
            tracer = Some(child);
            std::fs::write(shared.join("go"), "")?;
        }
        Ok(())
    });
    tracer.unwrap().wait().unwrap();
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("set the clock of the process `sh`"), "{text}");
    assert_eq!(String::from_utf8_lossy(&said), "ready\n");
    // What comes after it runs.
    let next = timed(&ground, ClockWay::Rewritten, "/hours seconds");
    ground.answers(&next, &format!("{INSTANT}\n"));
}

/// The process that has such an argument.
#[expect(clippy::disallowed_methods, reason = "the order doesn't matter")]
fn running(argument: &str) -> String {
    let has = |process: &String| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|it| it == argument.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    let mut found = names.filter(|name| name.bytes().all(|it| it.is_ascii_digit()));
    found.find(has).unwrap()
}

#[test]
fn a_step_ends_in_time_whatever_its_programs_do() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let script = "while :; do /hours seconds; done >/dev/null";
    let mut request = timed(&ground, ClockWay::Rewritten, script);
    request.limits.time = Some(std::time::Duration::from_millis(300));
    let (outcome, _, _) = ground.run(&request);
    assert_eq!(outcome.exit, Exit::TimedOut);
}

#[test]
fn what_a_step_writes_has_its_time_for_whoever_asks() {
    if !["perl", "make"].into_iter().all(require) {
        return;
    }
    let script = r#"cd /tmp; echo a > f; mkdir d; ln -s f l; echo b > d/g; touch -d @5 old
        stat -c '%.X %.Y %.Z %.W' f d l d/g; stat -c %Y old /etc/passwd
        perl -e 'open F, "f"; print join(" ", map { (stat $_)[9] } *F, "l", "d/g"), "\n",
            (lstat "l")[9], "\n"'
        find f -printf '%Ts\n'; date -r f +%s
        tar -c --format=posix f d | tar -t -v --full-time | grep -o '2020-09-13 [0-9:]*' | uniq -c
        gzip -k f -c | od -A n -t u4 -j 4 -N 4
        cp -p f kept; stat -c '%.Y %.Z' kept
        printf 'b: a\n\tcp a b\n' > Makefile; echo 1 > a; make -s; sleep 0.02; echo 2 > a; make -s
        cat b; make"#;
    let fixed = format!("{INSTANT}.000000000");
    let expected = [
        format!("{}\n", [fixed.as_str(); 4].join(" ")).repeat(4),
        "5\n1000000\n".to_owned(),
        format!("{INSTANT} {INSTANT} {INSTANT}\n{INSTANT}\n"),
        format!("{INSTANT}\n{INSTANT}\n"),
        "      3 2020-09-13 12:26:40\n".to_owned(),
        format!(" {INSTANT}\n"),
        format!("{fixed} {fixed}\n"),
        "2\nmake: 'b' is up to date.\n".to_owned(),
    ]
    .concat();
    for_all(|ground| {
        for way in WAYS {
            ground.answers(&with_machine(ground, way, script), &expected);
        }
    });
}

#[test]
fn a_files_time_is_told_to_nobody_who_may_not_find_it() {
    let Some(ground) = Ground::new(Wanted::Best) else {
        return;
    };
    let script = "cd /tmp; umask 077; mkdir own; echo a > own/f; \
        setpriv --reuid 7 --clear-groups stat own/f; stat -c %Y own/f";
    let request = with_machine(&ground, ClockWay::Rewritten, script);
    let (outcome, out, err) = ground.run(&request);
    assert_eq!(outcome.exit, Exit::Code(0), "{err}");
    assert_eq!(out, format!("{INSTANT}\n"));
    assert!(err.contains("'own/f': Permission denied"), "{err}");
}

#[test]
fn an_archive_that_holds_numbers_of_files_is_the_same_in_every_run() {
    if !require("cpio") {
        return;
    }
    for_all(|ground| {
        let told = |others: &str| {
            // Names of one file have one number; others before them change where files lie.
            let script = format!(
                "cd /tmp; mkdir {others} d; touch d/b d/a; ln d/a d/c; \
                 find d | sort | cpio -o -H newc 2>/dev/null | sha256sum; \
                 find d | sort | cpio -o -H newc 2>/dev/null | cpio -tv 2>/dev/null | wc -l; \
                 stat -c %i d/a d/b d/c | uniq -c | wc -l"
            );
            let request = with_machine(ground, ClockWay::Rewritten, &script);
            let (outcome, out, err) = ground.run(&request);
            assert_eq!(outcome.exit, Exit::Code(0), "{out}{err}");
            out
        };
        let first = told("x");
        assert!(first.ends_with("-\n4\n3\n"), "{first}");
        assert_eq!(first, told("z y w v u"));
    });
}

#[test]
fn who_writes_down_when_a_file_was_made_reads_when_it_was_changed() {
    let script = "cp /usr/bin/stat /tmp/cargo; /tmp/cargo -c '%.Y %.W' /etc/passwd /tmp/cargo; \
        test $(stat -c %W /etc/passwd) != 1000000 && echo unpacked";
    let below = "1000000.000000000 1000000.000000000\n";
    for_all(|ground| {
        let request = with_machine(ground, ClockWay::Rewritten, script);
        let (outcome, out, err) = ground.run(&request);
        assert_eq!(outcome.exit, Exit::Code(0), "{err}");
        let lines = out.strip_prefix(below).unwrap_or_else(|| panic!("{out}"));
        let (own, rest) = lines.split_once('\n').unwrap();
        let (changed, made) = own.split_once(' ').unwrap();
        assert!(
            changed == made && changed.starts_with(&format!("{INSTANT}.")),
            "{own}"
        );
        assert_eq!(rest, "unpacked\n");
    });
}

#[test]
fn real_time_passes_for_what_waits_in_a_step_that_does_nothing_else() {
    if !require("python3") {
        return;
    }
    // The other thread makes that what this one sleeps has not passed.
    let script = |other: &str, until: &str| {
        format!(
            "exec python3 -Ic 'import threading, time\n\
             def other():\n    while True:\n        {other}\n\
             threading.Thread(target=other, daemon=True).start()\n\
             begin, began = time.time(), time.monotonic()\n\
             while {until}: time.sleep(0.05)\n\
             print(time.time() - begin < 3, time.monotonic() - began > 60)'"
        )
    };
    let waits = script("time.sleep(1000)", "time.time() < begin + 5");
    let works = script(
        "sum(range(30000)); time.sleep(0.004)",
        "time.monotonic() < began + 75",
    );
    let (waits, works) = (waits.as_str(), works.as_str());
    let shows = |way, script, expected| {
        if let Some(ground) = Ground::new(Wanted::Best) {
            ground.answers(&with_machine(&ground, way, script), expected);
        }
    };
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || shows(way, waits, "False True\n"));
            scope.spawn(move || shows(way, works, "True True\n"));
        }
    });
}

#[test]
fn who_looks_after_its_children_again_and_again_has_no_other_clock_for_it() {
    if !require("python3") {
        return;
    }
    // Less than it slept, as a float rounds times of today to a quarter of a microsecond.
    let script = "python3 -Ic 'import subprocess, time\n\
        begin = time.time()\n\
        child = subprocess.Popen([\"sleep\", \"0.3\"])\n\
        looks = 0\n\
        while child.poll() is None:\n    looks += 1\n    time.sleep(0.02)\n\
        print(looks > 2, time.time() - begin < 0.015)\n\
        time.sleep(0.02)\n\
        print(time.time() - begin < 0.015)'";
    for_all(|ground| {
        for way in WAYS {
            let request = with_machine(ground, way, script);
            ground.answers(&request, "True True\nFalse\n");
        }
    });
}
