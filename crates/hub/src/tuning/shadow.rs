//! A shadow: a version that judges beside the one in use, every day, and pages nobody.
//!
//! It lives on what is stored: every few seconds the messages that were committed since are read and judged in charts of its own, on one nice thread
//! of its own. So it can't slow the judge (nothing hangs on it, not even a queue), it can't lose a message, and a restart is nothing but a longer
//! reading: charts are built again from what was stored before it was started, and its alerts from then on are the same (decision 0076). What it
//! would have raised is kept in the store, with the same stand-in for a nurse as in a backtest.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{HistoryFilter, Journal, JournalFilter, Patient, ShadowAlert, Store, StoreError};
use triage::{Action, Alert, Rulebook, Sitting, State};
use vitals::PatientId;

pub use super::shadow_runs::{Ended, Running, SHADOWS_MAX, ever, running, start, stop};
use super::{
    backtest::{Ask, Sides, plan},
    beside::Beside,
    fold::be_nice,
    history::Invalid,
    side::Side,
};
use crate::{
    clock::Clock,
    pipeline::stamps::STEP_BACK_MAX,
    programmes::{Library, all_entries},
};

/// How often what was committed since is read.
const EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether people or programmes have changed.
const LOOK_AROUND_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Entries of the journal that are read in one go.
const ENTRIES_MAX: u32 = 1_000;
/// Alerts that are kept in one write.
const KEPT_TOGETHER: usize = 512;

/// Everything that judges as a shadow in a running service.
pub struct Shadows {
    store: Arc<dyn Store>,
    zone: TimeZone,
    clock: Clock,
    watchers: Vec<Watcher>,
    around: Option<Around>,
    looked: Timestamp,
    /// Up to here time has been judged.
    judged: Timestamp,
    beside: Beside,
}

/// What everybody is judged by, and who there is: where it changes, shadows are built again.
#[derive(Clone, PartialEq)]
struct Around {
    patients: Vec<Patient>,
    in_use: BTreeMap<String, u32>,
    invalid: usize,
}

