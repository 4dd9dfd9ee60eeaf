//! `vagt bench backtest`: how fast a backtest goes over a store of simulated people, filled for the purpose.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;
use store::{Sqlite, Store};
use triage::Programme;

use super::people::People;
use crate::{
    cli::{
        Ended,
        backtest::{failed, progress, read_programme, run_watched},
        block_on, json_line, out,
    },
    directory::Programmes,
    tuning::{
        backtest::{Ask, Sides, threads},
        ladder::Text,
    },
};

/// What `backtest` is told.
#[derive(clap::Args)]
pub struct Args {
    /// How many people.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    patients: u32,
    /// For how many days, one sitting a day each.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3_660))]
    days: u16,
    /// How many readings a sitting has.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    readings: u8,
    /// The programme in use; the one that is tried has every yellow limit one step further out. COPD, if left out.
    #[arg(long, value_name = "FILE")]
    programme: Option<PathBuf>,
    /// How many threads judge; all but one of the cores, if left out.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// The store: filled if it is not there, and kept. A temporary one, if left out.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
}

/// The first day of the history: long ago, so that it is never in the future.
const BEGIN: Timestamp = Timestamp::constant(1_735_714_800, 0);

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    bench: &'static str,
    simulated: bool,
    programme: String,
    rules: usize,
    patients: u64,
    days: u16,
    messages: u64,
    readings: u64,
    threads: usize,
    cores: usize,
    seconds: f64,
    readings_per_second: f64,
    /// Both versions judge each reading.
    judged_per_second: f64,
    alerts_active: u64,
    alerts_proposed: u64,
    peak_memory_mib: Option<f64>,
}

/// Runs the command.
///
/// # Errors
/// The store can't be filled or read.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(measure(args))
}

async fn measure(args: &Args) -> Result<(), Ended> {
    let folder = tempfile::tempdir()?;
    let path = args.store.clone().unwrap_or_else(|| folder.path().join("vagt.db"));
    let active = match &args.programme {
        Some(file) => read_programme(file)?.programme,
        None => Programme::parse(triage::COPD, "copd.toml").map(Arc::new).map_err(failed)?,
    };
    let text = match &args.programme {
        Some(file) => std::fs::read_to_string(file)?,
        None => triage::COPD.to_owned(),
    };
    let proposed = looser(&text)?;
    if !path.exists() {
        fill(args, &path, active.id()).await?;
    }
    let days = SignedDuration::from_hours(24 * i64::from(args.days));
    let until = BEGIN + days;
    let clinic = Arc::new(triage::Clinic::shipped());
    let sides = Sides { active: Arc::clone(&active), proposed, others: Programmes::new(), clinic };
    let mut ask = Ask::new(sides, BEGIN, until, TimeZone::UTC);
    ask.warm_up = SignedDuration::ZERO;
    ask.threads = args.threads.map_or_else(threads, usize::from);
    let threads = ask.threads;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open_read_only(&path).await.map_err(failed)?);
    eprintln!("backtest of {} people over {} days", args.patients, args.days);
    let started = Instant::now();
    let report = run_watched(store, ask).await?;
    let seconds = started.elapsed().as_secs_f64();
    let rate = report.readings as f64 / seconds;
    let measured = Measured {
        bench: "backtest",
        simulated: true,
        programme: report.programme.clone(),
        rules: active.explain().lines().filter(|line| line.contains(", alerts of family ")).count(),
        patients: report.patients,
        days: args.days,
        messages: report.messages,
        readings: report.readings,
        threads,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        seconds,
        readings_per_second: rate.round(),
        judged_per_second: (2.0 * rate).round(),
        alerts_active: report.active.alerts.all(),
        alerts_proposed: report.proposed.alerts.all(),
        peak_memory_mib: peak_memory_mib(),
    };
    tell(args, &measured)
}

fn tell(args: &Args, measured: &Measured) -> Result<(), Ended> {
    use std::io::Write as _;
    let mut out = out();
    if args.json {
        json_line(&mut out, measured)?;
    } else {
        let Measured { patients, days, readings, seconds, readings_per_second, threads, .. } = measured;
        writeln!(
            out,
            "{patients} simulated people, {days} days: {readings} readings by two versions in {seconds:.1} s, {readings_per_second} readings/s on \
             {threads} threads, {:.0} MiB at most",
            measured.peak_memory_mib.unwrap_or(0.0)
        )?;
    }
    Ok(out.flush()?)
}

/// The same programme with each yellow limit one step further out, and the next version.
fn looser(text: &str) -> Result<Arc<Programme>, Ended> {
    use triage::Rung;
    let mut changed = Text::read(text).map_err(failed)?;
    for limit in changed.limits() {
        match limit.place.rung {
            Rung::YellowLow => changed.set(&limit.place, limit.at.moved(-1)),
            Rung::YellowHigh => changed.set(&limit.place, limit.at.moved(1)),
            Rung::RedLow | Rung::RedHigh => {}
        }
    }
    Programme::parse(&changed.without_examples(), "the tried programme").map(Arc::new).map_err(failed)
}

/// Fills a store with simulated people.
async fn fill(args: &Args, path: &Path, programme: &str) -> Result<(), Ended> {
    let store = Sqlite::open(path).await.map_err(failed)?;
    let people = People::new(args.patients, BEGIN, args.readings).map_err(failed)?;
    store.put_roster(&people.roster(programme, |_| String::new()), BEGIN).await.map_err(failed)?;
    let total = u64::from(args.patients) * u64::from(args.days);
    eprintln!("filling a store with {total} messages of {} readings", args.readings);
    people.fill(&store, 0..i64::from(args.days), &progress(), |_| Ok(())).await?;
    store.close().await;
    Ok(())
}

/// The most memory that this process has had, where the system says.
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some((kib / 1_024.0 * 10.0).round() / 10.0)
}
