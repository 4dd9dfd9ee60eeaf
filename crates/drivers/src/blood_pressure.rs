//! Bluetooth Blood Pressure service 0x1810: cuffs such as A&D UA-651BLE.
//!
//! ```text
//! 2A35 measurement, 2A36 intermediate cuff pressure (same layout; the first pressure is the cuff's, the other two mean nothing)
//! flags u8: 0 kPa, 1 time, 2 pulse, 3 user, 4 status
//! SFLOAT systolic, diastolic, mean | Date Time 7 | SFLOAT pulse | user u8, 255 unknown | status u16
//! status: 0 body movement, 1 cuff loose, 2 irregular pulse, 3-4 pulse range (1 above, 2 below), 5 improper position
//! 2A49 feature u16: 0 movement, 1 cuff fit, 2 irregular pulse, 3 pulse range, 4 position, 5 several bonds: what the status can say
//! ```
//!
//! The pressure of a cuff that is still being let down is nobody's blood pressure: 2A36 shows how the measurement stands
//! ([`Output::Progress`]), as a systolic pressure with the flag `cuff_pressure`, and is no reading. A measurement without any number is
//! refused, so that it is counted. Cuffs that break the standard are read by their profile (the file `quirks.rs`): Beurer's BM85 sends a user
//! that its flags don't announce and turns round the bytes after it, A&D's UA-651 stores records without any number.
//! Source: Bluetooth SIG Blood Pressure Service 1.0 and the GATT specification supplement.

use jiff::{Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Unit, Value, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Output, Progress, Session, Transport, float,
    gatt::{self, Fields, Sitting, uuid16},
    quirks::{self, Break, Profile},
};

const WHAT: &str = "blood pressure";

/// Measurement.
pub const MEASUREMENT: Uuid = uuid16(0x2a35);
/// Intermediate cuff pressure.
pub const INTERMEDIATE_CUFF: Uuid = uuid16(0x2a36);
/// What the device can do.
pub const FEATURE: Uuid = uuid16(0x2a49);

const KPA: u8 = 1 << 0;
const TIME: u8 = 1;
const PULSE: u8 = 2;
const USER: u8 = 3;
const STATUS: u8 = 4;
const OPTIONAL: &[(u8, usize)] = &[(TIME, 7), (PULSE, 2), (USER, 1), (STATUS, 2)];

const STATUS_FLAGS: &[(u32, &str)] =
    &[(0, "body_movement"), (1, "cuff_loose"), (2, "irregular_pulse"), (5, "improper_position")];

/// The pressure is that of the cuff.
const CUFF_PRESSURE: Flag = Flag::new("cuff_pressure");

const NAME: &str = "gatt-blood-pressure";

/// The driver.
pub const DRIVER: Driver = Driver {
    name: NAME,
    transport: Transport::Ble {
        service: uuid16(0x1810),
        subscribe: &[MEASUREMENT, INTERMEDIATE_CUFF],
        read: &[FEATURE],
        names: &[],
    },
    vitals: &[Vital::Systolic, Vital::Diastolic, Vital::MeanPressure, Vital::Pulse],
    devices: &["A&D UA-651BLE", "Beurer BM85", "Medisana BU5xx"],
    standard: "Bluetooth SIG Blood Pressure Service 1.0 (0x1810)",
    open: |options| Box::new(Cuff { profile: Profile::new(NAME, options), sitting: Sitting::default() }),
    decode: |channel, frames| decode_breaking(None, channel, frames),
};

/// One value of 2A35 or 2A36.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressures {
    /// mmHg or kPa.
    pub unit: Unit,
    /// Systolic, diastolic, mean; in 2A36 the first is the cuff's and the others mean nothing.
    pub pressures: [Option<Value>; 3],
    /// The device's time.
    pub time: Option<DateTime>,
    /// Beats a minute.
    pub pulse: Option<Value>,
    /// Status bits and user.
    pub flags: Vec<Flag>,
}

/// Reads a value of 2A35 or 2A36, by the standard.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn parse(bytes: &[u8]) -> Result<Pressures, DecodeError> {
    let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 7, OPTIONAL)?;
    let has = |bit: u8| bits & (1 << bit) != 0;
    let mut read = start(bits, &mut fields);
    if has(PULSE) {
        read.pulse = fields.sfloat();
    }
    if has(USER) {
        read.flags.extend(gatt::user(fields.u8()));
    }
    if has(STATUS) {
        read.flags.extend(status_flags(fields.u16()));
    }
    Ok(read)
}

/// Reads a value of 2A35 of a device that breaks the standard in this way; a frame that fits nothing else tells by itself.
///
/// # Errors
/// As [`parse`].
pub fn parse_as(bytes: &[u8], breaks: Option<Break>) -> Result<Pressures, DecodeError> {
    match breaks.or_else(|| quirks::of_frame(NAME, bytes)) {
        Some(Break::HiddenUserBigEndianTail) if bytes.len() == with_user(bytes) => hidden_user(bytes),
        _ => parse(bytes),
    }
}

