//! A person is taken out of the database: in one transaction everything that is of them. The rows of their messages stay, without a person, as the
//! marks that these were seen: what a kit sends again can't come back.

use sqlx::{AssertSqlSafe, Executor as _, Row};
use vitals::PatientId;

use super::{
    Inner, aggregates,
    carry::{WORDS, quarantined_of},
    conn::{Asked, LONGEST_WAIT},
    journal,
    migrate::Layout,
    upkeep,
};
use crate::{
    JournalEntry, StoreError,
    carry::{AFTER, BEFORE, Erased, MESSAGES, QUARANTINE, Table, without},
    convert::{corrupt, to_json},
};

/// The journal is append only, but for this.
const OPEN_JOURNAL: &str = "ALTER TABLE journal DISABLE TRIGGER journal_stays";
const CLOSE_JOURNAL: &str = "ALTER TABLE journal ENABLE TRIGGER journal_stays";

/// Chunks that are compressed are taken apart, as far as it needs.
const TAKE_APART: &str = "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0";
/// Other programs forget the numbers that they know.
const FORGET: &str = "UPDATE book SET commits = commits + 1";

/// Takes everything away, and says so in the journal, in one transaction.
pub(super) async fn erase(store: &Inner, patient: &PatientId, said: &[JournalEntry]) -> Result<Erased, StoreError> {
    let mut write = store.writer.begin().await?;
    write.takes_long();
    let mut erased = Erased::default();
    let (conn, keys) = write.parts();
    // First, while the journal says who had which kit.
    let theirs = quarantined_of(conn, patient).await?;
    let erasing = async {
        // Nothing of theirs is being added up meanwhile.
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(upkeep::LOCK).execute(&mut *conn).await?;
        let gone = sqlx::query("DELETE FROM quarantine WHERE id = ANY($1)").bind(&theirs);
        erased.add(QUARANTINE, gone.execute(&mut *conn).await?.rows_affected());
        conn.execute(OPEN_JOURNAL).await?;
        for table in AFTER.iter().rev().filter(|table| table.name != QUARANTINE) {
            erased.add(table.name, delete(conn, table, patient).await?);
        }
        conn.execute(CLOSE_JOURNAL).await?;
        messages(conn, store.layout, patient, &mut erased).await?;
        for table in BEFORE.iter().rev().filter(|table| !matches!(table.name, "kit" | "patient")) {
            erased.add(table.name, delete(conn, table, patient).await?);
        }
        Ok::<_, sqlx::Error>(())
    };
    erasing.await.map_err(|error| store.trouble(error))?;
    kits(store, conn, patient, &mut erased).await?;
    let names = async {
        let gone = sqlx::query("DELETE FROM patient WHERE id = $1").bind(patient.as_str()).execute(&mut *conn).await?;
        erased.add("patient", gone.rows_affected());
        sqlx::query("DELETE FROM patient_key WHERE patient = $1").bind(patient.as_str()).execute(&mut *conn).await?;
        conn.execute(FORGET).await?;
        *keys = super::keys::Keys::default();
        journal::append(conn, keys, said).await
    };
    names.await.map_err(|error| store.trouble(error))?;
    write.commit().await?;
    Ok(erased)
}

async fn delete(conn: &mut Asked, table: &Table, patient: &PatientId) -> Result<u64, sqlx::Error> {
    let Some(of_person) = table.of_person(&WORDS) else { return Ok(0) };
    let sql = format!("DELETE FROM {} AS t WHERE {of_person}", table.name);
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(patient.as_str()).execute(conn).await?.rows_affected())
}

