//! A kit that keeps its promise: it sends its messages in order, keeps each until the core's `acks` covers it, and comes back for ever.
//!
//! Written here, not taken from the edge, so that the core is tested by somebody else's idea of the contract.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use rumqttc::{AsyncClient, Event, MqttOptions, NetworkOptions, Packet, PublishOptions, mqttbytes::QoS};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;
use vitals::{Clock, Reading, Vital};
use wire::{Acks, Message, Topic, TopicKind};

use crate::clinic::KitLogin;

/// Messages sent but not acknowledged, at most.
const WINDOW: usize = 32;
/// How long nothing may be acknowledged while something is waited for: behind a broker a connection that stands proves nothing.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends messages from `next` until it has no more and the core has acknowledged the last.
///
/// # Errors
/// When the core rejects one: the load is made of good messages.
pub async fn send_all(mqtt_port: u16, login: &KitLogin, next: impl FnMut() -> Option<Message>) -> Result<()> {
    send_among(&[mqtt_port], login, next).await
}

/// The same, with several ports to try in turn.
///
/// # Errors
/// As [`send_all`].
pub async fn send_among(mqtt_ports: &[u16], login: &KitLogin, mut next: impl FnMut() -> Option<Message>) -> Result<()> {
    let mut waiting = VecDeque::new();
    waiting.extend(next());
    let mut ports = mqtt_ports.iter().cycle();
    let mut port = ports.next().context("a port")?;
    while !waiting.is_empty() {
        if let Err(cut) = one_connection(*port, login, &mut waiting, &mut next).await {
            if cut.is::<Rejected>() {
                return Err(cut);
            }
            port = ports.next().context("a port")?;
            sleep(PAUSE).await;
        }
        waiting.extend(waiting.is_empty().then(&mut next).flatten());
    }
    Ok(())
}

/// Sends one message and waits until it is acknowledged, so stored.
///
/// # Errors
/// When it is rejected.
pub async fn send_one(mqtt_port: u16, login: &KitLogin, message: Message) -> Result<()> {
    let mut once = Some(message);
    send_all(mqtt_port, login, || once.take()).await
}

/// A message of these readings, `(vital, value, flags)`, in one sitting of its own, measured at `at`.
#[must_use]
pub fn message(seq: u64, at: Timestamp, readings: &[(Vital, &str, &[&str])]) -> Message {
    let reading = |(vital, value, flags): &(Vital, &str, &[&str])| Reading {
        vital: *vital,
        value: value.parse().expect("a number"),
        unit: vital.unit(),
        measured_at: at,
        clock: Clock::Device,
        device: "gatt-plx:SIMULATED".parse().expect("a device id"),
        flags: flags.iter().map(|flag| flag.parse().expect("a flag")).collect(),
    };
    Message {
        seq,
        oldest: None,
        sent_at: at,
        session: Uuid::from_u128(u128::from(seq)),
        readings: readings.iter().map(reading).collect(),
        answers: Vec::new(),
        patient: None,
        receipts: Vec::new(),
    }
}

/// The core put a good message into quarantine.
#[derive(Debug)]
struct Rejected(Acks);

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the core rejected {:?}", self.0.rejected)
    }
}

impl std::error::Error for Rejected {}

/// Sends what waits until it is all acknowledged or the connection is cut.
async fn one_connection(
    mqtt_port: u16,
    login: &KitLogin,
    waiting: &mut VecDeque<Message>,
    next: &mut impl FnMut() -> Option<Message>,
) -> Result<()> {
    let mut options = MqttOptions::new(login.kit.as_str(), ("127.0.0.1", mqtt_port));
    options.set_clean_start(true).set_keep_alive(10).set_credentials(login.kit.as_str(), login.secret.clone());
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    let (client, mut events) = AsyncClient::builder(options).capacity(WINDOW * 2).build();
    let acks = Topic::new(&login.kit, TopicKind::Acks).to_string();
    let readings = Topic::new(&login.kit, TopicKind::Readings).to_string();
    let (mut sent, mut progress) = (0, Instant::now());
    while !waiting.is_empty() {
        match timeout_at(progress + SILENCE_MAX, events.poll()).await.context("the core acknowledges nothing")?? {
            Event::Incoming(Packet::ConnAck(_)) => client.try_subscribe(&acks, QoS::AtLeastOnce)?,
            Event::Incoming(Packet::SubAck(_)) => send_more(&client, &readings, waiting, &mut sent)?,
            Event::Incoming(Packet::Publish(publish)) => {
                let covered: Acks = serde_json::from_slice(&publish.payload).context("acks")?;
                if !covered.rejected.is_empty() {
                    bail!(Rejected(covered));
                }
                while waiting.front().is_some_and(|message| message.seq <= covered.through) {
                    waiting.pop_front();
                    progress = Instant::now();
                    sent = usize::saturating_sub(sent, 1);
                }
                waiting.extend(std::iter::from_fn(&mut *next).take(WINDOW.saturating_sub(waiting.len())));
                send_more(&client, &readings, waiting, &mut sent)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn send_more(client: &AsyncClient, topic: &str, waiting: &VecDeque<Message>, sent: &mut usize) -> Result<()> {
    let oldest = waiting.front().map(|first| first.seq);
    for message in waiting.iter().skip(*sent).take(WINDOW.saturating_sub(*sent)) {
        let message = Message { oldest, ..message.clone() };
        client.try_publish(topic, serde_json::to_vec(&message)?, PublishOptions::at_least_once())?;
        *sent += 1;
    }
    Ok(())
}
