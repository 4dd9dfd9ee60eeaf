//! The schema's versions: each migration takes a file one version on, in one transaction. The version is `PRAGMA user_version`.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::trouble;
use crate::StoreError;

/// Every migration, in order: the first takes an empty file to version 1. Published ones are never edited.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_begin.sql"),
    include_str!("../../migrations/sqlite/0002_kits_and_commands.sql"),
    include_str!("../../migrations/sqlite/0003_journal_and_versions.sql"),
];

/// "VAGT": tells our files from other programs' SQLite databases.
const APPLICATION_ID: i64 = 0x5641_4754;

/// The newest version that this program knows.
pub(super) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).expect("there are fewer than four billion migrations")
}

/// Brings a file up to [`known`].
pub(super) async fn up(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found = check(conn, path).await?;
    for version in found..known() {
        step(conn, version).await.map_err(|error| trouble::of(path, error))?;
        tracing::info!(from = version, to = version + 1, "migrated the store");
    }
    Ok(())
}

/// The file's version, if it is ours and not newer than this program.
pub(super) async fn check(conn: &mut SqliteConnection, path: &Path) -> Result<u32, StoreError> {
    let read = async |conn: &mut SqliteConnection| -> Result<(i64, i64, i64), sqlx::Error> {
        let version = sqlx::query("PRAGMA user_version").fetch_one(&mut *conn).await?.try_get(0)?;
        let application = sqlx::query("PRAGMA application_id").fetch_one(&mut *conn).await?.try_get(0)?;
        let tables = sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *conn).await?.try_get(0)?;
        Ok((version, application, tables))
    };
    let (version, application, tables) = read(conn).await.map_err(|error| trouble::of(path, error))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(trouble::not_ours(path));
    }
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    if found > known() {
        return Err(StoreError::NewerSchema { path: path.display().to_string(), found, known: known() });
    }
    Ok(found)
}

