//! NEWS2 against its printed table: every edge and one step to either side, the worked cases, and what a partial score may say. The table
//! here is written from Chart 1 of the publication, not from the file that is shipped.

use proptest::prelude::*;
use triage::{
    Score,
    score::{Given, NEWS2, SCORES},
};
use vitals::Value;

/// A column of the printed table: points, and the first and last number (in tenths) that gives them.
type Column = (u8, i64, i64);
const LEAST: i64 = i64::MIN;
const MOST: i64 = i64::MAX;

/// One printed row: the parameter, what is chosen besides, its digits, the lowest and highest number tried, and its columns.
struct Row {
    name: &'static str,
    besides: &'static [(&'static str, &'static str)],
    digits: u32,
    tried: (i64, i64),
    columns: &'static [Column],
}

#[rustfmt::skip]
const CHART_1: &[Row] = &[
    Row { name: "resp_rate", besides: &[], digits: 0, tried: (3, 80),
          columns: &[(3, LEAST, 8), (1, 9, 11), (0, 12, 20), (2, 21, 24), (3, 25, MOST)] },
    Row { name: "spo2", besides: &[("scale", "1")], digits: 0, tried: (50, 100),
          columns: &[(3, LEAST, 91), (2, 92, 93), (1, 94, 95), (0, 96, MOST)] },
    Row { name: "spo2", besides: &[("scale", "1"), ("oxygen", "yes")], digits: 0, tried: (50, 100),
          columns: &[(3, LEAST, 91), (2, 92, 93), (1, 94, 95), (0, 96, MOST)] },
    Row { name: "spo2", besides: &[("scale", "2"), ("oxygen", "no")], digits: 0, tried: (50, 100),
          columns: &[(3, LEAST, 83), (2, 84, 85), (1, 86, 87), (0, 88, 92), (0, 93, MOST)] },
    Row { name: "spo2", besides: &[("scale", "2"), ("oxygen", "yes")], digits: 0, tried: (50, 100),
          columns: &[(3, LEAST, 83), (2, 84, 85), (1, 86, 87), (0, 88, 92), (1, 93, 94), (2, 95, 96), (3, 97, MOST)] },
    Row { name: "systolic", besides: &[], digits: 0, tried: (40, 300),
          columns: &[(3, LEAST, 90), (2, 91, 100), (1, 101, 110), (0, 111, 219), (3, 220, MOST)] },
    Row { name: "pulse", besides: &[], digits: 0, tried: (20, 300),
          columns: &[(3, LEAST, 40), (1, 41, 50), (0, 51, 90), (1, 91, 110), (2, 111, 130), (3, 131, MOST)] },
    Row { name: "temperature", besides: &[], digits: 1, tried: (300, 450),
          columns: &[(3, LEAST, 350), (1, 351, 360), (0, 361, 380), (1, 381, 390), (2, 391, MOST)] },
];

fn news2() -> Score {
    Score::parse(NEWS2, "news2.toml").unwrap()
}

/// The points of one parameter.
fn points(score: &Score, name: &str, value: Value, besides: &[(&str, &str)]) -> Option<u8> {
    let mut inputs = score.inputs();
    inputs.give(name, Given::Number(value)).unwrap();
    besides.iter().for_each(|(name, choice)| inputs.give(name, Given::Choice(choice)).unwrap());
    let scored = inputs.scored();
    scored.parts().find(|(parameter, _)| parameter.name() == name).map(|(_, points)| points)
}

impl Row {
    /// What the printed table gives for a number of steps.
    fn printed(&self, step: i64) -> u8 {
        let mut fit = self.columns.iter().filter(|(_, from, to)| (*from..=*to).contains(&step));
        let (points, ..) = fit.next().expect("a column");
        assert!(fit.next().is_none(), "{} {step} in two columns", self.name);
        *points
    }
}

