//! The way between kits and hub: connections that take time, are cut, hang half open, and go on delivering what was on its way after the kit
//! has come again; and what is at their end, the front door (a PUBACK when the message is stored) or a broker (a PUBACK when it has it, which
//! promises nothing, and it may lose what it has).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use vitals::KitId;
use wire::{Acks, Topic};

use super::{
    clinic::Hands,
    disk::Disk,
    kit::Kit,
    trace::{Trace, draw},
};
use crate::{
    pipeline::acks::Outbox,
    source::{Arrival, Taker, ToKits, front_door::HOLD_MAX},
};

/// What is under way in one direction of one connection.
const PIPE_MAX: usize = 8192;
/// How long a kit takes to notice that nothing comes any more.
const DEADLINE: Duration = Duration::from_secs(15);
/// Messages that a broker has given the hub and that are not acknowledged.
const BROKER_IN_FLIGHT_MAX: usize = 100;
/// A hub that does not take a message ends its connection to the broker, and opens the next one after this.
const HUB_RECONNECTS_AFTER: Duration = Duration::from_millis(100);

/// From a kit.
pub enum ToHub {
    Publish {
        seq: u64,
        payload: Vec<u8>,
    },
    /// It subscribes to its acks.
    Listen,
}

/// To a kit.
pub enum FromHub {
    Puback(u64),
    Acks(u64),
}

/// The kit's end of a connection.
pub struct Link {
    to_hub: mpsc::Sender<ToHub>,
    from_hub: mpsc::Receiver<FromHub>,
    cut: CancellationToken,
    wire: Arc<Wire>,
}

/// A connection's state, for whoever cuts it.
pub struct Wire {
    kit: KitId,
    /// The kit sees it at once.
    cut: CancellationToken,
    /// Nothing comes through any more, and nobody is told.
    dead: CancellationToken,
}

/// What the hub of the moment takes messages with.
#[derive(Clone)]
pub struct Hub {
    pub taker: Arc<dyn Taker>,
    pub outbox: Arc<Outbox>,
    /// Its process is gone.
    pub gone: CancellationToken,
}

/// The net.
pub struct Net {
    pub disk: Arc<Disk>,
    pub time: Hands,
    pub trace: Arc<Trace>,
    pub broker: Option<Arc<Broker>>,
    seed: u64,
    connections: AtomicU64,
    hub: Mutex<Option<Hub>>,
    wires: Mutex<Vec<Arc<Wire>>>,
    listeners: Mutex<BTreeMap<KitId, mpsc::Sender<FromHub>>>,
    /// No connection can be made.
    pub down: Mutex<bool>,
    /// The longest that anything takes, in milliseconds.
    pub delay_ms: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    pub fn new(disk: &Arc<Disk>, time: &Hands, broker: Option<Arc<Broker>>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            disk: Arc::clone(disk),
            time: time.clone(),
            trace: Arc::clone(&disk.trace),
            broker,
            seed,
            connections: AtomicU64::default(),
            hub: Mutex::default(),
            wires: Mutex::default(),
            listeners: Mutex::default(),
            down: Mutex::default(),
            delay_ms: AtomicU64::new(20),
        })
    }

    /// A hub opens its door, or its process is gone.
    pub fn hub(&self, hub: Option<Hub>) {
        *locked(&self.hub) = hub;
        if self.broker.is_none() {
            locked(&self.listeners).clear();
        }
        if let Some(broker) = &self.broker {
            broker.again();
        }
    }

    pub fn hub_now(&self) -> Option<Hub> {
        locked(&self.hub).clone().filter(|hub| !hub.gone.is_cancelled())
    }

    /// Connects, if there is a way and somebody at its end.
    pub async fn connect(self: &Arc<Self>, kit: &Arc<Kit>) -> Option<Link> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let delay = || self.delay_ms.load(Ordering::Relaxed);
        sleep(Duration::from_millis(1 + draw(self.seed, 10, number) % (delay() + 1))).await;
        let delay = delay();
        let hub = self.hub_now();
        if *locked(&self.down) || (hub.is_none() && self.broker.is_none()) {
            return None;
        }
        let wire =
            Arc::new(Wire { kit: kit.id.clone(), cut: CancellationToken::new(), dead: CancellationToken::new() });
        let mut wires = locked(&self.wires);
        wires.retain(|wire| !wire.cut.is_cancelled());
        wires.push(Arc::clone(&wire));
        drop(wires);
        let (to_hub, sent) = mpsc::channel(PIPE_MAX);
        let (arriving, arrived) = mpsc::channel(PIPE_MAX);
        let (to_kit, saying) = mpsc::channel(PIPE_MAX);
        let (telling, from_hub) = mpsc::channel(PIPE_MAX);
        tokio::spawn(pipe(sent, arriving, Arc::clone(&wire), draw(self.seed, 11, number), delay, true));
        tokio::spawn(pipe(saying, telling, Arc::clone(&wire), draw(self.seed, 12, number), delay, false));
        let end = End { kit: kit.id.clone(), net: Arc::clone(self), to_kit };
        match (&self.broker, hub) {
            (Some(broker), _) => _ = tokio::spawn(end.at_broker(arrived, Arc::clone(broker))),
            (None, Some(hub)) => {
                tokio::spawn(watch_hub(hub.gone.clone(), Arc::clone(&wire)));
                tokio::spawn(end.at_door(arrived, hub, Arc::clone(&wire)));
            }
            (None, None) => return None,
        }
        Some(Link { to_hub, from_hub, cut: wire.cut.clone(), wire })
    }

    /// Cuts every connection, or those of one kit.
    pub fn cut(&self, kit: Option<&KitId>) {
        for wire in locked(&self.wires).iter().filter(|wire| kit.is_none_or(|kit| wire.kit == *kit)) {
            wire.cut.cancel();
        }
    }

    /// Leaves them half open: the kit notices after a while.
    pub fn hang(&self, kit: Option<&KitId>) {
        for wire in locked(&self.wires).iter().filter(|wire| kit.is_none_or(|kit| wire.kit == *kit)) {
            wire.dead.cancel();
            let wire = Arc::clone(wire);
            tokio::spawn(async move {
                sleep(DEADLINE).await;
                wire.cut.cancel();
            });
        }
    }

    pub fn set_down(&self, down: bool) {
        *locked(&self.down) = down;
    }
}

