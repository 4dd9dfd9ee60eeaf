//! A million readings held while there is no connection, found again after a start, and drained: how long, how many bytes, how much memory.
//!
//! `cargo run --release -p edge --example million`: 5,000 messages of 200 readings (what devices have stored comes so), with every put
//! durable, then read and acknowledged as the uplink does it. `million 1000000 1` holds one reading in each message.

use std::{env, fs, sync::Arc, time::Instant};

use edge::{
    board::Board,
    spool::{Bounds, Draft, SPOOL_BYTES_MAX, Spool},
};
use jiff::{SignedDuration, Timestamp};

/// Messages that are read at once, as the uplink's window.
const WINDOW: u32 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let (readings, each) = (args.next().unwrap_or(1_000_000), args.next().unwrap_or(200));
    let messages = readings.div_ceil(each);
    let dir = env::temp_dir().join(format!("vagt-million-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let bounds = Bounds { bytes_max: SPOOL_BYTES_MAX, age_max: SignedDuration::from_hours(30 * 24) };
    let now: Timestamp = "2026-11-22T08:00:00Z".parse()?;
    let reading: vitals::Reading = serde_json::from_str(
        r#"{"vital":"spo2","value":93,"unit":"%","measured_at":"2026-11-22T08:00:01Z","clock":"device","device":"gatt-plx:501234567"}"#,
    )?;
    let draft = Draft { readings: vec![reading; each], ..Draft::default() };

    let began = Instant::now();
    let spool = Arc::new(Spool::open(&dir, bounds, now, Board::default()).await?);
    let mut last = 0;
    for _ in 0..messages {
        last = spool.put(draft.clone(), now).await.seq();
    }
    let held = began.elapsed();
    spool.close().await;
    drop(spool);
    let bytes: u64 = fs::read_dir(&dir)?.flatten().filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();

    let began = Instant::now();
    let spool = Spool::open(&dir, bounds, now, Board::default()).await?;
    let opened = began.elapsed();
    let began = Instant::now();
    let (mut cursor, mut drained) = (0, 0);
    while cursor < last {
        let rows = spool.after(cursor, WINDOW).await;
        let Some(newest) = rows.last() else { break };
        cursor = newest.seq;
        drained += rows.iter().map(|row| row.payload(now, None).len()).filter(|bytes| *bytes > 0).count() * each;
        spool.acked(cursor, cursor, now).await;
    }
    let done = began.elapsed();
    spool.close().await;
    fs::remove_dir_all(&dir)?;
    println!("readings {drained} in {messages} messages of {each}");
    println!(
        "held in {:.1} s, {bytes} bytes on disk; opened in {:.2} s; drained in {:.1} s",
        held.as_secs_f64(),
        opened.as_secs_f64(),
        done.as_secs_f64()
    );
    println!("resident at most {} kB", resident_kb().unwrap_or(0));
    Ok(())
}

/// The most memory that was ever resident, as Linux counts it.
fn resident_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}
