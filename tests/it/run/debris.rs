//! What a command leaves that tells when and where it ran.

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
