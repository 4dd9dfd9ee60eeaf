//! The store of a story: what is on the disk, in memory. It outlives every hub of the story. It can fail, hang, lose the answer after a commit,
//! and be away; what it does is drawn from the story's seed for each question by itself, so that one question more changes no other's answer.
//!
//! It says no more than the service asks of it while it takes messages in and judges them.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use store::{Batch, Entry, JournalEntry, KitSeq, ProgrammeVersion, Quarantined, Roster, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use triage::{Alert, AlertEvent, AlertId, Mark, State as Standing};
use vitals::{KitId, PatientId, Vital};

use super::trace::{Trace, draw};
use crate::pipeline::{BATCH_AGE_MAX, BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};

/// Trouble that passes. (Damage does not: a store that says `Corrupt` is believed.)
const TROUBLE: StoreError = StoreError::Closed;

/// What a store may do wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Of a thousand commits so many are refused; nothing is stored.
    pub refuses: u64,
    /// Of a thousand commits so many are stored, and said to have failed.
    pub lies: u64,
    /// Of a thousand commits so many take seconds, and a few of those longer than a kit waits.
    pub hangs: u64,
    /// Of a thousand questions so many are not answered.
    pub unread: u64,
    /// What a commit takes at most, in milliseconds.
    pub commit_ms: u64,
    /// What a question takes at most, in milliseconds, beside half a one.
    pub read_ms: u64,
}

/// A way to the story's store: a hub's, with the lead that it took, or that of whoever is no hub.
pub struct Disk {
    place: Arc<Place>,
    /// The lead that this hub took; none, and whoever asks is no hub.
    epoch: Option<u64>,
    /// Its process stands still, as by SIGSTOP: nothing that it asks arrives, and no answer.
    frozen: watch::Sender<bool>,
}

impl Deref for Disk {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

/// Where the story's store is.
pub struct Place {
    pub state: Mutex<State>,
    pub faults: Mutex<Faults>,
    /// Nothing can be read or written until then.
    pub away_until: Mutex<Option<Instant>>,
    seed: u64,
    asked: AtomicU64,
    committed: AtomicU64,
    /// The newest lead.
    epoch: AtomicU64,
    /// How often one was refused that had been taken over from.
    pub fenced: AtomicU64,
    pub trace: Arc<Trace>,
}

/// What is stored.
#[derive(Clone, Default)]
pub struct State {
    /// In the order in which they were committed.
    pub messages: Vec<Entry>,
    pub seen: HashMap<KitSeq, [u8; 32]>,
    pub quarantine: Vec<(Quarantined, Timestamp)>,
    /// In the order in which they were raised.
    pub alerts: Vec<(Alert, Vec<AlertEvent>)>,
    pub at: HashMap<AlertId, usize>,
    pub journal: BTreeMap<Timestamp, JournalEntry>,
    pub roster: Roster,
    pub programmes: Vec<ProgrammeVersion>,
    assessed: Option<Timestamp>,
    pub commits: u64,
}

impl Disk {
    pub fn new(state: State, seed: u64, trace: Arc<Trace>) -> Arc<Self> {
        let (state, faults, away_until) = (Mutex::new(state), Mutex::default(), Mutex::default());
        let (asked, committed, epoch, fenced) = Default::default();
        let place = Place { state, faults, away_until, seed, asked, committed, epoch, fenced, trace };
        Arc::new(Self { place: Arc::new(place), epoch: None, frozen: watch::Sender::new(false) })
    }

    /// A hub takes the lead: what another still writes is refused from now on.
    pub fn lead(&self) -> Arc<Self> {
        let epoch = self.place.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Self { place: Arc::clone(&self.place), epoch: Some(epoch), frozen: watch::Sender::new(false) })
    }

