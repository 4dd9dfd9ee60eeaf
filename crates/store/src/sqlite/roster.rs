//! Who is watched, with which kit, and what was last heard of it.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use vitals::PatientId;

use super::{
    Sqlite,
    convert::{nanos, to_json},
    journal,
};
use crate::{Heard, Kit, Patient, Roster, StoreError, carry::whose, rows};

/// Adds or replaces patients and kits, all or none.
pub(super) async fn put(
    store: &Sqlite,
    conn: &mut SqliteConnection,
    roster: &Roster,
    now: Timestamp,
) -> Result<(), StoreError> {
    for patient in &roster.patients {
        put_patient(conn, patient, now).await.map_err(|error| store.trouble(error))?;
    }
    for kit in &roster.kits {
        for patient in kit.people() {
            let known = sqlx::query("SELECT 1 FROM patient WHERE id = ?1").bind(patient.as_str());
            if known.fetch_optional(&mut *conn).await.map_err(|error| store.trouble(error))?.is_none() {
                return Err(StoreError::UnknownPatient { kit: kit.id.clone(), patient: patient.clone() });
            }
        }
        let before = sqlx::query(whose::HAS).bind(kit.id.as_str()).fetch_optional(&mut *conn).await;
        let before = before.map_err(|error| store.trouble(error))?;
        let left = before.and_then(|row| whose::left(&row, kit, now).transpose()).transpose()?;
        put_kit(conn, kit, now).await.map_err(|error| store.trouble(error))?;
        journal::append(conn, left.as_slice()).await.map_err(|error| store.trouble(error))?;
    }
    Ok(())
}

/// A `since` that is not given stays as it was, or begins now.
async fn put_patient(conn: &mut SqliteConnection, patient: &Patient, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO patient (id, name, born, programmes, own, simulated, since, stratum)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, coalesce(?7, ?8), ?9)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, born = excluded.born, own = excluded.own,
               programmes = excluded.programmes, stratum = excluded.stratum, simulated = excluded.simulated, since = coalesce(?7, since)";
    sqlx::query(sql)
        .bind(patient.id.as_str())
        .bind(patient.name.as_str())
        .bind(patient.born)
        .bind(to_json(&patient.programmes))
        .bind(to_json(&patient.own))
        .bind(patient.simulated)
        .bind(patient.since.map(nanos))
        .bind(nanos(now))
        .bind(patient.stratum.as_deref())
        .execute(conn)
        .await
        .map(|_| ())
}

/// A kit that is given to others begins anew, unless the roster says since when. One that becomes revoked
/// loses the code that it could have enrolled with.
async fn put_kit(conn: &mut SqliteConnection, kit: &Kit, now: Timestamp) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO kit (id, patient, secret_sha256, since, devices, revoked, patients)
               VALUES (?1, ?2, ?3, coalesce(?4, ?5), ?6, ?7, ?8)
               ON CONFLICT (id) DO UPDATE SET patient = excluded.patient, patients = excluded.patients,
               secret_sha256 = iif(excluded.secret_sha256 = '', secret_sha256, excluded.secret_sha256),
               devices = excluded.devices, revoked = excluded.revoked,
               since = coalesce(?4, iif(patient IS excluded.patient AND patients = excluded.patients, since, ?5))";
    if kit.revoked {
        let taken_back =
            "DELETE FROM enrolment WHERE kit = ?1 AND EXISTS (SELECT 1 FROM kit WHERE id = ?1 AND NOT revoked)";
        sqlx::query(taken_back).bind(kit.id.as_str()).execute(&mut *conn).await?;
    }
    sqlx::query(sql)
        .bind(kit.id.as_str())
        .bind(kit.patient.as_ref().map(PatientId::as_str))
        .bind(kit.secret_sha256.as_str())
        .bind(kit.since.map(nanos))
        .bind(nanos(now))
        .bind(to_json(&kit.devices))
        .bind(kit.revoked)
        .bind(to_json(&kit.patients))
        .execute(conn)
        .await
        .map(|_| ())
}

/// All patients and kits, by id.
pub(super) async fn get(store: &Sqlite) -> Result<Roster, StoreError> {
    let mut tx = store.readers.begin().await.map_err(|error| store.trouble(error))?;
    let patients = "SELECT id, name, born, programmes, own, simulated, since, stratum FROM patient ORDER BY id";
    let kits = "SELECT id, patient, secret_sha256, since, devices, revoked, patients FROM kit ORDER BY id";
    let patients = sqlx::query(patients).fetch_all(&mut *tx).await?;
    let kits = sqlx::query(kits).fetch_all(&mut *tx).await?;
    Ok(Roster {
        patients: patients.iter().map(rows::patient).collect::<Result<_, _>>()?,
        kits: kits.iter().map(rows::kit).collect::<Result<_, _>>()?,
    })
}

/// Keeps the last that was heard of each kit; what is older than that changes nothing.
pub(super) async fn put_heard(store: &Sqlite, heard: &[Heard]) -> Result<(), StoreError> {
    if heard.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO heard (kit, at, online, status) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kit) DO UPDATE
               SET at = excluded.at, online = excluded.online, status = excluded.status WHERE excluded.at >= at";
    let mut write = store.writer.begin().await?;
    for one in heard {
        sqlx::query(sql)
            .bind(one.kit.as_str())
            .bind(nanos(one.at))
            .bind(one.online)
            .bind(to_json(&one.status))
            .execute(write.conn())
            .await
            .map_err(|error| store.trouble(error))?;
    }
    write.commit().await
}

/// The last that was heard of every kit, by kit.
pub(super) async fn last_heard(store: &Sqlite) -> Result<Vec<Heard>, StoreError> {
    let rows = sqlx::query("SELECT kit, at, online, status FROM heard ORDER BY kit").fetch_all(&store.readers).await;
    rows.map_err(|error| store.trouble(error))?.iter().map(rows::heard).collect()
}
