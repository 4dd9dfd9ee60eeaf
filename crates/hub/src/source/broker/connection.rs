//! One connection to the broker, from CONNECT to its first error. A new one begins with a new client: an acknowledgement of the connection
//! before can't get into it.
//!
//! One task polls and does nothing else; every poll has a deadline, since a peer that has vanished may never make it return.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use anyhow::Context as _;
use rumqttc::{
    AckMode, AsyncClient, Broker as Address, BrokerSessionResumePolicy, ConnAck, ConnectionError, Event, EventLoop,
    Incoming, MqttOptions, NetworkOptions, PubAckReason, Publish, PublishOptions, PublishResult, QoS, StateError,
    SubscribeReasonCode, Transport,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};
use wire::{Topic, TopicKind};

use crate::{config::Broker, source::front_door::PACKET_BYTES_MAX, watching::heartbeat};

/// Messages that the broker may have sent without an acknowledgement: several batches, so that a commit never waits for the broker.
pub const WINDOW: u16 = 16_384;
/// Bytes that came and have no room in the pipeline yet. Beyond it nothing is read.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// From dialling to the broker's answer.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);
/// For the answer to a subscription.
const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(10);
/// From dialling to an open socket.
const DIAL_DEADLINE_SECONDS: u64 = 10;
/// How long the broker keeps what comes for the service while it is away. After that it says "nobody listens", and kits send again by themselves.
const SESSION_EXPIRY_SECONDS: u32 = 3600;
/// The same for the doctor, which ends its session itself unless it is killed.
const DOCTORS_SESSION_EXPIRY_SECONDS: u32 = 300;
/// Publishes of ours under way at a time. The client looks through as many places whenever it flushes, after every acknowledgement: with the
/// protocol's 65,535 that was two thirds of what the service did behind a broker.
const PUBLISHES_MAX: u16 = 512;
/// The same where nothing is published.
const PUBLISHES_OF_CONSUMER_MAX: u16 = 1;
/// Messages that wait to be published.
pub const OUT_MESSAGES_MAX: usize = 4096;

/// How to connect, with the files read.
#[derive(Clone)]
pub struct Dial {
    broker: Broker,
    password: Option<String>,
    ca: Option<Vec<u8>>,
    /// Certificate and key, which are shown.
    own: Option<(Vec<u8>, Vec<u8>)>,
}

/// A message, with its room.
pub type Came = (Publish, OwnedSemaphorePermit);

impl Dial {
    /// Reads password and certificates.
    ///
    /// # Errors
    /// A file can't be read, or something that belongs to it is not given.
    pub fn new(broker: &Broker) -> anyhow::Result<Self> {
        let read = |path: &std::path::Path| std::fs::read(path).with_context(|| path.display().to_string());
        let password = broker.password_file.as_deref().map(read).transpose().context("broker.password_file")?;
        let password = password.map(String::from_utf8).transpose().context("broker.password_file")?;
        let password = password.map(|text| text.trim_end().to_owned());
        let ca = broker.ca_file.as_deref().map(read).transpose().context("broker.ca_file")?;
        let cert = broker.cert_file.as_deref().map(read).transpose().context("broker.cert_file")?;
        let key = broker.key_file.as_deref().map(read).transpose().context("broker.key_file")?;
        let own = match (cert, key, &ca) {
            (Some(cert), Some(key), Some(_)) => Some((cert, key)),
            (None, None, _) => None,
            _ => anyhow::bail!("broker.cert_file: want broker.key_file and broker.ca_file beside it"),
        };
        Ok(Self { broker: broker.clone(), password, ca, own })
    }

    /// The same of somebody who shows neither password nor certificate.
    pub fn as_nobody(&self) -> Self {
        let broker = Broker { user: None, ..self.broker.clone() };
        Self { broker, password: None, ca: self.ca.clone(), own: None }
    }

    /// Where to.
    pub fn address(&self) -> String {
        format!("{}:{}", self.broker.host, self.broker.port)
    }

    /// The connection that takes messages in: with a session that the broker keeps, and acknowledgements by hand.
    /// `anew`: without what the broker has kept of the session before.
    pub fn to_consume(&self, anew: bool) -> anyhow::Result<MqttOptions> {
        let mut options = self.kept("in", anew, SESSION_EXPIRY_SECONDS)?;
        options.set_ack_mode(AckMode::Manual);
        options.set_outgoing_inflight_upper_limit(PUBLISHES_OF_CONSUMER_MAX);
        Ok(options)
    }

