//! The only place that reads the wall clock: simulated devices stamp their measurements with honest time.

use jiff::{SignedDuration, Timestamp, Unit, civil::DateTime, tz::TimeZone};

/// The time now.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one reader of the wall clock in this crate")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A device's clock: local time to the second, without a zone, and perhaps wrong.
#[derive(Clone, Debug)]
pub struct DeviceClock {
    zone: TimeZone,
    offset: SignedDuration,
    set: bool,
    last: Option<DateTime>,
}

impl DeviceClock {
    /// A clock that shows the right local time of `zone`.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, offset: SignedDuration::ZERO, set: true, last: None }
    }

    /// What the clock shows at `at`, to the second.
    #[must_use]
    pub fn shows(&self, at: Timestamp) -> DateTime {
        let local = at.to_zoned(self.zone.clone()).datetime().saturating_add(self.offset);
        local
            .round(jiff::civil::DateTimeRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc))
            .unwrap_or(local)
    }

    /// The time to stamp a measurement with: never the same second twice, since no device measures twice in a second.
    pub fn stamp(&mut self, at: Timestamp) -> DateTime {
        let mut time = self.shows(at);
        if let Some(last) = self.last.filter(|last| (*last >= time) && time.duration_until(*last).as_secs() < 60) {
            time = last.saturating_add(SignedDuration::from_secs(1));
        }
        self.last = Some(time);
        time
    }

    /// The host has written the time: from now on the clock shows it.
    pub fn set(&mut self, written: DateTime, at: Timestamp) {
        let true_local = at.to_zoned(self.zone.clone()).datetime();
        self.offset = true_local.duration_until(written);
        self.set = true;
        self.last = None;
    }

    /// A fault: the clock runs off by this much.
    pub fn put_off(&mut self, offset: SignedDuration) {
        self.offset = offset;
        self.last = None;
    }

    /// A fault: the batteries were out, and the clock has started again at 2017-01-01, as a ChoiceMMed oximeter's does.
    pub fn lose(&mut self, at: Timestamp) {
        self.set(jiff::civil::date(2017, 1, 1).at(0, 0, 0, 0), at);
        self.set = false;
    }

    /// How far it is ahead of the room's.
    #[must_use]
    pub fn ahead_seconds(&self) -> i64 {
        self.offset.as_secs()
    }

    /// Whether the clock has ever been set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copenhagen() -> DeviceClock {
        DeviceClock::new(TimeZone::get("Europe/Copenhagen").unwrap())
    }

    #[test]
    fn shows_local_time_and_obeys_the_host() {
        let at: Timestamp = "2026-11-22T07:00:01.9Z".parse().unwrap();
        let mut clock = copenhagen();
        assert_eq!(clock.shows(at).to_string(), "2026-11-22T08:00:01");
        clock.lose(at);
        assert!(!clock.is_set());
        assert_eq!(clock.shows(at).to_string(), "2017-01-01T00:00:00");
        clock.set("2026-11-22T08:00:02".parse().unwrap(), at);
        assert!(clock.is_set());
        assert_eq!(clock.shows(at).to_string(), "2026-11-22T08:00:02");
    }

    #[test]
    fn never_stamps_a_second_twice() {
        let at: Timestamp = "2026-11-22T07:00:01Z".parse().unwrap();
        let mut clock = copenhagen();
        assert_eq!(clock.stamp(at).to_string(), "2026-11-22T08:00:01");
        assert_eq!(clock.stamp(at).to_string(), "2026-11-22T08:00:02");
    }
}
