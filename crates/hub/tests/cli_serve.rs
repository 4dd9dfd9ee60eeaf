//! `vagt serve`, as a program: one at a time on a data folder, and the tools beside it.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

fn vagt(args: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vagt"));
    command.args(args).arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ends(args: &[&str], config: &Path) -> Output {
    vagt(args, config).output().unwrap()
}

/// A service that is ready; killed when a test ends.
struct Serving(Child);

impl Serving {
    fn start(config: &Path) -> Self {
        let mut child = vagt(&["serve", "--json"], config).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let serving = Self(child);
        assert!(line.contains("\"ready\":true"), "{line}");
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_second_service_on_the_same_data_is_refused_and_the_tools_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("hub.toml");
    let listen = "listen = \"127.0.0.1:0\"\n";
    std::fs::write(&config, format!("data = \"data\"\n[mqtt]\n{listen}[http]\n{listen}")).unwrap();
    let first = Serving::start(&config);

    let second = ends(&["serve", "--json"], &config);
    let said = String::from_utf8(second.stderr).unwrap();
    let wanted =
        "/data/vagt.lock: another vagt serve is running on this folder: stop it first, or give this one its own `data`";
    assert_eq!(second.status.code(), Some(1));
    assert!(said.lines().last().unwrap().ends_with(wanted), "{said}");

    for tool in [
        &["account", "add", "anna", "--name", "Anna"][..],
        &["patient", "add", "p-1", "--name", "Test Person", "--programme", "copd"],
        &["kit", "add", "kit-1", "--patient", "p-1"],
    ] {
        let output = ends(tool, &config);
        assert!(output.status.success(), "{tool:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let doctor = ends(&["doctor", "--json"], &config);
    let said = String::from_utf8(doctor.stdout).unwrap();
    let of_store = said.lines().find(|line| line.contains(r#""check":"store""#)).unwrap_or_else(|| panic!("{said}"));
    assert!(of_store.contains(r#""state":"ok""#), "{of_store}");

    drop(first);
    Serving::start(&config);
}
