//! One message that waits: its body without `seq` and `sent_at`, which are put in front of it when it is sent.

use jiff::{Timestamp, civil::DateTime};
use serde::{Deserialize, Serialize};
use vitals::{Answer, DeviceId, Flag, PatientId, Reading, SessionId, Value, Vital};

/// What goes first when the spool is over its bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// An ordinary measurement.
    #[default]
    Routine = 0,
    /// A value outside what is believable for a body, a person's answer, or what became of a command.
    Urgent = 1,
}

/// A measurement that the device may send again from its storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeenKey {
    /// Which device.
    pub device: DeviceId,
    /// Its own time, unmodified.
    pub device_time: DateTime,
    /// Which of the device's users it was, if it tells.
    pub person: Option<Flag>,
    /// What it measured.
    pub vital: Vital,
    /// How much.
    pub value: Value,
}

/// A message that has no `seq` yet.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The sitting.
    pub session: SessionId,
    /// What was measured.
    pub readings: Vec<Reading>,
    /// What was answered.
    pub answers: Vec<Answer>,
    /// Whose it is, on a kit that several people share.
    pub patient: Option<PatientId>,
    /// What became of commands.
    pub receipts: Vec<wire::Receipt>,
    /// What goes first.
    pub priority: Priority,
    /// What is remembered, so that the device may send it again.
    pub seen: Vec<SeenKey>,
}

/// A message in the spool.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number for ever.
    pub seq: u64,
    /// The JSON object without `seq` and `sent_at`.
    pub body: String,
    /// When it was spooled.
    pub created_at: Timestamp,
    /// What goes first.
    pub priority: Priority,
    /// What is remembered with it.
    pub seen: Vec<SeenKey>,
}

#[derive(Serialize)]
struct Body<'a> {
    session: SessionId,
    readings: &'a [Reading],
    #[serde(skip_serializing_if = "<[Answer]>::is_empty")]
    answers: &'a [Answer],
    #[serde(skip_serializing_if = "Option::is_none")]
    patient: Option<&'a PatientId>,
    #[serde(skip_serializing_if = "<[wire::Receipt]>::is_empty")]
    receipts: &'a [wire::Receipt],
}

/// What names the sitting in a body; the rest is passed over.
#[derive(Deserialize)]
struct Sitting {
    session: SessionId,
}

impl Draft {
    /// The message with its number.
    #[must_use]
    pub fn numbered(self, seq: u64, now: Timestamp) -> Row {
        let Self { session, readings, answers, patient, receipts, .. } = &self;
        let body = Body { session: *session, readings, answers, patient: patient.as_ref(), receipts };
        let body = serde_json::to_string(&body).expect("the parts of a message have text keys and can't fail");
        Row { seq, body, created_at: now, priority: self.priority, seen: self.seen }
    }
}

impl Row {
    /// What it takes of the spool's bound.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// The trace that the message belongs to, its sitting's, and the span of it that is its time here.
    #[must_use]
    pub fn trace(&self) -> Option<wire::TraceParent> {
        let sitting: Sitting = serde_json::from_str(&self.body).ok()?;
        Some(wire::TraceParent::of(&sitting.session, self.seq))
    }

    /// The payload that is published now, by a kit that keeps messages from `oldest` on, if it can say.
    #[must_use]
    pub fn payload(&self, sent_at: Timestamp, oldest: Option<u64>) -> String {
        let oldest = oldest.map(|oldest| format!(r#""oldest":{oldest},"#)).unwrap_or_default();
        format!(r#"{{"seq":{},{oldest}"sent_at":"{sent_at}",{}"#, self.seq, &self.body[1..])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message with one SpO2 of 93 %.
    pub fn draft(priority: Priority) -> Draft {
        let reading = serde_json::from_str(
            r#"{"vital":"spo2","value":93.0,"unit":"%","measured_at":"2026-11-22T08:00:01Z","clock":"kit","device":"nonin-df2:1"}"#,
        );
        Draft { readings: vec![reading.unwrap()], priority, ..Draft::default() }
    }

    #[test]
    fn the_payload_is_a_message_of_the_wire() {
        let now = "2026-11-22T08:00:07.120Z".parse().unwrap();
        let row = draft(Priority::Routine).numbered(42, now);
        let arrived = wire::decode(row.payload(now, Some(40)).as_bytes()).unwrap();
        assert!(arrived.refused.is_empty());
        assert_eq!((arrived.message.seq, arrived.message.oldest, arrived.message.sent_at), (42, Some(40), now));
        assert_eq!(arrived.message.readings[0].value.to_string(), "93.0");
        assert_eq!(row.trace(), Some(wire::TraceParent::of(&arrived.message.session, 42)));
    }
}
