//! What waits between the sources and the judge, in two lanes: what was measured lately, and what is late or comes too fast.
//!
//! After an outage thousands of kits send what they kept. Were there one queue, a red of this minute would wait behind days of others. So each
//! lane has bounds of its own, and the judge takes the fresh one first; the late one has a share in any case (decision 0082).
//!
//! Order is kept for each kit and each patient: as long as something of theirs is in the late lane, or waits for room there, what comes after
//! it goes there too. So a person's own backlog is judged before their newest reading, as it was measured; nobody else's is.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use vitals::{KitId, PatientId};

use super::{Admitted, Incoming};
use crate::source::{Lane, NotTaken};

/// A message whose newest reading is older than this is late.
pub const FRESH_AGE_MAX: SignedDuration = SignedDuration::from_mins(10);
/// The most messages that wait in the fresh lane.
pub const FRESH_MESSAGES_MAX: usize = 3072;
/// The most messages that wait in the late lane.
pub const LATE_MESSAGES_MAX: usize = 1024;
/// The most bytes of fresh messages that wait, or are in a batch.
pub const FRESH_BYTES_MAX: usize = 48 * 1024 * 1024;
/// The most bytes of late messages that wait, or are in a batch.
pub const LATE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Where both lanes wait, one message of so many is a late one.
const LATE_SHARE: usize = 8;
/// The most late messages that are judged before it is looked again whether there are fresh ones.
const LATE_AT_ONCE_MAX: usize = 512;

/// A message's bytes in the intake, from when it entered until it is stored.
pub(super) type Room = OwnedSemaphorePermit;

/// Both lanes.
pub(super) struct Lanes {
    waiting: Mutex<Waiting>,
    came: Notify,
    fresh: Bounds,
    late: Bounds,
    behind: Arc<Behind>,
}

#[derive(Default)]
struct Waiting {
    fresh: VecDeque<Incoming>,
    late: VecDeque<Incoming>,
    closed: bool,
}

