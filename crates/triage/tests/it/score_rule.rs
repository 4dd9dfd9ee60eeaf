//! Rule kind `score` on people at home: what counts together, what is said of what is missing, whose scale and whose oxygen, and what a
//! programme may write.

use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::prelude::*;
use triage::{Chart, Event, Finding, Mark, Own, Plan, Programme, Reason, SHIPPED, Sitting, assess};
use vitals::{Answer, KitId, Reading};

use crate::person::{clinic, reading, time};

const AT: &str = "2026-11-23T08:00:00Z";

fn text() -> &'static str {
    SHIPPED.iter().find(|(file, _)| *file == "news2-home.toml").unwrap().1
}

/// Somebody on the NEWS2 ward at home.
struct Home {
    plan: Plan,
    chart: Chart,
    seq: u64,
}

impl Home {
    fn new(oxygen: &str) -> Self {
        static PROGRAMME: LazyLock<Arc<Programme>> =
            LazyLock::new(|| Arc::new(Programme::parse(text(), "news2-home.toml").unwrap()));
        Self::on(oxygen, Arc::clone(&PROGRAMME))
    }

    fn on(oxygen: &str, programme: Arc<Programme>) -> Self {
        let own: Own = serde_json::from_str(&format!("{{\"oxygen\":[{oxygen}]}}")).unwrap();
        let patient = "p-1".parse().unwrap();
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        let plan = Plan::new(patient, vec![programme], clinic(), own, zone, time("2026-11-23T07:00:00Z")).unwrap();
        Self { plan, chart: Chart::new(), seq: 0 }
    }

    /// Values as `93 spo2`, so many minutes after [`AT`], arriving at once; an answer as `confused`.
    fn at(&mut self, minutes: i64, texts: &[&str], answer: Option<&str>) {
        let at = minute(minutes);
        let readings: Vec<Reading> = texts.iter().map(|text| reading(text, at)).collect();
        let answers: Vec<Answer> = answer.iter().map(|text| answered(text, at)).collect();
        self.gives(&readings, &answers, at);
    }

    fn gives(&mut self, readings: &[Reading], answers: &[Answer], now: Timestamp) {
        self.seq += 1;
        let kit: KitId = "kit-1".parse().unwrap();
        let sitting = Sitting { kit: &kit, seq: self.seq, readings, answers };
        assess(&mut self.chart, &self.plan, &Event::Sitting(sitting), now);
    }

    /// What the score says now.
    fn finding(&self) -> Option<Finding> {
        self.chart.standing(&self.plan).into_iter().find(|finding| finding.rule == "news2")
    }

    #[track_caller]
    fn why(&self) -> String {
        self.finding().expect("a finding").why
    }

    fn open(&self) -> Vec<(&str, Mark)> {
        self.chart.open_alerts().map(|alert| (alert.family.as_str(), alert.now_mark)).collect()
    }
}

