//! Charts are derived: what is stored, folded through the same triage, gives the chart again; on start, on first need, after a crash, and for
//! another plan.
//!
//! Everything that was judged has a stamp, and is folded in the order of stamps: messages, where time alone changed something, what became
//! of the kit, and what a nurse closed, since that has been handled. What was stored while the hub's clock was ahead says nothing of the time to come: else a clock that leapt once would leave a silence untold for
//! ever. (What was stored before there was a journal says in its alerts which silences were told.)

use jiff::Timestamp;
use store::{Journal, JournalEntry, JournalFilter, Store, StoreError, StoredMessage};
use triage::{Alert, Because, Chart, Event, Plan, Reason, Sitting, State, assess};
use vitals::{PatientId, Reading};

use crate::basis::Basis;

/// How many of a patient's alerts are asked for what was closed and for the silences that were told: the newest.
pub(super) const ALERTS_ASKED_MAX: u32 = 256;
/// The most entries of a patient's journal, and the most messages, that a chart is built from: the newest. Where there are more, an error in
/// the log says so.
const ENTRIES_MAX: u32 = 10_000;
const MESSAGES_MAX: u32 = 100_000;
/// Names of the entries that a chart is built from.
const STEPS: [&str; 3] = ["ticked", "kit_silent", "kit_back"];
/// Those that hold until the next.
const LASTING: [&str; 2] = ["kit_silent", "kit_back"];

/// Something that was judged of a patient.
#[derive(Clone, Debug)]
pub enum Step {
    /// A message came.
    Message(StoredMessage),
    /// Something else, as the journal has it.
    Entry(JournalEntry),
    /// A person closed this alert.
    Closed(Alert),
}

/// What is stored of a patient.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// What was judged, in the order in which it was stored.
    pub steps: Vec<Step>,
    /// The newest alerts, open or ended.
    pub alerts: Vec<Alert>,
    /// Those that wait.
    pub open: Vec<Alert>,
}

/// From when to when a story is folded.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// What was recorded before is left out.
    pub from: Timestamp,
    /// Nothing happened after this yet.
    pub through: Timestamp,
}

impl Step {
    /// Its stamp.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Message(message) => message.recorded_at,
            Self::Entry(entry) => entry.at,
            Self::Closed(alert) => match &alert.state {
                State::Closed { at, .. } => *at,
                _ => alert.changed_at,
            },
        }
    }

    fn is_lasting(&self) -> bool {
        matches!(self, Self::Entry(entry) if LASTING.contains(&entry.what.name()))
    }
}

impl Span {
    /// What a plan needs to know, up to `through`, of somebody whose last message came at `last`. Of who has been silent for long, what was
    /// found last still stands: it is built from what was needed then.
    #[must_use]
    pub fn of(plan: &Plan, last: Option<Timestamp>, through: Timestamp) -> Self {
        let needed_at = last.map_or(through, |last| last.min(through));
        Self { from: needed_at.checked_sub(plan.book().history()).unwrap_or(Timestamp::MIN), through }
    }

    /// The same of somebody whose story is stored.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn stored(store: &dyn Store, plan: &Plan, through: Timestamp) -> Result<Self, StoreError> {
        let newest = store.newest_messages(plan.patient(), Timestamp::MIN, None, NEWEST_ASKED).await?;
        Ok(Self::of(plan, last_through(newest.iter().map(|message| message.recorded_at), through), through))
    }
}

/// So many of the newest messages are asked for the last that came in time: the others came since, or while the clock was ahead.
const NEWEST_ASKED: u32 = 64;

/// The last of these that is not after `through`.
#[must_use]
pub fn last_through(stamps: impl Iterator<Item = Timestamp>, through: Timestamp) -> Option<Timestamp> {
    stamps.filter(|at| *at <= through).max()
}

/// What a patient was last judged by.
///
/// # Errors
/// The store can't be read.
pub async fn last_basis(store: &dyn Store, patient: &PatientId) -> Result<Option<Basis>, StoreError> {
    let (names, newest_first) = (["judged_by"], true);
    let filter =
        JournalFilter { patient: Some(patient), entries: Some(&names), newest_first, limit: 1, ..Default::default() };
    let last = store.journal(filter).await?.pop();
    Ok(last.and_then(|entry| match entry.what {
        Journal::JudgedBy { basis, .. } => serde_json::from_value(basis).ok(),
        _ => None,
    }))
}

