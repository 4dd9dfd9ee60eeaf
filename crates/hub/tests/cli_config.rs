//! `vagt config` and `vagt doctor`, as programs: each problem with file, line, column and field.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn vagt(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vagt")).args(args).output().expect("the program starts")
}

/// The repository's file.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const PROGRAMME: &str = "config/programmes/copd.toml";

/// The shipped programme with a piece of its text replaced: what the check says of it, and its exit code.
#[track_caller]
fn check_programme(from: &str, to: &str, wanted: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.toml");
    let text = std::fs::read_to_string(file(PROGRAMME)).unwrap();
    assert!(text.contains(from), "{from:?} is not in the shipped programme");
    let line = |piece: &str| (text[..text.find(piece).unwrap()].matches('\n').count() + 1).to_string();
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let output = vagt(&["config", "check", path.to_str().unwrap()]);
    let said = shown(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for wanted in wanted {
        let wanted = wanted.replace("LINE", &line(from)).replace("RULE", &line("[[rule]]"));
        assert!(said.contains(&format!("changed.toml:{wanted}")), "{wanted:?} in\n{said}");
    }
}

#[test]
fn what_is_shipped_is_good() {
    for path in [PROGRAMME, "config/scores/news2.toml", "config/hub.toml"] {
        let output = vagt(&["config", "check", file(path).to_str().unwrap()]);
        assert!(output.status.success(), "{}", shown(&output.stdout));
        assert!(shown(&output.stdout).contains(": ok ("));
    }
}

#[test]
fn a_typo_overlapping_bands_and_a_missing_unit_have_their_places() {
    check_programme(
        "family = \"copd\"\nvital",
        "famly = \"copd\"\nvital",
        &["LINE:1: rule[0].famly: found unknown field `famly`"],
    );
    check_programme("above = 85, at_most = 88", "above = 84, at_most = 88", &["LINE:3: rule[0].bands[1]: found bands"]);
    check_programme("unit = \"%\"\n", "", &["RULE:1: rule[0].unit: found nothing, want one of "]);
    check_programme("version = 1", "version =", &["LINE:"]);
}

#[test]
fn an_example_that_does_not_come_out_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copd.toml");
    let text = std::fs::read_to_string(file(PROGRAMME)).unwrap();
    let moved = text.replacen("at_most = 85", "at_most = 84", 1).replacen("above = 85", "above = 84", 1);
    std::fs::write(&path, moved).unwrap();
    let output = vagt(&["config", "check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output.stdout).contains(": example["), "{}", shown(&output.stdout));
}

#[test]
fn a_safety_floor_that_is_left_open_is_a_problem_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copd.toml");
    let text = std::fs::read_to_string(file(PROGRAMME)).unwrap();
    let moved = text.replacen("at_most = 85", "at_most = 82", 1).replacen("above = 85", "above = 82", 1);
    // The examples that now fail don't hide it.
    std::fs::write(&path, &moved).unwrap();
    let said = shown(&vagt(&["config", "check", path.to_str().unwrap()]).stdout);
    assert!(said.contains(": example[") && said.contains("which passes the safety floor of 83 %"), "{said}");
    std::fs::write(&path, moved.split("[[example]]").next().unwrap()).unwrap();
    let output = vagt(&["config", "check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = shown(&output.stdout);
    assert!(said.contains("rule[0].bands: found red at 82 % or less, which passes the safety floor of 83 %"), "{said}");
    // The clinic's own document, where it stands beside the programme.
    let clinic = std::fs::read_to_string(file("config/clinic.toml")).unwrap().replacen("value = 83", "value = 80", 1);
    std::fs::write(folder.path().join("clinic.toml"), clinic).unwrap();
    assert!(vagt(&["config", "check", path.to_str().unwrap()]).status.success());
}

#[test]
fn the_services_file_and_a_roster_are_known_by_what_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    for (text, code, wanted) in [
        ("clinic = \"x\"\nzoen = \"UTC\"\n", 1, "a.toml:2:1: zoen: found unknown field `zoen`"),
        ("[mqtt]\nlisten = 1883\n", 1, "a.toml:2:10: mqtt.listen: "),
        ("[[patient]]\nid = \"p-1\"\nname = \"X\"\nprogramme = \"copd\"\n", 0, "ok (a roster)"),
        (
            "[[kit]]\nid = \"k\"\npatient = \"p-1\"\nsecret_sha256 = \"a5\"\n",
            1,
            "a.toml:3:11: kit[0].patient: found \"p-1\"",
        ),
        ("colour = \"red\"\n", 2, "say what it is with --kind"),
        ("kit = \"kit-1\"\nzone = \"UTC\"\n[broker]\n[[device]]\n", 1, "a.toml:3:1: "),
    ] {
        let path = folder.path().join("a.toml");
        std::fs::write(&path, text).unwrap();
        let output = vagt(&["config", "check", path.to_str().unwrap()]);
        let said = shown(&output.stdout) + &shown(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}: {said}");
        assert!(said.contains(wanted), "{text}: {said}");
    }
    let output = vagt(&["config", "check", "--json", "--kind", "hub", folder.path().join("a.toml").to_str().unwrap()]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["line"], &line["field"]), (&1.into(), &"kit".into()));
    assert_eq!(vagt(&["config", "check", "/nowhere.toml"]).status.code(), Some(1));
}

#[test]
fn a_programme_is_explained_with_its_limits_and_sources() {
    let output = vagt(&["config", "explain", file(PROGRAMME).to_str().unwrap()]);
    let said = shown(&output.stdout);
    for wanted in ["copd", "85", "88", "130", "Monday, Wednesday, Friday", "Source: ", "Chosen by the clinic itself"] {
        assert!(said.contains(wanted), "{wanted} in\n{said}");
    }
    let hub = shown(&vagt(&["config", "explain", file("config/hub.toml").to_str().unwrap()]).stdout);
    let edge = shown(&vagt(&["config", "explain", file("config/edge.toml").to_str().unwrap()]).stderr);
    assert!(edge.contains("broker.ca_file: "), "its certificates are not in the repository: {edge}");
    assert!(hub.contains("127.0.0.1:1883") && hub.contains("Europe/Copenhagen"), "{hub}");
}

#[test]
fn every_schema_is_printed_by_kind_and_by_file_and_written_at_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(vagt(&["config", "schema", "--all", folder.path().to_str().unwrap()]).status.success());
    for kind in ["programme", "score", "hub", "roster", "edge", "own", "readings", "status", "acks", "commands"] {
        let printed = vagt(&["config", "schema", kind]).stdout;
        let schema: serde_json::Value = serde_json::from_slice(&printed).unwrap();
        assert!(schema["properties"].is_object(), "{kind}");
        assert_eq!(std::fs::read(folder.path().join(format!("{kind}.json"))).unwrap(), printed);
    }
    let by_file = vagt(&["config", "schema", file(PROGRAMME).to_str().unwrap()]);
    assert_eq!(by_file.stdout, vagt(&["config", "schema", "programme"]).stdout);
    assert_eq!(vagt(&["config", "schema", "nothing"]).status.code(), Some(2));
}

/// A clinic's folder with a configuration on free ports.
fn clinic(folder: &Path, more: &str) -> String {
    let path = folder.join("hub.toml");
    let text = format!("{more}\n[mqtt]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The state of each check, by name; of several, the worst.
fn doctor(config: &str) -> (Option<i32>, std::collections::BTreeMap<String, (String, String)>) {
    let output = vagt(&["doctor", "--json", "--config", config]);
    let mut checks = std::collections::BTreeMap::new();
    for line in shown(&output.stdout).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let entry = (text("state"), format!("{} {}", text("found"), text("todo")));
        let worse = checks.get(&text("check")).is_none_or(|(state, _): &(String, String)| state == "ok");
        if worse {
            checks.insert(text("check"), entry);
        }
    }
    (output.status.code(), checks)
}

#[test]
fn the_doctor_finds_a_new_clinic_well_and_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (code, checks) = doctor(&clinic(folder.path(), ""));
    assert_eq!(code, Some(0), "{checks:?}");
    assert_eq!(checks["roster"].0, "warn", "nobody is in it: {checks:?}");
    for name in ["config", "folder", "store", "clock", "programmes", "mqtt port", "http port", "mqtt tls", "http tls"] {
        assert_eq!(checks[name].0, "ok", "{name}: {checks:?}");
    }
    assert!(!folder.path().join("data").exists(), "it changes nothing");
}

#[test]
fn the_doctor_tells_a_taken_port_a_wrong_store_and_a_wrong_roster() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = folder.path().join("hub.toml");
    let listen = taken.local_addr().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/vagt.db"), "a letter, not a database. ".repeat(100)).unwrap();
    std::fs::write(
        folder.path().join("roster.toml"),
        "[[patient]]\nid = \"p-1\"\nname = \"X\"\nprogramme = \"copdd\"\n",
    )
    .unwrap();
    let text = format!("roster = \"roster.toml\"\n[mqtt]\nlisten = \"{listen}\"\n[http]\nlisten = \"192.0.2.1:0\"\n");
    std::fs::write(&config, text).unwrap();
    let (code, checks) = doctor(config.to_str().unwrap());
    assert_eq!(code, Some(1));
    for (name, state, wanted) in [
        ("store", "fail", "not a database"),
        ("roster", "fail", "found programme \"copdd\", want one of "),
        ("mqtt port", "fail", "taken by another program"),
        ("http port", "fail", "192.0.2.1:0"),
        ("http tls", "warn", "reverse proxy"),
    ] {
        assert_eq!(checks[name].0, state, "{checks:?}");
        assert!(checks[name].1.contains(wanted), "{name}: {checks:?}");
    }
}

