//! Simulated people: what would be measured on them on a given day of their story. None of them exists.
//!
//! Day 0 is when the story begins to move; the days before it are the person's stable fortnight. `PEOPLE` is the list, one file each.

mod cold_finger;
mod exacerbating;
mod fluid;
pub mod noise;
mod silent;
mod stable;

use self::noise::{bell, uniform};
use crate::devices::Body;

/// How a person is at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// Oxygen saturation, %.
    pub spo2: f64,
    /// Pulse, /min.
    pub pulse: f64,
    /// Temperature, degrees Celsius.
    pub temperature: f64,
    /// Systolic pressure, mmHg.
    pub systolic: f64,
    /// Diastolic pressure, mmHg.
    pub diastolic: f64,
    /// Weight, kg.
    pub weight: f64,
    /// Forced expiratory volume in the first second, L.
    pub fev1: f64,
    /// Forced vital capacity, L.
    pub fvc: f64,
    /// The first touch of the oximeter sees too little blood.
    pub cold_finger: bool,
    /// Nobody measures.
    pub silent: bool,
}

/// One kind of person.
#[derive(Debug)]
pub struct Person {
    /// The name on the command line.
    pub name: &'static str,
    /// What happens to them.
    pub about: &'static str,
    condition: fn(f64) -> Condition,
}

/// Everybody.
pub static PEOPLE: &[Person] =
    &[stable::PERSON, exacerbating::PERSON, fluid::PERSON, silent::PERSON, cold_finger::PERSON];

/// The person of this name.
#[must_use]
pub fn person(name: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.name == name)
}

/// A person with a seed: their own build, and their own good and bad days.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    person: &'static Person,
    seed: u64,
}

/// Streams of noise, so that no vital follows another's.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Stream {
    Spo2 = 1,
    Pulse,
    Temperature,
    Systolic,
    Diastolic,
    Weight,
    Fev1,
    Fvc,
    Own,
    Evening,
}

impl Story {
    /// The story of this person with this seed.
    #[must_use]
    pub fn new(person: &'static Person, seed: u64) -> Self {
        Self { person, seed }
    }

    /// Who it is about.
    #[must_use]
    pub fn person(&self) -> &'static Person {
        self.person
    }

    /// How the person is at `day` (a whole day is midnight, a third of one is 8:00), before the noise of measuring.
    #[must_use]
    pub fn condition(&self, day: f64) -> Condition {
        let mut condition = (self.person.condition)(day);
        let own = |place| bell(self.seed, Stream::Own as u64, place);
        condition.spo2 += 0.8 * own(0);
        condition.pulse += 5.0 * own(1);
        condition.weight += 9.0 * own(2);
        condition.fev1 *= 1.0 + 0.12 * own(3);
        condition.fvc *= 1.0 + 0.12 * own(3);
        condition.systolic += 6.0 * own(4);
        condition
    }

    /// What the devices would measure at `day`, in the order in which people take them. Nothing when the person has fallen silent.
    #[must_use]
    pub fn measurements(&self, day: f64) -> Vec<Body> {
        let condition = self.condition(day);
        if condition.silent {
            return vec![];
        }
        let place = (day * 24.0).floor();
        #[allow(clippy::cast_possible_truncation, reason = "hours of a story of some weeks")]
        let place = place as i64;
        let about = |value: f64, spread: f64, stream: Stream| value + spread * bell(self.seed, stream as u64, place);
        let spo2 = about(condition.spo2, 1.3, Stream::Spo2).min(99.0);
        let pulse = about(condition.pulse, 5.0, Stream::Pulse);
        let mut bodies = Vec::with_capacity(6);
        if condition.cold_finger {
            bodies.push(Body::Oxygen { spo2: whole(spo2 - 11.0), pulse: whole(pulse + 3.0), low_perfusion: true });
        }
        bodies.push(Body::Oxygen { spo2: whole(spo2), pulse: whole(pulse), low_perfusion: false });
        bodies.push(temperature(about(condition.temperature, 0.25, Stream::Temperature)));
        bodies.push(Body::Pressure {
            systolic: whole(about(condition.systolic, 8.0, Stream::Systolic)),
            diastolic: whole(about(condition.diastolic, 5.0, Stream::Diastolic)),
            pulse: whole(pulse + 1.0),
        });
        bodies.push(Body::Weight { steps: whole(about(condition.weight, 0.35, Stream::Weight) * 200.0) });
        let fev1 = about(condition.fev1, 0.05, Stream::Fev1);
        bodies.push(blow(fev1, about(condition.fvc, 0.1, Stream::Fvc)));
        bodies
    }

    /// Whether the person also measures in the evening of this whole day.
    #[must_use]
    pub fn measures_in_the_evening(&self, day: i64) -> bool {
        uniform(self.seed, Stream::Evening as u64, day) < 0.3
    }
}

fn temperature(celsius: f64) -> Body {
    Body::Temperature { decidegrees: i32::from(whole(celsius * 10.0)) }
}

/// A blow with this FEV1 and FVC; the rest of it follows. In an obstructed lung the peak flow is about 1.9 times FEV1 (in L/s),
/// and the volume of six seconds lies most of the way from FEV1 to FVC.
fn blow(fev1: f64, fvc: f64) -> Body {
    let fvc = fvc.max(fev1);
    let fev6 = fev1 + (fvc - fev1) * 0.85;
    Body::Spirometry {
        fev1_cl: whole(fev1 * 100.0),
        fvc_cl: whole(fvc * 100.0),
        fev6_cl: whole(fev6 * 100.0),
        pef_cl: whole(fev1 * 190.0),
    }
}

/// The nearest whole number that a device can show.
fn whole(value: f64) -> u16 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
    let whole = value.round().clamp(0.0, 65_000.0) as u16;
    whole
}