/// How long a frame is that has a user, whether it says so or not.
fn with_user(bytes: &[u8]) -> usize {
    let bits = bytes.first().copied().unwrap_or(0) | 1 << USER;
    OPTIONAL.iter().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, len)| len).sum::<usize>() + 7
}

fn hidden_user(bytes: &[u8]) -> Result<Pressures, DecodeError> {
    let mut fields = Fields::exact(WHAT, bytes, with_user(bytes))?;
    let bits = fields.u8();
    let has = |bit: u8| bits & (1 << bit) != 0;
    let mut read = start(bits, &mut fields);
    let zero = Value::new(0, 0);
    read.pressures[2] = read.pressures[2].filter(|mean| *mean != zero);
    if has(PULSE) {
        read.pulse = float::sfloat(fields.u16().swap_bytes());
    }
    read.flags.extend(gatt::user(fields.u8()));
    if has(STATUS) {
        read.flags.extend(status_flags(fields.u16().swap_bytes()));
    }
    Ok(read)
}

/// What all frames begin with.
fn start(bits: u8, fields: &mut Fields<'_>) -> Pressures {
    let unit = if bits & KPA == 0 { Unit::MillimetreMercury } else { Unit::Kilopascal };
    let pressures = [fields.sfloat(), fields.sfloat(), fields.sfloat()];
    let mut flags = Vec::new();
    let time = if bits & (1 << TIME) == 0 { None } else { fields.date_time(&mut flags) };
    Pressures { unit, pressures, time, pulse: None, flags }
}

/// Reads a value of 2A49: which bits of the status the device can set, and that it keeps several bonds.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn feature(bytes: &[u8]) -> Result<u16, DecodeError> {
    Ok(Fields::exact("blood pressure feature", bytes, 2)?.u16())
}

fn status_flags(status: u16) -> impl Iterator<Item = Flag> {
    let range = match status >> 3 & 0b11 {
        1 => Some(Flag::new("pulse_above_range")),
        2 => Some(Flag::new("pulse_below_range")),
        _ => None,
    };
    gatt::named(status.into(), STATUS_FLAGS).chain(range)
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
        MEASUREMENT => parse_as(bytes, breaks).map(measured),
        INTERMEDIATE_CUFF => parse(bytes).map(cuff),
        FEATURE => feature(bytes).map(|_| Vec::new()),
        other => Err(gatt::unknown(WHAT, other, "0x2a35, 0x2a36 or 0x2a49")),
    }
}

fn measured(read: Pressures) -> Vec<Measured> {
    let [systolic, diastolic, mean] = read.pressures;
    let values = [
        (Vital::Systolic, systolic, read.unit),
        (Vital::Diastolic, diastolic, read.unit),
        (Vital::MeanPressure, mean, read.unit),
        (Vital::Pulse, read.pulse, Unit::PerMinute),
    ];
    gatt::present(values, read.time, &read.flags)
}

fn cuff(mut read: Pressures) -> Vec<Measured> {
    read.flags.push(CUFF_PRESSURE);
    let values = [(Vital::Systolic, read.pressures[0], read.unit), (Vital::Pulse, read.pulse, Unit::PerMinute)];
    gatt::present(values, read.time, &read.flags)
}

/// A connection.
struct Cuff {
    profile: Profile,
    sitting: Sitting,
}

impl Cuff {
    fn read(&mut self, now: Timestamp, uuid: Uuid, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        match uuid {
            MEASUREMENT => {
                let measured = measured(parse_as(bytes, self.profile.breaks())?);
                self.sitting.heard(now);
                if measured.is_empty() { Err(self.empty()) } else { Ok(gatt::outputs(Ok(measured), bytes)) }
            }
            INTERMEDIATE_CUFF => {
                let values = cuff(parse(bytes)?);
                Ok(vec![Output::Progress(Progress { values, percent: None })])
            }
            other => decode(other, bytes, None).map(|_| Vec::new()),
        }
    }

    fn empty(&self) -> DecodeError {
        let wanted = match self.profile.breaks() {
            Some(Break::EmptyRecords) => "a number (devices of this model store records that have none)",
            _ => "a number: the measurement has none",
        };
        DecodeError::Malformed { what: WHAT, field: "systolic", found: 0x07ff, wanted }
    }
}

impl Session for Cuff {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        Vec::new()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let read = gatt::characteristic(WHAT, channel).and_then(|uuid| self.read(now, uuid, bytes));
        read.unwrap_or_else(|error| gatt::outputs(Err(error), bytes))
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

    fn model(&mut self, model: &str) {
        self.profile.model(model);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options,
        tape::{self, Tape},
    };

