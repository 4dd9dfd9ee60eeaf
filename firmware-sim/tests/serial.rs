//! A home on serial lines, read as a host reads them: the Nonin's stream and the spirometer's answers.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

struct Played {
    child: Child,
    orders: ChildStdin,
    truth: BufReader<ChildStdout>,
    dir: tempfile::TempDir,
}

impl Played {
    fn start(arguments: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
        command.args(["home", "--json", "--end-with-stdin", "--live", "off", "--serial"]).arg(dir.path());
        command.args(arguments.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (orders, truth) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut played = Self { child, orders, truth, dir };
        played.event("ready");
        played
    }

    fn event(&mut self, event: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.truth.read_line(&mut line).unwrap() > 0, "the home ended before {event:?}");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"] == event {
                return line;
            }
        }
    }

    fn order(&mut self, order: Value) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn open(&self, name: &str) -> File {
        OpenOptions::new().read(true).write(true).open(self.port(name)).unwrap()
    }

    fn port(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(port: &mut File, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    port.read_exact(&mut bytes).unwrap();
    bytes
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
}

/// SpO2 of packets: frame 3 of those whose first frame has the synchronisation bit.
fn spo2_until(port: &mut File, wanted: u8) {
    let mut bytes = read(port, 5);
    for _ in 0..2000 {
        while bytes[0] != 1 || bytes[4] != sum(&bytes[..4]) {
            bytes.remove(0);
            bytes.extend(read(port, 1));
        }
        if bytes[1] & 0x81 == 0x81 {
            let rest = read(port, 10);
            if rest[8] == wanted {
                return;
            }
        }
        bytes = read(port, 5);
    }
    panic!("no packet with SpO2 {wanted}");
}

#[test]
fn the_nonin_streams_the_finger_and_comes_back_after_being_unplugged() {
    let mut home = Played::start("--devices nonin --seed 7");
    let mut port = home.open("nonin");
    spo2_until(&mut port, 127);
    home.order(json!({ "measure": "nonin", "spo2": 82, "pulse": 118 }));
    spo2_until(&mut port, 82);
    assert_eq!(home.event("sent")["values"]["spo2"], 82);
    home.order(json!({ "fault": "unplug", "device": "nonin" }));
    home.event("unplugged");
    assert!(!home.port("nonin").exists());
    let mut left = vec![];
    let _ = port.read_to_end(&mut left); // an error or the end: the line is dead
    home.order(json!({ "fault": "replug", "device": "nonin" }));
    home.order(json!({ "measure": "nonin", "spo2": 91 }));
    while home.event("measured")["values"]["spo2"] != 91 {} // orders are obeyed in turn, so it is plugged in by now
    spo2_until(&mut home.open("nonin"), 91);
}

#[test]
fn the_spirometer_answers_the_handshake_with_what_it_stored() {
    let mut home = Played::start("--devices spirometer --seed 7 --history-days 2");
    home.order(json!({ "measure": "spirometer", "fev1": 1.08, "fvc": 2.5, "pef": 2.2 }));
    home.event("measured");
    let mut port = home.open("sp10");
    let mut ask = |request: &[u8], count: usize| {
        port.write_all(request).unwrap();
        read(&mut port, count)
    };
    assert_eq!(ask(&[0x80, 0x00], 2), [0xf0, 0x70]);
    assert_eq!(ask(&[0x90, 0x10], 10)[..3], [0xe0, 3, 0]);
    ask(&[0x91, 0x00, 0x01, 0x12], 44);
    ask(&[0x91, 0x01, 0x01, 0x13], 44);
    let live = ask(&[0x91, 0x01, 0x01, 0x13], 44);
    assert_eq!(u16::from(live[21]) | u16::from(live[22]) << 7, 108, "FEV1");
    assert_eq!(live[43], sum(&live[..43]) & 0x7f);
    assert_eq!(ask(&[0x91, 0x7f, 0x01, 0x11], 44)[1], 0x7f);
    assert_eq!(ask(&[0x90, 0x10], 10)[..3], [0xe0, 0, 0], "deleted");
    let sent: Vec<Value> = (0..3).map(|_| home.event("sent")).collect();
    assert_eq!(sent[2]["values"]["fev1"], 1.08);
    assert!(sent[0]["device_time"].as_str() < sent[1]["device_time"].as_str(), "oldest first");
}

#[test]
fn a_story_is_the_same_on_every_run() {
    let story = |seed: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
        let output =
            command.args(["story", "--person", "exacerbating", "--seed", seed, "--days", "21"]).output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    assert_eq!(story("7"), story("7"));
    assert_ne!(story("7"), story("8"));
    assert_eq!(story("7").split(|byte| *byte == b'\n').count(), 21 * 5 + 1);
}
