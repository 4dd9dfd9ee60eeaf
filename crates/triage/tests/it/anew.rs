//! A chart is derived: dropped and built again from what is stored, at any time, it says the same and goes on in the same way.

use proptest::prelude::*;
use triage::{Own, SHIPPED};

use crate::life::{Life, Op, contents, ops, shipped};

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
