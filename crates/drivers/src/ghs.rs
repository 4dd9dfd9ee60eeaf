//! Bluetooth Generic Health Sensor service 0x1840: any measurement, named by its MDC code. It is the standard's way for spirometers, which
//! have no profile of their own.
//!
//! ```text
//! 2B8B live observations, 2BDD stored ones, each in segments: header u8 (0 first, 1 last, 2-7 rolling counter), then a piece of
//!      an observation (see the file `ghs/observation.rs`); a stored one has its record number u32 before it
//! 2BF3 features: flags u8, count u8, so many types u32
//! 2BF4 control point: 01 start sending live, 02 stop; answer 80 done
//! 2BF1 observation schedule changed; descriptors 2910 schedule, 2911 range
//! 2A52 record access control point (see `racp.rs`), where 07 reports and 08 with a count u32 says that the report is complete
//! ```
//!
//! What is no vital (a quality grade, a personal best) is understood and left out; a vital in a unit that it is not measured in is refused.
//! A time that was made by a clock set since is a time if that clock had been synchronised; of one that never was, and of a counter, the
//! time is left out with the flag `clock_not_set`. The layout is that of the public simulator, written before the standard was adopted; no
//! capture of a device on the market has been seen. Sources: philips-labs/BLE-GHS-Server-Simulator, HL7's Personal Health Device guide.

mod observation;
mod segments;

use jiff::{Timestamp, civil::DateTime};
use uuid::Uuid;
use vitals::{Flag, Vital};

use crate::{
    Channel, DecodeError, DeviceClock, Driver, Measured, Output, Session, Transport,
    gatt::{self, Fields, Sitting, uuid16},
    mdc,
    racp::{self, Download, Number},
};
pub use observation::{Observation, Quantity, parse};
use segments::Segments;

const WHAT: &str = "health sensor";

/// Observations as they are made.
pub const LIVE: Uuid = uuid16(0x2b8b);
/// Observations that were kept.
pub const STORED: Uuid = uuid16(0x2bdd);
/// What the device can observe.
pub const FEATURES: Uuid = uuid16(0x2bf3);
/// Starts and stops live observations.
pub const CONTROL_POINT: Uuid = uuid16(0x2bf4);
/// How often the device observes has changed.
pub const SCHEDULE_CHANGED: Uuid = uuid16(0x2bf1);

const START_LIVE: u8 = 0x01;
const DONE: u8 = 0x80;

/// Types in the features, at most.
const TYPES_MAX: usize = 255;
const RECORD_NUMBER_LEN: usize = 4;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "gatt-ghs",
    transport: Transport::Ble {
        service: uuid16(0x1840),
        subscribe: &[LIVE, STORED, racp::CONTROL_POINT, CONTROL_POINT, SCHEDULE_CHANGED],
        read: &[FEATURES],
        names: &[],
    },
    vitals: &[
        Vital::Fev1,
        Vital::Fvc,
        Vital::Fev6,
        Vital::Pef,
        Vital::Fev1Fvc,
        Vital::Spo2,
        Vital::Pulse,
        Vital::RespRate,
        Vital::Temperature,
        Vital::Systolic,
        Vital::Diastolic,
        Vital::MeanPressure,
        Vital::Weight,
    ],
    devices: &["Philips GHS simulator"],
    standard: "Bluetooth SIG Generic Health Sensor Service (0x1840), layout before its adoption",
    open: |_| Box::new(HealthSensor::default()),
    decode,
};

/// What a device can observe, as MDC codes; from a value of 2BF3.
///
/// # Errors
/// [`DecodeError::TooShort`].
pub fn features(bytes: &[u8]) -> Result<Vec<u32>, DecodeError> {
    const WHAT: &str = "health sensor features";
    let count = usize::from(*bytes.get(1).ok_or(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: 2 })?);
    let need = 2 + count.min(TYPES_MAX) * 4;
    let mut fields = Fields::exact(WHAT, bytes.get(..need).unwrap_or(bytes), need)?;
    fields.u16();
    Ok((0..count).map(|_| fields.u32()).collect())
}

/// What observations say of vitals.
///
/// # Errors
/// [`DecodeError::Malformed`] for a vital in a unit that it isn't measured in.
pub fn measured(observations: &[Observation]) -> Result<Vec<Measured>, DecodeError> {
    let all: Result<Vec<_>, _> = observations.iter().flat_map(of_one).collect();
    all
}

