//! Bluetooth Body Composition service 0x181B.
//!
//! ```text
//! 2A9C measurement. flags u16: 0 pounds and inches, 1 time, 2 user, 3 basal metabolism, 4 muscle %, 5 muscle, 6 fat-free, 7 soft lean,
//!      8 water, 9 impedance, 10 weight, 11 height, 12 one of two packets
//! u16 fat x 0.1 %, 0xFFFF unsuccessful | Date Time 7 | user u8, 255 unknown | u16 kJ | u16 x 0.1 % | four masses u16 | u16 x 0.1 ohm |
//! weight u16 | height u16.   masses x 0.005 kg or 0.01 lb, height x 0.001 m or 0.1 in
//! 2A9B feature u32: 0 time, 1 users, 2-10 metabolism to height as above, 11-14 mass resolution, 15-17 height resolution
//! ```
//!
//! Only the weight is a vital. What the scale estimates of the body from it and an electric current is parsed for who wants it, and is no
//! reading: no clinic judges by it. A measurement that is too long for one packet comes in two, of which the second has what the first
//! hasn't; they are one measurement, and the first alone is it if the second doesn't come.
//! Source: Bluetooth SIG Body Composition Service 1.0 and the GATT specification supplement.

use jiff::{Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Output, Session, Transport,
    gatt::{self, Fields, SITTING_QUIET, Sitting, uuid16},
};

const WHAT: &str = "body composition";

/// Measurement.
pub const MEASUREMENT: Uuid = uuid16(0x2a9c);
/// What the device can do.
pub const FEATURE: Uuid = uuid16(0x2a9b);

const IMPERIAL: u16 = 1 << 0;
const MULTIPLE: u16 = 1 << 12;
const BASE_LEN: usize = 4;
/// Lengths of the fields of the bits 1 to 11.
const OPTIONAL_LENS: [usize; 11] = [7, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2];
const UNSUCCESSFUL: u16 = u16::MAX;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "gatt-body-composition",
    transport: Transport::Ble { service: uuid16(0x181b), subscribe: &[MEASUREMENT], read: &[FEATURE], names: &[] },
    vitals: &[Vital::Weight],
    devices: &["Beurer BF600", "Beurer BF720"],
    standard: "Bluetooth SIG Body Composition Service 1.0 (0x181B)",
    open: |_| Box::new(Scale::default()),
    decode: decode_all,
};

/// One value of 2A9C. What wasn't sent, or not measured, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// Of the masses: kilogram or pound. Heights are in metres or inches.
    pub unit: Unit,
    /// Another packet belongs to it.
    pub is_one_of_two: bool,
    /// The device's time.
    pub time: Option<DateTime>,
    /// The user.
    pub flags: Vec<Flag>,
    /// Fat, percent.
    pub fat_percent: Option<Value>,
    /// What the body burns at rest in a day, kilojoule.
    pub basal_metabolism_kj: Option<u16>,
    /// Muscle, percent.
    pub muscle_percent: Option<Value>,
    /// Muscle.
    pub muscle: Option<Value>,
    /// Everything but fat.
    pub fat_free: Option<Value>,
    /// Everything but fat and bone.
    pub soft_lean: Option<Value>,
    /// Water.
    pub water: Option<Value>,
    /// Ohm.
    pub impedance: Option<Value>,
    /// How heavy.
    pub weight: Option<Value>,
    /// How tall.
    pub height: Option<Value>,
}

/// Reads a value of 2A9C.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn parse(bytes: &[u8]) -> Result<Composition, DecodeError> {
    let [low, high, _, _, ..] = *bytes else {
        return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: BASE_LEN });
    };
    let bits = u16::from_le_bytes([low, high]);
    let has = |bit: usize| bits & (1 << bit) != 0;
    let optional: usize = (1..).zip(OPTIONAL_LENS).filter(|(bit, _)| has(*bit)).map(|(_, len)| len).sum();
    let mut fields = Fields::exact(WHAT, bytes, BASE_LEN + optional)?;
    fields.u16();
    let imperial = bits & IMPERIAL != 0;
    let fat_percent = measured(fields.u16()).map(|raw| Value::new(raw, 1));
    let mut flags = Vec::new();
    let time = if has(1) { fields.date_time(&mut flags) } else { None };
    if has(2) {
        flags.extend(gatt::user(fields.u8()));
    }
    let mut raw = |bit: usize| if has(bit) { measured(fields.u16()) } else { None };
    let mass = |raw: i64| if imperial { Value::new(raw, 2) } else { Value::new(raw * 5, 3) };
    let tenth = |raw: i64| Value::new(raw, 1);
    Ok(Composition {
        unit: if imperial { Unit::Pound } else { Unit::Kilogram },
        is_one_of_two: bits & MULTIPLE != 0,
        time,
        flags,
        fat_percent,
        basal_metabolism_kj: raw(3).and_then(|raw| raw.try_into().ok()),
        muscle_percent: raw(4).map(tenth),
        muscle: raw(5).map(mass),
        fat_free: raw(6).map(mass),
        soft_lean: raw(7).map(mass),
        water: raw(8).map(mass),
        impedance: raw(9).map(tenth),
        weight: raw(10).map(mass),
        height: raw(11).map(|raw| Value::new(raw, if imperial { 1 } else { 3 })),
    })
}

