//! Nomenclature codes of IEEE 11073-10101 that the manager uses, by their short names. The numbers are as public implementations list them
//! (signove/antidote `nomenclature.h`, HL7's Personal Health Device guide).

/// The partition of measurements (SCADA).
pub const PART_SCADA: u16 = 2;
/// The partition of diseases' status words (PHD disease management).
pub const PART_PHD_DM: u16 = 128;

/// Classes of objects.
pub mod class {
    #![allow(missing_docs, reason = "the names say it")]
    pub const ENUMERATION: u16 = 5;
    pub const NUMERIC: u16 = 6;
    pub const SCANNER_EPISODIC: u16 = 18;
    pub const SCANNER_PERIODIC: u16 = 19;
    pub const PM_STORE: u16 = 61;
}

/// Attributes.
pub mod attribute {
    #![allow(missing_docs, reason = "the names say it")]
    pub const MODEL: u16 = 0x0928;
    pub const PRODUCTION_SPECIFICATION: u16 = 0x092d;
    pub const TYPE: u16 = 0x092f;
    pub const MEASUREMENT_STATUS: u16 = 0x0947;
    pub const COMPOUND_VALUE: u16 = 0x094b;
    pub const VALUE: u16 = 0x0950;
    pub const OPERATIONAL_STATE: u16 = 0x0953;
    pub const SEGMENT_USAGE: u16 = 0x097b;
    pub const SYSTEM_ID: u16 = 0x0984;
    pub const TIME_ABSOLUTE: u16 = 0x0987;
    pub const TIME_RELATIVE: u16 = 0x098f;
    pub const STAMP_ABSOLUTE: u16 = 0x0990;
    pub const STAMP_RELATIVE: u16 = 0x0991;
    pub const UNIT: u16 = 0x0996;
    pub const BATTERY: u16 = 0x099c;
    pub const CONFIGURATION_ID: u16 = 0x0a44;
    pub const TIME_INFO: u16 = 0x0a45;
    pub const VALUE_BASIC: u16 = 0x0a4c;
    pub const SEGMENT_MAP: u16 = 0x0a4e;
    pub const SEGMENT_PERSON: u16 = 0x0a4f;
    pub const SCANNED: u16 = 0x0a53;
    pub const VALUE_MAP: u16 = 0x0a55;
    pub const VALUE_SIMPLE: u16 = 0x0a56;
    pub const SUPPLEMENTAL_TYPES: u16 = 0x0a61;
    pub const BITS_SIMPLE: u16 = 0x0a65;
    pub const BITS_BASIC: u16 = 0x0a66;
    pub const COMPOUND_SIMPLE: u16 = 0x0a74;
    pub const COMPOUND_BASIC: u16 = 0x0a75;
    pub const COMPONENTS: u16 = 0x0a76;
}

/// What is reported.
pub mod event {
    #![allow(missing_docs, reason = "the names say it")]
    pub const CONFIGURATION: u16 = 0x0d1c;
    pub const FIXED: u16 = 0x0d1d;
    pub const VARIABLE: u16 = 0x0d1e;
    pub const PERSONS_FIXED: u16 = 0x0d1f;
    pub const PERSONS_VARIABLE: u16 = 0x0d20;
    pub const SEGMENT_DATA: u16 = 0x0d21;
    /// From here six reports of a scanner, unbuffered: variable, fixed, grouped, and the same of several persons.
    pub const UNBUFFERED: u16 = 0x0d22;
    /// The same, buffered.
    pub const BUFFERED: u16 = 0x0d28;
    /// The last of them.
    pub const BUFFERED_LAST: u16 = 0x0d2d;
}

/// What is asked for.
pub mod action {
    #![allow(missing_docs, reason = "the names say it")]
    pub const CLEAR_SEGMENTS: u16 = 0x0c0c;
    pub const SEGMENT_INFO: u16 = 0x0c0d;
    pub const SET_TIME: u16 = 0x0c17;
    pub const REQUEST_DATA: u16 = 0x0c1b;
    pub const TRANSFER_SEGMENT: u16 = 0x0c1c;
}

/// How a value was measured (supplemental types).
pub mod modality {
    #![allow(missing_docs, reason = "the names say it")]
    pub const FAST: u16 = 0x4c34;
    pub const SLOW: u16 = 0x4c38;
    pub const SPOT: u16 = 0x4c3c;
}
