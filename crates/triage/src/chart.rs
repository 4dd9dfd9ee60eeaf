//! What the rules need to remember of one patient: bounded, and derived, so that it can be built again from what is stored.
//!
//! To build one again: start with [`Chart::new`], say with [`Chart::with_silence_judged`] up to when silence is known to have been judged
//! (or where the stored history begins), fold the stored sittings through [`crate::assess`] in the order in which they were recorded,
//! leaving what it puts out, and then put the open alerts in with [`Chart::with_alerts`]. Cloning is cheap: findings and alerts are shared.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use vitals::{Colour, DeviceId, Reading, Value, Vital, check_step};

use crate::{
    Alert, AlertId, Finding, Input, Mark, Plan,
    bounds::{ENDED_MAX, REMEMBERED_MAX},
    rules::Slot,
};

/// One patient's chart.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// The programme and version that it was made with.
    basis: Option<(Arc<str>, u32)>,
    /// Each rule's memory.
    pub(crate) rules: BTreeMap<Arc<str>, Memory>,
    /// The newest value of each vital.
    pub(crate) newest: BTreeMap<Vital, (Timestamp, Value)>,
    /// When the patient was last heard of.
    pub(crate) last_at: Option<Timestamp>,
    /// Every deadline up to here has been judged.
    pub(crate) settled: Option<Timestamp>,
    /// No deadline passes before this.
    pub(crate) quiet_until: Option<Timestamp>,
    /// What was measured for occurrences whose deadline is to come, of each rule of silence: a bit for each expected vital.
    pub(crate) pending: BTreeMap<Arc<str>, Vec<(Slot, u16)>>,
    /// The open alert of each family.
    pub(crate) alerts: BTreeMap<Arc<str>, Arc<Alert>>,
    /// Alerts that ended lately, and how.
    pub(crate) ended: VecDeque<(AlertId, &'static str)>,
}

/// What one rule found.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// The newest time that it judged.
    pub newest: Timestamp,
    /// The finding that stands; `None` for a silence that has ended.
    pub stands: Option<Arc<Finding>>,
    /// Findings above green, oldest first, to know a repeat.
    pub remembered: VecDeque<Arc<Finding>>,
}

impl Memory {
    /// Has this been found before? The same value or answer of the same time, from the same device, is a repeat, whatever its flags.
    pub fn knows(&self, finding: &Finding) -> bool {
        self.remembered.iter().any(|known| key(known) == key(finding))
    }

    pub fn remember(&mut self, finding: &Arc<Finding>) {
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Arc::clone(finding));
    }
}

impl Chart {
    /// A patient of whom nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same chart with these alerts open, instead of those it had. Alerts that are not open are left out.
    #[must_use]
    pub fn with_alerts(mut self, open: Vec<Alert>) -> Self {
        let open = open.into_iter().filter(|alert| alert.state.is_open());
        self.alerts = open.map(|alert| (Arc::from(alert.family.as_str()), Arc::new(alert))).collect();
        self
    }

    /// The same chart, where every deadline up to `through` has been judged already.
    #[must_use]
    pub fn with_silence_judged(mut self, through: Timestamp) -> Self {
        self.settled = Some(through);
        self.quiet_until = None;
        self
    }

    /// The worst of the findings that stand.
    #[must_use]
    pub fn colour(&self) -> Colour {
        self.standing().filter_map(|finding| finding.colour.colour()).max().unwrap_or_default()
    }

    /// Is expected data missing?
    #[must_use]
    pub fn blue(&self) -> bool {
        self.standing().any(|finding| finding.colour == Mark::Blue)
    }

    /// The findings that stand: the latest of each rule.
    pub fn standing(&self) -> impl Iterator<Item = &Finding> {
        self.rules.values().filter_map(|memory| memory.stands.as_deref())
    }

    /// The open alerts, one for each family at most.
    pub fn open_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().map(AsRef::as_ref)
    }

    /// When the patient was last heard of: the newest measurement or answer.
    #[must_use]
    pub fn last_at(&self) -> Option<Timestamp> {
        self.last_at
    }

    /// Leaves out what the plan's programme doesn't know, when it is another than before.
    pub(crate) fn follow(&mut self, plan: &Plan) {
        let programme = plan.programme();
        if self.basis.as_ref().is_some_and(|(id, version)| **id == *programme.id() && *version == programme.version()) {
            return;
        }
        self.basis = Some((programme.id().into(), programme.version()));
        let known = |id: &Arc<str>| programme.rules().iter().any(|rule| rule.id == *id);
        self.rules.retain(|id, _| known(id) || **id == *crate::CALL_RULE);
        self.pending.clear();
        self.quiet_until = None;
    }

    /// The mark of what a rule found last; `None` where it has found nothing yet.
    pub(crate) fn mark_of(&self, rule: &str) -> Option<Mark> {
        let memory = self.rules.get(rule)?;
        Some(memory.stands.as_ref().map_or(Mark::Green, |finding| finding.colour))
    }

    /// Every finding that stands, worst first, in the programme's order within a mark.
    pub(crate) fn worst_first(&self, plan: &Plan) -> Vec<Finding> {
        let in_order =
            plan.programme().rules().iter().filter_map(|rule| self.rules.get(&rule.id)?.stands.as_deref().cloned());
        let mut findings: Vec<Finding> = in_order.collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.colour));
        findings
    }

    pub(crate) fn end(&mut self, id: AlertId, how: &'static str) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((id, how));
    }
}

/// Is the step from the patient's newest value of the same vital believable? Says what is odd where it is not.
#[must_use]
pub fn suspect_step(chart: &Chart, reading: &Reading) -> Option<String> {
    let (at, before) = chart.newest.get(&reading.vital)?;
    check_step(reading.vital, *before, reading.value, reading.measured_at.duration_since(*at))
}

/// What makes a finding a repeat of another.
fn key(finding: &Finding) -> (Timestamp, Option<Value>, Option<&str>, Option<&DeviceId>) {
    match finding.inputs.first() {
        Some(Input::Reading { value, device, .. }) => (finding.at, Some(*value), None, Some(device)),
        Some(Input::Answer { answer, .. }) => (finding.at, None, Some(answer.as_str()), None),
        None => (finding.at, None, None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory { newest: Timestamp::MIN, stands: None, remembered: VecDeque::new() };
        let mut chart = Chart::new();
        for at in 0..100 {
            let at = Timestamp::from_second(at).expect("a time");
            let reason = crate::Reason::Missing {
                schedule: "s".into(),
                vitals: vec![],
                expected_at: at,
                overdue_at: at,
                last_at: None,
            };
            let (rule, programme, why) = ("r".to_owned(), "p".to_owned(), String::new());
            let (colour, inputs) = (Mark::Red, vec![]);
            let finding = Finding { rule, version: 1, programme, colour, why, reason, inputs, at, late: false };
            assert!(!memory.knows(&finding));
            memory.remember(&Arc::new(finding.clone()));
            assert!(memory.knows(&finding));
            chart.end(AlertId::nil(), "closed");
        }
        assert_eq!((memory.remembered.len(), chart.ended.len()), (REMEMBERED_MAX, ENDED_MAX));
    }
}
