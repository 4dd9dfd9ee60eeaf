//! What a person answered to one question of a questionnaire.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One answer. Which answer means what is the programme's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The questionnaire, e.g. `copd-daily`.
    pub questionnaire: String,
    /// Its version.
    pub version: u32,
    /// The question's id within it.
    pub question: String,
    /// The chosen answer's id, or free text.
    pub answer: String,
    /// When it was answered, by the kit's clock.
    #[schemars(with = "String")]
    pub answered_at: Timestamp,
}
