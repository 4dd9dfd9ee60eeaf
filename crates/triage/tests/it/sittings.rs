//! Judge the reading that arrived: late ones as what they were; repeats are harmless; the order within a sitting does not matter.

use jiff::SignedDuration;
use triage::{EventKind, Mark, suspect_step};
use vitals::{Clock, Colour, Reading};

use crate::person::{Person, bytes, events, reading, time};

#[test]
fn a_late_red_is_raised_as_late_and_leaves_the_colour_of_now() {
    let mut person = Person::new();
    person.measures("2026-11-22T10:00:00Z", &["95 spo2"]);
    let outcome = person.sends("2026-11-22T06:00:00Z", "2026-11-22T10:05:00Z", &["84 spo2"]);
    assert_eq!(person.chart.colour(), Colour::Green);
    let change = outcome.assessment.expect("a line");
    assert_eq!((change.at, change.late), (time("2026-11-22T06:00:00Z"), true));
    assert_eq!((change.was, change.colour), (Colour::Green, Colour::Red));
    let alert = &outcome.alerts[0].alert;
    assert_eq!((alert.late, alert.mark, alert.now_mark), (true, Mark::Red, Mark::Green));
    assert_eq!(alert.findings[0].why, "SpO2 84 %, red at 85 % or less, arrived late");
    let news = person.measures("2026-11-22T11:00:00Z", &["84 spo2"]);
    assert!(!news.alerts[0].alert.late, "no longer late alone");
}

#[test]
fn an_old_reading_is_late_but_stands_where_nothing_newer_is_known() {
    let mut person = Person::new();
    let outcome = person.sends("2026-11-21T08:00:00Z", "2026-11-22T08:00:01Z", &["84 spo2"]);
    let change = outcome.assessment.expect("a line");
    assert_eq!((change.colour, change.late, person.chart.colour()), (Colour::Red, true, Colour::Red));
    let mut person = Person::new();
    let outcome = person.sends("2026-11-21T08:00:00Z", "2026-11-22T08:00:00Z", &["84 spo2"]);
    assert!(!outcome.assessment.expect("a line").late, "24 hours old is not yet late");
}

#[test]
fn what_a_device_stored_at_a_time_that_nobody_knows_is_late_and_never_the_state_of_now() {
    let stored = |text: &str, at: &str| Reading { clock: Clock::Kit, ..reading(text, time(at)) };
    let mut person = Person::new();
    person.measures("2026-11-22T10:00:00Z", &["95 spo2"]);
    let at = "2026-11-22T10:05:00Z";
    let outcome = person.gives(&[stored("84 spo2 from_storage clock_not_set", at)], &[], at);
    assert_eq!((person.chart.colour(), outcome.alerts[0].alert.late), (Colour::Green, true), "raised, and marked late");
    let at = "2026-11-22T10:06:00Z";
    let outcome = person.gives(&[stored("84 spo2 clock_not_set", at)], &[], at);
    assert_eq!((person.chart.colour(), outcome.alerts[0].alert.late), (Colour::Red, false), "measured now");
    let at = "2026-11-22T10:07:00Z";
    person.gives(&[stored("95 spo2 from_storage clock_not_set", at)], &[], at);
    assert_eq!(person.chart.colour(), Colour::Red, "and it calms nobody");
}

#[test]
fn what_comes_with_a_reading_of_no_known_time_is_judged_as_it_is() {
    let at = "2026-11-22T10:05:00Z";
    let stored = Reading { clock: Clock::Kit, ..reading("84 spo2 from_storage clock_not_set", time(at)) };
    for live_first in [true, false] {
        let mut person = Person::new();
        let mut all = vec![reading("87 spo2", time("2026-11-22T10:04:30Z")), reading("131 pulse", time(at))];
        all.insert(if live_first { 2 } else { 0 }, stored.clone());
        let outcome = person.gives(&all, &[], at);
        let change = outcome.assessment.expect("a line");
        assert_eq!((change.colour, change.late), (Colour::Red, false), "the pulse is of now");
        let marks = [("spo2", Mark::Yellow), ("pulse", Mark::Red)].map(|(rule, mark)| (rule.to_owned(), mark));
        assert_eq!(person.stands(), marks, "the stored SpO2 is not the state of now");
        let alert = &outcome.alerts[0].alert;
        let told = alert.findings.iter().map(|finding| (finding.rule.as_str(), finding.colour, finding.late));
        assert!(told.clone().any(|it| it == ("pulse", Mark::Red, false)), "{:?}", told.collect::<Vec<_>>());
        assert_eq!((alert.mark, alert.late), (Mark::Red, false));
        assert!(change.findings.iter().any(|it| it.rule == "spo2" && it.late && it.colour == Mark::Red));
    }
}

