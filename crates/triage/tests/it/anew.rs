//! A chart is derived: dropped and built again from what is stored, at any time, it says the same and goes on in the same way.

use proptest::prelude::*;
use triage::{Own, SHIPPED};
use vitals::Answer;

use crate::{
    life::{Life, Op, contents, ops, shipped},
    person::reading,
};

/// Lives a life once as it is, and once with restarts.
fn is_the_same(name: &str, ops: &[Op]) -> Result<(), TestCaseError> {
    let programme = shipped(name);
    let mut live = Life::on(&programme, Own::default());
    let mut again = live.clone();
    for op in ops {
        if matches!(op, Op::Restart) {
            again.chart = again.rebuilt();
            let (found, wanted) = (again.said(&again.chart), live.said(&live.chart));
            prop_assert!(found == wanted, "{name} at {}: {}", live.now, differs(&found, &wanted));
        }
        let (found, wanted) = (again.does(op), live.does(op));
        prop_assert!(found == wanted, "{name} at {}: {}", live.now, differs(&found, &wanted));
    }
    prop_assert_eq!(&again.alerts, &live.alerts);
    Ok(())
}

/// The lines that only one of two texts has.
fn differs(found: &str, wanted: &str) -> String {
    let only = |one: &str, two: &str| {
        let lines = one.lines().filter(|line| two.lines().all(|other| other != *line));
        lines.map(|line| format!("    {}\n", line.chars().take(1500).collect::<String>())).collect::<String>()
    };
    format!("found\n{}wanted\n{}", only(found, wanted), only(wanted, found))
}

macro_rules! a_restart_changes_nothing {
    ($($test:ident: $name:literal,)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $test(ops in ops(160)) {
                    is_the_same($name, &ops)?;
                }
            )*
        }
    };
}

a_restart_changes_nothing! {
    of_copd: "copd.toml",
    of_copd_baseline: "copd-baseline.toml",
    of_heart_failure: "heart-failure.toml",
    of_pulmonary_fibrosis: "pulmonary-fibrosis.toml",
    of_alpha_1: "alpha-1.toml",
    of_news2_home: "news2-home.toml",
}

/// What each rule says, and the colour.
fn marks(life: &Life) -> Vec<(String, String, triage::Mark)> {
    let standing = life.chart.standing(&life.plan).into_iter();
    standing.map(|finding| (finding.programme, finding.rule, finding.colour)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_division_nor_repeats_of_a_sitting_change_what_it_says(ops in ops(50), which in 0..SHIPPED.len()) {
        let name = SHIPPED[which].0;
        let mut life = Life::on(&shipped(name), Own::default());
        for op in &ops {
            let before = life.clone();
            life.does(op);
            let Op::Comes { hours, late, vitals, answers } = op else { continue };
            let mut parted = before.clone();
            parted.does(&Op::Comes { hours: *hours, late: *late, vitals: Vec::new(), answers: Vec::new() });
            let measured = life.now - jiff::SignedDuration::from_mins(*late);
            let (readings, answers) = contents(&life.plan, measured, vitals, answers);
            answers.iter().rev().for_each(|one| drop(parted.takes(Vec::new(), vec![one.clone()])));
            readings.iter().rev().for_each(|one| drop(parted.takes(vec![one.clone()], Vec::new())));
            prop_assert_eq!(marks(&parted), marks(&life), "{} at {}", name, life.now);
            // What waited for a repeat that had to be here by now is told as time passes, whatever comes.
            life.passes(0);
            prop_assert_eq!(life.clone().takes(readings, answers), "null\n[]", "{} again at {}", name, life.now);
        }
    }
}

#[test]
fn every_shipped_programme_is_tried() {
    assert_eq!(SHIPPED.len(), 6, "one more programme wants one more line above");
}

/// How the person is.
fn answer(answer: &str, answered_at: jiff::Timestamp) -> Answer {
    let (questionnaire, question) = ("news2-home".into(), "consciousness".into());
    Answer { questionnaire, version: 1, question, answer: answer.into(), answered_at }
}

/// Found by the property above: of several times that something late makes worse, one is told.
#[test]
fn what_comes_late_again_when_it_is_no_longer_kept_is_told_of_no_other_time() {
    let mut life = Life::on(&shipped("news2-home.toml"), Own::default());
    let start = life.now;
    life.takes(vec![reading("92 spo2", start)], Vec::new());
    life.takes(vec![reading("63 pulse", life.now)], vec![answer("as_usual", life.now)]);
    life.passes(48);
    life.takes(vec![reading("120 systolic", life.now)], vec![answer("as_usual", life.now)]);
    let late = start - jiff::SignedDuration::from_mins(7);
    let (readings, answers) = (vec![reading("37.9 temperature", late)], vec![answer("confused", late)]);
    let first = life.takes(readings.clone(), answers.clone());
    assert!(first.contains("seen only now that something before it is known"), "{first}");
    assert_eq!(life.takes(readings, answers), "null\n[]");
}

/// Found by the property above: what stands is asked about as of its own time, which looks back as far again.
#[test]
fn what_a_standing_red_rests_on_is_kept_as_long_as_it_may_stand() {
    let mut life = Life::on(&shipped("news2-home.toml"), Own::default());
    // The first of a day is kept in any case.
    life.takes(Vec::new(), vec![answer("as_usual", life.now)]);
    life.takes(Vec::new(), vec![answer("to_pain", life.now)]);
    let at = life.now + jiff::SignedDuration::from_mins(55);
    life.passes(1);
    life.takes(vec![reading("90 spo2", at), reading("2 oxygen_flow", at)], Vec::new());
    assert_eq!(life.chart.standing(&life.plan)[0].colour, triage::Mark::Red);
    life.takes(Vec::new(), vec![answer("as_usual", life.now)]);
    life.takes(vec![reading("95 spo2", life.now)], Vec::new());
    assert_eq!(life.chart.standing(&life.plan)[0].colour, triage::Mark::Red, "the worst of the same sitting");
}

/// Found by the properties above: what a person closed is closed in a chart that is built again, too, and counts the same from then on.
#[test]
fn what_came_before_somebody_closed_is_no_news_when_it_comes_again() {
    let mut life = Life::on(&shipped("news2-home.toml"), Own::default());
    let readings = vec![reading("2 oxygen_flow", life.now), reading("88 systolic", life.now)];
    let first = (readings, vec![answer("to_pain", life.now)]);
    life.takes(first.0.clone(), first.1.clone());
    let (id, version) = life.chart.open_alerts().map(|alert| (alert.id, alert.version)).next().unwrap();
    life.close(id, version);
    life.takes(vec![reading("69 pulse", life.now)], vec![answer("as_usual", life.now)]);
    life.passes(21);
    life.takes(Vec::new(), vec![answer("confused", life.now)]);
    let mut again = life.clone();
    again.chart = again.rebuilt();
    assert_eq!(life.takes(first.0.clone(), first.1.clone()), "null\n[]");
    assert_eq!(again.takes(first.0, first.1), "null\n[]");
    // Something new of then is told, and counts in both.
    let late = vec![reading("90 spo2", life.steps[0].0 - jiff::SignedDuration::from_micros(500))];
    let told = life.takes(late.clone(), Vec::new());
    assert!(told.contains("seen only now that something before it is known"), "{told}");
    assert_eq!(again.takes(late, Vec::new()), told);
}
