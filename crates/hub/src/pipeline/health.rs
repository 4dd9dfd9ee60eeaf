//! Does the pipeline take in readings, and if not, since when and why? Told to the board at least twice a second, by the pipeline itself: a
//! pipeline that hangs falls silent, and the pages see it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use desk::{Board, Intake};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::lanes::Lanes;
use crate::clock;

/// How often the board is told.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// A step that takes longer than this is behind.
pub(super) const SLOW: Duration = Duration::from_secs(2);
/// How long nothing that is written may come through to the store. A sign of life is written every two seconds.
const UNHEARD_MAX: Duration = Duration::from_secs(4);
/// What is said then.
const UNHEARD: &str = "the store does not answer";

/// Shared by the judge and the recorder.
pub(super) struct Health {
    board: Arc<Board>,
    lanes: Arc<Lanes>,
    state: Mutex<State>,
}

struct State {
    judge_seen: Instant,
    trouble: Option<(Timestamp, String)>,
    /// Since when nothing came through to the store. Not the same as the trouble: each ends by itself.
    unheard: Option<Timestamp>,
}

impl State {
    fn why(&self) -> Option<(Timestamp, String)> {
        self.trouble.clone().or_else(|| self.unheard.map(|since| (since, UNHEARD.to_owned())))
    }
}

impl Health {
    pub fn new(board: Arc<Board>, lanes: Arc<Lanes>) -> Arc<Self> {
        let state = State { judge_seen: Instant::now(), trouble: None, unheard: None };
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

    /// Why it does not work.
    pub fn why(&self) -> Option<String> {
        self.lock().why().map(|(_, reason)| reason)
    }

    /// So long ago something came through to the store.
    fn heard(&self, ago: Duration) {
        let mut state = self.lock();
        match state.unheard {
            None if ago >= UNHEARD_MAX => {
                state.unheard = Some(clock::now() - ago);
                tracing::warn!("{UNHEARD}: nothing came through to it for {} s", ago.as_secs());
            }
            Some(since) if ago < UNHEARD_MAX => {
                state.unheard = None;
                tracing::info!("the store answers again; it had not since {since}");
            }
            _ => {}
        }
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
            match state.why() {
                Some((since, reason)) => (Some(since), Some(reason)),
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

/// Looks without end whether what is written comes through to the store. A leader that is cut off may have nothing to commit, and would seem well.
pub(super) async fn listen(health: Arc<Health>, heard: watch::Receiver<Instant>) {
    loop {
        sleep(BEAT).await;
        let last = *heard.borrow();
        health.heard(last.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use store::Roster;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_told_until_it_does() {
        let board = Board::new(Vec::new(), Roster::default(), Vec::new(), HashMap::new());
        let health = Health::new(Arc::clone(&board), Lanes::new());
        let (signs, heard) = watch::channel(Instant::now());
        let listening = tokio::spawn(listen(Arc::clone(&health), heard));
        let shown = || {
            health.judge_alive();
            health.beat(0);
            board.liveness(clock::now())
        };
        sleep(Duration::from_secs(3)).await;
        assert!(shown().live, "one sign of life was late");
        sleep(Duration::from_secs(2)).await;
        assert_eq!((shown().live, shown().reason.as_deref()), (false, Some(UNHEARD)));
        assert_eq!(health.why().as_deref(), Some(UNHEARD));

        // A commit that fails says more, and one that works does not end this.
        assert!(health.trouble("the disk is full"));
        assert_eq!(shown().reason.as_deref(), Some("the disk is full"));
        assert!(health.well().is_some());
        assert!(!shown().live);

        signs.send_replace(Instant::now());
        sleep(BEAT * 2).await;
        assert!(shown().live && health.why().is_none());
        listening.abort();
    }
}
