//! A store of every version that there ever was is opened by this program, keeps what it has, and goes on. The dumps in `fixtures` are frozen: a new
//! version adds one of its own.

#![allow(clippy::unwrap_used, reason = "a test's helpers may panic")]

mod servers;

use std::{fs, path::PathBuf};

use jiff::Timestamp;
use servers::{Cluster, Timescale};
use store::{
    Batch, Entry, HistoryFilter, JournalFilter, KitSeq, Postgres, Sqlite, Store, StoreError,
    postgres::{Layout, Server},
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

/// A file as the program of a version left it.
fn file_of(version: u32, folder: &std::path::Path) -> PathBuf {
    let path = folder.join(format!("version-{version}.db"));
    let dump = fs::read_to_string(fixture(&format!("sqlite-{version}.sql"))).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch(&dump).unwrap();
    path
}

fn key(kit: &str, seq: u64) -> KitSeq {
    KitSeq { kit: kit.parse().unwrap(), seq }
}

fn next(kit: &str, seq: u64, patient: &str) -> Batch {
    let at: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
    let entry = Entry {
        key: key(kit, seq),
        hash: [3; 32],
        patient: patient.parse().unwrap(),
        session: uuid::Uuid::nil(),
        sent_at: at,
        recorded_at: at,
        readings: Vec::new(),
        answers: Vec::new(),
        receipts: Vec::new(),
    };
    Batch { recorded_at: at, entries: vec![entry], ..Batch::default() }
}

/// What the versions before the journal kept.
async fn keeps_what_it_has(store: &dyn Store) {
    let roster = store.roster().await.unwrap();
    assert_eq!(
        (roster.patients[0].name.as_str(), roster.patients[0].own.to_string()),
        ("Ane Nielsen", r#"{"spo2":85.5}"#.into())
    );
    assert_eq!(
        (roster.patients[0].programmes[0].as_str(), roster.patients[1].programmes[0].as_str()),
        ("copd", "heart-failure")
    );
    let found = store.messages(&"p-1".parse().unwrap(), Timestamp::MIN).await.unwrap();
    let values: Vec<_> = found.iter().flat_map(|one| &one.readings).map(|one| one.value.to_string()).collect();
    assert_eq!(values, ["93.0", "96", "84"]);
    assert_eq!((found[0].readings[1].flags.len(), found[0].answers[0].answer.as_str()), (1, "noget, ikke værre"));
    let odd = store.messages(&"p-2".parse().unwrap(), Timestamp::MIN).await.unwrap();
    assert_eq!(odd[0].readings[0].value.to_string(), "-0.00000000001");
    let seen = store.seen(&[key("kit-1", 2), key("kit-2", 5), key("kit-2", 9), key("kit-2", 7)]).await.unwrap();
    assert_eq!(seen.iter().map(|(key, hash)| (key.seq, hash[0])).collect::<Vec<_>>(), [(2, 2), (5, 5), (9, 9)]);
    assert_eq!(store.quarantine(9).await.unwrap().0[0].reason, "not JSON");
    let open = store.open_alerts(None).await.unwrap();
    assert_eq!((open.len(), open[0].findings[0].why.as_str()), (1, "SpO2 84 %"));
    assert_eq!(store.alert(open[0].id).await.unwrap().unwrap().1.len(), 1);
    assert_eq!(store.account("ane").await.unwrap().unwrap().role, "nurse");
    assert_eq!(store.last_heard().await.unwrap().len(), 1);
    let mut history = store.history(&HistoryFilter::default()).await.unwrap();
    assert_eq!(history.next().await.unwrap().unwrap().readings.len(), 4);
}

async fn goes_on(store: &dyn Store, kit: &str, seq: u64, patient: &str) {
    let id = patient.parse().unwrap();
    let before = store.messages(&id, Timestamp::MIN).await.unwrap().len();
    store.commit(&next(kit, seq, patient)).await.unwrap();
    assert!(matches!(store.commit(&next(kit, seq, patient)).await, Err(StoreError::Duplicate { .. })));
    assert_eq!(store.messages(&id, Timestamp::MIN).await.unwrap().len(), before + 1);
    // What was migrated can be carried to a new store, and is the same there.
    let folder = tempfile::tempdir().unwrap();
    let other = Sqlite::open(&folder.path().join("other.db")).await.unwrap();
    let mut dump = store.dump(None).await.unwrap();
    let mut load = other.load().await.unwrap();
    while let Some(part) = dump.next().await {
        let part = part.unwrap();
        load.put(part.section, &part.lines).await.unwrap();
    }
    load.finish().await.unwrap();
    assert_eq!(other.holdings().await.unwrap(), store.holdings().await.unwrap());
}

#[tokio::test]
async fn files_of_the_first_versions() {
    let folder = tempfile::tempdir().unwrap();
    for version in [1, 2] {
        let store = Sqlite::open(&file_of(version, folder.path())).await.unwrap();
        keeps_what_it_has(&store).await;
        let kits = store.roster().await.unwrap().kits;
        assert_eq!((kits[0].secret_sha256.as_str(), kits[0].devices.len()), ("5e5e", 1));
        let commands = store.commands_of(&"kit-1".parse().unwrap(), 9).await.unwrap().len();
        assert_eq!((kits[1].is_station(), commands), if version == 1 { (false, 0) } else { (true, 1) });
        goes_on(&store, "kit-1", 3, "p-1").await;
    }
}

/// The same clinic, judged by a program of that version, in both databases.
async fn keeps_a_judged_clinic(store: &dyn Store) {
    let holdings: std::collections::BTreeMap<_, _> = store.holdings().await.unwrap().into_iter().collect();
    for (section, rows) in [("patient", 2), ("kit", 2), ("message", 9), ("alert", 2), ("account", 1)] {
        assert_eq!(holdings[section], rows, "{section}");
    }
    let judged = JournalFilter { entries: Some(&["judged_by"]), ..JournalFilter::default() };
    assert_eq!(store.journal(judged).await.unwrap().len(), 2);
    assert_eq!(store.open_alerts(None).await.unwrap().len(), 2);
    goes_on(store, "kit-1", 1_000, "p-1").await;
}

#[tokio::test]
async fn a_judged_clinic_of_version_3() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&file_of(3, folder.path())).await.unwrap();
    keeps_a_judged_clinic(&store).await;
}

