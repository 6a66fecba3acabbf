//! What a command leaves that tells when and where it ran.

use cairn::normal::Without;

use super::ground::{Ground, script};
use super::makes;

#[test]
fn caches_of_inodes_and_times_are_in_no_layer() {
    makes(
        "mkdir -p /var/cache/apt /var/cache/ldconfig && cd /var/cache \
         && ls -i / > apt/pkgcache.bin && ls -i / > apt/srcpkgcache.bin && ls -i / > ldconfig/aux-cache \
         && echo x > apt/other && ln -s /x ldconfig/link",
        &[
            "d 0755 0:0 var -",
            "d 0755 0:0 var/cache -",
            "d 0755 0:0 var/cache/apt -",
            "f 0644 0:0 var/cache/apt/other 2",
            "d 0755 0:0 var/cache/ldconfig -",
            "l 0777 0:0 var/cache/ldconfig/link /x",
        ],
    );
}

#[test]
fn a_cache_from_below_goes_once_it_is_written_again() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let name = "/var/cache/ldconfig/aux-cache";
    let below = ground.file(base, name.trim_start_matches('/'), "below");
    let other = ground.run(
        script("cat /var/cache/ldconfig/aux-cache > /seen"),
        &[below],
    );
    assert_eq!(ground.layer(other), ["f 0644 0:0 seen 5"]);
    let written = ground.run(script(&format!("echo again > {name}")), &[below]);
    let whiteout = format!("w 0000 0:0 {} -", name.trim_start_matches('/'));
    assert!(ground.layer(written).contains(&whiteout));
}

#[test]
fn what_is_turned_off_stays_and_is_another_result() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let log = ground.file(base, "var/log/dpkg.log", "");
    let text = "echo now >> /var/log/dpkg.log && mkdir /var/cache && echo x > /var/cache/f";
    let top = ground.run(script(text), &[log]);
    // A log that is as empty as it was hasn't changed.
    let emptied = [
        "d 0755 0:0 var -",
        "d 0755 0:0 var/cache -",
        "f 0644 0:0 var/cache/f 2",
    ];
    assert_eq!(ground.layer(top), emptied);
    ground.settings.commands.without = Without::named("logs").unwrap();
    let whole = [
        &emptied[..],
        &["d 0755 0:0 var/log -", "f 0644 0:0 var/log/dpkg.log 4"],
    ];
    assert_eq!(ground.layer(top), whole.concat());
    ground.settings.commands.without = Without::default();
    assert_eq!(ground.layer(top), emptied);
}

#[test]
fn a_log_keeps_its_owner_and_mode_and_what_was_not_written_stays() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let log = ground.file(base, "var/log/dpkg.log", "below");
    let text = "touch /var/log/dpkg.log && mkdir /var/log/apt && cd /var/log/apt \
         && echo x > term.log && chmod 640 term.log && echo x > history.log \
         && touch -d @0 history.log && echo x > ../alternatives.log && ln ../alternatives.log a";
    let top = ground.run(script(text), &[log]);
    let lines = ground.layer(top);
    let line = |name: &str| lines.iter().find(|line| line.contains(name)).cloned();
    assert_eq!(line("dpkg.log"), None);
    assert!(
        line("term.log")
            .unwrap()
            .starts_with("f 0640 0:0 var/log/apt/term.log 0")
    );
    // One that came with a time of its own, from an archive, wasn't written now.
    assert!(line("history.log").unwrap().ends_with(" 2"));
    assert!(line("alternatives.log").unwrap().ends_with(" 0"));
    assert!(line("var/log/apt/a ").unwrap().starts_with("h "));
}

#[test]
fn commands_are_told_the_time_of_the_build_unless_the_recipe_tells_them() {
    let Some(mut ground) = Ground::new() else {
        return;
    };
    let base = ground.base();
    let mut told = script("echo told $SOURCE_DATE_EPOCH");
    let own = ("SOURCE_DATE_EPOCH".to_owned(), "5".to_owned());
    told.env.push(own);
    let first = ground.run(told, &[base]);
    let second = ground.run(script("echo else $SOURCE_DATE_EPOCH"), &[first]);
    ground.build(second).unwrap();
    let epoch = ground.settings.epoch.seconds();
    let mut output = ground.output();
    output.sort();
    assert_eq!(output, [format!("else {epoch}"), "told 5".to_owned()]);
}
