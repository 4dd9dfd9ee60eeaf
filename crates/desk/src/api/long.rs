//! Long curves: by hour or day, what was measured over months and years.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Span, Step};
use vitals::{Unit, Vital};

use super::patients::{person, vitals_of};
use crate::{
    app::App,
    clock,
    problem::Problem,
    spark::{Zone, zones},
};

const DAYS_DEFAULT: u16 = 365;
/// How far back they can go: by day, and by hour.
const DAYS_MAX: u16 = 3660;
const DAYS_BY_HOUR_MAX: u16 = 92;

/// Which.
#[derive(Deserialize)]
pub struct Wanted {
    days: Option<u16>,
    by: Option<By>,
    /// Names with commas between; all if not given.
    vitals: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Hour,
    Day,
}

/// One long curve with the limits of now.
#[derive(Serialize)]
pub struct LongView {
    vital: Vital,
    unit: Unit,
    unit_plain: &'static str,
    since: Timestamp,
    until: Timestamp,
    by: By,
    zones: Vec<Zone>,
    spans: Vec<Span>,
}

/// `GET /api/v1/patients/{id}/long-curves`.
pub async fn curves(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Vec<LongView>>, Problem> {
    let unfit = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let Query(wanted) = wanted.map_err(|error| unfit(error.body_text()))?;
    let by = wanted.by.unwrap_or(By::Day);
    let (step, most) = match by {
        By::Hour => (Step::Hour, DAYS_BY_HOUR_MAX),
        By::Day => (Step::Day, DAYS_MAX),
    };
    let days = wanted.days.unwrap_or(DAYS_DEFAULT.min(most));
    if !(1..=most).contains(&days) {
        return Err(unfit(format!("days is {days}, want 1 to {most}")));
    }
    let vitals = vitals_of(wanted.vitals.as_deref()).map_err(unfit)?;
    let person = person(&app, &id)?;
    let until = clock::now();
    let since = until - SignedDuration::from_hours(24 * i64::from(days));
    let curves = app.desk.store.long_curves(&person.patient.id, &vitals, since, step).await?;
    let view = |curve: store::LongCurve| LongView {
        vital: curve.vital,
        unit: curve.unit,
        unit_plain: curve.unit.plain(),
        since,
        until,
        by,
        zones: zones(&person.plan.as_deref().map(|plan| plan.bands_at(curve.vital, until)).unwrap_or_default()),
        spans: curve.spans,
    };
    Ok(Json(curves.into_iter().filter(|curve| !curve.spans.is_empty()).map(view).collect()))
}
