//! The published views: what dashboards read, with the names and units that they rely on, found by index; the same on every backend.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test's helpers may panic, and read the clock")]

mod servers;

use jiff::{SignedDuration, Timestamp};
use servers::{Cluster, Timescale};
use sqlx::{ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{
    Batch, Entry, Heard, Journal, JournalEntry, Kit, KitSeq, Patient, Postgres, Roster, Sqlite, Step, Store,
    postgres::Server,
};
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
    fill(&store).await;
    store.close().await;
}

async fn fill(store: &dyn Store) {
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

/// What both layouts show, as text. `ask` asks the database.
fn shows_the_same(ask: &dyn Fn(&str) -> String) {
    let readings =
        "SELECT kit, seq, vital, unit, value, clock, device, flags, recorded_at - measured_at, latest - recorded_at
                    FROM vagt.v_readings WHERE patient = 'p-1'";
    let line = |value: &str| format!("kit-1|42|temperature|Cel|{value}|kit|a-d-ua-651:7|suspect from_storage|2|0");
    assert_eq!(ask(readings), ["36.7", "-0.5", "93", "12"].map(line).join("\n"));
    let recorded = RECORDED.parse::<Timestamp>().unwrap().as_millisecond() as f64 / 1e3;
    assert_eq!(ask("SELECT DISTINCT recorded_at FROM vagt.v_readings"), recorded.to_string());
    let kits = "SELECT kit, patient, online, last_seq FROM vagt.v_kits ORDER BY kit";
    assert_eq!(ask(kits), "kit-1|p-1|t|42\nkit-2|p-1||");
    assert_eq!(ask("SELECT count(*) FROM vagt.v_alerts"), "0");
    let columns = ask(
        "SELECT string_agg(column_name, ' ') FROM information_schema.columns WHERE table_schema = 'vagt' AND table_name LIKE 'v\\_%'",
    );
    assert!(columns.contains("waiting_since") && columns.contains("last_seq") && columns.contains("mean"));
    for secret in ["name", "secret_sha256", "password_hash", "born", "bytes"] {
        assert!(!columns.split(' ').any(|column| column == secret), "{secret} is published");
    }
    let long = "SELECT patient, vital, readings, doubtful, low, high, round(mean::numeric, 3) FROM vagt.v_reading_";
    for view in ["hour", "day"] {
        assert_eq!(ask(&format!("{long}{view}")), "p-1|temperature|4|4|-0.5|93|35.300", "{view}");
    }
    let hour = RECORDED.parse::<Timestamp>().unwrap().as_second() / 3_600 * 3_600;
    assert_eq!(ask("SELECT at FROM vagt.v_reading_hour"), hour.to_string());
}

/// Four days of sittings, a late one, and one that no clock can mean.
async fn days(store: &dyn Store) {
    let recorded_at = |day: i64| RECORDED.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * day);
    let now = Timestamp::now();
    // Kept now: what is measured lies before that.
    let back = now.duration_since(recorded_at(4));
    let sitting = |seq: u64, day: i64, values: &[(Vital, &str, i64)]| Entry {
        key: KitSeq { kit: "kit-1".parse().unwrap(), seq },
        hash: [1; 32],
        patient: "p-1".parse().unwrap(),
        session: uuid::Uuid::nil(),
        sent_at: now,
        recorded_at: recorded_at(day) + back,
        readings: values
            .iter()
            .map(|(vital, value, hours)| {
                reading(*vital, value, recorded_at(day) + back + SignedDuration::from_hours(*hours))
            })
            .collect(),
        answers: Vec::new(),
        receipts: Vec::new(),
    };
    let entries = vec![
        sitting(1, 0, &[(Vital::Spo2, "93", -1), (Vital::Spo2, "90", -2), (Vital::Pulse, "71", -1)]),
        sitting(2, 1, &[(Vital::Spo2, "94.5", -1), (Vital::Weight, "80.5", -1)]),
        sitting(3, 3, &[(Vital::Spo2, "84", -1), (Vital::Spo2, "12.25", -49), (Vital::Spo2, "99", 80)]),
    ];
    store.commit(&Batch { recorded_at: now, entries, ..Batch::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_curves_are_the_same_added_up_or_not_and_without_what_is_invalid() {
    let (folder, cluster, timescale) = (tempfile::tempdir().unwrap(), Cluster::quick(), Timescale::start());
    let file = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
    let native = Postgres::open(&Server::new(&cluster.database("clinic")).unwrap()).await.unwrap();
    let hyper = Postgres::open(&Server::new(&timescale.url()).unwrap()).await.unwrap();
    let stores: [&dyn Store; 3] = [&file, &native, &hyper];
    for store in stores {
        days(store).await;
    }
    native.upkeep().await.unwrap();
    hyper.upkeep().await.unwrap();
    let (patient, vitals) = ("p-1".parse().unwrap(), [Vital::Spo2, Vital::Weight, Vital::Temperature]);
    let since = Timestamp::now() - SignedDuration::from_hours(20 * 24);
    for step in [Step::Hour, Step::Day] {
        let wanted = file.long_curves(&patient, &vitals, since, step).await.unwrap();
        let spo2 = &wanted[0].spans;
        let (count, low) =
            (spo2.iter().map(|span| span.readings).sum::<u64>(), spo2.iter().map(|span| span.low).fold(99.0, f64::min));
        assert_eq!((count, low, wanted[1].spans.len(), wanted[2].spans.len()), (5, 12.25, 1, 0));
        assert!(
            spo2.iter().all(|span| span.doubtful == span.readings && span.low <= span.mean && span.mean <= span.high)
        );
        for store in [&native, &hyper] {
            assert_eq!(store.long_curves(&patient, &vitals, since, step).await.unwrap(), wanted, "{step:?}");
        }
    }
    let odd = JournalEntry {
        at: Timestamp::now(),
        by: Some("karen".to_owned()),
        patient: Some(patient.clone()),
        what: Journal::ReadingInvalidated {
            kit: "kit-1".parse().unwrap(),
            seq: 3,
            place: 1,
            reason: "slipped".to_owned(),
        },
    };
    for store in stores {
        store.append(std::slice::from_ref(&odd)).await.unwrap();
        let curves = store.long_curves(&patient, &vitals, since, Step::Day).await.unwrap();
        assert!(curves[0].spans.iter().all(|span| span.low >= 84.0), "{:?}", curves[0].spans);
    }
}

#[tokio::test]
async fn postgres_shows_the_same_and_adds_up_once() {
    let cluster = Cluster::quick();
    let store = Postgres::open(&Server::new(&cluster.database("clinic")).unwrap()).await.unwrap();
    fill(&store).await;
    for _ in 0..2 {
        store.upkeep().await.unwrap();
        shows_the_same(&|sql| cluster.psql("clinic", sql));
    }
    let plan = cluster.psql(
        "clinic",
        "SET enable_seqscan = off; SET search_path = vagt; EXPLAIN SELECT value FROM v_readings WHERE patient = 'p-1'",
    );
    assert!(
        plan.contains("message_") && plan.contains("_patient_id_idx") && !plan.contains("Seq Scan on message"),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timescale_shows_the_same_compressed_too() {
    let server = Timescale::start();
    let store = Postgres::open(&Server::new(&server.url()).unwrap()).await.unwrap();
    fill(&store).await;
    for _ in 0..2 {
        store.upkeep().await.unwrap();
        shows_the_same(&|sql| server.psql(sql));
    }
    let policies = "SELECT string_agg(proc_name, ' ' ORDER BY proc_name) FROM timescaledb_information.jobs WHERE hypertable_schema IS NOT NULL";
    assert_eq!(
        server.psql(policies),
        "policy_compression policy_compression policy_refresh_continuous_aggregate policy_refresh_continuous_aggregate"
    );
    // Compressed by patient and materialised, it is the same; and what comes late into it is taken.
    for table in ["message", "reading"] {
        let compress = format!("SELECT count(compress_chunk(c)) FROM show_chunks('vagt.{table}') c");
        assert_eq!(server.psql(&compress), "1", "{table}");
    }
    server.psql("CALL refresh_continuous_aggregate('vagt.reading_hour', NULL, NULL)");
    shows_the_same(&|sql| server.psql(sql));
    let patient = "p-1".parse().unwrap();
    assert_eq!(store.messages(&patient, Timestamp::UNIX_EPOCH).await.unwrap()[0].readings.len(), 4);
    let key = KitSeq { kit: "kit-1".parse().unwrap(), seq: 42 };
    assert_eq!(store.seen(&[key]).await.unwrap().len(), 1);
    let late = Entry {
        key: KitSeq { kit: "kit-1".parse().unwrap(), seq: 43 },
        hash: [2; 32],
        patient: patient.clone(),
        session: uuid::Uuid::nil(),
        sent_at: Timestamp::UNIX_EPOCH,
        recorded_at: RECORDED.parse().unwrap(),
        readings: vec![reading(Vital::Temperature, "40", RECORDED.parse().unwrap())],
        answers: Vec::new(),
        receipts: Vec::new(),
    };
    store.commit(&Batch { entries: vec![late], ..Batch::default() }).await.unwrap();
    store.upkeep().await.unwrap();
    assert_eq!(store.stored().await.unwrap().readings, 5);
    assert_eq!(server.psql("SELECT sum(readings) FROM vagt.v_reading_day"), "5");
    server.psql("UPDATE vagt.retention SET months = 12");
    store.upkeep().await.unwrap();
}
