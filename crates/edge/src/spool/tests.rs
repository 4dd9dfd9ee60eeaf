//! The spool's promises: nothing lost over a kill, order, bounds with a counted gap, a full disk, a damaged file, numbers that only grow.

use std::fs;

use tempfile::TempDir;

use super::{aside::ASIDE_FILES_MAX, row::tests::draft, *};

const BOUNDS: Bounds = Bounds { bytes_max: SPOOL_BYTES_MAX, age_max: SignedDuration::from_hours(30 * 24) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

struct Kit {
    dir: TempDir,
    board: Board,
    bounds: Bounds,
}

impl Kit {
    fn new(bounds: Bounds) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), board: Board::default(), bounds }
    }

    async fn open(&self, now: Timestamp) -> Spool {
        Spool::open(self.dir.path(), self.bounds, now, self.board.clone()).await.unwrap()
    }

    fn problems(&self) -> String {
        self.board.status(true, at(0)).problems.join("; ")
    }
}

async fn put(spool: &Spool, priority: Priority, second: i64) -> u64 {
    spool.put(draft(priority), at(second)).await.seq
}

async fn waiting(spool: &Spool) -> Vec<u64> {
    spool.after(0, 1000).await.iter().map(|row| row.seq).collect()
}

#[tokio::test]
async fn what_was_put_is_there_after_a_kill_and_leaves_only_when_acknowledged() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let start = start_seq(at(0));
    let seqs = [
        put(&spool, Priority::Routine, 0).await,
        put(&spool, Priority::Urgent, 1).await,
        put(&spool, Priority::Routine, 2).await,
    ];
    assert_eq!(seqs, [start, start + 1, start + 2]);
    drop(spool); // as a kill: nothing is closed in order

    let spool = kit.open(at(0)).await;
    assert_eq!(waiting(&spool).await, seqs);
    assert_eq!(kit.board.status(true, at(0)).spooled, 3);
    spool.acked(start + 1, start + 2, at(3)).await;
    assert_eq!(waiting(&spool).await, [start + 2]);
    spool.acked(start + 2, start + 1, at(3)).await;
    assert_eq!(waiting(&spool).await, [start + 2], "what this connection has not sent can't be acknowledged to it");
    spool.acked(start + 2, start + 2, at(3)).await;
    assert!(waiting(&spool).await.is_empty());
    drop(spool);

    let spool = kit.open(at(0)).await;
    assert_eq!(
        put(&spool, Priority::Routine, 4).await,
        start + 3,
        "numbers grow even when nothing is left to count from"
    );
}

#[tokio::test]
async fn numbers_grow_over_a_lost_disk() {
    let (first, second) = (Kit::new(BOUNDS), Kit::new(BOUNDS));
    let before = put(&first.open(at(0)).await, Priority::Routine, 0).await;
    let after = put(&second.open(at(60)).await, Priority::Routine, 60).await;
    assert!(after > before, "{after} > {before}");
}

#[tokio::test]
async fn a_core_that_knows_higher_numbers_deletes_nothing_and_makes_the_kit_renumber() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(Timestamp::from_second(1000).unwrap()).await;
    let receipt = spool.put(draft(Priority::Routine), at(0)).await;
    put(&spool, Priority::Routine, 1).await;
    assert_eq!(spool.acked(5_000_000, u64::MAX, at(2)).await, Acked::Again);
    assert_eq!(waiting(&spool).await, [5_000_001, 5_000_002]);
    assert_eq!(put(&spool, Priority::Routine, 3).await, 5_000_003);
    spool.acked(5_000_001, 5_000_003, at(4)).await;
    assert!(!receipt.covered_by(*spool.acked_through().borrow()), "a receipt from before proves nothing");
    drop(spool);
    assert_eq!(waiting(&kit.open(at(0)).await).await, [5_000_002, 5_000_003]);
}

