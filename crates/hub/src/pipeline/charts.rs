//! Charts are derived: what is stored, folded through the same triage, gives the chart again; on start, on first need, after a crash.
//!
//! Deadlines are judged on the way as the messages were, each as at its own time. A silence that was already told (there is an alert that says
//! so, open or ended) is not told again; one that nobody was told of is judged by the next tick. What was stored while the hub's clock was
//! ahead says nothing of the time to come: else a clock that leapt once would leave a silence untold for ever.

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
    let mut chart = fold(plan, since, &messages, now);
    if let Some(told) = alerts.iter().flat_map(silences_told).filter(|told| *told <= now).max() {
        assess(&mut chart, plan, &Event::Tick, told);
    }
    Ok(chart.with_alerts(open))
}

fn fold(plan: &Plan, since: Timestamp, messages: &[StoredMessage], now: Timestamp) -> Chart {
    let mut chart = Chart::new().with_silence_judged(since);
    let mut at = since;
    for message in messages {
        at = recorded(message, at, now);
        let StoredMessage { key, readings, answers, .. } = message;
        let sitting = Sitting { kit: &key.kit, seq: key.seq, readings, answers };
        assess(&mut chart, plan, &Event::Sitting(sitting), at);
    }
    chart
}

/// When a message was recorded. What says that it will be came while the clock was ahead: it came after what is `before` it, and after it
/// was measured, as far as that is known.
fn recorded(message: &StoredMessage, before: Timestamp, now: Timestamp) -> Timestamp {
    if message.recorded_at <= now {
        return message.recorded_at;
    }
    let measured = message.readings.iter().map(|reading| reading.measured_at);
    let answered = message.answers.iter().map(|answer| answer.answered_at);
    measured.chain(answered).max().unwrap_or(before).max(before).min(now)
}

/// The deadlines that this alert told of.
fn silences_told(alert: &Alert) -> impl Iterator<Item = Timestamp> {
    alert.findings.iter().filter_map(|finding| match finding.reason {
        Reason::Missing { overdue_at, .. } => Some(overdue_at),
        _ => None,
    })
}