impl Shadows {
    /// None judged yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, zone: TimeZone, clock: Clock, beside: Beside) -> Self {
        Self {
            store,
            zone,
            clock,
            watchers: Vec::new(),
            around: None,
            looked: Timestamp::MIN,
            judged: Timestamp::MIN,
            beside,
        }
    }

    /// Judges until it is stopped, on a nice thread of its own; ends when that has ended.
    pub async fn keep(mut self) {
        let Some(place) = self.beside.place().await else { return };
        let runtime = tokio::runtime::Handle::current();
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let keep = move || {
            be_nice();
            place.block_on(&runtime, self.rounds());
            // The place last: then nothing is left that works with the runtime.
            drop((self, ended, place));
        };
        match std::thread::Builder::new().name("shadow".into()).spawn(keep) {
            // It is never sent to, so that it ends with an error when the thread drops it.
            Ok(_) => _ = end.await,
            Err(error) => tracing::error!("nothing judges as a shadow, since no thread could be started: {error}"),
        }
    }

    /// Judges again and again, for as long as this service leads.
    async fn rounds(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            match self.round().await {
                Ok(()) => {}
                Err(lost @ StoreError::LeadLost { .. }) => {
                    return tracing::warn!("nothing judges as a shadow any more: {lost}");
                }
                Err(error) => {
                    tracing::warn!("shadows are behind, and are tried again: {error}");
                    self.watchers.clear();
                    self.looked = Timestamp::MIN;
                }
            }
        }
    }

    /// Judges what was committed since the last round.
    ///
    /// # Errors
    /// The store fails; everything is built again in the next round.
    pub async fn round(&mut self) -> Result<(), StoreError> {
        let now = (self.clock)();
        let running = running(&*self.store, now).await?;
        // The clock had leapt ahead, and silences were judged of times that are still to come.
        if self.judged.duration_since(now) > STEP_BACK_MAX {
            self.watchers.clear();
        }
        self.judged = now;
        self.retain(&running).await?;
        if running.is_empty() {
            self.looked = Timestamp::MIN;
            return Ok(());
        }
        let erased = JournalFilter {
            entries: Some(&["person_erased"]),
            since: Some(self.looked),
            limit: 1,
            ..JournalFilter::default()
        };
        if now.duration_since(self.looked).abs() > LOOK_AROUND_EVERY || !self.store.journal(erased).await?.is_empty() {
            self.look_around(now).await?;
        }
        for one in running.into_iter().take(SHADOWS_MAX) {
            if !self.watchers.iter().any(|watcher| watcher.running == one)
                && let Some(watcher) = self.begin(one, now).await?
            {
                self.watchers.push(watcher);
            }
        }
        for watcher in &mut self.watchers {
            watcher.advance(&*self.store, now).await?;
        }
        let behind = self.watchers.iter().map(|watcher| now.duration_since(watcher.reached).as_secs_f64());
        metrics::gauge!("vagt_shadow_behind_seconds").set(behind.fold(0.0, f64::max));
        metrics::gauge!("vagt_shadows_running").set(self.watchers.len() as f64);
        Ok(())
    }

    /// Lets go of what runs no longer, and says why.
    async fn retain(&mut self, running: &[Running]) -> Result<(), StoreError> {
        let before = self.watchers.len();
        let mut ended = Vec::new();
        self.watchers.retain(|watcher| {
            let runs = running.contains(&watcher.running);
            ended.extend((!runs).then(|| (watcher.running.programme.clone(), watcher.running.version)));
            runs
        });
        if self.watchers.len() < before {
            let ever = ever(&*self.store, self.judged).await?;
            for one in ever.iter().filter(|one| ended.contains(&(one.programme.clone(), one.version))) {
                let how = one.ended.map_or("started anew", |(_, how)| how.in_words());
                tracing::info!(programme = %one.programme, version = one.version, "a shadow ends: it was {how}");
            }
        }
        Ok(())
    }

    /// Where people, programmes or what counts have changed, all shadows begin anew.
    async fn look_around(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let library = Library::open(&*self.store, now).await?;
        let invalid = all_entries(&*self.store, &["reading_invalidated", "reading_restored"]).await?.len();
        // Another name judges nobody otherwise.
        let judged_by = |patient: Patient| Patient { name: String::new(), born: None, ..patient };
        let patients = self.store.roster().await?.patients.into_iter().map(judged_by).collect();
        let around = Around { patients, in_use: library.in_use().clone(), invalid };
        if self.around.as_ref() != Some(&around) {
            self.watchers.clear();
            self.around = Some(around);
        }
        self.looked = now;
        Ok(())
    }

    /// A shadow from what is stored: charts from before it was started, its alerts from then on.
    async fn begin(&self, running: Running, now: Timestamp) -> Result<Option<Watcher>, StoreError> {
        let library = Library::open(&*self.store, now).await?;
        let Ok(tried) = library.tried(&running.programme, running.version) else { return Ok(None) };
        let shadow = Arc::clone(&tried.programme);
        let (Ok(others), Ok(clinic)) = (library.programmes(), library.clinic()) else { return Ok(None) };
        let sides = Sides { active: Arc::clone(&shadow), proposed: shadow, others, clinic };
        let ask = Ask::new(sides, running.since, now, self.zone.clone());
        let patients = self.around.as_ref().map(|around| around.patients.as_slice()).unwrap_or_default();
        let sides = sides_of(patients, &ask);
        self.store.shadow_clear(&running.programme, running.version).await?;
        let invalid = Invalid::read(&*self.store).await?;
        tracing::info!(programme = %running.programme, version = running.version, people = sides.len(), "a shadow begins");
        Ok(Some(Watcher { reached: ask.from(), journal: ask.from(), running, sides, invalid }))
    }
}

/// Everybody who is in the programme, each watched by it.
fn sides_of(patients: &[Patient], ask: &Ask) -> HashMap<PatientId, Side> {
    let mut books: HashMap<Vec<String>, Arc<Rulebook>> = HashMap::new();
    let mut sides = HashMap::new();
    for patient in patients.iter().filter(|patient| patient.programmes.iter().any(|id| id == ask.active.id())) {
        let book = match books.get(&patient.programmes) {
            Some(book) => Arc::clone(book),
            None => {
                let programmes = ask.beside(&patient.programmes, &ask.active);
                let Ok(book) = Rulebook::new(programmes, Arc::clone(&ask.clinic)) else { continue };
                books.insert(patient.programmes.clone(), Arc::clone(&book));
                book
            }
        };
        let plan = plan(patient, Arc::clone(&book), &ask.zone).or_else(|why| {
            tracing::warn!(patient = %patient.id, "own settings don't fit the shadow, which judges without them: {why}");
            plan(&Patient { own: serde_json::Value::Null, ..patient.clone() }, book, &ask.zone)
        });
        if let Ok(plan) = plan {
            sides.insert(patient.id.clone(), Side::telling(plan, ask.from()));
        }
    }
    sides
}

/// One shadow: its charts, and how far it has come.
struct Watcher {
    running: Running,
    /// Bounded by the roster.
    sides: HashMap<PatientId, Side>,
    invalid: Invalid,
    /// Every message up to here is judged.
    reached: Timestamp,
    /// The journal has been read up to here.
    journal: Timestamp,
}

