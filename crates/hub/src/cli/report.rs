//! `vagt report`: what was counted of what really happened.

use std::{io::Write as _, path::PathBuf};

use clap::Subcommand;
use jiff::SignedDuration;

use super::{
    Ended,
    backtest::failed,
    block_on, json_line, out,
    since::{Since, parse_length},
};
use crate::{
    clock,
    config::Config,
    programmes::Library,
    tuning::{
        agreement::Window,
        compare::Span,
        rules::{RulesAsk, report},
    },
};

/// Reports on the alerts that were really raised.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What each rule of each version is worth: fired, acted on, closed as false, positive predictive value, burden.
    Rules(Rules),
}

#[derive(clap::Args)]
struct Rules {
    /// Alerts raised from here on: 90d, 12w, a date or a time.
    #[arg(long, value_name = "SINCE", default_value = "90d")]
    since: Since,
    /// Until here; now, if left out.
    #[arg(long, value_name = "SINCE")]
    until: Option<Since>,
    /// Of this programme alone.
    #[arg(long, value_name = "ID")]
    programme: Option<String>,
    /// The length of a nurse shift; the first of a day begins at 7.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length, default_value = "8h")]
    shift: SignedDuration,
    /// The service's configuration file, which says where the store is.
    #[arg(long, value_name = "FILE", default_value = "hub.toml")]
    config: PathBuf,
    /// Print JSON lines: one for each rule.
    #[arg(long)]
    json: bool,
}

/// Runs `vagt report`.
///
/// # Errors
/// The store can't be read.
pub fn run(args: &Args) -> Result<(), Ended> {
    let Command::Rules(rules) = &args.command;
    block_on(tell(rules))
}

async fn tell(args: &Rules) -> Result<(), Ended> {
    let config = Config::load(&args.config).map_err(failed)?;
    let store = store::open_read_only(&config.store()).await.map_err(failed)?;
    let now = clock::now();
    if let Some(id) = &args.programme {
        let known = Library::open(&*store, now).await.map_err(failed)?.ids();
        if !known.contains(id) {
            return Err(Ended::Failed(format!("found programme {id:?}, want one of {}", known.join(", "))));
        }
    }
    let span = Span {
        since: args.since.time(now, &config.zone),
        until: args.until.map_or(now, |until| until.time(now, &config.zone)),
    };
    if span.since >= span.until {
        return Err(Ended::Usage(format!("found --since {} not before --until {}", span.since, span.until)));
    }
    let programme = args.programme.clone();
    let ask = RulesAsk { programme, span, window: Window::default(), zone: config.zone, shift: args.shift };
    let told = report(&*store, &ask).await;
    store.close().await;
    let told = told.map_err(failed)?;
    let mut out = out();
    if args.json {
        told.rules.iter().try_for_each(|row| json_line(&mut out, row))?;
    } else {
        write!(out, "{told}")?;
    }
    Ok(out.flush()?)
}
