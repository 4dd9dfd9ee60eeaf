//! `vagt backtest`: what a programme would have raised on the stored history, beside the one in use.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use store::Store;
use triage::Programme;

use super::{
    Ended, block_on,
    config::problem,
    json_line, out,
    since::{Since, parse_length},
};
use crate::{
    clock,
    config::Config,
    programmes::{Library, tried::Tried},
    tuning::{
        backtest::{self, Ask, Sides, WORST_ASKED_MAX, WORST_MAX},
        fold::Watch,
        report::Report,
    },
};

/// Try a programme on the stored history, beside the version in use.
///
/// Every message of everybody in the programme is judged anew by both versions, in the order in which it was recorded, with the patients'
/// own limits over both. Told are: alerts by colour, per patient-week and per nurse shift; who gets more and who fewer; how well either
/// agrees with the outcomes that nurses recorded; and the worst differences first, each with what was found, and why the other is quiet.
///
/// It only reads, beside a running service too, with threads that let everything else go first. Ctrl-C ends it with what is known so far.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  vagt backtest --programme copd-4.toml --since 90d
  vagt backtest --programme copd-4.toml --since 2026-01-01 --until 2026-07-01 --json > backtest.json

Exit codes: 0 the result was printed (also where it was ended by Ctrl-C, and is marked partial), 1 failure, 2 bad usage.")]
pub struct Args {
    /// The programme to try, a TOML file. It need not have been proposed, and its worked examples may fail: that is told.
    #[arg(long, value_name = "FILE")]
    programme: PathBuf,
    /// Beside this one, instead of the version in use.
    #[arg(long, value_name = "FILE")]
    active: Option<PathBuf>,
    /// Count alerts from here on: 90d, 12w, a date or a time.
    #[arg(long, value_name = "SINCE", default_value = "90d")]
    since: Since,
    /// Until here; now, if left out.
    #[arg(long, value_name = "SINCE")]
    until: Option<Since>,
    /// How long before that the history begins, so that personal baselines have something to go by; as long as the rules look back, if left out.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    warm_up: Option<SignedDuration>,
    /// The length of a nurse shift; the first of a day begins at 7.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length, default_value = "8h")]
    shift: SignedDuration,
    /// An alert at most so long before an outcome belongs to it.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length, default_value = "7d")]
    lead: SignedDuration,
    /// How many differences to tell, the worst.
    #[arg(long, value_name = "N", default_value_t = WORST_MAX, value_parser = worst)]
    worst: usize,
    /// How many threads judge; all but one of the cores, if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
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
/// A file or the store can't be used; there is nobody in the programme.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(backtest(args))
}

async fn backtest(args: &Args) -> Result<(), Ended> {
    let config = Config::load(&args.config).map_err(failed)?;
    let Tried { programme: proposed, failing, .. } = read_programme(&args.programme)?;
    let store = store::open_read_only(&config.store()).await.map_err(failed)?;
    let now = clock::now();
    let library = Library::open(&*store, now).await.map_err(failed)?;
    let active = match &args.active {
        Some(file) => read_programme(file)?.programme,
        None => in_use(&library, proposed.id())?,
    };
    let others = library.programmes().map_err(failed)?;
    let sides = Sides { active, proposed, others, clinic: library.clinic().map_err(failed)? };
    let until = args.until.map_or(now, |until| until.time(now, &config.zone));
    let since = args.since.time(now, &config.zone);
    if since >= until {
        return Err(Ended::Usage(format!("found --since {since} not before --until {until}")));
    }
    let mut ask = Ask::new(sides, since, until, config.zone);
    (ask.shift, ask.window.lead, ask.worst_max) = (args.shift, args.lead, args.worst);
    ask.warm_up = args.warm_up.unwrap_or(ask.warm_up);
    ask.threads = args.threads.map_or(ask.threads, usize::from);
    let report = run_watched(store, ask).await?.of_failing(failing);
    let mut out = out();
    if args.json {
        json_line(&mut out, &report)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(out.flush()?)
}

/// Runs a backtest with its progress on standard error; Ctrl-C ends it.
///
/// # Errors
/// It can't be done.
pub(super) async fn run_watched(store: Arc<dyn Store>, ask: Ask) -> Result<Report, Ended> {
    let watch = Arc::new(Watch::default());
    let progress = progress();
    let runtime = tokio::runtime::Handle::current();
    let (watched, asked) = (Arc::clone(&watch), Arc::clone(&store));
    let mut running = tokio::task::spawn_blocking(move || runtime.block_on(backtest::run(&*asked, &ask, &watched)));
    // One for the whole loop: a Ctrl-C while nobody waits for it would be lost.
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            stop = &mut interrupted => {
                stop?;
                interrupted.set(tokio::signal::ctrl_c());
                eprintln!("ending; what is known so far follows");
                watch.cancel();
            }
            () = tokio::time::sleep(DRAWN_EVERY) => draw(&progress, &watch),
        }
    };
    progress.finish_and_clear();
    store.close().await;
    ended.map_err(|error| Ended::Failed(format!("the backtest has failed: {error}")))?.map_err(failed)
}

/// A bar on standard error, if that is a terminal.
pub(super) fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(1_000);
    let style = ProgressStyle::with_template("{bar:40} {percent} %, {msg}, {eta} to go");
    bar.set_style(style.expect("the template is a constant"));
    bar
}

pub(super) fn draw(progress: &ProgressBar, watch: &Watch) {
    let (_, readings) = watch.counts();
    progress.set_message(format!("{readings} readings"));
    progress.set_position((watch.share() * 1_000.0) as u64);
}

/// The version in use of the same programme.
pub(super) fn in_use(library: &Library, id: &str) -> Result<Arc<Programme>, Ended> {
    let found = library.in_use().get(id).and_then(|version| library.version(id, *version)).cloned();
    found.ok_or_else(|| {
        let known: Vec<&str> = library.in_use().keys().map(String::as_str).collect();
        Ended::Failed(format!(
            "programme {id:?} is not in use (in use: {}): want one to compare with, as --active FILE",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ))
    })
}

pub(super) fn read_programme(path: &Path) -> Result<Tried, Ended> {
    let name = path.display().to_string();
    let text = problem::text(path).map_err(Ended::Failed)?;
    Tried::read(&text, &name).map_err(failed)
}

pub(super) fn failed(error: impl std::fmt::Display) -> Ended {
    Ended::Failed(error.to_string())
}

fn worst(text: &str) -> Result<usize, String> {
    let found = text.parse::<usize>().ok().filter(|found| *found <= WORST_ASKED_MAX);
    found.ok_or_else(|| format!("found {text:?}, want 0 to {WORST_ASKED_MAX}"))
}