fn measured(raw: u16) -> Option<i64> {
    (raw != UNSUCCESSFUL).then_some(raw.into())
}

impl Composition {
    /// With what only the second packet has.
    fn and(mut self, second: Self) -> Self {
        self.is_one_of_two = false;
        self.time = self.time.or(second.time);
        for flag in second.flags {
            if !self.flags.contains(&flag) {
                self.flags.push(flag);
            }
        }
        self.fat_percent = self.fat_percent.or(second.fat_percent);
        self.basal_metabolism_kj = self.basal_metabolism_kj.or(second.basal_metabolism_kj);
        self.muscle_percent = self.muscle_percent.or(second.muscle_percent);
        self.height = self.height.or(second.height);
        self.impedance = self.impedance.or(second.impedance);
        if self.unit == second.unit || self.weight.is_none() {
            self.unit = second.unit;
            self.muscle = self.muscle.or(second.muscle);
            self.fat_free = self.fat_free.or(second.fat_free);
            self.soft_lean = self.soft_lean.or(second.soft_lean);
            self.water = self.water.or(second.water);
            self.weight = self.weight.or(second.weight);
        }
        self
    }

    fn readings(&self) -> Vec<Measured> {
        gatt::present([(Vital::Weight, self.weight, self.unit)], self.time, &self.flags)
    }
}

/// One value of 2A9B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// 0 time, 1 users, 2 metabolism, 3 muscle %, 4 muscle, 5 fat-free, 6 soft lean, 7 water, 8 impedance, 9 weight, 10 height.
    pub bits: u16,
    /// 0 unknown, 1 to 7 from 0.5 kg to 0.005 kg.
    pub mass_resolution: u8,
    /// 0 unknown, 1 to 3 from 0.01 m to 0.001 m.
    pub height_resolution: u8,
}

/// Reads a value of 2A9B.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn feature(bytes: &[u8]) -> Result<Feature, DecodeError> {
    let bits = Fields::exact("body composition feature", bytes, 4)?.u32();
    let part = |shift: u32, mask: u32| u8::try_from(bits >> shift & mask).expect("the mask fits a byte");
    Ok(Feature {
        bits: u16::try_from(bits & 0x7ff).expect("eleven bits"),
        mass_resolution: part(11, 0b1111),
        height_resolution: part(15, 0b111),
    })
}

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        MEASUREMENT => parse(bytes).map(|read| read.readings()),
        FEATURE => feature(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a9c or 0x2a9b")),
    }
}

/// Values in order: two packets that belong together are one measurement.
fn decode_all(channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    if gatt::characteristic(WHAT, channel)? != MEASUREMENT {
        return gatt::decode_values(WHAT, decode, channel, frames);
    }
    let (mut all, mut first): (Vec<Composition>, Option<Composition>) = (Vec::new(), None);
    for frame in frames {
        let read = parse(frame)?;
        match (first.take(), read.is_one_of_two) {
            (None, true) => first = Some(read),
            (Some(first), true) => all.push(first.and(read)),
            (before, false) => all.extend(before.into_iter().chain([read])),
        }
    }
    Ok(all.iter().chain(&first).flat_map(Composition::readings).collect())
}

/// A connection.
#[derive(Default)]
struct Scale {
    /// The first of two packets, and how long the second is waited for.
    first: Option<(Composition, Option<Timestamp>)>,
    sitting: Sitting,
}

impl Scale {
    fn came(&mut self, now: Timestamp, read: Composition) -> Vec<Output> {
        match (self.first.take(), read.is_one_of_two) {
            (None, true) => {
                self.first = Some((read, now.checked_add(SITTING_QUIET).ok()));
                Vec::new()
            }
            (Some((first, _)), true) => self.say(now, &first.and(read)),
            (Some((first, _)), false) => [self.say(now, &first), self.say(now, &read)].concat(),
            (None, false) => self.say(now, &read),
        }
    }

