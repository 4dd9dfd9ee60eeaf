//! One programme watching one patient through a history, with a stand-in where a nurse would have acted.
//!
//! Nobody handled the alerts of a programme that was not in use, and red latches until somebody does. So one convention holds for every side
//! alike (decision 0075): an episode ends by itself, as triage says; or when a nurse closed the clinic's own alert of the same patient and
//! family; or, where it is red, when what fed it has been normal for [`STAND_IN_SITTINGS`] sittings in a row: whichever comes first.

use std::sync::Arc;

use jiff::Timestamp;
use triage::{
    Action, Alert, AlertChange, AlertId, Chart, CloseReason, Event, EventKind, Input, Mark, Outcome, Plan, Sitting,
    act, assess,
};

use vitals::Vital;

use super::{
    episode::{End, Episode, is_silence},
    quiet,
};

/// After so many normal sittings in a row the stand-in closes a red alert: as many as ease a yellow one by the clinic's own default.
pub const STAND_IN_SITTINGS: u32 = 2;
/// The most episodes that are kept of one patient and side; more are counted.
pub const EPISODES_MAX: usize = 4096;
/// Who closes, in the chart of a side.
pub const STAND_IN: &str = "stand-in";

/// A programme that watches one patient.
pub struct Side {
    plan: Plan,
    chart: Chart,
    episodes: Vec<Episode>,
    open: Vec<Open>,
    /// Episodes that did not fit any more.
    dropped: u64,
    /// The alerts that changed, where somebody takes them (see [`Side::take_changed`]).
    changed: Option<Vec<Alert>>,
}

/// An open episode.
struct Open {
    id: AlertId,
    vital: Option<Vital>,
    at: usize,
    red: bool,
    normal: u32,
}

impl Side {
    /// Begins to watch; before `since` nothing is missed.
    #[must_use]
    pub fn new(plan: Plan, since: Timestamp) -> Self {
        let chart = Chart::new().with_silence_judged(since);
        Self { plan, chart, episodes: Vec::new(), open: Vec::new(), dropped: 0, changed: None }
    }

    /// The same, for somebody who takes the alerts as they change.
    #[must_use]
    pub fn telling(plan: Plan, since: Timestamp) -> Self {
        Self { changed: Some(Vec::new()), ..Self::new(plan, since) }
    }

