//! `vagt reading`: a reading that is not to be judged by, and back. A running service notices within a second or two.

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;
use vitals::KitId;

use super::{
    Ended, block_on, json_line, out,
    roster::Where,
    who::{EVERYBODY, who},
    why::local,
};
use crate::{
    basis::ReadingPlace,
    clock,
    readings::{Change, Refused, change},
};

/// Readings that are not judged by: somebody else's finger, a loose cuff.
///
/// The reading stays stored and stays on the curves. Who did it and why is in the journal; the patient is judged again without it, and what
/// rested on it alone is withdrawn.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Leaves a reading out of every judgement from now on.
    Invalidate(One),
    /// Takes it in again.
    Restore(One),
}

#[derive(clap::Args)]
struct One {
    /// The kit that sent it.
    kit: KitId,
    /// The number of the message it came in.
    seq: u64,
    /// Its place among the message's stored readings, from 0.
    place: u16,
    /// Why.
    #[arg(long)]
    reason: String,
    /// Who decides it: the user name of an account; the machine's own user, as `command:NAME`, if left out.
    #[arg(long, value_name = "USER")]
    by: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place_of_store: Where,
}

/// Runs `vagt reading`.
///
/// # Errors
/// There is no such reading, it is so already, or the store can't be written.
pub fn run(args: &Args) -> Result<(), Ended> {
    match &args.command {
        Command::Invalidate(one) => block_on(run_one(one, Change::Invalidate, "invalidated")),
        Command::Restore(one) => block_on(run_one(one, Change::Restore, "restored")),
    }
}

async fn run_one(one: &One, what: Change, done: &str) -> Result<(), Ended> {
    let (config, store) = one.place_of_store.write().await?;
    let One { kit, seq, place, reason, by, .. } = one;
    let of = ReadingPlace { kit: kit.clone(), seq: *seq, place: *place };
    let by = who(&*store, by.as_deref(), EVERYBODY).await?;
    let changed = change(&*store, what, &of, None, (&by, reason), clock::now()).await;
    store.close().await;
    let reading = changed.map_err(|error: Refused| Ended::Failed(error.to_string()))?;
    let mut out = out();
    if one.json {
        json_line(&mut out, &json!({ done: true, "kit": kit, "seq": seq, "place": place, "reading": reading }))?;
    } else {
        let (vital, unit) = (reading.vital.info().label, reading.unit.plain());
        writeln!(out, "{vital} {} {unit} of {} is {done}.", reading.value, local(reading.measured_at, &config.zone))?;
    }
    Ok(out.flush()?)
}
