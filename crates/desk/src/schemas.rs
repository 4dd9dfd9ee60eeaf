//! The schemas of `/openapi.json`: what is always there of each body, and of which type.
//!
//! A field's type is written as a word: a JSON type, `time`, `any`, the name of another schema (with a capital); one of these in brackets for a
//! list of it, in braces for an object of which each field is one, with a question mark where it may be `null`.

mod parts;

use serde_json::{Map, Value, json};

/// An object that has at least these fields; more may be added.
fn object(fields: &[(&str, &str)], required: &[&str]) -> Value {
    let fields: Map<String, Value> = fields.iter().map(|(name, of)| ((*name).to_owned(), kind(of))).collect();
    json!({ "type": "object", "properties": fields, "required": required })
}

fn kind(word: &str) -> Value {
    match word {
        "time" => json!({ "type": "string", "format": "date-time" }),
        "any" => json!({}),
        _ if word.ends_with('?') => json!({ "anyOf": [kind(word.trim_end_matches('?')), { "type": "null" }] }),
        _ if word.starts_with('[') => list(word.trim_matches(['[', ']'])),
        _ if word.starts_with('{') => {
            json!({ "type": "object", "additionalProperties": kind(word.trim_matches(['{', '}'])) })
        }
        named if named.starts_with(char::is_uppercase) => json!({ "$ref": format!("#/components/schemas/{named}") }),
        plain => json!({ "type": plain }),
    }
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": kind(of) })
}

/// A word out of these.
fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

const MARKS: &[&str] = &["green", "yellow", "red", "blue"];
const ACTIONS: &[&str] = &["acknowledge", "close"];
const REASONS: &[&str] =
    &["advice", "medicine_changed", "acute_nurse_sent", "admitted", "false_alarm", "technical", "other"];
const OUTCOMES: &[&str] = &["exacerbation", "decompensation", "admission", "death", "other"];
const PAUSES: &[&str] = &["holiday", "in_hospital", "other"];
const RUNGS: &[&str] = &["red_low", "yellow_low", "yellow_high", "red_high"];
const ROLES: &[&str] = &["nurse", "doctor", "operator", "admin"];
const QUESTIONS: &[&str] = &["backtest", "budget"];
const QUESTION_STATES: &[&str] = &["waiting", "running", "cancelled", "done", "failed"];
const VERSION_STATES: &[&str] = &["proposed", "planned", "in_use", "before", "rejected"];

