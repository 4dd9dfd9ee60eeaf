//! A person slowly getting a COPD exacerbation: from day 1 the saturation falls, below 85 % by day 7, while the pulse rises.
//!
//! Studies see smaller means (pulse 87 to 94, saturation 93.6 to 92.4 at onset, Burton 2015; heart rate +8 three days before, Equivital
//! 2022); this person is a severe case, so that every rule that should fire does. Pulse up by about a fifth is one of Anthonisen's signs.

use super::{Condition, Person, ramp, stable};

pub(super) const PERSON: Person = Person {
    name: "exacerbating",
    about: "COPD exacerbation: SpO2 falls below 85 % and pulse rises within 7 days, some fever, FEV1 down",
    condition,
};

fn condition(day: f64) -> Condition {
    let well = stable::condition(day);
    let ill = ramp(day, 1.0, 7.0);
    Condition {
        spo2: well.spo2 - 11.6 * ill,
        pulse: well.pulse + 22.0 * ill,
        temperature: well.temperature + 0.9 * ill,
        systolic: well.systolic + 5.0 * ill,
        fev1: well.fev1 * (1.0 - 0.2 * ill),
        fvc: well.fvc * (1.0 - 0.12 * ill),
        ..well
    }
}
