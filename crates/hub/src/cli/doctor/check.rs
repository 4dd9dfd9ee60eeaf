//! One line of the doctor's: what was looked at, what was found, what to do.

use std::io::Write;

use serde::Serialize;

use crate::cli::{Ended, json_line};

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// The service runs, but somebody should look.
    Warn,
    /// The service can't run, or not rightly.
    Fail,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), todo: None }
    }

    /// Somebody should look.
    pub fn warn(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Warn, found: found.into(), todo: Some(todo.into()) }
    }

    /// The service can't run, or not rightly.
    pub fn fail(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Fail, found: found.into(), todo: Some(todo.into()) }
    }

    /// Prints the line.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn print(&self, out: &mut impl Write, json: bool) -> Result<(), Ended> {
        if json {
            return json_line(out, self);
        }
        let state = match self.state {
            State::Ok => "ok  ",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        let todo = self.todo.as_ref().map(|todo| format!(" -> {todo}")).unwrap_or_default();
        Ok(writeln!(out, "{state}  {:<12} {}{todo}", self.check, self.found)?)
    }
}
