//! Patients, their alerts and their curves.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use triage::{Alert, BandView, Mark, Plan};
use vitals::{Colour, PatientId, Unit, Value, Vital};

use super::{
    paging::{Links, Page},
    query,
};
use crate::{
    app::App,
    board::Person,
    clock,
    problem::Problem,
    spark::{Zone, mark_of, zones},
};

/// How far back curves go if nothing is said.
pub const CURVE_AGE: SignedDuration = SignedDuration::from_hours(28 * 24);
const DAYS_DEFAULT: u16 = 28;
/// How far back curves can go.
const DAYS_MAX: u16 = 366;
/// Points of one curve: the newest.
const POINTS_MAX: u32 = 5000;
/// Alerts of one patient: the newest.
const ALERTS_MAX: u32 = 200;

/// One patient.
#[derive(Serialize)]
pub struct PatientView {
    id: PatientId,
    name: String,
    born: Option<i16>,
    programme: String,
    programme_version: Option<u32>,
    /// Every programme, with the version that the patient is judged by.
    programmes: Vec<InProgramme>,
    stratum: Option<String>,
    simulated: bool,
    since: Option<Timestamp>,
    /// How the patient was last judged, since the core started.
    colour: Option<Colour>,
    missing: bool,
    limits: Vec<VitalLimits>,
    /// Why the patient is not judged by what was decided, but as before: own settings or programmes that don't fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_as_decided: Option<String>,
}

/// A programme that the patient is in.
#[derive(Serialize)]
pub struct InProgramme {
    id: String,
    version: Option<u32>,
}

/// The bands of one vital.
#[derive(Serialize)]
pub struct VitalLimits {
    vital: Vital,
    unit: Unit,
    bands: Vec<BandView>,
}

/// `GET /api/v1/patients`: by id, page by page.
pub async fn list(
    State(app): State<Arc<App>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<(Links, Json<Vec<PatientView>>), Problem> {
    let (now, people) = (clock::now(), app.desk.board.people());
    let (links, people) = query(page)?.cut(people, |person| person.patient.id.as_str(), "/api/v1/patients", "")?;
    Ok((links, Json(people.iter().map(|person| view(person, now)).collect())))
}

/// `GET /api/v1/patients/{id}`.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<PatientView>, Problem> {
    Ok(Json(view(&person(&app, &id)?, clock::now())))
}

/// `GET /api/v1/patients/{id}/alerts`: open and ended, newest first.
pub async fn alerts(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Vec<Alert>>, Problem> {
    let person = person(&app, &id)?;
    Ok(Json(app.desk.store.alerts_of(&person.patient.id, ALERTS_MAX).await?))
}

/// Which curves.
#[derive(Deserialize)]
pub struct Wanted {
    days: Option<u16>,
    /// Names with commas between; all if not given.
    vitals: Option<String>,
}

/// One curve with its limits.
#[derive(Serialize)]
pub struct CurveView {
    vital: Vital,
    unit: Unit,
    unit_plain: &'static str,
    since: Timestamp,
    until: Timestamp,
    zones: Vec<Zone>,
    points: Vec<Point>,
}

/// One point of a curve.
#[derive(Serialize)]
pub struct Point {
    at: Timestamp,
    value: Value,
    mark: Option<Mark>,
    flagged: bool,
    /// Declared invalid: nothing is judged by it.
    invalid: bool,
}

/// `GET /api/v1/patients/{id}/curves`.
pub async fn curves(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Vec<CurveView>>, Problem> {
    let unfit = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let Query(wanted) = wanted.map_err(|error| unfit(error.body_text()))?;
    let days = wanted.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(unfit(format!("days is {days}, want 1 to {DAYS_MAX}")));
    }
    let vitals = vitals_of(wanted.vitals.as_deref()).map_err(unfit)?;
    let person = person(&app, &id)?;
    let until = clock::now();
    let since = until - SignedDuration::from_hours(24 * i64::from(days));
    let curves = app.desk.store.curves(&person.patient.id, &vitals, since, POINTS_MAX).await?;
    let plan = person.plan.as_deref();
    Ok(Json(
        curves
            .into_iter()
            .filter(|curve| !curve.points.is_empty())
            .map(|curve| curve_view(curve, plan, since, until))
            .collect(),
    ))
}

fn curve_view(curve: store::Curve, plan: Option<&Plan>, since: Timestamp, until: Timestamp) -> CurveView {
    let bands = plan.map(|plan| plan.bands_at(curve.vital, until)).unwrap_or_default();
    let point = |point: &store::CurvePoint| Point {
        at: point.at,
        value: point.value,
        mark: mark_of(&bands, point.value).filter(|_| !point.invalid),
        flagged: point.flagged,
        invalid: point.invalid,
    };
    CurveView {
        vital: curve.vital,
        unit: curve.unit,
        unit_plain: curve.unit.plain(),
        since,
        until,
        points: curve.points.iter().map(point).collect(),
        zones: zones(&bands),
    }
}

/// The vitals of these names; all, if none are given.
pub(super) fn vitals_of(names: Option<&str>) -> Result<Vec<Vital>, String> {
    match names {
        None => Ok(vitals::VITALS.iter().map(|info| info.vital).collect()),
        Some(names) => names.split(',').map(str::parse).collect(),
    }
}

/// The person of this id.
pub fn person(app: &App, id: &str) -> Result<Person, Problem> {
    let unknown = || Problem::not_found("such patient");
    let id: PatientId = id.parse().map_err(|_| unknown())?;
    app.desk.board.person(&id).ok_or_else(unknown)
}

fn in_programme(plan: Option<&Plan>, id: &str) -> InProgramme {
    let version = plan.and_then(|plan| plan.programme_named(id)).map(triage::Programme::version);
    InProgramme { id: id.to_owned(), version }
}

fn view(person: &Person, now: Timestamp) -> PatientView {
    let plan = person.plan.as_deref();
    let limits = |info: &vitals::VitalInfo| {
        let bands = plan?.bands_at(info.vital, now);
        (!bands.is_empty()).then_some(VitalLimits { vital: info.vital, unit: info.unit, bands })
    };
    PatientView {
        id: person.patient.id.clone(),
        name: person.patient.name.clone(),
        born: person.patient.born,
        programme: person.patient.programmes.join(" "),
        programme_version: plan.map(|plan| plan.programme().version()),
        programmes: person.patient.programmes.iter().map(|id| in_programme(plan, id)).collect(),
        stratum: person.patient.stratum.clone(),
        simulated: person.patient.simulated,
        since: person.patient.since,
        colour: person.standing.map(|standing| standing.colour),
        missing: person.standing.is_some_and(|standing| standing.blue),
        limits: vitals::VITALS.iter().filter_map(limits).collect(),
        not_as_decided: person.not_as_decided.as_deref().map(str::to_owned),
    }
}
