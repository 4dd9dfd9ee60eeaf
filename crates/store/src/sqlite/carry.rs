//! Everything of the file as lines, as it was at one moment; and lines into an empty file, in one transaction.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use rusqlite::{Connection, params_from_iter, types::Value};
use sqlx::{Row as _, Sqlite as Db, SqliteConnection, Transaction};
use tokio::sync::mpsc;
use vitals::PatientId;

use super::{
    Sqlite,
    chain::Chains,
    commit,
    convert::{nanos, parsed, time},
    history,
    keys::Keys,
    messages,
    writer::Pieces,
};
use crate::{
    Batch, KitSeq, StoreError,
    carry::{
        self, AFTER, BEFORE, Dump, Kind, Load, MESSAGES, PARTS_WAIT_MAX, Parts, QUARANTINE, Stopped, Table, Words,
        line::{self, Cell},
        message::{self, Carried, Mark},
        whose::{self, Owners},
    },
    rows,
};

/// In SQLite's words. The person's messages are walked to by their chain.
pub(super) const WORDS: Words = Words {
    messages: "WITH RECURSIVE m (id, kit, seq, previous) AS (
        SELECT n.id, n.kit, n.seq, n.previous_of_patient FROM patient_key p CROSS JOIN patient_end e ON e.patient = p.key
        CROSS JOIN message n ON n.id = e.id WHERE p.patient = $1
        UNION ALL
        SELECT n.id, n.kit, n.seq, n.previous_of_patient FROM m CROSS JOIN message n ON n.id = m.previous
    ) SELECT m.kit, m.seq FROM m",
    named: "instr(t.bytes, CAST('\"' || $1 || '\"' AS BLOB)) > 0",
    number: "",
    id: ("", ""),
};

/// Messages that are read at a time.
const PAGE_MESSAGES: i64 = 512;

/// All or the person's (`?3`), after one.
const PAGE: &str = "\
SELECT m.id, k.kit, m.seq, m.recorded_at, m.session, m.hash, m.sent_at, p.patient
FROM message m CROSS JOIN kit_key k ON k.key = m.kit LEFT JOIN patient_key p ON p.key = m.patient
WHERE m.id > ?1 AND (?3 IS NULL OR p.patient = ?3) ORDER BY m.id LIMIT ?2";

/// Begins to read everything, or what is of a person.
pub(super) async fn dump(store: &Sqlite, of: Option<&PatientId>) -> Result<Dump, StoreError> {
    let tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    let (to, parts) = mpsc::channel(PARTS_WAIT_MAX);
    let of = of.cloned();
    tokio::spawn(async move {
        let mut parts = Parts::new(to);
        if let Err(Stopped::Failed(error)) = send(tx, of.as_ref(), &mut parts).await {
            parts.fail(error).await;
        }
    });
    Ok(Dump::new(parts))
}

async fn send(mut tx: Transaction<'static, Db>, of: Option<&PatientId>, parts: &mut Parts) -> Result<(), Stopped> {
    for table in BEFORE {
        send_table(&mut tx, table, of, parts).await?;
    }
    parts.begin(MESSAGES);
    send_messages(&mut tx, of, parts).await?;
    parts.end().await?;
    for table in AFTER {
        send_table(&mut tx, table, of, parts).await?;
    }
    Ok(())
}

async fn send_table(
    conn: &mut SqliteConnection,
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
        let mut asked = sqlx::query(sqlx::AssertSqlSafe(sql));
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
    conn: &mut SqliteConnection,
    table: &'static Table,
    of: &PatientId,
    parts: &mut Parts,
) -> Result<(), Stopped> {
    let owners = owners(conn).await?;
    if let Some(sql) = whose::select(table, &WORDS) {
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(of.as_str()).fetch(conn);
        while let Some(row) = rows.try_next().await? {
            if owners.is_of(&row, of)? {
                parts.line(line::line(table, &row)?).await?;
            }
        }
    }
    Ok(parts.end().await?)
}

/// Who has which kit, and who had it.
async fn owners(conn: &mut SqliteConnection) -> Result<Owners, StoreError> {
    let have = sqlx::query(whose::HAVE).fetch_all(&mut *conn).await?;
    let had = sqlx::query(whose::HAD).fetch_all(conn).await?;
    Owners::read(&have, &had)
}

/// What is in quarantine and goes with a person who is erased: the rows' ids.
pub(super) async fn quarantined_of(conn: &mut SqliteConnection, of: &PatientId) -> Result<Vec<i64>, StoreError> {
    let owners = owners(conn).await?;
    let select = carry::table(QUARANTINE).and_then(|table| whose::select(table, &WORDS));
    let Some(sql) = select else { return Ok(Vec::new()) };
    let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(of.as_str()).fetch(conn);
    let mut ids = Vec::new();
    while let Some(row) = rows.try_next().await? {
        ids.extend(owners.goes_with(&row, of)?);
    }
    Ok(ids)
}

