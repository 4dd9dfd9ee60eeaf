//! One story: a clinic and its kits from a seed, what happens to them, and what must be true at the end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use desk::ActionRequest;
use jiff::{SignedDuration, tz::TimeZone};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use triage::{Action, CloseReason};

use super::{
    clinic::{Clinic, Hands, stored},
    disk::{Disk, Faults},
    kit::Kit,
    net::{Broker, Net},
    trace::Trace,
};
use crate::{basis::ReadingPlace, kits::KitHeard, readings, ward};

/// What happens in a story, at most.
const STEPS_MAX: u32 = 90;
/// How long everything may take to come to rest once nothing is wrong any more.
const REST_SECONDS_MAX: u64 = 1_800;

/// What a story came to.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub hash: u64,
    /// The last events, in words.
    pub last: String,
    pub messages: usize,
    pub alerts: usize,
    pub kills: u32,
    /// Hubs that went on after another had taken over, and were refused.
    pub fenced: u32,
    pub gaps: usize,
    pub set_back: bool,
    /// How often a hub began.
    pub starts: u32,
}

/// What a story is about, drawn from the seed.
struct Plot {
    broker: bool,
    clocks: bool,
    poison: bool,
    changes: bool,
    faults: Faults,
    steps: u32,
}

pub struct Story {
    random: StdRng,
    plot: Plot,
    pub disk: Arc<Disk>,
    pub net: Arc<Net>,
    pub time: Hands,
    pub kits: Vec<Arc<Kit>>,
    alive: Vec<Option<JoinHandle<()>>>,
    lives: Vec<u64>,
    pub clinic: Option<Clinic>,
    /// A hub that stands still.
    frozen: Option<Clinic>,
    broker: Option<JoinHandle<()>>,
    pub told: Told,
    /// A clock was wrong: a reading may be refused for its time.
    pub clocks_were_wrong: bool,
}

/// Tells the story of a seed; the sentence of what went wrong, with the last events.
pub async fn tell(seed: u64) -> Result<Told, String> {
    let trace = Arc::new(Trace::new());
    let mut story = Story::begin(seed, &trace).await;
    let ended = story.go().await;
    let wrong = match (trace.violated(), ended) {
        (Some(wrong), _) | (None, Err(wrong)) => wrong,
        (None, Ok(())) => {
            let (last, hash) = trace.told();
            return Ok(Told { hash, last, ..story.told.clone() });
        }
    };
    Err(format!("{wrong}\n{}", trace.told().0))
}

impl Story {
    async fn begin(seed: u64, trace: &Arc<Trace>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut one_in = |n: u32| random.random_range(0..n) == 0;
        let plot = Plot {
            broker: one_in(3),
            clocks: one_in(4),
            poison: one_in(2),
            changes: one_in(2),
            faults: Faults {
                refuses: if one_in(2) { 50 } else { 0 },
                lies: if one_in(2) { 50 } else { 0 },
                hangs: if one_in(4) { 60 } else { 0 },
                unread: if one_in(3) { 60 } else { 0 },
                commit_ms: if one_in(3) { 300 } else { 10 },
                read_ms: if one_in(3) { 1_500 } else { 0 },
            },
            steps: random.random_range(STEPS_MAX / 3..STEPS_MAX),
        };
        let people = random.random_range(1..5);
        let (time, state) = (Hands::new(), stored(people).await);
        let disk = Disk::new(state, seed, Arc::clone(trace));
        disk.set(plot.faults);
        let broker = plot.broker.then(|| Arc::new(Broker::default()));
        let net = Net::new(&disk, &time, broker, seed);
        let kits: Vec<_> = (1..=people)
            .map(|number| {
                let rows_max = if random.random_range(0..6) == 0 { 8 } else { 100_000 };
                // Behind a broker only a kit that says what it keeps is safe.
                let says_oldest = plot.broker || random.random_range(0..3) > 0;
                Kit::new(number, seed, rows_max, says_oldest, &disk, &time)
            })
            .collect();
        trace.tell(&format!("{people} kits, broker {}, {:?}", plot.broker, plot.faults));
        let broker = net.broker.as_ref().map(|broker| tokio::spawn(Arc::clone(broker).serve(Arc::clone(&net))));
        let (alive, lives) = (kits.iter().map(|_| None).collect(), vec![0; kits.len()]);
        let (clinic, frozen, told) = (None, None, Told::default());
        let clocks_were_wrong = false;
        Self { random, plot, disk, net, time, kits, alive, lives, clinic, frozen, broker, told, clocks_were_wrong }
    }

