//! How far a kit's messages are all here: the `through` of its acknowledgements. Pure.
//!
//! A kit sends in order, so a hole below a message means that a message is still on its way, or was given up. `through` never covers a hole
//! that may still be filled; after [`HOLE_PATIENCE`] it is passed over and counted. A kit that starts goes on at the time in milliseconds, so
//! that its numbers grow over a lost disk too: what it leaps over never was a message, and is neither waited for nor counted.
//!
//! A kit that says which message is the oldest that it still keeps needs no guess: what is before that is passed at once, and nothing else is
//! ever passed over. Behind a broker this is what keeps a message that the broker took and lost: the kit's connection may outlive the hub's,
//! so the first message that comes is not always the first that waits (decision 0083).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

/// How long messages above a hole wait for the hole to be filled.
pub const HOLE_PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// A hole of more numbers than this is a leap: no kit's spool holds so many messages.
pub const HOLE_SEQS_MAX: u64 = 200_000;
/// The most messages above a hole that are remembered; one more and the hole is passed over.
pub const ABOVE_HOLE_MAX: usize = 4096;

/// One kit's watermark.
#[derive(Debug, Default)]
pub struct Watermark {
    through: Option<u64>,
    above: BTreeSet<u64>,
    waiting_since: Option<Timestamp>,
    /// The kit says what it keeps: no hole is passed over.
    told: bool,
}

impl Watermark {
    /// A message was received (stored, in quarantine, or again) from a kit that keeps what is from `oldest` on, if it says so. Gives how many
    /// seqs were passed over because of it.
    pub fn received(&mut self, seq: u64, oldest: Option<u64>, now: Timestamp) -> u64 {
        self.told |= oldest.is_some();
        let kept_from = oldest.unwrap_or(seq).min(seq);
        let through = *self.through.get_or_insert(kept_from.saturating_sub(1));
        if oldest.is_some() && kept_from > through + 1 {
            self.through = Some(kept_from - 1);
            self.above = self.above.split_off(&kept_from);
        }
        if seq > self.through() {
            self.above.insert(seq);
        }
        let rose = self.rise() || self.through() > through;
        let since = self.waiting_since.filter(|_| !rose).unwrap_or(now);
        self.waiting_since = (!self.above.is_empty() && !self.told).then_some(since);
        self.keep_bounded(now)
    }

    /// Of a kit that says what it keeps, the newest is forgotten: it comes again.
    fn keep_bounded(&mut self, now: Timestamp) -> u64 {
        if self.above.len() <= ABOVE_HOLE_MAX {
            return 0;
        }
        if self.told {
            self.above.pop_last();
            return 0;
        }
        self.pass_hole(now)
    }

    /// Passes over a hole that has been waited for long enough. Gives how many seqs were passed over.
    pub fn lose_patience(&mut self, now: Timestamp) -> u64 {
        match self.waiting_since {
            Some(since) if now.duration_since(since) >= HOLE_PATIENCE => self.pass_hole(now),
            // The clock was set back: it would wait for as long as that had leapt ahead.
            Some(since) if since > now => {
                self.waiting_since = Some(now);
                0
            }
            _ => 0,
        }
    }

