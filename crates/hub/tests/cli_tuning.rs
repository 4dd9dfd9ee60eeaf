//! `vagt programme`, `backtest`, `budget`, `shadow` and `report`, as programs: four eyes, one sentence for each refusal.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

struct Clinic(tempfile::TempDir);

impl Clinic {
    fn new() -> Self {
        let clinic = Self(tempfile::tempdir().unwrap());
        std::fs::write(clinic.0.path().join("hub.toml"), "zone = \"Europe/Copenhagen\"\ndata = \"data\"\n").unwrap();
        for (user, role) in [("anna", "operator"), ("bo", "admin"), ("nina", "nurse")] {
            clinic.says(&["account", "add", user, "--name", user, "--role", role, "--config", "hub.toml"]);
        }
        clinic
    }

    fn vagt(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vagt"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.output().expect("the program starts")
    }

    /// What it prints when it succeeds.
    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        let output = self.vagt(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one sentence with which it fails.
    #[track_caller]
    fn refuses(&self, args: &[&str]) -> String {
        let output = self.vagt(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.trim().lines().count()), (Some(1), 1), "{args:?}: {said}");
        said
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    /// COPD, versions 1 and 2; in the second the pulse is yellow from 111 on.
    fn with_two_versions() -> Self {
        let clinic = Self::new();
        let second = triage::COPD.replacen("version = 1", "version = 2", 1).replace("110", "111");
        clinic.file("1.toml", triage::COPD);
        clinic.file("2.toml", &second);
        clinic.says(&["programme", "propose", "1.toml", "--by", "anna", "--reason", "the national plan"]);
        clinic.says(&["programme", "activate", "copd", "1", "--by", "bo", "--reason", "first"]);
        clinic.says(&["programme", "propose", "2.toml", "--by", "anna", "--reason", "fewer yellows"]);
        clinic
    }
}

#[test]
fn proposed_by_one_activated_by_another_and_back_again() {
    let clinic = Clinic::with_two_versions();
    let own = clinic.refuses(&["programme", "activate", "copd", "2", "--by", "anna", "--reason", "now"]);
    assert!(own.contains("anna proposed copd version 2: want another person"), "{own}");
    let nurse = clinic.refuses(&["programme", "activate", "copd", "2", "--by", "nina", "--reason", "now"]);
    assert!(nurse.contains("nina is a nurse: want an operator or an admin"), "{nurse}");
    let nobody = clinic.refuses(&["programme", "rollback", "copd", "--by", "eve", "--reason", "now"]);
    assert!(nobody.contains("found no account \"eve\""), "{nobody}");

    let diff = clinic.says(&["programme", "diff", "copd"]);
    assert!(diff.contains("-version = 1") && diff.contains("+version = 2"), "{diff}");
    assert!(diff.contains("+  { mark = \"yellow\", from = 111, below = 130 },"), "{diff}");

    clinic.says(&["programme", "activate", "copd", "2", "--by", "bo", "--reason", "agreed"]);
    let list = clinic.says(&["programme", "list", "copd"]);
    assert!(list.contains("copd    1  was in use") && list.contains("copd    2  in use"), "{list}");
    let shown = clinic.says(&["programme", "show", "copd"]);
    assert!(shown.contains("version = 2"), "{shown}");

    clinic.says(&["programme", "rollback", "copd", "--by", "anna", "--reason", "too quiet"]);
    let history = clinic.says(&["programme", "history", "copd"]);
    assert!(history.contains("anna went back to version 1"), "{history}");
    assert!(history.contains("too quiet (by the command line)"), "{history}");
    let lines = clinic.says(&["programme", "history", "copd", "--json"]);
    assert!(lines.lines().count() == 5 && lines.lines().all(|line| line.contains("\"entry\":\"programme_")), "{lines}");
}

#[test]
fn what_fails_an_example_or_passes_a_floor_is_not_taken_into_use() {
    let clinic = Clinic::with_two_versions();
    clinic.file(
        "3.toml",
        &triage::COPD
            .replacen("version = 1", "version = 3", 1)
            .replace("at_most = 85", "at_most = 84")
            .replace("above = 85", "above = 84"),
    );
    let output = clinic.vagt(&["programme", "propose", "3.toml", "--by", "anna", "--reason", "lower"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "it can be tried: {said}");
    assert!(said.contains("not taken into use") && said.contains("3.toml:") && said.contains("example["), "{said}");
    let refused = clinic.refuses(&["programme", "activate", "copd", "3", "--by", "bo", "--reason", "now"]);
    assert!(refused.contains("example["), "{refused}");

    let cut = triage::COPD.find("[[example]]").unwrap();
    let without = triage::COPD[..cut].replacen("version = 1", "version = 4", 1).replace("85", "80");
    clinic.file("4.toml", &without);
    let output = clinic.vagt(&["programme", "propose", "4.toml", "--by", "anna", "--reason", "lower"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("floor of 83 %"), "{said}");
}

#[test]
fn a_reason_is_wanted_and_a_version_that_is_turned_down_stays_so() {
    let clinic = Clinic::with_two_versions();
    let empty = clinic.refuses(&["programme", "reject", "copd", "2", "--by", "bo", "--reason", " "]);
    assert!(empty.contains("found no reason"), "{empty}");
    clinic.says(&["programme", "reject", "copd", "2", "--by", "bo", "--reason", "not now"]);
    let refused = clinic.refuses(&["programme", "activate", "copd", "2", "--by", "bo", "--reason", "now"]);
    assert!(refused.contains("version 2 of copd was turned down"), "{refused}");
    let unknown = clinic.refuses(&["programme", "show", "copd", "9"]);
    assert!(unknown.contains("found no version 9 of programme \"copd\", want one of: 1, 2"), "{unknown}");
}

#[test]
fn questions_to_an_empty_clinic_have_clear_answers() {
    let clinic = Clinic::with_two_versions();
    let nobody = clinic.refuses(&["backtest", "--programme", "2.toml", "--since", "30d"]);
    assert!(nobody.contains("nobody in the roster is in programme \"copd\""), "{nobody}");
    let report: String = clinic.says(&["report", "rules", "--since", "30d"]);
    assert!(report.contains("0 alerts"), "{report}");
    let shadow = clinic.refuses(&["shadow", "show", "copd"]);
    assert!(shadow.contains("copd does not run as a shadow"), "{shadow}");
    clinic.says(&["shadow", "start", "copd", "2", "--by", "anna"]);
    assert!(clinic.says(&["shadow", "list"]).starts_with("copd version 2 since "));
    assert!(clinic.says(&["shadow", "show", "copd"]).contains("pages nobody"));
    clinic.says(&["shadow", "stop", "copd", "--by", "anna"]);
    assert!(clinic.says(&["shadow", "list"]).starts_with("No version runs as a shadow"));
    assert!(clinic.says(&["shadow", "show", "copd"]).contains("stopped"), "what a stopped one raised stays");
    let unknown = clinic.refuses(&["report", "rules", "--programme", "copdd"]);
    assert!(unknown.contains("found programme \"copdd\", want one of "), "{unknown}");
    for (args, wanted) in [
        (["backtest", "--programme", "2.toml", "--since", "soon"].as_slice(), "want a length as 90d"),
        (&["budget", "--at-most", "0", "--programme", "copd", "--dry-run"], "want a number above 0"),
        (&["budget", "--at-most", "3", "--programme", "copd"], "--by"),
    ] {
        let output = clinic.vagt(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn people_and_accounts_are_changed_by_somebody_who_may_and_with_sense() {
    let clinic = Clinic::new();
    let add = |more: &[&'static str]| {
        [&["patient", "add", "p-1", "--name", "Test", "--config", "hub.toml"][..], more].concat()
    };
    let nonsense = clinic.refuses(&add(&["--stratum", "nonsense"]));
    assert!(nonsense.contains("found stratum \"nonsense\", want "), "{nonsense}");
    let nobody = clinic.refuses(&add(&["--by", "Anna A."]));
    assert!(nobody.contains("found no account \"Anna A.\", want the user name"), "{nobody}");
    assert!(clinic.says(&["patient", "list"]).starts_with("Nobody is watched over yet"));
    clinic.says(&add(&["--by", "nina"]));
    assert_eq!(clinic.says(&["patient", "list"]), "p-1  Test  copd  no kit\n");
    let line = clinic.says(&["patient", "list", "--json"]);
    assert!(line.contains(r#""patient":"p-1""#) && line.contains(r#""programmes":["copd"]"#), "{line}");
    clinic.file("own.toml", "");
    let own = ["patient", "own", "p-1", "--file", "own.toml", "--config", "hub.toml", "--by", "nina"];
    let nurse = clinic.refuses(&own);
    assert!(nurse.contains("nina is a nurse, want doctor or operator or admin"), "{nurse}");
    let limit = "[[limits]]\nrule = \"spo2\"\nlimit = \"red_low\"\nvalue = 84\nunit = \"%\"\nauthor = \"bo\"\nreason = \"hers\"\nfrom = \"2026-11-01T00:00:00Z\"\n";
    let own = ["patient", "own", "p-1", "--file", "own.toml", "--config", "hub.toml", "--by", "bo"];
    for (from, to, wanted) in [
        (
            "\"spo2\"",
            "\"spo3\"",
            "own.toml:2:8: limits[0].rule: found \"spo3\", want a rule with limits of programme copd",
        ),
        ("\"%\"", "\"kg\"", "own.toml:5:8: limits[0].unit: found \"kg\", want \"%\""),
        ("\"bo\"", "\" \"", "own.toml:6:10: limits[0].author: found 1 characters, want 1 to"),
        ("value = 84", "value = 80", "own.toml:1:1: limits[0].until: "),
        ("value = 84", "valeu = 84", "own.toml:4:1: limits[0].valeu: found unknown field `valeu`"),
        ("\"red_low\"", "\"low\"", "own.toml:3:9: limits[0].limit: found `low`, want one of `red_low`"),
        ("from = ", "from = 7 #", "own.toml:8:8: limits[0].from: "),
    ] {
        clinic.file("own.toml", &limit.replacen(from, to, 1));
        let said = clinic.refuses(&own);
        assert!(said.contains(wanted), "{said}");
    }
    clinic.file("own.toml", limit);
    clinic.says(&own);
    // The same in a roster file, with the place of the patient; a service that starts with it says so.
    let people = format!(
        "[[patient]]\nid = \"p-2\"\nname = \"Test\"\nprogramme = \"copd\"\n{}",
        limit.replace("[[limits]]", "[[patient.own.limits]]").replace("\"%\"", "\"kg\"")
    );
    clinic.file("roster.toml", &people);
    clinic.file("with.toml", "zone = \"Europe/Copenhagen\"\ndata = \"data\"\nroster = \"roster.toml\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n");
    let said = String::from_utf8(clinic.vagt(&["serve", "--config", "with.toml"]).stderr).unwrap();
    assert!(said.contains("roster.toml:9:8: patient[0].own.limits[0].unit: found \"kg\", want \"%\""), "{said}");
    clinic.says(&own[..own.len() - 2]);

    let of = |clinic: &Clinic| clinic.says(&["account", "list", "--json", "--config", "hub.toml"]);
    assert_eq!(of(&clinic).lines().count(), 3);
    clinic.says(&["account", "remove", "nina", "--config", "hub.toml"]);
    assert!(!of(&clinic).contains("nina"));
    let gone = clinic.refuses(&["account", "remove", "nina", "--config", "hub.toml"]);
    assert!(gone.contains("found no account \"nina\", want one of anna, bo"), "{gone}");
    clinic.refuses(&add(&["--by", "nina"]));
}
