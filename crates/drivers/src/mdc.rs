//! Codes of IEEE 11073-10101 (MDC) to vitals and units, for devices that name what they measure by them.
//!
//! A type is written as partition x 65536 + term, as in [`vitals::VITALS`]; two more types are pulses than the one that stands there. A unit
//! is written as its term in the partition 4 of dimensions. Only units in which a vital is measured are here; a value in any other unit is
//! not understood, and none is guessed. Sources: signove/antidote `nomenclature.h`, philips-labs/BLE-GHS-Server-Simulator `UnitCode.kt`
//! and `ObservationType.kt`.

use vitals::{Unit, VITALS, Vital};

/// Pulses beside that of an oximeter: of a cuff, and of the heart's beats.
const PULSES: [u32; 2] = [149_546, 147_842];

/// Terms of units.
const UNITS: &[(u16, Unit)] = &[
    (0x0220, Unit::Percent),
    (0x0640, Unit::Litre),
    (0x0652, Unit::Millilitre),
    (0x06c0, Unit::Gram),
    (0x06c3, Unit::Kilogram),
    (0x06e0, Unit::Pound),
    (0x0852, Unit::MilligramPerDecilitre),
    (0x0aa0, Unit::PerMinute),
    (0x0ae0, Unit::PerMinute),
    (0x0be0, Unit::LitrePerSecond),
    (0x0c00, Unit::LitrePerMinute),
    (0x0f03, Unit::Kilopascal),
    (0x0f20, Unit::MillimetreMercury),
    (0x1140, Unit::Fahrenheit),
    (0x1272, Unit::MillimolePerLitre),
    (0x17a0, Unit::Celsius),
];

/// The vital of a type, if it is one.
#[must_use]
pub fn vital(code: u32) -> Option<Vital> {
    if PULSES.contains(&code) {
        return Some(Vital::Pulse);
    }
    VITALS.iter().find(|info| info.mdc == Some(code)).map(|info| info.vital)
}

/// The unit of a term, if a vital is measured in it.
#[must_use]
pub fn unit(term: u16) -> Option<Unit> {
    UNITS.iter().find(|(known, _)| *known == term).map(|(_, unit)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_units_have_their_codes() {
        for (code, wanted) in [
            (152_586, Some(Vital::Fev1)),
            (152_584, Some(Vital::Pef)),
            (152_587, Some(Vital::Fev6)),
            (150_456, Some(Vital::Spo2)),
            (149_546, Some(Vital::Pulse)),
            (151_680, None),
            (0, None),
        ] {
            assert_eq!(vital(code), wanted, "{code}");
        }
        assert_eq!([unit(3072), unit(0x0640), unit(0)], [Some(Unit::LitrePerMinute), Some(Unit::Litre), None]);
    }

    #[test]
    fn every_vital_with_a_code_has_a_unit_with_one() {
        for info in VITALS.iter().filter(|info| info.mdc.is_some()) {
            assert_eq!(info.mdc.and_then(vital), Some(info.vital));
            assert!(UNITS.iter().any(|(_, unit)| *unit == info.unit), "{} in {}", info.name, info.unit);
        }
    }
}
