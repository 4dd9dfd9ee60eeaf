//! How fast can the built-in store commit? Prints one JSON line for each size of batch.
//!
//! `cargo run --release -p store --example commit_rate -- [kits] [messages] [batch ...]`

use std::{fs, time::Instant};

use jiff::{SignedDuration, Timestamp};
use store::{Batch, Entry, KitSeq, Sqlite, Store};
use uuid::Uuid;
use vitals::{Clock, Reading, Value, Vital};

/// Of each message.
const READINGS: [(Vital, i64, u32); 4] =
    [(Vital::Spo2, 93, 0), (Vital::Pulse, 82, 0), (Vital::Temperature, 3_670, 2), (Vital::Systolic, 1_320, 1)];

/// Old messages that are asked for again at the end.
const REPEATS: usize = 1_000;

fn message(kit: usize, seq: u64, at: Timestamp) -> Entry {
    let reading = |(vital, mantissa, scale): (Vital, i64, u32)| Reading {
        vital,
        value: Value::new(mantissa + (seq % 5).cast_signed(), scale),
        unit: vital.unit(),
        measured_at: at,
        clock: Clock::Device,
        device: format!("nonin-3230:{kit}").parse().expect("a device"),
        flags: Vec::new(),
    };
    Entry {
        key: KitSeq { kit: format!("kit-{kit}").parse().expect("a kit"), seq },
        hash: [seq.to_le_bytes()[0]; 32],
        patient: format!("p-{kit}").parse().expect("a patient"),
        session: Uuid::from_u128(u128::from(seq)),
        sent_at: at,
        recorded_at: at,
        readings: READINGS.map(reading).to_vec(),
        answers: Vec::new(),
        receipts: Vec::new(),
    }
}

/// Seconds of processor time that this process has used (fields 14 and 15 of its stat, in hundredths).
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let after_name = stat.rsplit(')').next().expect("there is a name");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let kits = numbers.next().transpose()?.unwrap_or(200);
    let messages = numbers.next().transpose()?.unwrap_or(400_000);
    let mut sizes = numbers.collect::<Result<Vec<_>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![500, 1_000, 2_000];
    }
    for size in sizes {
        run(kits, messages, size).await?;
    }
    Ok(())
}

async fn run(kits: usize, messages: usize, size: usize) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("vagt.db");
    let megabytes = |path: &std::path::Path| fs::metadata(path).map_or(0, |data| data.len() / 1_000_000);
    let store = Sqlite::open(&path).await?;
    let start: Timestamp = "2026-11-22T08:00:00.120Z".parse()?;
    let (mut spent, mut cpu, mut seen_spent, mut seen_cpu) = (0.0, 0.0, 0.0, 0.0);
    let (mut worst, mut wal) = (0.0_f64, 0);
    let all: Vec<usize> = (0..messages).collect();
    for chunk in all.chunks(size) {
        let at = start + SignedDuration::from_millis(i64::try_from(chunk[0])?);
        let entries: Vec<_> = chunk.iter().map(|n| message(n % kits, (n / kits) as u64 + 1, at)).collect();
        let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
        let batch = Batch { recorded_at: at, entries, ..Batch::default() };
        let (clock, used) = (Instant::now(), cpu_seconds());
        let seen = store.seen(&keys).await?;
        seen_spent += clock.elapsed().as_secs_f64();
        seen_cpu += cpu_seconds() - used;
        assert!(seen.is_empty(), "a message was there before it was sent");
        let (clock, used) = (Instant::now(), cpu_seconds());
        store.commit(&batch).await?;
        spent += clock.elapsed().as_secs_f64();
        worst = worst.max(clock.elapsed().as_secs_f64());
        cpu += cpu_seconds() - used;
        wal = wal.max(megabytes(&folder.path().join("vagt.db-wal")));
    }
    let repeats: Vec<_> = all
        .iter()
        .step_by(messages / REPEATS + 1)
        .map(|n| message(n % kits, (n / kits) as u64 + 1, start).key)
        .collect();
    let clock = Instant::now();
    assert_eq!(store.seen(&repeats).await?.len(), repeats.len(), "a message that was stored was not seen");
    let repeat_spent = clock.elapsed().as_secs_f64();
    let readings = (messages * READINGS.len()) as f64;
    println!(
        "{{\"batch\":{size},\"kits\":{kits},\"messages\":{messages},\"messages_per_s\":{:.0},\"cpu_us_per_reading\":{:.2},\
         \"worst_commit_ms\":{:.0},\"seen_us_per_message\":{:.2},\"seen_cpu_us_per_message\":{:.2},\"repeat_us_per_message\":{:.2},\"file_mb\":{},\"wal_mb\":{}}}",
        messages as f64 / spent,
        cpu * 1e6 / readings,
        worst * 1e3,
        seen_spent * 1e6 / messages as f64,
        seen_cpu * 1e6 / messages as f64,
        repeat_spent * 1e6 / repeats.len() as f64,
        megabytes(&path),
        wal,
    );
    store.close().await;
    Ok(())
}
