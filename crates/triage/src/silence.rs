//! Silence is a rule: deadlines that have passed are judged in order, each as at its own time, however late the tick comes.
//!
//! What is measured between the window's start (a little early) and the deadline meets an occurrence: data that comes after the window but
//! before anybody was told has ended the silence. Once told, blue stands until every expected vital has been measured since.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use vitals::Reading;

use crate::{
    AlertChange, AssessmentChange, Chart, Finding, Plan, Reason,
    assess::{State, change},
    bounds::OCCURRENCES_MAX,
    chart::Memory,
    episode::{self, Fed, Opening},
    rules::{Deadline, MissingSpec, Rule, Seen, Slot},
};

/// Occurrences that open within this are prepared, so that most readings need no calendar.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);

/// Judges every deadline up to `now` that has not been judged; gives the first change of the assessment.
pub(crate) fn settle(
    chart: &mut Chart,
    plan: &Plan,
    now: Timestamp,
    alerts: &mut Vec<AlertChange>,
) -> Option<AssessmentChange> {
    if chart.quiet_until.is_some_and(|quiet| now < quiet) {
        return None;
    }
    let mut first = None;
    for (slot, rule, spec) in due(chart, plan, now) {
        let met = met(chart, rule, spec, slot);
        let deadline = Deadline { rule: &rule.id, slot, vitals: spec.unmet(met), last_at: chart.last_at };
        for finding in (rule.kind().judge)(rule, plan, &Seen::Deadline(&deadline)) {
            let before = State::of(chart);
            alerts.extend(tell(chart, plan, rule, finding));
            first = first.or_else(|| change(chart, plan, before, slot.overdue, false));
        }
    }
    chart.settled = Some(chart.settled.map_or(now, |settled| settled.max(now)));
    prepare(chart, plan, now);
    first
}

/// When silence next becomes a finding; `None` where nothing is expected.
#[must_use]
pub fn next_tick(chart: &Chart, plan: &Plan) -> Option<Timestamp> {
    let after = judged_through(chart, plan);
    // A week holds every day of a schedule; the deadline of an occurrence comes at most four days after it.
    let until = after.checked_add(SignedDuration::from_hours(24 * 15)).unwrap_or(Timestamp::MAX);
    let of_rule = |(rule, spec): (&Rule, &MissingSpec)| {
        let slots = spec.slots(plan.zone(), after, until).into_iter();
        slots
            .filter(|slot| expected(plan, slot) && !spec.unmet(met(chart, rule, spec, *slot)).is_empty())
            .map(|slot| slot.overdue)
            .next()
    };
    silences(plan).filter_map(of_rule).min()
}

/// Notes what a reading meets.
pub(crate) fn hear(chart: &mut Chart, plan: &Plan, reading: &Reading) {
    for (rule, spec) in silences(plan) {
        let bit = spec.bit(reading.vital);
        let Some(pending) = chart.pending.get_mut(&rule.id) else { continue };
        for (slot, met) in pending.iter_mut() {
            if slot.opens <= reading.measured_at && reading.measured_at <= slot.overdue {
                *met |= bit;
            }
        }
    }
}

/// Ends the silences that the newest values end.
pub(crate) fn ended<'p>(chart: &mut Chart, plan: &'p Plan) -> Vec<(&'p Rule, Fed)> {
    let mut ended = Vec::new();
    for (rule, spec) in silences(plan) {
        let Some(memory) = chart.rules.get_mut(&rule.id) else { continue };
        let Some(Reason::Missing { expected_at, .. }) = memory.stands.as_ref().map(|finding| &finding.reason) else {
            continue;
        };
        let opens = spec.opens(*expected_at);
        let heard = |vital| chart.newest.get(vital).is_some_and(|(at, _)| *at >= opens);
        if spec.vitals.iter().all(heard) {
            memory.stands = None;
            ended.push((rule, Fed { rule: Arc::clone(&rule.id), finding: None, stands: true }));
        }
    }
    ended
}