#[test]
fn every_number_of_the_printed_table_gives_what_is_printed() {
    let score = news2();
    for row in CHART_1 {
        for step in row.tried.0..=row.tried.1 {
            let value = Value::new(step, row.digits);
            assert_eq!(
                points(&score, row.name, value, row.besides),
                Some(row.printed(step)),
                "{} {value} {:?}",
                row.name,
                row.besides
            );
        }
    }
}

/// Each edge, one displayed step to either side, and just under and over half a step, which decides to which side a finer value is rounded.
#[test]
fn every_edge_and_a_step_to_either_side_and_what_lies_between() {
    let score = news2();
    let mut edges = 0;
    for row in CHART_1 {
        for pair in row.columns.windows(2) {
            let ((under, _, last), (over, first, _)) = (pair[0], pair[1]);
            assert_eq!(first, last + 1, "{}: the printed columns follow each other", row.name);
            for (step, wanted) in
                [(last - 1, row.printed(last - 1)), (last, under), (first, over), (first + 1, row.printed(first + 1))]
            {
                assert_eq!(
                    points(&score, row.name, Value::new(step, row.digits), row.besides),
                    Some(wanted),
                    "{} {step}",
                    row.name
                );
            }
            for (hundredths, wanted) in [(49, under), (50, over), (51, over)] {
                let value = Value::new(last * 100 + hundredths, row.digits + 2);
                assert_eq!(points(&score, row.name, value, row.besides), Some(wanted), "{} {value}", row.name);
            }
            edges += 1;
        }
    }
    assert_eq!(edges, 4 + 3 + 3 + 4 + 6 + 4 + 5 + 4);
}

#[test]
fn oxygen_and_consciousness_give_what_is_printed() {
    let score = news2();
    for (name, choice, wanted) in [
        ("oxygen", "no", 0),
        ("oxygen", "yes", 2),
        ("consciousness", "A", 0),
        ("consciousness", "C", 3),
        ("consciousness", "V", 3),
        ("consciousness", "P", 3),
        ("consciousness", "U", 3),
    ] {
        let mut inputs = score.inputs();
        inputs.give(name, Given::Choice(choice)).unwrap();
        assert_eq!(inputs.scored().total(), wanted, "{name} {choice}");
    }
}

/// Breathing rate, SpO2, scale, oxygen, systolic, pulse, consciousness, temperature: points in the table's order, total, band.
type Case = (i64, i64, &'static str, &'static str, i64, i64, &'static str, (i64, u32), [u8; 7], u16, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    (16, 98, "1", "no",  120,  70, "A", (368, 1), [0, 0, 0, 0, 0, 0, 0],  0, "low"),
    (22, 93, "1", "no",  118,  95, "A", (384, 1), [2, 2, 0, 0, 1, 0, 1],  6, "medium"),
    (25, 96, "1", "no",  120,  80, "A", (370, 1), [3, 0, 0, 0, 0, 0, 0],  3, "single_3"),
    (18, 89, "1", "no",  125,  88, "A", (370, 1), [0, 3, 0, 0, 0, 0, 0],  3, "single_3"),
    (18, 89, "2", "no",  125,  88, "A", (370, 1), [0, 0, 0, 0, 0, 0, 0],  0, "low"),
    (18, 93, "2", "no",  125,  88, "A", (370, 1), [0, 0, 0, 0, 0, 0, 0],  0, "low"),
    (18, 93, "2", "yes", 125,  88, "A", (370, 1), [0, 1, 2, 0, 0, 0, 0],  3, "low"),
    (20, 97, "2", "yes", 125,  90, "A", (370, 1), [0, 3, 2, 0, 0, 0, 0],  5, "medium"),
    (24, 86, "2", "yes", 110, 112, "A", (381, 1), [2, 1, 2, 1, 2, 0, 1],  9, "high"),
    (21, 92, "1", "yes", 100, 111, "A", (391, 1), [2, 2, 2, 2, 2, 0, 2], 12, "high"),
    (12, 96, "1", "no",  111,  51, "A", (361, 1), [0, 0, 0, 0, 0, 0, 0],  0, "low"),
    (11, 95, "1", "no",  110,  50, "A", (360, 1), [1, 1, 0, 1, 1, 0, 1],  5, "medium"),
    ( 8, 91, "1", "no",   90,  40, "A", (350, 1), [3, 3, 0, 3, 3, 0, 3], 15, "high"),
    (25, 83, "2", "yes", 220, 131, "C", (350, 1), [3, 3, 2, 3, 3, 3, 3], 20, "high"),
    (20, 96, "1", "no",  219,  90, "V", (380, 1), [0, 0, 0, 0, 0, 3, 0],  3, "single_3"),
    (24, 87, "2", "no",  101, 110, "A", (390, 1), [2, 1, 0, 1, 1, 0, 1],  6, "medium"),
];

