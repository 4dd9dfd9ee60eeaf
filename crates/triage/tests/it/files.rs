//! Faulty programme files: each fault with its file, line, column and field.

use triage::{COPD, Programme};

/// A small programme, in which each test breaks one thing.
const SMALL: &str = r#"id = "small"
version = 3
title = { en = "Small", da = "Lille" }
zone = "Europe/Copenhagen"

[clinic]
late_after = "24h"
ease_after_sittings = 2
early = "2h"
grace = "2h"

[[rule]]
id = "spo2"
kind = "band"
family = "copd"
vital = "spo2"
unit = "%"
bands = [
  { mark = "red", at_most = 85 },
  { mark = "yellow", above = 85, at_most = 88 },
  { mark = "green", above = 88 },
]

[[example]]
name = "low is red"
readings = [{ vital = "spo2", value = 80, unit = "%" }]
want = { spo2 = "red" }
"#;

/// A rule with a slip of the pen in a flag's name, to be put before the example.
const SLIP: &str = "[[rule]]\nid = \"battery\"\nkind = \"flag\"\nfamily = \"kit\"\nvitals = [\"spo2\"]\nflags = [\"low_batery\", \"a_flag_of_tomorrow\"]\n\
                    k = 1\nn = 1\nwithin = \"24h\"\nmark = \"yellow\"\n\n[[example]]";

#[track_caller]
fn refused(from: &str, to: &str, wanted: &str) {
    assert!(SMALL.contains(from), "{from:?} is not in the file");
    let fault = Programme::parse(&SMALL.replacen(from, to, 1), "small.toml").map(|_| ()).unwrap_err().to_string();
    assert!(fault.lines().any(|line| line == wanted), "found\n{fault}\nwant\n{wanted}");
}

#[test]
fn the_shipped_and_the_small_programme_are_taken() {
    let small = Programme::parse(SMALL, "small.toml").unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((small.id(), small.version(), small.title()), ("small", 3, "Small"));
    let copd = Programme::parse(COPD, "copd.toml").unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((copd.id(), copd.version()), ("copd", 1));
    assert!(copd.examples() > 50);
}

#[test]
fn a_typo_in_a_field_is_refused_at_its_place() {
    refused(
        "family =",
        "famly =",
        "small.toml:15:1: rule[0].famly: found unknown field `famly`, want one of `kind`, `id`, `family`, `source`, `ingredient`, `when`, `again_after`, `vital`, `unit`, `bands`, `hysteresis`",
    );
    refused(
        "zone =",
        "zon =",
        "small.toml:4:1: zon: found unknown field `zon`, want one of id, version, title, zone, source, clinic, questionnaire, schedule, stratum, score, rule, example",
    );
    refused("zone =", "zon =", "small.toml:1:1: zone: found nothing, want a text in quotes");
    refused(
        "at_most = 85 }",
        "at_mst = 85 }",
        "small.toml:19:19: rule[0].bands[0].at_mst: found unknown field `at_mst`, want one of `mark`, `from`, `above`, `at_most`, `below`",
    );
    refused(
        "kind = \"band\"",
        "kind = \"bond\"",
        "small.toml:14:8: rule[0].kind: found \"bond\", want one of band, answer, missing, score, personal_best, baseline, ewma, cusum, control, slope, variability, difference, k_of_n, count, all, any, path, habit, flag, wrong_person",
    );
    refused(
        "grace =",
        "gras =",
        "small.toml:10:1: clinic.gras: found unknown field `gras`, want one of `late_after`, `ease_after_sittings`, `early`, `grace`, `repeat_within`, `silent_kit_after`, `baseline_frozen`, `refuted_reds_freeze`",
    );
}

