//! A broker that is there already (Mosquitto, or any MQTT 5 broker with shared subscriptions) as a source.
//!
//! ```text
//! poll ── came ──▶ sort: whose, how fast, which lane ──┬─ fresh ─▶ room, queue ─┐
//!  ▲                                                   └─ late ──▶ room, queue ─┤ stored
//!  └──────────────── PUBACK, in receive order ◀──────────── owed ◀──────────────┘
//! ```
//!
//! Its PUBACK to a kit promises nothing: what lets a message go is the `acks` topic, after the commit. The service's own PUBACK to the broker
//! goes out after the commit too and in receive order, so a broker that keeps the session sends again what was under way when the service
//! died. What the broker loses, kits send again (decision 0083).
//!
//! Who sent a message is its topic, so the broker has to bind users to topics (config/mosquitto/acl). Kits that are not in the roster are not
//! taken in: nothing is kept of them, and nothing acknowledged.

pub mod away;
mod connection;
pub mod fit;
mod out;
pub mod trial;

use std::{collections::HashSet, sync::Arc, time::Duration};

use rumqttc::{AsyncClient, ConnAck, EventLoop, ManualAck, Publish, QoS};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};
use vitals::KitId;
use wire::{Topic, TopicKind};

use self::{
    connection::{Came, Dial, WINDOW, connect, is_heard, is_question, poll, subscribe},
    fit::{Unfit, examine},
    out::Out,
};
use super::{Arrival, Lane, LinedUp, NotTaken, Stored, ToKits, backoff::Backoff, front_door::Behind};
use crate::{clock, config::Broker};

/// When so many wait in the late lane, what a kit sends too fast is turned away: it keeps it, and sends it again.
const LATE_WAITING_MAX: usize = WINDOW as usize / 2;
/// How long the last acknowledgements may take to go out, and how often it is looked whether they have.
const TOLD_MAX: Duration = Duration::from_secs(1);
const TOLD_LOOK: Duration = Duration::from_millis(50);
/// The most strangers whose name is logged.
const STRANGERS_LOGGED_MAX: usize = 256;

/// The running source.
pub struct BrokerSource {
    out: Arc<Out>,
    tasks: JoinSet<()>,
}

/// A connection of the service's own account that publishes, under this suffix of its client id.
///
/// # Errors
/// A file of the broker's configuration can't be read.
pub fn to_publish(broker: &Broker, suffix: &str) -> anyhow::Result<rumqttc::MqttOptions> {
    Dial::new(broker)?.to_publish(suffix)
}

impl BrokerSource {
    /// Starts to connect, and goes on for ever: a broker that is away is no reason not to start.
    ///
    /// # Errors
    /// The password or the certificate can't be read.
    pub fn start(config: &Broker, behind: Behind) -> anyhow::Result<Self> {
        let dial = Dial::new(config)?;
        dial.to_consume(false)?;
        tracing::info!(
            "broker {}: how much it keeps while the service is away it does not tell; `vagt doctor` tries it",
            dial.address()
        );
        let (out, waiting) = Out::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&out).keep(waiting, dial.clone(), behind.clone()));
        let consumer = Consumer { dial, group: config.group.clone(), behind: Arc::new(behind), out: Arc::clone(&out) };
        tasks.spawn(consumer.keep());
        Ok(Self { out, tasks })
    }

    /// A way to the kits that were heard here.
    #[must_use]
    pub fn to_kits(&self) -> Arc<dyn ToKits> {
        Arc::clone(&self.out) as Arc<dyn ToKits>
    }

    /// Ends both connections. What was not acknowledged comes again; what is to be told has a moment to go out.
    pub async fn close(mut self) {
        let told = async {
            while self.out.waiting() > 0 {
                sleep(TOLD_LOOK).await;
            }
            sleep(TOLD_LOOK).await;
        };
        let _in_time = timeout(TOLD_MAX, told).await;
        self.tasks.shutdown().await;
    }
}

/// Asks a broker what it can do, on a connection of its own.
///
/// # Errors
/// A sentence that says why it can't be asked.
pub async fn ask(config: &Broker) -> Result<Vec<Unfit>, String> {
    let dial = Dial::new(config).map_err(|error| format!("{error:#}"))?;
    let mut options = dial.to_publish("doctor").map_err(|error| format!("{error:#}"))?;
    options.set_session_expiry_interval(Some(0));
    let (client, eventloop, connack) = connect(options, 8).await?;
    let polling = poll(eventloop, None, dial.silence_max());
    if client.disconnect().await.is_ok() {
        let _over = timeout(Duration::from_secs(2), polling).await;
    }
    let mut found = examine(&connack);
    // The session of this connection is to be short.
    found.retain(|unfit| !unfit.why.contains("keeps the session"));
    Ok(found)
}

