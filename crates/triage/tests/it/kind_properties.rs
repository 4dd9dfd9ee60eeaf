//! What holds for every kind of rule that looks at several values or at others: the order in which a session's messages come does not matter,
//! repeats change nothing, a worse value never gives a better colour.

use std::sync::LazyLock;

use proptest::prelude::*;
use triage::Mark;
use vitals::{Answer, Reading};

use crate::ward::{PULSE, WEIGHT, Ward, moment, parsed};

/// One rule of every kind, over pulse, weight and the questions.
static RULES: LazyLock<String> = LazyLock::new(|| {
    format!(
        r#"{PULSE}{WEIGHT}
[[rule]]
id = "gain"
kind = "difference"
family = "gain"
vital = "weight"
unit = "kg"
against = "minimum"
days = 3
digits = 2
bands = [{{ mark = "green", at_most = 2 }}, {{ mark = "yellow", above = 2, at_most = 4 }}, {{ mark = "red", above = 4 }}]

[[rule]]
id = "often"
kind = "k_of_n"
family = "often"
of = "pulse"
k = 2
n = 3
by = "readings"
within = "72h"
mark = "red"

[[rule]]
id = "days"
kind = "k_of_n"
family = "days"
of = "weight"
k = 2
n = 4
by = "days"
mark = "yellow"

[[rule]]
id = "count"
kind = "count"
family = "count"
of = "pulse"
at_least = "red"
days = 5
unit = "1"
bands = [{{ mark = "green", below = 2 }}, {{ mark = "yellow", from = 2, below = 4 }}, {{ mark = "red", from = 4 }}]

[[rule]]
id = "rises"
kind = "count"
family = "rises"
rises = {{ vital = "weight", unit = "kg", more_than = 1, between = "days" }}
days = 5
unit = "1"
bands = [{{ mark = "green", below = 1 }}, {{ mark = "yellow", from = 1 }}]

[[rule]]
id = "path"
kind = "path"
family = "path"
questionnaire = "asked"
paths = [
  {{ when = {{ breathless = ["yes"], cough = ["yes"] }}, mark = "red" }},
  {{ when = {{ cough = ["yes"] }}, mark = "yellow" }},
]

[[rule]]
id = "both"
kind = "all"
family = "both"
of = [{{ rule = "gain" }}, {{ rule = "path" }}]
within = "72h"
mark = "red"

[[rule]]
id = "either"
kind = "any"
family = "either"
of = [{{ rule = "both" }}, {{ rule = "often" }}]
within = "24h"
mark = "yellow"

[[rule]]
id = "habit"
kind = "habit"
family = "habit"
questionnaire = "asked"
over_days = 3
unit = "{{points}}"
baseline = {{ centre = "mean", days = 14, minimum_days = 2, max_age_days = 30 }}
bands = [{{ mark = "green", below = 0.5 }}, {{ mark = "yellow", from = 0.5, below = 1 }}, {{ mark = "red", from = 1 }}]
levels = {{ breathless = {{ yes = 2 }}, cough = {{ yes = 1 }} }}
vitals = [{{ vital = "pulse", feared = "above", points = 0.5, at_most = 3, sd_floor = {{ value = 4, unit = "/min" }} }}]

[[rule]]
id = "flag"
kind = "flag"
family = "flag"
vitals = ["pulse"]
flags = ["irregular_pulse"]
k = 2
n = 3
within = "72h"
mark = "yellow"

[[rule]]
id = "whose"
kind = "wrong_person"
family = "whose"
vital = "weight"
percent = 10
days = 30
minimum = 3
mark = "yellow"
"#
    )
});

static WARD: LazyLock<Ward> = LazyLock::new(|| Ward::of(&RULES));

pub const RULE_IDS: [&str; 13] =
    ["pulse", "weight", "gain", "often", "days", "count", "rises", "path", "both", "either", "habit", "flag", "whose"];

