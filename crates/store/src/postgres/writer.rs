//! The single writer: one connection, one transaction at a time, and no batch of a service that another has taken over from.
//!
//! Every write locks the one row of `book`, so that programs write one after the other, and reads the epoch there, so that one that was paused
//! while another took over is refused. A transaction takes the connection and its keys out of their place and brings them back when it has
//! committed; after an error or a caller that gave up, the connection is dropped, and the next write opens another. Each statement is waited for so
//! long and no longer (`conn.rs`), whatever writes: while one hangs, nothing else is written.
//!
//! A commit whose answer was lost may have happened. Every batch leaves a mark of its own in `book`, and finds there the mark of the one before it:
//! by that the same batch is recognised when it is tried again. The transaction's number would not do: a server that was killed before it wrote
//! anything of a transaction gives its number to another one.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time::Instant,
};

use super::{
    conn::{Asked, Conn, LONG_WAIT, LONGEST_WAIT},
    keys::Keys,
    link::Link,
    migrate::{self, Layout},
    trouble,
};
use crate::StoreError;

/// Held, in a session, by the service that leads: "VAGT" and 1. Held together by whoever else commits a batch.
pub(super) const LEAD_LOCK: i64 = 0x5641_4754_0001;

/// Says that whoever led has ended in order.
const FREE: &str = "UPDATE book SET heard_at = 'epoch' WHERE id = 1 AND epoch = $1";

/// Where the connection is when nothing is being written.
pub(super) struct Writer {
    link: Arc<Link>,
    place: Mutex<Place>,
}

pub(super) struct Place {
    /// Why nothing is written, where it is not.
    refusal: Option<fn() -> StoreError>,
    session: Option<Session>,
    /// The epoch of the lead that was taken here.
    epoch: Option<i64>,
    /// Hears that another has taken it over.
    lost: Option<watch::Sender<bool>>,
    /// Hears when anything that was written here came through, as long as this leads.
    heard: Option<watch::Sender<Instant>>,
    unsure: Option<Unsure>,
}

/// A commit of nothing, that waits for what a commit waits for.
const REACHES: &str = "SELECT pg_logical_emit_message(true, 'vagt', '')";

impl Place {
    /// Nothing is written by one that another has taken over from, and it hears of it at once.
    fn still_leads(&self, epoch: i64) -> Result<(), StoreError> {
        let Some(own) = self.epoch.filter(|own| *own != epoch) else { return Ok(()) };
        let refused = StoreError::LeadLost { own, epoch };
        if let Some(lost) = &self.lost
            && !lost.send_replace(true)
        {
            tracing::error!("{refused}");
        }
        Err(refused)
    }
}

/// A connection, and what it knows of the database.
struct Session {
    conn: Conn,
    keys: Keys,
    /// The book's count of batches after this connection's last.
    commits: i64,
}

impl Session {
    /// For the next write, whose statements have the usual time. The only connection there is goes back to where readers find it.
    fn kept(mut self, link: &Link) -> Option<Self> {
        self.conn.wait(link.statement_wait);
        self.conn.is_own().then_some(self)
    }
}

/// A batch that was sent, and of which it is not known whether it was committed.
struct Unsure {
    /// What it was, as a number.
    what: u64,
    /// Its mark in the book, if it was committed.
    mark: String,
}

/// A transaction under way: rolled back unless [`commit`](Self::commit) is called.
pub(super) struct Write<'a> {
    link: &'a Link,
    place: MutexGuard<'a, Place>,
    session: Session,
    batch: Option<Unsure>,
}

/// What the book says to a batch.
pub(super) struct Begun {
    /// The id of its first message.
    pub(super) first_id: i64,
    /// Microseconds since 1970, by the server's clock.
    pub(super) kept_at: i64,
}

impl Writer {
    pub(super) fn new(link: Arc<Link>, refusal: Option<fn() -> StoreError>) -> Self {
        let place = Place { refusal, session: None, epoch: None, lost: None, heard: None, unsure: None };
        Self { link, place: Mutex::new(place) }
    }

