//! The pages: what a nurse sees. Each file is one page: what it shows, gathered from the board and the store, and its template.

pub mod cards;
pub mod commands;
pub mod detail;
pub mod error;
pub mod frame;
pub mod kits;
pub mod own;
pub mod patient;
pub mod patients;
pub mod programmes;
pub mod quarantine;
pub mod queue;
pub mod readings;
pub mod reasons;
pub mod records;
pub mod sittings;
pub mod why_not;