struct Bounds {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

/// Whose messages are in the late lane, or wait for room there. Bounded by what the sources hold.
#[derive(Default)]
struct Behind(Mutex<(HashMap<KitId, usize>, HashMap<PatientId, usize>)>);

/// Where a message goes; it counts as behind until this is dropped.
pub(super) struct Place {
    pub lane: Lane,
    _late: Option<Late>,
}

struct Late {
    behind: Arc<Behind>,
    kit: KitId,
    patient: Option<PatientId>,
}

/// Room for one message.
pub(super) struct Entry {
    /// Its place in the queue, given back when the judge takes it.
    pub place: OwnedSemaphorePermit,
    /// Its bytes, given back when it is stored.
    pub room: Room,
}

impl Lanes {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            came: Notify::new(),
            fresh: Bounds::new(FRESH_MESSAGES_MAX, FRESH_BYTES_MAX),
            late: Bounds::new(LATE_MESSAGES_MAX, LATE_BYTES_MAX),
            behind: Arc::default(),
        })
    }

    /// Where this message goes. From here on what comes after it does not overtake it.
    pub fn place(&self, admitted: &Admitted, slowed: bool, now: Timestamp) -> Place {
        let old = admitted.newest().is_some_and(|newest| now.duration_since(newest) > FRESH_AGE_MAX);
        let patient = admitted.entry.as_ref().map(|entry| entry.patient.clone());
        let late = self.behind.join(old || slowed, &admitted.kit, patient);
        Place { lane: if late.is_some() { Lane::Late } else { Lane::Fresh }, _late: late }
    }

    /// Waits for room.
    pub async fn room(&self, lane: Lane, bytes: usize) -> Result<Entry, NotTaken> {
        let bounds = self.bounds(lane);
        let bytes = u32::try_from(bytes.min(bounds.bytes_max)).unwrap_or(u32::MAX);
        let stopping = |_| NotTaken::Stopping;
        let room = Arc::clone(&bounds.bytes).acquire_many_owned(bytes).await.map_err(stopping)?;
        let place = Arc::clone(&bounds.messages).acquire_owned().await.map_err(stopping)?;
        Ok(Entry { place, room })
    }

    /// Queues a message that has room.
    pub fn enter(&self, incoming: Incoming) -> Result<(), NotTaken> {
        {
            let mut waiting = self.lock();
            if waiting.closed {
                return Err(NotTaken::Stopping);
            }
            match incoming.place.lane {
                Lane::Fresh => waiting.fresh.push_back(incoming),
                Lane::Late => waiting.late.push_back(incoming),
            }
        }
        self.came.notify_one();
        Ok(())
    }

    /// Takes up to `room` messages, fresh ones first; 0 when it is closed and empty. Nothing is lost when this is dropped.
    pub async fn recv_many(&self, into: &mut Vec<Incoming>, room: usize) -> usize {
        loop {
            let came = self.came.notified();
            {
                let mut waiting = self.lock();
                let taken = waiting.take(into, room);
                if taken > 0 || waiting.closed {
                    return taken;
                }
            }
            came.await;
        }
    }

    /// Takes nothing more in. What waits is still given out.
    pub fn close(&self) {
        self.lock().closed = true;
        for bounds in [&self.fresh, &self.late] {
            bounds.messages.close();
            bounds.bytes.close();
        }
        self.came.notify_one();
    }

    /// How many wait: fresh ones, late ones.
    pub fn waiting(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.fresh.len(), waiting.late.len())
    }

    /// Bytes of what has entered and is not stored yet.
    pub fn bytes(&self) -> usize {
        [&self.fresh, &self.late].iter().map(|bounds| bounds.bytes_max - bounds.bytes.available_permits()).sum()
    }

    fn bounds(&self, lane: Lane) -> &Bounds {
        match lane {
            Lane::Fresh => &self.fresh,
            Lane::Late => &self.late,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Fresh ones first, but for the late ones' share. Of the same patient what is taken from the fresh lane came first: else it would
    /// wait in the other.
    fn take(&mut self, into: &mut Vec<Incoming>, room: usize) -> usize {
        let share = self.late.len().min(room.div_ceil(LATE_SHARE));
        let fresh = self.fresh.len().min(room - share);
        let late = self.late.len().min(room - fresh).min(LATE_AT_ONCE_MAX.max(share));
        into.extend(self.fresh.drain(..fresh));
        into.extend(self.late.drain(..late));
        fresh + late
    }
}

impl Bounds {
    fn new(messages: usize, bytes_max: usize) -> Self {
        Self { messages: Arc::new(Semaphore::new(messages)), bytes: Arc::new(Semaphore::new(bytes_max)), bytes_max }
    }
}

impl Behind {
    /// One more that is late, either by itself or because it must not overtake one that is.
    fn join(self: &Arc<Self>, late: bool, kit: &KitId, patient: Option<PatientId>) -> Option<Late> {
        let mut counts = self.lock();
        let (kits, patients) = &mut *counts;
        let follows = kits.contains_key(kit) || patient.as_ref().is_some_and(|patient| patients.contains_key(patient));
        if !late && !follows {
            return None;
        }
        *kits.entry(kit.clone()).or_default() += 1;
        if let Some(patient) = &patient {
            *patients.entry(patient.clone()).or_default() += 1;
        }
        Some(Late { behind: Arc::clone(self), kit: kit.clone(), patient })
    }

    fn lock(&self) -> MutexGuard<'_, (HashMap<KitId, usize>, HashMap<PatientId, usize>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        let mut counts = self.behind.lock();
        let (kits, patients) = &mut *counts;
        one_less(kits, &self.kit);
        if let Some(patient) = &self.patient {
            one_less(patients, patient);
        }
    }
}

