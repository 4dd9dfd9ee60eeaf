//! Kits that measure at a steady rate, keep each message until the core's `acks` covers it, and come back for ever; what they sent, and when
//! each last heard.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rumqttc::{AsyncClient, Event, MqttOptions, NetworkOptions, Packet, PublishOptions, mqttbytes::QoS};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use vitals::{Value, Vital};
use wire::{Acks, Message, Topic, TopicKind};

use crate::{clinic::KitLogin, load::message, program::now};

/// Messages sent but not acknowledged, at most.
const WINDOW: usize = 32;
/// How long a connection may say nothing while something is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// How long nothing may be acknowledged while something waits: behind a broker a connection that stands proves nothing.
const UNACKED_MAX: Duration = Duration::from_secs(5);
/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_millis(100);
/// Of so many readings one is red.
const RED_EVERY: u64 = 40;
/// A red SpO2, in per cent; so near to the calm ones that nothing about it is doubtful, so that each red reading feeds its alert once.
pub const RED: i64 = 85;
/// A calm one, and one above it.
const CALM: i64 = 89;

/// Kits under way.
pub struct Load {
    kits: Vec<Arc<Kit>>,
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

/// One kit.
pub struct Kit {
    /// Who it is.
    pub login: KitLogin,
    /// It says with each message which is the oldest that it keeps.
    says_oldest: bool,
    state: Mutex<State>,
}

/// What a kit knows.
#[derive(Default)]
pub struct State {
    /// Every message that was measured, by seq.
    pub sent: BTreeMap<u64, Value>,
    waiting: VecDeque<Message>,
    /// Of those that wait, how many this connection has sent.
    under_way: usize,
    client: Option<AsyncClient>,
    heard: Option<Instant>,
    /// Good messages that the core did not want, and why.
    pub rejected: Vec<String>,
}

impl Load {
    /// Starts these kits, which try these ports in turn; each measures so often a second. Behind a broker all say what they keep, else every
    /// other.
    #[must_use]
    pub fn start(ports: &[u16], logins: &[KitLogin], a_second: u32, seed: u64, at_broker: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        let kit = |(login, number): (&KitLogin, u64)| {
            let says_oldest = at_broker || number.is_multiple_of(2);
            Arc::new(Kit { login: login.clone(), says_oldest, state: Mutex::default() })
        };
        let kits: Vec<_> = logins.iter().zip(0..).map(kit).collect();
        for (kit, number) in kits.iter().zip(0..) {
            tasks.spawn(measure(Arc::clone(kit), a_second, seed + number, Arc::clone(&stop)));
            tasks.spawn(send(Arc::clone(kit), ports.to_vec(), Arc::clone(&stop)));
        }
        Self { kits, tasks, stop }
    }

