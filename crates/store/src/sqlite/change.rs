//! A change and its journal in one transaction.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row, SqliteConnection};

use super::{Sqlite, convert::to_json, journal, programme, roster, sign_in};
use crate::{AccountChange, AsOf, Change, StoreError};

/// Makes it, whole or not at all, and tells the stamps of its journal.
pub(super) async fn change(store: &Sqlite, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError> {
    let mut write = store.writer.begin().await?;
    if let Some(as_of) = &change.as_of {
        let found = count(write.conn(), as_of).await.map_err(|error| store.trouble(error))?;
        if found != as_of.count {
            return Err(StoreError::Overtaken { found, known: as_of.count });
        }
    }
    if let Some((roster, now)) = change.roster {
        roster::put(store, write.conn(), roster, now).await?;
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
    let stamps = journal::append(write.conn(), change.journal).await.map_err(|error| store.trouble(error))?;
    write.commit().await?;
    Ok(stamps)
}

async fn count(conn: &mut SqliteConnection, as_of: &AsOf<'_>) -> Result<u64, sqlx::Error> {
    let mut sql = QueryBuilder::new("SELECT count(*) FROM journal WHERE entry IN (SELECT value FROM json_each(");
    sql.push_bind(to_json(&as_of.entries)).push("))");
    if let Some(patient) = as_of.patient {
        sql.push(" AND patient = (SELECT key FROM patient_key WHERE patient = ").push_bind(patient.as_str()).push(")");
    }
    let count: i64 = sql.build().fetch_one(conn).await?.try_get(0)?;
    Ok(count.unsigned_abs())
}
