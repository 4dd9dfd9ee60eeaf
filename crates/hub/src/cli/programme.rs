//! `vagt programme`: versions of the programmes, who proposed and who activated them.

use std::{io::Write as _, path::PathBuf, sync::Arc};

use clap::Subcommand;
use desk::Proposed;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use store::{Journal, JournalEntry, Store};

use super::{Ended, backtest::failed, block_on, config::problem, json_line, out, place::Place, why::local};
use crate::{
    clock,
    programmes::{Decider, Library, Refused, activate, history, propose, reject, rollback},
    tuning::diff,
};

/// Programmes: proposed by one, activated by another, and which are in use.
///
/// A version is never edited: a change is a new version with a new number. Who acts is the account named with --by, an operator's or an admin's.
/// The command line asks for no password: whoever can write the clinic's store from a shell needs none. So the journal keeps with every line that
/// it came by the command line.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Every version, and which are in use, planned or turned down.
    List {
        /// Of this programme alone.
        programme: Option<String>,
        #[command(flatten)]
        to: Place,
    },
    /// The text of a version; of the one in use, if no number is given.
    Show {
        /// The programme's id.
        programme: String,
        /// Which version.
        #[arg(id = "number", value_name = "VERSION")]
        version: Option<u32>,
        /// Say what it means, in words, instead of its text.
        #[arg(long)]
        explain: bool,
        #[command(flatten)]
        to: Place,
    },
    /// Propose a new version: a TOML file with a number above those there are.
    ///
    /// Its examples are run. A version whose examples fail is kept, so that it can be tried (as a shadow, in a backtest); it can't be activated.
    Propose {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        to: Place,
    },
    /// Take a proposed version into use. Refused to the one who proposed it, where an example fails or none shows a colour that its limits can give, or where a limit passes a safety floor.
    Activate {
        /// The programme's id.
        programme: String,
        /// Which version.
        #[arg(id = "number", value_name = "VERSION")]
        version: u32,
        /// From then on, e.g. 2026-12-01T07:00:00Z; at once, if left out.
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        to: Place,
    },
    /// Turn a proposed version down; one that was planned does not come into use.
    Reject {
        /// The programme's id.
        programme: String,
        /// Which version.
        #[arg(id = "number", value_name = "VERSION")]
        version: u32,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        to: Place,
    },
    /// Go back to the version that was in use before: at once, by one person.
    Rollback {
        /// The programme's id.
        programme: String,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        to: Place,
    },
    /// What differs between two versions, line by line. Without numbers: the newest beside the one in use.
    Diff {
        /// The programme's id.
        programme: String,
        /// The one.
        from: Option<u32>,
        /// The other.
        #[arg(requires = "from")]
        until: Option<u32>,
        #[command(flatten)]
        to: Place,
    },
    /// Everything that was decided about a programme, oldest first.
    History {
        /// The programme's id.
        programme: String,
        #[command(flatten)]
        to: Place,
    },
}

#[derive(clap::Args)]
struct Who {
    /// Who acts: the user name of an operator or an admin.
    #[arg(long, value_name = "USER")]
    by: String,
    /// Why, in a few words; kept for ever.
    #[arg(long, value_name = "WORDS")]
    reason: String,
}

/// Runs `vagt programme`.
///
/// # Errors
/// It is refused, or the store can't be used.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(command(&args.command))
}

