//! One sitting: when somebody measures, what the devices show (errors and repeats too), and the message that the kit sends.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use vitals::{Answer, Clock, DeviceId, Flag, KitId, PatientId, Reading, Value, Vital};
use wire::Message;

use super::{
    answers::{Said, questionnaire},
    body::{Time, Truth},
    draw::Draw,
    parameters as p,
    person::{Condition, Person},
};

/// What went wrong with a measurement, whether the device noticed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TechniqueError {
    /// SpO2 reads low.
    ColdFinger,
    /// A loose cuff, crossed legs, an arm that hangs.
    Cuff,
    /// Weighed with clothes and shoes.
    Clothes,
    /// Somebody else stood on the scale.
    WrongPerson,
    /// A poor blow.
    PoorBlow,
}

/// One value that a device showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// What.
    pub vital: Vital,
    /// How much, in the canonical unit.
    pub value: Value,
    /// When.
    pub at: Timestamp,
    /// What the device noticed.
    pub flag: Option<&'static str>,
    /// What went wrong.
    pub error: Option<TechniqueError>,
}

/// One sitting, as one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Sitting {
    /// With the kit it names the message.
    pub seq: u64,
    /// When the hub gets it: at once, or when the kit is online again.
    pub received_at: Timestamp,
    /// What was measured, in order.
    pub measured: Vec<Measured>,
    /// What was answered.
    pub answers: Vec<Said>,
    /// When.
    pub answered_at: Timestamp,
}

/// The ids that belong to one person's messages.
#[derive(Clone, Debug)]
pub struct Ids {
    /// `sim-...`.
    pub patient: PatientId,
    /// `sim-kit-...`.
    pub kit: KitId,
    number: u64,
    devices: [DeviceId; 5],
    questionnaire: (Arc<str>, u32),
}

impl Ids {
    pub(super) fn new(number: u64, condition: Condition) -> Self {
        let device = |driver: &str| format!("{driver}:SIM-{number:06}").parse().expect("a device's id");
        let (questionnaire, version) = questionnaire(condition);
        Self {
            patient: format!("sim-{number:06}").parse().expect("a patient's id"),
            kit: format!("sim-kit-{number:06}").parse().expect("a kit's id"),
            number,
            devices: [
                device("nonin-3230"),
                device("gatt-thermometer"),
                device("gatt-blood-pressure"),
                device("gatt-weight"),
                device("contec-sp10bt"),
            ],
            questionnaire: (questionnaire.into(), version),
        }
    }

    /// The person's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    fn device(&self, vital: Vital) -> &DeviceId {
        let at = match vital {
            Vital::Spo2 | Vital::Pulse => 0,
            Vital::Temperature => 1,
            Vital::Systolic | Vital::Diastolic => 2,
            Vital::Weight => 3,
            _ => 4,
        };
        &self.devices[at]
    }
}

impl Sitting {
    /// The readings, each flagged as simulated.
    #[must_use]
    pub fn readings(&self, ids: &Ids) -> Vec<Reading> {
        let reading = |measured: &Measured| Reading {
            vital: measured.vital,
            value: measured.value,
            unit: measured.vital.unit(),
            measured_at: measured.at,
            clock: Clock::Device,
            device: ids.device(measured.vital).clone(),
            flags: [Some(Flag::SIMULATED), measured.flag.map(Flag::new)].into_iter().flatten().collect(),
        };
        self.measured.iter().map(reading).collect()
    }

    /// The answers.
    #[must_use]
    pub fn answered(&self, ids: &Ids) -> Vec<Answer> {
        let (questionnaire, version) = &ids.questionnaire;
        let answer = |(question, answer): &Said| Answer {
            questionnaire: questionnaire.to_string(),
            version: *version,
            question: (*question).to_owned(),
            answer: (*answer).to_owned(),
            answered_at: self.answered_at,
        };
        self.answers.iter().map(answer).collect()
    }

    /// The message that the kit sends.
    #[must_use]
    pub fn message(&self, ids: &Ids) -> Message {
        let mut session = [0; 16];
        session[..8].copy_from_slice(&ids.number.to_be_bytes());
        session[8..].copy_from_slice(&self.seq.to_be_bytes());
        Message {
            seq: self.seq,
            oldest: None,
            sent_at: self.received_at,
            session: uuid::Builder::from_custom_bytes(session).into_uuid(),
            readings: self.readings(ids),
            answers: self.answered(ids),
            patient: None,
            receipts: Vec::new(),
        }
    }
}

/// One line of a recording, as `vagt replay` reads it.
#[derive(Serialize)]
pub struct Line {
    kit: KitId,
    patient: PatientId,
    received_at: Timestamp,
    simulated: bool,
    #[serde(flatten)]
    message: Message,
}

impl Line {
    /// The line of a sitting.
    #[must_use]
    pub fn of(sitting: &Sitting, ids: &Ids) -> Self {
        let (kit, patient) = (ids.kit.clone(), ids.patient.clone());
        Self { kit, patient, received_at: sitting.received_at, simulated: true, message: sitting.message(ids) }
    }
}

