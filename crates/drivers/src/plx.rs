//! Bluetooth Pulse Oximeter service 0x1822: spot checks and continuous measurement.
//!
//! ```text
//! 2A5E spot check. flags u8: 0 time, 1 measurement status, 2 sensor status, 3 pulse amplitude index, 4 the clock has not been set
//!      SFLOAT SpO2, pulse | Date Time 7 | status u16 | sensor u24 | SFLOAT index
//! 2A5F continuous. flags u8: 0 fast, 1 slow, 2 measurement status, 3 sensor status, 4 pulse amplitude index
//!      SFLOAT SpO2, pulse | fast SpO2, pulse | slow SpO2, pulse | status u16 | sensor u24 | SFLOAT index
//! 2A60 features u16 | supported status u16 if bit 0 | supported sensor status u24 if bit 1
//! ```
//!
//! A spot check is a measurement. What a device has stored (features bit 2) is fetched over the record access control point, as spot checks
//! that carry `from_storage`. A continuous stream shows how it stands ([`crate::Output::Progress`]) and becomes one measurement of a sitting (see the file `settle.rs`). Devices that do both
//! send the spot check when the stream ends, so the stream's measurement is held until then, or half a minute, and dropped if a spot check
//! says it better. A continuous frame decoded by itself gives its normal values (not the fast or the slow ones). Values that the status marks
//! as unavailable or invalid are absent. A time from a clock that has not been set is said as it was sent, with the flag `clock_not_set`. A
//! continuous value that calls itself stored has no time and could only be taken for a live one, so it is refused.
//! Source: Bluetooth SIG Pulse Oximeter Service 1.0.

mod oximeter;

use jiff::civil::DateTime;
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Transport,
    gatt::{self, Fields, uuid16},
    quirks::Break,
    racp::{Answer, CONTROL_POINT},
};

const WHAT: &str = "pulse oximeter";

/// Spot check.
pub const SPOT_CHECK: Uuid = uuid16(0x2a5e);
/// Continuous measurement.
pub const CONTINUOUS: Uuid = uuid16(0x2a5f);
/// What the device can do.
pub const FEATURES: Uuid = uuid16(0x2a60);

const NAME: &str = "gatt-plx";

const CLOCK_NOT_SET: u8 = 1 << 4;

const FROM_STORAGE: u16 = 1 << 9;
const UNAVAILABLE: u16 = 1 << 13;
const INVALID: u16 = 1 << 15;

const STATUS_FLAGS: &[(u32, &str)] = &[
    (5, "measurement_ongoing"),
    (6, "early_estimate"),
    (7, "validated_data"),
    (8, "fully_qualified_data"),
    (9, "from_storage"),
    (10, "demonstration_data"),
    (11, "test_data"),
    (12, "calibration_ongoing"),
    (13, "measurement_unavailable"),
    (14, "questionable_measurement"),
    (15, "invalid_measurement"),
];

const SENSOR_FLAGS: &[(u32, &str)] = &[
    (0, "extended_display_ongoing"),
    (1, "equipment_malfunction"),
    (2, "signal_processing_irregularity"),
    (3, "inadequate_signal"),
    (4, "poor_signal"),
    (5, "low_perfusion"),
    (6, "erratic_signal"),
    (7, "nonpulsatile_signal"),
    (8, "questionable_pulse"),
    (9, "signal_analysis_ongoing"),
    (10, "sensor_interference"),
    (11, "sensor_unconnected_to_user"),
    (12, "unknown_sensor_connected"),
    (13, "sensor_displaced"),
    (14, "sensor_malfunction"),
    (15, "sensor_disconnected"),
];

/// The driver.
pub const DRIVER: Driver = Driver {
    name: NAME,
    transport: Transport::Ble {
        service: uuid16(0x1822),
        subscribe: &[SPOT_CHECK, CONTINUOUS, CONTROL_POINT],
        read: &[FEATURES],
        names: &[],
    },
    vitals: &[Vital::Spo2, Vital::Pulse, Vital::PerfusionIndex],
    devices: &["ChoiceMMed oximeter", "Nonin 3230"],
    standard: "Bluetooth SIG Pulse Oximeter Service 1.0 (0x1822)",
    open: |options| Box::new(oximeter::Oximeter::new(options)),
    decode: |channel, frames| decode_breaking(None, channel, frames),
};

