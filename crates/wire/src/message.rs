//! A message with readings and answers. Where it is not good as a whole it is read part by part: one bad reading does not cost its neighbours.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use vitals::{Answer, PatientId, Reading, SessionId};

use crate::{MESSAGE_BYTES_MAX, MESSAGE_PARTS_MAX, SEQ_MAX};

/// `vagt/v1/{kit}/readings`, as a kit writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// With the kit it names the message for ever; it only grows.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub seq: u64,
    /// The oldest message that the kit still keeps: what is before it was acknowledged, or given up, and never comes again. What is not before
    /// it may still come, so the core's `through` waits for it. Absent from kits that don't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub oldest: Option<u64>,
    /// When the kit sent it (this time).
    #[schemars(with = "String")]
    pub sent_at: Timestamp,
    /// The sitting.
    pub session: SessionId,
    /// What was measured.
    #[serde(default)]
    #[schemars(length(max = MESSAGE_PARTS_MAX))]
    pub readings: Vec<Reading>,
    /// What was answered.
    #[serde(default)]
    #[schemars(length(max = MESSAGE_PARTS_MAX))]
    pub answers: Vec<Answer>,
    /// Whose, on a kit that several people share (station mode); absent on a kit of one person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<PatientId>,
    /// What became of commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MESSAGE_PARTS_MAX))]
    pub receipts: Vec<Receipt>,
}

/// What became of a command, as durable as a reading. One command may have several: shown, then read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The command's id.
    pub command: String,
    /// What became of it.
    pub outcome: CommandOutcome,
    /// When, by the kit's clock.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What there is to say: why it failed, or what the diagnostics found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandOutcome {
    /// Taken in; what it asks for will be done, or is shown to the person.
    Taken,
    /// Done: measured again, the schedule is set, the diagnostics are in `detail`.
    Done,
    /// A person has read the message and said so.
    Read,
    /// It came too late.
    Expired,
    /// It can't be done; `detail` says why.
    Failed,
}

/// What arrived in a payload that could be understood: the good parts, and what is wrong with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The message, with the parts that could be read.
    pub message: Message,
    /// The parts that could not.
    pub refused: Vec<RefusedPart>,
}

/// A reading or answer that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPart {
    /// Where: `readings[2]`.
    pub at: String,
    /// What was found and what was wanted.
    pub reason: String,
}

/// A payload that could not be understood at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// Its `seq`, where that much could be read.
    pub seq: Option<u64>,
    /// What was found and what was wanted.
    pub reason: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    seq: u64,
    #[serde(default)]
    oldest: Option<u64>,
    sent_at: Timestamp,
    session: SessionId,
    #[serde(default, borrow)]
    readings: Vec<&'a RawValue>,
    #[serde(default, borrow)]
    answers: Vec<&'a RawValue>,
    #[serde(default)]
    patient: Option<PatientId>,
    #[serde(default, borrow)]
    receipts: Vec<&'a RawValue>,
}

/// Reads a payload.
///
/// # Errors
/// [`Refused`] when the envelope (size, UTF-8, JSON, `seq`, `sent_at`, `session`) can't be understood.
pub fn decode(payload: &[u8]) -> Result<Arrived, Refused> {
    let refused = |reason: String| Refused { seq: find_seq(payload), reason };
    if payload.len() > MESSAGE_BYTES_MAX {
        return Err(refused(format!("message has {} bytes, at most {MESSAGE_BYTES_MAX} are taken", payload.len())));
    }
    let text = std::str::from_utf8(payload).map_err(|e| refused(format!("message is not UTF-8: {e}")))?;
    // Nearly every message is good as a whole.
    let mut arrived = match serde_json::from_str(text) {
        Ok(message) => whole(message),
        Err(_) => by_parts(text),
    }
    .map_err(refused)?;
    let Message { seq, oldest, .. } = &mut arrived.message;
    // One that is not before this message says nothing.
    *oldest = oldest.filter(|oldest| (1..=*seq).contains(oldest));
    Ok(arrived)
}

fn whole(message: Message) -> Result<Arrived, String> {
    let Message { seq, readings, answers, receipts, .. } = &message;
    check(*seq, [readings.len(), answers.len(), receipts.len()])?;
    Ok(Arrived { message, refused: Vec::new() })
}

fn by_parts(text: &str) -> Result<Arrived, String> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|e| format!("message: {e}"))?;
    let Envelope { seq, oldest, sent_at, session, readings, answers, patient, receipts } = envelope;
    check(seq, [readings.len(), answers.len(), receipts.len()])?;
    let mut refused = Vec::new();
    let readings = parts("readings", &readings, &mut refused);
    let answers = parts("answers", &answers, &mut refused);
    let receipts = parts("receipts", &receipts, &mut refused);
    let message = Message { seq, oldest, sent_at, session, readings, answers, patient, receipts };
    Ok(Arrived { message, refused })
}

fn check(seq: u64, parts: [usize; 3]) -> Result<(), String> {
    if !(1..=SEQ_MAX).contains(&seq) {
        return Err(format!("seq is {seq}, want 1 to {SEQ_MAX}"));
    }
    let most = parts.into_iter().max().unwrap_or_default();
    if most > MESSAGE_PARTS_MAX {
        return Err(format!("message has {most} readings or answers, at most {MESSAGE_PARTS_MAX} are taken"));
    }
    Ok(())
}

