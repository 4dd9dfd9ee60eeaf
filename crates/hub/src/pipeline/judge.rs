//! The one owner of the charts: says what was seen before, marks steps that are hard to believe, assesses, and keeps the deadlines of silence.
//!
//! Its charts run ahead of the store by the batch in its hand and the one being committed. Neither is ever given up while the process lives,
//! so they never disagree with what will be stored; a process that ends forgets both, and the kits send again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use desk::{ActionRefused, ActionRequest};
use jiff::{SignedDuration, Timestamp};
use store::{KitSeq, Store, StoreError};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use triage::{Chart, Event, Plan, Sitting, act, assess, next_tick, suspect_step};
use vitals::{Flag, KitId, PatientId};
use wire::Judged;

use super::{
    Incoming, charts,
    health::{BEAT, Health},
    loading::{load_all, until_read},
    poison::Poison,
    timers::Timers,
    work::{Committed, Owed, Work, refuse},
};
use crate::{
    clock::Clock,
    directory::{Directories, Directory},
};

/// Charts that wait between the loader and the judge.
const LOADED_MAX: usize = 64;
/// Deadlines that are judged in one turn, so that readings are not held up by silence.
const TICKS_MAX: usize = 256;
/// The clock may go back by this much without being followed: the judge's time stands still until it has come up again.
const STEP_BACK_MAX: SignedDuration = SignedDuration::from_mins(1);

/// What comes to the judge and goes from it.
pub(super) struct Channels {
    pub arrivals: mpsc::Receiver<Incoming>,
    pub actions: mpsc::Receiver<ActionRequest>,
    /// Finished batches, one when it is wanted.
    pub work: mpsc::Sender<Work>,
    /// The recorder wants a batch.
    pub wanted: mpsc::Receiver<()>,
    pub stop: CancellationToken,
}

/// The hash of each message of one batch that may not be committed yet.
type Fresh = HashMap<KitSeq, [u8; 32]>;

pub(super) struct Judge {
    store: Arc<dyn Store>,
    directories: Directories,
    directory: Arc<Directory>,
    health: Arc<Health>,
    /// Bounded by the roster's patients.
    charts: HashMap<PatientId, Chart>,
    timers: Timers,
    /// The largest seq of each kit, stored or in a batch. Bounded by the roster's kits.
    last: HashMap<KitId, u64>,
    /// At most three batches: committed a moment ago, being committed, open.
    fresh: VecDeque<(u64, Fresh)>,
    poison: Poison,
    committed: Arc<Committed>,
    work: Work,
    clock: Clock,
    /// The latest that the clock has said.
    latest: Timestamp,
    /// The clock has gone back, and the charts are still those of before.
    stepped_back: bool,
}

