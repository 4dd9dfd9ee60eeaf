//! The history goes through both programmes: patients are spread over threads, each thread has its patients' charts, and what is counted is added up.
//!
//! The threads are as nice as they can be, so that triage beside them goes first; they never touch the store. Every thread gets every
//! chunk, which it shares with the others, and takes its own patients from it. What waits between the reader and a thread is bounded, so memory is
//! the charts and the episodes, whatever the history's length.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use jiff::Timestamp;
use store::{HistoryChunk, HistoryMessage, HistoryNames};
use triage::{Plan, Sitting};
use vitals::{PatientId, Reading};

use super::{
    history::Invalid,
    pair::{Note, Pair},
    tally::{Counting, Tally},
};

/// How many chunks wait for a thread.
const WAITING_MAX: usize = 3;
/// The niceness of a thread that is in nobody's way.
const NICE: i32 = 19;

/// A patient to be watched.
#[derive(Debug)]
pub struct Person {
    /// Whose.
    pub patient: PatientId,
    /// By the active programme.
    pub active: Plan,
    /// By the proposed one.
    pub proposed: Plan,
    /// What is known beside the messages, by stamp.
    pub notes: Vec<(Timestamp, Note)>,
}

/// How far a backtest is; and the way to end it.
#[derive(Debug, Default)]
pub struct Watch {
    cancelled: AtomicBool,
    messages: AtomicU64,
    readings: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

impl Watch {
    /// Ends it as soon as may be; what is known so far is told.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Was it cancelled?
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Messages and readings so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.readings.load(Ordering::Relaxed))
    }

    /// The share that is done: of the history that is read, or of the passes over it that may be needed.
    #[must_use]
    pub fn share(&self) -> f64 {
        let total = self.total.load(Ordering::Relaxed);
        if total == 0 { 0.0 } else { (self.done.load(Ordering::Relaxed) as f64 / total as f64).min(1.0) }
    }

    pub(super) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// So much more is done of what is expected.
    pub(super) fn came(&self, further: u64) {
        self.done.fetch_add(further, Ordering::Relaxed);
    }

    pub(super) fn read(&self, chunk: &HistoryChunk) {
        self.done.store(chunk.done, Ordering::Relaxed);
        self.count(chunk);
    }

    pub(super) fn count(&self, chunk: &HistoryChunk) {
        self.messages.fetch_add(chunk.messages.len() as u64, Ordering::Relaxed);
        self.readings.fetch_add(chunk.readings.len() as u64, Ordering::Relaxed);
    }
}

/// The threads that fold.
pub struct Fold {
    shards: Vec<Shard>,
}

struct Shard {
    sender: SyncSender<Arc<HistoryChunk>>,
    thread: JoinHandle<Charts>,
}

impl Fold {
    /// Starts the threads. `from` is where the history begins, some time before what is looked at.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        people: Vec<Person>,
        names: &Arc<HistoryNames>,
        invalid: &Arc<Invalid>,
        from: Timestamp,
        threads: usize,
    ) -> std::io::Result<Self> {
        let numbers = Numbers::of(names);
        let empty = || Charts {
            names: Arc::clone(names),
            invalid: Arc::clone(invalid),
            by_number: (0..names.patients.len()).map(|_| None).collect(),
            silent: Vec::new(),
            buffer: Vec::new(),
        };
        let mut charts: Vec<Charts> = (0..threads.max(1)).map(|_| empty()).collect();
        for (at, person) in people.into_iter().enumerate() {
            let place = at % charts.len();
            charts[place].watch(person, &numbers, from);
        }
        let shards = charts.into_iter().enumerate().map(Shard::start).collect::<Result<_, _>>()?;
        Ok(Self { shards })
    }

    /// The next chunk. Waits while the threads have enough to do.
    pub fn chunk(&mut self, chunk: &Arc<HistoryChunk>) {
        for shard in &self.shards {
            // It fails only if the thread has failed, which its end tells.
            let _ = shard.sender.send(Arc::clone(chunk));
        }
    }

    /// The history is over: everything counted.
    ///
    /// # Errors
    /// A thread has failed: a fault of the program.
    pub fn end(self, counting: &Counting) -> Result<Tally, String> {
        let threads: Vec<_> = self.shards.into_iter().map(|shard| shard.thread).collect();
        let failed = |_| "a thread that judged the history has failed".to_owned();
        let charts: Vec<Charts> =
            threads.into_iter().map(|thread| thread.join().map_err(failed)).collect::<Result<_, _>>()?;
        let counted: Vec<Option<Tally>> = std::thread::scope(|scope| {
            let counters: Vec<_> =
                charts.into_iter().map(|charts| scope.spawn(move || charts.count(counting.clone()))).collect();
            counters.into_iter().map(|counter| counter.join().ok()).collect()
        });
        let mut tally = Tally::new(counting.clone());
        for one in counted {
            tally.add(one.ok_or("a thread that counted has failed")?);
        }
        tally.patients.sort_by(|a, b| a.patient.cmp(&b.patient));
        Ok(tally)
    }
}