#[test]
fn a_late_reading_does_not_ease() {
    let mut person = Person::new();
    person.measures("2026-11-22T10:00:00Z", &["87 spo2"]);
    for hour in ["06", "07", "08"] {
        assert_eq!(
            events(&person.sends(&format!("2026-11-22T{hour}:00:00Z"), "2026-11-22T10:05:00Z", &["95 spo2"])),
            []
        );
    }
    assert_eq!(person.chart.colour(), Colour::Yellow);
}

#[test]
fn a_late_red_on_an_open_yellow_makes_it_red_and_keeps_both_findings() {
    let mut person = Person::new();
    person.measures("2026-11-22T10:00:00Z", &["87 spo2"]);
    person.acknowledges("anna", 1).unwrap();
    let outcome = person.sends("2026-11-22T06:00:00Z", "2026-11-22T10:05:00Z", &["84 spo2"]);
    assert_eq!(events(&outcome), [EventKind::Worsened]);
    let alert = &outcome.alerts[0].alert;
    assert_eq!((alert.mark, alert.now_mark, alert.late), (Mark::Red, Mark::Yellow, true), "the red is none of now");
    assert_eq!(alert.findings.iter().map(|finding| finding.late).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn the_same_sitting_again_changes_nothing() {
    let readings =
        [reading("84 spo2", time("2026-11-22T08:00:00Z")), reading("112 pulse", time("2026-11-22T08:01:00Z"))];
    let mut person = Person::new();
    person.gives(&readings, &[], "2026-11-22T08:01:00Z");
    for _ in 0..3 {
        let again = person.gives(&readings, &[], "2026-11-22T08:02:00Z");
        assert!(again.assessment.is_none() && again.alerts.is_empty(), "{again:?}");
    }
    person.measures("2026-11-22T09:00:00Z", &["95 spo2", "80 pulse"]);
    let later = person.gives(&readings, &[], "2026-11-22T09:01:00Z");
    assert!(later.assessment.is_none() && later.alerts.is_empty(), "{later:?}");
    let mut flagged = readings.to_vec();
    flagged[0].flag(vitals::Flag::SUSPECT_STEP);
    let flagged = person.gives(&flagged, &[], "2026-11-22T09:02:00Z");
    assert!(flagged.alerts.is_empty(), "a repeat with another flag is the same reading");
}

#[test]
fn the_same_normal_sitting_again_does_not_count_towards_easing() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    person.measures("2026-11-22T09:00:00Z", &["93 spo2"]);
    for _ in 0..5 {
        assert_eq!(events(&person.measures("2026-11-22T09:00:00Z", &["93 spo2"])), []);
    }
}

#[test]
fn the_worst_of_what_is_taken_together_counts() {
    let mut person = Person::new();
    let readings = [reading("84 spo2", time("2026-11-22T08:00:00Z")), reading("93 spo2", time("2026-11-22T08:10:00Z"))];
    let outcome = person.gives(&readings, &[], "2026-11-22T08:11:00Z");
    assert_eq!(outcome.assessment.unwrap().colour, Colour::Red);
    assert_eq!(person.chart.colour(), Colour::Red);
    person.measures("2026-11-22T08:20:00Z", &["93 spo2"]);
    assert_eq!(person.chart.colour(), Colour::Green, "the next sitting is news");
}

#[test]
fn a_device_that_empties_its_store_is_judged_as_of_then_and_as_of_now() {
    let mut person = Person::new();
    let readings = [
        reading("95 spo2", time("2026-11-22T08:00:00Z")),
        reading("84 spo2 from_storage", time("2026-11-22T03:00:00Z")),
        reading("87 spo2 from_storage", time("2026-11-22T05:00:00Z")),
    ];
    let outcome = person.gives(&readings, &[], "2026-11-22T08:00:00Z");
    assert_eq!(person.chart.colour(), Colour::Green);
    let alert = &outcome.alerts[0].alert;
    assert_eq!((alert.late, alert.count, alert.mark), (true, 2, Mark::Red));
    let change = outcome.assessment.unwrap();
    assert_eq!((change.late, change.findings.len()), (true, 2));
}

#[test]
fn a_finding_of_every_rule_is_kept_and_the_assessment_is_the_worst() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["93 spo2", "112 pulse"]);
    let outcome = person.answers("2026-11-22T08:05:00Z", "breathless", "somewhat");
    let change = outcome.assessment.unwrap();
    let findings: Vec<(&str, Mark)> =
        change.findings.iter().map(|finding| (finding.rule.as_str(), finding.colour)).collect();
    assert_eq!(findings, [("breathless", Mark::Red), ("pulse", Mark::Yellow), ("spo2", Mark::Green)]);
    assert_eq!((change.was, change.colour, change.at), (Colour::Yellow, Colour::Red, time("2026-11-22T08:05:00Z")));
}