    /// Its process stands still, or goes on.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    async fn goes_on(&self) {
        // The sender is here.
        _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
    }

    /// As the database does it, behind the lock of its one row.
    pub fn still_leads(&self) -> Result<(), StoreError> {
        let newest = self.place.epoch.load(Ordering::Relaxed);
        let Some(own) = self.epoch.filter(|own| *own != newest) else { return Ok(()) };
        self.fenced.fetch_add(1, Ordering::Relaxed);
        Err(StoreError::LeadLost { own: own.cast_signed(), epoch: newest.cast_signed() })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    pub fn go_away(&self, until: Option<Instant>) {
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn trouble(&self) -> StoreError {
        self.trace.trouble();
        TROUBLE
    }

    fn away(&self) -> Result<(), StoreError> {
        let until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() < until) { Err(self.trouble()) } else { Ok(()) }
    }

    /// Before every question that is not a commit.
    pub async fn ask(&self) -> Result<(), StoreError> {
        self.goes_on().await;
        let drawn = draw(self.seed, 1, self.asked.fetch_add(1, Ordering::Relaxed));
        sleep(Duration::from_micros(drawn % (500 + self.faults().read_ms * 1000))).await;
        self.away()?;
        if (drawn >> 32) % 1000 < self.faults().unread { Err(self.trouble()) } else { Ok(()) }
    }

    /// Commits, or does not, or says that it does not.
    pub async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.goes_on().await;
        let (faults, drawn) = (self.faults(), draw(self.seed, 2, self.committed.fetch_add(1, Ordering::Relaxed)));
        let (luck, what) = (drawn % 1000, drawn >> 32);
        let took = match (drawn >> 16) % 1000 < faults.hangs {
            true => Duration::from_millis(500 + what % if what.is_multiple_of(4) { 25_000 } else { 3_000 }),
            false => Duration::from_micros(200 + what % (faults.commit_ms * 1000 + 1)),
        };
        let stored_at = Instant::now() + took / 2;
        sleep_until(stored_at).await;
        self.away()?;
        if luck < faults.refuses {
            return Err(self.trouble());
        }
        self.still_leads()?;
        self.within_bounds(batch);
        let applied = self.state().apply(batch);
        if let Err(error) = &applied {
            self.trace.violate(format!("the store refuses a batch for what is in it: {error}"));
        }
        applied?;
        self.reds_are_told(batch);
        sleep(took / 2).await;
        self.goes_on().await;
        self.away()?;
        if luck < faults.refuses + faults.lies { Err(self.trouble()) } else { Ok(()) }
    }

    fn within_bounds(&self, batch: &Batch) {
        let bytes: usize = batch.quarantined.iter().map(|row| row.bytes.len()).sum();
        if batch.entries.len() > BATCH_MESSAGES_MAX || bytes > BATCH_BYTES_MAX + wire::MESSAGE_BYTES_MAX * 4 {
            self.trace.violate(format!("a batch holds {} messages and {bytes} bytes", batch.entries.len()));
        }
        let newest = batch.entries.iter().map(|entry| entry.recorded_at).max();
        let open_for = newest.map_or(SignedDuration::ZERO, |newest| newest.duration_since(batch.recorded_at));
        if open_for > BATCH_AGE_MAX {
            self.trace.violate(format!("a batch took messages in for {open_for:#}"));
        }
    }

    /// Known without triage: who measures 80 % or less, as it is now and without a doubt, has an open red alert that heard of it; unless a
    /// nurse closed one a moment ago, who has dealt with the sitting that this one belongs to.
    fn reds_are_told(&self, batch: &Batch) {
        for entry in &batch.entries {
            let at = entry.recorded_at;
            let fresh = |when: Timestamp| fresh_of(when, at, 300);
            let is_red = |reading: &vitals::Reading| {
                let value: f64 = reading.value.to_string().parse().unwrap_or(100.0);
                let sure = reading.flags.is_empty() && fresh(reading.measured_at);
                reading.vital == Vital::Spo2 && value <= 80.0 && sure
            };
            let told = |alert: &Alert| alert.patient == entry.patient && alert.mark == Mark::Red;
            let heard = batch.alerts.iter().any(|change| told(&change.alert) && change.event.at == at);
            let closed = |alert: &Alert| matches!(&alert.state, Standing::Closed { at: closed, .. } if fresh_of(*closed, at, 20 * 60));
            let of = |(alert, _): &(Alert, Vec<AlertEvent>)| told(alert) && (alert.state.is_open() || closed(alert));
            let known = self.state().alerts.iter().any(of);
            if entry.readings.iter().any(is_red) && !heard && !known {
                let KitSeq { kit, seq } = &entry.key;
                self.trace
                    .violate(format!("message {seq} of {kit} is red, and no red alert of {} tells it", entry.patient));
            }
        }
    }
}

fn fresh_of(when: Timestamp, at: Timestamp, seconds: i64) -> bool {
    at.duration_since(when).abs().as_secs() < seconds
}

