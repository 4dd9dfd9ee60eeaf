//! Mistakes in rules that look at several values or at others: each is told with file, line, field, what was found and what was wanted.

use crate::ward::{PULSE, first_line, programme};

/// Rules, of which the last is faulty, and the fault: its line counted from the first line of the last rule.
#[track_caller]
fn refused(rule: &str, line: usize, column: usize, fault: &str) {
    let text = format!("{PULSE}{rule}");
    let found = programme(&text).map(|_| ()).unwrap_err().to_string();
    let line = first_line() + PULSE.lines().count() + line;
    let wanted = format!("ward.toml:{line}:{column}: rule[1]{fault}");
    assert!(found.lines().any(|line| line == wanted), "found\n{found}\nwant\n{wanted}");
}

/// A rule with one line changed, left out (where `to` is empty) or added (where `from` is empty).
fn with(rule: &str, from: &str, to: &str) -> String {
    if from.is_empty() {
        return format!("{rule}{to}\n");
    }
    assert!(rule.contains(from), "{from:?} is not in the rule");
    if to.is_empty() { rule.replace(&format!("{from}\n"), "") } else { rule.replace(from, to) }
}

const DIFFERENCE: &str = r#"[[rule]]
id = "own"
kind = "difference"
family = "ward"
vital = "weight"
unit = "kg"
against = "minimum"
days = 3
digits = 2
bands = [{ mark = "green", at_most = 2 }, { mark = "red", above = 2 }]
"#;

#[test]
fn of_a_difference() {
    let cases = [
        (
            "unit = \"kg\"",
            "unit = \"g\"",
            6,
            8,
            ".unit: found \"g\", want \"kg\", the unit in which this statistic is judged",
        ),
        ("days = 3", "", 1, 1, ".days: found neither `days` nor `within`, want one of them"),
        ("days = 3", "days = 3\nwithin = \"72h\"", 8, 8, ".days: found both `days` and `within`, want one of them"),
        ("days = 3", "days = 0", 8, 8, ".days: found 0, want 1 to 92"),
        ("days = 3", "within = \"2300h\"", 8, 10, ".within: found 2300h, want more than nothing and at most 2208h"),
        (
            "days = 3",
            "within = \"3 apples\"",
            8,
            10,
            ".within: found \"3 apples\", want a length of time with its unit, e.g. \"4h\" or \"90m\"",
        ),
        ("\"minimum\"", "\"reference\"", 8, 8, ".days: found it, want none: a reference value is not of a window"),
        (
            "\"minimum\"",
            "\"middle\"",
            7,
            11,
            ".against: found `middle`, want one of `first`, `minimum`, `maximum`, `reference`",
        ),
        (
            "against = \"minimum\"",
            "",
            1,
            1,
            ".against: found nothing, want one of `first`, `minimum`, `maximum`, `reference`: what a value is compared with",
        ),
        ("digits = 2", "digits = 9", 9, 10, ".digits: found 9, want at most 4"),
        (
            "above = 2",
            "above = 3",
            10,
            43,
            ".bands[1]: found values between bands green (at most 2) and red (above 3) in no band, want every value in one",
        ),
        ("digits = 2", "digits = 2\nhysteresis = 0", 10, 14, ".hysteresis: found 0, want more than 0"),
        (
            "digits = 2",
            "digits = 2\nwhen = \"asleep\"",
            10,
            8,
            ".when: found `asleep`, want one of `on_oxygen`, `on_air`, `target_88_92`, `no_target_88_92`",
        ),
        (
            "digits = 2",
            "digits = 2\nwhen = [\"on_air\", \"on_oxygen\"]",
            10,
            8,
            ".when: found two conditions that are never met together, want others",
        ),
    ];
    for (from, to, line, column, fault) in cases {
        refused(&with(DIFFERENCE, from, to), line, column, fault);
    }
}

const K_OF_N: &str = r#"[[rule]]
id = "own"
kind = "k_of_n"
family = "ward"
of = "pulse"
k = 2
n = 3
by = "days"
mark = "red"
"#;

