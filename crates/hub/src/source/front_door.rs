//! The front door: an MQTT broker inside the hub that withholds the PUBACK until the message is stored.
//!
//! The broker awaits [`Hook::on_client_publish`] before it answers a publish, one message of a connection at a time. Nothing is ever routed
//! from kit to kit; only the hub's own acknowledgements and commands go out. Every connection's own task decodes and admits, so that this
//! work is spread over the processors before the one pipeline sees it.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use mqtt5::{
    MqttError, QoS,
    broker::{
        BrokerConfig, BrokerEventHandler, BrokerShutdownHandle, ClientConnectEvent, ClientDisconnectEvent,
        ClientPublishEvent, ClientSubscribeEvent, MqttBroker, PublishAction, ResourceLimits, StorageConfig,
        client_handler::ClientHandler,
        config::{ChangeOnlyDeliveryConfig, TlsConfig},
        router::MessageRouter,
        tls_acceptor::TlsStreamWrapper,
        transport::BrokerTransport,
    },
    packet::publish::PublishPacket,
};
use tokio::{
    sync::{OnceCell, broadcast, mpsc},
    task::JoinHandle,
    time::timeout,
};
use vitals::KitId;
use wire::{Status, Topic, TopicKind};

use super::{
    Arrival, Taker, ToKits,
    gate::{Gate, own_topic, wrong_topic},
    limits::Limits,
};
use crate::{
    clock,
    commands::Commands,
    config::Mqtt,
    directory::Directories,
    pipeline::acks::Outbox,
    presence::Presence,
    tls::{self, TlsListener},
};

/// How long a message is held back for a store that does not take it; then the connection is closed without acknowledgement.
pub const HOLD_MAX: Duration = Duration::from_secs(10);
/// The largest packet that is read. What is above the contract's 256 KiB but below this goes to quarantine; above, the connection is closed.
pub const PACKET_BYTES_MAX: usize = 4 * wire::MESSAGE_BYTES_MAX;
/// The largest status payload, in bytes.
pub const STATUS_BYTES_MAX: usize = 64 * 1024;
/// Sockets that are accepted in a second; beyond it they are closed at once.
const ACCEPTED_PER_SECOND_MAX: u32 = 10_000;
/// Connections that may begin at once when the door is nearly full, before the first of them counts.
const BEYOND_FULL_MAX: usize = 1024;
/// How long connections may take to end when the door closes.
const CLOSE_MAX: Duration = Duration::from_secs(5);
/// The most messages to a kit that wait for it to read.
const TO_KIT_MESSAGES_MAX: usize = 256;

/// A running front door.
pub struct FrontDoor {
    addr: SocketAddr,
    router: Arc<MessageRouter>,
    shutdown: BrokerShutdownHandle,
    broker: JoinHandle<()>,
    revoked: JoinHandle<()>,
    by_tls: Option<ByTls>,
}

/// The connections by TLS.
struct ByTls {
    shutdown: broadcast::Sender<()>,
    taking: JoinHandle<()>,
    /// Nothing is ever sent: it ends when the last connection has.
    ended: mpsc::Receiver<()>,
}

/// What a source works with.
#[derive(Clone)]
pub struct Behind {
    /// Who may come in.
    pub directories: Directories,
    /// Takes the messages.
    pub taker: Arc<dyn Taker>,
    /// Hears who is connected.
    pub presence: Arc<Presence>,
    /// Told when a kit begins to listen for acknowledgements.
    pub outbox: Arc<Outbox>,
    /// Told when a kit begins to listen for commands.
    pub commands: Arc<Commands>,
    /// How fast one kit may send.
    pub limits: Arc<Limits>,
}