    fn say(&mut self, now: Timestamp, read: &Composition) -> Vec<Output> {
        let readings = read.readings();
        if !readings.is_empty() {
            self.sitting.heard(now);
        }
        readings.into_iter().map(Output::Measured).collect()
    }

    fn first_alone(&mut self, now: Timestamp) -> Vec<Output> {
        self.first.take().map(|(first, _)| self.say(now, &first)).unwrap_or_default()
    }
}

impl Session for Scale {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let read = gatt::characteristic(WHAT, channel).and_then(|uuid| match uuid {
            MEASUREMENT => parse(bytes).map(Some),
            _ => decode(uuid, bytes).map(|_| None),
        });
        match read {
            Ok(Some(read)) => self.came(now, read),
            Ok(None) => Vec::new(),
            Err(error) => gatt::outputs(Err(error), bytes),
        }
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        let second = self.first.as_ref().and_then(|(_, until)| *until);
        [second, self.sitting.ends_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let alone = match self.first {
            Some((_, Some(until))) if until <= now => self.first_alone(now),
            _ => Vec::new(),
        };
        [alone, self.sitting.end_if_due(now)].concat()
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        [self.first_alone(now), self.sitting.end()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape, bytes};

    #[test]
    fn the_weight_is_the_reading() {
        tape::check(DRIVER, &["00043200b036"], "weight 70.000 kg");
        tape::check(DRIVER, &["01043200 9a3a"], "weight 150.02 [lb_av]");
        tape::check(DRIVER, &["0604 ffff e70706140a1e00 02 b036"], "weight 70.000 kg 2023-06-20T10:30:00 user_2");
        tape::check(DRIVER, &["00043200ffff"], "");
        tape::check(DRIVER, &["00003200"], "");
        tape::check(DRIVER, &["000432"], "body composition: 3 bytes, need at least 4");
        tape::check(DRIVER, &["00043200b0"], "body composition: 5 bytes, need at least 6");
        tape::check(DRIVER, &["00043200b03600"], "body composition: 7 bytes, at most 6 are meant by its flags");
    }

    #[test]
    fn the_rest_is_parsed() {
        let read = parse(&bytes("f80f 9600 401f fa00 b80b e02e 1027 401f 8813 b036 d606")).unwrap();
        assert_eq!(read.basal_metabolism_kj, Some(8000));
        let values = [
            (read.fat_percent, "15.0"),
            (read.muscle_percent, "25.0"),
            (read.muscle, "15.000"),
            (read.fat_free, "60.000"),
            (read.soft_lean, "50.000"),
            (read.water, "40.000"),
            (read.impedance, "500.0"),
            (read.weight, "70.000"),
            (read.height, "1.750"),
        ];
        for (value, wanted) in values {
            assert_eq!(value.unwrap().to_string(), wanted);
        }
        let can = feature(&bytes("ffbf0100")).unwrap();
        assert_eq!(can, Feature { bits: 0x7ff, mass_resolution: 7, height_resolution: 3 });
    }

    const FIRST: &str = "0210 9600 e70706140a1e00";
    const SECOND: &str = "0414 ffff 02 b036";

    #[test]
    fn two_packets_are_one_measurement() {
        let mut tape = Tape::open(DRIVER);
        tape::check(DRIVER, &[FIRST, SECOND], "weight 70.000 kg 2023-06-20T10:30:00 user_2");
        tape::check(DRIVER, &[SECOND, "00043200b136"], "weight 70.000 kg user_2; weight 70.005 kg");
        tape::check(DRIVER, &[SECOND], "weight 70.000 kg user_2");
        tape.value(MEASUREMENT, FIRST).gives("");
        tape.value(MEASUREMENT, SECOND).gives("weight 70.000 kg 2023-06-20T10:30:00 user_2");
        tape.wait().gives("end");
        tape.wait().gives("");
    }

    #[test]
    fn a_packet_whose_second_does_not_come_is_it() {
        let mut tape = Tape::open(DRIVER);
        tape.value(MEASUREMENT, SECOND).gives("");
        tape.wait().gives("weight 70.000 kg user_2");
        tape.wait().gives("end");
        tape.value(MEASUREMENT, SECOND).value(MEASUREMENT, "00043200b136");
        tape.gives("weight 70.000 kg user_2; weight 70.005 kg");
        tape.value(MEASUREMENT, SECOND).closed().gives("weight 70.000 kg user_2; end");
    }
}