fn of_one(observation: &Observation) -> Vec<Result<Measured, DecodeError>> {
    let mut flags = observation.flags.clone();
    let made = observation.time.map(|time| (time, time.at()));
    let at = match made {
        Some((time, Some(at))) if time.is_on_current_timeline() || !time.is_not_synchronised() => Some(at),
        Some((time, None)) if !time.is_ticks() => {
            flags.push(Flag::CLOCK_IMPLAUSIBLE);
            None
        }
        Some(_) => {
            flags.push(Flag::CLOCK_NOT_SET);
            None
        }
        None => None,
    };
    let one = |quantity: &Quantity| {
        let (vital, value) = mdc::vital(quantity.code).zip(quantity.value)?;
        let Some(unit) = mdc::unit(quantity.unit).filter(|unit| unit.to_canonical(vital, value).is_ok()) else {
            let found = quantity.unit.into();
            return Some(Err(wrong("unit", found, "the MDC code of a unit that the vital is measured in")));
        };
        let (device_time, device_offset) = (at.map(|at| at.time), at.and_then(|at| at.offset));
        Some(Ok(Measured { vital, value, unit, device_time, device_offset, flags: flags.clone() }))
    };
    observation.quantities.iter().filter_map(one).collect()
}

fn wrong(field: &'static str, found: u32, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found, wanted }
}

/// One whole value of 2BDD: the number of the record, and what it says.
fn stored(bytes: &[u8]) -> Result<(u32, Vec<Observation>), DecodeError> {
    let Some((number, rest)) = bytes.split_first_chunk::<RECORD_NUMBER_LEN>() else {
        return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: RECORD_NUMBER_LEN });
    };
    let mut observations = parse(rest)?;
    for observation in &mut observations {
        observation.flags.push(Flag::FROM_STORAGE);
    }
    Ok((u32::from_le_bytes(*number), observations))
}

/// Segments in order, or whole observations without the header of a segment.
fn decode(channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let uuid = gatt::characteristic(WHAT, channel)?;
    let head = match uuid {
        LIVE => 0,
        STORED => RECORD_NUMBER_LEN,
        other => return frames.iter().try_for_each(|frame| says_nothing(other, frame)).map(|()| Vec::new()),
    };
    let (mut segments, mut all) = (Segments::default(), Vec::new());
    for frame in frames {
        let is_whole = frame.get(head..).is_some_and(observation::is_whole);
        let is_damaged = !is_whole && segments.is_empty() && is_without_segment(frame, head);
        let whole = if is_whole || is_damaged { Some(frame.clone()) } else { segments.take(frame)? };
        let Some(whole) = whole else { continue };
        let observations = if uuid == LIVE { parse(&whole)? } else { stored(&whole)?.1 };
        all.extend(measured(&observations)?);
    }
    segments.end().map(|()| all)
}

/// Does an observation begin where that of a first segment would begin a byte later? An even byte is no first segment's.
fn is_without_segment(frame: &[u8], head: usize) -> bool {
    let begins = |at: usize| frame.get(at).is_some_and(|class| observation::is_class(*class));
    begins(head) && frame[head] & 1 != 0 && !begins(head + 1)
}

/// Checks a value of a characteristic that holds no observation.
fn says_nothing(uuid: Uuid, bytes: &[u8]) -> Result<(), DecodeError> {
    match uuid {
        FEATURES => features(bytes).map(drop),
        CONTROL_POINT => started(bytes),
        SCHEDULE_CHANGED => Ok(()),
        racp::CONTROL_POINT => match *bytes {
            [COMBINED_REPORT_ANSWER, 0, _, ..] => Ok(()),
            _ => racp::Answer::parse(bytes).map(drop),
        },
        other => Err(gatt::unknown(WHAT, other, "0x2b8b, 0x2bdd, 0x2bf1, 0x2bf3, 0x2bf4 or 0x2a52")),
    }
}

/// Reads what the control point answers to the start of live observations.
fn started(bytes: &[u8]) -> Result<(), DecodeError> {
    match *bytes {
        [DONE, ..] => Ok(()),
        [refused, ..] => Err(wrong("answer to the start", refused.into(), "0x80, done")),
        [] => Err(DecodeError::TooShort { what: WHAT, found: 0, need: 1 }),
    }
}

/// A connection.
#[derive(Default)]
struct HealthSensor {
    live: Segments,
    stored: Segments,
    records: Records,
    sitting: Sitting,
}

