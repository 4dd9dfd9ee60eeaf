//! One line of a recording: a message as it came, with `kit`, `patient` and `received_at` added.

use std::io::{self, BufRead, Read};

use jiff::Timestamp;
use serde::Deserialize;
use vitals::{KitId, PatientId, SessionId};
use wire::MESSAGE_BYTES_MAX;

/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// What is added to a message, and what every message has. The rest is read by admission, as from the wire.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The kit that sent it.
    pub kit: KitId,
    /// Whose kit that was.
    pub patient: PatientId,
    /// When the core had it.
    pub received_at: Timestamp,
    /// With the kit it names the message.
    pub seq: u64,
    #[serde(rename = "sent_at")]
    _sent_at: Timestamp,
    #[serde(rename = "session")]
    _session: SessionId,
}

impl Head {
    /// Reads it from a line.
    ///
    /// # Errors
    /// What was found and what was wanted.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| within_line(&error.to_string()))
    }
}

/// The JSON reader's own place is always in line 1: only the column says something.
fn within_line(reason: &str) -> String {
    reason.replace(" at line 1 column ", " at column ")
}

/// Reads lines one at a time, each in the same buffer; one that is too long is passed over without being held.
pub struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub number: u64,
    /// Bytes read so far.
    pub bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines of `input`.
    pub fn of(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line that is not empty: its bytes, or what is wrong with its length.
    ///
    /// # Errors
    /// When the input can't be read.
    pub fn next(&mut self) -> io::Result<Option<Result<&[u8], String>>> {
        loop {
            self.buffer.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            let taken = self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
            if taken == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += taken as u64;
            if self.buffer.last() != Some(&b'\n') && self.buffer.len() > LINE_BYTES_MAX {
                self.bytes += self.input.skip_until(b'\n')? as u64;
                return Ok(Some(Err(format!(
                    "line has more than {LINE_BYTES_MAX} bytes, want a message of at most that"
                ))));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(Ok(self.buffer.trim_ascii())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_too_long_ones_passed_over() {
        let input = format!("a\n\n  b\r\n{}\nc", "x".repeat(3 * LINE_BYTES_MAX));
        let mut lines = Lines::of(input.as_bytes());
        assert_eq!(lines.next().unwrap(), Some(Ok(&b"a"[..])));
        assert_eq!(lines.next().unwrap(), Some(Ok(&b"b"[..])));
        assert_eq!(lines.number, 3);
        assert!(lines.next().unwrap().unwrap().unwrap_err().starts_with("line has more than 262144 bytes"));
        assert_eq!(lines.next().unwrap(), Some(Ok(&b"c"[..])));
        assert_eq!((lines.number, lines.bytes), (5, input.len() as u64));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let added = r#""kit":"kit-1","patient":"p-1","received_at":"2026-11-22T08:00:09Z""#;
        let message = r#""seq":1,"sent_at":"2026-11-22T08:00:07Z","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f""#;
        let whole = format!("{{{added},{message}}}");
        assert_eq!(Head::parse(whole.as_bytes()).unwrap().patient.as_str(), "p-1");
        let without = |part: &str| Head::parse(format!("{{{part}}}").as_bytes()).unwrap_err();
        assert_eq!(without(added), "missing field `seq` at column 68");
        assert_eq!(without(message), "missing field `kit` at column 91");
    }
}
