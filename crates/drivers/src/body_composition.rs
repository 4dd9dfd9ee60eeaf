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
//! hasn't, and the same time and user where it says them; they are one measurement. If the second doesn't come, the first alone is it, or is
//! refused where it has no weight.
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
const WEIGHT: u16 = 1 << 10;
const MULTIPLE: u16 = 1 << 12;
const BASE_LEN: usize = 4;
/// Lengths of the fields of the bits 1 to 11.
const OPTIONAL_LENS: [usize; 11] = [7, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2];
const UNSUCCESSFUL: u16 = u16::MAX;
/// The bits of the fields, and of those that both packets of one measurement may have.
const FIELDS: u16 = 0x0ffe;
const SHARED: u16 = 1 << 1 | 1 << 2;

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
    /// Which fields it has.
    fields: u16,
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
        fields: bits & FIELDS,
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

fn user(flags: &[Flag]) -> Option<&Flag> {
    flags.iter().find(|flag| flag.as_str().starts_with("user_"))
}

fn measured(raw: u16) -> Option<i64> {
    (raw != UNSUCCESSFUL).then_some(raw.into())
}

impl Composition {
    /// Can it be the rest of what `first` began? Nothing but the time and the user is said twice, and those are the same.
    fn is_rest_of(&self, first: &Self) -> bool {
        let both = self.fields & first.fields;
        let same_time = self.time == first.time || both & 1 << 1 == 0;
        let same_user = user(&self.flags) == user(&first.flags) || both & 1 << 2 == 0;
        both & !SHARED == 0 && same_time && same_user
    }

    /// With what only the second packet has.
    fn and(mut self, second: Self) -> Self {
        self.is_one_of_two = false;
        self.fields |= second.fields;
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

    /// The first of two packets, when the second doesn't come.
    ///
    /// # Errors
    /// [`DecodeError::FrameLoss`] if the weight was to come with the second.
    fn alone(&self) -> Result<Vec<Measured>, DecodeError> {
        if self.fields & WEIGHT == 0 {
            return Err(DecodeError::FrameLoss { what: WHAT, found: 2, need: 2 });
        }
        Ok(self.readings())
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
    let (mut all, mut first): (Vec<Measured>, Option<Composition>) = (Vec::new(), None);
    for frame in frames {
        let read = parse(frame)?;
        let before = match first.take() {
            Some(first) if read.is_one_of_two && read.is_rest_of(&first) => {
                all.extend(first.and(read).readings());
                continue;
            }
            before => before,
        };
        all.extend(before.map(|first| first.alone()).transpose()?.unwrap_or_default());
        if read.is_one_of_two { first = Some(read) } else { all.extend(read.readings()) }
    }
    all.extend(first.map(|first| first.alone()).transpose()?.unwrap_or_default());
    Ok(all)
}

/// A connection.
#[derive(Default)]
struct Scale {
    first: Option<First>,
    sitting: Sitting,
}

/// The first of two packets.
struct First {
    read: Composition,
    bytes: Vec<u8>,
    /// How long the second is waited for.
    until: Option<Timestamp>,
}

impl Scale {
    fn came(&mut self, now: Timestamp, read: Composition, bytes: &[u8]) -> Vec<Output> {
        if let Some(first) = self.first.take_if(|first| read.is_one_of_two && read.is_rest_of(&first.read)) {
            return self.say(now, Ok(first.read.and(read).readings()), bytes);
        }
        let before = self.first_alone(now);
        if !read.is_one_of_two {
            return [before, self.say(now, Ok(read.readings()), bytes)].concat();
        }
        self.first = Some(First { read, bytes: bytes.to_vec(), until: now.checked_add(SITTING_QUIET).ok() });
        before
    }

    fn say(&mut self, now: Timestamp, said: Result<Vec<Measured>, DecodeError>, bytes: &[u8]) -> Vec<Output> {
        if said.as_ref().is_ok_and(|readings| !readings.is_empty()) {
            self.sitting.heard(now);
        }
        gatt::outputs(said, bytes)
    }

    fn first_alone(&mut self, now: Timestamp) -> Vec<Output> {
        let Some(first) = self.first.take() else { return Vec::new() };
        self.say(now, first.read.alone(), &first.bytes)
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
            Ok(Some(read)) => self.came(now, read, bytes),
            Ok(None) => Vec::new(),
            Err(error) => gatt::outputs(Err(error), bytes),
        }
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        let second = self.first.as_ref().and_then(|first| first.until);
        [second, self.sitting.ends_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let alone = match self.first {
            Some(First { until: Some(until), .. }) if until <= now => self.first_alone(now),
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
    fn packets_of_two_measurements_stay_apart() {
        let frames = ["06141c01e7070c190e1e2d01b036", "06141c01e7070c190e1f0002803e"];
        let says = "weight 70.000 kg 2023-12-25T14:30:45 user_1; weight 80.000 kg 2023-12-25T14:31:00 user_2";
        tape::check(DRIVER, &frames, says);
        let mut tape = Tape::open(DRIVER);
        tape.value(MEASUREMENT, frames[0]).value(MEASUREMENT, frames[1]).closed().gives(&format!("{says}; end"));
        let other_user = ["0414 ffff 02 b036", "0410 9600 03"];
        tape::check(DRIVER, &[other_user[1], other_user[0]], "body composition: frame 2 of 2 is missing");
        tape::check(DRIVER, &["0414 ffff 02 b036", "0412 9600 02 8813"], "weight 70.000 kg user_2");
    }

    #[test]
    fn a_packet_without_a_weight_whose_second_does_not_come_is_refused() {
        const LOST: &str = "body composition: frame 2 of 2 is missing";
        let mut tape = Tape::open(DRIVER);
        tape::check(DRIVER, &["10121c017d010014"], LOST);
        tape.value(MEASUREMENT, "10121c017d010014").wait().gives(&format!("! {LOST}"));
        tape.value(MEASUREMENT, "10121c017d010014").closed().gives(&format!("! {LOST}"));
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
