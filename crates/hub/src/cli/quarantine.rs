//! `vagt quarantine`: what came and could not be used, with the reasons; the bytes are kept.

use std::io::Write as _;

use clap::Subcommand;
use store::QuarantinedEntry;
use vitals::KitId;

use super::{Ended, backtest::failed, block_on, json_line, out, place::Place, why::local};

/// What kits sent and nobody could use. It is kept with its bytes and blocks nobody.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  vagt quarantine list                      the newest, with the reasons
  vagt quarantine list --kit kit-17 --json  of one kit, one JSON line each")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The newest first: number, kit, its number of the message, size and reason.
    List {
        /// Of this kit alone.
        #[arg(long)]
        kit: Option<KitId>,
        /// Look at so many of the newest.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        to: Place,
    },
}

/// Runs `vagt quarantine`.
///
/// # Errors
/// The store can't be read.
pub fn run(args: &Args) -> Result<(), Ended> {
    let Command::List { kit, limit, to } = &args.command;
    block_on(async {
        let (store, zone) = to.read().await?;
        let found = store.quarantine(*limit).await;
        store.close().await;
        let (mut entries, total) = found.map_err(failed)?;
        entries.retain(|entry| kit.as_ref().is_none_or(|kit| entry.kit == *kit));
        let mut out = out();
        for entry in &entries {
            if to.json {
                json_line(&mut out, entry)?;
                continue;
            }
            let QuarantinedEntry { id, kit, seq, recorded_at, reason, bytes } = entry;
            let seq = seq.map_or("-".to_owned(), |seq| seq.to_string());
            writeln!(out, "{id}  {}  {kit}  {seq}  {bytes} bytes  {reason}", local(*recorded_at, &zone))?;
        }
        if !to.json {
            writeln!(out, "{} shown, {total} in quarantine.", entries.len())?;
        }
        Ok(out.flush()?)
    })
}
