//! Whether what comes over a line is what a driver expects: bytes in packets against bytes in none.

/// What has been heard on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Bytes since the last verdict that were part of a packet, and of none.
    framed: usize,
    noise: usize,
    verdict: Option<bool>,
}

impl Heard {
    /// So many bytes tell whether a line is understood: more than the longest packet of the serial drivers, twice over.
    pub const BYTES: usize = 256;
    /// Fewer are enough if nearly all of them are packets.
    const FRAMED_BYTES: usize = 60;

    /// A packet that can't be an accident: a checksum fits, or it is what was asked for.
    pub fn certain(&mut self) {
        *self = Self { verdict: Some(true), ..Self::default() };
    }

    /// Packets that have the right form. In noise, too, a few have.
    pub fn framed(&mut self, bytes: usize) {
        self.framed = self.framed.saturating_add(bytes);
        self.judge();
    }

    /// Bytes that are part of no packet.
    pub fn noise(&mut self, bytes: usize) {
        self.noise = self.noise.saturating_add(bytes);
        self.judge();
    }

    /// Three quarters of the bytes have to be packets.
    fn judge(&mut self) {
        let all = self.framed.saturating_add(self.noise);
        let framed = self.framed >= all - all / 4;
        if all >= Self::BYTES || framed && all >= Self::FRAMED_BYTES {
            *self = Self { verdict: Some(framed), ..Self::default() };
        }
    }

    /// See [`Session::understands`](crate::Session::understands).
    #[must_use]
    pub fn understands(self) -> Option<bool> {
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_tells_only_after_many_bytes_and_a_checksum_at_once() {
        let mut heard = Heard::default();
        heard.noise(Heard::BYTES - 1);
        assert_eq!(heard.understands(), None);
        heard.noise(1);
        assert_eq!(heard.understands(), Some(false));
        heard.certain();
        assert_eq!(heard.understands(), Some(true));
        heard.noise(10);
        assert_eq!(heard.understands(), Some(true));
        heard.noise(Heard::BYTES);
        assert_eq!(heard.understands(), Some(false));
    }

    #[test]
    fn a_few_packets_in_noise_are_an_accident() {
        let mut heard = Heard::default();
        for _ in 0..20 {
            heard.noise(25);
            heard.framed(5);
        }
        assert_eq!(heard.understands(), Some(false));
        (0..200).for_each(|_| heard.framed(5));
        assert_eq!(heard.understands(), Some(true));
        let mut good = Heard::default();
        good.noise(4);
        (0..11).for_each(|_| good.framed(5));
        assert_eq!(good.understands(), None);
        good.framed(5);
        assert_eq!(good.understands(), Some(true));
    }
}
