//! One observation of a health sensor.
//!
//! ```text
//! class u8: 1 numeric, 2 discrete, 3 string, 4 sample array, 5 compound discrete, 6 compound state, 7 compound, 8 TLV, FF bundle
//! length u16 of what follows, or of the whole: the standard was written both ways before it was adopted
//! flags u16, then what they announce: 0 type u32, 1 time 9 (see `elapsed_time.rs`), 2 duration FLOAT, 3 status u16, 4 id u32, 5 user u8,
//!   6 supplemental types, 7 derived from, 8 has members: each a count u8 and so many u32, 9 TLVs
//! value: numeric is unit u16 and FLOAT; compound is a count u8 and so many of type u32, kind u8 (1 numeric, 2 discrete u32,
//!   3 string u16 length), value; bundle is a count u8 and so many observations, which have what they don't say from the bundle
//! ```
//!
//! Only numbers are looked for; the other classes are understood as far as their length. In a compound, what comes after a part of another
//! kind can't be found and is passed over; bundles are not nested. Type and unit are MDC codes.

use vitals::{Flag, Value};

use crate::{
    DecodeError,
    elapsed_time::{self, ElapsedTime},
    float,
    gatt::{self, Fields},
};

const WHAT: &str = "health observation";

const NUMERIC: u8 = 1;
const COMPOUND: u8 = 7;
const TLV_ENCODED: u8 = 8;
const BUNDLE: u8 = 0xff;

/// Class and length.
const HEAD_LEN: usize = 3;
/// Unit and number.
const NUMERIC_LEN: usize = 6;

const HAS_TYPE: u16 = 1 << 0;
const HAS_TIME: u16 = 1 << 1;
const HAS_DURATION: u16 = 1 << 2;
const HAS_STATUS: u16 = 1 << 3;
const HAS_ID: u16 = 1 << 4;
const HAS_USER: u16 = 1 << 5;
const LISTS: [u16; 3] = [1 << 6, 1 << 7, 1 << 8];
const HAS_TLVS: u16 = 1 << 9;

/// A number of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// What, as an MDC code; 0 if it wasn't said.
    pub code: u32,
    /// In which unit, as a term of MDC's dimensions.
    pub unit: u16,
    /// How much; `None` if there is no number.
    pub value: Option<Value>,
}

/// One observation that isn't a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Its class.
    pub class: u8,
    /// When.
    pub time: Option<ElapsedTime>,
    /// The user of the device, and the bits of its status.
    pub flags: Vec<Flag>,
    /// Its numbers.
    pub quantities: Vec<Quantity>,
}

/// Is it a class of observations?
#[must_use]
pub fn is_class(byte: u8) -> bool {
    matches!(byte, 1..=TLV_ENCODED | BUNDLE)
}

/// Does this look like a whole observation, without a segment's header before it?
#[must_use]
pub fn is_whole(bytes: &[u8]) -> bool {
    let [class, low, high, rest @ ..] = bytes else { return false };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    is_class(*class) && [rest.len(), bytes.len()].contains(&length)
}

/// Reads an observation, or those of a bundle.
///
/// # Errors
/// [`DecodeError::TooShort`], [`DecodeError::TooLong`] and [`DecodeError::Malformed`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Observation>, DecodeError> {
    let mut reader = Reader { rest: bytes, all: bytes.len() };
    let (_, length) = reader.head()?;
    let follow = bytes.len() - HEAD_LEN;
    let counted = match length {
        whole if whole == bytes.len() => HEAD_LEN,
        part if part == follow => 0,
        more if more > follow => {
            return Err(DecodeError::TooShort { what: WHAT, found: bytes.len(), need: more + HEAD_LEN });
        }
        fewer => return Err(DecodeError::TooLong { what: WHAT, found: bytes.len(), most: fewer + HEAD_LEN }),
    };
    let mut observations = Vec::new();
    read_one(&mut Reader { rest: bytes, all: bytes.len() }, counted, None, &mut observations)?;
    Ok(observations)
}

