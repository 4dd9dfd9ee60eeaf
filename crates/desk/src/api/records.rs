//! What nurses record of a patient: what really happened, and readings that nothing should be judged by.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::{InvalidReading, Journal, JournalEntry, JournalFilter, KitSeq, PatientOutcome, StoredMessage};
use triage::{Alert, AlertId};
use vitals::{PatientId, Reading};

use super::{body, patients::person, query, unfit};
use crate::{Change, Place, app::App, clock, problem::Problem, session::Session};

/// Outcomes of one patient that are shown: the newest.
const OUTCOMES_MAX: u32 = 200;
/// An outcome may lie so far ahead of the hub's clock: a nurse's clock may be ahead.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How far back readings are listed.
const DAYS_MAX: u16 = 92;
const DAYS_DEFAULT: u16 = 7;

/// What happened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOutcome {
    /// `exacerbation`, `decompensation`, `admission`, `death`, `other`.
    pub outcome: PatientOutcome,
    /// When it happened or began: now, if left out.
    #[serde(default)]
    pub at: Option<Timestamp>,
    #[serde(default)]
    pub note: String,
    /// The alert that it belongs to.
    #[serde(default)]
    pub alert: Option<AlertId>,
}

/// `POST /api/v1/patients/{id}/outcomes`.
pub async fn record(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    outcome: Result<Json<NewOutcome>, JsonRejection>,
) -> Result<(StatusCode, Json<JournalEntry>), Problem> {
    let outcome = body(outcome)?;
    let person = person(&app, &id)?;
    let entry = record_outcome(&app, &session, &person.patient.id, outcome).await?;
    Ok((StatusCode::CREATED, Json(entry)))
}

/// Records what happened; also for the page.
pub async fn record_outcome(
    app: &App,
    session: &Session,
    patient: &PatientId,
    new: NewOutcome,
) -> Result<JournalEntry, Problem> {
    let now = clock::now();
    let at = new.at.unwrap_or(now);
    check_outcome(&new, at, now).map_err(unfit)?;
    if let Some(alert) = new.alert {
        let found = app.desk.store.alert(alert).await?.filter(|(alert, _)| alert.patient == *patient);
        found.ok_or_else(|| Problem::not_found("such alert of this patient"))?;
    }
    let what =
        Journal::OutcomeRecorded { outcome: new.outcome, at, note: new.note.trim().to_owned(), alert: new.alert };
    let mut entry = JournalEntry { at: now, by: Some(session.user.clone()), patient: Some(patient.clone()), what };
    if let Some(stamp) = app.desk.store.append(std::slice::from_ref(&entry)).await?.first() {
        entry.at = *stamp;
    }
    Ok(entry)
}

fn check_outcome(new: &NewOutcome, at: Timestamp, now: Timestamp) -> Result<(), String> {
    let (found, most) = (new.note.chars().count(), Alert::NOTE_CHARS_MAX);
    if found > most {
        return Err(format!("the note has {found} characters, want at most {most}"));
    }
    if new.outcome == PatientOutcome::Other && new.note.trim().is_empty() {
        return Err("found no note with the outcome \"other\", want one that says what it was".to_owned());
    }
    if at.duration_since(now) > AHEAD_MAX {
        return Err(format!("at is {at}, and it is {now}: want a time that has passed"));
    }
    Ok(())
}

/// `GET /api/v1/patients/{id}/outcomes`: newest first.
pub async fn outcomes(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Vec<JournalEntry>>, Problem> {
    let person = person(&app, &id)?;
    Ok(Json(outcomes_of(&app, &person.patient.id).await?))
}

/// A patient's outcomes, newest first; also for the page.
pub async fn outcomes_of(app: &App, patient: &PatientId) -> Result<Vec<JournalEntry>, store::StoreError> {
    let names = ["outcome_recorded"];
    let filter = JournalFilter {
        patient: Some(patient),
        entries: Some(&names),
        newest_first: true,
        limit: OUTCOMES_MAX,
        ..JournalFilter::default()
    };
    app.desk.store.journal(filter).await
}

/// A stored reading, and where it stands.
#[derive(Serialize)]
pub struct ReadingView {
    #[serde(flatten)]
    pub place: Place,
    recorded_at: Timestamp,
    #[serde(flatten)]
    pub reading: Reading,
    /// Who declared it invalid, when and why.
    pub invalid: Option<JournalEntry>,
}

/// How far back.
#[derive(Deserialize)]
pub struct Days {
    days: Option<u16>,
}

/// `GET /api/v1/patients/{id}/readings`: the newest first.
pub async fn readings(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    days: Result<Query<Days>, QueryRejection>,
) -> Result<Json<Vec<ReadingView>>, Problem> {
    let days = query(days)?.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(unfit(format!("days is {days}, want 1 to {DAYS_MAX}")));
    }
    let patient = person(&app, &id)?.patient.id.clone();
    let since = clock::now() - SignedDuration::from_hours(24 * i64::from(days));
    Ok(Json(readings_of(&app, &patient, since).await?))
}

