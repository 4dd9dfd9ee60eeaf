//! `vagt replay`: the same readings and the same programme give the same assessments, byte for byte.

mod fold;
mod line;
mod seen;
mod settings;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use fold::{Changes, Fold};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use line::Lines;
use settings::Settings;
use triage::Programme;

use super::{Ended, json_line, out};

/// Fold recorded messages through the triage, and print one JSON line for every change of assessment.
///
/// A line of the recording is a message as on the wire with "kit", "patient" and "received_at" added. Messages are admitted and judged by
/// the same code as in the service; a patient's time is received_at, and never goes back. Between messages, deadlines that pass are judged at
/// their own time, so silence is told where it happened. A message that was there before (same kit and seq) changes nothing. The same
/// recording and programme give the same bytes.
///
/// What can't be used is told on standard error as FILE:LINE: what was found, what was wanted, and the rest goes on: a reading that
/// admission refuses (impossible value, unknown unit, measured in the future, or more than a year before the patient's first message), as
/// the service would put it into quarantine; and a line that is no recorded message, for which the exit code is 1 in the end.
#[derive(clap::Args)]
#[command(after_help = "\
--patient FILE (TOML or JSON, may be repeated) holds what is particular to a patient: `own` limits (or `limits` alone),
`zone` of the schedules (else the programme's), `since` when watched (else since the first message), and `id`, without
which it holds for every patient. A patient of a roster is such a file. For example:

  id = \"p-1\"
  zone = \"Europe/Copenhagen\"
  [[own.limits]]
  rule = \"spo2\"
  limit = \"red_low\"
  value = 80
  unit = \"%\"
  author = \"Dr Jensen\"
  reason = \"84 % is his normal state\"
  from = \"2026-11-01T00:00:00Z\"

Examples:
  vagt replay --programme config/programmes/copd.toml november.jsonl
  zcat november.jsonl.gz | vagt replay --programme copd.toml --patient p-1.toml -

Exit codes: 0 every line was read, 1 some line was no recorded message or a file can't be used, 2 bad usage.")]
pub struct Args {
    /// The programme to judge by, a TOML file.
    #[arg(long, value_name = "FILE")]
    programme: PathBuf,
    /// What is particular to a patient, see below.
    #[arg(long, value_name = "FILE")]
    patient: Vec<PathBuf>,
    /// Let time pass until then after the last message (which is where time ends otherwise).
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Print a line for every change of an alert too: {"alert","event"}.
    #[arg(long)]
    alerts: bool,
    /// Accepted for likeness with the other commands: what is printed is JSON lines in any case.
    #[arg(long)]
    json: bool,
    /// The recording, JSON lines; `-` for standard input.
    #[arg(value_name = "READINGS.jsonl")]
    readings: PathBuf,
}

/// How often the progress is drawn anew, in lines.
const PROGRESS_LINES: u64 = 1024;

/// Runs the command.
///
/// # Errors
/// [`Ended::Failed`] when the programme or a patient can't be used, or lines were no recorded messages.
pub fn run(args: &Args) -> Result<(), Ended> {
    let settings = args.patient.iter().map(|path| Settings::read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut fold = Fold::new(programme(&args.programme)?, settings);
    let name = if is_stdin(&args.readings) { "standard input".to_owned() } else { args.readings.display().to_string() };
    let (input, length) = open(&args.readings)?;
    let progress = progress(length);
    let counted = replay(&mut fold, &mut Lines::of(input), &name, args, &progress)?;
    progress.finish_and_clear();
    counted.summary(&name)
}

/// What was read.
#[derive(Default)]
struct Counted {
    lines: u64,
    no_messages: u64,
}

impl Counted {
    fn summary(&self, name: &str) -> Result<(), Ended> {
        match self.no_messages {
            0 => Ok(()),
            bad => Err(Ended::Failed(format!("{name}: {bad} of {} lines are no recorded messages", self.lines))),
        }
    }
}

fn replay<R: BufRead>(
    fold: &mut Fold,
    lines: &mut Lines<R>,
    name: &str,
    args: &Args,
    progress: &ProgressBar,
) -> Result<Counted, Ended> {
    let (mut out, mut counted, mut changes) = (out(), Counted::default(), Changes::new());
    loop {
        let read = match lines.next().map_err(|error| Ended::Failed(format!("{name}: {error}")))? {
            None => break,
            Some(line) => line.and_then(|line| fold.line(line, &mut changes)),
        };
        counted.lines += 1;
        match read {
            Ok(read) => read.refused.iter().for_each(|reason| complain(progress, name, lines.number, reason)),
            Err(reason) => {
                counted.no_messages += 1;
                complain(progress, name, lines.number, &reason);
            }
        }
        print(&mut out, &mut changes, args.alerts)?;
        if lines.number.is_multiple_of(PROGRESS_LINES) {
            progress.set_position(lines.bytes);
        }
    }
    fold.end(args.until, &mut changes);
    print(&mut out, &mut changes, args.alerts)?;
    out.flush()?;
    Ok(counted)
}

fn complain(progress: &ProgressBar, name: &str, line: u64, reason: &str) {
    progress.suspend(|| eprintln!("{name}:{line}: {reason}"));
}

fn print(out: &mut impl Write, changes: &mut Changes, alerts: bool) -> Result<(), Ended> {
    for outcome in changes.drain(..) {
        if let Some(assessment) = &outcome.assessment {
            json_line(out, assessment)?;
        }
        if alerts {
            outcome.alerts.iter().try_for_each(|change| json_line(out, change))?;
        }
    }
    Ok(())
}

fn programme(path: &Path) -> Result<Programme, Ended> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Ended::Failed(format!("{name}: {error}")))?;
    Programme::parse(&text, &name).map_err(|error| Ended::Failed(error.to_string()))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The recording, and its length in bytes where that is known.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Ended> {
    if is_stdin(path) {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let failed = |error: io::Error| Ended::Failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((Box::new(BufReader::new(file)), Some(length)))
}

/// A bar on standard error, if that is a terminal.
fn progress(length: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = if length.is_some() { "{bar:40} {bytes}/{total_bytes}, {eta} to go" } else { "{spinner} {bytes}" };
    bar.set_style(ProgressStyle::with_template(style).expect("the template is a constant"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