    /// The alerts that changed since this was asked last, each as it was left by a change. Ended episodes are forgotten.
    pub fn take_changed(&mut self) -> Vec<Alert> {
        if self.open.is_empty() {
            self.episodes.clear();
        }
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A sitting; deadlines that passed before it are judged first. Gives the episodes that were raised or became worse.
    pub fn sitting(&mut self, sitting: Sitting<'_>, now: Timestamp) -> Vec<usize> {
        let outcome = assess(&mut self.chart, &self.plan, &Event::Sitting(sitting), now);
        let news = self.take(&outcome.alerts);
        if self.open.iter().any(|open| open.red) {
            self.stand_in(&outcome, now);
        }
        news
    }

    /// Time passed.
    pub fn tick(&mut self, now: Timestamp) -> Vec<usize> {
        let outcome = assess(&mut self.chart, &self.plan, &Event::Tick, now);
        self.take(&outcome.alerts)
    }

    /// A nurse closed the clinic's alert of this family.
    pub fn nurse_closed(&mut self, family: &str, now: Timestamp) {
        let of_family = |open: &Open| *self.episodes[open.at].family == *family;
        if let Some(place) = self.open.iter().position(of_family) {
            self.close(place, End::Nurse, now);
        }
    }

    /// Every episode, in the order in which they were raised, and how many more there were.
    #[must_use]
    pub fn into_episodes(self) -> (Vec<Episode>, u64) {
        (self.episodes, self.dropped)
    }

    /// Every episode so far.
    #[must_use]
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    pub(super) fn episode_mut(&mut self, at: usize) -> &mut Episode {
        &mut self.episodes[at]
    }

    pub(super) fn chart(&self) -> &Chart {
        &self.chart
    }

    /// Which vital the open episode is about, if it is about one.
    #[must_use]
    pub fn vital_of(&self, at: usize) -> Option<Vital> {
        self.open.iter().find(|open| open.at == at).and_then(|open| open.vital)
    }

    /// Kit silent since then, or there again.
    pub fn kit(&mut self, silent_since: Option<Timestamp>, now: Timestamp) -> Vec<usize> {
        let outcome = assess(&mut self.chart, &self.plan, &Event::Kit(silent_since), now);
        self.take(&outcome.alerts)
    }

    /// The worst mark of what is open in a family.
    #[must_use]
    pub fn open_mark(&self, family: &str) -> Option<Mark> {
        self.open.iter().map(|open| &self.episodes[open.at]).find(|open| *open.family == *family).map(|open| open.mark)
    }

    fn take(&mut self, changes: &[AlertChange]) -> Vec<usize> {
        if let Some(changed) = &mut self.changed {
            changed.extend(changes.iter().map(|change| change.alert.clone()));
        }
        changes.iter().filter_map(|change| self.change(change)).collect()
    }

    fn change(&mut self, AlertChange { alert, event }: &AlertChange) -> Option<usize> {
        let place = self.open.iter().position(|open| open.id == alert.id);
        match (event.kind, place) {
            (EventKind::Raised, _) => self.raised(alert),
            (EventKind::Worsened | EventKind::Reopened, Some(place)) => Some(self.worsened(place, alert)),
            (EventKind::Eased, Some(place)) => {
                let open = self.open.swap_remove(place);
                self.episodes[open.at].ended = Some((event.at, End::Eased));
                None
            }
            (_, Some(place)) => {
                let (open, late) = (&self.open[place], alert.late);
                self.episodes[open.at].late = late;
                None
            }
            (_, None) => None,
        }
    }

    fn raised(&mut self, alert: &Alert) -> Option<usize> {
        if self.episodes.len() >= EPISODES_MAX {
            self.dropped += 1;
            return None;
        }
        let (rule, why) = says(alert);
        self.open.push(Open {
            id: alert.id,
            vital: alert.findings.first().and_then(|finding| quiet::of(finding)),
            at: self.episodes.len(),
            red: alert.mark == Mark::Red,
            normal: 0,
        });
        self.episodes.push(Episode {
            family: alert.family.as_str().into(),
            rule,
            why,
            mark: alert.mark,
            raised_at: alert.raised_at,
            red_at: (alert.mark == Mark::Red).then_some(alert.raised_at),
            ended: None,
            silence: is_silence(alert),
            late: alert.late,
            quiet: None,
            closed_as: None,
        });
        Some(self.episodes.len() - 1)
    }

    fn worsened(&mut self, place: usize, alert: &Alert) -> usize {
        let open = &mut self.open[place];
        let episode = &mut self.episodes[open.at];
        (episode.rule, episode.why) = says(alert);
        (episode.mark, episode.late) = (alert.mark, alert.late);
        episode.silence = is_silence(alert);
        if alert.mark == Mark::Red {
            open.red = true;
            episode.red_at = episode.red_at.or(Some(alert.changed_at));
        }
        open.at
    }

    /// Closes the red ones that have been normal for long enough.
    fn stand_in(&mut self, outcome: &Outcome, now: Timestamp) {
        for place in (0..self.open.len()).rev().filter(|place| self.open[*place].red).collect::<Vec<_>>() {
            let id = self.open[place].id;
            let Some(alert) = self.chart.open_alerts().find(|alert| alert.id == id) else { continue };
            let (normal, ours) = (alert.now_mark == Mark::Green, is_fed(alert, outcome));
            let open = &mut self.open[place];
            open.normal = match (normal, ours) {
                (false, _) => 0,
                (true, false) => open.normal,
                (true, true) => open.normal + 1,
            };
            if open.normal >= STAND_IN_SITTINGS {
                self.close(place, End::StandIn, now);
            }
        }
    }

    fn close(&mut self, place: usize, how: End, now: Timestamp) {
        let open = self.open.swap_remove(place);
        self.episodes[open.at].ended = Some((now, how));
        let version = self.chart.open_alerts().find(|alert| alert.id == open.id).map(|alert| alert.version);
        let action = Action::Close { reason: CloseReason::Other, note: String::new() };
        if let Some(version) = version {
            // It is open and this is its version, so nothing speaks against it.
            let closed = act(&mut self.chart, open.id, version, &action, STAND_IN, now);
            debug_assert!(closed.is_ok(), "{closed:?}");
            if let (Some(changed), Ok(change)) = (&mut self.changed, closed) {
                changed.push(change.alert);
            }
        }
    }
}

/// The rule and the sentence of the worst finding.
fn says(alert: &Alert) -> (Arc<str>, Box<str>) {
    let worst = alert.findings.first();
    let rule = worst.map_or("", |finding| finding.rule.as_str());
    (rule.into(), worst.map_or("", |finding| finding.why.as_str()).into())
}

/// Did the sitting bring something that feeds the alert?
fn is_fed(alert: &Alert, outcome: &Outcome) -> bool {
    let judged = |vital| outcome.judged.iter().any(|(other, _)| *other == vital);
    alert.findings.iter().any(|finding| match finding.inputs.first() {
        Some(Input::Reading { vital, .. }) => judged(Some(*vital)),
        Some(Input::Answer { .. }) => judged(None),
        None => true,
    })
}
