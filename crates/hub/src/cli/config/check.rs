//! `vagt config check`: every problem of a file, each with line, column and field.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::json;

use super::{
    kind::{Kind, Text},
    problem::Problem,
};
use crate::cli::{Ended, json_line, out};

/// Check files: each problem as FILE:LINE:COL: field: what was found, what was wanted; `ok` where there is none.
///
/// A programme's worked examples are run too: one that does not come out is a problem. So is a safety floor that it leaves open: of the clinic.toml
/// beside it, else of the one that comes with Vagt.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 every file is good, 1 at least one problem, 2 the kind of a file can't be told.")]
pub struct Args {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the files are, where it can't be seen from what is in them.
    #[arg(long)]
    kind: Option<Kind>,
    /// One line of JSON for each problem: {"file","line","column","field","message"}; for a good file {"file","kind","ok":true}.
    #[arg(long)]
    json: bool,
}

/// A problem, as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(flatten)]
    problem: &'a Problem,
}

/// Runs the command.
///
/// # Errors
/// [`Ended::Said`] when there was a problem.
pub fn run(args: &Args) -> Result<(), Ended> {
    let mut out = out();
    let mut good = true;
    for path in &args.files {
        good &= check(path, args, &mut out)?;
    }
    out.flush()?;
    if good { Ok(()) } else { Err(Ended::Said) }
}

/// Checks one file; is it good?
fn check(path: &Path, args: &Args, out: &mut impl Write) -> Result<bool, Ended> {
    let file = match Text::read(path) {
        Ok(file) => file,
        Err(unreadable) => return tell(&path.display().to_string(), &[unreadable], args, out),
    };
    let kind = file.kind(args.kind)?;
    let good = tell(&file.name, &kind.check(&file)?, args, out)?;
    if good && args.json {
        json_line(out, &json!({ "file": file.name, "kind": kind.name(), "ok": true }))?;
    } else if good {
        writeln!(out, "{}: ok ({})", file.name, kind.title())?;
    }
    Ok(good)
}

/// Tells the problems of a file; are there none?
fn tell(file: &str, problems: &[Problem], args: &Args, out: &mut impl Write) -> Result<bool, Ended> {
    for problem in problems {
        if args.json {
            json_line(out, &Line { file, problem })?;
        } else {
            writeln!(out, "{}", problem.sentence(file))?;
        }
    }
    Ok(problems.is_empty())
}
