//! The judge's way again, of one patient, from what is stored: messages, actions and journal entries in the order of their stamps. Pure; the
//! same charts, the same triage, the same alerts, byte for byte.
//!
//! Where the judge built a chart from the store (it began: `started`; by another plan: `judged_by`), this builds it from what it has read so
//! far, with the same code and from the same time on.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use store::Journal;
use triage::{Alert, AlertChange, AlertEvent, AlertId, Because, Chart, Outcome, Plan, act};

use super::charts::{self, Span, Step, Story};
use crate::basis::Basis;

/// Names of the journal's entries that are retold; `started` is everybody's, the others are one patient's.
pub const ENTRIES: [&str; 6] = ["started", "judged_by", "ticked", "acted", "kit_silent", "kit_back"];

/// An alert with its history.
pub type Episode = (Alert, Vec<AlertEvent>);

/// A patient's story, being retold.
#[derive(Default)]
pub struct Retelling {
    by: Option<(Arc<Plan>, Basis)>,
    chart: Chart,
    steps: Vec<Step>,
    episodes: HashMap<AlertId, Episode>,
    /// In the order in which they were raised.
    raised: Vec<AlertId>,
    began: Option<Timestamp>,
    /// The judge began then, and the chart has not been needed since.
    unloaded: Option<Timestamp>,
}

impl Retelling {
    /// Takes the next step; gives what changed. `plan` makes the plan of a basis.
    ///
    /// # Errors
    /// A sentence: what stands in the journal can't be judged by.
    pub fn step(
        &mut self,
        step: Step,
        plan: impl FnOnce(&Basis) -> Result<Arc<Plan>, String>,
    ) -> Result<Option<Outcome>, String> {
        let at = step.at();
        if matches!(&step, Step::Entry(entry) if matches!(entry.what, Journal::Started { .. })) {
            self.unloaded = Some(at);
            return Ok(None);
        }
        if let Some(started) = self.unloaded.take() {
            self.start_anew(started);
        }
        let outcome = match &step {
            Step::Entry(entry) => match &entry.what {
                Journal::JudgedBy { basis, from, fresh, why } => {
                    let basis: Basis = serde_json::from_value(basis.clone())
                        .map_err(|error| format!("what the journal says at {at} can't be read: {error}"))?;
                    let plan = plan(&basis)?;
                    let by = entry.by.clone().unwrap_or_default();
                    return Ok(self.change(plan, basis, (*from, *fresh), (&by, why), at));
                }
                Journal::Acted { alert, seen_version, action } => {
                    let by = entry.by.clone().unwrap_or_default();
                    let acted = act(&mut self.chart, *alert, *seen_version, action, &by, at);
                    let change =
                        acted.map_err(|error| format!("what was done at {at} can't be done again: {error}"))?;
                    if !change.alert.state.is_open() {
                        self.steps.push(Step::Closed(change.alert.clone()));
                    }
                    return Ok(Some(self.tell(Outcome { alerts: vec![change], ..Outcome::default() })));
                }
                _ => self.judge(&step, at),
            },
            Step::Message(_) | Step::Closed(_) => self.judge(&step, at),
        };
        self.steps.push(step);
        Ok(Some(self.tell(outcome)))
    }

    /// When the journal first said what the patient is judged by: what was before is not retold.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// The alerts with their histories, in the order in which they were raised.
    pub fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.raised.iter().filter_map(|id| self.episodes.get(id))
    }

    /// The alert of this id.
    #[must_use]
    pub fn episode(&self, id: AlertId) -> Option<&Episode> {
        self.episodes.get(&id)
    }

    /// The chart as it is now, and what it is judged by.
    #[must_use]
    pub fn chart(&self) -> Option<(&Arc<Plan>, &Chart)> {
        self.by.as_ref().map(|(plan, _)| (plan, &self.chart))
    }

    fn judge(&mut self, step: &Step, at: Timestamp) -> Outcome {
        match &self.by {
            Some((plan, basis)) => charts::judge(&mut self.chart, plan, step, at, basis),
            None => Outcome::default(),
        }
    }

    /// The judge began: every chart came from the store.
    fn start_anew(&mut self, at: Timestamp) {
        let Some((plan, basis)) = &self.by else { return };
        let messages = self.steps.iter().filter(|step| matches!(step, Step::Message(_)));
        let last = charts::last_through(messages.map(Step::at), at);
        let chart = charts::fold(plan, &self.steps, Span::of(plan, last, at), basis);
        self.chart = charts::with_alerts(chart, plan, &self.story(), at);
    }

    fn change(
        &mut self,
        plan: Arc<Plan>,
        basis: Basis,
        (from, fresh): (Timestamp, bool),
        (by, why): (&str, &str),
        at: Timestamp,
    ) -> Option<Outcome> {
        self.began.get_or_insert(at);
        let rebuilt = charts::fold(&plan, &self.steps, Span { from, through: at }, &basis);
        let before = self.by.take().filter(|_| !fresh);
        let outcome = match before {
            None => {
                self.chart = charts::with_alerts(rebuilt, &plan, &self.story(), at);
                None
            }
            Some((_, before)) => {
                let looks = charts::Looks::of(&plan, &self.steps, Span { from, through: at }, &before, &basis);
                let because = looks.as_ref().map_or(Because::Plan, |looks| looks.because(by, why));
                let (chart, outcome) = charts::rejudge(&self.chart, rebuilt, &plan, because, at);
                self.chart = chart;
                self.keep(&outcome.alerts);
                Some(outcome)
            }
        };
        self.by = Some((plan, basis));
        outcome
    }

    /// The alerts as the store would give them.
    fn story(&self) -> Story {
        let mut alerts: Vec<Alert> = self.episodes().map(|(alert, _)| alert.clone()).collect();
        let open = alerts.iter().filter(|alert| alert.state.is_open()).cloned().collect();
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.raised_at));
        alerts.truncate(charts::ALERTS_ASKED_MAX as usize);
        Story { steps: Vec::new(), alerts, open }
    }

    fn tell(&mut self, outcome: Outcome) -> Outcome {
        self.keep(&outcome.alerts);
        outcome
    }

    fn keep(&mut self, changes: &[AlertChange]) {
        for AlertChange { alert, event } in changes {
            match self.episodes.get_mut(&alert.id) {
                Some((known, events)) => {
                    *known = alert.clone();
                    events.push(event.clone());
                }
                None => {
                    self.raised.push(alert.id);
                    self.episodes.insert(alert.id, (alert.clone(), vec![event.clone()]));
                }
            }
        }
    }
}