/// A message: minute of the session, and what is in it.
pub fn message() -> impl Strategy<Value = (i64, String)> {
    let one = prop_oneof![
        // By its value, so that nothing is told twice with other flags: of the same value of the same time and device, the first is kept.
        (90..140_i32)
            .prop_map(|pulse| format!("{pulse} pulse{}", if pulse % 2 == 1 { " irregular_pulse" } else { "" })),
        (780..930_i32).prop_map(|tenths| format!("{}.{} weight", tenths / 10, tenths % 10)),
        prop::sample::select(vec!["cough=yes", "cough=no", "breathless=yes", "breathless=no"]).prop_map(str::to_owned),
    ];
    (0..15_i64, one)
}

/// Days before, one message each.
pub fn days() -> impl Strategy<Value = Vec<(i64, String)>> {
    prop::collection::vec(message(), 0..8)
}

pub fn contents(day: usize, message: &(i64, String)) -> (Vec<Reading>, Vec<Answer>) {
    let at = moment(&format!("{} 08:00", day + 2)) + jiff::SignedDuration::from_mins(message.0);
    parsed(at, &message.1)
}

pub fn lived(days: &[(i64, String)]) -> Ward {
    let mut ward = WARD.clone();
    for (day, message) in days.iter().enumerate() {
        let (readings, answers) = contents(day, message);
        ward.gives(&readings, &answers, moment(&format!("{} 08:20", day + 2)));
    }
    ward
}

fn marks(ward: &Ward) -> Vec<(&'static str, Option<Mark>, String)> {
    RULE_IDS.iter().map(|rule| (*rule, ward.mark(rule), ward.why(rule))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_messages_of_a_session_come_does_not_matter(
        before in days(),
        (session, shuffled) in prop::collection::vec(message(), 1..6).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let now = moment("20 08:15");
        let day = 18;
        let run = |session: &[(i64, String)]| {
            let mut ward = lived(&before);
            for message in session {
                let (readings, answers) = contents(day, message);
                ward.gives(&readings, &answers, now);
            }
            ward
        };
        let (one, two) = (run(&session), run(&shuffled));
        prop_assert_eq!(marks(&one), marks(&two));
        prop_assert_eq!(one.chart.colour(), two.chart.colour());
        let mut together = lived(&before);
        let all: Vec<_> = session.iter().map(|message| contents(day, message)).collect();
        let readings: Vec<Reading> = all.iter().flat_map(|(readings, _)| readings.clone()).collect();
        let answers: Vec<Answer> = all.iter().flat_map(|(_, answers)| answers.clone()).collect();
        together.gives(&readings, &answers, now);
        prop_assert_eq!(marks(&one), marks(&together), "in one message");
    }

    #[test]
    fn a_repeat_changes_nothing(days in days(), session in prop::collection::vec(message(), 1..6)) {
        let mut ward = lived(&days);
        let now = moment("20 08:15");
        for message in &session {
            let (readings, answers) = contents(18, message);
            ward.gives(&readings, &answers, now);
        }
        for message in &session {
            let (readings, answers) = contents(18, message);
            let again = ward.gives(&readings, &answers, now);
            prop_assert!(again.alerts.is_empty() && again.assessment.is_none(), "{:?}", again);
        }
    }

    #[test]
    fn a_worse_value_never_gives_a_better_colour(days in days(), pulse in 90..140_i32, kg in 780..860_i32, more in 0..60_i32) {
        let said = |pulse: i32, kg: i32| {
            let mut ward = lived(&days);
            let what = format!("{pulse} pulse, {}.{} weight", kg / 10, kg % 10);
            ward.on("10 08:00", &what);
            ward
        };
        let (mild, bad) = (said(pulse, kg), said(pulse + more, kg + more / 2));
        // Whose a value is, is no question of worse: one that comes often becomes the person's own.
        for rule in RULE_IDS.into_iter().filter(|rule| *rule != "whose") {
            prop_assert!(bad.mark(rule) >= mild.mark(rule), "{}: {} and {}", rule, mild.why(rule), bad.why(rule));
        }
    }
}
