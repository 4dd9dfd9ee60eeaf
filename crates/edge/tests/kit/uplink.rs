//! The uplink against a real Mosquitto: nothing leaves the spool before the core has acknowledged it, whatever is killed.

use std::{sync::Arc, time::Duration};

use crate::{
    common::{Core, Mosquitto},
    refusing::Refusing,
};
use edge::{
    board::Board,
    clock,
    config::Broker,
    spool::{Bounds, Draft, Priority, Spool},
    uplink::Uplink,
};
use jiff::SignedDuration;
use rumqttc::PubAckReason;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Kit {
    _dir: tempfile::TempDir,
    spool: Arc<Spool>,
    board: Board,
    broker: Broker,
}

impl Kit {
    async fn new(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let board = Board::default();
        let bounds = Bounds { bytes_max: 1 << 24, age_max: SignedDuration::from_hours(240) };
        let spool = Arc::new(Spool::open(dir.path(), bounds, clock::now(), board.clone()).await.unwrap());
        let keep_alive = Duration::from_secs(5);
        let broker = Broker {
            addresses: vec![("127.0.0.1".to_owned(), port)],
            secret: "s".to_owned(),
            tls: None,
            own: None,
            keep_alive,
        };
        Self { _dir: dir, spool, board, broker }
    }

    /// Spools messages, and returns their numbers.
    async fn measure(&self, count: usize) -> Vec<u64> {
        let mut seqs = Vec::new();
        for _ in 0..count {
            self.measure_at_once(1).await;
            seqs.push(*self.spool.newest().borrow());
        }
        seqs
    }

    /// Spools one message of so many readings.
    async fn measure_at_once(&self, readings: usize) {
        let now = clock::now();
        let reading = format!(
            r#"{{"vital":"spo2","value":93,"unit":"%","measured_at":"{now}","clock":"kit","device":"nonin-df2:1"}}"#
        );
        let readings = vec![serde_json::from_str(&reading).unwrap(); readings];
        let draft = Draft { readings, priority: Priority::Routine, ..Draft::default() };
        self.spool.put(draft, now).await;
    }

    fn connect(&self) -> (CancellationToken, JoinHandle<()>) {
        let stop = CancellationToken::new();
        let mut uplink =
            Uplink::new("kit-1".parse().unwrap(), self.broker.clone(), self.spool.clone(), self.board.clone());
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { uplink.run(&stop).await }
        });
        (stop, task)
    }

    async fn waiting(&self) -> Vec<u64> {
        self.spool.after(0, 10_000).await.iter().map(|row| row.seq).collect()
    }

    async fn until_problem(&self, wanted: &str) {
        let mut problems = String::new();
        for _ in 0..10_000 {
            problems = self.board.status(true, clock::now()).problems.join("; ");
            if problems.starts_with(wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("found {problems:?}, want {wanted:?}");
    }

    async fn until_empty(&self) {
        let mut left = self.waiting().await.len();
        // A hole is passed when the kit begins anew, which it does when nothing is acknowledged for a while.
        for _ in 0..10_000 {
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            left = self.waiting().await.len();
        }
        panic!("{left} messages are still in the spool");
    }
}

#[tokio::test]
async fn messages_come_in_order_and_leave_when_the_core_says_so() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, false).await;
    let kit = Kit::new(broker.port).await;
    kit.measure(300).await;
    let seqs = kit.waiting().await;
    let (stop, task) = kit.connect();
    core.until("300 messages", |heard| heard.messages.len() == 300).await;
    assert_eq!(core.heard.lock().unwrap().messages.iter().map(|m| m.seq).collect::<Vec<_>>(), seqs, "in order, once");
    assert_eq!(kit.waiting().await, seqs, "the broker's PUBACK promises nothing");

    core.ack("kit-1", seqs[199]);
    core.until("a status with 100 waiting", |heard| {
        heard.statuses.last().is_some_and(|s| s.online && s.spooled == 100)
    })
    .await;
    assert_eq!(kit.waiting().await, seqs[200..]);
    core.ack("kit-1", seqs[299]);
    kit.until_empty().await;

    stop.cancel();
    task.await.unwrap();
    core.until("a last status", |heard| heard.statuses.last().is_some_and(|s| !s.online && s.spooled == 0)).await;
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_on_the_next_connection() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, false).await;
    let kit = Kit::new(broker.port).await;
    kit.measure(20).await;
    let (_stop, task) = kit.connect();
    core.until("20 messages", |heard| heard.messages.len() == 20).await;
    task.abort(); // as a kill: no goodbye
    core.until("the last will", |heard| heard.statuses.last().is_some_and(|s| !s.online)).await;

    core.heard.lock().unwrap().acking = true;
    let (_stop, task) = kit.connect();
    kit.until_empty().await;
    assert!(core.counts().values().all(|&count| count == 2), "{:?}", core.counts());
    task.abort();
}

