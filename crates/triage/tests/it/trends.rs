//! The rules that compare a person with themselves: best, baseline, weighted mean, running sum, rolling limit, slope, variability. The numbers
//! were worked out by Python's `statistics` and scipy, not by this program.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::prelude::*;
use triage::{Chart, Event, Finding, Mark, Own, Plan, Programme, Reason, Sitting, assess};
use vitals::{KitId, Reading};

use crate::person::{clinic, reading, time};

/// A programme of these rules.
fn text(rules: &str) -> String {
    let head = "id = \"own-course\"\nversion = 3\ntitle = { en = \"Own course\", da = \"Eget forløb\" }\nzone = \"UTC\"\n\
                [clinic]\nlate_after = \"24h\"\nease_after_sittings = 2\nearly = \"2h\"\ngrace = \"2h\"\nbaseline_frozen = \"168h\"\n";
    format!("{head}{rules}")
}

/// A rule of one kind for one vital, with what is particular to it, red on the low side below and yellow at it.
fn rule(kind: &str, vital: &str, particular: &str) -> String {
    format!("[[rule]]\nid = \"own\"\nkind = \"{kind}\"\nfamily = \"own\"\nvital = \"{vital}\"\n{particular}\n")
}

const LOW: &str = "bands = [{ mark = \"red\", at_most = -2.5 }, { mark = \"yellow\", above = -2.5, at_most = -2 }, \
                   { mark = \"green\", above = -2 }]";
const BASELINE: &str = "baseline = { centre = \"mean\", days = 14, minimum_days = 7, max_age_days = 40 }";
const MEDIAN: &str = "baseline = { centre = \"median\", days = 14, minimum_days = 7, max_age_days = 40 }";
/// Fourteen days of FEV1: mean 1.4114, standard deviation 0.0271, median 1.41, median absolute deviation 0.02.
const FEV1: [f64; 14] = [1.41, 1.38, 1.44, 1.40, 1.43, 1.37, 1.45, 1.42, 1.39, 1.41, 1.40, 1.46, 1.38, 1.42];
const SPO2: [f64; 14] = [94.0, 95.0, 94.0, 93.0, 94.0, 95.0, 94.0, 93.0, 94.0, 95.0, 94.0, 93.0, 94.0, 95.0];
const PULSE: [f64; 14] = [80.0, 82.0, 78.0, 80.0, 81.0, 79.0, 80.0, 82.0, 78.0, 80.0, 80.0, 82.0, 78.0, 80.0];

fn z(floor: &str) -> String {
    format!("as = \"z\"\nunit = \"{{z}}\"\n{BASELINE}\nsd_floor = {floor}\ndigits = 1\n{LOW}")
}

/// Somebody whose course begins on 2026-11-01, at eight in the morning each day.
#[derive(Clone)]
struct Course {
    plan: Plan,
    chart: Chart,
    seq: u64,
}

fn morning(day: i64) -> Timestamp {
    time("2026-11-01T08:00:00Z") + SignedDuration::from_hours(24 * day)
}

impl Course {
    fn new(rules: &str) -> Self {
        Self::with(rules, "{}")
    }

    fn with(rules: &str, own: &str) -> Self {
        Self::of(&text(rules), own)
    }

    fn of(text: &str, own: &str) -> Self {
        let programme = Programme::parse(text, "own.toml").unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        let own: Own = serde_json::from_str(own).unwrap();
        let since = time("2026-11-01T00:00:00Z");
        let patient = "p-1".parse().unwrap();
        let plan = Plan::new(patient, vec![Arc::new(programme)], clinic(), own, TimeZone::UTC, since)
            .unwrap_or_else(|fault| panic!("{fault}"));
        Self { plan, chart: Chart::new(), seq: 0 }
    }

    fn gives(&mut self, readings: &[Reading], now: Timestamp) {
        self.seq += 1;
        let kit: KitId = "kit-1".parse().unwrap();
        let sitting = Sitting { kit: &kit, seq: self.seq, readings, answers: &[] };
        assess(&mut self.chart, &self.plan, &Event::Sitting(sitting), now);
    }

    /// `94 spo2` on the morning of a day.
    fn on(&mut self, day: i64, text: &str) -> &mut Self {
        self.gives(&[reading(text, morning(day))], morning(day));
        self
    }

