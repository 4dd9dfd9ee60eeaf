//! Units by their UCUM codes, and the conversions of the contract.
//!
//! Exact factors: 1 lb = 0.453 592 37 kg (international pound); 1 mm[Hg] = 0.133 322 387 415 kPa (UCUM); glucose 1 mmol/L = 18.0156 mg/dL
//! (molar mass of glucose 180.156 g/mol). A converted value is rounded half away from zero, to a tenth for pressure, temperature and
//! glucose, to 5 g for weight, and keeps its digits where the factor is a power of ten.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy::MidpointAwayFromZero};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Value, Vital};

/// A unit, written as its UCUM code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the UCUM code beside each says it")]
pub enum Unit {
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "/min", alias = "1/min")]
    PerMinute,
    #[serde(rename = "Cel")]
    Celsius,
    #[serde(rename = "[degF]")]
    Fahrenheit,
    #[serde(rename = "mm[Hg]")]
    MillimetreMercury,
    #[serde(rename = "kPa")]
    Kilopascal,
    #[serde(rename = "kg")]
    Kilogram,
    #[serde(rename = "[lb_av]")]
    Pound,
    #[serde(rename = "g")]
    Gram,
    #[serde(rename = "L")]
    Litre,
    #[serde(rename = "mL")]
    Millilitre,
    #[serde(rename = "L/min")]
    LitrePerMinute,
    #[serde(rename = "L/s")]
    LitrePerSecond,
    #[serde(rename = "{ratio}")]
    Ratio,
    #[serde(rename = "mmol/L")]
    MillimolePerLitre,
    #[serde(rename = "mg/dL")]
    MilligramPerDecilitre,
}

/// A unit that a vital is not measured in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{vital} in {found} can't be converted to {wanted}")]
pub struct UnitError {
    /// The vital.
    pub vital: Vital,
    /// The unit that came.
    pub found: Unit,
    /// The canonical one.
    pub wanted: Unit,
}

impl Unit {
    /// The UCUM code, as on the wire.
    #[must_use]
    pub fn ucum(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::PerMinute => "/min",
            Self::Celsius => "Cel",
            Self::Fahrenheit => "[degF]",
            Self::MillimetreMercury => "mm[Hg]",
            Self::Kilopascal => "kPa",
            Self::Kilogram => "kg",
            Self::Pound => "[lb_av]",
            Self::Gram => "g",
            Self::Litre => "L",
            Self::Millilitre => "mL",
            Self::LitrePerMinute => "L/min",
            Self::LitrePerSecond => "L/s",
            Self::Ratio => "{ratio}",
            Self::MillimolePerLitre => "mmol/L",
            Self::MilligramPerDecilitre => "mg/dL",
        }
    }

    /// How a person reads it: `°C`, `mmHg`, `/min`.
    #[must_use]
    pub fn plain(self) -> &'static str {
        match self {
            Self::Celsius => "°C",
            Self::Fahrenheit => "°F",
            Self::MillimetreMercury => "mmHg",
            Self::Pound => "lb",
            Self::Ratio => "",
            other => other.ucum(),
        }
    }

    /// `value` of `vital`, measured in `self`, in the vital's canonical unit.
    ///
    /// # Errors
    /// [`UnitError`] when the vital is not measured in this unit.
    pub fn to_canonical(self, vital: Vital, value: Value) -> Result<Value, UnitError> {
        let wanted = vital.unit();
        let from = value.decimal();
        if self != wanted && from.abs() > CONVERTED_MAX {
            return Err(UnitError { vital, found: self, wanted });
        }
        let converted = match (self, wanted) {
            (same, to) if same == to => from,
            (Self::Fahrenheit, Self::Celsius) => ((from - Decimal::from(32)) * Decimal::from(5) / Decimal::from(9))
                .round_dp_with_strategy(1, MidpointAwayFromZero),
            (Self::Kilopascal, Self::MillimetreMercury) => tenth(from / Decimal::new(133_322_387_415, 12)),
            (Self::Pound, Self::Kilogram) => {
                let steps = from * Decimal::new(45_359_237, 8) / Decimal::new(5, 3);
                (steps.round_dp_with_strategy(0, MidpointAwayFromZero) * Decimal::new(5, 3)).normalize()
            }
            (Self::Gram, Self::Kilogram) | (Self::Millilitre, Self::Litre) => thousandth(from),
            (Self::LitrePerSecond, Self::LitrePerMinute) => (from * Decimal::from(60)).normalize(),
            (Self::Ratio, Self::Percent) => hundred_times(from),
            (Self::MilligramPerDecilitre, Self::MillimolePerLitre) => tenth(from / Decimal::new(180_156, 4)),
            _ => return Err(UnitError { vital, found: self, wanted }),
        };
        Ok(converted.into())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.ucum())
    }
}

