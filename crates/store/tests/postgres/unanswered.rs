//! Answers that never come: lost on the way, of a server that was killed, of one that says nothing more.

use super::*;
use servers::Proxy;
use store::Heard;

/// A database with the schema in it, and the way to it through a proxy.
async fn through_a_proxy(cluster: &Cluster) -> (Proxy, Server) {
    let url = cluster.database("clinic");
    Postgres::open(&server(&url)).await.unwrap().close().await;
    let proxy = Proxy::start(cluster.port()).await;
    let through = url.replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.port));
    (proxy, server(&through))
}

/// The session ends after the commit has happened and before its answer has come: between the two there is a proxy that cuts.
#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_recognised() {
    let cluster = Cluster::quick();
    let (proxy, through) = through_a_proxy(&cluster).await;
    let store = Postgres::open(&through).await.unwrap();
    store.commit(&one("kit-1", 1)).await.unwrap();

    // With messages, and of what has none (an alert's event would be told twice).
    let assessment = triage::AssessmentChange {
        patient: "p-1".parse().unwrap(),
        at: at(9),
        was: vitals::Colour::Green,
        colour: vitals::Colour::Yellow,
        blue: false,
        late: false,
        findings: Vec::new(),
    };
    let judged = Batch { recorded_at: at(9), assessments: vec![assessment], ..Batch::default() };
    for batch in [one("kit-1", 2), judged] {
        proxy.cut_after_commit();
        assert!(store.commit(&batch).await.is_err(), "the answer was lost");
        store.commit(&batch).await.unwrap();
    }
    assert_eq!(store.stored().await.unwrap().messages, 2);
    assert_eq!(cluster.psql("clinic", "SELECT count(*) FROM vagt.assessment"), "1");

    // One that did not happen is not taken for one that did.
    proxy.cut_before_commit();
    assert!(store.commit(&one("kit-1", 3)).await.is_err());
    store.commit(&one("kit-1", 3)).await.unwrap();
    assert_eq!(store.stored().await.unwrap().messages, 3);
}

/// A server that is killed forgets a transaction of which nothing was written, and gives its number to another, which is committed: the batch is
/// not taken for that one.
#[tokio::test]
async fn a_batch_whose_number_went_to_another_is_not_taken_for_stored() {
    let mut cluster = Cluster::start();
    let (proxy, through) = through_a_proxy(&cluster).await;
    let store = Postgres::open(&through).await.unwrap();
    store.commit(&one("kit-1", 1)).await.unwrap();

    let next = |cluster: &Cluster| -> u64 {
        cluster.psql("clinic", "SELECT pg_snapshot_xmax(pg_current_snapshot())").trim().parse().unwrap()
    };
    let number = next(&cluster);
    proxy.cut_before_commit();
    assert!(store.commit(&one("kit-1", 2)).await.is_err(), "it did not reach the server");
    assert!(next(&cluster) > number, "it had a number");
    cluster.kill_9();
    cluster.go_on();
    assert!(next(&cluster) <= number, "the number is free again");
    while next(&cluster) <= number {
        cluster.psql("clinic", "CREATE TABLE IF NOT EXISTS another (id INT); INSERT INTO another VALUES (1)");
    }

    store.commit(&one("kit-1", 2)).await.unwrap();
    assert_eq!(store.stored().await.unwrap().messages, 2);
}

/// What is said of something that was not answered in time.
async fn not_answered<T>(asking: impl Future<Output = Result<T, StoreError>>) -> String {
    let ended = tokio::time::timeout(SOON, asking).await.expect("it is waited for without end");
    let said = ended.err().expect("nothing was answered").to_string();
    assert!(said.contains("the database did not answer within 3 s"), "{said}");
    said
}

/// The server loses its power with a question in flight: nothing is heard of it any more, not even that the connection has ended.
#[tokio::test]
async fn a_server_that_says_nothing_more_is_not_waited_for_without_end() {
    let cluster = Cluster::quick();
    let (proxy, through) = through_a_proxy(&cluster).await;
    let store = Postgres::open(&through.with_answers_within(Duration::from_secs(3))).await.unwrap();
    store.commit(&one("kit-1", 1)).await.unwrap();
    let seen = async |kit: &str| store.seen(&[KitSeq { kit: kit.parse().unwrap(), seq: 1 }]).await;
    assert_eq!(seen("kit-1").await.unwrap().len(), 1);

    // A question, several about one state, and one that whoever asked gave up.
    proxy.fall_silent_after("kit-unheard");
    let said = not_answered(seen("kit-unheard")).await;
    assert!(said.ends_with("or the line to it was cut"), "{said}");
    proxy.answer_again();
    assert_eq!(seen("kit-1").await.unwrap().len(), 1);
    proxy.fall_silent_after("FROM patient ORDER BY id");
    not_answered(store.roster()).await;
    proxy.answer_again();
    store.roster().await.unwrap();
    proxy.fall_silent_after("kit-given-up");
    assert!(tokio::time::timeout(Duration::from_millis(500), seen("kit-given-up")).await.is_err());
    proxy.answer_again();

    // A small write: while it hangs no batch is stored, and it ends.
    proxy.fall_silent_after("kit-unread");
    let heard = Heard { kit: "kit-unread".parse().unwrap(), at: at(0), online: true, status: serde_json::json!({}) };
    not_answered(store.heard(&[heard])).await;
    proxy.answer_again();
    store.commit(&one("kit-1", 2)).await.unwrap();

    // None of those connections is held by anybody.
    let deadline = Instant::now() + SOON;
    while store.connections().unwrap().used > 0 {
        assert!(Instant::now() < deadline, "{:?}", store.connections());
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(seen("kit-1").await.unwrap().len(), 1);
    store.close().await;
}

/// The server was told to wait for a standby, and the session was cut off while it waited: the batch is there, and nowhere else. Whoever tries it
/// again hears that it is stored when it would survive the loss of this server, and not before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_no_standby_has_is_not_said_to_be_stored() {
    let cluster = Cluster::quick();
    let url = cluster.database("clinic");
    let store = std::sync::Arc::new(Postgres::open(&server(&url)).await.unwrap());
    let commit = |seq: u64| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move { store.commit(&one("kit-1", seq)).await })
    };
    let waits = || {
        cluster.psql(
            "clinic",
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'vagt' AND wait_event = 'SyncRep'",
        )
    };
    let until_it_waits = async |commit: &tokio::task::JoinHandle<_>| {
        while waits().is_empty() && !commit.is_finished() {
            sleep(Duration::from_millis(20)).await;
        }
        waits()
    };

    cluster.psql("clinic", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    cluster.psql("clinic", "SELECT pg_reload_conf()");
    // The server takes a moment to know it: what is committed before it does is none of what is asked here.
    let mut seq = 1;
    let (first, pid) = loop {
        let first = commit(seq);
        let pid = until_it_waits(&first).await;
        if !pid.is_empty() {
            break (first, pid);
        }
        first.await.unwrap().unwrap();
        seq += 1;
    };
    cluster.psql("clinic", &format!("SELECT pg_terminate_backend({pid})"));
    assert!(first.await.unwrap().is_err(), "it was cut off");
    assert_eq!(store.stored().await.unwrap().messages, seq, "and it is there");

    let again = commit(seq);
    assert!(!until_it_waits(&again).await.is_empty(), "it was said to be stored: {:?}", again.await);
    cluster.psql("clinic", "ALTER SYSTEM RESET synchronous_standby_names");
    cluster.psql("clinic", "SELECT pg_reload_conf()");
    again.await.unwrap().unwrap();
    assert_eq!(store.stored().await.unwrap().messages, seq);
}
