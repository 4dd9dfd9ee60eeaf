//! The shell around the state machine: one at a time, what it decides is made durable before it is shown or answered for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::{Mutex, broadcast, watch};
use tokio_util::sync::CancellationToken;
use uuid::{NoContext, Uuid};
use vitals::{DeviceId, PatientId, Reading, SessionId};
use wire::{Command, Judged};

use super::{
    Acted, Action, Note, View, diagnostics,
    machine::{Out, Round, Rules, Said, Taken},
};
use crate::{
    board::Board,
    clock,
    spool::{Receipt, Spool},
    stage::{Event, Heard},
};

/// How often time goes by for the state machine.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// What of the kit's problems the person should know, by what the board calls it.
const NOTES: &[(&str, Note)] = &[
    ("broker", Note::Offline),
    ("acks", Note::Offline),
    ("clock", Note::Clock),
    ("spool", Note::Disk),
    ("spool file", Note::Gap),
    ("spool gap", Note::Gap),
    ("bluetooth", Note::Bluetooth),
];

/// The kit's person side. Clones share it.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    round: Mutex<Round>,
    spool: Arc<Spool>,
    board: Board,
    data_dir: PathBuf,
    started: Instant,
    view: watch::Sender<View>,
}

/// What was spooled as one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Spooled {
    /// Its sitting.
    pub session: SessionId,
    /// Under which number.
    pub receipt: Receipt,
    /// What was measured, with every flag.
    pub readings: Vec<Reading>,
}

/// What became of what a device told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TakenIn {
    /// The messages with readings.
    pub spooled: Vec<Spooled>,
    /// Some of it is held, durably, until somebody has said whose it is. The device must not forget it yet.
    pub withheld: bool,
}

impl Handle {
    /// The person's side as it was kept in the spool.
    pub async fn open(rules: Rules, spool: Arc<Spool>, board: Board, data_dir: PathBuf) -> Self {
        let round = Round::new(rules, &spool.kept().await, Box::new(session_id));
        let view = watch::Sender::new(View::default());
        let shared = Shared { round: Mutex::new(round), spool, board, data_dir, started: Instant::now(), view };
        let handle = Self { shared: Arc::new(shared) };
        handle.change(clock::now(), |round| round.tick(clock::now())).await;
        handle
    }

