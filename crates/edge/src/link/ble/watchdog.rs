//! When an adapter that hangs is switched off and on. Pure.
//!
//! Adapters of small computers hang: calls are no longer answered, or discovery can't be started any more. One such failure may be BlueZ
//! being restarted; two in a row are not. It is done at most every [`CYCLE_EVERY`], because it cuts off every device.

use std::time::{Duration, Instant};

/// So many failures in a row are a hung adapter.
const FAILURES_MEAN_HUNG: u32 = 2;
/// Between two times that it is switched off and on, at least.
pub const CYCLE_EVERY: Duration = Duration::from_secs(300);
/// That it was done is said for this long.
const SAID_FOR: Duration = Duration::from_secs(3600);

/// Watches over one adapter.
#[derive(Debug, Default)]
pub struct Watchdog {
    failures: u32,
    cycled: u32,
    last: Option<Instant>,
}

impl Watchdog {
    /// It works.
    pub fn well(&mut self) {
        self.failures = 0;
    }

    /// It failed in a way that `hung` adapters do: switch it off and on now?
    pub fn failed(&mut self, now: Instant, hung: bool) -> bool {
        self.failures = if hung { self.failures + 1 } else { 0 };
        let rested = self.last.is_none_or(|last| now.duration_since(last) >= CYCLE_EVERY);
        let cycle = self.failures >= FAILURES_MEAN_HUNG && rested;
        if cycle {
            (self.failures, self.cycled, self.last) = (0, self.cycled + 1, Some(now));
        }
        cycle
    }

    /// What is to be said of it.
    pub fn said(&self, now: Instant) -> Option<String> {
        let recent = self.last.is_some_and(|last| now.duration_since(last) < SAID_FOR);
        let times = if self.cycled == 1 { "once".to_owned() } else { format!("{} times", self.cycled) };
        recent.then(|| format!("the adapter hung and was switched off and on {times} since the start"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (seconds, hung) -> whether it is switched off and on.
    #[track_caller]
    fn check(steps: &[(u64, bool, bool)]) -> (Watchdog, Instant) {
        let (start, mut watchdog) = (Instant::now(), Watchdog::default());
        for &(second, hung, wanted) in steps {
            assert_eq!(watchdog.failed(start + Duration::from_secs(second), hung), wanted, "after {second} s");
        }
        (watchdog, start)
    }

    #[test]
    fn only_one_that_hangs_again_is_switched_off_and_on_and_not_too_often() {
        check(&[(0, true, false), (1, false, false), (2, true, false), (3, true, true), (4, true, false)]);
        let (watchdog, start) =
            check(&[(0, true, false), (1, true, true), (30, true, false), (300, true, false), (301, true, true)]);
        let said = |second| watchdog.said(start + Duration::from_secs(second));
        let sentence = "the adapter hung and was switched off and on 2 times since the start";
        assert_eq!(said(400).as_deref(), Some(sentence));
        assert_eq!(said(301 + 3600), None);
    }

    #[test]
    fn one_that_works_again_is_left_alone() {
        let (mut watchdog, start) = check(&[(0, true, false)]);
        watchdog.well();
        assert!(!watchdog.failed(start + Duration::from_secs(9), true));
        assert_eq!(watchdog.said(start), None);
    }
}
