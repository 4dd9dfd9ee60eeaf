//! Steps 7 and 8: commits a batch, then acknowledges in receive order, then shows. A batch that can't be committed is tried again until it can.

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use desk::Board;
use hashbrown::HashMap;
use jiff::Timestamp;
use store::{Batch, JournalEntry, JournalFilter, KitSeq, Store, StoreError};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use vitals::KitId;
use wire::{Judged, Rejection};

use super::{
    acks::Outbox,
    health::{BEAT, Health, SLOW},
    watermark::Watermark,
    work::{Committed, Owed, Work},
};
use crate::{
    clock::Clock,
    remeasure::Wanted,
    source::Acked,
    watching::{heartbeat, traces::Way},
};

/// The first pause after a commit that failed; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
/// A stamp of the journal that was taken already is moved on by nanoseconds, and by fewer than this.
const MOVED_MAX: jiff::SignedDuration = jiff::SignedDuration::from_micros(1);
/// Of what is in quarantine, so many of the newest are looked at for a batch of such alone: more than a batch holds.
const QUARANTINE_LOOKED_MAX: u32 = 10_000;
/// The longest pause between two tries.
const RETRY_MAX: Duration = Duration::from_secs(5);

pub(super) struct Recorder {
    pub store: Arc<dyn Store>,
    pub board: Arc<Board>,
    pub outbox: Arc<Outbox>,
    pub health: Arc<Health>,
    pub works: mpsc::Receiver<Work>,
    /// Says that a batch is wanted.
    pub ready: mpsc::Sender<()>,
    /// The last batch that was committed.
    pub committed: Arc<Committed>,
    /// Bounded by the roster's kits.
    pub marks: HashMap<KitId, Watermark>,
    /// Kits whose messages have a hole.
    pub holes: HashSet<KitId>,
    pub quarantined: u64,
    /// What is to be measured again.
    pub remeasure: mpsc::Sender<Wanted>,
    pub clock: Clock,
}

impl Recorder {
    pub async fn run(mut self) {
        self.want();
        loop {
            match timeout(BEAT, self.works.recv()).await {
                Ok(Some(work)) => self.record(work).await,
                Ok(None) => break,
                Err(_) => {}
            }
            self.pass_holes();
            self.health.beat(0);
        }
    }

    /// A full channel means that it is known already.
    fn want(&self) {
        let _ = self.ready.try_send(());
    }

    async fn record(&mut self, mut work: Work) {
        let started = Instant::now();
        let mut batch = Arc::new(std::mem::take(&mut work.batch));
        let committing = metrics::gauge!("vagt_judged_messages", "batch" => "committing");
        committing.set(work.owed.len() as f64);
        if batch.has_content() {
            self.commit(&mut batch, work.owed.len()).await;
        }
        committing.set(0.0);
        self.committed.set(work.number, work.owed.len(), started.elapsed());
        self.want();
        self.finish(&batch, work, started);
    }

    /// Commits, however often it takes.
    async fn commit(&self, batch: &mut Arc<Batch>, in_hand: usize) {
        let mut pause = RETRY_MIN;
        while let Err(error) = self.watched(batch, in_hand).await {
            metrics::counter!("vagt_commit_errors_total").increment(1);
            if matches!(error, StoreError::LeadLost { .. }) {
                match self.fenced(in_hand, &error).await {}
            }
            if self.health.trouble(&error.to_string()) {
                tracing::error!("nothing can be stored, nothing is acknowledged: {error}");
            }
            // Nothing is tried again before it is known what the store has: what has no message in it could be stored twice.
            let stored = loop {
                self.pause(pause, in_hand).await;
                pause = (pause * 2).min(RETRY_MAX);
                match self.is_kept(batch).await {
                    Ok(stored) => break stored,
                    Err(lost @ StoreError::LeadLost { .. }) => match self.fenced(in_hand, &lost).await {},
                    Err(error) => tracing::debug!("the store can't say what it has: {error}"),
                }
            };
            if stored {
                break;
            }
        }
        if let Some(since) = self.health.well() {
            tracing::info!("stored again; behind since {since}");
        }
    }

    /// Another leads. What is in hand was never stored, whatever the kits have told the other meanwhile: nobody is answered, and the service ends.
    async fn fenced(&self, in_hand: usize, lost: &StoreError) -> Infallible {
        tracing::error!("nothing more is stored or answered here: {lost}");
        self.health.trouble(&lost.to_string());
        loop {
            self.pause(RETRY_MAX, in_hand).await;
        }
    }