impl HealthSensor {
    fn observed(&mut self, now: Timestamp, observations: &[Observation]) -> Result<Vec<Output>, DecodeError> {
        let measured = measured(observations)?;
        if !measured.is_empty() {
            self.sitting.heard(now);
        }
        let timed = |one: &Observation| one.time.filter(|time| !time.is_ticks());
        let by_an_older_clock = observations
            .iter()
            .filter_map(timed)
            .any(|time| !time.is_on_current_timeline() && !time.is_not_synchronised());
        // What a synchronised clock said before it was set anew was right then, whatever the clock says now.
        let clock = (by_an_older_clock && !measured.is_empty()).then_some(Output::Clock(DeviceClock::Zoned(now)));
        Ok(clock.into_iter().chain(measured.into_iter().map(Output::Measured)).collect())
    }

    fn live_came(&mut self, now: Timestamp, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        match self.live.take(bytes)? {
            Some(whole) => self.observed(now, &parse(&whole)?),
            None => Ok(Vec::new()),
        }
    }

    fn stored_came(&mut self, now: Timestamp, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        let read = match self.stored.take(bytes) {
            Ok(None) => return Ok(Vec::new()),
            Ok(Some(whole)) => stored(&whole),
            Err(error) => Err(error),
        };
        let said = read.and_then(|(number, observations)| Ok((number, self.observed(now, &observations)?)));
        match said {
            Ok((number, outputs)) => {
                self.records.download.understood(now, Some(Number::Long(number)));
                Ok(outputs)
            }
            Err(error) => {
                self.records.download.misread(now);
                Err(error)
            }
        }
    }

    fn came(&mut self, now: Timestamp, uuid: Uuid, bytes: &[u8]) -> Result<Vec<Output>, DecodeError> {
        match uuid {
            LIVE => self.live_came(now, bytes),
            STORED => self.stored_came(now, bytes),
            racp::CONTROL_POINT => Ok(self.records.answered(now, bytes)),
            other => says_nothing(other, bytes).map(|()| Vec::new()),
        }
    }
}

impl Session for HealthSensor {
    fn connected(&mut self, now: Timestamp, _local: DateTime) -> Vec<Output> {
        let channel = Channel::Characteristic(CONTROL_POINT);
        let live = Output::Write { channel, bytes: vec![START_LIVE] };
        [vec![live], self.records.start(now)].concat()
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        let came = gatt::characteristic(WHAT, channel).and_then(|uuid| self.came(now, uuid, bytes));
        came.unwrap_or_else(|error| vec![Output::Refused { error, bytes: bytes.to_vec() }])
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        let quiet = self.sitting.ends_at().filter(|_| !self.records.are_coming());
        [quiet, self.records.download.timeout_at()].into_iter().flatten().min()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let mut outputs = self.records.timed_out(now);
        if !self.records.are_coming() {
            outputs.extend(self.sitting.end_if_due(now));
        }
        outputs
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        self.records = Records::default();
        self.sitting.end()
    }

    fn kept(&mut self, now: Timestamp) -> Vec<Output> {
        let said = self.records.download.kept(now);
        self.records.translated(said)
    }
}

/// The download, with this service's own words for a report. A device that doesn't know them is asked in the usual ones.
#[derive(Default)]
struct Records {
    download: Download,
    /// The device has answered something, so it has records to ask for.
    answers: bool,
    usual: bool,
}

const COMBINED_REPORT: u8 = 7;
const COMBINED_REPORT_ANSWER: u8 = 8;
const REPORT: u8 = 1;
const ANSWER: u8 = 6;
const OPCODE_NOT_KNOWN: u8 = 2;

impl Records {
    fn start(&mut self, now: Timestamp) -> Vec<Output> {
        let said = self.download.start(now);
        self.translated(said)
    }

    /// Is the sitting not over before they are told?
    fn are_coming(&self) -> bool {
        self.answers && self.download.is_busy()
    }

