//! Rule kind `habit`: what is added up, against what, what is told of it, and what has it judged anew.

use triage::{Action, CloseReason, EventKind, Finding, Mark, Own, QuietBecause, Reason, Would, act, why, why_not};

use crate::ward::{Ward, course, first_line, moment, programme};

/// Breathless counts two, cough one, and each spread of the pulse half a point.
const HABIT: &str = r#"
[[rule]]
id = "own"
kind = "habit"
family = "ward"
questionnaire = "asked"
over_days = 2
unit = "{points}"
baseline = { centre = "mean", days = 14, minimum_days = 3, max_age_days = 30 }
bands = [{ mark = "green", below = 1 }, { mark = "yellow", from = 1, below = 2 }, { mark = "red", from = 2 }]

[rule.levels]
breathless = { yes = 2 }
cough = { yes = 1 }
sputum = { green = 1 }

[[rule.vitals]]
vital = "pulse"
feared = "above"
points = 0.5
at_most = 3
sd_floor = { value = 4, unit = "/min" }
"#;

const CALM: &str = "80 pulse, breathless=no, cough=no";

/// Calm from the 2nd to the 6th.
fn calm() -> Ward {
    let mut ward = Ward::of(HABIT);
    (2..=6).for_each(|day| drop(ward.on(&format!("{day:02} 08:00"), CALM)));
    ward
}

/// The mark after one more sitting, on the 7th.
#[track_caller]
fn on_the_7th(what: &str, wanted: Mark, points: &str) {
    let mut ward = calm();
    ward.on("07 08:00", what);
    assert_eq!(ward.mark("own"), Some(wanted), "{what}: {}", ward.why("own"));
    assert!(ward.why("own").starts_with(&format!("{points} points unlike usual")), "{what}: {}", ward.why("own"));
}

#[test]
fn answers_and_vitals_add_up_over_two_days() {
    on_the_7th(CALM, Mark::Green, "0.0");
    on_the_7th("80 pulse, breathless=no, cough=yes", Mark::Green, "0.5");
    on_the_7th("80 pulse, breathless=yes, cough=no", Mark::Yellow, "1.0");
    on_the_7th("80 pulse, breathless=yes, cough=yes, sputum=green", Mark::Red, "2.0");
    // Of the pulse the mean of two days, in spreads of 4 /min: 88 is two, 100 is more than three.
    on_the_7th("96 pulse, breathless=no, cough=no", Mark::Yellow, "1.0");
    on_the_7th("120 pulse, breathless=no, cough=no", Mark::Yellow, "1.5");
    on_the_7th("96 pulse, breathless=yes, cough=no", Mark::Red, "2.0");
    // On the other side it takes away, and no more than that.
    on_the_7th("64 pulse, breathless=yes, cough=no", Mark::Green, "0.0");
    on_the_7th("30 pulse, breathless=no, cough=no", Mark::Green, "-1.5");
    // Without a pulse today there is that of yesterday; a doubtful one is none.
    on_the_7th("breathless=yes, cough=no", Mark::Yellow, "1.0");
    on_the_7th("120 pulse low_perfusion, breathless=no, cough=no", Mark::Green, "0.0");
}

#[test]
fn there_is_no_sum_before_there_is_a_habit() {
    let rows: Vec<(String, &str)> =
        (2..=6).map(|day| (format!("{day:02} 08:00"), if day < 6 { "-" } else { "green" })).collect();
    let rows: Vec<(&str, &str, &str)> = rows.iter().map(|(at, wanted)| (at.as_str(), CALM, *wanted)).collect();
    let ward = course(HABIT, "own", &rows);
    let early = why_not(&Ward::of(HABIT).chart, &ward.plan, moment("02 09:00"));
    assert_eq!(early[0].because, QuietBecause::NoValue);
    let mut short = Ward::of(HABIT);
    (2..=4).for_each(|day| drop(short.on(&format!("{day:02} 08:00"), CALM)));
    let quiet = why_not(&short.chart, &short.plan, moment("04 09:00"));
    assert_eq!(quiet[0].because, QuietBecause::TooLittle { found: 1, want: 3 });
}

