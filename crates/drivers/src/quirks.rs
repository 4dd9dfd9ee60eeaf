//! Devices that break the standard they claim, by name, as data: what is matched, and what is read otherwise.
//!
//! A profile is applied when the configuration names it ([`crate::Options::quirk`]), when the model that the device calls itself (Device
//! Information 0x2A24, [`crate::Session::model`]) begins as one of its models, or to single frames that fit nothing else, where it has a [`Shape`].

use jiff::civil::{Date, date};

use crate::Options;

/// One way in which devices break a standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// Its name in configuration.
    pub name: &'static str,
    /// The driver whose standard is broken.
    pub driver: &'static str,
    /// How the models that do it begin, as they call themselves.
    pub models: &'static [&'static str],
    /// What they do, in one sentence, with its source.
    pub does: &'static str,
    /// What is read otherwise.
    pub breaks: Break,
    /// Frames that can only be of such a device, whatever it calls itself.
    pub shape: Option<Shape>,
}

/// What is read otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// A cuff's user id is sent although the flags don't announce it, pulse and status are big-endian, and a mean pressure of 0 is none.
    HiddenUserBigEndianTail,
    /// Records without any number are stored and sent: they are no failed measurements.
    EmptyRecords,
    /// The clock starts at this day and runs on from it until somebody sets it.
    ClockStarts(Date),
}

/// What a frame looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its flags, the first byte.
    pub flags: u8,
    /// Its length in bytes.
    pub len: usize,
}

impl Shape {
    /// Does the frame look like this?
    #[must_use]
    pub fn fits(self, frame: &[u8]) -> bool {
        frame.len() == self.len && frame.first() == Some(&self.flags)
    }
}

/// Every quirk profile.
pub const QUIRKS: &[Quirk] = &[
    Quirk {
        name: "beurer-bm85",
        driver: "gatt-blood-pressure",
        models: &["BM85", "BM 85"],
        does: "sends the user id without announcing it (flags 0x56), pulse and status big-endian, and 0 for the mean pressure \
               (captures of blood-pressure-monitor-fl)",
        breaks: Break::HiddenUserBigEndianTail,
        shape: Some(Shape { flags: 0x56, len: 19 }),
    },
    Quirk {
        name: "and-nan-records",
        driver: "gatt-blood-pressure",
        models: &["UA-651"],
        does: "stores records in which every number is NaN, and sends one record again with the next connection \
               (log of a UA-651BLE in ThingML-BLE)",
        breaks: Break::EmptyRecords,
        shape: None,
    },
    Quirk {
        name: "clock-starts-2017",
        driver: "gatt-plx",
        models: &[],
        does: "runs its clock from 2017-01-01 until somebody sets it, and says so with the bit for a clock that is not set, if at all \
               (a ChoiceMMed oximeter, stackoverflow 71264072)",
        breaks: Break::ClockStarts(date(2017, 1, 1)),
        shape: None,
    },
];

/// The profile of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Quirk> {
    QUIRKS.iter().find(|quirk| quirk.name == name)
}

/// The profile of one device: as configured, else by what it calls itself.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    driver: &'static str,
    named: Option<&'static Quirk>,
    by_model: Option<&'static Quirk>,
}

impl Profile {
    /// Of a device that is read by `driver`.
    #[must_use]
    pub fn new(driver: &'static str, options: &Options) -> Self {
        Self { driver, named: options.quirk.filter(|quirk| quirk.driver == driver), by_model: None }
    }

    /// The device said which model it is.
    pub fn model(&mut self, model: &str) {
        let model = model.trim().to_ascii_uppercase();
        let is_of = |quirk: &&Quirk| quirk.models.iter().any(|start| model.starts_with(start));
        self.by_model = QUIRKS.iter().filter(|quirk| quirk.driver == self.driver).find(is_of);
    }

    /// What is to be read otherwise.
    #[must_use]
    pub fn breaks(&self) -> Option<Break> {
        self.named.or(self.by_model).map(|quirk| quirk.breaks)
    }
}

/// What is to be read otherwise in a frame by itself, of which no device is known.
#[must_use]
pub fn of_frame(driver: &str, frame: &[u8]) -> Option<Break> {
    let fits = |quirk: &&Quirk| quirk.driver == driver && quirk.shape.is_some_and(|shape| shape.fits(frame));
    QUIRKS.iter().find(fits).map(|quirk| quirk.breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_together() {
        for (index, quirk) in QUIRKS.iter().enumerate() {
            assert_eq!(QUIRKS.iter().position(|other| other.name == quirk.name), Some(index));
            assert_eq!(find(quirk.name), Some(quirk));
            assert!(crate::find(quirk.driver).is_some(), "{} is of no driver", quirk.name);
            assert!(quirk.models.iter().all(|model| model.to_ascii_uppercase() == *model), "{}", quirk.name);
            assert!(quirk.does.contains('('), "{} names no source", quirk.name);
        }
    }

    #[test]
    fn the_configuration_goes_before_the_model() {
        let of = |quirk: Option<&str>, model: &str| {
            let options = Options { quirk: quirk.and_then(find), ..Options::default() };
            let mut profile = Profile::new("gatt-blood-pressure", &options);
            profile.model(model);
            profile.breaks()
        };
        assert_eq!(of(None, "UA-651BLE\0"), Some(Break::EmptyRecords));
        assert_eq!(of(None, "bm85"), Some(Break::HiddenUserBigEndianTail));
        assert_eq!(of(None, "BU 570"), None);
        assert_eq!(of(Some("beurer-bm85"), "UA-651BLE"), Some(Break::HiddenUserBigEndianTail));
        assert_eq!(of(Some("clock-starts-2017"), ""), None);
    }
}
