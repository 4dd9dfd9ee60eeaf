//! A table for each kind of rule that looks at a path of answers, at what a device says of itself, or at whose a value is.

use triage::{Mark, Reason};

use crate::ward::{Ward, course};

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
