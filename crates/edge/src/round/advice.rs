//! From what is odd about a measurement to what the person should do now: one table.
//!
//! An advice is the id of a heading (`warm-finger`) and, with `-more`, of its explanation; the page has the words. The first row that
//! matches counts, so the rows stand in the order of what helps most.

use vitals::{Flag, Vital};

/// Every advice, in the order of the table; `measure-again` is for a doubt that no row names.
pub const ADVICE: &[&str] = &[
    "put-finger-in",
    "warm-finger",
    "keep-still",
    "sit-still",
    "tighten-cuff",
    "support-arm",
    "rest-and-repeat",
    "blow-again",
    "step-off-and-on",
    "belt-on-skin",
    "new-strip",
    "meter-at-room-temperature",
    "wait-for-device",
    "device-fault",
    MEASURE_AGAIN,
];

/// For a doubt that no row names, and for a value that is hard to believe.
pub const MEASURE_AGAIN: &str = "measure-again";

/// What a vital is measured with, where the advice differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Oximeter,
    Cuff,
    Spirometer,
    Scale,
    Any,
}

use With::{Any, Cuff, Oximeter, Scale, Spirometer};

/// Flag, the instrument for which it means that, and the advice.
#[rustfmt::skip]
const TABLE: &[(&str, With, &str)] = &[
    ("sensor_unconnected_to_user",        Oximeter,   "put-finger-in"),
    ("sensor_displaced",                  Oximeter,   "put-finger-in"),
    ("sensor_disconnected",               Oximeter,   "put-finger-in"),
    ("no_finger",                         Oximeter,   "put-finger-in"),
    ("out_of_track",                      Oximeter,   "put-finger-in"),
    ("low_perfusion",                     Oximeter,   "warm-finger"),
    ("marginal_perfusion",                Oximeter,   "warm-finger"),
    ("poor_signal",                       Oximeter,   "warm-finger"),
    ("inadequate_signal",                 Oximeter,   "warm-finger"),
    ("nonpulsatile_signal",               Oximeter,   "warm-finger"),
    ("artifact",                          Oximeter,   "keep-still"),
    ("erratic_signal",                    Oximeter,   "keep-still"),
    ("questionable_pulse",                Oximeter,   "keep-still"),
    ("questionable_measurement",          Oximeter,   "keep-still"),
    ("signal_processing_irregularity",    Oximeter,   "keep-still"),
    ("sensor_interference",               Oximeter,   "keep-still"),
    ("unsettled",                         Oximeter,   "keep-still"),
    ("early_estimate",                    Oximeter,   "keep-still"),
    ("marginal_pulse_quality",            Oximeter,   "keep-still"),
    ("minimal_pulse_quality",             Oximeter,   "keep-still"),
    ("unacceptable_pulse_quality",        Oximeter,   "keep-still"),
    ("contact_lost",                      Any,        "belt-on-skin"),
    ("body_movement",                     Any,        "sit-still"),
    ("cuff_loose",                        Cuff,       "tighten-cuff"),
    ("improper_position",                 Cuff,       "support-arm"),
    ("intermediate",                      Cuff,       "rest-and-repeat"),
    ("slow_start",                        Spirometer, "blow-again"),
    ("early_termination",                 Spirometer, "blow-again"),
    ("cough",                             Spirometer, "blow-again"),
    ("unsettled",                         Scale,      "step-off-and-on"),
    ("unstable",                          Scale,      "step-off-and-on"),
    ("sample_insufficient",               Any,        "new-strip"),
    ("sample_size_insufficient",          Any,        "new-strip"),
    ("strip_insertion_error",             Any,        "new-strip"),
    ("strip_type_incorrect",              Any,        "new-strip"),
    ("read_interrupted",                  Any,        "new-strip"),
    ("sensor_too_warm",                   Any,        "meter-at-room-temperature"),
    ("sensor_too_cold",                   Any,        "meter-at-room-temperature"),
    ("temperature_too_high",              Any,        "meter-at-room-temperature"),
    ("temperature_too_low",               Any,        "meter-at-room-temperature"),
    ("temperature_out_of_range",          Any,        "meter-at-room-temperature"),
    ("calibration_ongoing",               Any,        "wait-for-device"),
    ("signal_analysis_ongoing",           Any,        "wait-for-device"),
    ("sensor_malfunction",                Any,        "device-fault"),
    ("equipment_malfunction",             Any,        "device-fault"),
    ("sensor_fault",                      Any,        "device-fault"),
    ("device_fault",                      Any,        "device-fault"),
    ("time_fault",                        Any,        "device-fault"),
    ("test_data",                         Any,        "device-fault"),
    ("demonstration_data",                Any,        "device-fault"),
    ("unknown_sensor_connected",          Any,        "device-fault"),
];

