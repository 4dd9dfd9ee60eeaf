//! A table for each kind of rule that looks at several values, at other rules, or at what a device says of itself.

use triage::{Mark, Own, Reason};

use crate::ward::{PULSE, WEIGHT, Ward, course, moment};

fn difference(more: &str, bands: &str) -> String {
    format!(
        "\n[[rule]]\nid = \"own\"\nkind = \"difference\"\nfamily = \"ward\"\nvital = \"weight\"\nunit = \"kg\"\ndigits = 2\n{more}\nbands = [{bands}]\n"
    )
}

const GAIN: &str = r#"{ mark = "green", at_most = 2 }, { mark = "red", above = 2 }"#;
const LOSS: &str = r#"{ mark = "yellow", at_most = -0.9 }, { mark = "green", above = -0.9 }"#;

#[test]
fn a_difference_from_the_first_the_least_and_the_greatest_of_days() {
    let falls_and_rises = [
        ("02 07:00", "82 weight", "-"),
        ("03 07:00", "80 weight", "green"),
        ("04 07:00", "82.1 weight", "red"),
        ("05 23:30", "82 weight", "green"),
        ("06 07:00", "84.2 weight", "red"),
    ];
    course(&difference("against = \"minimum\"\ndays = 2", GAIN), "own", &falls_and_rises);
    course(
        &difference("against = \"first\"\ndays = 2", GAIN),
        "own",
        &[
            ("02 07:00", "82 weight", "-"),
            ("03 07:00", "80 weight", "green"),
            ("04 07:00", "82.1 weight", "green"),
            // 00:30 in Copenhagen: the day of the first is the fourth.
            ("05 23:30", "82 weight", "green"),
            ("06 07:00", "84.2 weight", "red"),
        ],
    );
    let ward = course(
        &difference("against = \"maximum\"\ndays = 2", LOSS),
        "own",
        &[("02 07:00", "82 weight", "-"), ("03 07:00", "81.2 weight", "green"), ("04 07:00", "81.1 weight", "yellow")],
    );
    assert_eq!(
        ward.why("own"),
        "weight 81.1 kg, 0.90 kg below the greatest within 2 days, 82.00 kg on 2026-11-02, yellow at 0.9 kg or more below"
    );
    let Reason::Trend { compared: Some(compared), value, .. } = ward.finding("own").unwrap().reason else { panic!() };
    assert_eq!((compared.what.as_str(), compared.count, value.to_string().as_str()), ("maximum", 2, "-0.90"));
}

#[test]
fn a_window_of_hours_takes_what_is_exactly_so_old_and_nothing_older() {
    let rules = difference("against = \"first\"\nwithin = \"72h\"", GAIN);
    course(&rules, "own", &[("02 07:00", "80 weight", "-"), ("05 07:00", "82.1 weight", "red")]);
    course(&rules, "own", &[("02 07:00", "80 weight", "-"), ("05 07:01", "82.1 weight", "-")]);
}

#[test]
fn a_difference_in_percent_and_from_the_own_reference() {
    let percent = r#"
[[rule]]
id = "own"
kind = "difference"
family = "ward"
vital = "fev1"
unit = "%"
against = "maximum"
days = 7
digits = 1
bands = [{ mark = "yellow", at_most = -10 }, { mark = "green", above = -10 }]
"#;
    course(
        percent,
        "own",
        &[("02 07:00", "2 fev1", "-"), ("03 07:00", "1.81 fev1", "green"), ("04 07:00", "1.8 fev1", "yellow")],
    );
    let rules = difference("against = \"reference\"", GAIN);
    course(&rules, "own", &[("02 07:00", "99 weight", "-")]);
    let own: Own = serde_json::from_str(
        r#"{"references":[{"rule":"own","value":80,"unit":"kg","author":"dr. Berg","reason":"dry","from":"2026-11-03T00:00:00Z","until":"2026-11-06T00:00:00Z"}]}"#,
    )
    .unwrap();
    let mut ward = Ward::with(&rules, own);
    for (at, wanted) in [("02 07:00", None), ("03 07:00", Some(Mark::Red)), ("05 07:00", Some(Mark::Red))] {
        ward.on(at, "82.1 weight");
        assert_eq!(ward.mark("own"), wanted, "{at}");
    }
    assert_eq!(
        ward.why("own"),
        "weight 82.1 kg, 2.10 kg above the own 80.00 kg (set from 2026-11-03 until 2026-11-06), red at more than 2 kg above"
    );
}

