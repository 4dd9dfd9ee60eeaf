//! An alert is an episode: one open alert for each patient and family of rules, from its first finding to its closing with a reason.
//!
//! Red latches until a person closes it. Yellow may ease by itself after k normal readings. A worse value un-acknowledges. Acknowledging is
//! not resolving.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vitals::PatientId;

use crate::{Finding, Mark};

/// An alert's id: derived from patient, family and what opened it, so that a replay gives the same.
pub type AlertId = Uuid;

/// One episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Whose.
    pub patient: PatientId,
    /// The family of rules, e.g. `copd` or `missing`.
    pub family: String,
    /// Where it stands.
    pub state: State,
    /// The worst mark of the episode: it never falls while the alert is open.
    pub mark: Mark,
    /// The worst mark of what each rule found last.
    pub now_mark: Mark,
    /// When it was raised, or last became worse: since when somebody is waited for. The core's time.
    pub waiting_since: Timestamp,
    /// When it was raised. The core's time.
    pub raised_at: Timestamp,
    /// When it last changed. The core's time.
    pub changed_at: Timestamp,
    /// What made it as bad as it is arrived late: true then, not news now.
    pub late: bool,
    /// What made it as bad as it is is doubtful, and another measurement has been asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub provisional: bool,
    /// How many findings above green have fed it: each rule and time once.
    pub count: u32,
    /// Normal sittings in a row, towards easing.
    pub normal_in_row: u32,
    /// When that was measured which was counted last: what was taken together counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal_at: Option<Timestamp>,
    /// The last finding of each rule that ever fed it, and the last late one, worst first.
    pub findings: Vec<Arc<Finding>>,
    /// What fed it and rested on a reading that was declared invalid since: it counts for nothing any longer, and tells why somebody was called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<Arc<Finding>>,
    /// Grows by one with every change; an action names the version it was decided on.
    pub version: u32,
    /// The version of the last change that an action must have seen: raised, worse, of something new, confirmed, or a person's own action. Repeated and better readings
    /// don't count: a nurse is not refused because a green reading came while she read.
    #[serde(default)]
    pub must_have_seen: u32,
}

impl Alert {
    /// Everything that fed it, worst first, what was withdrawn since after the rest.
    pub fn ever_found(&self) -> impl Iterator<Item = &Finding> + Clone {
        self.findings.iter().chain(&self.withdrawn).map(AsRef::as_ref)
    }
}

/// Where an alert stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nobody has taken it.
    Open,
    /// Somebody has.
    Acknowledged {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// It was yellow or blue and passed by itself.
    Eased {
        /// When.
        at: Timestamp,
    },
    /// A person closed it.
    Closed {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
        /// Why.
        reason: CloseReason,
        /// In their words.
        note: String,
    },
}

impl State {
    /// Is it still waiting for somebody (open or acknowledged)?
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Acknowledged { .. })
    }
}

/// Why a person closed an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum CloseReason {
    Advice,
    MedicineChanged,
    AcuteNurseSent,
    Admitted,
    FalseAlarm,
    Technical,
    Other,
}

impl CloseReason {
    /// Every reason, in the order in which a page offers them.
    pub const ALL: [Self; 7] = [
        Self::Advice,
        Self::MedicineChanged,
        Self::AcuteNurseSent,
        Self::Admitted,
        Self::FalseAlarm,
        Self::Technical,
        Self::Other,
    ];
}

/// An alert after a change, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertChange {
    /// The alert as it is now.
    pub alert: Alert,
    /// What happened to it.
    pub event: AlertEvent,
}

/// One line of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// What.
    pub kind: EventKind,
    /// When. The core's time.
    pub at: Timestamp,
    /// Who, for a person's action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The alert's mark after it.
    pub mark: Mark,
    /// In words: the finding's why, or the closing's reason and note.
    pub text: String,
}

/// What can happen to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum EventKind {
    Raised,
    Worsened,
    /// As bad as it has been, but of something that whoever has taken it can't have seen: it waits anew.
    Reopened,
    Repeated,
    Improved,
    Eased,
    Acknowledged,
    Closed,
    /// What was doubtful has been measured again, and is so.
    Confirmed,
    /// What was doubtful has been measured again, and is not so.
    NotConfirmed,
    /// What it rested on has been declared invalid.
    Withdrawn,
}

/// What a person may do to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Take it.
    Acknowledge,
    /// End it.
    Close {
        /// Why.
        reason: CloseReason,
        /// In their words.
        #[serde(default)]
        note: String,
    },
}

/// An action that can't be done, in words for the person who tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// It is already closed or eased.
    #[error("the alert is already {0}")]
    AlreadyEnded(&'static str),
    /// Somebody else has taken it.
    #[error("the alert has already been taken by {by}")]
    TakenBy {
        /// Who.
        by: String,
    },
    /// The note is longer than anybody reads.
    #[error("the note has {found} characters, at most {limit} are kept")]
    NoteTooLong {
        /// Its characters.
        found: usize,
        /// [`Alert::NOTE_CHARS_MAX`].
        limit: usize,
    },
    /// It became worse, or somebody acted, since the page was read.
    #[error("the alert has changed since you looked: version {found}, you saw {seen}")]
    Changed {
        /// The alert's version.
        found: u32,
        /// The version that the person saw.
        seen: u32,
    },
}
