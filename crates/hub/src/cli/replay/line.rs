//! One line of a recording: a message as it came, with `kit`, `patient` and `received_at` added.

use std::io::{self, BufRead, Read};

use jiff::Timestamp;
use serde::Deserialize;
use vitals::{KitId, PatientId};
use wire::{Arrived, MESSAGE_BYTES_MAX};

/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// A recorded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The kit that sent it.
    pub kit: KitId,
    /// Whose kit that was.
    pub patient: PatientId,
    /// When the core had it.
    pub received_at: Timestamp,
    /// What it says.
    pub arrived: Arrived,
}

/// What is added to a message.
#[derive(Deserialize)]
struct Added {
    kit: KitId,
    patient: PatientId,
    received_at: Timestamp,
}

impl Recorded {
    /// Reads one line.
    ///
    /// # Errors
    /// What was found and what was wanted.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let arrived = wire::decode(line).map_err(|refused| within_line(&refused.reason))?;
        let added: Added = serde_json::from_slice(line).map_err(|error| within_line(&error.to_string()))?;
        let Added { kit, patient, received_at } = added;
        Ok(Self { kit, patient, received_at, arrived })
    }
}

/// The reader's own place is always in line 1: only the column says something.
fn within_line(reason: &str) -> String {
    reason.replace(" at line 1 column ", " at column ")
}

/// Reads lines one at a time, each in the same buffer; one that is too long is passed over without being held.
pub struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines of `input`.
    pub fn of(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0 }
    }

    /// The next line that is not empty: its bytes, or what is wrong with its length.
    ///
    /// # Errors
    /// When the input can't be read.
    pub fn next(&mut self) -> io::Result<Option<Result<&[u8], String>>> {
        loop {
            self.buffer.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            if self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.buffer.last() != Some(&b'\n') && self.buffer.len() > LINE_BYTES_MAX {
                self.input.skip_until(b'\n')?;
                return Ok(Some(Err(format!("line has more than {LINE_BYTES_MAX} bytes, want a message of at most that"))));
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
        assert_eq!(lines.number, 5);
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = r#"{"seq":1,"sent_at":"2026-11-22T08:00:07Z","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f""#;
        let added = r#","kit":"kit-1","patient":"p-1","received_at":"2026-11-22T08:00:07Z"}"#;
        assert_eq!(Recorded::parse(format!("{message}{added}").as_bytes()).unwrap().patient.as_str(), "p-1");
        let error = Recorded::parse(format!("{message}}}").as_bytes()).unwrap_err();
        assert_eq!(error, "missing field `kit` at column 92");
        assert!(Recorded::parse(b"{").unwrap_err().starts_with("message: EOF while parsing an object at column 1"));
    }
}