    fn days(&mut self, vital: &str, from: i64, values: &[f64]) -> &mut Self {
        let digits = if ["fev1", "fvc"].contains(&vital) { 2 } else { 0 };
        for (day, value) in (from..).zip(values) {
            self.on(day, &format!("{value:.digits$} {vital}"));
        }
        self
    }

    fn finding(&self) -> Option<Finding> {
        self.chart.standing(&self.plan).into_iter().find(|finding| finding.rule == "own")
    }

    #[track_caller]
    fn says(&self, mark: Mark, why: &str) {
        let finding = self.finding().expect("a finding");
        assert_eq!((finding.colour, finding.why.as_str()), (mark, why));
        let text = serde_json::to_string(&finding).unwrap();
        assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding, "it reads back as it was written: {text}");
    }

    fn mark(&self) -> Option<Mark> {
        self.finding().map(|finding| finding.colour)
    }

    fn compared(&self) -> (String, u32, String, String) {
        let Some(Reason::Trend { compared: Some(with), .. }) = self.finding().map(|finding| finding.reason) else {
            panic!("nothing compared")
        };
        let day = |at: Timestamp| at.to_string()[..10].to_owned();
        (with.value.to_string(), with.count, day(with.from), day(with.until))
    }
}

/// What comes after fourteen usual days, and what is said.
#[track_caller]
fn after(rules: &str, vital: &str, usual: &[f64], then: &[(&str, Mark, &str)]) {
    for (value, mark, why) in then {
        let mut course = Course::new(rules);
        course.days(vital, 0, usual).on(14, &format!("{value} {vital}"));
        course.says(*mark, why);
    }
}

const SINCE: &str = "its own baseline 1.41 L (14 stable days, 2026-11-01 to 2026-11-14)";

#[test]
fn a_distance_from_the_baseline_in_spreads_with_a_floor() {
    let rules = rule("baseline", "fev1", &z("{ percent = 3 }"));
    let red = format!("FEV1 1.30 L, 2.6 spreads below {SINCE}, red at 2.5 or more below");
    let yellow = format!("FEV1 1.31 L, 2.4 spreads below {SINCE}, yellow at 2 or more below");
    let green = format!("FEV1 1.33 L, 1.9 spreads below {SINCE}, green at less than 2 below");
    let high = format!("FEV1 1.45 L, 0.9 spreads above {SINCE}, green at less than 2 below");
    let cases = [
        ("1.30", Mark::Red, &*red),
        ("1.31", Mark::Yellow, &*yellow),
        ("1.33", Mark::Green, &*green),
        ("1.45", Mark::Green, &*high),
    ];
    after(&rules, "fev1", &FEV1, &cases);

    let narrow = rule("baseline", "fev1", &z("{ percent = 0.1 }"));
    let red = format!("FEV1 1.34 L, 2.6 spreads below {SINCE}, red at 2.5 or more below");
    let yellow = format!("FEV1 1.35 L, 2.3 spreads below {SINCE}, yellow at 2 or more below");
    after(&narrow, "fev1", &FEV1, &[("1.34", Mark::Red, &*red), ("1.35", Mark::Yellow, &*yellow)]);

    let litres = rule("baseline", "fev1", &z("{ value = 0.05, unit = \"L\" }"));
    let yellow = format!("FEV1 1.31 L, 2.0 spreads below {SINCE}, yellow at 2 or more below");
    after(&litres, "fev1", &FEV1, &[("1.31", Mark::Yellow, &*yellow)]);
}

#[test]
fn a_robust_distance() {
    let particular = z("{ percent = 0.1 }").replace(BASELINE, MEDIAN);
    let red = format!("FEV1 1.31 L, 3.4 spreads below {SINCE}, red at 2.5 or more below");
    after(&rule("baseline", "fev1", &particular), "fev1", &FEV1, &[("1.31", Mark::Red, &*red)]);
    // A wild day among them hardly moves it: median 1.405 instead of 1.41, median absolute deviation 0.025 instead of 0.02.
    let mut wild = FEV1;
    wild[0] = 0.60;
    let mut course = Course::new(&rule("baseline", "fev1", &particular));
    course.days("fev1", 0, &wild).on(14, "1.31 fev1");
    assert!(course.finding().unwrap().why.starts_with("FEV1 1.31 L, 2.6 spreads below its own baseline 1.4"));
}

