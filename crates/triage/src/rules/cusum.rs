//! Rule kind `cusum`: how far the last days have run away from the own baseline, summed up. Each day adds its distance in spreads beyond a
//! slack, to a sum for what is high and one for what is low; neither goes under zero, and a sum that has raised its own alarm begins anew.
//!
//! (Tabular CUSUM: NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.3.) A sum's alarm is its outermost limit on its side.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    days::{BaselineFile, FloorFile},
    ewma::Run,
    trend::{self, Asked, Measured, Parts, Statistic, Telling, rounded},
};
use crate::{
    Mark, Rung,
    bands::Ladder,
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
    /// The slack k in spreads: what a day may lie off without adding anything.
    slack: Number,
    /// The run of days that is summed up, the reading's own included.
    #[schemars(range(min = 2, max = 400))]
    over_days: u32,
    /// With values on fewer of them there is no sum.
    #[schemars(range(min = 1, max = 400))]
    minimum_days: u32,
    /// The baseline, of days before the run.
    baseline: BaselineFile,
    /// The least spread that counts.
    sd_floor: FloorFile,
    /// Digits of the sum behind its point.
    digits: u32,
    /// Bands of the sum, whose limits are the h: below zero is the sum of what is low.
    bands: Vec<BandFile>,
    /// How far the sum must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

#[derive(Debug)]
struct Cusum {
    slack: f64,
    run: Run,
}

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let file: File = reader.file()?;
    let File { vital, unit, slack, over_days, minimum_days, baseline, sd_floor, digits, bands, hysteresis } = file;
    let slack = slack.0.to_f64();
    if slack < 0.0 {
        reader.fault(steps!["slack"], format!("found {slack}, want 0 or more"));
    }
    let run = Run::read(reader, vital, (over_days, minimum_days), baseline, &sd_floor);
    let statistic = run.map(|run| Cusum { slack, run });
    trend::read(reader, Parts { vital, unit, wanted: "{z}", digits, bands, hysteresis }, statistic)
}

/// Is this sum beyond the outermost limit on its side?
fn is_alarm(ladder: &Ladder, sum: f64, digits: u32) -> bool {
    let red = if sum < 0.0 { Rung::RedLow } else { Rung::RedHigh };
    let worst = if ladder.at(red).is_some() { Mark::Red } else { Mark::Yellow };
    sum != 0.0 && ladder.judge(rounded(sum, digits)).mark >= worst
}

impl Statistic for Cusum {
    const NAME: &'static str = "cusum";

    fn need(&self) -> Need {
        self.run.need()
    }

    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let (distances, basis) = self.run.distances(asked, newest)?;
        let sums = stats::cusum(&distances, self.slack, |sum| is_alarm(asked.ladder, sum, asked.digits));
        Ok(Measured { value: sums.signed(), compared: Some(basis) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let (distance, centre, days) = (telling.distance(), telling.centre(), telling.days("stable "));
        let (over, slack) = (self.run.over_days, self.slack);
        format!("over the last {over} days in all {distance} (slack {slack} a day) its own baseline {centre} ({days})")
    }

    fn explain(&self, vital: Vital) -> String {
        let (label, slack, run) = (vital.info().label, self.slack, self.run.words());
        format!(
            "What {label} has run away from what is usual, summed up in spreads beyond a slack of {slack} a day: {run}. A sum that \
             has raised its own alarm begins anew."
        )
    }

    fn is_signed(&self) -> bool {
        true
    }
}
