//! Where messages come from. A source gives each message with the kit that its credentials name, and tells the sender "acknowledged" only
//! when [`LinedUp::stored`] has returned: by then it is stored.

mod backoff;
pub mod broker;
pub mod front_door;
mod gate;
pub mod http;
pub mod limits;

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::oneshot;
use vitals::KitId;
use wire::Topic;

/// One message as it came from a source.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The kit whose credentials brought it.
    pub kit: KitId,
    /// What came.
    pub payload: Bytes,
    /// Why it can't be used, if the source knows already (another kit's topic).
    pub refused: Option<String>,
    /// When the hub had it.
    pub received_at: Timestamp,
    /// Does the sender wait for an acknowledgement? (QoS 0 does not.)
    pub wants_ack: bool,
}

/// In which of two lines a message waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Measured lately.
    Fresh,
    /// Measured long ago, of a kit that sends too fast, or behind one of those of the same kit or patient.
    Late,
}

/// What takes messages in: the pipeline, or the bare log of the bench.
pub trait Taker: Send + Sync + 'static {
    /// Looks at a message and gives it its turn: of the same kit and patient none is overtaken that was lined up before. One that is `slowed`
    /// came faster than its kit may send, and waits behind the others.
    fn line_up(self: Arc<Self>, arrival: Arrival, slowed: bool) -> LinedUp;
}

impl dyn Taker {
    /// Takes a message. Returns when it is stored durably, or, if nobody waits for an acknowledgement, when it is queued.
    ///
    /// # Errors
    /// [`NotTaken`]: it was not stored and must not be acknowledged.
    pub async fn take(self: &Arc<Self>, arrival: Arrival) -> Result<(), NotTaken> {
        Arc::clone(self).line_up(arrival, false).stored().await.map(drop)
    }
}

/// A message that has its turn.
pub struct LinedUp {
    /// In which line. A source with one connection for many kits must not let the late ones hold up the fresh ones.
    pub lane: Lane,
    /// The oldest message that its kit still keeps, if it says so.
    pub oldest: Option<u64>,
    /// Waits for room and is queued. Those of one lane must be polled in the order in which they were lined up. Dropped, it gives up.
    pub enter: BoxFuture<'static, Result<Stored, NotTaken>>,
}

impl LinedUp {
    /// Of a taker that has no lanes.
    pub fn fresh(stored: impl Future<Output = Result<Stored, NotTaken>> + Send + 'static) -> Self {
        Self { lane: Lane::Fresh, oldest: None, enter: Box::pin(stored) }
    }

    /// Queues it and waits until it is stored, or only queues it if nobody waits for an acknowledgement.
    ///
    /// # Errors
    /// [`NotTaken`]: it was not stored and must not be acknowledged.
    pub async fn stored(self) -> Result<Acked, NotTaken> {
        self.enter.await?.wait().await
    }
}

/// Resolves when a queued message is stored.
pub struct Stored(Option<oneshot::Receiver<Acked>>);

impl Stored {
    /// When this is told.
    #[must_use]
    pub fn when(acked: oneshot::Receiver<Acked>) -> Self {
        Self(Some(acked))
    }

    /// Nobody waits for it.
    #[must_use]
    pub fn now() -> Self {
        Self(None)
    }

    /// Waits.
    ///
    /// # Errors
    /// [`NotTaken::Stopping`]: the pipeline ended first.
    pub async fn wait(self) -> Result<Acked, NotTaken> {
        match self.0 {
            Some(acked) => acked.await.map_err(|_| NotTaken::Stopping),
            None => Ok(Acked::default()),
        }
    }
}

/// What became of a message: it is stored, but for what is said here, which is in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// What of it could not be used.
    pub rejected: Option<String>,
    /// Nothing of it could.
    pub whole: bool,
}

/// Why a message was not taken. It is not acknowledged, so the kit sends it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The store has not taken it for too long.
    #[error("the store has not taken it in time")]
    Held,
}

/// A way to the kits: acknowledgements and commands.
#[async_trait]
pub trait ToKits: Send + Sync + 'static {
    /// Sends to the kit of this topic, if it is connected and listens.
    async fn send(&self, topic: &Topic, payload: Vec<u8>);
}

/// Several ways to the kits: each knows which of them it reaches.
pub struct Everywhere(pub Vec<Arc<dyn ToKits>>);

#[async_trait]
impl ToKits for Everywhere {
    async fn send(&self, topic: &Topic, payload: Vec<u8>) {
        for way in &self.0 {
            way.send(topic, payload.clone()).await;
        }
    }
}