async fn messages(
    conn: &mut Asked,
    layout: Layout,
    patient: &PatientId,
    erased: &mut Erased,
) -> Result<(), sqlx::Error> {
    let key = sqlx::query_scalar("SELECT key FROM patient_key WHERE patient = $1").bind(patient.as_str());
    let Some(key): Option<i32> = key.fetch_optional(&mut *conn).await? else { return Ok(()) };
    if layout == Layout::Timescale {
        conn.execute(TAKE_APART).await?;
    }
    let counts = format!(
        "SELECT coalesce(sum(cardinality(readings) / 3), 0)::bigint, coalesce(sum(json_array_length(answers::json)), 0)::bigint
         FROM message WHERE patient = {key}"
    );
    let counts = conn.fetch_one(AssertSqlSafe(counts)).await?;
    for (section, at) in [("reading", 0), ("answer", 1)] {
        erased.add(section, counts.try_get::<i64, _>(at)?.unsigned_abs());
    }
    // The number is written out: so the database knows which segments it need not take apart.
    let marks = format!(
        "UPDATE message SET patient = NULL, session = NULL, sent_at = NULL, readings = NULL, odd = NULL, answers = NULL,
         newest = recorded_at WHERE patient = {key}"
    );
    erased.add(MESSAGES, conn.execute(AssertSqlSafe(marks)).await?.rows_affected());
    let derived: &[&str] = match layout {
        Layout::Native => &["reading_hour", "reading_day"],
        Layout::Timescale => &["reading"],
    };
    for table in derived {
        conn.execute(AssertSqlSafe(format!("DELETE FROM {table} WHERE patient = {key}"))).await?;
    }
    match layout {
        Layout::Native => Ok(()),
        Layout::Timescale => aggregates::forget(conn, key).await,
    }
}

/// A kit of theirs alone is no longer in the roster; one that they share goes on without them.
async fn kits(store: &Inner, conn: &mut Asked, patient: &PatientId, erased: &mut Erased) -> Result<(), StoreError> {
    let sql = "SELECT t.id, t.patients FROM kit t WHERE t.patient IS NULL AND replace(t.patients, '\"' || $1 || '\"', '') <> t.patients";
    let mut emptied: Vec<String> = Vec::new();
    let shared = sqlx::query(sql).bind(patient.as_str()).fetch_all(&mut *conn).await;
    for row in shared.map_err(|error| store.trouble(error))? {
        let (id, patients): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let others = without(patients, patient.as_str()).map_err(|error| corrupt("kit", id, error.to_string()))?;
        if others.is_empty() {
            emptied.push(id.to_owned());
            continue;
        }
        let sql = "UPDATE kit SET patients = $1 WHERE id = $2";
        let update = sqlx::query(sql).bind(to_json(&others)).bind(id).execute(&mut *conn).await;
        update.map_err(|error| store.trouble(error))?;
    }
    let gone = "DELETE FROM kit WHERE patient = $1 OR id = ANY($2)";
    let codes = "DELETE FROM enrolment WHERE kit = ANY($2) AND $1::text IS NOT NULL";
    for (sql, section) in [(codes, "enrolment"), (gone, "kit")] {
        let gone = sqlx::query(sql).bind(patient.as_str()).bind(&emptied).execute(&mut *conn).await;
        erased.add(section, gone.map_err(|error| store.trouble(error))?.rows_affected());
    }
    Ok(())
}

/// What is dead in the tables is let go. Aggregates are made again: one that was being made while the person was taken out may have them in it.
pub(super) async fn scrub(store: &Inner) -> Result<(), StoreError> {
    let mut conn = store.link.writing().await?;
    conn.wait(LONGEST_WAIT);
    let tables = ["message", "quarantine", "assessment", "alert", "alert_event", "journal", "shadow_alert", "command"];
    for table in tables.iter().chain(&["receipt", "patient", "kit", "patient_key"]) {
        let sql = format!("VACUUM {table}");
        conn.execute(AssertSqlSafe(sql)).await.map_err(|error| store.trouble(error))?;
    }
    if store.layout == Layout::Timescale {
        aggregates::refresh(&mut conn).await.map_err(|error| store.trouble(error))?;
    }
    Ok(())
}
