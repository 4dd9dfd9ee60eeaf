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
