//! Score files: a local score is data like NEWS2, and every kind of mistake in one names its file, line, field, what was found and wanted.

use proptest::prelude::*;
use triage::{Score, score::Given};

/// An invented score, for this test alone: its numbers mean nothing.
const INVENTED: &str = r#"id = "test-score"
version = 3
title = { en = "Invented test score", da = "Opfundet testscore" }
source = "invented for a test: no clinical meaning"

[[parameter]]
name = "spo2"
title = { en = "SpO2", da = "SpO2" }
vital = "spo2"
unit = "%"
digits = 0
bands = [
  { points = 4, at_most = 79 },
  { points = 0, from = 80 },
]

[[parameter]]
name = "crp"
title = { en = "CRP", da = "CRP" }
unit = "mg/L"
digits = 1
possible = { from = 0, at_most = 600 }
[[parameter.table]]
when = { age = "adult" }
bands = [{ points = 0, at_most = 9.9 }, { points = 2, from = 10.0 }]
[[parameter.table]]
when = { age = "old" }
bands = [{ points = 1, at_most = 4.9 }, { points = 5, from = 5 }]

[[parameter]]
name = "cough"
title = { en = "cough", da = "hoste" }
choice = [
  { id = "no", points = 0, title = { en = "no", da = "nej" } },
  { id = "yes", points = 1, title = { en = "yes", da = "ja" } },
]

[[setting]]
name = "age"
title = { en = "age", da = "alder" }
choice = [
  { id = "adult", title = { en = "adult", da = "voksen" } },
  { id = "old", title = { en = "old", da = "gammel" } },
]
default = "adult"

[[band]]
id = "calm"
at_most = 3
title = { en = "calm", da = "rolig" }
response = { en = "Nothing.", da = "Intet." }

[[band]]
id = "one_bad"
from = 2
at_most = 3
any_part = 2
title = { en = "one bad part", da = "en slem del" }
response = { en = "Look.", da = "Se efter." }

[[band]]
id = "bad"
from = 4
title = { en = "bad", da = "slem" }
response = { en = "Act.", da = "Handl." }

[[example]]
name = "two of three"
given = { crp = 12.34, cough = "yes" }
want = { total = 3, band = "one_bad", missing = ["spo2"], parts = { crp = 2 } }
"#;

