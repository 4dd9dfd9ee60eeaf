//! Schemas of what answers are made of: findings and why they are so, what kept a rule quiet, what settings and reports hold.

use serde_json::{Value, json};

use super::{kind, object, word};

/// One shape of several: its name, its fields with what each is, and those that are always there.
type Shape<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

/// One of several shapes, told apart by a word: the field's name, and of each shape its word, its other fields and those that are always there.
fn one_of(told_by: &str, shapes: &[Shape<'_>]) -> Value {
    let one = |(name, fields, required): &Shape<'_>| {
        let always: Vec<&str> = std::iter::once(told_by).chain(required.iter().copied()).collect();
        let mut shape = object(fields, &always);
        shape["properties"][told_by] = word(&[name]);
        shape
    };
    json!({ "anyOf": shapes.iter().map(one).collect::<Vec<_>>() })
}

fn any_of(names: &[&str]) -> Value {
    json!({ "anyOf": names.iter().map(|name| kind(name)).collect::<Vec<_>>() })
}

/// Of an alert and its findings.
#[rustfmt::skip]
pub fn of_findings() -> Vec<(&'static str, Value)> {
    let finding: &[(&str, &str)] = &[("rule", "string"), ("version", "integer"), ("programme", "string"), ("colour", "Mark"), ("why", "string"),
        ("reason", "Reason"), ("inputs", "[Input]"), ("at", "time"), ("late", "boolean"), ("provisional", "boolean")];
    let found = ["rule", "version", "programme", "colour", "why", "reason", "inputs", "at"];
    let explained: Vec<(&str, &str)> = finding.iter().copied().chain([("withdrawn", "boolean"), ("title", "Bilingual"), ("version_now", "integer"),
        ("rule_kind", "string"), ("explanation", "string"), ("source", "string"), ("limit", "DecidedLimit"), ("moved", "[MovedByOwn]"), ("compared", "string"),
        ("reference", "OwnReference"), ("otherwise", "Otherwise"), ("fired_30_days", "integer")]).collect();
    vec![
        ("Bilingual", object(&[("en", "string"), ("da", "string")], &["en", "da"])),
        ("AlertState", one_of("state", &[("open", &[], &[]), ("acknowledged", &[("by", "string"), ("at", "time")], &["by", "at"]), ("eased", &[("at", "time")], &["at"]),
            ("closed", &[("by", "string"), ("at", "time"), ("reason", "CloseReason"), ("note", "string")], &["by", "at", "reason", "note"])])),
        ("LimitKind", word(&["at_most", "below", "from", "above"])),
        ("Limit", object(&[("kind", "LimitKind"), ("value", "number")], &["kind", "value"])),
        ("Compared", object(&[("what", "string"), ("value", "number"), ("spread", "number"), ("count", "integer"), ("from", "time"), ("until", "time")],
            &["what", "value", "count", "from", "until"])),
        ("Share", object(&[("vital", "string"), ("points", "number"), ("mean", "number"), ("spreads", "number"), ("weight", "number"), ("usual", "Compared")],
            &["points", "mean", "usual"])),
        ("Input", json!({ "anyOf": [
            object(&[("vital", "string"), ("value", "number"), ("unit", "string"), ("measured_at", "time"), ("device", "string"), ("flags", "[string]")],
                &["vital", "value", "unit", "measured_at", "device"]),
            object(&[("question", "string"), ("answer", "string"), ("answered_at", "time")], &["question", "answer", "answered_at"])] })),
        ("Reason", one_of("kind", &[
            ("band", &[("vital", "string"), ("value", "number"), ("unit", "string"), ("from", "number?"), ("below", "number?"), ("limit", "Limit"), ("own", "boolean"), ("clinic", "integer"), ("green", "[Limit]")],
                &["vital", "value", "unit", "own"]),
            ("trend", &[("statistic", "string"), ("vital", "string"), ("of", "number"), ("value", "number"), ("unit", "string"), ("limit", "Limit"), ("own", "boolean"), ("green", "[Limit]"),
                ("compared", "Compared")], &["statistic", "vital", "of", "value", "unit", "own"]),
            ("together", &[("how", "string"), ("found", "integer"), ("of", "integer"), ("want", "integer"), ("parts", "[string]"), ("missing", "[string]")],
                &["how", "found", "of", "want", "parts"]),
            ("sum", &[("statistic", "string"), ("value", "number"), ("unit", "string"), ("limit", "Limit"), ("own", "boolean"), ("green", "[Limit]"), ("shares", "[Share]"), ("missing", "[string]")],
                &["statistic", "value", "unit", "own", "shares"]),
            ("answer", &[("questionnaire", "string"), ("question", "string"), ("answer", "string"), ("known", "boolean")], &["questionnaire", "question", "answer", "known"]),
            ("missing", &[("schedule", "string"), ("vitals", "[string]"), ("questionnaires", "[string]"), ("expected_at", "time"), ("overdue_at", "time"), ("last_at", "time?"), ("kit_silent_since", "time"), ("in_a_row", "integer")],
                &["schedule", "vitals", "expected_at", "overdue_at"])])),
        ("LimitOrigin", one_of("of", &[("patient", &[("setting", "OwnLimit?"), ("beyond_floor", "string?")], &[]),
            ("programme", &[("programme", "string"), ("version", "integer")], &["programme", "version"]),
            ("clinic", &[("version", "integer"), ("setting", "ClinicLimit?")], &["version"])])),
        ("ClinicLimit", object(&[("vital", "string"), ("unit", "string"), ("limit", "Rung"), ("value", "number"), ("source", "string"), ("until", "time")],
            &["vital", "unit", "limit", "value", "source"])),
        ("DecidedLimit", object(&[("kind", "LimitKind"), ("value", "number"), ("unit", "string"), ("said", "string"), ("origin", "LimitOrigin")],
            &["kind", "value", "unit", "said", "origin"])),
        ("MovedByOwn", object(&[("setting", "OwnLimit"), ("limit", "Limit"), ("programme", "Limit?"), ("clinic", "Limit"), ("unit", "string"), ("mark", "Mark"), ("without", "Mark"), ("said", "string"),
            ("beyond_floor", "string?")], &["setting", "limit", "unit", "mark", "without", "said"])),
        ("ChosenAnswer", object(&[("id", "string"), ("text", "Bilingual")], &["id", "text"])),
        ("AnswersInstead", object(&[("question", "string"), ("text", "Bilingual"), ("answers", "[ChosenAnswer]")], &["question", "text", "answers"])),
        ("MilderWay", object(&[("mark", "Mark"), ("answers", "[AnswersInstead]")], &["mark", "answers"])),
        ("Otherwise", one_of("would", &[("limits", &[("said", "string"), ("limits", "[Limit]"), ("unit", "string"), ("measured", "[Limit]")], &["said", "limits", "unit"]),
            ("answers", &[("said", "string"), ("answers", "[ChosenAnswer]")], &["said", "answers"]), ("path", &[("said", "string"), ("ways", "[MilderWay]")], &["said", "ways"]), ("fewer", &[("said", "string"), ("found", "integer"), ("than", "integer")], &["said", "found", "than"]),
            ("data", &[("said", "string"), ("vitals", "[string]"), ("questionnaires", "[string]")], &["said", "vitals"]), ("person", &[("said", "string")], &["said"])])),
        ("Finding", object(finding, &found)),
        ("ExplainedFinding", object(&explained, &found)),
        ("AlertEvent", object(&[("kind", "EventKind"), ("at", "time"), ("by", "string"), ("mark", "Mark"), ("text", "string")], &["kind", "at", "mark", "text"])),
        ("EventKind", word(&["raised", "worsened", "reopened", "repeated", "improved", "eased", "acknowledged", "closed", "confirmed", "not_confirmed", "withdrawn"])),
        ("WhyAlert", object(&[("alert", "string"), ("patient", "string"), ("simulated", "boolean"), ("mark", "Mark"), ("raised_at", "time"), ("state", "AlertState"),
            ("findings", "[ExplainedFinding]")], &["alert", "patient", "simulated", "mark", "raised_at", "state", "findings"])),
    ]
}

