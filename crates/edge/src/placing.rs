//! When a value was measured: by the device's own time, which mostly has no zone, if it can be placed; else its arrival at the kit.
//!
//! When a device's clock is read, the pair (device, kit) says how far it is ahead. A clock that agrees with the kit's is believed in the
//! room's zone. One that is off is corrected by that offset: in particular one that nobody switched between summer and winter time, which is
//! off by an hour. One that was never set (2017-01-01, 2000-01-01, 1970) or is off by days proves nothing. Setting a clock begins a new
//! timeline, and what the device has stored is still on the old one; a time that means two things, or none, is never guessed: the arrival is
//! used, marked as the kit's clock, with a flag that says why. Pure. The reasons: docs/decisions/0055-device-clocks.md.

use drivers::{DeviceClock, Measured};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use vitals::{CLOCK_AHEAD_MAX, Clock, Flag};

/// A device's time before this is the start value of a clock that nobody has set.
const DEVICE_TIME_EARLIEST: DateTime = DateTime::constant(2020, 1, 1, 0, 0, 0, 0);
/// A device's clock that differs from the kit's by no more than this is right: many show only minutes.
pub const CLOCK_SAME_MAX: SignedDuration = SignedDuration::from_mins(2);
/// A clock that is off by more than this was not set by anybody who looked at it: what it says is not corrected.
pub const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_hours(48);

/// Where in time a measurement belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// When it was measured.
    pub measured_at: Timestamp,
    /// By whose clock.
    pub clock: Clock,
    /// Why the device's clock was not believed, if it gave a time.
    pub flag: Option<Flag>,
}

/// What is known of the clock of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// What it said on this connection.
    #[serde(skip)]
    pair: Option<Pair>,
    /// When the kit last moved it.
    reset: Option<Reset>,
}

/// A device's clock and the kit's at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    /// How far the device was ahead, if its clock was set.
    ahead: Option<SignedDuration>,
    kit: Timestamp,
}

/// The kit has set a clock that was not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reset {
    at: Timestamp,
    /// How far it was ahead before; absent if it was not set.
    was_ahead: Option<SignedDuration>,
    /// When it had been moved the time before.
    since: Option<Timestamp>,
    /// The clock has been read since, and was right.
    confirmed: bool,
}

/// A stretch of time in which a device's clock ran without being moved.
#[derive(Clone, Copy, Debug)]
struct Era {
    ahead: SignedDuration,
    /// When it was ahead by that.
    anchor: Timestamp,
    from: Option<Timestamp>,
    until: Timestamp,
}

/// A device's own time of a measurement.
#[derive(Clone, Copy, Debug)]
enum Said {
    Local(DateTime),
    Zoned(Timestamp),
}

impl Timeline {
    /// A connection begins: its clock has not been read yet.
    pub fn connected(&mut self) {
        self.pair = None;
    }

    /// The device's clock was read. How far it is ahead of the kit's, where it says any time.
    pub fn read(&mut self, clock: DeviceClock, now: Timestamp, zone: &TimeZone) -> Option<SignedDuration> {
        let ahead = ahead(clock, now, zone);
        let of_set = ahead.filter(|_| is_set(clock));
        self.pair = Some(Pair { ahead: of_set, kit: now });
        if let Some(reset) = &mut self.reset {
            match (of_set, reset.was_ahead) {
                (Some(ahead), _) if is_right(ahead) => reset.confirmed = true,
                // It did not take the new time, or somebody took it back: there is one timeline, the old one.
                (Some(ahead), Some(was)) if ahead.checked_sub(was).is_some_and(is_right) && !reset.confirmed => {
                    self.reset = None
                }
                (None, None) if !reset.confirmed => self.reset = None,
                _ => {}
            }
        }
        ahead
    }

    /// The kit has set the clock to its own time. What was stored before is not moved by that.
    pub fn set(&mut self, now: Timestamp) {
        if let Some(Pair { ahead, .. }) = self.pair
            && !ahead.is_some_and(is_right)
        {
            let since = self.reset.map(|before| before.at);
            self.reset = Some(Reset { at: now, was_ahead: ahead, since, confirmed: false });
        }
    }

    /// The kit's own clock was set ahead by `step` while the device was connected: what was read before was read by the wrong one.
    /// `set_here`: the device's clock has been set on this connection, to the wrong time.
    pub fn kit_stepped(&mut self, step: SignedDuration, set_here: bool) {
        let later = |at: Timestamp| at.saturating_add(step).unwrap_or(at);
        let less = |ahead: SignedDuration| ahead.saturating_sub(step);
        if let Some(pair) = &mut self.pair {
            *pair = Pair { ahead: pair.ahead.map(less), kit: later(pair.kit) };
        }
        let Some(reset) = self.reset.as_mut().filter(|_| set_here) else { return };
        (reset.at, reset.was_ahead) = (later(reset.at), reset.was_ahead.map(less));
        // What it shows now is what the kit showed before.
        if self.pair.is_none_or(|pair| pair.kit <= reset.at) {
            self.pair =
                Some(Pair { ahead: Some(less(SignedDuration::ZERO)), kit: reset.at + SignedDuration::from_millis(1) });
        }
    }

    /// Is there something to remember for later connections?
    #[must_use]
    pub fn is_worth_keeping(&self) -> bool {
        self.reset.is_some()
    }