/// From 0 before `from` to 1 after `to`, smoothly.
fn ramp(day: f64, from: f64, to: f64) -> f64 {
    let part = ((day - from) / (to - from)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mornings(name: &str, seed: u64, days: std::ops::Range<i32>) -> Vec<Vec<Body>> {
        let story = Story::new(person(name).unwrap(), seed);
        days.map(|day| story.measurements(f64::from(day) + 1.0 / 3.0)).collect()
    }

    fn spo2(bodies: &[Body]) -> u16 {
        bodies
            .iter()
            .rev()
            .find_map(|body| if let Body::Oxygen { spo2, .. } = body { Some(*spo2) } else { None })
            .unwrap()
    }

    fn pulse(bodies: &[Body]) -> u16 {
        bodies
            .iter()
            .rev()
            .find_map(|body| if let Body::Oxygen { pulse, .. } = body { Some(*pulse) } else { None })
            .unwrap()
    }

    fn steps(bodies: &[Body]) -> u16 {
        bodies.iter().find_map(|body| if let Body::Weight { steps } = body { Some(*steps) } else { None }).unwrap()
    }

    fn fev1(bodies: &[Body]) -> u16 {
        bodies
            .iter()
            .find_map(|body| if let Body::Spirometry { fev1_cl, .. } = body { Some(*fev1_cl) } else { None })
            .unwrap()
    }

    #[test]
    fn everybody_stays_believable() {
        for person in PEOPLE {
            for seed in 0..20 {
                for bodies in mornings(person.name, seed, -14..21) {
                    for body in bodies {
                        assert!(believable(body), "{} {seed}: {body:?}", person.name);
                    }
                }
            }
        }
    }

    fn believable(body: Body) -> bool {
        match body {
            Body::Oxygen { spo2, pulse, .. } => (70..=100).contains(&spo2) && (50..=140).contains(&pulse),
            Body::Temperature { decidegrees } => (355..=395).contains(&decidegrees),
            Body::Pressure { systolic, diastolic, pulse } => {
                (95..=180).contains(&systolic) && (50..=110).contains(&diastolic) && (50..=140).contains(&pulse)
            }
            Body::Weight { steps } => (9_000..=24_000).contains(&steps),
            Body::Spirometry { fev1_cl, fvc_cl, fev6_cl, pef_cl } => {
                (50..=400).contains(&fev1_cl) && fev1_cl <= fev6_cl && fev6_cl <= fvc_cl && pef_cl > fev1_cl
            }
            Body::NoPressure | Body::Glucose { .. } => panic!("no story has it"),
        }
    }

    /// Green in the Danish national COPD plan: saturation over 88 %, pulse between 60 and 110.
    #[test]
    fn the_fortnight_before_the_story_is_calm_for_everybody() {
        for person in PEOPLE {
            for seed in 0..50 {
                for bodies in mornings(person.name, seed, -14..0) {
                    assert!(spo2(&bodies) > 88, "{} {seed}", person.name);
                    assert!((61..110).contains(&pulse(&bodies)), "{} {seed}: {}", person.name, pulse(&bodies));
                }
            }
        }
    }

    #[test]
    fn the_stable_one_stays_calm() {
        for seed in 0..50 {
            for bodies in mornings("stable", seed, 0..60) {
                assert!(spo2(&bodies) > 88 && (61..110).contains(&pulse(&bodies)), "{seed}");
            }
        }
    }

    #[test]
    fn the_exacerbating_one_gets_ill_within_a_week() {
        for seed in 0..50 {
            let days = mornings("exacerbating", seed, 0..10);
            assert!(spo2(&days[0]) > 88, "{seed}: well on day 0");
            assert!(days[7..].iter().all(|bodies| spo2(bodies) < 85), "{seed}: ill from day 7 on");
            assert!(pulse(&days[8]) > pulse(&days[0]) + 8, "{seed}: pulse");
            assert!(fev1(&days[8]) < fev1(&days[0]), "{seed}: FEV1");
        }
    }

    #[test]
    fn the_one_with_fluid_gains_two_kilograms_in_three_days() {
        for seed in 0..50 {
            let days = mornings("fluid", seed, 0..6);
            let gained =
                days.windows(4).map(|four| i32::from(steps(&four[3])) - i32::from(steps(&four[0]))).max().unwrap();
            assert!(gained > 400, "{seed}: {gained} steps of 5 g");
            assert!(spo2(&days[5]) > 88, "{seed}: the lungs hold");
        }
    }

    #[test]
    fn the_silent_one_stops() {
        let days = mornings("silent", 7, 0..10);
        assert!(days[..3].iter().all(|bodies| !bodies.is_empty()));
        assert!(days[4..].iter().all(Vec::is_empty));
    }

    #[test]
    fn the_cold_finger_is_low_first_and_well_after() {
        for seed in 0..50 {
            let bodies = &mornings("cold-finger", seed, 2..3)[0];
            let Body::Oxygen { spo2: first, low_perfusion: true, .. } = bodies[0] else { panic!("{bodies:?}") };
            let Body::Oxygen { spo2: second, low_perfusion: false, .. } = bodies[1] else { panic!("{bodies:?}") };
            assert!(first <= 85 && second > 88, "{seed}: {first} then {second}");
        }
    }

    #[test]
    fn a_seed_tells_the_same_story_for_ever() {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        for person in PEOPLE {
            for bodies in mornings(person.name, 7, -14..21) {
                hash.update(format!("{bodies:?}"));
            }
        }
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "2fca111219b9d9676efdddee6fb124ff89912202784bbdfe8974aee69e902605");
        assert_ne!(mornings("stable", 7, 0..3), mornings("stable", 8, 0..3));
    }
}
