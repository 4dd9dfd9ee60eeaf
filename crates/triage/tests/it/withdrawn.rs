//! What is declared invalid takes nothing else with it, what is doubtful is not let go of too soon, and a silence that is over ends.

use std::sync::Arc;

use jiff::tz::TimeZone;
use triage::{Because, Chart, Event, EventKind, Mark, Outcome, Own, Plan, Programme, Sitting, assess, rejudge};
use vitals::{Clock, KitId, Reading};

use crate::person::{clinic, events, reading, time};

fn plan(name: &str) -> Plan {
    let (file, text) = triage::SHIPPED.iter().find(|(file, _)| *file == name).unwrap();
    let programme = Arc::new(Programme::parse(text, file).unwrap_or_else(|fault| panic!("{fault}")));
    let zone = TimeZone::get("Europe/Copenhagen").unwrap();
    let patient = "p-1".parse().unwrap();
    Plan::new(patient, vec![programme], clinic(), Own::default(), zone, time("2026-11-21T00:00:00Z")).unwrap()
}

fn comes(chart: &mut Chart, plan: &Plan, seq: u64, readings: &[Reading], now: &str) -> Outcome {
    let kit: KitId = "kit-1".parse().unwrap();
    let outcome = assess(chart, plan, &Event::Sitting(Sitting { kit: &kit, seq, readings, answers: &[] }), time(now));
    Outcome { alerts: outcome.alerts.into_iter().filter(|it| it.alert.family != "missing").collect(), ..outcome }
}

/// A chart of single readings, each as `2026-11-22T08:00:00Z 93 spo2 low_perfusion`, without those at one place.
fn chart(plan: &Plan, lines: &[&str], without: Option<usize>) -> Chart {
    folded(Chart::new(), plan, lines, without)
}

fn folded(mut chart: Chart, plan: &Plan, lines: &[&str], without: Option<usize>) -> Chart {
    for (at, line) in lines.iter().enumerate() {
        let (now, text) = line.split_once(' ').unwrap();
        let mut one = reading(text, time(now));
        if text.ends_with("from_storage") {
            one.clock = Clock::Kit;
        }
        let left = if without == Some(at) { vec![] } else { vec![one] };
        comes(&mut chart, plan, at as u64 + 1, &left, now);
    }
    chart
}

/// The mark of the open alert of the family `copd` once the reading at `gone` has been declared invalid.
fn left(name: &str, lines: &[&str], gone: usize) -> Option<Mark> {
    let (chart, _) = declared_invalid(name, lines, gone);
    chart.open_alerts().find(|alert| alert.family == "copd").map(|alert| alert.mark)
}

fn declared_invalid(name: &str, lines: &[&str], gone: usize) -> (Chart, Outcome) {
    let plan = plan(name);
    let whole = |without| folded(Chart::new().keeping_all(time("2026-11-01T00:00:00Z")), &plan, lines, without);
    let (before, after) = (whole(None), whole(Some(gone)));
    let (at, text) = lines[gone].split_once(' ').unwrap();
    let changed = [reading(text, time(at))];
    let (by, why) = ("anna", "not theirs");
    let because = Because::Readings { by, why, changed: &changed, before: &before, after: &after };
    let (old, rebuilt) = (chart(&plan, lines, None), chart(&plan, lines, Some(gone)));
    rejudge(&old, rebuilt, &plan, because, time("2026-11-22T11:00:00Z"))
}

#[test]
fn what_is_withdrawn_still_tells_why_somebody_was_called_and_counts_for_nothing() {
    let alone = ["2026-11-22T08:00:00Z 80 spo2", "2026-11-22T09:00:00Z 95 spo2"];
    let two = ["2026-11-22T08:00:00Z 87 spo2", "2026-11-22T08:20:00Z 80 spo2", "2026-11-22T08:40:00Z 95 spo2"];
    for (lines, gone, is_open) in [(&alone[..], 0, false), (&two[..], 1, true)] {
        let (chart, outcome) = declared_invalid("copd.toml", lines, gone);
        let [change] = outcome.alerts.as_slice() else { panic!("{:?}", outcome.alerts) };
        let alert = &change.alert;
        assert_eq!((change.event.kind, alert.state.is_open()), (EventKind::Withdrawn, is_open));
        assert!(alert.findings.iter().all(|finding| finding.colour < Mark::Red), "{:?}", alert.findings);
        let withdrawn: Vec<_> = alert.withdrawn.iter().map(|finding| finding.why.as_str()).collect();
        assert_eq!(withdrawn, ["SpO2 80 %, red at 85 % or less"]);
        assert_eq!(alert.ever_found().last(), alert.withdrawn.last().map(AsRef::as_ref));
        let stored = serde_json::to_string(alert).unwrap();
        assert_eq!(serde_json::from_str::<triage::Alert>(&stored).unwrap(), *alert);
        let before = stored.split_once("\"withdrawn\"").unwrap().0.trim_end_matches(',').to_owned() + ",\"version\":1}";
        assert!(
            serde_json::from_str::<triage::Alert>(&before).unwrap().withdrawn.is_empty(),
            "as it was stored before"
        );
        assert_eq!(chart.open_alerts().next().map(|open| open.mark), is_open.then_some(Mark::Yellow));
    }
}