/// Reads a patient's story since `from`.
///
/// # Errors
/// The store can't be read.
pub async fn read(store: &dyn Store, patient: &PatientId, from: Timestamp) -> Result<Story, StoreError> {
    let messages = store.newest_messages(patient, from, None, MESSAGES_MAX).await?;
    let filter = JournalFilter {
        patient: Some(patient),
        entries: Some(&STEPS),
        since: Some(from),
        newest_first: true,
        limit: ENTRIES_MAX,
        ..JournalFilter::default()
    };
    let entries = store.journal(filter).await?;
    if messages.len() >= MESSAGES_MAX as usize || entries.len() >= ENTRIES_MAX as usize {
        let (messages, entries) = (messages.len(), entries.len());
        tracing::error!(%patient, "a chart is built from the newest {messages} messages and {entries} entries since {from} alone");
    }
    let before = JournalFilter { entries: Some(&LASTING), since: None, before: Some(from), limit: 1, ..filter };
    let before = store.journal(before).await?;
    let alerts = store.alerts_of(patient, ALERTS_ASKED_MAX).await?;
    let steps = with_closings(merge(messages, entries.into_iter().chain(before).rev().collect()), &alerts, from);
    let open = store.open_alerts(Some(patient)).await?;
    Ok(Story { steps, alerts, open })
}

/// Builds a patient's chart from the store, with the alerts that are open.
///
/// # Errors
/// The store can't be read.
pub async fn load(store: &dyn Store, plan: &Plan, basis: &Basis, span: Span) -> Result<Chart, StoreError> {
    let story = read(store, plan.patient(), span.from).await?;
    Ok(with_alerts(fold(plan, &story.steps, span, basis), plan, &story, span.through))
}

/// Messages and entries, each in the order in which they were stored, as one: by stamp, where that grows.
#[must_use]
pub fn merge(messages: Vec<StoredMessage>, entries: Vec<JournalEntry>) -> Vec<Step> {
    let mut merged = Vec::with_capacity(messages.len() + entries.len());
    let (mut messages, mut entries) = (messages.into_iter().peekable(), entries.into_iter().peekable());
    loop {
        let message_first = match (messages.peek(), entries.peek()) {
            (Some(message), Some(entry)) => message.recorded_at <= entry.at,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return merged,
        };
        let next = if message_first { messages.next().map(Step::Message) } else { entries.next().map(Step::Entry) };
        merged.extend(next);
    }
}

/// Puts in what a person has closed since `from`, each in its place.
fn with_closings(mut steps: Vec<Step>, alerts: &[Alert], from: Timestamp) -> Vec<Step> {
    let closed = alerts.iter().filter(|alert| matches!(alert.state, State::Closed { .. }));
    let mut closed: Vec<Step> = closed.cloned().map(Step::Closed).filter(|step| step.at() >= from).collect();
    closed.sort_by_key(Step::at);
    for step in closed {
        let place = steps.iter().rposition(|other| other.at() <= step.at()).map_or(0, |place| place + 1);
        steps.insert(place, step);
    }
    steps
}

/// Judges what is in the span by a plan, and puts nothing out.
#[must_use]
pub fn fold(plan: &Plan, steps: &[Step], span: Span, basis: &Basis) -> Chart {
    fold_into(Chart::new(), plan, steps, span, basis)
}

fn fold_into(chart: Chart, plan: &Plan, steps: &[Step], span: Span, basis: &Basis) -> Chart {
    let mut chart = chart.with_silence_judged(span.from);
    if let Some(silent) = steps.iter().rfind(|step| step.at() < span.from && step.is_lasting()) {
        judge(&mut chart, plan, silent, span.from, basis);
    }
    let mut at = span.from;
    for step in steps.iter().filter(|step| step.at() >= span.from) {
        let Some(then) = when(step, at, span.through) else { continue };
        at = then;
        judge(&mut chart, plan, step, at, basis);
    }
    chart
}

/// What there is to look at where readings were invalidated or restored: everything as it was judged before, and as it is judged now.
pub struct Looks {
    changed: Vec<Reading>,
    before: Chart,
    after: Chart,
}

impl Looks {
    /// By `before` and by `after`, if these leave out other readings.
    #[must_use]
    pub fn of(plan: &Plan, steps: &[Step], span: Span, before: &Basis, after: &Basis) -> Option<Self> {
        if before.without == after.without {
            return None;
        }
        let whole = |basis| fold_into(Chart::new().keeping_all(span.from), plan, steps, span, basis);
        let changed = steps.iter().flat_map(|step| changed(step, before, after)).collect();
        Some(Self { changed, before: whole(before), after: whole(after) })
    }

