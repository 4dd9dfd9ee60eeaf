//! Made-up messages and alerts for the cases.

use jiff::{SignedDuration, Timestamp};
use triage::{Alert, AlertChange, AlertEvent, AlertId, EventKind, State};
use uuid::Uuid;
use vitals::{Answer, Clock, Flag, PatientId, Reading, Value, Vital};

use crate::{Batch, Entry, KitSeq};

/// The n-th second of the story.
pub fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T08:00:00.120Z".parse().expect("a constant");
    start + SignedDuration::from_secs(second)
}

/// A text that is known to be an id, a value ...
pub fn of<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the samples are valid")
}

/// A message's name.
pub fn key(kit: &str, seq: u64) -> KitSeq {
    KitSeq { kit: of(kit), seq }
}

/// A reading in the canonical unit.
pub fn reading(vital: Vital, value: &str, second: i64) -> Reading {
    Reading {
        vital,
        value: of(value),
        unit: vital.unit(),
        measured_at: at(second),
        clock: Clock::Device,
        device: of("nonin-3230:501234567"),
        flags: Vec::new(),
    }
}

/// An answer.
pub fn answer(second: i64) -> Answer {
    Answer {
        questionnaire: "copd-daily".to_owned(),
        version: 1,
        question: "breathless".to_owned(),
        answer: "noget, men ikke værre end i går".to_owned(),
        answered_at: at(second),
    }
}

/// A message with these readings.
pub fn entry(kit: &str, seq: u64, patient: &str, readings: Vec<Reading>) -> Entry {
    let mut hash = [seq.to_le_bytes()[0]; 32];
    hash[..8].copy_from_slice(&seq.to_be_bytes());
    Entry {
        key: key(kit, seq),
        hash,
        patient: of(patient),
        session: Uuid::from_u128(u128::from(seq) + 7),
        sent_at: at(0),
        recorded_at: at(0),
        readings,
        answers: Vec::new(),
        receipts: Vec::new(),
    }
}

/// A message with one SpO2 of 93 %.
pub fn plain(kit: &str, seq: u64, patient: &str) -> Entry {
    entry(kit, seq, patient, vec![reading(Vital::Spo2, "93", 0)])
}

/// A batch of these messages.
pub fn batch(second: i64, entries: Vec<Entry>) -> Batch {
    let entries = entries.into_iter().map(|entry| Entry { recorded_at: at(second), ..entry }).collect();
    Batch { recorded_at: at(second), entries, ..Batch::default() }
}

/// A reading whose every part is unusual.
pub fn odd_reading() -> Reading {
    Reading {
        clock: Clock::Corrected,
        device: of("a-d-ua-651:00:09:1F:80:0A:2B"),
        flags: vec![Flag::SUSPECT, of("low_perfusion")],
        measured_at: "2026-11-21T23:59:59.123456789Z".parse().expect("a constant"),
        ..reading(Vital::Temperature, "36.70", 0)
    }
}

/// An open alert with one finding, whose value is 93.0.
pub fn alert(id: u128, patient: &str, family: &str, raised: i64) -> Alert {
    let patient: PatientId = of(patient);
    let (id, at) = (Uuid::from_u128(id), at(raised));
    let text = format!(
        r#"{{"id":"{id}","patient":"{patient}","family":"{family}","state":{{"state":"open"}},"mark":"yellow","now_mark":"yellow",
        "waiting_since":"{at}","raised_at":"{at}","changed_at":"{at}","late":false,"count":1,"normal_in_row":0,"version":1,"must_have_seen":1,
        "findings":[{{"rule":"spo2","version":3,"programme":"copd","colour":"yellow","why":"SpO2 93.0 %","at":"{at}",
            "reason":{{"kind":"band","vital":"spo2","value":93.0,"unit":"%","from":90,"below":94.00,"own":false}},
            "inputs":[{{"vital":"spo2","value":93.0,"unit":"%","measured_at":"{at}","device":"nonin-3230:501234567"}}]}}]}}"#
    );
    serde_json::from_str(&text).expect("the sample alert is one")
}

/// What happened to an alert.
pub fn change(alert: &Alert, kind: EventKind, second: i64) -> AlertChange {
    let event = AlertEvent { kind, at: at(second), by: None, mark: alert.mark, text: format!("{kind:?}, så værre") };
    AlertChange { alert: alert.clone(), event }
}

/// The alert after somebody closed it.
pub fn closed(alert: &Alert, second: i64) -> Alert {
    let state = State::Closed {
        by: "ane".to_owned(),
        at: at(second),
        reason: triage::CloseReason::Advice,
        note: "talte med hende".to_owned(),
    };
    Alert { state, changed_at: at(second), version: alert.version + 1, ..alert.clone() }
}

/// Ids of alerts.
pub fn ids(alerts: &[Alert]) -> Vec<AlertId> {
    alerts.iter().map(|alert| alert.id).collect()
}

/// Values as they are written, since 93 equals 93.0.
pub fn written(values: impl IntoIterator<Item = Value>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}
