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
use store::{InvalidReading, JournalEntry, KitSeq, StoredMessage};
use vitals::{PatientId, Reading};

use super::{
    body,
    paging::{Links, links},
    patients::person,
    query, unfit,
};
use crate::{
    Change, Place,
    app::App,
    clock,
    outcomes::{NewOutcome, outcomes, record_outcome},
    problem::Problem,
    session::Session,
};

/// How far back readings are listed.
const DAYS_MAX: u16 = 92;
const DAYS_DEFAULT: u16 = 7;

/// `POST /api/v1/patients/{id}/outcomes`.
pub async fn record(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    outcome: Result<Json<NewOutcome>, JsonRejection>,
) -> Result<(StatusCode, Json<JournalEntry>), Problem> {
    let outcome = body(outcome)?;
    let person = person(&app, &id)?;
    let entry = record_outcome(&*app.desk.store, &person.patient.id, outcome, &session.user, clock::now()).await?;
    Ok((StatusCode::CREATED, Json(entry)))
}

/// `GET /api/v1/patients/{id}/outcomes`: newest first.
pub async fn list_outcomes(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Vec<JournalEntry>>, Problem> {
    let person = person(&app, &id)?;
    Ok(Json(outcomes(&*app.desk.store, Some(&person.patient.id)).await?))
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

/// How far back, and which page of it.
#[derive(Deserialize)]
pub struct Days {
    days: Option<u16>,
    /// Of messages that were recorded earlier: the last `recorded_at` of the page before.
    before: Option<Timestamp>,
    limit: Option<usize>,
}

/// Readings of a page, if nothing is said.
pub const READINGS_PAGE: usize = 500;
/// Readings of a page, at most; the last message on it is told whole.
const READINGS_PAGE_MAX: usize = 2_000;
/// Messages that are read at a time for a page.
const MESSAGES_READ: u32 = 64;

/// `GET /api/v1/patients/{id}/readings`: those recorded last first, page by page; a `Link` names the next page.
pub async fn readings(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    asked: Result<Query<Days>, QueryRejection>,
) -> Result<(Links, Json<Vec<ReadingView>>), Problem> {
    let Days { days, before, limit } = query(asked)?;
    let (days, limit) = (days.unwrap_or(DAYS_DEFAULT), limit.unwrap_or(READINGS_PAGE));
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(unfit(format!("days is {days}, want 1 to {DAYS_MAX}")));
    }
    if !(1..=READINGS_PAGE_MAX).contains(&limit) {
        return Err(unfit(format!("limit is {limit}, want 1 to {READINGS_PAGE_MAX}")));
    }
    let patient = person(&app, &id)?.patient.id.clone();
    let since = clock::now() - SignedDuration::from_hours(24 * i64::from(days));
    let (views, next) = readings_of(&app, &patient, since, before, limit).await?;
    let next =
        next.map(|before| format!("/api/v1/patients/{patient}/readings?days={days}&limit={limit}&before={before}"));
    Ok((links(next), Json(views)))
}

/// A page of a patient's stored readings, the newest first, and before what the next page begins; also for the pages of the desk.
pub async fn readings_of(
    app: &App,
    patient: &PatientId,
    since: Timestamp,
    mut before: Option<Timestamp>,
    limit: usize,
) -> Result<(Vec<ReadingView>, Option<Timestamp>), store::StoreError> {
    let invalid = invalid_of(app, patient).await?;
    let mut views: Vec<ReadingView> = Vec::new();
    let mut goes_on = true;
    while goes_on && views.len() < limit {
        let messages = app.desk.store.newest_messages(patient, since, before, MESSAGES_READ).await?;
        goes_on = messages.len() == MESSAGES_READ as usize;
        for message in messages.iter().rev() {
            if views.len() >= limit {
                goes_on = true;
                break;
            }
            views.extend(in_message(message, &invalid));
            before = Some(message.recorded_at);
        }
    }
    views.sort_by_key(|view| std::cmp::Reverse(view.reading.measured_at));
    Ok((views, before.filter(|_| goes_on)))
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
