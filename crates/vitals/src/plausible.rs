//! What a body can do: outside `reject` a value is impossible and is quarantined; outside `suspect` it is kept, marked, and asked for again.
//!
//! Bounds: the project's clinical reference, section 2.1 (our own proposals built from general physiology; SpO2 and temperature as in a
//! published specification). Both ends belong to the believable range. Vitals without a published bound have none here.

use jiff::{SignedDuration, Timestamp};

use crate::{Decimal, Value, Vital};

/// A reading further ahead of the core's clock than this is rejected.
pub const CLOCK_AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What to think of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plausibility {
    /// Believable.
    Ok,
    /// Keep it, mark it, ask for another.
    Suspect(String),
    /// Impossible: quarantine it.
    Reject(String),
}

/// The two ranges of one vital, in its canonical unit, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Outside is impossible.
    pub reject: (Decimal, Decimal),
    /// Outside is doubtful.
    pub suspect: (Decimal, Decimal),
    /// The largest step that is believed, and within how long; as an amount or a percentage of the value before.
    pub step: Option<Step>,
}

/// The largest believable step between two readings.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// In the canonical unit.
    pub amount: Option<Decimal>,
    /// In percent of the value before.
    pub percent: Option<Decimal>,
    /// Between readings at most this far apart; `None`: any two.
    pub within: Option<SignedDuration>,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Bounds {
    /// The bounds of a vital, or `None` where none is published.
    #[must_use]
    #[rustfmt::skip]
    pub fn of(vital: Vital) -> Option<Self> {
        let bounds = match vital {
            Vital::Spo2        => row((500, 1000), (700, 1000), amount(80).within(HOUR)),
            Vital::Pulse       => row((200, 3000), (300, 2200), amount(600)),
            Vital::RespRate    => row((30, 800), (60, 450), None),
            Vital::Temperature => row((300, 450), (340, 420), amount(20).within(HOUR)),
            Vital::Systolic    => row((400, 3000), (600, 2500), amount(600)),
            Vital::Diastolic   => row((200, 2000), (300, 1500), amount(400)),
            Vital::Weight      => row((200, 4000), (300, 2500), amount(50).or_percent(30).within(DAY)),
            Vital::Fev1        => row((1, 80), (3, 60), percent(400)),
            Vital::Fvc         => row((2, 100), (5, 80), percent(400)),
            Vital::Pef         => row((200, 10_000), (500, 8000), percent(500)),
            _ => return None,
        };
        Some(bounds)
    }
}

/// Is this value, in the canonical unit, believable by itself?
#[must_use]
pub fn check_value(vital: Vital, value: Value) -> Plausibility {
    let Some(bounds) = Bounds::of(vital) else { return Plausibility::Ok };
    let outside = |(low, high): (Decimal, Decimal)| value.decimal() < low || value.decimal() > high;
    let say = |what: &str, (low, high): (Decimal, Decimal)| {
        let unit = vital.unit();
        format!("{} {value} {unit} is {what}: want {} to {} {unit}", vital.name(), low.normalize(), high.normalize())
    };
    if outside(bounds.reject) {
        Plausibility::Reject(say("impossible", bounds.reject))
    } else if outside(bounds.suspect) {
        Plausibility::Suspect(say("doubtful", bounds.suspect))
    } else {
        Plausibility::Ok
    }
}

/// Is the step from `before` to `after`, `apart` later (or earlier), believable? `None` where it is.
#[must_use]
pub fn check_step(vital: Vital, before: Value, after: Value, apart: SignedDuration) -> Option<String> {
    let step = Bounds::of(vital)?.step?;
    if step.within.is_some_and(|within| apart.abs() >= within) {
        return None;
    }
    let moved = (after.decimal() - before.decimal()).abs();
    let by_amount = step.amount.is_some_and(|most| moved > most);
    let by_percent = step.percent.is_some_and(|most| moved * Decimal::ONE_HUNDRED > most * before.decimal());
    (by_amount || by_percent).then(|| format!("{} went from {before} to {after} {}", vital.name(), vital.unit()))
}