#[test]
fn a_missing_or_wrong_unit_is_refused() {
    refused(
        "unit = \"%\"\nbands",
        "bands",
        "small.toml:12:1: rule[0].unit: found nothing, want one of `%`, `/min`, `Cel`, `[degF]`, `mm[Hg]`, `kPa`, `kg`, `[lb_av]`, `g`, `L`, `mL`, `L/min`, `L/s`, `{ratio}`, `mmol/L`, `mg/dL`: the unit of its limits: the vital's canonical one",
    );
    refused(
        "unit = \"%\"\nbands",
        "unit = \"kg\"\nbands",
        "small.toml:17:8: rule[0].unit: found \"kg\", want \"%\", the unit in which spo2 is judged",
    );
    refused(
        "late_after = \"24h\"",
        "late_after = 24",
        "small.toml:7:14: clinic.late_after: found 24, want a length of time with its unit, e.g. \"4h\" or \"90m\"",
    );
    refused(
        "late_after = \"24h\"",
        "late_after = \"24\"",
        "small.toml:7:14: clinic.late_after: found \"24\", want a length of time with its unit, e.g. \"4h\" or \"90m\"",
    );
}

#[test]
fn a_length_that_would_silence_every_alert_is_refused() {
    refused(
        "late_after = \"24h\"",
        "late_after = \"0h\"",
        "small.toml:7:14: clinic.late_after: found 0s, want at least 15m",
    );
    refused("grace = \"2h\"", "grace = \"72h\"", "small.toml:10:9: clinic.grace: found 72h, want at most 48h");
    refused(
        "grace = \"2h\"",
        "grace = \"2h\"\nsilent_kit_after = \"1m\"",
        "small.toml:11:20: clinic.silent_kit_after: found 1m, want at least 15m",
    );
}

/// Each bound that is stricter than it was: what was stored before stays readable, and says so.
#[test]
fn what_is_stored_is_read_though_a_bound_is_stricter_since() {
    let sticks =
        "{ mark = \"green\", above = 88, below = 99 },\n  { mark = \"yellow\", from = 99 },\n]\nhysteresis = 11";
    let far = "{ mark = \"green\", above = 88, below = 391 },\n  { mark = \"yellow\", from = 391 },\n]";
    let green = "{ mark = \"green\", above = 88 },\n]";
    for (from, to, field) in [
        ("late_after = \"24h\"", "late_after = \"0h\"", "clinic.late_after"),
        (green, sticks, "rule[0].hysteresis"),
        (green, far, "rule[0].bands[2].below"),
        ("[[example]]", SLIP, "rule[1].flags[0]"),
    ] {
        let text = SMALL.replacen(from, to, 1);
        assert!(Programme::parse(&text, "small.toml").is_err());
        let (programme, refused) = Programme::stored(&text, "small.toml").unwrap();
        assert_eq!(programme.id(), Programme::parse(SMALL, "small.toml").unwrap().id());
        assert!(refused.iter().any(|problem| problem.field == field), "{refused:?} lack {field}");
    }
    let (whole, none) = Programme::stored(COPD, "copd.toml").unwrap();
    assert_eq!((whole.examples(), none.len()), (Programme::parse(COPD, "copd.toml").unwrap().examples(), 0));
    let example = "\n[[example]]\nname = \"wrong\"\nreadings = [{ vital = \"spo2\", value = 80, unit = \"%\" }]\nwant = { spo2 = \"yellow\" }\n";
    let (left, failing) = Programme::stored(&(COPD.to_owned() + example), "copd.toml").unwrap();
    assert_eq!((left.examples(), failing[0].example()), (whole.examples(), Some(whole.examples())));
    assert!(Programme::stored(&COPD.replacen("[clinic]", "[clinix]", 1), "copd.toml").is_err());
}

#[test]
fn overlapping_bands_and_gaps_are_refused_with_both_bands_named() {
    refused(
        "above = 85, at_most = 88",
        "above = 84, at_most = 88",
        "small.toml:20:3: rule[0].bands[1]: found bands red (at most 85) and yellow (above 84, at most 88) overlapping, want every value in one alone",
    );
    refused(
        "above = 85, at_most = 88",
        "above = 86, at_most = 88",
        "small.toml:20:3: rule[0].bands[1]: found values between bands red (at most 85) and yellow (above 86, at most 88) in no band, want every value in one",
    );
    refused(
        "above = 85, at_most = 88",
        "above = 85, from = 85, at_most = 88",
        "small.toml:20:3: rule[0].bands[1]: found both `from` and `above`, want one lower end",
    );
}

