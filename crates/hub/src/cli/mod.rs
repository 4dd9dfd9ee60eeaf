//! The command line: one file a command, each with `Args` (its help is its documentation) and `run(&Args) -> Result<(), Ended>`.
//!
//! A command is added in two lines of `main.rs`. Results go to standard output, one JSON value a line with `--json`; everything said to a
//! person on the way goes to standard error.

pub mod account;
pub mod backtest;
pub mod backup;
pub mod bench;
pub mod budget;
pub mod ca;
pub mod carry;
pub mod cohort;
pub mod config;
pub mod decode;
pub mod demo;
pub mod doctor;
pub mod drivers;
mod ended;
pub mod kit;
pub mod limits;
pub mod outcome;
mod person;
mod place;
pub mod programme;
pub mod quarantine;
pub mod reading;
pub mod replay;
pub mod report;
pub mod roster;
pub mod score;
mod secret;
pub mod serve;
pub mod shadow;
mod sibling;
mod since;
mod who;
pub mod why;

use std::{
    future::Future,
    io::{self, BufWriter, StdoutLock, Write},
};

pub use ended::Ended;
use serde::Serialize;

/// Standard output, buffered. Write with `writeln!(out, ..)?`: a reader that has gone away ends the command in silence.
#[must_use]
pub fn out() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Writes one value as one line of JSON.
///
/// # Errors
/// When the output can't be written.
pub fn json_line(out: &mut impl Write, value: &impl Serialize) -> Result<(), Ended> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// Runs an async command to its end.
///
/// # Errors
/// What the command ends with, or that no runtime could be started.
pub fn block_on(command: impl Future<Output = Result<(), Ended>>) -> Result<(), Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(command)
}