#[test]
fn what_is_doubtful_or_of_nobody_knows_whom_is_not_compared_with() {
    for flag in ["person_unconfirmed", "suspect"] {
        let doubtful = format!("70 weight {flag}");
        course(
            &difference("against = \"minimum\"\ndays = 3", GAIN),
            "own",
            &[("02 07:00", "80 weight", "-"), ("03 07:00", &doubtful, "green"), ("04 07:00", "81 weight", "green")],
        );
    }
    course(
        &difference("against = \"minimum\"\ndays = 3", GAIN),
        "own",
        &[("02 07:00", "80 weight", "-"), ("03 07:00", "70 weight user_2", "green"), ("04 07:00", "81 weight", "red")],
    );
}

#[test]
fn a_difference_has_hysteresis() {
    let rules = difference("against = \"minimum\"\ndays = 7\nhysteresis = 0.5", GAIN);
    course(
        &rules,
        "own",
        &[
            ("02 07:00", "80 weight", "-"),
            ("03 07:00", "82 weight", "green"),
            ("04 07:00", "82.1 weight", "red"),
            ("05 07:00", "81.6 weight", "red"),
            ("06 07:00", "81.5 weight", "green"),
            ("07 07:00", "81.9 weight", "green"),
        ],
    );
}

fn k_of_n(more: &str) -> String {
    format!(
        "{PULSE}\n[[rule]]\nid = \"own\"\nkind = \"k_of_n\"\nfamily = \"ward\"\nof = \"pulse\"\nmark = \"red\"\n{more}\n"
    )
}

#[test]
fn k_of_n_readings() {
    let two_of_three = k_of_n("k = 2\nn = 3\nby = \"readings\"\nwithin = \"24h\"");
    let ward = course(
        &two_of_three,
        "own",
        &[
            ("02 08:00", "110 pulse", "green"),
            ("02 09:00", "80 pulse", "green"),
            ("02 10:00", "120 pulse", "red"),
            ("02 11:00", "80 pulse", "green"),
            ("02 12:00", "80 pulse", "green"),
            ("02 13:00", "110 pulse", "green"),
            ("03 12:59", "110 pulse", "red"),
            ("04 12:59", "80 pulse", "green"),
            ("05 13:00", "110 pulse", "green"),
        ],
    );
    assert_eq!(
        ward.why("own"),
        "pulse yellow on 1 of 3 readings, red from 2 on, newest 2026-11-05 14:00: pulse 110 /min, yellow at 110 /min or more"
    );
    let red = k_of_n("at_least = \"red\"\nk = 1\nn = 2\nby = \"readings\"\nwithin = \"24h\"");
    course(&red, "own", &[("02 08:00", "129 pulse", "green"), ("02 09:00", "130 pulse", "red")]);
}

#[test]
fn a_doubtful_reading_that_was_measured_again_does_not_count_and_others_do_with_their_doubt() {
    let rules = k_of_n("k = 2\nn = 2\nby = \"readings\"\nwithin = \"24h\"");
    course(
        &rules,
        "own",
        &[
            ("02 08:00", "110 pulse", "green"),
            ("02 09:00", "120 pulse low_perfusion", "red"),
            ("02 09:10", "80 pulse", "green"),
        ],
    );
}

#[test]
fn k_of_n_days_in_a_row_and_with_gaps() {
    let in_a_row = k_of_n("k = 3\nn = 3\nby = \"days\"");
    course(
        &in_a_row,
        "own",
        &[
            ("02 08:00", "110 pulse", "green"),
            ("03 08:00", "110 pulse", "green"),
            ("03 20:00", "80 pulse", "green"),
            ("04 08:00", "110 pulse", "red"),
            ("06 08:00", "110 pulse", "green"),
            ("07 08:00", "110 pulse", "green"),
            ("08 08:00", "110 pulse", "red"),
            // 00:30 on the 9th in Copenhagen.
            ("08 23:30", "110 pulse", "red"),
        ],
    );
    let left_out = k_of_n("k = 3\nn = 3\nby = \"days\"\nno_data = \"left_out\"\nwithin = \"120h\"");
    course(
        &left_out,
        "own",
        &[
            ("02 08:00", "110 pulse", "green"),
            ("04 08:00", "110 pulse", "green"),
            ("06 08:00", "110 pulse", "red"),
            ("07 08:00", "110 pulse", "red"),
            ("12 08:00", "110 pulse", "green"),
        ],
    );
}

fn count(of: &str) -> String {
    format!(
        "{PULSE}\n[[rule]]\nid = \"own\"\nkind = \"count\"\nfamily = \"ward\"\n{of}\ndays = 7\nunit = \"1\"\nbands = [{{ mark = \"green\", below = 2 }}, {{ mark = \"yellow\", from = 2, below = 3 }}, {{ mark = \"red\", from = 3 }}]\n"
    )
}

