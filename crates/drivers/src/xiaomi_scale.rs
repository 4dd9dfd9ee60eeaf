//! Xiaomi's scales, which put what they weigh into their advertisements and are never connected to.
//!
//! ```text
//! Mi Scale, service data of 181D, 10 bytes
//! control u8: 0 pounds, 4 catties, 5 stable, 7 removed | weight u16 x 1/200 kg, or 1/100 lb or catty | Date Time 7
//! Mi Body Composition Scale, service data of 181B, 13 bytes
//! control u16: 0 pounds, 9 impedance, 13 stable, 14 catties, 15 removed | Date Time 7 | impedance u16 ohm | weight u16, as above
//! ```
//!
//! All little-endian. A weight that is stable while somebody stands on the scale is a reading; what comes before shows how it stands, and
//! what is left after the person has stepped off is neither. The scale repeats itself many times a second: a weight is said once for each
//! time that somebody stands on it. A catty is 500 g and is told in kilograms. A clock that has not been set says 1970: a time before
//! [`SOLD_SINCE`] has the flag `clock_not_set`, and one that can't be is left out, with `clock_implausible`.
//! Sources: theengs/decoder, custom-components/ble_monitor issue 292, lolouk44/hassio-addons issue 14.

use jiff::{Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Output, Progress, Session, Transport,
    gatt::{self, Fields, Sitting, uuid16},
};

const WHAT: &str = "xiaomi scale";

/// The service whose data the Mi Scale sends.
pub const SCALE: Uuid = uuid16(0x181d);
/// The service whose data the Mi Body Composition Scale sends.
pub const BODY_SCALE: Uuid = uuid16(0x181b);

const SCALE_LEN: usize = 10;
const BODY_SCALE_LEN: usize = 13;

/// Nobody has weighed with one of these before; the first was sold in 2015.
pub const SOLD_SINCE: DateTime = DateTime::constant(2015, 1, 1, 0, 0, 0, 0);

/// The driver of the Mi Scale.
pub const DRIVER: Driver = Driver {
    name: "xiaomi-scale",
    transport: Transport::Advertisement { service: SCALE },
    vitals: &[Vital::Weight],
    devices: &["Xiaomi Mi Scale"],
    standard: "Xiaomi's advertisement (service data 0x181D), from public captures",
    open: |_| Box::new(Advertised::default()),
    decode,
};

/// The driver of the Mi Body Composition Scale.
pub const BODY_DRIVER: Driver = Driver {
    name: "xiaomi-body-scale",
    transport: Transport::Advertisement { service: BODY_SCALE },
    devices: &["Xiaomi Mi Body Composition Scale", "Xiaomi Mi Body Composition Scale 2"],
    standard: "Xiaomi's advertisement (service data 0x181B), from public captures",
    ..DRIVER
};

/// In what the scale shows the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Shown {
    Kilogram,
    Pound,
    Catty,
}

/// One advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weighing {
    /// Steps of 1/200 kg, or of 1/100 of the other units.
    pub steps: u16,
    /// In what it is shown.
    pub shown: Shown,
    /// The weight stands still.
    pub stable: bool,
    /// Nobody stands on the scale any more.
    pub removed: bool,
    /// By the scale's clock, whatever that says, if it can be.
    pub time: Option<DateTime>,
    /// It says what can't be, as 30 February.
    pub is_impossible_time: bool,
    /// Ohm, of a body composition scale with bare feet on it.
    pub impedance: Option<u16>,
}

/// Reads the data of this service: [`SCALE`] or [`BODY_SCALE`]. Half of the one looks like the other, so a length tells nothing.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for another service.
pub fn parse(service: Uuid, bytes: &[u8]) -> Result<Weighing, DecodeError> {
    match service {
        SCALE => scale(bytes),
        BODY_SCALE => body_scale(bytes),
        other => {
            let (field, found, wanted) = ("service", gatt::short(other), "0x181d or 0x181b");
            Err(DecodeError::Malformed { what: WHAT, field, found, wanted })
        }
    }
}

fn scale(bytes: &[u8]) -> Result<Weighing, DecodeError> {
    let mut fields = Fields::exact(WHAT, bytes, SCALE_LEN)?;
    let control = fields.u8();
    let has = |bit: u8| control & 1 << bit != 0;
    let steps = fields.u16();
    let (time, is_impossible_time) = time(&bytes[3..]);
    let shown = shown(has(0), has(4));
    Ok(Weighing { steps, shown, stable: has(5), removed: has(7), time, is_impossible_time, impedance: None })
}

