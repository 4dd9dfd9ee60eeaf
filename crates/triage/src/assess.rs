//! One event on one patient: findings, what of them stands, the assessment, and the alerts that change.
//!
//! Of one rule, what was measured within [`TOGETHER`] of the newest in a sitting is taken together, and the worst of it counts; so the order
//! of readings within a sitting does not matter. What is older than that, or than what the rule has judged before, arrives late: it is judged
//! as what it was, and changes what stands only where nothing newer is known.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use vitals::{Answer, Clock, Colour, Flag, KitId, Reading};

use crate::{
    AssessmentChange, Chart, Finding, Input, Mark, Outcome, Plan, call,
    chart::Memory,
    episode::{self, Fed, Opening},
    rules::{Rule, Seen},
    silence,
};

/// Readings of one vital in one sitting that lie at most so far apart are taken together.
pub const TOGETHER: SignedDuration = SignedDuration::from_mins(15);

/// Readings and answers that came together in one message.
#[derive(Clone, Copy, Debug)]
pub struct Sitting<'a> {
    /// From which kit.
    pub kit: &'a KitId,
    /// The message's number.
    pub seq: u64,
    /// Readings, admitted and in canonical units.
    pub readings: &'a [Reading],
    /// Answers.
    pub answers: &'a [Answer],
}

/// What happens to a patient.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Something came.
    Sitting(Sitting<'a>),
    /// Time passed.
    Tick,
}

/// What an event changes. It can't fail. Deadlines that have passed by `now` are judged first, whatever the event.
pub fn assess(chart: &mut Chart, plan: &Plan, event: &Event<'_>, now: Timestamp) -> Outcome {
    chart.follow(plan);
    let before = State::of(chart);
    let mut alerts = Vec::new();
    let silent = silence::settle(chart, plan, now, &mut alerts);
    let mut outcome = Outcome { assessment: None, alerts, judged: Vec::new() };
    outcome.assessment = match event {
        Event::Tick => silent,
        Event::Sitting(sitting) => sit(chart, plan, sitting, now, before, &mut outcome),
    };
    outcome
}

/// The patient's state, to see a change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    colour: Colour,
    blue: bool,
}

impl State {
    pub fn of(chart: &Chart) -> Self {
        Self { colour: chart.colour(), blue: chart.blue() }
    }
}

/// The change since `before`, if there is one.
pub(crate) fn change(chart: &Chart, plan: &Plan, before: State, at: Timestamp, late: bool) -> Option<AssessmentChange> {
    let State { colour, blue } = State::of(chart);
    (before != State { colour, blue }).then(|| AssessmentChange {
        at,
        patient: plan.patient().clone(),
        was: before.colour,
        colour,
        blue,
        late,
        findings: chart.worst_first(plan),
    })
}

/// A finding, and whether it stands now.
struct Judged<'p> {
    rule: &'p Rule,
    finding: Arc<Finding>,
    stands: bool,
}

fn sit(
    chart: &mut Chart,
    plan: &Plan,
    sitting: &Sitting<'_>,
    now: Timestamp,
    before: State,
    outcome: &mut Outcome,
) -> Option<AssessmentChange> {
    let mut judged = Vec::new();
    for rule in plan.programme().rules() {
        judge(chart, plan, rule, sitting, now, &mut judged, outcome);
    }
    note(chart, plan, sitting);
    let mut families: BTreeMap<&Arc<str>, Vec<Fed>> = BTreeMap::new();
    for Judged { rule, finding, stands } in &judged {
        let fed = Fed { rule: Arc::clone(&rule.id), finding: Some(Arc::clone(finding)), stands: *stands };
        families.entry(&rule.family).or_default().push(fed);
    }
    for (rule, fed) in silence::ended(chart, plan) {
        families.entry(&rule.family).or_default().push(fed);
    }
    let opening = Opening::Sitting(sitting.kit, sitting.seq);
    for (family, fed) in families {
        outcome.alerts.extend(episode::feed(chart, plan, family, &fed, &opening, now));
    }
    if let Some(called) = call::heard(chart, plan, sitting, now) {
        outcome.alerts.extend(episode::feed(chart, plan, &called.family, &called.fed, &opening, now));
    }
    assessment(chart, plan, before, sitting, &judged)
}

/// What one rule makes of a sitting.
fn judge<'p>(
    chart: &mut Chart,
    plan: &Plan,
    rule: &'p Rule,
    sitting: &Sitting<'_>,
    now: Timestamp,
    judged: &mut Vec<Judged<'p>>,
    outcome: &mut Outcome,
) {
    let mut findings = (rule.kind().judge)(rule, plan, &Seen::Sitting(sitting));
    findings.iter().for_each(|finding| Outcome::judge(&mut outcome.judged, finding));
    let Some(newest) = findings.iter().map(|finding| finding.at).max() else { return };
    findings.sort_by(by_time_then_badness);
    let start = newest.checked_sub(TOGETHER).unwrap_or(Timestamp::MIN);
    let together = findings.split_off(findings.partition_point(|finding| finding.at < start));
    let fresh = || Memory { newest: Timestamp::MIN, stands: None, remembered: VecDeque::new() };
    let memory = chart.rules.entry(Arc::clone(&rule.id)).or_insert_with(fresh);
    let stale = now.duration_since(newest) > plan.programme().clinic().late_after.0;
    if newest < memory.newest || is_unplaced(sitting) {
        findings.extend(together);
    } else if let Some(finding) = stand(memory, newest, together, stale) {
        judged.push(Judged { rule, finding, stands: true });
    }
    for finding in findings.into_iter().filter(|finding| finding.colour > Mark::Green) {
        if !memory.knows(&finding) {
            let finding = Arc::new(late(finding));
            memory.remember(&finding);
            judged.push(Judged { rule, finding, stands: false });
        }
    }
}

