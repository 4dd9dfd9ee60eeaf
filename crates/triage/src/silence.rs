//! Silence is a rule: deadlines that have passed are judged in order, each as at its own time, however late the tick comes.
//!
//! What is measured between the window's start (a little early) and the deadline meets an occurrence: data that comes after the window but
//! before anybody was told has ended the silence. Once told, blue stands until every expected vital has been measured and every expected
//! questionnaire answered since.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use vitals::{Answer, Colour, Reading};

use crate::{
    AlertChange, AssessmentChange, Chart, Finding, Mark, Plan, Reason,
    assess::{State, change},
    bounds::OCCURRENCES_MAX,
    chart::{Memory, More},
    episode::{self, Fed, Opening, Tells},
    held,
    look::{Look, Memo},
    rules::{Deadline, MissingSpec, Slot, finding},
    series::{nanos, push},
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
    for (slot, place, spec) in due(chart, plan, now) {
        let met = met(chart, place, spec, slot);
        let deadline = Deadline {
            slot,
            vitals: spec.unmet(met),
            questionnaires: spec.unanswered(met),
            last_at: chart.last_at,
            in_a_row: 1 + missed_before(chart, plan, spec, slot),
            colour: measured_colour(chart, plan),
            kit_silent_since: chart.kit_silent_since,
        };
        let look = Look { plan, chart, place, at: nanos(slot.overdue), rank: 0, memo: &Memo::default() };
        if let Some((mark, told)) = look.rule().judge.overdue(&look, &deadline) {
            let before = State::of(chart);
            let found = finding(&look, mark, told, slot.overdue);
            alerts.extend(tell(chart, plan, place, found));
            first = first.or_else(|| change(chart, plan, before, slot.overdue, false));
        }
    }
    chart.settled = Some(chart.settled.map_or(now, |settled| settled.max(now)));
    prepare(chart, plan, now);
    first
}

/// When silence next becomes a finding, or something that waits is told; `None` where nothing is expected.
#[must_use]
pub fn next_tick(chart: &Chart, plan: &Plan) -> Option<Timestamp> {
    let after = judged_through(chart, plan);
    // A week holds every day of a schedule; the deadline of an occurrence comes at most four days after it.
    let until = after.checked_add(SignedDuration::from_hours(24 * 15)).unwrap_or(Timestamp::MAX);
    let of_rule = |(place, spec): (usize, &MissingSpec)| {
        let slots = spec.slots(plan.zone(), after, until).into_iter();
        slots
            .filter(|slot| expected(plan, slot) && !spec.is_met(met(chart, place, spec, *slot)))
            .map(|slot| slot.overdue)
            .next()
    };
    silences(plan).filter_map(of_rule).chain(held::next(chart)).min()
}

/// Notes what a reading meets.
pub(crate) fn hear(chart: &mut Chart, plan: &Plan, reading: &Reading) {
    meet(chart, plan, reading.measured_at, |spec| spec.bit(reading.vital));
}

/// Notes what an answer meets.
pub(crate) fn hear_answer(chart: &mut Chart, plan: &Plan, answer: &Answer) {
    meet(chart, plan, answer.answered_at, |spec| spec.bit_of_answers(&answer.questionnaire));
}

fn meet(chart: &mut Chart, plan: &Plan, at: Timestamp, bit: impl Fn(&MissingSpec) -> u16) {
    for (rule, pending) in &mut chart.pending {
        let Some(spec) = plan.rule(*rule).judge.missing() else { continue };
        let bit = bit(spec);
        for (slot, met) in pending.iter_mut() {
            if slot.opens <= at && at <= slot.overdue {
                *met |= bit;
            }
        }
    }
}

/// Ends the silences that the newest values end.
pub(crate) fn ended(chart: &mut Chart, plan: &Plan) -> Vec<(usize, Fed)> {
    let mut ended = Vec::new();
    if chart.rules.iter().all(|memory| memory.mark == Mark::Green || memory.finding().is_none()) {
        return ended;
    }
    // Of every rule: one whose schedule no longer holds for the person's risk level must not stand for ever.
    for (place, spec) in (0..plan.len()).filter_map(|place| Some((place, plan.rule(place).judge.missing()?))) {
        let memory = &chart.rules[place];
        let Some(finding) = memory.finding().filter(|_| memory.stands) else { continue };
        let Reason::Missing { expected_at, .. } = &finding.reason else { continue };
        let opens = spec.opens(*expected_at);
        let expected = plan.programme_of(place).expects(&spec.schedule, plan.stratum());
        if !expected || heard_since(chart, spec, opens) {
            let memory = &mut chart.rules[place];
            memory.stands = false;
            memory.more().finding = None;
            ended.push((place, Fed { place, finding: None, tells: Tells::Now }));
        }
    }
    ended
}

/// Has everything that is expected come since then?
fn heard_since(chart: &Chart, spec: &MissingSpec, opens: Timestamp) -> bool {
    let answered = |of: &String| chart.answered(of).is_some_and(|at| at >= nanos(opens));
    spec.vitals.iter().all(|vital| chart.newest_at(*vital).is_some_and(|at| at >= opens))
        && spec.questionnaires.iter().all(answered)
}

/// The rules of silence, without those whose schedule does not hold for the person's risk level.
fn silences(plan: &Plan) -> impl Iterator<Item = (usize, &MissingSpec)> {
    let spec = |place: usize| Some((place, plan.rule(place).judge.missing()?));
    (0..plan.len())
        .filter_map(spec)
        .filter(|(place, spec)| plan.programme_of(*place).expects(&spec.schedule, plan.stratum()))
}

