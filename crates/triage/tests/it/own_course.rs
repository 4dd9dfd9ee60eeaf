//! What holds for every rule that compares a person with themselves: a baseline that stands still and expires, own limits, doubt, mistakes in a
//! file, and that a worse value is never better.

use jiff::SignedDuration;
use proptest::prelude::*;
use triage::{Mark, Programme};
use vitals::Reading;

use crate::{
    person::reading,
    trends::{BASELINE, Course, FEV1, LOW, SINCE, SPO2, morning, rule, run, text, z},
};

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
pub fn monotone() -> Vec<String> {
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
