//! The forms of a patient's page: what happened, pauses, readings that are declared invalid. They do the same as the API.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use store::PatientOutcome;
use triage::PauseKind;
use vitals::{KitId, PatientId};

use crate::{
    Change, Place,
    api::{
        own::{NewPause, add_pause, end_pause},
        patients::person,
    },
    app::App,
    clock,
    outcomes::{NewOutcome, record_outcome},
    pages::error::PageError,
    problem::Problem,
    session::Session,
};

/// What the form of an outcome sends.
#[derive(Deserialize)]
pub struct OutcomeForm {
    outcome: PatientOutcome,
    #[serde(default)]
    note: String,
    /// A day, or nothing for today.
    #[serde(default)]
    day: String,
}

/// `POST /patients/{id}/outcomes`.
pub async fn outcome(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Form(form): Form<OutcomeForm>,
) -> Result<Response, PageError> {
    let refused = PageError::refused(&session);
    let patient = known(&app, &id).map_err(&refused)?;
    let now = clock::now();
    let at = day(&form.day, &app.desk.zone).map_err(&refused)?.map(|(noon, _)| noon.min(now));
    let new = NewOutcome { outcome: form.outcome, at, note: form.note, alert: None };
    let recorded = record_outcome(&*app.desk.store, &patient, new, &session.user, now).await;
    recorded.map_err(Problem::from).map_err(&refused)?;
    Ok(Redirect::to(&format!("/patients/{patient}#outcomes")).into_response())
}

/// What the form of a pause sends.
#[derive(Deserialize)]
pub struct PauseForm {
    kind: PauseKind,
    /// The last day of it.
    until: String,
    reason: String,
}

/// `POST /patients/{id}/pauses`.
pub async fn pause(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Form(form): Form<PauseForm>,
) -> Result<Response, PageError> {
    let refused = PageError::refused(&session);
    let patient = known(&app, &id).map_err(&refused)?;
    let until = day(&form.until, &app.desk.zone).map_err(&refused)?;
    let (_, until) = until.ok_or_else(|| refused(crate::api::unfit("found no day, want the last day of the pause")))?;
    if until <= clock::now() {
        return Err(refused(crate::api::unfit(format!("found {} as the last day, want today or later", form.until))));
    }
    let new = NewPause { kind: form.kind, from: None, until, reason: form.reason };
    add_pause(&app, &session, &patient, new).await.map_err(&refused)?;
    Ok(Redirect::to(&format!("/patients/{patient}#own")).into_response())
}

/// `POST /patients/{id}/pauses/end`.
pub async fn resume(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let refused = PageError::refused(&session);
    let patient = known(&app, &id).map_err(&refused)?;
    end_pause(&app, &session, &patient).await.map_err(&refused)?;
    Ok(Redirect::to(&format!("/patients/{patient}#own")).into_response())
}

/// What the form of a reading sends.
#[derive(Deserialize)]
pub struct ReadingForm {
    kit: KitId,
    seq: u64,
    place: u16,
    reason: String,
    /// `invalidate` or `restore`.
    change: String,
}

/// `POST /patients/{id}/readings`.
pub async fn reading(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    Form(form): Form<ReadingForm>,
) -> Result<Response, PageError> {
    let refused = PageError::refused(&session);
    let patient = known(&app, &id).map_err(&refused)?;
    let ReadingForm { kit, seq, place, reason, change } = form;
    let change = if change == "restore" { Change::Restore } else { Change::Invalidate };
    let place = Place { kit, seq, place };
    let ward = app.ward().map_err(Problem::from).map_err(&refused)?;
    let changed = ward.change_reading(&patient, &place, change, &reason, &session.user).await;
    changed.map_err(Problem::from).map_err(&refused)?;
    Ok(Redirect::to(&format!("/patients/{patient}/readings")).into_response())
}

fn known(app: &App, id: &str) -> Result<PatientId, Problem> {
    Ok(person(app, id)?.patient.id.clone())
}

/// Noon of a day, and where it ends, by the clinic's clock.
fn day(text: &str, zone: &TimeZone) -> Result<Option<(Timestamp, Timestamp)>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let unfit = |what: &str| crate::api::unfit(format!("found day {text:?}, {what}"));
    let day: Date = text.trim().parse().map_err(|_| unfit("want one like 2026-11-22"))?;
    let noon = day.at(12, 0, 0, 0).to_zoned(zone.clone()).map_err(|_| unfit("which the calendar does not have"))?;
    let next = day.tomorrow().map_err(|_| unfit("which is the last there is"))?;
    let end = next.to_zoned(zone.clone()).map_err(|_| unfit("which the calendar does not have"))?;
    Ok(Some((noon.timestamp(), end.timestamp())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_clinics_own() {
        let zone = TimeZone::get("Europe/Copenhagen").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let found = day("2026-11-22", &zone).unwrap();
        assert_eq!(found, Some((at("2026-11-22T11:00:00Z"), at("2026-11-22T23:00:00Z"))));
        assert_eq!(day(" ", &zone).unwrap(), None);
        assert!(day("22/11", &zone).unwrap_err().detail().starts_with("found day \"22/11\", want one like"));
    }
}
