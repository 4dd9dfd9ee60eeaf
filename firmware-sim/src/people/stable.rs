//! A stable person with moderate COPD: small good and bad days, and nothing else. The others begin from here.

use super::{Condition, Person};

pub(super) const PERSON: Person =
    Person { name: "stable", about: "stable COPD: small good and bad days, nothing else", condition };

/// Saturation and pulse as the stable days of a study of home-monitored COPD had them (93.6 %, 87 /min; Burton 2015), the pulse somewhat
/// lower; FEV1 of severe to moderate COPD.
pub(super) fn condition(day: f64) -> Condition {
    let week = wave(day / 7.0);
    Condition {
        spo2: 93.4 + 0.3 * week,
        pulse: 80.0 - week,
        temperature: 36.6,
        systolic: 131.0,
        diastolic: 77.0,
        weight: 72.0 + 0.1 * week,
        fev1: 1.32 + 0.02 * week,
        fvc: 2.85,
        cold_finger: false,
        silent: false,
    }
}

/// Like a sine with this many turns, from sums and products alone: those give the same digits on every machine.
fn wave(turns: f64) -> f64 {
    let part = turns - turns.floor();
    let half = |part: f64| 16.0 * part * (0.5 - part);
    if part < 0.5 { half(part) } else { -half(part - 0.5) }
}
