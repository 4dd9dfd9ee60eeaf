//! `vagt shadow`: a version that judges beside the one in use, and pages nobody.

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;
use store::Store;

use super::{Ended, backtest::failed, block_on, json_line, out, place::Place, since::Since, why::local};
use crate::{
    clock,
    tuning::{
        shadow::{Running, ever, running, start, stop},
        shadow_report::report,
    },
};

/// Shadows: versions that judge live beside the one in use, page nobody, and are compared with it day by day.
///
/// A running service begins with a started shadow within seconds, and goes on with it after a restart. It judges on a thread that lets everything
/// else go first.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a stored version as a shadow.
    Start {
        /// The programme's id.
        programme: String,
        /// Which version.
        #[arg(id = "number", value_name = "VERSION")]
        version: u32,
        /// Who starts it: the user name of an operator or an admin.
        #[arg(long, value_name = "USER")]
        by: String,
        #[command(flatten)]
        to: Place,
    },
    /// Stop it. What it would have raised stays to be looked at. One that is taken into use ends by itself.
    Stop {
        /// The programme's id.
        programme: String,
        /// Which version; if left out, the only one that runs.
        #[arg(id = "number", value_name = "VERSION")]
        version: Option<u32>,
        /// Who stops it.
        #[arg(long, value_name = "USER")]
        by: String,
        #[command(flatten)]
        to: Place,
    },
    /// What it would have raised beside what was raised, day by day; of one that was stopped or taken into use, too.
    Show {
        /// The programme's id.
        programme: String,
        /// Which version; if left out, the only one that runs, or ran.
        #[arg(id = "number", value_name = "VERSION")]
        version: Option<u32>,
        /// From then on: 14d, a date or a time; since it was started, if left out.
        #[arg(long, value_name = "SINCE")]
        since: Option<Since>,
        #[command(flatten)]
        to: Place,
    },
    /// Which run.
    List {
        #[command(flatten)]
        to: Place,
    },
}

/// Runs `vagt shadow`.
///
/// # Errors
/// It is refused, or the store can't be used.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(command(&args.command))
}

async fn command(command: &Command) -> Result<(), Ended> {
    match command {
        Command::Start { programme, version, by, to } => {
            let (store, _) = to.write().await?;
            let started = start(&*store, (programme, *version), by, clock::now()).await;
            store.close().await;
            started.map_err(failed)?;
            said(to, programme, *version, "started")
        }
        Command::Stop { programme, version, by, to } => {
            let (store, _) = to.write().await?;
            let stopped = async {
                let version = the_one(&*store, programme, *version).await?.version;
                stop(&*store, (programme, version), by, clock::now()).await.map_err(failed)?;
                Ok::<u32, Ended>(version)
            };
            let stopped = stopped.await;
            store.close().await;
            said(to, programme, stopped?, "stopped")
        }
        Command::Show { programme, version, since, to } => show(programme, *version, *since, to).await,
        Command::List { to } => list(to).await,
    }
}

fn said(to: &Place, programme: &str, version: u32, what: &str) -> Result<(), Ended> {
    let line = json!({ "programme": programme, "version": version, "shadow": what });
    to.done(&line, &format!("{programme} version {version} is {what} as a shadow"))
}

/// The shadow that is meant.
async fn the_one(store: &dyn Store, programme: &str, version: Option<u32>) -> Result<Running, Ended> {
    let mut of: Vec<Running> = running(store, clock::now()).await.map_err(failed)?;
    of.retain(|one| one.programme == programme && version.is_none_or(|version| one.version == version));
    which(of, programme, version)
}

/// The one that runs; else the one that ran, and was stopped.
async fn the_one_ever(store: &dyn Store, programme: &str, version: Option<u32>) -> Result<Running, Ended> {
    let running = the_one(store, programme, version).await;
    let mut of: Vec<Running> = ever(store, clock::now()).await.map_err(failed)?;
    of.retain(|one| one.programme == programme && version.is_none_or(|version| one.version == version));
    if running.is_ok() || of.is_empty() { running } else { which(of, programme, version) }
}

fn which(mut of: Vec<Running>, programme: &str, version: Option<u32>) -> Result<Running, Ended> {
    match (of.len(), of.pop()) {
        (1, Some(one)) => Ok(one),
        (0, _) => {
            let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
            Err(Ended::Failed(format!("{programme}{version} does not run as a shadow")))
        }
        (found, _) => {
            Err(Ended::Failed(format!("{found} versions of {programme} run or ran as shadows: want a version")))
        }
    }
}

async fn show(programme: &str, version: Option<u32>, since: Option<Since>, to: &Place) -> Result<(), Ended> {
    let (store, zone) = to.read().await?;
    let now = clock::now();
    let running = the_one_ever(&*store, programme, version).await?;
    let since = since.map(|since| since.time(now, &zone));
    let told = report(&*store, &running, since, now, &zone).await.map_err(failed)?;
    store.close().await;
    let mut out = out();
    if to.json {
        json_line(&mut out, &told)?;
    } else {
        write!(out, "{told}")?;
    }
    Ok(out.flush()?)
}

async fn list(to: &Place) -> Result<(), Ended> {
    let (store, zone) = to.read().await?;
    let all = running(&*store, clock::now()).await;
    store.close().await;
    let (mut out, all) = (out(), all.map_err(failed)?);
    if all.is_empty() && !to.json {
        writeln!(out, "No version runs as a shadow: `vagt shadow start` lets one judge beside the one in use.")?;
    }
    for Running { programme, version, since, .. } in all {
        if to.json {
            json_line(&mut out, &json!({ "programme": programme, "version": version, "since": since }))?;
        } else {
            writeln!(out, "{programme} version {version} since {}", local(since, &zone))?;
        }
    }
    Ok(out.flush()?)
}
