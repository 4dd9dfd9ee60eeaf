//! What must be true after a round: every acknowledged reading once, every due alert raised once, the way of the judge retold byte for byte.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use store::Store;
use triage::{EventKind, Mark};
use vitals::{Value, Vital};

use super::load::{Kit, RED};
use crate::clinic::{Clinic, KitLogin};

/// How long the last blow may take: a kit that was cut off again and again waits for up to a minute before it tries again.
const BLOWS_WITHIN: std::time::Duration = std::time::Duration::from_secs(150);

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Counted {
    /// Messages that were acknowledged, each stored once.
    pub messages: usize,
    /// Alerts, each raised once.
    pub alerts: u64,
    /// How often the hub began.
    pub starts: u64,
}

/// Checks the load.
///
/// # Errors
/// What is not true.
pub async fn all(clinic: &Clinic, kits: &[std::sync::Arc<Kit>]) -> Result<Counted> {
    let store = clinic.store().await?;
    let mut messages = 0;
    for kit in kits {
        let (sent, rejected) = {
            let state = kit.state();
            (state.sent.clone(), state.rejected.clone())
        };
        ensure!(rejected.is_empty(), "good messages of {} were rejected: {rejected:?}", kit.login.kit);
        messages += sent.len();
        every_message_once(&store, &kit.login, &sent).await?;
        every_due_alert_once(&store, &kit.login, &sent).await?;
    }
    let said = clinic.vagt(&["replay", "--stored", "--verify"]).await.with_context(|| clinic.log())?;
    let last = said.last().context("replay says nothing")?;
    ensure!(last["verified"] == true && last["alerts_before"] == 0, "{last}");
    let number = |name: &str| last[name].as_u64().unwrap_or_default();
    Ok(Counted { messages, alerts: number("alerts"), starts: number("starts") })
}

async fn every_message_once(store: &impl Store, login: &KitLogin, sent: &BTreeMap<u64, Value>) -> Result<()> {
    let mut stored = BTreeMap::new();
    for message in store.messages(&login.patient, Timestamp::UNIX_EPOCH).await? {
        let [reading] = &message.readings[..] else {
            bail!("{} of {}: {} readings", message.key.seq, login.kit, message.readings.len())
        };
        ensure!(stored.insert(message.key.seq, reading.value).is_none(), "{} {} twice", login.kit, message.key.seq);
    }
    let missing: Vec<_> = sent.keys().filter(|seq| !stored.contains_key(seq)).collect();
    ensure!(missing.is_empty(), "{}: acknowledged and not stored: {missing:?}", login.kit);
    ensure!(stored == *sent, "{}: {} sent, {} stored", login.kit, sent.len(), stored.len());
    Ok(())
}

/// Nobody closes anything: a patient with a red reading has one red alert, raised once, fed by each red reading once.
async fn every_due_alert_once(store: &impl Store, login: &KitLogin, sent: &BTreeMap<u64, Value>) -> Result<()> {
    let reds = sent.values().filter(|value| **value == Value::new(RED, 0)).count();
    let alerts = store.alerts_of(&login.patient, 100).await?;
    let red: Vec<_> = alerts.iter().filter(|alert| alert.mark == Mark::Red).collect();
    ensure!(red.len() == usize::from(reds > 0), "{}: {reds} red readings, red alerts: {red:#?}", login.patient);
    let Some(alert) = red.first() else { return Ok(()) };
    let (_, events) = store.alert(alert.id).await?.context("its history")?;
    let raised = events.iter().filter(|event| event.kind == EventKind::Raised).count();
    ensure!(raised == 1 && alert.state.is_open(), "{}: raised {raised} times: {events:#?}", login.patient);
    let fed = alert.count as usize;
    ensure!(fed == reds, "{}: {reds} red readings, fed {fed} times: {events:#?}", login.patient);
    Ok(())
}

/// Each blow into the spirometer of the home is stored once, by its FEV1.
///
/// # Errors
/// When one is not, in time.
pub async fn every_blow_once(clinic: &Clinic, login: &KitLogin, blown: &[String]) -> Result<()> {
    let store = clinic.store().await?;
    let until = tokio::time::Instant::now() + BLOWS_WITHIN;
    loop {
        let mut fev1: Vec<String> = Vec::new();
        for message in store.messages(&login.patient, Timestamp::UNIX_EPOCH).await? {
            let readings = message.readings.iter().filter(|reading| reading.vital == Vital::Fev1);
            fev1.extend(readings.map(|reading| reading.value.to_string()));
        }
        fev1.sort();
        if fev1 == blown {
            return Ok(());
        }
        ensure!(fev1.len() <= blown.len() && tokio::time::Instant::now() < until, "blown {blown:?}, stored {fev1:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
