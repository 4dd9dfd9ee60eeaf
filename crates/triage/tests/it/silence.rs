//! Silence is a rule: what is expected and does not come is blue, at its own time, however late the tick.

use jiff::Timestamp;
use triage::{EventKind, Mark, next_tick};

use crate::person::{Person, bytes, events, time};

/// Monday's deadline: 08:00 in Copenhagen, a window of 4 hours and a grace of 2.
const MONDAY: &str = "2026-11-23T13:00:00Z";
const WEDNESDAY: &str = "2026-11-25T13:00:00Z";

#[track_caller]
fn next(person: &Person, wanted: &str) {
    assert_eq!(next_tick(&person.chart, &person.plan), Some(time(wanted)));
}

#[test]
fn nothing_by_the_deadline_is_blue_and_blue_is_beside_the_colour() {
    let mut person = Person::new();
    next(&person, MONDAY);
    let before = person.ticks("2026-11-23T12:59:59Z");
    assert!(before.assessment.is_none() && before.alerts.is_empty());
    let outcome = person.ticks(MONDAY);
    assert_eq!(events(&outcome), [EventKind::Raised]);
    let alert = &outcome.alerts[0].alert;
    assert_eq!((alert.family.as_str(), alert.mark, alert.raised_at), ("missing", Mark::Blue, time(MONDAY)));
    assert_eq!(
        alert.findings[0].why,
        "no SpO2 and no pulse for 2026-11-23 08:00, overdue since 2026-11-23 14:00, never heard of before"
    );
    let change = outcome.assessment.unwrap();
    assert_eq!((change.blue, change.colour, change.at), (true, vitals::Colour::Green, time(MONDAY)));
    assert!(person.chart.blue());
    next(&person, WEDNESDAY);
}

#[test]
fn each_missed_occurrence_feeds_the_same_alert_and_a_late_tick_finds_the_same_as_ticks_in_time() {
    let mut prompt = Person::new();
    let (mut changes, mut first) = (Vec::new(), None);
    for deadline in [MONDAY, WEDNESDAY, "2026-11-27T13:00:00Z"] {
        next(&prompt, deadline);
        let outcome = prompt.ticks(deadline);
        first = first.or(outcome.assessment);
        changes.extend(outcome.alerts);
    }
    let mut slow = Person::new();
    let outcome = slow.ticks("2026-11-28T00:00:00Z");
    assert_eq!(outcome.alerts, changes);
    assert_eq!(outcome.assessment, first);
    assert_eq!(events(&outcome), [EventKind::Raised, EventKind::Repeated, EventKind::Repeated]);
    let mut woken = Person::new();
    let outcome = woken.measures("2026-11-28T00:00:00Z", &["93 spo2", "80 pulse"]);
    assert_eq!(outcome.alerts[..3], changes, "a sitting judges the deadlines before it");
    assert_eq!(events(&outcome).last(), Some(&EventKind::Eased));
}

#[test]
fn a_sitting_a_little_early_in_the_window_or_before_the_deadline_meets_it() {
    for (at, met) in [
        ("2026-11-23T04:59:59Z", false),
        ("2026-11-23T05:00:00Z", true),
        ("2026-11-23T07:00:00Z", true),
        ("2026-11-23T11:00:00Z", true),
        ("2026-11-23T12:59:59Z", true),
    ] {
        let mut person = Person::new();
        person.measures(at, &["93 spo2", "80 pulse"]);
        assert_eq!(person.ticks(MONDAY).alerts.is_empty(), met, "{at}");
    }
}

#[test]
fn half_of_what_was_expected_is_missing_and_says_which_half() {
    let mut person = Person::new();
    person.measures("2026-11-23T07:00:00Z", &["93 spo2"]);
    person.answers("2026-11-23T07:01:00Z", "cough", "not_at_all");
    let outcome = person.ticks(MONDAY);
    let why = &outcome.alerts[0].alert.findings[0].why;
    assert_eq!(why, "no pulse for 2026-11-23 08:00, overdue since 2026-11-23 14:00, last heard of 2026-11-23 08:01");
    assert_eq!(events(&person.measures("2026-11-23T15:00:00Z", &["80 pulse"])), [EventKind::Eased]);
}

