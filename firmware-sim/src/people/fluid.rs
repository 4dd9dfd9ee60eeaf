//! A person with heart failure who retains fluid: from day 1 on more than 2 kg in 3 days (the guideline's limit), pulse and pressure up.

use super::{Condition, Person, ramp, stable};

pub(super) const PERSON: Person =
    Person { name: "fluid", about: "heart failure: more than 2 kg in 3 days, pulse and pressure up", condition };

fn condition(day: f64) -> Condition {
    let well = stable::condition(day);
    let gained = (day - 1.0).clamp(0.0, 4.0);
    let ill = ramp(day, 1.0, 5.0);
    Condition {
        spo2: well.spo2 + 1.0 - 1.5 * ill,
        pulse: well.pulse - 4.0 + 14.0 * ill,
        systolic: well.systolic + 14.0 * ill,
        diastolic: well.diastolic + 6.0 * ill,
        weight: well.weight + 6.0 + 1.0 * gained,
        fev1: well.fev1 + 0.9,
        fvc: well.fvc + 0.5,
        ..well
    }
}
