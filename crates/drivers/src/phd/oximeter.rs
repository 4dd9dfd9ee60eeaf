//! Pulse oximeter, IEEE 11073-10404. Handles and maps: signove/antidote; the status word: HL7's Personal Health Device guide.
//!
//! The word on the pulse's character (2/4C4D) is read for what it doubts: its first bit only says that all is well.

use vitals::{Unit, Vital};

use super::{
    codes::{attribute, modality},
    specialisation::{Specialisation, Standard, StandardObject, Status, measure},
};

const SPO2: u16 = 0x4bb8;
const PULSE: u16 = 0x481a;
const PERCENT: u16 = 0x0220;
const BEATS: u16 = 0x0aa0;

const VALUE: &[(u16, u16)] = &[(attribute::VALUE_BASIC, 2)];
const VALUE_AND_TIME: &[(u16, u16)] = &[(attribute::VALUE_BASIC, 2), (attribute::STAMP_ABSOLUTE, 8)];

/// The specialisation.
pub const OXIMETER: Specialisation = Specialisation {
    standard: "IEEE 11073-10404",
    measures: &[measure(SPO2, Vital::Spo2), measure(PULSE, Vital::Pulse), measure(0x4bb0, Vital::PerfusionIndex)],
    units: &[(PERCENT, Unit::Percent, 0), (BEATS, Unit::PerMinute, 0)],
    statuses: &[
        Status {
            kind: (2, 0x4c4c),
            bits: &[
                (0, "sensor_disconnected"),
                (1, "sensor_malfunction"),
                (2, "sensor_displaced"),
                (3, "unknown_sensor_connected"),
                (4, "sensor_unconnected_to_user"),
                (5, "sensor_interference"),
                (6, "signal_analysis_ongoing"),
                (7, "questionable_pulse"),
                (8, "nonpulsatile_signal"),
                (9, "erratic_signal"),
                (10, "low_perfusion"),
                (11, "poor_signal"),
                (12, "inadequate_signal"),
                (13, "signal_processing_irregularity"),
                (14, "equipment_malfunction"),
                (15, "extended_display_ongoing"),
            ],
        },
        Status {
            kind: (2, 0x4c4d),
            bits: &[(1, "marginal_pulse_quality"), (2, "minimal_pulse_quality"), (3, "unacceptable_pulse_quality")],
        },
    ],
    standards: &[
        Standard { id: 0x0190, objects: &objects(VALUE, &[]), more: &[] },
        Standard { id: 0x0191, objects: &objects(VALUE_AND_TIME, &[modality::SPOT]), more: &[] },
    ],
};

const fn objects(map: &'static [(u16, u16)], modalities: &'static [u16]) -> [StandardObject; 2] {
    [
        StandardObject { handle: 1, code: SPO2, unit: PERCENT, map, components: &[], modalities },
        StandardObject { handle: 10, code: PULSE, unit: BEATS, map, components: &[], modalities },
    ]
}
