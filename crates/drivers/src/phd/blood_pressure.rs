//! Blood pressure monitor, IEEE 11073-10407. Handles and maps: signove/antidote. Its quality is told by the measurement status alone: no
//! public source gives a status word for this specialisation.

use vitals::{Unit, Vital};

use super::{
    codes::attribute,
    specialisation::{Specialisation, Standard, StandardObject, measure},
};

const SYSTOLIC: u16 = 0x4a05;
const DIASTOLIC: u16 = 0x4a06;
const MEAN: u16 = 0x4a07;
const PULSE: u16 = 0x482a;
const MMHG: u16 = 0x0f20;
const BEATS: u16 = 0x0aa0;

/// The specialisation.
pub const BLOOD_PRESSURE: Specialisation = Specialisation {
    standard: "IEEE 11073-10407",
    measures: &[
        measure(SYSTOLIC, Vital::Systolic),
        measure(DIASTOLIC, Vital::Diastolic),
        measure(MEAN, Vital::MeanPressure),
        measure(PULSE, Vital::Pulse),
    ],
    units: &[(MMHG, Unit::MillimetreMercury, 0), (0x0f03, Unit::Kilopascal, 0), (BEATS, Unit::PerMinute, 0)],
    statuses: &[],
    standards: &[Standard {
        id: 0x02bc,
        objects: &[
            StandardObject {
                handle: 1,
                code: 0x4a04,
                unit: MMHG,
                map: &[(attribute::COMPOUND_BASIC, 10), (attribute::STAMP_ABSOLUTE, 8)],
                components: &[SYSTOLIC, DIASTOLIC, MEAN],
                modalities: &[],
            },
            StandardObject {
                handle: 2,
                code: PULSE,
                unit: BEATS,
                map: &[(attribute::VALUE_BASIC, 2), (attribute::STAMP_ABSOLUTE, 8)],
                components: &[],
                modalities: &[],
            },
        ],
        more: &[3],
    }],
};
