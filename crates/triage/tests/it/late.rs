//! What comes late or in doubt, and what ends: nothing red is lost, nothing is told as now that is not, and no verdict stands without its ground.

use triage::{Because, Chart, EventKind, Mark, Own, rejudge};

use crate::{
    person::{events, reading},
    ward::{PULSE, Ward, moment},
};

const GAIN: &str = r#"
[[rule]]
id = "gain"
kind = "difference"
family = "gain"
vital = "weight"
unit = "kg"
against = "minimum"
days = 1
digits = 2
bands = [{ mark = "green", below = 2 }, { mark = "yellow", from = 2, below = 4 }, { mark = "red", from = 4 }]
"#;

#[test]
fn a_time_between_that_becomes_red_by_something_late_is_told_as_of_then() {
    let mut ward = Ward::of(GAIN);
    ward.on("10 08:00", "84 weight");
    ward.on("11 20:00", "80 weight");
    ward.on("12 08:00", "80 weight");
    assert!(ward.alerts().is_empty(), "nothing to compare with on the 10th, and no gain on the 12th");
    let late = ward.sends("09 08:00", "12 09:00", "79 weight");
    let alert = &late.alerts[0].alert;
    assert_eq!((alert.mark, alert.late, alert.now_mark), (Mark::Red, true, Mark::Green), "{alert:#?}");
    let finding = &alert.findings[0];
    assert_eq!((finding.at, finding.late), (moment("10 08:00"), true));
    assert!(
        finding.why.contains("5.00 kg above the least") && finding.why.contains("seen only now"),
        "{}",
        finding.why
    );
    assert_eq!(ward.mark("gain"), Some(Mark::Green), "it is none of now");
    assert!(ward.sends("09 08:00", "12 09:10", "79 weight").alerts.is_empty(), "and is told once");
}

#[test]
fn a_late_red_is_shown_and_is_not_news_of_now() {
    let mut ward = Ward::of(PULSE);
    ward.on("10 08:00", "80 pulse");
    let late = ward.sends("09 08:00", "10 08:05", "140 pulse");
    let alert = &late.alerts[0].alert;
    assert_eq!((alert.mark, alert.late, alert.now_mark), (Mark::Red, true, Mark::Green));
    assert!(late.assessment.unwrap().late);
    let mut ward = Ward::of(PULSE);
    ward.on("10 08:00", "115 pulse");
    let late = ward.sends("09 08:00", "10 08:05", "140 pulse");
    let alert = &late.alerts[0].alert;
    assert_eq!(
        (alert.mark, alert.late, alert.now_mark),
        (Mark::Red, true, Mark::Yellow),
        "red was then, yellow is now"
    );
    let now = ward.on("10 09:00", "140 pulse");
    assert!(!now.alerts[0].alert.late, "now it is news");
}

const DRY: &str = r#"
[[rule]]
id = "dry"
kind = "difference"
family = "dry"
vital = "weight"
unit = "kg"
against = "reference"
digits = 2
bands = [{ mark = "green", below = 2 }, { mark = "red", from = 2 }]
"#;

#[test]
fn what_has_nothing_left_to_compare_with_stands_down_and_says_why() {
    let own: Own = serde_json::from_str(
        r#"{"references":[{"rule":"dry","value":80,"unit":"kg","author":"Dr Holm","reason":"dry weight",
            "from":"2026-11-01T00:00:00Z","until":"2026-11-11T00:00:00Z"}]}"#,
    )
    .unwrap();
    let mut ward = Ward::with(DRY, own);
    ward.on("10 08:00", "83 weight");
    assert_eq!((ward.mark("dry"), ward.chart.colour()), (Some(Mark::Red), vitals::Colour::Red));
    let after = ward.on("11 08:00", "84 weight");
    assert_eq!((ward.mark("dry"), ward.chart.colour()), (None, vitals::Colour::Green));
    let change = &after.alerts[0];
    assert_eq!((change.event.kind, change.alert.mark), (EventKind::Improved, Mark::Red), "a person closes it");
    assert_eq!(change.event.text, "dry: the reference value that it compared with has ended");
    let mut ward = Ward::of(GAIN);
    ward.on("10 08:00", "80 weight");
    ward.on("11 08:00", "85 weight");
    let after = ward.on("20 08:00", "85 weight");
    assert_eq!(ward.mark("gain"), None);
    assert_eq!(after.alerts[0].event.text, "gain: too little is left to compare with, 0 of 1");
}

#[test]
fn a_silent_kit_makes_nobody_less_serious() {
    let rules = format!(
        "{PULSE}{}",
        r#"
[[rule]]
id = "missing"
kind = "missing"
family = "missing"
schedule = "daily"
vitals = ["pulse"]
in_a_row = 2
then = "yellow"
after_red = "yellow"
kit_silent = "blue"
"#
    );
    for (pulse, mark) in [("140 pulse", Mark::Yellow), ("80 pulse", Mark::Blue)] {
        let mut ward = Ward::of(&rules);
        ward.ticks("10 07:00");
        ward.on("10 07:00", pulse);
        ward.kit("10 20:00", true);
        ward.ticks("12 20:00");
        assert_eq!(ward.mark("missing"), Some(mark), "{pulse}: {}", ward.why("missing"));
    }
}

