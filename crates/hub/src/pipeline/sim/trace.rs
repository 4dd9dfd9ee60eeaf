//! What happened in a story, the last of it in words; what must not happen; and chance, from the seed alone.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

/// The last events that are told when a story fails.
const TOLD_MAX: usize = 60;

/// A story's book.
pub struct Trace {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    told: VecDeque<String>,
    events: u64,
    hash: u64,
    violated: Option<String>,
    troubled: bool,
}

impl Trace {
    pub fn new() -> Self {
        Self { began: Instant::now(), inner: Mutex::default() }
    }

    /// Something happened.
    pub fn tell(&self, what: &str) {
        let line = format!("{:>10.3} {what}", self.began.elapsed().as_secs_f64());
        let mut inner = self.lock();
        inner.events += 1;
        inner.hash = line.bytes().fold(inner.hash ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        if inner.told.len() >= TOLD_MAX {
            inner.told.pop_front();
        }
        inner.told.push_back(line);
    }

    /// The store failed, or a message was turned away: it comes again, behind later ones.
    pub fn trouble(&self) {
        self.lock().troubled = true;
    }

    /// Was there any of that?
    pub fn was_troubled(&self) -> bool {
        self.lock().troubled
    }

    /// Something that must not happen: the first is kept.
    pub fn violate(&self, what: String) {
        self.tell(&format!("!! {what}"));
        self.lock().violated.get_or_insert(what);
    }

    pub fn violated(&self) -> Option<String> {
        self.lock().violated.clone()
    }

    /// The last events, and a number that stands for all of them.
    pub fn told(&self) -> (String, u64) {
        let inner = self.lock();
        (inner.told.iter().map(|line| format!("  {line}\n")).collect(), inner.hash)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `nth` number of a stream of the story's chance (SplitMix64's finaliser over the three).
pub fn draw(seed: u64, stream: u64, nth: u64) -> u64 {
    let mut z = seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ nth.wrapping_mul(0xd1b5_4a32_d192_ed03);
    for multiplier in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        z = (z ^ (z >> 30)).wrapping_mul(multiplier);
    }
    z ^ (z >> 31)
}