/// What a measurement that is going on may say of itself without anything being wrong: it isn't over.
const NOT_OVER: &[&str] =
    &["cuff_pressure", "unstable", "intermediate", "early_estimate", "signal_analysis_ongoing", "calibration_ongoing"];

/// What to do while a measurement is going on; `None` when nothing is wrong but that it isn't over.
#[must_use]
pub fn meanwhile(vital: Vital, flags: &[Flag]) -> Option<&'static str> {
    let wrong: Vec<Flag> = flags.iter().filter(|flag| !NOT_OVER.contains(&flag.as_str())).cloned().collect();
    advice(vital, &wrong)
}

/// What to do about a measurement of `vital` with these flags; `None` when nothing speaks against it.
#[must_use]
pub fn advice(vital: Vital, flags: &[Flag]) -> Option<&'static str> {
    let doubts: Vec<&Flag> = flags.iter().filter(|flag| flag.is_doubt()).collect();
    if doubts.is_empty() {
        return None;
    }
    let with = instrument(vital);
    let row = TABLE
        .iter()
        .find(|(name, of, _)| (*of == With::Any || *of == with) && doubts.iter().any(|flag| flag.as_str() == *name));
    Some(row.map_or_else(|| by_instrument(with), |(_, _, advice)| advice))
}

/// What helps with a value of this vital that nobody would believe.
#[must_use]
pub fn instrument_advice(vital: Vital) -> &'static str {
    match instrument(vital) {
        Oximeter => "warm-finger",
        with => by_instrument(with),
    }
}

/// What helps with a doubt of an unknown name.
fn by_instrument(with: With) -> &'static str {
    match with {
        Oximeter => "keep-still",
        Cuff => "rest-and-repeat",
        Spirometer => "blow-again",
        Scale => "step-off-and-on",
        Any => MEASURE_AGAIN,
    }
}

fn instrument(vital: Vital) -> With {
    match vital {
        Vital::Spo2 | Vital::Pulse | Vital::PerfusionIndex => Oximeter,
        Vital::Systolic | Vital::Diastolic | Vital::MeanPressure => Cuff,
        Vital::Fev1 | Vital::Fvc | Vital::Fev6 | Vital::Pef | Vital::Fev1Fvc => Spirometer,
        Vital::Weight => Scale,
        _ => Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(vital: Vital, flags: &[&str], wanted: Option<&str>) {
        let flags: Vec<Flag> = flags.iter().map(|flag| flag.parse().unwrap()).collect();
        assert_eq!(advice(vital, &flags), wanted, "{vital} {flags:?}");
    }

    #[test]
    fn the_first_row_that_matches_counts_and_a_harmless_flag_asks_for_nothing() {
        check(Vital::Spo2, &["low_perfusion"], Some("warm-finger"));
        check(Vital::Spo2, &["artifact", "low_perfusion"], Some("warm-finger"));
        check(Vital::Spo2, &["low_perfusion", "sensor_displaced"], Some("put-finger-in"));
        check(Vital::Spo2, &["simulated", "low_battery", "user_2"], None);
        check(Vital::Spo2, &[], None);
        check(Vital::Systolic, &["body_movement", "cuff_loose"], Some("sit-still"));
        check(Vital::Systolic, &["cuff_loose"], Some("tighten-cuff"));
        check(Vital::Systolic, &["improper_position"], Some("support-arm"));
        check(Vital::Weight, &["unsettled"], Some("step-off-and-on"));
        check(Vital::Temperature, &["flag_of_tomorrow"], Some(MEASURE_AGAIN));
        check(Vital::Pef, &["flag_of_tomorrow"], Some("blow-again"));
        check(Vital::Temperature, &["sensor_fault"], Some("device-fault"));
    }

    #[test]
    fn a_measurement_that_is_not_over_is_left_alone_unless_something_is_wrong() {
        let flags = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Flag>>();
        assert_eq!(meanwhile(Vital::Systolic, &flags(&["cuff_pressure"])), None);
        assert_eq!(meanwhile(Vital::Systolic, &flags(&["cuff_pressure", "body_movement"])), Some("sit-still"));
        assert_eq!(meanwhile(Vital::Weight, &flags(&["unstable", "clock_not_set"])), None);
        assert_eq!(advice(Vital::Weight, &flags(&["unstable"])), Some("step-off-and-on"));
        assert_eq!(meanwhile(Vital::Pulse, &flags(&["contact_lost"])), Some("belt-on-skin"));
        assert_eq!(meanwhile(Vital::Spo2, &flags(&["signal_analysis_ongoing"])), None);
    }

    #[test]
    fn every_row_names_an_advice_and_a_flag_that_is_a_doubt() {
        for (flag, _, advice) in TABLE {
            assert!(ADVICE.contains(advice), "{advice}");
            assert!(flag.parse::<Flag>().unwrap().is_doubt(), "{flag} would never be looked up");
        }
    }
}