/// A process that ends takes its connections with it.
async fn watch_hub(gone: CancellationToken, wire: Arc<Wire>) {
    tokio::select! {
        biased;
        () = gone.cancelled() => wire.cut.cancel(),
        () = wire.cut.cancelled() => {}
    }
}

/// One direction: in order, each after its time. What is on its way to the hub still arrives after a cut; what is on its way to the kit is lost.
async fn pipe<T>(
    mut from: mpsc::Receiver<T>,
    to: mpsc::Sender<T>,
    wire: Arc<Wire>,
    seed: u64,
    delay_ms: u64,
    up: bool,
) {
    let (mut last, mut nth) = (Instant::now(), 0);
    while let Some(item) = from.recv().await {
        nth += 1;
        last = last.max(Instant::now() + Duration::from_micros(draw(seed, 0, nth) % (delay_ms * 1000 + 1)));
        sleep_until(last).await;
        if wire.dead.is_cancelled() || (!up && wire.cut.is_cancelled()) {
            continue;
        }
        if to.send(item).await.is_err() {
            return;
        }
    }
}

impl Link {
    pub async fn send(&self, item: ToHub) {
        if self.to_hub.send(item).await.is_err() {
            self.cut.cancel();
        }
    }

    /// What comes; nothing any more once it is cut.
    pub async fn next(&mut self) -> Option<FromHub> {
        tokio::select! {
            biased;
            () = self.cut.cancelled() => None,
            said = self.from_hub.recv() => said,
        }
    }

    pub fn close(self) {
        self.wire.cut.cancel();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.wire.cut.cancel();
    }
}

/// The other end of a connection.
struct End {
    kit: KitId,
    net: Arc<Net>,
    to_kit: mpsc::Sender<FromHub>,
}

impl End {
    fn listen(&self) {
        locked(&self.net.listeners).insert(self.kit.clone(), self.to_kit.clone());
    }

    /// As the front door does it: one message at a time, held until it is stored, for so long; else the connection is closed.
    async fn at_door(self, mut arrived: mpsc::Receiver<ToHub>, hub: Hub, wire: Arc<Wire>) {
        while let Some(item) = arrived.recv().await {
            let (seq, payload) = match item {
                ToHub::Listen => {
                    self.listen();
                    hub.outbox.again(&self.kit);
                    continue;
                }
                ToHub::Publish { seq, payload } => (seq, payload),
            };
            let taken = tokio::select! {
                biased;
                () = hub.gone.cancelled() => return,
                taken = timeout(HOLD_MAX, hub.taker.take(self.net.arrival(&self.kit, payload))) => taken,
            };
            if !matches!(taken, Ok(Ok(()))) {
                self.net.trace.tell(&format!("{} is turned away with message {seq}", self.kit));
                self.net.trace.trouble();
                return wire.cut.cancel();
            }
            self.net.puback_is_true(&self.kit, seq);
            if self.to_kit.try_send(FromHub::Puback(seq)).is_err() {
                return;
            }
        }
    }

