//! `vagt bench triage-quality`: every way of raising alerts on the same simulated people, with the truth beside it.
//!
//! What counts as a true alert, how methods are compared at equal sensitivity, and what the figures can't tell: `docs/cohort.md`.

mod figures;
mod moments;
mod own;
mod people;
mod scores;
mod table;
mod tally;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use triage::{Clinic, Programme, Rulebook};

use crate::{
    cli::{Ended, cohort::Who, cohort::progress, json_line, out},
    cohort::Condition,
    directory,
};
use people::Ours;
use table::Table;

/// What `triage-quality` is told.
#[derive(clap::Args)]
pub struct Quality {
    #[command(flatten)]
    who: Who,
    /// People with pulmonary fibrosis besides: a quarter as many as the others where nothing is said.
    #[arg(long, value_name = "PEOPLE")]
    fibrosis: Option<u64>,
    /// How often people are drawn again for the confidence intervals.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(20..=10_000))]
    resamples: u16,
    /// The programmes of this folder instead of those that are shipped: to try limits before they are proposed.
    #[arg(long, value_name = "FOLDER")]
    programmes: Option<PathBuf>,
    /// Print JSON lines, with the whole curve of every plain method.
    #[arg(long)]
    json: bool,
}

const COPD: &[Condition] = &[Condition::Copd];
const HEART: &[Condition] = &[Condition::HeartFailure];
const FIBROSIS: &[Condition] = &[Condition::PulmonaryFibrosis];
const EVERYBODY: &[Condition] = &[Condition::Copd, Condition::HeartFailure, Condition::PulmonaryFibrosis];

/// Whom the shipped programmes concern, by how their ids begin; others concern everybody.
const CONCERN: &[(&str, &[Condition])] =
    &[("copd", COPD), ("alpha-1", COPD), ("heart", HEART), ("pulmonary-fibrosis", FIBROSIS)];

/// People with pulmonary fibrosis at most.
const FIBROSIS_MAX: u64 = 1_000_000;

/// Runs it.
///
/// # Errors
/// A programme can't be used.
pub fn run(args: &Quality) -> Result<(), Ended> {
    let cohort = args.who.cohort()?;
    let least = tally::JUDGED_FROM_DAY + tally::BEFORE_DAYS + tally::AFTER_DAYS;
    if i64::from(cohort.days) <= least {
        return Err(Ended::Usage(format!(
            "--days: found {}, want more than {least}: nothing counts before",
            cohort.days
        )));
    }
    let ours = programmes(args.programmes.as_deref())?;
    let fibrosis = args.fibrosis.unwrap_or(args.who.patients / 4);
    if fibrosis > FIBROSIS_MAX {
        return Err(Ended::Usage(format!("--fibrosis: found {fibrosis}, want at most {FIBROSIS_MAX}")));
    }
    let progress = progress(args.who.patients + fibrosis);
    let people = [args.who.patients, fibrosis];
    let seen = people::run(&cohort, &ours, people, &|done| progress.inc(done)).map_err(Ended::Failed)?;
    progress.finish_and_clear();
    eprintln!("drawing people again, {} times", args.resamples);
    let table = |condition| table::table(condition, &seen, &ours, usize::from(args.resamples), args.who.seed);
    EVERYBODY.iter().copied().filter_map(table).try_for_each(|table| print(&table, args.json))
}

fn programmes(folder: Option<&Path>) -> Result<Vec<Ours>, Ended> {
    let clinic = Arc::new(Clinic::shipped());
    let mut programmes: Vec<_> = directory::programmes(folder)?.into_values().collect();
    programmes.sort_by(|a, b| a.id().cmp(b.id()));
    let ours = |programme: Arc<Programme>| {
        let concerns =
            CONCERN.iter().find(|(start, _)| programme.id().starts_with(start)).map_or(EVERYBODY, |(_, whom)| *whom);
        let name = format!("programme {} v{}", programme.id(), programme.version());
        let book =
            Rulebook::new(vec![programme], Arc::clone(&clinic)).map_err(|error| Ended::Failed(error.to_string()))?;
        Ok(Ours { name, book, concerns, own: false })
    };
    let plain = programmes.into_iter().map(ours).collect::<Result<Vec<Ours>, Ended>>()?;
    Ok(plain.into_iter().flat_map(own::both).collect())
}

fn print(table: &Table, json: bool) -> Result<(), Ended> {
    let mut out = out();
    if json {
        json_line(&mut out, &table.people)?;
        table.rows.iter().try_for_each(|row| json_line(&mut out, row))?;
        table.points.iter().try_for_each(|point| json_line(&mut out, point))?;
    } else {
        writeln!(out, "{table}")?;
    }
    Ok(out.flush()?)
}
