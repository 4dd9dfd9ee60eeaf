//! What is refused and how it is said; that the defaults hold; walks with branches.

use super::*;
use crate::round::Refusal;

const GOOD: &str = r#"
id = "t"
version = 1
title = { en = "T", da = "T" }
source = "a test"
[[question]]
id = "a"
text = { en = "A", da = "A" }
kind = "yes_no"
no = { next = "c" }
[[question]]
id = "b"
text = { en = "B", da = "B" }
kind = "number"
min = 1
max = 5.5
decimals = 1
range = [{ below = 2, significance = "green", next = "end" }, { from = 2, significance = "yellow" }]
[[question]]
id = "c"
text = { en = "C", da = "C" }
kind = "text"
length_max = 5
"#;

fn parsed(text: &str) -> Result<Questionnaire, ConfigError> {
    parse(Path::new("t.toml"), text)
}

#[test]
fn what_is_refused_says_where_and_what_was_wanted() {
    #[rustfmt::skip]
    let cases = [
        ("id = \"t\"", "id = \"T\"", "t.toml:2:6: id: found \"T\", want 1 to 64 of a-z, 0-9 and -"),
        ("id = \"t\"", "id = \"kit\"", "t.toml:2:6: id: found \"kit\", which is the kit's own; want another"),
        ("version = 1", "version = 1\ncolour = 3", "t.toml:4:1: colour: unknown field `colour`, expected one of"),
        ("next = \"c\"", "next = \"x\"", "t.toml:10:6: question.no.next: found \"x\", want \"end\" or one of a, b, c"),
        ("next = \"c\"", "next = \"a\"", "t.toml:7:1: question.next: goes in a circle: a -> a"),
        ("length_max = 5", "length_max = 5\nnext = \"a\"", "t.toml:7:1: question.next: goes in a circle: a -> c -> a"),
        ("no = { next = \"c\" }", "next = \"c\"", "t.toml:12:1: question.id: found \"b\", which no way from the first question comes to"),
        ("kind = \"yes_no\"", "kind = \"choice\"", "t.toml:6:1: question.yes: found with kind Choice, want it only with kind YesNo"),
        ("id = \"b\"", "id = \"a\"", "t.toml:12:6: question.id: found \"a\" again, want an id of its own"),
        ("min = 1", "min = 6", "t.toml:11:1: question.max: found 5.5, want more than min, which is 6"),
        ("length_max = 5", "length_max = 0", "t.toml:19:1: question.length_max: found 0, want 1 to 2000"),
        ("en = \"B\"", "en = \" \"", "t.toml:11:1: question.text.en: found 1 characters, want 1 to 1000"),
        ("from = 2", "from = 2, below = 1", "t.toml:18:63: question.range: want from to be less than below"),
    ];
    for (find, put, wanted) in cases {
        let said = parsed(&GOOD.replacen(find, put, 1)).unwrap_err().to_string();
        assert!(said.starts_with(wanted), "{put}: {said}");
    }
}

