//! A million patients in memory: charts are made by judging 35 days of each until there are a million or the time is over, and the
//! process's own memory is read. `cargo bench -p benches --bench patients [-- SECONDS]`.

mod year;

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use triage::{Chart, Rulebook};
use vitals::{KitId, Vital};

const PEOPLE: u64 = 1_000_000;
const DAYS: i64 = 35;
/// How long charts are made by default, for each programme, in seconds.
const SECONDS: u64 = 60;
/// People that a thread takes at a time.
const TAKEN: u64 = 256;

fn main() {
    let is_test = std::env::args().any(|arg| arg == "--test");
    let told = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let seconds = if is_test { 1 } else { told.unwrap_or(SECONDS) };
    let Ok(only) = std::env::var(PROGRAMME) else { return each_by_itself() };
    for programme in year::programmes().into_iter().filter(|programme| programme.id() == only) {
        let before = resident_bytes();
        let started = Instant::now();
        let people = if is_test { TAKEN } else { PEOPLE };
        let charts = make(&year::rulebook(&programme), people, started + Duration::from_secs(seconds));
        let (count, grown) = (charts.iter().map(Vec::len).sum::<usize>() as u64, resident_bytes() - before);
        let each = grown as f64 / count.max(1) as f64;
        println!(
            "{}: {count} charts of {DAYS} days in {:.0} s take {:.0} MiB resident, {each:.0} bytes each; a million {} {:.2} GiB",
            programme.id(),
            started.elapsed().as_secs_f64(),
            grown as f64 / f64::from(1 << 20),
            if count == PEOPLE { "takes" } else { "would take" },
            each * PEOPLE as f64 / f64::from(1 << 30)
        );
    }
}

/// Which programme this process makes charts of.
const PROGRAMME: &str = "VAGT_BENCH_PROGRAMME";

/// What one frees stays with the process, and would be missing from what the next one takes: each has a process of its own.
fn each_by_itself() {
    let own = std::env::current_exe().expect("a program knows where it is");
    for programme in ["copd", "copd-baseline"] {
        let run = Command::new(&own).args(std::env::args().skip(1)).env(PROGRAMME, programme).status();
        assert!(run.expect("it starts").success(), "{programme}");
    }
}

/// Charts by thread, until there are enough or the time is over.
fn make(book: &Arc<Rulebook>, people: u64, until: Instant) -> Vec<Vec<Chart>> {
    let next = AtomicU64::new(0);
    let work = || {
        let (mut charts, kit): (_, KitId) = (Vec::new(), "kit-1".parse().expect("a kit"));
        while Instant::now() < until {
            let first = next.fetch_add(TAKEN, Ordering::Relaxed);
            if first >= people {
                break;
            }
            for person in first..(first + TAKEN).min(people) {
                let (plan, mut chart) = (year::plan(book, person), Chart::new());
                year::judge(&mut chart, &plan, &kit, &year::days(person, DAYS, &[Vital::Spo2, Vital::Pulse], &[]));
                charts.push(chart);
            }
        }
        charts
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("no thread fails")).collect()
    })
}

/// What the process has in memory.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells of a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024
}