fn silences(plan: &Plan) -> impl Iterator<Item = (&Rule, &MissingSpec)> {
    plan.programme().rules().iter().filter_map(|rule| Some((rule, rule.missing()?)))
}

fn judged_through(chart: &Chart, plan: &Plan) -> Timestamp {
    chart.settled.unwrap_or(Timestamp::MIN).max(plan.since())
}

fn expected(plan: &Plan, slot: &Slot) -> bool {
    slot.expected >= plan.since()
}

/// The deadlines between what has been judged and `now`, in order; of each rule the newest, where it is more than can be looked back on.
fn due<'p>(chart: &Chart, plan: &'p Plan, now: Timestamp) -> Vec<(Slot, &'p Rule, &'p MissingSpec)> {
    let after = judged_through(chart, plan);
    let mut due = Vec::new();
    for (rule, spec) in silences(plan) {
        let most = SignedDuration::from_hours(24 * 7 * i64::try_from(OCCURRENCES_MAX).expect("a small number"));
        let after = after.max(now.checked_sub(most).unwrap_or(Timestamp::MIN));
        let mut slots = spec.slots(plan.zone(), after, now);
        slots.retain(|slot| expected(plan, slot));
        let newest = slots.len().saturating_sub(OCCURRENCES_MAX);
        due.extend(slots.drain(newest..).map(|slot| (slot, rule, spec)));
    }
    due.sort_by_key(|(slot, _, _)| slot.overdue);
    due
}

/// What is known to have been measured for an occurrence: as noted when it came, and the newest values (all that is known of a chart that
/// has just changed its programme).
fn met(chart: &Chart, rule: &Rule, spec: &MissingSpec, slot: Slot) -> u16 {
    let pending = chart.pending.get(&rule.id).into_iter().flatten();
    let noted = pending.filter(|(other, _)| *other == slot).map(|(_, met)| *met).next().unwrap_or(0);
    let within = chart.newest.iter().filter(|(_, (at, _))| slot.opens <= *at && *at <= slot.overdue);
    within.fold(noted, |met, (vital, _)| met | spec.bit(*vital))
}

/// The finding of a silence stands, and feeds its alert.
fn tell(chart: &mut Chart, plan: &Plan, rule: &Rule, finding: Finding) -> Option<AlertChange> {
    let at = finding.at;
    let finding = Arc::new(finding);
    let fresh = || Memory { newest: at, stands: None, remembered: std::collections::VecDeque::new() };
    let memory = chart.rules.entry(Arc::clone(&rule.id)).or_insert_with(fresh);
    memory.newest = at;
    memory.stands = Some(Arc::clone(&finding));
    let fed = [Fed { rule: Arc::clone(&rule.id), finding: Some(finding), stands: true }];
    episode::feed(chart, plan, &rule.family, &fed, &Opening::Deadline(at), at)
}

/// Prepares the occurrences to come, keeping what is known to meet them.
fn prepare(chart: &mut Chart, plan: &Plan, now: Timestamp) {
    let mut quiet_until = now.checked_add(AHEAD / 2).unwrap_or(Timestamp::MAX);
    let opening = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let mut pending = std::collections::BTreeMap::new();
    for (rule, spec) in silences(plan) {
        let reach = spec.early + spec.window + spec.grace;
        let slots = spec.slots(plan.zone(), now, opening.checked_add(reach).unwrap_or(Timestamp::MAX));
        let slots: Vec<(Slot, u16)> = slots.into_iter().map(|slot| (slot, met(chart, rule, spec, slot))).collect();
        quiet_until = slots.first().map_or(quiet_until, |(slot, _)| quiet_until.min(slot.overdue));
        pending.insert(Arc::clone(&rule.id), slots);
    }
    chart.pending = pending;
    chart.quiet_until = Some(quiet_until);
}