#[tokio::test]
async fn a_judged_clinic_of_each_version_on_a_server() {
    let cluster = Cluster::quick();
    for version in [1, 2] {
        let name = format!("clinic_{version}");
        let url = cluster.database(&name);
        cluster.run(&name, &fixture(&format!("postgres-{version}.sql")));
        keeps_a_judged_clinic(&opened(&url, Layout::Native).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judged_clinic_of_each_version_with_timescaledb() {
    let server = Timescale::start();
    for version in [1, 2] {
        server.psql("DROP SCHEMA IF EXISTS vagt CASCADE");
        server.run(&fixture(&format!("timescale-{version}.sql")));
        let store = opened(&server.url(), Layout::Timescale).await;
        keeps_a_judged_clinic(&store).await;
        store.upkeep().await.unwrap();
        let added = store.stored().await.unwrap().readings.to_string();
        store.close().await;
        assert_eq!(server.psql("SELECT sum(readings)::bigint FROM vagt.v_reading_day"), added, "version {version}");
    }
}

async fn opened(url: &str, layout: Layout) -> Postgres {
    let store = Postgres::open(&Server::new(url).unwrap()).await.unwrap();
    assert_eq!(store.layout(), layout);
    store
}

#[test]
fn every_version_has_its_dump() {
    let versions = |folder: &str, first: char| {
        let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations").to_owned() + folder).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(first)).map(|name| name[..4].parse::<u32>().unwrap()).max().unwrap()
    };
    for version in 1..=versions("/sqlite", '0') {
        assert!(fixture(&format!("sqlite-{version}.sql")).is_file(), "freeze a dump of version {version}");
    }
    // The newest version has its dump when the next is made: until then it is this program's own.
    for version in 1..versions("/postgres", '0').max(2) {
        for layout in ["postgres", "timescale"] {
            let name = format!("{layout}-{version}.sql");
            assert!(fixture(&name).is_file(), "freeze a dump of version {version}: {name}");
        }
    }
}
