//! Bluetooth Battery service 0x180F: 2A19 level u8, percent.
//!
//! A level is of the device, not of the body: it goes into what is told about the device, and is no reading. From [`LOW_PERCENT`] down
//! somebody should bring a new battery; the number is our own choice, of no standard. A level over 100 is refused.
//! Source: Bluetooth SIG Battery Service 1.0.

use uuid::Uuid;

use crate::{
    About, DecodeError,
    gatt::{Fields, uuid16},
};

/// The level.
pub const LEVEL: Uuid = uuid16(0x2a19);

/// A battery with this much or less is low.
pub const LOW_PERCENT: u8 = 15;

/// Reads a value of 2A19: percent.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] over 100.
pub fn level(bytes: &[u8]) -> Result<u8, DecodeError> {
    const WHAT: &str = "battery";
    match Fields::exact(WHAT, bytes, 1)?.u8() {
        percent @ 0..=100 => Ok(percent),
        over => {
            Err(DecodeError::Malformed { what: WHAT, field: "level", found: over.into(), wanted: "0 to 100 percent" })
        }
    }
}

impl About {
    /// Is its battery known to be low?
    #[must_use]
    pub fn battery_is_low(&self) -> bool {
        self.battery_percent.is_some_and(|percent| percent <= LOW_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_percent_and_low_from_15_down() {
        assert_eq!(level(&[100]), Ok(100));
        assert_eq!(level(&[101]).unwrap_err().to_string(), "battery: level is 0x65, want 0 to 100 percent");
        assert_eq!(level(&[]).unwrap_err().to_string(), "battery: 0 bytes, need at least 1");
        let low = |battery_percent| About { battery_percent, ..About::default() }.battery_is_low();
        assert_eq!([low(None), low(Some(16)), low(Some(15)), low(Some(0))], [false, false, true, true]);
    }
}
