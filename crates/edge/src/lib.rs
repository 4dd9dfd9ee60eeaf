//! The kit's agent: reads devices over Bluetooth and serial lines, spools what they measured durably, and sends it to the clinic over MQTT
//! until the core has acknowledged it.
//!
//! The deciding parts (`backoff`, `placing`, `sitting`, the windows and turns) are pure; `link`, `spool`, `uplink` and `agent` do the IO.

pub mod agent;
pub mod backoff;
pub mod board;
pub mod clock;
pub mod config;
pub mod devices;
pub mod enlist;
pub mod enrol;
pub mod identity;
pub mod keeper;
pub mod kiosk;
pub mod link;
pub mod parts;
pub mod placing;
pub mod questionnaire;
pub mod round;
pub mod scan;
pub mod settling;
pub mod sitting;
pub mod spool;
pub mod stage;
pub mod systemd;
pub mod uplink;

// So that the tests can draw the views of the example.
#[cfg(test)]
extern crate self as edge;
