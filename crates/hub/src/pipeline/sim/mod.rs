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
mod fenced;
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

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use story::{Told, tell};

/// Stories that `make test` tells, unless `VAGT_STORIES` says otherwise.
const STORIES: u64 = 150;

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

/// Tells the next story until there is none, or one went wrong.
fn tell_next(next: &AtomicU64, last: u64) -> Result<Vec<Told>, String> {
    let mut all = Vec::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed > last {
            return Ok(all);
        }
        let told = std::panic::catch_unwind(|| live(seed)).unwrap_or_else(|_| Err("it panicked".to_owned()));
        let told = told.map_err(|wrong| {
            next.store(last + 1, Ordering::Relaxed);
            format!("story {seed}: {wrong}\nagain: VAGT_SEED={seed} cargo nextest run -p hub --no-capture sim::stories")
        })?;
        all.push(told);
    }
}

/// Each story is one thread's, as many at a time as there are processors.
#[test]
fn stories() {
    let seed = asked("VAGT_SEED");
    let (first, count) = (seed.unwrap_or(1), asked("VAGT_STORIES").unwrap_or(if seed.is_some() { 1 } else { STORIES }));
    let (began, next, last) = (Instant::now(), AtomicU64::new(first), first + count - 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let told: Result<Vec<Vec<Told>>, String> = std::thread::scope(|scope| {
        let telling: Vec<_> = (0..threads).map(|_| scope.spawn(|| tell_next(&next, last))).collect();
        telling.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("a thread has panicked".to_owned()))).collect()
    });
    let told: Vec<Told> = told.unwrap_or_else(|wrong| panic!("{wrong}")).into_iter().flatten().collect();
    let sum = |of: fn(&Told) -> usize| told.iter().map(of).sum::<usize>();
    let (messages, alerts) = (sum(|one| one.messages), sum(|one| one.alerts));
    let (kills, fenced) = (sum(|one| one.kills as usize), sum(|one| one.fenced as usize));
    println!(
        "{count} stories in {:.1} s: {messages} messages, {alerts} alerts, {kills} kills, {fenced} fenced, {} in counted gaps, {} with the hub's clock set back",
        began.elapsed().as_secs_f64(),
        sum(|one| one.gaps),
        sum(|one| one.set_back.into())
    );
    let enough = messages > 1000 && alerts > 100 && kills > 100 && fenced > 5;
    assert!(
        count < 20 || enough,
        "{messages} messages, {alerts} alerts, {kills} kills, {fenced} fenced prove too little"
    );
}

#[test]
fn the_same_seed_is_the_same_story() {
    // Where two hubs ask the store at once, or answers are slow, who is first is not the seed's alone.
    let alone = |told: &Told| !told.last.contains("stands still") && told.last.contains("read_ms: 0");
    let stories = (1..100).map(|seed| (seed, live(seed).unwrap())).filter(|(_, one)| alone(one)).take(3);
    for (seed, one) in stories {
        let other = live(seed).unwrap();
        assert_eq!(one.last, other.last, "story {seed}");
        assert_eq!((one.hash, one.messages, one.alerts), (other.hash, other.messages, other.alerts), "story {seed}");
    }
}
