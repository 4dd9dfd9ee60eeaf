//! `vagt demo`, as a program: from simulated bytes on a Bluetooth bus to an alert on the queue, and nothing left behind.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The first alert has to be there by then.
const FIRST_ALERT_MAX: Duration = Duration::from_secs(120);
/// All helpers have to be gone by then.
const GONE_MAX: Duration = Duration::from_secs(20);

/// A running demonstration; killed if a test fails.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    events: Vec<Value>,
}

impl Demo {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vagt"))
            .args(["demo", "--json", "--port", "0", "--day-seconds", "6"])
            .env("TMPDIR", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, events: Vec::new() }
    }

    /// Reads events until `wanted` holds of the last of them.
    fn until(&mut self, wanted: impl Fn(&[Value]) -> bool) -> &[Value] {
        let began = Instant::now();
        while let Some(Ok(line)) = self.lines.next() {
            self.events.push(serde_json::from_str(&line).unwrap());
            if wanted(&self.events) {
                return &self.events;
            }
            assert!(began.elapsed() < FIRST_ALERT_MAX, "not in time: {:?}", self.events);
        }
        let mut said = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        panic!("the demonstration has ended: {said}\n{:?}", self.events);
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().expect("it runs");
        }
    }
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// Programs whose command line or environment names this folder.
fn running_in(folder: &Path) -> usize {
    let name = folder.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| {
            std::fs::read(process.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&name))
        })
        .count()
}

fn all_gone(folder: &Path) {
    let began = Instant::now();
    while running_in(folder) > 0 {
        assert!(began.elapsed() < GONE_MAX, "{} programs are left", running_in(folder));
        #[allow(clippy::disallowed_methods, reason = "a test without a runtime that waits for other processes")]
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_measured_alert_is_on_the_queue_and_ctrl_c_leaves_nothing_behind() {
    let folder = tempfile::Builder::new().prefix("vd-").tempdir().unwrap();
    let mut demo = Demo::start(folder.path());
    let measured = |event: &Value| event["event"] == "alert" && event["family"] == "copd" && event["patient"] == "p-2";
    let events = demo.until(|events| events.last().is_some_and(measured)).to_vec();
    assert_eq!(of(&events, "home").len(), 5);
    let silent = |event: &&Value| event["mark"] == "blue" && event["patient"] == "p-4";
    assert!(of(&events, "alert").iter().any(silent), "{events:?}");
    let why = events.last().unwrap()["why"].as_str().unwrap();
    assert!(why.starts_with("SpO2 ") || why.starts_with("pulse "), "{why}");
    let ready = of(&events, "ready")[0];
    assert!(ready["password"].as_str().unwrap().len() > 12);
    let address = ready["http"].as_str().unwrap();
    assert!(get(address, "/sign-in").starts_with("HTTP/1.0 200"), "{}", get(address, "/sign-in"));
    assert!(get(address, "/metrics").contains("vagt_"));

    demo.signal("-INT");
    assert!(demo.child.wait().unwrap().success());
    all_gone(folder.path());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its folder is gone");
}

#[test]
fn helpers_end_even_when_the_demonstration_is_killed() {
    let folder = tempfile::Builder::new().prefix("vd-").tempdir().unwrap();
    let mut demo = Demo::start(folder.path());
    demo.until(|events| of(events, "home").len() == 5);
    assert!(running_in(folder.path()) >= 15, "{} programs", running_in(folder.path()));
    demo.signal("-KILL");
    assert!(!demo.child.wait().unwrap().success());
    all_gone(folder.path());
}

#[test]
fn what_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("vagt");
    std::fs::copy(env!("CARGO_BIN_EXE_vagt"), &alone).unwrap();
    let run = |args: &[&str], path: &str| {
        let output = Command::new(&alone).arg("demo").args(args).env("PATH", path).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let path = std::env::var("PATH").unwrap();
    let (code, said) = run(&[], &path);
    assert_eq!(code, Some(1));
    assert!(said.contains("firmware-sim is not in ") && said.contains("cargo build --bins"), "{said}");
    let (code, said) = run(&[], "/nowhere");
    assert_eq!((code, said.trim()), (Some(1), "vagt: dbus-daemon is not installed: apt-get install dbus"));
    assert_eq!(run(&["--day-seconds", "1"], &path).0, Some(2));
    assert_eq!(run(&["--minutes", "0"], &path).0, Some(2));
}
