//! Long questions asked over HTTP: started, watched, cancelled, and their answers kept for a while. One runs at a time; a few wait.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{agreement::tidy, beside::Beside, fold::Watch};
use crate::clock::Clock;

/// How many run at once.
pub const RUNNING_MAX: usize = 1;
/// How many wait.
pub const WAITING_MAX: usize = 4;
/// How many answers are kept, the newest.
pub const KEPT_MAX: usize = 16;

/// A question on its way to an answer. It may block the thread that it runs on.
pub type Question = Box<dyn FnOnce(Arc<Watch>) -> Answering + Send>;
/// The answer to be, or why there is none.
pub type Answering = Pin<Box<dyn Future<Output = Result<Value, String>>>>;

/// The questions that run, wait, or were answered lately.
pub struct Jobs {
    jobs: Arc<Mutex<VecDeque<Job>>>,
    running: Arc<Semaphore>,
    clock: Clock,
    beside: Beside,
}

struct Job {
    view: View,
    watch: Arc<Watch>,
    answer: Option<Value>,
}

/// How a question stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// Its id.
    pub id: String,
    /// What kind: `backtest`, `budget`.
    pub kind: String,
    /// Who asked.
    pub by: String,
    /// When.
    pub asked_at: Timestamp,
    /// How far it is.
    pub state: State,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The share that is done.
    pub share: f64,
    /// Messages judged so far.
    pub messages: u64,
    /// Readings so far.
    pub readings: u64,
    /// How long it will take still, in seconds, if it goes on as so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
    /// Why there is no answer: it failed, or was cancelled before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Others come first.
    Waiting,
    /// It runs.
    Running,
    /// It was cancelled; what was known then is its answer, if anything was.
    Cancelled,
    /// It has an answer.
    Done,
    /// It has none: see `error`.
    Failed,
}

/// Too many questions wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found} questions waiting, at most {WAITING_MAX} may")]
pub struct Full {
    /// How many.
    pub found: usize,
}

impl Jobs {
    /// None yet; those under way end with what judges `beside`.
    #[must_use]
    pub fn new(clock: Clock, beside: Beside) -> Self {
        Self { jobs: Arc::default(), running: Arc::new(Semaphore::new(RUNNING_MAX)), clock, beside }
    }

    /// Begins with a question, or lets it wait; gives how it stands. Must be called within a runtime.
    ///
    /// # Errors
    /// [`Full`].
    pub fn start(&self, kind: &str, by: &str, question: Question) -> Result<View, Full> {
        let mut jobs = self.lock();
        let found = jobs.iter().filter(|job| job.view.state == State::Waiting).count();
        if found >= WAITING_MAX {
            return Err(Full { found });
        }
        let view = View {
            id: uuid::Uuid::now_v7().to_string(),
            kind: kind.to_owned(),
            by: by.to_owned(),
            asked_at: (self.clock)(),
            state: State::Waiting,
            started_at: None,
            ended_at: None,
            share: 0.0,
            messages: 0,
            readings: 0,
            seconds_left: None,
            error: None,
        };
        let watch = Arc::new(Watch::default());
        let (id, known) = (view.id.clone(), view.clone());
        jobs.push_back(Job { view, watch: Arc::clone(&watch), answer: None });
        forget_oldest(&mut jobs);
        drop(jobs);
        let desk =
            Desk { jobs: Arc::clone(&self.jobs), clock: Arc::clone(&self.clock), beside: self.beside.clone(), id };
        tokio::spawn(desk.see_to(Arc::clone(&self.running), watch, question));
        Ok(known)
    }

    /// How a question stands; none that is not known any more.
    #[must_use]
    pub fn view(&self, id: &str) -> Option<View> {
        let now = (self.clock)();
        self.lock().iter().find(|job| job.view.id == id).map(|job| job.now(now))
    }

    /// Every one that is known, the newest first.
    #[must_use]
    pub fn all(&self) -> Vec<View> {
        let now = (self.clock)();
        self.lock().iter().rev().map(|job| job.now(now)).collect()
    }

    /// The answer, where there is one.
    #[must_use]
    pub fn answer(&self, id: &str) -> Option<Value> {
        self.lock().iter().find(|job| job.view.id == id)?.answer.clone()
    }

