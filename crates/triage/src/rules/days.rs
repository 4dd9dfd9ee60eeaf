//! A person's own course, day by day: what the kinds share that compare a person with themselves.
//!
//! A day counts once, by its first reading that nothing speaks against, however often was measured: a night with a reading a minute must
//! not outweigh a fortnight of single ones, and a chart keeps just these of what is long ago. A day is one of UTC: its border lies in the
//! night where these people live, and does not move with the summer. A day around a red (the chart knows these) is left out of baselines,
//! which so stand still while somebody is ill and afterwards.

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Unit, Vital};

use super::{
    Nothing, Reader,
    trend::{Basis, in_range},
};
use crate::{
    freeze,
    look::Look,
    programme::{Number, place::steps},
    series::{Nanos, Need, Sample},
    stats,
};

const DAY: Nanos = 86_400_000_000_000;
/// A baseline is made of so many days at most.
pub(super) const BASELINE_DAYS_MAX: u32 = 60;
/// Room for so many days is made at once.
const ROOM: usize = 32;
/// No window of days reaches farther back.
pub(super) const WINDOW_DAYS_MAX: u32 = 400;

/// The day of a time, as a number that grows by one each day.
pub(super) fn day(at: Nanos) -> i64 {
    at.div_euclid(DAY)
}

/// The days from `first` to `last`, newest first, each by its first reading that is not doubtful; one that has none is left out.
pub(super) fn days(samples: &[Sample], first: i64, last: i64) -> impl Iterator<Item = &Sample> {
    let begin = first.saturating_mul(DAY);
    let end = last.saturating_add(1).saturating_mul(DAY);
    let mut left = &samples[..samples.partition_point(|sample| sample.at < end)];
    std::iter::from_fn(move || {
        loop {
            let newest = left.last().filter(|sample| sample.at >= begin)?;
            let start = day(newest.at).saturating_mul(DAY);
            let of_day = left.iter().rev().take_while(|sample| sample.at >= start).count();
            let (older, of_day) = left.split_at(left.len() - of_day);
            left = older;
            if let Some(sample) = of_day.iter().find(|sample| !sample.is_doubtful()) {
                return Some(sample);
            }
        }
    })
}

/// What is judged, and before it the days of a window that ends with its own day: oldest first.
pub(super) fn course(look: &Look<'_>, vital: Vital, newest: &Sample, over_days: u32) -> Vec<(Nanos, f64)> {
    let today = day(newest.at);
    let before = days(look.samples(vital), today - i64::from(over_days) + 1, today - 1);
    let mut course = Vec::with_capacity(ROOM.min(over_days as usize + 1));
    course.push((newest.at, newest.number()));
    course.extend(before.map(|sample| (sample.at, sample.number())));
    course.reverse();
    course
}

/// How the middle of a baseline is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Centre {
    /// The mean, with the standard deviation as its spread.
    Mean,
    /// The median, with 1.4826 median absolute deviations as its spread: single wild days count for little.
    Median,
}

/// A personal baseline as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BaselineFile {
    /// Mean or median.
    pub centre: Centre,
    /// It is made of the newest stable days, so many of them.
    #[schemars(range(min = 2, max = 60))]
    pub days: u32,
    /// With fewer there is none.
    #[schemars(range(min = 2, max = 60))]
    pub minimum_days: u32,
    /// Days longer ago than this don't count: the baseline expires.
    #[schemars(range(min = 2, max = 400))]
    pub max_age_days: u32,
    /// So many days before the reading's own are left out, so that what is creeping in now is not yet usual.
    #[serde(default)]
    #[schemars(range(max = 399))]
    pub gap_days: u32,
}

/// The least spread that counts, as it is written: a person who is always the same must not be alarming at the smallest change.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FloorFile {
    /// So much of the vital,
    pub value: Option<Number>,
    /// in its canonical unit;
    pub unit: Option<Unit>,
    /// or so many percent of the baseline.
    pub percent: Option<Number>,
}

/// A checked floor under a spread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Floor {
    Value(f64, Unit),
    Percent(f64),
}

impl Floor {
    /// Reads it; faults are noted.
    pub fn read(reader: &mut Reader<'_, '_, '_>, vital: Vital, written: &FloorFile) -> Option<Self> {
        let floor = match *written {
            FloorFile { value: Some(Number(value)), unit: Some(unit), percent: None } => {
                if unit != vital.unit() {
                    let text = format!("found {:?}, want {:?}", unit.ucum(), vital.unit().ucum());
                    reader.fault(steps!["sd_floor", "unit"], text);
                }
                Self::Value(value.to_f64(), unit)
            }
            FloorFile { value: None, unit: None, percent: Some(Number(percent)) } => Self::Percent(percent.to_f64()),
            _ => {
                reader
                    .fault(steps!["sd_floor"], "found neither or both of them, want `value` with `unit`, or `percent`");
                return None;
            }
        };
        let (Self::Value(number, _) | Self::Percent(number)) = floor;
        if number <= 0.0 {
            reader.fault(steps!["sd_floor"], format!("found {number}, want more than 0"));
        }
        Some(floor)
    }