async fn command(command: &Command) -> Result<(), Ended> {
    match command {
        Command::List { programme, to } => list(programme.as_deref(), to).await,
        Command::Show { programme, version, explain, to } => show(programme, *version, *explain, to).await,
        Command::Diff { programme, from, until, to } => differ(programme, *from, *until, to).await,
        Command::History { programme, to } => tell_history(programme, to).await,
        Command::Propose { file, who, to } => {
            let text = problem::text(file).map_err(Ended::Failed)?;
            let reason = who.reason();
            let (store, _) = to.write().await?;
            let kept = propose(&*store, &text, &file.display().to_string(), who.decider(&reason)).await;
            let Proposed { kept, obstacles } = closed(store, kept).await?;
            let mut done = format!("{} version {} is proposed by {}", kept.id, kept.version, kept.proposed_by);
            if !obstacles.is_empty() {
                done.push_str(". It can be tried, and not taken into use as it stands:");
            }
            done.extend(obstacles.iter().map(|obstacle| format!("\n- {obstacle}")));
            let line =
                json!({ "programme": kept.id, "version": kept.version, "sha256": kept.sha256, "obstacles": obstacles });
            to.done(&line, &done)
        }
        Command::Activate { programme, version, at, who, to } => {
            let reason = who.reason();
            let (store, zone) = to.write().await?;
            let used = activate(&*store, &zone, (programme, *version), *at, who.decider(&reason)).await;
            let used = closed(store, used).await?;
            to.done(&json!({ "programme": programme, "in_use": used }), &in_force(programme, &used, &zone))
        }
        Command::Rollback { programme, who, to } => {
            let reason = who.reason();
            let (store, zone) = to.write().await?;
            let used = rollback(&*store, &zone, programme, who.decider(&reason)).await;
            let used = closed(store, used).await?;
            to.done(&json!({ "programme": programme, "in_use": used }), &in_force(programme, &used, &zone))
        }
        Command::Reject { programme, version, who, to } => {
            let reason = who.reason();
            let (store, _) = to.write().await?;
            let rejected = reject(&*store, (programme, *version), who.decider(&reason)).await;
            closed(store, rejected).await?;
            let done = format!("{programme} version {version} is turned down");
            to.done(&json!({ "programme": programme, "rejected": version }), &done)
        }
    }
}

fn in_force(programme: &str, used: &crate::programmes::standing::Use, zone: &TimeZone) -> String {
    format!("{programme} version {} is in force from {} on", used.version, local(used.from, zone))
}

impl Who {
    /// The reason, and where it came from.
    fn reason(&self) -> String {
        format!("{} (by the command line)", self.reason.trim())
    }

    fn decider<'a>(&'a self, reason: &'a str) -> Decider<'a> {
        // An empty reason stays empty, so that it is refused.
        let reason = if self.reason.trim().is_empty() { "" } else { reason };
        Decider { by: &self.by, reason, now: clock::now() }
    }
}

/// Closes the store, whatever came out.
async fn closed<T>(store: Arc<dyn Store>, outcome: Result<T, Refused>) -> Result<T, Ended> {
    store.close().await;
    outcome.map_err(failed)
}

async fn library(store: Arc<dyn Store>) -> Result<Library, Ended> {
    let library = Library::open(&*store, clock::now()).await.map_err(failed);
    store.close().await;
    library
}

async fn list(programme: Option<&str>, to: &Place) -> Result<(), Ended> {
    let (store, zone) = to.read().await?;
    let library = library(store).await?;
    programme.map_or(Ok(()), |id| known(&library, id))?;
    let mut out = out();
    if library.ids().is_empty() && !to.json {
        writeln!(
            out,
            "No programme is stored yet: the service brings in its files when it starts, `vagt programme propose` adds a version."
        )?;
    }
    for id in library.ids().iter().filter(|id| programme.is_none_or(|wanted| wanted == id.as_str())) {
        for version in library.numbers(id) {
            let Some(stored) = library.stored(id, version) else { continue };
            let state = state(&library, id, version);
            if to.json {
                let readable = library.version(id, version).is_some();
                let line = json!({
                    "programme": id, "version": version, "state": state, "readable": readable, "sha256": stored.sha256,
                    "proposed_by": stored.proposed_by, "proposed_at": stored.proposed_at, "note": stored.note,
                });
                json_line(&mut out, &line)?;
            } else {
                let at = local(stored.proposed_at, &zone);
                writeln!(out, "{id} {version:>4}  {state:<10} {at} by {}: {}", stored.proposed_by, stored.note)?;
            }
        }
    }
    Ok(out.flush()?)
}

fn state(library: &Library, id: &str, version: u32) -> &'static str {
    let standing = library.standing(id);
    if standing.in_use().is_some_and(|used| used.version == version) {
        "in use"
    } else if standing.planned.as_ref().is_some_and(|planned| planned.version == version) {
        "planned"
    } else if standing.rejected.contains(&version) {
        "rejected"
    } else if standing.used.iter().any(|used| used.version == version) {
        "was in use"
    } else {
        "proposed"
    }
}