fn parts<T: DeserializeOwned>(name: &str, raw: &[&RawValue], refused: &mut Vec<RefusedPart>) -> Vec<T> {
    let mut good = Vec::with_capacity(raw.len());
    for (index, part) in raw.iter().enumerate() {
        match serde_json::from_str(part.get()) {
            Ok(value) => good.push(value),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(why, _)| why).to_owned();
                refused.push(RefusedPart { at: format!("{name}[{index}]"), reason });
            }
        }
    }
    good
}

/// The `seq` of a payload that is JSON but not a message.
fn find_seq(payload: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct SeqOnly {
        seq: u64,
    }
    let seq = serde_json::from_slice::<SeqOnly>(payload).ok()?.seq;
    (1..=SEQ_MAX).contains(&seq).then_some(seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_readings(readings: &str) -> String {
        format!(
            r#"{{"seq":42,"sent_at":"2026-11-22T08:00:07.120Z","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{readings}]}}"#
        )
    }

    fn reading(field: &str, value: &str) -> String {
        let mut fields = [
            ("vital", r#""spo2""#),
            ("value", "93"),
            ("unit", r#""%""#),
            ("measured_at", r#""2026-11-22T08:00:01Z""#),
            ("clock", r#""device""#),
            ("device", r#""nonin-3230:501234567""#),
        ];
        if let Some(slot) = fields.iter_mut().find(|(name, _)| *name == field) {
            slot.1 = value;
        }
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{{{}}}", body.join(","))
    }

    #[test]
    fn one_bad_reading_does_not_cost_its_neighbours() {
        let bad = reading("unit", r#""furlong""#);
        let payload = with_readings(&format!("{},{bad},{}", reading("", ""), reading("value", "94.0")));
        let arrived = decode(payload.as_bytes()).unwrap();
        assert_eq!(arrived.message.readings.len(), 2);
        assert_eq!(arrived.message.readings[1].value.to_string(), "94.0");
        assert_eq!(arrived.refused.len(), 1);
        assert_eq!(arrived.refused[0].at, "readings[1]");
        assert!(arrived.refused[0].reason.starts_with("unknown variant `furlong`"), "{}", arrived.refused[0].reason);
    }

    #[test]
    fn a_good_message_is_the_same_as_a_whole_and_by_its_parts() {
        let answer = r#"{"questionnaire":"daily","version":1,"question":"breath","answer":"worse","answered_at":"2026-11-22T08:00:03Z"}"#;
        let receipt = r#"{"command":"c-1","outcome":"done","at":"2026-11-22T08:00:03Z","detail":"seen"}"#;
        let more =
            format!(r#"],"answers":[{answer}],"patient":"p-1","oldest":40,"new":{{"a":[1]}},"receipts":[{receipt}]}}"#);
        let flagged = reading("", "").replace('}', r#","flags":["low_perfusion","of_tomorrow"]}"#);
        let message = with_readings(&format!("{},{flagged}", reading("value", "94.10"))).replace("]}", &more);
        let (arrived, parts) = (decode(message.as_bytes()).unwrap(), by_parts(&message).unwrap());
        assert_eq!((arrived.message.readings.len(), arrived.message.oldest), (2, Some(40)));
        assert_eq!(arrived, parts);
        let again = |arrived: &Arrived| serde_json::to_string(&arrived.message).unwrap();
        assert_eq!(again(&arrived), again(&parts), "with their digits");
        let many = |key: &str, count: usize| format!(r#""{key}":[{}]"#, vec!["0"; count].join(","));
        let too_many = message.replace("\"readings\":[", &format!("{},\"old\":[", many("readings", 2100)));
        let too_many = too_many.replace("\"answers\":[", &format!("{},\"older\":[", many("answers", 3000)));
        assert!(decode(too_many.as_bytes()).unwrap_err().reason.starts_with("message has 3000 readings or answers"));
    }

    #[test]
    fn unknown_fields_of_a_newer_kit_are_passed_over() {
        let newer = with_readings(&reading("", "")).replace("{\"seq\"", "{\"colour_of_kit\":\"red\",\"seq\"");
        assert_eq!(decode(newer.as_bytes()).unwrap().refused, []);
    }

    #[test]
    fn what_cannot_be_understood_says_why_and_keeps_its_seq() {
        for (payload, seq, reason) in [
            ("", None, "message: EOF"),
            ("{\"seq\":42", None, "message: EOF"),
            ("{\"seq\":42}", Some(42), "message: missing field `sent_at`"),
            (
                "{\"seq\":0,\"sent_at\":\"2026-11-22T08:00:07Z\",\"session\":\"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f\"}",
                None,
                "seq is 0",
            ),
            ("[1,2]", None, "message: invalid"),
        ] {
            let refused = decode(payload.as_bytes()).unwrap_err();
            assert_eq!(refused.seq, seq, "{payload}");
            assert!(refused.reason.starts_with(reason), "{payload}: {}", refused.reason);
        }
        let refused = decode(&vec![b' '; MESSAGE_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(refused.reason, "message has 262145 bytes, at most 262144 are taken");
        assert!(decode(b"\xff\xfe").unwrap_err().reason.starts_with("message is not UTF-8"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_message_or_a_reason(bytes: Vec<u8>, cut: usize, with: u8) {
            let _ = decode(&bytes);
            let mut good = with_readings(&reading("", "")).into_bytes();
            let at = cut % good.len();
            good[at] = with;
            let refused = decode(&good).err().map(|refused| refused.reason);
            assert!(refused.is_none_or(|reason| !reason.is_empty()));
            assert!(decode(&good[..at]).is_err());
        }
    }
}
