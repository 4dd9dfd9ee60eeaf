//! The history, kept in memory to be judged again and again: what the alert budget measures every answer by.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use store::{HistoryChunk, HistoryFilter, HistoryNames, Patient, PatientOutcome, Store};
use triage::Programme;
use vitals::PatientId;

use super::{
    backtest::{Ask, BacktestError, People},
    budget::{BudgetError, READINGS_MAX, Score},
    fold::{Fold, Watch},
    history::{Invalid, Notes},
    pair::Note,
    tally::reason_name,
};

/// The history, kept to be judged again and again.
pub(super) struct Held {
    chunks: Vec<Arc<HistoryChunk>>,
    names: Arc<HistoryNames>,
    invalid: Arc<Invalid>,
    patients: Vec<Patient>,
    notes: HashMap<PatientId, Vec<(Timestamp, Note)>>,
    /// What sensitivity is measured against.
    pub(super) reference: &'static str,
}

/// What one pass over the history is worth in a [`Watch`].
pub(super) const PASS: u64 = 1_000_000;

const OUTCOMES: &str = "the outcomes that nurses recorded";
const OWN_REDS: &str = "the version in use itself, since no outcome was recorded: its red alerts, and the alerts that nurses closed by doing something";

impl Held {
    /// Reads it.
    pub(super) async fn read(store: &dyn Store, ask: &Ask, watch: &Watch) -> Result<Self, BudgetError> {
        let id = ask.active.id();
        let mut patients = store.roster().await?.patients;
        patients.retain(|patient| patient.programmes.iter().any(|programme| programme == id));
        if patients.is_empty() {
            return Err(BacktestError::Nobody(id.to_owned()).into());
        }
        let ids: Vec<PatientId> = patients.iter().map(|patient| patient.id.clone()).collect();
        let mut known = Notes::read(store, &ids, (ask.from(), ask.until)).await?;
        let notes = ids.iter().map(|patient| (patient.clone(), known.take(patient))).collect();
        let filter =
            HistoryFilter { since: ask.from(), until: ask.until, patients: Some(ids), ..HistoryFilter::default() };
        let mut history = store.history(&filter).await?;
        let (names, mut chunks, mut readings) = (Arc::clone(history.names()), Vec::new(), 0);
        let (total, mut done) = (history.total().max(1), 0);
        while let Some(chunk) = history.next().await {
            let chunk = chunk?;
            readings += chunk.readings.len();
            if readings > READINGS_MAX {
                return Err(BudgetError::TooMuch);
            }
            if watch.is_cancelled() {
                return Err(BudgetError::Cancelled);
            }
            watch.count(&chunk);
            watch.came(PASS * (chunk.done.min(total) - done) / total);
            done = chunk.done.min(total);
            chunks.push(Arc::new(chunk));
        }
        let invalid = Arc::new(known.invalid().clone());
        Ok(Self { chunks, names, invalid, patients, notes, reference: OUTCOMES })
    }

    /// Where nobody recorded an outcome, what the version in use found red, and what nurses did something about, stand for one.
    pub(super) fn settle_reference(&mut self, ask: &Ask, watch: &Watch) -> Result<(), BudgetError> {
        let is_event =
            |note: &(Timestamp, Note)| matches!(note.1, Note::Outcome(_, outcome) if outcome != PatientOutcome::Other);
        if self.notes.values().flatten().any(is_event) {
            return Ok(());
        }
        self.reference = OWN_REDS;
        let reds = self.fold(&ask.active, &ask.active, (ask, true), watch)?.reds;
        for notes in self.notes.values_mut() {
            let acted: Vec<_> = notes.iter().filter_map(acted_on).collect();
            notes.extend(acted);
        }
        for (patient, at) in reds {
            self.notes.entry(patient).or_default().push((at, Note::Outcome(at, PatientOutcome::Exacerbation)));
        }
        self.notes.values_mut().for_each(|notes| notes.sort_by_key(|(at, _)| *at));
        Ok(())
    }

    /// Both versions on the whole history; `reds`: the times of the first one's red alerts are wanted.
    pub(super) fn fold(
        &self,
        one: &Arc<Programme>,
        two: &Arc<Programme>,
        (ask, reds): (&Ask, bool),
        watch: &Watch,
    ) -> Result<Folded, BudgetError> {
        let ask = Ask { active: Arc::clone(one), proposed: Arc::clone(two), worst_max: 0, ..ask.clone() };
        let mut people = People::of(&self.patients, &ask).people;
        for person in &mut people {
            person.notes = self.notes.get(&person.patient).cloned().unwrap_or_default();
        }
        let mut fold =
            Fold::start(people, &self.names, &self.invalid, ask.from(), ask.threads).map_err(BacktestError::from)?;
        let each = PASS / (self.chunks.len() as u64).max(1);
        for chunk in &self.chunks {
            if watch.is_cancelled() {
                return Err(BudgetError::Cancelled);
            }
            fold.chunk(chunk);
            watch.came(each);
        }
        let mut counting = ask.counting();
        counting.keep_reds = reds;
        let tally = fold.end(&counting).map_err(BacktestError::Failed)?;
        Ok(Folded { one: Score::of(&tally.active), two: Score::of(&tally.proposed), reds: tally.reds })
    }
}

/// An alert that a nurse closed by doing something stands for an event, when it was raised.
fn acted_on((at, note): &(Timestamp, Note)) -> Option<(Timestamp, Note)> {
    let Note::Closed(closing) = note else { return None };
    let did = matches!(reason_name(closing.reason), "advice" | "medicine_changed" | "acute_nurse_sent" | "admitted");
    did.then_some((*at, Note::Outcome(closing.raised_at, PatientOutcome::Exacerbation)))
}

/// What both versions do.
pub(super) struct Folded {
    pub one: Score,
    pub two: Score,
    /// When the first one's alerts became red, where that was asked for.
    pub reds: Vec<(PatientId, Timestamp)>,
}
