//! Patients' own settings: limits, reference values, oxygen, pauses; each with author, reason, from and until. And the baselines of their own
//! that they lack.

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
use serde_json::{Map, Value};
use triage::{Clinic, FromClinic, NoBaseline, Own, Pause, PauseKind};
use vitals::PatientId;

use super::{
    body,
    paging::{Links, Page},
    patients::person,
    query,
};
use crate::{
    app::App,
    board::Person,
    clock,
    problem::Problem,
    right::Right,
    session::Session,
    settings::{Setting, asked_for, rows, seen, with_pause, without_pause},
    tuning::Refused,
};

/// So many people are looked at for one page of what is overdue: of each the stored history is read.
const LOOKED_AT_MAX: usize = 100;

/// One patient's own settings.
#[derive(Serialize)]
pub struct OwnView {
    patient: PatientId,
    simulated: bool,
    /// Names them as they are: a change has to say what it was decided on.
    seen: String,
    settings: Vec<Setting>,
    /// The clinic's limits that they are judged by now, where that was looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clinic: Vec<FromClinic>,
    /// Rules that have no baseline of the patient's own to compare with, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    baselines: Option<Vec<NoBaseline>>,
}

/// Which are wanted.
#[derive(Deserialize)]
pub struct Wanted {
    overdue: Option<bool>,
    beyond_floor: Option<bool>,
}

/// `GET /api/v1/own`: everybody's, of everybody who has any; by id, page by page. What is overdue comes with the baselines that are lacking, and a
/// page of it may hold fewer than it says, or nobody, and yet go on.
pub async fn list(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<(Links, Json<Vec<OwnView>>), Problem> {
    let (Wanted { overdue, beyond_floor }, page) = (query(wanted)?, query(page)?);
    let now = clock::now();
    let said = [("overdue", overdue), ("beyond_floor", beyond_floor)];
    let more: String = said.into_iter().filter_map(|(name, said)| Some(format!("&{name}={}", said?))).collect();
    let view = |person: &Person| {
        let mut view = view(person, person.plan.as_ref()?.own(), now);
        view.settings.retain(|one| overdue.is_none_or(|wanted| one.overdue == wanted));
        // What passes a floor is listed while it lasts.
        let passes = |one: &Setting| one.holds && one.beyond_floor.is_some();
        view.settings.retain(|one| beyond_floor.is_none_or(|wanted| passes(one) == wanted));
        Some(view)
    };
    let mut people = app.desk.board.people();
    if overdue == Some(true) && beyond_floor != Some(true) {
        let has_own = |person: &Person| person.plan.as_ref().is_some_and(|plan| *plan.own() != Own::default());
        people.retain(|person| has_baseline(person) || has_own(person));
        let page = page.at_most(LOOKED_AT_MAX);
        let (links, people) = page.cut(people, |person: &Person| person.patient.id.as_str(), "/api/v1/own", &more)?;
        let lacking = no_baselines(&app, &people, now).await?;
        let views = people.iter().zip(lacking).filter_map(|(person, lacking)| {
            let view = view(person)?;
            let is_listed = !view.settings.is_empty() || !lacking.is_empty();
            is_listed.then_some(OwnView { baselines: Some(lacking), ..view })
        });
        return Ok((links, Json(views.collect())));
    }
    let all = people.iter().filter_map(view).filter(|view| !view.settings.is_empty()).collect();
    let (links, views) = page.cut(all, |view: &OwnView| view.patient.as_str(), "/api/v1/own", &more)?;
    Ok((links, Json(views)))
}

fn has_baseline(person: &Person) -> bool {
    person.plan.as_ref().is_some_and(|plan| plan.book().has_baseline())
}

/// Of each of these people, in that order: the rules that have no baseline of theirs. Also for the page.
pub async fn no_baselines(app: &App, people: &[Person], now: Timestamp) -> Result<Vec<Vec<NoBaseline>>, Refused> {
    let asked = people.iter().filter(|person| has_baseline(person));
    let asked: Vec<PatientId> = asked.map(|person| person.patient.id.clone()).collect();
    let found = match app.ward() {
        Ok(ward) if !asked.is_empty() => ward.no_baselines(&asked, now).await?,
        _ => Vec::new(),
    };
    let mut found = found.into_iter();
    let of = |person: &Person| if has_baseline(person) { found.next().unwrap_or_default() } else { Vec::new() };
    Ok(people.iter().map(of).collect())
}

/// `GET /api/v1/patients/{id}/own`.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<OwnView>, Problem> {
    let person = person(&app, &id)?;
    let (own, now) = (app.ward()?.own(&person.patient.id).await?, clock::now());
    let lacking = no_baselines(&app, std::slice::from_ref(&person), now).await?;
    let clinic = person.plan.as_ref().map(|plan| plan.clinic_limits(now)).unwrap_or_default();
    Ok(Json(OwnView { clinic, baselines: lacking.into_iter().next(), ..view(&person, &own, now) }))
}

