//! The Medical Device Encoding Rules of IEEE 11073-20601: everything big-endian, every variable part with its length before it, lists with
//! their count and their length.
//!
//! A reader never looks beyond the part that it was given, and nothing is set aside for a length that is only announced: what a list holds
//! is bounded by the bytes that are there.

use crate::DecodeError;

/// Reads one part.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    what: &'static str,
    len: usize,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A part, named for what is said when it doesn't hold together.
    #[must_use]
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, len: bytes.len(), bytes }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when there are fewer.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            let found = self.len - self.bytes.len() + len;
            return Err(DecodeError::Length { what: self.what, said: self.len, found });
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.take(N)?.try_into().expect("so many were taken"))
    }

    /// INT-U8.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// INT-U16.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// INT-U32.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// An octet string, or any other part with its length before it.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn octets(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// A part of its own, with its length before it.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn part(&mut self, what: &'static str) -> Result<Self, DecodeError> {
        self.octets().map(|bytes| Self::new(what, bytes))
    }

    /// A list: count, length, and so many items that fill that length.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when the items need more or fewer bytes than the length says.
    pub fn list<T>(
        &mut self,
        what: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.u16()?;
        let mut part = self.part(what)?;
        let items = (0..count).map(|_| item(&mut part)).collect::<Result<Vec<_>, _>>()?;
        part.end()?;
        Ok(items)
    }

    /// What is left.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when something is.
    pub fn end(self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(DecodeError::Length { what: self.what, said: self.len, found: self.len - left }),
        }
    }
}

/// An attribute of an object: its id and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its nomenclature code.
    pub id: u16,
    /// Its value, encoded.
    pub value: &'a [u8],
}

/// An AttributeList.
///
/// # Errors
/// [`DecodeError::Length`] when it doesn't hold together.
pub fn attributes<'a>(reader: &mut Reader<'a>) -> Result<Vec<Attribute<'a>>, DecodeError> {
    reader.list("20601 attribute list", |list| Ok(Attribute { id: list.u16()?, value: list.octets()? }))
}

/// A part with its length before it. What we write ourselves is far shorter than a length can say.
#[must_use]
pub fn sized(part: &[u8]) -> Vec<u8> {
    let len = u16::try_from(part.len()).expect("what a manager sends is short");
    [&len.to_be_bytes()[..], part].concat()
}

/// Bytes of 16-bit words.
#[must_use]
pub fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bytes: &[u8]) -> Result<Vec<u16>, String> {
        Reader::new("x", bytes).list("list", |list| list.u16()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_fills_its_length() {
        assert_eq!(list(&[0, 2, 0, 4, 0, 1, 0, 2]), Ok(vec![1, 2]));
        assert_eq!(list(&[0, 0, 0, 0]), Ok(vec![]));
        assert_eq!(list(&[0, 1, 0, 4, 0, 1, 0, 2]), Err("list: its length says 4 bytes, its contents take 2".into()));
        assert_eq!(list(&[0, 3, 0, 4, 0, 1, 0, 2]), Err("list: its length says 4 bytes, its contents take 6".into()));
        assert_eq!(list(&[0, 2, 0xff, 0xff, 0]), Err("x: its length says 5 bytes, its contents take 65539".into()));
    }
}