#[test]
fn what_is_usual_for_the_person_raises_nothing() {
    let mut ward = Ward::of(HABIT);
    for day in 2..=9 {
        ward.on(&format!("{day:02} 08:00"), "95 pulse, breathless=yes, cough=yes, sputum=green");
    }
    assert_eq!(ward.mark("own"), Some(Mark::Green), "{}", ward.why("own"));
    assert!(ward.alerts().is_empty());
}

#[test]
fn a_question_that_is_not_asked_any_more_adds_nothing() {
    let mut ward = calm();
    ward.on("07 07:00", "breathless=no, cough=yes, sputum=green");
    assert!(ward.why("own").starts_with("1.0 points"), "{}", ward.why("own"));
    ward.on("07 10:00", "breathless=no, cough=no");
    assert!(ward.why("own").starts_with("0.0 points"), "{}", ward.why("own"));
}

#[test]
fn each_part_is_told_with_what_is_usual_its_days_and_its_weight() {
    let mut ward = calm();
    ward.on("07 08:00", "98 pulse, breathless=yes, cough=no");
    assert_eq!(
        ward.why("own"),
        "2.1 points unlike usual, the mean of 2 days, red at 2 points or more: \
         answers 1.0 (breathless \"yes\" 2; 1.0 a day, usual 0.0, 4 stable days, 2026-11-02 to 2026-11-05); \
         pulse 1.1 (89.0 /min, 2.3 spreads above usual 80.0 /min, 4 stable days, 2026-11-02 to 2026-11-05; 0.5 for each spread)"
    );
    let finding = ward.finding("own").unwrap();
    assert_eq!(finding.inputs.len(), 2, "{:?}", finding.inputs);
    let Reason::Sum { shares, value, unit, .. } = &finding.reason else { panic!("{:?}", finding.reason) };
    let sum: f64 = shares.iter().map(|share| share.points.to_f64()).sum();
    assert!((sum - value.to_f64()).abs() < 1e-9 && unit == "{points}", "what is told adds up");
    let text = serde_json::to_string(&finding).unwrap();
    assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding, "{text}");
    let without = {
        let mut ward = Ward::of(HABIT);
        (2..=7).for_each(|day| drop(ward.on(&format!("{day:02} 08:00"), "breathless=no, cough=no")));
        ward.why("own")
    };
    assert!(without.ends_with("; not compared: pulse"), "{without}");
}

#[test]
fn what_would_have_been_green_is_true() {
    // Sitting on the 7th, what is said, and the same sitting with that part as usual.
    let cases = [
        (
            "88 pulse, breathless=yes, cough=no",
            "green if the sum were below 1 points, for instance if the answers were as usual",
            Some("88 pulse, breathless=no, cough=no"),
        ),
        (
            "96 pulse, breathless=no, cough=yes",
            "green if the sum were below 1 points, for instance if pulse were as usual",
            Some("80 pulse, breathless=no, cough=yes"),
        ),
        // Each is enough for yellow by itself: neither alone would do.
        ("96 pulse, breathless=yes, cough=no", "green if the sum were below 1 points", None),
    ];
    for (what, said, usual) in cases {
        let mut ward = calm();
        ward.on("07 08:00", what);
        let otherwise = why(&ward.plan, &ward.finding("own").unwrap()).otherwise.unwrap();
        assert_eq!(otherwise.said, said, "{what}");
        assert!(matches!(otherwise.what, Would::Limits { .. }));
        if let Some(usual) = usual {
            let mut ward = calm();
            ward.on("07 08:00", usual);
            assert_eq!(ward.mark("own"), Some(Mark::Green), "{usual}: {}", ward.why("own"));
        }
    }
    let mut ward = calm();
    ward.on("07 08:00", "88 pulse, breathless=yes, cough=no");
    let told = why(&ward.plan, &ward.finding("own").unwrap());
    assert_eq!(
        told.compared.unwrap(),
        "the answers: baseline: 0.0 points a day, of 4 values or days, 2026-11-02 to 2026-11-05; \
         pulse: baseline: 80.0 /min, spread 4.00 /min, of 4 values or days, 2026-11-02 to 2026-11-05"
    );
    assert_eq!(told.limit.unwrap().said, "yellow at 1 points or more");
}

