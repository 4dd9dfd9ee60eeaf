//! The pages: what a nurse sees. Each file is one page: what it shows, gathered from the board and the store, and its template.

pub mod cards;
pub mod commands;
pub mod detail;
pub mod error;
pub mod frame;
pub mod kits;
pub mod patient;
pub mod patients;
pub mod quarantine;
pub mod queue;
pub mod sittings;
