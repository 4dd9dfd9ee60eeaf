//! Where messages come from. A source gives each message with the kit that its credentials name, and tells the sender "acknowledged" only
//! when [`Taker::take`] has returned: by then it is stored.

pub mod front_door;
mod gate;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
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

/// What takes messages in: the pipeline, or the bare log of the bench.
#[async_trait]
pub trait Taker: Send + Sync + 'static {
    /// Takes a message. Returns when it is stored durably, or, if nobody waits for an acknowledgement, when it is queued.
    ///
    /// # Errors
    /// [`NotTaken`]: it was not stored and must not be acknowledged.
    async fn take(&self, arrival: Arrival) -> Result<(), NotTaken>;
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
