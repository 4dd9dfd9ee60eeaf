//! How findings feed alerts, in versions. What was judged in one way stays judged so: a replay of what is stored gives the same alerts byte for
//! byte, so a better way is a new version, and what a patient is judged by says which (decision 0116).

use serde::{Deserialize, Serialize};

/// A way of judging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum Judging {
    /// An alert that somebody has taken waits anew only for a worse mark; each normal message counts towards easing.
    #[default]
    First,
    /// An alert that somebody has taken waits anew for whatever they can't have seen; sittings count towards easing, and only what is beyond doubt.
    Second,
}

impl Judging {
    /// Every way, oldest first.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];
    /// By which everybody is judged from now on.
    pub const NEWEST: Self = Self::Second;

    /// The oldest: what is stored without a number was judged so.
    #[must_use]
    pub fn is_first(&self) -> bool {
        *self == Self::First
    }
}

impl From<Judging> for u32 {
    fn from(judging: Judging) -> Self {
        match judging {
            Judging::First => 1,
            Judging::Second => 2,
        }
    }
}

impl TryFrom<u32> for Judging {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|judging| u32::from(*judging) == number);
        known.ok_or_else(|| format!("found judging {number}, want 1 to {}", Self::ALL.len()))
    }
}
