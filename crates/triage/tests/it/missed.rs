//! Rules that apply on oxygen or on air alone, and what did not come: missed in a row, a silent kit, risk levels with their schedules, answers.

use triage::{Mark, Own, Reason};

use crate::ward::{PULSE, Ward, moment};

fn spo2(id: &str, when: &str, bands: &str) -> String {
    format!(
        "\n[[rule]]\nid = \"{id}\"\nkind = \"band\"\nfamily = \"ward\"\nvital = \"spo2\"\nunit = \"%\"\nwhen = {when}\nbands = [{bands}]\n"
    )
}

#[test]
fn limits_for_people_on_oxygen_and_on_air_and_too_much_oxygen() {
    // NEWS2, SpO2 scale 2, on oxygen: one point at 93-94, two at 95-96, three at 97 or more.
    let rules = spo2("air", "\"on_air\"", "{ mark = \"red\", at_most = 90 }, { mark = \"green\", above = 90 }")
        + &spo2("oxygen", "[\"on_oxygen\"]", "{ mark = \"red\", at_most = 85 }, { mark = \"green\", above = 85 }")
        + &spo2(
            "too_much",
            "[\"on_oxygen\", \"target_88_92\"]",
            "{ mark = \"green\", below = 93 }, { mark = \"yellow\", from = 93, below = 97 }, { mark = \"red\", from = 97 }",
        );
    let own = |text: &str| -> Own {
        serde_json::from_str(&format!(
            "{{\"oxygen\":[{{{text},\"author\":\"dr. Berg\",\"reason\":\"blood gas\",\"from\":\"2026-11-01T00:00:00Z\"}}]}}"
        ))
        .unwrap()
    };
    let said = |own: Own, course: &[(&str, &str)]| {
        let mut ward = Ward::with(&rules, own);
        course.iter().for_each(|(at, what)| drop(ward.on(at, what)));
        ["air", "oxygen", "too_much"].map(|rule| ward.mark(rule))
    };
    let (green, red, yellow) = (Some(Mark::Green), Some(Mark::Red), Some(Mark::Yellow));
    let nothing = Own::default;
    assert_eq!(said(nothing(), &[("02 08:00", "88 spo2")]), [red, None, None]);
    assert_eq!(said(nothing(), &[("02 08:00", "88 spo2, 2 oxygen_flow")]), [None, green, None]);
    assert_eq!(said(nothing(), &[("02 08:00", "88 spo2"), ("02 08:10", "2 oxygen_flow")]), [None, green, None]);
    assert_eq!(said(nothing(), &[("02 08:00", "88 spo2"), ("02 08:16", "2 oxygen_flow")]), [red, None, None]);
    assert_eq!(said(nothing(), &[("02 08:00", "2 oxygen_flow"), ("03 08:00", "88 spo2")]), [None, green, None]);
    assert_eq!(said(nothing(), &[("02 08:00", "2 oxygen_flow"), ("03 08:01", "88 spo2")]), [red, None, None]);
    let home = || own("\"at_home\":true,\"target_88_92\":true");
    assert_eq!(said(home(), &[("02 08:00", "92 spo2")]), [None, green, green]);
    assert_eq!(said(home(), &[("02 08:00", "93 spo2")]), [None, green, yellow]);
    assert_eq!(said(home(), &[("02 08:00", "97 spo2")]), [None, green, red]);
    assert_eq!(said(home(), &[("02 08:00", "97 spo2, 0 oxygen_flow")]), [green, None, None]);
    assert_eq!(said(own("\"at_home\":true"), &[("02 08:00", "97 spo2")]), [None, green, None]);
}

#[test]
fn a_rule_that_applies_no_longer_stands_no_longer_and_its_yellow_alert_eases() {
    let rules = spo2("air", "\"on_air\"", "{ mark = \"yellow\", at_most = 90 }, { mark = \"green\", above = 90 }");
    let mut ward = Ward::of(&rules);
    ward.on("02 08:00", "88 spo2");
    assert_eq!((ward.mark("air"), ward.alerts().len()), (Some(Mark::Yellow), 1));
    ward.on("02 12:00", "2 oxygen_flow, 88 spo2");
    assert_eq!(ward.mark("air"), None);
    let Some(alert) = ward.chart.open_alerts().next() else { panic!("it waits for a second normal sitting") };
    assert_eq!((alert.now_mark, alert.normal_in_row), (Mark::Green, 1));
}

fn missing(more: &str) -> String {
    format!(
        "{PULSE}\n[[rule]]\nid = \"own\"\nkind = \"missing\"\nfamily = \"missing\"\nschedule = \"daily\"\nvitals = [\"pulse\"]\n{more}\n"
    )
}

