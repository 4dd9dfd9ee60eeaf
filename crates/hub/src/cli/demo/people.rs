//! Who was watched over before the demonstration began: simulated people with ninety days behind them, and what is set for some of them. None of
//! them exist; their kits have been handed back.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Kit, Patient};
use vitals::PatientId;

use crate::cohort::{Cohort, Ids};

/// How many days lie behind them.
pub const PAST_DAYS: u16 = 90;
/// The seed of the cohort that they are taken from.
pub const SEED: u64 = 1;

/// One row of [`PEOPLE`].
pub struct PastPerson {
    /// The person's number in the cohort.
    pub number: u64,
    /// Shown to staff.
    pub name: &'static str,
    /// The programmes.
    pub programmes: &'static [&'static str],
    /// The risk level.
    pub stratum: Option<&'static str>,
    /// Own settings, as of now.
    pub own: fn(Timestamp) -> Value,
}

/// Chosen for what happens to them in the simulation: nine of them become ill once or twice in the ninety days, some are sloppy or silent.
pub const PEOPLE: &[PastPerson] = &[
    copd(24, "Frida (simulated)", &["copd"], own_limit),
    copd(37, "Gustav (simulated)", &["copd"], overdue_limit),
    copd(41, "Hanne (simulated)", &["copd-baseline"], nothing),
    copd(49, "Ib (simulated)", &["copd"], oxygen),
    copd(53, "Jytte (simulated)", &["copd", "copd-baseline"], nothing),
    copd(58, "Karl (simulated)", &["copd-baseline"], nothing),
    copd(9, "Lone (simulated)", &["copd"], holiday),
    copd(17, "Mogens (simulated)", &["alpha-1"], nothing),
    heart(4, "Nanna (simulated)", &["heart-failure"], "usual", dry_weight_and_low_pressure),
    heart(40, "Otto (simulated)", &["heart-failure"], "discharged", nothing),
    heart(29, "Petra (simulated)", &["heart-failure"], "discharged", nothing),
    heart(5, "Rasmus (simulated)", &["heart-failure"], "stable", nothing),
];

type OwnOf = fn(Timestamp) -> Value;

const fn copd(number: u64, name: &'static str, programmes: &'static [&'static str], own: OwnOf) -> PastPerson {
    PastPerson { number, name, programmes, stratum: None, own }
}

const fn heart(
    number: u64,
    name: &'static str,
    programmes: &'static [&'static str],
    stratum: &'static str,
    own: OwnOf,
) -> PastPerson {
    PastPerson { number, name, programmes, stratum: Some(stratum), own }
}

/// Days before or (negative) after a time, to the hour.
pub fn ago(now: Timestamp, days: i64) -> Timestamp {
    let hour = now.as_second().div_euclid(3600) * 3600;
    Timestamp::from_second(hour).unwrap_or(now) - SignedDuration::from_hours(24 * days)
}

fn nothing(_: Timestamp) -> Value {
    Value::Null
}

fn own_limit(now: Timestamp) -> Value {
    json!({ "limits": [{
        "programme": "copd", "rule": "pulse", "limit": "yellow_high", "value": 118, "unit": "/min",
        "author": "Dr Dahl (simulated)", "reason": "beats fast at rest, seen and treated", "from": ago(now, 60), "until": ago(now, -120),
    }] })
}

/// It ended nine days ago, and nobody has looked.
fn overdue_limit(now: Timestamp) -> Value {
    json!({ "limits": [{
        "programme": "copd", "rule": "spo2", "limit": "yellow_low", "value": 87, "unit": "%",
        "author": "Dr Dahl (simulated)", "reason": "lives with 88 % since the spring", "from": ago(now, 89), "until": ago(now, 9),
    }] })
}

fn oxygen(now: Timestamp) -> Value {
    json!({ "oxygen": [{
        "at_home": true, "target_88_92": true, "author": "Dr Dahl (simulated)",
        "reason": "hypercapnic respiratory failure, blood gases of the ward", "from": ago(now, 25), "until": ago(now, -155),
    }] })
}