#[test]
fn a_distance_as_a_difference_and_in_percent() {
    let unit =
        |as_, unit: &str, bands: &str| format!("as = \"{as_}\"\nunit = \"{unit}\"\n{MEDIAN}\ndigits = 1\n{bands}");
    let bands = "bands = [{ mark = \"red\", below = -10 }, { mark = \"green\", from = -10 }]";
    let red = format!("FEV1 1.26 L, 10.6 % below {SINCE}, red at more than 10 % below");
    let green = format!("FEV1 1.27 L, 9.9 % below {SINCE}, green at most 10 % below");
    let rules = rule("baseline", "fev1", &unit("percent", "%", bands));
    after(&rules, "fev1", &FEV1, &[("1.26", Mark::Red, &*red), ("1.27", Mark::Green, &*green)]);

    let bands = "bands = [{ mark = \"green\", below = 15 }, { mark = \"yellow\", from = 15 }]";
    let since = "its own baseline 80.0 /min (14 stable days, 2026-11-01 to 2026-11-14)";
    let yellow = format!("pulse 95 /min, 15.0 /min above {since}, yellow at 15 /min or more above");
    let same = format!("pulse 80 /min, 0.0 /min from {since}, green at less than 15 /min above");
    let rules = rule("baseline", "pulse", &unit("difference", "/min", bands));
    after(&rules, "pulse", &PULSE, &[("95", Mark::Yellow, &*yellow), ("80", Mark::Green, &*same)]);
}

const REFERENCE: &str = r#"{"references":[{"rule":"own","value":3.0,"unit":"L","author":"Dr. A","reason":"spirometry at the hospital",
    "from":"2026-10-01T00:00:00Z","until":"2026-11-03T00:00:00Z"}]}"#;

#[test]
fn a_baseline_that_was_set_counts_while_it_holds() {
    let bands = "bands = [{ mark = \"red\", below = -10 }, { mark = \"green\", from = -10 }]";
    let particular = format!("as = \"percent\"\nunit = \"%\"\n{MEDIAN}\ndigits = 1\n{bands}");
    let mut course = Course::with(&rule("baseline", "fvc", &particular), REFERENCE);
    course.on(0, "2.60 fvc").says(
        Mark::Red,
        "FVC 2.60 L, 13.3 % below its own baseline 3.00 L (set from 2026-10-01 until 2026-11-03), red at more than 10 % below",
    );
    course.on(2, "2.60 fvc");
    assert_eq!(
        course.chart.open_alerts().next().unwrap().count,
        1,
        "it is over, and there are too few days for another"
    );
}

#[test]
fn percent_of_the_personal_best() {
    let zones = "unit = \"%\"\ndigits = 0\nbands = [{ mark = \"red\", below = 50 }, { mark = \"yellow\", from = 50, below = 80 }, \
                 { mark = \"green\", from = 80 }]";
    let record = format!("best = \"record\"\nover_days = 30\nminimum_days = 5\n{zones}");
    let rules = rule("personal_best", "pef", &record);
    let usual = [380.0, 400.0, 390.0, 400.0, 360.0];
    for (value, mark, why) in [
        (
            "199",
            Mark::Yellow,
            "PEF 199 L/min, 50 % of the personal best 400.0 L/min (of 2026-11-04, the best of 5 days), yellow below 80 %",
        ),
        (
            "197",
            Mark::Red,
            "PEF 197 L/min, 49 % of the personal best 400.0 L/min (of 2026-11-04, the best of 5 days), red below 50 %",
        ),
        (
            "320",
            Mark::Green,
            "PEF 320 L/min, 80 % of the personal best 400.0 L/min (of 2026-11-04, the best of 5 days), green at 80 % or more",
        ),
        (
            "440",
            Mark::Green,
            "PEF 440 L/min, 110 % of the personal best 400.0 L/min (of 2026-11-04, the best of 5 days), green at 80 % or more",
        ),
    ] {
        let mut course = Course::new(&rules);
        course.days("pef", 0, &usual).on(5, &format!("{value} pef")).says(mark, why);
    }
    let mut course = Course::new(&rules);
    assert_eq!(course.days("pef", 0, &usual).mark(), None, "four days before are too few");

    let set =
        rule("personal_best", "fev1", &format!("best = \"set_or_record\"\nover_days = 30\nminimum_days = 2\n{zones}"));
    let mut course = Course::with(&set, REFERENCE);
    course.days("fev1", 0, &[1.50, 1.60]).says(
        Mark::Yellow,
        "FEV1 1.60 L, 53 % of the personal best 3.00 L (set from 2026-10-01 until 2026-11-03), yellow below 80 %",
    );
    course.on(2, "1.20 fev1").says(
        Mark::Yellow,
        "FEV1 1.20 L, 75 % of the personal best 1.60 L (of 2026-11-02, the best of 2 days), yellow below 80 %",
    );
    let alone = rule("personal_best", "fev1", &format!("best = \"set\"\n{zones}"));
    assert_eq!(Course::new(&alone).on(0, "1.20 fev1").mark(), None, "nothing is set");
}

