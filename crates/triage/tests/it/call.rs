//! A person who asks to be called: told in every programme, whatever else is so, until a person closes it.

use triage::{EventKind, Mark, Outcome};
use vitals::{Answer, Colour};

use crate::person::{Person, events, time};

pub fn asks(person: &mut Person, at: &str, now: &str) -> Outcome {
    let (questionnaire, question, answer) = ("kit".to_owned(), "call_me".to_owned(), "now".to_owned());
    let asked = Answer { questionnaire, version: 1, question, answer, answered_at: time(at) };
    person.gives(&[], &[asked], now)
}

#[test]
fn it_is_an_alert_of_its_own_and_leaves_the_colour_alone() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["95 spo2"]);
    let asked = asks(&mut person, "2026-11-22T08:10:00Z", "2026-11-22T08:10:01Z");
    assert_eq!((events(&asked), asked.assessment.is_some()), (vec![EventKind::Raised], false));
    let alert = &asked.alerts[0].alert;
    assert_eq!(
        (alert.family.as_str(), alert.mark, alert.now_mark, alert.late),
        ("call", Mark::Yellow, Mark::Yellow, false)
    );
    assert_eq!(alert.findings[0].why, "asks to be called");
    assert_eq!(person.chart.colour(), Colour::Green);
}

#[test]
fn no_reading_eases_it_and_a_person_closes_it() {
    let mut person = Person::new();
    asks(&mut person, "2026-11-22T08:10:00Z", "2026-11-22T08:10:01Z");
    for hour in 10..18 {
        assert_eq!(events(&person.measures(&format!("2026-11-22T{hour}:00:00Z"), &["95 spo2", "70 pulse"])), []);
    }
    let open: Vec<_> = person.chart.open_alerts().map(|alert| (alert.now_mark, alert.normal_in_row)).collect();
    assert_eq!(open, [(Mark::Yellow, 0)]);
    assert!(person.closes("anna", 1).is_ok());
    assert_eq!(person.chart.open_alerts().count(), 0);
    let again = asks(&mut person, "2026-11-22T19:00:00Z", "2026-11-22T19:00:01Z");
    assert_eq!(events(&again), [EventKind::Raised]);
}

#[test]
fn asking_again_counts_and_the_same_again_does_not() {
    let mut person = Person::new();
    asks(&mut person, "2026-11-22T08:10:00Z", "2026-11-22T08:10:01Z");
    assert_eq!(events(&asks(&mut person, "2026-11-22T08:10:00Z", "2026-11-22T08:10:09Z")), []);
    let again = asks(&mut person, "2026-11-22T08:20:00Z", "2026-11-22T08:20:01Z");
    assert_eq!((events(&again), again.alerts[0].alert.count), (vec![EventKind::Repeated], 2));
}

#[test]
fn one_that_arrives_late_is_told_and_marked_late() {
    let mut person = Person::new();
    let asked = asks(&mut person, "2026-11-21T03:00:00Z", "2026-11-22T08:10:01Z");
    let alert = &asked.alerts[0].alert;
    assert_eq!((alert.late, alert.findings[0].why.as_str()), (true, "asks to be called, arrived late"));
}

#[test]
fn a_sitting_says_how_each_of_its_vitals_was_judged() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["95 spo2"]);
    let late = person.sends("2026-11-22T07:00:00Z", "2026-11-22T08:01:00Z", &["84 spo2", "95 spo2"]);
    let found: Vec<_> = late.judged.iter().map(|(vital, colour)| (vital.map(|vital| vital.name()), *colour)).collect();
    assert_eq!(found, [(Some("spo2"), Colour::Red)], "as what they were, although something newer stands");
}