#[test]
fn the_worked_cases_come_out_part_by_part() {
    let score = news2();
    for case in CASES {
        let (resp_rate, spo2, scale, oxygen, systolic, pulse, consciousness, (temperature, digits), parts, total, band) =
            *case;
        let mut inputs = score.inputs();
        for (name, value) in [("resp_rate", resp_rate), ("spo2", spo2), ("systolic", systolic), ("pulse", pulse)] {
            inputs.give(name, Given::Number(Value::new(value, 0))).unwrap();
        }
        inputs.give("temperature", Given::Number(Value::new(temperature, digits))).unwrap();
        for (name, choice) in [("scale", scale), ("oxygen", oxygen), ("consciousness", consciousness)] {
            inputs.give(name, Given::Choice(choice)).unwrap();
        }
        let scored = inputs.scored();
        let found: Vec<u8> = scored.parts().map(|(_, points)| points).collect();
        assert_eq!((found.as_slice(), scored.total(), scored.band()), (&parts[..], total, band), "{case:?}");
        assert!(scored.is_complete());
    }
}

#[test]
fn json_is_as_the_contract_has_it_and_a_partial_score_says_at_least() {
    let score = news2();
    let mut inputs = score.inputs();
    for (name, value) in
        [("resp_rate", "22"), ("spo2", "93"), ("systolic", "118"), ("pulse", "95"), ("temperature", "38.4")]
    {
        inputs.give(name, Given::Number(value.parse().unwrap())).unwrap();
    }
    let partial = inputs.scored();
    assert_eq!(
        serde_json::to_string(&partial).unwrap(),
        r#"{"score":"news2","total":6,"band":"medium","complete":false,"missing":["oxygen","consciousness"],"parts":{"resp_rate":2,"spo2":2,"systolic":0,"pulse":1,"temperature":1},"at_least":true}"#
    );
    assert_eq!(
        partial.to_string(),
        "NEWS2 at least 6 of what was measured, medium or worse; oxygen given and consciousness missing"
    );
    inputs.give("oxygen", Given::Choice("no")).unwrap();
    inputs.give("consciousness", Given::Choice("A")).unwrap();
    assert_eq!(
        serde_json::to_string(&inputs.scored()).unwrap(),
        r#"{"score":"news2","total":6,"band":"medium","complete":true,"missing":[],"parts":{"resp_rate":2,"spo2":2,"oxygen":0,"systolic":0,"pulse":1,"consciousness":0,"temperature":1}}"#
    );
    assert_eq!(inputs.scored().to_string(), "NEWS2 6, medium");
    inputs.give("resp_rate", Given::Number(Value::new(30, 0))).unwrap();
    assert_eq!(inputs.scored().to_string(), "NEWS2 7, high");
}

