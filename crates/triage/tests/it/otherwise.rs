//! What is said to have been green, had it been measured or answered otherwise, would have been.

use proptest::prelude::*;
use triage::{Finding, LimitKind, Mark, Own, Plan, Reason, SHIPPED, Would, why};
use vitals::{Answer, Reading, Value};

use crate::{
    kind_properties::{RULE_IDS, days, lived},
    life::{Life, Op, contents, ops, shipped},
    own_course::monotone,
    trends::{BASELINE, Course, rule},
    ward::Ward,
};

/// A value just within all of these limits, nearest to the one that was measured; `step` is more than what is lost by rounding.
fn within(limits: &[triage::Limit], step: i64, digits: u32) -> Vec<Value> {
    let step = Value::new(step, digits).decimal();
    let inside = |limit: &triage::Limit| match limit.kind {
        LimitKind::Below | LimitKind::AtMost => limit.value.decimal() - step,
        LimitKind::Above | LimitKind::From => limit.value.decimal() + step,
    };
    limits.iter().map(inside).map(Value::from).collect()
}

/// The life as it would have been with other values in its last sitting.
fn otherwise(
    before: &Life,
    (readings, answers): (Vec<Reading>, Vec<Answer>),
    finding: &Finding,
    said: &mut u32,
) -> Result<(), TestCaseError> {
    let mut other = before.clone();
    other.takes(readings, answers);
    let standing = other.chart.standing(&other.plan);
    let found = standing.iter().find(|it| it.rule == finding.rule && it.programme == finding.programme);
    let mark = found.map_or(Mark::Green, |found| found.colour);
    let otherwise = why(&other.plan, finding).otherwise.map(|it| it.said);
    prop_assert!(mark == Mark::Green, "{}\n{otherwise:?}\nand is {}", finding.why, found.map_or("", |it| &it.why));
    *said += 1;
    Ok(())
}

