//! What a device says of itself when it is asked for all attributes of its main object (MDS).
//!
//! ```text
//! 0928 model                 manufacturer, model number
//! 092D production            list of (kind u16, component u16, text): 1 serial number, 3 hardware, 4 software, 5 firmware
//! 0984 system id             8 bytes          0A44 configuration   u16
//! 0987 date and time         8 bytes          098F relative time   u32
//! 0A45 time information      capabilities u16 (bit 0 a clock, 1 it can be set, 11 it asks to be set), more
//! 099C battery               u16, %
//! ```

use super::{
    codes::attribute,
    mder::{Attribute, Reader},
    time::Absolute,
};
use crate::{About, DecodeError};

/// Of the time capabilities: the clock can be set, and the device asks for it. Bit 0 is the most significant one.
const CAN_SET_CLOCK: u16 = 0x8000 >> 1;
const ASKS_TO_BE_SET: u16 = 0x8000 >> 11;
/// The longest text that is kept of a device's description.
const TEXT_BYTES_MAX: usize = 64;

/// A device's description of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mds {
    /// Who made it, its model, serial number and so on.
    pub about: About,
    /// Its system id.
    pub system_id: Vec<u8>,
    /// The configuration that it has.
    pub configuration: Option<u16>,
    /// Its clock.
    pub date_time: Option<Absolute>,
    /// Its relative time.
    pub relative_time: Option<u32>,
    /// What its clocks can do.
    pub time_capabilities: u16,
}

impl Mds {
    /// Reads the attributes. What is not known is passed over.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when one doesn't hold together.
    pub fn parse(list: &[Attribute<'_>]) -> Result<Self, DecodeError> {
        let mut mds = Self::default();
        for attribute in list {
            mds.take(*attribute)?;
        }
        Ok(mds)
    }

    fn take(&mut self, Attribute { id, value }: Attribute<'_>) -> Result<(), DecodeError> {
        let mut reader = Reader::new("20601 device attribute", value);
        match id {
            attribute::MODEL => {
                self.about.manufacturer = text(reader.octets()?);
                self.about.model = text(reader.octets()?);
            }
            attribute::PRODUCTION_SPECIFICATION => {
                let specified = reader
                    .list("20601 production specification", |list| Ok((list.u16()?, list.u16()?, list.octets()?)))?;
                specified.into_iter().for_each(|(kind, _, bytes)| self.specify(kind, bytes));
            }
            attribute::SYSTEM_ID => self.system_id = reader.octets()?.to_vec(),
            attribute::CONFIGURATION_ID => self.configuration = Some(reader.u16()?),
            attribute::TIME_ABSOLUTE => self.date_time = Some(Absolute::parse(reader.take(8)?)?),
            attribute::TIME_RELATIVE => self.relative_time = Some(reader.u32()?),
            attribute::BATTERY => {
                let percent = u8::try_from(reader.u16()?).ok();
                self.about.battery_percent = percent.filter(|percent| *percent <= 100);
            }
            attribute::TIME_INFO => {
                self.time_capabilities = reader.u16()?;
                return Ok(());
            }
            _ => return Ok(()),
        }
        reader.end()
    }

    fn specify(&mut self, kind: u16, bytes: &[u8]) {
        match kind {
            1 => self.about.serial_number = text(bytes),
            3 => self.about.hardware = text(bytes),
            4 => self.about.software = text(bytes),
            5 => self.about.firmware = text(bytes),
            _ => {}
        }
    }

    /// May its clock be set?
    #[must_use]
    pub fn can_set_clock(&self) -> bool {
        self.time_capabilities & CAN_SET_CLOCK != 0
    }

    /// Does it ask for that?
    #[must_use]
    pub fn asks_to_be_set(&self) -> bool {
        self.time_capabilities & ASKS_TO_BE_SET != 0
    }
}

/// Printable text without padding; absent if nothing is left.
fn text(bytes: &[u8]) -> Option<String> {
    let shown: String =
        String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(TEXT_BYTES_MAX).collect();
    let trimmed = shown.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: u16, value: &[u8]) -> Result<Mds, DecodeError> {
        Mds::parse(&[Attribute { id, value }])
    }

    #[test]
    fn texts_are_trimmed() {
        let model = read(attribute::MODEL, b"\0\x06Maker \0\x04PEF\0").unwrap();
        assert_eq!((model.about.manufacturer.as_deref(), model.about.model.as_deref()), (Some("Maker"), Some("PEF")));
        assert_eq!(read(attribute::MODEL, b"\0\0\0\x02  ").unwrap().about, About::default());
    }

    #[test]
    fn clocks_say_what_can_be_done_with_them() {
        let info = read(attribute::TIME_INFO, &[0xc0, 0x10, 0, 0]).unwrap();
        assert!(info.can_set_clock() && info.asks_to_be_set());
        assert!(!read(attribute::TIME_INFO, &[0x80, 0]).unwrap().can_set_clock());
        assert_eq!(read(attribute::BATTERY, &[0, 87]).unwrap().about.battery_percent, Some(87));
        assert_eq!(read(attribute::BATTERY, &[0, 187]).unwrap().about.battery_percent, None);
        assert!(read(attribute::TIME_RELATIVE, &[0; 5]).is_err());
    }
}