    /// As a broker does it: it has the message, and says so.
    async fn at_broker(self, mut arrived: mpsc::Receiver<ToHub>, broker: Arc<Broker>) {
        while let Some(item) = arrived.recv().await {
            match item {
                ToHub::Listen => {
                    self.listen();
                    if let Some(hub) = self.net.hub_now() {
                        hub.outbox.again(&self.kit);
                    }
                }
                ToHub::Publish { seq, payload } => {
                    broker.put(self.kit.clone(), payload);
                    if self.to_kit.try_send(FromHub::Puback(seq)).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl Net {
    pub fn arrival(&self, kit: &KitId, payload: Vec<u8>) -> Arrival {
        let (received_at, payload) = (self.time.hub_now(), Bytes::from(payload));
        Arrival { kit: kit.clone(), payload, refused: None, received_at, wants_ack: true }
    }

    /// The front door says that it is stored: then it is.
    fn puback_is_true(&self, kit: &KitId, seq: u64) {
        if !self.disk.state().has(kit, seq) {
            self.trace.violate(format!("message {seq} of {kit} is acknowledged (PUBACK) and not stored"));
        }
    }
}

#[async_trait]
impl ToKits for Net {
    async fn send(&self, topic: &Topic, payload: Vec<u8>) {
        let acks: Acks = serde_json::from_slice(&payload).unwrap();
        let listener = locked(&self.listeners).get(&topic.kit).cloned();
        if let Some(listener) = listener
            && listener.try_send(FromHub::Acks(acks.through)).is_err()
        {
            self.trace.tell(&format!("acks to {} go nowhere", topic.kit));
        }
    }
}

/// A broker with a queue for the hub. It outlives hubs.
#[derive(Default)]
pub struct Broker {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    /// What the hub has not acknowledged, oldest first.
    waiting: VecDeque<(KitId, Vec<u8>)>,
    /// Of those, how many this connection of the hub was given.
    given: usize,
    /// Counts the hub's connections and the lost sessions: what was given before is not acknowledged now.
    epoch: u64,
}

impl Broker {
    fn put(&self, kit: KitId, payload: Vec<u8>) {
        locked(&self.queue).waiting.push_back((kit, payload));
        self.wake.notify_one();
    }

    /// The hub connects again: what it has not acknowledged comes again, in order.
    fn again(&self) {
        let mut queue = locked(&self.queue);
        (queue.given, queue.epoch) = (0, queue.epoch + 1);
        drop(queue);
        self.wake.notify_one();
    }

    /// It forgets what it has. Gives how many messages that were.
    pub fn lose(&self) -> usize {
        let mut queue = locked(&self.queue);
        let lost = queue.waiting.len();
        queue.waiting.clear();
        (queue.given, queue.epoch) = (0, queue.epoch + 1);
        lost
    }

    fn give(&self) -> Option<(u64, KitId, Vec<u8>)> {
        let mut queue = locked(&self.queue);
        let next = queue.waiting.get(queue.given).filter(|_| queue.given < BROKER_IN_FLIGHT_MAX).cloned();
        let (kit, payload) = next?;
        queue.given += 1;
        Some((queue.epoch, kit, payload))
    }

    fn acknowledged(&self, epoch: u64) {
        let mut queue = locked(&self.queue);
        if queue.epoch == epoch && queue.given > 0 {
            queue.waiting.pop_front();
            queue.given -= 1;
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// Gives the hub of the moment what there is; acknowledged in receive order.
    pub async fn serve(self: Arc<Self>, net: Arc<Net>) {
        let mut under_way: VecDeque<(u64, JoinHandle<bool>)> = VecDeque::new();
        loop {
            while let Some(hub) = net.hub_now() {
                let Some((epoch, kit, payload)) = self.give() else { break };
                let arrival = net.arrival(&kit, payload);
                let took = async move {
                    tokio::select! {
                        biased;
                        () = hub.gone.cancelled() => false,
                        taken = hub.taker.take(arrival) => taken.is_ok(),
                    }
                };
                under_way.push_back((epoch, tokio::spawn(took)));
                // The pipeline queues in the order in which it is asked.
                tokio::task::yield_now().await;
            }
            match under_way.front_mut() {
                Some((epoch, first)) => tokio::select! {
                    biased;
                    taken = first => {
                        let epoch = *epoch;
                        under_way.pop_front();
                        if matches!(taken, Ok(true)) {
                            self.acknowledged(epoch);
                        } else {
                            under_way.clear();
                            sleep(HUB_RECONNECTS_AFTER).await;
                            self.again();
                        }
                    }
                    () = self.wake.notified() => {}
                },
                None => self.wake.notified().await,
            }
        }
    }
}
