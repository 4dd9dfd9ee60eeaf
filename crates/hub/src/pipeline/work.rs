//! One batch on its way: what is to be committed, and what is owed to whom once it is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use desk::{ActionRefused, ActionRequest, Pulse, Standing};
use jiff::Timestamp;
use store::Batch;
use tokio::sync::oneshot;
use triage::{AlertChange, Outcome};
use vitals::{KitId, PatientId};
use wire::Judged;

use crate::{clock, remeasure::Wanted, source::Acked, watching::traces::Way};

use super::{BATCH_AGE_MAX, BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, lanes::Room};

/// One batch.
pub(super) struct Work {
    /// Counts up from 1.
    pub number: u64,
    /// What is committed.
    pub batch: Batch,
    /// The messages, in receive order.
    pub owed: Vec<Owed>,
    /// What is to be measured again, once this is stored.
    pub remeasure: Vec<Wanted>,
    /// The heartbeat's readings, to be shown once this is stored.
    pub pulses: Vec<Pulse>,
    /// How patients stand once this is stored, in order.
    pub standings: Vec<(PatientId, Option<Standing>)>,
    /// The nurses that wait, and what they are told: it is stored with this batch or before.
    pub replies: Vec<(Reply, AlertChange)>,
    bytes: usize,
}

/// The last batch that was committed, as the recorder tells the judge.
#[derive(Default)]
pub(super) struct Committed {
    number: AtomicU64,
    linger_micros: AtomicU64,
}

/// A batch of fewer messages than this is no crowd: the next is not waited for.
const CROWD_MESSAGES_MIN: usize = 16;
/// The longest that a wanted batch waits for the rest of a crowd.
const LINGER_MAX: Duration = Duration::from_millis(5);

impl Committed {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// How long the next batch waits for those that have just been acknowledged and will send again: in a crowd a quarter of what a commit
    /// takes, else not at all. Otherwise two halves of the kits take turns, each waiting for the other's commit.
    pub fn linger(&self) -> Duration {
        Duration::from_micros(self.linger_micros.load(Ordering::Acquire))
    }

    /// A batch was committed.
    pub fn set(&self, number: u64, messages: usize, took: Duration) {
        let linger = if messages < CROWD_MESSAGES_MIN { Duration::ZERO } else { (took / 4).min(LINGER_MAX) };
        self.linger_micros.store(u64::try_from(linger.as_micros()).unwrap_or(0), Ordering::Release);
        self.number.store(number, Ordering::Release);
    }
}

/// Where an action's outcome goes.
pub(super) type Reply = oneshot::Sender<Result<AlertChange, ActionRefused>>;

/// What is owed for one message.
pub(super) struct Owed {
    /// To whom.
    pub kit: KitId,
    /// For which message, if that could be read.
    pub seq: Option<u64>,
    /// The oldest message that the kit keeps, if it says so.
    pub oldest: Option<u64>,
    /// What of it could not be used.
    pub rejected: Option<String>,
    /// Nothing of it could.
    pub whole: bool,
    /// How its readings and answers were judged, for the kit's page.
    pub judged: Vec<Judged>,
    /// When it came.
    pub received_at: Timestamp,
    /// The one that waits.
    pub ack: Option<oneshot::Sender<Acked>>,
    /// Its way, where it is traced.
    pub way: Way,
    /// Its room in the intake, given back when this is dropped.
    pub _room: Room,
}

impl Owed {
    /// It was judged, which took so long.
    pub fn assessed(&self, took: Duration) {
        if self.way.is_traced() {
            let now = clock::now();
            self.way.step("assess", now - took, now, 1);
        }
    }
}

impl Work {
    /// An empty batch.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            batch: Batch::default(),
            owed: Vec::new(),
            replies: Vec::new(),
            remeasure: Vec::new(),
            pulses: Vec::new(),
            standings: Vec::new(),
            bytes: 0,
        }
    }

    /// Something happens: the first opens the batch. What has no stamp of its own (quarantine, assessments) is recorded at that time.
    pub fn at(&mut self, now: Timestamp) -> Timestamp {
        if self.is_empty() {
            self.batch.recorded_at = now;
        }
        self.batch.recorded_at
    }

    /// Is there anything to commit, or anybody to answer?
    pub fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.replies.is_empty() && !self.batch.has_content()
    }

    /// Is there anything for the recorder? What is only shown opens no batch.
    pub fn has_news(&self) -> bool {
        !self.is_empty() || !self.standings.is_empty()
    }

    /// How many more messages it takes now. One that waits for the store takes none after a while: what comes then waits for the
    /// next.
    pub fn room(&self, now: Timestamp) -> usize {
        let old = !self.is_empty() && now.duration_since(self.batch.recorded_at) >= BATCH_AGE_MAX;
        if old || self.bytes >= BATCH_BYTES_MAX { 0 } else { BATCH_MESSAGES_MAX.saturating_sub(self.owed.len()) }
    }

    /// One more message.
    pub fn owe(&mut self, owed: Owed, bytes: usize) {
        self.bytes += bytes;
        self.owed.push(owed);
    }

    /// What one event changed.
    pub fn add(&mut self, outcome: Outcome) {
        self.batch.assessments.extend(outcome.assessment);
        self.batch.alerts.extend(outcome.alerts);
    }

    /// A nurse asked for what is so already. What made it so may still be on its way to the store, in this batch or the one before.
    pub fn answer_unchanged(&mut self, reply: Reply, as_it_is: AlertChange) {
        self.replies.push((reply, as_it_is));
    }

    /// A nurse's change.
    pub fn answer(&mut self, reply: Reply, change: AlertChange) {
        self.batch.alerts.push(change.clone());
        self.replies.push((reply, change));
    }
}

/// Tells a nurse that it was not done; nobody may be waiting any more. Nothing is left of the request.
pub(super) fn refuse(request: ActionRequest, why: ActionRefused) -> Option<ActionRequest> {
    if request.reply.send(Err(why)).is_err() {
        tracing::debug!("an action was refused, and nobody waits for it any more");
    }
    None
}
