//! Whether what comes over a serial line is what a driver expects: packets against noise, counted in bytes.

/// What has been heard on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    understood: bool,
    /// Bytes since the last packet that made sense.
    noise_bytes: usize,
}

impl Heard {
    /// So many bytes in a row without a packet are not this driver's: more than the longest packet of the serial drivers, twice over.
    pub const NOISE_BYTES: usize = 256;

    /// A whole packet made sense.
    pub fn packet(&mut self) {
        *self = Self { understood: true, noise_bytes: 0 };
    }

    /// Bytes came that are part of no packet.
    pub fn noise(&mut self, bytes: usize) {
        self.noise_bytes = self.noise_bytes.saturating_add(bytes);
    }

    /// See [`Session::understands`](crate::Session::understands).
    #[must_use]
    pub fn understands(self) -> Option<bool> {
        if self.noise_bytes >= Self::NOISE_BYTES { Some(false) } else { self.understood.then_some(true) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_tells_only_after_many_bytes_and_a_packet_at_once() {
        let mut heard = Heard::default();
        heard.noise(Heard::NOISE_BYTES - 1);
        assert_eq!(heard.understands(), None);
        heard.noise(1);
        assert_eq!(heard.understands(), Some(false));
        heard.packet();
        assert_eq!(heard.understands(), Some(true));
        heard.noise(10);
        assert_eq!(heard.understands(), Some(true));
        heard.noise(Heard::NOISE_BYTES);
        assert_eq!(heard.understands(), Some(false));
    }
}
