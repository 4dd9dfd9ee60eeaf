//! `vagt doctor`: what is wrong with this set-up, and what to do about it. It changes nothing.

mod broker;
mod check;
mod clinic;
mod machine;
mod server;

use std::{io::Write, path::PathBuf};

use check::{Check, State};
use clinic::InStore;

use super::{Ended, block_on, out};
use crate::{clock, config::Config};

/// Check the set-up, and say what to do about what is wrong: store, disk, clock, programmes, roster, kits, ports, certificates.
///
/// Each line is ok, warn (the service runs, but somebody should look) or FAIL. It changes nothing, and may be run beside the service. A broker is
/// sent messages of nobody, to see what it allows and how much it keeps.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vagt doctor --config config/hub.toml
  vagt doctor --config config/hub.toml --json | grep -v '\"ok\"'
  vagt doctor --config config/hub.toml --quick

Exit codes: 0 nothing fails, 1 something does.")]
pub struct Args {
    /// The service's configuration file; without it, the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One line of JSON for each check: {"check","state","found","todo"}.
    #[arg(long)]
    json: bool,
    /// Does not try how much a broker keeps, which takes up to 30 s: for a health check.
    #[arg(long)]
    quick: bool,
}

/// Runs the command.
///
/// # Errors
/// [`Ended::Said`] when something fails.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(async {
        let checks = examine(args.config.as_ref(), args.quick).await;
        let mut out = out();
        checks.iter().try_for_each(|check| check.print(&mut out, args.json))?;
        out.flush()?;
        if checks.iter().any(|check| check.state == State::Fail) { Err(Ended::Said) } else { Ok(()) }
    })
}

async fn examine(file: Option<&PathBuf>, quick: bool) -> Vec<Check> {
    let loaded = file.map_or_else(|| Config::parse("", "the defaults"), |file| Config::load(file));
    let config = match loaded {
        Ok(config) => config,
        Err(error) => return vec![Check::fail("config", error.to_string(), "mend it, and ask again")],
    };
    let now = clock::now();
    let name = file.map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
    let mut checks = vec![Check::ok("config", name), machine::folder(&config.data), machine::disk(&config.data)];
    let place = config.store();
    // Together: a server that does not answer is waited for once.
    let ((store, inside), server) = tokio::join!(clinic::store(&place, &config.zone, now), server::checks(&place));
    let is_whole = inside.is_some();
    let InStore { roster, heard, unfit, outgrown, texts } = inside.unwrap_or_default();
    let (programmes_check, programmes) = clinic::programmes(&config, &texts);
    let (stored, heard) = (is_whole.then_some(roster), is_whole.then_some(heard));
    let (roster_checks, roster) = clinic::roster(&config, stored, &programmes);
    let newest = heard.as_deref().and_then(clinic::newest);
    checks.extend([store, machine::clock(now, newest, &config), programmes_check]);
    checks.extend(clinic::outgrown(&outgrown));
    checks.extend(roster_checks);
    checks.extend(server);
    checks.extend(clinic::plans(&unfit));
    checks.extend(heard.iter().flat_map(|heard| clinic::kits(now, &roster, heard)));
    checks.extend(machine::ports(&config));
    checks.extend(machine::certificates(&config));
    checks.push(machine::heartbeat(&config));
    checks.extend(broker::checks(&config, quick).await);
    checks
}
