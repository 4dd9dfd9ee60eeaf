//! The published views: what dashboards read, with the names and units that they rely on, found by index.

#![allow(clippy::unwrap_used, reason = "a test's helpers may panic")]

use jiff::{SignedDuration, Timestamp};
use sqlx::{ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{Batch, Entry, Heard, Kit, KitSeq, Patient, Roster, Sqlite, Store};
use vitals::{Clock, Flag, Reading, Vital};

const RECORDED: &str = "2026-11-22T08:00:07.5Z";

fn reading(vital: Vital, value: &str, measured_at: Timestamp) -> Reading {
    Reading {
        vital,
        value: value.parse().unwrap(),
        unit: vital.unit(),
        measured_at,
        clock: Clock::Kit,
        device: "a-d-ua-651:7".parse().unwrap(),
        flags: vec![Flag::SUSPECT, Flag::FROM_STORAGE],
    }
}

async fn filled(path: &std::path::Path) {
    let store = Sqlite::open(path).await.unwrap();
    let recorded_at: Timestamp = RECORDED.parse().unwrap();
    let values = ["36.70", "-0.5", "93", "12.00000000000000000000"];
    let measured_at = recorded_at - SignedDuration::from_secs(2);
    let entry = Entry {
        key: KitSeq { kit: "kit-1".parse().unwrap(), seq: 42 },
        hash: [1; 32],
        patient: "p-1".parse().unwrap(),
        session: uuid::Uuid::nil(),
        sent_at: recorded_at,
        recorded_at,
        readings: values.map(|value| reading(Vital::Temperature, value, measured_at)).to_vec(),
        answers: Vec::new(),
        receipts: Vec::new(),
    };
    store.commit(&Batch { recorded_at, entries: vec![entry], ..Batch::default() }).await.unwrap();
    let patient: Patient = serde_json::from_str(r#"{"id":"p-1","name":"Ane Ørum","programme":"copd"}"#).unwrap();
    let kit: Kit = serde_json::from_str(r#"{"id":"kit-1","patient":"p-1","secret_sha256":"5e"}"#).unwrap();
    let roster =
        Roster { patients: vec![patient], kits: vec![kit.clone(), Kit { id: "kit-2".parse().unwrap(), ..kit }] };
    store.put_roster(&roster, recorded_at).await.unwrap();
    let status = serde_json::json!({});
    store.heard(&[Heard { kit: "kit-1".parse().unwrap(), at: recorded_at, online: true, status }]).await.unwrap();
    store.close().await;
}

async fn plan(conn: &mut SqliteConnection, sql: &'static str) -> String {
    let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(3)).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn dashboards_find_readings_and_kits_and_never_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vagt.db");
    filled(&path).await;
    let mut conn = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await.unwrap();

    let rows = sqlx::query("SELECT * FROM v_readings WHERE patient = 'p-1'").fetch_all(&mut conn).await.unwrap();
    let values: Vec<f64> = rows.iter().map(|row| row.get("value")).collect();
    assert_eq!(values, [36.7, -0.5, 93.0, 12.0]);
    let first = &rows[0];
    let texts = ["kit", "vital", "unit", "clock", "device", "flags"].map(|column| first.get::<String, _>(column));
    assert_eq!(texts, ["kit-1", "temperature", "Cel", "kit", "a-d-ua-651:7", "suspect from_storage"]);
    let seconds = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond() as f64 / 1e3;
    assert_eq!(first.get::<f64, _>("recorded_at"), seconds(RECORDED));
    assert_eq!(first.get::<f64, _>("measured_at"), seconds(RECORDED) - 2.0);
    assert_eq!(first.get::<i64, _>("seq"), 42);

    let sql = "SELECT kit, patient, online, last_seq FROM v_kits ORDER BY kit";
    let kits = sqlx::query(sql).fetch_all(&mut conn).await.unwrap();
    let kits: Vec<(String, Option<bool>, Option<i64>)> =
        kits.iter().map(|row| (row.get("kit"), row.get("online"), row.get("last_seq"))).collect();
    assert_eq!(kits, [("kit-1".to_owned(), Some(true), Some(42)), ("kit-2".to_owned(), None, None)]);

    let columns = "SELECT group_concat(c.name, ' ') FROM sqlite_schema s, pragma_table_info(s.name) c
                   WHERE s.type = 'view' AND s.name LIKE 'v\\_%' ESCAPE '\\'";
    let columns: String = sqlx::query(columns).fetch_one(&mut conn).await.unwrap().get(0);
    assert!(columns.contains("waiting_since") && columns.contains("last_seq") && columns.contains("measured_at"));
    for secret in ["name", "secret_sha256", "password_hash", "born", "bytes"] {
        assert!(!columns.split(' ').any(|column| column == secret), "{secret} is published");
    }
}

#[tokio::test]
async fn a_patients_readings_are_searched_and_never_scanned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vagt.db");
    filled(&path).await;
    let mut conn = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await.unwrap();
    let plan = plan(&mut conn, "EXPLAIN QUERY PLAN SELECT value FROM v_readings WHERE patient = 'p-1'").await;
    assert!(plan.contains("SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"), "{plan}");
    assert!(plan.contains("SEARCH b USING INTEGER PRIMARY KEY (rowid=?)"), "{plan}");
    assert!(plan.contains("SEARCH r USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{plan}");
    let scanned: std::collections::BTreeSet<_> = plan.split("; ").filter(|step| step.starts_with("SCAN")).collect();
    assert!(
        scanned.iter().all(|step| ["SCAN chain", "SCAN link", "SCAN CONSTANT"].iter().any(|own| step.starts_with(own))),
        "{plan}"
    );
}