#[test]
fn of_k_of_n() {
    let cases = [
        (
            "of = \"pulse\"",
            "of = \"own\"",
            5,
            6,
            ".of: found \"own\", want the id of a rule that stands before this one",
        ),
        (
            "of = \"pulse\"",
            "of = \"plus\"",
            5,
            6,
            ".of: found \"plus\", want the id of a rule that stands before this one",
        ),
        ("k = 2", "k = 4", 6, 5, ".k: found 4, want 1 to 3"),
        ("k = 2", "k = 0", 6, 5, ".k: found 0, want 1 to 3"),
        ("n = 3", "n = 32", 7, 5, ".n: found 32, want 1 to 31"),
        ("mark = \"red\"", "mark = \"green\"", 9, 8, ".mark: found green, want yellow or red"),
        (
            "mark = \"red\"",
            "at_least = \"green\"\nmark = \"red\"",
            9,
            12,
            ".at_least: found green, want yellow or red: every verdict is at least green",
        ),
        ("by = \"days\"", "by = \"weeks\"", 8, 6, ".by: found `weeks`, want `readings` or `days`"),
        (
            "by = \"days\"",
            "by = \"days\"\nwithin = \"24h\"",
            9,
            10,
            ".within: found it, want none: it is 3 days, of which each counts",
        ),
        ("by = \"days\"", "by = \"readings\"", 1, 1, ".within: found nothing, want how long ago the oldest may be"),
        (
            "by = \"days\"",
            "by = \"readings\"\nwithin = \"24h\"\nno_data = \"not_met\"",
            10,
            11,
            ".no_data: found it, want it for days alone",
        ),
    ];
    for (from, to, line, column, fault) in cases {
        refused(&with(K_OF_N, from, to), line, column, fault);
    }
}

const COUNT: &str = r#"[[rule]]
id = "own"
kind = "count"
family = "ward"
falls = { vital = "spo2", unit = "%", more_than = 4, between = "days" }
days = 7
unit = "1"
bands = [{ mark = "green", below = 2 }, { mark = "yellow", from = 2 }]
"#;

#[test]
fn of_a_count() {
    let falls = "falls = { vital = \"spo2\", unit = \"%\", more_than = 4, between = \"days\" }";
    let cases = [
        (falls, "", 1, 1, ": found none or several of `of`, `falls` and `rises`, want one"),
        (
            "days = 7",
            "days = 7\neach_day = true",
            7,
            12,
            ".each_day: found it without `of`, want it for the days on which a rule was met",
        ),
        (
            "days = 7",
            "days = 7\nhysteresis = 2",
            7,
            14,
            ".hysteresis: found 2, want less than the lowest limit above green: 0 would not be green again",
        ),
        (
            "days = 7",
            "days = 7\nof = \"pulse\"",
            1,
            1,
            ": found none or several of `of`, `falls` and `rises`, want one",
        ),
        (
            "days = 7",
            "days = 7\nat_least = \"red\"",
            7,
            12,
            ".at_least: found it without `of`, want it for the times that a rule was met",
        ),
        ("unit = \"%\"", "unit = \"kg\"", 5, 34, ".falls.unit: found \"kg\", want \"%\""),
        ("more_than = 4", "more_than = 0", 5, 51, ".falls.more_than: found 0, want more than 0"),
        ("unit = \"1\"", "unit = \"%\"", 7, 8, ".unit: found \"%\", want \"1\", the unit in which a count is judged"),
        ("days = 7", "days = 93", 6, 8, ".days: found 93, want 1 to 92"),
    ];
    for (from, to, line, column, fault) in cases {
        refused(&with(COUNT, from, to), line, column, fault);
    }
}

const ALL: &str = r#"[[rule]]
id = "own"
kind = "all"
family = "ward"
of = [
  { rule = "pulse" },
  { rule = "pulse", at_least = "red" },
]
within = "72h"
mark = "red"
"#;

