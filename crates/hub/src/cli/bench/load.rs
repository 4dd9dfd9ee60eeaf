//! The load: many kits on one thread, either as fast as they are acknowledged, or at a pace.
//!
//! The pacer gives out what is due every few milliseconds and never sleeps for a single message: a timer is a millisecond late, and a
//! generator that waits for each message would measure itself. Latency counts from when a message was due.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use jiff::Timestamp;
use tokio::{task::JoinSet, time::sleep};
use vitals::KitId;

use super::{
    kit::{DUE_MAX, Kit},
    report::new_histogram,
    visible::Watched,
};

/// How fast.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// As fast as they are acknowledged.
    Saturate,
    /// So many messages a second, of all kits together.
    Rate(f64),
}

/// How often the pacer looks what is due.
const PACER_PERIOD: Duration = Duration::from_millis(2);
/// How long the last messages may take to be acknowledged.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What all kits share.
pub(super) struct Shared {
    saturates: Cell<Option<bool>>,
    acknowledged: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
    wall: Cell<(Instant, Timestamp)>,
    pub watched: Rc<Watched>,
}

impl Shared {
    /// As fast as possible (`true`), when due (`false`), or not now.
    pub fn saturates(&self) -> Option<bool> {
        self.saturates.get()
    }

    /// One more acknowledged, of a message that was due then.
    pub fn acknowledged(&self, due: Instant) {
        self.acknowledged.set(self.acknowledged.get() + 1);
        let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.latency.borrow_mut().saturating_record(micros);
    }

    /// The wall clock, read once a millisecond.
    pub fn now(&self) -> Timestamp {
        let (read, wall) = self.wall.get();
        if read.elapsed() < Duration::from_millis(1) {
            return wall;
        }
        let wall = Kit::wall();
        self.wall.set((Instant::now(), wall));
        wall
    }
}

/// The kits, connected.
pub(super) struct Load {
    kits: Vec<Rc<Kit>>,
    shared: Rc<Shared>,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// What one run measured.
pub(super) struct Ran {
    pub messages: u64,
    pub seconds: f64,
    pub latency: Histogram<u64>,
}

impl Load {
    /// Connects them; their numbers go on after `after`.
    pub async fn connect(
        to: SocketAddr,
        kits: &[(KitId, String)],
        after: u64,
        inflight: u16,
        readings: u16,
    ) -> anyhow::Result<Self> {
        let shared = Rc::new(Shared {
            saturates: Cell::new(None),
            acknowledged: Cell::new(0),
            latency: RefCell::new(new_histogram()),
            wall: Cell::new((Instant::now(), Kit::wall())),
            watched: Rc::default(),
        });
        let mut load = Self { kits: Vec::new(), shared, tasks: JoinSet::new() };
        for (number, (id, secret)) in kits.iter().enumerate() {
            let kit = Kit::new(id, number, after, readings, inflight);
            let stream = kit.connect(to, secret).await?;
            load.tasks.spawn_local(Rc::clone(&kit).run(stream, Rc::clone(&load.shared)));
            load.kits.push(kit);
        }
        Ok(load)
    }

    /// Sends for so long; what is still on its way at the end is waited for and not counted.
    pub async fn run(&mut self, measured: Duration, pace: Pace) -> anyhow::Result<Ran> {
        let before = self.acknowledged();
        self.shared.latency.borrow_mut().reset();
        self.shared.saturates.set(Some(matches!(pace, Pace::Saturate)));
        let started = Instant::now();
        self.kits.iter().for_each(|kit| kit.wake.notify_one());
        tokio::select! {
            () = give_out(&self.kits, started, measured, pace) => {}
            Some(ended) = self.tasks.join_next() => ended??,
        }
        let (messages, seconds) = (self.acknowledged() - before, started.elapsed().as_secs_f64());
        self.shared.saturates.set(None);
        self.drain().await;
        let latency = self.shared.latency.borrow().clone();
        Ok(Ran { messages, seconds, latency })
    }

    /// How many messages have been acknowledged, ever.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.get()
    }

    /// Up to which seq each kit was acknowledged.
    pub fn acknowledged_of(&self) -> impl Iterator<Item = (&KitId, u64)> {
        self.kits.iter().map(|kit| (&kit.id, kit.acknowledged.get()))
    }

    /// The red ones.
    pub fn watched(&self) -> Rc<Watched> {
        Rc::clone(&self.shared.watched)
    }

    /// Waits until nothing is acknowledged any more.
    async fn drain(&self) {
        let started = Instant::now();
        let mut before = self.acknowledged();
        while started.elapsed() < DRAIN_MAX {
            sleep(Duration::from_millis(200)).await;
            let now = self.acknowledged();
            if now == before {
                break;
            }
            before = now;
        }
        self.kits.iter().for_each(|kit| kit.due.borrow_mut().clear());
    }
}

/// Gives out what is due, for so long.
async fn give_out(kits: &[Rc<Kit>], started: Instant, measured: Duration, pace: Pace) {
    let Pace::Rate(rate) = pace else { return sleep(measured).await };
    let (mut given, mut next) = (0_u64, 0);
    while started.elapsed() < measured {
        sleep(PACER_PERIOD).await;
        let owed = (started.elapsed().as_secs_f64() * rate) as u64;
        while given < owed {
            let due = started + Duration::from_secs_f64(given as f64 / rate);
            let kit = &kits[next % kits.len()];
            let mut waiting = kit.due.borrow_mut();
            if waiting.len() < DUE_MAX {
                waiting.push_back(due);
            }
            kit.wake.notify_one();
            (given, next) = (given + 1, next + 1);
        }
    }
}