impl Judge {
    pub fn new(
        store: Arc<dyn Store>,
        directories: Directories,
        health: Arc<Health>,
        committed: Arc<Committed>,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            directory: directories.now(),
            directories,
            health,
            charts: HashMap::new(),
            timers: Timers::default(),
            last: HashMap::new(),
            fresh: VecDeque::from([(1, Fresh::new())]),
            poison: Poison::default(),
            committed,
            work: Work::new(1),
            clock,
            latest: Timestamp::MIN,
            stepped_back: false,
        }
    }

    pub async fn run(mut self, channels: Channels) {
        let Channels { mut arrivals, mut actions, work, mut wanted, stop } = channels;
        let (mut loader, mut loaded) = mpsc::channel(LOADED_MAX);
        self.watch_clock();
        self.load_missing(&loader);
        let mut gathered = Vec::new();
        let (mut open, mut stopping) = (true, false);
        let mut send_at: Option<Instant> = None;
        let mut held = None;
        while open || !gathered.is_empty() || held.is_some() || !self.work.is_empty() {
            self.watch_clock();
            if self.may_start_anew() {
                self.start_anew();
                (loader, loaded) = mpsc::channel(LOADED_MAX);
                self.load_missing(&loader);
            }
            if !stopping {
                self.tick();
            }
            if let Some(request) = held.take() {
                held = self.act(request).await;
            }
            if !gathered.is_empty() && self.room() > 0 {
                self.take(&mut gathered).await;
            }
            let room = if open && gathered.is_empty() { self.room() } else { 0 };
            let until_tick = self.until_tick();
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    arrivals.close();
                    actions.close();
                }
                Some(()) = wanted.recv(), if send_at.is_none() => {
                    send_at = Some(Instant::now() + self.committed.linger());
                }
                () = due(send_at), if !self.work.is_empty() => {
                    send_at = None;
                    if work.send(self.next_work()).await.is_err() {
                        break;
                    }
                }
                Some(request) = actions.recv(), if held.is_none() => held = self.act(request).await,
                directory = self.directories.changed() => {
                    self.adopt(directory);
                    self.load_missing(&loader);
                }
                Some((patient, chart)) = loaded.recv() => self.chart_loaded(&patient, chart),
                count = arrivals.recv_many(&mut gathered, room), if room > 0 => {
                    open = count > 0;
                    self.take(&mut gathered).await;
                }
                () = sleep(until_tick) => {}
            }
            self.health.judge_alive();
        }
    }

    /// Loads the charts that are not in memory, beside everything else.
    fn load_missing(&self, loader: &mpsc::Sender<(PatientId, Chart)>) {
        let plans = self.directory.plans().values();
        let missing: Vec<_> = plans.filter(|plan| !self.charts.contains_key(plan.patient())).cloned().collect();
        if !missing.is_empty() {
            tokio::spawn(load_all(Arc::clone(&self.store), missing, loader.clone(), Arc::clone(&self.clock)));
        }
    }

    /// The time of the open batch. It does not step back, so that charts rebuilt from the store go the same way.
    fn now(&mut self) -> Timestamp {
        self.latest = self.latest.max((self.clock)());
        self.work.at(self.latest)
    }

    /// Sees a clock that has been set back: the charts hold as judged what is still to come.
    fn watch_clock(&mut self) {
        let now = (self.clock)();
        if !self.is_behind(now) {
            self.latest = self.latest.max(now);
        } else if !self.stepped_back {
            self.stepped_back = true;
            metrics::counter!("vagt_clock_stepped_back_total").increment(1);
            tracing::warn!("the clock went from {} back to {now}: every chart is loaded anew", self.latest);
        }
    }

    fn is_behind(&self, now: Timestamp) -> bool {
        self.latest.duration_since(now) > STEP_BACK_MAX
    }

    /// Is everything stored that the charts know of? Until then nothing is taken in.
    fn may_start_anew(&self) -> bool {
        self.stepped_back && self.work.is_empty() && self.committed.number() + 1 >= self.work.number
    }

    /// Goes by the clock again. The charts are derived: they come again from what is stored.
    fn start_anew(&mut self) {
        self.charts.clear();
        self.timers = Timers::default();
        self.latest = (self.clock)();
        self.stepped_back = false;
    }

    /// The open batch; the next is opened.
    fn next_work(&mut self) -> Work {
        let number = self.work.number + 1;
        self.fresh.push_back((number, Fresh::new()));
        std::mem::replace(&mut self.work, Work::new(number))
    }

    /// How many messages the open batch takes.
    fn room(&self) -> usize {
        let now = (self.clock)();
        if self.stepped_back || self.is_behind(now) { 0 } else { self.work.room(now) }
    }

    /// Takes in what has arrived, or as much of it as the open batch takes.
    async fn take(&mut self, gathered: &mut Vec<Incoming>) {
        let committed = self.committed.number();
        while self.fresh.front().is_some_and(|(number, _)| *number <= committed) {
            self.fresh.pop_front();
        }
        self.learn(gathered).await;
        let stored = self.stored(gathered).await;
        let mut waiting = std::mem::take(gathered).into_iter().peekable();
        while let Some(incoming) = waiting.peek() {
            let known = self.know(incoming).await;
            if self.room() == 0 {
                break;
            }
            let Some(incoming) = waiting.next() else { break };
            self.one(incoming, &stored, known);
        }
        gathered.extend(waiting);
    }

    /// Loads the chart that a message is judged by; else says why it can't be judged. It may take as long as the store can't be read.
    async fn know(&mut self, incoming: &Incoming) -> Result<(), String> {
        let Some(entry) = &incoming.admitted.entry else { return Ok(()) };
        let patient = &entry.patient;
        let Some(plan) = self.directory.plan(patient).cloned() else {
            return Err(format!("patient {patient} is not in the roster"));
        };
        self.need_chart(&plan).await.map_err(|damage| format!("the chart of patient {patient} can't be read: {damage}"))
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
        let now = self.now();
        let Incoming { arrival, admitted, ack, _room } = incoming;
        let bytes = arrival.payload.len();
        let mut owed = Owed {
            kit: admitted.kit.clone(),
            seq: admitted.seq,
            rejected: admitted.refused.clone(),
            judged: Vec::new(),
            received_at: arrival.received_at,
            ack,
            _room,
        };
        let key = admitted.seq.map(|seq| KitSeq { kit: admitted.kit.clone(), seq });
        match key.as_ref().and_then(|key| self.hash_of(key, stored)) {
            Some(hash) if hash == admitted.hash => metrics::counter!("vagt_admit_repeated_total").increment(1),
            Some(_) => {
                let row = admitted.reused(&arrival.payload);
                owed.rejected = Some(row.reason.clone());
                self.quarantine(row, now);
            }
            None => {
                if let Some(key) = key {
                    self.remember(key, admitted.hash);
                }
                if let Some(row) = admitted.quarantined(&arrival.payload) {
                    self.quarantine(row, now);
                }
                match (admitted.entry, known) {
                    (None, _) => {}
                    (Some(entry), Ok(())) => owed.judged = self.judge(entry, now),
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
    fn quarantine(&mut self, row: store::Quarantined, now: Timestamp) {
        let is_mark = row.whole && row.seq.is_some();
        if is_mark || self.poison.is_news(&row, now) {
            self.work.batch.quarantined.push(row);
        } else {
            metrics::counter!("vagt_quarantine_repeated_total").increment(1);
        }
    }

    /// Nobody can judge this message: all of it is kept, and the kit is told.
    fn set_aside(&mut self, entry: store::Entry, bytes: &[u8], reason: String, owed: &mut Owed) {
        tracing::error!(patient = %entry.patient, kit = %entry.key.kit, "a message can't be judged: it is in quarantine, with the reason");
        owed.rejected = Some(reason.clone());
        let (kit, seq, hash) = (entry.key.kit, Some(entry.key.seq), entry.hash);
        let row = store::Quarantined { kit, seq, hash, bytes: bytes.to_vec(), reason, whole: true };
        self.work.batch.quarantined.push(row);
    }

    fn judge(&mut self, mut entry: store::Entry, now: Timestamp) -> Vec<Judged> {
        entry.recorded_at = now;
        let Some(plan) = self.directory.plan(&entry.patient) else { return Vec::new() };
        let Some(chart) = self.charts.get_mut(&entry.patient) else { return Vec::new() };
        for reading in &mut entry.readings {
            if suspect_step(chart, reading).is_some() {
                reading.flag(Flag::SUSPECT_STEP);
            }
        }
        let sitting =
            Sitting { kit: &entry.key.kit, seq: entry.key.seq, readings: &entry.readings, answers: &entry.answers };
        let mut outcome = assess(chart, plan, &Event::Sitting(sitting), now);
        let seq = entry.key.seq;
        let judged = std::mem::take(&mut outcome.judged).into_iter();
        self.work.add(outcome);
        self.work.batch.entries.push(entry);
        judged.map(|(vital, colour)| Judged { seq, vital, colour }).collect()
    }

    /// Loads a chart that is not in memory, however long the store can't be read. What is read and makes no sense stays so, and is told.
    async fn need_chart(&mut self, plan: &Plan) -> Result<(), StoreError> {
        if self.charts.contains_key(plan.patient()) {
            return Ok(());
        }
        let load = || async {
            match charts::load(&*self.store, plan, (self.clock)()).await {
                Err(damage @ StoreError::Corrupt { .. }) => Ok(Err(damage)),
                Err(trouble) => Err(trouble),
                Ok(chart) => Ok(Ok(chart)),
            }
        };
        let chart = until_read(&self.health, load).await?;
        self.chart_loaded(plan.patient(), chart);
        Ok(())
    }

    /// A chart was loaded; one that is in memory already knows more.
    fn chart_loaded(&mut self, patient: &PatientId, chart: Chart) {
        let Some(plan) = self.directory.plan(patient) else { return };
        if !self.charts.contains_key(patient) {
            self.timers.set(patient, next_tick(&chart, plan));
            self.charts.insert(patient.clone(), chart);
        }
    }

    /// The roster has changed: plans are followed, those that left are forgotten.
    fn adopt(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
        let plans = self.directory.plans();
        self.charts.retain(|patient, _| plans.contains_key(patient));
        for (patient, chart) in &self.charts {
            self.timers.set(patient, plans.get(patient).and_then(|plan| next_tick(chart, plan)));
        }
    }

    /// What a nurse asks for. Gives it back if the open batch takes nothing now.
    async fn act(&mut self, request: ActionRequest) -> Option<ActionRequest> {
        if request.reply.is_closed() {
            return None;
        }
        if let Some(why) = self.health.why() {
            return refuse(request, ActionRefused::Store(why));
        }
        let Some(plan) = self.directory.plan(&request.patient).cloned() else {
            return refuse(request, ActionRefused::Unknown);
        };
        if let Err(damage) = self.need_chart(&plan).await {
            return refuse(request, ActionRefused::Store(damage.to_string()));
        }
        if self.room() == 0 {
            return Some(request);
        }
        self.act_now(request, &plan);
        None
    }

    fn act_now(&mut self, request: ActionRequest, plan: &Plan) {
        let now = self.now();
        let Some(chart) = self.charts.get_mut(&request.patient) else { return };
        let before = chart.open_alerts().find(|alert| alert.id == request.alert).map(|alert| alert.version);
        match act(chart, request.alert, request.seen_version, &request.action, &request.by, now) {
            Err(illegal) => {
                refuse(request, illegal.into());
            }
            Ok(change) if Some(change.alert.version) == before => {
                self.work.answer_unchanged(request.reply, change);
            }
            Ok(change) => {
                self.timers.set(&request.patient, next_tick(chart, plan));
                self.work.answer(request.reply, change);
            }
        }
    }

    fn until_tick(&self) -> Duration {
        let Some(next) = self.timers.next().filter(|_| self.room() > 0) else { return BEAT };
        Duration::try_from(next.duration_since((self.clock)())).unwrap_or(Duration::ZERO).min(BEAT)
    }

    /// Judges the silences that are due. A sitting can only move a deadline to later, so it leaves the timer, and this looks again.
    fn tick(&mut self) {
        let now = (self.clock)();
        if self.room() == 0 {
            return;
        }
        for _ in 0..TICKS_MAX {
            let Some(patient) = self.timers.pop(now) else { break };
            let (Some(plan), Some(chart)) = (self.directory.plan(&patient), self.charts.get_mut(&patient)) else {
                continue;
            };
            if next_tick(chart, plan).is_some_and(|due| due <= now) {
                metrics::counter!("vagt_ticks_total").increment(1);
                let outcome = assess(chart, plan, &Event::Tick, now);
                self.latest = self.latest.max(now);
                self.work.at(self.latest);
                self.work.add(outcome);
            }
            let next = next_tick(chart, plan).map(|next| next.max(now + TICK_PAUSE));
            self.timers.set(&patient, next);
        }
    }
}

/// When a wanted batch is handed over; never, if none is wanted.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) if at <= Instant::now() => {}
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The same patient is not judged for silence more often than this.
const TICK_PAUSE: SignedDuration = SignedDuration::from_millis(100);

#[cfg(test)]
mod tests;
