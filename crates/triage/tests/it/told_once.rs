//! An alert counts what was found of each reading once, whatever order they came in.

use jiff::SignedDuration;
use proptest::prelude::*;
use triage::Mark;

use crate::person::{Person, reading, time};

proptest! {
    #[test]
    fn each_reading_above_green_counts_once_in_any_order(
        order in Just((0..120_i64).collect::<Vec<_>>()).prop_shuffle(),
        seconds in prop::sample::select(vec![1, 20, 600]),
        late in any::<bool>(),
    ) {
        let mut person = Person::new();
        let start = time("2026-11-23T08:00:00Z");
        let at = |place: i64| start + SignedDuration::from_secs(seconds * place);
        let now = if late { at(120 + 3600 * 24) } else { at(120) };
        let mut last = None;
        for place in order {
            let spo2 = match place % 30 {
                7 => 84,
                // A yellow on its own might ease before the red comes.
                11 | 29 => if seconds == 1 { 87 } else { 84 },
                rest => 90 + rest % 7,
            };
            let outcome = person.gives(&[reading(&format!("{spo2} spo2"), at(place))], &[], &now.to_string());
            last = outcome.alerts.into_iter().next_back().or(last);
        }
        let alert = last.expect("an alert").alert;
        prop_assert_eq!((alert.mark, alert.count), (Mark::Red, 12), "{:#?}", alert);
    }
}
