//! Who may do what. Everybody who is signed in reads, handles alerts, records what became of a patient, and declares readings invalid.
//!
//! | role | may also |
//! | --- | --- |
//! | `nurse` | pauses (a holiday, a stay in hospital) |
//! | `doctor` | the same, and a patient's own limits, reference values and oxygen |
//! | `operator`, `admin` | the same, and propose, activate, reject and roll back programmes, run them in the shadow, ask the history |
//!
//! That proposing and activating want two people is decided where it is done, in the service.

use axum::http::StatusCode;

use crate::{problem::Problem, session::Session};

/// Something that not everybody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Set a patient's own limits.
    SetLimits,
    /// Decide about programmes, and ask the history.
    Tune,
}

impl Right {
    /// The roles that have it.
    fn roles(self) -> &'static [&'static str] {
        match self {
            Self::SetLimits => &["doctor", "operator", "admin"],
            Self::Tune => &["operator", "admin"],
        }
    }

    /// Has this person it?
    pub fn has(self, session: &Session) -> bool {
        self.roles().contains(&session.role.as_str())
    }

    /// Refuses who has it not.
    pub fn check(self, session: &Session) -> Result<(), Problem> {
        if self.has(session) {
            return Ok(());
        }
        let (user, role, roles) = (&session.user, &session.role, self.roles().join(" or "));
        Err(Problem::new(StatusCode::FORBIDDEN, format!("{user} is signed in as {role}, want {roles}")))
    }
}