    async fn go(&mut self) -> Result<(), String> {
        self.start_hub().await;
        (0..self.kits.len()).for_each(|kit| self.start_kit(kit));
        for _ in 0..self.plot.steps {
            self.step().await;
            let pause = if self.random.random_range(0..8) == 0 { 12_000 } else { 1_200 };
            sleep(Duration::from_millis(self.random.random_range(0..pause))).await;
            self.look()?;
        }
        self.heal().await;
        self.rest().await?;
        self.check().await?;
        self.end().await;
        Ok(())
    }

    /// Is anything wrong already?
    fn look(&self) -> Result<(), String> {
        if self.clinic.as_ref().is_some_and(Clinic::has_ended) {
            return Err("the pipeline has ended by itself".to_owned());
        }
        self.disk.trace.violated().map_or(Ok(()), Err)
    }

    pub fn tell(&self, what: &str) {
        self.disk.trace.tell(what);
    }

    async fn step(&mut self) {
        let kit = self.random.random_range(0..self.kits.len());
        match self.random.random_range(0..100) {
            0..=34 => self.measure(kit, 1),
            35..=38 => self.measure(kit, 40),
            39..=40 => self.measure(kit, 400),
            41..=50 => self.act().await,
            51..=58 => self.kill_hub(),
            59..=61 => self.stop_hub().await,
            62..=66 => self.kill_kit(kit),
            67..=73 => self.disturb_net(kit),
            74..=78 => self.disturb_store(),
            79..=82 if self.plot.poison => self.poison(kit),
            83..=86 if self.plot.changes => self.change_meanwhile(kit).await,
            87..=89 => self.silence(kit),
            90..=92 => self.night(),
            93..=95 if self.plot.clocks => self.clock(kit),
            96..=97 => self.lose_sessions(),
            _ => self.freeze_hub(),
        }
        if self.frozen.is_some() && self.random.random_range(0..4) == 0 {
            self.go_on().await;
        }
        if self.clinic.is_none() && self.random.random_range(0..3) > 0 {
            self.start_hub().await;
        }
        for kit in 0..self.kits.len() {
            if self.alive[kit].is_none() && self.random.random_range(0..3) > 0 {
                self.start_kit(kit);
            }
        }
    }

    fn measure(&mut self, kit: usize, times: u32) {
        if self.alive[kit].is_none() {
            return;
        }
        self.tell(&format!("{} measures {times} times", self.kits[kit].id));
        for _ in 0..times {
            let spo2 = match self.random.random_range(0..12) {
                0 => self.random.random_range(70..81),
                1 | 2 => self.random.random_range(81..90),
                _ => self.random.random_range(90..99),
            };
            let flags = if self.random.random_range(0..8) == 0 { "\"low_perfusion\"" } else { "" };
            self.kits[kit].measure(spo2, flags);
        }
    }

    async fn start_hub(&mut self) {
        if self.clinic.is_none() {
            self.clinic = Clinic::start(&self.disk, &self.net, &self.time).await;
            if self.clinic.is_some() {
                self.told.starts += 1;
                self.tell("the hub starts");
            }
        }
    }

    fn kill_hub(&mut self) {
        if let Some(clinic) = self.clinic.take() {
            self.tell("kill -9 of the hub");
            self.told.kills += 1;
            clinic.kill();
        }
    }