    /// Ends a question as soon as may be; `false` if it is not known.
    pub fn cancel(&self, id: &str) -> bool {
        let jobs = self.lock();
        let found = jobs.iter().find(|job| job.view.id == id);
        found.inspect(|job| job.watch.cancel()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves out the oldest that have ended, where more are kept than may be.
fn forget_oldest(jobs: &mut VecDeque<Job>) {
    while jobs.len() > KEPT_MAX {
        let Some(ended) = jobs.iter().position(|job| job.view.ended_at.is_some()) else { return };
        jobs.remove(ended);
    }
}

impl Job {
    fn now(&self, now: Timestamp) -> View {
        let mut view = self.view.clone();
        (view.messages, view.readings) = self.watch.counts();
        if view.state == State::Done {
            view.share = 1.0;
            return view;
        }
        view.share = tidy(self.watch.share());
        if let (State::Running, Some(started)) = (view.state, view.started_at)
            && view.share > 0.0
        {
            let taken = now.duration_since(started).as_secs_f64();
            view.seconds_left = Some(tidy(taken * (1.0 - view.share) / view.share));
        }
        view
    }
}

/// Sees to one question.
struct Desk {
    jobs: Arc<Mutex<VecDeque<Job>>>,
    clock: Clock,
    beside: Beside,
    id: String,
}

impl Desk {
    async fn see_to(self, running: Arc<Semaphore>, watch: Arc<Watch>, question: Question) {
        let Ok(_turn) = running.acquire_owned().await else { return };
        let place = self.beside.place().await.filter(|_| !watch.is_cancelled());
        let Some(place) = place else { return self.end(State::Cancelled, None, None) };
        let now = (self.clock)();
        self.change(|job| (job.view.state, job.view.started_at) = (State::Running, Some(now)));
        let runtime = tokio::runtime::Handle::current();
        let asked = Arc::clone(&watch);
        let answering = tokio::task::spawn_blocking(move || {
            let answer = place.block_on(&runtime, question(asked));
            answer.unwrap_or_else(|| Err("the service is stopping".to_owned()))
        });
        match answering.await {
            Ok(Ok(answer)) if watch.is_cancelled() => self.end(State::Cancelled, Some(answer), None),
            Ok(Ok(answer)) => self.end(State::Done, Some(answer), None),
            Ok(Err(error)) if watch.is_cancelled() => self.end(State::Cancelled, None, Some(error)),
            Ok(Err(error)) => self.end(State::Failed, None, Some(error)),
            Err(error) => {
                tracing::error!("a question of tuning has failed: {error}");
                self.end(State::Failed, None, Some("it failed inside, which is a fault of the program".to_owned()));
            }
        }
    }

    fn end(&self, state: State, answer: Option<Value>, error: Option<String>) {
        let now = (self.clock)();
        self.change(|job| {
            (job.view.state, job.view.ended_at, job.view.error) = (state, Some(now), error);
            job.answer = answer;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Job)) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = jobs.iter_mut().find(|job| job.view.id == self.id) {
            change(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn answer(text: &'static str) -> Question {
        Box::new(move |_| Box::pin(async move { Ok(Value::from(text)) }))
    }

    /// Runs until it is cancelled.
    fn endless() -> Question {
        Box::new(|watch| {
            Box::pin(async move {
                while !watch.is_cancelled() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(Value::from("partial"))
            })
        })
    }

    async fn ended(jobs: &Jobs, id: &str) -> View {
        loop {
            let view = jobs.view(id).unwrap();
            if view.ended_at.is_some() {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn jobs() -> Jobs {
        Jobs::new(crate::clock::wall(), Beside::new(tokio_util::sync::CancellationToken::new()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_after_the_other_and_each_has_its_answer() {
        let jobs = jobs();
        let first = jobs.start("backtest", "ane", answer("one")).unwrap();
        let second = jobs.start("backtest", "bo", answer("two")).unwrap();
        assert_eq!(ended(&jobs, &first.id).await.state, State::Done);
        assert_eq!(ended(&jobs, &second.id).await.state, State::Done);
        assert_eq!((jobs.answer(&first.id), jobs.answer(&second.id)), (Some("one".into()), Some("two".into())));
        assert_eq!(jobs.all().iter().map(|view| view.by.as_str()).collect::<Vec<_>>(), ["bo", "ane"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn too_many_are_refused_and_a_cancelled_one_tells_what_it_knows() {
        let jobs = jobs();
        let first = jobs.start("backtest", "ane", endless()).unwrap();
        while jobs.view(&first.id).unwrap().state == State::Waiting {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| jobs.start("backtest", "bo", answer("late")).unwrap()).collect();
        assert_eq!(jobs.start("backtest", "bo", answer("no")), Err(Full { found: WAITING_MAX }));
        assert!(jobs.cancel(&waiting[0].id) && jobs.cancel(&first.id) && !jobs.cancel("nobody"));
        assert_eq!(ended(&jobs, &first.id).await.state, State::Cancelled);
        assert_eq!(jobs.answer(&first.id), Some("partial".into()));
        assert_eq!(ended(&jobs, &waiting[0].id).await.state, State::Cancelled);
        assert_eq!((jobs.answer(&waiting[0].id), ended(&jobs, &waiting[1].id).await.state), (None, State::Done));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cancelled_one_that_knows_nothing_yet_has_not_failed() {
        let jobs = jobs();
        let nothing: Question = Box::new(|watch| {
            Box::pin(async move {
                while !watch.is_cancelled() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err("it was ended before there was an answer".to_owned())
            })
        });
        let asked = jobs.start("budget", "ane", nothing).unwrap();
        assert!(jobs.cancel(&asked.id));
        let view = ended(&jobs, &asked.id).await;
        assert_eq!((view.state, jobs.answer(&asked.id)), (State::Cancelled, None));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn old_answers_are_forgotten() {
        let jobs = jobs();
        let first = jobs.start("backtest", "ane", answer("old")).unwrap();
        ended(&jobs, &first.id).await;
        for _ in 0..KEPT_MAX {
            let next = jobs.start("backtest", "ane", answer("new")).unwrap();
            ended(&jobs, &next.id).await;
        }
        assert_eq!((jobs.view(&first.id), jobs.all().len()), (None, KEPT_MAX));
    }
}