    /// The spread, or the floor where that is more.
    pub fn under(self, spread: f64, centre: f64) -> f64 {
        match self {
            Self::Value(least, _) => spread.max(least),
            Self::Percent(percent) => spread.max(percent * centre.abs() / 100.0),
        }
    }

    /// `at least 1 %`, `at least 3 % of it`.
    pub fn words(self) -> String {
        match self {
            Self::Value(least, unit) => format!("at least {least} {}", unit.plain()),
            Self::Percent(percent) => format!("at least {percent} % of it"),
        }
    }
}

/// Checks a baseline as it is written.
pub(super) fn check(reader: &mut Reader<'_, '_, '_>, written: &BaselineFile) -> bool {
    let BaselineFile { days, minimum_days, max_age_days, gap_days, .. } = *written;
    let mut fits = in_range(reader, &["baseline", "days"], days, 2, BASELINE_DAYS_MAX);
    fits &= in_range(reader, &["baseline", "minimum_days"], minimum_days, 2, days.max(2));
    let least = days.saturating_add(gap_days).min(WINDOW_DAYS_MAX);
    fits & in_range(reader, &["baseline", "max_age_days"], max_age_days, least, WINDOW_DAYS_MAX)
}

impl BaselineFile {
    /// How much of the vital it needs, where it ends so many days before the reading's own.
    pub fn need(&self, days_before: u32) -> Need {
        Need::days(i64::from(self.max_age_days) + i64::from(days_before) + 1)
    }

    /// The baseline of the stable days before `before`.
    pub fn of(&self, look: &Look<'_>, vital: Vital, before: i64) -> Result<Basis, Nothing> {
        let last = before - 1 - i64::from(self.gap_days);
        let first = before - i64::from(self.max_age_days);
        let stable = days(look.samples(vital), first, last).filter(|sample| is_stable_day(look, day(sample.at)));
        let mut numbers = [0.0; BASELINE_DAYS_MAX as usize];
        let (mut count, mut from, mut until) = (0, 0, 0);
        for sample in stable.take(self.days as usize) {
            numbers[count] = sample.number();
            until = if count == 0 { sample.at } else { until };
            from = sample.at;
            count += 1;
        }
        if count < self.minimum_days as usize {
            return Err(no_baseline(count, self.minimum_days as usize, last));
        }
        let (centre, spread) = self.centre.of(&mut numbers[..count]);
        Ok(Basis { what: "baseline", centre, spread: Some(spread), count, from, until })
    }

    /// `the mean of the 14 newest stable days (7 at least) of the last 60 days`.
    pub fn words(&self) -> String {
        let Self { days, minimum_days, max_age_days, gap_days, .. } = self;
        let gap = if *gap_days == 0 { String::new() } else { format!(", the last {gap_days} days left out") };
        let centre = if self.centre == Centre::Mean { "mean" } else { "median" };
        format!(
            "the {centre} of the {days} newest stable days ({minimum_days} at least) of the {max_age_days} days before{gap}"
        )
    }
}

impl Centre {
    /// The middle and the spread of at least two numbers.
    pub fn of(self, numbers: &mut [f64]) -> (f64, f64) {
        let both = match self {
            Self::Mean => stats::mean(numbers).zip(stats::sd(numbers)),
            Self::Median => stats::median(numbers)
                .zip(stats::mad(numbers))
                .map(|(centre, deviation)| (centre, stats::MAD_TO_SD * deviation)),
        };
        both.expect("a baseline has at least two days")
    }
}

/// There are too few stable days up to `last`, the newest that might have counted.
pub(super) fn no_baseline(found: usize, want: usize, last: i64) -> Nothing {
    Nothing::NoBaseline { found, want, until: last.saturating_add(1).saturating_mul(DAY) }
}

/// Does no part of this day lie around a red?
pub(super) fn is_stable_day(look: &Look<'_>, day: i64) -> bool {
    freeze::is_usual(look.chart, look.plan, day.saturating_mul(DAY), (day + 1).saturating_mul(DAY))
}

/// How many spreads a number lies from the middle of a basis, and the basis with the spread that counted.
pub(super) fn z(number: f64, basis: Basis, floor: Floor) -> (f64, Basis) {
    let spread = floor.under(basis.spread.unwrap_or_default(), basis.centre);
    ((number - basis.centre) / spread, Basis { spread: Some(spread), ..basis })
}