/// What nurses and kits did, by patient, in order.
type Deeds = HashMap<PatientId, Vec<(Timestamp, Deed)>>;

/// What matters to a shadow.
enum Deed {
    Closed(String),
    Kit(Option<Timestamp>),
}

impl Watcher {
    /// Judges what was committed since, and keeps what changed.
    async fn advance(&mut self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let mut deeds = self.deeds(store, now).await?;
        let since = next(self.reached);
        // What was recorded while the clock was ahead waits until then: else all that comes meanwhile would be passed over.
        let filter = HistoryFilter { since, until: next(now), ..HistoryFilter::default() };
        let mut history = store.history(&filter).await?;
        let names = Arc::clone(history.names());
        let mut readings = Vec::new();
        while let Some(chunk) = history.next().await {
            let chunk = chunk?;
            for message in &chunk.messages {
                self.reached = self.reached.max(message.recorded_at);
                let Some(side) = self.sides.get_mut(names.patient(message)) else { continue };
                do_until(side, deeds.get_mut(names.patient(message)), message.recorded_at);
                let (kit, seq) = (names.kit(message), message.seq);
                readings.clear();
                readings.extend(chunk.readings_of(message).iter().map(|reading| names.reading(reading)));
                self.invalid.leave_out(kit, seq, &mut readings);
                let sitting = Sitting { kit, seq, readings: &readings, answers: chunk.answers_of(message) };
                side.sitting(sitting, message.recorded_at);
            }
            self.keep(store).await?;
        }
        for (patient, side) in &mut self.sides {
            do_until(side, deeds.get_mut(patient), Timestamp::MAX);
            side.tick(now);
        }
        self.keep(store).await
    }

    /// What was done since the journal was read last.
    async fn deeds(&mut self, store: &dyn Store, now: Timestamp) -> Result<Deeds, StoreError> {
        let mut deeds = Deeds::new();
        loop {
            let entries = Some(["acted", "kit_silent", "kit_back"].as_slice());
            let filter = JournalFilter {
                entries,
                since: Some(next(self.journal)),
                before: Some(next(now)),
                limit: ENTRIES_MAX,
                ..JournalFilter::default()
            };
            let page = store.journal(filter).await?;
            let full = page.len() >= ENTRIES_MAX as usize;
            for entry in page {
                self.journal = entry.at;
                if let Some(patient) = entry.patient.clone().filter(|patient| self.sides.contains_key(patient))
                    && let Some(deed) = deed(store, entry.what).await?
                {
                    deeds.entry(patient).or_default().push((entry.at, deed));
                }
            }
            if !full {
                return Ok(deeds);
            }
        }
    }

    /// Keeps the alerts that changed, if they were raised since the shadow was started.
    async fn keep(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut changed = Vec::new();
        for side in self.sides.values_mut() {
            changed.extend(side.take_changed());
        }
        changed.retain(|alert| alert.raised_at >= self.running.since);
        for together in changed.chunks(KEPT_TOGETHER) {
            let alerts: Vec<ShadowAlert> = together.iter().map(|alert| self.shadow_alert(alert)).collect();
            store.put_shadow(&alerts).await?;
        }
        Ok(())
    }

    fn shadow_alert(&self, alert: &Alert) -> ShadowAlert {
        ShadowAlert {
            programme: self.running.programme.clone(),
            version: self.running.version,
            patient: alert.patient.clone(),
            alert: alert.clone(),
            raised_at: alert.raised_at,
        }
    }
}

/// What an entry means to a shadow.
async fn deed(store: &dyn Store, what: Journal) -> Result<Option<Deed>, StoreError> {
    Ok(match what {
        Journal::KitSilent { since, .. } => Some(Deed::Kit(Some(since))),
        Journal::KitBack { .. } => Some(Deed::Kit(None)),
        Journal::Acted { alert, action: Action::Close { .. }, .. } => {
            let found = store.alert(alert).await?;
            let closed = found.filter(|(alert, _)| matches!(alert.state, State::Closed { .. }));
            closed.map(|(alert, _)| Deed::Closed(alert.family))
        }
        _ => None,
    })
}

/// What was done before `until`.
fn do_until(side: &mut Side, deeds: Option<&mut Vec<(Timestamp, Deed)>>, until: Timestamp) {
    let Some(deeds) = deeds else { return };
    let due = deeds.partition_point(|(at, _)| *at < until);
    for (at, deed) in deeds.drain(..due) {
        match deed {
            Deed::Closed(family) => {
                side.tick(at);
                side.nurse_closed(&family, at);
            }
            Deed::Kit(silent_since) => _ = side.kit(silent_since, at),
        }
    }
}

fn next(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at)
}
