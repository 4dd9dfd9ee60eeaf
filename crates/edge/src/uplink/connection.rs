//! One MQTT connection, from CONNECT to its first error. A new one starts with nothing: the spool is the truth, never the client's queue.
//!
//! One task polls and does nothing else; every poll has a deadline, because a peer that has vanished may never make it return.

use std::time::Duration;

use rumqttc::{
    AsyncClient, Broker as Address, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, LastWill,
    MqttOptions, NetworkOptions, PublishNotice, PublishOptions, PublishResult, QoS, StateError, SubscribeFilterInput,
    SubscribeReasonCode, Transport, mqttbytes::v5::PublishProperties,
};
use tokio::{task::JoinHandle, time::timeout};
use vitals::KitId;
use wire::{Status, Topic, TopicKind, TraceParent};

use super::{
    inbox::{Asked, FromCore, Inbox, inbox},
    patience::Puback,
    window::IN_FLIGHT_MAX,
};
use crate::config::Broker;

/// From dialling to the broker's answer.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);
/// The same where there is another address to try.
const CONNECT_DEADLINE_OF_MANY: Duration = Duration::from_secs(8);
/// From dialling to an open socket.
const DIAL_DEADLINE_SECONDS: u64 = 10;
/// For the answer to a subscription.
const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(10);
/// The largest packet: a message and its frame.
const PACKET_BYTES_MAX: u32 = wire::MESSAGE_BYTES_MAX as u32 + 1024;
/// What topic, properties and header add to a message.
const FRAME_BYTES_MAX: usize = 512;
/// For the last messages and the goodbye.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(2);

/// What the core said.
pub enum Said {
    /// It has everything up to this.
    Through(u64),
    /// It asks for something.
    Do(Asked),
    /// How the core judged what it has stored.
    Judged(Vec<wire::Judged>),
}

/// A connection with its subscriptions.
pub struct Connection {
    client: AsyncClient,
    kit: KitId,
    /// The largest packet that the broker takes.
    packet_bytes_max: usize,
    from_core: FromCore,
    poll: JoinHandle<String>,
}

impl Connection {
    /// Connects and subscribes to the kit's acks and commands.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub async fn open(kit: &KitId, broker: &Broker, address: &(String, u16), will: &Status) -> Result<Self, String> {
        let options = options(kit, broker, address, will)?;
        let builder = AsyncClient::builder(options).capacity(IN_FLIGHT_MAX + 16);
        let (client, mut eventloop) = builder.try_build().map_err(|error| error.to_string())?;
        let deadline = if broker.addresses.len() > 1 { CONNECT_DEADLINE_OF_MANY } else { CONNECT_DEADLINE };
        let packet_bytes_max = timeout(deadline, connected(&mut eventloop))
            .await
            .map_err(|_| "the broker does not answer".to_owned())??;
        let (inbox, from_core) = inbox();
        let deadline = broker.keep_alive * 2 + Duration::from_secs(5);
        let poll = tokio::spawn(poll(eventloop, inbox, deadline));
        let connection = Self { client, kit: kit.clone(), packet_bytes_max, from_core, poll };
        connection.subscribe().await?;
        Ok(connection)
    }

    async fn subscribe(&self) -> Result<(), String> {
        let filter = |kind| SubscribeFilterInput::new(Topic::new(&self.kit, kind).to_string(), QoS::AtLeastOnce);
        let filters = [filter(TopicKind::Acks), filter(TopicKind::Commands)];
        let notice = self.client.subscribe_many_tracked(filters).await.map_err(|error| error.to_string())?;
        let answer = timeout(SUBSCRIBE_DEADLINE, notice.wait_async()).await;
        let answer = answer
            .map_err(|_| "the broker does not answer a subscription".to_owned())?
            .map_err(|error| error.to_string())?;
        match answer.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_))) {
            Some(refused) => Err(format!("the broker refuses the subscription to this kit's topics: {refused:?}")),
            None => Ok(()),
        }
    }

    /// Does the broker take a message of this size? One that it does not take would end the connection, each time. If not, why not.
    pub fn takes(&self, payload: &str) -> Result<(), String> {
        let (found, max) = (payload.len() + FRAME_BYTES_MAX, self.packet_bytes_max);
        if found <= max { Ok(()) } else { Err(format!("it has {found} bytes, the broker takes {max}")) }
    }

    /// Hands a message to the client, with the trace that it belongs to. The notice tells of its PUBACK. `None`: the client takes no more now.
    pub fn publish(&self, payload: String, trace: Option<TraceParent>) -> Option<PublishNotice> {
        let topic = Topic::new(&self.kit, TopicKind::Readings).to_string();
        let traced = trace.map(|parent| (wire::TRACEPARENT.to_owned(), parent.to_string()));
        let properties = PublishProperties { user_properties: traced.into_iter().collect(), ..Default::default() };
        let options = PublishOptions::at_least_once().properties(properties);
        self.client.try_publish_tracked(topic, payload, options).ok()
    }

    /// Publishes the kit's status, retained.
    pub fn publish_status(&self, status: &Status) -> Option<PublishNotice> {
        let topic = Topic::new(&self.kit, TopicKind::Status).to_string();
        self.client.try_publish_tracked(topic, json(status), PublishOptions::at_least_once().retained()).ok()
    }

    /// What the core says next, or why the connection is over.
    pub async fn next(&mut self) -> Result<Said, String> {
        let FromCore { through, commands, judged } = &mut self.from_core;
        tokio::select! {
            biased;
            Ok(()) = through.changed() => Ok(Said::Through(*through.borrow_and_update())),
            Some(command) = commands.recv() => Ok(Said::Do(command)),
            Some(judged) = judged.recv() => Ok(Said::Judged(judged)),
            reason = &mut self.poll => Err(reason.unwrap_or_else(|error| error.to_string())),
        }
    }

    /// Says goodbye: the last status, then a DISCONNECT once everything under way has its PUBACK.
    pub async fn close(mut self, status: &Status) {
        self.publish_status(status);
        let asked = self.client.disconnect_with_timeout(GOODBYE_DEADLINE).await.is_ok();
        let over = timeout(GOODBYE_DEADLINE * 2, &mut self.poll).await;
        tracing::debug!(asked, over = over.is_ok(), "uplink: closed");
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

/// What a message's PUBACK says.
pub async fn puback(notice: PublishNotice) -> Puback {
    use rumqttc::PubAckReason::{NoMatchingSubscribers, Success};
    match notice.wait_async().await {
        Ok(PublishResult::Qos1(ack)) => match ack.reason {
            Success => Puback::Taken,
            NoMatchingSubscribers => Puback::NobodyListens,
            reason => Puback::Refused(format!("{reason:?}")),
        },
        Ok(_) => Puback::Taken,
        Err(_) => Puback::Missing,
    }
}

fn options(kit: &KitId, broker: &Broker, (host, port): &(String, u16), will: &Status) -> Result<MqttOptions, String> {
    let mut options = MqttOptions::new(kit.as_str(), Address::tcp(host.clone(), *port));
    options.set_credentials(kit.as_str(), broker.secret.clone().into_bytes());
    options.set_clean_start(true);
    options.set_keep_alive(u16::try_from(broker.keep_alive.as_secs()).unwrap_or(u16::MAX));
    options.set_max_packet_size(Some(PACKET_BYTES_MAX));
    options.set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX as u16 + 16);
    let topic = Topic::new(kit, TopicKind::Status).to_string();
    options.set_last_will(LastWill::new(topic, json(will), QoS::AtLeastOnce, true, None));
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(DIAL_DEADLINE_SECONDS);
    options.set_network_options(network);
    if let Some(ca) = &broker.tls {
        let transport = match ca {
            Some(pem) => Transport::tls(pem.clone(), broker.own.clone(), None),
            None => Transport::try_tls_with_default_config().map_err(|error| format!("TLS: {error}"))?,
        };
        options.set_transport(transport);
    }
    Ok(options)
}

