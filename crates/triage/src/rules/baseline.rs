//! Rule kind `baseline`: how far a value lies from the person's own baseline, in spreads, as a difference, or in percent of it.
//!
//! Between persons vital signs differ more than within one from day to day, so what is alarming is told from what is usual for this person
//! (in the diaries of Burton 2015 differences between persons were the larger part of all variance; personal z-scores over 14 stable days:
//! doi 10.2196/17597). The spread has a floor; the baseline stands still around reds and expires.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use super::{
    BandFile, Judge, Nothing, Reader,
    days::{self, BaselineFile, Floor, FloorFile, day},
    trend::{self, Asked, Basis, Measured, Parts, Statistic, Telling},
};
use crate::{
    programme::{Number, place::steps},
    series::{Need, Sample, nanos},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// How the distance is taken.
    r#as: As,
    /// The unit of its limits: `{z}`, the vital's canonical one, or `%`.
    unit: String,
    /// The baseline.
    baseline: BaselineFile,
    /// The least spread that counts: for `z` alone.
    sd_floor: Option<FloorFile>,
    /// Digits of the distance behind its point.
    digits: u32,
    /// Bands of the distance: below zero is below the baseline.
    bands: Vec<BandFile>,
    /// How far the distance must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

/// How a distance is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum As {
    /// In spreads of the baseline.
    Z,
    /// In the vital's unit.
    Difference,
    /// In percent of the baseline.
    Percent,
}

#[derive(Debug)]
enum Distance {
    Z(Floor),
    Difference,
    Percent,
}

#[derive(Debug)]
struct Baseline {
    file: BaselineFile,
    distance: Distance,
}

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, r#as, unit, baseline, sd_floor, digits, bands, hysteresis } = reader.file()?;
    let (wanted, distance) = match (r#as, sd_floor) {
        (As::Z, Some(written)) => ("{z}", Floor::read(reader, vital, &written).map(Distance::Z)),
        (As::Z, None) => {
            reader.fault(steps!["sd_floor"], "found nothing, want the least spread that counts");
            return None;
        }
        (As::Difference, None) => (vital.unit().ucum(), Some(Distance::Difference)),
        (As::Percent, None) => ("%", Some(Distance::Percent)),
        (As::Difference | As::Percent, Some(_)) => {
            reader.fault(steps!["sd_floor"], "found it, want it for `as = \"z\"` alone");
            return None;
        }
    };
    let checked = days::check(reader, &baseline);
    let statistic = distance.filter(|_| checked).map(|distance| Baseline { file: baseline, distance });
    trend::read(reader, Parts { vital, unit, wanted, digits, bands, hysteresis }, statistic)
}

impl Statistic for Baseline {
    const NAME: &'static str = "baseline";

    fn need(&self) -> Need {
        self.file.need(0)
    }

    fn measure(&self, asked: &Asked<'_>, newest: &Sample) -> Result<Measured, Nothing> {
        let basis = match asked.look.reference().filter(|_| self.takes_reference()) {
            Some(set) => set_by_hand(set),
            None => self.file.of(asked.look, asked.vital, day(newest.at))?,
        };
        let number = newest.number();
        let (value, basis) = match &self.distance {
            Distance::Z(floor) => days::z(number, basis, *floor),
            Distance::Difference => (number - basis.centre, basis),
            Distance::Percent if basis.centre > 0.0 => (100.0 * (number - basis.centre) / basis.centre, basis),
            Distance::Percent => return Err(Nothing::NotNow),
        };
        Ok(Measured { value, compared: Some(basis) })
    }

    fn words(&self, telling: &Telling<'_>) -> String {
        let set = telling.compared.is_some_and(|basis| basis.what == "reference");
        let days = if set { telling.set() } else { telling.days("stable ") };
        format!("{} its own baseline {} ({days})", telling.distance(), telling.centre())
    }

    fn explain(&self, vital: Vital) -> String {
        let (label, baseline) = (vital.info().label, self.file.words());
        match &self.distance {
            Distance::Z(floor) => {
                format!(
                    "How many spreads {label} lies from the person's own baseline: {baseline}; a spread is {}.",
                    floor.words()
                )
            }
            Distance::Difference => {
                format!("How much {label} differs from the person's own baseline: the one that was set, or {baseline}.")
            }
            Distance::Percent => format!(
                "By how many percent {label} differs from the person's own baseline: the one that was set, or {baseline}."
            ),
        }
    }

    fn is_signed(&self) -> bool {
        true
    }

    fn takes_reference(&self) -> bool {
        !matches!(self.distance, Distance::Z(_))
    }
}

/// A value that somebody has set for the patient.
pub(super) fn set_by_hand(set: &crate::OwnReference) -> Basis {
    let (from, until) = (nanos(set.from), nanos(set.until));
    Basis { what: "reference", centre: set.value.0.to_f64(), spread: None, count: 0, from, until }
}
