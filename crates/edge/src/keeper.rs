//! Step 3 of a reading's way: what a device measured becomes readings of a sitting, in a message that is durable before it is sent.

use drivers::Measured;
use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::Mutex;
use uuid::{NoContext, Uuid};
use vitals::{Bounds, Clock, DeviceId, Flag, Reading};

use crate::{
    placing::place,
    sitting::Sittings,
    spool::{Draft, Priority, Receipt, SeenKey, Spool},
};

/// Takes measurements in. One for the kit.
pub struct Keeper {
    spool: std::sync::Arc<Spool>,
    sittings: Mutex<Sittings>,
    zone: TimeZone,
}

impl Keeper {
    /// A keeper for a kit whose devices' clocks are in `zone`.
    #[must_use]
    pub fn new(spool: std::sync::Arc<Spool>, zone: TimeZone) -> Self {
        Self { spool, sittings: Mutex::default(), zone }
    }

    /// The zone of the devices' clocks.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The spool that it fills.
    #[must_use]
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Spools what `device` measured. Records that the device has sent before are passed over. The receipt covers both; when the core
    /// has acknowledged it, the device may forget.
    pub async fn keep(
        &self,
        device: &DeviceId,
        simulated: bool,
        measured: Vec<Measured>,
        now: Timestamp,
    ) -> Option<Receipt> {
        let (mut drafts, mut receipt) = (Vec::new(), None);
        for one in measured {
            let (reading, key) = self.reading(device, simulated, one, now);
            if let Some(key) = &key {
                if drafts.iter().any(|draft: &Draft| draft.seen.contains(key)) {
                    continue;
                }
                if let Some(before) = self.spool.seen(key).await {
                    receipt = later(receipt, before);
                    continue;
                }
            }
            self.add(&mut drafts, reading, key, now).await;
        }
        for draft in drafts {
            tracing::info!(readings = draft.readings.len(), %device, session = %draft.session, "taken in");
            receipt = later(receipt, self.spool.put(draft, now).await);
        }
        receipt
    }

    /// Into the message of its sitting.
    async fn add(&self, drafts: &mut Vec<Draft>, reading: Reading, key: Option<SeenKey>, now: Timestamp) {
        let session = self.sittings.lock().await.join(reading.measured_at, || session_id(now));
        let index = drafts.iter().position(|draft| draft.session == session).unwrap_or_else(|| {
            drafts.push(Draft {
                session,
                readings: vec![],
                answers: vec![],
                priority: Priority::Routine,
                seen: vec![],
            });
            drafts.len() - 1
        });
        let draft = &mut drafts[index];
        if looks_urgent(&reading) {
            draft.priority = Priority::Urgent;
        }
        draft.readings.push(reading);
        draft.seen.extend(key);
    }

    /// A record can be told from a new reading only by a clock that is believed: an unset one gives every reading the same time.
    fn reading(
        &self,
        device: &DeviceId,
        simulated: bool,
        measured: Measured,
        now: Timestamp,
    ) -> (Reading, Option<SeenKey>) {
        let Measured { vital, value, unit, device_time, flags, .. } = measured;
        let placed = place(device_time, &flags, now, &self.zone);
        let key = device_time.filter(|_| placed.clock == Clock::Device);
        let key = key.map(|device_time| SeenKey { device: device.clone(), device_time, vital, value });
        let (measured_at, clock) = (placed.measured_at, placed.clock);
        let mut reading = Reading { vital, value, unit, measured_at, clock, device: device.clone(), flags };
        placed.flag.into_iter().for_each(|flag| reading.flag(flag));
        if simulated {
            reading.flag(Flag::SIMULATED);
        }
        (reading, key)
    }
}

fn later(receipt: Option<Receipt>, other: Receipt) -> Option<Receipt> {
    Some(receipt.map_or(other, |receipt| receipt.max(other)))
}

/// Outside what is believable for a body: the last to be given up when the spool is over its bound. The kit knows no patient's limits.
fn looks_urgent(reading: &Reading) -> bool {
    let canonical = reading.clone().into_canonical().ok();
    canonical.zip(Bounds::of(reading.vital)).is_some_and(|(reading, bounds)| {
        let (low, high) = bounds.suspect;
        !(low..=high).contains(&reading.value.decimal())
    })
}

fn session_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, now.subsec_nanosecond().unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use vitals::{Unit, Value, Vital};

    use super::*;
    use crate::{board::Board, spool::Bounds as SpoolBounds};

    async fn keeper(dir: &tempfile::TempDir) -> Keeper {
        let bounds = SpoolBounds { bytes_max: 1 << 20, age_max: SignedDuration::from_hours(240) };
        let spool = Spool::open(dir.path(), bounds, at(0), Board::default()).await.unwrap();
        Keeper::new(Arc::new(spool), TimeZone::UTC)
    }

    fn at(second: i64) -> Timestamp {
        "2026-11-22T08:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
    }

    fn spo2(value: i64, device_time: Option<&str>) -> Measured {
        let device_time = device_time.map(|time| time.parse().unwrap());
        Measured {
            vital: Vital::Spo2,
            value: Value::new(value, 0),
            unit: Unit::Percent,
            device_time,
            device_offset: None,
            flags: vec![],
        }
    }

    async fn sent(keeper: &Keeper) -> Vec<wire::Message> {
        let rows = keeper.spool.after(0, 100).await;
        rows.iter().map(|row| wire::decode(row.payload(at(0)).as_bytes()).unwrap().message).collect()
    }

    #[tokio::test]
    async fn a_device_that_sends_its_records_again_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        let record = || vec![spo2(93, Some("2026-11-22T07:59:00")), spo2(93, Some("2026-11-22T07:59:00"))];
        let first = keeper.keep(&device, false, record(), at(0)).await;
        let again = keeper.keep(&device, false, record(), at(10)).await;
        assert_eq!(first, again, "the receipt is that of the message it went in");
        let other: DeviceId = "gatt-plx:2".parse().unwrap();
        keeper.keep(&other, false, record(), at(20)).await;
        let counts: Vec<_> = sent(&keeper).await.iter().map(|message| message.readings.len()).collect();
        assert_eq!(counts, [1, 1]);
    }

    #[tokio::test]
    async fn a_clock_that_was_never_set_is_no_proof_of_a_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        for second in [0, 60] {
            keeper.keep(&device, true, vec![spo2(93, Some("2017-01-01T00:00:00"))], at(second)).await;
        }
        let messages = sent(&keeper).await;
        assert_eq!(messages.len(), 2);
        let reading = &messages[1].readings[0];
        assert_eq!((reading.measured_at, reading.clock), (at(60), Clock::Kit));
        assert_eq!(reading.flags, [Flag::CLOCK_IMPLAUSIBLE, Flag::SIMULATED]);
        assert_eq!(messages[0].session, messages[1].session, "within the gap");
    }

    #[tokio::test]
    async fn a_value_beyond_belief_is_kept_longest() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        keeper.keep(&device, false, vec![spo2(93, None)], at(0)).await;
        keeper.keep(&device, false, vec![spo2(62, None)], at(1)).await;
        let priorities: Vec<_> = keeper.spool.after(0, 10).await.iter().map(|row| row.priority).collect();
        assert_eq!(priorities, [Priority::Routine, Priority::Urgent]);
    }
}
