//! Whose own baseline is gone is listed, and nobody else is.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use triage::{Chart, Event, NoBaseline, Own, Plan, Programme, Sitting, assess, no_baseline};
use vitals::KitId;

use crate::person::{answer, clinic, reading, time};

/// Watched since then.
const SINCE: &str = "2026-08-01T00:00:00Z";

fn plan() -> Plan {
    let (file, text) = triage::SHIPPED.iter().find(|(file, _)| *file == "copd-baseline.toml").unwrap();
    let programme = Arc::new(Programme::parse(text, file).unwrap_or_else(|fault| panic!("{fault}")));
    Plan::new("p-1".parse().unwrap(), vec![programme], clinic(), Own::default(), TimeZone::UTC, time(SINCE)).unwrap()
}

/// The morning of a day, the first being 0.
fn morning(day: i64) -> Timestamp {
    time(SINCE) + SignedDuration::from_hours(24 * day + 8)
}

/// What is listed so many days after the last of these mornings, on each of which the person measures and answers; on some SpO2 is red.
fn listed(mornings: i64, is_red: fn(i64) -> bool, later: i64) -> Vec<NoBaseline> {
    let (plan, mut chart, kit): (_, _, KitId) = (plan(), Chart::new(), "kit-1".parse().unwrap());
    for day in 0..mornings {
        let at = morning(day);
        let spo2 = if is_red(day) { "80 spo2" } else { "93 spo2" };
        let readings = [reading(spo2, at), reading("75 pulse", at)];
        let answers = ["breathless", "cough"].map(|question| answer(question, "not_at_all", at));
        let sitting = Sitting { kit: &kit, seq: day.unsigned_abs() + 1, readings: &readings, answers: &answers };
        assess(&mut chart, &plan, &Event::Sitting(sitting), at);
    }
    no_baseline(&chart, &plan, morning(mornings - 1 + later))
}

fn days(listed: &[NoBaseline]) -> Vec<(&str, usize, usize)> {
    listed.iter().map(|one| (one.rule.as_str(), one.found, one.want)).collect()
}

#[test]
fn a_red_every_thirteen_days_leaves_nothing_to_compare_with_and_is_listed() {
    let every_13 = listed(70, |day| day % 13 == 0, 0);
    assert_eq!(days(&every_13), [("unlike-usual", 0, 7), ("spo2-drift", 0, 7), ("pulse-drift", 0, 7)]);
    assert_eq!((every_13[0].programme.as_str(), every_13[0].last_said_at), ("copd-baseline", None));
    assert!(listed(70, |_| false, 0).is_empty());
    assert!(listed(70, |day| day == 0, 0).is_empty(), "one red is over after two weeks");
}

#[test]
fn a_baseline_that_was_there_expires_and_it_is_said_when_it_last_was() {
    let since_30 = listed(100, |day| day >= 30 && (day - 30) % 13 == 0, 0);
    // Of the days before the 30th seven are left until the 84th: 60 days before the two that are compared.
    assert_eq!(days(&since_30)[0], ("unlike-usual", 0, 7));
    assert_eq!(since_30[0].last_said_at, Some(morning(84)));
}

#[test]
fn who_is_new_or_silent_is_not_listed() {
    assert!(listed(2, |_| false, 0).is_empty());
    assert!(listed(12, |day| day == 3, 0).is_empty(), "the days are yet to come");
    let red = |day: i64| day % 13 == 0;
    assert_eq!(listed(70, red, 14).len(), 3, "measured two weeks ago");
    assert!(listed(70, red, 15).is_empty(), "that nothing comes is told as missing");
}