    /// A connection of the doctor's with a session that the broker keeps; the client acknowledges what comes. `anew`: as in `to_consume`.
    pub fn to_come_back(&self, suffix: &str, anew: bool) -> anyhow::Result<MqttOptions> {
        self.kept(suffix, anew, DOCTORS_SESSION_EXPIRY_SECONDS)
    }

    /// A connection that leaves nothing behind.
    pub fn to_publish(&self, suffix: &str) -> anyhow::Result<MqttOptions> {
        let mut options = self.options(suffix)?;
        options.set_clean_start(true);
        Ok(options)
    }

    /// After this long without a word the connection is over.
    pub fn silence_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.broker.keep_alive_seconds)) * 2 + Duration::from_secs(5)
    }

    fn kept(&self, suffix: &str, anew: bool, expiry_seconds: u32) -> anyhow::Result<MqttOptions> {
        let mut options = self.options(suffix)?;
        options.set_clean_start(anew);
        options.set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly);
        options.set_session_expiry_interval(Some(expiry_seconds));
        options.set_receive_maximum(Some(WINDOW));
        Ok(options)
    }

    fn options(&self, suffix: &str) -> anyhow::Result<MqttOptions> {
        let Broker { host, port, user, client_id, tls, keep_alive_seconds, .. } = &self.broker;
        let mut options = MqttOptions::new(format!("{client_id}-{suffix}"), Address::tcp(host.clone(), *port));
        if let Some(user) = user {
            options.set_credentials(user.clone(), self.password.clone().unwrap_or_default().into_bytes());
        }
        options.set_keep_alive(*keep_alive_seconds);
        options.set_outgoing_inflight_upper_limit(PUBLISHES_MAX);
        options.set_max_packet_size(Some(PACKET_BYTES_MAX as u32));
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(DIAL_DEADLINE_SECONDS);
        options.set_network_options(network);
        let transport = match &self.ca {
            Some(ca) => Some(Transport::tls(ca.clone(), self.own.clone(), None)),
            None if *tls => Some(Transport::try_tls_with_default_config().context("broker.tls")?),
            None => None,
        };
        if let Some(transport) = transport {
            options.set_transport(transport);
        }
        Ok(options)
    }
}

/// Connects.
///
/// # Errors
/// A sentence that says why not.
pub async fn connect(options: MqttOptions, capacity: usize) -> Result<(AsyncClient, EventLoop, ConnAck), String> {
    let is_plain = matches!(options.transport(), Transport::Tcp);
    let (client, mut eventloop) =
        AsyncClient::builder(options).capacity(capacity).try_build().map_err(|error| error.to_string())?;
    let connack = timeout(CONNECT_DEADLINE, connected(&mut eventloop, is_plain))
        .await
        .map_err(|_| "it does not answer".to_owned())??;
    Ok((client, eventloop, connack))
}

async fn connected(eventloop: &mut EventLoop, is_plain: bool) -> Result<ConnAck, String> {
    loop {
        match eventloop.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(connack))) => return Ok(connack),
            Ok(_) => {}
            Err(error) if is_plain && is_cut(&error) => {
                return Err(format!(
                    "it gives no answer in MQTT ({error}): does it want TLS (`tls` or `ca_file` in [broker])?"
                ));
            }
            Err(error) => return Err(sentence(&error)),
        }
    }
}

