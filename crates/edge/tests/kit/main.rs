//! The kit's agent against real peers: Mosquitto, and devices on pseudo-terminals.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;
mod refusing;
mod round;
mod serial;
mod systemd;
mod uplink;
