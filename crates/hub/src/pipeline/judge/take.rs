//! Messages: seen before, to be set aside, or to be judged.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use jiff::Timestamp;
use store::{KitSeq, StoredMessage};
use triage::{Event, Remeasure, Sitting, assess, next_held, suspect_step};
use vitals::{Flag, KitId};
use wire::Judged;

use super::{Fresh, Judge, Watched};
use crate::{
    pipeline::{Incoming, charts::Step, loading::until_read, work::Owed},
    remeasure::Wanted,
    watching::heartbeat,
};

/// So many messages without a chart are looked at together.
const AHEAD_MAX: usize = 64;

impl Judge {
    /// Takes in what has arrived, or as much of it as the open batch takes.
    pub(super) async fn take(&mut self, gathered: &mut Vec<Incoming>) {
        let committed = self.committed.number();
        while self.fresh.front().is_some_and(|(number, _)| *number <= committed) {
            self.fresh.pop_front();
        }
        self.learn(gathered).await;
        let stored = self.stored(gathered).await;
        let mut waiting = VecDeque::from(std::mem::take(gathered));
        while let Some(incoming) = waiting.front() {
            if self.lacks_chart(incoming) {
                self.look_ahead(&waiting).await;
            }
            let known = self.know(incoming).await;
            if self.room() == 0 {
                break;
            }
            let Some(incoming) = waiting.pop_front() else { break };
            self.one(incoming, &stored, known);
        }
        gathered.extend(waiting);
    }

    fn lacks_chart(&self, incoming: &Incoming) -> bool {
        let entry = incoming.admitted.entry.as_ref();
        entry.is_some_and(|entry| !heartbeat::is(&entry.key.kit) && !self.charts.contains_key(&entry.patient))
    }

    /// Loads the next charts that will be needed, beside each other: after a start nearly every message needs one.
    async fn look_ahead(&mut self, waiting: &VecDeque<Incoming>) {
        let lacking = waiting.iter().filter(|incoming| self.lacks_chart(incoming));
        let patients = lacking.filter_map(|incoming| incoming.admitted.entry.as_ref().map(|entry| &entry.patient));
        let next: BTreeSet<_> = patients.take(AHEAD_MAX).cloned().collect();
        if next.len() > 1 {
            self.load_ahead(next).await;
        }
    }

    /// Loads the chart that a message is judged by; else says why it can't be judged. It may take as long as the store can't be read.
    async fn know(&mut self, incoming: &Incoming) -> Result<(), String> {
        let Some(entry) = &incoming.admitted.entry else { return Ok(()) };
        if heartbeat::is(&entry.key.kit) {
            return Ok(());
        }
        let patient = &entry.patient;
        if self.directory.plan(patient).is_none() {
            return Err(format!("patient {patient} is not in the roster"));
        }
        self.need_chart(patient)
            .await
            .map_err(|damage| format!("the chart of patient {patient} can't be read: {damage}"))
    }

    /// Learns how far kits are that have not been heard since the start.
    async fn learn(&mut self, gathered: &[Incoming]) {
        let unknown = |kit: &&KitId| !self.last.contains_key(*kit);
        let mut kits: Vec<KitId> =
            gathered.iter().map(|incoming| &incoming.admitted.kit).filter(unknown).cloned().collect();
        if kits.is_empty() {
            return;
        }
        kits.sort_unstable();
        kits.dedup();
        let found = until_read(&self.health, || self.store.last_seqs(&kits)).await;
        self.last.extend(kits.into_iter().map(|kit| (kit, 0)));
        self.last.extend(found);
    }

    /// Which of these the store already has. Only what is not newer than the kit's last needs to be asked.
    async fn stored(&self, gathered: &[Incoming]) -> Fresh {
        let doubtful = |incoming: &Incoming| {
            let seq = incoming.admitted.seq?;
            let kit = &incoming.admitted.kit;
            self.last.get(kit).is_some_and(|last| seq <= *last).then(|| KitSeq { kit: kit.clone(), seq })
        };
        let asked: Vec<_> = gathered.iter().filter_map(doubtful).collect();
        if asked.is_empty() {
            return Fresh::new();
        }
        until_read(&self.health, || self.store.seen(&asked)).await.into_iter().collect()
    }

