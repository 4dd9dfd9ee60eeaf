//! What the whole-system tests share: starting, killing and asking the real programs.

pub mod chaos;
pub mod clinic;
pub mod home;
pub mod load;
pub mod mosquitto;
pub mod program;
pub mod programme;
pub mod proofs;
#[path = "../../crates/store/tests/servers/mod.rs"]
#[allow(missing_docs, reason = "written for the store's own tests")]
pub mod servers;
