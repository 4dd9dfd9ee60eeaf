//! Streams of short packets of which the first byte alone has bit 7 set: BCI, Nonin data format 8. There is no checksum, so that a single
//! packet may be an accident; but the stream is found again after anything.

use crate::{
    DecodeError, Measured,
    live::{Said, Stream},
};

/// Bytes that are no packet, kept for one refusal.
const NOISE_BYTES_MAX: usize = 125;

const SYNC: u8 = 1 << 7;

/// What a packet is.
#[derive(Clone, Copy)]
pub struct Form {
    /// The name of the format.
    pub what: &'static str,
    /// Its bytes.
    pub bytes: usize,
    /// What it says, once its form has been checked.
    pub decode: fn(&[u8]) -> Vec<Measured>,
}

impl Form {
    /// Checks a packet.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`], [`DecodeError::TooLong`], and [`DecodeError::Malformed`] where bit 7 is not as it should be.
    pub fn check(self, packet: &[u8]) -> Result<(), DecodeError> {
        let what = self.what;
        for (at, byte) in packet.iter().take(self.bytes).enumerate() {
            if (byte & SYNC != 0) != (at == 0) {
                return Err(self.out_of_sync(*byte, at == 0));
            }
        }
        match packet.len() {
            found if found < self.bytes => Err(DecodeError::TooShort { what, found, need: self.bytes }),
            found if found > self.bytes => Err(DecodeError::TooLong { what, found, most: self.bytes }),
            _ => Ok(()),
        }
    }

    fn out_of_sync(self, byte: u8, first: bool) -> DecodeError {
        let wanted = if first {
            "bit 7 set in the first byte of a packet"
        } else {
            "bit 7 clear after the first byte of a packet"
        };
        DecodeError::Malformed { what: self.what, field: "sync", found: byte.into(), wanted }
    }

    /// The packets of a piece of a stream, by themselves.
    ///
    /// # Errors
    /// The first thing in it that is no packet; [`DecodeError::TooShort`] if there isn't one, [`DecodeError::Incomplete`] if the last is cut.
    pub fn decode_all(self, bytes: &[u8], cut: Cut) -> Result<Vec<Measured>, DecodeError> {
        let tail = bytes.iter().take(self.bytes - 1).take_while(|byte| **byte & SYNC == 0).count();
        let bytes = if cut == Cut::Anywhere { &bytes[tail..] } else { bytes };
        if bytes.len() < self.bytes {
            return self.check(bytes).map(|()| Vec::new());
        }
        let packets = bytes.chunks_exact(self.bytes);
        let rest = packets.remainder();
        let mut measured = Vec::new();
        for packet in packets {
            self.check(packet)?;
            measured.extend((self.decode)(packet));
        }
        if !rest.is_empty() && cut == Cut::Packets {
            return Err(DecodeError::Incomplete { what: self.what, found: rest.len(), need: self.bytes });
        }
        Ok(measured)
    }
}

/// Where a piece of a stream begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// With packets.
    Packets,
    /// Anywhere.
    Anywhere,
}

/// The packets of a stream that is opened anywhere.
pub struct Packets {
    form: Form,
    /// The packet that is coming; shorter than one between calls.
    buffer: Vec<u8>,
    /// Bytes of no packet, since the last.
    noise: Vec<u8>,
    /// Some packet was seen: the piece of one before it is no error of a line that was opened in its middle.
    begun: bool,
}

impl Packets {
    /// Nothing heard yet.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self { form, buffer: Vec::new(), noise: Vec::new(), begun: false }
    }

    fn push(&mut self, byte: u8, said: &mut Vec<Said>) {
        let begins = byte & SYNC != 0;
        if begins {
            self.noise.append(&mut self.buffer);
        }
        if begins || !self.buffer.is_empty() {
            self.buffer.push(byte);
        } else {
            self.noise.push(byte);
        }
        if self.noise.len() >= NOISE_BYTES_MAX {
            said.extend(self.refuse_noise());
        }
        if self.buffer.len() == self.form.bytes {
            said.extend(self.refuse_noise());
            self.begun = true;
            said.push(Ok((self.form.decode)(&self.buffer)));
            self.buffer.clear();
        }
    }

    fn refuse_noise(&mut self) -> Option<Said> {
        let bytes = std::mem::take(&mut self.noise);
        let excused = !std::mem::replace(&mut self.begun, true) && bytes.len() < self.form.bytes;
        let error = self.form.check(bytes.get(..self.form.bytes).unwrap_or(&bytes)).err()?;
        (!excused && !bytes.is_empty()).then_some(Err((error, bytes)))
    }
}

impl Stream for Packets {
    fn take(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        for byte in bytes {
            self.push(*byte, &mut said);
        }
        said
    }

    fn certain(&self) -> bool {
        false
    }

    fn packet_bytes(&self) -> usize {
        self.form.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    const FORM: Form = Form { what: "x", bytes: 5, decode: |_| Vec::new() };

    #[test]
    fn a_stream_is_found_again_after_anything() {
        let mut packets = Packets::new(FORM);
        let said = packets.take(&tape::bytes("585f c63107585f c63107 c63107585f 0102 c63107585f 80"));
        let refused = |one: &Said| one.as_ref().err().map(|(error, bytes)| format!("{} {error}", tape::hex(bytes)));
        assert_eq!(said.iter().filter(|one| one.is_ok()).count(), 3);
        assert_eq!(
            said.iter().filter_map(refused).collect::<Vec<_>>(),
            [
                "c63107 x: 3 bytes, need at least 5",
                "0102 x: sync is 0x01, want bit 7 set in the first byte of a packet"
            ]
        );
    }

    #[test]
    fn noise_is_refused_in_bounded_pieces() {
        let said = Packets::new(FORM).take(&[0xff; NOISE_BYTES_MAX * 3]);
        assert_eq!(said.len(), 2, "the last byte may begin a packet");
    }
}