#[test]
fn an_invalid_reading_takes_no_other_red_with_it() {
    let two = ["2026-11-22T08:00:00Z 80 spo2", "2026-11-22T08:20:00Z 81 spo2", "2026-11-22T08:40:00Z 95 spo2"];
    for name in ["copd.toml", "copd-baseline.toml"] {
        assert_eq!(left(name, &two, 1), Some(Mark::Red), "{name}: the red before it was true");
    }
    let stored =
        ["2026-11-22T06:55:00Z 93 spo2", "2026-11-22T07:00:00Z 80 spo2 from_storage", "2026-11-22T07:00:30Z 70 pulse"];
    assert_eq!(left("copd.toml", &stored, 2), Some(Mark::Red), "what has no place in time is none of it");
    let gone = [
        "2026-11-22T07:00:00Z 95 spo2",
        "2026-11-22T08:00:00Z 80 spo2",
        "2026-11-22T09:00:00Z 95 spo2",
        "2026-11-22T09:30:00Z 70 pulse",
    ];
    assert_eq!(left("copd.toml", &gone, 3), Some(Mark::Red), "what is not kept any longer is none of it");
    assert_eq!(left("copd.toml", &gone, 1), None, "it rested on what is not kept any longer, and that was invalid");
    let two_reds = ["2026-11-22T07:00:00Z 95 spo2", "2026-11-22T08:00:00Z 80 spo2", "2026-11-22T08:40:00Z 81 spo2"];
    let later = [&two_reds[..], &["2026-11-22T10:00:00Z 95 spo2"]].concat();
    assert_eq!(left("copd.toml", &later, 2), Some(Mark::Red), "the red before it is not kept any longer, and was true");
    assert_eq!(left("copd.toml", &stored, 1), None, "what has no place in time can be invalid too");
    let one = ["2026-11-22T08:00:00Z 80 spo2", "2026-11-22T09:00:00Z 95 spo2"];
    assert_eq!(left("copd-baseline.toml", &one, 0), None, "the only red");
}

#[test]
fn only_a_repeat_in_time_and_beyond_doubt_does_not_confirm() {
    let plan = plan("copd-baseline.toml");
    for (later, event) in [
        ("2026-11-22T08:10:00Z 93 spo2", EventKind::NotConfirmed),
        ("2026-11-22T08:20:00Z 93 spo2 low_perfusion", EventKind::Improved),
        ("2026-11-22T14:00:00Z 93 spo2", EventKind::Improved),
    ] {
        let mut chart = chart(&plan, &["2026-11-22T08:00:00Z 80 spo2 low_perfusion"], None);
        let (now, text) = later.split_once(' ').unwrap();
        let outcome = comes(&mut chart, &plan, 2, &[reading(text, time(now))], now);
        assert_eq!(events(&outcome), [event], "{later}");
        assert_eq!(chart.open_alerts().any(|it| it.mark == Mark::Red && !it.provisional), event == EventKind::Improved);
    }
}

#[test]
fn one_doubtful_yellow_after_the_other_is_told_in_time() {
    let plan = plan("pulmonary-fibrosis.toml");
    let mut chart = Chart::new();
    let mut told = Vec::new();
    for ten in 0..4 {
        let now = format!("2026-11-22T08:{ten}0:00Z");
        let outcome = comes(&mut chart, &plan, ten + 1, &[reading("38.2 temperature suspect", time(&now))], &now);
        told.extend(outcome.alerts.iter().map(|it| it.event.at));
    }
    assert_eq!(told.first(), Some(&time("2026-11-22T08:15:00Z")), "15 minutes after the first");
}

#[test]
fn a_silence_of_a_schedule_that_holds_no_longer_ends() {
    let plan = plan("heart-failure.toml");
    let (daily, stable) = (plan.clone().in_stratum(Some("discharged")), plan.in_stratum(Some("stable")));
    let mut chart = Chart::new();
    assess(&mut chart, &daily, &Event::Tick, time("2026-11-21T00:00:00Z"));
    assess(&mut chart, &daily, &Event::Tick, time("2026-11-21T20:00:00Z"));
    assert!(chart.blue());
    comes(&mut chart, &stable, 1, &[reading("70 pulse", time("2026-11-22T08:00:00Z"))], "2026-11-22T08:00:00Z");
    assert!(!chart.blue() && chart.open_alerts().next().is_none());
}