impl Shard {
    fn start((number, charts): (usize, Charts)) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let name = format!("tuning-{number}");
        let thread = std::thread::Builder::new().name(name).spawn(move || charts.fold(&receiver))?;
        Ok(Self { sender, thread })
    }
}

/// A patient's number in the history.
struct Numbers<'n>(std::collections::HashMap<&'n PatientId, usize>);

impl<'n> Numbers<'n> {
    fn of(names: &'n HistoryNames) -> Self {
        let known = names.patients.iter().enumerate();
        Self(known.filter_map(|(number, patient)| Some((patient.as_ref()?, number))).collect())
    }
}

/// The charts of one thread's patients. Bounded by the roster.
struct Charts {
    names: Arc<HistoryNames>,
    invalid: Arc<Invalid>,
    by_number: Vec<Option<Box<Watched>>>,
    /// Patients who never sent anything.
    silent: Vec<Watched>,
    buffer: Vec<Reading>,
}

/// One patient.
struct Watched {
    patient: PatientId,
    pair: Pair,
    notes: VecDeque<(Timestamp, Note)>,
}

impl Charts {
    fn watch(&mut self, person: Person, numbers: &Numbers<'_>, from: Timestamp) {
        let Person { patient, active, proposed, notes } = person;
        let number = numbers.0.get(&patient).copied();
        let watched = Watched { patient, pair: Pair::new(active, proposed, from), notes: notes.into() };
        match number.and_then(|number| self.by_number.get_mut(number)) {
            Some(place) => *place = Some(Box::new(watched)),
            None => self.silent.push(watched),
        }
    }

    fn fold(mut self, chunks: &Receiver<Arc<HistoryChunk>>) -> Self {
        be_nice();
        for chunk in chunks {
            for message in &chunk.messages {
                self.message(&chunk, message);
            }
        }
        self
    }

    fn message(&mut self, chunk: &HistoryChunk, message: &HistoryMessage) {
        let Some(Some(watched)) = self.by_number.get_mut(message.patient as usize) else { return };
        let now = message.recorded_at;
        watched.notes_until(now);
        let (kit, seq) = (self.names.kit(message), message.seq);
        self.buffer.clear();
        self.buffer.extend(chunk.readings_of(message).iter().map(|reading| self.names.reading(reading)));
        self.invalid.leave_out(kit, seq, &mut self.buffer);
        let sitting = Sitting { kit, seq, readings: &self.buffer, answers: chunk.answers_of(message) };
        watched.pair.sitting(sitting, now);
    }

    fn count(self, counting: Counting) -> Tally {
        be_nice();
        let until = counting.span.until;
        let mut tally = Tally::new(counting);
        for mut watched in self.by_number.into_iter().flatten().map(|watched| *watched).chain(self.silent) {
            watched.notes_until(until);
            let since = watched.pair.since();
            tally.patient(&watched.patient, watched.pair.end(until), since);
        }
        tally
    }
}

impl Watched {
    /// What was recorded before `now`.
    fn notes_until(&mut self, now: Timestamp) {
        while self.notes.front().is_some_and(|(at, _)| *at < now) {
            if let Some((at, note)) = self.notes.pop_front() {
                self.pair.note(note, at);
            }
        }
    }
}

/// Lets everything else go first: on Linux this is of the thread that asks.
pub fn be_nice() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!("this thread is not nice: {error}");
    }
}
