//! What only a server can do to its client: die, forget, refuse, be taken over. Each test has a private PostgreSQL 15.

#![allow(clippy::unwrap_used, reason = "a test's helpers may panic")]

#[path = "../servers/mod.rs"]
mod servers;
mod unanswered;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use servers::{Cluster, Timescale};
use sqlx::{Connection as _, Executor as _, PgConnection};
use store::{
    Batch, Entry, KitSeq, Postgres, Store, StoreError,
    postgres::{Layout, Server, report},
};
use tokio::time::{Instant, sleep};
use vitals::{Answer, Clock, Flag, Reading, Value, Vital};

/// How long anything that must happen may take. Generous: a test machine is busy.
const SOON: Duration = Duration::from_secs(60);

fn server(url: &str) -> Server {
    Server::new(url).unwrap()
}

fn at(second: i64) -> Timestamp {
    "2026-11-22T08:00:00.120Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn reading(vital: Vital, value: Value, measured_at: Timestamp) -> Reading {
    Reading {
        vital,
        value,
        unit: vital.unit(),
        measured_at,
        clock: Clock::Device,
        device: "nonin-3230:501234567".parse().unwrap(),
        flags: Vec::new(),
    }
}

fn message(kit: &str, seq: u64, readings: Vec<Reading>) -> Entry {
    Entry {
        key: KitSeq { kit: kit.parse().unwrap(), seq },
        hash: [seq.to_le_bytes()[0]; 32],
        patient: "p-1".parse().unwrap(),
        session: uuid::Uuid::from_u128(u128::from(seq)),
        sent_at: at(0),
        recorded_at: at(seq.cast_signed()),
        readings,
        answers: Vec::new(),
        receipts: Vec::new(),
    }
}

fn one(kit: &str, seq: u64) -> Batch {
    let second = seq.cast_signed();
    let entries = vec![message(kit, seq, vec![reading(Vital::Spo2, Value::new(93, 0), at(second))])];
    Batch { recorded_at: at(second), entries, ..Batch::default() }
}

async fn refusal(url: &str) -> String {
    Postgres::open(&server(url)).await.err().expect("this can't be opened").to_string()
}

#[tokio::test]
async fn what_is_wrong_is_said_in_a_sentence() {
    let mut cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let nowhere = url.replace("/clinic", "/elsewhere");
    let said = refusal(&nowhere).await;
    assert!(said.contains("/elsewhere: there is no such database: make it with `createdb"), "{said}");

    let locked = cluster.locked("nurse", "correct horse", "ward");
    let wrong = locked.replace("nurse@", "nurse:wrong@");
    let said = refusal(&wrong).await;
    assert!(said.contains("wrong password for this user") && !said.contains(":wrong"), "{said}");
    let file = cluster.folder().join("password-of-nurse");
    std::fs::write(&file, "correct horse\n").unwrap();
    let with_file = server(&locked).with_password_file(Some(file.clone()));
    Postgres::open(&with_file).await.unwrap().close().await;
    std::fs::remove_file(&file).unwrap();
    let said = Postgres::open(&with_file).await.err().unwrap().to_string();
    assert!(said.contains("password-of-nurse: the database's password can't be read from here"), "{said}");

    cluster.psql("postgres", "CREATE DATABASE photos");
    cluster.psql("photos", "CREATE SCHEMA vagt; CREATE TABLE vagt.photo (id INT)");
    let said = refusal(&cluster.url("photos")).await;
    assert!(said.contains("/photos: its schema `vagt` holds another program's tables"), "{said}");

    let said = Postgres::open_read_only(&server(&url)).await.err().unwrap().to_string();
    assert!(said.contains("schema version 0, want 2: start vagt once to migrate it"), "{said}");
    Postgres::open(&server(&url)).await.unwrap().close().await;
    let reader = Postgres::open_read_only(&server(&url)).await.unwrap();
    assert!(matches!(reader.commit(&one("kit-1", 1)).await, Err(StoreError::ReadOnly)));
    assert!(matches!(reader.take_lead("reader", None).await, Err(StoreError::ReadOnly)));
    reader.close().await;
    cluster.psql("clinic", "UPDATE vagt.vagt_schema SET version = 99");
    let said = refusal(&url).await;
    assert!(said.contains("schema version 99 is newer than 2"), "{said}");

    cluster.kill_9();
    let said = refusal(&url).await;
    assert!(said.contains("the server can't be reached") && said.contains("is it running"), "{said}");
}

