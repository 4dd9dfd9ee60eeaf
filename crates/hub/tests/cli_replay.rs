//! `vagt replay`, as a program: the same recording and programme give the same bytes.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// The repository's file.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Replays standard input by the shipped programme for COPD.
fn replay(args: &[&str], input: &[u8]) -> Output {
    replay_by("copd", args, input)
}

fn replay_by(programme: &str, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vagt"))
        .arg("replay")
        .arg("--programme")
        .arg(file(&format!("config/programmes/{programme}.toml")))
        .args(args)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn recorded() -> Vec<u8> {
    std::fs::read(file("crates/hub/tests/replay/recorded.jsonl")).unwrap()
}

fn own() -> String {
    file("crates/hub/tests/replay/p-2.toml").display().to_string()
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn message(seq: u64, received: &str, reading: &str) -> String {
    format!(
        r#"{{"kit":"kit-1","patient":"p-1","received_at":"{received}","seq":{seq},"sent_at":"{received}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{reading}]}}"#
    )
}

fn spo2(value: &str, unit: &str, at: &str) -> String {
    format!(
        r#"{{"vital":"spo2","value":{value},"unit":"{unit}","measured_at":"{at}","clock":"device","device":"sim:1"}}"#
    )
}

/// The story of the recording is told in its lines: red, a duplicate, out of order, an answer, silence, late, a clock that steps back, own
/// limits, two devices' units. What came out when it was last looked at must come out for ever.
#[test]
fn the_recorded_fortnight_comes_out_to_the_byte() {
    let first = replay(&["--patient", &own()], &recorded());
    let wanted = std::fs::read_to_string(file("crates/hub/tests/replay/wanted.jsonl")).unwrap();
    assert!(first.stderr.is_empty(), "{}", String::from_utf8_lossy(&first.stderr));
    let got = String::from_utf8(first.stdout).unwrap();
    for (number, (got, wanted)) in got.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(got, wanted, "line {}", number + 1);
    }
    assert_eq!(got, wanted);
}

#[test]
fn a_file_and_standard_input_and_messages_sent_again_are_the_same() {
    let once = replay(&["--patient", &own()], &recorded());
    let text = String::from_utf8(recorded()).unwrap();
    let twice: String = text.lines().flat_map(|line| [line, "\n", line, "\n"]).collect();
    assert_eq!(replay(&["--patient", &own()], twice.as_bytes()).stdout, once.stdout);
    let from_file = Command::new(env!("CARGO_BIN_EXE_vagt"))
        .args(["replay", "--json", "--patient", &own(), "--programme"])
        .args([file("config/programmes/copd.toml"), file("crates/hub/tests/replay/recorded.jsonl")])
        .output()
        .unwrap();
    assert_eq!(from_file.stdout, once.stdout);
}

#[test]
fn own_limits_hold_for_their_patient_or_for_everybody() {
    let input = message(1, "2026-11-23T07:05:10Z", &spo2("83", "%", "2026-11-23T07:05:00Z"));
    let colour = |args: &[&str]| lines(&replay(args, input.as_bytes()))[0]["colour"].clone();
    assert_eq!(colour(&[]), "red");
    assert_eq!(colour(&["--patient", &own()]), "red", "those are p-2's");
    let folder = tempfile::tempdir().unwrap();
    let everybody = folder.path().join("own.toml");
    let text = std::fs::read_to_string(own()).unwrap().replace("id = \"p-2\"", "");
    std::fs::write(&everybody, text).unwrap();
    assert_eq!(colour(&["--patient", everybody.to_str().unwrap()]), "yellow");
}

#[test]
fn what_other_answers_would_have_been_is_told_by_all_that_was_answered() {
    let at = "2026-11-23T07:05:00Z";
    let answer = |question: &str, answer: &str| {
        format!(
            r#"{{"questionnaire":"heart-failure-daily","version":1,"question":"{question}","answer":"{answer}","answered_at":"{at}"}}"#
        )
    };
    let message = |seq, answers: &[String]| {
        let answers = format!("\"readings\":[],\"answers\":[{}]", answers.join(","));
        message(seq, "2026-11-23T07:05:10Z", "").replace("\"readings\":[]", &answers)
    };
    let led = [answer("night", "yes"), answer("swelling", "a_lot")];
    let others = [answer("overall", "same"), answer("medicine", "yes")];
    let otherwise = |messages: &[String]| {
        let changes = lines(&replay_by("heart-failure", &["--explain"], messages.join("\n").as_bytes()));
        let findings = changes.last().unwrap()["findings"].as_array().unwrap().clone();
        let found = findings.into_iter().find(|finding| finding["rule"] == "answers_together").unwrap();
        found["otherwise"].clone()
    };
    assert!(otherwise(&[message(1, &led)]).is_null(), "much worse and no medicine may have been answered");
    let told = otherwise(&[message(1, &others), message(2, &led)]);
    assert_eq!(told["would"], "path", "{told}");
    assert_eq!(told["ways"][0]["mark"], "green");
    assert_eq!(told["ways"][0]["answers"][0]["question"], "night");
}

#[test]
fn silence_is_told_until_the_end_that_is_asked_for() {
    let input = message(1, "2026-11-23T06:55:10Z", &spo2("93", "%", "2026-11-23T06:55:00Z"));
    let changes = lines(&replay(&["--until", "2026-11-23T12:59:59Z"], input.as_bytes()));
    assert_eq!(changes.len(), 0);
    let changes = lines(&replay(&["--until", "2026-11-26T00:00:00Z", "--alerts"], input.as_bytes()));
    assert_eq!(changes[0]["at"], "2026-11-23T13:00:00Z");
    assert_eq!(changes[0]["blue"], true);
    assert!(changes[0]["findings"][0]["why"].as_str().unwrap().starts_with("no pulse for 2026-11-23 08:00"));
    assert_eq!(changes[1]["event"]["kind"], "raised");
}

#[test]
fn bad_lines_are_named_and_cost_nobody_else() {
    let at = "2026-11-23T07:05:00Z";
    let received = "2026-11-23T07:05:10Z";
    let input = [
        "not json".to_owned(),
        message(1, received, &spo2("120", "%", at)),
        message(2, received, &spo2("93", "furlong", at)),
        message(3, received, &spo2("93", "%", "2026-11-24T07:05:00Z")),
        message(4, received, &spo2("93", "%", "1970-01-01T00:00:00Z")),
        message(5, received, &spo2("84", "%", at)).replace("\"kit\":\"kit-1\",", ""),
        String::new(),
        message(6, received, &spo2("84", "%", at)),
    ];
    let output = replay(&[], input.join("\n").as_bytes());
    let stderr = String::from_utf8(output.stderr).unwrap();
    for wanted in [
        "standard input:1: expected ident at column 2",
        "standard input:2: readings[0]: spo2 120 % is impossible: want 50 to 100 %",
        "standard input:3: readings[0]: unknown variant `furlong`",
        "standard input:4: readings[0]: measured_at 2026-11-24T07:05:00Z is in the future",
        "standard input:5: readings[0]: measured_at 1970-01-01T00:00:00Z is before",
        "standard input:6: missing field `kit`",
        "vagt: standard input: 2 of 7 lines are no recorded messages",
    ] {
        assert!(stderr.contains(wanted), "{wanted}\nin\n{stderr}");
    }
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

#[test]
fn what_admission_refuses_is_told_but_is_no_failure() {
    let input = message(1, "2026-11-23T07:05:10Z", &spo2("120", "%", "2026-11-23T07:05:00Z"));
    let output = replay(&[], input.as_bytes());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert!(!output.stderr.is_empty());
}

#[test]
fn a_programme_or_patient_that_cannot_be_used_is_exit_1_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let patient = folder.path().join("p.toml");
    std::fs::write(&patient, "limit = 1\n").unwrap();
    for (args, wanted) in [
        (vec!["--patient", patient.to_str().unwrap()], "p.toml:1:1: limit: found unknown field"),
        (vec!["--patient", "/nowhere.toml"], "/nowhere.toml: found no such file"),
    ] {
        let output = replay(&args, b"");
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(wanted), "{stderr}");
    }
    assert_eq!(replay(&["--until", "soon"], b"").status.code(), Some(2));
}
