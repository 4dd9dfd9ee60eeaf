//! Peak expiratory flow monitor, IEEE 11073-10421, and what spirometers report by the same codes. Codes: HL7's Personal Health Device guide.
//!
//! The personal best (2/5409) is a setting, no measurement, and is passed over. The objects of the standard configuration 0834 are in no
//! public source: a device that has it is asked to tell them, as one with a configuration of its own. What the bits of the reading status
//! (128/7800) mean is in no public source either, so each sets a flag with its number, which marks the value as doubtful.

use vitals::{Unit, Vital};

use super::{
    codes::PART_PHD_DM,
    specialisation::{Specialisation, Status, measure},
};

/// The specialisation.
pub const PEAK_FLOW: Specialisation = Specialisation {
    standard: "IEEE 11073-10421",
    measures: &[
        measure(0x5408, Vital::Pef),
        measure(0x540a, Vital::Fev1),
        measure(0x540b, Vital::Fev6),
        measure(0xe200, Vital::Fvc),
        measure(0xe214, Vital::Fev1Fvc),
    ],
    units: &[
        (0x0c00, Unit::LitrePerMinute, 0),
        (0x0be0, Unit::LitrePerSecond, 0),
        (0x0bf1, Unit::LitrePerSecond, 2),
        (0x0bf2, Unit::LitrePerSecond, 3),
        (0x0640, Unit::Litre, 0),
        (0x0651, Unit::Litre, 2),
        (0x0652, Unit::Millilitre, 0),
        (0x0220, Unit::Percent, 0),
        (0x0200, Unit::Ratio, 0),
    ],
    statuses: &[Status {
        kind: (PART_PHD_DM, 0x7800),
        bits: &[
            (0, "pef_status_0"),
            (1, "pef_status_1"),
            (2, "pef_status_2"),
            (3, "pef_status_3"),
            (4, "pef_status_4"),
            (5, "pef_status_5"),
            (6, "pef_status_6"),
            (7, "pef_status_7"),
            (8, "pef_status_8"),
            (9, "pef_status_9"),
            (10, "pef_status_10"),
            (11, "pef_status_11"),
            (12, "pef_status_12"),
            (13, "pef_status_13"),
            (14, "pef_status_14"),
            (15, "pef_status_15"),
        ],
    }],
    standards: &[],
};