/// Can a reading have been measured then, for a kit handed out at `since`, as seen at `now`?
#[must_use]
pub fn check_time(measured_at: Timestamp, since: Timestamp, now: Timestamp) -> Plausibility {
    if measured_at.duration_since(now) > CLOCK_AHEAD_MAX {
        return Plausibility::Reject(format!("measured_at {measured_at} is in the future: it is {now}"));
    }
    if measured_at < since {
        return Plausibility::Reject(format!("measured_at {measured_at} is before the kit was handed out, {since}"));
    }
    Plausibility::Ok
}

/// One row: the ranges in tenths of the canonical unit, and the step.
fn row(reject: (i64, i64), suspect: (i64, i64), step: impl Into<Option<Step>>) -> Bounds {
    let tenths = |(low, high)| (Decimal::new(low, 1), Decimal::new(high, 1));
    Bounds { reject: tenths(reject), suspect: tenths(suspect), step: step.into() }
}

/// A step of so many tenths of the canonical unit.
fn amount(tenths: i64) -> Step {
    Step { amount: Some(Decimal::new(tenths, 1)), percent: None, within: None }
}

/// A step of so many tenths of a percent.
fn percent(tenths: i64) -> Step {
    Step { amount: None, percent: Some(Decimal::new(tenths, 1)), within: None }
}

impl Step {
    fn within(self, within: SignedDuration) -> Self {
        Self { within: Some(within), ..self }
    }

    fn or_percent(self, tenths: i64) -> Self {
        Self { percent: Some(Decimal::new(tenths, 1)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(vital: Vital, value: &str, wanted: &str) {
        let got = match check_value(vital, value.parse().unwrap()) {
            Plausibility::Ok => "ok",
            Plausibility::Suspect(_) => "suspect",
            Plausibility::Reject(_) => "reject",
        };
        assert_eq!(got, wanted, "{vital} {value}");
    }

    #[test]
    fn every_edge_of_the_table() {
        for (vital, rejects, suspects, fine) in [
            (Vital::Spo2, ["49", "101"], ["50", "69"], ["70", "100"]),
            (Vital::Pulse, ["19", "301"], ["29", "221"], ["30", "220"]),
            (Vital::RespRate, ["2", "81"], ["5", "46"], ["6", "45"]),
            (Vital::Temperature, ["29.9", "45.1"], ["33.9", "42.1"], ["34.0", "42.0"]),
            (Vital::Systolic, ["39", "301"], ["59", "251"], ["60", "250"]),
            (Vital::Diastolic, ["19", "201"], ["29", "151"], ["30", "150"]),
            (Vital::Weight, ["19.9", "400.5"], ["29.9", "250.5"], ["30", "250"]),
            (Vital::Fev1, ["0.09", "8.01"], ["0.29", "6.01"], ["0.3", "6"]),
            (Vital::Fvc, ["0.19", "10.01"], ["0.49", "8.01"], ["0.5", "8"]),
            (Vital::Pef, ["19", "1001"], ["49", "801"], ["50", "800"]),
        ] {
            rejects.iter().for_each(|value| check(vital, value, "reject"));
            suspects.iter().for_each(|value| check(vital, value, "suspect"));
            fine.iter().for_each(|value| check(vital, value, "ok"));
        }
    }

    #[test]
    fn steps_are_believed_by_amount_by_share_and_by_distance_in_time() {
        let step = |vital, before: &str, after: &str, hours| {
            check_step(vital, before.parse().unwrap(), after.parse().unwrap(), SignedDuration::from_hours(hours))
                .is_some()
        };
        assert!(step(Vital::Spo2, "93", "84", 0));
        assert!(!step(Vital::Spo2, "93", "85", 0));
        assert!(!step(Vital::Spo2, "93", "80", 2));
        assert!(step(Vital::Weight, "70", "75.5", 12));
        assert!(step(Vital::Weight, "50", "51.6", 12), "3 % of 50 kg is 1.5 kg");
        assert!(!step(Vital::Weight, "50", "51.6", 25));
        assert!(step(Vital::Pef, "300", "460", 100));
    }

    #[test]
    fn a_time_in_the_future_or_before_the_kit_is_rejected() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let since: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let reject = |at: &str| matches!(check_time(at.parse().unwrap(), since, now), Plausibility::Reject(_));
        assert!(!reject("2026-11-22T08:05:00Z"));
        assert!(reject("2026-11-22T08:05:01Z"));
        assert!(reject("1970-01-01T00:00:00Z"));
    }
}