#[tokio::test]
async fn over_the_bound_the_oldest_routine_goes_first_and_the_gap_is_reported() {
    let bytes = draft(Priority::Routine).numbered(1, at(0)).bytes();
    let kit = Kit::new(Bounds { bytes_max: bytes * 3, ..BOUNDS });
    let spool = kit.open(at(0)).await;
    let urgent = put(&spool, Priority::Urgent, 0).await;
    let mut routine = Vec::new();
    for second in 1..=4 {
        routine.push(put(&spool, Priority::Routine, second).await);
    }
    assert_eq!(waiting(&spool).await, [urgent, routine[2], routine[3]]);
    let status = kit.board.status(true, at(5));
    assert_eq!((status.spooled, status.dropped), (3, 2));
    assert!(kit.problems().contains("2 messages were given up unacknowledged"), "{}", kit.problems());
    drop(spool);

    let spool = kit.open(at(5)).await;
    assert_eq!(kit.board.status(true, at(5)).dropped, 2, "counted for ever");
    spool.tend(at(8 * 24 * 3600), false).await;
    assert_eq!(kit.problems(), "", "reported for a week");
}

#[tokio::test]
async fn what_is_too_old_is_given_up_only_by_a_settled_clock() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    put(&spool, Priority::Urgent, 0).await;
    let young = put(&spool, Priority::Routine, 3600).await;
    let month = at(30 * 24 * 3600 + 60);
    spool.tend(month, false).await;
    assert_eq!(waiting(&spool).await.len(), 2);
    spool.tend(month, true).await;
    assert_eq!(waiting(&spool).await, [young]);
    assert_eq!(kit.board.status(true, month).dropped, 1);
}

#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let kept = put(&spool, Priority::Routine, 0).await;
    spool.inner.lock().await.disk.as_mut().unwrap().pages_max(Some(1)).await;
    let mut seqs = vec![kept];
    for second in 1..200 {
        seqs.push(put(&spool, Priority::Routine, second).await);
    }
    assert!(kit.problems().starts_with("spool: the disk is full"), "{}", kit.problems());
    assert!(spool.inner.lock().await.memory.len() > 0);
    assert_eq!(waiting(&spool).await, seqs, "what is in memory is sent meanwhile");
    assert_eq!(kit.board.status(true, at(200)).spooled, 200);

    spool.inner.lock().await.disk.as_mut().unwrap().pages_max(None).await;
    spool.tend(at(201), false).await;
    assert_eq!(kit.problems(), "");
    drop(spool);
    assert_eq!(waiting(&kit.open(at(0)).await).await, seqs);
}

#[tokio::test]
async fn space_is_noticed_also_when_nothing_waits_for_it() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let full = DiskError::Full(sqlx::Error::WorkerCrashed);
    spool.inner.lock().await.trouble(&kit.board, &full);
    assert!(kit.problems().starts_with("spool: the disk is full"), "{}", kit.problems());
    spool.tend(at(10), false).await;
    assert_eq!(kit.problems(), "");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_and_tried_again() {
    let kit = Kit::new(BOUNDS);
    let dir = kit.dir.path().join("later");
    let spool = Spool::open(&dir, BOUNDS, at(0), kit.board.clone()).await.unwrap();
    let seq = put(&spool, Priority::Routine, 0).await;
    assert!(kit.problems().starts_with("spool: the file can't be used"), "{}", kit.problems());
    assert_eq!(waiting(&spool).await, [seq]);
    fs::create_dir(&dir).unwrap();
    spool.tend(at(10), false).await;
    assert_eq!(kit.problems(), "");
    drop(spool);
    let spool = Spool::open(&dir, BOUNDS, at(20), kit.board.clone()).await.unwrap();
    assert_eq!(waiting(&spool).await, [seq]);
}

