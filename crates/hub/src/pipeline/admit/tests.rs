//! Admission as a table: what comes -> what is stored, and the sentence for what is not.

use bytes::Bytes;
use jiff::tz::TimeZone;

use super::*;
use crate::directory::{copd, hex};

const NOW: &str = "2026-11-22T08:00:10Z";

fn directory() -> Directory {
    let roster = format!(
        "[[patient]]\nid = \"p-1\"\nname = \"Test Person\"\nprogramme = \"copd\"\n\
         [[kit]]\nid = \"kit-1\"\npatient = \"p-1\"\nsecret_sha256 = \"{}\"\nsince = \"2026-11-01T00:00:00Z\"\n",
        hex(&[7; 32])
    );
    Directory::new(toml::from_str(&roster).unwrap(), &copd(), &TimeZone::UTC).unwrap()
}

fn reading(vital: &str, value: &str, unit: &str, measured_at: &str) -> String {
    format!(
        r#"{{"vital":"{vital}","value":{value},"unit":"{unit}","measured_at":"{measured_at}","clock":"device","device":"sim:1"}}"#
    )
}

fn now(vital: &str, value: &str, unit: &str) -> String {
    reading(vital, value, unit, "2026-11-22T08:00:01Z")
}

fn message(sent_at: &str, readings: &[String]) -> String {
    format!(
        r#"{{"seq":42,"sent_at":"{sent_at}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{}]}}"#,
        readings.join(",")
    )
}

fn of(readings: &[String]) -> String {
    message("2026-11-22T08:00:07Z", readings)
}