#[test]
fn blue_eases_when_data_comes_and_not_by_data_of_before() {
    let mut person = Person::new();
    person.ticks(MONDAY);
    person.sends("2026-11-22T20:00:00Z", "2026-11-23T14:00:00Z", &["93 spo2", "80 pulse"]);
    assert!(person.chart.blue(), "Sunday's data does not end Monday's silence");
    let late = person.sends("2026-11-23T07:30:00Z", "2026-11-23T15:00:00Z", &["93 spo2", "80 pulse"]);
    assert_eq!(events(&late), [EventKind::Eased]);
    let change = late.assessment.unwrap();
    assert!(!change.blue && !person.chart.blue());
    assert!(person.ticks("2026-11-23T23:00:00Z").alerts.is_empty(), "and it is not told again");
}

#[test]
fn nothing_is_expected_before_the_person_is_watched() {
    let mut person = Person::with(triage::Own::default(), "2026-11-23T07:00:01Z");
    next(&person, WEDNESDAY);
    assert!(person.ticks("2026-11-25T12:59:59Z").alerts.is_empty());
}

#[test]
fn time_that_goes_backwards_is_harmless() {
    let mut person = Person::new();
    person.ticks(WEDNESDAY);
    for at in [MONDAY, WEDNESDAY, "2026-11-20T00:00:00Z"] {
        let outcome = person.ticks(at);
        assert!(outcome.alerts.is_empty() && outcome.assessment.is_none(), "{at}");
    }
}

#[test]
fn what_came_before_the_clock_was_set_back_ends_the_silence_and_what_ended_opens_again_as_another() {
    let mut person = Person::new();
    person.sends("2026-11-23T14:00:00Z", "2026-11-23T12:00:00Z", &["93 spo2", "80 pulse"]);
    next(&person, WEDNESDAY);
    assert!(person.ticks(MONDAY).alerts.is_empty());

    let mut ended = Vec::new();
    for _ in 0..3 {
        let mut again = Person::new();
        again.chart = again.chart.with_alerts(ended.clone());
        assert_eq!(events(&again.ticks(MONDAY)), [EventKind::Raised]);
        let outcome = again.measures("2026-11-23T14:00:00Z", &["93 spo2", "80 pulse"]);
        assert_eq!(events(&outcome), [EventKind::Eased]);
        let alert = outcome.alerts[0].alert.clone();
        assert!(ended.iter().all(|before: &triage::Alert| before.id != alert.id));
        ended.push(alert);
    }
}

#[test]
fn the_wall_clock_is_followed_through_both_changes() {
    // Summer time ends on Sunday 2026-10-25 and begins on Sunday 2027-03-28: 14:00 is 12:00Z in summer and 13:00Z in winter.
    for (since, wanted) in [
        ("2026-10-22T00:00:00Z", ["2026-10-23T12:00:00Z", "2026-10-26T13:00:00Z"]),
        ("2027-03-25T00:00:00Z", ["2027-03-26T13:00:00Z", "2027-03-29T12:00:00Z"]),
    ] {
        let mut person = Person::with(triage::Own::default(), since);
        for deadline in wanted {
            next(&person, deadline);
            assert_eq!(person.ticks(deadline).alerts.len(), 1, "{deadline}");
        }
    }
}

#[test]
fn next_tick_leaves_out_what_has_been_met_and_what_has_been_judged() {
    let mut person = Person::new();
    person.measures("2026-11-23T07:00:00Z", &["93 spo2", "80 pulse"]);
    next(&person, WEDNESDAY);
    let judged = Person { chart: triage::Chart::new().with_silence_judged(time(WEDNESDAY)), ..Person::new() };
    next(&judged, "2026-11-27T13:00:00Z");
}

