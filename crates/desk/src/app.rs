//! What every handler shares: the desk, and what it needs besides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::HeaderMap;
use jiff::Timestamp;
use store::{Curve, StoreError};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant, timeout, timeout_at},
};
use vitals::{PatientId, Vital};

use crate::{
    Desk, Refusal, Refused, Tuning, Ward, clock,
    events::EVENT_PAGES_MAX,
    limit::SignInLimit,
    names::Names,
    say::Say,
    session::{Session, Sessions, token},
};

/// Curves kept for the queue's cards.
const CURVES_MAX: usize = 1024;
/// Points of a curve on a card: 14 days at twenty a day.
const CURVE_POINTS_MAX: u32 = 280;
/// A card's curve may be this old; it is read anew when its alert changes.
const CURVE_SECONDS_MAX: i64 = 60;
/// How long a page waits for what it can do without.
const READ_MAX: Duration = Duration::from_secs(5);
/// The same while the core is behind already.
const READ_BEHIND_MAX: Duration = Duration::from_secs(2);
/// After one such read in vain, none is tried for so long.
const READ_AGAIN: Duration = Duration::from_secs(2);

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
    /// Who was signed in when the store last said so.
    pub sessions: Sessions,
    /// Until then the store is not asked for what a page can do without.
    unread_until: Mutex<Option<Instant>>,
}

fn alone() -> Refused {
    Refused::new(Refusal::Failed, "this desk runs without the clinic's service")
}

type CurveKey = (PatientId, Vital);

/// When it was read, for which version of its alert.
type CachedCurve = (Timestamp, u32, Arc<Curve>);

impl App {
    pub fn new(desk: Desk) -> Arc<Self> {
        Arc::new(Self {
            desk,
            limit: SignInLimit::new(),
            pages: Arc::new(Semaphore::new(EVENT_PAGES_MAX)),
            form_secret: token(),
            names: Names::default(),
            curves: Mutex::new(HashMap::new()),
            sessions: Sessions::default(),
            unread_until: Mutex::default(),
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

    /// A read that a page can do without: the queue is in memory, and is shown while the store does not answer. `None`: it failed, or took too
    /// long.
    pub async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        if self.is_unread() {
            return None;
        }
        match timeout(self.patience(), read).await {
            Ok(Ok(read)) => return Some(read),
            Ok(Err(error)) => tracing::warn!(%error, "a page does without"),
            Err(_) => tracing::warn!("a page does without: the store does not answer"),
        }
        *self.unread_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + READ_AGAIN);
        None
    }

    /// Who asks. While the store does not answer, who was signed in stays so.
    ///
    /// # Errors
    /// The store fails, and nothing is remembered of who asks.
    pub async fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, StoreError> {
        let now = clock::now();
        let remembered = self.sessions.lately(headers, now);
        let mut find = std::pin::pin!(Session::find(&*self.desk.store, headers, now));
        let found = match remembered {
            None => find.await?,
            Some(remembered) => {
                let soon = if self.is_unread() { Duration::ZERO } else { self.patience() };
                match timeout_at(Instant::now() + soon, &mut find).await {
                    Ok(Ok(found)) => found,
                    Ok(Err(_)) | Err(_) => return Ok(Some(remembered)),
                }
            }
        };
        self.sessions.note(headers, found.as_ref(), now);
        Ok(found)
    }

    fn is_unread(&self) -> bool {
        let until = *self.unread_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn patience(&self) -> Duration {
        if self.desk.board.liveness(clock::now()).live { READ_MAX } else { READ_BEHIND_MAX }
    }

    /// The valid values of one vital since `since`, kept for a short while: many pages draw the same cards.
    pub async fn card_curve(
        &self,
        patient: &PatientId,
        vital: Vital,
        since: Timestamp,
        alert_version: u32,
    ) -> Arc<Curve> {
        let now = clock::now();
        let key = (patient.clone(), vital);
        let known = self.cached(&key);
        let fresh = |at: Timestamp| now.as_second() - at.as_second() < CURVE_SECONDS_MAX;
        if let Some((_, _, curve)) = known.as_ref().filter(|(at, version, _)| fresh(*at) && *version == alert_version) {
            return Arc::clone(curve);
        }
        let none = || Curve { vital, unit: vital.unit(), points: Vec::new() };
        let Some(mut read) = self.read(self.desk.store.curves(patient, &[vital], since, CURVE_POINTS_MAX)).await else {
            return known.map_or_else(|| Arc::new(none()), |(_, _, curve)| curve);
        };
        let mut curve = read.pop().unwrap_or_else(none);
        curve.points.retain(|point| !point.invalid);
        let curve = Arc::new(curve);
        let mut curves = self.curves.lock().unwrap_or_else(PoisonError::into_inner);
        if curves.len() >= CURVES_MAX {
            curves.clear();
        }
        curves.insert(key, (now, alert_version, curve.clone()));
        curve
    }

    fn cached(&self, key: &CurveKey) -> Option<CachedCurve> {
        self.curves.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}