/// Is there such a programme?
fn known(library: &Library, id: &str) -> Result<(), Ended> {
    let ids = library.ids();
    if ids.iter().any(|known| known == id) {
        return Ok(());
    }
    Err(failed(format!("found no programme {id:?}, want one of {}", ids.join(", "))))
}

/// The version that is asked for, else the one in use.
fn chosen(library: &Library, id: &str, version: Option<u32>) -> Result<u32, Ended> {
    let version = version.or_else(|| library.in_use().get(id).copied());
    let known = || library.numbers(id).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match version {
        Some(version) if library.stored(id, version).is_some() => Ok(version),
        Some(version) => {
            Err(failed(format!("found no version {version} of programme {id:?}, want one of: {}", known())))
        }
        None => {
            let ids = library.ids().join(", ");
            Err(failed(format!("no version of programme {id:?} is in use; there are programmes {ids}")))
        }
    }
}

async fn show(id: &str, version: Option<u32>, explain: bool, to: &Place) -> Result<(), Ended> {
    let library = library(to.read().await?.0).await?;
    let version = chosen(&library, id, version)?;
    let stored = library.stored(id, version).expect("chosen above");
    let mut out = out();
    if to.json {
        json_line(&mut out, stored)?;
    } else if explain {
        write!(out, "{}", library.explained(id, version).map_err(failed)?)?;
    } else {
        write!(out, "{}", stored.text)?;
    }
    Ok(out.flush()?)
}

async fn differ(id: &str, from: Option<u32>, until: Option<u32>, to: &Place) -> Result<(), Ended> {
    let library = library(to.read().await?.0).await?;
    let from = chosen(&library, id, from)?;
    let until = chosen(&library, id, until.or_else(|| library.numbers(id).last().copied()))?;
    let text = |version| library.stored(id, version).map(|stored| stored.text.clone()).unwrap_or_default();
    let lines = diff::lines(&text(from), &text(until));
    let warnings = library.warnings(id, from, until);
    let mut out = out();
    if to.json {
        json_line(
            &mut out,
            &json!({ "programme": id, "from": from, "to": until, "lines": lines, "warnings": warnings }),
        )?;
    } else {
        writeln!(out, "--- {id} version {from}\n+++ {id} version {until}")?;
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))?;
    }
    Ok(out.flush()?)
}

async fn tell_history(id: &str, to: &Place) -> Result<(), Ended> {
    let (store, zone) = to.read().await?;
    let library = Library::open(&*store, clock::now()).await;
    let entries = history(&*store, id).await;
    store.close().await;
    known(&library.map_err(failed)?, id)?;
    let mut out = out();
    for entry in entries.map_err(failed)? {
        if to.json {
            json_line(&mut out, &entry)?;
        } else {
            writeln!(out, "{}", in_words(&entry, &zone))?;
        }
    }
    Ok(out.flush()?)
}

fn in_words(JournalEntry { at, by, what, .. }: &JournalEntry, zone: &TimeZone) -> String {
    let by = by.as_deref().unwrap_or("the service");
    let what = match what {
        Journal::ProgrammeProposed { version, note, .. } => format!("proposed version {version}: {note}"),
        Journal::ProgrammeActivated { version, from, proposed_by, reason, rollback, .. } => {
            let how = if *rollback { "went back to" } else { "activated" };
            format!("{how} version {version} (proposed by {proposed_by}) from {} on: {reason}", local(*from, zone))
        }
        Journal::ProgrammeRejected { version, reason, .. } => format!("turned down version {version}: {reason}"),
        Journal::ShadowStarted { version, .. } => format!("started version {version} as a shadow"),
        Journal::ShadowStopped { version, .. } => format!("stopped version {version} as a shadow"),
        Journal::ProgrammesInUse { versions } => {
            let each: Vec<String> = versions.iter().map(|(id, version)| format!("{id} {version}")).collect();
            format!("judges by {} from now on", each.join(", "))
        }
        other => other.name().to_owned(),
    };
    format!("{} {by} {what}", local(*at, zone))
}