#[test]
fn missed_in_a_row_is_graver_and_one_sitting_ends_it() {
    let mut ward = Ward::of(&missing("in_a_row = 3\nthen = \"yellow\""));
    ward.on("02 07:00", "80 pulse");
    for (at, wanted) in [
        ("02 13:00", None),
        ("03 13:00", Some(Mark::Blue)),
        ("04 13:00", Some(Mark::Blue)),
        ("05 13:00", Some(Mark::Yellow)),
    ] {
        ward.ticks(at);
        assert_eq!(ward.mark("own"), wanted, "{at}");
    }
    assert_eq!(
        ward.why("own"),
        "no pulse for 2026-11-05 08:00, overdue since 2026-11-05 14:00, last heard of 2026-11-02 08:00, 3 times in a row"
    );
    assert!(ward.chart.blue(), "what is missing is missing, whatever its mark");
    assert_eq!(ward.alerts(), [("missing".to_owned(), Mark::Yellow)]);
    ward.on("05 14:00", "80 pulse");
    assert_eq!((ward.mark("own"), ward.alerts(), ward.chart.blue()), (None, vec![], false));
    ward.ticks("06 13:00");
    assert_eq!(ward.mark("own"), Some(Mark::Blue), "it begins anew");
}

#[test]
fn a_pause_counts_for_nothing_in_a_row() {
    let own = r#"{"pauses":[{"kind":"holiday","author":"anna","reason":"Rome","from":"2026-11-03T00:00:00Z","until":"2026-11-05T00:00:00Z"}]}"#;
    let mut ward = Ward::with(&missing("in_a_row = 2\nthen = \"yellow\""), serde_json::from_str(own).unwrap());
    for (at, wanted) in
        [("02 13:00", Mark::Blue), ("03 13:00", Mark::Blue), ("04 13:00", Mark::Blue), ("05 13:00", Mark::Yellow)]
    {
        ward.ticks(at);
        assert_eq!(ward.mark("own"), Some(wanted), "{at}");
    }
    let expected: Vec<_> = ward.chart.open_alerts().next().unwrap().findings.iter().map(|it| it.at).collect();
    assert_eq!(expected, [moment("05 13:00"),], "nothing was expected in between");
}

#[test]
fn silence_after_red_is_graver_and_does_not_feed_on_itself() {
    let rules = missing("after_yellow = \"yellow\"\nafter_red = \"red\"");
    for (pulse, wanted, said) in [
        ("80", Mark::Blue, ""),
        ("110", Mark::Yellow, ", yellow when last heard of"),
        ("131", Mark::Red, ", red when last heard of"),
    ] {
        let mut ward = Ward::of(&rules);
        ward.on("02 07:00", &format!("{pulse} pulse"));
        ward.ticks("04 13:00");
        assert_eq!(ward.mark("own"), Some(wanted));
        assert!(ward.why("own").ends_with(&format!("last heard of 2026-11-02 08:00{said}")), "{}", ward.why("own"));
    }
}

#[test]
fn a_silent_kit_is_told_from_a_silent_person() {
    let mut ward = Ward::of(&missing("in_a_row = 2\nthen = \"yellow\"\nkit_silent = \"blue\""));
    ward.kit("02 06:00", true);
    ward.ticks("03 13:00");
    assert_eq!(ward.mark("own"), Some(Mark::Blue), "nobody knows whether the person measured");
    assert_eq!(
        ward.why("own"),
        "no pulse for 2026-11-03 08:00, overdue since 2026-11-03 14:00, never heard of before, and the kit itself has been silent since 2026-11-02 07:00"
    );
    let Reason::Missing { kit_silent_since, .. } = ward.finding("own").unwrap().reason else { panic!() };
    assert_eq!(kit_silent_since, Some(moment("02 06:00")));
    let text = serde_json::to_string(&ward.finding("own").unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<triage::Finding>(&text).unwrap(), ward.finding("own").unwrap());
    ward.kit("03 18:00", false);
    ward.ticks("04 13:00");
    assert_eq!(ward.mark("own"), Some(Mark::Yellow), "the kit is there, and the person is not");
}

#[test]
fn late_is_told_when_the_window_is_over() {
    let mut ward = Ward::of(&missing("tell = \"late\""));
    ward.ticks("02 10:59");
    assert_eq!(ward.mark("own"), None);
    ward.ticks("02 11:00");
    assert_eq!(ward.why("own"), "no pulse for 2026-11-02 08:00, late since 2026-11-02 12:00, never heard of before");
}

#[test]
fn a_risk_level_has_its_schedules_and_its_rank() {
    for (stratum, rank, wanted) in [
        (Some("high"), 7, Some(Mark::Blue)),
        (Some("low"), 1, None),
        (None, 0, Some(Mark::Blue)),
        (Some("other"), 0, Some(Mark::Blue)),
    ] {
        let mut ward = Ward::of(&missing(""));
        ward.plan = ward.plan.clone().in_stratum(stratum);
        ward.ticks("03 13:00");
        assert_eq!((ward.mark("own"), ward.plan.rank()), (wanted, rank), "{stratum:?}");
    }
    let ward = Ward::of(&missing(""));
    let strata: Vec<&str> = ward.plan.programme().strata().iter().map(|stratum| stratum.id.as_str()).collect();
    assert_eq!(strata, ["low", "high"]);
}

