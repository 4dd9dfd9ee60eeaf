//! The device specialisations (IEEE 11073-104xx): one list, one file each. A specialisation is data: which codes are which vitals, in which
//! units, what the bits of its status words mean, and its standard configurations.

use vitals::{Flag, Unit, Vital};

use super::{blood_pressure, configuration::Type, glucose, oximeter, peak_flow, scale, thermometer};

/// Every specialisation. The list is the index.
pub const SPECIALISATIONS: &[&Specialisation] = &[
    &oximeter::OXIMETER,
    &blood_pressure::BLOOD_PRESSURE,
    &thermometer::THERMOMETER,
    &scale::SCALE,
    &peak_flow::PEAK_FLOW,
    &glucose::GLUCOSE,
];

/// One specialisation.
#[derive(Debug)]
pub struct Specialisation {
    /// Its standard.
    pub standard: &'static str,
    /// What it measures.
    pub measures: &'static [Measure],
    /// Its units: the nomenclature code, ours, and by how many digits the value has to be moved to the right.
    pub units: &'static [(u16, Unit, u32)],
    /// Its status words.
    pub statuses: &'static [Status],
    /// Its standard configurations, where a public source gives them.
    pub standards: &'static [Standard],
}

/// A measured quantity.
#[derive(Debug)]
pub struct Measure {
    /// Its code in the SCADA partition.
    pub code: u16,
    /// What it is.
    pub vital: Vital,
    /// What the code says besides, as where it was measured.
    pub flag: Option<&'static str>,
}

/// A status word of an enumeration object; bit 0 is the most significant one.
#[derive(Debug)]
pub struct Status {
    /// Its code.
    pub kind: Type,
    /// The bits and what they mean.
    pub bits: &'static [(u32, &'static str)],
}

/// A standard configuration.
#[derive(Debug)]
pub struct Standard {
    /// Its id.
    pub id: u16,
    /// Its numeric objects.
    pub objects: &'static [StandardObject],
    /// Further handles under which devices that extend it are known to report.
    pub more: &'static [u16],
}

/// A numeric object of a standard configuration.
#[derive(Debug)]
pub struct StandardObject {
    /// How reports name it.
    pub handle: u16,
    /// Its code in the SCADA partition.
    pub code: u16,
    /// Its unit's code.
    pub unit: u16,
    /// What a fixed report holds.
    pub map: &'static [(u16, u16)],
    /// The parts of a compound value.
    pub components: &'static [u16],
    /// How it is measured.
    pub modalities: &'static [u16],
}

/// A quantity that needs no more words.
#[must_use]
pub const fn measure(code: u16, vital: Vital) -> Measure {
    Measure { code, vital, flag: None }
}

impl Specialisation {
    /// What this code is here.
    #[must_use]
    pub fn measure(&self, code: u16) -> Option<&'static Measure> {
        self.measures.iter().find(|measure| measure.code == code)
    }

    /// What this unit is here.
    #[must_use]
    pub fn unit(&self, code: u16) -> Option<(Unit, u32)> {
        self.units.iter().find(|unit| unit.0 == code).map(|unit| (unit.1, unit.2))
    }
}

/// The flags that a status word of this kind sets, if any specialisation has one.
pub fn status_flags(kind: Type, word: u32) -> impl Iterator<Item = Flag> {
    let statuses = SPECIALISATIONS.iter().flat_map(|known| known.statuses);
    let bits = statuses.filter(move |status| status.kind == kind).flat_map(|status| status.bits);
    bits.filter(move |(bit, _)| word & (0x8000_0000 >> bit) != 0).map(|(_, name)| Flag::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phd::configuration::{Configuration, standards};

    #[test]
    fn every_code_is_of_one_specialisation_and_every_standard_object_can_be_read() {
        let all: Vec<u16> =
            SPECIALISATIONS.iter().flat_map(|known| known.measures).map(|measure| measure.code).collect();
        assert!(all.iter().enumerate().all(|(at, code)| !all[..at].contains(code)));
        for standard in standards() {
            let configuration = Configuration::standard(standard.id).unwrap();
            assert!(configuration.is_useful(), "{:04x}", standard.id);
            for object in &configuration.objects {
                let known =
                    SPECIALISATIONS.iter().find(|known| known.standards.iter().any(|one| one.id == standard.id));
                let codes = if object.components.is_empty() { vec![object.kind.1] } else { object.components.clone() };
                assert!(codes.iter().all(|code| known.unwrap().measure(*code).is_some()));
                assert!(known.unwrap().unit(object.unit).is_some() && !object.map.is_empty());
            }
        }
    }

    #[test]
    fn the_first_bit_is_the_most_significant_one() {
        let flags: Vec<_> = status_flags((2, 0x4c4c), 0x8020_0000).map(|flag| flag.to_string()).collect();
        assert_eq!(flags, ["sensor_disconnected", "low_perfusion"]);
    }
}
