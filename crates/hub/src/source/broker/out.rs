//! The connection that publishes: acknowledgements and commands, to the kits that were heard over the broker. It hears the kits' statuses too,
//! since it begins anew every time, and so is told what the broker retains.
//!
//! What can't be sent is not kept. `through` is cumulative, and whenever this connection is opened every kit is told it again, with the
//! commands that wait for it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rumqttc::{AsyncClient, Publish, PublishOptions};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use vitals::KitId;
use wire::{Status, Topic, TopicKind};

use super::connection::{Dial, OUT_MESSAGES_MAX, connect, poll, subscribe};
use crate::{
    clock,
    source::{
        ToKits,
        backoff::Backoff,
        front_door::{Behind, STATUS_BYTES_MAX},
    },
};

/// A connection that lasted this long was a good one.
const STABLE_AFTER: std::time::Duration = std::time::Duration::from_secs(10);
/// Statuses that wait to be looked at: at first one of every kit, which the broker retains.
const STATUSES_MAX: usize = 65_536;

/// The way out.
pub struct Out {
    queue: mpsc::Sender<(Topic, Vec<u8>)>,
    /// Kits that were heard here. Bounded by the roster.
    heard: Mutex<HashSet<KitId>>,
}

/// What waits to be published.
pub type Waiting = mpsc::Receiver<(Topic, Vec<u8>)>;

impl Out {
    /// The way out, and what `keep` sends from.
    pub fn new() -> (Arc<Self>, Waiting) {
        let (queue, waiting) = mpsc::channel(OUT_MESSAGES_MAX);
        metrics::gauge!("vagt_broker_out_messages_max").set(OUT_MESSAGES_MAX as f64);
        (Arc::new(Self { queue, heard: Mutex::default() }), waiting)
    }

    /// A kit was heard over the broker; gives whether that is news.
    pub fn heard(&self, kit: &KitId) -> bool {
        let mut heard = self.lock();
        !heard.contains(kit) && heard.insert(kit.clone())
    }

    /// How many messages wait to be published.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Sends for ever.
    pub async fn keep(self: Arc<Self>, mut waiting: Waiting, dial: Dial, behind: Behind) {
        let mut backoff = Backoff::default();
        loop {
            match self.connection(&mut waiting, &dial, &behind, &mut backoff).await {
                Ok(()) => return,
                Err(why) => tracing::warn!("broker {}: nothing can be told to kits there: {why}", dial.address()),
            }
            metrics::counter!("vagt_broker_disconnects_total", "connection" => "out").increment(1);
            sleep(backoff.failed(rand::random())).await;
        }
    }

    /// One connection; `Ok` when there is nobody left who could ask for anything.
    async fn connection(
        &self,
        waiting: &mut Waiting,
        dial: &Dial,
        behind: &Behind,
        backoff: &mut Backoff,
    ) -> Result<(), String> {
        let options = dial.to_publish("out").map_err(|error| error.to_string())?;
        let (client, eventloop, _) = connect(options, OUT_MESSAGES_MAX).await?;
        let began = Instant::now();
        // Of the connection before; it comes again.
        while waiting.try_recv().is_ok() {}
        note_waiting(0);
        let (came, mut coming) = mpsc::channel(STATUSES_MAX);
        let mut polling = poll(eventloop, Some(came), dial.silence_max());
        let statuses = async {
            while let Some((publish, _room)) = coming.recv().await {
                self.status(behind, &publish);
            }
            std::future::pending::<()>().await;
        };
        let subscribed = async {
            subscribe(&client, "vagt/v1/+/status".to_owned()).await?;
            send(&client, waiting).await
        };
        for kit in self.lock().iter() {
            behind.outbox.again(kit);
            behind.commands.again(kit);
        }
        let ended = tokio::select! {
            why = &mut polling => Err(why.unwrap_or_else(|error| error.to_string())),
            sent = subscribed => sent,
            () = statuses => Ok(()),
        };
        polling.abort();
        // A broker that takes the connection and not what is said on it is not connected to three times a second.
        if began.elapsed() >= STABLE_AFTER {
            backoff.reset();
        }
        ended
    }

    /// A kit says how it is, or the broker remembers what it said.
    fn status(&self, behind: &Behind, publish: &Publish) {
        let topic = std::str::from_utf8(&publish.topic).ok().and_then(Topic::parse);
        let known =
            |topic: &Topic| topic.kind == TopicKind::Status && behind.directories.now().may_connect(topic.kit.as_str());
        let Some(Topic { kit, .. }) = topic.filter(known) else { return };
        let bytes = publish.payload.len();
        let read = match bytes {
            // A retained status that was taken away.
            0 => return,
            1..=STATUS_BYTES_MAX => {
                serde_json::from_slice::<Status>(&publish.payload).map_err(|error| format!("status: {error}"))
            }
            _ => Err(format!("status has {bytes} bytes, at most {STATUS_BYTES_MAX} are taken")),
        };
        match read.and_then(|read| Ok((read.online, serde_json::to_value(read).map_err(|e| e.to_string())?))) {
            Ok((online, status)) => {
                self.heard(&kit);
                behind.presence.status_by_broker(&kit, online, status, publish.retain, clock::now());
                if online && !publish.retain {
                    // It may have just begun to listen.
                    behind.outbox.again(&kit);
                    behind.commands.again(&kit);
                }
            }
            Err(why) => {
                metrics::counter!("vagt_broker_status_refused_total").increment(1);
                tracing::warn!(%kit, "{why}");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<KitId>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note_waiting(messages: usize) {
    metrics::gauge!("vagt_broker_out_messages").set(messages as f64);
}

async fn send(client: &AsyncClient, waiting: &mut Waiting) -> Result<(), String> {
    while let Some((topic, payload)) = waiting.recv().await {
        note_waiting(waiting.len());
        let published = client.publish(topic.to_string(), payload, PublishOptions::at_least_once()).await;
        published.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[async_trait]
impl ToKits for Out {
    async fn send(&self, topic: &Topic, payload: Vec<u8>) {
        if !self.lock().contains(&topic.kit) {
            return;
        }
        if self.queue.try_send((topic.clone(), payload)).is_err() {
            metrics::counter!("vagt_broker_not_told_total").increment(1);
        }
        note_waiting(self.waiting());
    }
}
