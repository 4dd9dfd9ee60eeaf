//! The judge by itself: turned by hand, with a clock of its own and a real store.

mod again;
mod shown;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use desk::Board;
use jiff::{SignedDuration, tz::TimeZone};
use store::Sqlite;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    directory::{copd, hex},
    pipeline::{Incoming, admit::admit, lanes::Lanes},
    source::Arrival,
};

/// A clock that is set by hand.
#[derive(Clone)]
struct Hands(Arc<Mutex<Timestamp>>);

impl Hands {
    fn at(time: &str) -> Self {
        Self(Arc::new(Mutex::new(time.parse().unwrap())))
    }

    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, by: SignedDuration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn clock(&self) -> Clock {
        let hands = self.clone();
        Arc::new(move || hands.now())
    }
}

struct Room {
    judge: Judge,
    store: Arc<Sqlite>,
    hands: Hands,
    gathered: Vec<Incoming>,
    committed: Arc<Committed>,
}

/// A judge of one patient, watched for a day.
async fn room(folder: &TempDir, hands: &Hands) -> Room {
    let store = Arc::new(Sqlite::open(&folder.path().join("vagt.db")).await.unwrap());
    let since = hands.now() - SignedDuration::from_hours(24);
    let roster = format!(
        "[[patient]]\nid = \"p-1\"\nname = \"Test Person\"\nprogramme = \"copd\"\nsince = \"{since}\"\n\
         [[kit]]\nid = \"kit-1\"\npatient = \"p-1\"\nsecret_sha256 = \"{}\"\nsince = \"{since}\"\n",
        hex(&[7; 32])
    );
    store.put_roster(&toml::from_str(&roster).unwrap(), hands.now()).await.unwrap();
    let roster = store.roster().await.unwrap();
    let directory = Directory::new(roster, &copd(), &TimeZone::UTC).unwrap();
    judge_of(store, directory, hands).await
}

async fn judge_of(store: Arc<Sqlite>, directory: Directory, hands: &Hands) -> Room {
    let board = Board::new(Vec::new(), directory.roster().clone(), Vec::new(), directory.plans().clone());
    let health = Health::new(board, Lanes::new());
    let committed = Arc::<Committed>::default();
    let directories = Directories::fixed(directory);
    let of_judge = Arc::clone(&store) as Arc<dyn Store>;
    let judge = {
        let stored = store.last_stamp().await.unwrap();
        Judge::new(of_judge, directories, health, Arc::clone(&committed), hands.clock(), stored)
    };
    Room { judge, store, hands: hands.clone(), gathered: Vec::new(), committed }
}

impl Room {
    /// A message of a healthy person comes, measured now.
    fn comes(&mut self, seq: u64) {
        self.comes_from(seq, self.hands.now());
    }

    fn comes_from(&mut self, seq: u64, measured_at: Timestamp) {
        self.comes_as(seq, measured_at, 95, "");
    }

    fn comes_as(&mut self, seq: u64, measured_at: Timestamp, spo2: i64, flags: &str) {
        let now = self.hands.now();
        let payload = format!(
            r#"{{"seq":{seq},"sent_at":"{now}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[
            {{"vital":"spo2","value":{spo2},"unit":"%","measured_at":"{measured_at}","clock":"device","device":"sim:1","flags":[{flags}]}}]}}"#
        );
        let arrival = Arrival {
            kit: "kit-1".parse().unwrap(),
            payload: Bytes::from(payload),
            refused: None,
            received_at: now,
            wants_ack: false,
        };
        let admitted = admit(&self.judge.directory, &arrival);
        let one = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let place = Lanes::new().place(&admitted, false, now);
        self.gathered.push(Incoming { arrival, admitted, ack: None, place, _permit: one(), room: one() });
    }

    async fn take(&mut self) {
        self.judge.take(&mut self.gathered).await;
    }

    /// The open batch is stored.
    async fn commit(&mut self) -> Work {
        let work = self.judge.next_work();
        self.store.commit(&work.batch).await.unwrap();
        self.committed.set(work.number, work.owed.len(), Duration::ZERO);
        work
    }
}

