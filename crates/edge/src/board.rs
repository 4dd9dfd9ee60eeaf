//! What the kit knows about itself, in one place: every task pins its part here, and the uplink publishes the whole as the kit's status.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use drivers::About;
use jiff::Timestamp;
use tokio::sync::watch;
use vitals::DeviceId;
use wire::{DeviceStatus, Status};

/// The most problems that a status lists; further ones are only logged.
pub const PROBLEMS_MAX: usize = 32;

/// A handle to the kit's board. Clones share it.
#[derive(Clone, Debug)]
pub struct Board {
    pinned: Arc<Mutex<Pinned>>,
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Pinned {
    devices: BTreeMap<String, DeviceStatus>,
    /// What is to be said of a device that works all the same; one sentence for a device.
    notes: BTreeMap<String, String>,
    /// Who made the devices, as they say.
    makers: BTreeMap<String, String>,
    problems: BTreeMap<String, String>,
    spooled: u64,
    dropped: u64,
}

impl Default for Board {
    fn default() -> Self {
        Self { pinned: Arc::default(), revision: watch::Sender::new(0) }
    }
}

impl Board {
    /// Pins or removes the one problem of `about` ("spool", "bluetooth", "broker"). The sentence is logged when it changes.
    pub fn problem(&self, about: &str, sentence: Option<String>) {
        let mut pinned = self.lock();
        if pinned.problems.get(about) == sentence.as_ref() {
            return;
        }
        match sentence {
            Some(sentence) => {
                tracing::warn!(about, "{sentence}");
                if pinned.problems.len() < PROBLEMS_MAX || pinned.problems.contains_key(about) {
                    pinned.problems.insert(about.to_owned(), sentence);
                }
            }
            None => {
                tracing::info!(about, "mended");
                pinned.problems.remove(about);
            }
        }
        drop(pinned);
        self.changed();
    }

    /// Is there a problem of `about` now?
    #[must_use]
    pub fn has_problem(&self, about: &str) -> bool {
        self.lock().problems.contains_key(about)
    }

    /// A configured device exists, under `key`, and is not there yet.
    pub fn expect(&self, key: &str, device: DeviceId) {
        let status = DeviceStatus {
            device,
            present: false,
            last_heard: None,
            problem: None,
            battery_percent: None,
            model: None,
            firmware: None,
            clock_ahead_seconds: None,
        };
        self.lock().devices.insert(key.to_owned(), status);
        self.changed();
    }

    /// The device behind `key` has told its serial number.
    pub fn identify(&self, key: &str, device: &DeviceId) {
        self.update(key, |status| status.device = device.clone());
    }

    /// The device is no longer configured.
    pub fn forget(&self, key: &str) {
        let mut pinned = self.lock();
        pinned.notes.remove(key);
        pinned.makers.remove(key);
        let known = pinned.devices.remove(key).is_some();
        drop(pinned);
        if known {
            self.changed();
        }
    }

    /// Something to be said of a device whether it is heard or not, in place of a problem that it doesn't have.
    pub fn note(&self, key: &str, sentence: Option<String>) {
        let mut pinned = self.lock();
        if !pinned.devices.contains_key(key) || pinned.notes.get(key) == sentence.as_ref() {
            return;
        }
        match sentence {
            Some(sentence) => {
                tracing::warn!(device = %pinned.devices[key].device, "{sentence}");
                pinned.notes.insert(key.to_owned(), sentence);
            }
            None => drop(pinned.notes.remove(key)),
        }
        drop(pinned);
        self.changed();
    }

    /// What the device says of itself. What it doesn't say stays as it was.
    pub fn about(&self, key: &str, about: &About) {
        let maker = self.maker(key, about.manufacturer.as_ref());
        self.update(key, |status| {
            let model = about.model.as_ref().map(|model| maker.iter().chain([model]).cloned().collect::<Vec<_>>());
            status.battery_percent = about.battery_percent.or(status.battery_percent);
            status.firmware = about.firmware.clone().or(status.firmware.take());
            status.model = model.map(|words| words.join(" ")).or(status.model.take());
        });
    }

    /// Who made the device, as it says now or has said.
    fn maker(&self, key: &str, said: Option<&String>) -> Option<String> {
        let mut pinned = self.lock();
        if let Some(maker) = said.filter(|_| pinned.devices.contains_key(key)) {
            pinned.makers.insert(key.to_owned(), maker.clone());
        }
        pinned.makers.get(key).cloned()
    }

    /// The device's clock was read: how far it is ahead, if it says any time.
    pub fn clock(&self, key: &str, ahead_seconds: Option<i64>) {
        self.update(key, |status| status.clock_ahead_seconds = ahead_seconds);
    }

