//! A connection on which no answer is waited for without end. A server that lost its power, or that is behind a line that was cut, says nothing,
//! not even that it is gone; and the driver would wait for it for ever.
//!
//! Every question and every statement of the store goes through [`Asked`], which knows how long each may take, and whether the last one was
//! answered to its end. A connection on which one was not is closed: it is never used again, nor given back to the others.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Connection as _, Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::time::{Sleep, sleep, timeout};

/// How long a question may take. Long histories are read in short ones.
pub(super) const QUESTION_WAIT: Duration = Duration::from_secs(60);
/// How long one statement of a write may take.
pub(super) const STATEMENT_WAIT: Duration = Duration::from_secs(15);
/// How long one may take where everything is gone through, carried, erased or divided.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(60 * 60);
/// And where tables are made anew.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long it may take to say that nothing is under way any more.
pub(super) const PING_WAIT: Duration = Duration::from_secs(5);

/// Why a connection is there: it is taken away only when this is dropped.
const HELD: &str = "it is held until it is closed";

/// Nothing was answered in time.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer within {} s", .0.as_secs_f64())]
struct Late(Duration);

/// The same as an error of the database.
fn late(wait: Duration) -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, Late(wait)).into()
}

/// Is it that nothing was answered in time?
pub(super) fn is_late(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Late>())
}

/// One's own, or one of the pool's for as long as it is used.
enum Held {
    Own(PgConnection),
    Pooled(PoolConnection<Postgres>),
}

/// A connection that is asked.
pub(super) struct Asked {
    /// Nothing when it is closed.
    held: Option<Held>,
    /// How long an answer, or the next row of it, is waited for.
    wait: Duration,
    /// Was something asked that was not answered to its end?
    unanswered: bool,
    /// Does it read in a transaction that has to end before another reads on it?
    reads_one_state: bool,
}

/// It is handed on as a whole.
pub(super) type Conn = Box<Asked>;

impl Asked {
    /// One's own.
    pub(super) fn own(conn: PgConnection, wait: Duration) -> Conn {
        Self::of(Held::Own(conn), wait)
    }

    /// One of the pool's: it goes back there when this is dropped.
    pub(super) fn pooled(conn: PoolConnection<Postgres>, wait: Duration) -> Conn {
        Self::of(Held::Pooled(conn), wait)
    }

    fn of(held: Held, wait: Duration) -> Conn {
        Box::new(Self { held: Some(held), wait, unanswered: false, reads_one_state: false })
    }

    /// Is it one's own?
    pub(super) fn is_own(&self) -> bool {
        matches!(self.held, Some(Held::Own(_)))
    }

    /// From now on an answer is waited for so long.
    pub(super) fn wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Begins a transaction that reads one and the same state, until this is dropped.
    pub(super) async fn read_one_state(&mut self, begin: &'static str) -> Result<(), sqlx::Error> {
        self.execute(begin).await?;
        self.reads_one_state = true;
        Ok(())
    }

    /// Brings rows by `COPY`.
    pub(super) async fn copy_in(&mut self, statement: &str, rows: Vec<u8>) -> Result<(), sqlx::Error> {
        let (conn, wait, unanswered) = self.asking();
        let copying = async {
            let mut copying = conn.copy_in_raw(statement).await?;
            copying.send(rows).await?;
            copying.finish().await.map(|_| ())
        };
        answered(copying, wait, unanswered).await
    }

    /// Ends one's own connection in order.
    pub(super) async fn close(&mut self) -> Result<(), sqlx::Error> {
        let Some(Held::Own(conn)) = self.held.take() else { return Ok(()) };
        answered(conn.close(), self.wait, &mut self.unanswered).await
    }

    /// Something is asked: unanswered until it is known to be answered.
    fn asking(&mut self) -> (&mut PgConnection, Duration, &mut bool) {
        self.unanswered = true;
        let conn: &mut PgConnection = match self.held.as_mut().expect(HELD) {
            Held::Own(conn) => conn,
            Held::Pooled(conn) => conn,
        };
        (conn, self.wait, &mut self.unanswered)
    }
}

/// What is half read or half asked must not be given back: the pool would wait for the rest of it, and whoever asks next would.
impl Drop for Asked {
    fn drop(&mut self) {
        let Some(Held::Pooled(conn)) = self.held.take() else { return };
        if self.unanswered {
            drop(conn.detach());
        } else if self.reads_one_state {
            tokio::spawn(give_back(conn));
        }
    }
}

/// When it is known that its transaction has ended.
async fn give_back(mut conn: PoolConnection<Postgres>) {
    let ended = timeout(PING_WAIT, conn.execute("ROLLBACK")).await;
    if !matches!(ended, Ok(Ok(_))) {
        drop(conn.detach());
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// What comes of a question: rows, and after each statement how many there were.
type Answer = Result<Either<PgQueryResult, PgRow>, sqlx::Error>;

impl<'c> Executor<'c> for &'c mut Asked {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Answer>
    where
        'c: 'e,
        E: 'q + Execute<'q, Self::Database>,
    {
        let (conn, wait, unanswered) = self.asking();
        Box::pin(Answers { answers: conn.fetch_many(query), wait, late: None, unanswered })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Self::Database>,
    {
        let (conn, wait, unanswered) = self.asking();
        Box::pin(answered(conn.fetch_optional(query), wait, unanswered))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let (conn, wait, unanswered) = self.asking();
        Box::pin(answered(conn.prepare_with(sql, parameters), wait, unanswered))
    }
}

/// An answer as a whole, or an error when it takes too long.
async fn answered<T>(
    asking: impl Future<Output = Result<T, sqlx::Error>>,
    wait: Duration,
    unanswered: &mut bool,
) -> Result<T, sqlx::Error> {
    let answer = timeout(wait, asking).await.unwrap_or_else(|_| Err(late(wait)));
    *unanswered = !matches!(answer, Ok(_) | Err(sqlx::Error::Database(_)));
    answer
}

/// The same for an answer that comes row by row. Whoever takes the rows may take their time: only the database is waited for.
struct Answers<'e> {
    answers: BoxStream<'e, Answer>,
    wait: Duration,
    /// When the next is late, if it was not there at once.
    late: Option<Pin<Box<Sleep>>>,
    unanswered: &'e mut bool,
}

impl Stream for Answers<'_> {
    type Item = Answer;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        let this = self.get_mut();
        if let Poll::Ready(answer) = this.answers.as_mut().poll_next(cx) {
            this.late = None;
            *this.unanswered = !matches!(answer, None | Some(Err(sqlx::Error::Database(_))));
            return Poll::Ready(answer);
        }
        let wait = this.wait;
        let next = this.late.get_or_insert_with(|| Box::pin(sleep(wait)));
        next.as_mut().poll(cx).map(|()| Some(Err(late(wait))))
    }
}

/// Does the other end still answer?
pub(super) async fn answers(conn: &mut PgConnection, wait: Duration) -> bool {
    matches!(timeout(wait, conn.ping()).await, Ok(Ok(())))
}