#[test]
fn a_local_score_is_data() {
    let score = Score::parse(INVENTED, "test-score.toml").unwrap();
    assert_eq!((score.id(), score.version(), score.examples()), ("test-score", 3, 1));
    let total = |given: &[(&str, Given<'_>)]| {
        let mut inputs = score.inputs();
        given.iter().for_each(|(name, given)| inputs.give(name, *given).unwrap());
        let scored = inputs.scored();
        (scored.total(), scored.band(), scored.is_complete())
    };
    let number = |text: &str| Given::Number(text.parse().unwrap());
    assert_eq!(total(&[("crp", number("9.94"))]), (0, "calm", false));
    assert_eq!(total(&[("crp", number("9.95"))]), (2, "one_bad", false));
    assert_eq!(total(&[("crp", number("4.95")), ("age", Given::Choice("old"))]), (5, "bad", false));
    assert_eq!(
        total(&[("spo2", number("80")), ("crp", number("1")), ("cough", Given::Choice("yes"))]),
        (1, "calm", true)
    );
    let error = score.inputs().give("crp", number("601")).unwrap_err();
    assert_eq!(error.to_string(), "crp 601 mg/L is impossible: want 0 to 600 mg/L");
}

/// The invented score with one piece of its text replaced, and the faults that this makes.
#[track_caller]
fn check(from: &str, to: &str, wanted: &[&str]) {
    assert!(INVENTED.contains(from), "{from:?} is not in the file");
    let error = Score::parse(&INVENTED.replacen(from, to, 1), "s.toml").unwrap_err();
    let found: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(found, wanted);
}

#[test]
fn every_mistake_of_the_head() {
    check(
        "id = \"test-score\"",
        "id = \"Test Score\"",
        &["s.toml:1:6: id: found \"Test Score\", want 1 to 64 of a-z, 0-9, - and _"],
    );
    check("version = 3", "version = 0", &["s.toml:2:11: version: found 0, want 1 or more"]);
    check(
        "version = 3",
        "versoin = 3",
        &[
            "s.toml:1:1: version: found nothing, want a whole number from 0 to 4294967295",
            "s.toml:2:1: versoin: found unknown field `versoin`, want one of id, version, title, source, note, parameter, setting, band, example",
        ],
    );
    check("source = ", "#source = ", &["s.toml:1:1: source: found nothing, want a text in quotes"]);
}

#[test]
fn every_mistake_of_a_parameter() {
    check(
        "unit = \"%\"",
        "unit = \"kPa\"",
        &["s.toml:10:8: parameter[0].unit: found \"kPa\", want \"%\", the unit in which spo2 is judged"],
    );
    check("unit = \"%\"\n", "\n", &["s.toml:6:1: parameter[0].unit: found nothing, want it"]);
    check("digits = 0", "digits = 4", &["s.toml:11:10: parameter[0].digits: found 4, want at most 3"]);
    check(
        "digits = 0",
        "digit = 0",
        &[
            "s.toml:11:1: parameter[0].digit: found unknown field `digit`, want one of `name`, `title`, `vital`, `unit`, `digits`, `possible`, `bands`, `table`, `choice`",
        ],
    );
    check(
        "vital = \"spo2\"",
        "vital = \"sat\"",
        &[
            "s.toml:9:9: parameter[0].vital: found `sat`, want one of `spo2`, `pulse`, `resp_rate`, `temperature`, `systolic`, `diastolic`, `mean_pressure`, `weight`, `fev1`, `fvc`, `fev6`, `pef`, `fev1_fvc`, `perfusion_index`, `oxygen_flow`, `glucose`",
        ],
    );
    check(
        "name = \"crp\"",
        "name = \"spo2\"",
        &["s.toml:18:8: parameter[1].name: found \"spo2\" a second time, want each once"],
    );
    check(
        "possible = { from = 0, at_most = 600 }",
        "possible = { from = 600, at_most = 0 }",
        &["s.toml:22:12: parameter[1].possible: found 600 to 0, want `from` at or under `at_most`"],
    );
    check(
        "digits = 0\n",
        "digits = 0\npossible = { from = 0, at_most = 100 }\n",
        &[
            "s.toml:12:12: parameter[0].possible: found it beside `vital`, want none: what is possible for a vital is known",
        ],
    );
    check(
        "choice = [\n  { id = \"no\"",
        "unit = \"/d\"\nchoice = [\n  { id = \"no\"",
        &["s.toml:33:8: parameter[2].unit: found it beside `choice`, want it with numbers alone"],
    );
    check(
        "digits = 0\n",
        "digits = 0\nchoice = [{ id = \"a\", points = 1, title = { en = \"a\", da = \"a\" } }]\n",
        &["s.toml:6:1: parameter[0]: found `bands` and `choice`, want one of `bands`, [[parameter.table]] or `choice`"],
    );
}

#[test]
fn every_mistake_of_a_table() {
    check(
        "from = 80",
        "from = 81",
        &["s.toml:14:3: parameter[0].bands[1]: found 80 in no band, want every number in one"],
    );
    check(
        "from = 80",
        "from = 79",
        &[
            "s.toml:14:3: parameter[0].bands[1]: found bands 79 or less and 79 or more overlapping, want every number in one alone",
        ],
    );
    check(
        "points = 0, from = 80",
        "points = 0, from = 80, at_most = 99",
        &["s.toml:14:3: parameter[0].bands[1]: found 100 or more in no band, want every number in one"],
    );
    check(
        "points = 4, at_most = 79",
        "points = 4, from = 60, at_most = 79",
        &["s.toml:13:3: parameter[0].bands[0]: found 59 or less in no band, want every number in one"],
    );
    check(
        "points = 4, at_most = 79",
        "points = 4, from = 90, at_most = 79",
        &[
            "s.toml:13:3: parameter[0].bands[0]: found 90 to 79, which holds no number, want `from` at or under `at_most`",
        ],
    );
    check(
        "at_most = 79 }",
        "at_most = 79.5 }",
        &[
            "s.toml:13:27: parameter[0].bands[0].at_most: found 79.5, want at most 0 digits after the point, as `digits` says",
        ],
    );
    check("points = 4", "points = 101", &["s.toml:13:14: parameter[0].bands[0].points: found 101, want at most 100"]);
    check(
        "points = 4",
        "points = -1",
        &["s.toml:13:14: parameter[0].bands[0].points: found -1, want a whole number from 0 to 100"],
    );
    check(
        "from = 80 }",
        "above = 80 }",
        &[
            "s.toml:14:17: parameter[0].bands[1].above: found unknown field `above`, want one of `points`, `from`, `at_most`",
        ],
    );
    check(
        "when = { age = \"old\" }",
        "when = { age = \"ancient\" }",
        &["s.toml:27:16: parameter[1].table[1].when.age: found \"ancient\", want one of adult, old"],
    );
    check(
        "when = { age = \"old\" }",
        "when = { sex = \"old\" }",
        &["s.toml:27:16: parameter[1].table[1].when.sex: found \"sex\", want a setting, or a parameter with choices"],
    );
    check(
        "when = { age = \"old\" }",
        "when = { age = \"adult\" }",
        &[
            "s.toml:23:1: parameter[1].table: found 2 tables for age adult, want exactly one",
            "s.toml:23:1: parameter[1].table: found 0 tables for age old, want exactly one",
        ],
    );
    check(
        "when = { age = \"old\" }",
        "when = { age = \"old\", cough = \"no\" }",
        &["s.toml:23:1: parameter[1].table: found 0 tables for cough yes, age old, want exactly one"],
    );
}

#[test]
fn every_mistake_of_choices_and_settings() {
    check(
        "id = \"yes\", points = 1",
        "id = \"no\", points = 1",
        &["s.toml:35:10: parameter[2].choice[1].id: found \"no\" a second time, want each once"],
    );
    check(
        "id = \"yes\", points = 1",
        "id = \"yes\"",
        &["s.toml:35:3: parameter[2].choice[1].points: found nothing, want it"],
    );
    check(
        "id = \"yes\", points = 1",
        "id = \"ja!\", points = 1",
        &["s.toml:35:10: parameter[2].choice[1].id: found \"ja!\", want 1 to 64 letters, digits, - and _"],
    );
    check(
        "id = \"old\", title",
        "id = \"old\", points = 2, title",
        &["s.toml:43:26: setting[0].choice[1].points: found 2, want none: a setting gives no points"],
    );
    check(
        "default = \"adult\"",
        "default = \"child\"",
        &["s.toml:45:11: setting[0].default: found \"child\", want the id of a choice"],
    );
}

#[test]
fn every_mistake_of_a_response() {
    check("from = 4\n", "from = 5\n", &["s.toml:61:1: band[2]: found 4 in no band, want every number in one"]);
    check(
        "from = 4\n",
        "from = 3\n",
        &["s.toml:61:1: band[2]: found bands 3 or less and 3 or more overlapping, want every number in one alone"],
    );
    check(
        "from = 4\n",
        "from = 4\nat_most = 9\n",
        &["s.toml:61:1: band[2]: found 10 or more in no band, want every number in one"],
    );
    check(
        "from = 2\nat_most = 3\n",
        "from = 2\nat_most = 1\n",
        &["s.toml:53:1: band[1]: found 2 to 1, which holds no sum, want `from` at or under `at_most`"],
    );
    check("id = \"bad\"", "id = \"calm\"", &["s.toml:62:6: band[2].id: found \"calm\" a second time, want each once"]);
    check(
        "at_most = 3\ntitle = { en = \"calm\"",
        "from = 4\ntitle = { en = \"calm\"",
        &[
            "s.toml:47:1: band[0]: found 3 or less in no band, want every number in one",
            "s.toml:61:1: band[2]: found bands 4 or more and 4 or more overlapping, want every number in one alone",
        ],
    );
}

#[test]
fn a_band_of_one_part_stands_where_more_points_are_never_milder() {
    let (before, rest) = INVENTED.split_once("[[band]]\nid = \"one_bad\"").unwrap();
    let (one_bad, after) = rest.split_once("[[band]]\nid = \"bad\"").unwrap();
    let (bad, example) = after.split_once("[[example]]").unwrap();
    let last = format!("{before}[[band]]\nid = \"bad\"{bad}[[band]]\nid = \"one_bad\"{one_bad}[[example]]{example}");
    let error = Score::parse(&last, "s.toml").unwrap_err().to_string();
    let wanted =
        "band[2]: found it after a band of greater sums than its own, want it before: a greater sum must not be milder";
    assert!(error.ends_with(wanted), "{error}");
    let (head, calm) = before.split_once("[[band]]\nid = \"calm\"").unwrap();
    let first =
        format!("{head}[[band]]\nid = \"one_bad\"{one_bad}[[band]]\nid = \"calm\"{calm}[[band]]\nid = \"bad\"{bad}");
    let error = Score::parse(&first, "s.toml").unwrap_err().to_string();
    assert!(
        error.ends_with("band[0]: found it before every band that it could stand for, want it after the first"),
        "{error}"
    );
    let falling = format!("{head}[[band]]\nid = \"bad\"{bad}[[band]]\nid = \"calm\"{calm}");
    let error = Score::parse(&falling, "s.toml").unwrap_err().to_string();
    assert!(error.ends_with("band[1]: found it after a band of greater sums, want the mildest first"), "{error}");
}

#[test]
fn an_example_that_comes_out_otherwise_or_gives_the_impossible_is_a_fault() {
    check(
        "want = { total = 3",
        "want = { total = 4",
        &[
            "s.toml:67:1: example[0]: example \"two of three\" failed: found total 3, band one_bad (crp 2, cough 1), missing [\"spo2\"]; want total 4, band one_bad, crp 2, missing [\"spo2\"]",
        ],
    );
    check(
        "missing = [\"spo2\"]",
        "missing = []",
        &[
            "s.toml:67:1: example[0]: example \"two of three\" failed: found total 3, band one_bad (crp 2, cough 1), missing [\"spo2\"]; want total 3, band one_bad, crp 2, missing []",
        ],
    );
    check(
        "crp = 12.34",
        "crp = 1234",
        &["s.toml:67:1: example[0]: example \"two of three\": crp 1234 mg/L is impossible: want 0 to 600 mg/L"],
    );
    check(
        "cough = \"yes\" }",
        "caugh = \"yes\" }",
        &[
            "s.toml:67:1: example[0]: example \"two of three\": score test-score has no \"caugh\"; it has spo2, crp, cough, age",
        ],
    );
}

#[test]
fn what_is_no_toml_or_too_long_is_said() {
    let error = Score::parse("id = \n", "s.toml").unwrap_err();
    assert_eq!(error.problems()[0].line, 1);
    let long = Score::parse(&"#".repeat(1024 * 1024 + 1), "s.toml").unwrap_err();
    assert_eq!(long.to_string(), "s.toml:1:1: found 1048577 bytes, want at most 1048576");
    let empty = Score::parse("", "s.toml").unwrap_err();
    for wanted in ["id: found nothing", "parameter: found nothing, want [[parameter]] tables", "band: found nothing"] {
        assert!(empty.to_string().contains(wanted), "{empty}");
    }
}

/// The numbers of the invented score's text, by their places.
fn numbers() -> Vec<std::ops::Range<usize>> {
    let digit = |at: usize| INVENTED.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..INVENTED.len()).filter(|at| digit(*at) && !digit(at - 1));
    starts.map(|start| start..(start..).find(|at| !digit(*at)).unwrap()).collect()
}

