//! A person is taken out of the file: in one transaction everything that is of them, then, when asked, what the file still has of it in free pages.
//!
//! The rows of their messages stay, without a person, as the marks that these were seen: what a kit sends again can't come back.

use std::{path::Path, time::Duration};

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use tokio::time::sleep;
use vitals::PatientId;

use super::{
    Sqlite,
    carry::{WORDS, quarantined_of},
    copying, journal, trouble,
};
use crate::{
    JournalEntry, StoreError,
    carry::{AFTER, BEFORE, Erased, MESSAGES, QUARANTINE, Table, without},
    convert::{corrupt, to_json},
};

/// How often, with how much between, the log is tried to be emptied while others read.
const LOG_TRIES: u32 = 30;
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The journal is append only, but for this.
const OPEN_JOURNAL: &str = "DROP TRIGGER journal_is_kept";
const CLOSE_JOURNAL: &str = "CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal BEGIN SELECT raise(ABORT, 'the journal is append only'); END";

/// Where their messages are, while it lasts.
const GATHER: &str = "\
CREATE TEMP TABLE theirs AS
WITH RECURSIVE m (id, previous) AS (
    SELECT n.id, n.previous_of_patient FROM patient_key p CROSS JOIN patient_end e ON e.patient = p.key
    CROSS JOIN message n ON n.id = e.id WHERE p.patient = $1
    UNION ALL
    SELECT n.id, n.previous_of_patient FROM m CROSS JOIN message n ON n.id = m.previous
) SELECT id FROM m";
const READINGS: &str = "\
DELETE FROM reading WHERE id IN (SELECT r.id FROM theirs w CROSS JOIN message m ON m.id = w.id
CROSS JOIN reading r ON r.id >= m.reading_from AND r.id < m.reading_from + m.reading_count)";
const ANSWERS: &str = "\
DELETE FROM answer WHERE id IN (SELECT a.id FROM theirs w CROSS JOIN message m ON m.id = w.id
CROSS JOIN answer a ON a.id >= m.answer_from AND a.id < m.answer_from + m.answer_count)";
const MARKS: &str = "\
UPDATE message SET patient = NULL, previous_of_patient = NULL, session = NULL, sent_at = NULL, latest = recorded_at,
reading_from = 0, reading_count = 0, answer_from = 0, answer_count = 0 WHERE id IN (SELECT id FROM theirs)";

/// Last, and what is counted of it.
const NAMES: [(&str, Option<&str>); 2] =
    [("DELETE FROM patient WHERE id = $1", Some("patient")), ("DELETE FROM patient_key WHERE patient = $1", None)];

/// Takes everything away, and says so in the journal, in one transaction.
pub(super) async fn erase(store: &Sqlite, patient: &PatientId, said: &[JournalEntry]) -> Result<Erased, StoreError> {
    let mut write = store.writer.begin().await?;
    let mut erased = Erased::default();
    let conn = write.conn();
    // First, while the journal says who had which kit.
    let theirs = quarantined_of(conn, patient).await?;
    let erasing = async {
        let gone = sqlx::query("DELETE FROM quarantine WHERE id IN (SELECT value FROM json_each($1))");
        erased.add(QUARANTINE, gone.bind(to_json(&theirs)).execute(&mut *conn).await?.rows_affected());
        sqlx::query(OPEN_JOURNAL).execute(&mut *conn).await?;
        for table in AFTER.iter().rev().filter(|table| table.name != QUARANTINE) {
            erased.add(table.name, delete(conn, table, patient).await?);
        }
        sqlx::query(CLOSE_JOURNAL).execute(&mut *conn).await?;
        messages(conn, patient, &mut erased).await?;
        for table in BEFORE.iter().rev().filter(|table| !matches!(table.name, "kit" | "patient")) {
            erased.add(table.name, delete(conn, table, patient).await?);
        }
        Ok::<_, sqlx::Error>(())
    };
    erasing.await.map_err(|error| store.trouble(error))?;
    kits(store, conn, patient, &mut erased).await?;
    for (sql, section) in NAMES {
        let gone = sqlx::query(sql).bind(patient.as_str()).execute(&mut *conn).await;
        let rows = gone.map_err(|error| store.trouble(error))?.rows_affected();
        section.into_iter().for_each(|section| erased.add(section, rows));
    }
    // Their number and their chain, which are in memory, the next batch forgets: another connection has committed.
    journal::append(conn, said).await.map_err(|error| store.trouble(error))?;
    write.commit().await?;
    Ok(erased)
}