    /// Opens the connection and brings the schema up to date.
    pub(super) async fn migrate(&self) -> Result<Layout, StoreError> {
        let mut place = self.place.lock().await;
        let (mut session, _) = self.session(&mut place).await?;
        session.conn.wait(LONGEST_WAIT);
        let layout = migrate::up(&mut session.conn, &self.link).await?;
        place.session = session.kept(&self.link);
        Ok(layout)
    }

    /// Waits for its turn and begins something small.
    pub(super) async fn begin(&self) -> Result<Write<'_>, StoreError> {
        let (write, row) = self.begun("SELECT epoch FROM book WHERE id = 1 FOR UPDATE".to_owned()).await?;
        let epoch: i64 = row.try_get(0)?;
        write.place.still_leads(epoch)?;
        Ok(write)
    }

    /// Waits for its turn and begins a batch of so many messages; `what` tells it from others.
    pub(super) async fn begin_batch(
        &self,
        messages: usize,
        what: impl Fn() -> u64,
    ) -> Result<Option<(Write<'_>, Begun)>, StoreError> {
        let sql = format!(
            "UPDATE book SET commits = commits + 1, last_id = last_id + {messages}, mark_before = mark, mark = gen_random_uuid() WHERE id = 1
             RETURNING commits, last_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, epoch,
             pg_try_advisory_xact_lock_shared({LEAD_LOCK}), mark::text, leader, mark_before::text"
        );
        let (mut write, row) = self.begun(sql).await?;
        let (epoch, is_free): (i64, bool) = (row.try_get(3)?, row.try_get(4)?);
        write.place.still_leads(epoch)?;
        if write.place.epoch.is_none() && !is_free {
            write.abandon().await;
            return Err(StoreError::Led { by: row.try_get(6)? });
        }
        if write.was_committed(row.try_get(7)?, &what) {
            write.has_reached_the_standby().await?;
            return Ok(None);
        }
        let commits: i64 = row.try_get(0)?;
        if commits != write.session.commits + 1 {
            write.session.keys = Keys::default();
        }
        write.session.commits = commits;
        write.session.keys.make_room();
        write.batch = Some(Unsure { what: 0, mark: row.try_get(5)? });
        let last_id: i64 = row.try_get(1)?;
        let begun = Begun { first_id: last_id - messages.cast_signed() as i64 + 1, kept_at: row.try_get(2)? };
        Ok(Some((write, begun)))
    }

    /// A connection that broke while nobody used it is replaced once.
    async fn begun(&self, sql: String) -> Result<(Write<'_>, sqlx::postgres::PgRow), StoreError> {
        let mut place = self.place.lock().await;
        let both = format!("BEGIN; {sql}");
        loop {
            let (mut session, is_new) = self.session(&mut place).await?;
            match first_row(&mut session.conn, &both).await {
                Ok(row) => return Ok((Write { link: &self.link, place, session, batch: None }, row)),
                Err(error) if !is_new && trouble::is_lost(&error) => {}
                Err(error) => return Err(self.link.trouble(error)),
            }
        }
    }

    /// Forgets a lead.
    pub(super) async fn lead_nothing(&self) {
        let mut place = self.place.lock().await;
        (place.epoch, place.lost, place.heard) = (None, None, None);
    }

    /// Waits for what is under way, then refuses everything. Whoever waits for the lead hears that it is free.
    pub(super) async fn close(&self) {
        let mut place = self.place.lock().await;
        place.refusal = Some(|| StoreError::Closed);
        if let Some(Session { mut conn, .. }) = place.session.take() {
            let closed = async {
                if let Some(epoch) = place.epoch {
                    sqlx::query(FREE).bind(epoch).execute(&mut *conn).await?;
                }
                conn.close().await
            };
            if let Err(error) = closed.await {
                tracing::debug!(%error, "the connection was not closed in order");
            }
        }
    }

    /// The connection, and whether it is a new one. Whoever leads takes the session's lock again; that another took it meanwhile the epoch says.
    async fn session(&self, place: &mut Place) -> Result<(Session, bool), StoreError> {
        if let Some(refusal) = place.refusal {
            return Err(refusal());
        }
        if let Some(session) = place.session.take() {
            return Ok((session, false));
        }
        let mut conn = self.link.writing().await?;
        if place.epoch.is_some() {
            let again = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(LEAD_LOCK).execute(&mut *conn).await;
            again.map_err(|error| self.link.trouble(error))?;
        }
        Ok((Session { conn, keys: Keys::default(), commits: 0 }, true))
    }
}

