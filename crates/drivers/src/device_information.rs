//! Bluetooth Device Information service 0x180A: what a device says of itself, for the clinic that has to find it.
//!
//! ```text
//! 2A29 manufacturer, 2A24 model, 2A25 serial number, 2A26 firmware, 2A27 hardware, 2A28 software: UTF-8
//! 2A23 system id 8: 40 bits of the maker, then 24 bits of its organisation, little-endian
//! 2A50 PnP id 7: source u8 (1 Bluetooth, 2 USB), vendor u16, product u16, version u16
//! ```
//!
//! Devices pad the texts with NUL or spaces to a fixed length, and some leave them empty; an empty text says nothing. Texts are cut to
//! [`TEXT_CHARS_MAX`], and characters that no page should show are left out. Source: Bluetooth SIG Device Information Service 1.1.

use std::fmt;

use uuid::Uuid;

use crate::{
    About, DecodeError,
    gatt::{self, Fields, uuid16},
};

const WHAT: &str = "device information";

/// Who made it.
pub const MANUFACTURER: Uuid = uuid16(0x2a29);
/// Its model.
pub const MODEL: Uuid = uuid16(0x2a24);
/// Its serial number.
pub const SERIAL_NUMBER: Uuid = uuid16(0x2a25);
/// Firmware revision.
pub const FIRMWARE: Uuid = uuid16(0x2a26);
/// Hardware revision.
pub const HARDWARE: Uuid = uuid16(0x2a27);
/// Software revision.
pub const SOFTWARE: Uuid = uuid16(0x2a28);
/// System id.
pub const SYSTEM_ID: Uuid = uuid16(0x2a23);
/// Plug and play id.
pub const PNP_ID: Uuid = uuid16(0x2a50);

/// All of them.
pub const ALL: [Uuid; 8] = [MANUFACTURER, MODEL, SERIAL_NUMBER, FIRMWARE, HARDWARE, SOFTWARE, SYSTEM_ID, PNP_ID];

/// Characters of a text that are kept.
pub const TEXT_CHARS_MAX: usize = 64;

/// A system id: written as the EUI-64 that it mostly is, the organisation first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemId(pub u64);

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A PnP id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PnpId {
    /// Who gives out the vendor numbers: 1 Bluetooth SIG, 2 USB forum.
    pub source: u8,
    /// The vendor.
    pub vendor: u16,
    /// The vendor's product.
    pub product: u16,
    /// The product's version.
    pub version: u16,
}

/// What the value of one of these characteristics adds.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`] for the two ids, [`DecodeError::Malformed`] for another characteristic.
pub fn read(uuid: Uuid, bytes: &[u8]) -> Result<About, DecodeError> {
    let nothing = About::default();
    Ok(match uuid {
        MANUFACTURER => About { manufacturer: text(bytes), ..nothing },
        MODEL => About { model: text(bytes), ..nothing },
        SERIAL_NUMBER => About { serial_number: text(bytes), ..nothing },
        FIRMWARE => About { firmware: text(bytes), ..nothing },
        HARDWARE => About { hardware: text(bytes), ..nothing },
        SOFTWARE => About { software: text(bytes), ..nothing },
        SYSTEM_ID => About { system_id: Some(system_id(bytes)?), ..nothing },
        PNP_ID => About { pnp_id: Some(pnp_id(bytes)?), ..nothing },
        other => return Err(gatt::unknown(WHAT, other, "0x2a23 to 0x2a29 or 0x2a50")),
    })
}

/// A text without its padding; `None` if nothing is left.
#[must_use]
pub fn text(bytes: &[u8]) -> Option<String> {
    let shown = String::from_utf8_lossy(bytes);
    let shown = shown.split('\0').next().unwrap_or_default().trim();
    let kept: String = shown.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect();
    (!kept.is_empty()).then_some(kept)
}

/// Reads a value of 2A23.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn system_id(bytes: &[u8]) -> Result<SystemId, DecodeError> {
    let mut fields = Fields::exact("system id", bytes, 8)?;
    let (low, high) = (fields.u32(), fields.u32());
    Ok(SystemId(u64::from(high) << 32 | u64::from(low)))
}

/// Reads a value of 2A50.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn pnp_id(bytes: &[u8]) -> Result<PnpId, DecodeError> {
    let mut fields = Fields::exact("pnp id", bytes, 7)?;
    Ok(PnpId { source: fields.u8(), vendor: fields.u16(), product: fields.u16(), version: fields.u16() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::bytes;

    #[test]
    fn texts_lose_their_padding_and_are_bounded() {
        for (sent, wanted) in [
            (&b"Beurer"[..], Some("Beurer")),
            (b"UA-651BLE\0\0\0\0", Some("UA-651BLE")),
            (b"  5180100123 ", Some("5180100123")),
            (b"A\0rubbish", Some("A")),
            (b"\x01M\x7f1", Some("M1")),
            (b"\0\0", None),
            (b"   ", None),
            (b"", None),
            (b"\xffA", Some("\u{fffd}A")),
        ] {
            assert_eq!(text(sent).as_deref(), wanted, "{sent:?}");
        }
        assert_eq!(text(&[b'x'; 300]).map(|text| text.len()), Some(TEXT_CHARS_MAX));
    }

    #[test]
    fn each_characteristic_adds_its_own() {
        assert_eq!(read(MODEL, b"BC 54").unwrap(), About { model: Some("BC 54".into()), ..About::default() });
        assert_eq!(read(HARDWARE, b"r2").unwrap(), About { hardware: Some("r2".into()), ..About::default() });
        let id = read(SYSTEM_ID, &bytes("33221100ff5e0900")).unwrap().system_id.unwrap();
        assert_eq!(id.to_string(), "00095eff00112233");
        let pnp = read(PNP_ID, &bytes("010d0000001001")).unwrap().pnp_id.unwrap();
        assert_eq!(pnp, PnpId { source: 1, vendor: 13, product: 0, version: 0x0110 });
        assert_eq!(read(PNP_ID, &[1]).unwrap_err().to_string(), "pnp id: 1 bytes, need at least 7");
        assert!(read(uuid16(0x2a19), &[50]).is_err());
    }

    #[test]
    fn whatever_is_listed_is_read() {
        for uuid in ALL {
            assert!(read(uuid, &bytes("01020304050607")).is_ok() || uuid == SYSTEM_ID);
        }
    }
}