/// How many occurrences right before this one were missed too, with nothing come since: as far as the rule asks.
fn missed_before(chart: &Chart, plan: &Plan, spec: &MissingSpec, slot: Slot) -> u32 {
    let most = spec.in_a_row.saturating_sub(1);
    if most == 0 {
        return 0;
    }
    let back = SignedDuration::from_hours(24 * 7 * (i64::from(most) + 1));
    let after = slot.overdue.checked_sub(back).unwrap_or(Timestamp::MIN);
    let mut slots = spec.slots(plan.zone(), after, slot.overdue);
    slots.retain(|other| other.overdue < slot.overdue && expected(plan, other));
    let missed = slots.iter().rev().take_while(|other| !heard_since(chart, spec, other.opens));
    missed.take(usize::try_from(most).unwrap_or(usize::MAX)).fold(0, |count, _| count + 1)
}

/// The worst of what stands of what was measured and answered: silence does not make itself worse.
fn measured_colour(chart: &Chart, plan: &Plan) -> Colour {
    let measured = chart.rules.iter().enumerate().filter(|(place, _)| plan.rule(*place).judge.missing().is_none());
    let marks = measured.filter(|(_, memory)| memory.stands).filter_map(|(_, memory)| memory.mark.colour());
    marks.max().unwrap_or_default()
}

fn judged_through(chart: &Chart, plan: &Plan) -> Timestamp {
    chart.settled.unwrap_or(Timestamp::MIN).max(plan.since())
}

fn expected(plan: &Plan, slot: &Slot) -> bool {
    slot.expected >= plan.since() && plan.pause(slot.expected).is_none() && plan.pause(slot.overdue).is_none()
}

/// The deadlines between what has been judged and `now`, in order; of each rule the newest, where it is more than can be looked back on.
fn due<'p>(chart: &Chart, plan: &'p Plan, now: Timestamp) -> Vec<(Slot, usize, &'p MissingSpec)> {
    let after = judged_through(chart, plan);
    let mut due = Vec::new();
    for (place, spec) in silences(plan) {
        let most = SignedDuration::from_hours(24 * 7 * i64::try_from(OCCURRENCES_MAX).expect("a small number"));
        let after = after.max(now.checked_sub(most).unwrap_or(Timestamp::MIN));
        let mut slots = spec.slots(plan.zone(), after, now);
        slots.retain(|slot| expected(plan, slot));
        let newest = slots.len().saturating_sub(OCCURRENCES_MAX);
        due.extend(slots.drain(newest..).map(|slot| (slot, place, spec)));
    }
    due.sort_by_key(|(slot, _, _)| slot.overdue);
    due
}

/// What is known to have come for an occurrence: as noted when it came, and the newest values and answers (all that is known of a chart that
/// has just changed its programme). Where the clock was set back, these may be later than the deadline: then the silence is over already.
fn met(chart: &Chart, place: usize, spec: &MissingSpec, slot: Slot) -> u16 {
    let pending = chart.pending.iter().filter(|(rule, _)| *rule == place).flat_map(|(_, slots)| slots);
    let noted = pending.filter(|(other, _)| *other == slot).map(|(_, met)| *met).next().unwrap_or(0);
    let measured = chart.newest.iter().filter(|(_, at, _)| slot.opens <= *at);
    let answered = chart.answered.iter().filter(|(_, at)| nanos(slot.opens) <= *at);
    let noted = measured.fold(noted, |met, (vital, ..)| met | spec.bit(*vital));
    answered.fold(noted, |met, (questionnaire, _)| met | spec.bit_of_answers(questionnaire))
}

/// The finding of a silence stands, and feeds its alert.
fn tell(chart: &mut Chart, plan: &Plan, place: usize, finding: Finding) -> Option<AlertChange> {
    let at = finding.at;
    let finding = Arc::new(finding);
    let (mark, told) = (finding.colour, Some(Arc::clone(&finding)));
    let memory = Memory { at: nanos(at), mark, stands: true, ..Memory::default() };
    chart.rules[place] = memory.with(More { finding: told, ..More::default() });
    let fed = [Fed { place, finding: Some(finding), tells: Tells::Now }];
    episode::feed(chart, plan, &plan.rule(place).family, &fed, &Opening::Deadline(at), at)
}

/// Prepares the occurrences to come, keeping what is known to meet them.
fn prepare(chart: &mut Chart, plan: &Plan, now: Timestamp) {
    let mut quiet_until = now.checked_add(AHEAD / 2).unwrap_or(Timestamp::MAX);
    let opening = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let mut pending = Vec::new();
    for (place, spec) in silences(plan) {
        let reach = spec.early + spec.window + spec.grace;
        let slots = spec.slots(plan.zone(), now, opening.checked_add(reach).unwrap_or(Timestamp::MAX));
        let mut noted: Vec<(Slot, u16)> = Vec::with_capacity(slots.len());
        noted.extend(slots.into_iter().map(|slot| (slot, met(chart, place, spec, slot))));
        quiet_until = noted.first().map_or(quiet_until, |(slot, _)| quiet_until.min(slot.overdue));
        push(&mut pending, (place, noted));
    }
    chart.pending = pending;
    chart.quiet_until = Some(quiet_until);
}