fn run(particular: &str, high: &str) -> String {
    let bands = "bands = [{ mark = \"red\", at_most = -RED }, { mark = \"yellow\", above = -RED, at_most = -YELLOW }, \
                 { mark = \"green\", above = -YELLOW, below = YELLOW }, { mark = \"yellow\", from = YELLOW, below = RED }, \
                 { mark = \"red\", from = RED }]";
    let (yellow, red) = high.split_once(' ').unwrap();
    let bands = bands.replace("RED", red).replace("YELLOW", yellow);
    format!("unit = \"{{z}}\"\n{particular}\nover_days = 7\nminimum_days = 3\n{BASELINE}\ndigits = 1\n{bands}")
}

#[test]
fn a_weighted_mean_sees_a_small_shift_that_lasts() {
    let rules = rule("ewma", "spo2", &run("weight = 0.2\nsd_floor = { value = 1, unit = \"%\" }", "2.5 3.5"));
    let mut course = Course::new(&rules);
    // Twenty-one usual days: seven of the run, fourteen of the baseline.
    course.days("spo2", 0, &SPO2).days("spo2", 14, &[94.0, 93.0, 93.0, 92.0, 93.0, 92.0, 92.0]);
    course.says(
        Mark::Red,
        "SpO2 92 %, its mean of the last 7 days (weight 0.2) 3.9 spreads below its own baseline 94.1 % \
         (14 stable days, 2026-11-01 to 2026-11-14), red at 3.5 or more below",
    );
    let mut course = Course::new(&rules);
    course.days("spo2", 0, &SPO2[..11]).on(16, "94 spo2").on(17, "92 spo2");
    assert_eq!(course.mark(), None, "two days of the run are too few");
    course.on(18, "94 spo2");
    assert_eq!(course.mark(), Some(Mark::Green));
}

#[test]
fn a_running_sum_sees_what_drifts_and_begins_anew_after_its_alarm() {
    let rules = rule("cusum", "pulse", &run("slack = 0.5\nsd_floor = { value = 4, unit = \"/min\" }", "4 5"));
    let mut course = Course::new(&rules);
    // In spreads of 4 from the mean 80 of the eleven days before the run, less the slack: 0, 0, 0, 0.5, 1, 1.5 and 2.
    course.days("pulse", 0, &PULSE).days("pulse", 14, &[84.0, 86.0, 88.0, 90.0]).says(
        Mark::Red,
        "pulse 90 /min, over the last 7 days in all 5.0 spreads above (slack 0.5 a day) its own baseline 80.0 /min \
         (11 stable days, 2026-11-01 to 2026-11-11), red at 5 or more above",
    );
    let mut course = Course::new(&rules);
    course.days("pulse", 0, &[80.0; 14]);
    let marks: Vec<_> = (14..18).map(|day| course.on(day, "90 pulse").mark().unwrap()).collect();
    assert_eq!(marks, [Mark::Green, Mark::Yellow, Mark::Red, Mark::Green], "sums 2, 4, 6, and anew 2");
}

#[test]
fn a_rolling_limit_of_seven_days() {
    let bands = "bands = [{ mark = \"yellow\", below = -1.645 }, { mark = \"green\", from = -1.645 }]";
    let particular = format!(
        "unit = \"{{z}}\"\nover_days = 7\nminimum_days = 5\nsd_floor = {{ percent = 0.1 }}\ndigits = 3\n{bands}"
    );
    let rules = rule("control", "fev1", &particular);
    for (value, mark, words) in [
        (
            "1.36",
            Mark::Yellow,
            "FEV1 1.36 L, 1.701 spreads below the mean 1.41 L of the 7 days before \
          (7 days, 2026-11-01 to 2026-11-07), yellow at more than 1.645 below",
        ),
        (
            "1.37",
            Mark::Green,
            "FEV1 1.37 L, 1.370 spreads below the mean 1.41 L of the 7 days before \
          (7 days, 2026-11-01 to 2026-11-07), green at most 1.645 below",
        ),
    ] {
        let mut course = Course::new(&rules);
        course.days("fev1", 0, &FEV1[..7]).on(7, &format!("{value} fev1")).says(mark, words);
    }
    let mut course = Course::new(&rules);
    assert_eq!(course.days("fev1", 0, &FEV1[..5]).mark(), None, "four days before are too few");
}

