//! Long questions to the stored history: backtests and alert budgets. Asked, watched, cancelled; their answers are kept for a while.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::body;
use crate::{BacktestAsk, BudgetAsk, Question, app::App, problem::Problem, right::Right, session::Session};

/// `GET /api/v1/questions`: every one that is known, the newest first.
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<Value>>, Problem> {
    Ok(Json(app.tuning()?.asked().await?))
}

/// `GET /api/v1/questions/{id}`: how it stands, and its answer as `result` once there is one.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(app.tuning()?.answer(&id).await?))
}

/// `DELETE /api/v1/questions/{id}`: ends it; what a backtest knows so far is its answer.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    Right::Tune.check(&session)?;
    app.tuning()?.cancel(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/backtests`.
pub async fn backtest(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    asked: Result<Json<BacktestAsk>, JsonRejection>,
) -> Result<Response, Problem> {
    Right::Tune.check(&session)?;
    ask(&app, &session, Question::Backtest(body(asked)?)).await
}

/// `POST /api/v1/budgets`.
pub async fn budget(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    asked: Result<Json<BudgetAsk>, JsonRejection>,
) -> Result<Response, Problem> {
    Right::Tune.check(&session)?;
    ask(&app, &session, Question::Budget(body(asked)?)).await
}

/// It has begun: how it stands, and where to look.
async fn ask(app: &App, session: &Session, question: Question) -> Result<Response, Problem> {
    let view = app.tuning()?.ask(question, &session.user).await?;
    let place = format!("/api/v1/questions/{}", view.get("id").and_then(Value::as_str).unwrap_or_default());
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(view)).into_response())
}
