//! Nurse shifts: how many alerts fall into each.
//!
//! Shifts follow the clinic's wall clock: the first of a day begins at [`FIRST_SHIFT_HOUR`], and each is as long as the clinic says. A day with a
//! change to or from summer time has one shift that is an hour longer or shorter.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;

use super::agreement::tidy;

/// When the first shift of a day begins, by the clinic's clock: the clinic's own default.
pub const FIRST_SHIFT_HOUR: i64 = 7;
/// The length of a shift, where nothing else is said: the clinic's own default.
pub const SHIFT: SignedDuration = SignedDuration::from_hours(8);
/// The most shifts that are counted one by one: 20 years of the shortest (an hour).
const SHIFTS_MAX: usize = 24 * 366 * 20;

/// Alerts counted by shift.
#[derive(Clone, Debug)]
pub struct Shifts {
    zone: TimeZone,
    seconds: i64,
    first: i64,
    counts: Vec<u32>,
}

impl Shifts {
    /// The shifts from `since` until `until`, each `length` long (at least an hour).
    #[must_use]
    pub fn new(zone: TimeZone, since: Timestamp, until: Timestamp, length: SignedDuration) -> Self {
        let seconds = length.as_secs().max(3_600);
        let mut shifts = Self { zone, seconds, first: 0, counts: Vec::new() };
        shifts.first = shifts.number(since);
        let last = shifts.number(until.max(since).checked_sub(SignedDuration::from_secs(1)).unwrap_or(since));
        let count = usize::try_from(last - shifts.first + 1).unwrap_or(1).min(SHIFTS_MAX);
        shifts.counts = vec![0; count];
        shifts
    }

    /// One more alert; nothing if it lies outside.
    pub fn count(&mut self, at: Timestamp) {
        let place = usize::try_from(self.number(at) - self.first).ok();
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count += 1;
        }
    }

    /// Adds the counts of the same shifts.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    }

    /// The summary.
    #[must_use]
    pub fn summary(&self) -> PerShift {
        let mut sorted = self.counts.clone();
        sorted.sort_unstable();
        let shifts = sorted.len();
        let total: u64 = sorted.iter().map(|count| u64::from(*count)).sum();
        // The smallest count that 95 % of the shifts don't exceed.
        let at_95 = (shifts * 95).div_ceil(100).saturating_sub(1);
        PerShift {
            hours: tidy(self.seconds as f64 / 3_600.0),
            shifts: shifts as u64,
            mean: tidy(total as f64 / shifts.max(1) as f64),
            p95: sorted.get(at_95).copied().unwrap_or(0),
            max: sorted.last().copied().unwrap_or(0),
        }
    }

    /// Which shift, counted by the wall clock.
    fn number(&self, at: Timestamp) -> i64 {
        let local = at.as_second() + i64::from(self.zone.to_offset(at).seconds());
        (local - FIRST_SHIFT_HOUR * 3_600).div_euclid(self.seconds)
    }
}

/// How many alerts come in a shift.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PerShift {
    /// The length of one, in hours.
    pub hours: f64,
    /// How many there were.
    pub shifts: u64,
    /// Alerts in one on average.
    pub mean: f64,
    /// 95 % of the shifts had no more than this.
    pub p95: u32,
    /// The worst.
    pub max: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_begin_at_seven_by_the_clinics_clock() {
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut shifts = Shifts::new(zone, at("2026-11-02T06:00:00Z"), at("2026-11-03T06:00:00Z"), SHIFT);
        for time in ["06:00:00", "13:59:59", "14:00:00", "23:00:00"] {
            shifts.count(at(&format!("2026-11-02T{time}Z")));
        }
        shifts.count(at("2026-11-02T05:59:59Z"));
        shifts.count(at("2026-11-03T06:00:00Z"));
        assert_eq!(shifts.counts, [2, 1, 1]);
        let PerShift { shifts, mean, p95, max, .. } = shifts.summary();
        assert_eq!((shifts, mean, p95, max), (3, 1.3333, 2, 2));
    }

    #[test]
    fn without_time_there_is_one_shift() {
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(Shifts::new(TimeZone::UTC, at, at, SHIFT).summary().shifts, 1);
    }
}
