//! A whole clinic goes from SQLite to PostgreSQL, to TimescaleDB and back, and is the same everywhere, byte for byte; and a person is erased where it
//! is hardest: in chunks that are compressed, and in the files themselves.

#![allow(clippy::unwrap_used, reason = "a test's helpers may panic")]

mod servers;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use servers::{Cluster, Timescale};
use store::{
    Batch, Entry, HistoryFilter, Journal, JournalEntry, KitSeq, Patient, Postgres, Quarantined, Roster, Sqlite, Store,
    postgres::Server,
};
use vitals::{Answer, Clock, PatientId, Reading, Value, Vital};

/// Messages, over eight months.
const MESSAGES: u64 = 1_500;
/// From one to the next.
const STEP_HOURS: u64 = 4;

fn at(hours: u64) -> Timestamp {
    "2024-11-22T08:00:00.120000001Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours.cast_signed())
}

/// Every four hours one of three people measures; some messages come late, some make no sense.
fn entry(number: u64) -> Entry {
    let (kit, patient) = (number % 3 + 1, number % 3 + 1);
    let seq = if number > 200 && number % 50 < 3 { number * 4 - 398 } else { number * 4 + 1 };
    let measured_at = at(number * STEP_HOURS) - SignedDuration::from_mins(3);
    let reading = |vital: Vital, value: Value| Reading {
        vital,
        value,
        unit: vital.unit(),
        measured_at,
        clock: Clock::Kit,
        device: "nonin-3230:501234567".parse().unwrap(),
        flags: Vec::new(),
    };
    let answer = Answer {
        questionnaire: "copd-daily".to_owned(),
        version: 1,
        question: "breathless".to_owned(),
        answer: "ikke værre".to_owned(),
        answered_at: measured_at,
    };
    Entry {
        key: KitSeq { kit: format!("kit-{kit}").parse().unwrap(), seq },
        hash: [number.to_le_bytes()[0]; 32],
        patient: format!("person-{patient}").parse().unwrap(),
        session: uuid::Uuid::from_u128(u128::from(number)),
        sent_at: measured_at,
        recorded_at: at(number * STEP_HOURS),
        readings: vec![
            reading(Vital::Spo2, Value::new(900 + number.cast_signed() % 70, 1)),
            reading(Vital::Pulse, Value::new(60, 0)),
        ],
        answers: if number.is_multiple_of(4) { vec![answer] } else { Vec::new() },
        receipts: Vec::new(),
    }
}

fn batch(number: u64) -> Batch {
    let nonsense = |number: u64| Quarantined {
        kit: "kit-2".parse().unwrap(),
        seq: Some(1_000_000 + number),
        hash: [9; 32],
        bytes: vec![0, 255, number.to_le_bytes()[0]],
        reason: "not JSON".to_owned(),
        whole: true,
    };
    let what = Journal::Ticked { due: at(number * STEP_HOURS) };
    let patient = Some("person-1".parse().unwrap());
    Batch {
        recorded_at: at(number * STEP_HOURS),
        entries: (number..number + 10).map(entry).collect(),
        quarantined: if number.is_multiple_of(40) { vec![nonsense(number)] } else { Vec::new() },
        journal: vec![JournalEntry { at: at(number * STEP_HOURS), by: None, patient, what }],
        ..Batch::default()
    }
}

async fn filled(path: &Path) -> Sqlite {
    let store = Sqlite::open(path).await.unwrap();
    let patients = (1..=3).map(|number| Patient {
        id: format!("person-{number}").parse().unwrap(),
        name: format!("Hemmelig {number}"),
        born: Some(1950),
        programmes: vec!["copd".to_owned()],
        stratum: None,
        own: serde_json::json!({ "note": "Hemmelig" }),
        simulated: true,
        since: None,
    });
    store.put_roster(&Roster { patients: patients.collect(), kits: Vec::new() }, at(0)).await.unwrap();
    for number in (0..MESSAGES).step_by(10) {
        store.commit(&batch(number)).await.unwrap();
    }
    store
}

/// Everything, or what is of a person.
async fn lines(store: &dyn Store, of: Option<&str>) -> Vec<String> {
    let of: Option<PatientId> = of.map(|id| id.parse().unwrap());
    let mut dump = store.dump(of.as_ref()).await.unwrap();
    let mut lines = Vec::new();
    while let Some(part) = dump.next().await {
        let part = part.unwrap();
        lines.extend(part.lines.into_iter().map(|line| format!("{} {line}", part.section)));
    }
    lines
}

async fn carry(from: &dyn Store, to: &dyn Store) {
    let mut dump = from.dump(None).await.unwrap();
    let mut load = to.load().await.unwrap();
    while let Some(part) = dump.next().await {
        let part = part.unwrap();
        load.put(part.section, &part.lines).await.unwrap();
    }
    load.finish().await.unwrap();
}

/// The values of a history between two times, in order.
async fn between(store: &dyn Store, from: u64, until: u64) -> Vec<String> {
    let filter = HistoryFilter { since: at(from), until: at(until), ..HistoryFilter::default() };
    let mut history = store.history(&filter).await.unwrap();
    let mut found = Vec::new();
    while let Some(chunk) = history.next().await {
        let chunk = chunk.unwrap();
        for message in &chunk.messages {
            let values: Vec<_> = chunk.readings_of(message).iter().map(|one| one.value.to_string()).collect();
            found.push(format!("{} {} {values:?}", history.names().patient(message), message.recorded_at));
        }
    }
    found
}

