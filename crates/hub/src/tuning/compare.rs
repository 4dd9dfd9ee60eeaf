//! One patient's alerts under both programmes, laid beside each other: which are the same, which are lost, which are gained.
//!
//! Two alerts are the same if they are of the same family (or, where the other programme has no such family, of the same kind: illness, missing)
//! and were open at the same time; or, where neither was open together with another one, within [`NEAR`] of each other. What the active programme
//! raises alone is lost, what the proposed one raises alone is gained; where both raise it and the worst marks differ, it is milder or worse.
//!
//! An alert that both raise may be raised at other times, and so foretell an event on one side alone: every event that one side alone foretells has
//! a line of its own, if none of the alerts that differ is it.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use store::PatientOutcome;
use triage::Mark;
use vitals::PatientId;

use super::{
    agreement::{Raise, Window, tidy},
    episode::{Episode, EpisodeView, Kind},
    pair::Told,
};

/// Alerts that are so close are the same: the clinic's own default.
pub const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// How an alert differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The active programme raises it, the proposed one does not.
    Lost,
    /// Both, and the proposed one as something milder.
    Milder,
    /// The active programme alone raises it in time for an event.
    Missed,
    /// The proposed programme raises it, the active one does not.
    Gained,
    /// Both, and the proposed one as something worse.
    Worse,
    /// The proposed programme alone raises it in time for an event.
    Foreseen,
}

impl Change {
    /// Is the active programme the louder one?
    fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Milder | Self::Missed)
    }

    /// Do the alerts themselves differ, and not when they were raised alone?
    #[must_use]
    pub fn is_of_alerts(self) -> bool {
        !matches!(self, Self::Missed | Self::Foreseen)
    }
}

/// One difference, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Whose.
    pub patient: PatientId,
    /// How it differs.
    pub change: Change,
    /// The outcome that it would have foretold, and how many days before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Foretold>,
    /// The active programme's alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<EpisodeView>,
    /// The proposed programme's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed: Option<EpisodeView>,
    /// What the quieter side said then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<String>,
    /// Is it about an event that one side alone foretells?
    pub decides_event: bool,
    /// How bad: for the order, larger first.
    #[serde(skip)]
    pub weight: Weight,
}

/// The order of differences: worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight {
    decides_event: bool,
    lost: bool,
    before_event: bool,
    mark: Mark,
    change: Reverse<Change>,
    at: Timestamp,
}

/// An outcome, and how long before it an alert was raised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Foretold {
    /// Which outcome.
    pub outcome: PatientOutcome,
    /// When it happened.
    pub at: Timestamp,
    /// Days from the alert until then.
    pub days: f64,
}

/// From when until when is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From here on (included).
    pub since: Timestamp,
    /// Until here (excluded).
    pub until: Timestamp,
}

impl Span {
    /// Does it lie within?
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }
}

/// The alerts of one side as they count for agreement.
#[must_use]
pub fn raises(episodes: &[Episode], span: &Span) -> Vec<Raise> {
    let illness = episodes.iter().filter(|episode| episode.kind() == Kind::Illness && episode.raised_at < span.until);
    illness
        .map(|episode| Raise { at: episode.raised_at, red_at: episode.red_at, counts: span.holds(episode.raised_at) })
        .collect()
}

/// The events of a patient: the outcomes within the span, merged.
#[must_use]
pub fn events(told: &Told, span: &Span, window: &Window) -> Vec<Timestamp> {
    let all: Vec<Timestamp> = told.outcomes.iter().map(|(at, _)| *at).collect();
    let mut events = window.events(&all);
    events.retain(|event| span.holds(*event));
    events
}

/// What both sides made of one patient, and how they were looked at.
pub struct Both<'a> {
    /// Whose.
    pub patient: &'a PatientId,
    /// The active programme's episodes.
    pub active: &'a [Episode],
    /// The proposed one's.
    pub proposed: &'a [Episode],
    /// What was recorded.
    pub told: &'a Told,
    /// The time looked at.
    pub span: Span,
    /// What belongs to an event.
    pub window: Window,
}