fn body_scale(bytes: &[u8]) -> Result<Weighing, DecodeError> {
    let mut fields = Fields::exact(WHAT, bytes, BODY_SCALE_LEN)?;
    let control = fields.u16();
    let has = |bit: u16| control & 1 << bit != 0;
    let (time, is_impossible_time) = time(&bytes[2..9]);
    fields.u32();
    fields.u24();
    let impedance = fields.u16();
    Ok(Weighing {
        steps: fields.u16(),
        shown: shown(has(0), has(14)),
        stable: has(13),
        removed: has(15),
        time,
        is_impossible_time,
        impedance: has(9).then_some(impedance),
    })
}

/// The time, and whether it can't be.
fn time(bytes: &[u8]) -> (Option<DateTime>, bool) {
    let read = gatt::date_time(bytes);
    let is_impossible = read.is_err();
    (read.unwrap_or_default(), is_impossible)
}

fn shown(pounds: bool, catties: bool) -> Shown {
    match (pounds, catties) {
        (true, _) => Shown::Pound,
        (_, true) => Shown::Catty,
        _ => Shown::Kilogram,
    }
}

impl Weighing {
    /// The weight, in kilograms or pounds.
    #[must_use]
    pub fn weight(&self) -> (Value, Unit) {
        let steps = i64::from(self.steps);
        match self.shown {
            Shown::Pound => (Value::new(steps, 2), Unit::Pound),
            // 1/200 kg; and 1/100 of a catty of 500 g is the same
            Shown::Kilogram | Shown::Catty => (Value::new(steps * 5, 3), Unit::Kilogram),
        }
    }

    /// The weight stands, and somebody with it.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.stable && !self.removed
    }

    /// Is it the weighing that `other` was?
    fn is(&self, other: &Self) -> bool {
        (self.steps, self.shown) == (other.steps, other.shown)
    }

    fn measured(&self) -> Measured {
        let (value, unit) = self.weight();
        let device_time = self.time;
        let mut flags = Vec::new();
        if device_time.is_none_or(|time| time < SOLD_SINCE) {
            flags.push(if self.is_impossible_time { Flag::CLOCK_IMPLAUSIBLE } else { Flag::CLOCK_NOT_SET });
        }
        if !self.stable {
            flags.push(Flag::new("unstable"));
        }
        if self.removed {
            flags.push(Flag::new("removed"));
        }
        Measured { vital: Vital::Weight, value, unit, device_time, device_offset: None, flags }
    }
}

/// A weight that doesn't count says so in its flags.
fn decode(channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let service = advertised(channel)?;
    frames.iter().map(|frame| parse(service, frame).map(|weighing| weighing.measured())).collect()
}

fn advertised(channel: Channel) -> Result<Uuid, DecodeError> {
    match channel {
        Channel::Advertisement(service) => Ok(service),
        Channel::Line | Channel::Characteristic(_) => {
            Err(DecodeError::Malformed { what: WHAT, field: "channel", found: 0, wanted: "an advertisement" })
        }
    }
}

/// One scale's advertisements.
#[derive(Default)]
struct Advertised {
    /// The bytes that came last, which are repeated.
    last: Vec<u8>,
    /// The weight that was said, and whether the scale has been stepped off, or onto, since.
    said: Option<(Weighing, bool)>,
    sitting: Sitting,
}

impl Advertised {
    fn heard(&mut self, now: Timestamp, weighing: Weighing) -> Vec<Output> {
        if !weighing.is_reading() {
            if let Some((_, moved)) = &mut self.said {
                *moved = true;
            }
            let values = vec![weighing.measured()];
            let shown = (!weighing.removed).then_some(Output::Progress(Progress { values, percent: None }));
            return shown.into_iter().collect();
        }
        // A stable weight is advertised again when the impedance is known, and when a radio delivers late: with the same time, or, where
        // there is none, soon.
        let is_late = |said: Weighing| match weighing.time {
            Some(time) => said.time == Some(time),
            None => self.sitting.ends_at().is_some_and(|at| now < at),
        };
        let again = self.said.is_some_and(|(said, moved)| weighing.is(&said) && (!moved || is_late(said)));
        if again {
            return Vec::new();
        }
        self.said = Some((weighing, false));
        self.sitting.heard(now);
        vec![Output::Measured(weighing.measured())]
    }
}

