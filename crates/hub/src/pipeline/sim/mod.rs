//! A thousand lives of a clinic, in fake time: kits with spools, a net, a front door or a broker, the whole pipeline as it runs in the service,
//! and a store, each of which may be killed, cut, stalled, refused or set to a wrong time at any moment; a hub may stand still while
//! another takes over, and be refused when it goes on. One seed is one story.
//!
//! `VAGT_SEED=17 cargo nextest run -p hub --no-capture sim::stories` tells one again; `VAGT_STORIES=1000` tells so many, from
//! that seed on or from 1. What is played and
//! what is real, and which faults this was seen to catch: docs/chaos.md.

mod check;
mod clinic;
mod disk;
mod kit;
mod net;
mod stored;
mod story;
mod trace;

/// The kit's own code: which messages of a connection are under way.
#[path = "../../../../edge/src/uplink/window.rs"]
#[allow(dead_code, reason = "a story has no refusals")]
mod window;

/// The kit's own code: how long it waits for the core.
#[path = "../../../../edge/src/uplink/patience.rs"]
#[allow(dead_code, reason = "a story has no refusals")]
mod patience;

use std::time::Instant;

use story::{Told, tell};

/// Stories that `make test` tells, unless `VAGT_STORIES` says otherwise.
const STORIES: u64 = 50;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}, want a number")))
}

/// One story in fake time, on a runtime of its own.
fn live(seed: u64) -> Result<Told, String> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // What every story begins with is made once, in a time of its own.
    runtime().block_on(clinic::stored(1));
    runtime().block_on(tell(seed))
}

#[test]
fn stories() {
    let seed = asked("VAGT_SEED");
    let (first, count) = (seed.unwrap_or(1), asked("VAGT_STORIES").unwrap_or(if seed.is_some() { 1 } else { STORIES }));
    let began = Instant::now();
    let (mut sum, mut set_back) = (Told::default(), 0);
    for seed in first..first + count {
        let told = live(seed).unwrap_or_else(|wrong| {
            panic!("story {seed}: {wrong}\nagain: VAGT_SEED={seed} cargo nextest run -p hub --no-capture sim::stories")
        });
        sum.messages += told.messages;
        sum.alerts += told.alerts;
        sum.kills += told.kills;
        sum.fenced += told.fenced;
        sum.gaps += told.gaps;
        set_back += u32::from(told.set_back);
    }
    println!(
        "{count} stories in {:.1} s: {} messages, {} alerts, {} kills, {} fenced, {} in counted gaps, {set_back} with the hub's clock set back",
        began.elapsed().as_secs_f64(),
        sum.messages,
        sum.alerts,
        sum.kills,
        sum.fenced,
        sum.gaps
    );
    assert!(
        count < 20 || (sum.messages > 1000 && sum.alerts > 100 && sum.kills > 100 && sum.fenced > 5),
        "{sum:?} proves too little"
    );
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in [3, 4, 5] {
        let [one, other] = [live(seed), live(seed)].map(|told| told.unwrap());
        assert_eq!(one.last, other.last, "story {seed}");
        assert_eq!((one.hash, one.messages, one.alerts), (other.hash, other.messages, other.alerts), "story {seed}");
    }
}
