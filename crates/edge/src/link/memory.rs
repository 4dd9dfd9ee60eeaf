//! What of a device has to outlive a connection: how its clock was moved, and what the core still has to acknowledge before it may forget.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use vitals::DeviceId;

use crate::{config::DEVICES_MAX, placing::Timeline, spool::Receipt};

/// Devices whose clocks are remembered: those of the kit, and as many that were taken out of the configuration.
const CLOCKS_MAX: usize = 2 * DEVICES_MAX;

/// The clocks that the kit has moved. Clones share it. Kept in a file, so that what a device stored before it was set is still placed by
/// its old clock after a restart.
#[derive(Clone, Debug)]
pub struct Clocks {
    file: PathBuf,
    known: Arc<Mutex<BTreeMap<String, Timeline>>>,
}

impl Clocks {
    /// As remembered in this file, which need not exist. One that can't be read is begun anew.
    #[must_use]
    pub fn open(file: PathBuf) -> Self {
        let known = fs::read_to_string(&file).ok().map(|text| serde_json::from_str(&text));
        if let Some(Err(error)) = &known {
            tracing::warn!(path = %file.display(), %error, "what was known of the devices' clocks is lost");
        }
        let known = known.and_then(Result::ok).unwrap_or_default();
        Self { file, known: Arc::new(Mutex::new(known)) }
    }

    /// What is known of a device's clock at the beginning of a connection.
    #[must_use]
    pub fn timeline(&self, device: &DeviceId) -> Timeline {
        let known = self.known.lock().expect("no code panics while it holds the clocks");
        let mut timeline = known.get(device.as_str()).cloned().unwrap_or_default();
        timeline.connected();
        timeline
    }

    /// Keeps what later connections need.
    pub fn remember(&self, device: &DeviceId, timeline: &Timeline) {
        let mut known = self.known.lock().expect("no code panics while it holds the clocks");
        let mut later = timeline.clone();
        later.connected();
        let before = if later.is_worth_keeping() {
            if known.len() >= CLOCKS_MAX && !known.contains_key(device.as_str()) {
                known.pop_first();
            }
            known.insert(device.to_string(), later.clone())
        } else {
            known.remove(device.as_str())
        };
        if before.unwrap_or_default() != later {
            self.write(&known);
        }
    }

    fn write(&self, known: &BTreeMap<String, Timeline>) {
        let text = serde_json::to_string(known).expect("text keys and times");
        let beside = self.file.with_extension("new");
        let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &self.file));
        if let Err(error) = written {
            tracing::warn!(path = %self.file.display(), %error, "the devices' clocks can't be remembered");
        }
    }
}

/// What the core has to acknowledge before a device may forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Up to where.
    pub receipt: Receipt,
    /// How many messages the spool had given up when the first of it was taken in. If they have become more, one of them may be of this.
    pub given_up: u64,
}

impl Debt {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { receipt: self.receipt.max(other.receipt), given_up: self.given_up.min(other.given_up) }
    }
}

/// What devices are owed whose connection ended too early. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Owed {
    by_key: Arc<Mutex<BTreeMap<String, Debt>>>,
}

impl Owed {
    /// The connection to the device under `key` ended before the core had acknowledged this.
    pub fn remember(&self, key: &str, owed: Debt) {
        // What is held may be answered for meanwhile; the device, which still has it, tells it again.
        if owed.receipt == Receipt::withheld() {
            return;
        }
        let mut by_key = self.by_key.lock().expect("no code panics while it holds the receipts");
        if by_key.len() < CLOCKS_MAX || by_key.contains_key(key) {
            let debt = by_key.get(key).map_or(owed, |before| before.and(owed));
            by_key.insert(key.to_owned(), debt);
        }
    }

    /// What it is still owed, handed over to the connection that asks.
    #[must_use]
    pub fn take(&self, key: &str) -> Option<Debt> {
        self.by_key.lock().expect("no code panics while it holds the receipts").remove(key)
    }
}

#[cfg(test)]
mod tests {
    use drivers::DeviceClock;
    use jiff::{Timestamp, tz::TimeZone};

    use super::*;

    #[test]
    fn a_clock_that_was_moved_is_remembered_over_a_restart_and_a_right_one_takes_no_place() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Clocks::open(dir.path().join("clocks.json"));
        let (off, right): (DeviceId, DeviceId) = ("gatt-plx:1".parse().unwrap(), "gatt-plx:2".parse().unwrap());
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        for (device, shown) in [(&off, "2026-11-22T07:00:00"), (&right, "2026-11-22T08:00:05")] {
            let clocks = open();
            let mut timeline = clocks.timeline(device);
            timeline.read(DeviceClock::Local(shown.parse().unwrap()), now, &TimeZone::UTC);
            timeline.set(now);
            clocks.remember(device, &timeline);
        }
        assert!(open().timeline(&off).is_worth_keeping());
        assert!(!open().timeline(&right).is_worth_keeping());
        fs::write(dir.path().join("clocks.json"), "{").unwrap();
        assert!(!open().timeline(&off).is_worth_keeping(), "begun anew");
    }

    #[test]
    fn the_later_receipt_is_owed_and_handed_over_once() {
        let owed = Owed::default();
        let debt = |given_up| Debt { receipt: Receipt::default(), given_up };
        owed.remember("a", debt(3));
        owed.remember("a", debt(5));
        assert_eq!((owed.take("b"), owed.take("a"), owed.take("a")), (None, Some(debt(3)), None));
    }
}
