//! Somebody's days for the benches of triage: calm readings and answers, the same on every run. (How people truly differ is the cohort's
//! business, `crates/hub/src/cohort`; here only the work of judging counts.)

#![allow(dead_code, reason = "each bench uses a part")]

use std::{fs, path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use triage::{Chart, Clinic, Event, Own, Plan, Programme, Rulebook, Sitting, assess};
use vitals::{Answer, Clock, DeviceId, Flag, KitId, PatientId, Reading, Value, Vital};

/// What is measured: vital, its usual value, how far it moves, digits. SpO2 and pulse come twice a day, the rest in the morning.
#[rustfmt::skip]
pub const VITALS: &[(Vital, f64, f64, u32, bool)] = &[
    (Vital::Spo2,        94.0,  1.0, 0, true),
    (Vital::Pulse,       78.0,  4.0, 0, true),
    (Vital::Temperature, 36.5,  0.2, 1, false),
    (Vital::Fev1,         1.42, 0.05, 2, false),
    (Vital::Fvc,          2.71, 0.08, 2, false),
    (Vital::Systolic,   128.0,  6.0, 0, false),
    (Vital::Diastolic,   74.0,  4.0, 0, false),
    (Vital::Weight,      74.2,  0.3, 1, false),
];

/// The calm answers of one questionnaire.
pub type Answers = (&'static str, u32, &'static [(&'static str, &'static str)]);

/// The calm answers of both questionnaires that are shipped.
pub const ANSWERS: &[Answers] = &[
    (
        "copd-daily",
        2,
        &[("breathless", "not_at_all"), ("cough", "not_at_all"), ("sputum", "no"), ("fever", "no"), ("other", "no")],
    ),
    (
        "heart-failure-daily",
        1,
        &[("overall", "same"), ("breathless", "usual"), ("night", "no"), ("swelling", "not_at_all"), ("other", "no")],
    ),
];

/// One sitting.
pub struct Taken {
    /// When the hub has it.
    pub now: Timestamp,
    /// Its readings.
    pub readings: Vec<Reading>,
    /// Its answers.
    pub answers: Vec<Answer>,
}

/// When all days begin.
pub fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

/// Small steps without a pattern, from a number: -1 to 1.
fn noise(of: u64) -> f64 {
    let mut mixed = of.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 31)) as f64 / (u64::MAX / 2) as f64 - 1.0
}

/// So many days of one person, two sittings a day, of the vitals that are wanted.
pub fn days(person: u64, days: i64, wanted: &[Vital], answers: &[Answers]) -> Vec<Taken> {
    let device: DeviceId = format!("bench:{person}").parse().expect("a device");
    let at = |day: i64, hour: i64| start() + SignedDuration::from_hours(24 * day + hour);
    (0..days)
        .flat_map(|day| [(day, 8, true), (day, 19, false)])
        .map(|(day, hour, morning)| {
            let measured_at = at(day, hour);
            let vitals = VITALS.iter().filter(|(vital, .., twice)| wanted.contains(vital) && (morning || *twice));
            let reading = |(vital, usual, moves, digits, _): &(Vital, f64, f64, u32, bool)| {
                let key = person << 24 ^ (day as u64) << 8 ^ (hour as u64) << 4 ^ *vital as u64;
                let value = (usual + moves * noise(key)) * 10_f64.powi(*digits as i32);
                Reading {
                    vital: *vital,
                    value: Value::new(value.round() as i64, *digits),
                    unit: vital.unit(),
                    measured_at,
                    clock: Clock::Device,
                    device: device.clone(),
                    flags: Vec::new(),
                }
            };
            let readings = vitals.map(reading).collect();
            let said = answers.iter().filter(|_| morning).flat_map(|(questionnaire, version, said)| {
                said.iter().map(move |(question, answer)| Answer {
                    questionnaire: (*questionnaire).to_owned(),
                    version: *version,
                    question: (*question).to_owned(),
                    answer: (*answer).to_owned(),
                    answered_at: measured_at,
                })
            });
            Taken { now: measured_at + SignedDuration::from_secs(20), readings, answers: said.collect() }
        })
        .collect()
}

/// The same of somebody whose days are rough: wild and drifting values, doubtful ones, some measured twice, some late, worse answers, weeks
/// without anything.
pub fn rough(person: u64, count: i64, wanted: &[Vital]) -> Vec<Taken> {
    let mut taken = days(person, count, wanted, ANSWERS);
    taken.retain(|one| noise((person << 32) ^ (one.now.as_second() as u64 / (86_400 * 9))) < 0.9);
    for one in &mut taken {
        let key = person << 40 ^ one.now.as_second() as u64;
        let drift = noise((person << 32) ^ (one.now.as_second() as u64 / (86_400 * 12))).max(0.0);
        for (at, reading) in (1..).zip(&mut one.readings) {
            let wild = noise(key ^ at << 20);
            let by = 1.0 + 0.06 * drift * noise(at) + if wild > 0.97 { noise(key ^ at << 30) / 4.0 } else { 0.0 };
            let digits = reading.value.decimal().scale();
            let moved = reading.value.to_f64() * by * 10_f64.powi(digits as i32);
            reading.value = Value::new(moved.round() as i64, digits);
            if noise(key ^ at << 34) > 0.93 {
                reading.flags.push(Flag::SUSPECT);
            }
            reading.measured_at += SignedDuration::from_secs((noise(key ^ at << 36).max(0.0) * 400.0) as i64);
        }
        let again: Vec<Reading> =
            one.readings.iter().filter(|one| one.flags.contains(&Flag::SUSPECT)).cloned().collect();
        one.readings.extend(again.into_iter().map(|mut again| {
            again.flags.clear();
            again.measured_at += SignedDuration::from_secs(300);
            again
        }));
        for answer in &mut one.answers {
            let worse = [("breathless", "somewhat"), ("cough", "a_lot"), ("swelling", "a_lot"), ("night", "yes")];
            if let Some((_, worse)) = worse.iter().find(|(question, _)| *question == answer.question && drift > 0.6) {
                answer.answer = (*worse).to_owned();
            }
        }
        one.now += SignedDuration::from_mins(if noise(key ^ 1 << 50) > 0.95 { 3 * 24 * 60 } else { 20 });
    }
    taken.sort_by_key(|one| one.now);
    taken
}

/// Every shipped programme, by its file.
pub fn programmes() -> Vec<Arc<Programme>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/programmes");
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the programmes").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).expect("a programme");
        Arc::new(Programme::parse(&text, &path.display().to_string()).expect("a shipped programme"))
    };
    files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "toml")).map(read).collect()
}

/// Rules over the shipped defaults of the clinic.
pub fn rulebook(programme: &Arc<Programme>) -> Arc<Rulebook> {
    Rulebook::new(vec![Arc::clone(programme)], Arc::new(Clinic::shipped())).expect("one programme")
}

/// One person's plan.
pub fn plan(book: &Arc<Rulebook>, person: u64) -> Plan {
    let patient: PatientId = format!("bench-{person}").parse().expect("a patient");
    Plan::with(patient, Arc::clone(book), Own::default(), TimeZone::UTC, start()).expect("nothing of their own")
}

/// Judges everything; gives how many readings that were.
pub fn judge(chart: &mut Chart, plan: &Plan, kit: &KitId, taken: &[Taken]) -> u64 {
    let mut readings = 0;
    for (seq, one) in (1..).zip(taken) {
        let sitting = Sitting { kit, seq, readings: &one.readings, answers: &one.answers };
        std::hint::black_box(assess(chart, plan, &Event::Sitting(sitting), one.now));
        readings += one.readings.len() as u64;
    }
    readings
}
