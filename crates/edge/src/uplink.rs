//! Step 4 of a reading's way: the spool's messages go to the core, in order, until it has acknowledged them.

mod connection;
mod inbox;
mod patience;
mod refusals;
mod window;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use vitals::KitId;

pub use window::{IN_FLIGHT_MAX, UNACKED_MAX};

use crate::{
    backoff::Backoff,
    board::Board,
    clock,
    config::Broker,
    round::Handle,
    spool::{Acked, Spool},
};
use connection::{Connection, Said};
use patience::{Patience, Puback};
use refusals::{REFUSED_ON_MAX, Refusals};
use window::Window;

/// Before the second attempt to connect, at most.
const RECONNECT_FIRST: Duration = Duration::from_millis(500);
/// Between attempts to connect, at most.
const RECONNECT_CAP: Duration = Duration::from_secs(60);
/// A connection that lasted this long was a good one.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Between two statuses, at least.
const STATUS_INTERVAL_MIN: Duration = Duration::from_secs(2);
/// A status is repeated when nothing has changed for this long.
const STATUS_INTERVAL_MAX: Duration = Duration::from_secs(300);

/// The kit's connection to the clinic.
pub struct Uplink {
    kit: KitId,
    broker: Broker,
    /// Which of its addresses is tried now.
    at: usize,
    spool: Arc<Spool>,
    board: Board,
    /// Who is told what the core judged and asks for.
    round: Option<Handle>,
    patience: Patience,
    refusals: Refusals,
    /// What the broker said of the last that it refused.
    refused_for: String,
}

/// Why a conversation is over.
enum End {
    Stopped,
    Lost(String),
    Unacked,
    Again,
    /// Some messages were refused on this connection, and later ones taken.
    Refused,
}

type Notices = FuturesUnordered<BoxFuture<'static, (u64, Puback)>>;

impl Uplink {
    /// An uplink that has not connected yet.
    #[must_use]
    pub fn new(kit: KitId, broker: Broker, spool: Arc<Spool>, board: Board) -> Self {
        let patience = Patience::trying(broker.addresses.len() > 1);
        let (refusals, refused_for) = Default::default();
        Self { kit, broker, at: 0, spool, board, round: None, patience, refusals, refused_for }
    }

    /// Whom to tell what the core judged and asks for.
    pub fn tell(&mut self, round: Handle) {
        self.round = Some(round);
    }

