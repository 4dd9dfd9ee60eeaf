//! IEEE 11073-20601 SFLOAT and FLOAT as GATT carries them: little-endian, two's complement exponent on top, mantissa below.
//!
//! The exponent carries the precision: 97 and 97.0 are different encodings, and a device sends the one that it measured.

/// "Not a number": the result is invalid.
pub const SFLOAT_NAN: [u8; 2] = 0x07ff_u16.to_le_bytes();

/// `mantissa` times ten to `exponent` in 16 bits.
///
/// # Panics
/// When the mantissa does not fit 12 bits or is a reserved one, or the exponent does not fit 4: the devices here measure within.
#[must_use]
pub fn sfloat(mantissa: i16, exponent: i8) -> [u8; 2] {
    assert!((-2046..=2045).contains(&mantissa), "mantissa {mantissa} does not fit 12 bits");
    assert!((-8..=7).contains(&exponent), "exponent {exponent} does not fit 4 bits");
    let bits =
        (u16::from_le_bytes(mantissa.to_le_bytes()) & 0x0fff) | (u16::from(exponent.to_le_bytes()[0] & 0x0f) << 12);
    bits.to_le_bytes()
}

/// `mantissa` times ten to `exponent` in 32 bits.
///
/// # Panics
/// When the mantissa does not fit 24 bits or is a reserved one.
#[must_use]
pub fn float(mantissa: i32, exponent: i8) -> [u8; 4] {
    assert!((-8_388_606..=8_388_605).contains(&mantissa), "mantissa {mantissa} does not fit 24 bits");
    let [low, mid, high, _] = mantissa.to_le_bytes();
    [low, mid, high, exponent.to_le_bytes()[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nordic's Android library writes 18.9 as BD F0; SpeziBluetooth writes 100.0 and 90.0 as E8 F3 and 84 F3.
    #[test]
    fn sfloats_of_other_peoples_tests() {
        assert_eq!(sfloat(189, -1), [0xbd, 0xf0]);
        assert_eq!(sfloat(1000, -1), [0xe8, 0xf3]);
        assert_eq!(sfloat(900, -1), [0x84, 0xf3]);
        assert_eq!(sfloat(97, 0), [0x61, 0x00]);
        assert_eq!(sfloat(-1, 0), [0xff, 0x0f]);
    }

    /// Nordic's thermometer test: B0 0E 00 FE is 37.60.
    #[test]
    fn floats_of_other_peoples_tests() {
        assert_eq!(float(3760, -2), [0xb0, 0x0e, 0x00, 0xfe]);
        assert_eq!(float(-5, -1), [0xfb, 0xff, 0xff, 0xff]);
    }

    #[test]
    #[should_panic(expected = "mantissa 2046 does not fit 12 bits")]
    fn a_special_value_is_never_written_by_accident() {
        let _ = sfloat(2046, 0);
    }
}