/// The same, where the questionnaire is expected too.
fn unanswered(more: &str) -> String {
    missing(&format!("questionnaires = [\"asked\"]\n{more}"))
}

#[test]
fn any_answer_a_little_early_in_the_window_or_before_the_deadline_meets_it() {
    for (at, question, wanted) in [
        ("02 04:59", "cough=no", Some(Mark::Blue)),
        ("02 05:00", "cough=no", None),
        ("02 07:00", "breathless=yes", None),
        ("02 12:59", "sputum=clear", None),
        ("02 12:59", "a_question_of_tomorrow=yes", None),
    ] {
        let mut ward = Ward::of(&unanswered(""));
        ward.on(at, question);
        ward.on("02 12:59", "80 pulse");
        ward.ticks("02 13:00");
        assert_eq!(ward.mark("own"), wanted, "{question} at {at}");
    }
}

#[test]
fn what_is_missing_is_said_and_it_ends_when_that_has_come() {
    let mut ward = Ward::of(&unanswered(""));
    ward.on("02 07:00", "80 pulse");
    ward.ticks("02 13:00");
    assert_eq!((ward.mark("own"), ward.alerts()), (Some(Mark::Blue), vec![("missing".to_owned(), Mark::Blue)]));
    assert_eq!(
        ward.why("own"),
        "no answers (asked) for 2026-11-02 08:00, overdue since 2026-11-02 14:00, last heard of 2026-11-02 08:00"
    );
    let text = serde_json::to_string(&ward.finding("own").unwrap()).unwrap();
    assert!(text.contains(r#""vitals":[],"questionnaires":["asked"],"#), "{text}");
    assert_eq!(serde_json::from_str::<triage::Finding>(&text).unwrap(), ward.finding("own").unwrap());
    ward.on("02 15:00", "81 pulse");
    assert_eq!(ward.mark("own"), Some(Mark::Blue), "what was not missing does not end it");
    ward.sends("02 04:00", "02 15:30", "cough=no");
    assert_eq!(ward.mark("own"), Some(Mark::Blue), "nor does an answer of before");
    ward.on("02 16:00", "cough=no");
    assert_eq!((ward.mark("own"), ward.alerts(), ward.chart.blue()), (None, vec![], false));

    let mut ward = Ward::of(&unanswered(""));
    ward.ticks("02 13:00");
    assert_eq!(
        ward.why("own"),
        "no pulse and no answers (asked) for 2026-11-02 08:00, overdue since 2026-11-02 14:00, never heard of before"
    );
    ward.on("02 15:00", "cough=no");
    assert_eq!(ward.mark("own"), Some(Mark::Blue));
    ward.on("02 16:00", "80 pulse");
    assert_eq!(ward.mark("own"), None);

    let mut ward = Ward::of(&unanswered(""));
    ward.on("02 07:00", "cough=no");
    ward.ticks("02 13:00");
    assert!(ward.why("own").starts_with("no pulse for 2026-11-02 08:00, overdue"), "{}", ward.why("own"));
    let text = serde_json::to_string(&ward.finding("own").unwrap()).unwrap();
    assert!(!text.contains("questionnaires"), "as it was before: {text}");
    let words = ward.plan.programme().explain();
    assert!(words.contains("pulse and answers (asked) expected every day at 08:00"), "{words}");
}

#[test]
fn answers_that_are_missing_in_a_row_are_counted_and_looked_back_on() {
    let rules = unanswered("in_a_row = 2\nthen = \"yellow\"");
    for (answered, wanted) in [("02 07:00", Some(Mark::Blue)), ("03 07:00", None), ("01 23:00", Some(Mark::Yellow))] {
        let mut ward = Ward::of(&rules);
        for at in ["01 23:00", "02 07:00", "03 07:00"] {
            ward.on(at, if at == answered { "80 pulse, cough=no" } else { "80 pulse" });
        }
        ward.ticks("03 13:00");
        assert_eq!(ward.mark("own"), wanted, "answered {answered}");
    }
    let long = Ward::of(&unanswered("in_a_row = 14\nthen = \"yellow\"").replace("vitals = [\"pulse\"]", ""));
    assert!(
        long.plan.book().history() >= jiff::SignedDuration::from_hours(24 * 7 * 15),
        "a chart is built from enough"
    );
}

#[test]
fn another_version_that_expects_answers_knows_of_those_that_came_before_it() {
    for (what, wanted) in [("80 pulse, cough=no", None), ("80 pulse", Some(Mark::Blue))] {
        let mut ward = Ward::of(&missing(""));
        ward.on("02 07:00", what);
        ward.plan = Ward::of(&unanswered("")).plan;
        ward.ticks("02 13:00");
        assert_eq!(ward.mark("own"), wanted, "{what}");
        ward.plan = Ward::of(&missing("")).plan;
        ward.on("02 14:00", "80 pulse");
        assert_eq!(ward.mark("own"), None, "and what is no longer expected is not missing any longer");
    }
}
