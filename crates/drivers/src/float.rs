//! Numbers of IEEE 11073-20601: a decimal mantissa and a decimal exponent, both two's complement.
//!
//! ```text
//! SFLOAT  16 bit: exponent 4 (-8..7),      mantissa 12
//! FLOAT   32 bit: exponent 8 (-128..127),  mantissa 24
//! ```
//!
//! The exponent is the precision: 2, 2.0 and 2.00 are three encodings, and [`Value`] keeps them apart. With exponent 0, five mantissas are
//! no numbers: not a number, not at this resolution, plus and minus infinity, and one reserved. With any other exponent the same mantissas
//! are ordinary numbers. Source: HL7 Personal Health Device guide, FLOATS.

use vitals::{Decimal, Value};

use crate::DecodeError;

/// Mantissas beside the middle of the range that are no numbers, with exponent 0: the two below it and three from it on.
const SPECIAL_BELOW: i32 = 2;
const SPECIAL_FROM: i32 = 2;

/// A 16-bit SFLOAT; `None` when it says that there is no number.
#[must_use]
pub fn sfloat(raw: u16) -> Option<Value> {
    let signed = raw.cast_signed();
    let (mantissa, exponent) = (i32::from(signed << 4 >> 4), i32::from(signed >> 12));
    if exponent == 0 && is_special(mantissa, 12) {
        return None;
    }
    number(mantissa, exponent)
}

/// A 32-bit FLOAT; `None` when it says that there is no number.
///
/// # Errors
/// [`DecodeError::Malformed`] for a number of more digits than are kept.
pub fn float(raw: u32) -> Result<Option<Value>, DecodeError> {
    let signed = raw.cast_signed();
    let (mantissa, exponent) = (signed << 8 >> 8, signed >> 24);
    if exponent == 0 && is_special(mantissa, 24) {
        return Ok(None);
    }
    let wanted = if exponent < 0 {
        "at most 28 decimals: the number has too many"
    } else {
        "a number of at most 28 digits: it is too large"
    };
    let beyond = DecodeError::Malformed { what: "float", field: "exponent", found: raw >> 24, wanted };
    number(mantissa, exponent).map(Some).ok_or(beyond)
}

fn number(mantissa: i32, exponent: i32) -> Option<Value> {
    let scaled = match u32::try_from(exponent) {
        Ok(zeros) => i128::from(mantissa).checked_mul(10_i128.checked_pow(zeros)?)?,
        Err(_) => i128::from(mantissa),
    };
    let scale = u32::try_from(-exponent).unwrap_or(0);
    Decimal::try_from_i128_with_scale(scaled, scale).ok().map(Value::from)
}

fn is_special(mantissa: i32, bits: u32) -> bool {
    let middle = 1 << (bits - 1);
    mantissa >= middle - SPECIAL_BELOW || mantissa <= SPECIAL_FROM - middle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(raw: u32) -> Option<Value> {
        super::float(raw).unwrap()
    }

    #[track_caller]
    fn check(got: Option<Value>, wanted: &str) {
        assert_eq!(got.map_or("absent".to_owned(), |value| value.to_string()), wanted);
    }

    #[test]
    fn the_exponent_is_the_precision() {
        check(sfloat(0x0002), "2");
        check(sfloat(0xf014), "2.0");
        check(sfloat(0xe0c8), "2.00");
        check(sfloat(0x1002), "20");
        check(float(0xff00_016f), "36.7");
        check(float(0xfe00_0e56), "36.70");
        check(float(0x00ff_fb2e), "-1234");
        check(sfloat(0xffff), "-0.1");
    }

    #[test]
    fn special_values_are_absent_and_their_neighbours_are_numbers() {
        for raw in [0x07fe, 0x07ff, 0x0800, 0x0801, 0x0802] {
            check(sfloat(raw), "absent");
        }
        check(sfloat(0x07fd), "2045");
        check(sfloat(0x0803), "-2045");
        for raw in [0x007f_fffe, 0x007f_ffff, 0x0080_0000, 0x0080_0001, 0x0080_0002] {
            check(float(raw), "absent");
        }
        check(float(0x007f_fffd), "8388605");
        check(float(0x0080_0003), "-8388605");
    }

    #[test]
    fn a_special_mantissa_with_an_exponent_is_a_number() {
        check(sfloat(0xf7ff), "204.7");
        check(sfloat(0x17ff), "20470");
        check(float(0xff7f_ffff), "838860.7");
    }

    #[test]
    fn numbers_that_no_decimal_holds_are_refused() {
        let refusal = |raw: u32| super::float(raw).unwrap_err().to_string();
        let large =
            |exponent| format!("float: exponent is {exponent}, want a number of at most 28 digits: it is too large");
        assert_eq!([0x1d00_0001, 0x7f00_0001].map(refusal), [large("0x1d"), large("0x7f")]);
        assert_eq!(refusal(0x8000_0001), "float: exponent is 0x80, want at most 28 decimals: the number has too many");
        check(float(0x1c00_0001), "10000000000000000000000000000");
        check(float(0xe400_0001), "0.0000000000000000000000000001");
    }
}
