//! Measurements that are not sent before somebody has said whose they are. Kept over restarts and kills. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vitals::Reading;

use super::{Doubt, Who, trace::shown, view::Shown};
use crate::spool::SeenKey;

/// Measurements that are held, at most. Over it, the oldest goes as if nobody had answered.
pub const HELD_MAX: usize = 64;
/// Without an answer for this long, a doubted measurement is sent, marked.
pub const ANSWER_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// At a station, a measurement that nobody claims for this long is given up: it may be anybody's.
pub const CLAIM_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// A reading, and how it is known again when the device sends it again.
pub type Keyed = (Reading, Option<SeenKey>);

/// Readings of one device, taken together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its number on this kit.
    pub id: u64,
    /// Whose it is if nobody says otherwise; at a station `None` for nobody's.
    pub who: Who,
    /// What was measured.
    pub readings: Vec<Keyed>,
    /// Why it is held.
    pub why: Doubt,
    /// When it came.
    pub since: Timestamp,
    /// At a station: who has said that it is not theirs.
    #[serde(default)]
    pub not_of: Vec<Who>,
}

impl Held {
    /// Does it wait to be claimed at a station, rather than for a yes or no?
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        matches!(self.why, Doubt::Nobody | Doubt::OtherTurn)
    }

    /// Nobody has answered in time.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        let within = if self.is_nobodys() { CLAIM_WITHIN } else { ANSWER_WITHIN };
        now.duration_since(self.since) >= within
    }

    /// Is this person to be asked?
    #[must_use]
    pub fn asks(&self, who: &Who) -> bool {
        let theirs = if self.is_nobodys() { who.is_some() } else { self.who == *who };
        theirs && !self.not_of.contains(who)
    }

    /// The values, for the page: those of the first moment.
    #[must_use]
    pub fn values(&self) -> Vec<Shown> {
        let first = self.at();
        self.readings
            .iter()
            .filter(|(reading, _)| reading.measured_at == first)
            .map(|(reading, _)| shown(reading))
            .collect()
    }

    /// When it was measured.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.readings.first().map_or(self.since, |(reading, _)| reading.measured_at)
    }
}
