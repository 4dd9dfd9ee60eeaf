//! Contec's protocol V7: CMS50D+ from firmware 4.6 on, CMS50F, CMS50E, CMS50IW and CMS50EW, 115200 8N1 (or over RFCOMM).
//!
//! ```text
//! package: kind, bit 7 clear | bit 7 of each byte that follows, from bit 0 | up to 7 bytes, bit 7 set
//! host 7D: A1 live on, A2 off | A3 user: recordings | A4 user n: length | A5 user n: when it began | A6 user n: send it, A7 stop
//!          AA identity | AE user n: delete, n FF all | AF still here, every 5 s | B2 cc yy mm dd week day: date, then B1 hh mm ss: time
//! device   01 live, 60 a second: {7 no finger, 6 beep, 5 low SpO2, 4 searching too long, 3-0 strength} {7 searching, 6-0 curve}
//!             {4 no perfusion index, 3-0 bar} pulse, FF missing | SpO2, 7F missing | perfusion index in 0.01 %, low, high, FFFF missing
//!          04 identity | 07 user n cc yy mm dd, then 12 user n hh mm ss 0 | 08 user n length in bytes, lowest first | 0A user recordings
//!          0F SpO2 pulse of three seconds, 09 SpO2 pulse perfusion index of one | 0B command reason | 0C free | 0D reason: it goes
//! reasons: 0 done, 1 switched off, 2 other user, 3 recording, 4 can't delete, 5 not supported
//! ```
//!
//! When the line is up the session stops what is going on, reads each recording of its user from the oldest on, sets the date and the time,
//! and then listens to the live stream, which becomes one measurement of a sitting (see the file `settle.rs`). A recording becomes readings as the
//! file `recording.rs` says. When the core has acknowledged them, they are deleted, if each was whole, and if there are still as many and the
//! last is as long as it was. The clock can't be read. A device that is silent is asked again after [`AGAIN_AFTER`].
//!
//! How long a recording is says nothing about where it ends where there are perfusion indices: the silence after it does.
//! Source: Contec, communication protocol of pulse oximeter V7.0, 2010-07-08 (in albertcbraun/CMS50FW); that a recording has one sample a
//! second and its length counts bytes: timegrid/CMS50Dplus7, tobac/cms50ew.

mod conversation;
mod package;
#[cfg(test)]
mod tests;

use vitals::Vital;

pub use conversation::{AGAIN_AFTER, ANSWER_WAIT, ASKED_MAX, KEEP_ALIVE_EVERY};
pub use package::{LiveValues, Package};

use crate::{Driver, LineSettings, Transport};

const WHAT: &str = "contec v7";

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "contec-v7",
    transport: Transport::Serial { settings: &[LineSettings::plain(115_200)] },
    vitals: &[Vital::Spo2, Vital::Pulse, Vital::PerfusionIndex],
    devices: &["Contec CMS50D+ (firmware 4.6 and later)", "Contec CMS50F", "Contec CMS50EW", "Contec CMS50IW"],
    standard: "Contec communication protocol of pulse oximeter V7.0",
    open: |options| Box::new(conversation::Oximeter::new(options.user.unwrap_or(0))),
    decode: |_, pieces| package::decode(&pieces.concat()),
};
