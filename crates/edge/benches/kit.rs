//! What the kit's agent takes: `cargo bench --profile kit -p edge --bench kit` prints the program's size, the time from start to its first publish, and the
//! memory of the process at rest and while it drains 100,000 messages to a real Mosquitto and a core that acknowledges them.
//!
//! One JSON line for each figure; nothing here passes or fails.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

#[allow(dead_code, reason = "shared with the tests of the kit")]
#[path = "../tests/kit/common.rs"]
mod common;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Core, Mosquitto};
use edge::{
    board::Board,
    spool::{Bounds, Changes, Draft, Priority, Spool},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use vitals::{Clock, Reading, Unit, Value, Vital};

/// Messages that are drained.
const MESSAGES: usize = 100_000;
/// Drafts that are made durable together while the spool is filled.
const TOGETHER: usize = 1000;
/// At rest: this long after the start.
const REST: Duration = Duration::from_secs(10);
/// The core acknowledges what it has this often.
const ACK_EVERY: Duration = Duration::from_millis(20);
/// For draining everything, at most.
const DRAIN_MAX: Duration = Duration::from_secs(600);

/// The agent as a process of its own; killed when dropped.
struct Agent(Child);

impl Agent {
    fn start(dir: &Path, port: u16) -> Self {
        let config = dir.join("edge.toml");
        let text = format!(
            "kit = \"kit-1\"\nzone = \"UTC\"\ndata_dir = \"data\"\n[broker]\nhost = \"127.0.0.1\"\nport = {port}\nsecret = \"s\"\n"
        );
        fs::write(&config, text).unwrap();
        let started = Command::new(env!("CARGO_BIN_EXE_vagt-edge"))
            .args(["run", "--config"])
            .arg(&config)
            .env("RUST_LOG", "warn")
            .stderr(Stdio::null())
            .spawn();
        Self(started.unwrap())
    }

    /// A line of /proc/PID/status in MiB.
    fn mebibytes(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _waited = self.0.wait();
    }
}

#[tokio::main]
async fn main() {
    let size = fs::metadata(env!("CARGO_BIN_EXE_vagt-edge")).unwrap().len();
    print(json!({ "figure": "program on disk, as packaged", "MiB": mib(size), "aim": "under 12" }));
    first_publish().await;
    at_rest().await;
    draining().await;
}

fn print(line: serde_json::Value) {
    println!("{line}");
}

fn mib(bytes: u64) -> f64 {
    (bytes as f64 / 1_048_576.0 * 100.0).round() / 100.0
}

/// From the start of the process until its status has come through the broker; ten times.
async fn first_publish() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, true).await;
    let mut milliseconds = Vec::new();
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        core.heard.lock().unwrap().statuses.clear();
        let began = Instant::now();
        let _agent = Agent::start(dir.path(), broker.port);
        core.until("its status", |heard| heard.statuses.iter().any(|status| status.online)).await;
        milliseconds.push(began.elapsed().as_millis());
    }
    milliseconds.sort_unstable();
    print(
        json!({ "figure": "start to first publish", "median_ms": milliseconds[5], "worst_ms": milliseconds[9], "aim": "under 1000" }),
    );
}

async fn at_rest() {
    let (broker, dir) = (Mosquitto::start(), tempfile::tempdir().unwrap());
    let core = Core::start(&broker, true).await;
    let agent = Agent::start(dir.path(), broker.port);
    core.until("its status", |heard| !heard.statuses.is_empty()).await;
    tokio::time::sleep(REST).await;
    print(json!({ "figure": "resident memory at rest", "MiB": agent.mebibytes("VmRSS"), "aim": "under 25" }));
}

async fn draining() {
    // Left to itself, Mosquitto drops what a slow subscriber has not taken.
    let broker = Mosquitto::with("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0");
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    fill(&dir.path().join("data")).await;
    print(
        json!({ "figure": "messages spooled", "count": MESSAGES, "per_second": MESSAGES as f64 / began.elapsed().as_secs_f64() }),
    );
    let core = Core::start(&broker, false).await;
    let began = Instant::now();
    let agent = Agent::start(dir.path(), broker.port);
    let mut most = 0.0_f64;
    let (mut drained, mut newest) = (0, None);
    while began.elapsed() < DRAIN_MAX && drained < MESSAGES {
        most = most.max(agent.mebibytes("VmRSS"));
        tokio::time::sleep(ACK_EVERY).await;
        let heard = core.heard.lock().unwrap();
        drained = heard.messages.len();
        let last = heard.messages.last().map(|message| message.seq);
        drop(heard);
        if last != newest {
            newest = last;
            last.into_iter().for_each(|through| core.ack("kit-1", through));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    print(json!({
        "figure": "resident memory while draining", "messages": drained, "MiB": most, "peak_MiB": agent.mebibytes("VmHWM"), "aim": "under 25",
        "messages_per_second": (drained as f64 / seconds).round(),
    }));
}

/// A message of four readings each, as a sitting gives.
async fn fill(dir: &Path) {
    let bounds = Bounds { bytes_max: 1 << 30, age_max: SignedDuration::from_hours(240) };
    let now = edge::clock::now();
    fs::create_dir_all(dir).unwrap();
    let board = Board::default();
    let spool = Spool::open(dir, bounds, now, board.clone()).await.unwrap();
    for _ in 0..MESSAGES / TOGETHER {
        let drafts = (0..TOGETHER).map(|_| draft(now)).collect();
        spool.commit(Changes { drafts, ..Changes::default() }, now).await;
    }
    let status = board.status(true, now);
    assert_eq!((status.spooled, &status.problems[..]), (MESSAGES as u64, &[][..]), "all of it is on the disk");
    spool.close().await;
}

fn draft(now: Timestamp) -> Draft {
    let reading = |vital, value, unit| Reading {
        vital,
        value: Value::new(value, 0),
        unit,
        measured_at: now,
        clock: Clock::Device,
        device: "nonin-df2:501234567".parse().unwrap(),
        flags: Vec::new(),
    };
    let readings = vec![
        reading(Vital::Spo2, 93, Unit::Percent),
        reading(Vital::Pulse, 72, Unit::PerMinute),
        reading(Vital::Systolic, 131, Unit::MillimetreMercury),
        reading(Vital::Diastolic, 82, Unit::MillimetreMercury),
    ];
    Draft { readings, priority: Priority::Routine, ..Draft::default() }
}
