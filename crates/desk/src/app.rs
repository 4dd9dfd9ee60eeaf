//! What every handler shares: the desk, and what it needs besides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use store::{Curve, StoreError};
use tokio::sync::Semaphore;
use vitals::{PatientId, Vital};

use crate::{
    Desk, Refusal, Refused, Tuning, Ward, clock,
    events::EVENT_PAGES_MAX,
    limit::SignInLimit,
    names::Names,
    say::Say,
    session::{Session, token},
};

/// Curves kept for the queue's cards.
const CURVES_MAX: usize = 1024;
/// Points of a curve on a card: 14 days at twenty a day.
const CURVE_POINTS_MAX: u32 = 280;
/// A card's curve may be this old; it is read anew when its alert changes.
const CURVE_SECONDS_MAX: i64 = 60;

/// Shared by every handler.
pub struct App {
    /// What the hub gave.
    pub desk: Desk,
    /// Sign-in's limiters.
    pub limit: SignInLimit,
    /// Room for open event streams.
    pub pages: Arc<Semaphore>,
    /// Ties sign-in forms to this process.
    pub form_secret: String,
    /// What colleagues are called.
    pub names: Names,
    curves: Mutex<HashMap<CurveKey, CachedCurve>>,
}

fn alone() -> Refused {
    Refused::new(Refusal::Failed, "this desk runs without the clinic's service")
}

type CurveKey = (PatientId, Vital);

struct CachedCurve {
    read_at: Timestamp,
    alert_version: u32,
    curve: Arc<Curve>,
}

impl App {
    pub fn new(desk: Desk) -> Arc<Self> {
        Arc::new(Self {
            desk,
            limit: SignInLimit::new(),
            pages: Arc::new(Semaphore::new(EVENT_PAGES_MAX)),
            form_secret: token(),
            names: Names::default(),
            curves: Mutex::new(HashMap::new()),
        })
    }

    /// Programmes and questions to the history.
    pub fn tuning(&self) -> Result<&dyn Tuning, Refused> {
        self.desk.tuning.as_deref().ok_or_else(alone)
    }

    /// What the service knows of one patient.
    pub fn ward(&self) -> Result<&dyn Ward, Refused> {
        self.desk.ward.as_deref().ok_or_else(alone)
    }

    /// How to say things to this person now.
    pub fn say(&self, session: &Session) -> Say<'_> {
        Say { words: session.words(), zone: &self.desk.zone, now: clock::now(), names: Some(&self.names) }
    }

    /// The valid values of one vital since `since`, kept for a short while: many pages draw the same cards.
    pub async fn card_curve(
        &self,
        patient: &PatientId,
        vital: Vital,
        since: Timestamp,
        alert_version: u32,
    ) -> Result<Arc<Curve>, StoreError> {
        let now = clock::now();
        let key = (patient.clone(), vital);
        if let Some(curve) = self.cached(&key, now, alert_version) {
            return Ok(curve);
        }
        let mut read = self.desk.store.curves(patient, &[vital], since, CURVE_POINTS_MAX).await?;
        let mut curve = read.pop().unwrap_or(Curve { vital, unit: vital.unit(), points: Vec::new() });
        curve.points.retain(|point| !point.invalid);
        let curve = Arc::new(curve);
        let mut curves = self.curves.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if curves.len() >= CURVES_MAX {
            curves.clear();
        }
        curves.insert(key, CachedCurve { read_at: now, alert_version, curve: curve.clone() });
        Ok(curve)
    }

    fn cached(&self, key: &CurveKey, now: Timestamp, alert_version: u32) -> Option<Arc<Curve>> {
        let curves = self.curves.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let cached = curves.get(key)?;
        let fresh =
            now.as_second() - cached.read_at.as_second() < CURVE_SECONDS_MAX && cached.alert_version == alert_version;
        fresh.then(|| cached.curve.clone())
    }
}
