//! Weighing scale, IEEE 11073-10415. Codes, handle and map: signove/antidote. Height and body mass index are not among our vitals and are
//! passed over.

use vitals::{Unit, Vital};

use super::{
    codes::attribute,
    specialisation::{Specialisation, Standard, StandardObject, measure},
};

const WEIGHT: u16 = 0xe140;
const KILOGRAM: u16 = 0x06c3;

/// The specialisation.
pub const SCALE: Specialisation = Specialisation {
    standard: "IEEE 11073-10415",
    measures: &[measure(WEIGHT, Vital::Weight)],
    units: &[(KILOGRAM, Unit::Kilogram, 0), (0x06e0, Unit::Pound, 0), (0x06c0, Unit::Gram, 0)],
    statuses: &[],
    standards: &[Standard {
        id: 0x05dc,
        objects: &[StandardObject {
            handle: 1,
            code: WEIGHT,
            unit: KILOGRAM,
            map: &[(attribute::VALUE_SIMPLE, 4), (attribute::STAMP_ABSOLUTE, 8)],
            components: &[],
            modalities: &[],
        }],
        more: &[2, 3],
    }],
};
