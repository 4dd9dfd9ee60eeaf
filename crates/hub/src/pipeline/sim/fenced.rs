//! A hub that was taken over from, by itself.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use desk::Board;
use jiff::Timestamp;
use store::{Entry, KitSeq};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use uuid::Uuid;
use vitals::KitId;

use super::{
    clinic::{Hands, stored},
    disk::Disk,
    trace::Trace,
};
use crate::{
    pipeline::{
        health::Health,
        lanes::Lanes,
        record::Recorder,
        work::{Owed, Work},
    },
    watching::traces::Way,
};

/// It was taken over from between judging and storing, and the kit has told its reading to the next one meanwhile: what it judged is stored nowhere.
#[tokio::test(start_paused = true)]
async fn who_was_taken_over_from_answers_nobody() {
    let disk = Disk::new(stored(1).await, 1, Arc::new(Trace::new()));
    let (first, _next) = (disk.lead(), disk.lead());
    let (kit, now): (KitId, Timestamp) = ("kit-1".parse().unwrap(), Hands::new().true_now());
    let entry = Entry {
        key: KitSeq { kit: kit.clone(), seq: 1 },
        hash: [1; 32],
        patient: "p-1".parse().unwrap(),
        session: Uuid::nil(),
        sent_at: now,
        recorded_at: now,
        readings: Vec::new(),
        answers: Vec::new(),
        receipts: Vec::new(),
    };
    let mut work = Work::new(1);
    work.batch.entries.push(entry);
    disk.state().apply(&work.batch).unwrap();
    let (ack, acked) = oneshot::channel();
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let owed = Owed {
        kit,
        seq: Some(1),
        oldest: None,
        rejected: None,
        whole: false,
        judged: Vec::new(),
        received_at: now,
        ack: Some(ack),
        way: Way::default(),
        _room: room,
    };
    work.owe(owed, 100);
    let board = Board::new(Vec::new(), disk.state().roster.clone(), Vec::new(), HashMap::default());
    let (works, taken) = mpsc::channel(1);
    let recorder = Recorder {
        store: first,
        board: Arc::clone(&board),
        outbox: Arc::default(),
        health: Health::new(board, Lanes::new()),
        works: taken,
        ready: mpsc::channel(1).0,
        committed: Arc::default(),
        marks: Default::default(),
        holes: HashSet::new(),
        quarantined: 0,
        remeasure: mpsc::channel(1).0,
        clock: Arc::new(move || now),
    };
    let recording = tokio::spawn(recorder.run());
    works.send(work).await.ok().unwrap();
    assert!(timeout(Duration::from_secs(60), acked).await.is_err(), "it answered");
    recording.abort();
}