#[tokio::test]
async fn a_report_says_what_the_server_is() {
    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let before = report(&server(&url)).await.unwrap();
    assert!(before.schema.is_none() && before.can_write && before.timescale.is_none());
    Postgres::open(&server(&url)).await.unwrap().close().await;
    cluster.psql("clinic", "UPDATE vagt.retention SET months = 120");
    cluster.psql("clinic", "ALTER ROLE vagt SET synchronous_commit = off");
    let said = report(&server(&url)).await.unwrap();
    assert_eq!((said.schema, said.months), (Some((said.known, Layout::Native)), Some(120)));
    assert!(said.version.starts_with("15.") && !said.fsync, "{said:?}");
    assert_eq!(said.synchronous_commit, "on", "it is put right for this program's own connections");
    assert!(said.can_write, "{said:?}");
    cluster.psql("clinic", "ALTER DATABASE clinic SET default_transaction_read_only = on");
    assert!(!report(&server(&url)).await.unwrap().can_write, "a database that was told to be read-only");
}

#[tokio::test]
async fn one_service_leads_and_a_paused_one_writes_nothing_more() {
    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let (first, second) = (Postgres::open(&server(&url)).await.unwrap(), Postgres::open(&server(&url)).await.unwrap());
    let mut lead = first.take_lead("hub-1", None).await.unwrap();
    assert_eq!(lead.epoch, 1);
    first.commit(&one("kit-1", 1)).await.unwrap();
    let refused = second.take_lead("hub-2", None).await.unwrap_err().to_string();
    assert!(refused.contains("another service leads this database: hub-1, heard of 0 s ago"), "{refused}");
    assert!(matches!(second.commit(&one("kit-1", 2)).await, Err(StoreError::Led { .. })));
    let refused = second.take_lead("hub-2", Some(Duration::from_secs(3600))).await;
    assert!(matches!(refused, Err(StoreError::Led { .. })), "it was not silent for an hour");
    second.ping().await.unwrap();

    // Taken over: what the first still sends is refused, and it hears of it.
    let taken = second.take_lead("hub-2", Some(Duration::ZERO)).await.unwrap();
    assert_eq!(taken.epoch, 2);
    second.commit(&one("kit-1", 2)).await.unwrap();
    let refused = first.commit(&one("kit-1", 3)).await.unwrap_err();
    assert!(matches!(refused, StoreError::LeadLost { own: 1, epoch: 2 }), "{refused}");
    assert!(matches!(first.ping().await, Err(StoreError::LeadLost { .. })));
    tokio::time::timeout(SOON, lead.lost()).await.unwrap();
    assert_eq!(second.stored().await.unwrap().messages, 2);

    // One that ends lets the next in.
    second.close().await;
    let third = Postgres::open(&server(&url)).await.unwrap();
    let deadline = Instant::now() + SOON;
    while let Err(error) = third.take_lead("hub-3", None).await {
        assert!(matches!(error, StoreError::Led { .. }) && Instant::now() < deadline, "{error}");
        sleep(Duration::from_millis(50)).await;
    }
    third.commit(&one("kit-1", 3)).await.unwrap();
}

#[tokio::test]
async fn a_lead_outlasts_a_lost_connection() {
    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let store = Postgres::open(&server(&url)).await.unwrap();
    let other = Postgres::open(&server(&url)).await.unwrap();
    let _lead = store.take_lead("hub-1", None).await.unwrap();
    for seq in 1..=3 {
        store.commit(&one("kit-1", seq)).await.unwrap();
        cluster
            .psql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vagt'");
    }
    store.commit(&one("kit-1", 4)).await.unwrap();
    assert!(matches!(other.take_lead("hub-2", None).await, Err(StoreError::Led { .. })), "the lock was taken again");
    assert_eq!(store.stored().await.unwrap().messages, 4);
}