impl Both<'_> {
    /// Every difference in the time looked at, in no order.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let decided = self.decided();
        let mut differences = self.of_alerts(&decided);
        let is_told = |event: Timestamp| differences.iter().any(|difference| self.is_of(difference, event));
        let untold: Vec<Timestamp> = decided.into_iter().filter(|event| !is_told(*event)).collect();
        differences.extend(untold.into_iter().filter_map(|event| self.of_event(event)));
        differences
    }

    fn of_alerts(&self, decided: &[Timestamp]) -> Vec<Difference> {
        let mut differences = Vec::new();
        for active in self.looked_at(self.active) {
            let others = same(active, self.active, self.proposed);
            // One of them is as bad: that is the same alert, whatever else came near it.
            if others.iter().any(|proposed| proposed.mark == active.mark) {
                continue;
            }
            let other = others.into_iter().max_by_key(|proposed| proposed.mark);
            let as_bad = |proposed: &Episode| {
                same(proposed, self.proposed, self.active).iter().any(|own| own.mark >= proposed.mark)
            };
            let change = match other {
                None => Change::Lost,
                Some(proposed) if proposed.mark < active.mark => Change::Milder,
                // The active one was as bad in another alert, and the proposed one has both in one: nothing is worse.
                Some(proposed) if as_bad(proposed) => continue,
                Some(_) => Change::Worse,
            };
            differences.push(self.difference(change, Some(active), other, decided));
        }
        for proposed in self.looked_at(self.proposed) {
            if same(proposed, self.proposed, self.active).is_empty() {
                differences.push(self.difference(Change::Gained, None, Some(proposed), decided));
            }
        }
        differences
    }

    /// The line of an event that one side alone foretells: its first alert that does, and what the other side has of it.
    fn of_event(&self, event: Timestamp) -> Option<Difference> {
        let one = |change, teller, own, others| {
            let other = same(teller, own, others).into_iter().min_by_key(|other| other.raised_at);
            let (active, proposed) = match change {
                Change::Missed => (Some(teller), other),
                _ => (other, Some(teller)),
            };
            let told = self.difference(change, active, proposed, &[event]);
            let quiet = other.map(|other| self.untimely(other)).or_else(|| told.quiet.clone());
            Difference { quiet, ..told }
        };
        match (self.teller(self.active, event), self.teller(self.proposed, event)) {
            (Some(active), None) => Some(one(Change::Missed, active, self.active, self.proposed)),
            (None, Some(proposed)) => Some(one(Change::Foreseen, proposed, self.proposed, self.active)),
            _ => None,
        }
    }

    /// The first alert that foretells an event.
    fn teller<'e>(&self, episodes: &'e [Episode], event: Timestamp) -> Option<&'e Episode> {
        let illness = episodes.iter().filter(|one| one.kind() == Kind::Illness && one.raised_at < self.span.until);
        illness.filter(|one| raise_of(one).foretells(event, &self.window).is_some()).min_by_key(|one| one.raised_at)
    }

    /// Why an alert that is there does not foretell what the other side's does.
    fn untimely(&self, other: &Episode) -> String {
        let days = |length: SignedDuration| tidy(length.as_secs_f64() / 86_400.0);
        format!(
            "has an alert then, raised {}: not between {} days before the event and {} after it",
            other.raised_at.strftime("%F %H:%M UTC"),
            days(self.window.lead),
            days(self.window.after)
        )
    }

    /// Is it about this event?
    fn is_of(&self, difference: &Difference, event: Timestamp) -> bool {
        let louder = if difference.change.is_loss() { &difference.active } else { &difference.proposed };
        let raise = |view: &EpisodeView| Raise { at: view.raised_at, red_at: view.red_at, counts: true };
        let tells = |view| raise(view).foretells(event, &self.window).is_some();
        difference.decides_event && louder.as_ref().is_some_and(tells)
    }

    fn looked_at<'e>(&self, episodes: &'e [Episode]) -> impl Iterator<Item = &'e Episode> {
        let span = self.span;
        episodes.iter().filter(move |episode| span.holds(episode.raised_at) && episode.kind() != Kind::Call)
    }

    /// Events that one side alone foretells.
    fn decided(&self) -> Vec<Timestamp> {
        let (active, proposed) = (raises(self.active, &self.span), raises(self.proposed, &self.span));
        let told = |raises: &[Raise], event| raises.iter().any(|raise| raise.foretells(event, &self.window).is_some());
        let mut events = events(self.told, &self.span, &self.window);
        events.retain(|event| told(&active, *event) != told(&proposed, *event));
        events
    }

    fn difference(
        &self,
        change: Change,
        active: Option<&Episode>,
        proposed: Option<&Episode>,
        decided: &[Timestamp],
    ) -> Difference {
        let louder = if change.is_loss() { active } else { proposed };
        let louder =
            louder.expect("a lost or milder alert is the active one's, a gained or worse one the proposed one's");
        let before = self.foretold(louder);
        let at_event = |event: &Timestamp| raise_of(louder).foretells(*event, &self.window).is_some();
        let decides_event = louder.kind() == Kind::Illness && decided.iter().any(at_event);
        let weight = Weight {
            decides_event,
            lost: change.is_loss(),
            before_event: before.is_some(),
            mark: louder.mark,
            change: Reverse(change),
            at: louder.raised_at,
        };
        Difference {
            patient: self.patient.clone(),
            change,
            before,
            active: active.map(EpisodeView::from),
            proposed: proposed.map(EpisodeView::from),
            quiet: louder.quiet.as_ref().map(ToString::to_string),
            decides_event,
            weight,
        }
    }

    /// The first outcome that the episode belongs to.
    fn foretold(&self, episode: &Episode) -> Option<Foretold> {
        if episode.kind() != Kind::Illness {
            return None;
        }
        let raise = raise_of(episode);
        let mut outcomes = self.told.outcomes.clone();
        outcomes.sort_unstable();
        outcomes.into_iter().find_map(|(at, outcome)| {
            let raised = raise.foretells(at, &self.window)?;
            let days = tidy(at.duration_since(raised).as_secs_f64() / 86_400.0);
            Some(Foretold { outcome, at, days })
        })
    }
}

