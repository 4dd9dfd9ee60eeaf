//! Nonin serial data format 8: four bytes once a second, 9600 8N1.
//!
//! ```text
//! 0: 7 always 1, 5 out of track, 4 low perfusion, 3 marginal perfusion, 2 artifact, 1-0 bits 8 and 7 of the pulse
//! 1: 7 always 0, 6-0 pulse; 511 missing
//! 2: 7 always 0, 6-0 SpO2; 127 missing
//! 3: 7 always 0, 5 SmartPoint, 3 sensor alarm, 0 low battery
//! ```
//!
//! The values are those for display, which stay for 10 s after the finger has gone; meanwhile the sensor alarm is set, and they are nobody's.
//! There is no checksum. The stream becomes one measurement of a sitting (see the file `settle.rs`). A device that doesn't talk is told to
//! use this format.
//! Source: Nonin 9560 OEM specification 6470-000-01.

use vitals::{Flag, Vital};

use crate::{
    DecodeError, Driver, LineSettings, Transport, bci,
    bit7::{Cut, Form, Packets},
    gatt,
    live::{End, Live, Streaming},
    nonin_command::{DataFormat, Selecting},
};

const WHAT: &str = "nonin df8";

/// Bytes in a packet.
pub const PACKET_BYTES: usize = 4;
const PULSE_MISSING: u16 = 511;
const SPO2_MISSING: u8 = 127;

/// The driver.
pub const DRIVER: Driver = Driver {
    name: "nonin-df8",
    transport: Transport::Serial { settings: &[LineSettings::plain(9600)] },
    vitals: &[Vital::Spo2, Vital::Pulse],
    devices: &["Nonin Xpod", "Nonin OEM III", "Nonin 9560"],
    standard: "Nonin serial data format 8 (9560 OEM specification 6470-000-01)",
    open: |_| {
        let streaming = Streaming::new(Packets::new(FORM), Live::new(1, 1, End::Measured), None);
        Box::new(Selecting::new(DataFormat::Df8, streaming))
    },
    decode: |_, pieces| FORM.decode_all(&pieces.concat(), Cut::Packets),
};

const FORM: Form = Form {
    what: WHAT,
    bytes: PACKET_BYTES,
    decode: |bytes| {
        Packet::parse(bytes)
            .map_or_else(|_| Vec::new(), |packet| bci::measured(packet.spo2, packet.pulse, &packet.flags))
    },
};

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Beats a minute.
    pub pulse: Option<u16>,
    /// Oxygen saturation, percent.
    pub spo2: Option<u8>,
    /// Every status bit.
    pub flags: Vec<Flag>,
}

impl Packet {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], [`DecodeError::Malformed`] where bit 7 is not as it should be.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        FORM.check(bytes)?;
        let [first, low, spo2, second] = bytes.try_into().expect("the length has been checked");
        let rate = u16::from(first & 0b11) << 7 | u16::from(low);
        let mut flags: Vec<Flag> = gatt::named(first.into(), FIRST_FLAGS).collect();
        flags.extend(gatt::named(second.into(), SECOND_FLAGS));
        Ok(Self { pulse: (rate != PULSE_MISSING).then_some(rate), spo2: (spo2 != SPO2_MISSING).then_some(spo2), flags })
    }
}

const FIRST_FLAGS: &[(u32, &str)] =
    &[(2, "artifact"), (5, "out_of_track"), (4, "low_perfusion"), (3, "marginal_perfusion")];
const SECOND_FLAGS: &[(u32, &str)] = &[(3, "sensor_fault"), (5, "smart_point"), (0, "low_battery")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{self, Tape};

    #[test]
    fn a_packet_says_what_the_display_shows() {
        tape::check(DRIVER, &["80486120"], "spo2 97 % smart_point; pulse 72 /min smart_point");
        tape::check(DRIVER, &["81486100"], "spo2 97 %; pulse 200 /min");
        tape::check(DRIVER, &["837f7f08"], "");
        tape::check(
            DRIVER,
            &["bc486109"],
            "spo2 97 % artifact out_of_track low_perfusion marginal_perfusion sensor_fault low_battery; \
             pulse 72 /min artifact out_of_track low_perfusion marginal_perfusion sensor_fault low_battery",
        );
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        tape::check(DRIVER, &["00486100"], "nonin df8: sync is 0x00, want bit 7 set in the first byte of a packet");
        tape::check(
            DRIVER,
            &["80c86100"],
            "nonin df8: sync is 0xc8, want bit 7 clear after the first byte of a packet",
        );
        tape::check(DRIVER, &["804861"], "nonin df8: 3 bytes, need at least 4");
        tape::check(DRIVER, &["8048610080486100", "80"], "nonin df8: incomplete, 1 bytes of 4");
    }

    #[test]
    fn a_stream_is_found_again_and_settles() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&tape::bytes("6100 80486100 8048")).gives("~ spo2 97 %; pulse 72 /min 25 %");
        tape.line(&tape::bytes("80486100")).measures("! nonin df8: 2 bytes, need at least 4");
        tape.line(&tape::bytes("8048610080486100")).measures("spo2 97 %; pulse 72 /min; end");
    }

    #[test]
    fn an_old_value_beside_a_sensor_alarm_is_no_measurement() {
        let mut tape = Tape::open(DRIVER);
        tape.line(&tape::bytes(&"80486108".repeat(30))).closed().gives("");
        assert_eq!(tape.understands(), Some(true));
    }
}
