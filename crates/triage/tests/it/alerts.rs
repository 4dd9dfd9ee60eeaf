//! Alerts are episodes: they latch, ease, worsen and close.

use triage::{Action, ActionError, EventKind, Mark, State, act};
use vitals::Colour;

use crate::person::{Person, events, time};

#[test]
fn red_latches_until_a_person_closes_it_and_is_raised_anew_if_still_red() {
    let mut person = Person::new();
    let raised = person.measures("2026-11-22T08:00:00Z", &["84 spo2"]);
    assert_eq!(events(&raised), [EventKind::Raised]);
    let first = raised.alerts[0].alert.id;
    assert_eq!(events(&person.measures("2026-11-22T09:00:00Z", &["95 spo2"])), [EventKind::Improved]);
    for hour in 10..18 {
        // what changes nothing is no line of history
        assert_eq!(events(&person.measures(&format!("2026-11-22T{hour}:00:00Z"), &["95 spo2"])), []);
    }
    let alert = person.chart.open_alerts().next().unwrap().clone();
    assert_eq!((person.chart.colour(), alert.mark, alert.now_mark), (Colour::Green, Mark::Red, Mark::Green));
    let marks: Vec<Mark> = alert.findings.iter().map(|finding| finding.colour).collect();
    assert_eq!(marks, [Mark::Red, Mark::Green], "what made it red stays beside what is true now");
    let closed = person.closes("anna", alert.version).unwrap();
    assert_eq!((closed.event.kind, closed.event.text.as_str()), (EventKind::Closed, "advice: called"));
    assert_eq!(person.chart.open_alerts().count(), 0);
    let again = person.measures("2026-11-22T19:00:00Z", &["84 spo2"]);
    assert_eq!(events(&again), [EventKind::Raised]);
    assert_ne!(again.alerts[0].alert.id, first);
}

#[test]
fn a_milder_finding_that_has_passed_leaves_a_red() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["112 pulse"]);
    person.measures("2026-11-22T09:00:00Z", &["80 pulse"]);
    person.measures("2026-11-22T10:00:00Z", &["84 spo2"]);
    let passed = person.measures("2026-11-22T11:00:00Z", &["80 pulse"]);
    assert_eq!(events(&passed), [EventKind::Improved]);
    let marks: Vec<Mark> = passed.alerts[0].alert.findings.iter().map(|finding| finding.colour).collect();
    assert_eq!(marks, [Mark::Red, Mark::Green]);
}

#[test]
fn yellow_eases_after_two_normal_sittings_in_a_row() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    assert_eq!(events(&person.measures("2026-11-22T09:00:00Z", &["93 spo2"])), [EventKind::Improved]);
    assert_eq!(events(&person.measures("2026-11-22T10:00:00Z", &["87 spo2"])), [EventKind::Repeated]);
    assert_eq!(events(&person.measures("2026-11-22T11:00:00Z", &["93 spo2"])), [EventKind::Improved]);
    let eased = person.measures("2026-11-22T12:00:00Z", &["93 spo2"]);
    assert_eq!(events(&eased), [EventKind::Eased]);
    assert!(matches!(eased.alerts[0].alert.state, State::Eased { .. }));
    assert_eq!(person.chart.open_alerts().count(), 0);
}

#[test]
fn yellow_eases_only_when_every_rule_that_fed_it_is_normal() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2", "112 pulse"]);
    assert_eq!(events(&person.measures("2026-11-22T09:00:00Z", &["93 spo2"])), [EventKind::Improved]);
    for hour in ["10", "11"] {
        assert_eq!(events(&person.measures(&format!("2026-11-22T{hour}:00:00Z"), &["93 spo2"])), []);
    }
    person.measures("2026-11-22T12:00:00Z", &["80 pulse"]);
    assert_eq!(events(&person.measures("2026-11-22T13:00:00Z", &["80 pulse"])), [EventKind::Eased]);
}

#[test]
fn readings_of_rules_that_did_not_feed_it_neither_change_nor_ease_it() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    for hour in ["09", "10", "11"] {
        assert_eq!(events(&person.measures(&format!("2026-11-22T{hour}:00:00Z"), &["80 pulse"])), []);
    }
}

#[test]
fn a_worse_finding_unacknowledges_and_makes_somebody_wait_anew() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    person.acknowledges("anna", 1).unwrap();
    let same = person.measures("2026-11-22T09:00:00Z", &["86 spo2"]);
    assert_eq!(events(&same), [EventKind::Repeated]);
    assert!(matches!(same.alerts[0].alert.state, State::Acknowledged { .. }));
    let worse = person.measures("2026-11-22T10:00:00Z", &["84 spo2"]);
    assert_eq!(events(&worse), [EventKind::Worsened]);
    let alert = &worse.alerts[0].alert;
    assert_eq!(
        (alert.mark, &alert.state, alert.waiting_since),
        (Mark::Red, &State::Open, time("2026-11-22T10:00:00Z"))
    );
    assert_eq!((alert.raised_at, alert.count), (time("2026-11-22T08:00:00Z"), 3));
}