/// One version on. The version is read again inside the transaction: another program may have been first.
async fn step(conn: &mut SqliteConnection, version: u32) -> Result<(), sqlx::Error> {
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut *tx).await?.try_get(0)?;
    if found == i64::from(version) {
        sqlx::raw_sql(MIGRATIONS[version as usize]).execute(&mut *tx).await?;
        let mark = format!("PRAGMA user_version = {}; PRAGMA application_id = {APPLICATION_ID}", version + 1);
        sqlx::raw_sql(AssertSqlSafe(mark)).execute(&mut *tx).await?;
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

    use super::*;
    use crate::{Sqlite, Store};

    /// A file as the program of this version left it.
    async fn file_of(version: u32, path: &Path) {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        for before in 0..version {
            step(&mut conn, before).await.unwrap();
        }
        conn.close().await.unwrap();
    }

    #[tokio::test]
    async fn every_version_opens_and_becomes_the_newest() {
        for version in 0..=known() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("vagt.db");
            file_of(version, &path).await;
            let store = Sqlite::open(&path).await.unwrap();
            store.ping().await.unwrap();
            assert_eq!(store.stored().await.unwrap().schema, known(), "from version {version}");
            store.close().await;
        }
    }

    #[tokio::test]
    async fn kits_of_version_1_keep_their_patient_and_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vagt.db");
        file_of(1, &path).await;
        let mut conn = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let before = "INSERT INTO patient VALUES ('p-1', 'Ane', 1948, 'copd', 'null', 1, 7);
                      INSERT INTO kit VALUES ('kit-1', 'p-1', '5e5e', 8, '[\"nonin-3230:1\"]', 1);";
        sqlx::raw_sql(before).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let kit = Sqlite::open(&path).await.unwrap().roster().await.unwrap().kits.remove(0);
        assert_eq!((kit.patient.unwrap().as_str(), kit.secret_sha256.as_str(), kit.revoked), ("p-1", "5e5e", true));
        assert_eq!((kit.patients.len(), kit.devices.len(), kit.since.unwrap().as_nanosecond()), (0, 1, 8));
    }

    /// Two messages of a patient, as version 1 and 2 kept them.
    const MESSAGES: &str = "
        INSERT INTO kit_key VALUES (1, 'kit-1');
        INSERT INTO patient_key VALUES (1, 'p-1');
        INSERT INTO channel VALUES (1, 'nonin-3230:1', 'spo2', '%', 'device', '');
        INSERT INTO reading VALUES (1, 1, 93, 0, 5), (2, 1, 940, 1, 6);
        INSERT INTO message VALUES (1, 1, 1, NULL, zeroblob(32), 1, NULL, zeroblob(16), 5, 7, 7, 1, 1, 1, 0),
                                   (5000, 1, 2, 1, zeroblob(32), 1, 1, zeroblob(16), 6, 9, 9, 2, 1, 1, 0);
        INSERT INTO kit_end VALUES (1, 5000, 2, 2);
        INSERT INTO patient_end VALUES (1, 5000, 9);";

    #[tokio::test]
    async fn what_versions_1_and_2_kept_is_there_and_goes_on() {
        for version in [1, 2] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("vagt.db");
            file_of(version, &path).await;
            let mut conn = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
            let patient = "INSERT INTO patient VALUES ('p-1', 'Ane', 1948, 'copd', '{\"spo2\":85.5}', 1, 7)";
            sqlx::raw_sql(patient).execute(&mut conn).await.unwrap();
            sqlx::raw_sql(MESSAGES).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();

            let store = Sqlite::open(&path).await.unwrap();
            let patient = store.roster().await.unwrap().patients.remove(0);
            assert_eq!((patient.programmes, patient.stratum), (vec!["copd".to_owned()], None));
            let next = crate::conformance::sample::plain("kit-1", 3, "p-1");
            store.commit(&crate::conformance::sample::batch(0, vec![next])).await.unwrap();
            let seqs: Vec<u64> = store
                .messages(&"p-1".parse().unwrap(), jiff::Timestamp::MIN)
                .await
                .unwrap()
                .iter()
                .map(|message| message.key.seq)
                .collect();
            assert_eq!(seqs, [1, 2, 3], "from version {version}");
            let time = |nanos: i128| jiff::Timestamp::from_nanosecond(nanos).unwrap();
            let old = crate::HistoryFilter { since: time(8), until: time(10), ..crate::HistoryFilter::default() };
            let mut history = store.history(&old).await.unwrap();
            let mut found = Vec::new();
            while let Some(chunk) = history.next().await {
                let chunk = chunk.unwrap();
                found.extend(
                    chunk.messages.iter().map(|message| (message.seq, chunk.readings_of(message)[0].value.to_string())),
                );
            }
            assert_eq!(found, [(2, "94.0".to_owned())], "from version {version}");
            assert_eq!(store.last_stamp().await.unwrap().unwrap(), crate::conformance::sample::at(0));
            store.close().await;
        }
    }

    #[tokio::test]
    async fn journal_and_versions_refuse_to_be_edited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vagt.db");
        file_of(known(), &path).await;
        let mut conn = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let before = "INSERT INTO journal (at, entry, body) VALUES (1, 'kit_back', '{}');
                      INSERT INTO programme_version VALUES ('copd', 1, 't', 's', 'ane', 1, 'n')";
        sqlx::raw_sql(before).execute(&mut conn).await.unwrap();
        for edit in [
            "UPDATE journal SET at = 2",
            "DELETE FROM journal",
            "UPDATE programme_version SET text = 'u'",
            "DELETE FROM programme_version",
        ] {
            assert!(sqlx::query(edit).execute(&mut conn).await.is_err(), "{edit}");
        }
    }

    #[tokio::test]
    async fn a_newer_version_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vagt.db");
        file_of(known(), &path).await;
        let options = SqliteConnectOptions::new().filename(&path);
        let mut conn = options.connect().await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 77").execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();

        let error = Sqlite::open(&path).await.err().unwrap().to_string();
        let wanted = format!("schema version 77 is newer than {}, the newest this program knows", known());
        assert!(error.contains(&wanted), "{error}");
        assert!(Sqlite::open_read_only(&path).await.is_err());
        let mut conn = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let version: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut conn).await.unwrap().get(0);
        assert_eq!(version, 77);
    }
}
