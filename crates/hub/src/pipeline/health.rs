//! Does the pipeline take in readings, and if not, since when and why? Told to the board at least twice a second, by the pipeline itself: a
//! pipeline that hangs falls silent, and the pages see it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use desk::{Board, Intake};
use jiff::Timestamp;
use tokio::time::Instant;

use super::lanes::Lanes;
use crate::clock;

/// How often the board is told.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// A step that takes longer than this is behind.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// Shared by the judge and the recorder.
pub(super) struct Health {
    board: Arc<Board>,
    lanes: Arc<Lanes>,
    state: Mutex<State>,
}

struct State {
    judge_seen: Instant,
    trouble: Option<(Timestamp, String)>,
}

impl Health {
    pub fn new(board: Arc<Board>, lanes: Arc<Lanes>) -> Arc<Self> {
        let state = State { judge_seen: Instant::now(), trouble: None };
        Arc::new(Self { board, lanes, state: Mutex::new(state) })
    }

    /// The judge goes round its loop.
    pub fn judge_alive(&self) {
        self.lock().judge_seen = Instant::now();
    }

    /// Something does not work. Gives whether that is news.
    pub fn trouble(&self, reason: &str) -> bool {
        let mut state = self.lock();
        let news = state.trouble.is_none();
        let since = state.trouble.take().map_or_else(clock::now, |(since, _)| since);
        state.trouble = Some((since, reason.to_owned()));
        news
    }

    /// It works again. Gives since when it had not.
    pub fn well(&self) -> Option<Timestamp> {
        self.lock().trouble.take().map(|(since, _)| since)
    }

    /// Since when and why it does not work.
    pub fn why(&self) -> Option<String> {
        self.lock().trouble.as_ref().map(|(_, reason)| reason.clone())
    }

    /// Tells the board; `in_hand` messages are in a batch.
    pub fn beat(&self, in_hand: usize) {
        let now = clock::now();
        let (fresh, late) = self.lanes.waiting();
        let queued = fresh + late;
        metrics::gauge!("vagt_intake_queue_messages").set(queued as f64);
        metrics::gauge!("vagt_intake_late_messages").set(late as f64);
        metrics::gauge!("vagt_intake_queue_bytes").set(self.lanes.bytes() as f64);
        let (behind_since, reason) = {
            let state = self.lock();
            let stuck = state.judge_seen.elapsed();
            match &state.trouble {
                Some((since, reason)) => (Some(*since), Some(reason.clone())),
                None if stuck > SLOW => (Some(now - stuck), Some("the triage does not answer".to_owned())),
                None => (None, None),
            }
        };
        self.board.intake(Intake { at: now, behind_since, reason, waiting: queued + in_hand });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
