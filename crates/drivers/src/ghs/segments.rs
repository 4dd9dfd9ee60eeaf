//! Observations that are longer than a packet come in segments: header u8 (0 first, 1 last, 2-7 rolling counter), then a piece.
//!
//! A segment that is lost makes its observation unreadable: that is said once, and its other segments are passed over until one begins.

use crate::DecodeError;

const WHAT: &str = "health sensor segment";

const FIRST: u8 = 1 << 0;
const LAST: u8 = 1 << 1;
const COUNTER_SHIFT: u8 = 2;

/// The longest observation that is put together, in bytes; the longest numeric has 32, a compound of a spirometry a few hundred.
const OBSERVATION_BYTES_MAX: usize = 4096;

/// What has come of one observation.
#[derive(Default)]
pub struct Segments {
    /// The pieces so far, and the counter of the last.
    begun: Option<(Vec<u8>, u8)>,
    /// The refusal of this observation has been said.
    lost: bool,
}

impl Segments {
    /// Takes a segment; gives the observation with its last one.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] without a header, [`DecodeError::Malformed`] where a segment is missing, [`DecodeError::TooLong`] beyond
    /// what is put together.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
        let Some((header, piece)) = bytes.split_first() else {
            return Err(DecodeError::TooShort { what: WHAT, found: 0, need: 1 });
        };
        let (counter, before) = (header >> COUNTER_SHIFT, self.begun.take());
        let mut pieces = match before {
            _ if header & FIRST != 0 => Vec::new(),
            Some((pieces, last)) if counter == (last + 1) & (u8::MAX >> COUNTER_SHIFT) => pieces,
            _ if self.lost => return Ok(None),
            _ => {
                self.lost = true;
                let wanted = "the first or the one after the last";
                return Err(DecodeError::Malformed { what: WHAT, field: "counter", found: counter.into(), wanted });
            }
        };
        self.lost = false;
        pieces.extend_from_slice(piece);
        if pieces.len() > OBSERVATION_BYTES_MAX {
            self.lost = true;
            return Err(DecodeError::TooLong { what: WHAT, found: pieces.len(), most: OBSERVATION_BYTES_MAX });
        }
        if header & LAST != 0 {
            return Ok(Some(pieces));
        }
        self.begun = Some((pieces, counter));
        Ok(None)
    }

    /// Has no observation begun?
    pub fn is_empty(&self) -> bool {
        self.begun.is_none()
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// [`DecodeError::Incomplete`] where the last segment hasn't come.
    pub fn end(&self) -> Result<(), DecodeError> {
        match &self.begun {
            Some((pieces, _)) => {
                Err(DecodeError::Incomplete { what: WHAT, found: pieces.len(), need: pieces.len() + 1 })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments in, what comes of them.
    #[track_caller]
    fn check(frames: &[&[u8]], wanted: &str) {
        let mut segments = Segments::default();
        let said = frames.iter().filter_map(|frame| match segments.take(frame) {
            Ok(whole) => whole.map(|whole| format!("{whole:?}")),
            Err(error) => Some(error.to_string()),
        });
        assert_eq!(said.collect::<Vec<_>>().join("; "), wanted);
    }

    #[test]
    fn segments_are_put_together_in_order() {
        check(&[&[0b11, 1, 2]], "[1, 2]");
        check(&[&[0b1111_1101, 1], &[0b00, 2], &[0b110, 3], &[0b1011, 4]], "[1, 2, 3]; [4]");
        check(&[&[0b01, 1], &[0b1001, 2], &[0b1110, 3]], "[2, 3]");
    }

    #[test]
    fn a_lost_segment_is_said_once() {
        let missing = "health sensor segment: counter is 0x02, want the first or the one after the last";
        check(&[&[0b01, 1], &[0b1000, 3], &[0b1110, 4], &[0b1_0011, 5]], &format!("{missing}; [5]"));
        check(&[], "");
        check(&[&[]], "health sensor segment: 0 bytes, need at least 1");
    }

    #[test]
    fn an_observation_without_end_is_given_up() {
        let mut segments = Segments::default();
        let mut refused = 0;
        for counter in 0..100_u8 {
            let header = (counter & 63) << 2 | u8::from(counter == 0);
            refused += usize::from(segments.take(&[&[header][..], &[0; 240]].concat()).is_err());
        }
        assert_eq!(refused, 1);
        assert!(segments.end().is_ok());
    }
}
