//! Bluetooth User Data service 0x181C: a device that many use says nothing about one of them until that one has consented.
//!
//! ```text
//! 2A9F control point, written: 02 consent, user u8, code u16
//!                     indicated: 20, opcode, result: 1 done, 2 not supported, 3 invalid, 4 failed, 5 not this user
//! 2A99 database change increment u32; 2A9A user index u8, 255 unknown
//! ```
//!
//! The user and the code are those that the device gave when the person was made known to it. The scales Beurer BF105, BF600 and BF720 need
//! it before their weight and body composition flow. What a device holds of a person (name, birthday) is neither read nor written.
//! Source: Bluetooth SIG User Data Service 1.1.

use uuid::Uuid;

use crate::{
    DecodeError,
    gatt::{Fields, uuid16},
};

const WHAT: &str = "user control point";

/// The control point.
pub const CONTROL_POINT: Uuid = uuid16(0x2a9f);
/// Grows with every change of what the device knows of its users.
pub const DATABASE_CHANGE_INCREMENT: Uuid = uuid16(0x2a99);
/// Whose data the device shows now.
pub const USER_INDEX: Uuid = uuid16(0x2a9a);

const CONSENT: u8 = 0x02;
const RESPONSE: u8 = 0x20;
const DONE: u8 = 1;
const UNKNOWN_USER: u8 = u8::MAX;

/// The write with which `user` consents.
#[must_use]
pub fn consent(user: u8, code: u16) -> Vec<u8> {
    let [low, high] = code.to_le_bytes();
    vec![CONSENT, user, low, high]
}

/// Reads what the control point answers to a consent.
///
/// # Errors
/// [`DecodeError::Malformed`] when it is refused, and for the answer to anything else; [`DecodeError::TooShort`].
pub fn consented(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut fields = Fields::exact(WHAT, bytes.get(..3).unwrap_or(bytes), 3)?;
    let wrong =
        |field, found: u8, wanted| Err(DecodeError::Malformed { what: WHAT, field, found: found.into(), wanted });
    match [fields.u8(), fields.u8(), fields.u8()] {
        [RESPONSE, CONSENT, DONE] => Ok(()),
        [RESPONSE, CONSENT, refused] => wrong("answer to the consent", refused, "1, that the user has consented"),
        [RESPONSE, other, _] => wrong("answered opcode", other, "2, the consent"),
        [other, ..] => wrong("opcode", other, "0x20, an answer"),
    }
}

/// Reads a value of 2A99.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn database_change_increment(bytes: &[u8]) -> Result<u32, DecodeError> {
    Ok(Fields::exact("database change increment", bytes, 4)?.u32())
}

/// Reads a value of 2A9A; `None` if the device doesn't know.
///
/// # Errors
/// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
pub fn user_index(bytes: &[u8]) -> Result<Option<u8>, DecodeError> {
    let index = Fields::exact("user index", bytes, 1)?.u8();
    Ok((index != UNKNOWN_USER).then_some(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{bytes, hex};

    #[test]
    fn a_consent_is_written_and_answered() {
        assert_eq!(hex(&consent(2, 4711)), "02026712");
        let said = |hex: &str| consented(&bytes(hex)).map_or_else(|error| error.to_string(), |()| "done".to_owned());
        assert_eq!(said("200201"), "done");
        assert_eq!(
            said("200205"),
            "user control point: answer to the consent is 0x05, want 1, that the user has consented"
        );
        assert_eq!(said("200101"), "user control point: answered opcode is 0x01, want 2, the consent");
        assert_eq!(said("0202"), "user control point: 2 bytes, need at least 3");
    }

    #[test]
    fn the_database_says_how_often_it_changed_and_whose_it_is() {
        assert_eq!(database_change_increment(&[1, 1, 0, 0]), Ok(257));
        assert_eq!([user_index(&[2]), user_index(&[255])], [Ok(Some(2)), Ok(None)]);
    }
}
