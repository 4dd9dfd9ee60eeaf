//! Everything of the database as lines, as it was at one moment; and lines into an empty database, in one transaction.
//!
//! What is carried here was kept when it was recorded, as far as that can be: so it lies in the months that it belongs to, and is let go with them.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::tz::TimeZone;
use sqlx::{AssertSqlSafe, Executor as _, Postgres as Db, Row as _, postgres::PgArguments, query::Query};
use tokio::sync::mpsc;
use vitals::{KitId, PatientId};

use super::{
    Inner, commit,
    conn::{Asked, Conn},
    message::plain,
    messages,
    migrate::Layout,
    writer::Write,
};
use crate::{
    KitSeq, StoreError,
    carry::{
        self, AFTER, BEFORE, Dump, Kind, Load, MESSAGES, PARTS_WAIT_MAX, Parts, QUARANTINE, Stopped, Table, Words,
        line::{self, Cell},
        message::{self, Carried, Mark},
        whose::{self, Owners},
    },
    convert::{nanos, parsed, time},
    rows,
};

/// In PostgreSQL's words.
pub(super) const WORDS: Words = Words {
    messages: "SELECT m.kit, m.seq FROM message m JOIN patient_key p ON p.key = m.patient WHERE p.patient = $1",
    named: "position(convert_to('\"' || $1 || '\"', 'UTF8') IN t.bytes) > 0",
    number: "::bigint",
    id: ("uuid_send(", ")"),
};

/// Messages that are read at a time.
const PAGE_MESSAGES: i64 = 512;

/// In a transaction that waits for whoever takes the lines, or brings them: they may take their time.
const AT_LEISURE: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

/// Begins to read everything, or what is of a person.
pub(super) async fn dump(store: &Arc<Inner>, of: Option<&PatientId>) -> Result<Dump, StoreError> {
    let mut tx = store.long_snapshot().await?;
    tx.execute(AT_LEISURE).await.map_err(|error| store.trouble(error))?;
    let (to, parts) = mpsc::channel(PARTS_WAIT_MAX);
    let (of, store) = (of.cloned(), Arc::clone(store));
    tokio::spawn(async move {
        let mut parts = Parts::new(to);
        if let Err(Stopped::Failed(error)) = send(&store, tx, of.as_ref(), &mut parts).await {
            parts.fail(error).await;
        }
    });
    Ok(Dump::new(parts))
}

async fn send(store: &Inner, mut tx: Conn, of: Option<&PatientId>, parts: &mut Parts) -> Result<(), Stopped> {
    for table in BEFORE {
        send_table(&mut tx, table, of, parts).await?;
    }
    parts.begin(MESSAGES);
    send_messages(store, &mut tx, of, parts).await?;
    parts.end().await?;
    for table in AFTER {
        send_table(&mut tx, table, of, parts).await?;
    }
    Ok(())
}

async fn send_table(
    conn: &mut Asked,
    table: &'static Table,
    of: Option<&PatientId>,
    parts: &mut Parts,
) -> Result<(), Stopped> {
    parts.begin(table.name);
    if let Some(of) = of
        && table.name == QUARANTINE
    {
        return send_quarantine(conn, table, of, parts).await;
    }
    if let Some(sql) = table.select(&WORDS, of.is_some()) {
        let mut asked = sqlx::query(AssertSqlSafe(sql));
        if let Some(of) = of {
            asked = asked.bind(of.as_str());
        }
        let mut rows = asked.fetch(conn);
        while let Some(row) = rows.try_next().await? {
            parts.line(line::line(table, &row)?).await?;
        }
    }
    Ok(parts.end().await?)
}

async fn send_quarantine(
    conn: &mut Asked,
    table: &'static Table,
    of: &PatientId,
    parts: &mut Parts,
) -> Result<(), Stopped> {
    let owners = owners(conn).await?;
    if let Some(sql) = whose::select(table, &WORDS) {
        let mut rows = sqlx::query(AssertSqlSafe(sql)).bind(of.as_str()).fetch(conn);
        while let Some(row) = rows.try_next().await? {
            if owners.is_of(&row, of)? {
                parts.line(line::line(table, &row)?).await?;
            }
        }
    }
    Ok(parts.end().await?)
}

/// Who has which kit, and who had it.
async fn owners(conn: &mut Asked) -> Result<Owners, StoreError> {
    let have = sqlx::query(whose::HAVE).fetch_all(&mut *conn).await?;
    let had = sqlx::query(whose::HAD).fetch_all(conn).await?;
    Owners::read(&have, &had)
}

