//! Messages that the core has not acknowledged yet, on disk before they are sent, in the order of their `seq`.
//!
//! The spool is the truth, never the MQTT client's queue: a message leaves it only when the core's `acks` cover it. `seq` only grows,
//! across restarts and also across a lost disk: a spool starts at the current Unix time in milliseconds or after its last number,
//! whichever is larger. What can't be written (disk full, read-only, damaged) is held in memory and written when it can be; it is sent
//! meanwhile, because a warning that reaches a nurse is worth more than the order of things.

mod aside;
mod disk;
mod kept;
mod memory;
mod row;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, watch};

pub use disk::{DiskError, REFUSED_ROWS_MAX, SEEN_ROWS_MAX};
pub use kept::KEPT_NAMES_MAX;
pub use memory::{HELD_BYTES_MAX, HELD_ROWS_MAX};
pub use row::{Draft, Priority, Row, SeenKey};

use crate::board::Board;
use disk::{Batch, Disk, Kept, Totals};
use memory::Memory;

/// The most that waits on disk, unless configured otherwise, in bytes: about 600,000 messages of a kit's usual size, more than a million
/// readings.
pub const SPOOL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The longest that a message waits, unless configured otherwise, in days.
pub const SPOOL_AGE_MAX_DAYS: u32 = 30;
/// How long a gap is reported after messages were given up.
const GAP_REPORTED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A core that says it has this much has not counted.
const SEQ_BELIEVED_MAX: u64 = wire::SEQ_MAX - 1_000_000_000;

/// The bounds of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of messages on disk.
    pub bytes_max: u64,
    /// How long a message waits.
    pub age_max: SignedDuration,
}

/// Under which number a message is spooled. The epoch changes when all numbers do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    epoch: u32,
    seq: u64,
}

impl Receipt {
    /// Does this acknowledgement cover it?
    #[must_use]
    pub fn covered_by(self, acked: Self) -> bool {
        self.epoch == acked.epoch && self.seq <= acked.seq
    }

    /// The later of two of the same epoch; else the one of the later epoch.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if (self.epoch, self.seq) >= (other.epoch, other.seq) { self } else { other }
    }

    /// The message's number, as the core names it.
    #[must_use]
    pub fn seq(self) -> u64 {
        self.seq
    }

    /// Of something that is on the kit and in no message yet: no acknowledgement covers it, so no device forgets it.
    #[must_use]
    pub fn withheld() -> Self {
        Self { epoch: u32::MAX, seq: u64::MAX }
    }
}

/// What is made durable together.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New messages.
    pub drafts: Vec<Draft>,
    /// What the kit remembers between its starts, by name; an empty text forgets it.
    pub kept: Vec<(String, String)>,
    /// Device records that are passed over when they come again, though they are in no message.
    pub passed_over: Vec<SeenKey>,
}

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// Messages left the spool, or there were none left to leave.
    Covered,
    /// All that waits has to be sent from the first on. Either the core knows numbers that this kit has not given (its disk was lost while
    /// its clock was behind) and every message has a new number, or older messages could not be read when their turn came.
    Again,
}

/// The spool of one kit.
pub struct Spool {
    inner: Mutex<Inner>,
    newest: watch::Sender<u64>,
    acked: watch::Sender<Receipt>,
    board: Board,
}

struct Inner {
    path: PathBuf,
    bounds: Bounds,
    disk: Option<Disk>,
    /// The file has been open: what it counts is counted in `totals` already.
    opened: bool,
    memory: Memory,
    /// What the kit remembers besides its messages, as it should be on the disk.
    kept: Kept,
    /// What the disk turned out to remember when it could be opened at last, after the kit had begun without it.
    late: Option<Kept>,
    /// Names of which the disk does not have the newest.
    kept_behind: BTreeSet<String>,
    /// Device records to be passed over, of which the disk does not know yet.
    passed_over: Vec<(SeenKey, u64)>,
    /// Of the disk; `next_seq` and `dropped` count what is in memory too.
    totals: Totals,
    /// Acknowledged, even if it could not be deleted yet.
    acked: Receipt,
    /// How often numbers were changed.
    epoch: u32,
    /// The disk could not be used the last time.
    troubled: bool,
    /// The file was found damaged while it was used, and how.
    suspect: Option<String>,
    /// What is in memory was given out while older messages on the disk could not be read. Until those have been sent, no ack covers them.
    overtaken: bool,
}

