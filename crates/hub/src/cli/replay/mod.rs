//! `vagt replay`: the same readings and the same programme give the same assessments, byte for byte.

mod fold;
mod line;
mod seen;
mod settings;
mod stored;

#[cfg(test)]
pub(crate) use stored::verified;

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
use serde::Serialize;
use settings::Settings;
use triage::{AssessmentChange, Chart, Judging, Outcome, Plan, Programme, why_given};
use vitals::{Colour, PatientId};

use super::{Ended, config::problem, json_line, out};

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
  vagt replay --stored --config hub.toml --verify
  zcat november.jsonl.gz | vagt replay --programme copd.toml --patient p-1.toml -

With --stored --verify the last line says verified, patients, alerts, events, alerts_before, differences, first, starts and clock_set_back:
alerts_before were raised before the journal said what their patients are judged by, and are not compared. Beside a running
service a patient is looked at again before a difference is told.

Exit codes: 0 every line was read, 1 some line was no recorded message or a file can't be used, or (--verify) something differs, 2 bad usage.")]
pub struct Args {
    /// The programme to judge by, a TOML file.
    #[arg(long, value_name = "FILE", required_unless_present = "stored", conflicts_with = "stored")]
    programme: Option<PathBuf>,
    /// What is particular to a patient, see below; with --stored the id of a patient, else everybody.
    #[arg(long, value_name = "FILE|ID")]
    patient: Vec<PathBuf>,
    /// Go the judge's way again from the store: messages, actions, plans and time as they were judged, by the stored versions.
    #[arg(long, requires = "config", conflicts_with_all = ["readings", "until"])]
    stored: bool,
    /// The service's configuration file, which says where the store is.
    #[arg(long, value_name = "FILE", requires = "stored")]
    config: Option<PathBuf>,
    /// Print no changes: compare the alerts that come out, with their histories, with those that are stored, byte for byte.
    #[arg(long, requires = "stored")]
    verify: bool,
    /// Print the full why of each finding: rule, limit and whose it is, what it was compared with, what would have been green.
    #[arg(long)]
    explain: bool,
    /// Let time pass until then after the last message (which is where time ends otherwise).
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Print a line for every change of an alert too: {"alert","event"}.
    #[arg(long)]
    alerts: bool,
    /// The way of judging: 1 as before version 2 of it, else the newest. With --stored it is what was in force.
    #[arg(long, value_name = "NUMBER", value_parser = way, conflicts_with = "stored")]
    judging: Option<Judging>,
    /// Accepted for likeness with the other commands: what is printed is JSON lines in any case.
    #[arg(long)]
    json: bool,
    /// The recording, JSON lines; `-` for standard input.
    #[arg(value_name = "READINGS.jsonl", required_unless_present = "stored")]
    readings: Option<PathBuf>,
}

/// How often the progress is drawn anew, in lines.
const PROGRESS_LINES: u64 = 1024;

/// Runs the command.
///
/// # Errors
/// [`Ended::Failed`] when the programme or a patient can't be used, or lines were no recorded messages.
pub fn run(args: &Args) -> Result<(), Ended> {
    if let Some(config) = args.config.as_deref().filter(|_| args.stored) {
        return stored::run(args, config);
    }
    let (Some(file), Some(readings)) = (&args.programme, &args.readings) else {
        return Err(Ended::Usage("want --programme FILE and a recording, or --stored".to_owned()));
    };
    let settings = args.patient.iter().map(|path| Settings::read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut fold = Fold::new(programme(file)?, settings, args.judging.unwrap_or(Judging::NEWEST));
    let name = if is_stdin(readings) { "standard input".to_owned() } else { readings.display().to_string() };
    let (input, length) = open(readings)?;
    let progress = progress(length);
    let counted = replay(&mut fold, &mut Lines::of(input), &name, args, &progress)?;
    progress.finish_and_clear();
    counted.summary(&name)
}

fn way(text: &str) -> Result<Judging, String> {
    text.parse::<u32>().map_err(|error| error.to_string()).and_then(Judging::try_from)
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
        print(&mut out, &mut changes, args, fold)?;
        if lines.number.is_multiple_of(PROGRESS_LINES) {
            progress.set_position(lines.bytes);
        }
    }
    fold.end(args.until, &mut changes);
    print(&mut out, &mut changes, args, fold)?;
    out.flush()?;
    Ok(counted)
}

fn complain(progress: &ProgressBar, name: &str, line: u64, reason: &str) {
    progress.suspend(|| eprintln!("{name}:{line}: {reason}"));
}

fn print(out: &mut impl Write, changes: &mut Changes, args: &Args, fold: &Fold) -> Result<(), Ended> {
    changes.drain(..).try_for_each(|(outcome, plan)| {
        let chart = outcome.assessment.as_ref().and_then(|change| fold.chart(&change.patient));
        print_one(out, &outcome, args, chart.map(|chart| (&*plan, chart)))
    })
}

/// What one event changed, of somebody who is judged by this plan and has this chart.
fn print_one(
    out: &mut impl Write,
    outcome: &Outcome,
    args: &Args,
    judged: Option<(&Plan, &Chart)>,
) -> Result<(), Ended> {
    if let Some(assessment) = &outcome.assessment {
        match judged.filter(|_| args.explain) {
            None => json_line(out, assessment)?,
            Some((plan, chart)) => json_line(out, &Explained::of(assessment, plan, chart))?,
        }
    }
    if args.alerts {
        outcome.alerts.iter().try_for_each(|change| json_line(out, change))?;
    }
    Ok(())
}

/// A change of assessment with the full why of each finding.
#[derive(Serialize)]
struct Explained<'a> {
    at: Timestamp,
    patient: &'a PatientId,
    was: Colour,
    colour: Colour,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blue: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    findings: Vec<triage::Why>,
}

impl<'a> Explained<'a> {
    fn of(change: &'a AssessmentChange, plan: &Plan, chart: &Chart) -> Self {
        let AssessmentChange { at, patient, was, colour, blue, late, findings } = change;
        let findings = findings.iter().map(|finding| why_given(plan, finding, &chart.given(finding))).collect();
        Self { at: *at, patient, was: *was, colour: *colour, blue: *blue, late: *late, findings }
    }
}

fn programme(path: &Path) -> Result<Programme, Ended> {
    let name = path.display().to_string();
    let text = problem::text(path).map_err(Ended::Failed)?;
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
