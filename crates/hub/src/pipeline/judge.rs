//! The one owner of the charts: says what was seen before, marks steps that are hard to believe, assesses, keeps the deadlines of silence, and
//! writes into the journal what a replay needs.
//!
//! Its charts run ahead of the store by the batch in its hand and the one being committed. Neither is ever given up while the process lives,
//! so they never disagree with what will be stored; a process that ends forgets both, and the kits send again.
//!
//! Everything that it judges has a stamp of its own (`stamps.rs`), stored with it: a message as its `recorded_at`, everything else as a
//! journal entry in the same batch. The parts are `take` (messages), `watch` (whose chart, by which plan), `time` (clock and deadlines) and
//! `acting` (nurses).

mod acting;
mod take;
mod time;
mod watch;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
};

use desk::ActionRequest;
use hashbrown::HashMap;
use jiff::Timestamp;
use store::{Journal, JournalEntry, KitSeq, Store};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use vitals::{KitId, PatientId};

use self::watch::Watched;
use super::{
    health::{BEAT, Health},
    lanes::Lanes,
    poison::Poison,
    stamps::Stamps,
    timers::Timers,
    work::{Committed, Work},
};
use crate::{
    clock::Clock,
    directory::{Directories, Directory},
    kits::KitHeard,
};

/// Charts that wait between the loader and the judge.
const LOADED_MAX: usize = 64;
/// Journal entries of one batch beyond which no chart is taken over.
const JOURNAL_MAX: usize = 4096;

/// What comes to the judge and goes from it.
pub(super) struct Channels {
    pub arrivals: Arc<Lanes>,
    pub actions: mpsc::Receiver<ActionRequest>,
    pub kits: mpsc::Receiver<KitHeard>,
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
    charts: HashMap<PatientId, Watched>,
    /// Those whose charts go on from before the start. Bounded by the roster's patients.
    known: HashSet<PatientId>,
    /// Those whose charts are to be built anew. Bounded by the roster's patients.
    rebuilds: VecDeque<PatientId>,
    /// How many are being built.
    building: usize,
    timers: Timers,
    /// The largest seq of each kit, stored or in a batch. Bounded by the roster's kits.
    last: HashMap<KitId, u64>,
    /// At most three batches: committed a moment ago, being committed, open.
    fresh: VecDeque<(u64, Fresh)>,
    poison: Poison,
    committed: Arc<Committed>,
    work: Work,
    clock: Clock,
    stamps: Stamps,
    /// The versions of programmes that the journal says are in use.
    in_use: BTreeMap<String, u32>,
    /// When it began: charts from before the start are built as of then.
    started: Timestamp,
    /// The clock has gone back, and the charts are still those of before.
    stepped_back: bool,
    meters: Meters,
}

/// What is recorded with every message, or nearly so: looked up once.
struct Meters {
    assess_seconds: metrics::Histogram,
    charts: metrics::Gauge,
    open: metrics::Gauge,
}

impl Judge {
    /// A judge that goes on above the last stamp that is `stored`.
    pub fn new(
        store: Arc<dyn Store>,
        directories: Directories,
        health: Arc<Health>,
        committed: Arc<Committed>,
        clock: Clock,
        stored: Option<Timestamp>,
    ) -> Self {
        let (stamps, set_back_from) = Stamps::above(stored, clock());
        let directory = directories.now();
        let mut judge = Self {
            store,
            directories,
            directory,
            health,
            charts: HashMap::new(),
            known: HashSet::new(),
            rebuilds: VecDeque::new(),
            building: 0,
            timers: Timers::default(),
            last: HashMap::new(),
            fresh: VecDeque::from([(1, Fresh::new())]),
            poison: Poison::default(),
            committed,
            work: Work::new(1),
            clock,
            stamps,
            in_use: BTreeMap::new(),
            started: Timestamp::MIN,
            stepped_back: false,
            meters: Meters {
                assess_seconds: metrics::histogram!("vagt_assess_seconds"),
                charts: metrics::gauge!("vagt_charts"),
                open: metrics::gauge!("vagt_judged_messages", "batch" => "open"),
            },
        };
        if let Some(from) = set_back_from {
            judge.tell_set_back(from);
        }
        judge.begin(set_back_from);
        judge
    }

    pub async fn run(mut self, channels: Channels) {
        let Channels { arrivals, mut actions, mut kits, work, mut wanted, stop } = channels;
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
                self.build(&loader);
            }
            if let Some(request) = held.take() {
                held = self.act(request).await;
            }
            if !gathered.is_empty() && self.room() > 0 {
                self.take(&mut gathered).await;
            }
            let room = if open && gathered.is_empty() { self.room() } else { 0 };
            // Nobody's silence is judged any more: a deadline that has passed would be waited for without an end.
            let until_tick = if stopping { BEAT } else { self.until_tick() };
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
                () = due(send_at), if self.work.has_news() => {
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
                Some(heard) = kits.recv(), if self.room() > 0 => self.hear(heard).await,
                Some(chart) = loaded.recv(), if self.may_take_over() => self.take_over(chart),
                count = arrivals.recv_many(&mut gathered, room), if room > 0 => {
                    open = count > 0;
                    self.take(&mut gathered).await;
                }
                () = sleep(until_tick) => {}
            }
            self.meters.charts.set(self.charts.len() as f64);
            self.meters.open.set(self.work.owed.len() as f64);
            self.health.judge_alive();
        }
    }

    /// A stamp of its own for what happens now. It does not step back, so that charts rebuilt from the store go the same way.
    fn stamp(&mut self) -> Timestamp {
        let stamp = self.stamps.next((self.clock)());
        self.work.at(stamp);
        stamp
    }

    /// Writes into the journal.
    fn note(&mut self, at: Timestamp, by: Option<String>, patient: Option<&PatientId>, what: Journal) {
        self.work.batch.journal.push(JournalEntry { at, by, patient: patient.cloned(), what });
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
        if self.stepped_back || self.stamps.is_behind(now) { 0 } else { self.work.room(self.stamps.now(now)) }
    }

    /// Charts are taken over into the open batch, since the journal says by what they judge.
    fn may_take_over(&self) -> bool {
        !self.stepped_back && self.work.batch.journal.len() < JOURNAL_MAX
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

#[cfg(test)]
mod tests;
