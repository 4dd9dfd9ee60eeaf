//! Programmes: their versions, what is decided about them, the one that runs in the shadow, and what each rule is worth.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::JournalEntry;

use super::{body, query, version};
use crate::{Diff, ProgrammeText, ProgrammeView, Proposed, app::App, problem::Problem, right::Right, session::Session};

/// `GET /api/v1/programmes`: every programme with its versions.
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<ProgrammeView>>, Problem> {
    Ok(Json(app.tuning()?.programmes().await?))
}

/// `GET /api/v1/programmes/{id}`: its versions, the newest first.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<ProgrammeView>, Problem> {
    let all = app.tuning()?.programmes().await?;
    let found = all.into_iter().find(|one| one.id == id);
    found.map(Json).ok_or_else(|| Problem::not_found(format!("programme {id:?}")))
}

/// `GET /api/v1/programmes/{id}/versions/{version}`: its text, and what it says in plain words.
pub async fn text(
    State(app): State<Arc<App>>,
    Path((id, number)): Path<(String, String)>,
) -> Result<Json<ProgrammeText>, Problem> {
    Ok(Json(app.tuning()?.text(&id, version(&number)?).await?))
}

/// Between which versions.
#[derive(Deserialize)]
pub struct Between {
    from: u32,
    to: u32,
}

/// What differs between which versions.
#[derive(Serialize)]
pub struct Differs {
    programme: String,
    from: u32,
    to: u32,
    #[serde(flatten)]
    diff: Diff,
}

/// `GET /api/v1/programmes/{id}/diff`.
pub async fn diff(
    State(app): State<Arc<App>>,
    Path(programme): Path<String>,
    between: Result<Query<Between>, QueryRejection>,
) -> Result<Json<Differs>, Problem> {
    let Between { from, to } = query(between)?;
    let diff = app.tuning()?.diff(&programme, from, to).await?;
    Ok(Json(Differs { programme, from, to, diff }))
}

/// Entries of a programme's history: the newest.
const HISTORY_MAX: usize = 1_000;

/// `GET /api/v1/programmes/{id}/history`: what was decided about it, oldest first; of more than are told, the newest.
pub async fn history(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Vec<JournalEntry>>, Problem> {
    let mut all = app.tuning()?.history(&id).await?;
    Ok(Json(all.split_off(all.len().saturating_sub(HISTORY_MAX))))
}

/// A proposal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The programme, TOML. It says its own id and version.
    text: String,
    /// Why.
    note: String,
}

/// `POST /api/v1/programmes`.
pub async fn propose(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    proposal: Result<Json<Proposal>, JsonRejection>,
) -> Result<(StatusCode, Json<Proposed>), Problem> {
    Right::Tune.check(&session)?;
    let Proposal { text, note } = body(proposal)?;
    let kept = app.tuning()?.propose(&text, &note, &session.user).await?;
    Ok((StatusCode::CREATED, Json(kept)))
}

/// A decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Why.
    reason: String,
    /// From when on; at once, if left out. Of an activation alone.
    #[serde(default)]
    from: Option<Timestamp>,
}

/// A decision without a time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasoned {
    /// Why.
    reason: String,
}

/// `POST /api/v1/programmes/{id}/versions/{version}/activate`.
pub async fn activate(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path((id, number)): Path<(String, String)>,
    decision: Result<Json<Decision>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    Right::Tune.check(&session)?;
    let Decision { reason, from } = body(decision)?;
    Ok(Json(app.tuning()?.activate(&id, version(&number)?, from, &reason, &session.user).await?))
}

/// `POST /api/v1/programmes/{id}/versions/{version}/reject`.
pub async fn reject(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path((id, number)): Path<(String, String)>,
    decision: Result<Json<Reasoned>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    Right::Tune.check(&session)?;
    let Reasoned { reason } = body(decision)?;
    app.tuning()?.reject(&id, version(&number)?, &reason, &session.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/programmes/{id}/rollback`.
pub async fn rollback(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    decision: Result<Json<Reasoned>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    Right::Tune.check(&session)?;
    let Reasoned { reason } = body(decision)?;
    Ok(Json(app.tuning()?.rollback(&id, &reason, &session.user).await?))
}

/// `PUT /api/v1/programmes/{id}/versions/{version}/shadow`.
pub async fn shadow_start(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path((id, number)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    Right::Tune.check(&session)?;
    app.tuning()?.shadow_start(&id, version(&number)?, &session.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/programmes/{id}/versions/{version}/shadow`.
pub async fn shadow_stop(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path((id, number)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    Right::Tune.check(&session)?;
    app.tuning()?.shadow_stop(&id, version(&number)?, &session.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Of which time.
#[derive(Deserialize)]
pub struct Span {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// `GET /api/v1/programmes/{id}/versions/{version}/shadow`: beside what was raised, day by day.
pub async fn shadow(
    State(app): State<Arc<App>>,
    Path((id, number)): Path<(String, String)>,
    span: Result<Query<Span>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Span { since, .. } = query(span)?;
    Ok(Json(app.tuning()?.shadow(&id, version(&number)?, since).await?))
}

/// `GET /api/v1/programmes/{id}/rules`: of each rule, how often it fired, was acted on, was closed as false.
pub async fn rules(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    span: Result<Query<Span>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Span { since, until } = query(span)?;
    Ok(Json(app.tuning()?.rules(&id, since, until).await?))
}
