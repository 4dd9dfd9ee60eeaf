//! When the kit's clock is believed for giving up what is too old: a kit without a battery for its clock starts with a wrong one, and a clock that
//! was just set far ahead makes everything that waits look old. Pure: both times go in.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// After the start.
const SETTLED_AFTER: Duration = Duration::from_secs(3600);
/// After it was set: somebody will notice a wrong day within one.
const SETTLED_AFTER_STEP: Duration = Duration::from_secs(24 * 3600);
/// Set by more than this.
const STEP_MIN: SignedDuration = SignedDuration::from_mins(10);

/// Watches over the kit's clock.
#[derive(Debug)]
pub struct Settling {
    seen: (Instant, Timestamp),
    settled_at: Option<Instant>,
}

impl Settling {
    /// The kit starts.
    #[must_use]
    pub fn new(instant: Instant, now: Timestamp) -> Self {
        Self { seen: (instant, now), settled_at: instant.checked_add(SETTLED_AFTER) }
    }

    /// Is the clock believed by now?
    pub fn is_settled(&mut self, instant: Instant, now: Timestamp) -> bool {
        let (last, was) = std::mem::replace(&mut self.seen, (instant, now));
        let gone = SignedDuration::try_from(instant.duration_since(last)).unwrap_or(SignedDuration::MAX);
        if now.duration_since(was).saturating_sub(gone).abs() > STEP_MIN {
            self.settled_at = instant.checked_add(SETTLED_AFTER_STEP);
        }
        self.settled_at.is_some_and(|at| at <= instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_not_believed_for_a_day() {
        let (start, began) = (Instant::now(), "2026-11-22T08:00:00Z".parse::<Timestamp>().unwrap());
        let mut settling = Settling::new(start, began);
        // Minutes that went by, minutes that the clock was set ahead by then -> believed?
        for (gone, ahead, wanted) in [
            (0, 0, false),
            (59, 0, false),
            (60, 0, true),
            (70, 9, true),
            (80, 60 * 24 * 60, false),
            (80 + 23 * 60, 60 * 24 * 60, false),
            (80 + 24 * 60, 60 * 24 * 60, true),
            (81 + 24 * 60, 0, false),
            (82 + 48 * 60, 0, true),
        ] {
            let instant = start + Duration::from_secs(gone * 60);
            let now = began + SignedDuration::from_mins(i64::try_from(gone).unwrap() + ahead);
            assert_eq!(settling.is_settled(instant, now), wanted, "after {gone} min, {ahead} min ahead");
        }
    }
}