#[tokio::test]
async fn what_could_not_be_read_in_its_turn_is_not_covered_by_the_ack_of_what_overtook_it() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let older = put(&spool, Priority::Urgent, 0).await;
    let unreadable = DiskError::Other(sqlx::Error::WorkerCrashed);
    spool.inner.lock().await.fail(&kit.board, &unreadable);
    let newer = put(&spool, Priority::Routine, 1).await;
    assert_eq!(waiting(&spool).await, [newer], "sent meanwhile");
    assert_eq!(spool.acked(newer, newer, at(2)).await, Acked::Covered);
    assert!(waiting(&spool).await.is_empty());

    spool.tend(at(10), false).await;
    assert_eq!(waiting(&spool).await, [older]);
    assert_eq!(spool.acked(newer, newer, at(11)).await, Acked::Again, "the connection was beyond it already");
    assert_eq!(waiting(&spool).await, [older]);
    assert_eq!(spool.acked(newer, older, at(12)).await, Acked::Covered);
    assert!(waiting(&spool).await.is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_kit_goes_on() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let lost = put(&spool, Priority::Routine, 0).await;
    spool.close().await;
    drop(spool);
    fs::write(kit.dir.path().join("spool.db"), vec![0x5a; 8192]).unwrap();

    let spool = kit.open(at(60)).await;
    assert!(waiting(&spool).await.is_empty());
    assert!(put(&spool, Priority::Routine, 60).await > lost);
    assert!(kit.problems().contains("was damaged"), "{}", kit.problems());
    assert_eq!(spool.inner.lock().await.aside_files().len(), 1);
}

#[tokio::test]
async fn damaged_files_are_not_collected_without_end() {
    let kit = Kit::new(BOUNDS);
    for second in 0..6 {
        fs::write(kit.dir.path().join("spool.db"), vec![0x5a; 8192]).unwrap();
        let spool = kit.open(at(second)).await;
        assert!(spool.inner.lock().await.aside_files().len() <= ASIDE_FILES_MAX);
    }
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let kit = Kit::new(BOUNDS);
    kit.open(at(0)).await.close().await;
    let path = kit.dir.path().join("spool.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&2_u32.to_be_bytes()); // user_version, by SQLite's file format
    fs::write(&path, bytes).unwrap();
    let error = Spool::open(kit.dir.path(), BOUNDS, at(0), kit.board.clone()).await.err().unwrap();
    assert_eq!(error.to_string(), "the file has schema version 2, this program knows up to 1");
}

#[tokio::test]
async fn a_record_is_seen_once_also_after_a_restart_and_while_the_disk_is_full() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let key = |value: i64| SeenKey {
        device: "gatt-bp:1".parse().unwrap(),
        person: None,
        device_time: "2026-11-22T08:00:00".parse().unwrap(),
        vital: vitals::Vital::Systolic,
        value: vitals::Value::new(value, 0),
    };
    let draft = |value| Draft { seen: vec![key(value)], ..draft(Priority::Routine) };
    assert_eq!(spool.seen(&key(120)).await, None);
    let receipt = spool.put(draft(120), at(0)).await;
    assert_eq!(spool.seen(&key(120)).await, Some(receipt));
    assert_eq!(spool.seen(&key(121)).await, None);
    drop(spool);
    let spool = kit.open(at(0)).await;
    assert_eq!(spool.seen(&key(120)).await, Some(receipt));
    *spool.inner.lock().await = Inner { disk: None, ..inner_of(&kit).await };
    let receipt = spool.put(draft(122), at(0)).await;
    assert_eq!(spool.seen(&key(122)).await, Some(receipt));
}

async fn inner_of(kit: &Kit) -> Inner {
    kit.open(at(0)).await.inner.into_inner()
}