/// What is in quarantine and goes with a person who is erased: the rows' ids.
pub(super) async fn quarantined_of(conn: &mut Asked, of: &PatientId) -> Result<Vec<i64>, StoreError> {
    let owners = owners(conn).await?;
    let select = carry::table(QUARANTINE).and_then(|table| whose::select(table, &WORDS));
    let Some(sql) = select else { return Ok(Vec::new()) };
    let mut rows = sqlx::query(AssertSqlSafe(sql)).bind(of.as_str()).fetch(conn);
    let mut ids = Vec::new();
    while let Some(row) = rows.try_next().await? {
        ids.extend(owners.goes_with(&row, of)?);
    }
    Ok(ids)
}

async fn send_messages(
    store: &Inner,
    conn: &mut Asked,
    of: Option<&PatientId>,
    parts: &mut Parts,
) -> Result<(), Stopped> {
    let filter =
        if of.is_some() { "m.patient = (SELECT key FROM patient_key WHERE patient = $3)" } else { "$3::text IS NULL" };
    let sql = format!(
        "SELECT {}, m.hash, m.sent_at, p.patient FROM message m JOIN kit_key k ON k.key = m.kit
         LEFT JOIN patient_key p ON p.key = m.patient WHERE m.id > $1 AND {filter} ORDER BY m.id LIMIT $2",
        messages::COLUMNS
    );
    let mut after = i64::MIN;
    loop {
        let asked = sqlx::query(AssertSqlSafe(sql.as_str())).bind(after).bind(PAGE_MESSAGES);
        let rows = asked.bind(of.map(PatientId::as_str)).fetch_all(&mut *conn).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get(0)?;
        for row in &rows {
            let id: i64 = row.try_get(0)?;
            let hash = rows::hash(row, 8).map_err(|what| carry::damaged(id, what))?;
            let line = match row.try_get::<Option<&str>, _>(10)? {
                Some(patient) => {
                    let message = messages::stored(store, conn, std::slice::from_ref(row)).await?.pop();
                    let message = message.ok_or_else(|| carry::damaged(id, "its row is gone".to_owned()))?;
                    message::whole(message, parsed("message", id, patient)?, &hash, time(row.try_get(9)?))
                }
                None => {
                    let key = KitSeq {
                        kit: parsed("message", id, row.try_get(1)?)?,
                        seq: row.try_get::<i64, _>(2)?.cast_unsigned(),
                    };
                    message::mark(Mark { key, hash, recorded_at: time(row.try_get(3)?) })
                }
            };
            parts.line(line).await?;
        }
    }
}

/// How many rows each section has.
pub(super) async fn holdings(store: &Inner) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let mut tx = store.long_snapshot().await?;
    counted(&mut tx).await.map_err(|error| store.trouble(error))
}

async fn counted(conn: &mut Asked) -> Result<Vec<(&'static str, u64)>, sqlx::Error> {
    let mut counts = Vec::new();
    for section in carry::sections() {
        let sql = format!("SELECT count(*) FROM {section}");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *conn).await?;
        counts.push((section, count.unsigned_abs()));
    }
    Ok(counts)
}

/// A transaction into an empty database.
struct Loading<'a> {
    store: &'a Inner,
    write: Write<'a>,
    /// When the last message was kept, in microseconds: it never goes back.
    kept_at: i64,
    /// Nothing was kept later than this.
    now: i64,
    /// Months that are there.
    months: BTreeSet<jiff::civil::Date>,
}

/// Begins to take everything in.
pub(super) async fn load(store: &Inner) -> Result<Box<dyn Load + '_>, StoreError> {
    let mut write = store.writer.begin().await?;
    write.takes_long();
    write.conn().execute(AT_LEISURE).await.map_err(|error| store.trouble(error))?;
    let counts = counted(write.conn()).await.map_err(|error| store.trouble(error))?;
    carry::must_be_empty(&store.link.name, &counts)?;
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let now = sqlx::query_scalar(now).fetch_one(write.conn()).await.map_err(|error| store.trouble(error))?;
    Ok(Box::new(Loading { store, write, kept_at: 0, now, months: BTreeSet::new() }))
}