/// Of what kept a rule quiet.
#[rustfmt::skip]
pub fn of_quiet() -> Vec<(&'static str, Value)> {
    vec![
        ("Because", one_of("because", &[("speaks", &[], &[]), ("closed", &[("at", "time"), ("again_at", "time?")], &["at"]), ("not_raised", &[], &[]), ("green", &[], &[]),
            ("no_value", &[], &[]), ("too_old", &[("newest", "time"), ("counts_hours", "number")], &["newest", "counts_hours"]),
            ("too_little", &[("found", "integer"), ("want", "integer")], &["found", "want"]), ("no_reference", &[("expired", "time?")], &[]), ("not_now", &[], &[]),
            ("ingredient", &[], &[]), ("held", &[("until", "time")], &["until"]), ("fewer", &[("found", "integer"), ("want", "integer")], &["found", "want"]),
            ("paused", &[("kind", "PauseKind"), ("until", "time")], &["kind", "until"]), ("not_overdue", &[("next", "time?")], &[])])),
        ("Near", object(&[("limit", "Limit"), ("unit", "string"), ("mark", "Mark"), ("distance", "number"), ("share", "number"), ("said", "string")],
            &["limit", "unit", "mark", "distance", "share", "said"])),
        ("QuietRule", object(&[("programme", "string"), ("version", "integer"), ("title", "Bilingual"), ("rule", "string"), ("kind", "string"), ("family", "string"), ("mark", "Mark?"),
            ("at", "time?"), ("said", "string?"), ("reason", "Reason?"), ("because", "Because"), ("why", "string"), ("near", "Near?")],
            &["programme", "version", "title", "rule", "kind", "family", "because", "why"])),
        ("WhyNot", object(&[("patient", "string"), ("simulated", "boolean"), ("at", "time"), ("rules", "[QuietRule]")], &["patient", "simulated", "at", "rules"])),
    ]
}