fn one_less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => drop(counts.remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::source::Arrival;

    fn now() -> Timestamp {
        "2026-11-22T08:00:00Z".parse().unwrap()
    }

    /// A message of one reading, measured so many minutes ago.
    fn admitted(kit: &str, patient: &str, seq: u64, minutes: i64) -> Admitted {
        let measured_at = now() - SignedDuration::from_mins(minutes);
        let reading = format!(
            r#"{{"vital":"spo2","value":95,"unit":"%","measured_at":"{measured_at}","clock":"device","device":"sim:1"}}"#
        );
        let (kit, session): (KitId, _) = (kit.parse().unwrap(), uuid::Uuid::nil());
        let entry = store::Entry {
            key: store::KitSeq { kit: kit.clone(), seq },
            hash: [0; 32],
            patient: patient.parse().unwrap(),
            session,
            sent_at: now(),
            recorded_at: now(),
            readings: vec![serde_json::from_str(&reading).unwrap()],
            answers: Vec::new(),
            receipts: Vec::new(),
        };
        let (seq, way) = (Some(seq), Default::default());
        Admitted { kit, seq, oldest: None, hash: [0; 32], entry: Some(entry), refused: None, why: "", way }
    }

    /// Puts it in line, without waiting for room.
    async fn comes(lanes: &Lanes, admitted: Admitted, slowed: bool) -> Lane {
        let place = lanes.place(&admitted, slowed, now());
        let lane = place.lane;
        let Entry { place: _permit, room } = lanes.room(lane, 100).await.unwrap();
        let arrival = Arrival {
            kit: admitted.kit.clone(),
            payload: Bytes::new(),
            refused: None,
            received_at: now(),
            wants_ack: false,
        };
        lanes.enter(Incoming { arrival, admitted, ack: None, place, _permit, room }).unwrap();
        lane
    }

    async fn taken(lanes: &Lanes, room: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        lanes.recv_many(&mut taken, room).await;
        taken.iter().filter_map(|incoming| incoming.admitted.seq).collect()
    }

    #[tokio::test]
    async fn fresh_ones_come_first_and_late_ones_have_their_share() {
        let lanes = Lanes::new();
        for seq in 0..40 {
            assert_eq!(comes(&lanes, admitted("late", "p-1", 100 + seq, 60), false).await, Lane::Late);
        }
        for seq in 0..40 {
            let kit = format!("kit-{seq}");
            assert_eq!(comes(&lanes, admitted(&kit, &kit, seq, 0), false).await, Lane::Fresh);
        }
        assert_eq!(taken(&lanes, 16).await, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 100, 101]);
        let rest = taken(&lanes, 4096).await;
        assert_eq!((rest.len(), rest[0], rest[26]), (64, 14, 102));
        assert_eq!(lanes.waiting(), (0, 0));
    }

    #[tokio::test]
    async fn nobody_overtakes_themselves() {
        let lanes = Lanes::new();
        assert_eq!(comes(&lanes, admitted("kit-1", "p-1", 1, 60), false).await, Lane::Late);
        assert_eq!(comes(&lanes, admitted("kit-1", "p-1", 2, 0), false).await, Lane::Late, "behind its own kit's");
        assert_eq!(comes(&lanes, admitted("kit-2", "p-1", 3, 0), false).await, Lane::Late, "behind its own patient's");
        assert_eq!(comes(&lanes, admitted("kit-3", "p-3", 4, 0), false).await, Lane::Fresh);
        assert_eq!(comes(&lanes, admitted("kit-3", "p-3", 5, 0), true).await, Lane::Late, "too fast");
        assert_eq!(taken(&lanes, 100).await, [4, 1, 2, 3, 5]);
        assert_eq!(
            comes(&lanes, admitted("kit-1", "p-1", 6, 0), false).await,
            Lane::Fresh,
            "nothing is behind any more"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_late_lane_holds_its_own_alone() {
        let lanes = Lanes::new();
        for seq in 0..LATE_MESSAGES_MAX as u64 {
            comes(&lanes, admitted("late", "p-1", seq, 60), false).await;
        }
        let waits = comes(&lanes, admitted("late", "p-1", 9999, 60), false);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(60), waits).await.is_err(), "there was room");
        assert_eq!(comes(&lanes, admitted("kit-2", "p-2", 1, 0), false).await, Lane::Fresh);
        assert_eq!(taken(&lanes, 1).await.len(), 1);
        lanes.close();
        let mut rest = Vec::new();
        while lanes.recv_many(&mut rest, 100).await > 0 {}
        assert_eq!(rest.len(), LATE_MESSAGES_MAX, "what waits is given out before the end");
        assert!(lanes.room(Lane::Fresh, 1).await.is_err());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_for_room_is_not_behind_any_more() {
        let lanes = Lanes::new();
        drop(lanes.place(&admitted("kit-1", "p-1", 1, 60), false, now()));
        assert_eq!(lanes.place(&admitted("kit-1", "p-1", 2, 0), false, now()).lane, Lane::Fresh);
    }
}