fn holiday(now: Timestamp) -> Value {
    json!({ "pauses": [{
        "kind": "holiday", "author": "Nina (simulated)", "reason": "with her sister, without the devices",
        "from": ago(now, 1), "until": ago(now, -6),
    }] })
}

/// Lives with a pressure that is under the clinic's safety floor: so it has a reason, and an end.
fn dry_weight_and_low_pressure(now: Timestamp) -> Value {
    let low = |rule: &str, limit: &str, value: u32| {
        json!({
            "programme": "heart-failure", "rule": rule, "limit": limit, "value": value, "unit": "mm[Hg]",
            "author": "Dr Dahl (simulated)", "reason": "well with 85 to 90 mmHg, on full treatment", "from": ago(now, 89), "until": ago(now, -90),
        })
    };
    json!({
        "limits": [low("systolic", "red_low", 70), low("systolic", "yellow_low", 75), low("diastolic", "yellow_low", 40)],
        "references": [{
            "programme": "heart-failure", "rule": "dry_weight", "value": DRY_WEIGHT_KG, "unit": "kg",
            "author": "Dr Dahl (simulated)", "reason": "weighed dry at the clinic", "from": ago(now, 89), "until": ago(now, -90),
        }],
    })
}

/// What [`PEOPLE`]'s one person with a dry weight weighs in the simulation, well.
const DRY_WEIGHT_KG: f64 = 78.0;

impl PastPerson {
    /// The patient's id, as the cohort gives it.
    pub fn id(&self) -> PatientId {
        format!("sim-{:06}", self.number).parse().expect("letters, a hyphen and a number")
    }

    /// The roster's patient, watched since the first day.
    pub fn patient(&self, ids: &Ids, cohort: &Cohort, now: Timestamp) -> Patient {
        Patient {
            id: ids.patient.clone(),
            name: self.name.to_owned(),
            born: None,
            programmes: self.programmes.iter().map(|id| (*id).to_owned()).collect(),
            stratum: self.stratum.map(str::to_owned),
            own: (self.own)(now),
            simulated: true,
            since: Some(cohort.midnight(0)),
        }
    }
}

/// The kit that brought it all: nobody can sign in as it.
pub fn kit(ids: &Ids, cohort: &Cohort) -> Kit {
    Kit {
        id: ids.kit.clone(),
        patient: Some(ids.patient.clone()),
        patients: Vec::new(),
        secret_sha256: String::new(),
        since: Some(cohort.midnight(0)),
        devices: Vec::new(),
        revoked: false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cohort::Condition;
    use crate::directory::{plan_of, programmes};

    fn cohort() -> Cohort {
        Cohort { seed: SEED, days: PAST_DAYS + 1, start: jiff::civil::date(2026, 8, 24), zone: TimeZone::UTC }
    }

    #[test]
    fn everybody_can_be_judged_by_what_is_shipped_and_every_name_says_simulated() {
        let (cohort, now, books) = (cohort(), "2026-11-22T12:00:00Z".parse().unwrap(), programmes(None).unwrap());
        for person in PEOPLE {
            let ids = cohort.person(person.number).ids;
            let plan = plan_of(&person.patient(&ids, &cohort, now), &books, &TimeZone::UTC).expect(person.name);
            assert!(plan.unbounded(now).is_empty(), "{}", person.name);
            assert!(person.name.contains("simulated"), "{}", person.name);
        }
    }

    #[test]
    fn they_are_as_the_table_says() {
        let cohort = cohort();
        let mut ill = 0;
        for person in PEOPLE {
            let simulated = cohort.person(person.number);
            assert_eq!(simulated.ids.patient, person.id());
            let heart = simulated.person.condition == Condition::HeartFailure;
            assert_eq!(person.programmes[0] == "heart-failure", heart, "{}", person.name);
            ill += usize::from(!simulated.course.events.is_empty());
            if (person.own)(Timestamp::UNIX_EPOCH)["references"].is_array() {
                let weight = simulated.person.habitual.weight;
                assert!((weight - DRY_WEIGHT_KG).abs() < 1.0, "{} weighs {weight} kg", person.name);
            }
        }
        assert_eq!(ill, 9);
        assert!(PEOPLE.iter().any(|person| person.programmes.len() > 1));
    }
}
