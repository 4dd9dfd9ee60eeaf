//! Step 3 of a reading's way: what a device measured becomes readings of a sitting, in a message that is durable before it is sent.

use drivers::Measured;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use vitals::{Clock, DeviceId, Flag, Reading};

use crate::{
    placing::{Timeline, is_start_value},
    round::{Handle, Keyed, Spooled, Taken},
    spool::{Receipt, SeenKey, Spool},
    stage::{Event, Kept, Stage},
};

/// Takes measurements in. One for the kit.
pub struct Keeper {
    spool: std::sync::Arc<Spool>,
    round: Handle,
    zone: TimeZone,
    stage: Stage,
}

/// Where measurements come from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Under which the board knows the device.
    pub key: &'a str,
    /// The device.
    pub device: &'a DeviceId,
    /// Which of the device's users the person is, where that is configured.
    pub user: Option<u8>,
    /// It says that it is simulated.
    pub simulated: bool,
    /// Its clock.
    pub timeline: &'a Timeline,
}

impl Keeper {
    /// A keeper for a kit whose devices' clocks are in `zone`.
    #[must_use]
    pub fn new(spool: std::sync::Arc<Spool>, round: Handle, zone: TimeZone, stage: Stage) -> Self {
        Self { spool, round, zone, stage }
    }

    /// Where it says what it has kept.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
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

    /// Takes in what a device measured: spooled, or held until somebody has said whose it is (see [`crate::round`]). Records that the
    /// device has sent before are passed over. The receipt covers all of it; when the core has acknowledged it, the device may forget.
    pub async fn keep(&self, source: Source<'_>, measured: Vec<Measured>, now: Timestamp) -> Option<Receipt> {
        let (mut readings, mut receipt): (Vec<Keyed>, _) = (Vec::new(), None);
        for one in measured {
            let (reading, key) = self.reading(source, one, now);
            if let Some(known) = &key {
                if readings.iter().any(|(_, other)| *other == key) {
                    continue;
                }
                if let Some(before) = self.spool.seen(known).await {
                    receipt = later(receipt, before);
                    continue;
                }
            }
            readings.push((reading, key));
        }
        if readings.is_empty() {
            return receipt;
        }
        let (device, user) = (source.device.clone(), source.user);
        let taken = self.round.take_in(Taken { device, user, readings }, now).await;
        for Spooled { session, receipt: put, readings } in taken.spooled {
            tracing::info!(readings = readings.len(), device = %source.device, %session, "taken in");
            receipt = later(receipt, put);
            self.stage.say(source.key, source.device, Event::Measured(Kept { session, receipt: put, readings }));
        }
        if taken.withheld { Some(Receipt::withheld()) } else { receipt }
    }

    /// A record can be told from a new reading by the device's own time alone; see [`proves_a_repeat`].
    fn reading(&self, source: Source<'_>, measured: Measured, now: Timestamp) -> (Reading, Option<SeenKey>) {
        let placed = source.timeline.place(&measured, now, &self.zone);
        let Measured { vital, value, unit, device_time, flags, .. } = measured;
        let device = source.device;
        let key = device_time.filter(|_| proves_a_repeat(device_time, placed.clock, &flags));
        let person = flags.iter().find(|flag| is_user(flag)).cloned();
        let key = key.map(|device_time| SeenKey { device: device.clone(), device_time, person, vital, value });
        let (measured_at, clock) = (placed.measured_at, placed.clock);
        let mut reading = Reading { vital, value, unit, measured_at, clock, device: device.clone(), flags };
        placed.flag.into_iter().for_each(|flag| reading.flag(flag));
        if source.simulated {
            reading.flag(Flag::SIMULATED);
        }
        (reading, key)
    }
}

/// A clock that counts gives no two measurements the same time, also when it is wrong. One that stands at its start value does, and so
/// does one that starts there every time it is switched on: losing a reading is worse than having one twice.
fn proves_a_repeat(device_time: Option<DateTime>, clock: Clock, flags: &[Flag]) -> bool {
    let starting = device_time.is_some_and(is_start_value);
    (clock != Clock::Kit || !starting) && !flags.contains(&Flag::CLOCK_NOT_SET)
}

/// Which user of a shared device it was.
fn is_user(flag: &Flag) -> bool {
    flag.as_str().starts_with("user_")
}

