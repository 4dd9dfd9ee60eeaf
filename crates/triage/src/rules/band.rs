//! Rule kind `band`: a value of one vital means the mark of the band that it lies in, with the patient's own limits over the programme's, and
//! the clinic's where the programme says none.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Plausibility, Unit, Vital, check_value};

use super::{BandFile, Judge, Nothing, Reader, Told, Verdict, Watches, doubt, read};
use crate::{
    Programme, Reason,
    bands::{BandView, Ladder, meaning},
    hysteresis::Hysteresis,
    look::Look,
    programme::{Number, place::steps},
    series::Need,
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Which vital.
    vital: Vital,
    /// The unit of its limits: the vital's canonical one.
    unit: Unit,
    /// Its bands: every value lies in exactly one.
    bands: Vec<BandFile>,
    /// How far a value must go back over a limit that was crossed before it counts as milder again.
    hysteresis: Option<Number>,
}

#[derive(Debug)]
struct Band {
    vital: Vital,
    ladder: Ladder,
    hysteresis: Hysteresis,
}

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { vital, unit, bands, hysteresis } = reader.file()?;
    reader.unit(unit.ucum(), vital.unit().ucum(), vital.name());
    let hysteresis = Hysteresis::read(reader, hysteresis)?;
    let ladder = reader.ladder(&bands)?;
    hysteresis.check(reader, &ladder, vital.unit().plain());
    check_possible(reader, vital, &bands);
    read::judge(Band { vital, ladder, hysteresis })
}

/// A limit that no value can cross, since what lies beyond it is put into quarantine, is a slip: 391 for 39.1.
fn check_possible(reader: &mut Reader<'_, '_, '_>, vital: Vital, bands: &[BandFile]) {
    for (at, band) in bands.iter().enumerate() {
        let BandFile { from, above, at_most, below, .. } = *band;
        for (key, end) in [("from", from), ("above", above), ("at_most", at_most), ("below", below)] {
            let Some(Number(value)) = end else { continue };
            if let Plausibility::Reject(text) = check_value(vital, value) {
                reader.refuse_new(steps!["bands", at, key], format!("found a limit that nothing can cross: {text}"));
            }
        }
    }
}

/// The newest value, and those before it that are beyond doubt, newest first.
fn values(look: &Look<'_>, vital: Vital) -> impl Iterator<Item = vitals::Value> {
    let newest_first = look.samples(vital).iter().rev().enumerate();
    newest_first.filter(|(at, sample)| *at == 0 || !sample.is_doubtful()).map(|(_, sample)| sample.value())
}

impl Judge for Band {
    fn watches(&self) -> Watches {
        Watches::vital(self.vital)
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        vec![(self.vital, self.hysteresis.need())]
    }

    fn judge(&self, look: &Look<'_>) -> Result<Verdict, Nothing> {
        let newest = look.newest(self.vital)?;
        let ladder = look.ladder(&self.ladder);
        let mark = self.hysteresis.judge(&ladder, || values(look, self.vital)).mark;
        Ok(Verdict { mark, at: newest.at, doubtful: newest.is_doubtful() })
    }

    fn tell(&self, look: &Look<'_>, _: &Verdict) -> Told {
        let vital = self.vital;
        let newest = look.newest(vital).expect("a verdict has a value");
        let ladder = look.ladder(&self.ladder);
        let band = self.hysteresis.judge(&ladder, || values(look, vital));
        let BandView { from, below, limit, own, .. } = band;
        let clinic = band.clinic.then(|| look.plan.book().clinic().version());
        let input = look.input(vital, newest);
        let (value, unit) = (newest.value(), vital.unit());
        let head =
            format!("{} {value} {}, {}", vital.info().label, unit.plain(), meaning(&ladder, &band, unit.plain()));
        let kept = self.hysteresis.words(&ladder, value, &band, unit.plain());
        let whose = match clinic {
            Some(_) => " (the clinic's limit)",
            None if own => " (own limit)",
            None => "",
        };
        let why = format!("{head}{whose}{kept}{}", doubt(newest.flags(&look.chart.names)));
        let green = self.hysteresis.green_list(&ladder, &band, || values(look, vital).skip(1));
        let reason = Reason::Band { vital, value, unit, from, below, limit, own, clinic, green };
        Told { why, reason, inputs: vec![input] }
    }

    fn explain(&self, _: &Programme) -> String {
        let words = self.ladder.in_words(self.vital.unit().plain());
        format!("{} is {words}.{}", self.vital.info().label, self.hysteresis.explain(self.vital.unit().plain()))
    }

    fn ladder(&self) -> Option<&Ladder> {
        Some(&self.ladder)
    }

    fn absolute(&self) -> Option<Vital> {
        Some(self.vital)
    }

    fn hysteresis(&self) -> Hysteresis {
        self.hysteresis
    }

    fn unit(&self) -> Option<&str> {
        Some(self.vital.unit().ucum())
    }
}
