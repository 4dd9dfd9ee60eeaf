//! A message that the broker refuses for what it is must not hold up the rest: nothing behind it could ever leave the spool, since the core's
//! `through` waits for what the kit still keeps. Pure.
//!
//! A refusal alone proves little: rights may be wrong, a quota may be used up, and then every message is refused and all of them wait. What is
//! refused on several connections, on each of which a later message was taken, is refused for what it is.

use std::collections::BTreeMap;

/// On so many connections a message is refused before it is taken out of the way.
pub const REFUSED_ON_MAX: u32 = 3;
/// Messages whose refusals are counted at a time; others are counted when these are out of the way.
const COUNTED_MAX: usize = 512;

/// On how many connections each message was refused for what it is.
#[derive(Debug, Default)]
pub struct Refusals(BTreeMap<u64, u32>);

impl Refusals {
    /// These were, on one connection more. Gives those that are to be taken out of the way.
    pub fn count(&mut self, refused: &[u64]) -> Vec<u64> {
        for seq in refused {
            if self.0.len() < COUNTED_MAX || self.0.contains_key(seq) {
                *self.0.entry(*seq).or_default() += 1;
            }
        }
        let over: Vec<u64> =
            self.0.iter().filter(|(_, times)| **times >= REFUSED_ON_MAX).map(|(seq, _)| *seq).collect();
        self.0.retain(|_, times| *times < REFUSED_ON_MAX);
        over
    }

    /// Everything has another number now, or was acknowledged.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_again_and_again_is_taken_out_of_the_way() {
        let mut refusals = Refusals::default();
        assert!(refusals.count(&[7, 9]).is_empty());
        assert!(refusals.count(&[7]).is_empty());
        assert_eq!(refusals.count(&[7, 9]), [7]);
        assert_eq!(refusals.count(&[9]), [9]);
        assert!(refusals.count(&[7]).is_empty(), "counted from the start");
        refusals.forget();
        let many: Vec<u64> = (0..2 * COUNTED_MAX as u64).collect();
        let over: Vec<usize> = (0..REFUSED_ON_MAX).map(|_| refusals.count(&many).len()).collect();
        assert_eq!(over, [0, 0, COUNTED_MAX]);
    }
}
