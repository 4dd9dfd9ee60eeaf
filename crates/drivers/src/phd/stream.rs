//! From a stream of bytes to APDUs. Nothing marks where one begins, so the first bytes have to be a choice with a length that it may have;
//! what isn't is passed over as noise until something is. An APDU that is not complete within [`REST_WAIT`] was none, or lost its rest.

use jiff::{SignedDuration, Timestamp};

use super::apdu;
use crate::{DecodeError, Heard, Output};

/// How long the rest of an APDU may take.
pub const REST_WAIT: SignedDuration = SignedDuration::from_secs(3);
/// Bytes that were not understood, kept for one refusal.
const NOISE_BYTES_MAX: usize = 64;

/// What has come and not been read yet: never more than the longest APDU and what came with its end.
#[derive(Debug, Default)]
pub struct Stream {
    bytes: Vec<u8>,
    noise: Vec<u8>,
    why: Option<DecodeError>,
    rest_until: Option<Timestamp>,
    /// Whether what comes is what is expected.
    pub heard: Heard,
}

impl Stream {
    /// More bytes came.
    pub fn push(&mut self, now: Timestamp, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.rest_until = now.checked_add(REST_WAIT).ok();
    }

    /// When an incomplete APDU is given up.
    #[must_use]
    pub fn rest_until(&self) -> Option<Timestamp> {
        if self.bytes.is_empty() { None } else { self.rest_until }
    }

    /// The next whole APDU. Noise before it is told to `outputs`. With `late`, an incomplete one is noise too.
    pub fn next(&mut self, late: bool, outputs: &mut Vec<Output>) -> Option<Vec<u8>> {
        let (mut at, mut found) = (0, None);
        while at < self.bytes.len() {
            let error = match apdu::len(&self.bytes[at..]) {
                Ok(Some(len)) if at + len <= self.bytes.len() => {
                    found = Some(len);
                    break;
                }
                Ok(_) if !late => break,
                Ok(need) => {
                    let (found, need) = (self.bytes.len() - at, need.unwrap_or(apdu::HEADER_BYTES));
                    DecodeError::Incomplete { what: apdu::WHAT, found, need }
                }
                Err(error) => error,
            };
            self.pass_over(self.bytes[at], error, outputs);
            at += 1;
        }
        self.bytes.drain(..at);
        let apdu: Vec<u8> = self.bytes.drain(..found?).collect();
        self.refuse_noise(outputs);
        self.heard.framed(apdu.len());
        Some(apdu)
    }

    fn pass_over(&mut self, byte: u8, error: DecodeError, outputs: &mut Vec<Output>) {
        self.why.get_or_insert(error);
        self.noise.push(byte);
        self.heard.noise(1);
        if self.noise.len() >= NOISE_BYTES_MAX {
            self.refuse_noise(outputs);
        }
    }

    /// Tells of the noise since the last time.
    pub fn refuse_noise(&mut self, outputs: &mut Vec<Output>) {
        if let Some(error) = self.why.take() {
            outputs.push(Output::Refused { error, bytes: std::mem::take(&mut self.noise) });
        }
    }

    /// Nothing more comes: the rest of an APDU is missing for ever.
    pub fn close(&mut self, outputs: &mut Vec<Output>) {
        self.refuse_noise(outputs);
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            let need = apdu::len(&bytes).ok().flatten().unwrap_or(apdu::HEADER_BYTES);
            let error = DecodeError::Incomplete { what: apdu::WHAT, found: bytes.len(), need };
            outputs.push(Output::Refused { error, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABORT: [u8; 6] = [0xe6, 0, 0, 2, 0, 0];

    fn next(stream: &mut Stream, late: bool) -> (Option<Vec<u8>>, usize) {
        let mut outputs = Vec::new();
        (stream.next(late, &mut outputs), outputs.len())
    }

    #[test]
    fn apdus_are_found_in_noise_and_in_pieces() {
        let mut stream = Stream::default();
        stream.push(Timestamp::UNIX_EPOCH, &[1, 2, 0xe6, 0, 0]);
        assert_eq!(next(&mut stream, false), (None, 0));
        stream.push(Timestamp::UNIX_EPOCH, &[2, 0, 0, 0xe6]);
        assert_eq!(next(&mut stream, false), (Some(ABORT.to_vec()), 1));
        assert_eq!(next(&mut stream, false), (None, 0));
    }

    #[test]
    fn an_apdu_without_its_rest_hides_none_after_it() {
        let mut stream = Stream::default();
        let begin = [0xe7, 0, 0xf0, 0, 0xef, 0xfe];
        stream.push(Timestamp::UNIX_EPOCH, &[&begin[..], &ABORT].concat());
        assert_eq!(next(&mut stream, false), (None, 0));
        assert!(stream.rest_until().is_some());
        assert_eq!(next(&mut stream, true), (Some(ABORT.to_vec()), 1));
        assert!(stream.rest_until().is_none());
    }

    #[test]
    fn an_announced_length_takes_no_room() {
        let mut stream = Stream::default();
        stream.push(Timestamp::UNIX_EPOCH, &[0xe7, 0, 0xff, 0xff, 0xff, 0xfd]);
        assert_eq!(next(&mut stream, false), (None, 0));
        assert!(stream.bytes.len() < 2 && stream.bytes.capacity() < 64);
    }

    #[test]
    fn a_flood_is_never_more_than_one_apdu() {
        let mut stream = Stream::default();
        let begin = [0xe7, 0, 0xfb, 0xfc, 0xfb, 0xfa];
        let mut read = 0;
        for piece in begin.iter().chain(&[0xe7; 200_000]).copied().collect::<Vec<u8>>().chunks(1000) {
            stream.push(Timestamp::UNIX_EPOCH, piece);
            let mut outputs = Vec::new();
            while let Some(apdu) = stream.next(false, &mut outputs) {
                read += apdu.len();
            }
            assert!(stream.bytes.len() <= apdu::APDU_BYTES_MAX && stream.noise.len() < NOISE_BYTES_MAX);
        }
        assert_eq!(read, apdu::APDU_BYTES_MAX);
    }
}