#[test]
fn a_failing_example_says_which_and_what_came_out() {
    refused(
        "value = 80",
        "value = 87",
        "small.toml:24:1: example[0]: example \"low is red\" failed: found spo2 yellow (SpO2 87 %, yellow at 88 % or less), want spo2 red",
    );
    refused(
        "want = { spo2 = \"red\" }",
        "want = {}",
        "small.toml:24:1: example[0]: example \"low is red\" failed: found spo2 red (SpO2 80 %, red at 85 % or less), want no finding",
    );
    refused(
        "value = 80, unit = \"%\"",
        "value = 80, unit = \"kg\"",
        "small.toml:24:1: example[0]: example \"low is red\": spo2 in kg can't be converted to %",
    );
}

#[test]
fn every_fault_is_told_at_once_in_the_files_order() {
    let text = SMALL
        .replacen("version = 3", "version = 0", 1)
        .replacen("vital = \"spo2\"", "vital = \"spo3\"", 1)
        .replacen("Copenhagen", "Kopenhagen", 1);
    let fault = Programme::parse(&text, "small.toml").map(|_| ()).unwrap_err();
    let places: Vec<(usize, &str)> =
        fault.problems().iter().map(|problem| (problem.line, problem.field.as_str())).collect();
    assert_eq!(places, [(2, "version"), (4, "zone"), (16, "rule[0].vital")], "{fault}");
}

#[test]
fn a_band_that_sticks_or_that_nothing_reaches_is_refused() {
    let green = "{ mark = \"green\", above = 88 },\n]";
    refused(
        green,
        "{ mark = \"green\", above = 88, below = 99 },\n  { mark = \"yellow\", from = 99 },\n]\nhysteresis = 11",
        "small.toml:24:14: rule[0].hysteresis: found 11, want less than 11 %, the width of the green band: no value would be green again",
    );
    refused(
        green,
        "{ mark = \"green\", above = 88, below = 391 },\n  { mark = \"yellow\", from = 391 },\n]",
        "small.toml:21:41: rule[0].bands[2].below: found a limit that nothing can cross: spo2 391 % is impossible: want 50 to 100 %",
    );
}

/// Each of these breaks a part to which others refer: its own fault is told, and nothing of those that refer to it.
#[test]
fn what_refers_to_a_faulty_part_is_not_at_fault() {
    let daily = COPD.find("[[questionnaire]]").unwrap();
    let cough = COPD[daily..].find("da = ").unwrap() + daily;
    let untranslated = format!("{}dansk = {}", &COPD[..cough], &COPD[cough + 5..]);
    for (text, field) in [
        (untranslated, "questionnaire[0]"),
        (COPD.replacen("at = \"", "at = \"9", 1), "schedule[0].at"),
        (SMALL.replacen("unit = \"%\"\nbands", "unit = \"kg\"\nbands = 3\nband", 1) + REFERS, "rule[0].bands"),
    ] {
        let fault = Programme::parse(&text, "f.toml").map(|_| ()).unwrap_err();
        let fields: Vec<&str> = fault.problems().iter().map(|problem| problem.field.as_str()).collect();
        assert!(fields.iter().all(|found| found.starts_with(field.split('.').next().unwrap())), "{fault}");
        assert!(!fields.is_empty());
    }
    let forward = SMALL.replacen("[[rule]]", &format!("{REFERS}\n[[rule]]"), 1);
    let fault = Programme::parse(&forward, "f.toml").map(|_| ()).unwrap_err().to_string();
    assert!(fault.contains("rule[0].of: found \"spo2\", want the id of a rule that stands before this one"), "{fault}");
}

const REFERS: &str = r#"
[[rule]]
id = "twice"
kind = "k_of_n"
family = "copd"
of = "spo2"
at_least = "red"
k = 2
n = 2
by = "readings"
within = "48h"
mark = "red"
"#;