#[test]
fn how_often_another_rule_was_met() {
    let ward = course(
        &count("of = \"pulse\""),
        "own",
        &[
            ("02 08:00", "110 pulse", "green"),
            ("03 08:00", "110 pulse", "yellow"),
            ("04 08:00", "80 pulse", "yellow"),
            ("08 08:00", "131 pulse", "red"),
            ("09 08:00", "80 pulse", "yellow"),
            ("10 08:00", "80 pulse", "green"),
        ],
    );
    assert_eq!(
        ward.why("own"),
        "pulse yellow: 1 times in 7 days, green below 2 times, newest 2026-11-08 09:00: pulse 131 /min, red at 130 /min or more"
    );
}

#[test]
fn how_often_a_vital_fell_from_day_to_day_and_from_reading_to_reading() {
    let days = count("falls = { vital = \"spo2\", unit = \"%\", more_than = 4, between = \"days\" }");
    course(
        &days,
        "own",
        &[
            ("02 08:00", "95 spo2", "green"),
            ("03 08:00", "91 spo2", "green"),
            ("03 09:00", "90.5 spo2", "green"),
            ("04 08:00", "96 spo2", "green"),
            ("05 08:00", "91 spo2", "yellow"),
            ("06 08:00", "96 spo2", "yellow"),
            ("08 08:00", "90 spo2", "yellow"),
            ("09 08:00", "96 spo2", "yellow"),
            ("10 08:00", "91 spo2", "yellow"),
        ],
    );
    let readings = count("rises = { vital = \"pulse\", unit = \"/min\", more_than = 20, between = \"readings\" }");
    course(
        &readings,
        "own",
        &[
            ("02 08:00", "60 pulse", "green"),
            ("02 09:00", "80 pulse", "green"),
            ("02 10:00", "101 pulse", "green"),
            ("02 11:00", "70 pulse", "green"),
            ("02 12:00", "99 pulse suspect", "yellow"),
            ("02 13:00", "71 pulse", "green"),
        ],
    );
}

fn both(kind: &str) -> String {
    format!(
        "{PULSE}{WEIGHT}\n[[rule]]\nid = \"own\"\nkind = \"{kind}\"\nfamily = \"ward\"\nof = [{{ rule = \"pulse\", at_least = \"red\" }}, {{ rule = \"weight\" }}]\nwithin = \"72h\"\nmark = \"red\"\n"
    )
}

#[test]
fn all_of_others_within_a_window_each_as_it_was_last() {
    let ward = course(
        &both("all"),
        "own",
        &[
            ("02 08:00", "130 pulse", "green"),
            ("03 08:00", "89 weight", "green"),
            ("05 08:00", "90 weight", "red"),
            ("05 08:15", "91 weight", "red"),
            ("05 08:16", "91 weight", "green"),
            ("06 08:00", "129 pulse", "green"),
            ("06 09:00", "130 pulse", "red"),
            ("06 20:00", "100 pulse", "green"),
        ],
    );
    assert_eq!(ward.why("own"), "1 of 2 together, of which 2 would be red");
    let mut ward = Ward::of(&both("all"));
    ward.on("02 08:00", "130 pulse, 90 weight low_battery");
    assert_eq!(
        ward.why("own"),
        "together red: pulse 130 /min, red at 130 /min or more; weight 90 kg, yellow at 90 kg or more"
    );
    let Reason::Together { how, found, of, want, .. } = ward.finding("own").unwrap().reason else { panic!() };
    assert_eq!((how.as_str(), found, of, want), ("all", 2, 2, 2));
    assert_eq!(ward.finding("own").unwrap().inputs.len(), 2);
}

#[test]
fn any_of_others() {
    course(
        &both("any"),
        "own",
        &[
            ("02 08:00", "129 pulse", "green"),
            ("03 08:00", "90 weight", "red"),
            ("04 08:00", "80 weight", "green"),
            ("04 09:00", "130 pulse", "red"),
        ],
    );
}

const PATHS: &str = r#"
[[rule]]
id = "own"
kind = "path"
family = "ward"
questionnaire = "asked"
paths = [
  { when = { breathless = ["yes"], cough = ["yes"] }, mark = "red" },
  { when = { breathless = ["yes"] }, mark = "yellow" },
  { when = { cough = ["yes"] }, mark = "yellow" },
  { when = { cough = ["yes"], sputum = ["green"] }, mark = "red" },
  { when = { breathless = ["no"] }, not_asked = ["sputum"], mark = "yellow" },
]
"#;