#[tokio::test]
async fn what_the_kit_remembers_is_durable_with_its_messages_and_forgotten_when_told() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let kept = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let drafts = vec![draft(Priority::Routine), draft(Priority::Urgent)];
    let receipts = spool.commit(Changes { drafts, kept: kept("a", "1"), ..Changes::default() }, at(0)).await;
    assert_eq!(receipts[1].seq(), receipts[0].seq() + 1);
    drop(spool); // as a kill
    let spool = kit.open(at(1)).await;
    assert_eq!(spool.kept().await["a"], "1");
    assert_eq!(waiting(&spool).await.len(), 2);
    // While the disk is full it is held, and written when there is space.
    spool.inner.lock().await.disk.as_mut().unwrap().pages_max(Some(1)).await;
    let large = "x".repeat(100_000);
    spool.commit(Changes { kept: kept("a", &large), ..Changes::default() }, at(2)).await;
    assert!(kit.problems().starts_with("spool: the disk is full"), "{}", kit.problems());
    assert_eq!(spool.kept().await["a"], large);
    spool.inner.lock().await.disk.as_mut().unwrap().pages_max(None).await;
    spool.tend(at(3), false).await;
    drop(spool);
    let spool = kit.open(at(4)).await;
    assert_eq!(spool.kept().await["a"], large);
    spool.commit(Changes { kept: kept("a", ""), ..Changes::default() }, at(5)).await;
    drop(spool);
    assert!(kit.open(at(6)).await.kept().await.is_empty());
}

#[tokio::test]
async fn a_record_that_is_passed_over_is_seen_and_its_receipt_is_of_what_came_before() {
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let before = spool.put(draft(Priority::Routine), at(0)).await;
    let key = SeenKey {
        device: "gatt-weight:1".parse().unwrap(),
        person: None,
        device_time: "2026-11-22T08:00:00".parse().unwrap(),
        vital: vitals::Vital::Weight,
        value: vitals::Value::new(95, 0),
    };
    spool.commit(Changes { passed_over: vec![key.clone()], ..Changes::default() }, at(1)).await;
    assert_eq!(spool.seen(&key).await, Some(before));
    drop(spool);
    assert_eq!(kit.open(at(2)).await.seen(&key).await, Some(before));
    assert!(!Receipt::withheld().covered_by(Receipt { epoch: 0, seq: u64::MAX }));
}

/// A sequence of numbers that is the same in every run.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    }
}

/// Flips a few bytes of the spool's file, and sometimes of its log.
fn damage(dir: &Path, seed: u64) {
    let mut number = numbers(seed);
    let log = dir.join("spool.db-wal");
    let path = if number(3) == 0 && log.exists() { log } else { dir.join("spool.db") };
    let mut bytes = fs::read(&path).unwrap_or_default();
    if bytes.is_empty() {
        return;
    }
    for _ in 0..=number(8) {
        let at = number(bytes.len());
        bytes[at] ^= 1 << number(8);
    }
    // In place, as a bad disk does: the file stays the same one.
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
}

/// Whatever is read is what was written: a damaged message is set aside, never sent.
async fn only_good(spool: &Spool) -> usize {
    let rows = spool.after(0, 1000).await;
    for row in &rows {
        let wanted = draft(Priority::Routine).numbered(row.seq, at(0)).body;
        assert_eq!(row.body, wanted, "message {} was damaged and is sent", row.seq);
    }
    rows.len()
}

/// Newer files are refused by their version, which a flipped bit can fake: the one thing that does end the program.
fn faked_version(error: &DiskError) -> bool {
    matches!(error, DiskError::Newer { .. })
}

#[tokio::test]
async fn flipped_bytes_before_the_start_never_stop_the_kit_and_are_never_sent() {
    let (mut set_aside, mut saved) = (0, 0);
    for seed in 0..60 {
        let kit = Kit::new(BOUNDS);
        let spool = kit.open(at(0)).await;
        for second in 0..120 {
            put(&spool, Priority::Routine, second).await;
        }
        spool.close().await;
        drop(spool);
        damage(kit.dir.path(), seed);
        let spool = match Spool::open(kit.dir.path(), BOUNDS, at(200), kit.board.clone()).await {
            Err(error) if faked_version(&error) => continue,
            opened => opened.unwrap(),
        };
        only_good(&spool).await;
        spool.tend(at(210), false).await;
        saved += only_good(&spool).await;
        let seq = put(&spool, Priority::Routine, 220).await;
        assert!(waiting(&spool).await.contains(&seq), "seed {seed}: goes on");
        let aside = spool.inner.lock().await.aside_files().len();
        assert_eq!(aside > 0, kit.problems().contains("spool file"), "seed {seed}: {}", kit.problems());
        set_aside += aside;
    }
    assert!(set_aside > 5, "{set_aside} of 60 files were found damaged");
    assert!(saved > 60 * 60, "{saved} messages were saved");
}