fn raise_of(episode: &Episode) -> Raise {
    Raise { at: episode.raised_at, red_at: episode.red_at, counts: true }
}

/// The other side's alerts that are the same as `one`, which is of `own`: those open at the same time; else those near it that are the same as
/// nothing else of `own`.
fn same<'e>(one: &Episode, own: &[Episode], others: &'e [Episode]) -> Vec<&'e Episode> {
    let at_once: Vec<&Episode> = within(SignedDuration::ZERO, one, others).collect();
    if !at_once.is_empty() {
        return at_once;
    }
    let is_free = |other: &&Episode| within(SignedDuration::ZERO, other, own).next().is_none();
    within(NEAR, one, others).filter(is_free).collect()
}

/// The other side's alerts of the same family (of the same kind, where it has no such family) that were open so near to `one`.
fn within<'e>(near: SignedDuration, one: &Episode, others: &'e [Episode]) -> impl Iterator<Item = &'e Episode> {
    let from = one.raised_at.checked_sub(near).unwrap_or(Timestamp::MIN);
    let to = one.ended_at().unwrap_or(Timestamp::MAX).checked_add(near).unwrap_or(Timestamp::MAX);
    let is_known = others.iter().any(|other| other.family == one.family);
    others.iter().filter(move |other| {
        let is_alike = if is_known { other.family == one.family } else { other.kind() == one.kind() };
        is_alike && other.is_open_between(from, to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::episode::End;

    fn day(days: f64) -> Timestamp {
        Timestamp::from_second((days * 86_400.0) as i64).unwrap()
    }

    fn episode(mark: Mark, from: f64, to: f64) -> Episode {
        Episode {
            family: "copd".into(),
            rule: "spo2".into(),
            why: "SpO2".into(),
            mark,
            raised_at: day(from),
            red_at: (mark == Mark::Red).then(|| day(from)),
            ended: Some((day(to), End::Eased)),
            silence: false,
            late: false,
            quiet: Some("said nothing".into()),
            closed_as: None,
        }
    }

    fn differences(active: &[Episode], proposed: &[Episode], outcomes: &[f64]) -> Vec<Difference> {
        let patient = "p-1".parse().unwrap();
        let outcomes = outcomes.iter().map(|at| (day(*at), PatientOutcome::Exacerbation)).collect();
        let told = Told { outcomes, ..Told::default() };
        let span = Span { since: day(10.0), until: day(100.0) };
        let both = Both { patient: &patient, active, proposed, told: &told, span, window: Window::default() };
        let mut differences = both.differences();
        differences.sort_by_key(|difference| Reverse(difference.weight));
        differences
    }

    fn changes(differences: &[Difference]) -> Vec<(Change, bool)> {
        differences.iter().map(|difference| (difference.change, difference.decides_event)).collect()
    }

    #[test]
    fn the_same_alerts_differ_in_nothing() {
        let alerts = [episode(Mark::Yellow, 12.0, 14.0), episode(Mark::Red, 20.0, 21.0)];
        assert_eq!(differences(&alerts, &alerts, &[22.0]), []);
        // Alerts of other marks on the days beside them are alerts of their own.
        let days = [(Mark::Red, 20.0), (Mark::Yellow, 20.9), (Mark::Red, 21.8)];
        let one_a_day = days.map(|(mark, at)| episode(mark, at, at + 0.2));
        assert_eq!(differences(&one_a_day, &one_a_day, &[]), []);
    }

    #[test]
    fn lost_before_an_event_is_worst_then_lost_red_then_gained() {
        let active = [episode(Mark::Yellow, 12.0, 14.0), episode(Mark::Red, 40.0, 41.0)];
        let proposed = [episode(Mark::Yellow, 60.0, 61.0)];
        let found = differences(&active, &proposed, &[15.0]);
        assert_eq!(changes(&found), [(Change::Lost, true), (Change::Lost, false), (Change::Gained, false)]);
        let before = found[0].before.as_ref().unwrap();
        assert_eq!((before.outcome, before.days), (PatientOutcome::Exacerbation, 3.0));
        assert_eq!(found[0].quiet.as_deref(), Some("said nothing"));
    }

    #[test]
    fn overlapping_and_near_are_the_same_and_marks_are_compared() {
        let active = [episode(Mark::Red, 20.0, 30.0)];
        assert_eq!(
            changes(&differences(&active, &[episode(Mark::Yellow, 25.0, 26.0)], &[])),
            [(Change::Milder, false)]
        );
        assert_eq!(changes(&differences(&active, &[episode(Mark::Red, 30.9, 31.5)], &[])), []);
        let apart = differences(&active, &[episode(Mark::Red, 31.1, 31.5)], &[]);
        assert_eq!(changes(&apart), [(Change::Lost, false), (Change::Gained, false)]);
    }

    #[test]
    fn an_event_that_one_side_alone_foretells_has_its_line_where_the_alerts_are_the_same() {
        let in_time = [episode(Mark::Yellow, 12.0, 13.0), episode(Mark::Yellow, 20.0, 22.0)];
        let too_early = [episode(Mark::Yellow, 12.0, 22.0)];
        let missed = differences(&in_time, &too_early, &[23.0]);
        assert_eq!(changes(&missed), [(Change::Missed, true)]);
        let before = missed[0].before.as_ref().unwrap();
        assert_eq!((before.at, before.days), (day(23.0), 3.0));
        assert_eq!(missed[0].proposed.as_ref().unwrap().raised_at, day(12.0));
        let quiet =
            "has an alert then, raised 1970-01-13 00:00 UTC: not between 7 days before the event and 1 after it";
        assert_eq!(missed[0].quiet.as_deref(), Some(quiet));
        assert_eq!(changes(&differences(&too_early, &in_time, &[23.0])), [(Change::Foreseen, true)]);
        // One from before the time looked at is in no other line.
        let before = [episode(Mark::Yellow, 9.0, 9.5)];
        assert_eq!(changes(&differences(&before, &[], &[14.0])), [(Change::Missed, true)]);
    }

    #[test]
    fn what_became_one_alert_or_lies_near_another_ones_is_not_worse() {
        let red = episode(Mark::Red, 21.0, 22.0);
        let near = [episode(Mark::Yellow, 20.0, 20.5), red.clone()];
        assert_eq!(changes(&differences(&near, std::slice::from_ref(&red), &[])), [(Change::Lost, false)]);
        let merged = [episode(Mark::Yellow, 20.0, 21.5), episode(Mark::Red, 21.6, 22.0)];
        assert_eq!(changes(&differences(&merged, std::slice::from_ref(&red), &[])), []);
        let worse = [episode(Mark::Yellow, 20.0, 21.5)];
        assert_eq!(changes(&differences(&worse, &[red], &[])), [(Change::Worse, false)]);
    }

    #[test]
    fn what_lies_before_the_time_looked_at_is_no_difference() {
        assert_eq!(differences(&[episode(Mark::Red, 5.0, 6.0)], &[], &[]), []);
    }

    #[test]
    fn another_name_of_the_family_is_no_difference() {
        let mut renamed = episode(Mark::Red, 20.0, 30.0);
        renamed.family = "lungs".into();
        assert_eq!(differences(&[episode(Mark::Red, 20.0, 30.0)], &[renamed], &[]), []);
    }
}
