//! Does the broker let the service do what it must, and others not what they may not? A broker does not say so: it is tried, on connections of its
//! own, with messages of nobody.
//!
//! A broker may take a subscription and then deliver nothing of it (Mosquitto does), so one message is sent and must come back. Its topic carries
//! no kit's id: a running service that gets it too passes it over ([`is_doctors`]). Nor does a broker always tell how large a message it
//! takes (Mosquitto's `message_size_limit` is not in its CONNACK), so the largest is sent there too.

use std::time::Duration;

use rumqttc::{AsyncClient, ConnAck, MqttOptions, PubAckReason, PublishNoticeError, PublishOptions};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use wire::MESSAGE_BYTES_MAX;

use super::{
    connection::{Came, Dial, connect, poll, subscribe},
    fit::{Unfit, is_narrow},
};
use crate::config::Broker;

/// The doctor's own name there. No kit's: an id has no underscore.
pub(super) const DOCTOR: &str = "doctor_of_vagt";
/// A name that no permission speaks of.
const ANYBODY: &str = "anybody_of_vagt";
/// How long the broker may take to answer, and to deliver.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Messages that may come meanwhile, of kits too.
pub(super) const COME_MAX: usize = 16_384;
/// What the service tells kits, and what is lost when it may not.
const TOLD: [(&str, &str); 2] =
    [("acks", "kits never hear that something is stored, and keep it"), ("commands", "no kit hears a command")];

/// Tries it.
///
/// # Errors
/// A sentence that says why it can't be tried.
pub async fn attempt(config: &Broker) -> Result<Vec<Unfit>, String> {
    let dial = Dial::new(config).map_err(|error| format!("{error:#}"))?;
    let mut found = Vec::new();
    for (kind, lost) in TOLD {
        if !may_send(&dial, &topic(DOCTOR, kind)).await? {
            let why = format!("it does not let the service write {}, want that: {lost}", topic("+", kind));
            found.push(Unfit { fatal: true, why });
        }
    }
    found.extend(hears(&dial, &config.group).await?);
    let anybodys = topic(ANYBODY, "readings");
    if may_send(&dial, &anybodys).await? {
        let why = "it lets the service send readings in any kit's name, want each user bound to topics of their own (`acl_file`): \
                   if kits may too, each can speak for every other";
        found.push(Unfit { fatal: false, why: why.to_owned() });
    }
    // Who shows nothing is best not let in at all; else they must have no right to send.
    if may_send(&dial.as_nobody(), &anybodys).await == Ok(true) {
        let why = "it lets anybody send readings in any kit's name, without a password: want `allow_anonymous false`, and users \
                   bound to topics of their own (`acl_file`)";
        found.push(Unfit { fatal: true, why: why.to_owned() });
    }
    found.extend(takes_largest(&dial).await?);
    Ok(found)
}

/// What speaks against that the service hears readings.
async fn hears(dial: &Dial, group: &str) -> Result<Option<Unfit>, String> {
    let (came, coming) = mpsc::channel(COME_MAX);
    let (client, polling, _) = open(dial, Some(came)).await?;
    let found = comes_back(&client, group, coming).await;
    leave(&client, polling).await;
    found
}

async fn comes_back(
    client: &AsyncClient,
    group: &str,
    mut coming: mpsc::Receiver<Came>,
) -> Result<Option<Unfit>, String> {
    let (all, own) = (topic("+", "readings"), topic(DOCTOR, "readings"));
    // In a group of its own: what comes to it is no other service's.
    if let Err(why) = subscribe(client, format!("$share/{group}-doctor/{all}")).await {
        return Ok(Some(Unfit { fatal: true, why }));
    }
    if !is_taken(client, &own).await? {
        let why = format!("whether it lets the service read {all} can't be tried: let the service write {own}");
        return Ok(Some(Unfit { fatal: false, why }));
    }
    let back = async {
        while let Some((publish, _room)) = coming.recv().await {
            if publish.topic == own.as_bytes() {
                return true;
            }
        }
        false
    };
    let heard = timeout(ANSWER_MAX, back).await.unwrap_or(false);
    let why = || format!("it does not let the service read {all}, want that: nothing is taken in from there");
    Ok((!heard).then(|| Unfit { fatal: true, why: why() }))
}

