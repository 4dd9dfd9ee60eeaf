//! Which version of each programme is in use, which are to be, and which were: read from the journal. Pure.
//!
//! A decision that was taken later stands before one that was taken earlier: who activates a version, or goes back to one, takes back what was
//! planned for later and is not in use yet. Several plans for later are never open at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use store::{Journal, JournalEntry};

/// One version in use, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Use {
    /// Which version.
    pub version: u32,
    /// In force from then on.
    pub from: Timestamp,
    /// Who activated it; nobody where it was the first and came as a file.
    pub by: Option<String>,
    /// Who had proposed it.
    pub proposed_by: String,
    /// Why.
    pub reason: String,
    /// Is it the return to a version that was in use before?
    pub rollback: bool,
    /// When it was decided.
    pub decided_at: Timestamp,
}

/// One programme's versions at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Those that were in use, oldest first; the last is in use.
    pub used: Vec<Use>,
    /// What comes next, if that is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Use>,
    /// Versions that were turned down.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub rejected: BTreeSet<u32>,
}

/// Names of the entries that this reads, for asking a store.
pub const ENTRIES: [&str; 2] = ["programme_activated", "programme_rejected"];

impl Standing {
    /// The version in use.
    #[must_use]
    pub fn in_use(&self) -> Option<&Use> {
        self.used.last()
    }

    /// The version that was in use before the one that is. One that was turned down since is no way back, nor is one that somebody went back
    /// from: it takes two people to use it again.
    #[must_use]
    pub fn before(&self) -> Option<&Use> {
        let (now, left) = (self.in_use()?.version, self.left());
        let is_open = |used: &&Use| {
            used.version != now && !self.rejected.contains(&used.version) && !left.contains(&used.version)
        };
        self.used.iter().rev().find(is_open)
    }

    /// Versions that somebody went back from and nobody has activated since.
    #[must_use]
    pub fn left(&self) -> BTreeSet<u32> {
        let mut left = BTreeSet::new();
        let mut before = None;
        for used in &self.used {
            match before.filter(|before| used.rollback && *before != used.version) {
                Some(before) => left.insert(before),
                None => left.remove(&used.version),
            };
            before = Some(used.version);
        }
        left
    }

    /// Takes in what has come into force by `now`.
    fn settle(&mut self, now: Timestamp) {
        if let Some(due) = self.planned.take_if(|planned| planned.from <= now) {
            self.used.push(due);
        }
    }
}

/// How each programme stands at `now`, from the journal, oldest first.
#[must_use]
pub fn standing(journal: &[JournalEntry], now: Timestamp) -> BTreeMap<String, Standing> {
    let mut all: BTreeMap<String, Standing> = BTreeMap::new();
    for entry in journal {
        match &entry.what {
            Journal::ProgrammeActivated { programme, version, from, proposed_by, reason, rollback } => {
                let standing = all.entry(programme.clone()).or_default();
                standing.settle(entry.at);
                let (from, by, reason) = ((*from).max(entry.at), entry.by.clone(), reason.clone());
                let (version, proposed_by, rollback) = (*version, proposed_by.clone(), *rollback);
                standing.planned = Some(Use { version, from, by, proposed_by, reason, rollback, decided_at: entry.at });
                standing.settle(entry.at);
            }
            Journal::ProgrammeRejected { programme, version, .. } => {
                let standing = all.entry(programme.clone()).or_default();
                standing.settle(entry.at);
                standing.rejected.insert(*version);
                standing.planned.take_if(|planned| planned.version == *version);
            }
            _ => {}
        }
    }
    all.values_mut().for_each(|standing| standing.settle(now));
    all
}

/// The version of each programme that is in use at `now`.
#[must_use]
pub fn in_use(standing: &BTreeMap<String, Standing>) -> BTreeMap<String, u32> {
    let used = |(id, standing): (&String, &Standing)| Some((id.clone(), standing.in_use()?.version));
    standing.iter().filter_map(used).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn activated(day: i64, version: u32, from: i64) -> JournalEntry {
        let (proposed_by, reason) = ("ane".to_owned(), "fewer false yellows".to_owned());
        let from = at(from);
        let what = Journal::ProgrammeActivated {
            programme: "copd".into(),
            version,
            from,
            proposed_by,
            reason,
            rollback: false,
        };
        JournalEntry { at: at(day), by: Some("bo".into()), patient: None, what }
    }

    fn rejected(day: i64, version: u32) -> JournalEntry {
        let what = Journal::ProgrammeRejected { programme: "copd".into(), version, reason: "too late".into() };
        JournalEntry { at: at(day), by: Some("bo".into()), patient: None, what }
    }

    /// In use, before, planned.
    #[track_caller]
    fn stands(journal: &[JournalEntry], day: i64, wanted: (Option<u32>, Option<u32>, Option<u32>)) {
        let all = standing(journal, at(day));
        let copd = all.get("copd").cloned().unwrap_or_default();
        let version = |used: Option<&Use>| used.map(|used| used.version);
        assert_eq!((version(copd.in_use()), version(copd.before()), version(copd.planned.as_ref())), wanted);
    }

    fn went_back(day: i64, version: u32) -> JournalEntry {
        let mut entry = activated(day, version, day);
        if let Journal::ProgrammeActivated { rollback, .. } = &mut entry.what {
            *rollback = true;
        }
        entry
    }

    #[test]
    fn what_somebody_went_back_from_is_no_way_back_until_it_is_activated_again() {
        let back = [activated(1, 1, 1), activated(2, 2, 2), activated(3, 3, 3), went_back(4, 2)];
        stands(&back, 9, (Some(2), Some(1), None));
        let twice = [&back[..], &[went_back(5, 1)]].concat();
        stands(&twice, 9, (Some(1), None, None));
        let anew = [&twice[..], &[activated(6, 3, 6), activated(7, 4, 7)]].concat();
        stands(&anew, 9, (Some(4), Some(3), None));
    }

    #[test]
    fn what_is_decided_later_takes_back_what_was_planned() {
        stands(&[], 9, (None, None, None));
        let first = [activated(1, 3, 1), activated(2, 4, 5)];
        stands(&first, 4, (Some(3), None, Some(4)));
        stands(&first, 5, (Some(4), Some(3), None));
        let taken_back = [activated(1, 3, 1), activated(2, 4, 5), activated(3, 5, 3)];
        stands(&taken_back, 9, (Some(5), Some(3), None));
        let too_late = [activated(1, 3, 1), activated(2, 4, 5), activated(6, 3, 6)];
        stands(&too_late, 9, (Some(3), Some(4), None));
        stands(&[activated(1, 3, 1), activated(2, 4, 5), rejected(3, 4)], 9, (Some(3), None, None));
        stands(&[activated(1, 3, 1), activated(2, 4, 5), rejected(6, 4)], 9, (Some(4), Some(3), None));
        stands(&[activated(2, 4, 1)], 2, (Some(4), None, None));
        let turned_down = [activated(1, 3, 1), activated(2, 4, 2), activated(3, 5, 3), rejected(4, 4)];
        stands(&turned_down, 9, (Some(5), Some(3), None));
    }
}