#[test]
fn a_person_is_one_card_whatever_the_clinical_rule() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    person.measures("2026-11-22T09:00:00Z", &["131 pulse"]);
    person.answers("2026-11-22T10:00:00Z", "cough", "a_lot");
    let alerts: Vec<_> = person.chart.open_alerts().collect();
    assert_eq!(alerts.len(), 1);
    let rules: Vec<&str> = alerts[0].findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["pulse", "cough", "spo2"], "worst first");
}

#[test]
fn two_nurses_at_once_it_is_done_once_and_the_second_is_told() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["84 spo2"]);
    let done = person.acknowledges("anna", 1).unwrap();
    assert_eq!(done.alert.version, 2);
    let again = person.acknowledges("anna", 1).unwrap();
    assert_eq!(again.alert, done.alert, "acknowledging again is harmless");
    let second = person.acknowledges("bo", 1).unwrap_err();
    assert_eq!(second.to_string(), "the alert has already been taken by anna");
    let id = done.alert.id;
    person.closes("bo", 2).unwrap();
    let late = act(&mut person.chart, id, 2, &Action::Acknowledge, "anna", time("2026-11-22T09:00:00Z")).unwrap_err();
    assert_eq!(late.to_string(), "the alert is already closed");
}

#[test]
fn an_action_on_what_has_become_worse_is_refused_but_not_on_what_is_only_newer() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    person.measures("2026-11-22T09:00:00Z", &["86 spo2"]);
    person.measures("2026-11-22T10:00:00Z", &["95 spo2"]);
    assert!(person.clone_chart().closes("anna", 1).is_ok(), "version 3, but nothing that must be seen");
    person.measures("2026-11-22T11:00:00Z", &["80 spo2"]);
    assert_eq!(person.closes("anna", 1).unwrap_err(), ActionError::Changed { found: 4, seen: 1 });
    assert_eq!(person.closes("anna", 5).unwrap_err(), ActionError::Changed { found: 4, seen: 5 });
    let note = "x".repeat(2001);
    let id = person.chart.open_alerts().next().unwrap().id;
    let close = Action::Close { reason: triage::CloseReason::Other, note };
    let refused = act(&mut person.chart, id, 4, &close, "anna", time("2026-11-22T12:00:00Z")).unwrap_err();
    assert_eq!(refused.to_string(), "the note has 2001 characters, at most 2000 are kept");
}

#[test]
fn open_alerts_put_into_a_rebuilt_chart_go_on_as_before() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    let open: Vec<_> = person.chart.open_alerts().cloned().collect();
    let mut rebuilt = Person::new();
    rebuilt.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    rebuilt.chart = std::mem::take(&mut rebuilt.chart).with_alerts(open);
    for hour in ["09", "10"] {
        let at = format!("2026-11-22T{hour}:00:00Z");
        assert_eq!(person.measures(&at, &["93 spo2"]), rebuilt.measures(&at, &["93 spo2"]));
    }
    let mut bare = Person::new();
    let mut red = Person::new();
    let open = red.measures("2026-11-22T08:00:00Z", &["84 spo2"]).alerts[0].alert.clone();
    bare.chart = std::mem::take(&mut bare.chart).with_alerts(vec![open]);
    assert_eq!(
        events(&bare.measures("2026-11-22T09:00:00Z", &["84 spo2"])),
        [EventKind::Repeated],
        "even without its history"
    );
}

#[test]
fn an_answer_to_what_is_not_asked_any_more_stands_no_longer() {
    let mut person = Person::new();
    person.answers("2026-11-22T08:00:00Z", "sputum_amount", "a_lot");
    assert_eq!(person.chart.colour(), Colour::Red);
    person.answers("2026-11-22T08:40:00Z", "cough", "not_at_all");
    assert_eq!(person.chart.colour(), Colour::Red, "within an hour it is the same time of answering");
    person.answers("2026-11-23T08:00:00Z", "something_new", "no");
    assert_eq!(person.chart.colour(), Colour::Green, "whichever question of it was answered, the other was not asked");
    assert_eq!(
        person.chart.open_alerts().next().map(|alert| (alert.mark, alert.now_mark)),
        Some((Mark::Red, Mark::Green))
    );
}
