//! The five-byte packets of BCI, as Contec, BerryMed and others send them: the packet, and what the makers disagree about.
//!
//! ```text
//! 0: 7 always 1, 6 beep, 5 and 4 see below, 3-0 strength of the signal, of 8
//! 1: 7 always 0, 6-0 pulse curve
//! 2: 7 always 0, 6 bit 7 of the pulse, 5 searching for the pulse, 4 no finger, 3-0 bar, of 15
//! 3: 7 always 0, 6-0 pulse; 255 missing
//! 4: 7 always 0, 6-0 SpO2, percent; 127 missing
//! Contec: bit 5 of byte 0 the SpO2 drops, bit 4 searching for too long. BCI: bit 5 the probe is unplugged, bit 4 no signal.
//! ```
//!
//! For the stream see the file `bit7.rs`. A pulse or an SpO2 of 0, which Contec's protocol V7 excludes, is missing too.
//! Sources: BCI protocol 1.2 of BerryMed (in zh2x/BCI_Protocol); atbrask/CMS50Dplus.

use vitals::{Flag, Unit, Value, Vital};

use crate::{DecodeError, Measured, bit7::Form, gatt};

/// Bytes in a packet.
pub const PACKET_BYTES: usize = 5;
const PULSE_MISSING: u8 = 255;
const SPO2_MISSING: u8 = 127;

/// Whose meaning bits 4 and 5 of the first byte have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Contec's.
    Contec,
    /// BCI's and BerryMed's.
    Bci,
}

/// Contec's packets, under the driver's name.
#[must_use]
pub const fn contec(what: &'static str) -> Form {
    Form { what, bytes: PACKET_BYTES, decode: |packet| of(packet).measured(Dialect::Contec) }
}

/// BCI's packets, under the driver's name.
#[must_use]
pub const fn bci(what: &'static str) -> Form {
    Form { what, bytes: PACKET_BYTES, decode: |packet| of(packet).measured(Dialect::Bci) }
}

fn of(checked: &[u8]) -> Packet {
    Packet(checked.try_into().expect("the length has been checked"))
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet([u8; PACKET_BYTES]);

impl Packet {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] where bit 7 is not as it should be.
    pub fn parse(what: &'static str, bytes: &[u8]) -> Result<Self, DecodeError> {
        contec(what).check(bytes)?;
        Ok(of(bytes))
    }

    fn bit(self, byte: usize, bit: u8) -> bool {
        self.0[byte] & (1 << bit) != 0
    }

    /// Strength of the signal.
    #[must_use]
    pub fn strength(self) -> u8 {
        self.0[0] & 0x0f
    }

    /// A beat is now.
    #[must_use]
    pub fn beep(self) -> bool {
        self.bit(0, 6)
    }

    /// Bit 5 of the first byte.
    #[must_use]
    pub fn bit5(self) -> bool {
        self.bit(0, 5)
    }

    /// Bit 4 of the first byte.
    #[must_use]
    pub fn bit4(self) -> bool {
        self.bit(0, 4)
    }

    /// One point of the pulse curve.
    #[must_use]
    pub fn pleth(self) -> u8 {
        self.0[1]
    }

    /// The bar of the display.
    #[must_use]
    pub fn bar(self) -> u8 {
        self.0[2] & 0x0f
    }

    /// No finger is on the sensor.
    #[must_use]
    pub fn no_finger(self) -> bool {
        self.bit(2, 4)
    }

    /// The pulse is still being looked for.
    #[must_use]
    pub fn searching(self) -> bool {
        self.bit(2, 5)
    }

    /// Beats a minute, as sent.
    #[must_use]
    pub fn pulse_sent(self) -> u8 {
        (self.0[2] & 1 << 6) << 1 | self.0[3]
    }

    /// Beats a minute.
    #[must_use]
    pub fn pulse(self) -> Option<u8> {
        Some(self.pulse_sent()).filter(|rate| ![0, PULSE_MISSING].contains(rate))
    }

    /// Oxygen saturation, percent.
    #[must_use]
    pub fn spo2(self) -> Option<u8> {
        Some(self.0[4]).filter(|percent| ![0, SPO2_MISSING].contains(percent))
    }

    /// The values, with every status bit as a flag.
    #[must_use]
    pub fn measured(self, dialect: Dialect) -> Vec<Measured> {
        measured(self.spo2(), self.pulse().map(u16::from), &self.flags(dialect))
    }

    fn flags(self, dialect: Dialect) -> Vec<Flag> {
        let (bit5, bit4) = match dialect {
            Dialect::Contec => ("low_spo2_alarm", "inadequate_signal"),
            Dialect::Bci => ("sensor_disconnected", "inadequate_signal"),
        };
        let seen = [
            (self.no_finger(), "sensor_unconnected_to_user"),
            (self.searching(), "signal_analysis_ongoing"),
            (self.bit5(), bit5),
            (self.bit4(), bit4),
        ];
        seen.into_iter().filter(|(seen, _)| *seen).map(|(_, name)| Flag::new(name)).collect()
    }
}

/// SpO2 and pulse in whole numbers, with the same flags and without a time.
#[must_use]
pub fn measured(spo2: Option<u8>, pulse: Option<u16>, flags: &[Flag]) -> Vec<Measured> {
    let spo2 = spo2.map(|percent| Value::new(percent.into(), 0));
    let pulse = pulse.map(|rate| Value::new(rate.into(), 0));
    gatt::present([(Vital::Spo2, spo2, Unit::Percent), (Vital::Pulse, pulse, Unit::PerMinute)], None, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    fn parse(hex: &str) -> Result<Packet, String> {
        Packet::parse("bci", &tape::bytes(hex)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_makers_disagree_about_two_bits() {
        let flags =
            |hex: &str, dialect| parse(hex).unwrap().flags(dialect).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            flags("b000304862", Dialect::Contec),
            ["sensor_unconnected_to_user", "signal_analysis_ongoing", "low_spo2_alarm", "inadequate_signal"]
        );
        assert_eq!(flags("a000004862", Dialect::Bci), ["sensor_disconnected"]);
        assert_eq!(flags("c63107585f", Dialect::Bci), [""; 0]);
    }

    #[test]
    fn values_that_are_missing_are_absent() {
        let values = |hex: &str| parse(hex).map(|packet| (packet.pulse(), packet.spo2())).unwrap();
        assert_eq!(values("c63107585f"), (Some(88), Some(95)));
        assert_eq!(values("c63147585f"), (Some(216), Some(95)));
        assert_eq!(values("8000407f7f"), (None, None));
        assert_eq!(values("8000000000"), (None, None));
    }

    #[test]
    fn a_packet_out_of_sync_is_refused() {
        assert_eq!(parse("80000000").unwrap_err(), "bci: 4 bytes, need at least 5");
        assert_eq!(parse("0080000000").unwrap_err(), "bci: sync is 0x00, want bit 7 set in the first byte of a packet");
        assert_eq!(
            parse("8000000080").unwrap_err(),
            "bci: sync is 0x80, want bit 7 clear after the first byte of a packet"
        );
    }
}