#[test]
fn of_all_and_any() {
    refused(ALL, 7, 12, ".of[1].rule: found \"pulse\" a second time, want each rule once");
    for (from, to, line, column, fault) in [
        (
            "rule = \"pulse\", at",
            "rule = \"own\", at",
            7,
            12,
            ".of[1].rule: found \"own\", want the id of a rule that stands before this one",
        ),
        ("  { rule = \"pulse\" },", "", 5, 6, ".of: found 1 rules, want 2 to 16"),
        (
            "at_least = \"red\"",
            "at_least = \"green\"",
            7,
            32,
            ".of[1].at_least: found green, want yellow or red: every verdict is at least green",
        ),
        (
            "within = \"72h\"",
            "",
            1,
            1,
            ".within: found nothing, want a length of time with its unit, e.g. \"4h\" or \"90m\": what one of them said counts so long",
        ),
        ("within = \"72h\"", "within = \"0h\"", 9, 10, ".within: found 0s, want more than nothing and at most 2208h"),
        ("mark = \"red\"", "mark = \"green\"", 10, 8, ".mark: found green, want yellow or red"),
    ] {
        refused(&with(ALL, from, to), line, column, fault);
        refused(&with(&ALL.replace("\"all\"", "\"any\""), from, to), line, column, fault);
    }
}

#[test]
fn of_rules_that_ask_too_much() {
    let mut rules = PULSE.to_owned();
    let k_of_n = |id: usize, of: &str| {
        format!(
            "[[rule]]\nid = \"r{id}\"\nkind = \"k_of_n\"\nfamily = \"ward\"\nof = \"{of}\"\nk = 1\nn = 31\nby = \"readings\"\nwithin = \"24h\"\nmark = \"red\"\n"
        )
    };
    for (id, of) in [(0, "pulse".to_owned()), (1, "r0".to_owned()), (2, "r1".to_owned())] {
        rules.push_str(&k_of_n(id, &of));
    }
    let found = programme(&rules).map(|_| ()).unwrap_err().to_string();
    assert!(
        found.ends_with("rule[3].of: found 29791 looks at other rules for each of its own, want at most 4096"),
        "{found}"
    );
}

const PATH: &str = r#"[[rule]]
id = "own"
kind = "path"
family = "ward"
questionnaire = "asked"
paths = [
  { when = { breathless = ["yes"], cough = ["yes"] }, mark = "red" },
]
"#;

#[test]
fn of_a_path() {
    for (from, to, line, column, fault) in [
        ("\"asked\"", "\"aksed\"", 5, 17, ".questionnaire: found \"aksed\", want the id of a [[questionnaire]]"),
        (
            "breathless =",
            "breathles =",
            7,
            26,
            ".paths[0].when.breathles: found \"breathles\", want a question of \"asked\"",
        ),
        (
            "breathless = [\"yes\"]",
            "breathless = [\"maybe\"]",
            7,
            27,
            ".paths[0].when.breathless: found \"maybe\", want a choice of question \"breathless\"",
        ),
        (
            "breathless = [\"yes\"]",
            "breathless = []",
            7,
            27,
            ".paths[0].when.breathless: found no answer, want at least one",
        ),
        (
            "when = { breathless = [\"yes\"], cough = [\"yes\"] }, ",
            "",
            7,
            3,
            ".paths[0].when: found no question, want at least one with its answers",
        ),
        (
            "mark = \"red\"",
            "not_asked = [\"cough\"], mark = \"red\"",
            7,
            67,
            ".paths[0].not_asked: found \"cough\", which is always asked, want a question with `only_if`",
        ),
        (
            "mark = \"red\"",
            "mark = \"green\"",
            7,
            62,
            ".paths[0].mark: found green, want yellow or red: what leads nowhere is green",
        ),
        (
            "paths = [",
            "within = \"25h\"\npaths = [",
            6,
            10,
            ".within: found 25h, want more than nothing and at most 24h",
        ),
    ] {
        let rule = if to.is_empty() { PATH.replace(from, "") } else { with(PATH, from, to) };
        refused(&rule, line, column, fault);
    }
}

const FLAG: &str = r#"[[rule]]
id = "own"
kind = "flag"
family = "ward"
vitals = ["pulse"]
flags = ["irregular_pulse"]
k = 2
n = 3
within = "48h"
mark = "yellow"
"#;

const WHOSE: &str = r#"[[rule]]
id = "own"
kind = "wrong_person"
family = "device"
vital = "weight"
percent = 10
days = 30
minimum = 3
mark = "yellow"
"#;

const MISSING: &str = r#"[[rule]]
id = "own"
kind = "missing"
family = "missing"
schedule = "daily"
vitals = ["pulse"]
in_a_row = 2
then = "yellow"
"#;