/// Takes one observation and its members; `counted` bytes of its head are in its length.
fn read_one(
    reader: &mut Reader<'_>,
    counted: usize,
    bundle: Option<&Observation>,
    into: &mut Vec<Observation>,
) -> Result<(), DecodeError> {
    let (class, length) = reader.head()?;
    let mut reader = reader.part(length.saturating_sub(counted))?;
    let flags = reader.u16()?;
    let (code, mut observation) = reader.attributes(class, flags, bundle.cloned().unwrap_or_default())?;
    match class {
        NUMERIC => observation.quantities.push(reader.numeric(code, flags)?),
        COMPOUND => observation.quantities = reader.components(flags)?,
        BUNDLE if bundle.is_some() => return Err(wrong("class", class.into(), "no bundle in a bundle")),
        BUNDLE => {
            for _ in 0..reader.u8()? {
                read_one(&mut reader, counted, Some(&observation), into)?;
            }
            return reader.end();
        }
        2..=6 | TLV_ENCODED => {}
        other => return Err(wrong("class", other.into(), "1 to 8 or 0xff")),
    }
    into.push(observation);
    Ok(())
}

fn wrong(field: &'static str, found: u32, wanted: &'static str) -> DecodeError {
    DecodeError::Malformed { what: WHAT, field, found, wanted }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Bytes from the beginning to the end of `rest`.
    all: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let need = self.all - self.rest.len() + count;
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(DecodeError::TooShort { what: WHAT, found: self.all, need })?;
        self.rest = rest;
        Ok(taken)
    }

    fn part(&mut self, count: usize) -> Result<Self, DecodeError> {
        let rest = self.bytes(count)?;
        Ok(Self { rest, all: self.all - self.rest.len() })
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.bytes(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from(self.u16()?) | u32::from(self.u16()?) << 16)
    }

    fn head(&mut self) -> Result<(u8, usize), DecodeError> {
        Ok((self.u8()?, usize::from(self.u16()?)))
    }

    fn end(&self) -> Result<(), DecodeError> {
        let most = self.all - self.rest.len();
        if most < self.all { Err(DecodeError::TooLong { what: WHAT, found: self.all, most }) } else { Ok(()) }
    }

    /// The type, and what an observation has beside its value.
    fn attributes(&mut self, class: u8, flags: u16, bundle: Observation) -> Result<(u32, Observation), DecodeError> {
        let has = |bit: u16| flags & bit != 0;
        let mut observation = Observation { class, ..bundle };
        let code = if has(HAS_TYPE) { self.u32()? } else { 0 };
        if has(HAS_TIME) {
            let mut fields = Fields::exact(WHAT, self.bytes(elapsed_time::LEN)?, elapsed_time::LEN)?;
            observation.time = Some(ElapsedTime::read(&mut fields));
        }
        if has(HAS_DURATION) {
            self.u32()?;
        }
        if has(HAS_STATUS) {
            observation.flags.extend(status(self.u16()?));
        }
        if has(HAS_ID) {
            self.u32()?;
        }
        if has(HAS_USER) {
            observation.flags.extend(gatt::user(self.u8()?));
        }
        for _ in LISTS.into_iter().filter(|list| has(*list)) {
            let count = usize::from(self.u8()?);
            self.bytes(count * 4)?;
        }
        Ok((code, observation))
    }

    fn numeric(&mut self, code: u32, flags: u16) -> Result<Quantity, DecodeError> {
        if flags & HAS_TLVS != 0 {
            // They come before the value, which is last; nothing here needs them.
            self.bytes(self.rest.len().saturating_sub(NUMERIC_LEN))?;
        }
        let quantity = self.quantity(code)?;
        self.end()?;
        Ok(quantity)
    }

    fn quantity(&mut self, code: u32) -> Result<Quantity, DecodeError> {
        Ok(Quantity { code, unit: self.u16()?, value: float::float(self.u32()?)? })
    }

    fn components(&mut self, flags: u16) -> Result<Vec<Quantity>, DecodeError> {
        if flags & HAS_TLVS != 0 {
            return Err(wrong("flags", flags.into(), "no TLVs before the parts of a compound"));
        }
        let mut quantities = Vec::new();
        for _ in 0..self.u8()? {
            let code = self.u32()?;
            match self.u8()? {
                1 => quantities.push(self.quantity(code)?),
                2 => drop(self.u32()?),
                3 => {
                    let length = self.u16()?;
                    self.bytes(length.into())?;
                }
                _ => return Ok(quantities),
            }
        }
        self.end()?;
        Ok(quantities)
    }
}

