//! How fast can a store commit? Prints one JSON line for each size of batch.
//!
//! `cargo run --release -p store --example commit_rate -- [sqlite|postgres] [kits] [messages] [batch ...]`
//!
//! PostgreSQL (15, a private one) is measured beside what it could do at best: the same rows, in transactions of the same size, by a bare `COPY`
//! into the same table with its indexes, of another database on the same server; and, after that, what adding them up by hour and day costs.

#![allow(dead_code, reason = "the servers are shared with the tests")]

#[path = "../tests/servers/mod.rs"]
mod servers;

use std::{fs, time::Instant};

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use servers::Cluster;
use sqlx::{ConnectOptions as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use store::{Batch, Entry, KitSeq, Postgres, Sqlite, Store, postgres::Server};
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
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let on_postgres = arguments.first().is_some_and(|first| first == "postgres");
    if arguments.first().is_some_and(|first| first.parse::<usize>().is_err()) {
        arguments.remove(0);
    }
    let mut numbers = arguments.iter().map(|text| text.parse::<usize>());
    let kits = numbers.next().transpose()?.unwrap_or(200);
    let messages = numbers.next().transpose()?.unwrap_or(400_000);
    let mut sizes = numbers.collect::<Result<Vec<_>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![200, 500, 1_000, 2_000];
    }
    for size in sizes {
        if on_postgres { postgres(kits, messages, size).await? } else { sqlite(kits, messages, size).await? }
    }
    Ok(())
}

/// What commits cost.
struct Spent {
    seconds: f64,
    cpu: f64,
    worst: f64,
    seen: f64,
    repeat: f64,
}

/// Commits all, and asks before each batch whether it was seen, as the service does. `cpu` is that of the store, wherever it works.
async fn commits(
    store: &dyn Store,
    (kits, messages, size): (usize, usize, usize),
    cpu: impl Fn() -> f64,
) -> Result<Spent, Box<dyn std::error::Error>> {
    let start: Timestamp = "2026-11-22T08:00:00.120Z".parse()?;
    let mut spent = Spent { seconds: 0.0, cpu: 0.0, worst: 0.0, seen: 0.0, repeat: 0.0 };
    let all: Vec<usize> = (0..messages).collect();
    for chunk in all.chunks(size) {
        let at = start + SignedDuration::from_millis(i64::try_from(chunk[0])?);
        let entries: Vec<_> = chunk.iter().map(|n| message(n % kits, (n / kits) as u64 + 1, at)).collect();
        let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
        let batch = Batch { recorded_at: at, entries, ..Batch::default() };
        let clock = Instant::now();
        let seen = store.seen(&keys).await?;
        spent.seen += clock.elapsed().as_secs_f64();
        assert!(seen.is_empty(), "a message was there before it was sent");
        let (clock, used) = (Instant::now(), cpu());
        store.commit(&batch).await?;
        let took = clock.elapsed().as_secs_f64();
        spent.seconds += took;
        spent.worst = spent.worst.max(took);
        spent.cpu += cpu() - used;
    }
    let repeats = all.iter().step_by(messages / REPEATS + 1);
    let repeats: Vec<_> = repeats.map(|n| message(n % kits, (n / kits) as u64 + 1, start).key).collect();
    let clock = Instant::now();
    assert_eq!(store.seen(&repeats).await?.len(), repeats.len(), "a message that was stored was not seen");
    spent.repeat = clock.elapsed().as_secs_f64() / repeats.len() as f64;
    Ok(spent)
}

async fn sqlite(kits: usize, messages: usize, size: usize) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("vagt.db");
    let store = Sqlite::open(&path).await?;
    let spent = commits(&store, (kits, messages, size), cpu_seconds).await?;
    let megabytes = fs::metadata(&path).map_or(0, |data| data.len() / 1_000_000);
    println!("{{{},\"file_mb\":{megabytes}}}", told("sqlite", (kits, messages, size), &spent));
    store.close().await;
    Ok(())
}

fn told(store: &str, (kits, messages, size): (usize, usize, usize), spent: &Spent) -> String {
    format!(
        "\"store\":\"{store}\",\"batch\":{size},\"kits\":{kits},\"messages\":{messages},\"messages_per_s\":{:.0},\
         \"cpu_us_per_reading\":{:.2},\"worst_commit_ms\":{:.0},\"seen_us_per_message\":{:.2},\"repeat_us_per_message\":{:.2}",
        messages as f64 / spent.seconds,
        spent.cpu * 1e6 / (messages * READINGS.len()) as f64,
        spent.worst * 1e3,
        spent.seen * 1e6 / messages as f64,
        spent.repeat * 1e6,
    )
}

async fn postgres(kits: usize, messages: usize, size: usize) -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::start();
    for name in ["ours", "bare"] {
        cluster.database(name);
    }
    // Not over TCP: the driver leaves Nagle's algorithm on, which a COPY of less than a segment waits 40 ms for.
    let (ours, bare) = (cluster.socket_url("ours"), cluster.socket_url("bare"));
    let store = Postgres::open(&Server::new(&ours)?).await?;
    Postgres::open(&Server::new(&bare)?).await?.close().await;
    let all_cpu = || cpu_seconds() + cluster.cpu_seconds();
    let spent = commits(&store, (kits, messages, size), all_cpu).await?;
    let floor = bare_copy(&ours, &bare, messages, size).await?;
    let (clock, used) = (Instant::now(), all_cpu());
    store.upkeep().await?;
    let readings = (messages * READINGS.len()) as f64;
    println!(
        "{{{},\"bare_copy_messages_per_s\":{:.0},\"ratio\":{:.2},\"adding_up_us_per_reading\":{:.2},\"adding_up_cpu_us_per_reading\":{:.2},\
         \"database_mb\":{}}}",
        told("postgres", (kits, messages, size), &spent),
        messages as f64 / floor,
        floor / spent.seconds,
        clock.elapsed().as_secs_f64() * 1e6 / readings,
        (all_cpu() - used) * 1e6 / readings,
        cluster.psql("ours", "SELECT pg_database_size('ours') / 1000000"),
    );
    store.close().await;
    Ok(())
}

/// Seconds that the same rows take, in transactions of the same size, without anything around them.
async fn bare_copy(ours: &str, bare: &str, messages: usize, size: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let connect = async |url: &str| -> Result<PgConnection, sqlx::Error> {
        let mut conn = url.parse::<PgConnectOptions>()?.disable_statement_logging().connect().await?;
        conn.execute("SET search_path = vagt").await?;
        Ok(conn)
    };
    let (mut from, mut to) = (connect(ours).await?, connect(bare).await?);
    let mut spent = 0.0;
    for first in (1..=messages).step_by(size) {
        let rows = format!(
            "COPY (SELECT * FROM message WHERE id >= {first} AND id < {} ORDER BY id) TO STDOUT (FORMAT binary)",
            first + size
        );
        let parts: Vec<_> = from.copy_out_raw(&rows).await?.try_collect().await?;
        let bytes: Vec<u8> = parts.concat();
        let clock = Instant::now();
        let mut copying = to.copy_in_raw("COPY message FROM STDIN (FORMAT binary)").await?;
        copying.send(bytes).await?;
        copying.finish().await?;
        spent += clock.elapsed().as_secs_f64();
    }
    Ok(spent)
}