/// A device stored it, and its clock can't say when: the time is that of its arrival, and it must not be taken for the state of now.
fn is_unplaced(sitting: &Sitting<'_>) -> bool {
    let unplaced = |reading: &Reading| reading.clock == Clock::Kit && reading.has(&Flag::FROM_STORAGE);
    sitting.readings.iter().any(unplaced)
}

/// Lets the worst of what was taken together stand, where it is news: newer, or worse at the same time. All of it is remembered.
fn stand(memory: &mut Memory, newest: Timestamp, together: Vec<Finding>, stale: bool) -> Option<Arc<Finding>> {
    let together: Vec<Arc<Finding>> =
        together.into_iter().map(|finding| Arc::new(if stale { late(finding) } else { finding })).collect();
    let worst = together.iter().max_by(|a, b| a.colour.cmp(&b.colour).then_with(|| by_time_then_badness(a, b)))?;
    let worse = memory.stands.as_ref().is_none_or(|stands| worst.colour > stands.colour);
    if newest == memory.newest && !worse {
        return None;
    }
    for finding in together.iter().filter(|finding| finding.colour > Mark::Green) {
        if !memory.knows(finding) {
            memory.remember(finding);
        }
    }
    memory.newest = newest;
    memory.stands = Some(Arc::clone(worst));
    Some(Arc::clone(worst))
}

pub(crate) fn late(mut finding: Finding) -> Finding {
    finding.late = true;
    finding.why.push_str(", arrived late");
    finding
}

/// A total order that does not depend on how the readings came: time, mark, words, device.
fn by_time_then_badness(a: &Finding, b: &Finding) -> Ordering {
    let device = |finding: &Finding| match finding.inputs.first() {
        Some(Input::Reading { device, .. }) => Some(device.clone()),
        _ => None,
    };
    a.at.cmp(&b.at)
        .then_with(|| a.colour.cmp(&b.colour))
        .then_with(|| a.why.cmp(&b.why))
        .then_with(|| device(a).cmp(&device(b)))
}

/// Notes what came: newest values, when last heard, what was expected of it.
fn note(chart: &mut Chart, plan: &Plan, sitting: &Sitting<'_>) {
    for reading in sitting.readings {
        let known = chart.newest.get(&reading.vital);
        if known.is_none_or(|known| *known < (reading.measured_at, reading.value)) {
            chart.newest.insert(reading.vital, (reading.measured_at, reading.value));
        }
        chart.last_at = chart.last_at.max(Some(reading.measured_at));
        silence::hear(chart, plan, reading);
    }
    for answer in sitting.answers {
        chart.last_at = chart.last_at.max(Some(answer.answered_at));
    }
}

/// The change of the assessment: of now, or, where that stays, of then, for late findings that were not green.
fn assessment(
    chart: &Chart,
    plan: &Plan,
    before: State,
    sitting: &Sitting<'_>,
    judged: &[Judged<'_>],
) -> Option<AssessmentChange> {
    let late: Vec<&Finding> = judged.iter().filter(|judged| !judged.stands).map(|judged| &*judged.finding).collect();
    let worst = |stands: bool| {
        let these = judged.iter().filter(|judged| judged.stands == stands).map(|judged| &*judged.finding);
        these.max_by_key(|finding| (finding.colour, finding.at))
    };
    let newest = sitting
        .readings
        .iter()
        .map(|reading| reading.measured_at)
        .chain(sitting.answers.iter().map(|answer| answer.answered_at))
        .max();
    let at = worst(true).map(|finding| finding.at).or(newest);
    let mut assessment =
        at.and_then(|at| change(chart, plan, before, at, worst(true).is_some_and(|finding| finding.late)));
    if let Some(change) = &mut assessment {
        change.findings.extend(late.iter().map(|finding| (*finding).clone()));
        change.findings.sort_by_key(|finding| std::cmp::Reverse(finding.colour));
        return assessment;
    }
    let then = worst(false)?;
    let mut findings: Vec<Finding> = late.into_iter().cloned().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.colour));
    let (patient, was, blue) = (plan.patient().clone(), before.colour, chart.blue());
    Some(AssessmentChange {
        at: then.at,
        patient,
        was,
        colour: then.colour.colour().unwrap_or_default(),
        blue,
        late: true,
        findings,
    })
}
