//! One patient, watched by two programmes at once: what happened goes to both alike.

use jiff::Timestamp;
use store::PatientOutcome;
use triage::{CloseReason, Mark, Plan, Sitting};

use super::{episode::Episode, quiet, side::Side};

/// The most outcomes, and the most closings, that are kept of one patient.
pub const TOLD_MAX: usize = 4096;

/// Something that was recorded of a patient beside the messages.
#[derive(Clone, Debug)]
pub enum Note {
    /// A nurse closed an alert.
    Closed(Closing),
    /// Somebody recorded that the patient had become worse, at this time.
    Outcome(Timestamp, PatientOutcome),
    /// The patient's kit has been silent since then, or is there again.
    Kit(Option<Timestamp>),
}

/// A nurse closed the clinic's own alert.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Of which family.
    pub family: Box<str>,
    /// How bad it had been.
    pub mark: Mark,
    /// When it had been raised.
    pub raised_at: Timestamp,
    /// When it was closed.
    pub at: Timestamp,
    /// Why.
    pub reason: CloseReason,
}

/// A patient and both sides.
pub struct Pair {
    active: Side,
    proposed: Side,
    told: Told,
}

/// What was recorded of a patient beside the messages.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What became of the patient: of events alone.
    pub outcomes: Vec<(Timestamp, PatientOutcome)>,
    /// What nurses closed.
    pub closings: Vec<Closing>,
    /// Messages.
    pub messages: u64,
    /// Readings.
    pub readings: u64,
}

/// What both sides made of a patient.
pub struct Watched {
    /// The active programme's episodes.
    pub active: Vec<Episode>,
    /// The proposed programme's.
    pub proposed: Vec<Episode>,
    /// Episodes of either that were too many to keep.
    pub dropped: u64,
    /// What was recorded meanwhile.
    pub told: Told,
}

impl Pair {
    /// Begins to watch.
    #[must_use]
    pub fn new(active: Plan, proposed: Plan, since: Timestamp) -> Self {
        Self { active: Side::new(active, since), proposed: Side::new(proposed, since), told: Told::default() }
    }

    /// Since when the patient is watched at all.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.active.plan().since()
    }

    /// A message was recorded at `now`.
    pub fn sitting(&mut self, sitting: Sitting<'_>, now: Timestamp) {
        self.told.messages += 1;
        self.told.readings += sitting.readings.len() as u64;
        let (active, proposed) = (self.active.sitting(sitting, now), self.proposed.sitting(sitting, now));
        self.explain(&active, &proposed);
    }

    /// Something else was recorded at `at`.
    pub fn note(&mut self, note: Note, at: Timestamp) {
        match note {
            Note::Closed(closing) => self.closed(closing, at),
            Note::Outcome(_, PatientOutcome::Other) => {}
            Note::Outcome(then, outcome) if self.told.outcomes.len() < TOLD_MAX => {
                self.told.outcomes.push((then, outcome));
            }
            Note::Outcome(..) => {}
            Note::Kit(silent_since) => {
                let (active, proposed) = (self.active.kit(silent_since, at), self.proposed.kit(silent_since, at));
                self.explain(&active, &proposed);
            }
        }
    }

    fn closed(&mut self, closing: Closing, at: Timestamp) {
        self.tick(at);
        self.active.nurse_closed(&closing.family, at);
        self.proposed.nurse_closed(&closing.family, at);
        if self.told.closings.len() < TOLD_MAX {
            self.told.closings.push(closing);
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now: Timestamp) {
        let (active, proposed) = (self.active.tick(now), self.proposed.tick(now));
        self.explain(&active, &proposed);
    }

    /// The history is over, at `until`.
    #[must_use]
    pub fn end(mut self, until: Timestamp) -> Watched {
        self.tick(until);
        let ((mut active, dropped), (mut proposed, more)) =
            (self.active.into_episodes(), self.proposed.into_episodes());
        for episode in active.iter_mut().chain(&mut proposed) {
            episode.closed_as = closed_as(episode, &self.told.closings);
        }
        Watched { active, proposed, dropped: dropped + more, told: self.told }
    }

    /// Notes of news on one side why the other has none.
    fn explain(&mut self, active: &[usize], proposed: &[usize]) {
        active.iter().for_each(|at| note_quiet(&mut self.active, *at, &self.proposed));
        proposed.iter().for_each(|at| note_quiet(&mut self.proposed, *at, &self.active));
    }
}

fn note_quiet(side: &mut Side, at: usize, other: &Side) {
    let Episode { family, rule, mark, raised_at, red_at, .. } = &side.episodes()[at];
    if other.open_mark(family).is_none_or(|open| open < *mark) {
        let why = quiet::why(other, rule, side.vital_of(at), red_at.unwrap_or(*raised_at));
        side.episode_mut(at).quiet = Some(why.into());
    }
}

/// The reason of the last closing of the same family while the episode was open.
fn closed_as(episode: &Episode, closings: &[Closing]) -> Option<CloseReason> {
    let same = |closing: &&Closing| {
        *closing.family == *episode.family && episode.is_open_between(closing.raised_at, closing.at)
    };
    closings.iter().rfind(same).map(|closing| closing.reason)
}
