//! `vagt score`, as a program: output and exit codes are a contract.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::process::{Command, Output};

use serde_json::Value;

fn vagt(args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vagt")).args(args.split_whitespace()).output().expect("the program starts")
}

/// The line that a score prints.
#[track_caller]
fn scored(args: &str) -> Value {
    let output = vagt(args);
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is refused: the exit code, and one sentence on standard error.
#[track_caller]
fn refused(args: &str, code: i32, sentence: &str) {
    let output = vagt(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args}: {said}");
    assert!(said.contains(sentence), "{sentence:?} in {said:?}");
}

#[test]
fn the_line_is_the_contracts() {
    let output = vagt(
        "score news2 --resp-rate 22 --spo2 93 --systolic 118 --pulse 95 --consciousness A --temperature 38.4 --json",
    );
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        concat!(
            r#"{"score":"news2","total":6,"band":"medium","complete":true,"missing":[],"#,
            r#""parts":{"resp_rate":2,"spo2":2,"oxygen":0,"systolic":0,"pulse":1,"consciousness":0,"temperature":1},"says":"NEWS2 6, medium"}"#,
            "\n"
        )
    );
    let contract = "score news2 --resp-rate 18 --spo2 93 --scale 2 --oxygen --systolic 125 --pulse 88 --consciousness A --temperature 37.0";
    let line = scored(contract);
    assert_eq!((&line["total"], &line["band"], &line["complete"]), (&3.into(), &"low".into(), &true.into()));
    assert_eq!((&line["parts"]["spo2"], &line["parts"]["oxygen"]), (&1.into(), &2.into()));
}

#[test]
fn what_is_left_out_is_missing_and_the_sum_is_the_least() {
    let line = scored("score news2 --spo2 92 --pulse 112 --temperature 38.4");
    assert_eq!((&line["total"], &line["band"], &line["complete"]), (&5.into(), &"medium".into(), &false.into()));
    assert_eq!(line["missing"], serde_json::json!(["resp_rate", "systolic", "consciousness"]));
    assert_eq!(line["at_least"], true);
    assert_eq!(
        line["says"],
        "NEWS2 at least 5 of what was measured, medium or worse; respiratory rate, systolic pressure and consciousness missing"
    );
    let unknown = scored("score news2 --spo2 96 --scale 2 --oxygen=unknown --consciousness unknown --pulse 70");
    assert_eq!(
        unknown["missing"],
        serde_json::json!(["resp_rate", "spo2", "oxygen", "systolic", "consciousness", "temperature"])
    );
}

#[test]
fn numbers_are_rounded_as_they_are_displayed_and_it_is_said() {
    let line = scored("score news2 --temperature 38.05 --spo2 91.5 --pulse 90.0 --systolic 55");
    assert_eq!(
        line["parts"],
        serde_json::json!({ "spo2": 2, "oxygen": 0, "systolic": 3, "pulse": 0, "temperature": 1 })
    );
    assert_eq!(
        line["rounded"],
        serde_json::json!([
            { "name": "spo2", "given": 91.5, "counts_as": 92 },
            { "name": "temperature", "given": 38.05, "counts_as": 38.1 },
        ])
    );
    assert_eq!(line["doubtful"], serde_json::json!(["systolic 55 mm[Hg] is doubtful: want 60 to 250 mm[Hg]"]));
}

#[test]
fn inputs_may_be_named_and_letters_small() {
    let one = vagt("score news2 --spo2 93 --consciousness c --oxygen=yes");
    let other = vagt("score news2 spo2=93 consciousness=C oxygen=yes");
    assert_eq!(one.stdout, other.stdout);
    assert_eq!(scored("score news2 --consciousness c")["band"], "single_3");
}

#[test]
fn what_makes_no_sense_is_refused_in_one_sentence() {
    refused("score news2 --spo2 930", 1, "spo2 930 % is impossible: want 50 to 100 %");
    refused("score news2 --temperature 98.6", 1, "temperature 98.6 Cel is impossible: want 30 to 45 Cel");
    refused("score news2 --pulse -5", 1, "pulse -5 /min is impossible");
    refused("score news2 --spo2 many", 2, "spo2: found \"many\", want a decimal number");
    refused("score news2 --temperature 37,0", 2, "temperature: found \"37,0\", want a decimal number");
    refused("score news2 --consciousness B --spo2 93", 2, "consciousness is \"B\", want one of A, C, V, P, U");
    refused("score news2 --scale 3 --spo2 93", 2, "scale is \"3\", want one of 1, 2");
    refused("score news2 --oxygen=maybe --spo2 93", 2, "oxygen is \"maybe\", want one of no, yes");
    refused("score news2 --spo2 93 spo2=94", 2, "spo2 is given twice");
    refused("score news2 weight=70", 2, "score news2 has no \"weight\"; it has resp_rate, spo2,");
    refused("score news2 weight", 2, "want NAME=VALUE");
    refused("score news2", 2, "nothing was measured: news2 wants one or more of resp_rate, spo2, oxygen,");
    refused("score news9 --spo2 93", 2, "\"news9\" is no file, and no score: there are news2");
    refused("score /nowhere.toml spo2=93", 1, "/nowhere.toml: ");
}

#[test]
fn a_local_score_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-score.toml");
    let text = r#"
id = "test-score"
version = 1
title = { en = "Invented test score", da = "Opfundet testscore" }
source = "invented for a test: no clinical meaning"
[[parameter]]
name = "crp"
title = { en = "CRP", da = "CRP" }
unit = "mg/L"
digits = 0
bands = [{ points = 0, at_most = 9 }, { points = 2, from = 10 }]
[[parameter]]
name = "oxygen"
title = { en = "oxygen", da = "ilt" }
choice = [{ id = "no", points = 0, title = { en = "no", da = "nej" } }, { id = "yes", points = 1, title = { en = "yes", da = "ja" } }]
[[band]]
id = "calm"
title = { en = "calm", da = "rolig" }
response = { en = "Nothing.", da = "Intet." }
"#;
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let line = scored(&format!("score {path} crp=9.5"));
    assert_eq!((&line["score"], &line["total"]), (&"test-score".into(), &2.into()));
    assert_eq!(
        line["missing"],
        serde_json::json!(["oxygen"]),
        "only a shipped score takes silence about oxygen as air"
    );
    assert_eq!(scored(&format!("score {path} crp=9.5 --oxygen"))["total"], 3);
    refused(&format!("score {path} --spo2 93"), 2, "score test-score has no \"spo2\"; it has crp, oxygen");
    let check = vagt(&format!("config check {path}"));
    assert_eq!(String::from_utf8(check.stdout).unwrap(), format!("{path}: ok (a score)\n"));
    std::fs::write(path, text.replace("from = 10", "from = 11").replace("version = 1", "version = 0")).unwrap();
    refused(
        &format!("score {path} crp=9"),
        1,
        "test-score.toml:3:11: version: found 0, want 1 or more (and 1 more, see `vagt config check`)",
    );
    let check = String::from_utf8(vagt(&format!("config check {path}")).stdout).unwrap();
    assert!(check.contains(":11:39: parameter[0].bands[1]: found 10 in no band, want every number in one"), "{check}");
}