    /// What the page shows, and wakes when that changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.shared.view.subscribe()
    }

    /// A person did this. When it returns, what it brought is durable and the view has changed.
    pub async fn act(&self, action: Action) -> Acted {
        self.act_at(action, clock::now()).await
    }

    /// The same at a given time.
    pub async fn act_at(&self, action: Action, now: Timestamp) -> Acted {
        self.change(now, |round| round.act(action, now)).await.0
    }

    /// A device told this. When it returns, it is durable.
    pub async fn take_in(&self, taken: Taken, now: Timestamp) -> TakenIn {
        let (withheld, spooled) = self.change(now, |round| round.measured(taken, now)).await;
        TakenIn { spooled, withheld }
    }

    /// The clinic asks for something. When it returns, it is durable and answered for.
    pub async fn command(&self, command: Command) {
        let now = clock::now();
        tracing::info!(id = %command.id, command = %command.command, "a command came");
        let Shared { board, data_dir, started, .. } = &*self.shared;
        let diagnostics = if command.command == "diagnostics" {
            diagnostics::text(&board.status(true, now), started.elapsed(), data_dir)
        } else {
            String::new()
        };
        self.change(now, |round| round.command(command, &diagnostics, now)).await;
    }

    /// The clinic asks for something that can't be read: it is told so, once.
    pub async fn unreadable(&self, id: String, patient: Option<PatientId>, why: String) {
        let now = clock::now();
        self.change(now, |round| round.unreadable(id, patient, why, now)).await;
    }

    /// The core has judged these.
    pub async fn judged(&self, judged: &[Judged]) {
        self.change(clock::now(), |round| round.judged(judged)).await;
    }

    /// Follows the devices, the core's acknowledgements, the kit's problems and the time, until `stop`.
    pub async fn run(&self, mut stage: broadcast::Receiver<Heard>, stop: CancellationToken) {
        let mut acked = self.shared.spool.acked_through();
        let mut problems = self.shared.board.watch();
        let mut ticks = tokio::time::interval(TICK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.note().await;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                heard = stage.recv() => match heard {
                    Ok(Heard { device, event, .. }) => self.heard(&device, event).await,
                    // What was missed is only what the page would have shown meanwhile.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => stop.cancelled().await,
                },
                Ok(()) = acked.changed() => {
                    let (acked, now) = (*acked.borrow_and_update(), clock::now());
                    self.change(now, |round| round.acked(acked, now)).await;
                }
                Ok(()) = problems.changed() => self.note().await,
                _ = ticks.tick() => {
                    let (now, late) = (clock::now(), self.shared.spool.kept_late().await);
                    self.change(now, |round| {
                        late.into_iter().for_each(|kept| round.adopt(&kept, now));
                        round.tick(now);
                    })
                    .await;
                }
            }
        }
    }

    async fn heard(&self, device: &DeviceId, event: Event) {
        let now = clock::now();
        match event {
            Event::Progress(progress) => {
                self.change(now, |round| round.progress(device, progress, now)).await;
            }
            Event::Gone => {
                self.change(now, |round| round.gone(device)).await;
            }
            Event::Connected | Event::Measured(_) | Event::Trouble(_) => {}
        }
    }

    async fn note(&self) {
        let now = clock::now();
        let status = self.shared.board.status(true, now);
        let about = |problem: &String| {
            let (about, _) = problem.split_once(": ")?;
            NOTES.iter().find(|(name, _)| *name == about).map(|(_, note)| *note)
        };
        let notes: BTreeSet<Note> = status.problems.iter().filter_map(about).collect();
        self.change(now, |round| round.noted(notes)).await;
    }

    /// Changes the state, makes durable what came of it, and shows it.
    async fn change<T>(&self, now: Timestamp, change: impl FnOnce(&mut Round) -> T) -> (T, Vec<Spooled>) {
        let mut round = self.shared.round.lock().await;
        let done = change(&mut round);
        let out = round.out();
        let spooled = self.spool(&mut round, out, now).await;
        // The number of a message is known only now.
        let out = round.out();
        self.spool(&mut round, out, now).await;
        let view = round.view(now);
        self.shared.view.send_if_modified(|shown| {
            let new = View { revision: shown.revision, ..view };
            let changed = *shown != new;
            if changed {
                *shown = View { revision: shown.revision + 1, ..new };
            }
            changed
        });
        (done, spooled)
    }

    async fn spool(&self, round: &mut Round, out: Out, now: Timestamp) -> Vec<Spooled> {
        let Out { changes, traces, said } = out;
        if changes.drafts.is_empty() && changes.kept.is_empty() && changes.passed_over.is_empty() {
            return Vec::new();
        }
        let drafts: Vec<_> = changes.drafts.iter().map(|draft| (draft.session, draft.readings.clone())).collect();
        let receipts = self.shared.spool.commit(changes, now).await;
        round.spooled(&traces, &receipts);
        log(&said, round.held());
        let spooled = drafts.into_iter().zip(receipts).filter(|((_, readings), _)| !readings.is_empty());
        spooled.map(|((session, readings), receipt)| Spooled { session, receipt, readings }).collect()
    }
}

/// How often each, and how much is held now; never a value, never a name.
fn log(said: &[Said], held: usize) {
    let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
    for one in said {
        *counts.entry(one.sentence()).or_default() += 1;
    }
    for (what, times) in counts {
        tracing::info!(times, held, "{what}");
    }
}

impl Said {
    fn sentence(self) -> &'static str {
        match self {
            Self::Held => "a measurement is held until somebody has said whose it is",
            Self::Confirmed => "a held measurement was the person's, and is sent",
            Self::Unconfirmed => "nobody has said whose a held measurement is; it is sent, marked",
            Self::NotMine => "a held measurement was somebody else's, by the person's word, and is dropped",
            Self::Unclaimed => "nobody at the station has claimed a held measurement; it is given up",
            Self::Command => "a command was answered",
            Self::CallMe => "somebody wants to be called",
        }
    }
}

fn session_id(now: Timestamp) -> SessionId {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, now.subsec_nanosecond().unsigned_abs()))
}