impl Spool {
    /// Opens or creates the spool in `dir`. A damaged file is set aside; one that can't be opened is tried again while the kit runs.
    ///
    /// # Errors
    /// Only when a newer program wrote it.
    pub async fn open(dir: &Path, bounds: Bounds, now: Timestamp, board: Board) -> Result<Self, DiskError> {
        let totals = Totals { next_seq: start_seq(now), ..Totals::default() };
        let mut inner = Inner {
            path: dir.join("spool.db"),
            bounds,
            disk: None,
            opened: false,
            memory: Memory::default(),
            kept: Kept::new(),
            late: None,
            kept_behind: BTreeSet::new(),
            passed_over: Vec::new(),
            totals,
            acked: Receipt::default(),
            epoch: 0,
            troubled: false,
            suspect: None,
            overtaken: false,
        };
        match inner.reopen(now, &board).await {
            Err(newer @ DiskError::Newer { .. }) => return Err(newer),
            Err(error) => inner.trouble(&board, &error),
            Ok(()) => {}
        }
        let newest = watch::Sender::new(inner.totals.next_seq - 1);
        let spool = Self { inner: Mutex::new(inner), newest, acked: watch::Sender::default(), board };
        spool.report(&*spool.inner.lock().await, now);
        Ok(spool)
    }

    /// Takes a message in and returns its receipt: it is on disk, or in memory while the disk can't take it.
    pub async fn put(&self, draft: Draft, now: Timestamp) -> Receipt {
        let receipts = self.commit(Changes { drafts: vec![draft], ..Changes::default() }, now).await;
        receipts.into_iter().next().expect("a message gives a receipt")
    }

    /// Makes all of it durable in one transaction, and returns the receipts of the messages, in order.
    pub async fn commit(&self, changes: Changes, now: Timestamp) -> Vec<Receipt> {
        let mut inner = self.inner.lock().await;
        let (first, epoch) = (inner.totals.next_seq, inner.epoch);
        let rows: Vec<Row> =
            changes.drafts.into_iter().zip(first..).map(|(draft, seq)| draft.numbered(seq, now)).collect();
        inner.totals.next_seq = first + rows.len() as u64;
        inner.keep(changes.kept);
        let last = inner.totals.next_seq - 1;
        inner.pass_over(changes.passed_over, last);
        let receipts: Vec<Receipt> = rows.iter().map(|row| Receipt { epoch, seq: row.seq }).collect();
        inner.store(rows, now, &self.board).await;
        self.report(&inner, now);
        if !receipts.is_empty() {
            self.newest.send_replace(last);
        }
        receipts
    }

    /// What the kit remembers besides its messages, by name.
    pub async fn kept(&self) -> BTreeMap<String, String> {
        self.inner.lock().await.kept.clone()
    }

    /// What the kit remembered before it was started, where that could be read only after [`Spool::kept`] had been asked. Once.
    pub async fn kept_late(&self) -> Option<BTreeMap<String, String>> {
        self.inner.lock().await.late.take()
    }

    /// In which message this record of a device went, if the kit has it already.
    pub async fn seen(&self, key: &SeenKey) -> Option<Receipt> {
        let mut inner = self.inner.lock().await;
        let passed_over = inner.passed_over.iter().find(|(passed, _)| passed == key).map(|(_, seq)| *seq);
        let held = inner.memory.seen(key).or(passed_over);
        let found = match (held, inner.disk.as_mut()) {
            (None, Some(disk)) => disk.seen(key).await.unwrap_or_else(|error| {
                inner.trouble(&self.board, &error);
                None
            }),
            (held, _) => held,
        };
        found.map(|seq| Receipt { epoch: inner.epoch, seq })
    }

    /// The first `limit` messages after `seq`, in order.
    pub async fn after(&self, seq: u64, limit: u32) -> Vec<Row> {
        let mut inner = self.inner.lock().await;
        let seq = if inner.acked.epoch == inner.epoch { seq.max(inner.acked.seq) } else { seq };
        let mut rows = match inner.disk.as_mut() {
            Some(disk) => disk.after(seq, limit).await.unwrap_or_else(|error| {
                inner.fail(&self.board, &error);
                Vec::new()
            }),
            None => Vec::new(),
        };
        let room = limit as usize - rows.len();
        rows.extend(inner.memory.after(seq, room).cloned());
        inner.overtaken |= inner.disk.is_none() && !rows.is_empty();
        rows
    }

    /// Is something newer under way while older messages on the disk can't be read? Then nobody can say which is the oldest.
    pub async fn is_overtaken(&self) -> bool {
        self.inner.lock().await.overtaken
    }

