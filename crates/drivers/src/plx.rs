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
//! A spot check is a measurement. A continuous stream becomes one measurement of a sitting (see the file `settle.rs`). Devices that do both
//! send the spot check when the stream ends, so the stream's measurement is held until then, or [`HELD_MAX`], and dropped if a spot check
//! says it better. A continuous frame decoded by itself gives its normal values (not the fast or the slow ones). Values that the status marks
//! as unavailable or invalid are absent. A time from a clock that has not been set is left out.
//! Source: Bluetooth SIG Pulse Oximeter Service 1.0.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Output, Session, Transport,
    gatt::{self, Fields, SITTING_QUIET, Sitting, uuid16},
    settle::Settle,
};

const WHAT: &str = "pulse oximeter";

/// Spot check.
pub const SPOT_CHECK: Uuid = uuid16(0x2a5e);
/// Continuous measurement.
pub const CONTINUOUS: Uuid = uuid16(0x2a5f);
/// What the device can do.
pub const FEATURES: Uuid = uuid16(0x2a60);

/// Continuous values a second.
const PER_SECOND: usize = 1;

/// How long a settled stream that goes on waits for a spot check.
pub const HELD_MAX: SignedDuration = SignedDuration::from_secs(30);

const CLOCK_NOT_SET: u8 = 1 << 4;

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
    name: "gatt-plx",
    transport: Transport::Ble {
        service: uuid16(0x1822),
        subscribe: &[SPOT_CHECK, CONTINUOUS],
        read: &[FEATURES],
        names: &[],
    },
    vitals: &[Vital::Spo2, Vital::Pulse, Vital::PerfusionIndex],
    devices: &["ChoiceMMed oximeter", "Nonin 3230"],
    standard: "Bluetooth SIG Pulse Oximeter Service 1.0 (0x1822)",
    open: |_| Box::new(Oximeter { settle: Settle::new(PER_SECOND), sitting: Sitting::default(), held: None }),
    decode: |channel, frames| gatt::decode_values(WHAT, decode, channel, frames),
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
        let time = fields.date_time(&mut doubts);
        if !not_set {
            read.time = time;
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

fn decode(uuid: Uuid, bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    match uuid {
        SPOT_CHECK => spot_check(bytes).map(measured),
        CONTINUOUS => continuous(bytes).map(measured),
        FEATURES => features(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a5e, 0x2a5f or 0x2a60")),
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

/// A connection.
struct Oximeter {
    settle: Settle,
    sitting: Sitting,
    held: Option<Held>,
}

/// What a stream settled into.
struct Held {
    outputs: Vec<Output>,
    since: Timestamp,
    until: Option<Timestamp>,
}

impl Oximeter {
    fn streamed(&mut self, now: Timestamp, sample: Vec<Measured>) -> Vec<Output> {
        let settled = self.settle.sample(now, sample);
        if settled.is_empty() {
            if let Some(held) = &mut self.held {
                held.until = now.checked_add(SITTING_QUIET).ok().min(held.since.checked_add(HELD_MAX).ok());
            }
            return self.release_if_due(now);
        }
        self.hold(now, settled)
    }

    /// Holds what settled now; what was held before comes out.
    fn hold(&mut self, now: Timestamp, outputs: Vec<Output>) -> Vec<Output> {
        let before = self.release();
        if !outputs.is_empty() {
            self.held = Some(Held { outputs, since: now, until: now.checked_add(SITTING_QUIET).ok() });
        }
        before
    }

    fn release(&mut self) -> Vec<Output> {
        self.held.take().map(|held| held.outputs).unwrap_or_default()
    }

    fn release_if_due(&mut self, now: Timestamp) -> Vec<Output> {
        let due = self.held.as_ref().and_then(|held| held.until).is_some_and(|until| until <= now);
        if due { self.release() } else { Vec::new() }
    }

    fn spot_checked(&mut self, now: Timestamp, measured: Vec<Measured>) -> Vec<Output> {
        self.held = None;
        self.settle.said_otherwise();
        self.sitting.heard(now);
        measured.into_iter().map(Output::Measured).collect()
    }
}

impl Session for Oximeter {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let decoded = gatt::characteristic(WHAT, channel).and_then(|uuid| Ok((uuid, decode(uuid, bytes)?)));
        match decoded {
            Ok((CONTINUOUS, sample)) => self.streamed(now, sample),
            Ok((_, measured)) if measured.is_empty() => Vec::new(),
            Ok((_, measured)) => self.spot_checked(now, measured),
            Err(error) => gatt::outputs(Err(error), bytes),
        }
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        let held = self.held.as_ref().and_then(|held| held.until);
        [self.settle.silent_at(), self.sitting.ends_at(), held].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let due = self.release_if_due(now);
        let silent = self.settle.timed_out(now);
        [due, self.hold(now, silent), self.sitting.end_if_due(now)].concat()
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        [self.release(), self.settle.finish(), self.sitting.end()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

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
    fn a_clock_that_was_never_set_gives_no_time() {
        tape::check(
            DRIVER,
            &["1761006000e10701010122132000200000"],
            "spo2 97 % clock_not_set measurement_ongoing low_perfusion; pulse 96 /min clock_not_set measurement_ongoing low_perfusion",
        );
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

    const GOOD: &str = "005d004800";
    const POOR: &str = "085c004700200000";
    const NOTHING: &str = "00ff07ff07";

    #[test]
    fn a_stream_settles_into_one_measurement_of_the_sitting() {
        let mut tape = Tape::open(DRIVER);
        tape.value(CONTINUOUS, NOTHING).value(CONTINUOUS, POOR).value(CONTINUOUS, "0063004800");
        for _ in 0..3 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.wait().gives("spo2 93 %; pulse 72 /min; end");
        for _ in 0..100 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.wait().gives("spo2 93 %; pulse 72 /min; end");
        tape.wait().gives("");
    }

    #[test]
    fn a_stream_without_end_says_one_measurement() {
        let mut tape = Tape::open(DRIVER);
        for second in 1..=200 {
            let wanted = if second == 34 { "spo2 93 %; pulse 72 /min; end" } else { "" };
            tape.value(CONTINUOUS, GOOD).gives(wanted).pass(SignedDuration::from_secs(1));
        }
        for _ in 0..3 {
            tape.value(CONTINUOUS, NOTHING);
        }
        for _ in 0..4 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.closed().gives("spo2 93 %; pulse 72 /min; end");
    }

    #[test]
    fn a_cold_finger_never_settles_and_is_said_so() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..30 {
            tape.value(CONTINUOUS, POOR).gives("");
        }
        tape.wait().gives("spo2 92 % low_perfusion unsettled; pulse 71 /min low_perfusion unsettled; end");
        tape.wait().gives("");
    }

    #[test]
    fn silence_and_a_lost_link_end_the_sitting_with_what_there_is() {
        let mut tape = Tape::open(DRIVER);
        tape.value(CONTINUOUS, GOOD).wait().wait().gives("spo2 93 % unsettled; pulse 72 /min unsettled; end");
        tape.value(CONTINUOUS, GOOD).closed().gives("spo2 93 % unsettled; pulse 72 /min unsettled; end");
        tape.value(CONTINUOUS, NOTHING).closed().gives("");
    }

    #[test]
    fn a_spot_check_speaks_for_the_stream_before_it() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..5 {
            tape.value(CONTINUOUS, GOOD).gives("");
        }
        tape.value(SPOT_CHECK, "005e004900").gives("spo2 94 %; pulse 73 /min");
        for _ in 0..10 {
            tape.value(CONTINUOUS, GOOD);
        }
        tape.wait().gives("end");
    }
}
