//! What holds for any readings: order within a sitting, repeats, monotony, determinism, bounds.

use proptest::prelude::*;
use vitals::Reading;

use crate::person::{Person, bytes, reading, time};

fn at(minute: i64) -> jiff::Timestamp {
    time("2026-11-22T08:00:00Z") + jiff::SignedDuration::from_mins(minute)
}

prop_compose! {
    fn any_reading()(kind in 0..3, tenths in 0..600_i64, minute in -3000..0_i64, low in any::<bool>()) -> Reading {
        let tenths = match kind { 0 => 700 + tenths / 2, 1 => 300 + tenths * 2, _ => 340 + tenths / 10 };
        let vital = ["spo2", "pulse", "temperature"][kind as usize];
        let flag = if low { " low_perfusion" } else { "" };
        reading(&format!("{}.{} {vital}{flag}", tenths / 10, tenths % 10), at(minute))
    }
}

fn any_sitting() -> impl Strategy<Value = Vec<Reading>> {
    prop::collection::vec(any_reading(), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_within_a_sitting_does_not_matter(before in any_sitting(), readings in any_sitting(), turn in 0..6_usize) {
        let (mut one, mut two) = (Person::new(), Person::new());
        one.gives(&before, &[], "2026-11-22T08:00:00Z");
        two.gives(&before, &[], "2026-11-22T08:00:00Z");
        let mut turned = readings.clone();
        turned.rotate_left(turn % readings.len());
        let now = "2026-11-22T08:00:30Z";
        prop_assert_eq!(bytes(&one.gives(&readings, &[], now)), bytes(&two.gives(&turned, &[], now)));
        turned.reverse();
        prop_assert_eq!(one.stands(), two.stands());
    }

    #[test]
    fn a_repeat_changes_nothing(sittings in prop::collection::vec(any_sitting(), 1..4)) {
        let mut person = Person::new();
        for sitting in &sittings {
            person.gives(sitting, &[], "2026-11-22T08:00:00Z");
        }
        for sitting in &sittings {
            let again = person.gives(sitting, &[], "2026-11-22T08:01:00Z");
            prop_assert!(again.assessment.is_none() && again.alerts.is_empty(), "{:?}", again);
        }
    }

    #[test]
    fn a_worse_spo2_never_gives_a_better_colour(tenths in 510..1000_i64, worse in 1..500_i64) {
        let colour = |tenths: i64| {
            let mut person = Person::new();
            person.gives(&[reading(&format!("{}.{} spo2", tenths / 10, tenths % 10), at(0))], &[], "2026-11-22T08:00:00Z");
            person.chart.colour()
        };
        prop_assert!(colour((tenths - worse).max(500)) >= colour(tenths));
    }

    #[test]
    fn assessing_is_deterministic_and_bounded(sittings in prop::collection::vec(any_sitting(), 1..8), days in 0..40_i64) {
        let run = || {
            let mut person = Person::new();
            let mut text = String::new();
            for sitting in &sittings {
                text.push_str(&bytes(&person.gives(sitting, &[], "2026-11-22T08:00:00Z")));
            }
            text.push_str(&bytes(&person.ticks(&at(days * 1440).to_string())));
            for alert in person.chart.open_alerts() {
                assert!(alert.findings.len() <= triage::bounds::FINDINGS_MAX);
            }
            text
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_red_is_never_lost(sittings in prop::collection::vec(any_sitting(), 1..5)) {
        let mut person = Person::new();
        let is_red = |reading: &&Reading| match reading.vital {
            vitals::Vital::Spo2 => reading.value.to_f64() <= 85.0,
            vitals::Vital::Pulse => reading.value.to_f64() <= 50.0 || reading.value.to_f64() >= 130.0,
            _ => false,
        };
        sittings.iter().for_each(|sitting| drop(person.gives(sitting, &[], "2026-11-22T08:00:00Z")));
        let reds: Vec<&Reading> = sittings.iter().flatten().filter(is_red).collect();
        let told = person.chart.open_alerts().any(|alert| alert.mark == triage::Mark::Red);
        // A doubtful one may have been measured again, beyond doubt, in the same sitting.
        prop_assert!(told || reds.iter().all(|reading| !reading.flags.is_empty()), "{:?}", reds);
        prop_assert!(!told || !reds.is_empty());
    }
}
