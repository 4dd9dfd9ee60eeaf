//! A message as a line of JSON: whole, or the mark of one of which nothing else is kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vitals::{Answer, KitId, PatientId, Reading, SessionId};

use super::line::{decoded, encoded};
use crate::{Entry, KitSeq, StoredMessage, convert::to_json};

/// The fields of a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kit: KitId,
    seq: u64,
    hash: String,
    recorded_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patient: Option<PatientId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    readings: Vec<Reading>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Answer>,
}

/// What a line is.
#[derive(Debug)]
pub(crate) enum Carried {
    Whole(Box<Entry>),
    Mark(Mark),
}

/// That a message was seen.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) key: KitSeq,
    pub(crate) hash: [u8; 32],
    pub(crate) recorded_at: Timestamp,
}

impl Carried {
    pub(crate) fn key(&self) -> &KitSeq {
        match self {
            Self::Whole(entry) => &entry.key,
            Self::Mark(mark) => &mark.key,
        }
    }

    pub(crate) fn whole(&self) -> Option<&Entry> {
        match self {
            Self::Whole(entry) => Some(entry),
            Self::Mark(_) => None,
        }
    }

    pub(crate) fn recorded_at(&self) -> Timestamp {
        match self {
            Self::Whole(entry) => entry.recorded_at,
            Self::Mark(mark) => mark.recorded_at,
        }
    }
}

/// A stored message as a line.
pub(crate) fn whole(message: StoredMessage, patient: PatientId, hash: &[u8; 32], sent_at: Timestamp) -> String {
    let StoredMessage { key: KitSeq { kit, seq }, recorded_at, session, readings, answers } = message;
    let (patient, session, sent_at) = (Some(patient), Some(session), Some(sent_at));
    let hash = encoded(hash);
    to_json(&Fields { kit, seq, hash, recorded_at, patient, session, sent_at, readings, answers })
}

/// A mark as a line.
pub(crate) fn mark(mark: Mark) -> String {
    let Mark { key: KitSeq { kit, seq }, hash, recorded_at } = mark;
    let (hash, readings, answers) = (encoded(&hash), Vec::new(), Vec::new());
    let (patient, session, sent_at) = (None, None, None);
    to_json(&Fields { kit, seq, hash, recorded_at, patient, session, sent_at, readings, answers })
}

/// A line, read.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(line: &str) -> Result<Carried, String> {
    let fields: Fields = serde_json::from_str(line).map_err(|error| position(&error))?;
    let hash = decoded(&fields.hash)?;
    let hash = hash.try_into().map_err(|hash: Vec<u8>| format!("hash has {} bytes, want 32", hash.len()))?;
    let key = KitSeq { kit: fields.kit, seq: fields.seq };
    let recorded_at = fields.recorded_at;
    Ok(match (fields.patient, fields.session, fields.sent_at) {
        (None, None, None) if fields.readings.is_empty() && fields.answers.is_empty() => {
            Carried::Mark(Mark { key, hash, recorded_at })
        }
        (Some(patient), Some(session), Some(sent_at)) => {
            let Fields { readings, answers, .. } = fields;
            let receipts = Vec::new();
            Carried::Whole(Box::new(Entry {
                key,
                hash,
                patient,
                session,
                sent_at,
                recorded_at,
                readings,
                answers,
                receipts,
            }))
        }
        _ => return Err("want patient, session and sent_at together, or none of them and no readings".to_owned()),
    })
}

/// Where it is, without what was found there.
fn position(error: &serde_json::Error) -> String {
    format!("not a message, at its character {}", error.column())
}