async fn delete(conn: &mut SqliteConnection, table: &Table, patient: &PatientId) -> Result<u64, sqlx::Error> {
    let Some(of_person) = table.of_person(&WORDS) else { return Ok(0) };
    let sql = format!("DELETE FROM {} AS t WHERE {of_person}", table.name);
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(patient.as_str()).execute(conn).await?.rows_affected())
}

async fn messages(conn: &mut SqliteConnection, patient: &PatientId, erased: &mut Erased) -> Result<(), sqlx::Error> {
    sqlx::query(GATHER).bind(patient.as_str()).execute(&mut *conn).await?;
    for (section, sql) in [("reading", READINGS), ("answer", ANSWERS), (MESSAGES, MARKS)] {
        erased.add(section, sqlx::query(sql).execute(&mut *conn).await?.rows_affected());
    }
    sqlx::query("DROP TABLE theirs").execute(&mut *conn).await?;
    let end = "DELETE FROM patient_end WHERE patient = (SELECT key FROM patient_key WHERE patient = $1)";
    sqlx::query(end).bind(patient.as_str()).execute(conn).await.map(|_| ())
}

/// A kit of theirs alone is no longer in the roster; one that they share goes on without them.
async fn kits(
    store: &Sqlite,
    conn: &mut SqliteConnection,
    patient: &PatientId,
    erased: &mut Erased,
) -> Result<(), StoreError> {
    let sql = "SELECT t.id, t.patients FROM kit t WHERE t.patient IS NULL AND replace(t.patients, '\"' || $1 || '\"', '') <> t.patients";
    let mut emptied: Vec<String> = Vec::new();
    let shared = sqlx::query(sql).bind(patient.as_str()).fetch_all(&mut *conn).await;
    for row in shared.map_err(|error| store.trouble(error))? {
        let (id, patients): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let others = without(patients, patient.as_str());
        let others = others.map_err(|error| corrupt("kit", id, error.to_string()))?;
        if others.is_empty() {
            emptied.push(id.to_owned());
            continue;
        }
        let sql = "UPDATE kit SET patients = $1 WHERE id = $2";
        let update = sqlx::query(sql).bind(to_json(&others)).bind(id).execute(&mut *conn).await;
        update.map_err(|error| store.trouble(error))?;
    }
    let gone = "DELETE FROM kit WHERE patient = $1 OR id IN (SELECT value FROM json_each($2))";
    let codes = "DELETE FROM enrolment WHERE kit IN (SELECT value FROM json_each($2)) AND $1 = $1";
    for (sql, section) in [(codes, "enrolment"), (gone, "kit")] {
        let gone = sqlx::query(sql).bind(patient.as_str()).bind(to_json(&emptied)).execute(&mut *conn).await;
        erased.add(section, gone.map_err(|error| store.trouble(error))?.rows_affected());
    }
    Ok(())
}

/// Writes the file anew, so that no free page of it has anything of what was erased, and empties the log.
pub(super) async fn scrub(store: &Sqlite) -> Result<(), StoreError> {
    use sqlx::ConnectOptions as _;
    let pause = store.writer.pause().await;
    let scrubbed = async {
        // A connection of its own: what it sorts goes to the disk, not into memory.
        let mut conn = copying(&store.path).connect().await?;
        for sql in ["PRAGMA busy_timeout = 10000", "VACUUM", "PRAGMA busy_timeout = 1000"] {
            sqlx::query(sql).execute(&mut conn).await?;
        }
        let mut tries = LOG_TRIES;
        while is_busy(&mut conn).await? && tries > 0 {
            tries -= 1;
            sleep(LOG_PAUSE).await;
        }
        conn.close().await?;
        Ok::<bool, sqlx::Error>(tries > 0)
    };
    let emptied = scrubbed.await.map_err(|error| store.trouble(error))?;
    drop(pause);
    if emptied { Ok(()) } else { Err(log_is_read(&store.path)) }
}

async fn is_busy(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(conn).await?.try_get(0)
}

fn log_is_read(path: &Path) -> StoreError {
    let what = "erased, but the log beside the file (-wal) still has it, since another program reads it: end that (a backup?) and start the service anew, which empties it";
    trouble::said(path, what, "the log is read")
}
