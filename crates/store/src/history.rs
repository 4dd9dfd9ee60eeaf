//! Everything that was ever sent, in the order in which it was recorded, as fast as it can be read: for judging it again by other rules.
//!
//! A chunk holds thousands of readings as plain numbers; what they have in common (patients, kits, channels) is in one shared list of names.
//! Only stored bytes are read, in short questions of their own, so neither the writer nor the copying of its log is held up.

use std::{ops::Range, sync::Arc};

use jiff::Timestamp;
use tokio::sync::mpsc;
use vitals::{Answer, Clock, DeviceId, Flag, KitId, PatientId, Reading, Unit, Value, Vital};

use crate::{StoreError, convert::corrupt};

/// What of the history is wanted.
#[derive(Clone, Debug)]
pub struct HistoryFilter {
    /// Recorded at or after.
    pub since: Timestamp,
    /// Recorded before.
    pub until: Timestamp,
    /// Of these patients alone.
    pub patients: Option<Vec<PatientId>>,
    /// Of the patients whose index among the names, divided by `.1`, leaves `.0`: a part of them for each of several consumers.
    pub part: Option<(u32, u32)>,
    /// Connections that read beside each other: more give more where processors are idle. From 1 to [`READERS_MAX`](Self::READERS_MAX).
    pub readers: usize,
}

impl HistoryFilter {
    /// The most connections of one history.
    pub const READERS_MAX: usize = 4;
}

impl Default for HistoryFilter {
    fn default() -> Self {
        Self { since: Timestamp::MIN, until: Timestamp::MAX, patients: None, part: None, readers: 1 }
    }
}

/// What the numbers in a chunk stand for.
#[derive(Clone, Debug, Default)]
pub struct HistoryNames {
    /// By [`HistoryMessage::patient`]; `None` for a number that was never given.
    pub patients: Vec<Option<PatientId>>,
    /// By [`HistoryMessage::kit`].
    pub kits: Vec<Option<KitId>>,
    /// By [`HistoryReading::channel`].
    pub channels: Vec<Option<HistoryChannel>>,
}

/// What a series of readings has in common.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryChannel {
    /// What was measured.
    pub vital: Vital,
    /// In which unit: the canonical one.
    pub unit: Unit,
    /// Whose time it is.
    pub clock: Clock,
    /// With which device.
    pub device: DeviceId,
    /// What was odd about it.
    pub flags: Vec<Flag>,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryMessage {
    /// Whose: an index into [`HistoryNames::patients`].
    pub patient: u32,
    /// From which kit: an index into [`HistoryNames::kits`].
    pub kit: u32,
    /// Its number.
    pub seq: u64,
    /// Its stamp.
    pub recorded_at: Timestamp,
    /// Its readings among the chunk's. The first has place 0, and so on.
    pub readings: Range<u32>,
    /// Its answers among the chunk's.
    pub answers: Range<u32>,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistoryReading {
    /// What it has in common with others: an index into [`HistoryNames::channels`].
    pub channel: u32,
    /// How much.
    pub value: Value,
    /// When it was measured.
    pub measured_at: Timestamp,
}

/// Messages one after the other.
#[derive(Clone, Debug, Default)]
pub struct HistoryChunk {
    /// In the order in which they were recorded.
    pub messages: Vec<HistoryMessage>,
    /// Their readings.
    pub readings: Vec<HistoryReading>,
    /// Their answers.
    pub answers: Vec<Answer>,
    /// How far this is, of [`History::total`].
    pub done: u64,
}

/// Puts a name in its place: keys are given upwards, so that they are indices too.
pub(crate) fn place<T>(list: &mut Vec<Option<T>>, key: i64, name: T) -> Result<(), StoreError> {
    let index = u32::try_from(key)
        .map_err(|_| corrupt("patient_key, kit_key or channel", key, "want a key up to 4294967295".into()))?;
    let index = index as usize;
    if list.len() <= index {
        list.resize_with(index + 1, || None);
    }
    list[index] = Some(name);
    Ok(())
}

impl HistoryNames {
    /// A message's patient.
    #[must_use]
    pub fn patient(&self, message: &HistoryMessage) -> &PatientId {
        known(&self.patients, message.patient)
    }

    /// A message's kit.
    #[must_use]
    pub fn kit(&self, message: &HistoryMessage) -> &KitId {
        known(&self.kits, message.kit)
    }

    /// What a reading has in common with others.
    #[must_use]
    pub fn channel(&self, reading: &HistoryReading) -> &HistoryChannel {
        known(&self.channels, reading.channel)
    }

    /// A message's readings as they were admitted, in place of what is there.
    pub fn readings(&self, chunk: &HistoryChunk, message: &HistoryMessage, into: &mut Vec<Reading>) {
        into.clear();
        into.extend(chunk.readings_of(message).iter().map(|reading| self.reading(reading)));
    }

    /// A reading as it was admitted.
    #[must_use]
    pub fn reading(&self, reading: &HistoryReading) -> Reading {
        let HistoryChannel { vital, unit, clock, device, flags } = self.channel(reading);
        let HistoryReading { value, measured_at, .. } = *reading;
        Reading {
            vital: *vital,
            value,
            unit: *unit,
            measured_at,
            clock: *clock,
            device: device.clone(),
            flags: flags.clone(),
        }
    }
}

fn known<T>(names: &[Option<T>], index: u32) -> &T {
    names[index as usize].as_ref().expect("a chunk names only what its history knows")
}

impl HistoryChunk {
    /// A message's readings.
    #[must_use]
    pub fn readings_of(&self, message: &HistoryMessage) -> &[HistoryReading] {
        &self.readings[message.readings.start as usize..message.readings.end as usize]
    }

    /// A message's answers.
    #[must_use]
    pub fn answers_of(&self, message: &HistoryMessage) -> &[Answer] {
        &self.answers[message.answers.start as usize..message.answers.end as usize]
    }
}

/// A chunk on its way; the last of its turn lets the next reader follow.
pub(crate) type Step = Result<(HistoryChunk, bool), StoreError>;

/// A history being read. Dropping it ends the reading.
pub struct History {
    names: Arc<HistoryNames>,
    total: u64,
    readers: Vec<mpsc::Receiver<Step>>,
    turn: usize,
}

impl History {
    /// Chunks come from each reader in turn.
    pub(crate) fn new(names: Arc<HistoryNames>, total: u64, readers: Vec<mpsc::Receiver<Step>>) -> Self {
        Self { names, total, readers, turn: 0 }
    }

    /// What the numbers stand for.
    #[must_use]
    pub fn names(&self) -> &Arc<HistoryNames> {
        &self.names
    }

    /// How many messages are gone through, at most: where [`HistoryChunk::done`] ends.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The next chunk; none at the end, or after an error.
    pub async fn next(&mut self) -> Option<Result<HistoryChunk, StoreError>> {
        let step = self.readers.get_mut(self.turn)?.recv().await;
        self.took(step)
    }

    /// The same, for a thread that may wait.
    pub fn next_blocking(&mut self) -> Option<Result<HistoryChunk, StoreError>> {
        let step = self.readers.get_mut(self.turn)?.blocking_recv();
        self.took(step)
    }

    fn took(&mut self, step: Option<Step>) -> Option<Result<HistoryChunk, StoreError>> {
        match step {
            Some(Ok((chunk, is_last))) => {
                if is_last {
                    self.turn = (self.turn + 1) % self.readers.len();
                }
                Some(Ok(chunk))
            }
            Some(Err(error)) => {
                self.readers.clear();
                Some(Err(error))
            }
            None => {
                self.readers.clear();
                None
            }
        }
    }
}