    /// Sends until it is stopped. Nothing else ends it.
    pub async fn run(&mut self, stop: &CancellationToken) {
        let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_CAP);
        while !stop.is_cancelled() {
            let began = Instant::now();
            match self.connect(stop).await {
                End::Stopped => return,
                End::Lost(reason) => {
                    self.board.problem("broker", Some(reason));
                    self.turn();
                }
                End::Again => tracing::info!("uplink: connecting again, to send from the first that waits"),
                // The broker is well; a message costs a few connections at most, and all behind it waits.
                End::Refused => backoff.reset(),
                End::Unacked => {
                    self.patience.silent();
                    let sentence =
                        "connected, but the core acknowledges nothing; everything unacknowledged is sent again";
                    self.board.problem("acks", Some(sentence.to_owned()));
                    self.turn();
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

    /// The next address has its turn.
    fn turn(&mut self) {
        self.at = (self.at + 1) % self.broker.addresses.len();
    }

    async fn connect(&mut self, stop: &CancellationToken) -> End {
        let will = self.board.status(false, clock::now());
        let opened = tokio::select! {
            () = stop.cancelled() => return End::Stopped,
            opened = Connection::open(&self.kit, &self.broker, &self.broker.addresses[self.at], &will) => opened,
        };
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(reason) => return End::Lost(reason),
        };
        let (host, port) = &self.broker.addresses[self.at];
        tracing::info!(broker = %format_args!("{host}:{port}"), "uplink: connected");
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
        let (mut notices, mut through) = (Notices::new(), None);
        let (mut newest, mut board) = (self.spool.newest(), self.board.watch());
        let (mut status_due, mut status_at) = (Instant::now(), None::<Instant>);
        loop {
            if Instant::now() >= status_due {
                board.mark_unchanged();
                connection.publish_status(&self.board.status(true, clock::now()));
                status_at = Some(Instant::now());
                status_due = Instant::now() + STATUS_INTERVAL_MAX;
            }
            through.into_iter().for_each(|through| window.tell_leap(through));
            self.fill(connection, &mut window, &mut notices).await;
            let overdue = window.overdue_at(self.patience.wait());
            tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                said = connection.next() => match said {
                    Err(reason) => return End::Lost(reason),
                    Ok(Said::Through(said)) => {
                        through = Some(said);
                        if let Some(end) = self.acked(said, &mut window).await {
                            return end;
                        }
                    }
                    Ok(Said::Do(asked)) => if let Some(round) = &self.round {
                        match asked {
                            Ok(command) => round.command(command).await,
                            Err(unreadable) => round.unreadable(unreadable.id, unreadable.patient, unreadable.why).await,
                        }
                    },
                    Ok(Said::Judged(judged)) => if let Some(round) = &self.round {
                        round.judged(&judged).await;
                    },
                },
                Some((seq, said)) = notices.next() => {
                    let before = window.taken_through();
                    self.pubacked(seq, said, &mut window);
                    // The ack that covers it may have come first.
                    if let Some(through) = through.filter(|through| *through > before)
                        && let Some(end) = self.acked(through, &mut window).await
                    {
                        return end;
                    }
                    if let Some(end) = self.refused(&window).await {
                        return end;
                    }
                }
                _ = newest.changed() => {}
                _ = board.changed() => status_due = status_at.map_or(status_due, |at| at + STATUS_INTERVAL_MIN),
                () = sleep_until(status_due.into()) => {}
                () = sleep_until(overdue.unwrap_or(status_due).into()), if overdue.is_some() => return End::Unacked,
            }
        }
    }

    async fn fill(&mut self, connection: &Connection, window: &mut Window, notices: &mut Notices) {
        let room = u32::try_from(window.room()).unwrap_or(u32::MAX);
        if room == 0 || window.cursor() >= *self.spool.newest().borrow() {
            return;
        }
        let rows = self.spool.after(window.cursor(), room).await;
        let overtaken = self.spool.is_overtaken().await;
        for row in rows {
            let (seq, oldest) = (row.seq, (!overtaken).then(|| window.oldest(row.seq)));
            let payload = row.payload(clock::now(), oldest);
            if let Err(reason) = connection.takes(&payload) {
                window.sent(seq, Instant::now());
                self.pubacked(seq, Puback::Refused(reason), window);
                continue;
            }
            let Some(notice) = connection.publish(payload, row.trace()) else { return };
            window.sent(seq, Instant::now());
            notices.push(Box::pin(async move { (seq, connection::puback(notice).await) }));
        }
    }

    fn pubacked(&mut self, seq: u64, said: Puback, window: &mut Window) {
        match said {
            Puback::Taken => window.puback(seq, true),
            Puback::NobodyListens => {
                window.puback(seq, true);
                self.patience.nobody_listens();
            }
            Puback::Refused(reason) => {
                window.puback(seq, false);
                tracing::warn!(seq, %reason, "uplink: a message was refused; it stays in the spool");
                self.board.problem("broker", Some(format!("the broker refuses messages: {reason}")));
                self.refused_for = reason;
            }
            Puback::Missing => {}
        }
    }

    /// What is refused for what it is, is tried on a few connections, and then taken out of the way of the rest.
    async fn refused(&mut self, window: &Window) -> Option<End> {
        let refused = window.refused_alone();
        if refused.is_empty() {
            return None;
        }
        let over = self.refusals.count(&refused);
        if !over.is_empty() && self.spool.refuse(&over, &self.refused_for, clock::now()).await {
            let sentence = format!(
                "messages were refused on {REFUSED_ON_MAX} connections ({}), the last with number {}; they are kept on the kit and not sent again",
                self.refused_for,
                over.last().copied().unwrap_or_default()
            );
            tracing::error!(seqs = ?over, "uplink: {sentence}");
            self.board.problem("refused", Some(sentence));
            self.board.problem("broker", None);
        }
        Some(End::Refused)
    }

    async fn acked(&mut self, through: u64, window: &mut Window) -> Option<End> {
        let taken = window.taken_through();
        if self.spool.acked(through, taken, clock::now()).await == Acked::Again {
            self.refusals.forget();
            return Some(End::Again);
        }
        if window.acked(through.min(taken), Instant::now()) {
            self.patience.acknowledged();
            self.board.problem("acks", None);
        }
        None
    }
}
