//! Thermometer, IEEE 11073-10408. Codes, handle and map: the thermometer of the public agent conqlima/Antidote. Where it was measured is a
//! flag, as for the Bluetooth thermometers.

use vitals::{Unit, Vital};

use super::{
    codes::attribute,
    specialisation::{Measure, Specialisation, Standard, StandardObject},
};

const BODY: u16 = 0x4b5c;
const CELSIUS: u16 = 0x17a0;

/// The specialisation.
pub const THERMOMETER: Specialisation = Specialisation {
    standard: "IEEE 11073-10408",
    measures: &[
        Measure { code: BODY, vital: Vital::Temperature, flag: None },
        at(0x4b78, "site_tympanum"),
        at(0xe004, "site_rectum"),
        at(0xe008, "site_mouth"),
        at(0xe00c, "site_ear"),
        at(0xe010, "site_finger"),
        at(0xe020, "site_toe"),
        at(0xe024, "site_armpit"),
        at(0xe028, "site_gastrointestinal"),
    ],
    units: &[(CELSIUS, Unit::Celsius, 0), (0x1140, Unit::Fahrenheit, 0)],
    statuses: &[],
    standards: &[Standard {
        id: 0x0320,
        objects: &[StandardObject {
            handle: 1,
            code: BODY,
            unit: CELSIUS,
            map: &[(attribute::VALUE_SIMPLE, 4), (attribute::STAMP_ABSOLUTE, 8)],
            components: &[],
            modalities: &[],
        }],
        more: &[],
    }],
};

const fn at(code: u16, site: &'static str) -> Measure {
    Measure { code, vital: Vital::Temperature, flag: Some(site) }
}