/// One value of 2A5E or 2A5F.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oximetry {
    /// Oxygen saturation, percent.
    pub spo2: Option<Value>,
    /// Beats a minute.
    pub pulse: Option<Value>,
    /// Pulse amplitude index, percent.
    pub index: Option<Value>,
    /// The device's time; spot checks only.
    pub time: Option<DateTime>,
    /// Status bits.
    pub flags: Vec<Flag>,
}

impl Oximetry {
    /// The day on which the clock of such a device starts is no day of a measurement.
    fn by_clock(mut self, breaks: Option<Break>) -> Self {
        let Some(Break::ClockStarts(start)) = breaks else { return self };
        let starts = self.time.is_some_and(|time| time.date() == start);
        if starts && !self.flags.contains(&Flag::CLOCK_NOT_SET) {
            self.flags.push(Flag::CLOCK_NOT_SET);
        }
        self
    }
}

/// Reads a value of 2A5E.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn spot_check(bytes: &[u8]) -> Result<Oximetry, DecodeError> {
    let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 5, &[(0, 7), (1, 2), (2, 3), (3, 2)])?;
    let mut read = Oximetry { spo2: fields.sfloat(), pulse: fields.sfloat(), ..Oximetry::default() };
    let not_set = bits & CLOCK_NOT_SET != 0;
    if bits & 1 != 0 {
        let mut doubts = Vec::new();
        read.time = fields.date_time(&mut doubts);
        if !not_set {
            read.flags = doubts;
        }
    }
    if not_set {
        read.flags.push(Flag::CLOCK_NOT_SET);
    }
    read_status(&mut read, &mut fields, bits >> 1);
    Ok(read)
}

/// Reads a value of 2A5F.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn continuous(bytes: &[u8]) -> Result<Oximetry, DecodeError> {
    let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 5, &[(0, 4), (1, 4), (2, 2), (3, 3), (4, 2)])?;
    let mut read = Oximetry { spo2: fields.sfloat(), pulse: fields.sfloat(), ..Oximetry::default() };
    for pair in 0..2 {
        if bits & (1 << pair) != 0 {
            fields.u32();
        }
    }
    read_status(&mut read, &mut fields, bits >> 2);
    Ok(read)
}

/// The three optional fields at the end, which both have, in bits 0 to 2 of `has`.
fn read_status(read: &mut Oximetry, fields: &mut Fields<'_>, has: u8) {
    let status = if has & 1 != 0 { fields.u16() } else { 0 };
    let sensor = if has & 1 << 1 != 0 { fields.u24() } else { 0 };
    read.index = if has & 1 << 2 != 0 { fields.sfloat() } else { None };
    read.flags.extend(gatt::named(status.into(), STATUS_FLAGS));
    read.flags.extend(gatt::named(sensor, SENSOR_FLAGS));
    if status & (UNAVAILABLE | INVALID) != 0 {
        (read.spo2, read.pulse, read.index) = (None, None, None);
    }
}

/// One value of 2A60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// 0 status, 1 sensor status, 2 storage, 3 time, 4 fast, 5 slow, 6 index, 7 several bonds.
    pub bits: u16,
    /// Which status bits it can set, if it says.
    pub status: Option<u16>,
    /// Which sensor status bits it can set, if it says.
    pub sensor: Option<u32>,
}

/// Reads a value of 2A60. Some devices leave the supported bits out although they announce them.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn features(bytes: &[u8]) -> Result<Features, DecodeError> {
    const WHAT: &str = "pulse oximeter features";
    if let [low, high] = *bytes {
        return Ok(Features { bits: u16::from_le_bytes([low, high]), status: None, sensor: None });
    }
    let announced = bytes.first().map_or(0, |bits| usize::from(bits & 1) * 2 + usize::from(bits >> 1 & 1) * 3);
    let mut fields = Fields::exact(WHAT, bytes, 2 + announced)?;
    let bits = fields.u16();
    Ok(Features {
        bits,
        status: (bits & 1 != 0).then(|| fields.u16()),
        sensor: (bits & 1 << 1 != 0).then(|| fields.u24()),
    })
}

