//! The hub's process in a story: it starts from the disk, as the service does, and is killed, stopped or stalled; and the clocks.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use desk::{ActionRequest, Board};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::Store;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::{Duration, Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    disk::{Disk, State},
    net::{Hub, Net},
    trace::Trace,
};
use crate::{
    directory::{Directories, Directory, hex},
    kits::KitHeard,
    pipeline::{ACTIONS_MAX, Parts, Pipeline, acks::Outbox},
    programmes,
    roster::Decided,
};

/// The time of a story: true time, and how far off the hub's clock is.
#[derive(Clone)]
pub struct Hands {
    began: Instant,
    /// True time runs on by this at once, for everybody.
    leapt: Arc<Mutex<SignedDuration>>,
    hub_skew: Arc<Mutex<SignedDuration>>,
}

/// When every story begins.
const BEGIN: Timestamp = Timestamp::constant(1_772_438_400, 0); // 2026-03-02T08:00:00Z

impl Hands {
    pub fn new() -> Self {
        Self { began: Instant::now(), leapt: Arc::default(), hub_skew: Arc::default() }
    }

    pub fn true_now(&self) -> Timestamp {
        let gone = SignedDuration::try_from(self.began.elapsed()).unwrap();
        BEGIN + gone + *self.leapt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn hub_now(&self) -> Timestamp {
        self.true_now() + *self.hub_skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn leap(&self, by: SignedDuration) {
        *self.leapt.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    pub fn set_hub_clock(&self, skew: SignedDuration) {
        *self.hub_skew.lock().unwrap_or_else(PoisonError::into_inner) = skew;
    }
}

/// What a clinic with so many patients, each with a kit, has stored before anything happens.
pub async fn stored(people: usize) -> State {
    static PROGRAMMES: OnceLock<State> = OnceLock::new();
    let mut state = match PROGRAMMES.get() {
        Some(state) => state.clone(),
        None => {
            let disk = Disk::new(State::default(), 0, Arc::new(Trace::new()));
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("copd.toml"), triage::COPD).unwrap();
            programmes::bring_in(&*disk, Some(folder.path()), BEGIN - SignedDuration::from_hours(48)).await.unwrap();
            let state = disk.state().clone();
            PROGRAMMES.get_or_init(|| state).clone()
        }
    };
    let since = BEGIN - SignedDuration::from_hours(24);
    let roster: String = (1..=people)
        .map(|number| {
            format!(
                "[[patient]]\nid = \"p-{number}\"\nname = \"Test Person\"\nprogramme = \"copd\"\nsince = \"{since}\"\n\
                 [[kit]]\nid = \"kit-{number}\"\npatient = \"p-{number}\"\nsecret_sha256 = \"{}\"\nsince = \"{since}\"\n",
                hex(&[7; 32])
            )
        })
        .collect();
    let roster: store::Roster = toml::from_str(&roster).unwrap();
    state.roster = roster;
    state
}

/// A running hub.
pub struct Clinic {
    pipeline: Pipeline,
    tasks: Vec<JoinHandle<()>>,
    gone: CancellationToken,
    stop: CancellationToken,
    pub board: Arc<Board>,
    pub actions: mpsc::Sender<ActionRequest>,
    pub kits: mpsc::Sender<KitHeard>,
    pub look: Arc<Notify>,
    disk: Arc<Disk>,
    net: Arc<Net>,
}

impl Clinic {
    /// Takes the lead, reads what is stored and opens the door. None where the store can't be read: the supervisor tries again.
    pub async fn start(disk: &Arc<Disk>, net: &Arc<Net>, time: &Hands) -> Option<Self> {
        let disk = disk.lead();
        let store = Arc::clone(&disk) as Arc<dyn Store>;
        let directory = read(&*store, time).await?;
        let open = store.open_alerts(None).await.ok()?;
        let board = Board::new(open, directory.roster().clone(), Vec::new(), directory.plans().clone());
        let (directory, followed) = watch::channel(Arc::new(directory));
        let (actions, acted) = mpsc::channel(ACTIONS_MAX);
        let (kits, heard) = mpsc::channel(16);
        let (remeasure, mut asked) = mpsc::channel(16);
        let (outbox, stop, gone) = (Arc::new(Outbox::default()), CancellationToken::new(), CancellationToken::new());
        let clock = {
            let time = time.clone();
            Arc::new(move || time.hub_now())
        };
        let pipeline = Pipeline::start(Parts {
            store: Arc::clone(&store),
            board: Arc::clone(&board),
            directories: Directories::new(followed),
            actions: acted,
            kits: heard,
            remeasure,
            outbox: Arc::clone(&outbox),
            clock,
            stop: stop.clone(),
        })
        .await
        .ok()?;
        let look = Arc::new(Notify::new());
        let tasks = vec![
            tokio::spawn(Arc::clone(&outbox).keep(Arc::clone(net) as Arc<dyn crate::source::ToKits>)),
            tokio::spawn(keep(store, time.clone(), directory, Arc::clone(&board), Arc::clone(&look))),
            tokio::spawn(async move { while asked.recv().await.is_some() {} }),
        ];
        net.hub(Some(Hub { taker: pipeline.taker(), outbox, gone: gone.clone() }));
        Some(Self { pipeline, tasks, gone, stop, board, actions, kits, look, disk, net: Arc::clone(net) })
    }

    /// `SIGSTOP`: it stands still. Its connections stand, unless they are `cut`.
    pub fn freeze(&self, cut: bool) {
        self.disk.freeze(true);
        if cut {
            self.gone.cancel();
        }
    }

    /// `SIGCONT`.
    pub fn go_on(&self) {
        self.disk.freeze(false);
    }

    /// One that was taken over from ends: the other's door stays open.
    pub fn end(&self) {
        self.gone.cancel();
        for task in self.pipeline.tasks.iter().chain(&self.tasks) {
            task.abort();
        }
    }

    /// `kill -9`: nothing of it runs any more, wherever it was.
    pub fn kill(self) {
        self.end();
        self.net.hub(None);
    }

    /// Has a part of it ended by itself?
    pub fn has_ended(&self) -> bool {
        self.pipeline.tasks.iter().any(JoinHandle::is_finished)
    }

    /// Stops in order: what was taken in is finished. One that can't be within the supervisor's patience is killed.
    pub async fn stop(self) {
        let Self { pipeline, tasks, gone, stop, net, .. } = self;
        stop.cancel();
        let aborts: Vec<_> = pipeline.tasks.iter().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(Duration::from_secs(15), pipeline.finished()).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        gone.cancel();
        tasks.iter().for_each(JoinHandle::abort);
        net.hub(None);
    }
}

async fn read(store: &dyn Store, time: &Hands) -> Option<Directory> {
    let decided = Decided::read_fitting(store, &TimeZone::UTC, time.hub_now()).await.ok()?;
    decided.directory(store.roster().await.ok()?, &TimeZone::UTC).ok()
}

/// What the keeper does: within a second of a change it publishes who is judged by what.
async fn keep(
    store: Arc<dyn Store>,
    time: Hands,
    directory: watch::Sender<Arc<Directory>>,
    board: Arc<Board>,
    look: Arc<Notify>,
) {
    loop {
        look.notified().await;
        loop {
            sleep(Duration::from_millis(600)).await;
            let Some(read) = read(&*store, &time).await else { continue };
            board.roster(read.roster().clone(), read.plans().clone());
            directory.send_replace(Arc::new(read));
            break;
        }
    }
}
