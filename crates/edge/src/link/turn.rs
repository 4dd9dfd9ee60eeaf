//! When to connect to a Bluetooth device that is heard. Pure.
//!
//! A device advertises for seconds after a measurement, so it is connected to at once; after a visit it rests, longer when there was
//! nothing to fetch. An advertisement heard during the rest is answered when the rest is over, if it is not too old by then.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// After a visit that brought something.
pub const REST: Duration = Duration::from_secs(2);
/// After a visit that brought nothing: at first, at most,
const EMPTY_FIRST: Duration = Duration::from_secs(2);
/// and in the end, at most. Devices advertise for about a minute after a measurement.
const EMPTY_CAP: Duration = Duration::from_secs(30);
/// An advertisement is worth an attempt for this long.
const FRESH: Duration = Duration::from_secs(20);

/// One device's turn.
#[derive(Debug)]
pub struct Turn {
    state: State,
    empty: Backoff,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Busy,
    Resting { until: Instant, heard: Option<Instant> },
}

impl Default for Turn {
    fn default() -> Self {
        Self { state: State::Idle, empty: Backoff::new(EMPTY_FIRST, EMPTY_CAP) }
    }
}

impl Turn {
    /// The device advertises: connect now?
    pub fn heard(&mut self, now: Instant) -> bool {
        let go = match &mut self.state {
            State::Idle => true,
            State::Busy => false,
            State::Resting { until, .. } if *until <= now => true,
            State::Resting { heard, .. } => {
                *heard = Some(now);
                false
            }
        };
        if go {
            self.state = State::Busy;
        }
        go
    }

    /// When to ask [`Turn::woken`].
    pub fn wakes_at(&self) -> Option<Instant> {
        match self.state {
            State::Resting { until, heard: Some(_) } => Some(until),
            _ => None,
        }
    }

    /// The rest is over: connect now?
    pub fn woken(&mut self, now: Instant) -> bool {
        let State::Resting { until, heard: Some(heard) } = self.state else { return false };
        if until > now {
            return false;
        }
        let fresh = now.duration_since(heard) <= FRESH;
        self.state = if fresh { State::Busy } else { State::Idle };
        fresh
    }

    /// A visit is over, and brought something or not. Returns the visits in a row that brought nothing.
    pub fn ended(&mut self, now: Instant, fruitful: bool, random: f64) -> u32 {
        let rest = if fruitful {
            self.empty.reset();
            REST
        } else {
            REST / 4 + self.empty.failed(random)
        };
        self.state = State::Resting { until: now + rest, heard: None };
        self.empty.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn connects_at_once_and_only_once() {
        let (mut turn, start) = (Turn::default(), Instant::now());
        assert!(turn.heard(start));
        assert!(!turn.heard(at(start, 10)), "busy");
    }

    #[test]
    fn an_advertisement_during_the_rest_is_answered_after_it() {
        let (mut turn, start) = (Turn::default(), Instant::now());
        turn.heard(start);
        turn.ended(start, true, 1.0);
        assert_eq!(turn.wakes_at(), None);
        assert!(!turn.heard(at(start, 1000)));
        assert_eq!(turn.wakes_at(), Some(at(start, 2000)));
        assert!(!turn.woken(at(start, 1999)));
        assert!(turn.woken(at(start, 2000)));
        assert!(!turn.woken(at(start, 2001)), "busy");
    }

    #[test]
    fn a_device_with_nothing_to_fetch_is_left_alone_for_longer_but_never_for_long() {
        let (mut turn, mut now) = (Turn::default(), Instant::now());
        for (failures, rest) in [2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            assert!(turn.heard(now));
            assert_eq!(turn.ended(now, false, 1.0), failures as u32 + 1);
            now += Duration::from_secs(rest);
            assert!(!turn.heard(now), "at rest after {failures}");
            now += REST / 4;
        }
        assert!(turn.woken(now));
        assert_eq!(turn.ended(now, true, 1.0), 0);
    }

    #[test]
    fn an_old_advertisement_is_not_answered() {
        let (mut turn, start) = (Turn::default(), Instant::now());
        turn.heard(start);
        turn.ended(start, true, 0.0);
        turn.heard(at(start, 100));
        assert!(!turn.woken(at(start, 60_000)));
        assert!(turn.heard(at(start, 60_001)));
    }
}