/// Of reports.
#[rustfmt::skip]
pub fn of_reports() -> Vec<(&'static str, Value)> {
    vec![
        ("PerWeek", object(&[("red", "number"), ("yellow", "number"), ("blue", "number"), ("all", "number")], &["red", "yellow", "blue", "all"])),
        ("PerShift", object(&[("hours", "number"), ("shifts", "integer"), ("mean", "number"), ("p95", "integer"), ("max", "integer")], &["hours", "shifts", "mean", "p95", "max"])),
        ("Ended", object(&[("eased", "integer"), ("by_nurse", "integer"), ("by_stand_in", "integer"), ("open", "integer")], &["eased", "by_nurse", "by_stand_in", "open"])),
        ("Covered", object(&[("closed", "integer"), ("active", "integer"), ("proposed", "integer")], &["closed", "active", "proposed"])),
        ("Foretold", object(&[("outcome", "Outcome"), ("at", "time"), ("days", "number")], &["outcome", "at", "days"])),
        ("Episode", object(&[("family", "string"), ("rule", "string"), ("mark", "Mark"), ("raised_at", "time"), ("red_at", "time"), ("ended_at", "time"), ("ended", "EpisodeEnd"),
            ("why", "string"), ("closed_as", "CloseReason")], &["family", "rule", "mark", "raised_at", "why"])),
        ("EpisodeEnd", word(&["eased", "nurse", "stand_in"])),
        ("ChangeKind", word(&["lost", "milder", "missed", "gained", "worse", "foreseen"])),
        ("UnfitPatient", object(&[("patient", "string"), ("why", "string")], &["patient", "why"])),
        ("RuleRow", object(&[("programme", "string"), ("version", "integer"), ("rule", "string"), ("fired", "ByMark"), ("alone", "integer"), ("acknowledged", "integer"),
            ("closed", "{integer}"), ("acted_on", "integer"), ("closed_as_false", "integer"), ("eased", "integer"), ("open", "integer"), ("ppv", "number?"),
            ("ppv_by_outcomes", "number?"), ("per_shift", "number"), ("minutes_open_median", "number?"), ("hours_open", "number")],
            &["programme", "version", "rule", "fired", "acted_on", "closed_as_false"])),
        ("RulesReport", object(&[("since", "time"), ("until", "time"), ("alerts", "integer"), ("simulated", "boolean"), ("rules", "[RuleRow]"), ("conventions", "[string]")],
            &["since", "until", "alerts", "simulated", "rules", "conventions"])),
        ("ShadowCounted", object(SHADOW_COUNTED, &["active", "shadow"])),
        ("ShadowDay", object(&[&[("day", "string")][..], SHADOW_COUNTED].concat(), &["day", "active", "shadow"])),
        ("ShadowReport", object(&[("programme", "string"), ("version", "integer"), ("started", "time"), ("ended", "ShadowEnd"), ("ended_at", "time"), ("until", "time"),
            ("simulated", "boolean"), ("days", "[ShadowDay]"), ("total", "ShadowCounted"), ("worst", "[Difference]")],
            &["programme", "version", "started", "until", "simulated", "days", "total", "worst"])),
        ("ShadowEnd", word(&["stopped", "taken_into_use"])),
    ]
}

