//! The judge's time. Pure. Everything that is judged has a stamp of its own, which only grows: the clock, or a microsecond after the stamp
//! before. So messages, actions and journal entries, each stored with its stamp, are in one order, and a replay goes the same way.
//!
//! A clock that goes back a little is waited for: stamps go on from where they are, a microsecond apart. One that goes back further had
//! leapt ahead, and is followed: stamps begin anew at the clock, and the journal says so (`Started`, with the stamp that was left).

use jiff::{SignedDuration, Timestamp, Unit};

/// The smallest step between two stamps: what every store keeps.
const STEP: SignedDuration = SignedDuration::from_micros(1);
/// The clock may go back by this much without being followed.
pub const STEP_BACK_MAX: SignedDuration = SignedDuration::from_mins(1);

/// What has been given out.
#[derive(Clone, Copy, Debug)]
pub struct Stamps {
    /// The last stamp.
    last: Timestamp,
    /// The latest that the clock has said.
    latest: Timestamp,
}

impl Stamps {
    /// Stamps above `stored`, the last that the store has. Gives too whether they begin below it: the clock is far behind what is stored.
    #[must_use]
    pub fn above(stored: Option<Timestamp>, clock: Timestamp) -> (Self, Option<Timestamp>) {
        let last = stored.unwrap_or(Timestamp::MIN);
        let stamps = Self { last, latest: last };
        if stamps.is_behind(clock) { (Self::anew(clock), stored) } else { (stamps, None) }
    }

    /// Stamps that begin at the clock, whatever was before.
    #[must_use]
    pub fn anew(clock: Timestamp) -> Self {
        Self { last: Timestamp::MIN, latest: clock }
    }

    /// Follows the clock, forwards.
    pub fn see(&mut self, clock: Timestamp) {
        self.latest = self.latest.max(clock);
    }

    /// The clock, as far as stamps follow it.
    #[must_use]
    pub fn now(&self, clock: Timestamp) -> Timestamp {
        self.latest.max(self.last).max(clock)
    }

    /// Has the clock gone back further than can be waited for?
    #[must_use]
    pub fn is_behind(&self, clock: Timestamp) -> bool {
        self.now(clock).duration_since(clock) > STEP_BACK_MAX
    }

    /// The stamp of the next event.
    pub fn next(&mut self, clock: Timestamp) -> Timestamp {
        self.see(clock);
        self.last = in_micros(self.latest).max(self.last.checked_add(STEP).unwrap_or(Timestamp::MAX));
        self.last
    }

    /// The last that was given out.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.last
    }
}

/// Without what is below a microsecond.
fn in_micros(at: Timestamp) -> Timestamp {
    let round = jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc);
    at.round(round).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn only_grow_a_microsecond_at_least() {
        let clock = at("2026-11-22T08:00:00.0000005Z");
        let (mut stamps, set_back) = Stamps::above(None, clock);
        let given = [stamps.next(clock), stamps.next(clock), stamps.next(clock - SignedDuration::from_secs(30))];
        assert_eq!((given.map(|stamp| stamp.subsec_nanosecond()), set_back), ([0, 1_000, 2_000], None));
        assert!(!stamps.is_behind(clock - SignedDuration::from_secs(30)));
        assert!(stamps.is_behind(clock - SignedDuration::from_secs(90)));
    }

    #[test]
    fn go_on_above_what_is_stored_unless_that_is_far_ahead_of_the_clock() {
        let clock = at("2026-11-22T08:00:00Z");
        let near = clock + SignedDuration::from_secs(5);
        let (mut stamps, set_back) = Stamps::above(Some(near), clock);
        assert_eq!((stamps.next(clock), set_back), (near + STEP, None));
        let far = at("2030-01-01T00:00:00Z");
        let (mut stamps, set_back) = Stamps::above(Some(far), clock);
        assert_eq!((stamps.next(clock), set_back), (clock, Some(far)));
    }
}
