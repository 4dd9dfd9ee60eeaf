//! Charts are derived: what is stored, folded through the same triage, gives the chart again; on start, on first need, after a crash.
//!
//! Deadlines are judged on the way as the messages were, each as at its own time. A silence that was already told (there is an alert that says
//! so, open or ended) is not told again; one that nobody was told of is judged by the next tick.

use jiff::{SignedDuration, Timestamp};
use store::{Store, StoreError, StoredMessage};
use triage::{Alert, Chart, Event, Plan, Reason, Sitting, assess};

/// How far back a chart is built from. A judgement older than this no longer stands after a restart.
pub const CHART_HISTORY: SignedDuration = SignedDuration::from_hours(24 * 35);
/// How many of a patient's alerts are asked for the silences that were told.
const ALERTS_ASKED_MAX: u32 = 64;

/// Builds a patient's chart from the store.
///
/// # Errors
/// The store can't be read.
pub async fn load(store: &dyn Store, plan: &Plan, now: Timestamp) -> Result<Chart, StoreError> {
    let since = now.checked_sub(CHART_HISTORY).unwrap_or(Timestamp::MIN);
    let messages = store.messages(plan.patient(), since).await?;
    let alerts = store.alerts_of(plan.patient(), ALERTS_ASKED_MAX).await?;
    let open = store.open_alerts(Some(plan.patient())).await?;
    Ok(rebuild(plan, since, &messages, &alerts, open))
}

fn rebuild(plan: &Plan, since: Timestamp, messages: &[StoredMessage], alerts: &[Alert], open: Vec<Alert>) -> Chart {
    let mut chart = Chart::new().with_silence_judged(since);
    for message in messages {
        let StoredMessage { key, recorded_at, readings, answers } = message;
        let sitting = Sitting { kit: &key.kit, seq: key.seq, readings, answers };
        assess(&mut chart, plan, &Event::Sitting(sitting), *recorded_at);
    }
    if let Some(told) = alerts.iter().filter_map(silence_told).max() {
        assess(&mut chart, plan, &Event::Tick, told);
    }
    chart.with_alerts(open)
}

/// The last deadline that this alert told of.
fn silence_told(alert: &Alert) -> Option<Timestamp> {
    let of_finding = |reason: &Reason| match reason {
        Reason::Missing { overdue_at, .. } => Some(*overdue_at),
        _ => None,
    };
    alert.findings.iter().filter_map(|finding| of_finding(&finding.reason)).max()
}
