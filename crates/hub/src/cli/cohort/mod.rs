//! `vagt cohort`: simulated people over a year, as a recording to try the tools on, with the truth beside it.

mod fill;

pub(super) use fill::told;

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::{civil::Date, tz::TimeZone};

use super::{Ended, block_on, json_line, out};
use crate::cohort::{Cohort, DAYS_MAX, Line, PARAMETERS, Parameter, Truth};

/// Simulate people over a year, and print what their kits sent: a recording for `vagt replay`, one JSON line a message.
///
/// Some are stable, some exacerbate (COPD) or decompensate (heart failure), some are sloppy and some fall silent. Every number behind it, with
/// its source or marked as our assumption, is printed by --parameters; what the cohort can't tell is said in docs/cohort.md. Everything is
/// labelled as simulated: patients are sim-..., readings carry the flag "simulated". The same seed gives the same bytes.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  vagt cohort --patients 1000 --days 365 --seed 1 --truth truth.jsonl > year.jsonl
  vagt replay --programme config/programmes/copd.toml --alerts year.jsonl
  vagt cohort --patients 1000 --into trial.toml        # the store of a simulated clinic, to try backtests on")]
pub struct Args {
    #[command(flatten)]
    who: Who,
    /// Write what truly happened to each person there, as JSON lines.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Fill the store of a simulated clinic instead of printing: its configuration file. What truly happened is recorded there as outcomes.
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    #[command(flatten)]
    programmes: fill::Programmes,
    /// Print the parameters with their sources instead, as rows of a table.
    #[arg(long)]
    parameters: bool,
    /// Accepted for likeness with the other commands: what is printed is JSON lines in any case.
    #[arg(long)]
    json: bool,
}

/// Which people.
#[derive(clap::Args)]
pub struct Who {
    /// How many people.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=999_999))]
    pub patients: u64,
    /// How many days.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=i64::from(DAYS_MAX)))]
    pub days: u16,
    /// The same seed gives the same people.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The first day.
    #[arg(long, default_value = "2025-01-01")]
    pub start: Date,
    /// Where they live.
    #[arg(long, default_value = "Europe/Copenhagen")]
    pub zone: String,
}

impl Who {
    /// The cohort.
    ///
    /// # Errors
    /// The zone is none.
    pub fn cohort(&self) -> Result<Cohort, Ended> {
        let zone = TimeZone::get(&self.zone).map_err(|_| {
            Ended::Usage(format!("--zone: found {:?}, want one such as \"Europe/Copenhagen\"", self.zone))
        })?;
        Ok(Cohort { seed: self.seed, days: self.days, start: self.start, zone })
    }
}

/// Runs the command.
///
/// # Errors
/// What is written can't be written.
pub fn run(args: &Args) -> Result<(), Ended> {
    if args.parameters {
        return parameters();
    }
    let cohort = args.who.cohort()?;
    if let Some(path) = &args.truth {
        truth(&cohort, args.who.patients, path)?;
    }
    match &args.into {
        None => recording(&cohort, args.who.patients),
        Some(config) => {
            let progress = progress(cohort.stretches(args.who.patients).len() as u64);
            block_on(fill::into(config, &args.who, &args.programmes, &progress))
        }
    }
}

fn parameters() -> Result<(), Ended> {
    let mut out = out();
    writeln!(out, "| parameter | value | source |\n| --- | --- | --- |")?;
    PARAMETERS.iter().try_for_each(|parameter: &Parameter| writeln!(out, "{}", parameter.row()))?;
    Ok(out.flush()?)
}

fn truth(cohort: &Cohort, people: u64, path: &Path) -> Result<(), Ended> {
    let failed = |error: io::Error| Ended::Failed(format!("{}: {error}", path.display()));
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    for number in 1..=people {
        json_line(&mut out, &Truth::of(cohort, &cohort.person(number)))?;
    }
    out.flush().map_err(failed)
}

fn recording(cohort: &Cohort, people: u64) -> Result<(), Ended> {
    let (mut out, stretches) = (out(), cohort.stretches(people));
    let progress = progress(stretches.len() as u64);
    for days in stretches {
        let stretch = cohort.stretch(1..people + 1, days);
        for sent in &stretch.sent {
            json_line(&mut out, &Line::of(&sent.sitting, &stretch.people[sent.whose]))?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(out.flush()?)
}

/// A bar on standard error, if that is a terminal.
pub(super) fn progress(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}, {eta} to go").expect("the template is a constant");
    ProgressBar::new(length).with_style(style)
}