fn same(what: &str, found: &[String], wanted: &[String]) {
    let differs = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
    assert_eq!(differs.map(|at| (&found[at], &wanted[at])), None, "{what}");
    assert_eq!(found.len(), wanted.len(), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clinic_is_the_same_in_every_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = filled(&folder.path().join("first.db")).await;
    let wanted = lines(&first, None).await;
    let part = between(&first, 2_000, 3_000).await;
    assert!(wanted.len() as u64 > MESSAGES && part.len() > 80);

    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let second = Postgres::open(&Server::new(&url).unwrap()).await.unwrap();
    carry(&first, &second).await;
    same("PostgreSQL", &lines(&second, None).await, &wanted);
    same("a part", &between(&second, 2_000, 3_000).await, &part);
    let months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'vagt.message'::regclass";
    assert!(cluster.psql("clinic", months).parse::<u32>().unwrap() > 9, "each month has its part");
    second.upkeep().await.unwrap();
    let added = "SELECT sum(readings)::bigint FROM vagt.reading_day";
    assert_eq!(cluster.psql("clinic", added), (MESSAGES * 2).to_string());

    let server = Timescale::start();
    let third = Postgres::open(&Server::new(&server.url()).unwrap()).await.unwrap();
    carry(&second, &third).await;
    same("TimescaleDB", &lines(&third, None).await, &wanted);
    let fourth = Sqlite::open(&folder.path().join("fourth.db")).await.unwrap();
    carry(&third, &fourth).await;
    same("SQLite", &lines(&fourth, None).await, &wanted);
    same("a part", &between(&fourth, 2_000, 3_000).await, &part);

    // Erased everywhere, what is left is the same everywhere.
    server.psql("SET search_path = vagt, public; SELECT count(compress_chunk(c)) FROM show_chunks('vagt.message') c");
    let gone: PatientId = "person-2".parse().unwrap();
    let stores: [&dyn Store; 3] = [&first, &second, &third];
    for store in stores {
        let erased = store.erase(&gone, &[]).await.unwrap();
        assert_eq!(
            (erased.0["message"], erased.0["reading"], erased.0["patient"]),
            (MESSAGES / 3, MESSAGES / 3 * 2, 1)
        );
        store.scrub().await.unwrap();
        assert!(lines(store, Some("person-2")).await.is_empty());
    }
    let left = lines(&first, None).await;
    assert!(left.iter().all(|line| !line.contains("\"person-2\"") && !line.contains("Hemmelig 2")));
    same("PostgreSQL, erased", &lines(&second, None).await, &left);
    same("TimescaleDB, erased", &lines(&third, None).await, &left);
    same("history", &between(&first, 0, 1_000_000).await, &between(&second, 0, 1_000_000).await);
    let sum = "SELECT coalesce(sum(readings), 0)::bigint FROM vagt.reading_day";
    assert_eq!(cluster.psql("clinic", sum), (MESSAGES / 3 * 4).to_string());
}

#[tokio::test]
async fn nothing_of_an_erased_person_is_in_any_table_or_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(&folder.path().join("vagt.db")).await;
    // The name changed meanwhile: the old one is in a page that is free.
    let mut patient = store.roster().await.unwrap().patients.remove(2);
    patient.name = "Hemmelig Tre".to_owned();
    store.put_roster(&Roster { patients: vec![patient], kits: Vec::new() }, at(1)).await.unwrap();
    let reader = Sqlite::open_read_only(&folder.path().join("vagt.db")).await.unwrap();
    assert!(found(folder.path(), "Hemmelig Tre") && found(folder.path(), "person-3"));
    store.erase(&"person-3".parse().unwrap(), &[]).await.unwrap();
    store.scrub().await.unwrap();
    for word in ["Hemmelig Tre", "Hemmelig 3", "person-3"] {
        assert!(!found(folder.path(), word), "{word} is still in a file");
    }
    assert!(found(folder.path(), "Hemmelig 2"));
    assert_eq!(reader.roster().await.unwrap().patients.len(), 2);
    store.commit(&batch(MESSAGES)).await.unwrap();

    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let server = Postgres::open(&Server::new(&url).unwrap()).await.unwrap();
    let other = Postgres::open(&Server::new(&url).unwrap()).await.unwrap();
    carry(&store, &server).await;
    // One that knows everybody's numbers, as a running service does.
    other.commit(&batch(MESSAGES + 10)).await.unwrap();
    server.erase(&"person-2".parse().unwrap(), &[]).await.unwrap();
    server.scrub().await.unwrap();
    let dump = cluster.dump("clinic");
    assert!(dump.contains("person-1") && !dump.contains("person-2") && !dump.contains("Hemmelig 2"));
    other.commit(&batch(MESSAGES + 20)).await.unwrap();
    assert_eq!(server.messages(&"person-2".parse().unwrap(), Timestamp::MIN).await.unwrap().len(), 3, "known anew");
}

/// Is this text in any file of the folder?
fn found(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}