async fn send_messages(conn: &mut SqliteConnection, of: Option<&PatientId>, parts: &mut Parts) -> Result<(), Stopped> {
    let mut after = i64::MIN;
    loop {
        let asked = sqlx::query(PAGE).bind(after).bind(PAGE_MESSAGES).bind(of.map(PatientId::as_str));
        let rows = asked.fetch_all(&mut *conn).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get(0)?;
        let whole: Vec<i64> = rows
            .iter()
            .filter(|row| row.try_get::<Option<&str>, _>(7).is_ok_and(|patient| patient.is_some()))
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;
        let mut found = messages::of_ids(conn, &whole).await?.into_iter();
        for row in &rows {
            let id: i64 = row.try_get(0)?;
            let hash = rows::hash(row, 5).map_err(|what| carry::damaged(id, what))?;
            let line = match row.try_get::<Option<&str>, _>(7)? {
                Some(patient) => {
                    let message = found.next().ok_or_else(|| carry::damaged(id, "its rows are gone".to_owned()))?;
                    message::whole(message, parsed("message", id, patient)?, &hash, time(row.try_get(6)?))
                }
                None => {
                    let kit = parsed("message", id, row.try_get(1)?)?;
                    let key = KitSeq { kit, seq: row.try_get::<i64, _>(2)?.cast_unsigned() };
                    message::mark(Mark { key, hash, recorded_at: time(row.try_get(3)?) })
                }
            };
            parts.line(line).await?;
        }
    }
}

/// How many rows each section has.
pub(super) async fn holdings(store: &Sqlite) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let mut tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    counted(&mut tx).await.map_err(|error| store.trouble(error))
}

async fn counted(conn: &mut SqliteConnection) -> Result<Vec<(&'static str, u64)>, sqlx::Error> {
    let mut counts = Vec::new();
    for section in carry::sections() {
        let sql = format!("SELECT count(*) FROM {section}");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *conn).await?;
        counts.push((section, count.unsigned_abs()));
    }
    Ok(counts)
}

/// A transaction into an empty file.
struct Loading(Pieces);

/// Begins to take everything in.
pub(super) async fn load(store: &Sqlite) -> Result<Box<dyn Load + '_>, StoreError> {
    let turn = store.writer.turn().await?;
    carry::must_be_empty(&store.path.display().to_string(), &holdings(store).await?)?;
    Ok(Box::new(Loading(turn.begin()?)))
}

#[async_trait]
impl Load for Loading {
    async fn put(&mut self, section: &str, lines: &[String]) -> Result<(), StoreError> {
        self.0.put(|conn, keys| {
            keys.make_room();
            if section == MESSAGES { put_messages(conn, keys, lines) } else { put_rows(conn, keys, section, lines) }
        })
    }

    async fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit()
    }
}

/// Rows of a section, with the numbers of the people and kits that they name.
fn put_rows(conn: &Connection, keys: &mut Keys, section: &str, lines: &[String]) -> Result<(), history::Stopped> {
    let known = history::Stopped::Known;
    let table = carry::known(section).map_err(known)?;
    let mut insert = conn.prepare(&table.insert())?;
    for (place, line) in lines.iter().enumerate() {
        let cells = line::cells(table, line).map_err(|what| known(carry::bad_line(section, place, what)))?;
        for (cell, (_, kind)) in cells.iter().zip(table.columns) {
            match (cell, kind) {
                (Cell::Text(id), Kind::Patient) => {
                    _ = keys.patient(conn, &carry::id(section, place, id).map_err(known)?)?;
                }
                (Cell::Text(id), Kind::Kit) => _ = keys.kit(conn, &carry::id(section, place, id).map_err(known)?)?,
                _ => {}
            }
        }
        insert.execute(params_from_iter(cells.iter().map(value)))?;
    }
    Ok(())
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null(_) => Value::Null,
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Number(number) => Value::Integer(*number),
        Cell::Flag(flag) => Value::Integer((*flag).into()),
        Cell::Bytes(bytes) => Value::Blob(bytes.clone()),
        Cell::Id(id) => Value::Blob(id.as_bytes().to_vec()),
    }
}

/// In their order, marks among the others.
fn put_messages(conn: &Connection, keys: &mut Keys, lines: &[String]) -> Result<(), history::Stopped> {
    let mut chains = Chains::begin(conn)?;
    let mut batch = Batch::default();
    for (place, line) in lines.iter().enumerate() {
        let bad = |what| history::Stopped::Known(carry::bad_line(MESSAGES, place, what));
        match message::read(line).map_err(bad)? {
            Carried::Whole(entry) => batch.entries.push(*entry),
            Carried::Mark(Mark { key, hash, recorded_at }) => {
                commit::messages(conn, keys, &mut chains, &batch)?;
                batch.entries.clear();
                commit::mark(conn, keys, &mut chains, (&key, &hash, nanos(recorded_at)))?;
            }
        }
    }
    commit::messages(conn, keys, &mut chains, &batch)?;
    Ok(chains.write(conn)?)
}
