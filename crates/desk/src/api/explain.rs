//! Why an alert was raised, and why nobody was told.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::StoreError;
use triage::{Alert, AlertId, Quiet, Why, why, why_not};
use vitals::PatientId;

use super::{alerts::alert_id, patients::person, query, unfit};
use crate::{app::App, clock, problem::Problem};

/// How far back a rule's findings are counted.
pub const FIRED_AGE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Alerts of one patient that are looked through for that: the newest.
const ALERTS_MAX: u32 = 200;

/// Why an alert is as it is.
#[derive(Serialize)]
pub struct WhyAlert {
    alert: AlertId,
    patient: PatientId,
    simulated: bool,
    findings: Vec<Explained>,
}

/// One finding, explained.
#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    why: Why,
    /// Of the patient's alerts of the last 30 days, those that this rule fed.
    fired_30_days: usize,
}

/// `GET /api/v1/alerts/{id}/why`.
pub async fn why_alert(
    State(app): State<Arc<App>>,
    id: Result<Path<AlertId>, PathRejection>,
) -> Result<Json<WhyAlert>, Problem> {
    let id = alert_id(id)?;
    let (alert, _) = app.desk.store.alert(id).await?.ok_or_else(|| Problem::not_found("such alert"))?;
    let person = app.desk.board.person(&alert.patient);
    let plan = person.as_ref().and_then(|person| person.plan.clone());
    let plan =
        plan.ok_or_else(|| Problem::not_found("plan of that patient any more: see the findings of the alert"))?;
    let lately = lately(&app, &alert.patient, clock::now()).await?;
    let explained = alert.findings.iter().map(|finding| Explained {
        why: why(&plan, finding),
        fired_30_days: fired(&lately, &finding.programme, &finding.rule),
    });
    Ok(Json(WhyAlert {
        alert: id,
        patient: alert.patient.clone(),
        simulated: person.is_some_and(|person| person.patient.simulated),
        findings: explained.collect(),
    }))
}

/// A patient's alerts of the last 30 days.
pub async fn lately(app: &App, patient: &PatientId, now: Timestamp) -> Result<Vec<Alert>, StoreError> {
    let mut alerts = app.desk.store.alerts_of(patient, ALERTS_MAX).await?;
    alerts.retain(|alert| now.duration_since(alert.raised_at) <= FIRED_AGE);
    Ok(alerts)
}

/// How many of them a rule fed.
pub fn fired(alerts: &[Alert], programme: &str, rule: &str) -> usize {
    let fed = |alert: &&Alert| {
        let it = |finding: &triage::Finding| finding.programme == programme && finding.rule == rule;
        alert.findings.iter().any(it)
    };
    alerts.iter().filter(fed).count()
}

/// As of when.
#[derive(Deserialize)]
pub struct AsOf {
    at: Option<Timestamp>,
}

/// Why nobody was told.
#[derive(Serialize)]
pub struct WhyNot {
    patient: PatientId,
    simulated: bool,
    at: Timestamp,
    /// Every rule, those that were not quiet first, then the nearest to its next limit.
    rules: Vec<Quiet>,
}

/// `GET /api/v1/patients/{id}/why-not`.
pub async fn why_quiet(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    asked: Result<Query<AsOf>, QueryRejection>,
) -> Result<Json<WhyNot>, Problem> {
    let AsOf { at } = query(asked)?;
    let person = person(&app, &id)?;
    let now = clock::now();
    let at = at.unwrap_or(now);
    if at > now {
        return Err(unfit(format!("at is {at}, and it is {now}: want a time that has passed")));
    }
    let (plan, chart) = app.ward()?.chart(&person.patient.id, at).await?;
    let (patient, simulated) = (person.patient.id.clone(), person.patient.simulated);
    Ok(Json(WhyNot { patient, simulated, at, rules: why_not(&chart, &plan, at) }))
}