#[test]
fn why_not_says_how_near_it_was_whenever_it_is_asked() {
    let mut ward = calm();
    ward.on("07 08:00", "80 pulse, breathless=no, cough=yes");
    ward.on("07 20:00", "130 pulse");
    for asked in ["07 09:00", "07 21:00"] {
        let quiet = why_not(&ward.chart, &ward.plan, moment(asked));
        assert_eq!(quiet[0].because, QuietBecause::Green, "{asked}");
        assert_eq!(quiet[0].near.as_ref().unwrap().said, "yellow at 1 points or more, 0.5 points away", "{asked}");
    }
}

#[test]
fn what_was_measured_before_the_answers_and_comes_later_counts_and_what_is_measured_after_them_does_not() {
    let mut together = calm();
    together.on("07 08:00", "120 pulse, breathless=no, cough=no");
    assert_eq!(together.mark("own"), Some(Mark::Yellow));
    let mut apart = calm();
    apart.on("07 08:00", "breathless=no, cough=no");
    assert_eq!(apart.mark("own"), Some(Mark::Green));
    apart.sends("07 07:30", "07 08:10", "120 pulse");
    assert_eq!(apart.why("own"), together.why("own"), "half an hour before, and in a message of its own");
    assert_eq!(apart.alerts(), together.alerts());
    let mut after = calm();
    after.on("07 08:00", "breathless=no, cough=no");
    assert!(after.on("07 08:05", "120 pulse").alerts.is_empty());
    assert_eq!(after.mark("own"), Some(Mark::Green));
}

#[test]
fn what_somebody_has_handled_is_not_raised_again_by_the_evenings_measurement() {
    let mut ward = calm();
    let raised = ward.on("07 08:00", "120 pulse, breathless=yes, cough=no").alerts;
    assert_eq!(raised[0].event.kind, EventKind::Raised);
    let alert = raised[0].alert.clone();
    let close = Action::Close { reason: CloseReason::FalseAlarm, note: "called".to_owned() };
    act(&mut ward.chart, alert.id, alert.version, &close, "ann", moment("07 10:00")).unwrap();
    let evening = ward.on("07 20:00", "125 pulse");
    assert!(evening.alerts.is_empty(), "{:?}", evening.alerts);
    assert!(ward.alerts().is_empty());
}

#[test]
fn a_persons_own_limit_moves_it() {
    let own: Own = serde_json::from_str(
        r#"{"limits":[{"rule":"own","limit":"yellow_high","value":1.5,"unit":"{points}","author":"dr. Berg","reason":"anxious","from":"2026-11-02T00:00:00Z"}]}"#,
    )
    .unwrap();
    let mut ward = Ward::with(HABIT, own);
    (2..=6).for_each(|day| drop(ward.on(&format!("{day:02} 08:00"), CALM)));
    ward.on("07 08:00", "80 pulse, breathless=yes, cough=no");
    assert_eq!(ward.mark("own"), Some(Mark::Green), "{}", ward.why("own"));
}