#[test]
fn of_flags_of_whose_it_is_and_of_silence() {
    for (rule, from, to, line, column, fault) in [
        (
            FLAG,
            "mark = \"yellow\"",
            "mark = \"red\"",
            10,
            8,
            ".mark: found red, want yellow or green: what a device says of itself is never red",
        ),
        (
            FLAG,
            "[\"irregular_pulse\"]",
            "[\"Irregular\"]",
            6,
            10,
            ".flags[0]: found \"Irregular\", want a flag: 1 to 40 of a-z, 0-9 and _",
        ),
        (FLAG, "[\"irregular_pulse\"]", "[]", 6, 9, ".flags: found 0, want 1 to 16"),
        (FLAG, "k = 2", "k = 5", 7, 5, ".k: found 5, want 1 to 3"),
        (
            FLAG,
            "[\"pulse\"]",
            "[\"plus\"]",
            5,
            11,
            ".vitals[0]: found `plus`, want one of `spo2`, `pulse`, `resp_rate`, `temperature`, `systolic`, `diastolic`, `mean_pressure`, `weight`, `fev1`, `fvc`, `fev6`, `pef`, `fev1_fvc`, `perfusion_index`, `oxygen_flow`, `glucose`",
        ),
        (WHOSE, "percent = 10", "percent = 0", 6, 11, ".percent: found 0, want more than 0 and at most 100"),
        (
            WHOSE,
            "mark = \"yellow\"",
            "mark = \"red\"",
            9,
            8,
            ".mark: found red, want yellow or green: what may be somebody else's is never red by itself",
        ),
        (WHOSE, "minimum = 3", "minimum = 32", 8, 11, ".minimum: found 32, want 1 to 31"),
        (MISSING, "then = \"yellow\"", "", 1, 1, ".then: found nothing beside `in_a_row`, want both or neither"),
        (MISSING, "in_a_row = 2", "in_a_row = 1", 7, 12, ".in_a_row: found 1, want 2 to 14"),
        (
            MISSING,
            "then = \"yellow\"",
            "then = \"green\"",
            8,
            8,
            ".then: found green, want yellow or red: without it silence is blue",
        ),
        (
            MISSING,
            "then = \"yellow\"",
            "then = \"yellow\"\nkit_silent = \"red\"",
            9,
            14,
            ".kit_silent: found red, want blue or yellow",
        ),
        (
            MISSING,
            "then = \"yellow\"",
            "then = \"yellow\"\ntell = \"soon\"",
            9,
            8,
            ".tell: found `soon`, want `late` or `missed`",
        ),
        (
            MISSING,
            "then = \"yellow\"",
            "then = \"yellow\"\nwhen = \"on_air\"",
            9,
            8,
            ".when: found a condition on a rule of silence, want none: nothing is measured that could meet it",
        ),
        (MISSING, "\"daily\"", "\"dialy\"", 5, 12, ".schedule: found \"dialy\", want the id of a [[schedule]]"),
    ] {
        refused(&with(rule, from, to), line, column, fault);
    }
}

#[test]
fn of_what_is_expected() {
    let neither = ".vitals: found neither `vitals` nor `questionnaires`, want one of them or both";
    let vitals = "vitals = [\"pulse\"]";
    for (to, line, column, fault) in [
        ("", 1, 1, neither),
        ("vitals = []", 6, 10, neither),
        ("questionnaires = []", 1, 1, neither),
        (
            "vitals = [\"pulse\", \"pulse\"]",
            6,
            10,
            ".vitals: found 2 vitals, 1 of them different, want 1 to 16, each once",
        ),
        (
            "questionnaires = [\"aksed\"]",
            6,
            19,
            ".questionnaires[0]: found \"aksed\", want the id of a [[questionnaire]]",
        ),
        (
            "questionnaires = [\"asked\", \"asked\"]",
            6,
            28,
            ".questionnaires[1]: found \"asked\" a second time, want each once",
        ),
    ] {
        refused(&with(MISSING, vitals, to), line, column, fault);
    }
    let many = format!("{vitals}\nquestionnaires = [{}]", ["\"asked\""; 16].join(", "));
    let fault = ".questionnaires: found 1 vitals and 16 questionnaires, want at most 16 together";
    refused(&with(MISSING, vitals, &many), 7, 18, fault);
    let both = with(MISSING, vitals, &format!("{vitals}\nquestionnaires = [\"asked\"]"));
    for rule in [both, with(MISSING, vitals, "questionnaires = [\"asked\"]")] {
        programme(&rule).unwrap_or_else(|fault| panic!("{fault}"));
    }
}