#[tokio::test]
async fn what_comes_to_an_old_batch_is_recorded_at_its_own_time_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-03-02T08:00:00Z");
    let mut room = room(&folder, &hands).await;
    let opened = hands.now();
    room.comes(1);
    room.take().await;
    hands.turn(SignedDuration::from_hours(3));
    room.comes(2);
    room.comes(3);
    room.take().await;
    assert_eq!((room.judge.room(), room.gathered.len()), (0, 2), "the batch has waited for three hours");
    let work = room.commit().await;
    assert_eq!((work.owed.len(), work.batch.recorded_at), (1, opened));
    room.take().await;
    let work = room.commit().await;
    assert_eq!((work.owed.len(), work.batch.recorded_at), (2, hands.now()));
    assert!(room.gathered.is_empty());
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Room {
    /// What the judge's loop does as time passes.
    async fn turn(&mut self) {
        self.judge.watch_clock();
        if self.judge.may_start_anew() {
            self.judge.start_anew();
        }
        let patients: Vec<_> = self.judge.directory.plans().keys().cloned().collect();
        for patient in patients {
            self.judge.need_chart(&patient).await.unwrap();
        }
        self.judge.tick();
    }

    /// The open alert's deadlines of silence.
    async fn told(&self) -> Vec<Timestamp> {
        let open = self.store.open_alerts(None).await.unwrap();
        let reasons = open.iter().flat_map(|alert| &alert.findings).map(|finding| &finding.reason);
        let of = |reason: &triage::Reason| match reason {
            triage::Reason::Missing { overdue_at, .. } => Some(*overdue_at),
            _ => None,
        };
        reasons.filter_map(of).collect()
    }
}

/// The clock leaps ahead by a year while a message comes, and back.
async fn leap(room: &mut Room) -> Timestamp {
    room.turn().await;
    room.comes(1);
    room.take().await;
    room.commit().await;
    room.hands.turn(DAY * 365);
    room.comes_from(2, room.hands.now() - DAY * 365);
    room.take().await;
    assert!(room.gathered.is_empty());
    let work = room.commit().await;
    assert_eq!(work.batch.recorded_at, room.hands.now());
    room.hands.turn(MINUTE - DAY * 365);
    room.hands.now()
}

/// Was a silence told that came after the leap, within the days since?
async fn is_told(room: &Room, since: Timestamp) -> bool {
    room.told().await.iter().any(|overdue| since < *overdue && *overdue <= room.hands.now())
}

#[tokio::test]
async fn silence_is_judged_after_the_clock_leapt_and_came_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = room(&folder, &Hands::at("2026-03-02T08:00:00Z")).await;
    let back = leap(&mut room).await;
    room.comes(3);
    assert_eq!(room.judge.room(), 0, "nothing is taken in by charts of a year ahead");
    room.turn().await;
    room.take().await;
    let work = room.commit().await;
    assert_eq!((work.owed.len(), work.batch.recorded_at), (1, back), "the clock is followed again");
    room.hands.turn(DAY * 4);
    room.turn().await;
    room.commit().await;
    assert!(is_told(&room, back).await, "{:?}", room.told().await);
}

#[tokio::test]
async fn charts_wait_for_what_is_not_stored_before_they_follow_the_clock_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = room(&folder, &Hands::at("2026-03-02T08:00:00Z")).await;
    room.turn().await;
    room.comes(1);
    room.take().await;
    room.hands.turn(-MINUTE * 2);
    room.turn().await;
    assert!(room.judge.stepped_back && !room.judge.may_start_anew(), "its batch is open");
    let work = room.judge.next_work();
    assert!(!room.judge.may_start_anew(), "its batch is being committed");
    room.store.commit(&work.batch).await.unwrap();
    room.committed.set(work.number, 1, Duration::ZERO);
    room.turn().await;
    assert_eq!((room.judge.stepped_back, room.judge.stamps.last()), (false, room.hands.now()));
}

#[tokio::test]
async fn silence_is_judged_by_a_restart_after_the_clock_leapt() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-03-02T08:00:00Z");
    let mut first = room(&folder, &hands).await;
    let back = leap(&mut first).await;
    first.store.close().await;
    let mut room = room(&folder, &hands).await;
    room.turn().await;
    room.commit().await;
    room.hands.turn(DAY * 4);
    room.turn().await;
    room.commit().await;
    assert!(is_told(&room, back).await, "{:?}", room.told().await);
}
