//! Glucose meter, IEEE 11073-10417. Codes, handle and map: signove/antidote; the status word: HL7's Personal Health Device guide.
//!
//! What is measured of control solution (2/71D0) is nobody's blood and is passed over.

use vitals::{Unit, Vital};

use super::{
    codes::{PART_PHD_DM, attribute},
    specialisation::{Specialisation, Standard, StandardObject, Status, measure},
};

const CAPILLARY_WHOLE_BLOOD: u16 = 0x71b8;
const MG_PER_DL: u16 = 0x0852;

/// The specialisation.
pub const GLUCOSE: Specialisation = Specialisation {
    standard: "IEEE 11073-10417",
    measures: &[
        measure(0x7114, Vital::Glucose),
        measure(CAPILLARY_WHOLE_BLOOD, Vital::Glucose),
        measure(0x71bc, Vital::Glucose),
        measure(0x71c0, Vital::Glucose),
        measure(0x71c4, Vital::Glucose),
        measure(0x71c8, Vital::Glucose),
        measure(0x71cc, Vital::Glucose),
        measure(0x71d4, Vital::Glucose),
    ],
    units: &[(MG_PER_DL, Unit::MilligramPerDecilitre, 0), (0x1272, Unit::MillimolePerLitre, 0)],
    statuses: &[Status {
        kind: (PART_PHD_DM, 0x71d8),
        bits: &[
            (0, "low_battery"),
            (1, "sensor_malfunction"),
            (2, "sample_size_insufficient"),
            (3, "strip_insertion_error"),
            (4, "strip_type_incorrect"),
            (5, "result_too_high"),
            (6, "result_too_low"),
            (7, "temperature_too_high"),
            (8, "temperature_too_low"),
            (9, "read_interrupted"),
            (10, "device_fault"),
            (11, "temperature_out_of_range"),
        ],
    }],
    standards: &[Standard {
        id: 0x06a4,
        objects: &[StandardObject {
            handle: 1,
            code: CAPILLARY_WHOLE_BLOOD,
            unit: MG_PER_DL,
            map: &[(attribute::VALUE_BASIC, 2), (attribute::STAMP_ABSOLUTE, 8)],
            components: &[],
            modalities: &[],
        }],
        more: &[],
    }],
};
