//! From an object's attributes to what was measured.
//!
//! Values come as SFLOAT (0A4C), FLOAT (0A56), compounds of either (0A75, 0A74), or with their own code, state and unit (0950, 094B). Not a
//! number, and what the measurement status marks as unavailable or invalid, is absent. The status words of a report's enumeration objects
//! are flags of every value of that report.

use jiff::civil::DateTime;
use vitals::{Flag, Unit, Value, Vital};

use super::{
    codes::{PART_SCADA, attribute, class, modality},
    configuration::Configuration,
    mder::{Attribute, Reader},
    report::Observed,
    specialisation::{Measure, SPECIALISATIONS, Specialisation, status_flags},
    time::Absolute,
};
use crate::{
    DecodeError, Measured,
    float::{float, sfloat},
};

const UNAVAILABLE: u16 = 0x2000;
const INVALID: u16 = 0x8000;

/// The measurement status: the bits and their flags.
const STATUS: &[(u16, &str)] = &[
    (INVALID, "invalid_measurement"),
    (0x4000, "questionable_measurement"),
    (UNAVAILABLE, "measurement_unavailable"),
    (0x1000, "calibration_ongoing"),
    (0x0800, "test_data"),
    (0x0400, "demonstration_data"),
    (0x0080, "validated_data"),
    (0x0040, "early_estimate"),
    (0x0020, "measurement_ongoing"),
];

/// Tells a device's relative time as a local time.
pub type Clock<'f> = &'f dyn Fn(u32) -> Option<DateTime>;

/// One number with what it is of.
#[derive(Clone, Copy)]
struct Number {
    code: u16,
    unit: u16,
    status: u16,
    value: Option<Value>,
}

/// What the attributes of one object say.
#[derive(Default)]
struct Said {
    numbers: Vec<Number>,
    status: u16,
    time: Option<DateTime>,
    flags: Vec<Flag>,
}

/// What was measured in one report.
///
/// # Errors
/// When a value doesn't have its length, or its unit is none of its quantity's.
pub fn measured(all: &[Observed<'_, '_>], of: &Configuration, clock: Clock<'_>) -> Result<Vec<Measured>, DecodeError> {
    let mut measured = Vec::new();
    for observed in all.iter().filter(|observed| observed.object.class == class::NUMERIC) {
        if !is_shadowed(observed, of) {
            measured.extend(of_object(observed, clock)?);
        }
    }
    for flag in status_words(all)? {
        measured.iter_mut().filter(|one| !one.flags.contains(&flag)).for_each(|one| one.flags.push(flag.clone()));
    }
    Ok(measured)
}

/// A fast or slow average beside the ordinary one says nothing new.
fn is_shadowed(observed: &Observed<'_, '_>, of: &Configuration) -> bool {
    let modal = |modalities: &[u16]| modalities.iter().any(|one| [modality::FAST, modality::SLOW].contains(one));
    let ordinary = |object: &&super::configuration::Object| {
        object.kind == observed.object.kind && object.class == class::NUMERIC && !modal(&object.modalities)
    };
    modal(&observed.object.modalities) && of.objects.iter().find(ordinary).is_some()
}

fn of_object(observed: &Observed<'_, '_>, clock: Clock<'_>) -> Result<Vec<Measured>, DecodeError> {
    let said = Said::read(observed, clock)?;
    let mut measured = Vec::new();
    for number in &said.numbers {
        let Some((known, measure)) = known(number.code) else { continue };
        let status = said.status | number.status;
        if status & (UNAVAILABLE | INVALID) != 0 {
            continue;
        }
        let Some(value) = number.value else { continue };
        let unit = known.unit(number.unit).filter(|(unit, _)| is_of(measure.vital, *unit));
        let Some((unit, moved)) = unit else {
            let (found, wanted) = (number.unit.into(), "a unit of what is measured");
            return Err(DecodeError::Malformed { what: "20601 value", field: "unit", found, wanted });
        };
        let flags = flags(measure, status, observed.person, &said.flags);
        let (vital, device_time) = (measure.vital, said.time);
        measured.push(Measured { vital, value: shift(value, moved), unit, device_time, device_offset: None, flags });
    }
    Ok(measured)
}

/// Is the vital measured in this unit?
fn is_of(vital: Vital, unit: Unit) -> bool {
    let info = vital.info();
    info.unit == unit || info.accepts.contains(&unit)
}

