//! What a device is made of: the objects that it reports on, told by itself or known from a standard configuration.
//!
//! ```text
//! report   configuration u16 | list of (class u16, handle u16, attributes)
//! reply    configuration u16 | 0 accepted, 1 unsupported
//! ```
//!
//! Of a numeric object the type, the unit, the order of a report's attributes (the value map), the parts of a compound value and the modality
//! are kept; of a scanner what it reports, in its order.

use vitals::Vital;

use super::{
    codes::{PART_SCADA, attribute, class, modality},
    mder::{Attribute, Reader, attributes, words},
    specialisation::{SPECIALISATIONS, Standard},
};
use crate::DecodeError;

/// Objects of a device, at most: real ones have a dozen.
pub const OBJECTS_MAX: usize = 256;
/// Parts of a compound value, and types of an object, at most.
const PARTS_MAX: usize = 32;

/// A nomenclature code within its partition.
pub type Type = (u16, u16);
/// Attributes in the order in which a report holds their values, each with its length.
pub type ValueMap = Vec<(u16, u16)>;

/// A device's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Its id: a standard one below 0x4000, or the device's own.
    pub id: u16,
    /// The objects.
    pub objects: Vec<Object>,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// One of [`class`].
    pub class: u16,
    /// How reports name it.
    pub handle: u16,
    /// What it measures.
    pub kind: Type,
    /// In which unit.
    pub unit: u16,
    /// What a fixed report holds of it.
    pub map: ValueMap,
    /// The parts of a compound value.
    pub components: Vec<u16>,
    /// How it is measured, and other types beside the first.
    pub modalities: Vec<u16>,
    /// What a scanner reports.
    pub scanned: Vec<(u16, ValueMap)>,
}

/// Reads a value map. Values of no bytes are left out, so that what is read by a map is never more than the bytes that are there.
///
/// # Errors
/// [`DecodeError::Length`] when it doesn't hold together.
pub fn value_map(reader: &mut Reader<'_>) -> Result<ValueMap, DecodeError> {
    let mut map = reader.list("20601 value map", |list| Ok((list.u16()?, list.u16()?)))?;
    map.retain(|(_, len)| *len > 0);
    Ok(map)
}

/// Reads a list of objects with the map of each.
///
/// # Errors
/// [`DecodeError::Length`] when it doesn't hold together.
pub fn object_maps(
    reader: &mut Reader<'_>,
    handle: fn(&mut Reader<'_>) -> Result<u16, DecodeError>,
) -> Result<Vec<(u16, ValueMap)>, DecodeError> {
    let mut maps = reader.list("20601 object maps", |list| Ok((handle(list)?, value_map(list)?)))?;
    maps.retain(|(_, map)| !map.is_empty());
    Ok(maps)
}

fn two(value: &[u8], what: &'static str) -> Result<u16, DecodeError> {
    let mut reader = Reader::new(what, value);
    let word = reader.u16()?;
    reader.end().map(|()| word)
}

impl Object {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut object = Self { class: reader.u16()?, handle: reader.u16()?, ..Self::default() };
        for attribute in attributes(reader)? {
            object.take(attribute)?;
        }
        Ok(object)
    }

    fn take(&mut self, Attribute { id, value }: Attribute<'_>) -> Result<(), DecodeError> {
        let mut reader = Reader::new("20601 configuration attribute", value);
        match id {
            attribute::TYPE => self.kind = (reader.u16()?, reader.u16()?),
            attribute::UNIT => self.unit = two(reader.take(2)?, "20601 unit")?,
            attribute::VALUE_MAP => self.map = value_map(&mut reader)?,
            attribute::COMPONENTS => {
                self.components = reader.list("20601 components", |list| list.u16())?;
                self.components.truncate(PARTS_MAX);
            }
            attribute::SUPPLEMENTAL_TYPES => {
                let types = reader.list("20601 types", |list| Ok((list.u16()?, list.u16()?)))?;
                let ours = types.into_iter().filter(|kind| kind.0 == PART_SCADA).map(|kind| kind.1);
                self.modalities = ours.take(PARTS_MAX).collect();
            }
            attribute::SCANNED if self.is_scanner() => self.scanned = object_maps(&mut reader, |list| list.u16())?,
            _ => return Ok(()),
        }
        reader.end()
    }

    /// Does it report on behalf of others?
    #[must_use]
    pub fn is_scanner(&self) -> bool {
        matches!(self.class, class::SCANNER_EPISODIC | class::SCANNER_PERIODIC)
    }
}