/// Sits down and measures, one device after the other.
pub(super) struct Devices<'a> {
    pub draw: &'a mut Draw,
    pub person: &'a Person,
    pub now: Timestamp,
    pub measured: Vec<Measured>,
}

/// What is measured in how many minutes, with a repeat after a flagged error.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

impl Devices<'_> {
    /// The morning's full set, the evening's short one.
    pub fn sit(&mut self, truth: &Truth, time: Time) {
        self.device(truth, Self::oximeter);
        self.device(truth, Self::thermometer);
        match (self.person.condition, time) {
            (Condition::Copd, Time::Morning) => {
                self.device(truth, Self::spirometer);
                self.device(truth, Self::cuff);
                self.device(truth, Self::scale);
            }
            (Condition::HeartFailure, Time::Morning) => {
                self.device(truth, Self::cuff);
                self.device(truth, Self::scale);
            }
            (Condition::PulmonaryFibrosis, Time::Morning) => self.device(truth, Self::spirometer),
            (Condition::Copd | Condition::PulmonaryFibrosis, Time::Evening) => {}
            (Condition::HeartFailure, Time::Evening) => self.device(truth, Self::cuff),
        }
    }

    /// Measures once; once more, where the device noticed an error and the person does as the kit says.
    fn device(&mut self, truth: &Truth, measure: fn(&mut Self, &Truth, bool)) {
        let before = self.measured.len();
        let goes_wrong = self.draw.chance(self.person.errors);
        measure(self, truth, goes_wrong);
        self.now += MINUTE;
        let noticed = self.measured[before..].iter().any(|measured| measured.flag.is_some());
        if noticed && self.draw.chance(p::ERROR_REPEATED.value) {
            measure(self, truth, false);
            self.now += MINUTE;
        }
    }

    fn show(&mut self, vital: Vital, value: f64, digits: u32, error: Option<(TechniqueError, Option<&'static str>)>) {
        let scale = 10_i64.pow(digits) as f64;
        let value = Value::new((value * scale).round() as i64, digits);
        let flag = error.and_then(|(_, flag)| flag);
        self.measured.push(Measured { vital, value, at: self.now, flag, error: error.map(|(error, _)| error) });
    }

    fn noticed(&mut self, flag: &'static str) -> Option<&'static str> {
        self.draw.chance(p::ERROR_FLAGGED.value).then_some(flag)
    }

    fn oximeter(&mut self, truth: &Truth, wrong: bool) {
        let (mut spo2, mut pulse, mut error) = (truth.spo2, truth.pulse, None);
        if wrong {
            spo2 -= self.draw.even(p::COLD_FINGER_LOW.value, p::COLD_FINGER_HIGH.value);
            pulse += self.draw.normal(0.0, p::MOTION_PULSE.value);
            error = Some((TechniqueError::ColdFinger, self.noticed("low_perfusion")));
        }
        self.show(Vital::Spo2, spo2.clamp(60.0, 100.0), 0, error);
        self.show(Vital::Pulse, pulse.clamp(35.0, 190.0), 0, error);
    }

    fn thermometer(&mut self, truth: &Truth, _wrong: bool) {
        self.show(Vital::Temperature, truth.temperature.clamp(34.5, 41.5), 1, None);
    }

    fn spirometer(&mut self, truth: &Truth, wrong: bool) {
        let (mut fev1, mut fvc, mut error) = (truth.fev1, truth.fvc, None);
        if wrong {
            let left = 1.0 - self.draw.even(p::POOR_BLOW_LOW.value, p::POOR_BLOW_HIGH.value);
            (fev1, fvc) = (fev1 * left, fvc * left);
            error = Some((TechniqueError::PoorBlow, self.noticed("early_termination")));
        }
        let fev1 = fev1.clamp(0.3, 5.5);
        self.show(Vital::Fev1, fev1, 2, error);
        self.show(Vital::Fvc, fvc.clamp(fev1 + 0.05, 7.5), 2, error);
    }

    fn cuff(&mut self, truth: &Truth, wrong: bool) {
        let (mut added, mut error) = (0.0, None);
        if wrong {
            added = self.draw.normal(0.0, p::CUFF_WRONG.value);
            error = Some((TechniqueError::Cuff, self.noticed("body_movement")));
        }
        let systolic = (truth.systolic + added).clamp(65.0, 240.0);
        let diastolic = (truth.diastolic + 0.6 * added).clamp(32.0, systolic - 15.0);
        self.show(Vital::Systolic, systolic, 0, error);
        self.show(Vital::Diastolic, diastolic, 0, error);
    }

    fn scale(&mut self, truth: &Truth, wrong: bool) {
        let (mut weight, mut error) = (truth.weight, None);
        if wrong && self.draw.chance(p::WRONG_PERSON_SHARE.value) {
            weight += self.draw.normal(0.0, 15.0);
            error = Some((TechniqueError::WrongPerson, self.noticed("person_unconfirmed")));
        } else if wrong {
            weight += self.draw.normal(p::CLOTHES.value, 0.5).max(0.2);
            error = Some((TechniqueError::Clothes, None));
        }
        self.show(Vital::Weight, weight.clamp(32.0, 240.0), 1, error);
    }
}