/// What the bits of the measurement status mean has not been read in the standard, so each is told by its place.
fn status(bits: u16) -> impl Iterator<Item = Flag> {
    (0..16)
        .filter(move |bit| bits & 1 << bit != 0)
        .map(|bit: u16| format!("measurement_status_{bit}").parse().expect("letters, digits and _"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{bytes, hex};

    /// Class, length and what follows.
    fn whole(class: &str, rest: &str) -> String {
        format!("{class} {} {rest}", hex(&u16::try_from(bytes(rest).len()).unwrap().to_le_bytes()))
    }

    #[track_caller]
    fn check(hex: &str, wanted: &str) {
        let said = parse(&bytes(hex)).map(|all| {
            let of = |one: &Observation| {
                let parts = one.quantities.iter().map(|part| {
                    format!("{} {} {}", part.code, part.value.map_or("absent".to_owned(), |v| v.to_string()), part.unit)
                });
                format!("{} {:?}{}", parts.collect::<Vec<_>>().join(" "), one.flags, one.time.map_or("", |_| " timed"))
            };
            all.iter().map(of).collect::<Vec<_>>().join("; ")
        });
        assert_eq!(said.unwrap_or_else(|error| error.to_string()), wanted);
    }

    #[test]
    fn a_numeric_has_a_type_a_unit_and_a_number() {
        check("01 1500 0300 08540200 220605040302010700 000c c2010000", "152584 450 3072 [] timed");
        check("01 1800 0300 08540200 220605040302010700 000c c2010000", "152584 450 3072 [] timed");
        check("01 0c00 0100 0a540200 4006 0a0100fe", "152586 2.66 1600 []");
        check("01 0c00 0100 0a540200 4006 ffff7f00", "152586 absent 1600 []");
    }

    #[test]
    fn what_stands_between_is_passed_over() {
        let attributes = "0a540200 010000ff 0300 07000000 02 01 aabbccdd 00 02 11111111 22222222";
        check(
            &format!("01 2b00 fd03 {attributes} 0102030405 4006 0a0100fe"),
            "152586 2.66 1600 [measurement_status_0, measurement_status_1, user_2]",
        );
    }

    #[test]
    fn a_compound_has_parts_and_a_bundle_has_members() {
        let numbers = "054a0200 01 200f 78000000 00000000 02 05000000 00000000 03 0100 41 064a0200 01 200f 50000000";
        check(&whole("07", &format!("0100 044a0200 04 {numbers}")), "150021 120 3872 150022 80 3872 []");
        let samples = "0000 02 0a540200 01 4006 0a0100fe 00000000 04 ffffffffffffffff";
        check(&whole("07", samples), "152586 2.66 1600 []");
        let fev1 = whole("01", "0100 0a540200 4006 0a0100fe");
        let note = whole("03", "0100 0a540200 0100 41");
        check(
            &whole("ff", &format!("2200 000000000000000004 01 02 {fev1} {note}")),
            "152586 2.66 1600 [user_1] timed;  [user_1] timed",
        );
    }

    #[test]
    fn lengths_are_checked() {
        check("01 15", "health observation: 2 bytes, need at least 3");
        check("01 0c00 0100 0a540200 4006 0a0100", "health observation: 14 bytes, need at least 15");
        check("01 0b00 0100 0a540200 4006 0a0100fe", "health observation: 15 bytes, at most 14 are meant by its flags");
        check(
            "01 0d00 0100 0a540200 4006 0a0100fe 00",
            "health observation: 16 bytes, at most 15 are meant by its flags",
        );
        check("01 0a00 0100 0a540200 4006 0a01", "health observation: 13 bytes, need at least 15");
        check("01 0100 00", "health observation: 4 bytes, need at least 5");
        check("09 0200 0000", "health observation: class is 0x09, want 1 to 8 or 0xff");
        check("ff 0300 0000 01", "health observation: 6 bytes, need at least 7");
        check("07 0200 0002", "health observation: flags is 0x200, want no TLVs before the parts of a compound");
    }

    #[test]
    fn a_bundle_holds_no_bundle() {
        check("ff 0900 0000 01 ff 0300 0000 00", "health observation: class is 0xff, want no bundle in a bundle");
    }
}
