//! The demonstration's past: ninety days of simulated people go through the real pipeline, with a clock that runs fast. So history, alerts,
//! baselines, what a nurse did and what was recorded are stored as they would be in a clinic, and backtests and reports have something to show.

use std::{
    iter::Peekable,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use desk::{ActionRequest, Board, Proposed};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{JournalEntry, Roster, Store};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use triage::{Action, Alert, CloseReason, Mark, State};
use vitals::{KitId, PatientId};

use super::{
    OPERATOR,
    people::{PAST_DAYS, PEOPLE, SEED, ago, kit},
    proposal,
};
use crate::{
    cli::cohort::told,
    clock::Clock,
    cohort::{Cohort, Simulated},
    directory::Directories,
    kits::KitHeard,
    pipeline::{ACTIONS_MAX, Parts, Pipeline, acks::Outbox},
    programmes::{self, Decider, propose},
    remeasure::REMEASURES_MAX,
    roster::{self, Decided},
    source::{Arrival, Taker},
    tuning::shadow,
};

/// How often the nurse of the past looks, and deadlines are.
const STEP: SignedDuration = SignedDuration::from_hours(1);
/// An alert is taken after this long, and closed after [`CLOSED_AFTER`].
const TAKEN_AFTER: SignedDuration = SignedDuration::from_mins(30);
const CLOSED_AFTER: SignedDuration = SignedDuration::from_hours(3);
/// The hours in which she is there.
const ON_DUTY: std::ops::Range<i8> = 7..21;
/// What is raised so shortly before now waits for whoever looks at the demonstration.
const LEFT_OPEN: SignedDuration = SignedDuration::from_hours(18);
/// The newest of the past is this old.
const ENDS_BEFORE: SignedDuration = SignedDuration::from_mins(2);
/// So many days ago a version was proposed, and has run as a shadow since.
const PROPOSED_DAYS_AGO: i64 = 14;
/// Who she is.
const NURSE: &str = "Nina (simulated)";

/// Something that happened.
enum What {
    Message { kit: KitId, payload: Vec<u8> },
    Recorded(JournalEntry),
    Proposed,
}

/// Fills a store in which nothing is yet; says how many messages that were.
///
/// # Errors
/// The store fails, or the pipeline does not take something.
pub async fn live(store: &Arc<dyn Store>, zone: &TimeZone, now: Timestamp) -> anyhow::Result<usize> {
    let start = ago(now, i64::from(PAST_DAYS)).to_zoned(zone.clone()).date();
    let cohort = Cohort { seed: SEED, days: PAST_DAYS + 1, start, zone: zone.clone() };
    let lives: Vec<Simulated> = PEOPLE.iter().map(|person| cohort.person(person.number)).collect();
    let past = Past::begin(store, &cohort, &lives, now).await?;
    let story = story(&cohort, &lives, now);
    let messages = story.iter().filter(|(_, what)| matches!(what, What::Message { .. })).count();
    past.go(story, now - ENDS_BEFORE).await?;
    Ok(messages)
}

/// Everything that happened, in its order.
fn story(cohort: &Cohort, lives: &[Simulated], now: Timestamp) -> Vec<(Timestamp, What)> {
    let mut story = vec![(ago(now, PROPOSED_DAYS_AGO), What::Proposed)];
    for life in lives {
        story.extend(told(cohort, life).into_iter().map(|entry| (entry.at, What::Recorded(entry))));
        story.extend(life.sittings.iter().map(|sitting| {
            let payload = serde_json::to_vec(&sitting.message(&life.ids)).expect("a message is JSON");
            (sitting.received_at, What::Message { kit: life.ids.kit.clone(), payload })
        }));
    }
    story.retain(|(at, _)| *at < now - ENDS_BEFORE);
    story.sort_by_key(|(at, _)| *at);
    story
}

/// The clinic of that time.
struct Past<'a> {
    store: &'a Arc<dyn Store>,
    cohort: &'a Cohort,
    lives: &'a [Simulated],
    clock: FastClock,
    pipeline: Pipeline,
    taker: Arc<dyn Taker>,
    board: Arc<Board>,
    actions: mpsc::Sender<ActionRequest>,
    kits: mpsc::Sender<KitHeard>,
    stop: CancellationToken,
    leave_open: Timestamp,
    roster: Roster,
}

impl<'a> Past<'a> {
    /// As on its first morning: programmes, people and a pipeline.
    async fn begin(
        store: &'a Arc<dyn Store>,
        cohort: &'a Cohort,
        lives: &'a [Simulated],
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let clock = FastClock::at(cohort.midnight(0));
        programmes::bring_in(&**store, None, clock.now()).await?;
        let people = PEOPLE.iter().zip(lives);
        let roster = Roster {
            patients: people.map(|(person, life)| person.patient(&life.ids, cohort, now)).collect(),
            kits: lives.iter().map(|life| kit(&life.ids, cohort)).collect(),
        };
        let nobody = Roster { patients: Vec::new(), kits: Vec::new() };
        roster::put(&**store, &roster, &nobody, (OPERATOR, None), clock.now()).await?;
        clock.set(clock.now() + SignedDuration::from_secs(1));
        let decided = Decided::read(&**store, clock.now()).await?;
        let directory = decided.directory(roster.clone(), &cohort.zone)?;
        let board = Board::new(Vec::new(), roster.clone(), Vec::new(), directory.plans().clone());
        let (stop, (actions, acted)) = (CancellationToken::new(), mpsc::channel(ACTIONS_MAX));
        // One place each: see `let_time_pass`. What is to be measured again is not: that time is over.
        let ((kits, kits_heard), (remeasure, _)) = (mpsc::channel(1), mpsc::channel(REMEASURES_MAX));
        let parts = Parts {
            store: Arc::clone(store),
            board: Arc::clone(&board),
            directories: Directories::fixed(directory),
            actions: acted,
            kits: kits_heard,
            remeasure,
            outbox: Arc::new(Outbox::default()),
            clock: clock.read(),
            stop: stop.clone(),
        };
        let pipeline = Pipeline::start(parts).await?;
        let (taker, leave_open) = (pipeline.taker(), now - LEFT_OPEN);
        Ok(Self { store, cohort, lives, clock, pipeline, taker, board, actions, kits, stop, leave_open, roster })
    }