    /// The hub stands still; the other that stands by takes over when it starts.
    fn freeze_hub(&mut self) {
        if self.frozen.is_none()
            && let Some(clinic) = self.clinic.take()
        {
            self.tell("the hub stands still");
            let cut = self.net.broker.is_some() || self.random.random_range(0..2) == 0;
            clinic.freeze(cut);
            self.frozen = Some(clinic);
        }
    }

    /// The one that stood still goes on: with what it had in its hands, if another took over, and then it ends.
    async fn go_on(&mut self) {
        let Some(clinic) = self.frozen.take() else { return };
        self.tell("the hub that stood still goes on");
        let fenced = || self.disk.fenced.load(std::sync::atomic::Ordering::Relaxed);
        let before = fenced();
        clinic.go_on();
        if self.clinic.is_some() {
            sleep(Duration::from_secs(3)).await;
            self.told.fenced += u32::from(fenced() > before);
            clinic.end();
        } else {
            clinic.kill();
        }
    }

    async fn stop_hub(&mut self) {
        if let Some(clinic) = self.clinic.take() {
            self.tell("the hub is stopped");
            clinic.stop().await;
        }
    }

    fn start_kit(&mut self, kit: usize) {
        if self.alive[kit].is_none() {
            self.kits[kit].boot();
            self.lives[kit] += 1;
            let life = Arc::clone(&self.kits[kit]).live(Arc::clone(&self.net), self.lives[kit]);
            self.alive[kit] = Some(tokio::spawn(life));
        }
    }

    fn kill_kit(&mut self, kit: usize) {
        if let Some(life) = self.alive[kit].take() {
            self.tell(&format!("kill -9 of {}", self.kits[kit].id));
            self.told.kills += 1;
            life.abort();
        }
    }

