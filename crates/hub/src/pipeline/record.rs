//! Steps 7 and 8: commits a batch, then acknowledges in receive order, then shows. A batch that can't be committed is tried again until it can.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use desk::Board;
use jiff::Timestamp;
use store::{KitSeq, Store, StoreError};
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
use crate::{clock::Clock, remeasure::Wanted};

/// The first pause after a commit that failed; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
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
        if work.has_content() {
            self.commit(&mut work).await;
        }
        self.committed.set(work.number, work.owed.len(), started.elapsed());
        self.want();
        self.finish(work, started);
    }

    /// Commits, however often it takes.
    async fn commit(&self, work: &mut Work) {
        let mut pause = RETRY_MIN;
        while let Err(error) = self.watched(work).await {
            metrics::counter!("vagt_commit_errors_total").increment(1);
            if self.health.trouble(&error.to_string()) {
                tracing::error!("nothing can be stored, nothing is acknowledged: {error}");
            }
            self.pause(pause, work.owed.len()).await;
            pause = (pause * 2).min(RETRY_MAX);
            if self.is_stored(work).await {
                break;
            }
        }
        if let Some(since) = self.health.well() {
            tracing::info!("stored again; behind since {since}");
        }
    }

    /// One try. One that takes long is trouble too.
    async fn watched(&self, work: &Work) -> Result<(), StoreError> {
        let started = Instant::now();
        let commit = self.store.commit(&work.batch);
        tokio::pin!(commit);
        loop {
            tokio::select! {
                result = &mut commit => return result,
                () = sleep(BEAT) => {
                    if started.elapsed() > SLOW && self.health.trouble("the store is slow") {
                        tracing::warn!("a commit takes longer than {} s", SLOW.as_secs());
                    }
                    self.health.beat(work.owed.len());
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

    /// A commit that was reported as failed may have happened, with all that is in it. Otherwise what is there already is not stored twice.
    async fn is_stored(&self, work: &mut Work) -> bool {
        let batch = &mut work.batch;
        let whole = batch.quarantined.iter().filter(|row| row.whole);
        let marks = whole.filter_map(|row| Some(KitSeq { kit: row.kit.clone(), seq: row.seq? }));
        let keys: Vec<_> = batch.entries.iter().map(|entry| entry.key.clone()).chain(marks).collect();
        let Ok(stored) = self.store.seen(&keys).await else { return false };
        if stored.is_empty() {
            return false;
        }
        let stored: HashMap<_, _> = stored.into_iter().collect();
        if batch.entries.iter().all(|entry| stored.get(&entry.key) == Some(&entry.hash)) && stored.len() == keys.len() {
            return true;
        }
        batch.entries.retain(|entry| stored.get(&entry.key) != Some(&entry.hash));
        batch.quarantined.retain(|row| {
            let key = row.seq.map(|seq| KitSeq { kit: row.kit.clone(), seq });
            key.is_none_or(|key| stored.get(&key) != Some(&row.hash))
        });
        false
    }

    fn finish(&mut self, work: Work, started: Instant) {
        let now = (self.clock)();
        let Work { batch, owed, replies, remeasure, .. } = work;
        let messages = owed.len();
        let oldest = owed.iter().map(|owed| owed.received_at).min();
        self.acknowledge(owed, now);
        self.board.apply(&batch.alerts, &batch.assessments, batch.recorded_at);
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
        count(&batch, messages, started, oldest, now);
    }

    /// In receive order; then each kit's watermark, once for the batch.
    fn acknowledge(&mut self, owed: Vec<Owed>, now: Timestamp) {
        let mut kits: HashMap<KitId, (Vec<Rejection>, Vec<Judged>)> = HashMap::new();
        for Owed { kit, seq, rejected, judged, ack, .. } in owed {
            if ack.is_some_and(|ack| ack.send(()).is_err()) {
                metrics::counter!("vagt_acknowledged_to_nobody_total").increment(1);
            }
            let Some(seq) = seq else { continue };
            let mark = match self.marks.get_mut(&kit) {
                Some(mark) => mark,
                None => self.marks.entry(kit.clone()).or_default(),
            };
            let passed = mark.received(seq, now);
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

/// One step of the counters a batch.
fn count(batch: &store::Batch, messages: usize, started: Instant, oldest: Option<Timestamp>, now: Timestamp) {
    let readings: usize = batch.entries.iter().map(|entry| entry.readings.len()).sum();
    metrics::counter!("vagt_messages_total").increment(messages as u64);
    metrics::counter!("vagt_readings_total").increment(readings as u64);
    metrics::counter!("vagt_quarantined_total").increment(batch.quarantined.len() as u64);
    metrics::counter!("vagt_assessment_changes_total").increment(batch.assessments.len() as u64);
    metrics::counter!("vagt_alert_changes_total").increment(batch.alerts.len() as u64);
    metrics::histogram!("vagt_batch_messages").record(messages as f64);
    metrics::histogram!("vagt_commit_seconds").record(started.elapsed().as_secs_f64());
    if let Some(oldest) = oldest {
        metrics::histogram!("vagt_acknowledged_after_seconds")
            .record(now.duration_since(oldest).as_secs_f64().max(0.0));
    }
}
