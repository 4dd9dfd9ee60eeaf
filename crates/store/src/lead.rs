//! Which service writes: one at a time.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

/// Who leads a store, or led it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// As it called itself.
    pub by: String,
    /// How long nothing was heard of it. One that has ended in order says so: then it is very long.
    pub silent: Duration,
    /// Does it hold the lead now? One whose connection broke does not, until it is back.
    pub holds: bool,
}

/// The lead over a store, as long as nobody takes it over.
#[derive(Debug)]
pub struct Lead {
    /// Grows with every service that takes the lead of this store; 0 where a file's own lock says who has it.
    pub epoch: u64,
    lost: Option<watch::Receiver<bool>>,
    heard: Option<watch::Receiver<Instant>>,
}

impl Lead {
    /// The lead of a store that can't be taken over.
    #[must_use]
    pub fn for_good() -> Self {
        Self { epoch: 0, lost: None, heard: None }
    }

    pub(crate) fn new(epoch: u64, lost: watch::Receiver<bool>, heard: watch::Receiver<Instant>) -> Self {
        Self { epoch, lost: Some(lost), heard: Some(heard) }
    }

    /// When anything that was written here last came through to the store. A sign of life is written every two seconds, however little else there
    /// is: if it is longer ago, the store is not there, or does not hear this service. None where there is nothing in between that could fail.
    #[must_use]
    pub fn heard(&self) -> Option<watch::Receiver<Instant>> {
        self.heard.clone()
    }

    /// Waits until another has taken over. Then nothing can be stored from here any more.
    pub async fn lost(&mut self) {
        let is_lost = match &mut self.lost {
            Some(lost) => lost.wait_for(|lost| *lost).await.is_ok(),
            None => false,
        };
        // Nobody can take over, or the store is closed.
        if !is_lost {
            std::future::pending::<()>().await;
        }
    }
}
