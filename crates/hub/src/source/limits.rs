//! How fast one kit may send: messages and bytes, each a steady rate with a burst on top of it. One kit that floods may not slow the others.
//!
//! What is over the limit is never lost and never acknowledged unstored: at the front door it is held back, over HTTP it is told when to come
//! again, and over a broker it waits in the late lane, behind everybody else's.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, state::keyed::DefaultKeyedStateStore,
};
use vitals::KitId;

use crate::config::Limits as Config;

/// Kits remembered before those that have sent nothing for long are forgotten.
const KITS_SWEPT_AT: usize = 16_384;
/// What a burst of bytes is counted in.
const BYTES_UNIT: usize = 1024;

type Limiter<C> = RateLimiter<KitId, DefaultKeyedStateStore<KitId>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The time that passes for the runtime: a test can hold it still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passing;

impl Clock for Passing {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// The limits of every kit.
pub struct Limits<C: Clock = Passing> {
    messages: Limiter<C>,
    kibibytes: Limiter<C>,
    kibibytes_burst: u32,
    connections: usize,
    clock: C,
    /// How often each kit was over its limit. Bounded by the roster.
    over: Mutex<HashMap<KitId, u64>>,
}

/// How often what is remembered is tidied up.
const SWEEP_PERIOD: Duration = Duration::from_secs(60);

impl Limits {
    /// Tidies up, for ever.
    pub async fn keep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_PERIOD).await;
            self.sweep();
        }
    }

    /// As the configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self::by(config, Passing)
    }
}

impl<C: Clock + Clone> Limits<C> {
    /// The same, by this clock.
    #[must_use]
    pub fn by(config: &Config, clock: C) -> Self {
        let (rate, burst) = (at_least_one(config.messages_per_second), at_least_one(config.messages_burst));
        let kib_rate = at_least_one(config.kib_per_second);
        let kib_burst = at_least_one(config.kib_burst);
        Self {
            messages: RateLimiter::dashmap_with_clock(Quota::per_second(rate).allow_burst(burst), clock.clone()),
            kibibytes: RateLimiter::dashmap_with_clock(
                Quota::per_second(kib_rate).allow_burst(kib_burst),
                clock.clone(),
            ),
            kibibytes_burst: kib_burst.get(),
            connections: config.connections,
            clock,
            over: Mutex::default(),
        }
    }

    /// A message of so many bytes comes from this kit. If it is over its limit, how long until one like it is not.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, kit: &KitId, bytes: usize) -> Result<(), Duration> {
        let wait = |until: NotUntil<C::Instant>| until.wait_time_from(self.clock.now());
        let kibibytes = u32::try_from(bytes.div_ceil(BYTES_UNIT)).unwrap_or(u32::MAX).clamp(1, self.kibibytes_burst);
        let kibibytes = NonZeroU32::new(kibibytes).expect("clamped to 1 at least");
        let of_bytes = self.kibibytes.check_key_n(kit, kibibytes).expect("clamped to the burst").map_err(wait);
        of_bytes.and_then(|()| self.messages.check_key(kit).map_err(wait))
    }

    /// Notes that a kit was over its limit; gives how often that was.
    pub fn note_over(&self, kit: &KitId) -> u64 {
        metrics::counter!("vagt_source_over_limit_total").increment(1);
        let mut over = self.lock();
        let count = over.entry(kit.clone()).or_default();
        *count += 1;
        *count
    }

    /// How many connections of one kit are taken at a time.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Forgets kits that have sent nothing for a while: their limits are as new.
    pub fn sweep(&self) {
        for limiter in [&self.messages, &self.kibibytes] {
            if limiter.len() > KITS_SWEPT_AT {
                limiter.retain_recent();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KitId, u64>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number.max(1)).expect("it is at least 1")
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(clock: &FakeRelativeClock) -> Limits<FakeRelativeClock> {
        let config = Config {
            messages_per_second: 10,
            messages_burst: 20,
            kib_per_second: 100,
            kib_burst: 300,
            ..Config::default()
        };
        Limits::by(&config, clock.clone())
    }

    #[test]
    fn a_kit_that_floods_is_slowed_and_others_are_not() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let (one, two): (KitId, KitId) = ("kit-1".parse().unwrap(), "kit-2".parse().unwrap());
        let passed = |kit: &KitId| (0..1000).filter(|_| limits.check(kit, 100).is_ok()).count();
        assert_eq!(passed(&one), 20, "its burst");
        let wait = limits.check(&one, 100).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(passed(&two), 20);
        clock.advance(Duration::from_secs(1));
        assert_eq!(passed(&one), 10, "its rate");
        assert_eq!((limits.note_over(&one), limits.note_over(&one), limits.note_over(&two)), (1, 2, 1));
    }

    #[test]
    fn bytes_count_too_and_a_message_larger_than_the_burst_passes_alone() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let kit: KitId = "kit-1".parse().unwrap();
        assert!(limits.check(&kit, 1024 * 1024).is_ok(), "it would never pass else");
        let wait = limits.check(&kit, 200 * 1024).unwrap_err();
        assert!((Duration::from_millis(1900)..=Duration::from_millis(2100)).contains(&wait), "{wait:?}");
        clock.advance(wait);
        assert!(limits.check(&kit, 200 * 1024).is_ok());
    }
}