fn minute(minutes: i64) -> Timestamp {
    time(AT).checked_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn answered(text: &str, at: Timestamp) -> Answer {
    let (questionnaire, question) = ("news2-home".to_owned(), "consciousness".to_owned());
    Answer { questionnaire, version: 1, question, answer: text.to_owned(), answered_at: at }
}

fn oxygen(at_home: bool, target: bool, until: &str) -> String {
    format!(
        r#"{{"at_home":{at_home},"target_88_92":{target},"author":"e-doctor","reason":"documented","from":"2026-11-01T00:00:00Z"{until}}}"#
    )
}

const CALM: [&str; 5] = ["16 resp_rate", "97 spo2", "120 systolic", "70 pulse", "36.8 temperature"];

#[test]
fn a_whole_score_says_its_parts() {
    let mut home = Home::new(&oxygen(false, false, ""));
    home.at(0, &["22 resp_rate", "93 spo2", "118 systolic", "95 pulse", "38.4 temperature"], Some("as_usual"));
    assert_eq!(
        home.why(),
        "NEWS2 6, medium: yellow (respiratory rate 22 /min gives 2, SpO2 93 % gives 2, pulse 95 /min gives 1, temperature 38.4 °C gives 1)"
    );
    let finding = home.finding().unwrap();
    assert_eq!(finding.inputs.len(), 6);
    let Reason::Together { how, found, of, want, parts, missing } = finding.reason else { panic!("another reason") };
    assert_eq!((how.as_str(), found, of, want, parts.len(), missing.len()), ("score", 6, 20, 5, 4, 0));
}

/// Under which sum the mark would be milder: none, where one part by itself is enough for it.
#[test]
fn a_smaller_sum_is_told_where_it_would_be_milder() {
    for (texts, wanted) in [
        (["16 resp_rate", "92 spo2", "118 systolic", "112 pulse", "38.4 temperature"], (5, 5)),
        (["16 resp_rate", "91 spo2", "118 systolic", "95 pulse", "38.4 temperature"], (5, 0)),
        (["16 resp_rate", "91 spo2", "118 systolic", "80 pulse", "36.4 temperature"], (3, 0)),
        (["25 resp_rate", "91 spo2", "118 systolic", "95 pulse", "38.4 temperature"], (8, 7)),
        (["16 resp_rate", "97 spo2", "118 systolic", "80 pulse", "36.4 temperature"], (0, 0)),
    ] {
        let mut home = Home::new(&oxygen(false, false, ""));
        home.at(0, &texts, Some("as_usual"));
        let Reason::Together { found, want, .. } = home.finding().unwrap().reason else { panic!("another reason") };
        assert_eq!((found, want), wanted, "{texts:?}");
    }
}

#[test]
fn a_partial_score_says_at_least_and_what_is_missing() {
    let mut home = Home::new("");
    home.at(0, &["92 spo2", "118 systolic", "112 pulse", "38.4 temperature"], None);
    assert_eq!(
        home.why(),
        "NEWS2 at least 5 of what was measured, medium or worse; respiratory rate, oxygen given and consciousness missing: yellow \
         (SpO2 92 % gives 2, pulse 112 /min gives 2, temperature 38.4 °C gives 1)"
    );
    home.at(5, &[], Some("confused"));
    assert_eq!(
        home.why(),
        "NEWS2 at least 8 of what was measured, high; respiratory rate and oxygen given missing: red \
         (SpO2 92 % gives 2, pulse 112 /min gives 2, consciousness \"confused\" gives 3, temperature 38.4 °C gives 1)"
    );
}

#[test]
fn the_scale_and_the_oxygen_are_the_patients_own_and_a_measured_flow_goes_before() {
    let spo2 = |own: &str, flow: Option<(i64, &str)>| {
        let mut home = Home::new(own);
        if let Some((minutes, flow)) = flow {
            home.at(minutes, &[flow], None);
        }
        let texts = ["16 resp_rate", "96 spo2", "120 systolic", "70 pulse", "36.8 temperature"];
        home.at(0, &texts, Some("as_usual"));
        home.why()
    };
    let ended = r#","until":"2026-11-20T00:00:00Z""#;
    for (own, flow, wanted) in [
        (oxygen(false, false, ""), None, "NEWS2 0, low: green"),
        (oxygen(true, false, ""), None, "NEWS2 2, low: green (oxygen given (own setting) gives 2)"),
        (
            oxygen(true, true, ""),
            None,
            "NEWS2 4, low: green (SpO2 96 % gives 2, oxygen given (own setting) gives 2), on SpO2 scale 2 (own setting)",
        ),
        (oxygen(true, true, ""), Some((-30, "0 oxygen_flow")), "NEWS2 0, low: green, on SpO2 scale 2 (own setting)"),
        (
            oxygen(false, true, ""),
            Some((-30, "1.5 oxygen_flow")),
            "NEWS2 4, low: green (SpO2 96 % gives 2, oxygen flow 1.5 L/min gives 2), on SpO2 scale 2 (own setting)",
        ),
        (oxygen(false, false, ""), Some((-25 * 60, "1.5 oxygen_flow")), "NEWS2 0, low: green"),
        (
            oxygen(true, true, ended),
            None,
            "NEWS2 at least 0 of what was measured, low or worse; oxygen given missing: green",
        ),
        (String::new(), Some((-30, "2 oxygen_flow")), "NEWS2 2, low: green (oxygen flow 2 L/min gives 2)"),
    ] {
        assert_eq!(spo2(&own, flow), wanted, "{own} {flow:?}");
    }
}

#[test]
fn parts_count_together_for_an_hour_and_no_longer() {
    let mut home = Home::new(&oxygen(false, false, ""));
    home.at(0, &["91 spo2"], None);
    home.at(60, &["112 pulse"], None);
    assert!(home.why().starts_with("NEWS2 at least 5 of"), "{}", home.why());
    home.at(61, &["112 pulse"], None);
    assert!(home.why().starts_with("NEWS2 at least 5 of"), "the worst of a quarter of an hour counts: {}", home.why());
    home.at(90, &["131 pulse"], None);
    assert!(home.why().starts_with("NEWS2 at least 3 of"), "{}", home.why());
}

/// The danger of a partial score: silence of one device would look like health.
#[test]
fn what_was_not_measured_never_eases_an_alert() {
    let mut home = Home::new(&oxygen(false, false, ""));
    home.at(0, &["93 spo2", "118 systolic", "112 pulse", "38.4 temperature"], Some("as_usual"));
    assert_eq!(home.open(), [("news2", Mark::Yellow)]);
    for hour in 2..8 {
        home.at(hour * 60, &["36.8 temperature", "70 pulse"], Some("as_usual"));
        assert_eq!(home.open(), [("news2", Mark::Yellow)], "hour {hour}: no saturation and no pressure");
        assert!(home.why().starts_with("NEWS2 at least 5 of"), "{}", home.why());
    }
    home.at(8 * 60, &CALM, Some("as_usual"));
    assert_eq!(home.finding().unwrap().colour, Mark::Green);
    home.at(10 * 60, &CALM, Some("as_usual"));
    assert!(home.open().iter().all(|(family, _)| *family != "news2"), "{:?}", home.open());
}

#[test]
fn a_doubt_about_a_part_counts_where_the_rest_would_not_do() {
    let mut home = Home::new(&oxygen(false, false, ""));
    home.at(0, &["91 spo2 low_perfusion", "118 systolic", "80 pulse", "36.8 temperature"], None);
    let finding = home.finding().unwrap();
    assert!(
        finding.provisional && finding.why.contains("doubtful: low perfusion, to be measured again"),
        "{}",
        finding.why
    );
    assert!(home.open().is_empty(), "a doubtful yellow waits for the repeat: {:?}", home.open());
    let mut home = Home::new(&oxygen(false, false, ""));
    home.at(0, &["94 spo2 low_perfusion", "110 systolic", "112 pulse", "39.5 temperature"], None);
    let finding = home.finding().unwrap();
    assert!(!finding.provisional, "5 points without it: {}", finding.why);
    assert_eq!(home.open(), [("news2", Mark::Yellow)]);
}

#[test]
fn what_comes_late_is_scored_as_of_then() {
    let mut home = Home::new(&oxygen(false, false, ""));
    home.at(300, &CALM, Some("as_usual"));
    let then: Vec<Reading> =
        ["25 resp_rate", "91 spo2", "100 systolic"].iter().map(|text| reading(text, minute(0))).collect();
    home.gives(&then, &[], minute(301));
    assert_eq!(home.finding().unwrap().colour, Mark::Green, "now is calm");
    let alert = home.chart.open_alerts().find(|alert| alert.family == "news2").unwrap();
    assert!(alert.late && alert.mark == Mark::Red, "{alert:?}");
    assert!(alert.findings[0].why.ends_with("arrived late"), "{}", alert.findings[0].why);
}

proptest! {
    /// However a sitting is divided into messages, and in whatever order it comes, the same stands.
    #[test]
    fn order_within_a_sitting_changes_nothing(
        spo2 in 80..100_i64, pulse in 40..140_i64, temperature in 345..400_i64, systolic in 80..230_i64,
        turn in 0..5_usize, split in 1..5_usize, back in any::<bool>(),
    ) {
        let texts = [
            format!("{spo2} spo2"), format!("{pulse} pulse"), format!("{}.{} temperature", temperature / 10, temperature % 10),
            format!("{systolic} systolic"), "18 resp_rate".to_owned(),
        ];
        let readings: Vec<Reading> = texts.iter().map(|text| reading(text, minute(0))).collect();
        let mut one = Home::new(&oxygen(false, false, ""));
        one.gives(&readings, &[answered("as_usual", minute(0))], minute(1));
        let mut turned = readings;
        turned.rotate_left(turn);
        if back {
            turned.reverse();
        }
        let mut other = Home::new(&oxygen(false, false, ""));
        other.gives(&turned[..split], &[], minute(1));
        other.gives(&turned[split..], &[answered("as_usual", minute(0))], minute(1));
        let state = |home: &Home| (home.finding().map(|finding| (finding.colour, finding.at)), home.open().len());
        prop_assert_eq!(state(&one), state(&other));
    }
}

/// The shipped programme with a piece of its text replaced: the fault that it must have.
#[track_caller]
fn refused(from: &str, to: &str, wanted: &str) {
    assert!(text().contains(from), "{from:?} is not in the programme");
    let error = Programme::parse(&text().replacen(from, to, 1), "p.toml").unwrap_err();
    let line = error.to_string().lines().find(|line| line.contains(wanted)).map(str::to_owned);
    assert!(line.is_some_and(|line| line.starts_with("p.toml:") && line.contains(": rule[0].")), "{wanted}\n{error}");
}

#[test]
fn every_mistake_of_a_score_rule_has_its_place() {
    refused(
        "score = \"news2\"",
        "score = \"news3\"",
        "rule[0].score: found \"news3\", want news2, or the id of a [[score]] of this programme",
    );
    refused(
        "within = \"60m\"",
        "within = \"25h\"",
        "rule[0].within: found 25h, want more than nothing and at most 24h",
    );
    refused("within = \"60m\"", "within = \"0m\"", "rule[0].within: found 0s, want more than nothing");
    refused(
        "oxygen_within = \"24h\"\n",
        "",
        "rule[0].oxygen_within: found nothing, want it: the score asks for oxygen",
    );
    refused(
        "oxygen_within = \"24h\"",
        "oxygen_within = \"169h\"",
        "rule[0].oxygen_within: found 169h, want more than nothing and at most 168h",
    );
    refused(
        "single_3 = \"yellow\"",
        "singel_3 = \"yellow\"",
        "rule[0].marks.singel_3: found \"singel_3\", want a band of news2: low, single_3, medium, high",
    );
    refused("single_3 = \"yellow\", ", "", "rule[0].marks: found no mark for band \"single_3\", want one for each");
    refused(
        "single_3 = \"yellow\"",
        "single_3 = \"red\"",
        "rule[0].marks.medium: found yellow after red, want none milder than that of a milder band",
    );
    refused(
        "\"spo2\", \"pulse\", \"systolic\"",
        "\"sat\", \"pulse\", \"systolic\"",
        "rule[0].calm_needs[0]: found \"sat\", want a parameter of news2",
    );
    refused(
        "[rule.answers.consciousness]",
        "settings = { scale = \"2\" }\n[rule.answers.consciousness]",
        "rule[0].settings.scale: found it for everybody, want it as a patient's own",
    );
    refused(
        "[rule.answers.consciousness]",
        "settings = { age = \"2\" }\n[rule.answers.consciousness]",
        "rule[0].settings.age: found \"age\", want a setting of news2",
    );
    refused(
        "[rule.answers.consciousness]",
        "[rule.answers.pulse]",
        "rule[0].answers.pulse: found \"pulse\", want a parameter of news2 that is chosen",
    );
    refused(
        "questionnaire = \"news2-home\"",
        "questionnaire = \"copd\"",
        "rule[0].answers.consciousness.questionnaire: found \"copd\", want the id of a [[questionnaire]]",
    );
    refused(
        "question = \"consciousness\"",
        "question = \"awake\"",
        "rule[0].answers.consciousness.question: found \"awake\", want a question of \"news2-home\"",
    );
    refused(
        "confused = \"C\"",
        "confused = \"D\"",
        "rule[0].answers.consciousness.choices.confused: found \"D\", want one of A, C, V, P, U",
    );
    refused(
        "confused = \"C\"",
        "dazed = \"C\"",
        "rule[0].answers.consciousness.choices.dazed: found \"dazed\", want a choice of question \"consciousness\"",
    );
    refused("within = \"60m\"", "withn = \"60m\"", "rule[0].withn: found unknown field `withn`");
}

/// An invented score in a programme, for this test alone: its numbers mean nothing.
const LOCAL: &str = r#"id = "local"
version = 1
title = { en = "Test", da = "Test" }
zone = "Europe/Copenhagen"

[clinic]
late_after = "24h"
ease_after_sittings = 2
early = "2h"
grace = "2h"

[[score]]
id = "test-score"
version = 1
title = { en = "Invented test score", da = "Opfundet testscore" }
source = "invented for a test: no clinical meaning"
[[score.parameter]]
name = "pulse"
title = { en = "pulse", da = "puls" }
vital = "pulse"
unit = "/min"
digits = 0
[[score.parameter.table]]
when = { age = "adult" }
bands = [{ points = 0, at_most = 99 }, { points = 4, from = 100 }]
[[score.parameter.table]]
when = { age = "old" }
bands = [{ points = 0, at_most = 89 }, { points = 4, from = 90 }]
[[score.setting]]
name = "age"
title = { en = "age", da = "alder" }
choice = [{ id = "adult", title = { en = "adult", da = "voksen" } }, { id = "old", title = { en = "old", da = "gammel" } }]
default = "adult"
[[score.band]]
id = "calm"
at_most = 3
title = { en = "calm", da = "rolig" }
response = { en = "Nothing.", da = "Intet." }
[[score.band]]
id = "bad"
from = 4
title = { en = "bad", da = "slem" }
response = { en = "Act.", da = "Handl." }

[[rule]]
id = "test"
kind = "score"
family = "test"
score = "test-score"
within = "1h"
settings = { age = "old" }
marks = { calm = "green", bad = "red" }

[[example]]
name = "90 is bad of the old"
readings = [{ vital = "pulse", value = 90, unit = "/min" }]
want = { test = "red" }
"#;

#[test]
fn a_programme_may_bring_a_score_of_its_own() {
    Programme::parse(LOCAL, "local.toml").unwrap_or_else(|fault| panic!("{fault}"));
    for (from, to, wanted) in [
        (
            "{ points = 4, from = 100 }",
            "{ points = 4, from = 101 }",
            "local.toml:25:40: score[0].parameter[0].table[0].bands[1]: found 100 in no band, want every number in one",
        ),
        (
            "id = \"test-score\"",
            "id = \"news2\"",
            "local.toml:13:6: score[0].id: found \"news2\", which is another score, want an id of its own",
        ),
        (
            "within = \"1h\"",
            "within = \"1h\"\noxygen_within = \"1h\"",
            "local.toml:51:17: rule[0].oxygen_within: found it, want none: the score asks for no oxygen",
        ),
        (
            "age = \"old\" }\nmarks",
            "age = \"young\" }\nmarks",
            "local.toml:51:20: rule[0].settings.age: age is \"young\", want one of adult, old",
        ),
        (
            "version = 1\ntitle = { en = \"Inv",
            "version = 1\ncolour = 2\ntitle = { en = \"Inv",
            "local.toml:15:1: score[0].colour: found unknown field `colour`",
        ),
    ] {
        assert!(LOCAL.contains(from), "{from}");
        let error = Programme::parse(&LOCAL.replacen(from, to, 1), "local.toml").unwrap_err().to_string();
        assert!(error.lines().any(|line| line.starts_with(wanted)), "{wanted}\n{error}");
    }
}

/// Sums, and single parts that are enough: what was reached counts until it is a point back.
#[test]
fn a_mark_that_was_reached_counts_until_the_score_is_back() {
    let programme = text().replace("oxygen_within = ", "hysteresis = 1\noxygen_within = ");
    let mut home =
        Home::on(&oxygen(false, false, ""), Arc::new(Programme::parse(&programme, "news2-home.toml").unwrap()));
    let day = |respiratory: &'static str, spo2: &'static str, pulse: &'static str| {
        [respiratory, spo2, "118 systolic", pulse, "36.8 temperature"]
    };
    let rows = [
        (day("16 resp_rate", "97 spo2", "70 pulse"), Mark::Green, false),
        // Seven, then six, then five.
        (day("24 resp_rate", "93 spo2", "131 pulse"), Mark::Red, false),
        (day("24 resp_rate", "93 spo2", "115 pulse"), Mark::Red, true),
        (day("24 resp_rate", "94 spo2", "115 pulse"), Mark::Yellow, false),
        (day("22 resp_rate", "97 spo2", "115 pulse"), Mark::Yellow, true),
        (day("16 resp_rate", "97 spo2", "115 pulse"), Mark::Yellow, true),
        (day("16 resp_rate", "97 spo2", "95 pulse"), Mark::Green, false),
        (day("16 resp_rate", "97 spo2", "115 pulse"), Mark::Green, false),
    ];
    for (hours, (texts, mark, kept)) in rows.iter().enumerate() {
        home.at(i64::try_from(hours).unwrap() * 180, texts, Some("as_usual"));
        let finding = home.finding().unwrap();
        assert_eq!(finding.colour, *mark, "{texts:?}: {}", finding.why);
        assert_eq!(finding.why.ends_with(", kept until it is 1 points back"), *kept, "{}", finding.why);
    }
    for (back, fits) in [("0", false), ("1", true), ("2", true), ("3", false)] {
        let programme = text().replace("oxygen_within = ", &format!("hysteresis = {back}\noxygen_within = "));
        let fault = Programme::parse(&programme, "news2-home.toml").map(drop).map_err(|fault| fault.to_string());
        let wanted =
            format!("hysteresis: found {back}, want 1 or more, and so few that no points at all are green again");
        assert!(fits == fault.is_ok() && (fits || fault.clone().unwrap_err().contains(&wanted)), "{back}: {fault:?}");
    }
}

/// Sittings less than an hour apart, and one of a single value between two: what was not measured has not gone back.
#[test]
fn a_mark_is_held_across_sittings_of_any_distance_and_size() {
    let programme = text().replace("oxygen_within = ", "hysteresis = 1\noxygen_within = ");
    let (seven, six) = (
        ["24 resp_rate", "93 spo2", "118 systolic", "131 pulse", "36.8 temperature"],
        ["24 resp_rate", "93 spo2", "118 systolic", "115 pulse", "36.8 temperature"],
    );
    for minutes in [20, 40, 65, 180] {
        let programme = Arc::new(Programme::parse(&programme, "news2-home.toml").unwrap());
        let mut home = Home::on(&oxygen(false, false, ""), programme);
        home.at(0, &seven, Some("as_usual"));
        for times in 1..=3 {
            home.at(times * minutes, &six, Some("as_usual"));
            assert_eq!(home.finding().unwrap().colour, Mark::Red, "{minutes} {times}: {}", home.why());
        }
        home.at(3 * minutes + 240, &["97 spo2"], None);
        home.at(3 * minutes + 480, &six, Some("as_usual"));
        assert_eq!(home.finding().unwrap().colour, Mark::Red, "{minutes}: {}", home.why());
    }
}
