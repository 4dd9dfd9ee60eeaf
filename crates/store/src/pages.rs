//! A patient's messages, some at a time.

use tokio::sync::mpsc;

use crate::{StoreError, StoredMessage};

/// A page on its way.
pub(crate) type Page = Result<Vec<StoredMessage>, StoreError>;

/// Messages that are read while the ones before are used, at most two pages ahead. Dropping it ends the reading.
pub struct MessagePages(mpsc::Receiver<Page>);

impl MessagePages {
    pub(crate) fn new(pages: mpsc::Receiver<Page>) -> Self {
        Self(pages)
    }

    /// The next messages, never none; nothing at the end, or after an error.
    pub async fn next(&mut self) -> Option<Page> {
        self.0.recv().await
    }
}
