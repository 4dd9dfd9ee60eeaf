//! `/patients/{id}/readings`: every stored reading of the last days, and declaring one invalid.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    extract::{Path, Query, State},
    response::Response,
};
use jiff::Timestamp;
use serde::Deserialize;
use store::{Journal, JournalEntry};
use vitals::PatientId;

use crate::{
    api::records::{READINGS_PAGE, ReadingView, readings_of},
    app::App,
    pages::{
        detail::SITTINGS_AGE_MAX,
        error::PageError,
        frame::{Frame, html},
    },
    say::Say,
    session::Session,
    spark::mark_of,
};

/// Before which recorded message the page ends.
#[derive(Deserialize)]
pub struct Before {
    before: Option<Timestamp>,
}

#[derive(Template)]
#[template(path = "readings.html")]
struct ReadingsPage {
    f: Frame,
    id: String,
    name: String,
    simulated: bool,
    rows: Vec<Row>,
    /// Before what the next page ends.
    older: Option<String>,
}

struct Row {
    when: String,
    what: String,
    value: String,
    mark: &'static str,
    device: String,
    odd: String,
    kit: String,
    seq: u64,
    place: u16,
    invalid: Option<String>,
}

/// The page.
pub async fn page(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Query(Before { before }): Query<Before>,
) -> Result<Response, PageError> {
    let id: PatientId = id.parse().map_err(|_| PageError::not_found(&session))?;
    let person = app.desk.board.person(&id).ok_or_else(|| PageError::not_found(&session))?;
    let say = app.say(&session);
    let found = readings_of(&app, &id, say.now - SITTINGS_AGE_MAX, before, READINGS_PAGE).await;
    let (views, older) = found.map_err(PageError::store(&session))?;
    let plan = person.plan.as_deref();
    let row = |view: ReadingView| {
        let bands = plan.map(|plan| plan.bands_at(view.reading.vital, say.now)).unwrap_or_default();
        let mark = mark_of(&bands, view.reading.value).filter(|_| view.invalid.is_none());
        row(&say, view, mark.map_or("", triage::Mark::name))
    };
    Ok(html(&ReadingsPage {
        f: Frame::new(&app, &session, "patients", app.desk.board.version()),
        id: id.to_string(),
        name: person.patient.name.clone(),
        simulated: person.patient.simulated,
        rows: views.into_iter().map(row).collect(),
        older: older.map(|before| before.to_string()),
    }))
}

fn row(say: &Say<'_>, view: ReadingView, mark: &'static str) -> Row {
    let reading = &view.reading;
    let odd: Vec<String> = reading.flags.iter().map(|flag| say.flag(flag)).collect();
    Row {
        when: say.when(reading.measured_at),
        what: say.vital(reading.vital),
        value: say.quantity(reading.value, reading.unit),
        mark,
        device: reading.device.to_string(),
        odd: odd.join(", "),
        kit: view.place.kit.to_string(),
        seq: view.place.seq,
        place: view.place.place,
        invalid: view.invalid.as_ref().map(|entry| invalid(say, entry)),
    }
}

/// By whom, when and why a reading was declared invalid.
pub fn invalid(say: &Say<'_>, entry: &JournalEntry) -> String {
    let reason = match &entry.what {
        Journal::ReadingInvalidated { reason, .. } => reason.clone(),
        _ => String::new(),
    };
    let by = say.colleague(entry.by.as_deref().unwrap_or_default());
    let args = [("reason", reason.into()), ("by", by.into()), ("when", say.when(entry.at).into())];
    say.words.with("readings-by", &args)
}
