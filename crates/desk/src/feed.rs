//! What changed lately, numbered: a ring that every open page reads at its own pace.
//!
//! Nothing is queued for a page. A page has a cursor; one that falls out of the ring is told to load again. So memory is bounded by the ring,
//! however many pages there are and however slow.

use std::{collections::VecDeque, time::Instant};

use jiff::Timestamp;
use serde::Serialize;
use triage::{Alert, AlertId, Mark};
use vitals::{Colour, PatientId};

/// Changes kept for pages that come back.
pub const FEED_CHANGES_MAX: usize = 4096;
/// Changes handed to a page at a time.
pub const FEED_READ_CHANGES_MAX: usize = 256;
/// Room for so many changes a second between two starts, so that versions of a later run are larger than those of an earlier one.
const STEPS_PER_SECOND: u64 = 1 << 20;

/// One change of one alert, as the event stream carries it. No names, no values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Which alert.
    pub id: AlertId,
    /// Whose.
    pub patient: PatientId,
    /// The family of rules.
    pub family: String,
    /// The alert's worst mark.
    pub mark: Mark,
    /// `open`, `acknowledged`, `eased` or `closed`.
    pub state: &'static str,
    /// The alert's version.
    pub version: u32,
    /// How often a finding has fed it.
    pub count: u32,
    /// When it changed.
    pub changed_at: Timestamp,
}

/// A synthetic reading came out at the end of the way that every reading goes: taken in, judged, stored, shown. It is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pulse {
    /// The number of its message.
    pub seq: u64,
    /// How it was judged.
    pub colour: Colour,
    /// When it was recorded.
    pub at: Timestamp,
}

/// What a change is of.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An alert.
    Alert(Line),
    /// The heartbeat.
    Pulse(Pulse),
}

/// One change with its number.
#[derive(Clone, Debug)]
pub struct Change {
    /// The board's version after it.
    pub at_version: u64,
    /// When the board had it.
    pub since: Instant,
    /// What changed.
    pub news: News,
}

/// What a cursor finds.
#[derive(Debug)]
pub enum Read {
    /// These, oldest first; none when nothing is new.
    Lines(Vec<Change>),
    /// The cursor is of another run, or so far behind that changes are missing: load again, and go on from this version.
    Resync(u64),
}

/// The ring.
#[derive(Debug)]
pub struct Feed {
    version: u64,
    lines: VecDeque<Change>,
}

impl Feed {
    /// An empty ring. Its first version is made of the time, so that a cursor of an earlier run is never taken for one of this.
    pub fn new(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        Self { version: seconds * STEPS_PER_SECOND, lines: VecDeque::new() }
    }

    /// The version after the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Adds a change of an alert, one version on.
    pub fn push(&mut self, alert: &Alert) {
        self.add(News::Alert(line(alert)));
    }

    /// Adds a heartbeat, one version on.
    pub fn pulse(&mut self, pulse: Pulse) {
        self.add(News::Pulse(pulse));
    }

    /// Forgets what changed, one version on: every cursor has to load again.
    pub fn forget(&mut self) {
        self.version += 1;
        self.lines.clear();
    }

    fn add(&mut self, news: News) {
        self.version += 1;
        if self.lines.len() == FEED_CHANGES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(Change { at_version: self.version, since: Instant::now(), news });
    }

    /// What came after `cursor`.
    pub fn after(&self, cursor: u64) -> Read {
        let oldest = self.version - self.lines.len() as u64;
        if cursor < oldest || cursor > self.version {
            return Read::Resync(self.version);
        }
        let skip = usize::try_from(cursor - oldest).expect("at most the ring's length");
        Read::Lines(self.lines.iter().skip(skip).take(FEED_READ_CHANGES_MAX).cloned().collect())
    }
}

fn line(alert: &Alert) -> Line {
    Line {
        id: alert.id,
        patient: alert.patient.clone(),
        family: alert.family.clone(),
        mark: alert.mark,
        state: state_name(&alert.state),
        version: alert.version,
        count: alert.count,
        changed_at: alert.changed_at,
    }
}

/// The state's name on the wire.
pub(crate) fn state_name(state: &triage::State) -> &'static str {
    match state {
        triage::State::Open => "open",
        triage::State::Acknowledged { .. } => "acknowledged",
        triage::State::Eased { .. } => "eased",
        triage::State::Closed { .. } => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::alert;

    fn feed(changes: usize) -> (Feed, u64) {
        let mut feed = Feed::new(Timestamp::from_second(1_000).unwrap());
        let start = feed.version();
        let alert = alert("p-1", Mark::Red, 1);
        (0..changes).for_each(|_| feed.push(&alert));
        (feed, start)
    }

    #[track_caller]
    fn check(feed: &Feed, cursor: u64, wanted: Result<(u64, usize), u64>) {
        match (feed.after(cursor), wanted) {
            (Read::Lines(lines), Ok((first, count))) => {
                assert_eq!(lines.len(), count);
                assert!(lines.first().is_none_or(|line| line.at_version == first));
            }
            (Read::Resync(to), Err(wanted)) => assert_eq!(to, wanted),
            (got, wanted) => panic!("got {got:?}, wanted {wanted:?}"),
        }
    }

    #[test]
    fn a_cursor_gets_what_came_after_it() {
        let (feed, start) = feed(3);
        check(&feed, start, Ok((start + 1, 3)));
        check(&feed, start + 2, Ok((start + 3, 1)));
        check(&feed, start + 3, Ok((0, 0)));
    }

    #[test]
    fn a_cursor_of_another_run_or_too_far_behind_is_told_to_load_again() {
        let (feed, start) = feed(FEED_CHANGES_MAX + 10);
        let end = start + FEED_CHANGES_MAX as u64 + 10;
        check(&feed, 7, Err(end));
        check(&feed, start + 9, Err(end));
        check(&feed, start + 10, Ok((start + 11, FEED_READ_CHANGES_MAX)));
        check(&feed, end + 1, Err(end));
    }
}