fn known(code: u16) -> Option<(&'static Specialisation, &'static Measure)> {
    SPECIALISATIONS.iter().find_map(|known| Some((*known, known.measure(code)?)))
}

fn flags(measure: &Measure, status: u16, person: Option<u16>, clock: &[Flag]) -> Vec<Flag> {
    let bits = STATUS.iter().filter(|(bit, _)| status & bit != 0).map(|(_, name)| Flag::new(name));
    let site = measure.flag.map(Flag::new);
    let person = person.and_then(|person| format!("user_{person}").parse().ok());
    clock.iter().cloned().chain(bits).chain(site).chain(person).collect()
}

/// Moves the point, keeping the digits.
fn shift(value: Value, digits: u32) -> Value {
    let mut moved = value.decimal();
    match moved.set_scale(moved.scale() + digits) {
        Ok(()) => moved.into(),
        Err(_) => value,
    }
}

fn status_words(all: &[Observed<'_, '_>]) -> Result<Vec<Flag>, DecodeError> {
    let mut flags = Vec::new();
    for observed in all.iter().filter(|observed| observed.object.class == class::ENUMERATION) {
        for Attribute { id, value } in &observed.attributes {
            let mut reader = Reader::new("20601 status word", value);
            let word = match *id {
                attribute::BITS_BASIC => u32::from(reader.u16()?) << 16,
                attribute::BITS_SIMPLE => reader.u32()?,
                _ => continue,
            };
            flags.extend(status_flags(observed.object.kind, word));
        }
    }
    Ok(flags)
}

impl Said {
    fn read(observed: &Observed<'_, '_>, clock: Clock<'_>) -> Result<Self, DecodeError> {
        let object = observed.object;
        let codes: Vec<u16> =
            if object.components.is_empty() { vec![object.kind.1] } else { object.components.clone() };
        // codes of other partitions are other quantities
        let codes = if object.kind.0 == PART_SCADA { codes } else { Vec::new() };
        let said_unit = observed.attributes.iter().find(|one| one.id == attribute::UNIT && one.value.len() == 2);
        let unit = said_unit.map_or(object.unit, |one| u16::from_be_bytes([one.value[0], one.value[1]]));
        let mut said = Self::default();
        for one in &observed.attributes {
            said.take(*one, &codes, unit, clock)?;
        }
        Ok(said)
    }

    fn take(
        &mut self,
        Attribute { id, value }: Attribute<'_>,
        codes: &[u16],
        unit: u16,
        clock: Clock<'_>,
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new("20601 value", value);
        match id {
            attribute::VALUE_BASIC => self.plain(codes, unit, &[sfloat(reader.u16()?)]),
            attribute::VALUE_SIMPLE => self.plain(codes, unit, &[float(reader.u32()?)?]),
            attribute::COMPOUND_BASIC => {
                let values = reader.list("20601 compound", |list| list.u16().map(sfloat))?;
                self.plain(codes, unit, &values);
            }
            attribute::COMPOUND_SIMPLE => {
                let values = reader.list("20601 compound", |list| float(list.u32()?))?;
                self.plain(codes, unit, &values);
            }
            attribute::VALUE => self.numbers.push(full(&mut reader)?),
            attribute::COMPOUND_VALUE => self.numbers.extend(reader.list("20601 compound", full)?),
            attribute::MEASUREMENT_STATUS => self.status = reader.u16()?,
            attribute::STAMP_ABSOLUTE | attribute::TIME_ABSOLUTE => {
                let (time, doubt) = Absolute::parse(reader.take(8)?)?.or_flag();
                self.time = time;
                self.flags.extend(doubt);
            }
            attribute::STAMP_RELATIVE => self.time = self.time.or(clock(reader.u32()?)),
            _ => return Ok(()),
        }
        reader.end()
    }

    fn plain(&mut self, codes: &[u16], unit: u16, values: &[Option<Value>]) {
        let pairs = codes.iter().zip(values);
        self.numbers.extend(pairs.map(|(code, value)| Number { code: *code, unit, status: 0, value: *value }));
    }
}

/// A value with its own code, state and unit.
fn full(reader: &mut Reader<'_>) -> Result<Number, DecodeError> {
    Ok(Number { code: reader.u16()?, status: reader.u16()?, unit: reader.u16()?, value: float(reader.u32()?)? })
}
