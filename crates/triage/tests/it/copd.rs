//! The Danish national plan: every edge of every band, every answer, and the sentences.

use triage::{Input, LimitKind, Mark, Reason};
use vitals::Colour;

use crate::person::{Person, copd};

const AT: &str = "2026-11-22T08:00:01Z";

#[track_caller]
fn reads(text: &str, wanted: Mark, why: &str) {
    let mut person = Person::new();
    person.measures(AT, &[text]);
    let finding = person.chart.standing(&person.plan).into_iter().next().expect("a finding");
    assert_eq!((finding.colour, finding.why.as_str()), (wanted, why), "{text}");
    assert_eq!((finding.programme.as_str(), finding.version), ("copd", 1));
    assert!(matches!(&finding.inputs[..], [Input::Reading { .. }]));
}

#[test]
fn every_edge_of_every_band_with_its_sentence() {
    reads("84 spo2", Mark::Red, "SpO2 84 %, red at 85 % or less");
    reads("85 spo2", Mark::Red, "SpO2 85 %, red at 85 % or less");
    reads("85.0 spo2", Mark::Red, "SpO2 85.0 %, red at 85 % or less");
    reads("85.0000001 spo2", Mark::Yellow, "SpO2 85.0000001 %, yellow at 88 % or less");
    reads("85.5 spo2", Mark::Yellow, "SpO2 85.5 %, yellow at 88 % or less");
    reads("88 spo2", Mark::Yellow, "SpO2 88 %, yellow at 88 % or less");
    reads("88.5 spo2", Mark::Green, "SpO2 88.5 %, green above 88 %");
    reads("50 pulse", Mark::Red, "pulse 50 /min, red at 50 /min or less");
    reads("50.5 pulse", Mark::Yellow, "pulse 50.5 /min, yellow at 60 /min or less");
    reads("60 pulse", Mark::Yellow, "pulse 60 /min, yellow at 60 /min or less");
    reads("60.5 pulse", Mark::Green, "pulse 60.5 /min, green above 60 /min and below 110 /min");
    reads("109.9 pulse", Mark::Green, "pulse 109.9 /min, green above 60 /min and below 110 /min");
    reads("110 pulse", Mark::Yellow, "pulse 110 /min, yellow at 110 /min or more");
    reads("129.9999999 pulse", Mark::Yellow, "pulse 129.9999999 /min, yellow at 110 /min or more");
    reads("130 pulse", Mark::Red, "pulse 130 /min, red at 130 /min or more");
}

#[test]
fn a_doubtful_red_is_red_and_says_so() {
    reads("84 spo2 low_perfusion", Mark::Red, "SpO2 84 %, red at 85 % or less, doubtful: low perfusion");
    reads("65 spo2 suspect", Mark::Red, "SpO2 65 %, red at 85 % or less, doubtful: hardly believable value");
    reads("84 spo2 simulated", Mark::Red, "SpO2 84 %, red at 85 % or less");
}

#[test]
fn every_answer_of_every_question() {
    let scale =
        [("not_at_all", Mark::Green), ("a_little", Mark::Yellow), ("somewhat", Mark::Red), ("a_lot", Mark::Red)];
    let colours = [
        ("clear", Mark::Green),
        ("white", Mark::Green),
        ("light_yellow", Mark::Red),
        ("green", Mark::Red),
        ("dark_yellow", Mark::Red),
    ];
    let cases: [(&str, &[(&str, Mark)]); 5] = [
        ("breathless", &scale),
        ("cough", &scale),
        ("sputum_amount", &scale),
        ("sputum_colour", &colours),
        ("other", &[("no", Mark::Green), ("yes", Mark::Yellow)]),
    ];
    for (question, answers) in cases {
        for (answer, mark) in answers {
            let mut person = Person::new();
            person.answers(AT, question, answer);
            assert_eq!(person.stands(), [(question.to_owned(), *mark)], "{question} {answer}");
        }
    }
    for (question, answer) in [("prednisolone", "yes"), ("antibiotics", "no"), ("other_text", "tired")] {
        let mut person = Person::new();
        person.answers(AT, question, answer);
        assert_eq!(person.stands(), [], "{question} is context");
    }
}

#[test]
fn an_unknown_answer_is_yellow_until_somebody_has_looked() {
    let mut person = Person::new();
    let outcome = person.answers(AT, "breathless", "dreadfully");
    assert_eq!(person.chart.colour(), Colour::Yellow);
    let finding = &outcome.alerts[0].alert.findings[0];
    assert!(
        finding.why.contains("answer \"dreadfully\" to \"breathless\" of copd-daily is unknown"),
        "{}",
        finding.why
    );
    assert!(matches!(finding.reason, Reason::Answer { known: false, .. }));
}

#[test]
fn readings_without_a_rule_are_no_finding() {
    let mut person = Person::new();
    let outcome = person.measures(AT, &["71.5 weight", "39.9 temperature", "140 systolic"]);
    assert!(outcome.assessment.is_none() && outcome.alerts.is_empty());
    assert_eq!(person.stands(), []);
}

#[test]
fn a_change_is_one_line_with_what_the_contract_names() {
    let mut person = Person::new();
    let outcome = person.measures(AT, &["84 spo2"]);
    let line = serde_json::to_string(&outcome.assessment.unwrap()).unwrap();
    let start = r#"{"at":"2026-11-22T08:00:01Z","patient":"p-1","was":"green","colour":"red","findings":[{"rule":"spo2","version":1,"programme":"copd","colour":"red","why":"SpO2 84 %, red at 85 % or less","#;
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn the_reason_carries_the_limit_that_decided_and_survives_json() {
    let mut person = Person::new();
    let outcome = person.measures(AT, &["93.0 spo2", "112 pulse"]);
    let alert = &outcome.alerts[0].alert;
    let text = serde_json::to_string(alert).unwrap();
    assert_eq!(serde_json::from_str::<triage::Alert>(&text).unwrap(), *alert);
    let Reason::Band { from, below, limit: Some(limit), own, .. } = &alert.findings[0].reason else { panic!("{text}") };
    assert_eq!((from.unwrap().to_string(), below.unwrap().to_string()), ("110".into(), "130".into()));
    assert_eq!((limit.kind, limit.value.to_string().as_str(), *own), (LimitKind::From, "110", false));
    for finding in &outcome.assessment.unwrap().findings {
        let text = serde_json::to_string(finding).unwrap();
        let back: triage::Finding = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text, "digits are kept");
    }
}

#[test]
fn the_whole_programme_is_explained_in_words() {
    let text = copd().explain();
    for words in [
        "COPD, the Danish national plan (copd), version 1.",
        "SpO2 is red at 85 % or less; yellow at 88 % or less; green above 88 %.",
        "yellow at 110 /min or more; red at 130 /min or more.",
        "\"Quite a bit\" is red",
        "expected on Monday, Wednesday, Friday at 08:00 (Europe/Copenhagen), from 2 hours before until 4 hours after",
        "no significance, for context",
        "Chosen by the clinic itself",
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
}