    /// Places what the device in `zone` measured and what arrived at `now`.
    #[must_use]
    pub fn place(&self, measured: &Measured, now: Timestamp, zone: &TimeZone) -> Placed {
        let arrival = |flag| Placed { measured_at: now, clock: Clock::Kit, flag };
        let Some(device_time) = measured.device_time.filter(|_| !measured.flags.contains(&Flag::CLOCK_NOT_SET)) else {
            return arrival(None);
        };
        let said = match measured.device_offset.and_then(|offset| offset.to_timestamp(device_time).ok()) {
            Some(zoned) => Said::Zoned(zoned),
            None => Said::Local(device_time),
        };
        let placed = if device_time < DEVICE_TIME_EARLIEST {
            None
        } else if self.pair.is_none() && self.reset.is_none() {
            let latest = now.checked_add(CLOCK_AHEAD_MAX).ok();
            latest.and_then(|latest| believed(said, latest, zone)).map(|at| (at, Clock::Device))
        } else {
            self.placed(said, now, zone)
        };
        placed.map_or_else(
            || arrival(Some(Flag::CLOCK_IMPLAUSIBLE)),
            |(measured_at, clock)| Placed { measured_at, clock, flag: None },
        )
    }

    /// What the time means in every era that it can be from, if that is one thing.
    fn placed(&self, said: Said, now: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Clock)> {
        let (old, new) = self.eras(now);
        let [old, new] = [old, new].map(|era| era.and_then(|era| era.means(said, zone)));
        let (at, clock) = match (old, new) {
            (Some(old), Some(new)) => is_right(old.0.duration_since(new.0)).then_some(new)?,
            (old, new) => old.or(new)?,
        };
        Some((at, clock?))
    }

    /// Before the clock was last moved, and since.
    fn eras(&self, now: Timestamp) -> (Option<Era>, Option<Era>) {
        let Some(reset) = self.reset else {
            let era = |pair: Pair| pair.ahead.map(|ahead| Era { ahead, anchor: pair.kit, from: None, until: now });
            return (None, self.pair.and_then(era));
        };
        // A device may refuse the new time: until it is seen to show it, the old timeline may still go on.
        let until = if reset.confirmed { reset.at } else { now };
        let old = reset.was_ahead.map(|ahead| Era { ahead, anchor: reset.at, from: reset.since, until });
        let from = Some(reset.at);
        let new = match self.pair.filter(|pair| pair.kit > reset.at) {
            Some(pair) => pair.ahead.map(|ahead| Era { ahead, anchor: pair.kit, from, until: now }),
            None => Some(Era { ahead: SignedDuration::ZERO, anchor: reset.at, from, until: now }),
        };
        (old, new)
    }
}

impl Era {
    /// When it was, if it was in this era; and by whose clock, if that is to be believed.
    fn means(self, said: Said, zone: &TimeZone) -> Option<(Timestamp, Option<Clock>)> {
        let latest = self.until.checked_add(CLOCK_SAME_MAX).ok()?;
        let (at, clock) = if is_right(self.ahead) {
            (believed(said, latest, zone)?, Some(Clock::Device))
        } else {
            (self.corrected(said, zone)?, (self.ahead.abs() <= CLOCK_OFF_MAX).then_some(Clock::Corrected))
        };
        let earliest = self.from.and_then(|from| from.checked_sub(CLOCK_SAME_MAX).ok());
        (at <= latest && earliest.is_none_or(|earliest| at >= earliest)).then_some((at, clock))
    }

    /// Counted back from the moment at which both clocks were read, as a clock counts that knows no summer time.
    fn corrected(self, said: Said, zone: &TimeZone) -> Option<Timestamp> {
        match said {
            Said::Local(local) => {
                let shown = zone.to_datetime(self.anchor).checked_add(self.ahead).ok()?;
                self.anchor.checked_add(local.duration_since(shown)).ok()
            }
            Said::Zoned(zoned) => zoned.checked_sub(self.ahead).ok(),
        }
    }
}

/// Does a time that is the start value of a clock prove nothing about when it was, not even that two are different?
#[must_use]
pub fn is_start_value(device_time: DateTime) -> bool {
    (device_time.month(), device_time.day()) == (1, 1)
}

fn is_right(ahead: SignedDuration) -> bool {
    ahead.abs() <= CLOCK_SAME_MAX
}

fn is_set(clock: DeviceClock) -> bool {
    match clock {
        DeviceClock::NotSet => false,
        DeviceClock::Local(local) => local >= DEVICE_TIME_EARLIEST,
        DeviceClock::Zoned(at) => TimeZone::UTC.to_datetime(at) >= DEVICE_TIME_EARLIEST,
    }
}

fn ahead(clock: DeviceClock, now: Timestamp, zone: &TimeZone) -> Option<SignedDuration> {
    match clock {
        DeviceClock::NotSet => None,
        DeviceClock::Local(local) => Some(local.duration_since(zone.to_datetime(now))),
        DeviceClock::Zoned(at) => Some(at.duration_since(now)),
    }
}

/// In the hour that summer time gives twice, the later meaning that is not after `latest`.
fn believed(said: Said, latest: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    match said {
        Said::Zoned(at) => (at <= latest).then_some(at),
        Said::Local(local) => {
            let ambiguous = zone.to_ambiguous_timestamp(local);
            [ambiguous.later().ok()?, ambiguous.compatible().ok()?].into_iter().find(|&at| at <= latest)
        }
    }
}

#[cfg(test)]
mod tests;