#[test]
fn the_doctor_says_what_to_do_about_a_damaged_store_and_nothing_of_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = clinic(folder.path(), "");
    let refused = vagt(&["export", "-", "--config", &config]);
    assert!(shown(&refused.stderr).contains("vagt.db: there is no store yet"), "{refused:?}");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let added = vagt(&["patient", "add", "p-1", "--name", "Ane", "--config", &config]);
    assert!(added.status.success(), "{added:?}");
    assert_eq!(doctor(&config).1["roster"].1.trim(), "without a kit: p-1 give each a kit with `vagt kit add`");

    let file = folder.path().join("data/vagt.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let theirs = bytes.chunks_mut(4096).filter(|page| page.windows(3).any(|word| word == b"Ane"));
    theirs.for_each(|page| page.fill(0xff));
    std::fs::write(&file, bytes).unwrap();
    let (code, checks) = doctor(&config);
    assert_eq!((code, checks["store"].0.as_str()), (Some(1), "fail"), "{checks:?}");
    assert!(checks["store"].1.contains("restore the last backup"), "{checks:?}");
    assert!(!checks.contains_key("roster"), "whether somebody is in it is not known: {checks:?}");
}

#[test]
fn the_doctor_tells_a_file_where_the_data_folder_should_be() {
    let folder = tempfile::tempdir().unwrap();
    for data in ["hub.toml", "hub.toml/data"] {
        let (code, checks) = doctor(&clinic(folder.path(), &format!("data = \"{data}\"")));
        assert_eq!((code, checks["folder"].0.as_str()), (Some(1), "fail"), "{checks:?}");
        assert!(checks["folder"].1.contains("hub.toml is no folder"), "{checks:?}");
    }
}