/// A patient's stored readings, the newest first; also for the page.
pub async fn readings_of(
    app: &App,
    patient: &PatientId,
    since: Timestamp,
) -> Result<Vec<ReadingView>, store::StoreError> {
    let messages = app.desk.store.messages(patient, since).await?;
    let invalid = invalid_of(app, patient).await?;
    let mut views: Vec<ReadingView> = messages.iter().flat_map(|message| in_message(message, &invalid)).collect();
    views.sort_by_key(|view| std::cmp::Reverse(view.reading.measured_at));
    Ok(views)
}

/// What was declared invalid of a patient, by its place.
pub type Invalid = HashMap<(KitSeq, u16), JournalEntry>;

/// Reads what was declared invalid.
pub async fn invalid_of(app: &App, patient: &PatientId) -> Result<Invalid, store::StoreError> {
    let all = app.desk.store.invalidated(Some(patient)).await?;
    Ok(all.into_iter().map(|InvalidReading { key, place, entry }| ((key, place), entry)).collect())
}

fn in_message<'m>(message: &'m StoredMessage, invalid: &'m Invalid) -> impl Iterator<Item = ReadingView> + 'm {
    message.readings.iter().enumerate().filter_map(move |(at, reading)| {
        let (kit, seq, at) = (message.key.kit.clone(), message.key.seq, u16::try_from(at).ok()?);
        Some(ReadingView {
            place: Place { kit, seq, place: at },
            recorded_at: message.recorded_at,
            reading: reading.clone(),
            invalid: invalid.get(&(message.key.clone(), at)).cloned(),
        })
    })
}

/// Which reading, and why.
#[derive(Deserialize)]
pub struct ReadingChange {
    #[serde(flatten)]
    place: Place,
    reason: String,
}

/// `POST /api/v1/patients/{id}/readings/invalidate`.
pub async fn invalidate(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    change: Result<Json<ReadingChange>, JsonRejection>,
) -> Result<Json<Reading>, Problem> {
    change_reading(&app, &session, &id, body(change)?, Change::Invalidate).await
}

/// `POST /api/v1/patients/{id}/readings/restore`.
pub async fn restore(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    change: Result<Json<ReadingChange>, JsonRejection>,
) -> Result<Json<Reading>, Problem> {
    change_reading(&app, &session, &id, body(change)?, Change::Restore).await
}

async fn change_reading(
    app: &App,
    session: &Session,
    id: &str,
    ReadingChange { place, reason }: ReadingChange,
    change: Change,
) -> Result<Json<Reading>, Problem> {
    let person = person(app, id)?;
    let changed = app.ward()?.change_reading(&person.patient.id, &place, change, &reason, &session.user).await?;
    Ok(Json(changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn checked(outcome: &str, note: &str, at: &str, wanted: Option<&str>) {
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        let (note, outcome) = (note.to_owned(), serde_json::from_value(outcome.into()).unwrap());
        let new = NewOutcome { outcome, at: None, note, alert: None };
        assert_eq!(check_outcome(&new, at.parse().unwrap(), now).err().as_deref(), wanted);
    }

    #[test]
    fn an_outcome_has_passed_and_another_one_is_named() {
        let before = "2026-11-20T08:00:00Z";
        checked("admission", "", before, None);
        checked("other", "fell at home", before, None);
        checked("other", " ", before, Some("found no note with the outcome \"other\", want one that says what it was"));
        let ahead = "at is 2026-11-22T09:00:00Z, and it is 2026-11-22T08:00:00Z: want a time that has passed";
        checked("death", "", "2026-11-22T09:00:00Z", Some(ahead));
        let long = "x".repeat(Alert::NOTE_CHARS_MAX + 1);
        checked("admission", &long, before, Some("the note has 2001 characters, want at most 2000"));
    }
}