    /// Goes through it. In the end the kits are handed back.
    async fn go(mut self, story: Vec<(Timestamp, What)>, until: Timestamp) -> anyhow::Result<()> {
        let mut story = story.into_iter().peekable();
        while self.clock.now() < until {
            let hour = (self.clock.now() + STEP).min(until);
            self.hour(&mut story, hour).await?;
            self.clock.set(hour);
            self.let_time_pass().await?;
            self.look_at_the_queue().await?;
        }
        self.stop.cancel();
        self.pipeline.finished().await;
        self.roster.kits.iter_mut().for_each(|kit| kit.revoked = true);
        Ok(self.store.put_roster(&self.roster, until).await?)
    }

    async fn hour(
        &self,
        story: &mut Peekable<impl Iterator<Item = (Timestamp, What)>>,
        until: Timestamp,
    ) -> anyhow::Result<()> {
        while let Some((at, what)) = story.next_if(|(at, _)| *at <= until) {
            self.clock.set(at.max(self.clock.now()));
            match what {
                What::Message { kit, payload } => {
                    let payload = payload.into();
                    let arrival = Arrival { kit, payload, refused: None, received_at: at, wants_ack: true };
                    self.taker.take(arrival).await.context("a message of the past was not taken")?;
                }
                What::Recorded(entry) => _ = self.store.append(&[entry]).await?,
                What::Proposed => self.propose().await?,
            }
        }
        Ok(())
    }

    /// The judge sees what time it is, and the deadlines that have passed: it looks before it hears of the next thing, and hears here that a kit
    /// is there which never was away. When the third is on its way the second was heard.
    async fn let_time_pass(&self) -> anyhow::Result<()> {
        let life = self.lives.first().context("somebody lives")?;
        for _ in 0..3 {
            let (patient, kit) = (life.ids.patient.clone(), life.ids.kit.clone());
            self.kits.send(KitHeard { patient, kit, silent_since: None }).await.context("the judge has ended")?;
        }
        Ok(())
    }

    /// The operator proposes a version, which runs as a shadow from then on and waits for somebody else's signature.
    async fn propose(&self) -> anyhow::Result<()> {
        let who = Decider { by: OPERATOR, reason: proposal::WHY, now: self.clock.now() };
        let Proposed { kept, .. } = propose(&**self.store, &proposal::text(), proposal::FILE, who).await?;
        shadow::start(&**self.store, (&kept.id, kept.version), OPERATOR, self.clock.now()).await?;
        Ok(())
    }

    /// The nurse takes what is new and closes what she has looked into.
    async fn look_at_the_queue(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        if !ON_DUTY.contains(&now.to_zoned(self.cohort.zone.clone()).hour()) {
            return Ok(());
        }
        let (_, open) = self.board.queue();
        for alert in open.iter().filter(|alert| alert.raised_at < self.leave_open) {
            let age = now.duration_since(alert.raised_at);
            if age >= CLOSED_AFTER {
                let (reason, note) = self.outcome(alert);
                self.act(alert, Action::Close { reason, note: note.to_owned() }).await?;
            } else if age >= TAKEN_AFTER && matches!(alert.state, State::Open) {
                self.act(alert, Action::Acknowledge).await?;
            }
        }
        Ok(())
    }

    async fn act(&self, alert: &Alert, action: Action) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        let (patient, by) = (alert.patient.clone(), NURSE.to_owned());
        let request = ActionRequest { alert: alert.id, patient, seen_version: alert.version, action, by, reply };
        self.actions.send(request).await.ok().context("the judge has ended")?;
        // Something may have come in between: then she looks again an hour later.
        if let Err(refused) = answer.await.context("the judge has ended")? {
            tracing::debug!("not done in the past: {refused}");
        }
        Ok(())
    }

    /// What she finds: in the simulation the truth is known.
    fn outcome(&self, alert: &Alert) -> (CloseReason, &'static str) {
        if alert.mark == Mark::Blue {
            return (CloseReason::Other, "simulated: called, will measure");
        }
        match self.ill(&alert.patient, alert.raised_at) {
            Some(true) => (CloseReason::Admitted, "simulated: admitted"),
            Some(false) => (CloseReason::MedicineChanged, "simulated: becoming ill, treatment started"),
            None => (CloseReason::FalseAlarm, "simulated: called, as usual"),
        }
    }

    /// Was somebody becoming ill, or ill, at that time? And was it so bad that they were admitted?
    fn ill(&self, patient: &PatientId, at: Timestamp) -> Option<bool> {
        let life = self.lives.iter().find(|life| life.ids.patient == *patient)?;
        let midnight = |day: i64| self.cohort.midnight(day);
        let is_now =
            |event: &&crate::cohort::Event| (midnight(event.begins)..midnight(event.treated + 3)).contains(&at);
        life.course.events.iter().find(is_now).map(|event| event.admitted)
    }
}

/// A clock that goes where it is told to.
struct FastClock(Arc<Mutex<Timestamp>>);

impl FastClock {
    fn at(time: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(time)))
    }

    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, time: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    fn read(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Arc::new(move || *time.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