const CLASSES: &str = "bands = [{ mark = \"red\", below = -10 }, { mark = \"yellow\", from = -10, at_most = -5 }, \
                       { mark = \"green\", above = -5 }]";

#[test]
fn a_slope_over_months() {
    let window = "over_days = 120\nminimum_days = 10\nminimum_span_days = 60\ndigits = 1";
    let percent = rule("slope", "fvc", &format!("as = \"percent_per_year\"\nunit = \"%/a\"\n{window}\n{CLASSES}"));
    let weekly = [3.0, 2.99, 2.99, 2.98, 2.98, 2.0, 2.97, 2.96, 2.95, 2.95, 2.94, 2.94, 2.93, 2.93];
    let mut course = Course::new(&percent);
    for (week, value) in (0..).zip(weekly) {
        course.on(7 * week, &format!("{value:.2} fvc"));
        assert_eq!(course.mark().is_some(), week >= 9, "week {week}: ten days and sixty days' span");
    }
    course.says(
        Mark::Yellow,
        "FVC 2.93 L, falling by 9.6 % a year of its median 2.96 L (14 days, 2026-11-01 to 2027-01-31), yellow at -5 % a year or less",
    );
    let bands = "bands = [{ mark = \"yellow\", below = -0.2 }, { mark = \"green\", from = -0.2 }]";
    let litres = format!("as = \"per_year\"\nunit = \"L/a\"\n{}\n{bands}", window.replace("digits = 1", "digits = 2"));
    let mut course = Course::new(&rule("slope", "fvc", &litres));
    for (week, value) in (0..).zip(weekly) {
        course.on(7 * week, &format!("{value:.2} fvc"));
    }
    course.says(
        Mark::Yellow,
        "FVC 2.93 L, falling by 0.28 L a year (14 days, 2026-11-01 to 2027-01-31), yellow below -0.2 L a year",
    );
}

#[test]
fn variability_over_a_window() {
    let window = "over_days = 28\nminimum_days = 10\ndigits = 1";
    let bands = "bands = [{ mark = \"green\", below = 5 }, { mark = \"yellow\", from = 5 }]";
    let values = [2.50, 2.70, 2.40, 2.65, 2.55, 2.35, 2.60, 2.75, 2.45, 2.50];
    let mut course = Course::new(&rule("variability", "fvc", &format!("as = \"cv\"\nunit = \"%\"\n{window}\n{bands}")));
    course.days("fvc", 0, &values).says(
        Mark::Yellow,
        "FVC 2.50 L, varying by 5.1 % of its mean 2.55 L (10 days, 2026-11-01 to 2026-11-10), yellow at 5 % or more",
    );
    let zigzag = [94.0, 92.0, 94.0, 92.0, 94.0, 92.0, 94.0, 92.0, 94.0, 92.0];
    let mut course =
        Course::new(&rule("variability", "spo2", &format!("as = \"residual\"\nunit = \"%\"\n{window}\n{bands}")));
    // Its robust line is level at 93: ten squares of 1, divided by 8.
    course.days("spo2", 0, &zigzag).says(
        Mark::Green,
        "SpO2 92 %, varying by 1.1 % about its own line (10 days, 2026-11-01 to 2026-11-10), green below 5 %",
    );
}

/// A red band beside the baseline of SpO2.
fn with_red() -> String {
    let band = "[[rule]]\nid = \"low\"\nkind = \"band\"\nfamily = \"low\"\nvital = \"spo2\"\nunit = \"%\"\n\
                bands = [{ mark = \"red\", at_most = 85 }, { mark = \"green\", above = 85 }]\n";
    format!("{band}{}", rule("baseline", "spo2", &z("{ value = 1, unit = \"%\" }")))
}