/// What the administrator's guide says, from a folder above: what `vagt ca init` prints can be put into the file as it is.
#[test]
fn what_the_authority_prints_is_what_the_file_wants() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let config = folder.path().join("config/hub.toml");
    let listen = "[mqtt]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&config, format!("{listen}[enrolment]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    let (code, checks) = doctor(config.to_str().unwrap());
    assert_eq!((code, checks["enrolment"].0.as_str()), (Some(1), "fail"), "{checks:?}");
    let vagt = |args: &[&str]| {
        let args = args.iter().copied().chain(["--config", "config/hub.toml"]);
        Command::new(env!("CARGO_BIN_EXE_vagt")).args(args).current_dir(folder.path()).output().unwrap()
    };
    let refused = vagt(&["ca", "init", "--name", "https://vagt.example:8443"]);
    assert_eq!(refused.status.code(), Some(1));
    let made = vagt(&["ca", "init", "--name", "vagt.example"]);
    assert!(made.status.success(), "a wrong name has left half an authority: {made:?}");
    let said = String::from_utf8(made.stdout).unwrap();
    let lines: Vec<_> =
        said.lines().skip_while(|line| *line != "[mqtt.tls]").take_while(|l| !l.starts_with("---")).collect();
    std::fs::write(&config, format!("{listen}{}\n", lines.join("\n"))).unwrap();
    let (code, checks) = doctor(config.to_str().unwrap());
    assert_eq!(code, Some(0), "{lines:?} {checks:?}");
    for check in ["mqtt tls", "enrolment"] {
        assert_eq!(checks[check].0, "ok", "{checks:?}");
    }
}