#[test]
fn what_is_not_toml_is_refused_at_its_line() {
    refused(
        "version = 3",
        "version = ",
        "small.toml:2:11: version: found nothing, want a text in quotes, a number, or true or false",
    );
}

/// What a tired person mistypes: the value as it is written, and what may stand there.
#[test]
fn a_value_of_the_wrong_kind_says_what_may_stand_there() {
    for (from, to, wanted) in [
        ("version = 3", "version = \"3\"", "2:11: version: found \"3\", want a whole number from 0 to 4294967295"),
        ("version = 3", "version = 3\nversion = 4", "3:1: found `version` a second time, want it once"),
        (
            "ease_after_sittings = 2",
            "ease_after_sittings = -1",
            "8:23: clinic.ease_after_sittings: found -1, want a whole number from 1 to 100",
        ),
        (
            "early = \"2h\"\n",
            "",
            "6:1: clinic.early: found nothing, want a length of time with its unit, e.g. \"4h\" or \"90m\": how long before its time a scheduled measurement may be taken",
        ),
        ("at_most = 85 }", "at_most = 1e999 }", "19:29: rule[0].bands[0].at_most: found 1e999, want a number"),
        (
            "{ en = \"Small\", da = \"Lille\" }",
            "\"Small\"",
            "3:9: title: found \"Small\", want a table: { en = ..., da = ... }",
        ),
        (
            "vital = \"spo2\"\nunit",
            "vital = spo2\nunit",
            "16:9: rule[0].vital: found `spo2`, want a text in quotes, a number, or true or false",
        ),
        (
            "kind = \"band\"",
            "kind = 4",
            "14:8: rule[0].kind: found 4, want one of band, answer, missing, score, personal_best, baseline, ewma, cusum, control, slope, variability, difference, k_of_n, count, all, any, path, habit, flag, wrong_person",
        ),
        (
            "want = { spo2",
            "want = { sp02",
            "27:17: example[0].want.sp02: found \"sp02\", want the id of a [[rule]], e.g. \"spo2\"",
        ),
    ] {
        refused(from, to, &format!("small.toml:{wanted}"));
    }
}

/// The list of flags is open: what is unlike every flag of today may be one of tomorrow.
#[test]
fn a_flag_that_is_nearly_one_that_is_sent_is_refused() {
    let fault = Programme::parse(&SMALL.replacen("[[example]]", SLIP, 1), "f.toml").map(|_| ()).unwrap_err();
    let faults: Vec<String> = fault.problems().iter().map(|fault| format!("{}: {}", fault.field, fault.text)).collect();
    assert_eq!(faults, ["rule[1].flags[0]: found \"low_batery\", which nothing sends, want \"low_battery\""]);
}

#[test]
fn too_much_of_anything_is_refused() {
    let fault = Programme::parse(&"#".repeat(1024 * 1024 + 1), "big.toml").map(|_| ()).unwrap_err().to_string();
    assert_eq!(fault, "big.toml:1:1: found 1048577 bytes, want at most 1048576");
    let rule = &SMALL[SMALL.find("[[rule]]").unwrap()..SMALL.find("[[example]]").unwrap()];
    let text = format!("{SMALL}\n{}", rule.repeat(64));
    let fault = Programme::parse(&text, "many.toml").map(|_| ()).unwrap_err().to_string();
    assert!(fault.contains("rule: found 65, want at most 64"), "{fault}");
}

#[test]
fn no_text_makes_it_panic() {
    for text in [
        "",
        "a",
        "[[rule]]",
        "rule = 3",
        "rule = []",
        "[rule]\nid = 1",
        "[[rule]]\nkind = \"band\"",
        "id = [",
        "æ = \"\u{0}",
    ] {
        assert!(Programme::parse(text, "odd.toml").is_err(), "{text}");
    }
}

#[test]
fn the_schema_names_every_kind_and_refuses_unknown_fields() {
    let schema = Programme::json_schema();
    let text = schema.to_string();
    for word in ["\"band\"", "\"answer\"", "\"missing\"", "at_most", "ease_after_sittings"] {
        assert!(text.contains(word), "{word}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
