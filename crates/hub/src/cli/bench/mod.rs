//! `vagt bench`: what this machine can take in, measured on real programs over real connections; and how good triage is (`quality`).
//!
//! The service runs as a process of its own, and so does its floor, the bare front door (no decoding, no triage, one synced append a batch);
//! both get the same load in the same run, so that their ratio is worth something though rates swing. After the load the service is killed
//! and its store counted: what was acknowledged must be there.

mod backtest;
mod bare;
mod child;
mod fill;
mod generate;
mod idle;
mod kit;
mod load;
mod message;
mod people;
mod quality;
mod report;
mod visible;

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;

use super::{Ended, block_on, json_line, out};
use child::{Child, Stand};
use load::{Load, Pace};
use report::{Phase, Summary};

/// Measure what this machine can take in.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Messages durably stored and triaged a second, CPU time, latency, memory; beside the bare front door.
    Ingest(Ingest),
    /// A backtest over simulated people: readings judged a second.
    Backtest(backtest::Args),
    /// Sensitivity, positive predictive value, burden and lead time of every way of raising alerts, on simulated people.
    TriageQuality(quality::Quality),
    /// Kits that are connected and have nothing to send: how fast they come back, and what memory each costs.
    Idle(idle::Args),
    /// A store with so many readings of simulated people, to measure how figures change as it grows.
    Fill(fill::Args),
    /// The load alone, against whatever speaks MQTT there: for comparing services.
    Load(generate::Args),
    /// The bare front door: appends and syncs, nothing else.
    #[command(hide = true)]
    Bare {
        #[arg(long)]
        config: PathBuf,
    },
}

/// What `ingest` is told.
#[derive(clap::Args)]
pub struct Ingest {
    /// How many kits send.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=5000))]
    kits: u16,
    /// How many messages of a kit are on their way at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    inflight: u16,
    /// How many readings a message has.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    readings: u16,
    /// How long each phase is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Messages a second of one paced phase, in place of those by `--levels`.
    #[arg(long)]
    rate: Option<f64>,
    /// Paced phases, in percent of the most that was just measured, with commas between.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 90], value_parser = clap::value_parser!(u8).range(1..=100))]
    levels: Vec<u8>,
    /// A PostgreSQL database, empty, in place of a file: postgres://USER@HOST/DATABASE.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Where the temporary files go; put it on the disk that is to be measured.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
}

/// How long the load runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// When a program can't be started, or what was acknowledged is not stored.
pub fn run(args: &Args) -> Result<(), Ended> {
    match &args.command {
        Command::Bare { config } => bare::run(config),
        Command::Backtest(args) => backtest::run(args),
        Command::Fill(args) => block_on(async { Ok(fill::run(args).await?) }),
        Command::Idle(args) => one_thread(async { print(args.json, &idle::run(args).await?) }),
        Command::Load(args) => one_thread(generate::run(args)),
        Command::TriageQuality(quality) => quality::run(quality),
        Command::Ingest(ingest) => one_thread(self::ingest(ingest)),
    }
}

/// The load and its clock share one thread, so that it takes no more of the machine than it must.
fn one_thread(command: impl Future<Output = anyhow::Result<()>>) -> Result<(), Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, command)?)
}

async fn ingest(args: &Ingest) -> anyhow::Result<()> {
    let stand = Stand::set_up(args.dir.as_deref(), u32::from(args.kits), args.store.as_deref()).await?;
    let measured = Duration::from_secs(args.seconds.max(1));
    let bare = bare_phase(args, &stand, measured).await?;
    print(args.json, &bare)?;

    let server = stand.start(&["serve", "--json"]).await?;
    let mut load = connect(args, &stand, &server).await?;
    load.run(WARM_UP, Pace::Saturate).await?;
    let full = phase("pipeline", args, &server, &mut load, measured, Pace::Saturate).await?;
    print(args.json, &full)?;

    let watching = visible::watch(&server, stand.password(), load.watched()).await?;
    let mut paced = Vec::new();
    for (percent, rate) in paces(args, full.messages_per_second) {
        let mut found = paced_phase(args, &server, &mut load, measured, rate).await?;
        found.percent = percent;
        print(args.json, &found)?;
        paced.push(found);
    }
    watching.abort();

    let acknowledged = load.acknowledged();
    drop(load);
    server.kill().await?;
    let store = if args.store.is_some() { "postgres" } else { "sqlite" };
    let summary = Summary::new(store, &bare, &full, &paced, acknowledged, stand.stored().await?);
    print(args.json, &summary)?;
    anyhow::ensure!(summary.lost == 0, "{} of {acknowledged} acknowledged messages are not stored", summary.lost);
    Ok(())
}

/// Messages a second of each paced phase, and in percent of the most where it is by that.
fn paces(args: &Ingest, most: f64) -> Vec<(Option<u8>, f64)> {
    match args.rate {
        Some(rate) => vec![(None, rate)],
        None => args.levels.iter().map(|percent| (Some(*percent), most * f64::from(*percent) / 100.0)).collect(),
    }
}

/// At a pace, with somebody looking at the page.
async fn paced_phase(
    args: &Ingest,
    server: &Child,
    load: &mut Load,
    measured: Duration,
    rate: f64,
) -> anyhow::Result<Phase> {
    load.run(WARM_UP, Pace::Rate(rate)).await?;
    load.watched().reset();
    let mut found = phase("paced", args, server, load, measured, Pace::Rate(rate)).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    found.publish_to_visible_ms = Some(load.watched().latency());
    Ok(found)
}

async fn bare_phase(args: &Ingest, stand: &Stand, measured: Duration) -> anyhow::Result<Phase> {
    let server = stand.start(&["bench", "bare"]).await?;
    let mut load = connect(args, stand, &server).await?;
    load.run(WARM_UP, Pace::Saturate).await?;
    let bare = phase("bare", args, &server, &mut load, measured, Pace::Saturate).await?;
    drop(load);
    server.kill().await?;
    Ok(bare)
}

async fn connect(args: &Ingest, stand: &Stand, server: &Child) -> anyhow::Result<Load> {
    Load::connect(server.mqtt(), stand.kits(), 0, args.inflight, args.readings).await
}

async fn phase(
    name: &'static str,
    args: &Ingest,
    server: &Child,
    load: &mut Load,
    measured: Duration,
    pace: Pace,
) -> anyhow::Result<Phase> {
    eprintln!("{name}: {} kits, {} in flight, {} s", args.kits, args.inflight, measured.as_secs());
    let before = server.used()?;
    let memory = server.watch_memory(measured);
    let ran = load.run(measured, pace).await?;
    let used = server.used()? - before;
    Ok(Phase::new(name, &ran, args.readings, used, memory.finish()))
}

fn print(json: bool, line: &(impl serde::Serialize + std::fmt::Display)) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = out();
    if json {
        json_line(&mut out, line).map_err(|_| anyhow::anyhow!("standard output can't be written"))?;
    } else {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}
