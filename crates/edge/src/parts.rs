//! The agent's tasks: a part that fails inside is started again, is said, and never stops the others.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::board::Board;

/// A part that failed inside is started again after this.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Tasks that run until they are told to stop.
pub struct Parts {
    set: JoinSet<()>,
    board: Board,
    stop: CancellationToken,
}

impl Parts {
    /// None yet; all of them end with `stop`.
    #[must_use]
    pub fn new(board: Board, stop: CancellationToken) -> Self {
        Self { set: JoinSet::new(), board, stop }
    }

    /// Starts a part, and again when it has failed inside.
    pub fn start<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &'static str,
        make: impl Fn() -> F + Send + 'static,
    ) {
        let (board, stop) = (self.board.clone(), self.stop.clone());
        self.set.spawn(async move {
            while !stop.is_cancelled() {
                if let Err(error) = tokio::spawn(make()).await {
                    tracing::error!(part = name, %error, "a part failed inside");
                    board.problem(name, Some("failed inside and was started again".to_owned()));
                    tokio::time::sleep(RESTART_AFTER).await;
                }
            }
        });
    }

    /// Waits for their end.
    pub async fn all_stopped(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}
