//! Rule kind `control`: a rolling control limit. How many standard deviations of the days just before a value lies from their mean.
//!
//! It follows the person wherever they go, red or not, so it sees a sudden change and not a slow one. (Cooper 2020, doi
//! 10.2147/COPD.S256907: FEV1 or FVC below the mean of 7 days less 1.645 standard deviations.) Of the published rule it differs in that the
//! standard deviation has a floor, below which a person who is always the same would be alarming at any change.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    days::{self, BASELINE_DAYS_MAX, Floor, FloorFile, day},
    trend::{self, Asked, Basis, Measured, Parts, Statistic, Telling, in_range},
};
use crate::{
    programme::Number,
    series::{Need, Sample},
    stats,
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// The unit of its limits: `{z}`.
    unit: String,
    /// So many days before the reading's own.
    #[schemars(range(min = 2, max = 60))]
    over_days: u32,
    /// With values on fewer of them there is no limit.
    #[schemars(range(min = 2, max = 60))]
    minimum_days: u32,
    /// The least standard deviation that counts.
    sd_floor: FloorFile,
    /// Digits of the distance behind its point.
    digits: u32,
    /// Bands of the distance: below zero is below the mean.
    bands: Vec<BandFile>,
    /// How far the distance must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

#[derive(Debug)]
struct Control {
    over_days: u32,
    minimum_days: u32,
    floor: Floor,
}

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, unit, over_days, minimum_days, sd_floor, digits, bands, hysteresis } = reader.file()?;
    let mut fits = in_range(reader, &["over_days"], over_days, 2, BASELINE_DAYS_MAX);
    fits &= in_range(reader, &["minimum_days"], minimum_days, 2, over_days.max(2));
    let floor = Floor::read(reader, vital, &sd_floor);
    let statistic = floor.filter(|_| fits).map(|floor| Control { over_days, minimum_days, floor });
    trend::read(reader, Parts { vital, unit, wanted: "{z}", digits, bands, hysteresis }, statistic)
}

impl Statistic for Control {
    const NAME: &'static str = "control";

    fn need(&self) -> Need {
        Need::days(i64::from(self.over_days) + 1)
    }

    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let today = day(newest.at);
        let before = days::days(asked.look.samples(asked.vital), today - i64::from(self.over_days), today - 1);
        let before: Vec<&Sample> = before.collect();
        let numbers: Vec<f64> = before.iter().map(|sample| sample.number()).collect();
        let want = self.minimum_days as usize;
        let (Some(last), Some(first), true) = (before.first(), before.last(), before.len() >= want) else {
            return Err(Nothing::TooLittle { found: before.len(), want });
        };
        let (centre, spread) = (stats::mean(&numbers).unwrap_or_default(), stats::sd(&numbers));
        let basis = Basis { what: "mean", centre, spread, count: before.len(), from: first.at, until: last.at };
        let (value, basis) = days::z(newest.number(), basis, self.floor);
        Ok(Measured { value, compared: Some(basis) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let (distance, centre, days) = (telling.distance(), telling.centre(), telling.days(""));
        format!("{distance} the mean {centre} of the {} days before ({days})", self.over_days)
    }

    fn explain(&self, vital: Vital) -> String {
        let (label, over, minimum) = (vital.info().label, self.over_days, self.minimum_days);
        let floor = self.floor.words();
        format!(
            "How many spreads {label} lies from its mean of the {over} days before ({minimum} at least); a spread is their standard \
             deviation, {floor}."
        )
    }

    fn is_signed(&self) -> bool {
        true
    }
}
