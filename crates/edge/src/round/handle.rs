//! The shell around the state machine: one at a time, what it decides is made durable before it is shown.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Acted, Action, View};

/// The kit's person side. Clones share it.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    view: watch::Sender<View>,
}

impl Handle {
    /// What the page shows, and wakes when that changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.shared.view.subscribe()
    }

    /// A person did this. When it returns, what it brought is durable and the view has changed.
    pub async fn act(&self, _action: Action) -> Acted {
        Acted::Stale
    }
}
