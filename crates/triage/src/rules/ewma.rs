//! Rule kind `ewma`: the exponentially weighted mean of the last days' distances from the own baseline, in spreads of its own. A small shift
//! that lasts shows here days before any single value is out of the ordinary, and a single wild day counts for little.
//!
//! The limits are the time-varying ones: after few days the mean moves less than after many, so it is divided by the spread that it has by
//! then (NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.4). The baseline ends where the run of days begins.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    days::{self, BaselineFile, Floor, FloorFile, WINDOW_DAYS_MAX},
    trend::{self, Asked, Basis, Measured, Parts, Statistic, Telling, in_range},
};
use crate::{
    programme::{Number, place::steps},
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
    /// What the newest day weighs: more than 0, at most 1.
    weight: Number,
    /// The run of days that the mean goes over, the reading's own included.
    #[schemars(range(min = 2, max = 400))]
    over_days: u32,
    /// With values on fewer of them there is no mean.
    #[schemars(range(min = 1, max = 400))]
    minimum_days: u32,
    /// The baseline, of days before the run.
    baseline: BaselineFile,
    /// The least spread that counts.
    sd_floor: FloorFile,
    /// Digits of the statistic behind its point.
    digits: u32,
    /// Bands of the statistic: below zero is below the baseline.
    bands: Vec<BandFile>,
    /// How far the statistic must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

/// Days since a baseline, as distances from it.
#[derive(Debug)]
pub(super) struct Run {
    pub over_days: u32,
    pub minimum_days: u32,
    pub baseline: BaselineFile,
    pub floor: Floor,
}

impl Run {
    /// Checks what is written; faults are noted.
    pub fn read(
        reader: &mut Reader<'_, '_, '_>,
        vital: Vital,
        (over_days, minimum_days): (u32, u32),
        baseline: BaselineFile,
        sd_floor: &FloorFile,
    ) -> Option<Self> {
        let mut fits = in_range(reader, &["over_days"], over_days, 2, WINDOW_DAYS_MAX);
        fits &= in_range(reader, &["minimum_days"], minimum_days, 1, over_days.max(1));
        fits &= days::check(reader, &baseline);
        let floor = Floor::read(reader, vital, sd_floor)?;
        fits.then_some(Self { over_days, minimum_days, baseline, floor })
    }

    pub fn need(&self) -> Need {
        self.baseline.need(self.over_days)
    }

    /// The distances in spreads, oldest first, and the baseline.
    pub fn distances(&self, asked: &Asked<'_>, newest: &Sample) -> Result<(Vec<f64>, Basis), Nothing> {
        let begins = days::day(newest.at) - i64::from(self.over_days) + 1;
        let basis = self.baseline.of(asked.look, asked.vital, begins)?;
        let course = days::course(asked.look, asked.vital, newest, self.over_days);
        if course.len() < self.minimum_days as usize {
            return Err(Nothing::TooLittle { found: course.len(), want: self.minimum_days as usize });
        }
        let (_, basis) = days::z(basis.centre, basis, self.floor);
        let distances = course.into_iter().map(|(_, number)| days::z(number, basis, self.floor).0);
        Ok((distances.collect(), basis))
    }

    /// `the last 14 days (5 at least), against the mean of ...; a spread is at least 1 %`.
    pub fn words(&self) -> String {
        let Self { over_days, minimum_days, baseline, floor } = self;
        let (baseline, floor) = (baseline.words(), floor.words());
        format!(
            "the last {over_days} days ({minimum_days} at least), against the own baseline before them: {baseline}; a spread is {floor}"
        )
    }
}

#[derive(Debug)]
struct Ewma {
    weight: f64,
    run: Run,
}

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let file: File = reader.file()?;
    let File { vital, unit, weight, over_days, minimum_days, baseline, sd_floor, digits, bands, hysteresis } = file;
    let weight = weight.0.to_f64();
    let fits = weight > 0.0 && weight <= 1.0;
    if !fits {
        reader.fault(steps!["weight"], format!("found {weight}, want more than 0 and at most 1"));
    }
    let run = Run::read(reader, vital, (over_days, minimum_days), baseline, &sd_floor);
    let statistic = run.filter(|_| fits).map(|run| Ewma { weight, run });
    trend::read(reader, Parts { vital, unit, wanted: "{z}", digits, bands, hysteresis }, statistic)
}

impl Statistic for Ewma {
    const NAME: &'static str = "ewma";

    fn need(&self) -> Need {
        self.run.need()
    }

    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let (distances, basis) = self.run.distances(asked, newest)?;
        let mean = stats::ewma(&distances, self.weight).ok_or(Nothing::NoValue)?;
        Ok(Measured { value: mean.z(), compared: Some(basis) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let (distance, centre, days) = (telling.distance(), telling.centre(), telling.days("stable "));
        let (over, weight) = (self.run.over_days, self.weight);
        format!("its mean of the last {over} days (weight {weight}) {distance} its own baseline {centre} ({days})")
    }

    fn explain(&self, vital: Vital) -> String {
        let (label, weight, run) = (vital.info().label, self.weight, self.run.words());
        format!(
            "How many of its own spreads the exponentially weighted mean of {label} (weight {weight}) lies from what is usual: {run}."
        )
    }

    fn is_signed(&self) -> bool {
        true
    }
}
