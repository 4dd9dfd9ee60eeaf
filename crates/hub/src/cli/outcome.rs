//! `vagt outcome`: what really happened to a patient, recorded and listed. The same as over HTTP: beside a running service or without one.

use std::io::Write as _;

use clap::{Subcommand, ValueEnum};
use desk::{NewOutcome, outcomes, record_outcome};
use jiff::tz::TimeZone;
use store::{Journal, JournalEntry, PatientOutcome};
use triage::AlertId;
use vitals::PatientId;

use super::{
    Ended,
    backtest::failed,
    block_on, json_line, out,
    place::Place,
    since::Since,
    who::{EVERYBODY, who},
    why::{known, local},
};
use crate::clock;

/// What really happened to a patient: backtests and reports are judged by it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  vagt outcome add p-7 exacerbation --at 2026-11-18 --by mette
  vagt outcome add p-7 other --note \"fell at home\" --by mette
  vagt outcome list p-7

Exit codes: 0 done, 1 refused, or the store can't be used, 2 bad usage.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Records what happened. It stays in the journal, with who recorded it.
    Add(Add),
    /// What was recorded, of one patient or of all, the newest first.
    List {
        /// Of this patient alone.
        patient: Option<PatientId>,
        #[command(flatten)]
        to: Place,
    },
}

#[derive(clap::Args)]
struct Add {
    /// To whom.
    patient: PatientId,
    /// What.
    #[arg(value_enum)]
    outcome: What,
    /// When it happened or began: a date (its noon), a time, or so long ago as 36h; now, if left out.
    #[arg(long, value_name = "TIME")]
    at: Option<Since>,
    /// In your words; wanted with `other`.
    #[arg(long, value_name = "WORDS", default_value = "")]
    note: String,
    /// The alert that it belongs to.
    #[arg(long, value_name = "ID")]
    alert: Option<AlertId>,
    /// Who records it: the user name of an account; the machine's own user, as `command:NAME`, if left out.
    #[arg(long, value_name = "USER")]
    by: Option<String>,
    #[command(flatten)]
    to: Place,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The lungs became worse.
    Exacerbation,
    /// The heart became worse.
    Decompensation,
    /// Taken into hospital.
    Admission,
    /// Died.
    Death,
    /// Something else: the note says what.
    Other,
}

impl From<What> for PatientOutcome {
    fn from(what: What) -> Self {
        match what {
            What::Exacerbation => Self::Exacerbation,
            What::Decompensation => Self::Decompensation,
            What::Admission => Self::Admission,
            What::Death => Self::Death,
            What::Other => Self::Other,
        }
    }
}

/// Runs `vagt outcome`.
///
/// # Errors
/// There is no such patient, account or alert, it makes no sense, or the store can't be used.
pub fn run(args: &Args) -> Result<(), Ended> {
    match &args.command {
        Command::Add(add) => block_on(record(add)),
        Command::List { patient, to } => block_on(list(patient.as_ref(), to)),
    }
}

async fn record(add: &Add) -> Result<(), Ended> {
    let (store, zone) = add.to.write().await?;
    let now = clock::now();
    let recorded = async {
        known(&*store, &add.patient).await?;
        let by = who(&*store, add.by.as_deref(), EVERYBODY).await?;
        let at = add.at.map(|at| at.happened(now, &zone));
        let new = NewOutcome { outcome: add.outcome.into(), at, note: add.note.clone(), alert: add.alert };
        record_outcome(&*store, &add.patient, new, &by, now).await.map_err(failed)
    };
    let recorded = recorded.await;
    store.close().await;
    let entry = recorded?;
    let line = serde_json::to_value(&entry).map_err(failed)?;
    add.to.done(&line, &format!("recorded: {}", in_words(&entry, &zone)))
}

async fn list(patient: Option<&PatientId>, to: &Place) -> Result<(), Ended> {
    let (store, zone) = to.read().await?;
    let found = async {
        if let Some(patient) = patient {
            known(&*store, patient).await?;
        }
        outcomes(&*store, patient).await.map_err(failed)
    };
    let found = found.await;
    store.close().await;
    let mut out = out();
    let found = found?;
    for entry in &found {
        if to.json {
            json_line(&mut out, entry)?;
        } else {
            writeln!(out, "{}", in_words(entry, &zone))?;
        }
    }
    if found.is_empty() && !to.json {
        writeln!(out, "No outcome is recorded yet: `vagt outcome add` records what happened to somebody.")?;
    }
    Ok(out.flush()?)
}

/// `p-7 2026-11-18 12:00 exacerbation, by mette: in the night`.
fn in_words(entry: &JournalEntry, zone: &TimeZone) -> String {
    let patient = entry.patient.as_ref().map(PatientId::as_str).unwrap_or_default();
    let by = entry.by.as_deref().unwrap_or_default();
    let Journal::OutcomeRecorded { outcome, at, note, alert } = &entry.what else { return String::new() };
    let outcome = serde_json::to_value(outcome).ok().and_then(|name| name.as_str().map(str::to_owned));
    let note = if note.is_empty() { String::new() } else { format!(": {note}") };
    let alert = alert.map(|alert| format!(", alert {alert}")).unwrap_or_default();
    format!("{patient} {} {}, by {by}{alert}{note}", local(*at, zone), outcome.unwrap_or_default())
}