/// What speaks against that it takes the largest message of the contract. On a connection of its own, which may end over it.
async fn takes_largest(dial: &Dial) -> Result<Option<Unfit>, String> {
    let (client, polling, connack) = open(dial, None).await?;
    // What it says itself is told already, and the client sends no packet that is larger.
    let refused = if is_narrow(&connack) { None } else { largest_refused(&client).await };
    leave(&client, polling).await;
    let why = |how: String| {
        format!(
            "it does not take a message of {MESSAGE_BYTES_MAX} bytes ({how}), the largest that a kit may send: in mosquitto.conf, \
             want `message_size_limit` 0 or at least {MESSAGE_BYTES_MAX}, else a kit with a large sitting is disconnected again and again"
        )
    };
    Ok(refused.map(|how| Unfit { fatal: false, why: why(how) }))
}

/// How it refuses the largest message, if it does.
async fn largest_refused(client: &AsyncClient) -> Option<String> {
    match send(client, &topic(DOCTOR, "readings"), vec![b' '; MESSAGE_BYTES_MAX]).await {
        // Who may not write there at all was told so before.
        Ok(Ok(()) | Err(PublishNoticeError::V5PubAck(PubAckReason::NotAuthorized))) => None,
        Ok(Err(PublishNoticeError::V5PubAck(reason))) => Some(format!("it answers {reason:?}")),
        // Mosquitto's reason for it is none that MQTT 5 knows for a PUBACK, so the client ends the connection; other brokers end it themselves.
        Ok(Err(_)) => Some("the connection ended over it".to_owned()),
        Err(why) => Some(why),
    }
}

/// Is it a message that a doctor sent to try the broker? It is nobody's, and no stranger's.
pub(super) fn is_doctors(at: &[u8]) -> bool {
    [DOCTOR, ANYBODY].iter().any(|name| at == topic(name, "readings").as_bytes())
}

fn topic(kit: &str, kind: &str) -> String {
    format!("vagt/v1/{kit}/{kind}")
}

/// Does the broker take a message from them? On a connection of its own: one on which something was refused is over.
async fn may_send(dial: &Dial, topic: &str) -> Result<bool, String> {
    let (client, polling, _) = open(dial, None).await?;
    let taken = is_taken(&client, topic).await;
    leave(&client, polling).await;
    taken
}

/// Sends nothing there. Does the broker take it?
pub(super) async fn is_taken(client: &AsyncClient, topic: &str) -> Result<bool, String> {
    match send(client, topic, Vec::new()).await? {
        Ok(()) => Ok(true),
        Err(PublishNoticeError::V5PubAck(_)) => Ok(false),
        Err(error) => Err(format!("a message to {topic}: {error}")),
    }
}

/// Sends it there; gives what becomes of it. An error if nothing does.
async fn send(client: &AsyncClient, topic: &str, payload: Vec<u8>) -> Result<Result<(), PublishNoticeError>, String> {
    let sent = client.publish_tracked(topic, payload, PublishOptions::at_least_once()).await;
    let sent = sent.map_err(|error| error.to_string())?;
    let answer = timeout(ANSWER_MAX, sent.wait_completion_async()).await;
    answer.map_err(|_| format!("it does not answer a message to {topic}"))
}

async fn open(dial: &Dial, came: Option<mpsc::Sender<Came>>) -> Result<Begun, String> {
    begin(dial, dial.to_publish("doctor"), came).await
}

/// A connection that is polled, and what the broker answered to it.
pub(super) type Begun = (AsyncClient, JoinHandle<String>, ConnAck);

/// Connects, and polls.
pub(super) async fn begin(
    dial: &Dial,
    options: anyhow::Result<MqttOptions>,
    came: Option<mpsc::Sender<Came>>,
) -> Result<Begun, String> {
    let options = options.map_err(|error| format!("{error:#}"))?;
    let (client, eventloop, connack) = connect(options, 8).await?;
    Ok((client, poll(eventloop, came, dial.silence_max()), connack))
}

/// Ends the connection; a session that the broker is to keep stays.
pub(super) async fn leave(client: &AsyncClient, polling: JoinHandle<String>) {
    let end = polling.abort_handle();
    if client.disconnect().await.is_err() || timeout(ANSWER_MAX, polling).await.is_err() {
        end.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_doctor_sends_is_no_strangers() {
        assert!(is_doctors(b"vagt/v1/doctor_of_vagt/readings") && is_doctors(b"vagt/v1/anybody_of_vagt/readings"));
        assert!(!is_doctors(b"vagt/v1/kit-1/readings") && !is_doctors(b"vagt/v1/doctor_of_vagt/status"));
    }
}
