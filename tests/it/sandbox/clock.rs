//! A step's own clock, read by real programs in every way that there is.

use cairn::sandbox::{ClockWay, Wanted};

use super::ground::Ground;
use crate::support::programs::make;

const INSTANT: i64 = 1_600_000_000;
const WAYS: [ClockWay; 2] = [ClockWay::Rewritten, ClockWay::Hidden];

#[test]
fn smoke() {
    let ground = Ground::new(Wanted::Best).unwrap();
    let tools = ground.folder.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    make("hours.c", &tools.join("hours"), &["-static", "-pthread"]);
    for way in WAYS {
        for it in std::env::var("WHAT").unwrap().split(',') {
            let mut request = ground.request(it);
            request.lowers.insert(0, tools.clone());
            request.clock = Some(INSTANT);
            request.ways.clock = way;
            let t = std::time::Instant::now();
            let r = ground.run(&request);
            eprintln!("{way:?} {it}: {:?} {}\n{}{}", r.0.exit, t.elapsed().as_secs_f32(), r.1, r.2);
        }
    }
}