/// Every one, by its name.
#[rustfmt::skip]
pub fn schemas() -> Map<String, Value> {
    let alert: &[(&str, &str)] = &[("id", "string"), ("patient", "string"), ("family", "string"), ("state", "AlertState"), ("mark", "Mark"),
        ("now_mark", "Mark"), ("waiting_since", "time"), ("raised_at", "time"), ("changed_at", "time"), ("late", "boolean"), ("provisional", "boolean"),
        ("count", "integer"), ("normal_in_row", "integer"), ("findings", "[Finding]"), ("withdrawn", "[Finding]"), ("version", "integer"), ("must_have_seen", "integer"), ("events", "[AlertEvent]")];
    let all = [
        ("Text", json!({ "type": "string" })),
        ("Mark", word(MARKS)),
        ("ActionName", word(ACTIONS)),
        ("CloseReason", word(REASONS)),
        ("Outcome", word(OUTCOMES)),
        ("PauseKind", word(PAUSES)),
        ("Rung", word(RUNGS)),
        ("Role", word(ROLES)),
        ("QuestionKind", word(QUESTIONS)),
        ("QuestionState", word(QUESTION_STATES)),
        ("VersionState", word(VERSION_STATES)),
        ("OwnLimit", object(&[("programme", "string"), ("rule", "string"), ("limit", "Rung"), ("value", "number"), ("unit", "string"), ("author", "string"), ("reason", "string"),
            ("version", "integer"), ("from", "time"), ("until", "time")], &["rule", "limit", "value", "unit", "reason"])),
        ("OwnReference", object(&[("programme", "string"), ("rule", "string"), ("value", "number"), ("unit", "string"), ("author", "string"), ("reason", "string"),
            ("version", "integer"), ("from", "time"), ("until", "time")], &["rule", "value", "unit", "reason", "until"])),
        ("OwnOxygen", object(&[("at_home", "boolean"), ("target_88_92", "boolean"), ("author", "string"), ("reason", "string"), ("from", "time"), ("until", "time")],
            &["at_home", "reason"])),
        ("Pause", object(&[("kind", "PauseKind"), ("author", "string"), ("reason", "string"), ("from", "time"), ("until", "time")], &["kind", "reason", "until"])),
        ("Setting", object(&[("list", "string"), ("setting", "AnySetting"), ("holds", "boolean"), ("overdue", "boolean"), ("beyond_floor", "string")], &["list", "setting", "holds", "overdue"])),
        ("Version", object(&[("version", "integer"), ("state", "VersionState"), ("from", "time?"), ("shadow", "boolean"), ("proposed_by", "string"), ("proposed_at", "time"),
            ("note", "string"), ("sha256", "string")], &["version", "state", "shadow", "proposed_by", "proposed_at", "note", "sha256"])),
        ("ByMark", object(&[("red", "integer"), ("yellow", "integer"), ("blue", "integer")], &["red", "yellow", "blue"])),
        ("Agreement", object(&[("events", "integer"), ("detected", "integer"), ("sensitivity", "number?"), ("alerts", "integer"), ("true_alerts", "integer"), ("undecided", "integer"),
            ("ppv", "number?"), ("lead_days_median", "number?"), ("lead_days_quartiles", "[number]?")], &["events", "detected", "alerts", "true_alerts"])),
        ("BacktestSide", object(&[("alerts", "ByMark"), ("late", "integer"), ("per_patient_week", "PerWeek"), ("per_shift", "PerShift"), ("red_per_shift", "PerShift"), ("ended", "Ended"),
            ("rules", "{ByMark}"), ("agreement", "Agreement"), ("red_agreement", "Agreement")], &["alerts", "per_patient_week", "per_shift", "agreement", "red_agreement"])),
        ("Difference", object(&[("patient", "string"), ("change", "ChangeKind"), ("before", "Foretold"), ("active", "Episode"), ("proposed", "Episode"), ("quiet", "string"),
            ("decides_event", "boolean")], &["patient", "change", "decides_event"])),
        ("PatientAlerts", object(&[("patient", "string"), ("active", "ByMark"), ("proposed", "ByMark")], &["patient", "active", "proposed"])),
        ("BacktestReport", object(&[("programme", "string"), ("active_version", "integer"), ("proposed_version", "integer"), ("failing_examples", "[string]"), ("since", "time"),
            ("until", "time"), ("warm_up_from", "time"), ("partial", "boolean"), ("patients", "integer"), ("simulated_patients", "integer"), ("patient_weeks", "number"),
            ("messages", "integer"), ("readings", "integer"), ("seconds", "number"), ("active", "BacktestSide"), ("proposed", "BacktestSide"), ("changes", "{ByMark}"),
            ("patients_with_more", "integer"), ("patients_with_fewer", "integer"), ("gain_most", "[PatientAlerts]"), ("lose_most", "[PatientAlerts]"), ("closings", "{Covered}"),
            ("worst", "[Difference]"), ("unfit", "[UnfitPatient]"), ("unfit_count", "integer"), ("dropped", "integer"), ("conventions", "[string]")],
            &["programme", "active_version", "proposed_version", "since", "until", "partial", "patients", "active", "proposed", "changes", "worst"])),
        ("MovedLimit", object(&[("rule", "string"), ("limit", "Rung"), ("from", "number"), ("to", "number")], &["rule", "limit", "from", "to"])),
        ("BudgetScore", object(&[("per_shift", "number"), ("events", "integer"), ("detected", "integer"), ("sensitivity", "number?"), ("warning_days", "number"),
            ("lead_days_median", "number?"), ("alerts", "ByMark")], &["per_shift", "events", "detected", "warning_days", "alerts"])),
        ("BudgetAnswer", object(&[("programme", "string"), ("active_version", "integer"), ("version", "integer"), ("per_shift", "number"), ("met", "boolean"),
            ("moved", "[MovedLimit]"), ("before", "BudgetScore"), ("after", "BudgetScore"), ("reference", "string"), ("contradicts", "[string]"), ("tried", "integer"),
            ("seconds", "number"), ("note", "string"), ("text", "string"), ("proposed", "boolean")],
            &["programme", "active_version", "version", "per_shift", "met", "moved", "before", "after", "reference", "contradicts", "note", "text", "proposed"])),
        ("Answer", json!({ "anyOf": [kind("BacktestReport"), kind("BudgetAnswer")] })),
        ("Html", json!({ "type": "string" })),
        ("Message", object(&[("seq", "integer"), ("oldest", "integer"), ("sent_at", "time"), ("session", "string"), ("readings", "[object]"), ("answers", "[object]"),
            ("patient", "string"), ("receipts", "[object]")], &["seq", "sent_at", "session"])),
        ("TakenIn", object(&[("stored", "boolean"), ("rejected", "string")], &["stored"])),
        ("Problem", object(&[("type", "string"), ("title", "string"), ("status", "integer"), ("detail", "string")], &["type", "title", "status", "detail"])),
        ("SignIn", object(&[("user", "string"), ("password", "string"), ("csrf", "string")], &["user", "password", "csrf"])),
        ("Token", object(&[("csrf", "string")], &["csrf"])),
        ("Language", object(&[("csrf", "string"), ("language", "string")], &["csrf", "language"])),
        ("ActionForm", object(&[("csrf", "string"), ("seen_version", "integer"), ("reason", "CloseReason"), ("note", "string")], &["csrf", "seen_version"])),
        ("Action", object(&[("seen_version", "integer"), ("action", "ActionName"), ("reason", "CloseReason"), ("note", "string")], &["seen_version", "action"])),
        ("Session", object(&[("user", "string"), ("name", "string"), ("role", "Role"), ("language", "string"), ("csrf", "string"), ("expires_at", "time")], &["user", "csrf"])),
        ("Alert", object(alert, &["id", "patient", "family", "state", "mark", "version"])),
        ("Alerts", list("Alert")),
        ("AlertChange", object(&[("alert", "Alert"), ("event", "AlertEvent")], &["alert", "event"])),
        ("Queue", object(&[("version", "integer"), ("total", "integer"), ("alerts", "[Alert]")], &["version", "total", "alerts"])),
        ("Patient", object(&[("id", "string"), ("name", "string"), ("born", "integer?"), ("programme", "string"), ("programme_version", "integer?"), ("programmes", "[InProgramme]"), ("stratum", "string?"),
            ("simulated", "boolean"), ("since", "time?"), ("colour", "Mark?"), ("missing", "boolean"), ("limits", "[VitalLimits]"), ("not_as_decided", "string")], &["id", "name"])),
        ("Patients", list("Patient")),
        ("Curve", object(&[("vital", "string"), ("unit", "string"), ("unit_plain", "string"), ("since", "time"), ("until", "time"),
            ("zones", "[Zone]"), ("points", "[Point]")], &["vital", "unit", "points"])),
        ("Curves", list("Curve")),
        ("LongCurve", object(&[("vital", "string"), ("unit", "string"), ("unit_plain", "string"), ("since", "time"), ("until", "time"),
            ("by", "string"), ("zones", "[Zone]"), ("spans", "[Span]")], &["vital", "unit", "by", "spans"])),
        ("LongCurves", list("LongCurve")),
        ("Kit", object(&[("id", "string"), ("patient", "string?"), ("patients", "[string]"), ("enrolled", "boolean"), ("devices", "[string]"),
            ("revoked", "boolean"), ("online", "boolean"), ("heard_at", "time?"), ("status", "any")], &["id", "online"])),
        ("CommandForm", object(&[("csrf", "string"), ("kit", "string"), ("command", "string"), ("vital", "string"), ("text", "string")],
            &["csrf", "kit", "command"])),
        ("ReadingForm", object(&[("csrf", "string"), ("kit", "string"), ("seq", "integer"), ("place", "integer"), ("reason", "string"), ("change", "string")],
            &["csrf", "kit", "seq", "place", "reason", "change"])),
        ("OutcomeForm", object(&[("csrf", "string"), ("outcome", "Outcome"), ("note", "string"), ("day", "string")], &["csrf", "outcome"])),
        ("PauseForm", object(&[("csrf", "string"), ("kind", "PauseKind"), ("until", "string"), ("reason", "string")], &["csrf", "kind", "until", "reason"])),
        ("Ask", object(&[("id", "string"), ("command", "string"), ("vital", "string"), ("text", "string"), ("schedule", "[Due]"),
            ("patient", "string"), ("expires_at", "time")], &["command"])),
        ("Command", object(&[("id", "string"), ("kit", "string"), ("patient", "string"), ("command", "string"), ("by", "string"),
            ("issued_at", "time"), ("expires_at", "time"), ("body", "object")], &["id", "kit", "command", "issued_at", "expires_at", "body"])),
        ("CommandState", object(&[("id", "string"), ("kit", "string"), ("patient", "string"), ("command", "string"), ("by", "string"),
            ("issued_at", "time"), ("expires_at", "time"), ("body", "object"), ("state", "string"), ("changed_at", "time"),
            ("detail", "string"), ("receipts", "[object]")], &["id", "kit", "command", "state", "changed_at", "receipts"])),
        ("CommandStates", list("CommandState")),
        ("Kits", list("Kit")),
        ("Nothing", json!({ "type": "null" })),
        ("JournalEntry", object(&[("at", "time"), ("by", "string"), ("patient", "string"), ("what", "object")], &["at", "what"])),
        ("JournalEntries", list("JournalEntry")),
        ("NewOutcome", object(&[("outcome", "Outcome"), ("at", "time"), ("note", "string"), ("alert", "string")], &["outcome"])),
        ("ReadingChange", object(&[("kit", "string"), ("seq", "integer"), ("place", "integer"), ("reason", "string")], &["kit", "seq", "place", "reason"])),
        ("Reading", object(&[("kit", "string"), ("seq", "integer"), ("place", "integer"), ("recorded_at", "time"), ("vital", "string"), ("value", "number"),
            ("unit", "string"), ("measured_at", "time"), ("clock", "string"), ("device", "string"), ("flags", "[string]"), ("invalid", "JournalEntry?")],
            &["vital", "value", "unit", "measured_at"])),
        ("Readings", list("Reading")),
        ("OwnView", object(&[("patient", "string"), ("simulated", "boolean"), ("seen", "string"), ("settings", "[Setting]"), ("clinic", "[FromClinic]"), ("baselines", "[NoBaseline]")], &["patient", "simulated", "seen", "settings"])),
        ("FromClinic", object(&[("programme", "string"), ("rule", "string"), ("version", "integer"), ("vital", "string"), ("unit", "string"), ("limit", "Rung"), ("value", "number"),
            ("source", "string"), ("until", "time")], &["programme", "rule", "version", "vital", "unit", "limit", "value", "source"])),
        ("NoBaseline", object(&[("programme", "string"), ("version", "integer"), ("title", "Bilingual"), ("rule", "string"), ("found", "integer"), ("want", "integer"),
            ("last_said_at", "time?")], &["programme", "version", "title", "rule", "found", "want"])),
        ("OwnViews", list("OwnView")),
        ("OwnSet", object(&[("seen", "string"), ("limits", "[OwnLimit]"), ("references", "[OwnReference]"), ("oxygen", "[OwnOxygen]"), ("pauses", "[Pause]")], &["seen"])),
        ("NewPause", object(&[("kind", "PauseKind"), ("from", "time"), ("until", "time"), ("reason", "string")], &["kind", "until", "reason"])),
        ("Programme", object(&[("id", "string"), ("title", "string"), ("title_da", "string"), ("in_use", "integer?"), ("versions", "[Version]")], &["id", "title", "versions"])),
        ("Programmes", list("Programme")),
        ("ProgrammeVersion", object(&[("id", "string"), ("version", "integer"), ("text", "string"), ("sha256", "string"), ("proposed_by", "string"),
            ("proposed_at", "time"), ("note", "string"), ("obstacles", "[string]")], &["id", "version", "text", "sha256", "proposed_by", "proposed_at", "note"])),
        ("ProgrammeText", object(&[("id", "string"), ("version", "integer"), ("text", "string"), ("sha256", "string"), ("proposed_by", "string"),
            ("proposed_at", "time"), ("note", "string"), ("explained", "string?")], &["id", "version", "text"])),
        ("Proposal", object(&[("text", "string"), ("note", "string")], &["text", "note"])),
        ("Decision", object(&[("reason", "string"), ("from", "time")], &["reason"])),
        ("Reasoned", object(&[("reason", "string")], &["reason"])),
        ("Use", object(&[("version", "integer"), ("from", "time"), ("by", "string?"), ("proposed_by", "string"), ("reason", "string"), ("rollback", "boolean"),
            ("decided_at", "time")], &["version", "from"])),
        ("Diff", object(&[("programme", "string"), ("from", "integer"), ("to", "integer"), ("lines", "[string]"), ("warnings", "[string]")], &["programme", "from", "to", "lines", "warnings"])),
        ("BacktestAsk", object(&[("programme", "string"), ("version", "integer"), ("text", "string"), ("active", "integer"), ("since", "time"), ("until", "time"), ("warm_up_days", "integer"), ("shift_hours", "integer"),
            ("lead_days", "integer"), ("worst", "integer")], &[])),
        ("BudgetAsk", object(&[("programme", "string"), ("per_shift", "number"), ("red", "boolean"), ("dry_run", "boolean"), ("since", "time"), ("until", "time"), ("shift_hours", "integer")], &["programme", "per_shift"])),
        ("Question", object(&[("id", "string"), ("kind", "QuestionKind"), ("by", "string"), ("asked_at", "time"), ("state", "QuestionState"), ("started_at", "time"), ("ended_at", "time"),
            ("share", "number"), ("messages", "integer"), ("readings", "integer"), ("seconds_left", "number"), ("error", "string"), ("result", "Answer")],
            &["id", "kind", "state", "share"])),
        ("Questions", list("Question")),
        ("Quarantine", object(&[("total", "integer"), ("newest", "[QuarantineEntry]")], &["total", "newest"])),
    ];
    let parts = [parts::of_findings(), parts::of_quiet(), parts::of_reports(), parts::of_people()].concat();
    all.into_iter().chain(parts).map(|(name, schema)| (name.to_owned(), schema)).collect()
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn are_of<T: DeserializeOwned>(words: &[&str]) {
        for word in words {
            assert!(serde_json::from_value::<T>(json!(word)).is_ok(), "{word}");
        }
    }

    #[test]
    fn words_are_those_of_the_types() {
        are_of::<triage::Mark>(MARKS);
        are_of::<triage::PauseKind>(PAUSES);
        are_of::<triage::Rung>(RUNGS);
        are_of::<store::PatientOutcome>(OUTCOMES);
        assert_eq!(json!(triage::CloseReason::ALL), json!(REASONS));
        for action in ACTIONS {
            assert!(serde_json::from_value::<triage::Action>(json!({ "action": action, "reason": "other" })).is_ok());
        }
    }

    /// What stays open, and why.
    const OPEN: &[&str] = &[
        // One of the journal's many entries, told apart by its name: `vagt` adds some with every version.
        "JournalEntry.what",
        // What a kit says of itself: its software says what.
        "Kit.status",
        // The message to the kit as it was sent, and the kit's own parts of one: their schema is published with the wire's (docs/schemas).
        "Command.body",
        "CommandState.body",
        "CommandState.receipts",
        "Message.readings",
        "Message.answers",
        "Message.receipts",
    ];

    /// Every place that says nothing of what is in it: an empty schema, or an object without fields.
    fn bare(place: &str, schema: &Value, found: &mut Vec<String>) {
        let is_object = schema["type"] == "object";
        let says = ["properties", "additionalProperties"].iter().any(|key| schema.get(key).is_some());
        if schema.as_object().is_some_and(Map::is_empty) || (is_object && !says) {
            found.push(place.to_owned());
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            bare(&format!("{place}.{name}"), field, found);
        }
        let within = schema["anyOf"].as_array().into_iter().flatten();
        let parts = within.chain(schema.get("items")).chain(schema.get("additionalProperties"));
        parts.for_each(|part| bare(place, part, found));
    }

    #[test]
    fn nothing_is_left_open_but_what_has_a_reason() {
        let mut found = Vec::new();
        schemas().iter().for_each(|(name, schema)| bare(name, schema, &mut found));
        found.sort_unstable();
        let mut open: Vec<&str> = OPEN.to_vec();
        open.sort_unstable();
        assert_eq!(found, open);
    }

    #[test]
    fn every_list_says_of_what() {
        let all = Value::Object(schemas()).to_string();
        assert_eq!(all.matches(r#""type":"array""#).count(), all.matches(r#""items":"#).count());
        assert!(!all.contains(r#""items":{}"#), "{all}");
    }
}