impl FrontDoor {
    /// Opens the door.
    ///
    /// # Errors
    /// The address can't be listened on, or the certificate can't be read.
    pub async fn open(config: &Mqtt, behind: Behind) -> anyhow::Result<Self> {
        let (directories, presence) = (behind.directories.clone(), Arc::clone(&behind.presence));
        let bounds = (config.connections_per_second, config.connections_max);
        let gate = Gate::new(directories, presence, bounds, behind.limits.connections());
        let directories = behind.directories.clone();
        let hook = Arc::new(Hook { gate: Arc::clone(&gate), behind, router: OnceCell::new() });
        let what = || format!("mqtt.listen {}", config.listen);
        // First: what the broker would say of a certificate names no file.
        let acceptor = config.tls.as_ref().map(tls::of_front_door).transpose()?;
        let by_broker = broker_config(config, Arc::clone(&hook));
        let asks = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        // The broker's own port, which nobody knows, must not be a way around the certificate.
        let own_port = gate.of_connection(asks.then(|| Err("no certificate is asked for on this port".to_owned())));
        let mut broker =
            MqttBroker::with_config(by_broker.clone()).await.with_context(what)?.with_auth_provider(own_port);
        broker.resource_monitor().update_limits(broker_limits(config));
        let (addr, by_tls) = match acceptor {
            None => (broker.local_addr().with_context(what)?, None),
            Some(acceptor) => {
                let listener = TlsListener::bind(config.listen, acceptor).await.with_context(what)?;
                (listener.addr(), Some(ByTls::start(listener, by_broker, &broker, (Arc::clone(&gate), asks))))
            }
        };
        let (router, shutdown) = (broker.router(), broker.shutdown_handle());
        hook.router.set(Arc::clone(&router)).ok();
        let revoked = tokio::spawn(show_out(gate, directories, Arc::clone(&router)));
        let broker = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!("the front door has ended: {error}");
            }
        });
        Ok(Self { addr, router, shutdown, broker, revoked, by_tls })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A way to the kits that are connected here.
    #[must_use]
    pub fn to_kits(&self) -> Arc<dyn ToKits> {
        Arc::new(Router(Arc::clone(&self.router)))
    }

    /// Waits until it ends.
    pub async fn ended(&mut self) {
        if let Err(error) = (&mut self.broker).await {
            tracing::error!("the front door has ended: {error}");
        }
    }

    /// Tells the kits and closes.
    pub async fn close(self) {
        self.revoked.abort();
        if let Some(by_tls) = self.by_tls {
            by_tls.close().await;
        }
        self.shutdown.shutdown();
        if self.broker.is_finished() {
            return;
        }
        if let Err(error) = self.broker.await {
            tracing::error!("the front door has ended: {error}");
        }
    }
}

impl ByTls {
    /// Hands each connection to the broker's own handler when its handshake is done, with the gate's answers; `asks` is whether the handshake
    /// has asked for a certificate.
    fn start(
        mut listener: TlsListener,
        config: BrokerConfig,
        broker: &MqttBroker,
        (gate, asks): (Arc<Gate>, bool),
    ) -> Self {
        let (shutdown, _) = broadcast::channel(1);
        let (open, ended) = mpsc::channel(1);
        let config = Arc::new(config);
        let (router, storage) = (broker.router(), broker.storage());
        let (stats, limits) = (broker.stats(), broker.resource_monitor());
        let told = shutdown.clone();
        let taking = tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.next().await;
                if !limits.can_accept_connection(peer.ip()).await {
                    tracing::warn!(%peer, "connection closed, unheard: there are more than `connections_max` allows");
                    continue;
                }
                let shown = asks.then(|| tls::common_name(&stream));
                let handler = ClientHandler::new(
                    BrokerTransport::tls(TlsStreamWrapper::new(stream)),
                    peer,
                    Arc::clone(&config),
                    Arc::clone(&router),
                    gate.of_connection(shown),
                    storage.clone(),
                    Arc::clone(&stats),
                    Arc::clone(&limits),
                    told.subscribe(),
                );
                let open = open.clone();
                tokio::spawn(async move {
                    let _open = open;
                    match handler.run().await {
                        Ok(()) => {}
                        Err(MqttError::PacketTooLarge { size, max }) => {
                            tracing::warn!(%peer, "connection closed: a packet has {size} bytes, at most {max} are read");
                        }
                        Err(error) => tracing::debug!(%peer, "a connection has ended: {error}"),
                    }
                });
            }
        });
        Self { shutdown, taking, ended }
    }

    /// Tells the kits that it closes, and gives them a moment.
    async fn close(mut self) {
        self.taking.abort();
        // Nobody may be connected.
        let _ = self.shutdown.send(());
        if timeout(CLOSE_MAX, self.ended.recv()).await.is_err() {
            tracing::warn!("connections have not ended in time");
        }
    }
}

