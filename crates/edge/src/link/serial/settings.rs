//! How a line may be set: as its driver says, or otherwise, when bytes come that the driver can't frame. Pure.

use drivers::{LineSettings, Parity};

/// Speeds that devices of this kind use.
const USUAL_BAUDS: [u32; 6] = [4800, 9600, 19_200, 38_400, 57_600, 115_200];

/// Which settings are in use, and which are tried next.
#[derive(Debug)]
pub struct Settings {
    /// The driver's own first, then the other usual ones.
    all: Vec<LineSettings>,
    /// How many of them are the driver's own.
    own: usize,
    now: usize,
    /// The ones in use are known to be right.
    right: bool,
}

impl Settings {
    /// Begins with the driver's usual settings.
    #[must_use]
    pub fn new(own: &[LineSettings]) -> Self {
        let parities = [Parity::None, Parity::Odd];
        let usual = USUAL_BAUDS.into_iter().flat_map(|baud| parities.map(|parity| LineSettings { baud, parity }));
        let others = usual.filter(|settings| !own.contains(settings));
        Self { all: own.iter().copied().chain(others).collect(), own: own.len(), now: 0, right: false }
    }

    /// Those in use.
    #[must_use]
    pub fn current(&self) -> LineSettings {
        self.all[self.now]
    }

    /// Is something else tried than the driver's usual settings, and not known to be right?
    #[must_use]
    pub fn are_a_try(&self) -> bool {
        self.now > 0 && !self.right
    }

    /// Has anything been understood with those in use?
    #[must_use]
    pub fn are_right(&self) -> bool {
        self.right
    }

    /// What comes is understood. A sentence, if the device speaks otherwise than expected.
    pub fn understood(&mut self) -> Option<String> {
        self.right = true;
        let expected: Vec<_> = self.all[..self.own].iter().map(ToString::to_string).collect();
        let odd = self.now >= self.own;
        odd.then(|| format!("speaks {}, where {} was expected", self.current(), expected.join(" or ")))
    }

    /// Bytes came that can't be framed: the next settings. True when all have been tried in vain, and the usual ones are in use again.
    pub fn wrong(&mut self) -> bool {
        self.right = false;
        self.now = (self.now + 1) % self.all.len();
        self.now == 0
    }

    /// Nothing came: the next of the driver's own.
    pub fn silent(&mut self) {
        if !self.right {
            self.now = if self.now < self.own { (self.now + 1) % self.own } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [LineSettings; 2] = [LineSettings { baud: 19_200, parity: Parity::Odd }, LineSettings::plain(4800)];

    #[test]
    fn all_usual_settings_are_tried_once_the_drivers_own_first() {
        let mut settings = Settings::new(&OWN);
        let mut tried = vec![settings.current()];
        while !settings.wrong() {
            assert!(settings.are_a_try());
            tried.push(settings.current());
        }
        assert_eq!((&tried[..2], tried.len()), (&OWN[..], 12));
        assert!(!settings.are_a_try());
        assert_eq!(settings.current(), OWN[0]);
    }

    #[test]
    fn a_device_that_speaks_otherwise_is_named() {
        let mut settings = Settings::new(&OWN[..1]);
        assert_eq!(settings.understood(), None);
        while settings.current() != LineSettings::plain(4800) {
            settings.wrong();
        }
        let sentence = settings.understood();
        assert_eq!(sentence.as_deref(), Some("speaks 4800 baud 8N1, where 19200 baud 8O1 was expected"));
        settings.silent();
        assert_eq!(settings.current(), LineSettings::plain(4800), "it was right, the device is only off");
    }

    #[test]
    fn of_a_silent_device_the_drivers_own_settings_are_tried_in_turn() {
        let mut settings = Settings::new(&OWN);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(settings.current());
            settings.silent();
        }
        assert_eq!(seen, [OWN[0], OWN[1], OWN[0], OWN[1]]);
    }
}
