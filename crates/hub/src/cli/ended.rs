//! How a command ends when it doesn't succeed: the exit code is a contract, and so is the one sentence.

use std::{io, process::ExitCode};

use crate::standby::TakenOver;

/// A command's end, other than success.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was called in a way that makes no sense: exit code 2.
    Usage(String),
    /// It could not do what was asked: exit code 1.
    Failed(String),
    /// Another service has taken over what this one did: exit code 3.
    TakenOver(String),
    /// It could not do what was asked, and the output has said it already: exit code 1 without a sentence.
    Said,
    /// Whoever read the output has gone away: nothing more to do, exit code 0.
    Unread,
}

impl Ended {
    /// Says the sentence on standard error and gives the exit code.
    #[must_use]
    pub fn report(self) -> ExitCode {
        match self {
            Self::Usage(sentence) => Self::say(&sentence, 2),
            Self::Failed(sentence) => Self::say(&sentence, 1),
            Self::TakenOver(sentence) => Self::say(&sentence, 3),
            Self::Said => ExitCode::from(1),
            Self::Unread => ExitCode::SUCCESS,
        }
    }

    fn say(sentence: &str, code: u8) -> ExitCode {
        eprintln!("vagt: {sentence}");
        ExitCode::from(code)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Every cause, outermost first. One that repeats how the one before it ends is not said again: a database's errors do.
fn in_one_line(error: &anyhow::Error) -> String {
    let said = error.chain().map(ToString::to_string);
    let joined = |said: String, cause: String| if said.ends_with(&cause) { said } else { format!("{said}: {cause}") };
    said.reduce(joined).unwrap_or_default()
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        let sentence = in_one_line(&error);
        if error.is::<TakenOver>() { Self::TakenOver(sentence) } else { Self::Failed(sentence) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_causes_are_kept() {
        assert_eq!(Ended::from(io::Error::from(io::ErrorKind::BrokenPipe)), Ended::Unread);
        assert!(matches!(Ended::from(anyhow::Error::from(TakenOver)), Ended::TakenOver(_)));
        let error = anyhow::anyhow!("no such file").context("programme.toml");
        assert_eq!(Ended::from(error), Ended::Failed("programme.toml: no such file".into()));
    }

    #[test]
    fn what_a_database_says_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("database: {0}")]
        struct Refused(#[source] io::Error);
        let twice = anyhow::Error::from(Refused(io::Error::other("permission denied"))).context("vagt.db");
        assert_eq!(format!("{twice:#}"), "vagt.db: database: permission denied: permission denied");
        assert_eq!(Ended::from(twice), Ended::Failed("vagt.db: database: permission denied".into()));
    }
}