#[test]
fn a_very_long_silence_is_bounded() {
    let mut person = Person::with(triage::Own::default(), "2016-01-01T00:00:00Z");
    let outcome = person.ticks("2026-11-22T00:00:00Z");
    assert_eq!(outcome.alerts.len(), triage::bounds::OCCURRENCES_MAX);
    assert!(next_tick(&person.chart, &person.plan).unwrap() > time("2026-11-22T00:00:00Z"));
    let _: Timestamp = outcome.alerts[0].alert.raised_at;
}

#[test]
fn clinical_and_missing_alerts_are_apart() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["84 spo2"]);
    person.ticks(MONDAY);
    let families: Vec<&str> = person.chart.open_alerts().map(|alert| alert.family.as_str()).collect();
    assert_eq!(families, ["copd", "missing"]);
    assert!(bytes(&person.ticks(MONDAY)).starts_with("null"));
}

/// The second version of the programme, in which the pulse has another rule.
fn changed(person: &mut Person) {
    let text = triage::COPD.replacen("version = 1", "version = 2", 1).replace("id = \"pulse\"", "id = \"heart\"");
    let text = &text[..text.find("[[example]]").expect("examples")];
    let programme = triage::Programme::parse(text, "copd.toml").unwrap_or_else(|fault| panic!("{fault}"));
    let (patient, zone) = (person.plan.patient().clone(), person.plan.zone().clone());
    let own = triage::Own::default();
    person.plan =
        triage::Plan::new(patient, vec![programme.into()], crate::person::clinic(), own, zone, person.plan.since())
            .unwrap();
}

#[test]
fn another_version_of_the_programme_keeps_what_it_still_knows() {
    let mut person = Person::new();
    person.measures("2026-11-23T07:00:00Z", &["87 spo2", "112 pulse"]);
    changed(&mut person);
    let outcome = person.ticks(MONDAY);
    assert!(outcome.alerts.is_empty(), "Monday was met under the version before");
    assert_eq!(person.stands(), [("spo2".to_owned(), Mark::Yellow)], "a rule that is gone stands no more");
    person.measures("2026-11-23T14:00:00Z", &["93 spo2"]);
    let eased = person.measures("2026-11-23T15:00:00Z", &["93 spo2"]);
    assert_eq!(events(&eased), [EventKind::Eased], "a rule that is gone holds no alert open");
}

#[test]
fn a_kit_is_silent_after_what_the_strictest_programme_says_else_the_clinic() {
    let copd = |after: &str| triage::COPD.replacen("grace = \"2h\"\n", &format!("grace = \"2h\"\n{after}\n"), 1);
    let after = |texts: &[&str]| {
        let read = |text: &&str| std::sync::Arc::new(triage::Programme::parse(text, "p.toml").unwrap());
        let (programmes, zone) = (texts.iter().map(read).collect(), jiff::tz::TimeZone::UTC);
        let since = crate::person::time("2026-11-22T00:00:00Z");
        triage::Plan::new(
            "p-1".parse().unwrap(),
            programmes,
            crate::person::clinic(),
            triage::Own::default(),
            zone,
            since,
        )
        .unwrap()
        .silent_kit_after()
        .as_hours()
    };
    let (four, day) = (copd("silent_kit_after = \"4h\""), copd("silent_kit_after = \"24h\""));
    assert_eq!((after(&[triage::COPD]), after(&[&four]), after(&[&day])), (12, 4, 24));
    assert_eq!(after(&[triage::HEART_FAILURE, &four]), 4);
    assert_eq!(
        after(&[triage::HEART_FAILURE, &day]),
        12,
        "heart failure says nothing, so the clinic's default counts there"
    );
    let fault = triage::Programme::parse(&copd("silent_kit_after = \"1m\""), "p.toml").unwrap_err().to_string();
    assert!(fault.contains("clinic.silent_kit_after: found 1m, want at least 15m"), "{fault}");
}
