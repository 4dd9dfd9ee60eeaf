//! A change and its journal in one transaction.

use jiff::Timestamp;
use sqlx::Row;
use vitals::PatientId;

use super::{Inner, conn::Asked, journal, programme, roster, sign_in, writer::Write};
use crate::{AccountChange, AsOf, Change, StoreError};

/// Makes it, whole or not at all, and tells the stamps of its journal.
pub(super) async fn change(store: &Inner, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError> {
    let mut write = store.writer.begin().await?;
    match make(store, &mut write, change).await {
        Ok(stamps) => {
            write.commit().await?;
            Ok(stamps)
        }
        Err(
            refused @ (StoreError::Overtaken { .. }
            | StoreError::VersionTaken { .. }
            | StoreError::UnknownPatient { .. }),
        ) => {
            write.abandon().await;
            Err(refused)
        }
        Err(error) => Err(error),
    }
}

async fn make(store: &Inner, write: &mut Write<'_>, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError> {
    if let Some(as_of) = &change.as_of {
        let found = count(write.conn(), as_of).await.map_err(|error| store.trouble(error))?;
        if found != as_of.count {
            return Err(StoreError::Overtaken { found, known: as_of.count });
        }
    }
    if let Some((roster, now)) = change.roster {
        roster::put(store, write, roster, now).await?;
    }
    if let Some(version) = change.programme {
        programme::put(store, write.conn(), version).await?;
    }
    match change.account {
        Some(AccountChange::Put(account)) => sign_in::put_account(write.conn(), account).await,
        Some(AccountChange::Remove(user)) => sign_in::remove_account(write.conn(), user).await,
        None => Ok(()),
    }
    .map_err(|error| store.trouble(error))?;
    let (conn, keys) = write.parts();
    journal::append(conn, keys, change.journal).await.map_err(|error| store.trouble(error))
}

async fn count(conn: &mut Asked, as_of: &AsOf<'_>) -> Result<u64, sqlx::Error> {
    let sql = "SELECT count(*) FROM journal WHERE entry = ANY($1)
               AND ($2::text IS NULL OR patient = (SELECT key FROM patient_key WHERE patient = $2))";
    let asked = sqlx::query(sql).bind(as_of.entries).bind(as_of.patient.map(PatientId::as_str));
    let count: i64 = asked.fetch_one(conn).await?.try_get(0)?;
    Ok(count.unsigned_abs())
}