#[test]
fn what_is_impossible_unknown_or_of_another_kind_is_refused_in_one_sentence() {
    let score = news2();
    let mut inputs = score.inputs();
    let number = |text: &str| Given::Number(text.parse().unwrap());
    for (name, given, wanted) in [
        ("spo2", number("101"), "spo2 101 % is impossible: want 50 to 100 %"),
        ("temperature", number("98.6"), "temperature 98.6 Cel is impossible: want 30 to 45 Cel"),
        ("resp_rate", number("-4"), "resp_rate -4 /min is impossible: want 3 to 80 /min"),
        ("consciousness", Given::Choice("B"), "consciousness is \"B\", want one of A, C, V, P, U"),
        ("scale", number("3"), "scale is \"3\", want one of 1, 2"),
        ("pulse", Given::Choice("fast"), "pulse is \"fast\", want a number in /min"),
        (
            "glucose",
            number("5"),
            "score news2 has no \"glucose\"; it has resp_rate, spo2, oxygen, systolic, pulse, consciousness, temperature, scale",
        ),
    ] {
        assert_eq!(inputs.give(name, given).unwrap_err().to_string(), wanted);
        assert!(inputs.is_empty(), "{name}: what is refused is not kept");
    }
}

#[test]
fn every_shipped_score_parses_and_explains_itself() {
    for (id, text) in SCORES {
        let score = Score::parse(text, id).unwrap();
        assert_eq!(score.id(), *id);
        assert!(score.examples() >= 16, "{id}");
        assert_eq!(Score::shipped(id).unwrap().id(), *id);
        assert!(score.source().contains("2017"));
    }
    assert!(Score::shipped("news3").is_none());
    let words = news2().explain();
    for wanted in [
        "  oxygen yes, scale 2: 83 or less gives 3",
        "36.1 to 38.0 gives 0",
        "- 0 to 4, with 3 or more in one part: 3 points in one part (single_3).",
        "- 7 or more: high (high).",
        "1 where nothing is said. Scale 2 only where a competent clinician",
    ] {
        assert!(words.contains(wanted), "{wanted}\n{words}");
    }
}

/// Some inputs of NEWS2, each there or not.
fn some() -> impl Strategy<Value = Vec<(&'static str, Option<Value>, Option<&'static str>)>> {
    let number = |name: &'static str, range: std::ops::RangeInclusive<i64>, digits: u32| {
        prop::option::of(range).prop_map(move |n| (name, n.map(|n| Value::new(n, digits)), None))
    };
    let choice = |name: &'static str, of: &'static [&'static str]| {
        prop::option::of(prop::sample::select(of)).prop_map(move |choice| (name, None, choice))
    };
    (
        number("resp_rate", 3..=80, 0),
        number("spo2", 70..=100, 0),
        number("systolic", 60..=250, 0),
        number("pulse", 30..=200, 0),
        number("temperature", 340..=420, 1),
        choice("oxygen", &["no", "yes"]),
        choice("consciousness", &["A", "C", "V", "P", "U"]),
        choice("scale", &["1", "2"]),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| vec![a, b, c, d, e, f, g, h])
}

proptest! {
    /// A partial score is the least that the whole can be: what comes in addition never lowers the sum, never gives a milder band, and never
    /// makes unknown what was known.
    #[test]
    fn more_never_lowers_a_score(given in some(), keep in prop::collection::vec(any::<bool>(), 8)) {
        static SCORE: std::sync::LazyLock<Score> = std::sync::LazyLock::new(news2);
        let score = &*SCORE;
        let (mut whole, mut part) = (score.inputs(), score.inputs());
        for (at, (name, number, choice)) in given.iter().enumerate() {
            let Some(given) = number.map(Given::Number).or(choice.map(Given::Choice)) else { continue };
            whole.give(name, given).unwrap();
            // The scale is a decision, not a measurement: both have it.
            if keep[at] || *name == "scale" {
                part.give(name, given).unwrap();
            }
        }
        let (whole, part) = (whole.scored(), part.scored());
        prop_assert!(part.total() <= whole.total());
        prop_assert!(part.band_at() <= whole.band_at());
        let known: Vec<_> = part.parts().map(|(parameter, points)| (parameter.name(), points)).collect();
        for (name, points) in known {
            let there = whole.parts().any(|(parameter, whole)| parameter.name() == name && whole == points);
            prop_assert!(there, "{} {} changed", name, points);
        }
    }
}