/// Was the connection closed, or answered with what is no MQTT? So does a broker that wants TLS and is spoken to without.
fn is_cut(error: &ConnectionError) -> bool {
    const CUT: [ErrorKind; 4] =
        [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
    match error {
        ConnectionError::MqttState(StateError::Io(error)) | ConnectionError::Io(error) => CUT.contains(&error.kind()),
        ConnectionError::MqttState(StateError::Deserialization(_) | StateError::ConnectionAborted) => true,
        _ => false,
    }
}

/// Polls until the connection is over; gives why it is. What comes goes to `came`, if there is one.
pub fn poll(mut eventloop: EventLoop, came: Option<mpsc::Sender<Came>>, silence_max: Duration) -> JoinHandle<String> {
    let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
    tokio::spawn(async move {
        loop {
            let publish = match timeout(silence_max, eventloop.poll()).await {
                Err(_) => return format!("nothing came for {} s", silence_max.as_secs()),
                Ok(Err(error)) => return sentence(&error),
                Ok(Ok(Event::Incoming(Incoming::Publish(publish)))) => publish,
                Ok(Ok(_)) => continue,
            };
            let Some(came) = &came else { continue };
            let bytes = u32::try_from(publish.payload.len()).unwrap_or(u32::MAX).min(WAITING_BYTES_MAX as u32);
            // Nothing is read meanwhile, and nothing is said: the broker holds the rest, or ends the connection and keeps what was not
            // acknowledged.
            let Ok(Ok(room)) = timeout(silence_max, Arc::clone(&room).acquire_many_owned(bytes)).await else {
                return format!("{WAITING_BYTES_MAX} bytes have waited for {} s", silence_max.as_secs());
            };
            // A broker may send more than it was told: Mosquitto 2.0 sends all it has queued when it takes a kept session up again.
            match timeout(silence_max, came.reserve()).await {
                Ok(Ok(place)) => place.send((publish, room)),
                Ok(Err(_)) => return "a part of this source has ended".to_owned(),
                Err(_) => return format!("{WINDOW} messages have waited for {} s", silence_max.as_secs()),
            }
        }
    })
}

/// Subscribes with QoS 1.
///
/// # Errors
/// A sentence that says why not.
pub async fn subscribe(client: &AsyncClient, filter: String) -> Result<(), String> {
    let notice = client.subscribe_tracked(filter.clone(), QoS::AtLeastOnce).await.map_err(|error| error.to_string())?;
    let answer = timeout(SUBSCRIBE_DEADLINE, notice.wait_async()).await;
    let answer =
        answer.map_err(|_| "it does not answer the subscription".to_owned())?.map_err(|error| error.to_string())?;
    match answer.return_codes.first() {
        Some(SubscribeReasonCode::Success(QoS::AtLeastOnce)) => Ok(()),
        code => Err(format!("it answers the subscription to {filter} with {code:?}, want QoS 1")),
    }
}

/// Asks the broker whether anybody listens to readings: it says so in its PUBACK to an empty message of the service's own kit, which nobody
/// takes for a reading ([`is_question`]). A broker that does not tell is believed.
///
/// # Errors
/// A sentence that says why it can't be asked.
pub async fn is_heard(dial: &Dial) -> Result<bool, String> {
    let options = dial.to_publish("asks").map_err(|error| format!("{error:#}"))?;
    let (client, eventloop, _) = connect(options, 8).await?;
    let polling = poll(eventloop, None, dial.silence_max());
    let asked = client.publish_tracked(question(), Vec::new(), PublishOptions::at_least_once()).await;
    let answer = match asked {
        Ok(notice) => timeout(SUBSCRIBE_DEADLINE, notice.wait_async()).await,
        Err(error) => return Err(error.to_string()),
    };
    polling.abort();
    match answer.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())? {
        PublishResult::Qos1(ack) => Ok(ack.reason != PubAckReason::NoMatchingSubscribers),
        _ => Ok(true),
    }
}

/// Is it the service's own question?
pub fn is_question(publish: &Publish) -> bool {
    publish.payload.is_empty() && publish.topic == question().as_bytes()
}

fn question() -> String {
    Topic::new(&heartbeat::kit(), TopicKind::Readings).to_string()
}

fn sentence(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => format!("it refuses the service: {code:?}"),
        ConnectionError::MqttState(StateError::ConnFail { reason }) => format!("it refuses the service: {reason:?}"),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            format!("it ended the connection: {reason_code:?}")
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "it stopped answering".to_owned(),
        ConnectionError::Timeout(_) => "it does not answer".to_owned(),
        ConnectionError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_broker_that_hangs_up_at_once_may_want_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let broker: Broker = toml::from_str(&format!("host = \"127.0.0.1\"\nport = {port}\n")).unwrap();
        let options = Dial::new(&broker).unwrap().to_publish("test").unwrap();
        let why = connect(options, 8).await.err().unwrap();
        assert!(why.contains("does it want TLS"), "{why}");
    }
}