fn is_true(name: &str, ops: &[Op]) -> Result<u32, TestCaseError> {
    let mut life = Life::on(&shipped(name), Own::default());
    let (mut said, mut last) = (0, life.now);
    for op in ops {
        let Op::Comes { hours, vitals, answers, .. } = op else {
            life.does(op);
            continue;
        };
        life.passes(hours + 1);
        let before = life.clone();
        let (at, apart) = (life.now, life.now.duration_since(last).as_mins() > 20);
        let (readings, answers) = contents(&life.plan, at, vitals, answers);
        life.takes(readings.clone(), answers.clone());
        last = at;
        if !apart {
            continue;
        }
        for finding in life.chart.standing(&life.plan).iter().filter(|it| it.colour > Mark::Green && it.at == at) {
            let Some(what) = why(&life.plan, finding).otherwise.map(|it| it.what) else { continue };
            match (&finding.reason, what) {
                (Reason::Band { vital, .. }, Would::Limits { limits, .. }) => {
                    for value in within(&limits, 1, 3) {
                        otherwise(&before, (with(&readings, *vital, value), answers.clone()), finding, &mut said)?;
                    }
                }
                (Reason::Trend { vital, of, .. }, Would::Limits { measured, .. }) if !measured.is_empty() => {
                    // The statistic and what it was compared with are told rounded: a little further in.
                    let step = i64::try_from(of.decimal().mantissa()).unwrap() / 50 + 2;
                    for value in within(&measured, step, of.decimal().scale()) {
                        let fits = why(&life.plan, finding).otherwise.is_some_and(|it| match it.what {
                            Would::Limits { measured, .. } => measured.iter().all(|limit| is_met(limit, value)),
                            _ => false,
                        });
                        if fits {
                            otherwise(&before, (with(&readings, *vital, value), answers.clone()), finding, &mut said)?;
                        }
                    }
                }
                (Reason::Answer { question, .. }, Would::Answers { answers: green }) => {
                    for chosen in green {
                        let mut answers = answers.clone();
                        for answer in answers.iter_mut().filter(|it| it.question == *question) {
                            answer.answer.clone_from(&chosen.id);
                        }
                        otherwise(&before, (readings.clone(), answers), finding, &mut said)?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok(said)
}

fn is_met(limit: &triage::Limit, value: Value) -> bool {
    match limit.kind {
        LimitKind::AtMost => value <= limit.value,
        LimitKind::Below => value < limit.value,
        LimitKind::From => value >= limit.value,
        LimitKind::Above => value > limit.value,
    }
}

fn with(readings: &[Reading], vital: vitals::Vital, value: Value) -> Vec<Reading> {
    let other = |reading: &Reading| match reading.vital == vital {
        true => Reading { value, flags: Vec::new(), ..reading.clone() },
        false => reading.clone(),
    };
    readings.iter().map(other).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_would_have_been_green_is(ops in ops(60), which in 0..SHIPPED.len()) {
        is_true(SHIPPED[which].0, &ops)?;
    }
}

#[test]
fn a_limit_that_still_counts_is_told_where_it_ends() {
    let rule = r#"
[[rule]]
id = "pulse"
kind = "band"
family = "ward"
vital = "pulse"
unit = "/min"
hysteresis = 5
bands = [{ mark = "green", below = 110 }, { mark = "yellow", from = 110, below = 130 }, { mark = "red", from = 130 }]
"#;
    let mut ward = Ward::of(rule);
    let said = |ward: &Ward| why(&ward.plan, &ward.finding("pulse").unwrap()).otherwise.unwrap().said;
    ward.on("10 08:00", "112 pulse");
    assert_eq!(said(&ward), "green if pulse were below 110 /min");
    ward.on("10 09:00", "108 pulse");
    assert_eq!(said(&ward), "green if pulse were below 105 /min", "{}", ward.why("pulse"));
}

#[test]
fn much_is_said() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    for (name, _) in SHIPPED {
        let said: u32 = (0..20)
            .map(|_| {
                is_true(name, &ops(60).new_tree(&mut runner).unwrap().current())
                    .unwrap_or_else(|fault| panic!("{fault}"))
            })
            .sum();
        assert!(said > 10, "{name}: {said} say too little");
    }
}

/// Had it been otherwise: what was said to be green is, and what was said not to be is not. Gives whether there was something to compare.
fn holds(plan: &Plan, finding: &Finding, other: Option<Finding>) -> Result<bool, TestCaseError> {
    let (Some(claim), Some(other)) = (why(plan, finding).otherwise, other) else { return Ok(false) };
    let said = || format!("{}\n{}\nand: {}", finding.why, claim.said, other.why);
    match (&claim.what, &other.reason) {
        (
            Would::Limits { limits, .. },
            Reason::Trend { value, .. } | Reason::Sum { value, .. } | Reason::Band { value, .. },
        ) => {
            let within = limits.iter().all(|limit| is_met(limit, *value));
            prop_assert_eq!(within, other.colour == Mark::Green, "{}", said());
        }
        (Would::Fewer { than, .. }, Reason::Together { found, .. }) => {
            prop_assert_eq!(found < than, other.colour < finding.colour, "{}", said());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Each kind of statistic, and one of which both sides are feared.
fn statistics() -> Vec<String> {
    let bands = "bands = [{ mark = \"green\", at_most = 3.5 }, { mark = \"yellow\", above = 3.5 }]";
    let variability =
        format!("as = \"residual\"\nunit = \"%\"\nover_days = 28\nminimum_days = 10\ndigits = 1\n{bands}");
    let both = format!(
        "as = \"difference\"\nunit = \"%\"\n{BASELINE}\ndigits = 1\nhysteresis = 1\nbands = [{{ mark = \"yellow\", below = -3 }}, \
         {{ mark = \"green\", from = -3, at_most = 2 }}, {{ mark = \"red\", above = 2 }}]"
    );
    let mut all = monotone();
    all.extend([rule("variability", "spo2", &variability), rule("baseline", "spo2", &both)]);
    all
}

/// What is said of each statistic's limits, over all that the newest value might have been; and how much there was to compare.
fn statistics_hold(usual: &[f64], value: i32) -> Result<Vec<u32>, TestCaseError> {
    let day = i64::try_from(usual.len()).unwrap();
    let each = |rules: String| -> Result<u32, TestCaseError> {
        let mut course = Course::new(&rules);
        course.days("spo2", 0, usual);
        let on = |value: i32| course.clone().on(day, &format!("{value} spo2")).finding();
        let Some(finding) = on(value).filter(|finding| finding.colour > Mark::Green) else { return Ok(0) };
        let mut said = 0;
        for other in 78..=100 {
            said += u32::from(holds(&course.plan, &finding, on(other))?);
        }
        Ok(said)
    };
    statistics().into_iter().map(each).collect()
}

/// The same of the rules that look at several values, at others, or at answers.
fn rules_hold(before: &[(i64, String)], [this, other]: [(i32, i32, &str); 2]) -> Result<Vec<u32>, TestCaseError> {
    let before = lived(before);
    let on = |(pulse, kg, answers): (i32, i32, &str)| {
        let mut ward = before.clone();
        ward.on("10 08:00", &format!("{pulse} pulse, {}.{} weight, {answers}", kg / 10, kg % 10));
        ward
    };
    let (one, two) = (on(this), on(other));
    let each = |rule: &&str| -> Result<u32, TestCaseError> {
        let Some(finding) = one.finding(rule).filter(|finding| finding.colour > Mark::Green) else { return Ok(0) };
        Ok(u32::from(holds(&one.plan, &finding, two.finding(rule))?))
    };
    RULE_IDS.iter().map(each).collect()
}

fn sitting() -> impl Strategy<Value = (i32, i32, &'static str)> {
    let answers = [
        "breathless=no, cough=no",
        "breathless=yes, cough=no",
        "breathless=no, cough=yes",
        "breathless=yes, cough=yes",
    ];
    let kilograms = prop_oneof![780..930_i32, prop::sample::select(vec![800, 818, 830, 925])];
    (90..140_i32, kilograms, prop::sample::select(answers.to_vec()))
}

/// Days of which each has something that counts.
fn eventful() -> impl Strategy<Value = Vec<(i64, String)>> {
    let calm = "breathless=no, cough=no";
    let what = vec!["135 pulse", "120 pulse", "92.0 weight", "80.0 weight", "81.5 weight", calm, calm];
    let one = prop::sample::select(what);
    prop::collection::vec(one.prop_map(|what| (0, what.to_owned())), 8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_statistic_would_be_green_within_what_is_said_and_not_beyond(
        usual in prop::collection::vec(86..99_i32, 16..24), value in 78..100_i32
    ) {
        let usual: Vec<f64> = usual.iter().map(|value| f64::from(*value)).collect();
        statistics_hold(&usual, value)?;
    }

    #[test]
    fn several_together_would_be_milder_below_what_is_said_and_not_above(
        before in prop_oneof![days(), eventful()], this in sitting(), other in sitting()
    ) {
        rules_hold(&before, [this, other])?;
    }
}

#[test]
fn every_kind_that_names_a_limit_was_held_against_it() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut statistics = vec![0; statistics().len()];
    let mut rules = vec![0; RULE_IDS.len()];
    for _ in 0..80 {
        let usual = prop::collection::vec(86..99_i32, 16..24).new_tree(&mut runner).unwrap().current();
        let usual: Vec<f64> = usual.into_iter().map(f64::from).collect();
        let value = (78..100_i32).new_tree(&mut runner).unwrap().current();
        let counted = statistics_hold(&usual, value).unwrap_or_else(|fault| panic!("{fault}"));
        statistics.iter_mut().zip(counted).for_each(|(all, one)| *all += one);
        let (before, this, other) = (eventful(), sitting(), sitting()).new_tree(&mut runner).unwrap().current();
        let counted = rules_hold(&before, [this, other]).unwrap_or_else(|fault| panic!("{fault}"));
        rules.iter_mut().zip(counted).for_each(|(all, one)| *all += one);
    }
    assert!(statistics.iter().all(|count| *count > 0), "{statistics:?}");
    // What is said of a path of answers is held in `other_answers`; of whose a value is, and of flags, another value says nothing.
    let silent = ["path", "flag", "whose"];
    let said = |rule: &&str| rules[RULE_IDS.iter().position(|id| id == rule).unwrap()] > 0;
    let unsaid: Vec<&&str> = RULE_IDS.iter().filter(|rule| !silent.contains(rule) && !said(rule)).collect();
    assert!(unsaid.is_empty(), "{unsaid:?}: {rules:?}");
}