/// Ends the connections of kits that were revoked.
async fn show_out(gate: Arc<Gate>, mut directories: Directories, router: Arc<MessageRouter>) {
    loop {
        directories.changed().await;
        for client in gate.unwelcome() {
            tracing::warn!(client, "connection closed: its kit is revoked");
            router.disconnect_client(&client).await;
        }
    }
}

/// The broker's own bounds on connections. It closes what is over them without a word, so the gate says no before it does. By itself it takes 10,000 from one address, and all kits may stand behind one proxy; how many begin in a
/// second, the gate says.
fn broker_limits(config: &Mqtt) -> ResourceLimits {
    ResourceLimits {
        max_connections: config.connections_max + BEYOND_FULL_MAX,
        max_connections_per_ip: config.connections_max + BEYOND_FULL_MAX,
        max_message_rate_per_client: 0,
        max_bandwidth_per_client: 0,
        max_connection_rate: ACCEPTED_PER_SECOND_MAX,
        rate_limit_window: Duration::from_secs(1),
    }
}

/// The broker has no bounds of its own on what is retained (0): over them it answers without asking the hook, and in MQTT 3.1.1 that answer
/// is a PUBACK, which means "stored". It keeps nothing retained but last wills, one for each kit of the roster at most.
fn broker_config(config: &Mqtt, hook: Arc<Hook>) -> BrokerConfig {
    let storage = StorageConfig::new().with_persistence(false).with_max_queued_messages_per_client(TO_KIT_MESSAGES_MAX);
    let mut broker = BrokerConfig::new()
        .with_bind_addresses(vec![config.listen])
        .with_max_clients(config.connections_max + BEYOND_FULL_MAX)
        .with_max_packet_size(PACKET_BYTES_MAX)
        .with_max_subscriptions_per_client(4)
        .with_max_retained_messages(0)
        .with_max_retained_message_size(0)
        .with_client_channel_capacity(TO_KIT_MESSAGES_MAX)
        .with_sys_topics_enabled(false)
        .with_storage(storage)
        .with_change_only_delivery(ChangeOnlyDeliveryConfig::default())
        .with_event_handler(hook);
    broker.wildcard_subscription_available = false;
    broker.shared_subscription_available = false;
    broker.session_expiry_interval = Duration::ZERO;
    if let Some(tls) = &config.tls {
        // The broker has to listen somewhere, and takes one handshake after the other, without a limit: so it is a port that nobody knows, and
        // kits come through `ByTls`.
        broker.bind_addresses = Vec::new();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        broker = broker.with_tls(TlsConfig::new(tls.cert.clone(), tls.key.clone()).with_bind_addresses(vec![nowhere]));
    }
    broker
}

/// What the broker calls.
struct Hook {
    gate: Arc<Gate>,
    behind: Behind,
    router: OnceCell<Arc<MessageRouter>>,
}

type Event<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl BrokerEventHandler for Hook {
    fn on_client_connect<'a>(&'a self, event: ClientConnectEvent) -> Event<'a, ()> {
        Box::pin(async move {
            if let Some(kit) = kit_of(event.user_id.as_deref()) {
                self.gate.came(&event.client_id, &kit);
                self.behind.presence.connected(&kit, clock::now());
                metrics::gauge!("vagt_front_door_connections").increment(1);
            }
        })
    }

    fn on_client_disconnect<'a>(&'a self, event: ClientDisconnectEvent) -> Event<'a, ()> {
        Box::pin(async move {
            if let Some(kit) = kit_of(event.user_id.as_deref()) {
                self.gate.went(&event.client_id);
                self.behind.presence.disconnected(&kit, clock::now());
                metrics::gauge!("vagt_front_door_connections").decrement(1);
            }
        })
    }

    fn on_client_subscribe<'a>(&'a self, event: ClientSubscribeEvent) -> Event<'a, ()> {
        Box::pin(async move {
            for topic in event.subscriptions.iter().filter_map(|one| Topic::parse(&one.topic_filter)) {
                match topic.kind {
                    TopicKind::Acks => self.behind.outbox.again(&topic.kit),
                    TopicKind::Commands => self.behind.commands.again(&topic.kit),
                    TopicKind::Readings | TopicKind::Status => {}
                }
            }
        })
    }

    fn on_client_publish<'a>(&'a self, event: ClientPublishEvent) -> Event<'a, PublishAction> {
        Box::pin(async move {
            let kit = kit_of(event.user_id.as_deref()).filter(|kit| self.gate.may_connect(kit.as_str()));
            let Some(kit) = kit else { return self.turn_away(&event).await };
            match own_topic(kit.as_str(), &event.topic) {
                Some(TopicKind::Status) => self.status(&kit, &event),
                Some(TopicKind::Readings) => self.message(kit, event, None).await,
                _ => {
                    let refused = wrong_topic(kit.as_str(), &event.topic);
                    self.message(kit, event, Some(refused)).await
                }
            }
        })
    }
}

