//! A table for each kind of rule that looks at several values or at other rules.

use triage::{Mark, Own, Reason};

use crate::ward::{PULSE, WEIGHT, Ward, course};

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
fn on_how_many_days_another_rule_was_met() {
    let ward = course(
        &count("of = \"pulse\"\neach_day = true"),
        "own",
        &[
            ("02 08:00", "110 pulse", "green"),
            ("02 12:00", "112 pulse", "green"),
            ("02 18:00", "113 pulse", "green"),
            ("03 08:00", "110 pulse", "yellow"),
            ("03 12:00", "114 pulse", "yellow"),
            ("05 08:00", "110 pulse", "red"),
        ],
    );
    assert!(ward.why("own").starts_with("pulse yellow, each day once: 3 times in 7 days, red"), "{}", ward.why("own"));
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

#[test]
fn a_count_that_crossed_a_limit_counts_until_it_is_back() {
    let rules = count("of = \"pulse\"\nhysteresis = 1").replace("days = 7", "days = 2");
    let ward = course(
        &rules,
        "own",
        &[
            ("02 08:00", "115 pulse", "green"),
            ("02 12:00", "115 pulse", "yellow"),
            ("02 16:00", "115 pulse", "red"),
            // Of the 3rd and 4th: two are fewer than three, and one is back.
            ("03 08:00", "115 pulse", "red"),
            ("04 08:00", "115 pulse", "red"),
            ("05 08:00", "80 pulse", "yellow"),
            ("06 08:00", "80 pulse", "green"),
        ],
    );
    let mut ward = ward;
    for (at, what) in
        [("08 08:00", "115 pulse"), ("08 09:00", "115 pulse"), ("09 08:00", "80 pulse"), ("10 08:00", "115 pulse")]
    {
        ward.on(at, what);
    }
    assert!(
        ward.why("own")
            .contains("1 times in 2 days, yellow at 2 times or more, kept until it is 1 times back over the limit"),
        "{}",
        ward.why("own")
    );
}
