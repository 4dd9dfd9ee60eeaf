//! Safety floors and worse values, over every shipped programme: whatever somebody changes in a version and in their own limits, what is accepted
//! leaves no reading at or beyond a floor below red, unless a listed override says so; and a worse value never gives a better colour.

use std::sync::Arc;

use jiff::{SignedDuration, tz::TimeZone};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use triage::{Chart, Event, Mark, Own, Plan, Programme, Rung, SHIPPED, Sitting, assess};
use vitals::{Reading, Value, Vital};

use crate::person::{clinic, reading, time};

const NOW: &str = "2026-11-22T08:00:00Z";

/// What somebody does to a rule of a version.
#[derive(Clone, Debug)]
enum Edit {
    /// Another number at one of its limits, by so many of its units.
    Moves { number: Index, by: i64 },
    /// Its limits closed in the other sense.
    Turns,
    /// It says yellow where it said red.
    Softens,
    /// One more line in it.
    Adds(&'static str),
    /// It is gone.
    Goes,
}

fn edit() -> impl Strategy<Value = Edit> {
    let line = prop::sample::select(vec![
        "ingredient = true",
        "again_after = \"48h\"",
        "when = \"on_oxygen\"",
        "when = \"on_air\"",
        "when = \"target_88_92\"",
    ]);
    prop_oneof![
        4 => (any::<Index>(), -12..12_i64).prop_map(|(number, by)| Edit::Moves { number, by }),
        2 => Just(Edit::Turns),
        1 => Just(Edit::Softens),
        2 => line.prop_map(Edit::Adds),
        1 => Just(Edit::Goes),
    ]
}

/// The rules of a programme that are bands, as their text.
fn edited(text: &str, at: Index, edit: &Edit) -> String {
    let text = text.split("\n[[example]]").next().unwrap();
    let mut blocks: Vec<String> = text.split("[[rule]]").map(str::to_owned).collect();
    let bands: Vec<usize> = (1..blocks.len()).filter(|at| blocks[*at].contains("kind = \"band\"")).collect();
    let block = bands[at.index(bands.len())];
    let old = blocks[block].clone();
    blocks[block] = match edit {
        Edit::Moves { number, by } => {
            let numbers: Vec<&str> = numbers(&old).collect();
            let from = numbers[number.index(numbers.len())];
            let to = format!("= {}", from.parse::<f64>().unwrap() + *by as f64);
            old.replace(&format!("= {from} "), &format!("{to} ")).replace(&format!("= {from},"), &format!("{to},"))
        }
        Edit::Turns => old
            .replace("at_most = ", "BELOW")
            .replace("below = ", "at_most = ")
            .replace("BELOW", "below = ")
            .replace("above = ", "FROM")
            .replace("from = ", "above = ")
            .replace("FROM", "from = "),
        Edit::Softens => old.replace("\"red\"", "\"yellow\""),
        Edit::Adds(line) => format!("\n{line}{old}"),
        Edit::Goes => String::new(),
    };
    if *edit == Edit::Goes {
        blocks.remove(block);
    }
    blocks.join("[[rule]]")
}

impl PartialEq for Edit {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The limits in a rule's bands.
fn numbers(block: &str) -> impl Iterator<Item = &str> {
    let ends = ["at_most = ", "below = ", "from = ", "above = "];
    ends.into_iter().flat_map(move |end| {
        block.split(end).skip(1).filter_map(|rest| rest.split([' ', ',', '}']).next().filter(|it| !it.is_empty()))
    })
}

/// An own limit on a rule of the floor's vital, a few units about the floor, and oxygen as it may be.
fn own(rule: &str, floor: &triage::Floor, by: i64, until: &str, oxygen: (bool, bool)) -> Own {
    let value = Value::from(floor.value.0.decimal() + Value::new(by, 0).decimal());
    let said = "\"author\":\"dr. Berg\",\"reason\":\"habitual\",\"from\":\"2026-11-01T00:00:00Z\"";
    let limit = match floor.limit {
        Rung::RedLow => "red_low",
        _ => "red_high",
    };
    let (unit, until) =
        (floor.unit.ucum(), if until.is_empty() { String::new() } else { format!(",\"until\":\"{until}\"") });
    let limits = if rule.is_empty() {
        String::new()
    } else {
        format!("{{\"rule\":\"{rule}\",\"limit\":\"{limit}\",\"value\":{value},\"unit\":\"{unit}\",{said}{until}}}")
    };
    let (home, target) = oxygen;
    let text =
        format!("{{\"limits\":[{limits}],\"oxygen\":[{{\"at_home\":{home},\"target_88_92\":{target},{said}}}]}}");
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn plan(programme: &Arc<Programme>, own: Own) -> Option<Plan> {
    let zone = TimeZone::get("Europe/Copenhagen").unwrap();
    Plan::new("p-1".parse().unwrap(), vec![Arc::clone(programme)], clinic(), own, zone, time("2026-11-22T00:00:00Z"))
        .ok()
}

fn gives(chart: &mut Chart, plan: &Plan, seq: u64, readings: &[Reading], now: &str) {
    let kit = "kit-1".parse().unwrap();
    assess(chart, plan, &Event::Sitting(Sitting { kit: &kit, seq, readings, answers: &[] }), time(now));
}

/// The ids of the rules that judge a vital by its bands, in a text.
fn rules_of(text: &str, vital: Vital) -> Vec<String> {
    let named = format!("\nvital = \"{}\"\n", vital.name());
    let of = text.split("[[rule]]").skip(1).filter(|block| block.contains(&named) && block.contains("kind = \"band\""));
    of.filter_map(|block| Some(block.split("id = \"").nth(1)?.split('"').next()?.to_owned())).collect()
}

fn is_looked_at(text: &str, vital: Vital) -> bool {
    let rules = text.split("\n[[questionnaire]]").next().unwrap();
    let scored = rules.contains("score = \"news2\"") && vital != Vital::Weight;
    scored || rules.split("[[rule]]").skip(1).any(|block| block.contains(&format!("\"{}\"", vital.name())))
}

#[test]
fn nothing_that_is_accepted_leaves_a_reading_at_a_floor_below_red_unless_a_listed_override_says_so() {
    let floors = clinic().floors().to_vec();
    let untils = ["", "2026-12-24T00:00:00Z", "2026-11-20T00:00:00Z", "9999-01-01T00:00:00Z"];
    let given = (
        any::<Index>(),
        prop::collection::vec((any::<Index>(), edit()), 0..3),
        (any::<Index>(), any::<Index>(), -12..12_i64, prop::sample::select(untils.to_vec())),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        0..15_i64,
    );
    let (accepted, refused, overridden) = (std::cell::Cell::new(0), std::cell::Cell::new(0), std::cell::Cell::new(0));
    let count = |cell: &std::cell::Cell<u32>| cell.set(cell.get() + 1);
    let mut runner = TestRunner::new(Config { cases: 1500, failure_persistence: None, ..Config::default() });
    let run = runner.run(&given, |(programme, edits, (floor, rule, by, until), (limited, home, target), beyond)| {
        let (file, shipped) = SHIPPED[programme.index(SHIPPED.len())];
        let mut text = shipped.split("\n[[example]]").next().unwrap().to_owned();
        for (at, edit) in &edits {
            text = edited(&text, *at, edit);
            if !text.contains("kind = \"band\"") {
                break;
            }
        }
        let Ok(programme) = Programme::parse(&text, file).map(Arc::new) else { return Ok(()) };
        if !clinic().passed_by(&programme).is_empty() {
            count(&refused);
            return Ok(());
        }
        let floor = &floors[floor.index(floors.len())];
        let rules = rules_of(&text, floor.vital);
        let rule = if limited && !rules.is_empty() { rules[rule.index(rules.len())].as_str() } else { "" };
        let Some(plan) = plan(&programme, own(rule, floor, by, until, (home, target))) else { return Ok(()) };
        if !plan.unbounded(time(NOW)).is_empty() {
            count(&refused);
            return Ok(());
        }
        if !is_looked_at(&text, floor.vital) {
            return Ok(());
        }
        count(&accepted);
        let sign = if floor.limit == Rung::RedLow { -1 } else { 1 };
        let value = Value::from(floor.value.0.decimal() + Value::new(sign * beyond, 0).decimal());
        let mut chart = Chart::new();
        gives(&mut chart, &plan, 1, &[reading(&format!("{value} {}", floor.vital.name()), time(NOW))], NOW);
        if chart.colour() == vitals::Colour::Red {
            return Ok(());
        }
        let listed = plan.overrides_at(time(NOW));
        count(&overridden);
        prop_assert!(
            listed.iter().any(|it| it.limit.limit == floor.limit && rules.contains(&it.limit.rule)),
            "{file}: {} {value} is {:?} and no override is listed, after {edits:?} and {:?}",
            floor.vital.name(),
            chart.colour(),
            plan.own().limits
        );
        Ok(())
    });
    run.unwrap_or_else(|fault| panic!("{fault}"));
    let counts = (accepted.get(), refused.get(), overridden.get());
    assert!(counts.0 > 200 && counts.1 > 100 && counts.2 > 0, "accepted, refused and overridden: {counts:?}");
}

/// What is usual for the person of [`usual`], and how far from it is tried, in hundredths.
const USUAL: [(Vital, i64, i64); 9] = [
    (Vital::Spo2, 9500, 3000),
    (Vital::Pulse, 7800, 9000),
    (Vital::Temperature, 3660, 400),
    (Vital::Fev1, 140, 90),
    (Vital::Fvc, 250, 150),
    (Vital::Weight, 8000, 800),
    (Vital::Systolic, 12500, 10000),
    (Vital::Diastolic, 7800, 4000),
    (Vital::RespRate, 1600, 1500),
];

/// Somebody of whom each programme knows six weeks, a little up and down.
fn usual() -> Vec<(&'static str, Plan, Chart)> {
    let start = time(NOW) - SignedDuration::from_hours(24 * 42);
    let person = |(file, text): &(&'static str, &'static str)| {
        let programme = Arc::new(Programme::parse(text, file).unwrap_or_else(|fault| panic!("{fault}")));
        let (plan, mut chart) = (plan(&programme, Own::default()).unwrap(), Chart::new());
        for day in 0..42_i64 {
            let at = start + SignedDuration::from_hours(24 * day);
            let sway = [0, 1, -1, 2, -2, 1, 0][day as usize % 7];
            let readings: Vec<Reading> =
                USUAL.iter().map(|(vital, usual, far)| measured(*vital, usual + sway * far / 200, at)).collect();
            gives(&mut chart, &plan, day as u64 + 1, &readings, &at.to_string());
        }
        (*file, plan, chart)
    };
    SHIPPED.iter().map(person).collect()
}

fn measured(vital: Vital, hundredths: i64, at: jiff::Timestamp) -> Reading {
    let most = if vital == Vital::Spo2 { 10_000 } else { i64::MAX };
    let value = Value::new(hundredths.min(most), 2);
    reading(&format!("{value} {}", vital.name()), at)
}

#[test]
fn a_worse_value_never_gives_a_better_colour_by_any_rule_of_any_shipped_programme() {
    let people = usual();
    let given = (any::<Index>(), any::<Index>(), 0..1000_i64, 0..1000_i64, any::<bool>());
    let mut runner = TestRunner::new(Config { cases: 3000, failure_persistence: None, ..Config::default() });
    let above = std::cell::Cell::new(0_u32);
    let run = runner.run(&given, |(person, vital, near, more, up)| {
        let (file, plan, chart) = &people[person.index(people.len())];
        let (vital, usual, far) = USUAL[vital.index(USUAL.len())];
        let sign = if up { 1 } else { -1 };
        let marks = |share: i64| {
            let mut chart = chart.clone();
            let value = usual + sign * far * share / 1000;
            gives(&mut chart, plan, 99, &[measured(vital, value, time(NOW))], NOW);
            (value, chart.standing(plan))
        };
        let farther = usual + sign * far * (near + more).min(1000) / 1000;
        if matches!(vitals::check_value(vital, Value::new(farther, 2)), vitals::Plausibility::Reject(_)) {
            return Ok(());
        }
        let ((one, mild), (two, worse)) = (marks(near), marks((near + more).min(1000)));
        for finding in &mild {
            let other = worse.iter().find(|it| it.rule == finding.rule).map(|it| it.colour);
            above.set(above.get() + u32::from(finding.colour > Mark::Green));
            prop_assert!(
                other >= Some(finding.colour),
                "{file}: {} {}: {one} is {:?}, {two} is {other:?}",
                finding.rule,
                vital.name(),
                finding.colour
            );
        }
        Ok(())
    });
    run.unwrap_or_else(|fault| panic!("{fault}"));
    assert!(above.get() > 100, "only {} findings above green were compared", above.get());
}