#[test]
fn a_limit_that_only_a_doubtful_value_crossed_is_not_kept() {
    let rules = r#"
[[rule]]
id = "pulse"
kind = "band"
family = "ward"
vital = "pulse"
unit = "/min"
hysteresis = 5
bands = [{ mark = "green", below = 110 }, { mark = "yellow", from = 110, below = 130 }, { mark = "red", from = 130 }]
"#;
    for (first, mark) in [("112 pulse low_perfusion", Mark::Green), ("112 pulse", Mark::Yellow)] {
        let mut ward = Ward::of(rules);
        ward.on("10 08:00", first);
        ward.on("10 09:00", "108 pulse");
        assert_eq!(ward.mark("pulse"), Some(mark), "{first}");
    }
}

pub const TEMPERATURE: &str = r#"
[[rule]]
id = "temperature"
kind = "band"
family = "ward"
vital = "temperature"
unit = "Cel"
bands = [{ mark = "green", below = 38 }, { mark = "yellow", from = 38, below = 39 }, { mark = "red", from = 39 }]
"#;

#[test]
fn a_sure_yellow_of_another_rule_says_nothing_of_a_doubtful_red() {
    let mut ward = Ward::repeating(&format!("{PULSE}{TEMPERATURE}"));
    let first = ward.on("10 08:00", "140 pulse low_perfusion");
    assert!(first.alerts[0].alert.provisional);
    let other = ward.on("10 08:02", "38.5 temperature");
    assert_eq!(events(&other), [EventKind::Repeated]);
    assert!(other.alerts[0].alert.provisional, "nobody has measured the pulse again");
    let repeat = ward.on("10 08:05", "80 pulse");
    let alert = &repeat.alerts[0].alert;
    assert_eq!(events(&repeat), [EventKind::NotConfirmed]);
    assert_eq!(
        (alert.mark, alert.provisional, alert.state.is_open()),
        (Mark::Yellow, false, true),
        "what is sure stays"
    );
    let mut ward = Ward::repeating(&format!("{PULSE}{TEMPERATURE}"));
    ward.on("10 08:00", "140 pulse low_perfusion, 38.5 temperature");
    let confirmed = ward.on("10 08:05", "140 pulse");
    assert_eq!(events(&confirmed), [EventKind::Confirmed]);
}

#[test]
fn what_was_restored_is_told_as_of_then() {
    let told = [("10 08:00", "80 pulse"), ("10 12:00", "140 pulse"), ("10 20:00", "80 pulse")];
    let folded = |chart: Chart, without: bool| {
        let mut ward = Ward::of(PULSE);
        ward.chart = chart;
        told.iter().filter(|(at, _)| !without || *at != "10 12:00").for_each(|(at, what)| drop(ward.on(at, what)));
        ward
    };
    let whole = |without| folded(Chart::new().keeping_all(moment("01 00:00")), without).chart;
    let (before, after) = (whole(true), whole(false));
    let (without, with) = (folded(Chart::new(), true), folded(Chart::new(), false));
    let changed = [reading("140 pulse", moment("10 12:00"))];
    let (by, why) = ("anna", "it was hers after all");
    let because = Because::Readings { by, why, changed: &changed, before: &before, after: &after };
    let (chart, outcome) = rejudge(&without.chart, with.chart, &with.plan, because, moment("11 08:00"));
    let alert = &outcome.alerts[0].alert;
    assert_eq!((alert.mark, alert.late, alert.now_mark), (Mark::Red, true, Mark::Green), "{alert:#?}");
    assert_eq!(alert.findings[0].at, moment("10 12:00"));
    assert_eq!(chart.colour(), vitals::Colour::Green);
}

#[test]
fn a_red_behind_a_later_red_of_its_sitting_counts_too() {
    let (in_order, reversed) = (["10 08:00", "10 08:05"], ["10 08:05", "10 08:00"]);
    for order in [in_order, reversed] {
        let mut ward = Ward::of(PULSE);
        for at in order {
            ward.sends(at, "10 08:06", "140 pulse");
        }
        assert_eq!(ward.alerts(), [("ward".to_owned(), Mark::Red)]);
        let found = ward.chart.open_alerts().map(|alert| alert.count).collect::<Vec<_>>();
        assert_eq!(found, [2], "{order:?}");
    }
    let mut ward = Ward::of(PULSE);
    ward.sends("10 08:05", "10 08:06", "80 pulse");
    assert_eq!(ward.sends("10 08:00", "10 08:06", "140 pulse").alerts[0].alert.mark, Mark::Red, "a green hides none");
}
