//! Simulated devices and homes: bytes on a Bluetooth D-Bus and on serial lines, written from the standards.
//!
//! The spec is written twice in this project: here, as the device writes it, and in the drivers, as the kit reads it. So this crate
//! depends on no other crate of the workspace, and a test of the whole compares what was truly measured with what arrived.
//! Every person here is simulated.

pub mod bluez;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod devices;
pub mod home;
pub mod people;
pub mod peripheral;
pub mod serial;