fn later(receipt: Option<Receipt>, other: Receipt) -> Option<Receipt> {
    Some(receipt.map_or(other, |receipt| receipt.max(other)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use vitals::{Unit, Value, Vital};

    use super::*;
    use crate::{
        board::Board,
        round::Rules,
        spool::{Bounds as SpoolBounds, Priority},
    };

    async fn keeper(dir: &tempfile::TempDir) -> Keeper {
        let bounds = SpoolBounds { bytes_max: 1 << 20, age_max: SignedDuration::from_hours(240) };
        let spool = Spool::open(dir.path(), bounds, at(0), Board::default()).await.unwrap();
        let spool = Arc::new(spool);
        let (rules, board) = (Rules::plain(TimeZone::UTC), Board::default());
        let round = Handle::open(rules, spool.clone(), board, dir.path().to_owned()).await;
        Keeper::new(spool, round, TimeZone::UTC, Stage::default())
    }

    async fn keep(keeper: &Keeper, device: &DeviceId, measured: Vec<Measured>, now: Timestamp) -> Option<Receipt> {
        let source = Source { key: "x", device, user: None, simulated: false, timeline: &Timeline::default() };
        keeper.keep(source, measured, now).await
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
        rows.iter().map(|row| wire::decode(row.payload(at(0), None).as_bytes()).unwrap().message).collect()
    }

    #[tokio::test]
    async fn a_device_that_sends_its_records_again_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        let record = || vec![spo2(93, Some("2026-11-22T07:59:00")), spo2(93, Some("2026-11-22T07:59:00"))];
        let first = keep(&keeper, &device, record(), at(0)).await;
        let again = keep(&keeper, &device, record(), at(10)).await;
        assert_eq!(first, again, "the receipt is that of the message it went in");
        let other: DeviceId = "gatt-plx:2".parse().unwrap();
        keep(&keeper, &other, record(), at(20)).await;
        let counts: Vec<_> = sent(&keeper).await.iter().map(|message| message.readings.len()).collect();
        assert_eq!(counts, [1, 1]);
    }

    #[tokio::test]
    async fn a_clock_that_was_never_set_is_no_proof_of_a_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        for second in [0, 60] {
            let source =
                Source { key: "x", device: &device, user: None, simulated: true, timeline: &Timeline::default() };
            keeper.keep(source, vec![spo2(93, Some("2017-01-01T00:00:00"))], at(second)).await;
        }
        let messages = sent(&keeper).await;
        assert_eq!(messages.len(), 2);
        let reading = &messages[1].readings[0];
        assert_eq!((reading.measured_at, reading.clock), (at(60), Clock::Kit));
        assert_eq!(reading.flags, [Flag::CLOCK_IMPLAUSIBLE, Flag::SIMULATED]);
        assert_eq!(messages[0].session, messages[1].session, "within the gap");
    }

    #[tokio::test]
    async fn a_time_that_says_itself_that_its_clock_was_not_set_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        for second in [0, 60] {
            let mut record = spo2(93, Some("2026-11-22T07:59:00"));
            record.flags.push(Flag::CLOCK_NOT_SET);
            keep(&keeper, &device, vec![record], at(second)).await;
        }
        let readings: Vec<_> = sent(&keeper).await.into_iter().flat_map(|message| message.readings).collect();
        let placed: Vec<_> = readings.iter().map(|reading| (reading.measured_at, reading.clock)).collect();
        assert_eq!(placed, [(at(0), Clock::Kit), (at(60), Clock::Kit)]);
    }

    #[tokio::test]
    async fn a_record_of_a_clock_that_counts_is_a_repeat_however_wrong_it_is_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let device: DeviceId = "gatt-blood-pressure:1".parse().unwrap();
        let mut receipts = Vec::new();
        for second in [0, 60, 120] {
            let keeper = keeper(&dir).await;
            let record = vec![spo2(93, Some("2017-01-16T00:57:28")), spo2(94, Some("2026-11-21T08:00:00"))];
            receipts.push(keep(&keeper, &device, record, at(second)).await);
            let messages = sent(&keeper).await;
            assert_eq!(messages.iter().map(|message| message.readings.len()).sum::<usize>(), 2, "after {second} s");
            keeper.spool.close().await;
        }
        assert!(receipts[0].is_some() && receipts.iter().all(|receipt| *receipt == receipts[0]), "{receipts:?}");
    }

    #[tokio::test]
    async fn two_people_who_share_a_device_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-weight:1".parse().unwrap();
        let of = |user: &'static str| {
            let mut record = spo2(93, Some("2026-11-22T07:59:00"));
            record.flags.push(Flag::new(user));
            vec![record]
        };
        for user in ["user_1", "user_2", "user_1"] {
            keep(&keeper, &device, of(user), at(0)).await;
        }
        assert_eq!(sent(&keeper).await.len(), 2);
    }

    #[tokio::test]
    async fn what_was_kept_is_said_with_its_receipt_and_a_repeat_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        let mut heard = keeper.stage().listen();
        let record = || vec![spo2(93, Some("2026-11-22T07:59:00"))];
        let receipt = keep(&keeper, &device, record(), at(0)).await;
        keep(&keeper, &device, record(), at(9)).await;
        let Event::Measured(kept) = heard.try_recv().unwrap().event else { panic!("measured") };
        assert_eq!((Some(kept.receipt), kept.readings.len()), (receipt, 1));
        assert!(heard.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_value_beyond_belief_is_kept_longest() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(&dir).await;
        let device: DeviceId = "gatt-plx:1".parse().unwrap();
        keep(&keeper, &device, vec![spo2(93, None)], at(0)).await;
        keep(&keeper, &device, vec![spo2(62, None)], at(1)).await;
        let priorities: Vec<_> = keeper.spool.after(0, 10).await.iter().map(|row| row.priority).collect();
        assert_eq!(priorities, [Priority::Routine, Priority::Urgent]);
    }
}