#[tokio::test]
async fn a_leader_knows_when_it_was_last_heard() {
    let mut cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let store = Postgres::open(&server(&url)).await.unwrap();
    let lead = store.take_lead("hub-1", None).await.unwrap();
    let mut heard = lead.heard().unwrap();
    heard.borrow_and_update();
    tokio::time::timeout(SOON, heard.changed()).await.expect("it gives signs of life").unwrap();

    cluster.kill_9();
    sleep(Duration::from_millis(200)).await;
    let last = *heard.borrow_and_update();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(*heard.borrow(), last);
    cluster.go_on();
    tokio::time::timeout(SOON, heard.changed()).await.expect("it goes on").unwrap();
}

/// Commits one message after the other, as often as each takes, and counts what was acknowledged.
async fn commits(store: Arc<Postgres>, kit: String, acknowledged: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let mut seq = 1;
    while !stop.load(Ordering::Relaxed) {
        match store.commit(&one(&kit, seq)).await {
            Ok(()) | Err(StoreError::Duplicate { .. }) => {
                acknowledged.store(seq, Ordering::Relaxed);
                seq += 1;
            }
            Err(StoreError::Unusable { .. } | StoreError::Database(_)) => sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{kit}, {seq}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_lose_nothing_that_was_acknowledged_and_are_found_again() {
    let mut cluster = Cluster::start();
    let url = cluster.database("clinic");
    let store = Arc::new(Postgres::open(&server(&url)).await.unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<_> = (0..4).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let tasks: Vec<_> = counts
        .iter()
        .enumerate()
        .map(|(n, count)| tokio::spawn(commits(store.clone(), format!("kit-{n}"), count.clone(), stop.clone())))
        .collect();
    for round in 0..10 {
        let before: u64 = counts.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let deadline = Instant::now() + SOON;
        while counts.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>() < before + 20 {
            assert!(Instant::now() < deadline, "round {round}: nothing is stored any more");
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(7 * round)).await;
        if round % 2 == 0 {
            cluster.kill_9();
            cluster.go_on();
        } else {
            cluster.kill_9_a_backend();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    for (n, count) in counts.iter().enumerate() {
        let acknowledged = count.load(Ordering::Relaxed);
        let keys: Vec<_> =
            (1..=acknowledged + 1).map(|seq| KitSeq { kit: format!("kit-{n}").parse().unwrap(), seq }).collect();
        let seen = store.seen(&keys).await.unwrap();
        assert!(seen.len() as u64 >= acknowledged, "kit-{n}: {} of {acknowledged} are there", seen.len());
    }
    let twice = cluster
        .psql("clinic", "SELECT count(*) FROM (SELECT kit, seq FROM vagt.message GROUP BY 1, 2 HAVING count(*) > 1) t");
    assert_eq!(twice, "0", "no message is there twice");
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (any::<i64>(), 0_u32..=9).prop_map(|(mantissa, scale)| Value::new(mantissa, scale)),
        (any::<i32>(), 10_u32..=20).prop_map(|(mantissa, scale)| Value::new(i64::from(mantissa), scale)),
        Just("-0.00".parse().unwrap()),
        Just("12345678901234567890123".parse().unwrap()),
    ]
}

fn any_entry(seq: u64) -> impl Strategy<Value = Entry> {
    let vital = prop::sample::select(vitals::VITALS.iter().map(|info| info.vital).collect::<Vec<_>>());
    let flags = prop::collection::vec(prop::sample::select(vec![Flag::SUSPECT, Flag::FROM_STORAGE]), 0..2);
    let clock = prop::sample::select(vec![Clock::Device, Clock::Corrected, Clock::Kit]);
    let one = (vital, any_value(), any::<i64>(), flags, clock).prop_map(|(vital, value, nanos, flags, clock)| {
        let measured_at = Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
        Reading { flags, clock, ..reading(vital, value, measured_at) }
    });
    let answer = (".{0,40}", any::<u32>()).prop_map(|(answer, version)| Answer {
        questionnaire: "copd-daily".to_owned(),
        version,
        question: "breathless".to_owned(),
        answer,
        answered_at: at(1),
    });
    (prop::collection::vec(one, 0..40), prop::collection::vec(answer, 0..3), any::<[u8; 32]>(), any::<u128>()).prop_map(
        move |(readings, answers, hash, session)| Entry {
            answers,
            hash,
            session: uuid::Uuid::from_u128(session),
            ..message("kit-1", seq, readings)
        },
    )
}

/// What `COPY` brought is what was given, to the last digit.
#[test]
fn what_was_copied_is_read_back_as_it_was() {
    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(Postgres::open(&server(&url))).unwrap();
    let next = std::cell::Cell::new(1);
    let batches = prop::collection::vec(any_entry(0), 0..12);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let tried = runner.run(&batches, |mut entries| {
        for entry in &mut entries {
            entry.key.seq = next.replace(next.get() + 1);
        }
        // Every other batch has many more messages, which go by `COPY`.
        let many = entries.first().is_some_and(|entry| entry.key.seq % 2 == 0);
        let others =
            (0..if many { 520 } else { 0 }).map(|seq| message(&format!("kit-of-{}", next.get()), seq + 1, Vec::new()));
        let tried = entries.clone();
        let batch =
            Batch { recorded_at: at(0), entries: entries.into_iter().chain(others).collect(), ..Batch::default() };
        runtime.block_on(store.commit(&batch)).unwrap();
        for entry in &tried {
            let (patient, found) = runtime.block_on(store.message(&entry.key)).unwrap().unwrap();
            prop_assert_eq!(&patient, &entry.patient);
            prop_assert_eq!(&found.readings, &entry.readings);
            prop_assert_eq!(&found.answers, &entry.answers);
            prop_assert_eq!(found.session, entry.session);
            let seen = runtime.block_on(store.seen(std::slice::from_ref(&entry.key))).unwrap();
            prop_assert_eq!(&seen, &[(entry.key.clone(), entry.hash)]);
        }
        Ok(())
    });
    tried.unwrap();
    runtime.block_on(store.close());
}

/// How many parts the messages are in.
fn partitions(cluster: &Cluster) -> String {
    cluster.psql("clinic", "SELECT count(*) FROM pg_inherits WHERE inhparent = 'vagt.message'::regclass")
}

#[tokio::test]
async fn months_are_made_ahead_filled_from_the_rest_and_let_go() {
    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let store = Postgres::open(&server(&url)).await.unwrap();
    store.commit(&one("kit-1", 1)).await.unwrap();
    // A message of long ago, for which there was no month, and one of two years ago.
    cluster.psql(
        "clinic",
        "INSERT INTO vagt.message (id, kept_at, kit, seq, recorded_at, newest, hash) VALUES
        (-2, now() - interval '10 years', 1, -2, 0, 0, ''), (-1, now() - interval '2 years', 1, -1, 0, 0, '')",
    );
    let rest = || cluster.psql("clinic", "SELECT count(*) FROM ONLY vagt.message_rest");
    assert_eq!(rest(), "2");
    let months = "SELECT vagt.make_month(date_trunc('month', now() - interval '2 years')::date),
        vagt.make_month(date_trunc('month', now() - interval '2 years')::date)";
    assert_eq!(cluster.psql("clinic", months), "t|f");
    assert_eq!(rest(), "1");
    cluster.psql("clinic", "DROP TABLE vagt.message_2027_01");
    store.upkeep().await.unwrap();
    let count = || partitions(&cluster);
    assert_eq!(count(), "5", "three months from now on, one of two years ago, and the rest");
    cluster.psql("clinic", "UPDATE vagt.retention SET months = 12");
    store.upkeep().await.unwrap();
    assert_eq!(count(), "4");
    assert_eq!(store.stored().await.unwrap().messages, 1);
    // What the kit sends on is stored, and what was sent before is known.
    store.commit(&one("kit-1", 2)).await.unwrap();
    assert!(matches!(store.commit(&one("kit-1", 1)).await, Err(StoreError::Duplicate { .. })));
}

/// A backup reads for hours. Whoever waited to drop a month would stand before everybody who comes to the table after it.
#[tokio::test]
async fn upkeep_does_not_wait_behind_a_backup() {
    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let store = Postgres::open(&server(&url)).await.unwrap();
    store.commit(&one("kit-1", 1)).await.unwrap();
    cluster.psql("clinic", "SELECT vagt.make_month(date_trunc('month', now() - interval '2 years')::date)");
    cluster.psql("clinic", "UPDATE vagt.retention SET months = 12");
    let count = || partitions(&cluster);
    let before = count();
    let mut backup = PgConnection::connect(&url).await.unwrap();
    backup.execute("BEGIN; LOCK TABLE vagt.message IN ACCESS SHARE MODE").await.unwrap();
    let began = Instant::now();
    store.upkeep().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(count(), before);
    assert_eq!(cluster.psql("clinic", "SELECT up_to FROM vagt.unfolded"), "1", "what can be done is done");

    backup.execute("ROLLBACK").await.unwrap();
    store.upkeep().await.unwrap();
    assert_ne!(count(), before);
}

/// `vagt export - | vagt import -`: the first line takes as long as the other side needs for it.
#[tokio::test]
async fn whoever_brings_everything_may_take_their_time() {
    let cluster = Cluster::quick();
    let store = Postgres::open(&server(&cluster.database("clinic"))).await.unwrap();
    let load = store.load().await.unwrap();
    // Longer than any other transaction may do nothing.
    sleep(Duration::from_secs(11)).await;
    load.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregates_outlast_what_they_were_made_of() {
    let timescale = Timescale::start();
    let store = Postgres::open(&server(&timescale.url())).await.unwrap();
    let of = |patient: &str, seq| Entry { patient: patient.parse().unwrap(), ..message("kit-1", seq, Vec::new()) };
    let entries = vec![of("p-1", 1), of("p-2", 2)];
    store.commit(&Batch { recorded_at: at(2), entries, ..Batch::default() }).await.unwrap();
    timescale.psql(
        "INSERT INTO vagt.reading (measured_at, patient, vital, value, doubtful)
         SELECT now() - interval '3 years', key, 'spo2', 93, 0 FROM vagt.patient_key",
    );
    for aggregate in ["reading_hour", "reading_day"] {
        timescale.psql(&format!("CALL refresh_continuous_aggregate('vagt.{aggregate}', NULL, NULL)"));
    }
    let old = |view: &str| {
        let sql = format!("SELECT string_agg(patient, ' ' ORDER BY patient) FROM vagt.{view}");
        timescale.psql(&sql)
    };
    assert_eq!((old("v_reading_hour").as_str(), old("v_reading_day").as_str()), ("p-1 p-2", "p-1 p-2"));

    // The readings are let go, and no refresh looks back as far as that, also when more is kept later.
    let windows = "SELECT string_agg(coalesce(config->>'start_offset', 'all'), ' ') FROM timescaledb_information.jobs
                   WHERE proc_name = 'policy_refresh_continuous_aggregate'";
    assert_eq!(timescale.psql(windows), "all all");
    for months in [12, 24] {
        timescale.psql(&format!("UPDATE vagt.retention SET months = {months}"));
        store.upkeep().await.unwrap();
        assert_eq!(timescale.psql("SELECT count(*) FROM vagt.reading"), "0");
        assert_eq!(timescale.psql(windows), "11 mons 11 mons");
    }
    assert_eq!((old("v_reading_hour").as_str(), old("v_reading_day").as_str()), ("p-1 p-2", "p-1 p-2"));

    // One person is erased, and the other's stay.
    store.erase(&"p-1".parse().unwrap(), &[]).await.unwrap();
    store.scrub().await.unwrap();
    assert_eq!((old("v_reading_hour").as_str(), old("v_reading_day").as_str()), ("p-2", "p-2"));
}