/// `BEGIN` and a question that gives one row, in one journey.
async fn first_row(conn: &mut Asked, sql: &str) -> Result<sqlx::postgres::PgRow, sqlx::Error> {
    conn.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await
}

impl Write<'_> {
    /// The connection, and the keys that it knows.
    pub(super) fn parts(&mut self) -> (&mut Asked, &mut Keys) {
        (&mut self.session.conn, &mut self.session.keys)
    }

    /// The connection.
    pub(super) fn conn(&mut self) -> &mut Asked {
        &mut self.session.conn
    }

    /// Everything is carried in, or much is taken away: its statements have all the time that they need.
    pub(super) fn takes_long(&mut self) {
        self.session.conn.wait(LONG_WAIT);
    }

    /// From now on this store leads, if the transaction is committed.
    pub(super) fn lead(&mut self, epoch: i64, lost: watch::Sender<bool>, heard: watch::Sender<Instant>) {
        (self.place.epoch, self.place.lost, self.place.heard) = (Some(epoch), Some(lost), Some(heard));
    }

    /// Commits durably, and leaves the connection for the next.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.commit_as(|| 0).await
    }

    /// The same; where it can't be known whether it happened, `what` is remembered.
    pub(super) async fn commit_as(mut self, what: impl Fn() -> u64) -> Result<(), StoreError> {
        match self.session.conn.execute("COMMIT").await {
            Ok(_) => {
                if let Some(heard) = &self.place.heard {
                    heard.send_replace(Instant::now());
                }
                self.keep();
                Ok(())
            }
            Err(error) => {
                if let Some(batch) = self.batch.take() {
                    self.place.unsure = Some(Unsure { what: what(), ..batch });
                }
                Err(self.link.trouble(error))
            }
        }
    }

    /// Ends a transaction that found its batch committed. A server that is told to wait for a standby may have been cut off while it waited: then
    /// the batch is there, and on the standby it may not be yet. What is committed after it has waited for it too.
    async fn has_reached_the_standby(mut self) -> Result<(), StoreError> {
        let reached = async {
            self.session.conn.execute("ROLLBACK").await?;
            self.session.conn.execute(REACHES).await
        };
        reached.await.map_err(|error| self.link.trouble(error))?;
        self.place.unsure = None;
        self.session.keys = Keys::default();
        self.session.commits = 0;
        self.keep();
        Ok(())
    }

    /// Rolls back something that was refused, and leaves the connection for the next.
    pub(super) async fn abandon(mut self) {
        self.session.keys = Keys::default();
        self.session.commits = 0;
        match self.session.conn.execute("ROLLBACK").await {
            Ok(_) => self.keep(),
            Err(error) => tracing::debug!(%error, "the connection was given up"),
        }
    }

    fn keep(self) {
        let Self { link, mut place, session, .. } = self;
        place.session = session.kept(link);
    }

    /// Is this the batch whose answer was lost, and did it happen? Asked of the next batch only: nobody else writes one between the two, and if
    /// somebody does, who does not lead either, the messages' own keys say it.
    fn was_committed(&mut self, mark_before: Option<&str>, what: &impl Fn() -> u64) -> bool {
        let is_it = |unsure: &mut Unsure| mark_before == Some(unsure.mark.as_str()) && unsure.what == what();
        self.place.unsure = self.place.unsure.take_if(is_it);
        self.place.unsure.is_some()
    }
}
