//! Steps 5 to 8 as one pipeline over batches.
//!
//! ```text
//! connection tasks          judge (owns the charts)                 record
//!   admit ──── queue ────▶ seen before? step? assess ── work ───▶ commit, acknowledge in receive order, show
//!                              ▲        ◀───── ready ────────────────┘
//!                    actions, ticks
//! ```
//!
//! The judge fills one open batch while the recorder commits the one before, and hands it over when the recorder is ready: an idle service
//! commits each message at once, a busy one commits as many together as came meanwhile. A batch is bounded by messages and bytes; in time it
//! is bounded by the commit under way and, in a crowd, a quarter of the last commit (see `work::Committed`). One that has been open for longer
//! than `BATCH_AGE_MAX` takes nothing more: charts must not run far ahead of a slow store. While the store refuses, the batch is kept and tried again, nothing is acknowledged, and the sources
//! hold: the queue, the open batch and the batch being tried are all that waits.
//!
//! The queue has two lanes (`lanes.rs`): what was measured lately is judged before what is late, with the order of each kit and patient kept.

pub mod acks;
pub mod admit;
pub mod charts;
pub mod health;
mod judge;
mod lanes;
mod loading;
mod poison;
mod record;
pub mod retell;
#[cfg(test)]
mod sim;
pub mod stamps;
mod timers;
pub mod watermark;
mod work;

use std::sync::Arc;

use desk::{ActionRequest, Board};
use hashbrown::HashMap;
use jiff::SignedDuration;
use store::Store;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    directory::Directories,
    kits::KitHeard,
    remeasure::Wanted,
    source::{Acked, Arrival, LinedUp, Stored, Taker},
};
use acks::Outbox;
use admit::{Admitted, admit};
use health::Health;
use lanes::{Lanes, Place, Room};

/// The most messages that wait between the sources and the judge.
pub const QUEUE_MESSAGES_MAX: usize = lanes::FRESH_MESSAGES_MAX + lanes::LATE_MESSAGES_MAX;
/// The most bytes that wait, or are in a batch: beyond this the sources hold.
pub const INTAKE_BYTES_MAX: usize = lanes::FRESH_BYTES_MAX + lanes::LATE_BYTES_MAX;
/// The most messages of a batch.
pub const BATCH_MESSAGES_MAX: usize = 4096;
/// The most bytes of payload of a batch.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A batch that was opened longer ago takes nothing more in: the charts must not run far ahead of what is stored.
pub const BATCH_AGE_MAX: SignedDuration = SignedDuration::from_secs(1);
/// The most actions that wait for the judge.
pub const ACTIONS_MAX: usize = 64;

/// What the pipeline works with.
pub struct Parts {
    /// Where it records.
    pub store: Arc<dyn Store>,
    /// Where it shows.
    pub board: Arc<Board>,
    /// Who is who.
    pub directories: Directories,
    /// What nurses do.
    pub actions: mpsc::Receiver<ActionRequest>,
    /// Whose kit is silent.
    pub kits: mpsc::Receiver<KitHeard>,
    /// Where goes what is to be measured again.
    pub remeasure: mpsc::Sender<Wanted>,
    /// Where acknowledgements go.
    pub outbox: Arc<Outbox>,
    /// What the judge goes by.
    pub clock: Clock,
    /// Ends it: what was taken in is finished first.
    pub stop: CancellationToken,
}

/// The running pipeline.
pub struct Pipeline {
    intake: Arc<Intake>,
    health: Arc<Health>,
    tasks: [JoinHandle<()>; 2],
}

impl Pipeline {
    /// Starts the judge and the recorder.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn start(parts: Parts) -> Result<Self, store::StoreError> {
        let Parts { store, board, directories, actions, kits, remeasure, outbox, clock, stop } = parts;
        let lanes = Lanes::new();
        let (work, works) = mpsc::channel(1);
        let (ready, wanted) = mpsc::channel(1);
        let health = Health::new(Arc::clone(&board), Arc::clone(&lanes));
        let (_, quarantined) = store.quarantine(0).await?;
        board.quarantined(quarantined);
        let stored = store.last_stamp().await?;
        let committed = Arc::default();
        let recorder = record::Recorder {
            store: Arc::clone(&store),
            board,
            outbox,
            health: Arc::clone(&health),
            works,
            ready,
            committed: Arc::clone(&committed),
            marks: HashMap::new(),
            holes: Default::default(),
            quarantined,
            remeasure,
            clock: Arc::clone(&clock),
        };
        let judge = judge::Judge::new(store, directories.clone(), Arc::clone(&health), committed, clock, stored);
        let channels = judge::Channels { arrivals: Arc::clone(&lanes), actions, kits, work, wanted, stop };
        let tasks = [tokio::spawn(judge.run(channels)), tokio::spawn(recorder.run())];
        let took = metrics::histogram!("vagt_admit_seconds");
        Ok(Self { intake: Arc::new(Intake { lanes, directories, took }), health, tasks })
    }

    /// Shows, for as long as it runs, when nothing comes through to the store any more; `heard` says when something last did.
    pub fn listen(&self, heard: watch::Receiver<Instant>) -> impl Future<Output = ()> + Send + 'static + use<> {
        health::listen(Arc::clone(&self.health), heard)
    }

    /// Where messages go in.
    #[must_use]
    pub fn taker(&self) -> Arc<dyn Taker> {
        Arc::clone(&self.intake) as Arc<dyn Taker>
    }

    /// Waits until a part of it ends.
    pub async fn ended(&mut self) {
        let [judge, recorder] = &mut self.tasks;
        tokio::select! {
            _ = judge => {}
            _ = recorder => {}
        }
    }

    /// Waits until everything that was taken in is committed and acknowledged, after `stop`.
    pub async fn finished(self) {
        for task in self.tasks.into_iter().filter(|task| !task.is_finished()) {
            if let Err(error) = task.await {
                tracing::error!("the pipeline has ended: {error}");
            }
        }
    }
}

/// The way in: admits in the task of the source, queues, waits for the commit.
struct Intake {
    lanes: Arc<Lanes>,
    directories: Directories,
    took: metrics::Histogram,
}

/// A message in the queue.
struct Incoming {
    arrival: Arrival,
    admitted: Admitted,
    ack: Option<oneshot::Sender<Acked>>,
    place: Place,
    /// Its place in the queue, given back when it is judged.
    _permit: OwnedSemaphorePermit,
    room: Room,
}

impl Taker for Intake {
    fn line_up(self: Arc<Self>, arrival: Arrival, slowed: bool) -> LinedUp {
        let began = std::time::Instant::now();
        let mut admitted = admit(&self.directories.now(), &arrival);
        self.took.record(began.elapsed().as_secs_f64());
        admitted.trace(arrival.received_at);
        let place = self.lanes.place(&admitted, slowed, arrival.received_at);
        let (lane, oldest) = (place.lane, admitted.oldest);
        let enter = async move {
            let lanes::Entry { place: _permit, room } = self.lanes.room(lane, arrival.payload.len()).await?;
            let (ack, acked) = oneshot::channel();
            let (ack, acked) = if arrival.wants_ack { (Some(ack), Stored::when(acked)) } else { (None, Stored::now()) };
            self.lanes.enter(Incoming { arrival, admitted, ack, place, _permit, room })?;
            Ok(acked)
        };
        LinedUp { lane, oldest, enter: Box::pin(enter) }
    }
}