impl Session for Advertised {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        if bytes == self.last {
            return Vec::new();
        }
        self.last = bytes.get(..=BODY_SCALE_LEN).unwrap_or(bytes).to_vec();
        match advertised(channel).and_then(|service| parse(service, bytes)) {
            Ok(weighing) => self.heard(now, weighing),
            Err(error) => vec![Output::Refused { error, bytes: bytes.to_vec() }],
        }
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.sitting.ends_at()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        self.sitting.end_if_due(now)
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        self.sitting.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn a_weight_has_its_unit_and_what_speaks_against_it() {
        tape::check(DRIVER, &["223e30e607020e10293a"], "weight 61.750 kg 2022-02-14T16:41:58");
        tape::check(DRIVER, &["237233e607020e10293a"], "weight 131.70 [lb_av] 2022-02-14T16:41:58");
        tape::check(DRIVER, &["323e30e607020e10293a"], "weight 61.750 kg 2022-02-14T16:41:58");
        tape::check(DRIVER, &["a23e30e607020e10293a"], "weight 61.750 kg 2022-02-14T16:41:58 removed");
        tape::check(DRIVER, &["02f843b20701010a1a3b"], "weight 87.000 kg 1970-01-01T10:26:59 clock_not_set unstable");
        tape::check(BODY_DRIVER, &["0224e607020e10293a00009a38"], "weight 72.450 kg 2022-02-14T16:41:58");
        tape::check(BODY_DRIVER, &["0260e607020e10293a00009a38"], "weight 72.450 kg 2022-02-14T16:41:58");
        tape::check(BODY_DRIVER, &["02a6e407"], "xiaomi scale: 4 bytes, need at least 13");
        tape::check(BODY_DRIVER, &["02a6e40709060d2614e9"], "xiaomi scale: 10 bytes, need at least 13");
        tape::check(
            DRIVER,
            &["02a6e40709060d2614e9015a37"],
            "xiaomi scale: 13 bytes, at most 10 are meant by its flags",
        );
        tape::check(BODY_DRIVER, &["02a6e40709060d2614e901"], "xiaomi scale: 11 bytes, need at least 13");
        tape::check(DRIVER, &["223e30e6070d0e10293a"], "weight 61.750 kg clock_implausible");
        tape::check(BODY_DRIVER, &["0224e607021e10293a00009a38"], "weight 72.450 kg clock_implausible");
    }

    const RISING: &str = "02d02fe607020e10293a";
    const STABLE: &str = "223e30e607020e10293b";
    const REMOVED: &str = "a23e30e607020e10293b";

    #[test]
    fn a_stable_weight_is_said_once_however_often_it_comes() {
        let mut tape = Tape::heard_from(DRIVER);
        for _ in 0..5 {
            tape.advertised(RISING);
        }
        tape.gives("~ weight 61.200 kg 2022-02-14T16:41:58 unstable");
        for _ in 0..5 {
            tape.advertised(STABLE);
        }
        tape.gives("weight 61.750 kg 2022-02-14T16:41:59");
        tape.advertised(REMOVED).advertised(STABLE).gives("");
        tape.wait().gives("end");
        tape.advertised(REMOVED).advertised(STABLE).gives("");
        tape.wait().gives("");
    }

    #[test]
    fn the_next_one_on_the_scale_is_another_weighing() {
        let mut tape = Tape::heard_from(DRIVER);
        tape.advertised(STABLE).advertised(REMOVED).said();
        tape.advertised("223e30e607020e102a3b").gives("weight 61.750 kg 2022-02-14T16:42:59");
        tape.advertised("223f30e607020e102a3b").gives("weight 61.755 kg 2022-02-14T16:42:59");
        tape.advertised("22").gives("! xiaomi scale: 1 bytes, need at least 10");
        tape.closed().gives("end");
    }

    #[test]
    fn without_a_time_the_same_weight_is_late_only_for_a_moment() {
        const STABLE: &str = "223e3000000000081e2d";
        const REMOVED: &str = "a23e3000000000081e2d";
        let mut tape = Tape::heard_from(DRIVER);
        tape.advertised(STABLE).gives("weight 61.750 kg clock_not_set");
        tape.advertised(REMOVED).advertised(STABLE).gives("").wait().gives("end");
        tape.advertised(REMOVED).advertised(STABLE).gives("weight 61.750 kg clock_not_set");
    }

    #[test]
    fn the_impedance_that_comes_later_is_of_the_same_weighing() {
        let mut tape = Tape::heard_from(BODY_DRIVER);
        tape.advertised("0224e607020e10293a00009a38").gives("weight 72.450 kg 2022-02-14T16:41:58");
        tape.advertised("0226e607020e10293bf7019a38").gives("");
        tape.advertised("02a6e607020e10293bf7019a38").gives("");
    }
}