#[test]
fn a_baseline_stands_still_around_a_red() {
    let mut course = Course::new(&with_red());
    course.days("spo2", 0, &SPO2).on(14, "84 spo2");
    // For a week after the red nothing new counts.
    course.days("spo2", 15, &[92.0; 7]);
    assert_eq!(course.compared(), ("94.1".into(), 14, "2026-11-01".into(), "2026-11-14".into()));
    course.on(22, "93 spo2").on(23, "93 spo2");
    assert_eq!(course.compared(), ("94.0".into(), 14, "2026-11-02".into(), "2026-11-23".into()));
}

#[test]
fn a_baseline_expires_and_needs_its_days() {
    let mut course = Course::new(&rule("baseline", "spo2", &z("{ value = 1, unit = \"%\" }")));
    course.days("spo2", 0, &SPO2[..7]);
    assert_eq!(course.mark(), None, "six days before are too few");
    assert_eq!(course.clone().on(7, "80 spo2").mark(), Some(Mark::Red));
    assert_eq!(course.clone().on(40, "80 spo2").mark(), Some(Mark::Red), "forty days ago still counts");
    assert_eq!(course.on(41, "80 spo2").mark(), None, "forty-one does not: six are left");
}

#[test]
fn a_gap_keeps_what_is_creeping_in_out_of_the_baseline() {
    let gap = z("{ value = 1, unit = \"%\" }").replace("max_age_days = 40", "max_age_days = 40, gap_days = 3");
    let mut course = Course::new(&rule("baseline", "spo2", &gap));
    course.days("spo2", 0, &SPO2).days("spo2", 14, &[90.0, 90.0, 90.0, 90.0]);
    assert_eq!(course.compared(), ("94.1".into(), 14, "2026-11-01".into(), "2026-11-14".into()));
}

#[test]
fn a_day_counts_once_by_its_first_reading_that_is_beyond_doubt() {
    let mut course = Course::new(&rule("baseline", "spo2", &z("{ value = 1, unit = \"%\" }")));
    for day in 0..7 {
        course.on(day, "70 spo2 low_perfusion");
        for minutes in 0..30 {
            let at = morning(day) + SignedDuration::from_mins(60 + minutes);
            let value = if minutes == 0 { "94 spo2" } else { "99 spo2" };
            course.gives(&[reading(value, at)], at);
        }
    }
    course.on(7, "94 spo2");
    assert_eq!(course.compared(), ("94.0".into(), 7, "2026-11-01".into(), "2026-11-07".into()));
    course.on(9, "70 spo2 low_perfusion").on(10, "94 spo2");
    assert_eq!(course.compared().1, 8, "a day of doubtful readings alone does not count");
}

#[test]
fn hysteresis_keeps_a_statistic_beyond_its_limit_until_it_is_back() {
    let rules = rule("baseline", "spo2", &format!("{}\nhysteresis = 0.5", z("{ value = 1, unit = \"%\" }")));
    let mut course = Course::new(&rules);
    course.days("spo2", 0, &[94.0; 14]).on(14, "92 spo2");
    assert_eq!(course.mark(), Some(Mark::Yellow));
    course.on(15, "92.2 spo2");
    let why = course.finding().unwrap().why;
    assert!(why.ends_with("yellow at 2 or more below, kept until it is 0.5 spreads back over the limit"), "{why}");
    assert_eq!(course.on(16, "92.6 spo2").mark(), Some(Mark::Green));
    assert_eq!(course.on(17, "92.2 spo2").mark(), Some(Mark::Green), "from the other side it is green");
}

#[test]
fn own_limits_are_in_the_unit_of_the_statistic() {
    let own = r#"{"limits":[{"rule":"own","limit":"red_low","value":-4,"unit":"{z}","author":"Dr. A","reason":"often low",
        "from":"2026-11-01T00:00:00Z"}]}"#;
    let mut course = Course::with(&rule("baseline", "fev1", &z("{ percent = 3 }")), own);
    course
        .days("fev1", 0, &FEV1)
        .on(14, "1.30 fev1")
        .says(Mark::Yellow, &format!("FEV1 1.30 L, 2.6 spreads below {SINCE}, yellow at 2 or more below"));
    course.on(15, "1.20 fev1");
    assert!(course.finding().unwrap().why.ends_with("red at 4 or more below (own limit)"));
}

