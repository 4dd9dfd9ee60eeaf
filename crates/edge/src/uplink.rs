//! Step 4 of a reading's way: the spool's messages go to the core, in order, until it has acknowledged them.

mod connection;
mod window;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use rumqttc::PublishNotice;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use vitals::KitId;
use wire::{Acks, Command, TopicKind};

pub use window::{IN_FLIGHT_MAX, UNACKED_MAX};

use crate::{
    backoff::Backoff,
    board::Board,
    clock,
    config::Broker,
    spool::{Acked, Spool},
};
use connection::{Connection, FromCore};
use window::Window;

/// Before the second attempt to connect, at most.
const RECONNECT_FIRST: Duration = Duration::from_millis(500);
/// Between attempts to connect, at most.
const RECONNECT_CAP: Duration = Duration::from_secs(60);
/// A connection that lasted this long was a good one.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Without an acknowledgement by the core for this long, everything is sent again. Doubles each time, up to the cap.
const ACK_PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait for the core's acknowledgement.
const ACK_PATIENCE_CAP: Duration = Duration::from_secs(3600);
/// Between two statuses, at least.
const STATUS_INTERVAL_MIN: Duration = Duration::from_secs(2);
/// A status is repeated when nothing has changed for this long.
const STATUS_INTERVAL_MAX: Duration = Duration::from_secs(300);
/// Ids of commands that are remembered, so that one that comes twice is done once.
const COMMANDS_REMEMBERED: usize = 64;

/// The kit's connection to the clinic.
pub struct Uplink {
    kit: KitId,
    broker: Broker,
    spool: Arc<Spool>,
    board: Board,
    /// How often in a row the core's acks stayed away.
    silent: u32,
    /// Messages that went to quarantine, since the start.
    rejected: u64,
    commands: VecDeque<String>,
}

/// Why a conversation is over.
enum End {
    Stopped,
    Lost(String),
    Unacked,
    Renumbered,
}

type Notices = FuturesUnordered<BoxFuture<'static, (u64, Option<String>)>>;

impl Uplink {
    /// An uplink that has not connected yet.
    #[must_use]
    pub fn new(kit: KitId, broker: Broker, spool: Arc<Spool>, board: Board) -> Self {
        Self { kit, broker, spool, board, silent: 0, rejected: 0, commands: VecDeque::new() }
    }

    /// Sends until it is stopped. Nothing else ends it.
    pub async fn run(&mut self, stop: &CancellationToken) {
        let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_CAP);
        while !stop.is_cancelled() {
            let began = Instant::now();
            match self.connect(stop).await {
                End::Stopped => return,
                End::Lost(reason) => self.board.problem("broker", Some(reason)),
                End::Renumbered => tracing::info!("uplink: connecting again, with new numbers"),
                End::Unacked => {
                    self.silent = self.silent.saturating_add(1);
                    let sentence =
                        "connected, but the core acknowledges nothing; everything unacknowledged is sent again";
                    self.board.problem("acks", Some(sentence.to_owned()));
                }
            }
            if began.elapsed() >= STABLE_AFTER {
                backoff.reset();
            }
            let wait = backoff.failed(rand::random());
            tracing::debug!(
                failures = backoff.failures(),
                wait_ms = wait.as_millis() as u64,
                "uplink: waiting to connect"
            );
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
    }

