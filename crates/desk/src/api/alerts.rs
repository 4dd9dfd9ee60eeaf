//! Alerts: the queue, one alert with its history, and what a person does to it.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use triage::{Action, Alert, AlertChange, AlertEvent, AlertId, CloseReason};

use super::{paging::ITEMS_MAX, unfit};
use crate::{
    action::{Wanted, act_on},
    app::App,
    pages::detail::patient_of,
    problem::Problem,
    session::Session,
};

/// The queue, and the version of the event stream that it belongs to.
#[derive(Serialize)]
pub struct Queue {
    version: u64,
    /// How many are open: of more than are told, the first.
    total: usize,
    alerts: Vec<Alert>,
}

/// An alert with its history, oldest first.
#[derive(Serialize)]
pub struct WithHistory {
    #[serde(flatten)]
    alert: Alert,
    events: Vec<AlertEvent>,
}

/// `GET /api/v1/alerts`: open ones, worst first, then longest waiting; so many at most.
pub async fn list(State(app): State<Arc<App>>) -> Json<Queue> {
    let (version, alerts) = app.desk.board.queue();
    let total = alerts.len();
    Json(Queue { version, total, alerts: alerts.iter().take(ITEMS_MAX).map(|alert| (**alert).clone()).collect() })
}

/// `GET /api/v1/alerts/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    id: Result<Path<AlertId>, PathRejection>,
) -> Result<Json<WithHistory>, Problem> {
    let id = alert_id(id)?;
    let (alert, events) = app.desk.store.alert(id).await?.ok_or_else(|| Problem::not_found("such alert"))?;
    Ok(Json(WithHistory { alert, events }))
}

/// What to do, and the version of the alert that it was decided on.
#[derive(Deserialize)]
pub struct Act {
    seen_version: u32,
    #[serde(flatten)]
    action: Asked,
}

/// An [`Action`] as it is asked for. What is kept with closing alone may not be lost with another.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Asked {
    Acknowledge {
        reason: Option<CloseReason>,
        #[serde(default)]
        note: String,
    },
    Close {
        reason: CloseReason,
        #[serde(default)]
        note: String,
    },
}

impl Asked {
    fn action(self) -> Result<Action, Problem> {
        match self {
            Self::Close { reason, note } => Ok(Action::Close { reason, note }),
            Self::Acknowledge { reason: None, note } if note.trim().is_empty() => Ok(Action::Acknowledge),
            Self::Acknowledge { reason, .. } => {
                let found = if reason.is_some() { "reason" } else { "note" };
                Err(unfit(format!("{found}: found one with \"acknowledge\", want it with \"close\" alone")))
            }
        }
    }
}

/// `POST /api/v1/alerts/{id}/actions`.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    id: Result<Path<AlertId>, PathRejection>,
    body: Result<Json<Act>, JsonRejection>,
) -> Result<Json<AlertChange>, Problem> {
    let id = alert_id(id)?;
    let Act { seen_version, action } = super::body(body)?;
    let action = action.action()?;
    let patient = patient_of(&app, id).await?.ok_or_else(|| Problem::not_found("such alert"))?;
    let wanted = Wanted { alert: id, patient, seen_version, action, by: session.user, name: session.name };
    Ok(Json(act_on(&app, wanted).await?))
}

/// The id of an alert in an address.
pub fn alert_id(id: Result<Path<AlertId>, PathRejection>) -> Result<AlertId, Problem> {
    id.map(|Path(id)| id).map_err(|_| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the alert's id is not a UUID"))
}