#[test]
fn a_path_of_answers() {
    for (answers, wanted) in [
        ("breathless=yes, cough=yes", "red"),
        ("breathless=yes", "yellow"),
        ("cough=yes", "yellow"),
        ("breathless=no", "green"),
        ("cough=yes, sputum=clear", "yellow"),
        ("cough=yes, sputum=green", "red"),
        // Sputum is known not to be asked for where there is no cough, and only there.
        ("breathless=no, cough=no", "yellow"),
        ("breathless=no, cough=yes", "yellow"),
        ("cough=perhaps", "yellow"),
        ("cough=no", "green"),
    ] {
        let ward = course(PATHS, "own", &[("02 08:00", answers, wanted)]);
        assert!(!ward.why("own").is_empty());
    }
    let ward = course(PATHS, "own", &[("02 08:00", "breathless=yes, cough=yes", "red")]);
    assert_eq!(ward.why("own"), "\"Breathless?\" answered \"Yes\" and \"Cough?\" answered \"Yes\", red");
    let Reason::Together { missing, .. } = ward.finding("own").unwrap().reason else { panic!() };
    assert_eq!(missing, ["sputum"], "it may have been asked, and nobody has answered yet");
}

#[test]
fn answers_of_one_sitting_come_in_several_messages_and_those_of_two_do_not_count_together() {
    course(
        PATHS,
        "own",
        &[
            ("02 08:00", "breathless=yes", "yellow"),
            ("02 08:15", "cough=yes", "red"),
            ("02 10:00", "cough=no", "green"),
        ],
    );
    course(PATHS, "own", &[("02 08:00", "breathless=yes", "yellow"), ("02 08:16", "cough=yes", "yellow")]);
    let mut ward = Ward::of(PATHS);
    ward.sends("02 08:05", "02 08:06", "cough=yes");
    ward.sends("02 08:00", "02 08:07", "breathless=yes");
    assert_eq!(ward.mark("own"), Some(Mark::Red), "whichever message came first");
}

const FLAG: &str = r#"
[[rule]]
id = "own"
kind = "flag"
family = "ward"
vitals = ["systolic", "pulse"]
flags = ["irregular_pulse", "low_battery"]
k = 2
n = 3
within = "48h"
mark = "yellow"
"#;

#[test]
fn a_flag_in_k_of_n_measurements() {
    let ward = course(
        FLAG,
        "own",
        &[
            ("02 08:00", "120 systolic irregular_pulse, 70 pulse irregular_pulse", "green"),
            ("02 09:00", "120 systolic, 70 pulse", "green"),
            ("02 10:00", "70 pulse low_battery", "yellow"),
            ("02 11:00", "120 systolic", "green"),
            ("04 10:01", "70 pulse irregular_pulse", "green"),
        ],
    );
    assert_eq!(ward.why("own"), "irregular pulse or low battery on 1 of the last 2 measurements, told from 2 on");
}

const WHOSE: &str = r#"
[[rule]]
id = "own"
kind = "wrong_person"
family = "device"
vital = "weight"
percent = 10
days = 30
minimum = 3
users = true
mark = "yellow"
"#;

#[test]
fn a_weight_far_from_the_own_median_may_be_somebody_elses() {
    course(
        WHOSE,
        "own",
        &[
            ("02 08:00", "80 weight", "green"),
            ("03 08:00", "60 weight", "green"),
            ("04 08:00", "81 weight", "green"),
            ("05 08:00", "88 weight", "green"),
            ("06 08:00", "60 weight", "yellow"),
            ("06 08:10", "88 weight", "green"),
            ("07 08:00", "60 weight person_confirmed", "green"),
            ("08 08:00", "81 weight person_unconfirmed", "yellow"),
        ],
    );
}

#[test]
fn what_is_measured_again_and_again_is_the_person() {
    course(
        WHOSE,
        "own",
        &[
            ("02 08:00", "80 weight", "green"),
            ("03 08:00", "80 weight", "green"),
            ("04 08:00", "80 weight", "green"),
            ("05 08:00", "70 weight", "yellow"),
            ("06 08:00", "70 weight", "yellow"),
            ("07 08:00", "70 weight", "yellow"),
            ("08 08:00", "70 weight", "green"),
        ],
    );
}

#[test]
fn another_user_of_the_device_may_be_somebody_else() {
    course(
        WHOSE,
        "own",
        &[
            ("02 08:00", "80 weight user_1", "green"),
            ("03 08:00", "80 weight user_1", "green"),
            ("04 08:00", "80 weight user_1", "green"),
            ("05 08:00", "80 weight user_2", "yellow"),
            ("06 08:00", "80 weight user_255", "green"),
            ("07 08:00", "80 weight user_1", "green"),
        ],
    );
}

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
