//! Secrets that are made here: 256 random bits, shown once, kept as a hash.

use crate::directory::hex;

/// A new secret, as 64 hex digits.
#[must_use]
pub fn new() -> String {
    hex(&rand::random::<[u8; 32]>())
}
