//! The schemas of `/openapi.json`: what is always there of each body, and of which type.

use serde_json::{Map, Value, json};

/// An object that has at least these fields; more may be added.
fn object(fields: &[(&str, &str)], required: &[&str]) -> Value {
    let kind = |kind: &str| match kind {
        "time" => json!({ "type": "string", "format": "date-time" }),
        "any" => json!({}),
        plain => json!({ "type": plain }),
    };
    let fields: Map<String, Value> = fields.iter().map(|(name, of)| ((*name).to_owned(), kind(of))).collect();
    json!({ "type": "object", "properties": fields, "required": required })
}

fn list(of: &str) -> Value {
    json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } })
}

/// Every one, by its name.
#[rustfmt::skip]
pub fn schemas() -> Map<String, Value> {
    let alert: &[(&str, &str)] = &[("id", "string"), ("patient", "string"), ("family", "string"), ("state", "object"), ("mark", "string"),
        ("now_mark", "string"), ("waiting_since", "time"), ("raised_at", "time"), ("changed_at", "time"), ("late", "boolean"),
        ("count", "integer"), ("normal_in_row", "integer"), ("findings", "array"), ("version", "integer"), ("events", "array")];
    let all = [
        ("Text", json!({ "type": "string" })),
        ("Html", json!({ "type": "string" })),
        ("Message", object(&[("seq", "integer"), ("oldest", "integer"), ("sent_at", "time"), ("session", "string"), ("readings", "array"), ("answers", "array"),
            ("patient", "string"), ("receipts", "array")], &["seq", "sent_at", "session"])),
        ("TakenIn", object(&[("stored", "boolean"), ("rejected", "string")], &["stored"])),
        ("Problem", object(&[("type", "string"), ("title", "string"), ("status", "integer"), ("detail", "string")], &["type", "title", "status", "detail"])),
        ("SignIn", object(&[("user", "string"), ("password", "string"), ("csrf", "string")], &["user", "password", "csrf"])),
        ("Token", object(&[("csrf", "string")], &["csrf"])),
        ("Language", object(&[("csrf", "string"), ("language", "string")], &["csrf", "language"])),
        ("ActionForm", object(&[("csrf", "string"), ("seen_version", "integer"), ("reason", "string"), ("note", "string")], &["csrf", "seen_version"])),
        ("Action", object(&[("seen_version", "integer"), ("action", "string"), ("reason", "string"), ("note", "string")], &["seen_version", "action"])),
        ("Session", object(&[("user", "string"), ("name", "string"), ("role", "string"), ("language", "string"), ("csrf", "string"), ("expires_at", "time")], &["user", "csrf"])),
        ("Alert", object(alert, &["id", "patient", "family", "state", "mark", "version"])),
        ("Alerts", list("Alert")),
        ("AlertChange", object(&[("alert", "object"), ("event", "object")], &["alert", "event"])),
        ("Queue", object(&[("version", "integer"), ("total", "integer"), ("alerts", "array")], &["version", "total", "alerts"])),
        ("Patient", object(&[("id", "string"), ("name", "string"), ("born", "any"), ("programme", "string"), ("programme_version", "any"), ("programmes", "array"), ("stratum", "any"),
            ("simulated", "boolean"), ("since", "any"), ("colour", "any"), ("missing", "boolean"), ("limits", "array"), ("not_as_decided", "string")], &["id", "name"])),
        ("Patients", list("Patient")),
        ("Curve", object(&[("vital", "string"), ("unit", "string"), ("unit_plain", "string"), ("since", "time"), ("until", "time"),
            ("zones", "array"), ("points", "array")], &["vital", "unit", "points"])),
        ("Curves", list("Curve")),
        ("LongCurve", object(&[("vital", "string"), ("unit", "string"), ("unit_plain", "string"), ("since", "time"), ("until", "time"),
            ("by", "string"), ("zones", "array"), ("spans", "array")], &["vital", "unit", "by", "spans"])),
        ("LongCurves", list("LongCurve")),
        ("Kit", object(&[("id", "string"), ("patient", "any"), ("patients", "array"), ("enrolled", "boolean"), ("devices", "array"),
            ("revoked", "boolean"), ("online", "boolean"), ("heard_at", "any"), ("status", "any")], &["id", "online"])),
        ("CommandForm", object(&[("csrf", "string"), ("kit", "string"), ("command", "string"), ("vital", "string"), ("text", "string")],
            &["csrf", "kit", "command"])),
        ("ReadingForm", object(&[("csrf", "string"), ("kit", "string"), ("seq", "integer"), ("place", "integer"), ("reason", "string"), ("change", "string")],
            &["csrf", "kit", "seq", "place", "reason", "change"])),
        ("OutcomeForm", object(&[("csrf", "string"), ("outcome", "string"), ("note", "string"), ("day", "string")], &["csrf", "outcome"])),
        ("PauseForm", object(&[("csrf", "string"), ("kind", "string"), ("until", "string"), ("reason", "string")], &["csrf", "kind", "until", "reason"])),
        ("Ask", object(&[("id", "string"), ("command", "string"), ("vital", "string"), ("text", "string"), ("schedule", "array"),
            ("patient", "string"), ("expires_at", "time")], &["command"])),
        ("Command", object(&[("id", "string"), ("kit", "string"), ("patient", "string"), ("command", "string"), ("by", "string"),
            ("issued_at", "time"), ("expires_at", "time"), ("body", "object")], &["id", "kit", "command", "issued_at", "expires_at", "body"])),
        ("CommandState", object(&[("id", "string"), ("kit", "string"), ("patient", "string"), ("command", "string"), ("by", "string"),
            ("issued_at", "time"), ("expires_at", "time"), ("body", "object"), ("state", "string"), ("changed_at", "time"),
            ("detail", "string"), ("receipts", "array")], &["id", "kit", "command", "state", "changed_at", "receipts"])),
        ("CommandStates", list("CommandState")),
        ("Kits", list("Kit")),
        ("Anything", json!({})),
        ("Nothing", json!({ "type": "null" })),
        ("WhyAlert", object(&[("alert", "string"), ("patient", "string"), ("simulated", "boolean"), ("mark", "string"), ("raised_at", "time"), ("state", "object"), ("findings", "array")], &["alert", "patient", "simulated", "findings"])),
        ("WhyNot", object(&[("patient", "string"), ("simulated", "boolean"), ("at", "time"), ("rules", "array")], &["patient", "simulated", "at", "rules"])),
        ("JournalEntry", object(&[("at", "time"), ("by", "string"), ("patient", "string"), ("what", "object")], &["at", "what"])),
        ("JournalEntries", list("JournalEntry")),
        ("NewOutcome", object(&[("outcome", "string"), ("at", "time"), ("note", "string"), ("alert", "string")], &["outcome"])),
        ("ReadingChange", object(&[("kit", "string"), ("seq", "integer"), ("place", "integer"), ("reason", "string")], &["kit", "seq", "place", "reason"])),
        ("Reading", object(&[("kit", "string"), ("seq", "integer"), ("place", "integer"), ("recorded_at", "time"), ("vital", "string"), ("value", "number"),
            ("unit", "string"), ("measured_at", "time"), ("clock", "string"), ("device", "string"), ("flags", "array"), ("invalid", "any")],
            &["vital", "value", "unit", "measured_at"])),
        ("Readings", list("Reading")),
        ("OwnView", object(&[("patient", "string"), ("simulated", "boolean"), ("seen", "string"), ("settings", "array")], &["patient", "simulated", "seen", "settings"])),
        ("OwnViews", list("OwnView")),
        ("OwnSet", object(&[("seen", "string"), ("limits", "array"), ("references", "array"), ("oxygen", "array"), ("pauses", "array")], &["seen"])),
        ("NewPause", object(&[("kind", "string"), ("from", "time"), ("until", "time"), ("reason", "string")], &["kind", "until", "reason"])),
        ("Programme", object(&[("id", "string"), ("title", "string"), ("title_da", "string"), ("in_use", "any"), ("versions", "array")], &["id", "title", "versions"])),
        ("Programmes", list("Programme")),
        ("ProgrammeVersion", object(&[("id", "string"), ("version", "integer"), ("text", "string"), ("sha256", "string"), ("proposed_by", "string"),
            ("proposed_at", "time"), ("note", "string")], &["id", "version", "text", "sha256", "proposed_by", "proposed_at", "note"])),
        ("ProgrammeText", object(&[("id", "string"), ("version", "integer"), ("text", "string"), ("sha256", "string"), ("proposed_by", "string"),
            ("proposed_at", "time"), ("note", "string"), ("explained", "any")], &["id", "version", "text"])),
        ("Proposal", object(&[("text", "string"), ("note", "string")], &["text", "note"])),
        ("Decision", object(&[("reason", "string"), ("from", "time")], &["reason"])),
        ("Reasoned", object(&[("reason", "string")], &["reason"])),
        ("Use", object(&[("version", "integer"), ("from", "time"), ("by", "any"), ("proposed_by", "string"), ("reason", "string"), ("rollback", "boolean"),
            ("decided_at", "time")], &["version", "from"])),
        ("Diff", object(&[("programme", "string"), ("from", "integer"), ("to", "integer"), ("lines", "array")], &["programme", "from", "to", "lines"])),
        ("BacktestAsk", object(&[("programme", "string"), ("version", "integer"), ("text", "string"), ("since", "time"), ("until", "time"), ("shift_hours", "integer"),
            ("lead_days", "integer"), ("worst", "integer")], &[])),
        ("BudgetAsk", object(&[("programme", "string"), ("per_shift", "number"), ("since", "time"), ("until", "time"), ("shift_hours", "integer")], &["programme", "per_shift"])),
        ("Question", object(&[("id", "string"), ("kind", "string"), ("by", "string"), ("asked_at", "time"), ("state", "string"), ("started_at", "time"), ("ended_at", "time"),
            ("share", "number"), ("messages", "integer"), ("readings", "integer"), ("seconds_left", "number"), ("error", "string"), ("result", "any")],
            &["id", "kind", "state", "share"])),
        ("Questions", list("Question")),
        ("Quarantine", object(&[("total", "integer"), ("newest", "array")], &["total", "newest"])),
    ];
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
