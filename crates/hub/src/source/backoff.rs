//! How long to wait before connecting again: a ceiling that doubles with every failure up to a cap, and a random part of it. Pure: the random
//! number goes in.

use std::time::Duration;

/// At most, after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// At most, however often it has failed: there is one service and one broker, and until they have found each other nothing is heard.
const CAP: Duration = Duration::from_secs(5);

/// Failures in a row.
#[derive(Debug, Default)]
pub struct Backoff(u32);

impl Backoff {
    /// One more failure: how long to wait. `random` is uniform in `0.0..1.0`.
    pub fn failed(&mut self, random: f64) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.0.min(16)).min(CAP);
        self.0 = self.0.saturating_add(1);
        ceiling.mul_f64(random.clamp(0.0, 1.0))
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_a_random_part_of_it_is_waited() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.failed(1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.failed(0.5).as_millis(), 250);
    }
}
