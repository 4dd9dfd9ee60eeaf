//! Nonin 3230 over the maker's own service, which says more than its Pulse Oximeter service (0x1822) and is told when to stop.
//!
//! ```text
//! 0aad7ea0 (notify), once a second, 10 bytes:
//!   0 length | 1 status {6 encrypted, 5 low battery, 4 finger placed right, 3 searching, 2 SmartPoint} | 2 voltage | 3-4 pulse amplitude
//!   5-6 counter | 7 SpO2, 127 missing | 8-9 pulse, 511 missing          words: the higher byte first
//! 1447af80: 62 4E 4D 49 written to it ends the measurement
//! ```
//!
//! The stream becomes one measurement of a sitting (see the file `settle.rs`); then the device is told that it is complete. The units of the
//! voltage and of the amplitude, and which way round the placement bit is when nothing is measured, are not public: they become no readings and no flags.
//! Sources: andreasdri/nonin-3230-ble; the public integrations of the maker's service.

use jiff::{Timestamp, civil::DateTime};
use uuid::{Uuid, uuid};
use vitals::{Flag, Vital};

use crate::{
    Channel, DecodeError, Driver, Measured, Output, Session, Transport, bci,
    gatt::{self, named},
    live::{End, Live, Streaming, Values},
};

const WHAT: &str = "nonin 3230";

/// The service.
pub const SERVICE: Uuid = uuid!("46a970e0-0d5f-11e2-8b5e-0002a5d5c51b");
/// The values.
pub const VALUES: Uuid = uuid!("0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b");
/// Where the device is told things.
pub const CONTROL: Uuid = uuid!("1447af80-0d60-11e2-88b6-0002a5d5c51b");
/// What tells it that the measurement is complete.
pub const COMPLETE: [u8; 4] = [0x62, 0x4e, 0x4d, 0x49];

/// Bytes of a value.
pub const VALUE_BYTES: usize = 10;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "nonin-3230",
    transport: Transport::Ble { service: SERVICE, subscribe: &[VALUES], read: &[], names: &["Nonin3230_"] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Nonin 3230"],
    standard: "Nonin 3230 oximetry service, as decoded in public",
    open: |_| {
        let values = Values::new(WHAT, decode, |_| false);
        Box::new(Oximeter(Streaming::new(values, Live::new(1, 1, End::FingerOut), None)))
    },
    decode: |channel, frames| gatt::decode_values(WHAT, |_, bytes| decode(bytes), channel, frames),
};

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oximetry {
    /// Status bits.
    pub status: u8,
    /// Counts the values.
    pub counter: u16,
    /// Oxygen saturation, percent.
    pub spo2: Option<u8>,
    /// Beats a minute.
    pub pulse: Option<u16>,
}

impl Oximetry {
    /// Reads a value.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::Length`], [`DecodeError::Malformed`] for an encrypted one.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let [length, status, _, _, _, counter_high, counter_low, spo2, high, low, ..] = *bytes else {
            return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: VALUE_BYTES });
        };
        if usize::from(length) != bytes.len() {
            return Err(DecodeError::Length { what: WHAT, said: length.into(), found: bytes.len() });
        }
        if status & 1 << 6 != 0 {
            let (field, found, wanted) = ("status", status.into(), "bit 6 clear: encrypted values can't be read");
            return Err(DecodeError::Malformed { what: WHAT, field, found, wanted });
        }
        let rate = u16::from_be_bytes([high, low]);
        Ok(Self {
            status,
            counter: u16::from_be_bytes([counter_high, counter_low]),
            spo2: (spo2 != 127).then_some(spo2),
            pulse: (rate != 511).then_some(rate),
        })
    }

    /// A status bit.
    #[must_use]
    pub fn bit(&self, bit: u8) -> bool {
        self.status & 1 << bit != 0
    }

    fn flags(&self) -> Vec<Flag> {
        named(self.status.into(), &[(5, "low_battery"), (3, "signal_analysis_ongoing"), (2, "smart_point")]).collect()
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<Measured>, DecodeError> {
    let read = Oximetry::parse(bytes)?;
    Ok(bci::measured(read.spo2, read.pulse, &read.flags()))
}

/// A connection.
struct Oximeter(Streaming<Values>);

impl Oximeter {
    /// What was measured is followed by telling the device so.
    fn complete(outputs: Vec<Output>) -> Vec<Output> {
        let measured = outputs.iter().any(|output| matches!(output, Output::Measured(_)));
        let write = Output::Write { channel: Channel::Characteristic(CONTROL), bytes: COMPLETE.to_vec() };
        outputs.into_iter().chain(measured.then_some(write)).collect()
    }
}

impl Session for Oximeter {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.0.connected(now, local)
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        match gatt::characteristic(WHAT, channel) {
            Ok(_) => Self::complete(self.0.take(now, bytes)),
            Err(error) => gatt::outputs(Err(error), bytes),
        }
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.0.timeout_at()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        Self::complete(self.0.timed_out(now))
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        self.0.closed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    const GOOD: &str = "0a14000000002b610048";

    #[test]
    fn a_value_says_what_is_there() {
        tape::check(DRIVER, &[GOOD], "spo2 97 % smart_point; pulse 72 /min smart_point");
        tape::check(
            DRIVER,
            &["0a28000000002b6100c8"],
            "spo2 97 % low_battery signal_analysis_ongoing; pulse 200 /min low_battery signal_analysis_ongoing",
        );
        tape::check(DRIVER, &["0a18000000002b7f01ff"], "");
    }

    #[test]
    fn what_is_none_is_refused() {
        tape::check(DRIVER, &["0a1800"], "nonin 3230: 3 bytes, need at least 10");
        tape::check(DRIVER, &["0b18000000002b7f01ff"], "nonin 3230: its length says 11 bytes, its contents take 10");
        tape::check(
            DRIVER,
            &["0a54000000002b610048"],
            "nonin 3230: status is 0x54, want bit 6 clear: encrypted values can't be read",
        );
    }

    #[test]
    fn a_measurement_is_told_to_be_complete() {
        let mut tape = Tape::open(DRIVER);
        for _ in 0..4 {
            tape.value(VALUES, GOOD);
        }
        tape.measures("spo2 97 % smart_point; pulse 72 /min smart_point; > 624e4d49");
        tape.value(VALUES, GOOD).wait().measures("end");
    }
}