    async fn connect(&mut self, stop: &CancellationToken) -> End {
        let will = self.board.status(false, clock::now());
        let opened = tokio::select! {
            () = stop.cancelled() => return End::Stopped,
            opened = Connection::open(&self.kit, &self.broker, &will) => opened,
        };
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(reason) => return End::Lost(reason),
        };
        tracing::info!(broker = %format_args!("{}:{}", self.broker.host, self.broker.port), "uplink: connected");
        self.board.problem("broker", None);
        let end = self.converse(&mut connection, stop).await;
        if matches!(end, End::Stopped) {
            connection.close(&self.board.status(false, clock::now())).await;
        }
        end
    }

    /// One connection: whatever happens, the spool's next messages are handed over as far as the window has room.
    async fn converse(&mut self, connection: &mut Connection, stop: &CancellationToken) -> End {
        let mut window = Window::new(Instant::now());
        let mut notices = Notices::new();
        let (mut newest, mut board) = (self.spool.newest(), self.board.watch());
        let (mut status_due, mut status_at) = (Instant::now(), None::<Instant>);
        let patience = ACK_PATIENCE.saturating_mul(1 << self.silent.min(16)).min(ACK_PATIENCE_CAP);
        loop {
            if Instant::now() >= status_due {
                board.mark_unchanged();
                connection.publish_status(&self.board.status(true, clock::now()));
                status_at = Some(Instant::now());
                status_due = Instant::now() + STATUS_INTERVAL_MAX;
            }
            self.fill(connection, &mut window, &mut notices).await;
            let overdue = window.overdue_at(patience);
            tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                said = connection.next() => match said {
                    Err(reason) => return End::Lost(reason),
                    Ok(said) => {
                        if let Some(end) = self.heard(said, connection, &mut window).await {
                            return end;
                        }
                    }
                },
                Some((seq, refused)) = notices.next() => {
                    window.puback(seq);
                    self.pubacked(seq, refused);
                }
                _ = newest.changed() => {}
                _ = board.changed() => status_due = status_at.map_or(status_due, |at| at + STATUS_INTERVAL_MIN),
                () = sleep_until(status_due.into()) => {}
                () = sleep_until(overdue.unwrap_or(status_due).into()), if overdue.is_some() => return End::Unacked,
            }
        }
    }

    async fn fill(&self, connection: &Connection, window: &mut Window, notices: &mut Notices) {
        let room = u32::try_from(window.room()).unwrap_or(u32::MAX);
        if room == 0 || window.cursor() >= *self.spool.newest().borrow() {
            return;
        }
        for row in self.spool.after(window.cursor(), room).await {
            let Some(notice) = connection.publish(row.payload(clock::now())) else { return };
            window.sent(row.seq, Instant::now());
            notices.push(Box::pin(puback(row.seq, notice)));
        }
    }

    fn pubacked(&self, seq: u64, refused: Option<String>) {
        if let Some(reason) = refused {
            tracing::warn!(seq, %reason, "uplink: a message was refused; it stays in the spool");
            self.board.problem("broker", Some(format!("the broker refuses messages: {reason}")));
        }
    }

    /// Takes in what the core said, with everything else that it has said meanwhile: of several acks the highest counts.
    async fn heard(&mut self, said: FromCore, connection: &mut Connection, window: &mut Window) -> Option<End> {
        let mut through = self.take(&said);
        while let Some(said) = connection.try_next() {
            through = through.max(self.take(&said));
        }
        let through = through?;
        if self.spool.acked(through, window.cursor(), clock::now()).await == Acked::Renumbered {
            return Some(End::Renumbered);
        }
        if window.acked(through, Instant::now()) {
            self.silent = 0;
            self.board.problem("acks", None);
        }
        None
    }

    fn take(&mut self, said: &FromCore) -> Option<u64> {
        match said.kind {
            TopicKind::Acks => {
                let acks = understood::<Acks>(&said.payload)?;
                self.rejected += acks.rejected.len() as u64;
                for rejection in &acks.rejected {
                    tracing::warn!(seq = rejection.seq, reason = %rejection.reason, rejected = self.rejected, "uplink: the core rejected a message");
                }
                Some(acks.through)
            }
            TopicKind::Commands => {
                let command = understood::<Command>(&said.payload)?;
                self.command(command);
                None
            }
            TopicKind::Readings | TopicKind::Status => None,
        }
    }

    /// The kit has no screen yet: every command is one that it does not know, and is passed over as the contract says.
    fn command(&mut self, command: Command) {
        if self.commands.contains(&command.id) {
            return;
        }
        tracing::info!(id = %command.id, command = %command.command, "uplink: a command that this kit can't do was passed over");
        self.commands.push_back(command.id);
        if self.commands.len() > COMMANDS_REMEMBERED {
            self.commands.pop_front();
        }
    }
}

fn understood<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Option<T> {
    let read = serde_json::from_slice(payload);
    if let Err(error) = &read {
        tracing::warn!(%error, bytes = payload.len(), "uplink: can't understand what the core said");
    }
    read.ok()
}

/// Waits for a message's PUBACK. Its connection's end drops it.
async fn puback(seq: u64, notice: PublishNotice) -> (u64, Option<String>) {
    let refused = match timeout(ACK_PATIENCE_CAP, notice.wait_async()).await {
        Ok(Ok(result)) => connection::refusal(&result),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer".to_owned()),
    };
    (seq, refused)
}
