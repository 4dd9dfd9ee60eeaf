//! BerryMed BM1000 and relatives: the five-byte packets of BCI (the file `bci.rs`) over a transparent Bluetooth service.
//!
//! 100 packets a second, several in one notification and not aligned to it: the notifications are a stream. The stream becomes one
//! measurement of a sitting (see the file `settle.rs`).
//! Source: BCI protocol 1.2 of BerryMed (in zh2x/BCI_Protocol).

use uuid::{Uuid, uuid};
use vitals::Vital;

use crate::{
    Channel, DecodeError, Driver, Measured, Transport, bci,
    bit7::{Cut, Form, Packets},
    gatt,
    live::{self, End, Live, Streaming},
};

const WHAT: &str = "berrymed";
const FORM: Form = bci::bci(WHAT);

/// The service.
pub const SERVICE: Uuid = uuid!("49535343-fe7d-4ae5-8fa9-9fafd205e455");
/// The packets.
pub const PACKETS: Uuid = uuid!("49535343-1e4d-4bd9-ba61-23c647249616");

const PACKETS_PER_SECOND: usize = 100;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "berrymed",
    transport: Transport::Ble { service: SERVICE, subscribe: &[PACKETS], read: &[], names: &["BerryMed"] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["BerryMed BM1000", "BerryMed BM1000C"],
    standard: "BCI protocol 1.2 (BerryMed)",
    open: |_| {
        let live = Live::new(PACKETS_PER_SECOND, 1, End::FingerOut);
        live::over_bluetooth(WHAT, Streaming::new(Packets::new(FORM), live, None))
    },
    decode,
};

/// Notifications in order. They begin and end anywhere in a packet, so that up to four bytes at either end say nothing.
fn decode(channel: Channel, frames: &[Vec<u8>]) -> Result<Vec<Measured>, DecodeError> {
    gatt::characteristic(WHAT, channel)?;
    FORM.decode_all(&frames.concat(), Cut::Anywhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn notifications_are_cut_anywhere() {
        tape::check(DRIVER, &["c63107585f"], "spo2 95 %; pulse 88 /min");
        tape::check(
            DRIVER,
            &["585fc63107585f86", "3107585fc631"],
            "spo2 95 %; pulse 88 /min; spo2 95 %; pulse 88 /min",
        );
        tape::check(DRIVER, &["0710", "58"], "berrymed: 0 bytes, need at least 5");
        tape::check(DRIVER, &["0080000000"], "berrymed: 4 bytes, need at least 5");
        tape::check(
            DRIVER,
            &["8000000080"],
            "berrymed: sync is 0x80, want bit 7 clear after the first byte of a packet",
        );
        tape::check(DRIVER, &["a031005861"], "spo2 97 % sensor_disconnected; pulse 88 /min sensor_disconnected");
    }

    #[test]
    fn a_stream_in_pieces_is_one_measurement() {
        let mut tape = Tape::open(DRIVER);
        for piece in tape::bytes("c63107585f").repeat(600).chunks(18) {
            tape.value(PACKETS, &tape::hex(piece));
        }
        tape.measures("spo2 95 %; pulse 88 /min").closed().gives("end");
    }

    #[test]
    fn an_unplugged_probe_is_nobody() {
        let mut tape = Tape::open(DRIVER);
        tape.value(PACKETS, &"a031005861".repeat(1000)).closed().gives("");
    }
}