#[test]
fn a_rule_of_silence_is_no_part_of_others() {
    let rules = format!("{MISSING}{}", K_OF_N.replace("\"own\"", "\"two\"").replace("\"pulse\"", "\"own\""));
    let found = programme(&rules).map(|_| ()).unwrap_err().to_string();
    assert!(
        found.contains("rule[1].of: found \"own\", a rule of silence, want one that judges what was measured"),
        "{found}"
    );
}

#[test]
fn of_risk_levels() {
    let stratum = |id: &str, rank: u32, schedule: &str| {
        format!(
            "{PULSE}\n[[stratum]]\nid = \"{id}\"\ntitle = {{ en = \"X\", da = \"X\" }}\nrank = {rank}\nschedules = [\"{schedule}\"]\n"
        )
    };
    for (text, wanted) in [
        (stratum("low", 5, "daily"), "stratum[2].id: found \"low\" a second time, want an id of its own"),
        (stratum("x", 7, "daily"), "stratum[2].rank: found 7 a second time, want a rank of its own"),
        (stratum("x", 0, "daily"), "stratum[2].rank: found 0, want 1 or more"),
        (stratum("x", 5, "never"), "stratum[2].schedules[0]: found \"never\", want the id of a [[schedule]]"),
    ] {
        let found = programme(&text).map(|_| ()).unwrap_err().to_string();
        assert!(found.contains(wanted), "{found}");
    }
}

#[test]
fn of_examples_over_days() {
    let example = |more: &str| format!("{PULSE}\n[[example]]\nname = \"x\"\nwant = {{ pulse = \"green\" }}\n{more}\n");
    let reading = "readings = [{ vital = \"pulse\", value = 80, unit = \"/min\" }]";
    for (more, wanted) in [
        (format!("{reading}\nstep = [{{ {reading} }}]"), "step[0]: found neither at nor after, want one of them"),
        (
            format!("{reading}\nstep = [{{ at = \"2026-11-23T08:00:00\", after = \"1h\", {reading} }}]"),
            "step[0]: found both at and after, want one of them",
        ),
        (
            format!("{reading}\nstep = [{{ at = \"2026-11-22T08:00:00\", {reading} }}]"),
            "step[0]: found time 2026-11-22T08:00:00 before 2026-11-23T08:00:00, that of what comes before it, want it at or after",
        ),
        (
            format!("step = [{{ repeat = 0, {reading} }}]"),
            "step[0]: found repeat 0, want 1 or more, and at most 1000 sittings in all",
        ),
        (
            format!("step = [{{ repeat = 1001, {reading} }}]"),
            "step[0]: found repeat 1001, want 1 or more, and at most 1000 sittings in all",
        ),
        (
            "readings = [{ vital = \"pulse\", unit = \"/min\" }]".to_owned(),
            "found neither or both of value and values for pulse, want one of them",
        ),
        (format!("{reading}\nalerts = {{ ward = \"red\" }}"), "failed: found no open alert, want ward red"),
        (
            format!("{reading}\nnow = \"2026-11-23T07:00:00\""),
            "found now 2026-11-23T07:00:00 before at 2026-11-23T08:00:00",
        ),
    ] {
        let found = programme(&example(&more)).map(|_| ()).unwrap_err().to_string();
        assert!(found.contains("example[0]: example \"x\"") && found.contains(wanted), "{found}");
    }
    let good = format!(
        "{PULSE}\n[[example]]\nname = \"x\"\nstep = [{{ repeat = 14, every = \"24h\", readings = [{{ vital = \"pulse\", values = [80, 90], drift = 1, unit = \"/min\" }}] }}, {{ after = \"24h\", readings = [{{ vital = \"pulse\", value = 110, unit = \"/min\", flags = [\"low_battery\"] }}] }}]\nwant = {{ pulse = \"yellow\" }}\nalerts = {{ ward = \"yellow\" }}\n"
    );
    programme(&good).unwrap_or_else(|fault| panic!("{fault}"));
}
