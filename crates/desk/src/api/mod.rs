//! `/api/v1`: the same as on the pages, as JSON. Every error is problem details.

pub mod alerts;
pub mod commands;
pub mod explain;
pub mod long;
pub mod own;
pub mod paging;
pub mod patients;
pub mod programmes;
pub mod questions;
pub mod records;

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{
        Query, Request, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vitals::{KitId, PatientId};

use self::paging::{Links, Page};
use crate::{
    app::App,
    pages::quarantine::ROWS_MAX,
    problem::{PROBLEM, Problem},
    session::Session,
};

/// How the framework begins to say that a body is JSON and does not fit.
const READER: &str = "Failed to deserialize the JSON body into the target type";

/// A body that can be read, or the problem with it.
pub fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body).map_err(|error| {
        let status = match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let said = error.body_text();
        // The framework's own words before the field, with names of this program's types.
        let said =
            said.strip_prefix(READER).and_then(|rest| rest.split_once(": ")).map_or(said.as_str(), |(_, rest)| rest);
        let (field, what) = said.split_once(": ").filter(|(field, _)| !field.contains(' ')).unwrap_or(("", said));
        let what = triage::plain(what);
        Problem::new(status, if field.is_empty() { what } else { format!("{field}: {what}") })
    })
}

/// Query parameters that can be read, or the problem with them.
pub fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| unfit(error.body_text()))
}

/// The number of a version in an address.
pub fn version(text: &str) -> Result<u32, Problem> {
    text.parse().map_err(|_| unfit(format!("found version {text:?}, want a number")))
}

/// It makes no sense: what was found, what was wanted.
pub fn unfit(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// Who is signed in, and the token that a change has to carry in `X-CSRF-Token`.
#[derive(Serialize)]
pub struct Me {
    user: String,
    name: String,
    role: String,
    language: String,
    csrf: String,
    expires_at: Timestamp,
}

/// `GET /api/v1/session`.
pub async fn session(Extension(session): Extension<Session>) -> Json<Me> {
    let Session { expires_at, user, name, role, language, csrf, .. } = session;
    Json(Me { user, name, role, language, csrf, expires_at })
}

/// One kit. Its password's hash stays inside.
#[derive(Serialize, Deserialize)]
pub struct KitView {
    id: KitId,
    /// Absent where several people share it.
    patient: Option<PatientId>,
    /// Those who share it.
    patients: Vec<PatientId>,
    /// Has it its credentials? Not before it has enrolled.
    enrolled: bool,
    devices: Vec<String>,
    revoked: bool,
    online: bool,
    heard_at: Option<Timestamp>,
    status: Option<serde_json::Value>,
}

/// `GET /api/v1/kits`: by id, page by page.
pub async fn kits(
    State(app): State<Arc<App>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<(Links, Json<Vec<KitView>>), Problem> {
    let view = |state: crate::KitState| KitView {
        id: state.kit.id.clone(),
        patient: state.kit.patient.clone(),
        patients: state.kit.patients.clone(),
        enrolled: !state.kit.secret_sha256.is_empty(),
        devices: state.kit.devices.clone(),
        revoked: state.kit.revoked,
        online: state.online(),
        heard_at: state.heard.as_ref().map(|heard| heard.at),
        status: state.heard.map(|heard| heard.status).filter(|status| !status.is_null()),
    };
    let (links, kits) = query(page)?.cut(app.desk.board.kits(), |state| state.kit.id.as_str(), "/api/v1/kits", "")?;
    Ok((links, Json(kits.into_iter().map(view).collect())))
}

/// What is in quarantine.
#[derive(Serialize)]
pub struct Quarantine {
    total: u64,
    newest: Vec<store::QuarantinedEntry>,
}

/// `GET /api/v1/quarantine`.
pub async fn quarantine(State(app): State<Arc<App>>) -> Result<Json<Quarantine>, Problem> {
    let (newest, total) = app.desk.store.quarantine(ROWS_MAX).await?;
    Ok(Json(Quarantine { total, newest }))
}

/// What the framework refuses by itself (a path that is not text, a method, a media type) becomes a problem too.
pub async fn problems(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let said = response.headers().get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes() == PROBLEM.as_bytes());
    if said || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    Problem::new(status, "the request can't be understood").into_response()
}

/// No such address.
pub async fn nowhere() -> Problem {
    Problem::not_found("such address")
}

/// The address takes other methods.
pub async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
}
