//! The kit's agent: reads devices over Bluetooth and serial lines, spools what they measured durably, and sends it to the clinic over MQTT
//! until the core has acknowledged it.
//!
//! The deciding parts (`backoff`, `placing`, `sitting`, the windows and turns) are pure; `link`, `spool`, `uplink` and `agent` do the IO.

pub mod agent;
pub mod backoff;
pub mod board;
pub mod clock;
pub mod config;
pub mod identity;
pub mod keeper;
pub mod link;
pub mod placing;
pub mod round;
pub mod scan;
pub mod sitting;
pub mod spool;
pub mod systemd;
pub mod uplink;