    /// The core has everything up to `through`. Only what this connection has sent, up to where all of it was `taken`, leaves: a core that
    /// counts differently can't delete what it has never been told.
    pub async fn acked(&self, through: u64, taken: u64, now: Timestamp) -> Acked {
        let mut inner = self.inner.lock().await;
        if (inner.totals.next_seq..SEQ_BELIEVED_MAX).contains(&through) {
            inner.renumber(through, &self.board).await;
            self.newest.send_replace(inner.totals.next_seq - 1);
            return Acked::Again;
        }
        let acked = Receipt { epoch: inner.epoch, seq: through.min(taken) };
        if inner.overtaken {
            inner.memory.delete_through(acked.seq);
            self.report(&inner, now);
            return inner.let_catch_up();
        }
        if !acked.covered_by(inner.acked) {
            inner.acked = acked;
            inner.delete_through(acked.seq, &self.board).await;
            self.report(&inner, now);
            self.acked.send_replace(acked);
        }
        Acked::Covered
    }

    /// Takes messages that the broker refuses for what they are out of the way of the rest: each is given up, counted, and kept beside (the
    /// newest [`REFUSED_ROWS_MAX`]) with why. Whether that went: what is in memory alone waits until it is on the disk.
    pub async fn refuse(&self, seqs: &[u64], why: &str, now: Timestamp) -> bool {
        let mut inner = self.inner.lock().await;
        let totals = inner.totals;
        let Some(disk) = inner.disk.as_mut() else { return false };
        let outcome = disk.refuse(seqs, why, totals).await;
        match outcome {
            Ok(totals) => inner.totals = totals,
            Err(error) => {
                inner.fail(&self.board, &error);
                return false;
            }
        }
        self.report(&inner, now);
        true
    }

    /// Every few seconds: writes what is held in memory, if the disk takes it again; gives up what is too old, if the clock has
    /// `settled`; forgets the oldest device records.
    pub async fn tend(&self, now: Timestamp, settled: bool) {
        let mut inner = self.inner.lock().await;
        if inner.disk.is_none()
            && let Err(error) = inner.reopen(now, &self.board).await
        {
            inner.trouble(&self.board, &error);
        }
        inner.store(Vec::new(), now, &self.board).await;
        inner.tidy(now, settled, &self.board).await;
        self.report(&inner, now);
    }

    /// How many messages were given up, ever. Who waits for an acknowledgement looks whether it has grown meanwhile: a later message is
    /// acknowledged also where an earlier one was given up.
    pub async fn given_up(&self) -> u64 {
        self.inner.lock().await.totals.dropped
    }

    /// Wakes when there is a newer message; holds its `seq`.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Wakes when the core has acknowledged more.
    #[must_use]
    pub fn acked_through(&self) -> watch::Receiver<Receipt> {
        self.acked.subscribe()
    }

    /// Closes the file in order.
    pub async fn close(&self) {
        let mut inner = self.inner.lock().await;
        if let Some(disk) = inner.disk.take() {
            disk.close().await;
        }
    }

    fn report(&self, inner: &Inner, now: Timestamp) {
        let Totals { rows, dropped, dropped_newest, .. } = inner.totals;
        self.board.spool(rows + inner.memory.len() as u64, dropped);
        let newest = Timestamp::from_millisecond(dropped_newest).unwrap_or(Timestamp::UNIX_EPOCH);
        let recent = dropped > 0 && now.duration_since(newest) < GAP_REPORTED;
        let gap =
            || format!("{dropped} messages were given up unacknowledged, the newest of {newest}; nobody has seen them");
        self.board.problem("spool gap", recent.then(gap));
    }
}

/// A fresh spool's first number: larger than any that this kit has given before, if its clock is right.
fn start_seq(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0).max(1)
}

impl Inner {
    /// Opens the file; a damaged one is set aside first.
    async fn reopen(&mut self, now: Timestamp, board: &Board) -> Result<(), DiskError> {
        let opened = match self.suspect.take() {
            Some(why) => Err(DiskError::Corrupt(why)),
            None => Disk::open(&self.path).await,
        };
        let (disk, totals) = match opened {
            Err(DiskError::Corrupt(why)) => self.begin_anew(now, &why, board).await?,
            opened => opened?,
        };
        self.remember_kept(disk).await?;
        self.totals = Totals {
            next_seq: totals.next_seq.max(self.totals.next_seq),
            dropped: if self.opened {
                totals.dropped.max(self.totals.dropped)
            } else {
                totals.dropped + self.totals.dropped
            },
            dropped_newest: totals.dropped_newest.max(self.totals.dropped_newest),
            ..totals
        };
        self.opened = true;
        self.mended(board);
        Ok(())
    }

    /// Sets the damaged file aside, and takes over from it what can still be read.
    async fn begin_anew(&mut self, now: Timestamp, why: &str, board: &Board) -> Result<(Disk, Totals), DiskError> {
        let aside = self.set_aside(now, why, board);
        let (mut disk, totals) = Disk::open(&self.path).await?;
        let (totals, kept) = disk.salvage(&aside, totals, self.bounds.bytes_max).await?;
        self.came_late(&kept);
        if self.kept.is_empty() {
            self.kept = kept;
        }
        Ok((disk, totals))
    }

