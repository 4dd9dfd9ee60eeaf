//! Bluetooth Health Thermometer service 0x1809.
//!
//! ```text
//! 2A1C measurement, 2A1E intermediate temperature (same layout)
//! flags u8: 0 Fahrenheit, 1 time, 2 site
//! FLOAT temperature | Date Time 7 | site u8
//! 2A1D site u8, for a device that always measures at one; 2A21 interval u16, seconds, 0 none
//! site: 1 armpit, 2 body, 3 ear, 4 finger, 5 gastrointestinal, 6 mouth, 7 rectum, 8 toe, 9 tympanum, others unknown
//! ```
//!
//! Where it was measured is a flag (`site_ear`). An intermediate temperature is still rising and must not count: a connection gives no
//! reading for it but shows it ([`Output::Progress`]), and a frame decoded by itself says `intermediate`. Source: Bluetooth SIG Health Thermometer Service 1.0.

use jiff::{Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Output, Progress, Session, Transport,
    gatt::{self, Fields, Sitting, uuid16},
};

const WHAT: &str = "thermometer";

/// Measurement.
pub const MEASUREMENT: Uuid = uuid16(0x2a1c);
/// Intermediate temperature.
pub const INTERMEDIATE: Uuid = uuid16(0x2a1e);
/// Where the device measures.
pub const SITE: Uuid = uuid16(0x2a1d);
/// How often the device measures by itself.
pub const INTERVAL: Uuid = uuid16(0x2a21);

const FAHRENHEIT: u8 = 1 << 0;
const TIME: u8 = 1;
const HAS_SITE: u8 = 2;
const OPTIONAL: &[(u8, usize)] = &[(TIME, 7), (HAS_SITE, 1)];

const SITES: [&str; 9] = [
    "site_armpit",
    "site_body",
    "site_ear",
    "site_finger",
    "site_gastrointestinal",
    "site_mouth",
    "site_rectum",
    "site_toe",
    "site_tympanum",
];

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "gatt-thermometer",
    transport: Transport::Ble {
        service: uuid16(0x1809),
        subscribe: &[MEASUREMENT, INTERMEDIATE],
        read: &[SITE, INTERVAL],
        names: &[],
    },
    vitals: &[Vital::Temperature],
    devices: &["Beurer FT95"],
    standard: "Bluetooth SIG Health Thermometer Service 1.0 (0x1809)",
    open: |_| Box::new(Thermometer::default()),
    decode: |channel, frames| gatt::decode_values(WHAT, decode, channel, frames),
};

/// One value of 2A1C or 2A1E.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temperature {
    /// How warm.
    pub value: Option<Value>,
    /// Celsius or Fahrenheit.
    pub unit: Unit,
    /// The device's time.
    pub time: Option<DateTime>,
    /// The site, if it said a known one.
    pub flags: Vec<Flag>,
}

/// Reads a value of 2A1C or 2A1E.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] for a number that is too large.
pub fn parse(bytes: &[u8]) -> Result<Temperature, DecodeError> {
    let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 5, OPTIONAL)?;
    let has = |bit: u8| bits & (1 << bit) != 0;
    let unit = if bits & FAHRENHEIT == 0 { Unit::Celsius } else { Unit::Fahrenheit };
    let value = fields.float()?;
    let mut flags = Vec::new();
    let time = if has(TIME) { fields.date_time(&mut flags) } else { None };
    if has(HAS_SITE) {
        flags.extend(site_flag(fields.u8()));
    }
    Ok(Temperature { value, unit, time, flags })
}

/// Reads a value of 2A1D; `None` for a site that the standard doesn't name.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn site(bytes: &[u8]) -> Result<Option<Flag>, DecodeError> {
    Ok(site_flag(Fields::exact("temperature type", bytes, 1)?.u8()))
}

/// Reads a value of 2A21: seconds between measurements, 0 for none by itself.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn interval(bytes: &[u8]) -> Result<u16, DecodeError> {
    Ok(Fields::exact("measurement interval", bytes, 2)?.u16())
}

fn site_flag(code: u8) -> Option<Flag> {
    SITES.get(usize::from(code).checked_sub(1)?).map(|name| Flag::new(name))
}

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        MEASUREMENT => parse(bytes).map(measured),
        INTERMEDIATE => parse(bytes).map(|mut read| {
            read.flags.push(Flag::new("intermediate"));
            measured(read)
        }),
        SITE => site(bytes).map(|_| Vec::new()),
        INTERVAL => interval(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a1c, 0x2a1e, 0x2a1d or 0x2a21")),
    }
}

fn measured(read: Temperature) -> Vec<Measured> {
    gatt::present([(Vital::Temperature, read.value, read.unit)], read.time, &read.flags)
}

/// A connection: remembers where the device always measures.
#[derive(Default)]
struct Thermometer {
    site: Option<Flag>,
    sitting: Sitting,
}

impl Thermometer {
    fn read(&mut self, uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
        if uuid == SITE {
            self.site = site(bytes)?;
        }
        let mut measured = decode(uuid, bytes)?;
        for value in &mut measured {
            if !value.flags.iter().any(|flag| SITES.contains(&flag.as_str())) {
                value.flags.extend(self.site.clone());
            }
        }
        Ok(measured)
    }
}

impl Session for Thermometer {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let read = gatt::characteristic(WHAT, channel).and_then(|uuid| self.read(uuid, bytes));
        if let (Channel::Characteristic(INTERMEDIATE), Ok(values)) = (channel, &read) {
            return vec![Output::Progress(Progress { values: values.clone(), percent: None })];
        }
        if read.as_ref().is_ok_and(|measured| !measured.is_empty()) {
            self.sitting.heard(now);
        }
        gatt::outputs(read, bytes)
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
    fn a_number_that_is_too_large_is_refused() {
        let wanted = "float: exponent is 0x1d, want a number of at most 28 digits: it is too large";
        tape::check(DRIVER, &["000100001d"], wanted);
    }

    #[test]
    fn a_temperature_keeps_its_unit_digits_and_site() {
        tape::check(DRIVER, &["00560e00fe"], "temperature 36.70 Cel");
        tape::check(DRIVER, &["07da0300ffe7070c190e1e2d03"], "temperature 98.6 [degF] 2023-12-25T14:30:45 site_ear");
        tape::check(DRIVER, &["046f0100ffff"], "temperature 36.7 Cel");
        tape::check(DRIVER, &["0000008000"], "");
        tape::check(DRIVER, &["006f0100"], "thermometer: 4 bytes, need at least 5");
    }

    #[test]
    fn a_rising_temperature_is_no_reading() {
        let mut tape = Tape::open(DRIVER);
        tape.value(SITE, "06").gives("");
        tape.value(INTERVAL, "3c00").gives("");
        tape.value(INTERMEDIATE, "00500100ff").gives("~ temperature 33.6 Cel intermediate site_mouth");
        tape.value(MEASUREMENT, "006f0100ff").gives("temperature 36.7 Cel site_mouth");
        tape.wait().gives("end");
        let alone = (DRIVER.decode)(Channel::Characteristic(INTERMEDIATE), &[vec![0, 0x50, 1, 0, 0xff]]).unwrap();
        assert_eq!(alone[0].flags, [Flag::new("intermediate")]);
    }
}