    #[test]
    fn a_measurement_gives_its_pressures_and_pulse() {
        tape::check(
            DRIVER,
            &["1686004d006400e10701100d00183d000400"],
            "systolic 134 mm[Hg] 2017-01-16T13:00:24 irregular_pulse; diastolic 77 mm[Hg] 2017-01-16T13:00:24 irregular_pulse; \
             mean_pressure 100 mm[Hg] 2017-01-16T13:00:24 irregular_pulse; pulse 61 /min 2017-01-16T13:00:24 irregular_pulse",
        );
    }

    #[test]
    fn kilopascals_keep_their_unit_and_digits() {
        tape::check(
            DRIVER,
            &["00bdf00b009ff0"],
            "systolic 18.9 mm[Hg]; diastolic 11 mm[Hg]; mean_pressure 15.9 mm[Hg]",
        );
        tape::check(DRIVER, &["09bdf00b00ff0703"], "systolic 18.9 kPa user_3; diastolic 11 kPa user_3");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        tape::check(DRIVER, &["0102030405"], "blood pressure: 5 bytes, need at least 7");
        tape::check(
            DRIVER,
            &["16710049000000ea07080b1438000041010000"],
            "blood pressure: 19 bytes, at most 18 are meant by its flags",
        );
    }

    #[test]
    fn an_impossible_time_is_left_out_and_said() {
        tape::check(
            DRIVER,
            &["02780050006000e707021e000000"],
            "systolic 120 mm[Hg] clock_implausible; \
             diastolic 80 mm[Hg] clock_implausible; mean_pressure 96 mm[Hg] clock_implausible",
        );
    }
    const BM85: &str = "56710049000000ea07080b1438000041010000";
    const BM85_SAYS: &str = "systolic 113 mm[Hg] 2026-08-11T20:56:00 user_1; diastolic 73 mm[Hg] 2026-08-11T20:56:00 user_1; \
                             pulse 65 /min 2026-08-11T20:56:00 user_1";

    #[test]
    fn a_bm85_is_known_by_its_frames_its_name_or_its_configuration() {
        tape::check(DRIVER, &[BM85], BM85_SAYS);
        let unknown_flags = BM85.replacen("56", "16", 1);
        let mut stranger = Tape::open(DRIVER);
        stranger.value(MEASUREMENT, &unknown_flags);
        stranger.gives("! blood pressure: 19 bytes, at most 18 are meant by its flags");
        let mut by_name = Tape::open(DRIVER);
        by_name.model("BM85").value(MEASUREMENT, &unknown_flags).gives(BM85_SAYS);
        let options = Options { quirk: quirks::find("beurer-bm85"), ..Options::default() };
        let mut configured = Tape::open_with(DRIVER, &options);
        configured.value(MEASUREMENT, &unknown_flags).gives(BM85_SAYS);
        configured.value(MEASUREMENT, "16710049000000ea07080b1438004100 0300").gives(
            "systolic 113 mm[Hg] 2026-08-11T20:56:00 body_movement cuff_loose; \
             diastolic 73 mm[Hg] 2026-08-11T20:56:00 body_movement cuff_loose; \
             mean_pressure 0 mm[Hg] 2026-08-11T20:56:00 body_movement cuff_loose; \
             pulse 65 /min 2026-08-11T20:56:00 body_movement cuff_loose",
        );
    }

    #[test]
    fn a_record_without_numbers_is_no_reading_and_is_counted() {
        const EMPTY: &str = "16ff07ff07ff07e107010e162c04ff070000";
        tape::check(DRIVER, &[EMPTY], "");
        let mut cuff = Tape::open(DRIVER);
        cuff.value(MEASUREMENT, EMPTY);
        cuff.gives("! blood pressure: systolic is 0x7ff, want a number: the measurement has none");
        cuff.model("UA-651BLE").value(MEASUREMENT, EMPTY).gives(
            "! blood pressure: systolic is 0x7ff, want a number (devices of this model store records that have none)",
        );
        cuff.wait().gives("end");
    }

    #[test]
    fn the_cuffs_pressure_is_shown_and_is_no_reading() {
        let mut tape = Tape::open(DRIVER);
        tape.value(FEATURE, "1f00").gives("");
        tape.value(INTERMEDIATE_CUFF, "156ff0000000003c001200").gives(
            "~ systolic 11.1 kPa cuff_loose pulse_below_range cuff_pressure; pulse 60 /min cuff_loose pulse_below_range cuff_pressure",
        );
        tape.value(INTERMEDIATE_CUFF, "0096000000ff").gives("! blood pressure: 6 bytes, need at least 7");
        tape.closed().gives("");
    }

    #[test]
    fn a_link_lost_between_records_keeps_what_came() {
        let mut tape = Tape::open(DRIVER);
        tape.value(MEASUREMENT, "0078005000ff07").gives("systolic 120 mm[Hg]; diastolic 80 mm[Hg]");
        tape.closed().gives("end");
    }
}
