//! `vagt budget`: limits that raise no more than so many alerts in a nurse shift.

use std::{io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use jiff::SignedDuration;
use store::Store;

use super::{
    Ended,
    backtest::{draw, failed, in_use, progress},
    block_on, json_line, out,
    since::{Since, parse_length},
};
use crate::{
    clock,
    config::Config,
    programmes::Library,
    tuning::{
        backtest::{Ask, Sides},
        budget::{BudgetAsk, Proposal, find},
        fold::Watch,
        proposals,
    },
};

/// Look for limits that raise no more than so many alerts in a nurse shift, and propose them as a version.
///
/// Yellow limits move away from normal, one rule by one, as far as is needed and where that loses least: first in events that nothing foretells any
/// more, then in days of warning. Red limits stay, unless --red is given, and never pass a safety floor. It is a good answer, not surely the best.
///
/// What is proposed is the programme's text with other numbers, sources that say so, and the next version: nothing is in use before another person has activated it.
/// Worked examples are not changed: where one says otherwise it is told, and the version can't be activated until a person has decided.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  vagt budget --at-most 12 --per-shift --programme copd --since 90d --dry-run
  vagt budget --at-most 12 --per-shift --programme copd --since 90d --by anna")]
pub struct Args {
    /// At most so many alerts, of everybody in the programme together, on average.
    #[arg(long, value_name = "N", value_parser = at_most)]
    at_most: f64,
    /// In a nurse shift: what N is counted in, and the only choice there is.
    #[arg(long)]
    per_shift: bool,
    /// The programme's id.
    #[arg(long, value_name = "ID")]
    programme: String,
    /// Look at the history from here on: 90d, 12w, a date or a time.
    #[arg(long, value_name = "SINCE", default_value = "90d")]
    since: Since,
    /// Until here; now, if left out.
    #[arg(long, value_name = "SINCE")]
    until: Option<Since>,
    /// The length of a nurse shift; the first of a day begins at 7.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length, default_value = "8h")]
    shift: SignedDuration,
    /// Move red limits too, as far as the clinic's safety floors; where there is no floor they stay.
    #[arg(long)]
    red: bool,
    /// Who proposes: the user name of an operator or an admin.
    #[arg(long, value_name = "USER", required_unless_present = "dry_run")]
    by: Option<String>,
    /// Propose nothing: print what was found, and the text.
    #[arg(long)]
    dry_run: bool,
    /// The service's configuration file, which says where the store is.
    #[arg(long, value_name = "FILE", default_value = "hub.toml")]
    config: PathBuf,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// How often the progress is drawn anew.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Runs the command.
///
/// # Errors
/// The store can't be used; nobody is in the programme; the person may not propose.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(budget(args))
}

async fn budget(args: &Args) -> Result<(), Ended> {
    let config = Config::load(&args.config).map_err(failed)?;
    let store: Arc<dyn Store> = match &args.by {
        Some(by) if !args.dry_run => {
            let store = store::open(&config.store()).await.map_err(failed)?;
            proposals::may_propose(&*store, by).await.map_err(failed)?;
            store
        }
        _ => store::open_read_only(&config.store()).await.map_err(failed)?,
    };
    let now = clock::now();
    let library = Library::open(&*store, now).await.map_err(failed)?;
    let active = in_use(&library, &args.programme)?;
    let text = library.stored(&args.programme, active.version()).map(|stored| stored.text.clone()).unwrap_or_default();
    let others = library.programmes().map_err(failed)?;
    let clinic = library.clinic().map_err(failed)?;
    let sides = Sides { proposed: Arc::clone(&active), active, others, clinic };
    let until = args.until.map_or(now, |until| until.time(now, &config.zone));
    let mut ask = Ask::new(sides, args.since.time(now, &config.zone), until, config.zone);
    ask.shift = args.shift;
    let version = library.numbers(&args.programme).last().copied().unwrap_or(0) + 1;
    let asked = BudgetAsk { ask, text, per_shift: args.at_most, move_red: args.red, version };
    let found = search(&store, asked).await?;
    let kept = match &args.by {
        Some(by) if !args.dry_run && !found.moved.is_empty() => {
            Some(proposals::keep(&*store, &found, by, clock::now()).await.map_err(failed)?)
        }
        _ => None,
    };
    store.close().await;
    tell(args, &found, kept.is_some())
}

/// Searches with its progress on standard error; Ctrl-C ends it.
async fn search(store: &Arc<dyn Store>, asked: BudgetAsk) -> Result<Proposal, Ended> {
    let watch = Arc::new(Watch::default());
    let progress = progress();
    let runtime = tokio::runtime::Handle::current();
    let (watched, store) = (Arc::clone(&watch), Arc::clone(store));
    let mut running = tokio::task::spawn_blocking(move || runtime.block_on(find(&*store, &asked, &watched)));
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            stop = &mut interrupted => { stop?; watch.cancel(); interrupted.set(tokio::signal::ctrl_c()); }
            () = tokio::time::sleep(DRAWN_EVERY) => draw(&progress, &watch),
        }
    };
    progress.finish_and_clear();
    ended.map_err(|error| Ended::Failed(format!("the search has failed: {error}")))?.map_err(failed)
}

fn tell(args: &Args, found: &Proposal, kept: bool) -> Result<(), Ended> {
    let mut out = out();
    if args.json {
        json_line(&mut out, found)?;
        return Ok(out.flush()?);
    }
    writeln!(out, "{} version {}: {}", found.programme, found.active_version, found.note)?;
    found.contradicts.iter().try_for_each(|fault| writeln!(out, "- {fault}"))?;
    writeln!(out, "{} versions tried in {:.1} s", found.tried, found.seconds)?;
    if kept {
        let (id, version) = (&found.programme, found.version);
        writeln!(out, "Proposed as {id} version {version}: `vagt programme diff {id}` shows what differs.")?;
    } else if args.dry_run && !found.moved.is_empty() {
        write!(out, "\n{}", found.text)?;
    }
    Ok(out.flush()?)
}

fn at_most(text: &str) -> Result<f64, String> {
    let found = text.parse::<f64>().ok().filter(|found| found.is_finite() && *found > 0.0);
    found.ok_or_else(|| format!("found {text:?}, want a number above 0"))
}
