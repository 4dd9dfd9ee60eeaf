//! How much does the broker keep for a service that is away? MQTT tells it nowhere, and Mosquitto acknowledges to a kit what it then drops, so it is
//! tried: a session goes away, messages of nobody are sent to it, and it comes back and counts them (decision 0115).
//!
//! On a topic that no service listens to: under `readings` they would take the room in the queue of the very service that is away.

use std::time::Duration;

use rumqttc::{AsyncClient, PubAckReason, PublishNoticeError, PublishOptions};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    connection::{Came, Dial, subscribe},
    fit::Unfit,
    trial::{ANSWER_MAX, COME_MAX, DOCTOR, begin, is_taken, leave},
};
use crate::{config::Broker, directory::hex};

/// So many messages the broker should keep: two of each of the 10,000 kits that may connect to a service if nothing else is said.
pub const MESSAGES_WANTED: u32 = 20_000;
/// About what a message of one sitting has.
const MESSAGE_BYTES: usize = 512;
/// Messages under way at a time.
const AT_A_TIME: usize = 500;
/// How long messages are sent, and how long all of it may take.
const SEND_MAX: Duration = Duration::from_secs(15);
const ALL_MAX: Duration = Duration::from_secs(30);
/// When nothing has come for this long, nothing more comes.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// How long a connection that is over may take to say why.
const WHY_MAX: Duration = Duration::from_secs(2);

/// What becomes of the messages.
#[derive(Clone, Copy)]
enum Outcome {
    /// After so many the broker took no more.
    Refused { taken: u32, reason: PubAckReason },
    /// So many were taken, and so many of them came back.
    Kept { taken: u32, kept: u32 },
}

/// A session of the doctor's own.
struct Away {
    dial: Dial,
    /// What stands behind the client id. No other run has it, nor the same topic and group.
    name: String,
    topic: String,
    filter: String,
}

/// Tries it; gives what speaks against the broker. `note` is told how many messages were sent or came back, of twice [`MESSAGES_WANTED`].
///
/// # Errors
/// A sentence that says why it can't be tried.
pub async fn attempt(config: &Broker, note: impl Fn(u32)) -> Result<Option<Unfit>, String> {
    let dial = Dial::new(config).map_err(|error| format!("{error:#}"))?;
    let run = hex(&rand::random::<[u8; 4]>());
    let topic = format!("vagt/v1/{DOCTOR}/queue/{run}");
    // Shared, as the service's is: a broker may bound those apart.
    let filter = format!("$share/{}-doctor-{run}/{topic}", config.group);
    let away = Away { dial, name: format!("doctor-{run}"), topic, filter };
    let tried = timeout(ALL_MAX, away.run(&note)).await;
    away.forget().await;
    judge(tried.unwrap_or_else(|_| Err(format!("it takes longer than {} s", ALL_MAX.as_secs())))?)
}

fn judge(outcome: Outcome) -> Result<Option<Unfit>, String> {
    let found = match outcome {
        Outcome::Refused { taken, reason } => {
            format!(
                "it takes {taken} of {MESSAGES_WANTED} messages for a service that is away, and refuses the next with {reason:?}"
            )
        }
        Outcome::Kept { taken, kept } if kept < taken => {
            format!(
                "it kept {kept} of {taken} messages for a service that was away, and dropped the others, which it had acknowledged"
            )
        }
        Outcome::Kept { taken, .. } if taken < MESSAGES_WANTED => {
            return Err(format!(
                "no more than {taken} of {MESSAGES_WANTED} messages could be sent in {} s",
                SEND_MAX.as_secs()
            ));
        }
        Outcome::Kept { .. } => return Ok(None),
    };
    let todo = "in mosquitto.conf, set `max_queued_messages 0` and `max_queued_bytes 268435456`";
    Ok(Some(Unfit { fatal: false, why: format!("{found}; want all kept: {todo}") }))
}

impl Away {
    async fn run(&self, note: &impl Fn(u32)) -> Result<Outcome, String> {
        self.go().await?;
        match self.fill(note).await? {
            (taken, Some(reason)) => Ok(Outcome::Refused { taken, reason }),
            (taken, None) => Ok(Outcome::Kept { taken, kept: self.come_back(taken, note).await? }),
        }
    }

    /// Begins the session, and goes away.
    async fn go(&self) -> Result<(), String> {
        let (came, coming) = mpsc::channel(COME_MAX);
        let (client, polling, _) = begin(&self.dial, self.dial.to_come_back(&self.name, true), Some(came)).await?;
        let may = self.may(&client, coming).await;
        leave(&client, polling).await;
        may
    }