    /// Waits until every kit has heard an acknowledgement after `since`; gives how long after that the last one did.
    pub async fn all_heard_since(&self, since: Instant, within: Duration) -> Option<Duration> {
        loop {
            let heard: Option<Vec<_>> =
                self.kits.iter().map(|kit| kit.state().heard.filter(|at| *at > since)).collect();
            match heard.and_then(|heard| heard.into_iter().max()) {
                Some(last) => return Some(last - since),
                None if since.elapsed() > within => return None,
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Has them measure nothing more, and waits until everything is acknowledged.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn finish(mut self, within: Duration) -> Result<Vec<Arc<Kit>>> {
        self.stop.store(true, Ordering::Relaxed);
        let done = async { while self.tasks.join_next().await.is_some() {} };
        let finished = timeout(within, done).await;
        let left: usize = self.kits.iter().map(|kit| kit.state().waiting.len()).sum();
        finished.with_context(|| {
            format!("{left} messages are not acknowledged {} s after the last fault", within.as_secs())
        })?;
        Ok(self.kits)
    }
}

impl Kit {
    /// What it knows.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what there is room for.
    fn pump(&self) -> Result<()> {
        let topic = Topic::new(&self.login.kit, TopicKind::Readings).to_string();
        let mut state = self.state();
        let State { waiting, under_way, client: Some(client), .. } = &mut *state else { return Ok(()) };
        let oldest = waiting.front().map(|first| first.seq).filter(|_| self.says_oldest);
        for message in waiting.iter().skip(*under_way).take(WINDOW.saturating_sub(*under_way)) {
            let message = Message { oldest, ..message.clone() };
            client.try_publish(&topic, serde_json::to_vec(&message)?, PublishOptions::at_least_once())?;
            *under_way += 1;
        }
        Ok(())
    }

    /// Has something waited for too long, on a connection of this age?
    fn is_unheard(&self, connected: Instant) -> bool {
        let state = self.state();
        let since = state.heard.map_or(connected, |heard| heard.max(connected));
        state.under_way > 0 && since.elapsed() > UNACKED_MAX
    }

    fn acked(&self, acks: Acks) {
        let mut state = self.state();
        let State { waiting, under_way, heard, rejected, .. } = &mut *state;
        while waiting.front().is_some_and(|message| message.seq <= acks.through) {
            waiting.pop_front();
            *under_way = under_way.saturating_sub(1);
            *heard = Some(Instant::now());
        }
        rejected.extend(acks.rejected.into_iter().map(|one| format!("{}: {}", one.seq, one.reason)));
    }
}

async fn measure(kit: Arc<Kit>, a_second: u32, seed: u64, stop: Arc<AtomicBool>) {
    let mut random = StdRng::seed_from_u64(seed);
    while !stop.load(Ordering::Relaxed) {
        sleep(Duration::from_secs_f64(random.random_range(0.5..1.5) / f64::from(a_second))).await;
        {
            let mut state = kit.state();
            let seq = state.sent.len() as u64 + 1;
            let spo2 = if seq.is_multiple_of(RED_EVERY) { RED } else { CALM + seq.cast_signed() % 2 };
            state.sent.insert(seq, Value::new(spo2, 0));
            state.waiting.push_back(message(seq, now(), &[(Vital::Spo2, &spo2.to_string(), &[])]));
        }
        // A client whose queue is full is asked again with the next.
        _ = kit.pump();
    }
}

async fn send(kit: Arc<Kit>, ports: Vec<u16>, stop: Arc<AtomicBool>) {
    let is_over = || stop.load(Ordering::Relaxed) && kit.state().waiting.is_empty();
    for port in ports.into_iter().cycle().take_while(|_| !is_over()) {
        // A cut is what this is about: it comes again.
        _ = converse(&kit, port, &stop).await;
        {
            let mut state = kit.state();
            (state.client, state.under_way) = (None, 0);
        }
        sleep(PAUSE).await;
    }
}

async fn converse(kit: &Kit, port: u16, stop: &AtomicBool) -> Result<()> {
    let id = kit.login.kit.as_str();
    let mut options = MqttOptions::new(id, ("127.0.0.1", port));
    options.set_clean_start(true).set_keep_alive(2).set_credentials(id, kit.login.secret.clone());
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    let (client, mut events) = AsyncClient::builder(options).capacity(WINDOW * 2).build();
    let acks = Topic::new(&kit.login.kit, TopicKind::Acks).to_string();
    let connected = Instant::now();
    while !stop.load(Ordering::Relaxed) || !kit.state().waiting.is_empty() {
        ensure!(!kit.is_unheard(connected), "the core acknowledges nothing");
        match timeout(SILENCE_MAX, events.poll()).await.context("the core says nothing")?? {
            Event::Incoming(Packet::ConnAck(_)) => client.try_subscribe(&acks, QoS::AtLeastOnce)?,
            Event::Incoming(Packet::SubAck(_)) => {
                kit.state().client = Some(client.clone());
                kit.pump()?;
            }
            Event::Incoming(Packet::Publish(publish)) => {
                kit.acked(serde_json::from_slice(&publish.payload).context("acks")?);
                kit.pump()?;
            }
            _ => {}
        }
    }
    Ok(())
}
