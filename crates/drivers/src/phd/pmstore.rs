//! Persistent stores (PM-store): what a device has measured before, in segments.
//!
//! ```text
//! information   list of (segment u16, attributes)
//!   0A4E map    header u16 (bit 0 absolute time, 1 relative, 2 high resolution) | list of (class u16, type 2 x u16, object u16, value map)
//!   0A4F person u16          097B entries u32
//! data          segment u16 | index of the first entry u32 | entries u32 | status u16 | their bytes
//!   status      bit 0 the first entry is in it, 1 the last, 4 the agent gives up, 8 the manager confirms, 12 the manager gives up
//! an entry      the times that the header names, then the values of each element in the order of its map
//! ```
//!
//! Source: the type definitions of signove/antidote and how it transfers a segment; no public capture of a transfer was found.

use vitals::Flag;

use super::{
    codes::attribute,
    configuration::{Configuration, ValueMap, object_maps},
    mder::{Attribute, Reader, attributes, sized, words},
    report::{Observed, by_map},
};
use crate::{DecodeError, Measured};

const ABSOLUTE: u16 = 0x8000;
const RELATIVE: u16 = 0x4000;
const HIGH_RESOLUTION: u16 = 0x2000;
const LAST: u16 = 0x4000;
const AGENT_ABORTS: u16 = 0x0800;
const CONFIRMED: u16 = 0x0080;

/// Segments of one store that are read, at most.
pub const SEGMENTS_MAX: usize = 256;

/// A segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub number: u16,
    /// How many entries it holds, if it says so.
    pub entries: Option<u32>,
    person: Option<u16>,
    header: u16,
    /// Of each element of an entry its object and its map.
    elements: Vec<(u16, ValueMap)>,
}

impl Segment {
    /// Reads the answer to a request for segment information.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it doesn't hold together.
    pub fn parse_all(info: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let mut reader = Reader::new("20601 segment information", info);
        let mut all = reader.list("20601 segments", |list| {
            let mut segment = Self { number: list.u16()?, ..Self::default() };
            for attribute in attributes(list)? {
                segment.take(attribute)?;
            }
            Ok(segment)
        })?;
        reader.end()?;
        all.truncate(SEGMENTS_MAX);
        Ok(all)
    }

    fn take(&mut self, Attribute { id, value }: Attribute<'_>) -> Result<(), DecodeError> {
        let mut reader = Reader::new("20601 segment attribute", value);
        match id {
            attribute::SEGMENT_USAGE => self.entries = Some(reader.u32()?),
            attribute::SEGMENT_PERSON => self.person = Some(reader.u16()?).filter(|person| *person != 0xffff),
            attribute::SEGMENT_MAP => {
                self.header = reader.u16()?;
                self.elements = object_maps(&mut reader, |list| list.take(6).and_then(|_| list.u16()))?;
            }
            _ => return Ok(()),
        }
        reader.end()
    }

    /// May it be of this person? Of one of whom nothing is known it may.
    #[must_use]
    pub fn may_be_of(&self, user: Option<u8>) -> bool {
        self.person.zip(user).is_none_or(|(person, user)| person == u16::from(user))
    }

    /// Does that configuration have every object of which it holds values?
    #[must_use]
    pub fn is_known_to(&self, of: &Configuration) -> bool {
        self.elements.iter().all(|(handle, _)| of.object(*handle).is_some())
    }

    /// Bytes of one entry.
    fn entry_bytes(&self) -> usize {
        let header = [(ABSOLUTE, 8), (RELATIVE, 4), (HIGH_RESOLUTION, 8)];
        let times: usize = header.iter().filter(|(bit, _)| self.header & bit != 0).map(|(_, len)| len).sum();
        let lens = self.elements.iter().flat_map(|(_, map)| map).map(|(_, len)| usize::from(*len));
        times + lens.sum::<usize>()
    }

    /// These bytes entry by entry.
    ///
    /// # Errors
    /// [`DecodeError::Length`] unless the bytes are so many entries.
    pub fn split<'a>(&self, bytes: &'a [u8], count: u32) -> Result<std::slice::Chunks<'a, u8>, DecodeError> {
        let one = self.entry_bytes();
        let wanted = usize::try_from(count).ok().and_then(|count| count.checked_mul(one)).unwrap_or(usize::MAX);
        if wanted != bytes.len() {
            return Err(DecodeError::Length { what: "20601 stored entries", said: bytes.len(), found: wanted });
        }
        // entries of no bytes hold nothing, however many there are
        Ok(bytes.chunks(one.max(1)))
    }

    /// What an entry says was observed together.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it is too short.
    pub fn entry<'a, 'c>(&self, bytes: &'a [u8], of: &'c Configuration) -> Result<Vec<Observed<'a, 'c>>, DecodeError> {
        let mut reader = Reader::new("20601 stored entry", bytes);
        let mut times = Vec::new();
        if self.header & ABSOLUTE != 0 {
            times.push(Attribute { id: attribute::STAMP_ABSOLUTE, value: reader.take(8)? });
        }
        if self.header & RELATIVE != 0 {
            times.push(Attribute { id: attribute::STAMP_RELATIVE, value: reader.take(4)? });
        }
        if self.header & HIGH_RESOLUTION != 0 {
            reader.take(8)?;
        }
        let mut observed = Vec::new();
        for (handle, map) in &self.elements {
            let attributes = [times.clone(), by_map(&mut reader, map)?].concat();
            observed.extend(of.object(*handle).map(|object| Observed { person: self.person, object, attributes }));
        }
        Ok(observed)
    }

    /// Marks what comes from a store.
    #[must_use]
    pub fn mark(mut measured: Measured) -> Measured {
        measured.flags.push(Flag::FROM_STORAGE);
        measured
    }
}

/// Some entries of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentData<'a> {
    /// Which segment.
    pub segment: u16,
    /// The first entry's index.
    pub index: u32,
    /// How many there are.
    pub count: u32,
    /// Where in the transfer this is.
    pub status: u16,
    /// The entries.
    pub entries: &'a [u8],
}

impl<'a> SegmentData<'a> {
    /// Reads a segment data event.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it doesn't hold together.
    pub fn parse(info: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("20601 segment data", info);
        let (segment, index, count, status) = (reader.u16()?, reader.u32()?, reader.u32()?, reader.u16()?);
        let entries = reader.octets()?;
        reader.end()?;
        Ok(Self { segment, index, count, status, entries })
    }

    /// Is nothing to come after it?
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.status & LAST != 0
    }

    /// Does the device give up?
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.status & AGENT_ABORTS != 0
    }

    /// What it is answered: that it was taken.
    #[must_use]
    pub fn confirmation(&self) -> Vec<u8> {
        let numbers = [self.index.to_be_bytes(), self.count.to_be_bytes()].concat();
        [words(&[self.segment]), numbers, words(&[self.status | CONFIRMED])].concat()
    }
}

/// Selects all segments.
#[must_use]
pub fn all_segments() -> Vec<u8> {
    [words(&[1]), sized(&[0, 0])].concat()
}

/// Selects these segments.
#[must_use]
pub fn these_segments(numbers: &[u16]) -> Vec<u8> {
    let count = u16::try_from(numbers.len()).expect("no more than were listed in one report");
    let list = [words(&[count]), sized(&words(numbers))].concat();
    [words(&[2]), sized(&list)].concat()
}
