//! Station mode: one kit for many people. Nothing is taken for anybody who has not been chosen, and nothing crosses over. Pure.

use jiff::{SignedDuration, Timestamp};
use vitals::PatientId;

/// People of one station.
pub const PERSONS_MAX: usize = 500;
/// Characters of a code.
pub const CODE_CHARS_MAX: usize = 64;
/// A turn ends after this long without anything, unless configured otherwise.
pub const TURN_IDLE: SignedDuration = SignedDuration::from_mins(5);

/// The people that the kit serves.
#[derive(Clone, Debug)]
pub struct Station {
    /// Everybody.
    pub persons: Vec<Member>,
    /// A turn ends after this long without anything.
    pub idle: SignedDuration,
}

/// Somebody who can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What is typed or scanned.
    pub code: String,
    /// Who it is.
    pub patient: PatientId,
    /// What the page calls them.
    pub name: String,
}

/// Somebody's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose.
    pub patient: PatientId,
    /// What the page calls them.
    pub name: String,
    /// Since when.
    pub began: Timestamp,
    /// When something last happened in it.
    pub touched: Timestamp,
    /// Its number since the start of the kit.
    pub number: u64,
}

impl Station {
    /// Who has this code. A scanner ends it with a line break, and letters are taken in either case.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<&Member> {
        let code = code.trim();
        let plausible = (1..=CODE_CHARS_MAX).contains(&code.chars().count());
        self.persons.iter().find(|member| plausible && member.code.to_lowercase() == code.to_lowercase())
    }

    /// Is this somebody of the station?
    #[must_use]
    pub fn knows(&self, patient: &PatientId) -> bool {
        self.persons.iter().any(|member| member.patient == *patient)
    }
}