fn json(status: &Status) -> String {
    serde_json::to_string(status).expect("a status has text keys and no failing parts")
}

/// Gives the largest packet that the broker takes.
async fn connected(eventloop: &mut EventLoop) -> Result<usize, String> {
    loop {
        match eventloop.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(connack))) => {
                let said = connack.properties.and_then(|properties| properties.max_packet_size);
                return Ok(said.map_or(usize::MAX, |bytes| bytes as usize));
            }
            Ok(_) => {}
            Err(error) => return Err(sentence(&error)),
        }
    }
}

async fn poll(mut eventloop: EventLoop, mut inbox: Inbox, deadline: Duration) -> String {
    loop {
        match timeout(deadline, eventloop.poll()).await {
            Err(_) => return format!("nothing came from the broker for {} s", deadline.as_secs()),
            Ok(Err(error)) => return sentence(&error),
            Ok(Ok(Event::Incoming(Incoming::Publish(publish)))) => {
                if let Some(topic) = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse) {
                    inbox.take(topic.kind, &publish.payload);
                }
            }
            Ok(Ok(_)) => {}
        }
    }
}

fn sentence(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => refused(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            format!("the broker ended the connection: {reason_code:?}")
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker stopped answering".to_owned(),
        ConnectionError::RequestsDone => "closed".to_owned(),
        ConnectionError::Timeout(_) => "the broker does not answer".to_owned(),
        ConnectionError::Io(error) => format!("no connection to the broker: {error}"),
        other => format!("no connection to the broker: {other}"),
    }
}

/// Only who is refused for who they are has anything to mend at the kit: the others come again by themselves.
fn refused(code: ConnectReturnCode) -> String {
    use ConnectReturnCode::{ConnectionRateExceeded, QuotaExceeded, ServerBusy, ServerUnavailable, ServiceUnavailable};
    match code {
        ServerBusy | ConnectionRateExceeded | ServerUnavailable | ServiceUnavailable => {
            format!("the clinic's service is busy ({code:?}): the kit tries again")
        }
        QuotaExceeded => {
            "this kit has too many connections at the clinic's service (QuotaExceeded): it tries again".to_owned()
        }
        _ => format!("the broker refuses this kit: {code:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_service_is_no_refusal_of_the_kit() {
        for busy in [ConnectReturnCode::ServerBusy, ConnectReturnCode::ConnectionRateExceeded] {
            let said = sentence(&ConnectionError::ConnectionRefused(busy));
            assert!(said.starts_with("the clinic's service is busy"), "{said}");
        }
        let said = sentence(&ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword));
        assert_eq!(said, "the broker refuses this kit: BadUserNamePassword");
    }
}
