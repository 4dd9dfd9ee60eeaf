//! Rule kind `slope`: how fast a vital has changed over months, by the robust slope of Theil and Sen: the median of the slopes between all
//! pairs of days. Nearly a third of the days may be wild before it follows them.
//!
//! It wants many days spread over much of its window: a slope over a fortnight, told per year, would be noise times twenty-six.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    days::{self, WINDOW_DAYS_MAX},
    trend::{self, Asked, Basis, Measured, Parts, Statistic, Telling, in_range},
};
use crate::{
    programme::Number,
    series::{Nanos, Need, Sample},
    stats,
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// How the slope is told.
    r#as: As,
    /// The unit of its limits: the vital's canonical one a year (`L/a`), or `%/a`.
    unit: String,
    /// The window, the reading's own day included.
    #[schemars(range(min = 14, max = 400))]
    over_days: u32,
    /// With values on fewer of its days there is no slope.
    #[schemars(range(min = 5, max = 400))]
    minimum_days: u32,
    /// From the first of these days to the last it must be so long.
    #[schemars(range(min = 7, max = 400))]
    minimum_span_days: u32,
    /// Digits of the slope behind its point.
    digits: u32,
    /// Bands of the slope: below zero is a fall.
    bands: Vec<BandFile>,
    /// How far the slope must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

/// How a slope is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum As {
    /// In the vital's unit a year.
    PerYear,
    /// In percent of the window's median a year.
    PercentPerYear,
}

#[derive(Debug)]
struct Slope {
    percent: bool,
    over_days: u32,
    minimum_days: u32,
    minimum_span_days: u32,
}

/// Nanoseconds of a year of 365.25 days, which is what UCUM's `a` is.
const YEAR: f64 = 365.25 * 86_400e9;

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, r#as, unit, over_days, minimum_days, minimum_span_days, digits, bands, hysteresis } =
        reader.file()?;
    let mut fits = in_range(reader, &["over_days"], over_days, 14, WINDOW_DAYS_MAX);
    fits &= in_range(reader, &["minimum_days"], minimum_days, 5, over_days.max(5));
    fits &= in_range(reader, &["minimum_span_days"], minimum_span_days, 7, over_days.max(8) - 1);
    let percent = r#as == As::PercentPerYear;
    let statistic = fits.then_some(Slope { percent, over_days, minimum_days, minimum_span_days });
    let wanted = if percent { "%/a" } else { a_year(vital) };
    trend::read(reader, Parts { vital, unit, wanted, digits, bands, hysteresis }, statistic)
}

/// The vital's unit a year.
fn a_year(vital: Vital) -> &'static str {
    match vital.unit().ucum() {
        "%" => "%/a",
        "/min" => "/min/a",
        "Cel" => "Cel/a",
        "mm[Hg]" => "mm[Hg]/a",
        "kg" => "kg/a",
        "L" => "L/a",
        "L/min" => "L/min/a",
        "mmol/L" => "mmol/L/a",
        _ => "{ratio}/a",
    }
}

impl Statistic for Slope {
    const NAME: &'static str = "slope";

    fn need(&self) -> Need {
        Need::days(i64::from(self.over_days) + 1)
    }

    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let course = days::course(asked.look, asked.vital, newest, self.over_days);
        let want = self.minimum_days as usize;
        if course.len() < want {
            return Err(Nothing::TooLittle { found: course.len(), want });
        }
        let (from, until) = (course[0].0, newest.at);
        let (found, want) = (usize::try_from(days::day(until) - days::day(from)), self.minimum_span_days as usize);
        if let Ok(found) = found
            && found < want
        {
            return Err(Nothing::TooLittle { found, want });
        }
        let steep = stats::slope(&in_years(&course)).ok_or(Nothing::NoValue)?;
        let mut numbers: Vec<f64> = course.iter().map(|(_, number)| *number).collect();
        let count = numbers.len();
        let centre = stats::median(&mut numbers).ok_or(Nothing::NoValue)?;
        let value = match self.percent {
            true if centre > 0.0 => 100.0 * steep / centre,
            true => return Err(Nothing::NotNow),
            false => steep,
        };
        Ok(Measured { value, compared: Some(Basis { what: "median", centre, spread: None, count, from, until }) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let value = telling.value.decimal();
        let (days, unit, size) = (telling.days(""), telling.unit, value.abs());
        let course = match value {
            value if value.is_zero() => return format!("level over months ({days})"),
            value if value.is_sign_negative() => "falling",
            _ => "rising",
        };
        let of = if self.percent { format!(" of its median {}", telling.centre()) } else { String::new() };
        format!("{course} by {size} {unit}{of} ({days})")
    }

    fn explain(&self, vital: Vital) -> String {
        let Self { over_days, minimum_days, minimum_span_days, .. } = self;
        let label = vital.info().label;
        let of = if self.percent { ", in percent of the median" } else { "" };
        format!(
            "How fast {label} changes a year{of}: the slope of Theil and Sen over {over_days} days, of which {minimum_days} at least \
             have a value and the first and last lie {minimum_span_days} days apart at least."
        )
    }

    fn is_signed(&self) -> bool {
        false
    }
}

/// Points in years since the first.
#[allow(clippy::cast_precision_loss, reason = "nanoseconds of 400 days to the microsecond")]
fn in_years(course: &[(Nanos, f64)]) -> Vec<(f64, f64)> {
    let first = course.first().map_or(0, |(at, _)| *at);
    course.iter().map(|(at, number)| ((at - first) as f64 / YEAR, *number)).collect()
}