#[test]
fn a_large_step_from_the_newest_value_is_suspect() {
    let mut person = Person::new();
    let at = time("2026-11-22T08:00:00Z");
    assert_eq!(suspect_step(&person.chart, &reading("84 spo2", at)), None);
    person.gives(&[reading("95 spo2", at)], &[], "2026-11-22T08:00:00Z");
    let step = suspect_step(&person.chart, &reading("84 spo2", time("2026-11-22T08:10:00Z")));
    assert_eq!(step.unwrap(), "spo2 went from 95 to 84 %");
    assert_eq!(suspect_step(&person.chart, &reading("84 spo2", time("2026-11-22T09:10:00Z"))), None);
    // A cold finger's 82 % speaks neither against what clears it up nor against what says the same; against 70 % speaks the 95 %.
    let mut doubtful = reading("82 spo2", time("2026-11-22T08:10:00Z"));
    doubtful.flag(vitals::Flag::SUSPECT_STEP);
    person.gives(&[doubtful], &[], "2026-11-22T08:10:00Z");
    let again = |said: &str| suspect_step(&person.chart, &reading(said, time("2026-11-22T08:12:00Z")));
    assert_eq!((again("94 spo2"), again("82 spo2")), (None, None));
    assert_eq!(again("70 spo2").unwrap(), "spo2 went from 95 to 70 %");
}

#[test]
fn ids_and_words_are_the_same_on_every_run() {
    let run = || {
        let mut person = Person::new();
        let mut text = bytes(&person.measures("2026-11-22T08:00:00Z", &["84 spo2", "80 pulse"]));
        text.push_str(&bytes(&person.ticks("2026-11-27T20:00:00Z")));
        text
    };
    assert_eq!(run(), run());
    let mut person = Person::new();
    let id = person.measures("2026-11-22T08:00:00Z", &["84 spo2"]).alerts[0].alert.id;
    assert_eq!(
        id.to_string(),
        "da38111b-a860-55aa-9953-792987be59d4",
        "an id of an earlier release is never made otherwise"
    );
}

#[test]
fn of_a_flood_the_worst_stands_for_a_sitting_and_no_longer() {
    let mut person = Person::new();
    let at = |seconds: i64| (time("2026-11-22T10:00:00Z") + SignedDuration::from_secs(seconds)).to_string();
    person.measures(&at(0), &["95 spo2"]);
    person.measures(&at(1), &["84 spo2"]);
    person.measures(&at(2), &["95 spo2"]);
    let red = (3..=2000).filter(|second| {
        person.measures(&at(*second), &["95 spo2"]);
        person.chart.colour() == Colour::Red
    });
    let red: Vec<_> = red.collect();
    assert_eq!((red.first(), red.last(), red.len()), (Some(&3), Some(&901), 899), "15 minutes from second 1 on");
    person.measures(&at(2001), &["84 spo2"]);
    assert_eq!(person.chart.colour(), Colour::Red);
}

#[test]
fn of_many_readings_in_one_message_each_is_looked_at() {
    for worst in [0, 10, 60, 119] {
        let mut person = Person::new();
        let at = |place: i64| time("2026-11-22T10:00:00Z") + SignedDuration::from_secs(5 * place);
        let value = |place| if place == worst { "84 spo2" } else { "95 spo2" };
        let (first, second): (Vec<_>, Vec<_>) =
            (0..120).map(|place| reading(value(place), at(place))).partition(|reading| reading.measured_at < at(40));
        // What was measured later comes first.
        person.gives(&second, &[], &at(120).to_string());
        person.gives(&first, &[], &at(121).to_string());
        assert_eq!(person.chart.colour(), Colour::Red, "place {worst}");
    }
}