    fn answered(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<Output> {
        self.answers = true;
        let said = match *bytes {
            [ANSWER, 0, COMBINED_REPORT, OPCODE_NOT_KNOWN] if !self.usual => {
                self.usual = true;
                let usual = racp::Request::Report(racp::Which::All);
                return vec![usual.write()];
            }
            [ANSWER, 0, COMBINED_REPORT, code] => self.download.answered(now, &[ANSWER, 0, REPORT, code]),
            [COMBINED_REPORT_ANSWER, 0, _, ..] => self.download.answered(now, &[ANSWER, 0, REPORT, racp::SUCCESS]),
            _ => self.download.answered(now, bytes),
        };
        self.translated(said)
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let said = self.download.timed_out(now);
        self.translated(said)
    }

    fn translated(&self, mut outputs: Vec<Output>) -> Vec<Output> {
        for output in &mut outputs {
            if let Output::Write { bytes, .. } = output
                && !self.usual
                && bytes.first() == Some(&REPORT)
            {
                bytes[0] = COMBINED_REPORT;
            }
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        Options,
        elapsed_time::CURRENT_ELAPSED_TIME,
        tape::{self, Tape, bytes},
    };

    /// FEV1 of 2.66 L at 2000-01-02 in UTC, on the current timeline, by a clock that was set by hand.
    const FEV1: &str = "01 1500 0300 0a540200 22 805101000000 04 00 4006 0a0100fe";
    const SAYS: &str = "fev1 2.66 L 2000-01-02T00:00:00";
    const PEF: &str = "01 0c00 0100 08540200 000c c2010000";

    #[test]
    fn vitals_are_told_by_their_codes() {
        tape::check(DRIVER, &[FEV1], SAYS);
        tape::check(DRIVER, &[&format!("03 {FEV1}")], SAYS);
        tape::check(DRIVER, &[PEF, FEV1], &format!("pef 450 L/min; {SAYS}"));
        tape::check(DRIVER, &["01 0c00 0100 00500200 000c c2010000"], "");
        tape::check(
            DRIVER,
            &["01 0c00 0100 0a540200 000c c2010000"],
            "health sensor: unit is 0xc00, want the MDC code of a unit that the vital is measured in",
        );
        tape::check(DRIVER, &["01 0c00 0100 0a540200 4006 ffff7f00"], "");
        let cut = FEV1.trim_end_matches("fe");
        tape::check(DRIVER, &[cut], "health observation: 23 bytes, need at least 24");
        tape::check(
            DRIVER,
            &[&format!("{FEV1} 00")],
            "health observation: 25 bytes, at most 24 are meant by its flags",
        );
        let offset = crate::decode(&DRIVER, None, &[bytes(FEV1)]).unwrap()[0].device_offset;
        assert_eq!(offset, Some(jiff::tz::Offset::UTC));
    }

    #[test]
    fn a_time_is_a_time_if_its_clock_was_one() {
        let with =
            |flags: &str, source: &str| format!("01 1500 0300 0a540200 {flags} 805101000000 {source} 00 4006 0a0100fe");
        tape::check(DRIVER, &[&with("22", "07")], SAYS);
        tape::check(DRIVER, &[&with("02", "01")], SAYS);
        tape::check(DRIVER, &[&with("02", "07")], "fev1 2.66 L clock_not_set");
        tape::check(DRIVER, &[&with("21", "00")], "fev1 2.66 L clock_not_set");
        let far = "01 1500 0300 0a540200 22 060504030201 07 00 4006 0a0100fe";
        tape::check(DRIVER, &[far], "fev1 2.66 L clock_implausible");
    }

    #[test]
    fn segments_make_one_observation() {
        let all = bytes(FEV1);
        let pieces = [[&[0b01], &all[..10]].concat(), [&[0b110], &all[10..]].concat()];
        let channel = Channel::Characteristic(LIVE);
        assert_eq!(decode(channel, &pieces).unwrap().len(), 1);
        assert_eq!(
            decode(channel, &pieces[..1]).unwrap_err().to_string(),
            "health sensor segment: incomplete, 10 bytes of 11"
        );
        let record = [bytes("03 07000000"), all].concat();
        let stored = decode(Channel::Characteristic(STORED), &[record]).unwrap();
        assert_eq!(stored[0].flags, [Flag::FROM_STORAGE]);
        assert_eq!(features(&bytes("00 02 0a540200 08540200")), Ok(vec![152_586, 152_584]));
    }

    fn connected() -> Tape {
        let mut tape = Tape::open(DRIVER);
        tape.gives("> 01; > 0401");
        tape
    }

    #[test]
    fn a_sensor_that_stores_nothing_sends_live() {
        let mut tape = connected();
        tape.value(CONTROL_POINT, "80").gives("");
        tape.value(LIVE, &format!("03 {FEV1}")).gives(SAYS);
        tape.value(LIVE, "0701").gives("! health observation: 1 bytes, need at least 3");
        tape.wait().gives("end");
        tape.value(CONTROL_POINT, "81").gives("! health sensor: answer to the start is 0x81, want 0x80, done");
    }

    #[test]
    fn stored_records_are_fetched_and_deleted_when_they_are_kept() {
        let mut tape = connected();
        tape.value(racp::CONTROL_POINT, "0500 02000000").gives("> 0701");
        tape.value(STORED, &format!("03 05000000 {FEV1}")).gives(&format!("{SAYS} from_storage"));
        tape.pass(SignedDuration::from_secs(10)).value(STORED, &format!("07 06000000 {PEF}"));
        tape.gives("pef 450 L/min from_storage");
        tape.value(racp::CONTROL_POINT, "0800 02000000").gives("");
        tape.wait().gives("end");
        tape.kept().gives("> 04020106000000");
        tape.value(racp::CONTROL_POINT, "0500 02000000").gives("> 02020106000000");
        tape.value(racp::CONTROL_POINT, "06000201").gives("end");
    }

    #[test]
    fn a_record_that_was_not_understood_is_not_deleted() {
        let mut tape = connected();
        tape.value(racp::CONTROL_POINT, "0500 02000000").gives("> 0701");
        tape.value(STORED, &format!("03 05000000 {FEV1}")).said();
        tape.value(STORED, "07 06000000 01").gives("! health observation: 1 bytes, need at least 3");
        tape.value(racp::CONTROL_POINT, "06000701").gives("");
        tape.wait().gives("end");
        tape.kept().gives("");
    }

    #[test]
    fn a_lost_link_deletes_nothing_and_asks_nothing() {
        let mut tape = connected();
        tape.value(racp::CONTROL_POINT, "0500 01000000").gives("> 0701");
        tape.value(STORED, &format!("03 05000000 {FEV1}")).said();
        tape.value(racp::CONTROL_POINT, "0800 01000000").closed().gives("end").kept().gives("");
    }

    #[test]
    fn a_value_of_every_characteristic_can_be_looked_at() {
        let look = |uuid, hex: &str| decode(Channel::Characteristic(uuid), &[bytes(hex)]);
        for (uuid, hex) in [
            (racp::CONTROL_POINT, "06000701"),
            (racp::CONTROL_POINT, "0800 02000000"),
            (CONTROL_POINT, "80"),
            (SCHEDULE_CHANGED, "00"),
            (FEATURES, "00 00"),
        ] {
            assert_eq!(look(uuid, hex), Ok(Vec::new()), "{hex}");
        }
        for (uuid, hex) in [(racp::CONTROL_POINT, "0701"), (CONTROL_POINT, "81"), (FEATURES, "00 01"), (uuid16(1), "")]
        {
            assert!(look(uuid, hex).is_err(), "{hex}");
        }
    }

    #[test]
    fn a_sensor_that_knows_only_the_usual_report_is_asked_for_that() {
        let mut tape = connected();
        tape.value(racp::CONTROL_POINT, "0500 0100").gives("> 0701");
        tape.value(racp::CONTROL_POINT, "06000702").gives("> 0101");
        tape.value(STORED, &format!("03 05000000 {FEV1}")).gives(&format!("{SAYS} from_storage"));
        tape.value(racp::CONTROL_POINT, "06000101").gives("");
        tape.wait().gives("end");
    }

    #[test]
    fn a_time_of_a_synchronised_clock_holds_although_the_clock_was_lost_since() {
        let mut tape = Tape::of(crate::open(&DRIVER, &Options::default()));
        tape.value(CURRENT_ELAPSED_TIME, "2205000000000007000100").gives("clock NotSet");
        tape.connected().gives("> 01; > 0401");
        tape.value(racp::CONTROL_POINT, "0500 0200").gives("> 0701");
        let of_before = FEV1.replace(" 22 ", " 02 ");
        tape.value(STORED, &format!("03 05000000 {of_before}"));
        tape.gives(&format!("clock Zoned(2026-11-22T08:00:00Z); {SAYS} from_storage"));
        tape.value(STORED, &format!("03 06000000 {FEV1}")).gives(&format!("clock NotSet; {SAYS} from_storage"));
        tape.value(racp::CONTROL_POINT, "06000701").gives("");
        tape.wait().gives("end; > 02835d953200000000; clock set");
    }
}