impl Configuration {
    /// Reads what a device says of itself.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it doesn't hold together.
    pub fn parse(info: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("20601 configuration", info);
        let id = reader.u16()?;
        let objects = reader.list("20601 objects", Object::parse)?;
        reader.end()?;
        if objects.len() > OBJECTS_MAX {
            let (found, wanted) = (u32::try_from(objects.len()).unwrap_or(u32::MAX), "at most 256");
            return Err(DecodeError::Malformed {
                what: "20601 configuration",
                field: "number of objects",
                found,
                wanted,
            });
        }
        Ok(Self { id, objects })
    }

    /// The standard configuration with this id, if a public source gives it.
    #[must_use]
    pub fn standard(id: u16) -> Option<Self> {
        standards().find(|standard| standard.id == id).map(Self::of)
    }

    /// As a specialisation lists it.
    #[must_use]
    pub fn of(standard: &Standard) -> Self {
        let objects = standard.objects.iter().map(|row| Object {
            class: class::NUMERIC,
            handle: row.handle,
            kind: (PART_SCADA, row.code),
            unit: row.unit,
            map: row.map.to_vec(),
            components: row.components.to_vec(),
            modalities: row.modalities.to_vec(),
            scanned: Vec::new(),
        });
        Self { id: standard.id, objects: objects.collect() }
    }

    /// The object that reports name so.
    #[must_use]
    pub fn object(&self, handle: u16) -> Option<&Object> {
        self.objects.iter().find(|object| object.handle == handle)
    }

    /// Is there anything in it that this manager can read?
    #[must_use]
    pub fn is_useful(&self) -> bool {
        self.objects.iter().any(|object| {
            let codes = object.components.iter().copied().chain([object.kind.1]);
            object.class == class::NUMERIC
                && object.kind.0 == PART_SCADA
                && codes.into_iter().any(|code| SPECIALISATIONS.iter().any(|known| known.measure(code).is_some()))
        })
    }

    /// Does it measure this all the time, and not as a spot check?
    #[must_use]
    pub fn is_stream_of(&self, vital: Vital) -> bool {
        self.objects.iter().any(|object| {
            let measure = SPECIALISATIONS.iter().find_map(|known| known.measure(object.kind.1));
            object.class == class::NUMERIC
                && measure.is_some_and(|measure| measure.vital == vital)
                && !object.modalities.contains(&modality::SPOT)
        })
    }

    /// The scanner to switch on: one that reports what happens, or else one that reports every so often.
    #[must_use]
    pub fn scanner(&self) -> Option<u16> {
        let of = |class| self.objects.iter().find(move |object| object.class == class);
        of(class::SCANNER_EPISODIC).or_else(|| of(class::SCANNER_PERIODIC)).map(|object| object.handle)
    }

    /// Its stores of past measurements.
    pub fn stores(&self) -> impl Iterator<Item = u16> + '_ {
        self.objects.iter().filter(|object| object.class == class::PM_STORE).map(|object| object.handle)
    }
}

/// Every standard configuration.
pub fn standards() -> impl Iterator<Item = &'static Standard> {
    SPECIALISATIONS.iter().flat_map(|specialisation| specialisation.standards)
}

/// The reply to a configuration.
#[must_use]
pub fn reply(id: u16, accepted: bool) -> Vec<u8> {
    words(&[id, u16::from(!accepted)])
}
