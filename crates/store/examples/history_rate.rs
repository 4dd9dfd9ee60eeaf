//! How fast can the history be read? Fills a store with made-up messages, or takes one that is there, and prints one JSON line for each way of
//! reading. Everything in it is simulated.
//!
//! `cargo run --release -p store --example history_rate -- FILE [patients] [days]`

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use store::{Batch, Entry, HistoryFilter, KitSeq, Sqlite, Store};
use uuid::Uuid;
use vitals::{Answer, Clock, Flag, Reading, Value, Vital};

/// Of each message: a sitting with an oximeter, a pressure cuff and a scale.
const READINGS: [(Vital, i64, u32); 8] = [
    (Vital::Spo2, 93, 0),
    (Vital::Pulse, 82, 0),
    (Vital::Spo2, 92, 0),
    (Vital::Pulse, 84, 0),
    (Vital::Systolic, 132, 0),
    (Vital::Diastolic, 80, 0),
    (Vital::Temperature, 3_670, 2),
    (Vital::Weight, 804, 1),
];
/// Messages of a commit.
const BATCH: usize = 4_096;

fn message(patient: usize, day: u64, at: Timestamp) -> Entry {
    let reading = |(index, (vital, mantissa, scale)): (usize, (Vital, i64, u32))| Reading {
        vital,
        value: Value::new(mantissa + (day % 5).cast_signed(), scale),
        unit: vital.unit(),
        measured_at: at - SignedDuration::from_secs(60 - index as i64),
        clock: Clock::Device,
        device: format!("simulated:{patient}").parse().expect("a device"),
        flags: vec![Flag::SIMULATED],
    };
    let answer = Answer {
        questionnaire: "copd-daily".to_owned(),
        version: 1,
        question: "breathless".to_owned(),
        answer: "as-usual".to_owned(),
        answered_at: at,
    };
    Entry {
        key: KitSeq { kit: format!("kit-{patient}").parse().expect("a kit"), seq: day + 1 },
        hash: [day.to_le_bytes()[0]; 32],
        patient: format!("p-{patient}").parse().expect("a patient"),
        session: Uuid::from_u128(u128::from(day)),
        sent_at: at,
        recorded_at: at,
        readings: READINGS.into_iter().enumerate().map(reading).collect(),
        answers: vec![answer],
        receipts: Vec::new(),
    }
}

/// Every patient sits once a day, one after the other.
async fn fill(path: &Path, patients: usize, days: u64) -> Result<(), Box<dyn std::error::Error>> {
    let store = Sqlite::open(path).await?;
    let start: Timestamp = "2025-11-22T08:00:00Z".parse()?;
    let clock = Instant::now();
    let mut entries = Vec::with_capacity(BATCH);
    for day in 0..days {
        for patient in 0..patients {
            let second = i64::try_from(day)? * 86_400 + i64::try_from(patient)?;
            entries.push(message(patient, day, start + SignedDuration::from_secs(second)));
            let is_last = day + 1 == days && patient + 1 == patients;
            if entries.len() == BATCH || is_last {
                let recorded_at = entries.last().map_or(start, |entry: &Entry| entry.recorded_at);
                store.commit(&Batch { recorded_at, entries: std::mem::take(&mut entries), ..Batch::default() }).await?;
            }
        }
    }
    println!("{{\"filled\":\"{}\",\"seconds\":{:.1}}}", path.display(), clock.elapsed().as_secs_f64());
    store.close().await;
    Ok(())
}

/// Reads everything that the filters give, one thread each, and makes each reading into what it was when `whole`.
fn read(
    store: &Sqlite,
    what: &str,
    filters: Vec<HistoryFilter>,
    whole: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Handle::current();
    let (clock, used) = (Instant::now(), cpu());
    let counts = std::thread::scope(|scope| {
        let one = |filter: HistoryFilter| {
            let runtime = runtime.clone();
            scope.spawn(move || -> Result<(u64, u64, i64), store::StoreError> {
                let mut history = runtime.block_on(store.history(&filter))?;
                let names = history.names().clone();
                let (mut messages, mut readings, mut sum) = (0, 0, 0);
                while let Some(chunk) = history.next_blocking() {
                    let chunk = chunk?;
                    messages += chunk.messages.len() as u64;
                    readings += chunk.readings.len() as u64;
                    for reading in &chunk.readings {
                        sum += if whole { names.reading(reading).measured_at } else { reading.measured_at }.as_second()
                            & 1;
                    }
                }
                Ok((messages, readings, sum))
            })
        };
        let running: Vec<_> = filters.into_iter().map(one).collect();
        running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect::<Result<Vec<_>, _>>()
    })?;
    let (seconds, cpu) = (clock.elapsed().as_secs_f64(), (cpu() - used).as_secs_f64());
    let (messages, readings) = counts.iter().fold((0, 0), |(m, r), count| (m + count.0, r + count.1));
    println!(
        "{{\"read\":\"{what}\",\"messages\":{messages},\"readings\":{readings},\"seconds\":{seconds:.2},\"cpu_seconds\":{cpu:.2},\
         \"readings_per_s\":{:.0},\"cpu_ns_per_reading\":{:.0}}}",
        readings as f64 / seconds,
        cpu * 1e9 / readings as f64
    );
    Ok(())
}

/// Processor time that this process has used (fields 14 and 15 of its stat, in hundredths).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("there is a name").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("want a file")?;
    let path = Path::new(&path);
    let patients = words.next().map_or(Ok(10_000), |word| word.parse())?;
    let days = words.next().map_or(Ok(365), |word| word.parse())?;
    if !path.exists() {
        fill(path, patients, days).await?;
    }
    let store = Sqlite::open_read_only(path).await?;
    let all = HistoryFilter::default();
    tokio::task::block_in_place(|| {
        read(&store, "one reader", vec![all.clone()], false)?;
        read(&store, "one reader, as admitted", vec![all.clone()], true)?;
        read(&store, "two readers in turn", vec![HistoryFilter { readers: 2, ..all.clone() }], false)?;
        let part = |part| HistoryFilter { part: Some((part, 2)), ..all.clone() };
        read(&store, "two parts at once", vec![part(0), part(1)], false)?;
        let some = (0..10).map(|n| format!("p-{n}").parse()).collect::<Result<Vec<_>, _>>()?;
        read(&store, "ten patients", vec![HistoryFilter { patients: Some(some), ..all.clone() }], false)
    })
}
