//! The connection that publishes: acknowledgements and commands, to the kits that were heard over the broker.
//!
//! What can't be sent is not kept. `through` is cumulative, and whenever this connection is opened every kit is told it again, with the
//! commands that wait for it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rumqttc::{AsyncClient, PublishOptions};
use tokio::{sync::mpsc, time::sleep};
use vitals::KitId;
use wire::Topic;

use super::connection::{Dial, OUT_MESSAGES_MAX, connect, poll};
use crate::{
    commands::Commands,
    pipeline::acks::Outbox,
    source::{ToKits, backoff::Backoff},
};

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
    pub async fn keep(self: Arc<Self>, mut waiting: Waiting, dial: Dial, outbox: Arc<Outbox>, commands: Arc<Commands>) {
        let mut backoff = Backoff::default();
        loop {
            match self.connection(&mut waiting, &dial, &outbox, &commands, &mut backoff).await {
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
        outbox: &Outbox,
        commands: &Commands,
        backoff: &mut Backoff,
    ) -> Result<(), String> {
        let options = dial.to_publish("out").map_err(|error| error.to_string())?;
        let (client, eventloop, _) = connect(options, OUT_MESSAGES_MAX).await?;
        backoff.reset();
        let mut polling = poll(eventloop, None, dial.silence_max());
        // Of the connection before; it comes again.
        while waiting.try_recv().is_ok() {}
        for kit in self.lock().iter() {
            outbox.again(kit);
            commands.again(kit);
        }
        let ended = tokio::select! {
            why = &mut polling => Err(why.unwrap_or_else(|error| error.to_string())),
            sent = send(&client, waiting) => sent,
        };
        polling.abort();
        ended
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<KitId>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(client: &AsyncClient, waiting: &mut Waiting) -> Result<(), String> {
    while let Some((topic, payload)) = waiting.recv().await {
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
    }
}