const SHADOW_COUNTED: &[(&str, &str)] = &[
    ("active", "ByMark"),
    ("shadow", "ByMark"),
    ("only_active", "integer"),
    ("only_shadow", "integer"),
    ("milder", "integer"),
    ("worse", "integer"),
];

/// Of people, their settings and curves.
#[rustfmt::skip]
pub fn of_people() -> Vec<(&'static str, Value)> {
    let band: &[(&str, &str)] = &[("from", "number?"), ("below", "number?"), ("mark", "Mark"), ("limit", "Limit?"), ("own", "boolean"), ("clinic", "boolean")];
    vec![
        ("AnySetting", any_of(&["OwnLimit", "OwnReference", "OwnOxygen", "Pause"])),
        ("InProgramme", object(&[("id", "string"), ("version", "integer?")], &["id"])),
        ("Band", object(band, &["mark", "own"])),
        ("VitalLimits", object(&[("vital", "string"), ("unit", "string"), ("bands", "[Band]")], &["vital", "unit", "bands"])),
        ("Zone", object(&[("from", "number?"), ("below", "number?"), ("mark", "Mark"), ("own", "boolean")], &["mark", "own"])),
        ("Point", object(&[("at", "time"), ("value", "number"), ("mark", "Mark?"), ("flagged", "boolean"), ("invalid", "boolean")], &["at", "value", "flagged", "invalid"])),
        ("Span", object(&[("at", "time"), ("readings", "integer"), ("doubtful", "integer"), ("low", "number"), ("high", "number"), ("mean", "number")],
            &["at", "readings", "low", "high", "mean"])),
        ("Due", object(&[("at", "string"), ("days", "[integer]"), ("vitals", "[string]"), ("questionnaires", "[string]")], &["at"])),
        ("QuarantineEntry", object(&[("id", "integer"), ("kit", "string"), ("seq", "integer?"), ("recorded_at", "time"), ("reason", "string"), ("bytes", "integer")],
            &["id", "kit", "recorded_at", "reason", "bytes"])),
    ]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde::Serialize;
    use triage::{Limit, LimitKind, Origin, PauseKind, QuietBecause as Because, State, Would};

    use super::*;
    use crate::schemas::schemas;

    /// One of the shapes has every field of it, and it has every field that is always there.
    #[track_caller]
    fn fits(schema: &str, value: impl Serialize) {
        let (all, value) = (schemas(), json!(value));
        let fields = value.as_object().unwrap();
        let fits = |shape: &Value| {
            let known = |name: &String| match shape["properties"].get(name) {
                Some(field) => field.get("enum").is_none_or(|words| words.as_array().unwrap().contains(&value[name])),
                None => false,
            };
            let always = shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            fields.keys().all(known) && always.into_iter().all(|name| fields.contains_key(name))
        };
        let shapes = all[schema]["anyOf"].as_array().unwrap();
        assert_eq!(shapes.iter().filter(|shape| fits(shape)).count(), 1, "{schema}: {value}");
    }

    #[test]
    fn shapes_are_those_of_the_types() {
        let at = Timestamp::UNIX_EPOCH;
        for because in [
            Because::Speaks,
            Because::Closed { at, again_at: None },
            Because::NotRaised,
            Because::Green,
            Because::NoValue,
            Because::TooOld { newest: at, counts_hours: 1.5 },
            Because::TooLittle { found: 1, want: 2 },
            Because::NoReference { expired: None },
            Because::NotNow,
            Because::Ingredient,
            Because::Held { until: at },
            Because::Fewer { found: 1, want: 2 },
            Because::Paused { kind: PauseKind::Holiday, until: at },
            Because::NotOverdue { next: Some(at) },
        ] {
            fits("Because", because);
        }
        let limit = Limit { kind: LimitKind::AtMost, value: "85".parse().unwrap() };
        for would in [
            Would::Limits { limits: vec![limit], unit: "%".to_owned(), measured: vec![limit] },
            Would::Answers { answers: Vec::new() },
            Would::Path { ways: Vec::new() },
            Would::Fewer { found: 2, than: 2 },
            Would::Data { vitals: Vec::new(), questionnaires: vec!["copd-daily".to_owned()] },
            Would::Person,
        ] {
            let mut told = json!(would);
            told["said"] = json!("green above 88 %");
            fits("Otherwise", told);
        }
        fits("LimitOrigin", Origin::Patient { setting: None, beyond_floor: None });
        fits("LimitOrigin", Origin::Programme { programme: "copd".to_owned(), version: 1 });
        fits("LimitOrigin", Origin::Clinic { version: 2, setting: None });
        let (by, reason, note) = ("ane".to_owned(), triage::CloseReason::Advice, String::new());
        for state in [
            State::Open,
            State::Acknowledged { by: by.clone(), at },
            State::Eased { at },
            State::Closed { by, at, reason, note },
        ] {
            fits("AlertState", state);
        }
    }

    #[test]
    fn what_is_read_back_as_a_reason_fits() {
        let (vital, unit) = (json!("spo2"), json!("%"));
        let band = json!({ "kind": "band", "vital": vital, "value": 84, "unit": unit, "from": null, "below": 85, "own": false });
        let missing = json!({ "kind": "missing", "schedule": "morning", "vitals": ["spo2"], "expected_at": "2026-11-22T08:00:00Z",
            "overdue_at": "2026-11-22T08:00:00Z", "last_at": null });
        let unanswered = json!({ "kind": "missing", "schedule": "morning", "vitals": [], "questionnaires": ["q"],
            "expected_at": "2026-11-22T08:00:00Z", "overdue_at": "2026-11-22T08:00:00Z", "last_at": null });
        let answer = json!({ "kind": "answer", "questionnaire": "q", "question": "a", "answer": "b", "known": true });
        let of_clinic = json!({ "kind": "band", "vital": vital, "value": 99, "unit": unit, "from": 99, "below": null, "own": false, "clinic": 2 });
        for reason in [band, of_clinic, missing, unanswered, answer] {
            let reason: triage::Reason = serde_json::from_str(&reason.to_string()).unwrap();
            fits("Reason", reason);
        }
    }
}