    /// Everything up to this has been received or given up.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.through.unwrap_or(0)
    }

    /// Is there a hole that is passed over in time?
    #[must_use]
    pub fn has_hole(&self) -> bool {
        self.waiting_since.is_some()
    }

    fn rise(&mut self) -> bool {
        let before = self.through;
        while let Some(next) = self.above.first().copied() {
            let missing = next - self.through() - 1;
            // Of a kit that says what it keeps, a leap is passed when it says that nothing before it is left.
            if missing > 0 && (self.told || missing <= HOLE_SEQS_MAX) {
                break;
            }
            self.above.pop_first();
            self.through = Some(next);
        }
        self.through != before
    }

    fn pass_hole(&mut self, now: Timestamp) -> u64 {
        let Some(first) = self.above.first().copied() else { return 0 };
        let passed = first - self.through() - 1;
        self.through = Some(first - 1);
        self.rise();
        self.waiting_since = (!self.above.is_empty()).then_some(now);
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// Seqs as they come, a second apart, and `through` after each.
    #[track_caller]
    fn check(seqs: &[u64], through: &[u64]) -> Watermark {
        let mut mark = Watermark::default();
        let got: Vec<_> = seqs
            .iter()
            .zip(0..)
            .map(|(seq, second)| {
                mark.received(*seq, None, at(second));
                mark.through()
            })
            .collect();
        assert_eq!(got, through);
        mark
    }

    #[test]
    fn never_covers_what_may_still_come() {
        check(&[1, 2, 3], &[1, 2, 3]);
        check(&[41, 42, 44, 45, 43, 46], &[41, 42, 42, 42, 45, 46]);
        check(&[5, 5, 4, 3, 6], &[5, 5, 5, 5, 6]);
        check(&[7, 9, 11, 10, 8], &[7, 7, 7, 7, 11]);
    }

    #[test]
    fn a_hole_is_passed_over_after_a_minute_and_counted() {
        let mut mark = check(&[1, 4, 5, 9], &[1, 1, 1, 1]);
        assert!(mark.has_hole());
        assert_eq!(mark.lose_patience(at(60)), 0, "waiting since second 1");
        assert_eq!(mark.lose_patience(at(61)), 2);
        assert_eq!(mark.through(), 5);
        assert_eq!(mark.lose_patience(at(62)), 0, "the next hole gets its own minute");
        assert_eq!(mark.lose_patience(at(121)), 3);
        assert_eq!((mark.through(), mark.has_hole()), (9, false));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_a_hole_wait_longer() {
        let mut mark = Watermark::default();
        let day = 86_400;
        for seq in [1, 3] {
            mark.received(seq, None, at(day));
        }
        assert_eq!((mark.lose_patience(at(1)), mark.lose_patience(at(60)), mark.lose_patience(at(61))), (0, 0, 1));
        assert_eq!(mark.through(), 3);
    }

    #[test]
    fn a_kit_that_starts_again_is_not_waited_for() {
        let restart = 1_800_000_000_000;
        let mut mark = check(&[41, 42, restart, restart + 1], &[41, 42, restart, restart + 1]);
        assert!(!mark.has_hole());
        assert_eq!(mark.lose_patience(at(600)), 0, "nothing was lost");
        let mut mark = check(&[41, 43, restart, restart + 2], &[41, 41, 41, 41]);
        assert_eq!(mark.lose_patience(at(61)), 1, "42 may still come, the leap behind it was none");
        assert_eq!(mark.through(), restart);
        check(&[1, 2 + HOLE_SEQS_MAX, 2], &[1, 1, 2]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut mark = Watermark::default();
        mark.received(1, None, at(0));
        let passed: u64 = (0..=ABOVE_HOLE_MAX as u64).map(|n| mark.received(10 + n, None, at(1))).sum();
        assert_eq!(passed, 8);
        assert_eq!(mark.through(), 10 + ABOVE_HOLE_MAX as u64);
    }

    #[test]
    fn what_a_kit_still_keeps_is_never_passed_over() {
        let mut mark = Watermark::default();
        let hours = 3600;
        mark.received(151, Some(100), at(0));
        assert_eq!(mark.through(), 99, "the first that comes is not the first that waits");
        assert_eq!((mark.lose_patience(at(hours)), mark.has_hole()), (0, false));
        for seq in 100..=150 {
            mark.received(seq, Some(100), at(hours));
        }
        assert_eq!(mark.through(), 151);
        mark.received(155, Some(152), at(hours));
        assert_eq!((mark.through(), mark.lose_patience(at(2 * hours))), (151, 0));
        mark.received(156, Some(155), at(2 * hours));
        assert_eq!(mark.through(), 156, "what is before the oldest was given up by the kit");
        for seq in 0..=2 * ABOVE_HOLE_MAX as u64 {
            mark.received(1000 + seq, Some(157), at(2 * hours));
        }
        assert_eq!((mark.through(), mark.above.len()), (156, ABOVE_HOLE_MAX));
        mark.received(2_000_000, Some(2_000_000), at(2 * hours));
        assert_eq!((mark.through(), mark.above.len()), (2_000_000, 0));
    }

    #[test]
    fn a_leap_over_what_a_kit_still_keeps_is_not_passed() {
        let restart = 1_800_000_000_000;
        let mut mark = Watermark::default();
        mark.received(restart, Some(41), at(0));
        assert_eq!(mark.through(), 40, "the broker has lost 41");
        mark.received(41, Some(41), at(1));
        assert_eq!(mark.through(), 41, "42 may be lost too");
        mark.received(restart, Some(restart), at(2));
        assert_eq!((mark.through(), mark.above.len()), (restart, 0));
    }
}