    /// One step more.
    pub fn judge(&mut self, plan: &Plan, step: &Step, before: &Basis, after: &Basis) {
        self.changed.extend(changed(step, before, after));
        judge(&mut self.before, plan, step, step.at(), before);
        judge(&mut self.after, plan, step, step.at(), after);
    }

    /// Why somebody is judged again: by whom, and in their words.
    #[must_use]
    pub fn because<'a>(&'a self, by: &'a str, why: &'a str) -> Because<'a> {
        Because::Readings { by, why, changed: &self.changed, before: &self.before, after: &self.after }
    }
}

/// The readings of a step that one basis leaves out and the other does not.
fn changed(step: &Step, before: &Basis, after: &Basis) -> Vec<Reading> {
    let Step::Message(message) = step else { return Vec::new() };
    let is_changed = |place: usize| before.is_left_out(&message.key, place) != after.is_left_out(&message.key, place);
    let readings = message.readings.iter().enumerate().filter(|(place, _)| is_changed(*place));
    readings.map(|(_, reading)| reading.clone()).collect()
}

/// Puts the open alerts in, and those of the time to come that have ended: the clock was ahead then, and what opens again is another alert. A
/// silence that was told is not told again.
#[must_use]
pub fn with_alerts(mut chart: Chart, plan: &Plan, story: &Story, now: Timestamp) -> Chart {
    if let Some(told) = story.alerts.iter().flat_map(silences_told).filter(|told| *told <= now).max() {
        assess(&mut chart, plan, &Event::Tick, told);
    }
    let ahead = story.alerts.iter().rev().filter(|alert| !alert.state.is_open() && alert.raised_at > now);
    chart.with_alerts(story.open.iter().chain(ahead).cloned().collect())
}

/// One step, again.
pub fn judge(chart: &mut Chart, plan: &Plan, step: &Step, at: Timestamp, basis: &Basis) -> triage::Outcome {
    match step {
        Step::Message(message) => {
            let StoredMessage { key, answers, .. } = message;
            let kept = left_over(message, basis);
            let readings = kept.as_deref().unwrap_or(&message.readings);
            let sitting = Sitting { kit: &key.kit, seq: key.seq, readings, answers };
            assess(chart, plan, &Event::Sitting(sitting), at)
        }
        Step::Entry(entry) => match &entry.what {
            Journal::KitSilent { since, .. } => assess(chart, plan, &Event::Kit(Some(*since)), at),
            Journal::KitBack { .. } => assess(chart, plan, &Event::Kit(None), at),
            _ => assess(chart, plan, &Event::Tick, at),
        },
        Step::Closed(alert) => {
            chart.hear_closed(alert);
            triage::Outcome::default()
        }
    }
}

/// The readings without those that were invalidated; None where none was.
fn left_over(message: &StoredMessage, basis: &Basis) -> Option<Vec<vitals::Reading>> {
    if basis.without.is_empty() {
        return None;
    }
    let kept = message.readings.iter().enumerate().filter(|(place, _)| !basis.is_left_out(&message.key, *place));
    Some(kept.map(|(_, reading)| reading.clone()).collect())
}

/// When a step was. A message that says that it will be came while the clock was ahead: it came after what is `before` it, and after it was
/// measured, as far as that is known. That time passed says nothing then.
fn when(step: &Step, before: Timestamp, now: Timestamp) -> Option<Timestamp> {
    if step.at() <= now {
        return Some(step.at());
    }
    let Step::Message(message) = step else { return None };
    let measured = message.readings.iter().map(|reading| reading.measured_at);
    let answered = message.answers.iter().map(|answer| answer.answered_at);
    Some(measured.chain(answered).max().unwrap_or(before).max(before).min(now))
}

/// The deadlines that this alert told of.
fn silences_told(alert: &Alert) -> impl Iterator<Item = Timestamp> {
    alert.findings.iter().filter_map(|finding| match finding.reason {
        Reason::Missing { overdue_at, .. } => Some(overdue_at),
        _ => None,
    })
}

/// The chart that takes the old one's place at `at`, and what it says otherwise.
pub fn rejudge(
    old: &Chart,
    mut rebuilt: Chart,
    plan: &Plan,
    because: Because<'_>,
    at: Timestamp,
) -> (Chart, triage::Outcome) {
    assess(&mut rebuilt, plan, &Event::Tick, at);
    triage::rejudge(old, rebuilt, plan, because, at)
}
