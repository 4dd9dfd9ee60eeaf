//! The rules that compare a person with themselves: best, baseline, weighted mean, running sum, rolling limit, slope, variability. The numbers
//! were worked out by Python's `statistics` and scipy, not by this program.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use triage::{Chart, Event, Finding, Mark, Own, Plan, Programme, Reason, Sitting, assess};
use vitals::{KitId, Reading};

use crate::person::{clinic, reading, time};

/// A programme of these rules.
pub fn text(rules: &str) -> String {
    let head = "id = \"own-course\"\nversion = 3\ntitle = { en = \"Own course\", da = \"Eget forløb\" }\nzone = \"UTC\"\n\
                [clinic]\nlate_after = \"24h\"\nease_after_sittings = 2\nearly = \"2h\"\ngrace = \"2h\"\nbaseline_frozen = \"168h\"\n";
    format!("{head}{rules}")
}

/// A rule of one kind for one vital, with what is particular to it, red on the low side below and yellow at it.
pub fn rule(kind: &str, vital: &str, particular: &str) -> String {
    format!("[[rule]]\nid = \"own\"\nkind = \"{kind}\"\nfamily = \"own\"\nvital = \"{vital}\"\n{particular}\n")
}

pub const LOW: &str = "bands = [{ mark = \"red\", at_most = -2.5 }, { mark = \"yellow\", above = -2.5, at_most = -2 }, \
                   { mark = \"green\", above = -2 }]";
pub const BASELINE: &str = "baseline = { centre = \"mean\", days = 14, minimum_days = 7, max_age_days = 40 }";
const MEDIAN: &str = "baseline = { centre = \"median\", days = 14, minimum_days = 7, max_age_days = 40 }";
/// Fourteen days of FEV1: mean 1.4114, standard deviation 0.0271, median 1.41, median absolute deviation 0.02.
pub const FEV1: [f64; 14] = [1.41, 1.38, 1.44, 1.40, 1.43, 1.37, 1.45, 1.42, 1.39, 1.41, 1.40, 1.46, 1.38, 1.42];
pub const SPO2: [f64; 14] = [94.0, 95.0, 94.0, 93.0, 94.0, 95.0, 94.0, 93.0, 94.0, 95.0, 94.0, 93.0, 94.0, 95.0];
const PULSE: [f64; 14] = [80.0, 82.0, 78.0, 80.0, 81.0, 79.0, 80.0, 82.0, 78.0, 80.0, 80.0, 82.0, 78.0, 80.0];

pub fn z(floor: &str) -> String {
    format!("as = \"z\"\nunit = \"{{z}}\"\n{BASELINE}\nsd_floor = {floor}\ndigits = 1\n{LOW}")
}

/// Somebody whose course begins on 2026-11-01, at eight in the morning each day.
#[derive(Clone)]
pub struct Course {
    pub plan: Plan,
    chart: Chart,
    seq: u64,
}

pub fn morning(day: i64) -> Timestamp {
    time("2026-11-01T08:00:00Z") + SignedDuration::from_hours(24 * day)
}

impl Course {
    pub fn new(rules: &str) -> Self {
        Self::with(rules, "{}")
    }

    pub fn with(rules: &str, own: &str) -> Self {
        Self::of(&text(rules), own)
    }

    pub fn of(text: &str, own: &str) -> Self {
        let programme = Programme::parse(text, "own.toml").unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        let own: Own = serde_json::from_str(own).unwrap();
        let since = time("2026-11-01T00:00:00Z");
        let patient = "p-1".parse().unwrap();
        let plan = Plan::new(patient, vec![Arc::new(programme)], clinic(), own, TimeZone::UTC, since)
            .unwrap_or_else(|fault| panic!("{fault}"));
        Self { plan, chart: Chart::new(), seq: 0 }
    }

    pub fn gives(&mut self, readings: &[Reading], now: Timestamp) {
        self.seq += 1;
        let kit: KitId = "kit-1".parse().unwrap();
        let sitting = Sitting { kit: &kit, seq: self.seq, readings, answers: &[] };
        assess(&mut self.chart, &self.plan, &Event::Sitting(sitting), now);
    }

    /// `94 spo2` on the morning of a day.
    pub fn on(&mut self, day: i64, text: &str) -> &mut Self {
        self.gives(&[reading(text, morning(day))], morning(day));
        self
    }

    pub fn days(&mut self, vital: &str, from: i64, values: &[f64]) -> &mut Self {
        let digits = if ["fev1", "fvc"].contains(&vital) { 2 } else { 0 };
        for (day, value) in (from..).zip(values) {
            self.on(day, &format!("{value:.digits$} {vital}"));
        }
        self
    }

    pub fn finding(&self) -> Option<Finding> {
        self.chart.standing(&self.plan).into_iter().find(|finding| finding.rule == "own")
    }

    #[track_caller]
    pub fn says(&self, mark: Mark, why: &str) {
        let finding = self.finding().expect("a finding");
        assert_eq!((finding.colour, finding.why.as_str()), (mark, why));
        let text = serde_json::to_string(&finding).unwrap();
        assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding, "it reads back as it was written: {text}");
    }

    pub fn mark(&self) -> Option<Mark> {
        self.finding().map(|finding| finding.colour)
    }

    pub fn compared(&self) -> (String, u32, String, String) {
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

pub const SINCE: &str = "its own baseline 1.41 L (14 stable days, 2026-11-01 to 2026-11-14)";

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

pub fn run(particular: &str, high: &str) -> String {
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