    /// One message: again, reused, or new.
    fn one(&mut self, incoming: Incoming, stored: &Fresh, known: Result<(), String>) {
        let now = self.stamp();
        let Incoming { arrival, mut admitted, ack, room: _room, .. } = incoming;
        let bytes = arrival.payload.len();
        let mut owed = Owed {
            kit: admitted.kit.clone(),
            seq: admitted.seq,
            oldest: admitted.oldest,
            rejected: admitted.refused.clone(),
            whole: admitted.entry.is_none(),
            judged: Vec::new(),
            received_at: arrival.received_at,
            ack,
            way: std::mem::take(&mut admitted.way),
            _room,
        };
        let key = admitted.seq.map(|seq| KitSeq { kit: admitted.kit.clone(), seq });
        match key.as_ref().and_then(|key| self.hash_of(key, stored)) {
            Some(hash) if hash == admitted.hash => metrics::counter!("vagt_admit_repeated_total").increment(1),
            Some(_) => {
                let row = admitted.reused(&arrival.payload);
                (owed.rejected, owed.whole) = (Some(row.reason.clone()), true);
                self.quarantine(row, "seq_reused", now);
            }
            None => {
                owed.way.came_first();
                if let Some(key) = key {
                    self.remember(key, admitted.hash);
                }
                if let Some(row) = admitted.quarantined(&arrival.payload) {
                    self.quarantine(row, admitted.why, now);
                }
                match (admitted.entry, known) {
                    (None, _) => {}
                    (Some(entry), Ok(())) => {
                        let began = Instant::now();
                        owed.judged = self.judge(entry, now);
                        let took = began.elapsed();
                        self.meters.assess_seconds.record(took.as_secs_f64());
                        owed.assessed(took);
                    }
                    (Some(entry), Err(reason)) => self.set_aside(entry, &arrival.payload, reason, &mut owed),
                }
            }
        }
        self.work.owe(owed, bytes);
    }

    /// What this message said when it was new, if it ever was.
    fn hash_of(&self, key: &KitSeq, stored: &Fresh) -> Option<[u8; 32]> {
        if self.last.get(&key.kit).is_none_or(|last| key.seq > *last) {
            return None;
        }
        stored.get(key).or_else(|| self.fresh.iter().find_map(|(_, batch)| batch.get(key))).copied()
    }

    fn remember(&mut self, key: KitSeq, hash: [u8; 32]) {
        let last = self.last.entry(key.kit.clone()).or_default();
        *last = key.seq.max(*last);
        if let Some((_, open)) = self.fresh.back_mut() {
            open.insert(key, hash);
        }
    }

    /// Keeps what can't be used, unless the same was kept a short while ago. The mark that a seq was seen is kept always.
    fn quarantine(&mut self, row: store::Quarantined, why: &'static str, now: Timestamp) {
        let is_mark = row.whole && row.seq.is_some();
        if is_mark || self.poison.is_news(&row, now) {
            metrics::counter!("vagt_quarantined_total", "reason" => why).increment(1);
            self.work.batch.quarantined.push(row);
        } else {
            metrics::counter!("vagt_quarantine_repeated_total").increment(1);
        }
    }

    /// Nobody can judge this message: all of it is kept, and the kit is told.
    fn set_aside(&mut self, entry: store::Entry, bytes: &[u8], reason: String, owed: &mut Owed) {
        tracing::error!(patient = %entry.patient, kit = %entry.key.kit, "a message can't be judged: it is in quarantine, with the reason");
        (owed.rejected, owed.whole) = (Some(reason.clone()), true);
        let (kit, seq, hash) = (entry.key.kit, Some(entry.key.seq), entry.hash);
        let row = store::Quarantined { kit, seq, hash, bytes: bytes.to_vec(), reason, whole: true };
        metrics::counter!("vagt_quarantined_total", "reason" => "not_judged").increment(1);
        self.work.batch.quarantined.push(row);
    }

    fn judge(&mut self, mut entry: store::Entry, at: Timestamp) -> Vec<Judged> {
        entry.recorded_at = at;
        if heartbeat::is(&entry.key.kit) {
            let (pulse, judged) = heartbeat::judge(&entry, at);
            self.work.pulses.extend(pulse);
            self.work.batch.entries.push(entry);
            return judged;
        }
        let Some(Watched { chart, plan, .. }) = self.charts.get_mut(&entry.patient) else { return Vec::new() };
        for reading in &mut entry.readings {
            if suspect_step(chart, reading).is_some() {
                reading.flag(Flag::SUSPECT_STEP);
            }
        }
        let sitting =
            Sitting { kit: &entry.key.kit, seq: entry.key.seq, readings: &entry.readings, answers: &entry.answers };
        let mut outcome = assess(chart, plan, &Event::Sitting(sitting), at);
        if let Some(held) = next_held(chart) {
            self.timers.forward(&entry.patient, held);
        }
        let seq = entry.key.seq;
        let judged = std::mem::take(&mut outcome.judged).into_iter();
        for Remeasure { vital, .. } in std::mem::take(&mut outcome.remeasure) {
            let (patient, kit, session) = (entry.patient.clone(), entry.key.kit.clone(), entry.session);
            self.work.remeasure.push(Wanted { patient, kit, session, vital });
        }
        self.work.add(outcome);
        self.meanwhile(&entry.patient, || Step::Message(as_stored(&entry)));
        self.show(&entry.patient);
        self.work.batch.entries.push(entry);
        judged.map(|(vital, colour)| Judged { seq, vital, colour }).collect()
    }
}

/// A message as the store will give it.
fn as_stored(entry: &store::Entry) -> StoredMessage {
    let store::Entry { key, recorded_at, session, readings, answers, .. } = entry;
    let (key, recorded_at, session) = (key.clone(), *recorded_at, *session);
    StoredMessage { key, recorded_at, session, readings: readings.clone(), answers: answers.clone() }
}
