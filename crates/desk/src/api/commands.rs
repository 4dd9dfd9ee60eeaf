//! What is asked of kits, and what became of it.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
};
use store::{Command, CommandState, Kit};

use crate::{
    app::App,
    clock,
    command::{Ask, AskRefused, ask},
    problem::Problem,
    session::Session,
};

/// Commands of one kit that are shown: the newest.
pub const COMMANDS_SHOWN_MAX: u32 = 100;

/// `GET /api/v1/kits/{id}/commands`: newest first.
pub async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Vec<CommandState>>, Problem> {
    let kit = kit(&app, &id)?;
    Ok(Json(app.desk.store.commands_of(&kit.id, COMMANDS_SHOWN_MAX).await?))
}

/// `POST /api/v1/kits/{id}/commands`.
pub async fn post(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    body: Result<Json<Ask>, JsonRejection>,
) -> Result<(StatusCode, Json<Command>), Problem> {
    let kit = kit(&app, &id)?;
    let asked = super::body(body)?;
    let command = ask(&*app.desk.store, &kit, asked, Some(&session.name), clock::now()).await?;
    Ok((StatusCode::CREATED, Json(command)))
}

fn kit(app: &App, id: &str) -> Result<Arc<Kit>, Problem> {
    app.desk.board.kit(id).map(|state| state.kit).ok_or_else(|| Problem::not_found("such kit"))
}

impl From<AskRefused> for Problem {
    fn from(refused: AskRefused) -> Self {
        match refused {
            AskRefused::Unfit(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, refused.to_string()),
            AskRefused::TooMany { .. } => Self::new(StatusCode::CONFLICT, refused.to_string()),
            AskRefused::Store(error) => Self::from(error),
        }
    }
}
