//! How a person is doing, as one word. Missing data (blue) stands beside the colour: it is not a degree of illness.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Worst last, so that `max` is "the worst of".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Nothing that needs anybody.
    #[default]
    Green,
    /// Somebody should look.
    Yellow,
    /// Somebody must act now.
    Red,
}

impl Colour {
    /// The wire name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