    /// One try. One that takes long is trouble too.
    async fn watched(&self, batch: &Arc<Batch>, in_hand: usize) -> Result<(), StoreError> {
        let started = Instant::now();
        let commit = self.store.commit_shared(Arc::clone(batch));
        tokio::pin!(commit);
        loop {
            tokio::select! {
                biased;
                result = &mut commit => return result,
                () = sleep(BEAT) => {
                    if started.elapsed() > SLOW && self.health.trouble("the store is slow") {
                        tracing::warn!("a commit takes longer than {} s", SLOW.as_secs());
                    }
                    self.health.beat(in_hand);
                }
            }
        }
    }

    async fn pause(&self, pause: Duration, in_hand: usize) {
        let until = Instant::now() + pause;
        loop {
            self.health.beat(in_hand);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            sleep(left.min(BEAT)).await;
        }
    }

    /// Is it stored, and so that it may be acknowledged? What a server shows its standby may not have yet, where the commit was cut off while it
    /// waited for that: a commit of nothing waits for what was committed before it.
    async fn is_kept(&self, batch: &mut Arc<Batch>) -> Result<bool, StoreError> {
        let stored = self.is_stored(batch).await?;
        if stored {
            let nothing = Batch { recorded_at: batch.recorded_at, ..Batch::default() };
            self.store.commit_shared(Arc::new(nothing)).await?;
        }
        Ok(stored)
    }

    /// A commit that was reported as failed may have happened, with all that is in it. Otherwise what is there already is not stored twice.
    async fn is_stored(&self, batch: &mut Arc<Batch>) -> Result<bool, StoreError> {
        let whole = batch.quarantined.iter().filter(|row| row.whole);
        let marks = whole.filter_map(|row| Some(KitSeq { kit: row.kit.clone(), seq: row.seq? }));
        let keys: Vec<_> = batch.entries.iter().map(|entry| entry.key.clone()).chain(marks).collect();
        if keys.is_empty() {
            return is_there(&*self.store, batch).await;
        }
        let stored = self.store.seen(&keys).await?;
        if stored.is_empty() {
            return Ok(false);
        }
        let stored: HashMap<_, _> = stored.into_iter().collect();
        if batch.entries.iter().all(|entry| stored.get(&entry.key) == Some(&entry.hash)) && stored.len() == keys.len() {
            return Ok(true);
        }
        let batch = Arc::make_mut(batch);
        batch.entries.retain(|entry| stored.get(&entry.key) != Some(&entry.hash));
        batch.quarantined.retain(|row| {
            let key = row.seq.map(|seq| KitSeq { kit: row.kit.clone(), seq });
            key.is_none_or(|key| stored.get(&key) != Some(&row.hash))
        });
        Ok(false)
    }

    fn finish(&mut self, batch: &Batch, work: Work, started: Instant) {
        let now = (self.clock)();
        let is_only_shown = work.is_empty() && !batch.has_content();
        let Work { mut owed, replies, remeasure, pulses, standings, .. } = work;
        let messages = owed.len() - pulses.len();
        let ways = Ways::of(&mut owed, started.elapsed());
        let oldest = owed.iter().map(|owed| owed.received_at).min();
        self.acknowledge(owed, now);
        self.board.apply(&batch.alerts, &standings, batch.recorded_at);
        pulses.into_iter().for_each(|pulse| self.board.pulse(pulse));
        ways.over(now, (self.clock)());
        if !batch.quarantined.is_empty() {
            self.quarantined += batch.quarantined.len() as u64;
            self.board.quarantined(self.quarantined);
        }
        for wanted in remeasure {
            if self.remeasure.try_send(wanted).is_err() {
                metrics::counter!("vagt_remeasure_not_asked_total").increment(1);
            }
        }
        for (reply, change) in replies {
            if reply.send(Ok(change)).is_err() {
                tracing::debug!("an action was stored, and nobody waits for it any more");
            }
        }
        if !is_only_shown {
            count(batch, messages, started, oldest, now);
        }
    }