/// Far beyond anything that is measured, and far from where the arithmetic overflows: a number beyond this is not converted.
const CONVERTED_MAX: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

fn tenth(number: Decimal) -> Decimal {
    number.round_dp_with_strategy(1, MidpointAwayFromZero)
}

fn thousandth(mut number: Decimal) -> Decimal {
    let scale = number.scale() + 3;
    if number.set_scale(scale).is_err() {
        return number / Decimal::from(1000);
    }
    number
}

fn hundred_times(number: Decimal) -> Decimal {
    let mut moved = number * Decimal::from(100);
    moved.rescale(number.scale().saturating_sub(2));
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(vital: Vital, unit: Unit, value: &str, wanted: &str) {
        let got = unit.to_canonical(vital, value.parse().unwrap()).unwrap();
        assert_eq!(got.to_string(), wanted);
    }

    #[test]
    fn converts_what_the_contract_accepts() {
        check(Vital::Spo2, Unit::Percent, "93", "93");
        check(Vital::Temperature, Unit::Fahrenheit, "98.6", "37.0");
        check(Vital::Temperature, Unit::Fahrenheit, "100.4", "38.0");
        check(Vital::Systolic, Unit::Kilopascal, "16.0", "120.0");
        check(Vital::Weight, Unit::Pound, "150", "68.04");
        check(Vital::Weight, Unit::Gram, "72500", "72.500");
        check(Vital::Fev1, Unit::Millilitre, "710", "0.710");
        check(Vital::Pef, Unit::LitrePerSecond, "7.5", "450");
        check(Vital::Fev1Fvc, Unit::Ratio, "0.71", "71");
        check(Vital::Glucose, Unit::MilligramPerDecilitre, "90", "5.0");
    }

    #[test]
    fn refuses_what_cannot_be_converted() {
        let error = Unit::Kilogram.to_canonical(Vital::Spo2, Value::new(93, 0)).unwrap_err();
        assert_eq!(error.to_string(), "spo2 in kg can't be converted to %");
    }

    #[test]
    fn a_number_beyond_all_measure_is_refused_and_none_is_too_fine() {
        for info in crate::VITALS {
            for unit in info.accepts.iter().filter(|unit| **unit != info.unit) {
                for value in [Decimal::MAX, Decimal::MIN, CONVERTED_MAX + Decimal::ONE] {
                    assert!(unit.to_canonical(info.vital, value.into()).is_err(), "{} {value} {unit}", info.vital);
                }
                for value in [CONVERTED_MAX, -CONVERTED_MAX, Decimal::new(1, 28), Decimal::new(i64::MAX, 18)] {
                    assert!(unit.to_canonical(info.vital, value.into()).is_ok(), "{} {value} {unit}", info.vital);
                }
            }
        }
    }

    #[test]
    fn every_accepted_unit_of_the_table_converts() {
        for info in crate::VITALS {
            for unit in info.accepts {
                assert!(unit.to_canonical(info.vital, Value::new(1, 0)).is_ok(), "{} in {unit}", info.vital);
            }
        }
    }
}
