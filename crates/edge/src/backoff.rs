//! How long to wait before trying again: a ceiling that doubles with every failure up to a cap, and a random part of it (full jitter), so
//! that ten thousand kits do not come back in step after the same outage. Pure: the random number goes in.

use std::time::Duration;

/// Waiting times of one thing that keeps failing.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits at most `first` after one failure, twice as long after each further one, never longer than `cap`.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, failures: 0 }
    }

    /// One more failure: how long to wait. `random` is uniform in `0.0..1.0`.
    pub fn failed(&mut self, random: f64) -> Duration {
        let ceiling = self.first.saturating_mul(1 << self.failures.min(20)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(random.clamp(0.0, 1.0))
    }

    /// It worked: the next failure waits as after the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since it last worked.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings(count: usize) -> Vec<u64> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        (0..count).map(|_| backoff.failed(1.0).as_millis() as u64).collect()
    }

    #[test]
    fn doubles_up_to_the_cap() {
        assert_eq!(ceilings(10), [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
        assert_eq!(ceilings(1000)[999], 60000);
    }

    #[test]
    fn jitter_is_full() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(backoff.failed(0.0), Duration::ZERO);
        assert_eq!(backoff.failed(0.25), Duration::from_millis(500));
    }

    #[test]
    fn success_starts_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        backoff.failed(1.0);
        backoff.failed(1.0);
        assert_eq!(backoff.failures(), 2);
        backoff.reset();
        assert_eq!(backoff.failed(1.0), Duration::from_secs(1));
    }
}