/// Frames of a device that breaks the standard in this way.
pub(crate) fn decode_breaking(
    breaks: Option<Break>,
    channel: Channel,
    frames: &[Vec<u8>],
) -> Result<Vec<Measured>, DecodeError> {
    gatt::decode_values(WHAT, |uuid, bytes| decode(uuid, bytes, breaks), channel, frames)
}

fn decode(uuid: Uuid, bytes: &[u8], breaks: Option<Break>) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        SPOT_CHECK => spot_check(bytes).map(|read| measured(read.by_clock(breaks))),
        CONTINUOUS => continuous(bytes).map(measured),
        FEATURES => features(bytes).map(|_| Vec::new()),
        CONTROL_POINT => Answer::parse(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a5e, 0x2a5f, 0x2a60 or 0x2a52")),
    }
}

fn measured(read: Oximetry) -> Vec<Measured> {
    let values = [
        (Vital::Spo2, read.spo2, Unit::Percent),
        (Vital::Pulse, read.pulse, Unit::PerMinute),
        (Vital::PerfusionIndex, read.index, Unit::Percent),
    ];
    gatt::present(values, read.time, &read.flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    #[track_caller]
    fn check_continuous(hex: &str, wanted: &str) {
        let mut words: Vec<String> = Vec::new();
        for value in (DRIVER.decode)(Channel::Characteristic(CONTINUOUS), &[tape::bytes(hex)]).unwrap() {
            words.push(format!("{} {} {:?}", value.vital, value.value, value.flags));
        }
        assert_eq!(words.join("; "), wanted);
    }

    #[test]
    fn a_spot_check_is_a_measurement() {
        tape::check(DRIVER, &["0061006000"], "spo2 97 %; pulse 96 /min");
        tape::check(DRIVER, &["0f5d004800ea070b160800008001200000"], "pulse oximeter: 17 bytes, need at least 19");
        tape::check(
            DRIVER,
            &["0f5d004800ea070b1608000080012000000ef0"],
            "spo2 93 % 2026-11-22T08:00:00 validated_data fully_qualified_data low_perfusion; \
             pulse 72 /min 2026-11-22T08:00:00 validated_data fully_qualified_data low_perfusion; \
             perfusion_index 1.4 % 2026-11-22T08:00:00 validated_data fully_qualified_data low_perfusion",
        );
    }

    #[test]
    fn a_clock_that_was_never_set_says_so_beside_its_time() {
        tape::check(
            DRIVER,
            &["1761006000e10701010122132000200000"],
            "spo2 97 % 2017-01-01T01:34:19 clock_not_set measurement_ongoing low_perfusion; \
             pulse 96 /min 2017-01-01T01:34:19 clock_not_set measurement_ongoing low_perfusion",
        );
        tape::check(DRIVER, &["016100600000000000012213"], "spo2 97 % clock_not_set; pulse 96 /min clock_not_set");
    }

    #[test]
    fn values_marked_unavailable_or_invalid_are_absent() {
        tape::check(DRIVER, &["02610060000020", "02610060000080"], "");
        tape::check(DRIVER, &["00ff076000"], "pulse 96 /min");
    }

    #[test]
    fn continuous_flags_have_places_of_their_own() {
        check_continuous("00e8f384f3", "spo2 100.0 []; pulse 90.0 []");
        check_continuous("035d0048005e0049005c004700", "spo2 93 []; pulse 72 []");
        check_continuous(
            "1f5d0048005e0049005c00470040000002000ef0",
            "spo2 93 [early_estimate, signal_analysis_ongoing]; pulse 72 [early_estimate, signal_analysis_ongoing]; \
             perfusion_index 1.4 [early_estimate, signal_analysis_ongoing]",
        );
    }
}
