//! `vagt bench fill`: so many readings in a simulated clinic's store, the last of them from yesterday: how the figures change as a store grows.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::people::People;
use crate::{
    cli::{backtest::progress, json_line, out, secret},
    clock,
    config::Config,
    directory::hex,
    lock::make_folder,
};

/// What `fill` is told.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration file of a clinic that is simulated; its store must be empty.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How many readings there are to be, rounded up to whole days of everybody.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    readings: u64,
    /// How many people; each sits down once a day.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    patients: u32,
    /// How many readings a sitting has.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    sitting: u8,
    /// How many of the kits get a secret, to sign in with.
    #[arg(long, default_value_t = 200)]
    kits: usize,
    /// Where to write these kits: a line each, as `vagt bench load` reads them.
    #[arg(long, value_name = "FILE")]
    secrets: PathBuf,
    /// Where to write, at each day, how many seconds it lies in the past (`-86400`): for a database server whose clock follows that file.
    #[arg(long, value_name = "FILE")]
    clock_file: Option<PathBuf>,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Fills, and prints one JSON line.
///
/// # Errors
/// The clinic is not simulated or not empty, or its store can't be written.
pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let file = args.config.display();
    ensure!(config.simulated, "{file}: found a clinic that is not simulated, want `simulated = true`");
    make_folder(&config.data)?;
    let store = store::open(&config.store()).await?;
    let found = store.stored().await?.messages;
    ensure!(found == 0, "{file}: found {found} messages in the store, want none");
    let days = i64::try_from(args.readings.div_ceil(u64::from(args.patients) * u64::from(args.sitting)))?;
    let now = clock::now();
    let people = People::new(args.patients, begin(now, days), args.sitting)?;
    let secrets: Vec<String> = (0..args.kits).map(|_| secret::new()).collect();
    let hash = |index: usize| secrets.get(index).map(|secret| hex(&Sha256::digest(secret.as_bytes())));
    store.put_roster(&people.roster("copd", |index| hash(index).unwrap_or_default()), now).await?;
    fs::write(&args.secrets, lines(&people, &secrets)).with_context(|| args.secrets.display().to_string())?;

    eprintln!("filling {} with {} people over {days} days", config.store(), args.patients);
    let started = Instant::now();
    let tell = |day: Timestamp| args.clock_file.as_deref().map_or(Ok(()), |file| set_back(file, now, day));
    people.fill(&*store, 0..days, &progress(), tell).await?;
    store.close().await;
    let seconds = started.elapsed().as_secs_f64();
    let readings = days.cast_unsigned() * u64::from(args.patients) * u64::from(args.sitting);
    let line = json!({
        "bench": "fill", "simulated": true, "patients": args.patients, "days": days, "readings": readings,
        "messages": days.cast_unsigned() * u64::from(args.patients), "seconds": seconds,
        "readings_per_second": (readings as f64 / seconds).round(),
    });
    json_line(&mut out(), &line).map_err(|_| anyhow::anyhow!("standard output can't be written"))
}

/// The last of so many days ends before today.
fn begin(now: Timestamp, days: i64) -> Timestamp {
    let today = Timestamp::constant(now.as_second() - now.as_second().rem_euclid(DAY.as_secs()), 0);
    today - SignedDuration::from_hours(24 * days)
}

fn set_back(file: &Path, now: Timestamp, day: Timestamp) -> std::io::Result<()> {
    fs::write(file, format!("-{}\n", now.as_second() - (day + DAY).as_second()))
}

fn lines(people: &People, secrets: &[String]) -> String {
    let mut lines = String::new();
    for (index, secret) in secrets.iter().enumerate() {
        if let Some(kit) = people.kit(index) {
            writeln!(lines, "{kit} {secret}").expect("a String takes any text");
        }
    }
    lines
}
