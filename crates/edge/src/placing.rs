//! When a value was measured: the device's own time, which has no zone, if it can be believed; else its arrival at the kit.
//!
//! Real devices send clocks that were never set (2017-01-01, 2000-01-01, 1970). Such a time is never repaired by a guess: the arrival
//! is used, marked as the kit's clock, with a flag that says why. Pure.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use vitals::{CLOCK_AHEAD_MAX, Clock, Flag};

/// A device's time before this is the start value of a clock that nobody has set.
const DEVICE_TIME_EARLIEST: DateTime = DateTime::constant(2020, 1, 1, 0, 0, 0, 0);

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

/// Places what a device measured at `device_time` in the kit's `zone`, and what arrived at `now`.
#[must_use]
pub fn place(device_time: Option<DateTime>, flags: &[Flag], now: Timestamp, zone: &TimeZone) -> Placed {
    let arrival = |flag| Placed { measured_at: now, clock: Clock::Kit, flag };
    if flags.contains(&Flag::CLOCK_NOT_SET) {
        return arrival(None);
    }
    let Some(device_time) = device_time else { return arrival(None) };
    match believed(device_time, now, zone) {
        Some(measured_at) => Placed { measured_at, clock: Clock::Device, flag: None },
        None => arrival(Some(Flag::CLOCK_IMPLAUSIBLE)),
    }
}

/// In the hour that summer time gives twice, the later meaning that is not in the future.
fn believed(device_time: DateTime, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if device_time < DEVICE_TIME_EARLIEST {
        return None;
    }
    let latest = now.checked_add(CLOCK_AHEAD_MAX).ok()?;
    let ambiguous = zone.to_ambiguous_timestamp(device_time);
    [ambiguous.later().ok()?, ambiguous.compatible().ok()?].into_iter().find(|&at| at <= latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (device time, now) -> measured at, clock, flag.
    #[track_caller]
    fn check(device_time: &str, now: &str, wanted: (&str, Clock, Option<Flag>)) {
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        let device_time = (!device_time.is_empty()).then(|| device_time.parse().unwrap());
        let placed = place(device_time, &[], now.parse().unwrap(), &zone);
        assert_eq!(placed, Placed { measured_at: wanted.0.parse().unwrap(), clock: wanted.1, flag: wanted.2 });
    }

    #[test]
    fn a_set_clock_is_believed_in_the_kits_zone() {
        check("2026-11-22T09:00:01", "2026-11-22T08:00:05Z", ("2026-11-22T08:00:01Z", Clock::Device, None));
        check("2026-07-01T09:00:00", "2026-11-22T08:00:05Z", ("2026-07-01T07:00:00Z", Clock::Device, None));
    }

    #[test]
    fn a_little_ahead_is_believed_and_more_is_not() {
        let now = "2026-11-22T08:00:00Z";
        check("2026-11-22T09:05:00", now, ("2026-11-22T08:05:00Z", Clock::Device, None));
        check("2026-11-22T09:05:01", now, (now, Clock::Kit, Some(Flag::CLOCK_IMPLAUSIBLE)));
    }

    #[test]
    fn a_clock_that_nobody_has_set_is_not_believed() {
        let now = "2026-11-22T08:00:00Z";
        for unset in ["1970-01-01T00:00:10", "2000-01-01T00:00:00", "2017-01-01T00:00:00", "2019-12-31T23:59:59"] {
            check(unset, now, (now, Clock::Kit, Some(Flag::CLOCK_IMPLAUSIBLE)));
        }
        check("2020-01-01T00:00:00", now, ("2019-12-31T23:00:00Z", Clock::Device, None));
    }

    #[test]
    fn no_time_or_a_clock_marked_as_unset_means_the_arrival() {
        let now = "2026-11-22T08:00:00Z";
        check("", now, (now, Clock::Kit, None));
        let now: Timestamp = now.parse().unwrap();
        let placed = place(Some("2026-11-22T09:00:00".parse().unwrap()), &[Flag::CLOCK_NOT_SET], now, &TimeZone::UTC);
        assert_eq!(placed, Placed { measured_at: now, clock: Clock::Kit, flag: None });
    }

    #[test]
    fn the_hour_that_comes_twice_is_the_later_one_that_has_been() {
        // Summer time ends at 01:00Z on 2026-10-25: 02:30 is 00:30Z and again 01:30Z.
        check("2026-10-25T02:30:00", "2026-10-25T01:31:00Z", ("2026-10-25T01:30:00Z", Clock::Device, None));
        check("2026-10-25T02:30:00", "2026-10-25T00:31:00Z", ("2026-10-25T00:30:00Z", Clock::Device, None));
    }

    #[test]
    fn a_time_that_summer_time_skips_is_read_by_winter_time() {
        check("2026-03-29T02:30:00", "2026-03-29T01:31:00Z", ("2026-03-29T01:30:00Z", Clock::Device, None));
    }
}
