//! Versions of programmes, and what a version that pages nobody would have raised.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use triage::Alert;
use vitals::PatientId;

/// One version of a programme, as it was proposed. It is never edited. The clinic's defaults and floors are a document of the same kind, with the
/// id `clinic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgrammeVersion {
    /// The programme's id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// The programme itself, TOML.
    pub text: String,
    /// SHA-256 of the text, in hex.
    pub sha256: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// When.
    pub proposed_at: Timestamp,
    /// Why.
    pub note: String,
}

/// An alert of a version that runs beside the active one, in its latest state. Nobody is paged by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowAlert {
    /// The programme's id.
    pub programme: String,
    /// Its version.
    pub version: u32,
    /// Whose.
    pub patient: PatientId,
    /// The alert.
    pub alert: Alert,
    /// When it was raised: what it is found by.
    pub raised_at: Timestamp,
}