#[test]
fn paths_and_examples_are_held_to_the_questions() {
    let path =
        |when: &str| format!("{GOOD}[[path]]\nwhen = {{ {when} }}\nsignificance = \"red\"\nsource = \"a test\"\n");
    assert!(parsed(&path("a = [\"yes\"]")).is_ok());
    for (when, wanted) in [
        ("x = [\"yes\"]", "t.toml:24:1: path.when: found \"x\", which is no question here"),
        ("a = [\"maybe\"]", "t.toml:24:1: path.when: found \"maybe\" for a, which can't be answered so"),
        ("b = [\"2\"]", "t.toml:24:1: path.when: found \"2\" for b, which can't be answered so"),
        ("a = []", "t.toml:24:1: path.when: found no answer for a, want at least one"),
        ("", "t.toml:24:1: path.when: found no question, want at least one"),
    ] {
        assert_eq!(parsed(&path(when)).unwrap_err().to_string(), wanted);
    }
    let example = |answers: &str, asked: &str, colour: &str| {
        let want = format!("want = {{ asked = [{asked}], significance = {colour:?} }}");
        parsed(&format!("{GOOD}[[example]]\nname = \"x\"\nanswers = {{ {answers} }}\n{want}\n")).err().map(|e| e.reason)
    };
    assert_eq!(example("a = \"no\", c = \"well\"", r#""a", "c""#, "green"), None);
    assert_eq!(example("b = \"2\"", r#""a", "b", "c""#, "yellow"), None, "a skipped");
    assert_eq!(example("b = \"1.5\"", r#""a", "b""#, "green"), None, "the range ends it");
    let said = |reason: Option<String>| reason.unwrap();
    assert_eq!(
        said(example("a = \"no\", b = \"2\"", "", "green")),
        "\"x\": answers b, which is not asked; asked were a, c"
    );
    assert_eq!(said(example("a = \"no\"", r#""a", "b""#, "green")), "\"x\": asked a, c, want a, b");
    assert_eq!(said(example("b = \"2\"", r#""a", "b", "c""#, "red")), "\"x\": is yellow, want red");
    assert_eq!(said(example("b = \"9\"", "", "red")), "\"x\": the answer to b can't be taken: OutOfRange");
}

#[test]
fn what_can_be_answered() {
    let questionnaire = parsed(GOOD).unwrap();
    for (question, answer, wanted) in [
        ("a", "yes", Ok("yes")),
        ("a", "maybe", Err(Refusal::UnknownOption)),
        ("b", " 2,5 ", Ok("2.5")),
        ("b", "2.55", Err(Refusal::TooManyDecimals)),
        ("b", "6", Err(Refusal::OutOfRange)),
        ("b", "many", Err(Refusal::NotANumber)),
        ("b", "", Err(Refusal::Empty)),
        ("c", "bedre", Ok("bedre")),
        ("c", "dårlig", Err(Refusal::TooLong)),
        ("d", "yes", Err(Refusal::UnknownOption)),
    ] {
        assert_eq!(questionnaire.take(question, answer), wanted.map(str::to_owned), "{question} {answer}");
    }
}

#[test]
fn the_defaults_hold_and_a_folder_replaces_and_adds() {
    let defaults = defaults().unwrap();
    assert_eq!(defaults.keys().collect::<Vec<_>>(), ["copd-daily", "heart-failure-daily"]);
    for questionnaire in defaults.values() {
        assert!(questionnaire.examples.len() >= 5, "{} has few examples", questionnaire.id());
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one.toml"), GOOD).unwrap();
    fs::write(dir.path().join("two.toml"), GOOD.replacen("id = \"t\"", "id = \"copd-daily\"", 1)).unwrap();
    let all = all(Some(dir.path())).unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["copd-daily", "heart-failure-daily", "t"]);
    assert_eq!(all["copd-daily"].first(), "a");
}

/// The programme judges by the same ids: an answer that it does not know would be yellow for ever.
#[test]
fn every_answer_that_the_programme_judges_is_one_of_the_questionnaire() {
    let programme: toml::Table = include_str!("../../../../config/programmes/copd.toml").parse().unwrap();
    let questionnaire = &defaults().unwrap()["copd-daily"];
    let mut judged = 0;
    for rule in programme["rule"].as_array().unwrap().iter().filter(|rule| rule["kind"].as_str() == Some("answer")) {
        let question = rule["question"].as_str().unwrap();
        let marks = rule["marks"].as_table().unwrap();
        for (answer, mark) in marks {
            let found = questionnaire.significance([(question, answer.as_str())]);
            assert_eq!(questionnaire.take(question, answer).as_deref(), Ok(answer.as_str()), "{question}");
            assert_eq!(found.name(), mark.as_str().unwrap(), "{question} {answer}: the kit would phrase it otherwise");
            judged += 1;
        }
    }
    assert_eq!(judged, 19);
}