    /// Does the broker let the service write and read there? One that does not may take the subscription all the same.
    async fn may(&self, client: &AsyncClient, mut coming: mpsc::Receiver<Came>) -> Result<(), String> {
        let topic = &self.topic;
        let want = format!("want `topic readwrite vagt/v1/{DOCTOR}/queue/+` of that user");
        let refused = |may: &str| format!("it does not let the service {may} {topic}: {want}");
        subscribe(client, self.filter.clone()).await.map_err(|why| format!("{why}: {want}"))?;
        if !is_taken(client, topic).await? {
            return Err(refused("write"));
        }
        match timeout(ANSWER_MAX, coming.recv()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(format!("the connection ended over a message to {topic}")),
            Err(_) => Err(refused("read")),
        }
    }

    /// Sends the messages; gives how many were taken, and why the next was not, if it was refused.
    async fn fill(&self, note: &impl Fn(u32)) -> Result<(u32, Option<PubAckReason>), String> {
        let options = self.dial.to_publish(&format!("{}-out", self.name));
        let (client, polling, _) = begin(&self.dial, options, None).await?;
        let until = Instant::now() + SEND_MAX;
        let (mut taken, mut refused) = (0, None);
        while taken < MESSAGES_WANTED && refused.is_none() && Instant::now() < until {
            let Some((more, reason)) = send_some(&client, &self.topic).await else {
                return Err(ended(taken, polling).await);
            };
            (taken, refused) = (taken + more, reason);
            note(taken);
        }
        leave(&client, polling).await;
        Ok((taken, refused))
    }

    /// Takes the session up again; gives how many messages were kept in it.
    async fn come_back(&self, taken: u32, note: &impl Fn(u32)) -> Result<u32, String> {
        let (came, mut coming) = mpsc::channel(COME_MAX);
        let options = self.dial.to_come_back(&self.name, false);
        let (client, polling, connack) = begin(&self.dial, options, Some(came)).await?;
        if !connack.session_present {
            return Err("it does not keep the session of who goes away".to_owned());
        }
        let mut kept = 0;
        while kept < taken {
            match timeout(QUIET_MAX, coming.recv()).await {
                // The one by which was seen whether the service may is empty, and may come again.
                Ok(Some((publish, _room))) => kept += u32::from(!publish.payload.is_empty()),
                Ok(None) => return Err(ended(kept, polling).await),
                Err(_) => break,
            }
            note(taken + kept);
        }
        leave(&client, polling).await;
        Ok(kept)
    }

    /// Ends the session with all that is in it, however far it came: a new one in its place ends with its connection. Where that fails, the
    /// broker forgets it by itself some minutes later.
    async fn forget(&self) {
        if let Ok((client, polling, _)) = begin(&self.dial, self.dial.to_publish(&self.name), None).await {
            leave(&client, polling).await;
        }
    }
}

/// Sends some messages; gives how many were taken, and why the next was not. `None` when the connection is over.
async fn send_some(client: &AsyncClient, topic: &str) -> Option<(u32, Option<PubAckReason>)> {
    let mut answers = Vec::with_capacity(AT_A_TIME);
    for _ in 0..AT_A_TIME {
        let message = vec![b' '; MESSAGE_BYTES];
        answers.push(client.publish_tracked(topic, message, PublishOptions::at_least_once()).await.ok()?);
    }
    let mut taken = 0;
    for answer in answers {
        match answer.wait_completion_async().await {
            Ok(()) => taken += 1,
            Err(PublishNoticeError::V5PubAck(reason)) => return Some((taken, Some(reason))),
            Err(_) => return None,
        }
    }
    Some((taken, None))
}

/// What a connection says that is over.
async fn ended(messages: u32, polling: JoinHandle<String>) -> String {
    let why = match timeout(WHY_MAX, polling).await {
        Ok(Ok(why)) => why,
        _ => "the connection ended".to_owned(),
    };
    format!("after {messages} messages: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outcome: Outcome) -> String {
        judge(outcome).unwrap().map(|unfit| unfit.why).unwrap_or_default()
    }

    #[test]
    fn what_is_dropped_and_what_is_refused_is_told_with_both_numbers_and_the_setting() {
        let all = MESSAGES_WANTED;
        let dropped = told(Outcome::Kept { taken: all, kept: 1000 });
        let refused = told(Outcome::Refused { taken: 1000, reason: PubAckReason::QuotaExceeded });
        assert!(dropped.starts_with("it kept 1000 of 20000 messages"), "{dropped}");
        assert!(
            refused.starts_with("it takes 1000 of 20000 messages") && refused.contains("QuotaExceeded"),
            "{refused}"
        );
        assert!(
            [&dropped, &refused].iter().all(|why| why.contains("set `max_queued_messages 0`")),
            "{dropped} {refused}"
        );
        assert_eq!(judge(Outcome::Kept { taken: all, kept: all }), Ok(None));
    }

    #[test]
    fn what_could_not_all_be_sent_proves_a_bound_and_no_more() {
        let few = judge(Outcome::Kept { taken: 500, kept: 500 }).unwrap_err();
        assert_eq!(few, "no more than 500 of 20000 messages could be sent in 15 s");
        assert!(told(Outcome::Kept { taken: 500, kept: 100 }).starts_with("it kept 100 of 500 messages"));
    }
}
