//! Why an alert was raised, and why nobody was told.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use jiff::Timestamp;
use serde::Deserialize;
use triage::AlertId;
use vitals::PatientId;

use super::{alerts::alert_id, patients::person, query};
use crate::{
    app::App,
    clock,
    explain::{self, WhyAlert, WhyNot},
    problem::Problem,
};

/// `GET /api/v1/alerts/{id}/why`.
pub async fn why_alert(
    State(app): State<Arc<App>>,
    id: Result<Path<AlertId>, PathRejection>,
) -> Result<Json<WhyAlert>, Problem> {
    let id = alert_id(id)?;
    let simulated = |of: &PatientId| app.desk.board.person(of).is_some_and(|person| person.patient.simulated);
    Ok(Json(explain::why_alert(&*app.desk.store, app.ward()?, id, simulated, clock::now()).await?))
}

/// As of when.
#[derive(Deserialize)]
pub struct AsOf {
    at: Option<Timestamp>,
}

/// `GET /api/v1/patients/{id}/why-not`.
pub async fn why_quiet(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    asked: Result<Query<AsOf>, QueryRejection>,
) -> Result<Json<WhyNot>, Problem> {
    let AsOf { at } = query(asked)?;
    let patient = person(&app, &id)?.patient;
    Ok(Json(explain::why_quiet(app.ward()?, &patient.id, patient.simulated, at, clock::now()).await?))
}