fn view(person: &Person, own: &Own, now: Timestamp) -> OwnView {
    let shipped = Clinic::shipped();
    let clinic = person.plan.as_ref().map_or(&shipped, |plan| plan.book().clinic());
    OwnView {
        patient: person.patient.id.clone(),
        simulated: person.patient.simulated,
        seen: seen(own),
        settings: rows(own, person.plan.as_deref(), clinic, now),
        clinic: Vec::new(),
        baselines: None,
    }
}

/// What is to be set, in the place of everything that was.
#[derive(Deserialize)]
pub struct Set {
    /// What it was decided on.
    seen: String,
    #[serde(flatten)]
    own: Map<String, Value>,
}

/// `PUT /api/v1/patients/{id}/own`.
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    set: Result<Json<Set>, JsonRejection>,
) -> Result<Json<OwnView>, Problem> {
    Right::SetLimits.check(&session)?;
    let set = body(set)?;
    let person = person(&app, &id)?;
    let before = app.ward()?.own(&person.patient.id).await?;
    if seen(&before) != set.seen {
        return Err(Problem::new(StatusCode::CONFLICT, "the settings have changed since you looked: look again"));
    }
    let now = clock::now();
    let own = asked_for(&before, &set.own, &session.user, now).map_err(super::unfit)?;
    app.ward()?.set_own(&person.patient.id, &before, &own, &session.user).await?;
    Ok(Json(view(&person, &own, now)))
}

/// A time in which nothing is expected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPause {
    pub kind: PauseKind,
    /// Now, if left out.
    #[serde(default)]
    pub from: Option<Timestamp>,
    pub until: Timestamp,
    pub reason: String,
}

/// `POST /api/v1/patients/{id}/pauses`.
pub async fn pause(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    asked: Result<Json<NewPause>, JsonRejection>,
) -> Result<(StatusCode, Json<OwnView>), Problem> {
    let asked = body(asked)?;
    let person = person(&app, &id)?;
    let own = add_pause(&app, &session, &person.patient.id, asked).await?;
    Ok((StatusCode::CREATED, Json(view(&person, &own, clock::now()))))
}

/// Sets a pause; also for the page.
pub async fn add_pause(app: &App, session: &Session, patient: &PatientId, asked: NewPause) -> Result<Own, Problem> {
    let NewPause { kind, from, until, reason } = asked;
    let from = from.unwrap_or_else(clock::now);
    let before = app.ward()?.own(patient).await?;
    let own = with_pause(&before, Pause { kind, author: session.user.clone(), reason, from, until });
    app.ward()?.set_own(patient, &before, &own, &session.user).await?;
    Ok(own)
}

/// `DELETE /api/v1/patients/{id}/pauses`: ends the pause that holds now.
pub async fn resume(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Json<OwnView>, Problem> {
    let person = person(&app, &id)?;
    let own = end_pause(&app, &session, &person.patient.id).await?;
    Ok(Json(view(&person, &own, clock::now())))
}

/// Ends the pause that holds now; also for the page.
pub async fn end_pause(app: &App, session: &Session, patient: &PatientId) -> Result<Own, Problem> {
    let before = app.ward()?.own(patient).await?;
    let own = without_pause(&before, clock::now());
    let own = own.ok_or_else(|| Problem::new(StatusCode::CONFLICT, "no pause holds now"))?;
    app.ward()?.set_own(patient, &before, &own, &session.user).await?;
    Ok(own)
}
