//! Why an alert was raised, and why nobody was told: as it is asked over HTTP and by the command line alike.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use store::{Store, StoreError};
use triage::{Alert, AlertId, Finding, Mark, Quiet, State as AlertState, Why, why_not};
use vitals::PatientId;

use crate::{
    Ward,
    tuning::{Refusal, Refused},
};

/// How far back a rule's findings are counted.
pub const FIRED_AGE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Alerts of one patient that are looked through for that: the newest.
const ALERTS_MAX: u32 = 200;

/// Why an alert is as it is.
#[derive(Debug, Serialize)]
pub struct WhyAlert {
    /// Which.
    pub alert: AlertId,
    /// Whose.
    pub patient: PatientId,
    /// Is the person simulated?
    pub simulated: bool,
    /// Its mark.
    pub mark: Mark,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// Where it stands.
    pub state: AlertState,
    /// Its findings, worst first.
    pub findings: Vec<Explained>,
}

/// One finding, explained.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// Why it is as it is.
    #[serde(flatten)]
    pub why: Why,
    /// Of the patient's alerts of the last 30 days, those that this rule fed.
    pub fired_30_days: usize,
}

/// Explains an alert, open or ended.
///
/// # Errors
/// There is no such alert, nothing is known of what the patient was judged by, or the store fails.
pub async fn why_alert(
    store: &dyn Store,
    ward: &dyn Ward,
    id: AlertId,
    simulated: impl FnOnce(&PatientId) -> bool,
    now: Timestamp,
) -> Result<WhyAlert, Refused> {
    let unknown = || Refused::new(Refusal::Unknown, format!("found no alert {id}"));
    let (alert, _) = store.alert(id).await?.ok_or_else(unknown)?;
    let whys = ward.why(&alert).await?;
    let lately = lately(store, &alert.patient, now).await?;
    let explained = whys
        .into_iter()
        .map(|why| Explained { fired_30_days: fired(&lately, &why.finding.programme, &why.finding.rule), why });
    let Alert { patient, mark, raised_at, state, .. } = alert;
    Ok(WhyAlert {
        alert: id,
        simulated: simulated(&patient),
        patient,
        mark,
        raised_at,
        state,
        findings: explained.collect(),
    })
}

/// A patient's alerts of the last 30 days.
pub(crate) async fn lately(store: &dyn Store, patient: &PatientId, now: Timestamp) -> Result<Vec<Alert>, StoreError> {
    let mut alerts = store.alerts_of(patient, ALERTS_MAX).await?;
    alerts.retain(|alert| now.duration_since(alert.raised_at) <= FIRED_AGE);
    Ok(alerts)
}

/// How many of them a rule fed.
pub(crate) fn fired(alerts: &[Alert], programme: &str, rule: &str) -> usize {
    let fed = |alert: &&Alert| {
        let it = |finding: &Finding| finding.programme == programme && finding.rule == rule;
        alert.ever_found().any(it)
    };
    alerts.iter().filter(fed).count()
}

/// Why nobody was told.
#[derive(Debug, Serialize)]
pub struct WhyNot {
    /// Of whom.
    pub patient: PatientId,
    /// Is the person simulated?
    pub simulated: bool,
    /// As of when.
    pub at: Timestamp,
    /// Every rule, those that were not quiet first, then the nearest to its next limit.
    pub rules: Vec<Quiet>,
}

/// Asks every rule that the patient was judged by then.
///
/// # Errors
/// The time has not come, nobody was judging the patient then, or the store fails.
pub async fn why_quiet(
    ward: &dyn Ward,
    patient: &PatientId,
    simulated: bool,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<WhyNot, Refused> {
    let at = at.unwrap_or(now);
    if at > now {
        let what = format!("at is {at}, and it is {now}: want a time that has passed");
        return Err(Refused::new(Refusal::Unfit, what));
    }
    let (plan, chart) = ward.chart(patient, at).await?;
    Ok(WhyNot { patient: patient.clone(), simulated, at, rules: why_not(&chart, &plan, at) })
}
