//! Bytes to readings: one file for each device or profile, and one table. Pure: no IO, no clock, no async.

pub mod session;

pub use session::{Channel, DecodeError, Driver, Measured, Output, Parity, Session, Transport};