    fn pass_over(&mut self, keys: Vec<SeenKey>, seq: u64) {
        self.passed_over.extend(keys.into_iter().map(|key| (key, seq)));
        let over = self.passed_over.len().saturating_sub(HELD_ROWS_MAX);
        self.passed_over.drain(..over);
    }

    /// Writes what is held in memory and `rows`, or holds them. After trouble also writes nothing, to see whether that goes.
    async fn store(&mut self, rows: Vec<Row>, now: Timestamp, board: &Board) {
        let nothing = self.memory.len() == 0 && rows.is_empty() && self.kept_behind.is_empty();
        if nothing && self.passed_over.is_empty() && !self.troubled {
            return;
        }
        let waiting: Vec<Row> = self.memory.rows().iter().chain(&rows).cloned().collect();
        let behind =
            self.kept_behind.iter().map(|name| (name.clone(), self.kept.get(name).cloned().unwrap_or_default()));
        let kept: Vec<(String, String)> = behind.collect();
        let Some(disk) = self.disk.as_mut() else {
            return rows.into_iter().for_each(|row| self.hold(row, now));
        };
        let batch = Batch { rows: &waiting, kept: &kept, passed_over: &self.passed_over };
        match disk.write(batch, self.totals, self.bounds.bytes_max).await {
            Ok(totals) => {
                self.totals = totals;
                self.memory.clear();
                self.kept_behind.clear();
                self.passed_over.clear();
                self.kept.retain(|_, value| !value.is_empty());
                self.mended(board);
            }
            Err(error) => {
                self.fail(board, &error);
                rows.into_iter().for_each(|row| self.hold(row, now));
            }
        }
    }

    fn hold(&mut self, row: Row, now: Timestamp) {
        for given_up in self.memory.hold(row) {
            self.totals.dropped += 1;
            self.totals.dropped_newest = self.totals.dropped_newest.max(given_up.created_at.min(now).as_millisecond());
        }
    }

    async fn delete_through(&mut self, through: u64, board: &Board) {
        self.memory.delete_through(through);
        let Some(disk) = self.disk.as_mut() else { return };
        match disk.delete_through(through, self.totals).await {
            Ok(totals) => self.totals = totals,
            Err(error) => self.fail(board, &error),
        }
    }

    /// Everything from the first on again, once the disk can be read.
    fn let_catch_up(&mut self) -> Acked {
        if self.disk.is_none() {
            return Acked::Covered;
        }
        self.overtaken = false;
        Acked::Again
    }

    async fn renumber(&mut self, through: u64, board: &Board) {
        self.epoch += 1;
        self.totals.next_seq = through + 1;
        if let Some(disk) = self.disk.as_mut() {
            match disk.renumber(through, self.totals).await {
                Ok(totals) => self.totals = totals,
                Err(error) => self.fail(board, &error),
            }
        }
        self.totals.next_seq = self.memory.renumber(self.totals.next_seq);
        tracing::warn!(
            next_seq = self.totals.next_seq,
            "spool: the core knows higher numbers than this kit; all waiting messages were renumbered"
        );
    }

    async fn tidy(&mut self, now: Timestamp, settled: bool, board: &Board) {
        let Some(disk) = self.disk.as_mut() else { return };
        let mut outcome = disk.forget().await.map(|()| self.totals);
        if settled && outcome.is_ok() {
            outcome = disk
                .drop_older(now.saturating_sub(self.bounds.age_max).expect("a duration has no calendar"), self.totals)
                .await;
        }
        match outcome {
            Ok(totals) => self.totals = totals,
            Err(error) => self.fail(board, &error),
        }
    }

    /// Reports an error of the disk. All but a full disk close the file, to be opened (and checked through) again.
    fn fail(&mut self, board: &Board, error: &DiskError) {
        self.trouble(board, error);
        if let DiskError::Corrupt(why) = error {
            self.suspect = Some(why.clone());
        }
        if !matches!(error, DiskError::Full(_)) {
            self.disk = None;
            self.totals = Totals { rows: 0, bytes: 0, ..self.totals };
        }
    }

    fn mended(&mut self, board: &Board) {
        self.troubled = false;
        board.problem("spool", None);
    }

    fn trouble(&mut self, board: &Board, error: &DiskError) {
        self.troubled = true;
        board.problem("spool", Some(format!("{error}; new messages are only in memory, at most {HELD_ROWS_MAX}")));
    }
}

#[cfg(test)]
mod tests;
