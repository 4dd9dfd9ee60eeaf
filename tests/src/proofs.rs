//! What must be true of a store after whatever happened: every message that was acknowledged is there once, every due alert was raised once.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use store::Store;
use tokio::time::{Instant, sleep};
use triage::{EventKind, Mark};
use vitals::{Value, Vital};

use crate::clinic::KitLogin;

/// What a kit has sent: one reading of each message, by seq.
pub type Sent = BTreeMap<u64, Value>;

/// Each message is stored once, with the reading that it had, digit for digit, and nothing else is.
///
/// # Errors
/// The first that is not.
pub async fn every_message_once(store: &dyn Store, login: &KitLogin, sent: &Sent) -> Result<()> {
    let mut stored = BTreeMap::new();
    for message in store.messages(&login.patient, Timestamp::UNIX_EPOCH).await? {
        let [reading] = &message.readings[..] else {
            bail!("{} of {}: {} readings", message.key.seq, login.kit, message.readings.len())
        };
        ensure!(
            stored.insert(message.key.seq, reading.value.to_string()).is_none(),
            "{} {} twice",
            login.kit,
            message.key.seq
        );
    }
    let missing: Vec<_> = sent.keys().filter(|seq| !stored.contains_key(seq)).collect();
    ensure!(missing.is_empty(), "{}: acknowledged and not stored: {missing:?}", login.kit);
    let sent: BTreeMap<_, _> = sent.iter().map(|(seq, value)| (*seq, value.to_string())).collect();
    ensure!(stored == sent, "{}: {} sent, {} stored", login.kit, sent.len(), stored.len());
    Ok(())
}

/// Nobody closes anything: a patient with readings of `red` has one red alert, raised once, open, and fed by each of them once; without one
/// there is none. Whatever the order was in which they came.
///
/// # Errors
/// What is otherwise.
pub async fn every_due_alert_once(store: &dyn Store, login: &KitLogin, sent: &Sent, red: Value) -> Result<()> {
    let reds = sent.values().filter(|value| **value == red).count();
    let alerts = store.alerts_of(&login.patient, 100).await?;
    let found: Vec<_> = alerts.iter().filter(|alert| alert.mark == Mark::Red).collect();
    ensure!(found.len() == usize::from(reds > 0), "{}: {reds} red readings, red alerts: {found:#?}", login.patient);
    let Some(alert) = found.first() else { return Ok(()) };
    let (_, events) = store.alert(alert.id).await?.context("its history")?;
    let raised = events.iter().filter(|event| event.kind == EventKind::Raised).count();
    ensure!(raised == 1 && alert.state.is_open(), "{}: raised {raised} times: {events:#?}", login.patient);
    let fed = alert.count as usize;
    ensure!(fed == reds, "{}: {reds} red readings, fed {fed} times: {events:#?}", login.patient);
    Ok(())
}

/// The same where nothing but the red readings is out of the ordinary, and there are some: no other alert of any kind.
///
/// # Errors
/// What is otherwise.
pub async fn one_alert_alone(store: &dyn Store, login: &KitLogin, sent: &Sent, red: Value) -> Result<()> {
    ensure!(sent.values().any(|value| *value == red), "{}: no red reading in {} messages", login.kit, sent.len());
    let alerts = store.alerts_of(&login.patient, 100).await?;
    ensure!(alerts.len() == 1, "{}: {} alerts: {alerts:#?}", login.patient, alerts.len());
    every_due_alert_once(store, login, sent, red).await
}

/// Each value that a device of the home has measured of a vital (of a blow into the spirometer its FEV1) comes to be stored, once.
///
/// # Errors
/// When one does not, in time, or something is stored that was not measured.
pub async fn every_value_once(
    store: &dyn Store,
    login: &KitLogin,
    vital: Vital,
    measured: &[String],
    within: Duration,
) -> Result<()> {
    let until = Instant::now() + within;
    loop {
        let mut found: Vec<String> = Vec::new();
        for message in store.messages(&login.patient, Timestamp::UNIX_EPOCH).await? {
            let readings = message.readings.iter().filter(|reading| reading.vital == vital);
            found.extend(readings.map(|reading| reading.value.to_string()));
        }
        found.sort();
        if found == measured {
            return Ok(());
        }
        ensure!(found.len() <= measured.len() && Instant::now() < until, "measured {measured:?}, stored {found:?}");
        sleep(Duration::from_millis(200)).await;
    }
}
