//! Which readings were taken together: one sitting, one session id.
//!
//! A device's readings are sent at once, each in a message of their own, because a red value must not wait for the blood pressure cuff;
//! what was taken within the gap shares the session id. Pure: the time and the fresh id go in.

use jiff::{SignedDuration, Timestamp};
use vitals::SessionId;

/// A sitting is over when nothing was measured for this long.
pub const GAP: SignedDuration = SignedDuration::from_secs(90);
/// A sitting never lasts longer than this (an oximeter that is worn all day).
pub const LENGTH_MAX: SignedDuration = SignedDuration::from_mins(30);

/// The kit's current sitting.
#[derive(Debug, Default)]
pub struct Sitting {
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    id: SessionId,
    began: Timestamp,
    last: Timestamp,
}

impl Sitting {
    /// The session id of what was measured `now`. `fresh` makes an id when a new sitting begins.
    pub fn join(&mut self, now: Timestamp, fresh: impl FnOnce() -> SessionId) -> SessionId {
        let open = match self.open {
            Some(open) if open.takes(now) => Open { last: now, ..open },
            _ => Open { id: fresh(), began: now, last: now },
        };
        self.open = Some(open);
        open.id
    }
}

impl Open {
    /// Also not when the kit's clock has been set back in between.
    fn takes(&self, now: Timestamp) -> bool {
        now >= self.last && now.duration_since(self.last) <= GAP && now.duration_since(self.began) <= LENGTH_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which something is measured -> which sitting each belongs to.
    #[track_caller]
    fn check(seconds: &[i64], wanted: &[u128]) {
        let (mut sitting, mut made) = (Sitting::default(), 0);
        let got: Vec<u128> = seconds
            .iter()
            .map(|&second| {
                let now = Timestamp::from_second(1_790_000_000 + second).unwrap();
                let fresh = || {
                    made += 1;
                    SessionId::from_u128(made)
                };
                sitting.join(now, fresh).as_u128()
            })
            .collect();
        assert_eq!(got, wanted);
    }

    #[test]
    fn devices_taken_one_after_the_other_share_a_sitting() {
        check(&[0, 30, 100, 190], &[1, 1, 1, 1]);
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
    fn a_clock_set_back_begins_a_new_one() {
        check(&[1000, 10, 20], &[1, 2, 2]);
    }
}