    fn disturb_net(&mut self, kit: usize) {
        let one = self.kits[kit].id.clone();
        let what = match self.random.random_range(0..6) {
            0 => "every connection is cut",
            1 => "one connection is cut",
            2 => "every connection hangs half open",
            3 => "one connection hangs half open",
            4 => "the net is down, or up",
            _ => "the net is slow, or fast",
        };
        self.tell(what);
        match what {
            "every connection is cut" => self.net.cut(None),
            "one connection is cut" => self.net.cut(Some(&one)),
            "every connection hangs half open" => self.net.hang(None),
            "one connection hangs half open" => self.net.hang(Some(&one)),
            "the net is down, or up" => {
                let down = self.random.random_range(0..2) == 0;
                self.net.set_down(down);
                self.net.cut(None);
            }
            _ => {
                let delay = [2, 20, 400, 4_000][self.random.random_range(0..4)];
                self.net.delay_ms.store(delay, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    fn disturb_store(&mut self) {
        let seconds = [1, 1, 5, 5, 30, 180][self.random.random_range(0..6)];
        self.tell(&format!("the database is away for {seconds} s"));
        self.disk.go_away(Some(Instant::now() + Duration::from_secs(seconds)));
    }

    fn lose_sessions(&mut self) {
        if let Some(broker) = &self.net.broker {
            let lost = broker.lose();
            self.tell(&format!("the broker loses its sessions, and {lost} messages"));
            if self.random.random_range(0..2) == 0 {
                self.net.cut(None);
            }
        }
    }

    /// Bytes that are no message, with the kit's own credentials, once or without end.
    fn poison(&mut self, kit: usize) {
        let Some(hub) = self.net.hub_now() else { return };
        let number = self.random.random_range(0..1_000_000);
        let now = self.time.true_now();
        let payload = match self.random.random_range(0..6) {
            0 => Vec::new(),
            1 => format!("poison {}", number % 3).into_bytes(),
            2 => format!(r#"{{"seq":{number}"#).into_bytes(),
            3 => vec![b' '; wire::MESSAGE_BYTES_MAX + 1],
            4 => format!(r#"{{"seq":{number},"sent_at":"{now}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{{"vital":"spo2","value":930,"unit":"%","measured_at":"{now}","clock":"device","device":"sim:1"}}]}}"#).into_bytes(),
            _ => vec![0xff; 64],
        };
        let times = if self.random.random_range(0..4) == 0 && payload.len() < 1000 { 3_000 } else { 1 };
        let kit = Arc::clone(&self.kits[kit]);
        self.tell(&format!("{} sends {} bytes of poison {times} times", kit.id, payload.len()));
        let net = Arc::clone(&self.net);
        tokio::spawn(async move {
            for _ in 0..times {
                let mut arrival = net.arrival(&kit.id, payload.clone());
                arrival.wants_ack = times == 1;
                tokio::select! {
                    biased;
                    () = hub.gone.cancelled() => return,
                    taken = hub.taker.take(arrival) => if taken.is_err() { return },
                }
            }
        });
    }

    /// A nurse does something to an alert on the board; what she is told is stored.
    async fn act(&mut self) {
        let Some(clinic) = &self.clinic else { return };
        let (_, open) = clinic.board.queue();
        if open.is_empty() {
            return;
        }
        let alert = Arc::clone(&open[self.random.random_range(0..open.len())]);
        let action = match self.random.random_range(0..3) {
            0 => Action::Acknowledge,
            _ => Action::Close { reason: CloseReason::Advice, note: "called".to_owned() },
        };
        self.disk
            .trace
            .tell(&format!("a nurse: {action:?} on version {} of an alert of {}", alert.version, alert.patient));
        let (reply, answer) = oneshot::channel();
        let request = ActionRequest {
            alert: alert.id,
            patient: alert.patient.clone(),
            seen_version: alert.version,
            action,
            by: "Nurse".to_owned(),
            reply,
        };
        let (actions, disk) = (clinic.actions.clone(), Arc::clone(&self.disk));
        let asks = tokio::spawn(async move {
            if actions.send(request).await.is_err() {
                return;
            }
            let Ok(Ok(Ok(change))) = timeout(Duration::from_secs(10), answer).await else { return };
            let state = disk.state();
            let stored = state.at.get(&change.alert.id).map(|place| state.alerts[*place].0.version);
            if stored.is_none_or(|version| version < change.alert.version) {
                disk.trace
                    .violate(format!("a nurse is told of version {}, stored is {stored:?}", change.alert.version));
            }
        });
        if self.random.random_range(0..2) == 0 {
            // Whatever happened to the hub meanwhile, an answer that came was true.
            _ = asks.await;
        }
    }

    /// Something changes, and while the chart is built anew (which takes as long as the store takes to answer) there is more to judge.
    async fn change_meanwhile(&mut self, kit: usize) {
        self.change(kit).await;
        for _ in 0..self.random.random_range(0..6) {
            sleep(Duration::from_millis(self.random.random_range(0..1_500))).await;
            match self.random.random_range(0..6) {
                0 => self.act().await,
                1 => self.silence(kit),
                _ => self.measure(kit, 1),
            }
        }
    }

    /// Own limits are moved, or a reading is left out, or taken in again.
    async fn change(&mut self, kit: usize) {
        let (patient, now) = (self.kits[kit].patient.clone(), self.time.true_now());
        let store = Arc::clone(&self.disk);
        match self.random.random_range(0..3) {
            0 => {
                let own = serde_json::json!({ "limits": [{ "rule": "spo2", "limit": "red_low", "value": self.random.random_range(83..88),
                    "unit": "%", "author": "Dr Test", "reason": "his normal state", "from": "2026-01-01T00:00:00Z" }] });
                let own = serde_json::from_value(own).unwrap();
                let done = ward::set_own(&*store, &TimeZone::UTC, &patient, &own, "Dr Test", now).await.is_ok();
                self.tell(&format!("{patient} has other limits: {done}"));
            }
            what => {
                let stored: Vec<_> = store
                    .state()
                    .messages
                    .iter()
                    .filter(|one| one.patient == patient)
                    .map(|one| one.key.clone())
                    .collect();
                let Some(key) = stored.last().filter(|_| what == 1).or(stored.first()) else { return };
                let of = ReadingPlace { kit: key.kit.clone(), seq: key.seq, place: 0 };
                let change = [readings::Change::Invalidate, readings::Change::Restore][self.random.random_range(0..2)];
                let done = readings::change(&*store, change, &of, None, ("Ane", "not his finger"), now).await.is_ok();
                self.tell(&format!("{patient}: {change:?} of message {}: {done}", key.seq));
            }
        }
        if let Some(clinic) = &self.clinic {
            clinic.look.notify_one();
        }
    }

    fn silence(&mut self, kit: usize) {
        let Some(clinic) = &self.clinic else { return };
        let silent = self.random.random_range(0..2) == 0;
        let silent_since = silent.then(|| self.time.hub_now() - SignedDuration::from_hours(13));
        let (patient, kit) = (self.kits[kit].patient.clone(), self.kits[kit].id.clone());
        self.disk.trace.tell(&format!("{kit} is silent: {silent}"));
        // A full channel means that the judge has much else to do; it is said again.
        _ = clinic.kits.try_send(KitHeard { patient, kit, silent_since });
    }

    /// Hours go by, in which nobody measures anything.
    fn night(&mut self) {
        let hours = self.random.random_range(1..40);
        self.tell(&format!("{hours} hours go by"));
        self.time.leap(SignedDuration::from_hours(hours));
    }

    fn clock(&mut self, kit: usize) {
        let skew = SignedDuration::from_secs([0, 20, -20, 300, -300, 86_400, -86_400][self.random.random_range(0..7)]);
        self.clocks_were_wrong |= !skew.is_zero();
        if self.random.random_range(0..2) == 0 {
            self.tell(&format!("the clock of {} is off by {skew:?}", self.kits[kit].id));
            self.kits[kit].set_clock(skew);
        } else {
            self.tell(&format!("the hub's clock is off by {skew:?}"));
            self.time.set_hub_clock(skew);
        }
    }

    /// Nothing is wrong any more.
    async fn heal(&mut self) {
        self.go_on().await;
        self.tell("everything is well again");
        self.disk.set(Faults { commit_ms: 10, ..Faults::default() });
        self.disk.go_away(None);
        self.net.set_down(false);
        self.net.cut(None);
        self.net.delay_ms.store(20, std::sync::atomic::Ordering::Relaxed);
        self.time.set_hub_clock(SignedDuration::ZERO);
        self.start_hub().await;
        for kit in 0..self.kits.len() {
            self.kits[kit].set_clock(SignedDuration::ZERO);
            self.start_kit(kit);
            // What was measured is measured by a clock that is right.
            self.measure(kit, 1);
        }
    }

    /// Waits until every kit has told everything.
    async fn rest(&mut self) -> Result<(), String> {
        for _ in 0..REST_SECONDS_MAX {
            sleep(Duration::from_secs(1)).await;
            self.look()?;
            if self.kits.iter().all(|kit| kit.spool().rows.is_empty()) {
                // A chart that is being built anew, and what is on its way to the pages.
                sleep(Duration::from_secs(5)).await;
                return self.look();
            }
        }
        let left: HashMap<_, _> = self.kits.iter().map(|kit| (kit.id.clone(), kit.spool().rows.len())).collect();
        Err(format!("after {REST_SECONDS_MAX} s without a fault these wait still: {left:?}"))
    }

    async fn check(&mut self) -> Result<(), String> {
        let said = super::check::all(self).await?;
        self.told = Told { kills: self.told.kills, fenced: self.told.fenced, starts: self.told.starts, ..said };
        Ok(())
    }

    async fn end(&mut self) {
        if let Some(clinic) = self.clinic.take() {
            clinic.kill();
        }
        self.alive.iter().flatten().chain(&self.broker).for_each(JoinHandle::abort);
    }
}