#[tokio::test]
async fn a_broker_that_is_killed_again_and_again_loses_nothing() {
    let mut broker = Mosquitto::start();
    let core = Core::start(&broker, true).await;
    let kit = Kit::new(broker.port).await;
    let (stop, task) = kit.connect();
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.extend(kit.measure(150).await);
        tokio::time::sleep(Duration::from_millis(15)).await;
        broker.kill();
        sent.extend(kit.measure(10).await);
        broker.go_on();
        core.until("a message after the restart", |heard| heard.messages.iter().any(|m| sent.last() == Some(&m.seq)))
            .await;
    }
    kit.until_empty().await;
    let counts = core.counts();
    assert!(counts.keys().eq(&sent), "of {} messages {} came", sent.len(), counts.len());
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_away_is_said_and_tried_again() {
    let mut broker = Mosquitto::start();
    broker.kill();
    let kit = Kit::new(broker.port).await;
    kit.measure(3).await;
    let (_stop, task) = kit.connect();
    kit.until_problem("broker: no connection to the broker").await;
    broker.go_on();
    let core = Core::start(&broker, true).await;
    core.until("3 messages", |heard| heard.messages.len() >= 3).await;
    kit.until_empty().await;
    assert!(kit.board.status(true, clock::now()).problems.is_empty());
    task.abort();
}

#[tokio::test]
async fn a_broker_that_freezes_is_noticed_and_nothing_is_lost() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, true).await;
    let kit = Kit::new(broker.port).await;
    let (_stop, task) = kit.connect();
    kit.measure(1).await;
    kit.until_empty().await;
    broker.freeze(true);
    let seqs = kit.measure(200).await;
    kit.until_problem("broker: ").await;
    broker.freeze(false);
    kit.until_empty().await;
    let counts = core.counts();
    assert!(seqs.iter().all(|seq| counts.contains_key(seq)));
    task.abort();
}

#[tokio::test]
async fn a_wrong_secret_is_said() {
    let broker = Mosquitto::with("allow_anonymous false");
    let kit = Kit::new(broker.port).await;
    kit.measure(1).await;
    let (_stop, task) = kit.connect();
    kit.until_problem("broker: the broker refuses this kit: ").await;
    assert_eq!(kit.waiting().await.len(), 1);
    task.abort();
}

#[tokio::test]
async fn a_core_that_has_everything_already_is_believed_when_it_says_so_again() {
    let broker = Mosquitto::start();
    let core = Core::start(&broker, false).await;
    let kit = Kit::new(broker.port).await;
    let seqs = kit.measure(250).await;
    core.ack_always(seqs[249]);
    let (_stop, task) = kit.connect();
    kit.until_empty().await;
    assert!(core.counts().values().all(|&count| count == 1));
    task.abort();
}

#[tokio::test]
async fn a_core_that_comes_late_gets_what_nobody_heard() {
    let broker = Mosquitto::start();
    let kit = Kit::new(broker.port).await;
    let seqs = kit.measure(5).await;
    let (_stop, task) = kit.connect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(kit.waiting().await, seqs);
    let core = Core::start(&broker, true).await;
    kit.until_empty().await;
    assert!(core.counts().keys().eq(&seqs));
    task.abort();
}

#[tokio::test]
async fn what_is_refused_for_what_it_is_does_not_hold_up_the_rest() {
    let is_poison = |seq: u64| seq.is_multiple_of(30);
    let verdict =
        |seq: u64| if seq.is_multiple_of(30) { PubAckReason::PayloadFormatInvalid } else { PubAckReason::Success };
    let broker = Refusing::start(verdict, None).await;
    let kit = Kit::new(broker.port).await;
    let mut seqs = kit.measure(55).await;
    if seqs.last().copied().is_some_and(is_poison) {
        // The last of all is refused alone until another is taken.
        seqs.extend(kit.measure(1).await);
    }
    let (_stop, task) = kit.connect();
    kit.until_empty().await;
    let poisoned = seqs.iter().filter(|seq| is_poison(**seq)).count() as u64;
    assert_eq!(kit.spool.given_up().await, poisoned, "counted, each once");
    kit.until_problem("refused: messages were refused on 3 connections (PayloadFormatInvalid)").await;
    let came = broker.came.lock().unwrap().clone();
    assert!(seqs.iter().all(|seq| came.contains_key(seq)), "{came:?}");
    assert!(came.iter().all(|(seq, times)| !is_poison(*seq) || *times == 3), "{came:?}");
    task.abort();
}

#[tokio::test]
async fn where_everything_is_refused_nothing_is_given_up() {
    let broker = Refusing::start(|_| PubAckReason::NotAuthorized, None).await;
    let kit = Kit::new(broker.port).await;
    let seqs = kit.measure(5).await;
    for _ in 0..4 {
        let (_stop, task) = kit.connect();
        kit.until_problem("broker: the broker refuses messages: NotAuthorized").await;
        task.abort();
    }
    assert_eq!((kit.waiting().await, kit.spool.given_up().await), (seqs, 0));
}

#[tokio::test]
async fn a_message_that_is_too_large_for_the_broker_does_not_hold_up_the_rest() {
    let broker = Refusing::start(|_| PubAckReason::Success, Some(2_000)).await;
    let kit = Kit::new(broker.port).await;
    kit.measure(3).await;
    kit.measure_at_once(40).await;
    let too_large = *kit.spool.newest().borrow();
    let after = kit.measure(3).await;
    let (_stop, task) = kit.connect();
    kit.until_empty().await;
    kit.until_problem("refused: messages were refused on 3 connections (it has ").await;
    let came = broker.came.lock().unwrap().clone();
    assert!(!came.contains_key(&too_large) && after.iter().all(|seq| came.contains_key(seq)), "{came:?}");
    task.abort();
}
