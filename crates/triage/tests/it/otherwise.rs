//! What is said to have been green, had it been measured or answered otherwise, would have been.

use proptest::prelude::*;
use triage::{Finding, LimitKind, Mark, Own, Reason, SHIPPED, Would, why};
use vitals::{Answer, Reading, Value};

use crate::{
    life::{Life, Op, contents, ops, shipped},
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
