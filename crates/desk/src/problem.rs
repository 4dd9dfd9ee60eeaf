//! Every error of the API, as problem details (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::StoreError;
use triage::ActionError;

use crate::{ActionRefused, Refusal, Refused};

/// The media type of problem details.
pub const PROBLEM: &str = "application/problem+json";

/// What went wrong, for a program and for a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// `about:blank`: the status says which kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status's name.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// One sentence.
    detail: String,
    /// Seconds until it may be tried again.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this status, with its sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status: status.as_u16(), detail: detail.into(), retry_after: None }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Its sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// There is no such thing.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what}"))
    }

    /// Too often.
    pub fn too_many(detail: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).expect("plain texts are JSON");
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Logged here, once; the caller learns only that it was the store.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed a request");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer: try again in a moment")
    }
}

/// So soon may somebody ask again whose question was one too many.
const AGAIN_SECONDS: u64 = 30;

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused.kind {
            Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::Unknown => StatusCode::NOT_FOUND,
            Refusal::Conflict => StatusCode::CONFLICT,
            Refusal::Unfit => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Busy => return Self::too_many(refused.text, AGAIN_SECONDS),
            Refusal::Failed => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.text)
    }
}

impl From<ActionRefused> for Problem {
    fn from(refused: ActionRefused) -> Self {
        let status = match &refused {
            ActionRefused::Illegal(ActionError::NoteTooLong { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
            ActionRefused::Illegal(_) => StatusCode::CONFLICT,
            ActionRefused::Unknown => StatusCode::NOT_FOUND,
            ActionRefused::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.to_string())
    }
}