fn arrives(kit: &str, payload: &str) -> Admitted {
    let arrival = Arrival {
        kit: kit.parse().unwrap(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        refused: None,
        received_at: NOW.parse().unwrap(),
        wants_ack: true,
    };
    admit(&directory(), &arrival)
}

/// What was stored, as `spo2 93 %`, with flags; and the sentence of the quarantine.
#[track_caller]
fn check(payload: &str, stored: &[&str], sentence: Option<&str>) {
    let admitted = arrives("kit-1", payload);
    let input: String = payload.chars().take(300).collect();
    let show = |r: &Reading| {
        let flags: String = r.flags.iter().map(|flag| format!(" {flag}")).collect();
        format!("{} {} {}{flags}", r.vital, r.value, r.unit)
    };
    let got: Vec<_> = admitted.entry.iter().flat_map(|entry| &entry.readings).map(show).collect();
    assert_eq!(got, stored, "{input}");
    match (&admitted.refused, sentence) {
        (Some(found), Some(wanted)) => assert!(found.starts_with(wanted), "{input}\n{found}"),
        (found, wanted) => assert_eq!(found.as_deref(), wanted, "{input}"),
    }
    let quarantined = admitted.quarantined(payload.as_bytes());
    assert_eq!(quarantined.is_some(), sentence.is_some());
    if let Some(row) = quarantined {
        assert_eq!(row.bytes, payload.as_bytes());
        assert_eq!(row.whole, admitted.entry.is_none());
    }
}

#[test]
fn what_is_good_is_stored_in_canonical_units() {
    check(&of(&[now("spo2", "93", "%")]), &["spo2 93 %"], None);
    check(&of(&[now("spo2", "93.0", "%")]), &["spo2 93.0 %"], None);
    check(&of(&[now("temperature", "98.6", "[degF]")]), &["temperature 37.0 Cel"], None);
    check(&of(&[now("pulse", "70", "1/min"), now("spo2", "95", "%")]), &["pulse 70 /min", "spo2 95 %"], None);
    check(&of(&[]), &[], None);
}

#[test]
fn what_cannot_be_read_goes_to_quarantine_whole() {
    check("", &[], Some("message: EOF while parsing a value"));
    check("{\"seq\":42,\"sent", &[], Some("message: EOF while parsing a string"));
    check("not json", &[], Some("message: expected ident"));
    check("{\"seq\":42}", &[], Some("message: missing field `sent_at`"));
    let huge = format!("{}{}", of(&[]), " ".repeat(wire::MESSAGE_BYTES_MAX));
    check(&huge, &[], Some("message has 262250 bytes, at most 262144 are taken"));
    assert_eq!(arrives("kit-1", &huge).seq, Some(42), "so that the kit hears of it");
}

#[test]
fn one_bad_reading_does_not_cost_its_neighbours() {
    let good = now("spo2", "93", "%");
    let cases = [
        (now("spo2", "93", "furlong"), "readings[0]: unknown variant `furlong`"),
        (now("spo2", "93", "kg"), "readings[0]: spo2 in kg can't be converted to %"),
        (now("spo2", "30", "%"), "readings[0]: spo2 30 % is impossible: want 50 to 100 %"),
        (now("spo2", "\"NaN\"", "%"), "readings[0]: found \"\\\"NaN\\\"\", want a decimal number"),
        (now("hat_size", "7", "%"), "readings[0]: unknown variant `hat_size`"),
        (
            reading("pulse", "70", "/min", "2026-11-22T09:00:00Z"),
            "readings[0]: measured_at 2026-11-22T09:00:00Z is in the future: it is 2026-11-22T08:00:10Z",
        ),
        (
            reading("pulse", "70", "/min", "1970-01-01T00:00:09Z"),
            "readings[0]: measured_at 1970-01-01T00:00:09Z is before the kit was handed out, 2026-11-01T00:00:00Z",
        ),
    ];
    for (bad, sentence) in cases {
        check(&of(&[bad.clone(), good.clone()]), &["spo2 93 %"], Some(sentence));
        check(&of(&[bad]), &[], Some(sentence));
    }
}

#[test]
fn doubtful_values_are_kept_and_marked() {
    check(&of(&[now("spo2", "69", "%")]), &["spo2 69 % suspect"], None);
    check(&of(&[now("fev1", "3.1", "L"), now("fvc", "2.9", "L")]), &["fev1 3.1 L suspect", "fvc 2.9 L suspect"], None);
    check(&of(&[reading("pulse", "70", "/min", "2026-11-22T08:05:00Z")]), &["pulse 70 /min"], None);
}

#[test]
fn pressures_must_fit_together() {
    let pair =
        |high, low| of(&[now("pulse", "70", "/min"), now("diastolic", low, "mm[Hg]"), now("systolic", high, "mm[Hg]")]);
    check(&pair("120", "80"), &["pulse 70 /min", "diastolic 80 mm[Hg]", "systolic 120 mm[Hg]"], None);
    check(&pair("90", "80"), &["pulse 70 /min", "diastolic 80 mm[Hg]", "systolic 90 mm[Hg]"], None);
    check(
        &pair("80", "90"),
        &["pulse 70 /min"],
        Some(
            "readings[2]: systolic 80 and diastolic 90 mm[Hg] can't belong together: want at least 10 between them; readings[1]: ",
        ),
    );
    let apart = reading("systolic", "85", "mm[Hg]", "2026-11-22T07:00:00Z");
    check(&of(&[apart, now("diastolic", "80", "mm[Hg]")]), &["systolic 85 mm[Hg]", "diastolic 80 mm[Hg]"], None);
}

#[test]
fn a_message_is_the_same_whenever_it_is_sent() {
    let readings = [now("spo2", "93", "%")];
    let first = arrives("kit-1", &message("2026-11-22T08:00:07Z", &readings));
    let again = arrives("kit-1", &message("2026-11-22T08:00:09Z", &readings));
    assert_eq!(first.hash, again.hash);
    let other = arrives("kit-1", &of(&[now("spo2", "93.0", "%")]));
    assert_ne!(first.hash, other.hash, "93 is not 93.0");
    assert_eq!(other.reused(b"x").reason, "seq 42 was used before with other content");
}

#[test]
fn a_kit_that_is_not_in_the_roster_and_another_kits_topic_are_quarantined() {
    let unknown = arrives("kit-9", &of(&[now("spo2", "93", "%")]));
    assert_eq!(unknown.refused.as_deref(), Some("kit kit-9 is not in the roster"));
    assert!(unknown.entry.is_none());
    let arrival = Arrival {
        kit: "kit-1".parse().unwrap(),
        payload: Bytes::from_static(b"{}"),
        refused: Some("published to \"vagt/v1/kit-2/readings\", want ...".to_owned()),
        received_at: NOW.parse().unwrap(),
        wants_ack: true,
    };
    let wrong = admit(&directory(), &arrival);
    assert_eq!((wrong.seq, wrong.entry.is_none()), (None, true));
}

#[test]
fn reasons_are_bounded() {
    let many: Vec<_> = (0..100).map(|_| now("spo2", "30", "%")).collect();
    let refused = arrives("kit-1", &of(&many)).refused.unwrap();
    assert!(refused.ends_with("; and 84 more"), "{refused}");
}

#[test]
fn receipts_are_checked_one_by_one_and_alone_make_a_message() {
    let payload = |receipts: &str| {
        format!(
            r#"{{"seq":42,"sent_at":"{NOW}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","receipts":[{receipts}]}}"#
        )
    };
    let receipt = |id: &str, outcome: &str| format!(r#"{{"command":"{id}","outcome":"{outcome}","at":"{NOW}"}}"#);
    let good = receipt("c-1", "done");
    let long = receipt(&"x".repeat(COMMAND_ID_CHARS_MAX + 1), "done");
    let admitted = arrives("kit-1", &payload(&format!("{good},{long},{}", receipt("c-2", "danced"))));
    let entry = admitted.entry.unwrap();
    assert_eq!((entry.receipts.len(), entry.receipts[0].outcome), (1, Progress::Done));
    let refused = admitted.refused.unwrap();
    assert!(refused.contains("receipts[1]: receipt names a command with 65 characters"), "{refused}");
    assert!(refused.contains("receipts[2]: unknown variant `danced`"), "{refused}");
    assert!(arrives("kit-1", &payload(&long)).entry.is_none(), "nothing of it is left");
    let (one, other) = (arrives("kit-1", &payload(&good)), arrives("kit-1", &payload(&receipt("c-1", "read"))));
    assert_ne!(one.hash, other.hash);
}

#[test]
fn a_message_without_what_is_new_has_the_hash_that_is_stored_of_it() {
    let hash = |payload: &str| hex(&arrives("kit-1", payload).hash);
    assert_eq!(
        hash(&of(&[now("spo2", "93", "%")])),
        "120c380d3439c6e71e0c63deabef10fd07c8dee31dd8d77939d72d7ccbda344f"
    );
}

#[test]
fn a_call_is_heard_whatever_the_kits_clock_says_but_not_one_of_the_person_before() {
    let called = |question: &str, at: &str| {
        let payload = format!(
            r#"{{"seq":42,"sent_at":"{at}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","answers":[
               {{"questionnaire":"kit","version":1,"question":"{question}","answer":"now","answered_at":"{at}"}}]}}"#
        );
        arrives("kit-1", &payload).entry.map(|entry| entry.answers[0].answered_at.to_string())
    };
    assert_eq!(called("call_me", "2026-11-22T08:00:05Z").as_deref(), Some("2026-11-22T08:00:05Z"));
    for wrong in ["1970-01-01T00:01:00Z", "2000-01-01T00:00:00Z", "2031-01-01T00:00:00Z"] {
        assert_eq!(called("call_me", wrong).as_deref(), Some(NOW), "{wrong}");
        assert_eq!(called("another", wrong), None, "{wrong}");
    }
    assert_eq!(called("call_me", "2026-10-01T08:00:00Z"), None, "asked for before the kit was handed out");
}
