//! Any personal health device that speaks IEEE 11073-20601 over a stream of bytes: the manager's side of it.
//!
//! The agent (the device) asks for an association, tells its configuration where it isn't a standard one, is asked for its description, and
//! reports what it measures; each report that wants it is confirmed once it has been handed on. What the standards of the single devices
//! (IEEE 11073-104xx) add is data: one file a specialisation. The layouts are in the files of this folder: `apdu.rs`, `association.rs`,
//! `configuration.rs`, `mds.rs`, `report.rs`, `pmstore.rs`; the conversation is in `manager.rs`.
//!
//! Times: an absolute time of a report is the device's own; a relative one becomes a local time by the relative time that the report was
//! sent at and the room's clock. The device's clock is said from its description and set where it can be set and is off. A report without
//! a time has the time of its arrival. Times with a base offset and high-resolution relative times are passed over: no frame with one is public.
//!
//! The line: 20601 leaves the transport to others (Bluetooth's Health Device Profile, USB's personal healthcare class, ZigBee), each of which
//! a bridge can turn into a serial line (RFCOMM, CDC-ACM), where the rate means nothing. For real wires no standard names a rate: 115200 8N1
//! comes first, as the usual one of bridges, then 9600 8N1.
//!
//! Sources: signove/antidote (types, standard configurations, frames), conqlima/Antidote (thermometer), HL7's Personal Health Device guide.

pub mod apdu;
pub mod association;
mod blood_pressure;
pub mod codes;
pub mod configuration;
mod glucose;
mod known;
pub mod manager;
pub mod mder;
pub mod mds;
mod observe;
mod oximeter;
mod peak_flow;
pub mod pmstore;
pub mod report;
mod scale;
pub mod specialisation;
mod stores;
mod stream;
mod thermometer;
pub mod time;

use vitals::Vital;

pub use known::Known;

use crate::{Channel, DecodeError, Driver, LineSettings, Measured, Transport};

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "phd-20601",
    transport: Transport::Serial { settings: &[LineSettings::plain(115_200), LineSettings::plain(9600)] },
    vitals: &[
        Vital::Spo2,
        Vital::Pulse,
        Vital::PerfusionIndex,
        Vital::Systolic,
        Vital::Diastolic,
        Vital::MeanPressure,
        Vital::Temperature,
        Vital::Weight,
        Vital::Pef,
        Vital::Fev1,
        Vital::Fvc,
        Vital::Fev6,
        Vital::Fev1Fvc,
        Vital::Glucose,
    ],
    devices: &["agents of IEEE 11073-10404, 10407, 10408, 10415, 10417 and 10421 on a serial line or a bridge to one"],
    standard: "IEEE 11073-20601",
    open: manager::Manager::open,
    decode,
};

/// APDUs of an agent in their order, joined or cut anywhere. A report is read by the configuration before it, or else by the standard one that
/// it must be of; of objects that stay unknown nothing is said.
fn decode(_channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    let stream = frames.concat();
    if stream.is_empty() {
        return Err(DecodeError::TooShort { what: apdu::WHAT, found: 0, need: apdu::HEADER_BYTES });
    }
    let (mut at, mut known, mut measured) = (0, Known::default(), Vec::new());
    while at < stream.len() {
        let need = match apdu::len(&stream[at..]) {
            Ok(need) => at + need.unwrap_or(apdu::HEADER_BYTES),
            // what follows an APDU and begins none belongs to it
            Err(_) if at > 0 => at,
            Err(error) => return Err(error),
        };
        let Some(whole) = stream.get(at..need).filter(|whole| !whole.is_empty()) else {
            return Err(DecodeError::Length { what: apdu::WHAT, said: need, found: stream.len() });
        };
        measured.extend(known.hear(&apdu::Apdu::parse(whole)?)?);
        at = need;
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    /// A configuration of one object (a numeric of this kind, in this unit) and one value of it, as SFLOAT.
    fn told(kind: &str, unit: &str, value: &str) -> [String; 2] {
        let configuration = "e700003a00380001010100320000ffffffff0d1c00284000000100220006000100030 01a";
        let report = "e7000020001e0001010100180000ffffffff0d1d000ef00000000001000600010002";
        let object = format!("092f00040002{kind}09960002{unit}0a550008000100040a4c0002");
        [format!("{configuration}{object}"), format!("{report}{value}")]
    }

    #[test]
    fn a_vital_is_in_a_unit_of_its_own() {
        let check = |kind: &str, unit: &str, wanted: &str| {
            let frames = told(kind, unit, "01c2");
            tape::check(DRIVER, &[&frames[0], &frames[1]], wanted);
        };
        let refused = |unit: &str| format!("20601 value: unit is {unit}, want a unit of what is measured");
        check("5408", "0c00", "pef 450 L/min");
        check("5408", "0640", &refused("0x640"));
        check("4a05", "0f20", "systolic 450 mm[Hg]");
        check("4a05", "0aa0", &refused("0xaa0"));
        check("540a", "0640", "fev1 450 L");
        check("540a", "0c00", &refused("0xc00"));
    }

    #[test]
    fn a_report_that_no_standard_configuration_reads_is_refused() {
        tape::check(
            DRIVER,
            &["e7000022002012380101001a0000ffffffff0d1d0010f0000000000100080001000400622007"],
            "20601 report: length of the values is 0x04, want one of a standard configuration, or the device's configuration before it",
        );
        tape::check(DRIVER, &[""], "20601 apdu: 0 bytes, need at least 4");
    }
}