struct Consumer {
    dial: Dial,
    group: String,
    behind: Arc<Behind>,
    out: Arc<Out>,
}

/// A message on its way into the pipeline.
struct Entering {
    lined_up: LinedUp,
    /// Its bytes, which are the pipeline's once it has entered.
    room: OwnedSemaphorePermit,
    entered: oneshot::Sender<Stored>,
}

/// A PUBACK that is owed.
struct Owed {
    ack: Option<ManualAck>,
    /// None if nothing is waited for.
    entered: Option<oneshot::Receiver<Stored>>,
}

impl Consumer {
    async fn keep(self) {
        let mut backoff = Backoff::default();
        loop {
            let why = self.connection(&mut backoff).await;
            self.behind.presence.broker_lost(clock::now());
            metrics::gauge!("vagt_broker_connected").set(0.0);
            metrics::counter!("vagt_broker_disconnects_total", "connection" => "in").increment(1);
            tracing::warn!("broker {}: no readings come from there: {why}", self.dial.address());
            sleep(backoff.failed(rand::random())).await;
        }
    }

    /// One connection; gives why it is over.
    async fn connection(&self, backoff: &mut Backoff) -> String {
        let (client, eventloop, connack) = match self.open().await {
            Ok(opened) => opened,
            Err(why) => return why,
        };
        for Unfit { why, .. } in examine(&connack) {
            tracing::warn!("broker {}: {why}", self.dial.address());
        }
        // Room for what the broker may send.
        let (came, coming) = mpsc::channel(usize::from(WINDOW) + 16);
        let mut polling = poll(eventloop, Some(came), self.dial.silence_max());
        let work = self.work(&client, coming, connack.session_present, backoff);
        let why = tokio::select! {
            why = &mut polling => why.unwrap_or_else(|error| error.to_string()),
            why = work => why,
        };
        polling.abort();
        why
    }

    /// Connects to the session that the broker has kept, or to a new one where that has lost its subscription: Mosquitto 2.0 does not bring a
    /// shared one back from its file, so after an ordinary restart nothing would ever come. What was queued in it, kits send again.
    async fn open(&self) -> Result<(AsyncClient, EventLoop, ConnAck), String> {
        let dial = |anew| self.dial.to_consume(anew).map_err(|error| format!("{error:#}"));
        let capacity = usize::from(WINDOW) + 16;
        let opened = connect(dial(false)?, capacity).await?;
        if !opened.2.session_present || is_heard(&self.dial).await? {
            return Ok(opened);
        }
        tracing::warn!(
            "broker {}: the session it kept has lost its subscription; a new one is begun",
            self.dial.address()
        );
        drop(opened);
        connect(dial(true)?, capacity).await
    }

    async fn work(
        &self,
        client: &AsyncClient,
        coming: mpsc::Receiver<Came>,
        resumed: bool,
        backoff: &mut Backoff,
    ) -> String {
        let (fresh, to_fresh) = mpsc::channel(usize::from(WINDOW));
        let (late, to_late) = mpsc::channel(usize::from(WINDOW));
        let (owed, owing) = mpsc::channel(usize::from(WINDOW) + 16);
        let mut tasks = JoinSet::new();
        let sorter = Sorter {
            behind: Arc::clone(&self.behind),
            out: Arc::clone(&self.out),
            client: client.clone(),
            fresh,
            late,
            owed,
            strangers: HashSet::new(),
        };
        tasks.spawn(sorter.run(coming));
        tasks.spawn(enter(to_fresh));
        tasks.spawn(enter(to_late));
        tasks.spawn(acknowledge(client.clone(), owing));
        // A session that the broker kept has its subscription, and takes no other of a client that does not remember it.
        let readings = format!("$share/{}/vagt/v1/+/readings", self.group);
        if !resumed && let Err(why) = subscribe(client, readings).await {
            return why;
        }
        backoff.reset();
        metrics::gauge!("vagt_broker_connected").set(1.0);
        tracing::info!("broker {}: readings are taken from there", self.dial.address());
        match tasks.join_next().await {
            Some(Ok(why)) => why.to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "nothing is left to do".to_owned(),
        }
    }
}