impl State {
    /// One transaction.
    pub fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut next = HashMap::new();
        let whole =
            batch.quarantined.iter().filter(|row| row.whole).filter_map(|row| Some((&row.kit, row.seq?, row.hash)));
        let keys = batch.entries.iter().map(|entry| (&entry.key.kit, entry.key.seq, entry.hash)).chain(whole);
        for (kit, seq, hash) in keys {
            let key = KitSeq { kit: kit.clone(), seq };
            if self.seen.contains_key(&key) || next.insert(key, hash).is_some() {
                return Err(StoreError::Duplicate { kit: kit.clone(), seq });
            }
        }
        self.check_alerts(batch)?;
        self.seen.extend(next);
        self.messages.extend(batch.entries.iter().cloned());
        self.quarantine.extend(batch.quarantined.iter().cloned().map(|row| (row, batch.recorded_at)));
        for change in &batch.alerts {
            let place = *self.at.entry(change.alert.id).or_insert_with(|| {
                self.alerts.push((change.alert.clone(), Vec::new()));
                self.alerts.len() - 1
            });
            self.alerts[place].0 = change.alert.clone();
            self.alerts[place].1.push(change.event.clone());
        }
        for entry in &batch.journal {
            self.note(entry.clone());
        }
        if !batch.assessments.is_empty() {
            self.assessed = Some(batch.recorded_at);
        }
        self.commits += 1;
        Ok(())
    }

    /// One open alert of a patient and family.
    fn check_alerts(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut last: HashMap<AlertId, &Alert> = HashMap::new();
        for change in &batch.alerts {
            last.insert(change.alert.id, &change.alert);
        }
        let mut open: HashMap<(&PatientId, &str), AlertId> = HashMap::new();
        let stored = self.alerts.iter().map(|(alert, _)| alert).filter(|alert| !last.contains_key(&alert.id));
        for alert in stored.chain(last.values().copied()).filter(|alert| alert.state.is_open()) {
            if open.insert((&alert.patient, &alert.family), alert.id).is_some() {
                let (patient, family) = (alert.patient.clone(), alert.family.clone());
                return Err(StoreError::AlertAlreadyOpen { patient, family });
            }
        }
        Ok(())
    }

    /// With its stamp, or the next nanosecond that is free.
    pub fn note(&mut self, mut entry: JournalEntry) -> Timestamp {
        while let Some(there) = self.journal.get(&entry.at) {
            if *there == entry {
                return entry.at;
            }
            entry.at += SignedDuration::from_nanos(1);
        }
        let at = entry.at;
        self.journal.insert(at, entry);
        at
    }

    /// The newest stamp of any kind, up to `bound`.
    pub fn newest(&self, bound: Timestamp) -> Option<Timestamp> {
        let journal = self.journal.range(..=bound).next_back().map(|(at, _)| *at);
        let message = self.messages.last().map(|entry| entry.recorded_at);
        let event = self.alerts.iter().filter_map(|(_, events)| Some(events.last()?.at)).max();
        [journal, message, event, self.assessed].into_iter().flatten().filter(|at| *at <= bound).max()
    }

    pub fn open(&self, patient: Option<&PatientId>) -> Vec<Alert> {
        let mut open: Vec<Alert> = self
            .alerts
            .iter()
            .map(|(alert, _)| alert)
            .filter(|alert| alert.state.is_open() && patient.is_none_or(|patient| alert.patient == *patient))
            .cloned()
            .collect();
        open.sort_by_key(|alert| alert.raised_at);
        open
    }

    /// Patients and kits that are replaced, by id.
    pub fn put(&mut self, roster: &Roster) {
        let known = &mut self.roster;
        for patient in &roster.patients {
            known.patients.retain(|one| one.id != patient.id);
            known.patients.push(patient.clone());
        }
        for kit in &roster.kits {
            known.kits.retain(|one| one.id != kit.id);
            known.kits.push(kit.clone());
        }
        known.patients.sort_by(|one, other| one.id.cmp(&other.id));
        known.kits.sort_by(|one, other| one.id.cmp(&other.id));
    }

    /// Is this message stored, or in quarantine as a whole?
    pub fn has(&self, kit: &KitId, seq: u64) -> bool {
        self.seen.contains_key(&KitSeq { kit: kit.clone(), seq })
    }
}