#[tokio::test]
async fn flipped_bytes_while_it_runs_never_stop_the_kit_and_are_never_sent() {
    for seed in 100..140 {
        let kit = Kit::new(BOUNDS);
        let spool = kit.open(at(0)).await;
        for second in 0..60 {
            put(&spool, Priority::Routine, second).await;
        }
        damage(kit.dir.path(), seed);
        for second in 60..120 {
            put(&spool, Priority::Routine, second).await;
            if second % 20 == 0 {
                only_good(&spool).await;
                spool.tend(at(second), false).await;
            }
        }
        only_good(&spool).await;
        spool.tend(at(130), false).await;
        spool.tend(at(140), false).await;
        only_good(&spool).await;
        let seq = put(&spool, Priority::Routine, 150).await;
        assert!(waiting(&spool).await.contains(&seq), "seed {seed}: goes on");
        assert!(spool.inner.lock().await.disk.is_some(), "seed {seed}: {}", kit.problems());
    }
}

#[tokio::test]
async fn a_hundred_thousand_readings_are_held_and_drained() {
    const MESSAGES: u64 = 500;
    const READINGS: usize = 200;
    let kit = Kit::new(BOUNDS);
    let spool = kit.open(at(0)).await;
    let mut large = draft(Priority::Routine);
    large.readings = vec![large.readings[0].clone(); READINGS];
    let mut last = 0;
    for second in 0..MESSAGES as i64 {
        last = spool.put(large.clone(), at(second)).await.seq();
    }
    assert_eq!(kit.board.status(true, at(0)).spooled, MESSAGES);
    drop(spool);
    let spool = kit.open(at(1000)).await;
    let (mut cursor, mut readings) = (0, 0);
    while cursor < last {
        let rows = spool.after(cursor, 100).await;
        readings += rows.iter().map(|row| row.body.matches("\"vital\"").count()).sum::<usize>();
        cursor = rows.last().expect("not at the end yet").seq;
        spool.acked(cursor, cursor, at(1001)).await;
    }
    assert_eq!(readings, MESSAGES as usize * READINGS);
    assert_eq!(kit.board.status(true, at(1001)).spooled, 0);
}

#[tokio::test]
async fn what_was_remembered_comes_late_when_the_file_could_not_be_opened_at_the_start() {
    let kit = Kit::new(BOUNDS);
    let kept = vec![("round".to_owned(), "held".to_owned())];
    let spool = kit.open(at(0)).await;
    spool.commit(Changes { kept: kept.clone(), ..Changes::default() }, at(0)).await;
    assert_eq!(spool.kept_late().await, None);
    spool.close().await;
    let (path, away) = (kit.dir.path().join("spool.db"), kit.dir.path().join("away.db"));
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    let spool = kit.open(at(1)).await;
    assert!(spool.kept().await.is_empty() && kit.problems().contains("spool: "));
    fs::remove_dir(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    spool.tend(at(2), false).await;
    assert_eq!(spool.kept_late().await, Some(kept.into_iter().collect()));
    assert_eq!(spool.kept_late().await, None);
}

#[tokio::test]
async fn what_was_given_up_is_counted_once_also_when_the_file_is_opened_again() {
    let kit = Kit::new(Bounds { bytes_max: 400, ..BOUNDS });
    let spool = kit.open(at(0)).await;
    for second in 0..5 {
        put(&spool, Priority::Routine, second).await;
    }
    let given_up = spool.given_up().await;
    assert!(given_up > 0);
    for second in 10..13 {
        let mut inner = spool.inner.lock().await;
        inner.fail(&kit.board, &DiskError::Other(sqlx::Error::WorkerCrashed));
        drop(inner);
        spool.tend(at(second), false).await;
        assert_eq!(spool.given_up().await, given_up);
    }
}