/// Looks at what comes, in order.
struct Sorter {
    behind: Arc<Behind>,
    out: Arc<Out>,
    client: AsyncClient,
    fresh: mpsc::Sender<Entering>,
    late: mpsc::Sender<Entering>,
    owed: mpsc::Sender<Owed>,
    strangers: HashSet<String>,
}

impl Sorter {
    async fn run(mut self, mut coming: mpsc::Receiver<Came>) -> &'static str {
        while let Some((publish, room)) = coming.recv().await {
            if self.one(publish, room).await.is_none() {
                return "a part of this source has ended";
            }
        }
        "the connection was closed"
    }

    async fn one(&mut self, publish: Publish, room: OwnedSemaphorePermit) -> Option<()> {
        let ack = self.client.prepare_ack(&publish);
        if is_question(&publish) {
            return self.owed.send(Owed { ack, entered: None }).await.ok();
        }
        let topic = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse);
        let entered = match topic.filter(|topic| self.behind.directories.now().may_connect(topic.kit.as_str())) {
            None => {
                if !trial::is_doctors(&publish.topic) {
                    self.stranger(&publish.topic);
                }
                None
            }
            Some(Topic { kit, kind: TopicKind::Readings }) => self.readings(kit, publish, room).await?,
            Some(_) => None,
        };
        self.owed.send(Owed { ack, entered }).await.ok()
    }

    /// `None` when the source is ending.
    async fn readings(
        &self,
        kit: KitId,
        publish: Publish,
        room: OwnedSemaphorePermit,
    ) -> Option<Option<oneshot::Receiver<Stored>>> {
        let now = clock::now();
        self.heard(&kit);
        self.behind.presence.heard_by_broker(&kit, now);
        let slowed = self.behind.limits.check(&kit, publish.payload.len()).is_err();
        if slowed {
            self.behind.presence.slowed(&kit, self.behind.limits.note_over(&kit), now);
        }
        let wants_ack = publish.qos != QoS::AtMostOnce;
        let arrival = Arrival { kit, payload: publish.payload, refused: None, received_at: now, wants_ack };
        let lined_up = Arc::clone(&self.behind.taker).line_up(arrival, slowed);
        let lane = match lined_up.lane {
            Lane::Fresh => &self.fresh,
            Lane::Late => &self.late,
        };
        // Only of a kit that says what it keeps: `through` never passes over what it has not sent again.
        let waiting = lane.max_capacity() - lane.capacity();
        if slowed && lined_up.oldest.is_some() && waiting > LATE_WAITING_MAX {
            metrics::counter!("vagt_broker_turned_away_total").increment(1);
            return Some(None);
        }
        let (entered, stored) = oneshot::channel();
        lane.send(Entering { lined_up, room, entered }).await.ok()?;
        Some(Some(stored))
    }

    fn heard(&self, kit: &KitId) {
        if self.out.heard(kit) {
            self.behind.outbox.again(kit);
            self.behind.commands.again(kit);
        }
    }

    fn stranger(&mut self, topic: &[u8]) {
        metrics::counter!("vagt_broker_strangers_total").increment(1);
        let topic: String = String::from_utf8_lossy(topic).chars().take(120).collect();
        if self.strangers.len() < STRANGERS_LOGGED_MAX && self.strangers.insert(topic.clone()) {
            tracing::warn!(topic, "not taken in and not acknowledged: no kit of the roster, or one that was revoked");
        }
    }
}

/// One lane, in order.
async fn enter(mut coming: mpsc::Receiver<Entering>) -> &'static str {
    while let Some(Entering { lined_up, room, entered }) = coming.recv().await {
        let Ok(stored) = lined_up.enter.await else { return STOPPING };
        drop(room);
        // Nobody waits when the connection is over.
        let _ = entered.send(stored);
    }
    "the connection was closed"
}

const STOPPING: &str = "the service is stopping";

/// In receive order, each when it is stored.
async fn acknowledge(client: AsyncClient, mut owing: mpsc::Receiver<Owed>) -> &'static str {
    while let Some(Owed { ack, entered }) = owing.recv().await {
        if let Some(entered) = entered {
            let stored = match entered.await {
                Ok(stored) => stored.wait().await,
                Err(_) => Err(NotTaken::Stopping),
            };
            if stored.is_err() {
                return STOPPING;
            }
        }
        if let Some(ack) = ack
            && client.manual_ack(ack).await.is_err()
        {
            return "the connection was closed";
        }
    }
    "the connection was closed"
}
