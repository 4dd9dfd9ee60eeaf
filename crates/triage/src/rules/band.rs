//! Rule kind `band`: a value of one vital means the mark of the band that it lies in, with the patient's own limits over the programme's.

use vitals::Vital;

use super::{Rule, Seen, Spec, doubt};
use crate::{
    Finding, Input, Mark, Plan, Programme, Reason,
    bands::{BandView, Ladder, sentence},
};

/// A checked band rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BandSpec {
    pub vital: Vital,
    pub ladder: Ladder,
}

/// A finding for each reading of the vital.
pub(super) fn judge(rule: &Rule, plan: &Plan, seen: &Seen<'_>) -> Vec<Finding> {
    let (Spec::Band(spec), Seen::Sitting(sitting)) = (&rule.spec, seen) else { return Vec::new() };
    let vital = spec.vital;
    let of_vital = sitting.readings.iter().filter(|reading| reading.vital == vital);
    of_vital
        .map(|reading| {
            let ladder = plan.ladder(rule, spec, reading.measured_at);
            let band = ladder.judge(reading.value);
            let (value, unit) = (reading.value, vital.unit());
            let head = format!("{} {value} {}, {}", vital.info().label, unit.plain(), meaning(&ladder, &band, vital));
            let why = format!("{head}{}{}", if band.own { " (own limit)" } else { "" }, doubt(&reading.flags));
            let BandView { from, below, limit, own, .. } = band;
            let reason = Reason::Band { vital, value, unit, from, below, limit, own };
            let input = Input::Reading {
                vital,
                value,
                unit,
                measured_at: reading.measured_at,
                device: reading.device.clone(),
                flags: reading.flags.clone(),
            };
            rule.finding(plan, band.mark, why, reason, vec![input], reading.measured_at)
        })
        .collect()
}

/// `red at 85 % or less`, `green above 60 /min and below 110 /min`.
fn meaning(ladder: &Ladder, band: &BandView, vital: Vital) -> String {
    let unit = vital.unit();
    match band.limit {
        Some(limit) => format!("{} {}", name(band.mark), sentence(limit, unit)),
        None => match ladder.green() {
            (None, None) => "green".to_owned(),
            (Some(end), None) | (None, Some(end)) => format!("green {}", sentence(end, unit)),
            (Some(low), Some(high)) => format!("green {} and {}", sentence(low, unit), sentence(high, unit)),
        },
    }
}

fn name(mark: Mark) -> &'static str {
    mark.colour().map_or("blue", vitals::Colour::name)
}

/// The bands, from low to high.
pub(super) fn explain(rule: &Rule, _: &Programme) -> String {
    let Spec::Band(spec) = &rule.spec else { return String::new() };
    let bands = spec.ladder.views();
    let words: Vec<String> = bands.iter().map(|band| meaning(&spec.ladder, band, spec.vital)).collect();
    format!("{} is {}.", spec.vital.info().label, words.join("; "))
}