impl Hook {
    /// The PUBACK goes out when this returns `Handled`.
    async fn message(&self, kit: KitId, event: ClientPublishEvent, refused: Option<String>) -> PublishAction {
        let held = self.slowly(&kit, event.payload.len());
        if timeout(HOLD_MAX, held).await.is_err() {
            tracing::warn!(client = &*event.client_id, "not acknowledged, connection closed: this kit sends too fast");
            return self.turn_away(&event).await;
        }
        let arrival = Arrival {
            kit,
            payload: event.payload.clone(),
            refused,
            received_at: clock::now(),
            wants_ack: event.qos != QoS::AtMostOnce,
        };
        match timeout(HOLD_MAX, self.behind.taker.take(arrival)).await {
            Ok(Ok(())) => PublishAction::Handled,
            Ok(Err(why)) => {
                tracing::warn!(client = &*event.client_id, "not acknowledged, connection closed: {why}");
                self.turn_away(&event).await
            }
            Err(_) => {
                let seconds = HOLD_MAX.as_secs();
                tracing::warn!(
                    client = &*event.client_id,
                    "not acknowledged, connection closed: not stored in {seconds} s"
                );
                self.turn_away(&event).await
            }
        }
    }

    /// Holds a kit back that sends too fast. Its connection waits; nobody else does.
    async fn slowly(&self, kit: &KitId, bytes: usize) {
        let Behind { limits, presence, .. } = &self.behind;
        if let Err(mut wait) = limits.check(kit, bytes) {
            presence.slowed(kit, limits.note_over(kit), clock::now());
            loop {
                tokio::time::sleep(wait).await;
                match limits.check(kit, bytes) {
                    Ok(()) => return,
                    Err(longer) => wait = longer,
                }
            }
        }
    }

    fn status(&self, kit: &KitId, event: &ClientPublishEvent) -> PublishAction {
        let bytes = event.payload.len();
        let read = if bytes > STATUS_BYTES_MAX {
            Err(format!("status has {bytes} bytes, at most {STATUS_BYTES_MAX} are taken"))
        } else {
            serde_json::from_slice::<Status>(&event.payload).map_err(|e| format!("status: {e}"))
        };
        match read.and_then(|status| serde_json::to_value(status).map_err(|e| e.to_string())) {
            Ok(status) => self.behind.presence.status(kit, status, clock::now()),
            Err(why) => {
                metrics::counter!("vagt_front_door_status_refused_total").increment(1);
                tracing::warn!(%kit, "{why}");
            }
        }
        PublishAction::Handled
    }

    /// No acknowledgement, and the connection ends: MQTT has no other way to say "send it again later". The broker answers neither a
    /// QoS 0 publish nor one to a topic that nobody can subscribe to.
    async fn turn_away(&self, event: &ClientPublishEvent) -> PublishAction {
        metrics::counter!("vagt_front_door_turned_away_total").increment(1);
        if let Some(router) = self.router.get() {
            router.disconnect_client(&event.client_id).await;
        }
        PublishAction::Transform(PublishPacket::new("vagt/nowhere", Vec::new(), QoS::AtMostOnce))
    }
}

fn kit_of(user: Option<&str>) -> Option<KitId> {
    user?.parse().ok()
}

struct Router(Arc<MessageRouter>);

#[async_trait]
impl ToKits for Router {
    async fn send(&self, topic: &Topic, payload: Vec<u8>) {
        self.0.route_message(&PublishPacket::new(topic.to_string(), payload, QoS::AtLeastOnce), None).await;
    }
}