#[test]
fn it_says_in_words_what_it_adds_up() {
    let programme = programme(HABIT).unwrap();
    let said = programme.explain();
    let wanted = "How many points answers and measurements, the mean of 2 days, lie above what is usual for the person: the mean of the 14 \
                  newest stable days (3 at least) of the 30 days before. Points: breathless (yes 2), cough (yes 1), sputum (green 1); and \
                  pulse 0.5 for each spread (at least 4 /min) above it, 3 spreads at most. It is green below 1 points; yellow at 1 points \
                  or more; red at 2 points or more.";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn mistakes_are_told_with_their_line_and_field() {
    // What is written, what is written instead, on which line the fault is, and the fault.
    let cases = [
        ("\"asked\"", "\"ask\"", "\"ask\"", ".questionnaire: found \"ask\", want the id of a [[questionnaire]]"),
        ("over_days = 2", "over_days = 15", "over_days", ".over_days: found 15, want 1 to 14"),
        ("over_days = 2", "over_days = 0", "over_days", ".over_days: found 0, want 1 to 14"),
        (
            "\"{points}\"",
            "\"1\"",
            "unit = \"1\"",
            ".unit: found \"1\", want \"{points}\", the unit in which a sum of points is judged",
        ),
        ("minimum_days = 3", "minimum_days = 15", "minimum_days", ".baseline.minimum_days: found 15, want 2 to 14"),
        (
            "cough = { yes = 1 }",
            "caugh = { yes = 1 }",
            "caugh",
            ".levels.caugh: found \"caugh\", want a question of \"asked\"",
        ),
        (
            "cough = { yes = 1 }",
            "cough = { maybe = 1 }",
            "maybe",
            ".levels.cough.maybe: found \"maybe\", want a choice of question \"cough\"",
        ),
        (
            "cough = { yes = 1 }",
            "cough = { yes = 0 }",
            "yes = 0",
            ".levels.cough.yes: found 0, want more than 0 and at most 10",
        ),
        (
            "cough = { yes = 1 }",
            "cough = { yes = -1 }",
            "yes = -1",
            ".levels.cough.yes: found -1, want more than 0 and at most 10",
        ),
        (
            "cough = { yes = 1 }",
            "cough = {}",
            "cough = {}",
            ".levels.cough: found no answer, want at least one with its points",
        ),
        (
            "breathless = { yes = 2 }\ncough = { yes = 1 }\n",
            "",
            "[rule.levels]",
            ".levels: found only questions with `only_if`, want one that is always asked among them",
        ),
        ("\"above\"", "\"both\"", "\"both\"", ".vitals[0].feared: found `both`, want `above` or `below`"),
        (
            "points = 0.5",
            "points = 10.5",
            "points = 10.5",
            ".vitals[0].points: found 10.5, want more than 0 and at most 10",
        ),
        ("at_most = 3", "at_most = 0", "at_most = 0", ".vitals[0].at_most: found 0, want more than 0 and at most 10"),
        (
            "value = 4, unit = \"/min\"",
            "value = 4, unit = \"%\"",
            "value = 4",
            ".vitals[0].sd_floor.unit: found \"%\", want \"/min\"",
        ),
        (
            "value = 4, unit = \"/min\"",
            "value = 0, unit = \"/min\"",
            "value = 0",
            ".vitals[0].sd_floor: found 0, want more than 0",
        ),
        (
            "feared = \"above\"",
            "feared = \"above\"\nbaseline = { centre = \"mean\", days = 7, minimum_days = 9, max_age_days = 21 }",
            "minimum_days = 9",
            ".vitals[0].baseline.minimum_days: found 9, want 2 to 7",
        ),
        (
            "{ mark = \"green\", below = 1 }",
            "{ mark = \"yellow\", below = -1 }, { mark = \"green\", from = -1, below = 1 }",
            "bands",
            ".bands: found a limit under green, want limits above it alone: fewer points are better",
        ),
        (
            "at_most = 3",
            "at_most = 3\nfever = 1",
            "fever",
            ".vitals[0].fever: found unknown field `fever`, want one of",
        ),
    ];
    for (from, to, at, fault) in cases {
        assert!(HABIT.contains(from), "{from:?} is not in the rule");
        let rule = HABIT.replace(from, to);
        let line = rule.lines().position(|line| line.contains(at)).unwrap() + 1 + first_line();
        let found = programme(&rule).map(|_| ()).unwrap_err().to_string();
        let told =
            |one: &str| one.starts_with(&format!("ward.toml:{line}:")) && one.contains(&format!(": rule[0]{fault}"));
        assert!(found.lines().any(told), "found\n{found}\nwant line {line}{fault}");
    }
}

#[test]
fn a_worse_answer_or_measurement_never_gives_fewer_points() {
    let points = |what: &str| {
        let mut ward = calm();
        ward.on("07 08:00", what);
        let Reason::Sum { value, .. } = ward.finding("own").unwrap().reason else { panic!("{what}") };
        value
    };
    let answers = [
        "breathless=no, cough=no",
        "breathless=no, cough=yes",
        "breathless=yes, cough=no",
        "breathless=yes, cough=yes",
    ];
    let mut before = None;
    for answers in answers {
        let all: Vec<_> = (40..160).step_by(3).map(|pulse| points(&format!("{pulse} pulse, {answers}"))).collect();
        assert!(all.is_sorted(), "{answers}: {all:?}");
        assert!(before.is_none_or(|before| before <= all[0]), "{answers}");
        before = Some(all[0]);
    }
}

#[test]
fn a_red_that_was_made_up_for_stands_in_no_baselines_way_in_whatever_order_it_came() {
    let rules = format!(
        "{HABIT}\n[[rule]]\nid = \"spo2\"\nkind = \"band\"\nfamily = \"ward\"\nvital = \"spo2\"\nunit = \"%\"\n\
         bands = [{{ mark = \"red\", below = 85 }}, {{ mark = \"green\", from = 85 }}]\n"
    );
    let (cold, warm) = ("70 spo2 low_perfusion", "96 spo2");
    let around: [(&[(&str, &str)], &str); 6] = [
        (&[("09:00", cold), ("09:05", warm)], "8 stable days, 2026-11-02 to 2026-11-09"),
        (&[("09:05", warm), ("09:00", cold)], "8 stable days, 2026-11-02 to 2026-11-09"),
        (&[("09:00", cold)], "4 stable days, 2026-11-02 to 2026-11-05"),
        (&[("09:00", cold), ("11:00", warm)], "4 stable days, 2026-11-02 to 2026-11-05"),
        (&[("09:00", cold), ("09:05", "71 spo2")], "4 stable days, 2026-11-02 to 2026-11-05"),
        (&[("09:00", "70 spo2"), ("09:05", warm)], "4 stable days, 2026-11-02 to 2026-11-05"),
    ];
    for (came, wanted) in around {
        let mut ward = Ward::repeating(&rules);
        (2..=6).for_each(|day| drop(ward.on(&format!("{day:02} 08:00"), CALM)));
        came.iter().for_each(|(at, what)| drop(ward.sends(&format!("06 {at}"), "06 11:00", what)));
        (7..=11).for_each(|day| drop(ward.on(&format!("{day:02} 08:00"), CALM)));
        assert!(ward.why("own").contains(wanted), "{came:?}: {}", ward.why("own"));
    }
}

/// Without hysteresis the 9th would be green.
#[test]
fn a_sum_that_crossed_a_limit_counts_until_it_is_back() {
    let rows = [
        ("07 08:00", "80 pulse, breathless=yes, cough=no", "yellow", "yellow"),
        ("08 08:00", CALM, "yellow", "yellow"),
        ("09 08:00", "96 pulse, breathless=no, cough=no", "green", "yellow"),
        ("10 08:00", CALM, "green", "yellow"),
        ("11 08:00", CALM, "green", "green"),
        ("12 08:00", "96 pulse, breathless=no, cough=no", "green", "green"),
    ];
    let kept = HABIT.replace("over_days = 2", "over_days = 2\nhysteresis = 0.5");
    let before: Vec<(String, &str, &str)> = (2..=6).map(|day| (format!("{day:02} 08:00"), CALM, "")).collect();
    for (rules, hysteresis) in [(HABIT, false), (kept.as_str(), true)] {
        let mut ward = Ward::of(rules);
        before.iter().for_each(|(at, what, _)| drop(ward.on(at, what)));
        for (at, what, without, with) in rows {
            ward.on(at, what);
            let found = ward.mark("own").map_or("-".to_owned(), |mark| format!("{mark:?}").to_lowercase());
            assert_eq!(found, if hysteresis { with } else { without }, "{at} {what}: {}", ward.why("own"));
            let kept = ward.why("own").contains(", kept until it is 0.5 points back over the limit: ");
            assert_eq!(kept, hysteresis && with != without, "{}", ward.why("own"));
        }
    }
}