proptest! {
    /// Whatever numbers stand in a file: it is refused with places, or it scores everything, and more points are never milder.
    #[test]
    fn a_file_that_is_taken_scores_everything(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0..15_i64, any::<i64>()]), 1..4),
        spo2 in 50..=100_i64, crp in 0..=6000_i64, old in any::<bool>(), cough in any::<bool>(),
    ) {
        let mut text = INVENTED.split("[[example]]").next().unwrap().to_owned();
        let places: Vec<_> = numbers().into_iter().filter(|place| place.end < text.len()).collect();
        let mut changes: Vec<_> = changes.iter().map(|(at, to)| (at.index(places.len()), to)).collect();
        changes.sort();
        changes.dedup_by_key(|(at, _)| *at);
        for (at, to) in changes.into_iter().rev() {
            text.replace_range(places[at].clone(), &to.to_string());
        }
        match Score::parse(&text, "s.toml") {
            Err(error) => prop_assert!(error.problems().iter().all(|problem| problem.line > 0 && !problem.text.is_empty())),
            Ok(score) => {
                let mut inputs = score.inputs();
                let _ = inputs.give("age", Given::Choice(if old { "old" } else { "adult" }));
                let mut before = (0, 0);
                for (name, given) in [
                    ("spo2", Given::Number(vitals::Value::new(spo2, 0))),
                    ("crp", Given::Number(vitals::Value::new(crp, 1))),
                    ("cough", Given::Choice(if cough { "yes" } else { "no" })),
                ] {
                    let _ = inputs.give(name, given);
                    let scored = inputs.scored();
                    let now = (scored.total(), scored.band_at());
                    prop_assert!(now.0 >= before.0 && now.1 >= before.1, "{before:?} {now:?}\n{text}");
                    before = now;
                }
            }
        }
    }
}