#[test]
fn a_doubtful_value_is_told_as_doubtful() {
    let mut course = Course::new(&rule("baseline", "fev1", &z("{ percent = 3 }")));
    course.days("fev1", 0, &FEV1).on(14, "1.30 fev1 suspect_step");
    course.says(
        Mark::Red,
        &format!(
            "FEV1 1.30 L, 2.6 spreads below {SINCE}, red at 2.5 or more below, doubtful: large step from the value before"
        ),
    );
}

/// One mistake, and what is said of it.
#[track_caller]
fn refused(kind: &str, vital: &str, particular: &str, from: &str, to: &str, wanted: &str) {
    let rules = text(&rule(kind, vital, particular));
    assert!(rules.contains(from), "{from:?} is not in {rules}");
    let fault = Programme::parse(&rules.replacen(from, to, 1), "own.toml").unwrap_err().to_string();
    assert!(fault.contains(wanted), "{to:?}: {fault}");
}

#[test]
fn mistakes_are_refused_with_their_place() {
    let spread = z("{ percent = 3 }");
    for (from, to, wanted) in [
        ("unit = \"{z}\"", "unit = \"L\"", "rule[0].unit: found \"L\", want \"{z}\""),
        ("as = \"z\"", "as = \"zz\"", "rule[0].as: found `zz`, want one of `z`, `difference`, `percent`"),
        ("days = 14", "days = 61", "rule[0].baseline.days: found 61, want 2 to 60"),
        ("minimum_days = 7", "minimum_days = 15", "rule[0].baseline.minimum_days: found 15, want 2 to 14"),
        ("max_age_days = 40", "max_age_days = 13", "rule[0].baseline.max_age_days: found 13, want 14 to 400"),
        ("max_age_days = 40", "max_age = 40", "rule[0].baseline.max_age: found unknown field"),
        ("{ percent = 3 }", "{ percent = 0 }", "rule[0].sd_floor: found 0, want more than 0"),
        ("{ percent = 3 }", "{ value = 3, unit = \"%\" }", "rule[0].sd_floor.unit: found \"%\", want \"L\""),
        ("{ percent = 3 }", "{ value = 3 }", "rule[0].sd_floor: found neither or both of them"),
        ("sd_floor = { percent = 3 }\n", "", "rule[0].sd_floor: found nothing, want the least spread"),
        ("digits = 1", "digits = 9", "rule[0].digits: found 9, want at most 4"),
        ("at_most = -2.5", "at_most = -3", "in no band"),
        ("digits = 1", "digits = 1\nhysteresis = 0", "rule[0].hysteresis: found 0, want more than 0"),
        ("as = \"z\"\nunit = \"{z}\"", "as = \"percent\"\nunit = \"%\"", "rule[0].sd_floor: found it, want it for"),
    ] {
        refused("baseline", "fev1", &spread, from, to, wanted);
    }
    let mean = run("weight = 0.2\nsd_floor = { value = 1, unit = \"%\" }", "2.5 3.5");
    for (from, to, wanted) in [
        ("weight = 0.2", "weight = 1.5", "rule[0].weight: found 1.5, want more than 0 and at most 1"),
        ("over_days = 7", "over_days = 1", "rule[0].over_days: found 1, want 2 to 400"),
        ("minimum_days = 3", "minimum_days = 8", "rule[0].minimum_days: found 8, want 1 to 7"),
    ] {
        refused("ewma", "spo2", &mean, from, to, wanted);
    }
    let slope = format!(
        "as = \"per_year\"\nunit = \"L/a\"\nover_days = 90\nminimum_days = 10\nminimum_span_days = 45\ndigits = 2\n{LOW}"
    );
    for (from, to, wanted) in [
        ("minimum_span_days = 45", "minimum_span_days = 90", "rule[0].minimum_span_days: found 90, want 7 to 89"),
        ("unit = \"L/a\"", "unit = \"L\"", "rule[0].unit: found \"L\", want \"L/a\""),
        ("over_days = 90", "over_days = 13", "rule[0].over_days: found 13, want 14 to 400"),
        ("minimum_days = 10", "minimum_days = 4", "rule[0].minimum_days: found 4, want 5 to 90"),
    ] {
        refused("slope", "fvc", &slope, from, to, wanted);
    }
    let best = format!("best = \"record\"\nover_days = 30\nminimum_days = 5\nunit = \"%\"\ndigits = 0\n{LOW}");
    for (from, to, wanted) in [
        ("over_days = 30\n", "", "rule[0].over_days: found nothing, want it where the best comes from the record"),
        ("\"record\"", "\"set\"", "rule[0].over_days: found it, want it where the best may come from the record"),
    ] {
        refused("personal_best", "fev1", &best, from, to, wanted);
    }
    let sum = run("slack = 0.5\nsd_floor = { value = 4, unit = \"/min\" }", "4 5");
    refused("cusum", "pulse", &sum, "slack = 0.5", "slack = -1", "rule[0].slack: found -1, want 0 or more");
}

