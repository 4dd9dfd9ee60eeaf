//! Which readings were taken together: one sitting, one session id.
//!
//! A device's readings are sent at once, each in a message of their own, because a red value must not wait for the blood pressure cuff;
//! what was taken within the gap shares the session id. Taken, not received: what a device had stored belongs to the sitting of that day.
//! Pure: the times and the fresh id go in.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use vitals::SessionId;

/// What was taken within this of a sitting belongs to it.
pub const GAP: SignedDuration = SignedDuration::from_secs(90);
/// A sitting never lasts longer than this (an oximeter that is worn all day).
pub const LENGTH_MAX: SignedDuration = SignedDuration::from_mins(30);
/// Sittings that may still get a reading: today's, and those of the days that devices have stored.
pub const SITTINGS_MAX: usize = 256;

/// The kit's sittings.
#[derive(Debug, Default)]
pub struct Sittings {
    /// The one that got a reading last is last.
    open: VecDeque<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    id: SessionId,
    first: Timestamp,
    last: Timestamp,
}

impl Sittings {
    /// The session id of what was taken `at` that time. `fresh` makes an id when it begins a new sitting.
    pub fn join(&mut self, at: Timestamp, fresh: impl FnOnce() -> SessionId) -> SessionId {
        let joined = self.open.iter().rev().enumerate().find_map(|(index, open)| Some((index, open.with(at)?)));
        let open = match joined {
            Some((from_end, open)) => {
                self.open.remove(self.open.len() - 1 - from_end);
                open
            }
            None => Open { id: fresh(), first: at, last: at },
        };
        if self.open.len() >= SITTINGS_MAX {
            self.open.pop_front();
        }
        self.open.push_back(open);
        open.id
    }
}

impl Open {
    /// The sitting with what was taken then, if it belongs to it.
    fn with(self, at: Timestamp) -> Option<Self> {
        let near = at >= self.first - GAP && at <= self.last + GAP;
        let with = Self { first: self.first.min(at), last: self.last.max(at), ..self };
        (near && with.last.duration_since(with.first) <= LENGTH_MAX).then_some(with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which something is taken -> which sitting each belongs to.
    #[track_caller]
    fn check(seconds: &[i64], wanted: &[u128]) {
        let (mut sittings, mut made) = (Sittings::default(), 0);
        let got: Vec<u128> = seconds
            .iter()
            .map(|&second| {
                let at = Timestamp::from_second(1_790_000_000 + second).unwrap();
                let fresh = || {
                    made += 1;
                    SessionId::from_u128(made)
                };
                sittings.join(at, fresh).as_u128()
            })
            .collect();
        assert_eq!(got, wanted);
        assert!(sittings.open.len() <= SITTINGS_MAX);
    }

    #[test]
    fn devices_taken_one_after_the_other_share_a_sitting() {
        check(&[0, 30, 100, 190, 185], &[1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_pause_cuts_it() {
        check(&[0, 90, 181, 182], &[1, 1, 2, 2]);
    }

    #[test]
    fn a_device_that_never_stops_is_cut_at_the_longest_length() {
        let every_minute: Vec<i64> = (0..62).map(|minute| minute * 60).collect();
        let wanted: Vec<u128> = (0..62).map(|minute| 1 + minute / 31).collect();
        check(&every_minute, &wanted);
    }

    #[test]
    fn stored_records_join_the_sitting_of_their_day() {
        let day = 86_400;
        check(&[0, -day, -2 * day, -day + 70, 40, -2 * day - 60], &[1, 2, 3, 2, 1, 3]);
    }

    #[test]
    fn sittings_are_forgotten_in_the_end() {
        let days: Vec<i64> = (0..1000).map(|day| day * 86_400).chain([0]).collect();
        let wanted: Vec<u128> = (1..=1001).collect();
        check(&days, &wanted);
    }
}