    /// The device said something.
    pub fn heard(&self, key: &str, now: Timestamp) {
        self.update(key, |status| {
            status.present = true;
            status.problem = None;
            status.last_heard = Some(now);
        });
    }

    /// The device is gone, or silent, or failing, and why.
    pub fn absent(&self, key: &str, problem: Option<String>) {
        self.update(key, |status| {
            status.present = false;
            if let Some(problem) = &problem
                && status.problem.as_ref() != Some(problem)
            {
                tracing::warn!(device = %status.device, "{problem}");
            }
            status.problem = problem;
        });
    }

    /// Messages that wait, and messages that were given up.
    pub fn spool(&self, spooled: u64, dropped: u64) {
        let mut pinned = self.lock();
        let unchanged = (pinned.spooled, pinned.dropped) == (spooled, dropped);
        (pinned.spooled, pinned.dropped) = (spooled, dropped);
        drop(pinned);
        if !unchanged {
            self.changed();
        }
    }

    /// Everything, as it is published.
    #[must_use]
    pub fn status(&self, online: bool, now: Timestamp) -> Status {
        let pinned = self.lock();
        Status {
            online,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            spooled: pinned.spooled,
            devices: pinned.devices.iter().map(|(key, device)| with_note(device, pinned.notes.get(key))).collect(),
            at: Some(now),
            problems: pinned.problems.iter().map(|(about, sentence)| format!("{about}: {sentence}")).collect(),
            dropped: pinned.dropped,
        }
    }

    /// Wakes when anything changed that is worth a new status. That a device was heard again is not.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    fn update(&self, key: &str, change: impl FnOnce(&mut DeviceStatus)) {
        let mut pinned = self.lock();
        let Some(status) = pinned.devices.get_mut(key) else { return };
        let before = DeviceStatus { last_heard: None, ..status.clone() };
        change(status);
        let unchanged = before == DeviceStatus { last_heard: None, ..status.clone() };
        drop(pinned);
        if !unchanged {
            self.changed();
        }
    }

    fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Pinned> {
        self.pinned.lock().expect("no code panics while it holds the board")
    }
}

fn with_note(device: &DeviceStatus, note: Option<&String>) -> DeviceStatus {
    DeviceStatus { problem: device.problem.clone().or(note.cloned()), ..device.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_changed_and_only_then() {
        let board = Board::default();
        let mut watch = board.watch();
        let mut changed = || {
            let changed = watch.has_changed().unwrap();
            watch.mark_unchanged();
            changed
        };
        board.expect("a", "nonin-df2:a".parse().unwrap());
        assert!(changed());
        board.heard("a", Timestamp::UNIX_EPOCH);
        assert!(changed());
        board.heard("a", Timestamp::from_second(60).unwrap());
        assert!(!changed(), "heard again");
        board.absent("a", Some("unplugged".to_owned()));
        assert!(changed());
        board.problem("spool", Some("the disk is full".to_owned()));
        assert!(changed());
        board.problem("spool", Some("the disk is full".to_owned()));
        assert!(!changed(), "the same problem");

        let status = board.status(true, Timestamp::UNIX_EPOCH);
        assert_eq!(status.problems, ["spool: the disk is full"]);
        assert_eq!(status.devices[0].last_heard, Some(Timestamp::from_second(60).unwrap()));
        assert_eq!((status.devices[0].present, status.devices[0].problem.as_deref()), (false, Some("unplugged")));
        board.note("a", Some("speaks 4800 baud 8N1".to_owned()));
        assert_eq!(board.status(true, Timestamp::UNIX_EPOCH).devices[0].problem.as_deref(), Some("unplugged"));
        board.heard("a", Timestamp::UNIX_EPOCH);
        let status = board.status(true, Timestamp::UNIX_EPOCH);
        assert_eq!(
            (status.devices[0].present, status.devices[0].problem.as_deref()),
            (true, Some("speaks 4800 baud 8N1"))
        );
        board.about("a", &About { manufacturer: Some("Nonin".to_owned()), ..About::default() });
        board.about("a", &About { model: Some("3012".to_owned()), ..About::default() });
        board.about("a", &About { battery_percent: Some(80), ..About::default() });
        let status = board.status(true, Timestamp::UNIX_EPOCH);
        assert_eq!(
            (status.devices[0].model.as_deref(), status.devices[0].battery_percent),
            (Some("Nonin 3012"), Some(80))
        );
        board.forget("a");
        board.note("a", Some("nobody".to_owned()));
        assert!(board.status(true, Timestamp::UNIX_EPOCH).devices.is_empty());
        board.problem("spool", None);
        assert!(board.status(true, Timestamp::UNIX_EPOCH).problems.is_empty());
    }
}