/// Every kind in which a lower value is worse, as a rule of SpO2.
fn monotone() -> Vec<String> {
    let floor = "sd_floor = { value = 1, unit = \"%\" }";
    let bands = |red: i32, yellow: i32| {
        format!(
            "bands = [{{ mark = \"red\", below = {red} }}, {{ mark = \"yellow\", from = {red}, below = {yellow} }}, \
             {{ mark = \"green\", from = {yellow} }}]"
        )
    };
    let distance = |how: &str, unit: &str, red, yellow| {
        let floor = if how == "z" { floor } else { "" };
        let bands = bands(red, yellow);
        rule(
            "baseline",
            "spo2",
            &format!("as = \"{how}\"\nunit = \"{unit}\"\n{BASELINE}\n{floor}\ndigits = 2\n{bands}"),
        )
    };
    let statistic = |kind: &str, particular: &str, unit: &str, red, yellow| {
        let bands = bands(red, yellow);
        rule("KIND", "spo2", &format!("{particular}\nunit = \"{unit}\"\ndigits = 2\n{bands}")).replace("KIND", kind)
    };
    let run = format!("over_days = 5\nminimum_days = 2\n{BASELINE}\n{floor}");
    vec![
        distance("z", "{z}", -3, -2),
        distance("difference", "%", -5, -3),
        distance("percent", "%", -6, -3),
        statistic("personal_best", "best = \"record\"\nover_days = 30\nminimum_days = 5", "%", 90, 95),
        statistic("ewma", &format!("weight = 0.3\n{run}"), "{z}", -3, -2),
        statistic("cusum", &format!("slack = 0.5\n{run}"), "{z}", -5, -3),
        statistic("control", &format!("over_days = 7\nminimum_days = 4\n{floor}"), "{z}", -3, -2),
        statistic(
            "slope",
            "as = \"per_year\"\nover_days = 20\nminimum_days = 10\nminimum_span_days = 9",
            "%/a",
            -60,
            -20,
        ),
        statistic(
            "slope",
            "as = \"percent_per_year\"\nover_days = 20\nminimum_days = 10\nminimum_span_days = 9",
            "%/a",
            -60,
            -20,
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_worse_value_never_gives_a_better_colour(
        usual in prop::collection::vec(88..99_i32, 16..24), value in 80..100_i32, worse in 0..20_i32
    ) {
        for rules in monotone() {
            let mut course = Course::new(&rules);
            let usual: Vec<f64> = usual.iter().map(|value| f64::from(*value)).collect();
            course.days("spo2", 0, &usual);
            let mark = |value: i32| {
                course.clone().on(i64::try_from(usual.len()).unwrap(), &format!("{value} spo2")).mark()
            };
            let (before, after) = (mark(value).expect("a verdict"), mark(value - worse).expect("a verdict"));
            prop_assert!(after >= before, "{value} is {before:?}, {} is {after:?}: {rules}", value - worse);
        }
    }

    #[test]
    fn the_order_in_which_days_arrive_does_not_change_what_stands(
        values in prop::collection::vec(90..97_i32, 18..24), turn in 0..24_usize
    ) {
        // A baseline leaves out what was red when it came, and that depends on what was known by then.
        for rules in monotone().into_iter().filter(|rules| !rules.contains("baseline =")) {
            let mut readings: Vec<Reading> = (0..).zip(&values)
                .map(|(day, value)| reading(&format!("{value} spo2"), morning(day))).collect();
            let (mut one, mut two) = (Course::new(&rules), Course::new(&rules));
            let now = morning(30);
            for reading in &readings {
                one.gives(std::slice::from_ref(reading), now);
            }
            let by = turn % readings.len();
            readings.rotate_left(by);
            for reading in &readings {
                two.gives(std::slice::from_ref(reading), now);
            }
            prop_assert_eq!(one.mark(), two.mark(), "{}", rules);
        }
    }
}