#[async_trait]
impl Load for Loading<'_> {
    async fn put(&mut self, section: &str, lines: &[String]) -> Result<(), StoreError> {
        self.write.parts().1.make_room();
        if section == MESSAGES {
            return self.put_messages(lines).await;
        }
        let table = carry::known(section)?;
        let rows = lines
            .iter()
            .enumerate()
            .map(|(place, line)| line::cells(table, line).map_err(|what| carry::bad_line(section, place, what)));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        self.learn(table, &rows).await?;
        let sql = table.insert();
        for cells in &rows {
            let insert = cells.iter().zip(table.columns).fold(sqlx::query(AssertSqlSafe(sql.as_str())), bind);
            insert.execute(self.write.conn()).await.map_err(|error| self.store.trouble(error))?;
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.write.commit().await
    }
}

impl Loading<'_> {
    /// Everybody who is named has a number afterwards.
    async fn learn(&mut self, table: &Table, rows: &[Vec<Cell>]) -> Result<(), StoreError> {
        let named = |wanted| {
            let of_row = move |cells: &'_ Vec<Cell>| -> Vec<String> {
                let texts = cells.iter().zip(table.columns).filter(|(_, (_, kind))| *kind == wanted);
                texts.filter_map(|(cell, _)| if let Cell::Text(id) = cell { Some(id.clone()) } else { None }).collect()
            };
            rows.iter().flat_map(of_row).collect::<BTreeSet<String>>()
        };
        let patients = named(Kind::Patient)
            .iter()
            .map(|id| carry::id(table.name, 0, id))
            .collect::<Result<Vec<PatientId>, _>>()?;
        let kits = named(Kind::Kit).iter().map(|id| carry::id(table.name, 0, id)).collect::<Result<Vec<KitId>, _>>()?;
        let (conn, keys) = self.write.parts();
        let learnt = async {
            keys.learn_patients(&mut *conn, patients.iter()).await?;
            keys.learn_kits(&mut *conn, kits.iter()).await
        };
        learnt.await.map_err(|error| self.store.trouble(error))
    }

    /// In their order; those of one day together.
    async fn put_messages(&mut self, lines: &[String]) -> Result<(), StoreError> {
        let mut together: Vec<Carried> = Vec::new();
        for (place, line) in lines.iter().enumerate() {
            let carried = message::read(line).map_err(|what| carry::bad_line(MESSAGES, place, what))?;
            let kept_at = (nanos(carried.recorded_at()) / 1_000).min(self.now).max(self.kept_at);
            if day(kept_at) != day(self.kept_at) {
                self.keep(std::mem::take(&mut together)).await?;
            }
            self.kept_at = kept_at;
            together.push(carried);
        }
        self.keep(together).await
    }

    async fn keep(&mut self, together: Vec<Carried>) -> Result<(), StoreError> {
        if together.is_empty() {
            return Ok(());
        }
        let store = self.store;
        let month = day(self.kept_at).first_of_month();
        if store.layout == Layout::Native && self.months.insert(month) {
            let sql = "SELECT make_month($1::text::date)";
            let made = sqlx::query(sql).bind(month.to_string()).execute(self.write.conn()).await;
            made.map_err(|error| store.trouble(error))?;
        }
        commit::carried(store, &mut self.write, self.kept_at, together).await
    }
}

fn day(kept_at: i64) -> jiff::civil::Date {
    TimeZone::UTC.to_datetime(time(kept_at.saturating_mul(1_000))).date()
}

fn bind<'q>(
    query: Query<'q, Db, PgArguments>,
    (cell, (_, kind)): (&'q Cell, &(&str, Kind)),
) -> Query<'q, Db, PgArguments> {
    match (cell, kind) {
        (Cell::Null(Kind::Number | Kind::Time), _) => query.bind(None::<i64>),
        (Cell::Null(Kind::Flag), _) => query.bind(None::<bool>),
        (Cell::Null(Kind::Bytes), _) => query.bind(None::<Vec<u8>>),
        (Cell::Null(Kind::Id | Kind::Alert), _) => query.bind(None::<uuid::Uuid>),
        (Cell::Null(_), _) => query.bind(None::<&str>),
        (Cell::Text(text), _) => query.bind(plain(text)),
        (Cell::Number(number), _) => query.bind(number),
        (Cell::Flag(flag), _) => query.bind(flag),
        (Cell::Bytes(bytes), _) => query.bind(bytes.as_slice()),
        (Cell::Id(id), _) => query.bind(id),
    }
}
