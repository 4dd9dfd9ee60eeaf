//! A measured number that keeps the precision it was sent with: 93 stays 93, and 93.0 stays 93.0.
//!
//! A device that says 36.70 has measured to a hundredth of a degree; turning it into a binary float would forget that.
//! (IEEE 11073-20601 FLOAT carries the same: 2, 2.0 and 2.00 are different encodings.)

use std::{borrow::Cow, fmt, str::FromStr};

use rust_decimal::{Decimal, RoundingStrategy::MidpointAwayFromZero};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::value::RawValue;

/// A decimal number with the digits it was measured with. Compares by magnitude: `93 == 93.0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Decimal);

/// Why a text is not a number that a device could have measured.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ValueError {
    /// The text is longer than any measurement.
    #[error("number has {found} characters, at most {limit} are taken")]
    TooLong {
        /// Characters found.
        found: usize,
        /// [`Value::TEXT_LEN_MAX`].
        limit: usize,
    },
    /// Not a decimal number.
    #[error("found {0:?}, want a decimal number")]
    NotANumber(String),
}

impl Value {
    /// The longest text that is read as a number, in characters.
    pub const TEXT_LEN_MAX: usize = 24;

    /// `mantissa` times ten to the minus `scale`: `Value::new(930, 1)` is 93.0.
    #[must_use]
    pub fn new(mantissa: i64, scale: u32) -> Self {
        Self(Decimal::new(mantissa, scale))
    }

    /// The number itself, for arithmetic.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// The same with at most so many digits after the point, as a display shows it: halves go away from zero, 38.05 to 38.1.
    #[must_use]
    pub fn rounded(self, digits: u32) -> Self {
        Self(self.0.round_dp_with_strategy(digits, MidpointAwayFromZero))
    }

    /// For curves on a page, where a pixel is coarser than the difference.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().expect("a decimal's text is a float's text")
    }
}

impl From<Decimal> for Value {
    fn from(decimal: Decimal) -> Self {
        Self(decimal)
    }
}

impl FromStr for Value {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.len() > Self::TEXT_LEN_MAX {
            return Err(ValueError::TooLong { found: text.len(), limit: Self::TEXT_LEN_MAX });
        }
        let parsed =
            if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str_exact(text) };
        parsed.map(Self).map_err(|_| ValueError::NotANumber(text.to_owned()))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Reads JSON numbers by their digits, and numbers from formats without raw text (TOML) by their shortest form.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Value {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "description": "decimal digits are kept: 93 is not 93.0" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        serde_json::to_string(&serde_json::from_str::<Value>(text).unwrap()).unwrap()
    }

    #[test]
    fn digits_survive_json() {
        for text in ["93", "93.0", "36.70", "-0.5", "0", "0.005", "999999.125"] {
            assert_eq!(json(text), text);
        }
        assert_eq!(json("1e2"), "100");
    }

    #[test]
    fn not_a_number_is_refused_with_what_was_found() {
        for text in ["\"93\"", "null", "true", "[1]", "1e999999999999999999999999"] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rounds_halves_away_from_zero_and_adds_no_digits() {
        for (value, digits, wanted) in
            [("38.05", 1, "38.1"), ("38.04", 1, "38.0"), ("-0.5", 0, "-1"), ("91.5", 0, "92"), ("91", 1, "91")]
        {
            assert_eq!(value.parse::<Value>().unwrap().rounded(digits).to_string(), wanted, "{value}");
        }
    }

    #[test]
    fn compares_by_magnitude() {
        assert_eq!(Value::new(930, 1), Value::new(93, 0));
        assert!(Value::new(8599, 2) < Value::new(86, 0));
    }
}
