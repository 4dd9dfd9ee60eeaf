//! `/quarantine`: what came and could not be used, each with its reason.

use std::sync::Arc;

use askama::Template;
use axum::{Extension, extract::State, response::Response};

use crate::{
    app::App,
    pages::{
        error::PageError,
        frame::{Frame, html},
    },
    session::Session,
};

/// Rows shown, newest first.
pub const ROWS_MAX: u32 = 200;

#[derive(Template)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    f: Frame,
    total: String,
    rows: Vec<Row>,
}

struct Row {
    when: String,
    kit: String,
    seq: String,
    bytes: u64,
    reason: String,
}

/// The page.
pub async fn page(State(app): State<Arc<App>>, Extension(session): Extension<Session>) -> Result<Response, PageError> {
    let say = app.say(&session);
    let (entries, total) = app.desk.store.quarantine(ROWS_MAX).await.map_err(PageError::store(&session))?;
    let row = |entry: store::QuarantinedEntry| Row {
        when: say.when(entry.recorded_at),
        kit: entry.kit.to_string(),
        seq: entry.seq.map(|seq| seq.to_string()).unwrap_or_default(),
        bytes: entry.bytes,
        reason: entry.reason,
    };
    let rows = entries.into_iter().map(row).collect();
    let total = say.words.count("quarantine-total", total);
    Ok(html(&QuarantinePage { f: Frame::new(&app, &session, "quarantine", app.desk.board.version()), total, rows }))
}