    /// In receive order; then each kit's watermark, once for the batch.
    fn acknowledge(&mut self, owed: Vec<Owed>, now: Timestamp) {
        let mut kits: HashMap<KitId, (Vec<Rejection>, Vec<Judged>)> = HashMap::new();
        for Owed { kit, seq, oldest, rejected, whole, judged, ack, .. } in owed {
            let acked = || Acked { rejected: rejected.clone(), whole };
            if ack.is_some_and(|ack| ack.send(acked()).is_err()) {
                metrics::counter!("vagt_acknowledged_to_nobody_total").increment(1);
            }
            let Some(seq) = seq else { continue };
            let mark = match self.marks.get_mut(&kit) {
                Some(mark) => mark,
                None => self.marks.entry(kit.clone()).or_default(),
            };
            let passed = mark.received(seq, oldest, now);
            note_passed(&kit, passed);
            if mark.has_hole() {
                self.holes.insert(kit.clone());
            }
            let (rejections, colours) = kits.entry(kit).or_default();
            rejections.extend(rejected.map(|reason| Rejection { seq, reason }));
            colours.extend(judged);
        }
        for (kit, (rejections, colours)) in kits {
            let through = self.marks.get(&kit).map_or(0, Watermark::through);
            self.outbox.put(&kit, through, rejections, colours);
        }
    }

    fn pass_holes(&mut self) {
        if self.holes.is_empty() {
            return;
        }
        let now = (self.clock)();
        let (marks, outbox) = (&mut self.marks, &self.outbox);
        self.holes.retain(|kit| {
            let Some(mark) = marks.get_mut(kit) else { return false };
            let passed = mark.lose_patience(now);
            if passed > 0 {
                note_passed(kit, passed);
                outbox.put(kit, mark.through(), Vec::new(), Vec::new());
            }
            mark.has_hole()
        });
    }
}

fn note_passed(kit: &KitId, passed: u64) {
    if passed > 0 {
        metrics::counter!("vagt_holes_passed_total").increment(passed);
        tracing::warn!(%kit, "{passed} messages of this kit never came and are no longer waited for");
    }
}

/// The ways of one batch's messages, as far as they are traced.
struct Ways {
    ways: Vec<Way>,
    messages: usize,
    took: Duration,
}

impl Ways {
    fn of(owed: &mut [Owed], took: Duration) -> Self {
        let messages = owed.len();
        let ways = owed.iter_mut().map(|owed| std::mem::take(&mut owed.way)).filter(Way::is_traced).collect();
        Self { ways, messages, took }
    }

    /// Stored at `stored`, after which they were acknowledged and shown.
    fn over(self, stored: Timestamp, shown: Timestamp) {
        for way in self.ways {
            way.step("record", stored - self.took, stored, self.messages);
            way.step("show", stored, shown, self.messages);
            way.end(shown);
        }
    }
}

/// Is a batch without messages stored? It is known by a stamp of its journal, which the judge uses once; without one, by what happened to an
/// alert, or by what is kept in quarantine.
async fn is_there(store: &dyn Store, batch: &Batch) -> Result<bool, StoreError> {
    if let Some(first) = batch.journal.first() {
        let before = first.at.checked_add(MOVED_MAX).unwrap_or(Timestamp::MAX);
        let filter = JournalFilter { since: Some(first.at), before: Some(before), ..JournalFilter::default() };
        let same =
            |entry: &JournalEntry| (&entry.by, &entry.patient, &entry.what) == (&first.by, &first.patient, &first.what);
        return Ok(store.journal(filter).await?.iter().any(same));
    }
    if let Some(change) = batch.alerts.first() {
        let found = store.alert(change.alert.id).await?;
        return Ok(found.is_some_and(|(_, events)| events.contains(&change.event)));
    }
    let Some(first) = batch.quarantined.first() else { return Ok(false) };
    let (newest, _) = store.quarantine(QUARANTINE_LOOKED_MAX).await?;
    let same = |row: &store::QuarantinedEntry| {
        (&row.kit, row.recorded_at, &row.reason) == (&first.kit, batch.recorded_at, &first.reason)
            && row.bytes == first.bytes.len() as u64
    };
    Ok(newest.iter().any(same))
}

/// One step of the counters a batch.
fn count(batch: &Batch, messages: usize, started: Instant, oldest: Option<Timestamp>, now: Timestamp) {
    let somebodys = batch.entries.iter().filter(|entry| !heartbeat::is(&entry.key.kit));
    let readings: usize = somebodys.map(|entry| entry.readings.len()).sum();
    metrics::counter!("vagt_messages_total").increment(messages as u64);
    metrics::counter!("vagt_readings_total").increment(readings as u64);
    metrics::counter!("vagt_assessment_changes_total").increment(batch.assessments.len() as u64);
    metrics::counter!("vagt_alert_changes_total").increment(batch.alerts.len() as u64);
    metrics::histogram!("vagt_batch_messages").record(messages as f64);
    metrics::histogram!("vagt_commit_seconds").record(started.elapsed().as_secs_f64());
    if let Some(oldest) = oldest {
        metrics::histogram!("vagt_acknowledged_after_seconds")
            .record(now.duration_since(oldest).as_secs_f64().max(0.0));
    }
}
