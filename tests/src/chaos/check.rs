//! What must be true after a round: every acknowledged reading once, every due alert raised once, the way of the judge retold byte for byte.

use anyhow::{Result, ensure};
use vitals::{Value, Vital};

use super::load::{Kit, RED};
use crate::{
    clinic::{Clinic, KitLogin},
    proofs,
};

/// How long the last blow may take: a kit that was cut off again and again waits for up to a minute before it tries again, and may try the wrong
/// one of two hubs first.
const BLOWS_WITHIN: std::time::Duration = std::time::Duration::from_secs(180);

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
    let store = clinic.any_store().await?;
    let mut messages = 0;
    for kit in kits {
        let (sent, rejected) = {
            let state = kit.state();
            (state.sent.clone(), state.rejected.clone())
        };
        ensure!(rejected.is_empty(), "good messages of {} were rejected: {rejected:?}", kit.login.kit);
        messages += sent.len();
        proofs::every_message_once(&*store, &kit.login, &sent).await?;
        proofs::every_due_alert_once(&*store, &kit.login, &sent, Value::new(RED, 0)).await?;
    }
    let retold = clinic.retold().await?;
    let number = |name: &str| retold[name].as_u64().unwrap_or_default();
    Ok(Counted { messages, alerts: number("alerts"), starts: number("starts") })
}

/// Each blow into the spirometer of a home is stored once, by its FEV1.
///
/// # Errors
/// When one is not, in time.
pub async fn every_blow_once(clinic: &Clinic, login: &KitLogin, blown: &[String]) -> Result<()> {
    proofs::every_value_once(&*clinic.any_store().await?, login, Vital::Fev1, blown, BLOWS_WITHIN).await
}
