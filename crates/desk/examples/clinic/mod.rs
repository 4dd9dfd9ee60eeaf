//! A small simulated clinic: people who do not exist, a real store in a temporary folder, and a pipeline that judges with `triage` and
//! answers actions, so that the desk can be tried and tested by itself.
#![allow(dead_code, reason = "the example and each test use their own part of it")]
#![allow(clippy::unwrap_used, reason = "a part of tests")]
#![allow(clippy::disallowed_methods, reason = "it plays the outside world, which has a clock")]

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use desk::{ActionRefused, ActionRequest, Board, Desk, Intake, Standing};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use metrics_exporter_prometheus::PrometheusBuilder;
use store::{Account, Batch, Entry, Heard, Kit, KitSeq, Patient, Roster, Sqlite, Store};
use tokio::sync::{Mutex, mpsc};
use triage::{AssessmentChange, COPD, Chart, Event, Outcome, Own, Plan, Programme, Sitting, act, assess};
use vitals::{Answer, Clock, DeviceId, Flag, KitId, PatientId, Reading, Vital};

/// The password of every account.
pub const PASSWORD: &str = "correct horse battery";

/// Hashing is slow by design: once is enough.
static HASH: LazyLock<String> = LazyLock::new(|| desk::password_hash(PASSWORD));

/// The clinic.
pub struct Clinic {
    pub store: Arc<Sqlite>,
    pub board: Arc<Board>,
    core: Arc<Core>,
    actions: mpsc::Sender<ActionRequest>,
    folder: tempfile::TempDir,
}

/// The pipeline's state: the one owner of charts.
struct Core {
    store: Arc<Sqlite>,
    board: Arc<Board>,
    charts: Mutex<HashMap<PatientId, Chart>>,
    plans: HashMap<PatientId, Arc<Plan>>,
    seq: AtomicU64,
}

/// A person who does not exist.
pub fn person(id: &str, name: &str, born: i16) -> Patient {
    Patient {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        born: Some(born),
        programmes: vec!["copd".to_owned()],
        stratum: None,
        own: serde_json::Value::Null,
        simulated: true,
        since: Some(Timestamp::now() - SignedDuration::from_hours(24 * 40)),
    }
}

/// One measurement with its answers.
#[derive(Clone, Copy, Default)]
pub struct Sat<'a> {
    pub readings: &'a [(Vital, &'a str)],
    pub answers: &'a [(&'a str, &'a str)],
    pub flags: &'a [Flag],
}

impl Clinic {
    /// Opens with these people, each with a kit, and with two nurses: `mette` (Danish) and `karen` (English).
    pub async fn open(people: Vec<Patient>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("desk.db")).await.unwrap());
        let plans: HashMap<PatientId, Arc<Plan>> =
            people.iter().map(|patient| (patient.id.clone(), plan(patient))).collect();
        let kits = people.iter().map(kit).collect();
        let roster = Roster { patients: people, kits };
        store.put_roster(&roster, Timestamp::now()).await.unwrap();
        for (user, name, language) in [("mette", "Mette Lund", "da"), ("karen", "Karen Smith", "en")] {
            let password_hash = HASH.clone();
            let account = Account {
                user: user.into(),
                name: name.into(),
                password_hash,
                role: "nurse".into(),
                language: language.into(),
            };
            store.put_account(&account).await.unwrap();
        }
        let board = Board::new(Vec::new(), store.roster().await.unwrap(), Vec::new(), plans.clone());
        let core = Core {
            store: store.clone(),
            board: board.clone(),
            charts: Mutex::default(),
            plans,
            seq: AtomicU64::new(1),
        };
        let (core, (actions, asked)) = (Arc::new(core), mpsc::channel(16));
        tokio::spawn(core.clone().answer(asked));
        let clinic = Self { store, board, core, actions, folder };
        clinic.alive(Timestamp::now());
        clinic
    }

    /// The desk of this clinic.
    pub fn desk(&self) -> Desk {
        Desk {
            store: self.store.clone(),
            board: self.board.clone(),
            actions: self.actions.clone(),
            tuning: None,
            ward: None,
            door: None,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            zone: TimeZone::get("Europe/Copenhagen").unwrap(),
            clinic: "Klinik Odden".to_owned(),
            secure_cookies: false,
            simulated: true,
        }
    }

    /// The pipeline says that it takes in readings.
    pub fn alive(&self, at: Timestamp) {
        self.board.intake(Intake { at, behind_since: None, reason: None, waiting: 0 });
    }

    /// A kit says what became of a command.
    pub async fn receives(
        &self,
        kit: &KitId,
        patient: &str,
        command: &str,
        outcome: store::Progress,
        detail: Option<&str>,
    ) {
        let now = Timestamp::now();
        let receipt =
            store::Receipt { command: command.to_owned(), outcome, at: now, detail: detail.map(str::to_owned) };
        let entry = Entry {
            key: KitSeq { kit: kit.clone(), seq: self.core.seq.fetch_add(1, Ordering::Relaxed) },
            hash: [0; 32],
            patient: patient.parse().unwrap(),
            session: uuid::Uuid::nil(),
            sent_at: now,
            recorded_at: now,
            readings: Vec::new(),
            answers: Vec::new(),
            receipts: vec![receipt],
        };
        self.core.record(now, vec![entry], Outcome::default()).await;
    }

    /// Somebody answers now, on the kit's own pages.
    pub async fn answers(&self, patient: &str, answers: Vec<Answer>) {
        let (patient, now) = (patient.parse().unwrap(), Timestamp::now());
        let outcome = {
            let mut charts = self.core.charts.lock().await;
            let kit = kit_id(&patient);
            let seq = self.core.seq.fetch_add(1, Ordering::Relaxed);
            let sitting = Sitting { kit: &kit, seq, readings: &[], answers: &answers };
            let chart = charts.entry(patient.clone()).or_default();
            assess(chart, &self.core.plans[&patient], &Event::Sitting(sitting), now)
        };
        self.core.record(now, Vec::new(), outcome).await;
    }

    /// Somebody measures at `at`, and it is recorded `after` that.
    pub async fn sit(&self, patient: &str, at: Timestamp, after: SignedDuration, sat: Sat<'_>) -> Outcome {
        self.core.sit(&patient.parse().unwrap(), at, at + after, sat).await
    }

    /// Time has passed for everybody.
    pub async fn tick(&self, now: Timestamp) {
        for (patient, plan) in &self.core.plans {
            let outcome = {
                let mut charts = self.core.charts.lock().await;
                assess(charts.entry(patient.clone()).or_default(), plan, &Event::Tick, now)
            };
            self.core.record(now, Vec::new(), outcome).await;
        }
    }

    /// A kit has said something of itself.
    pub async fn heard(&self, patient: &str, at: Timestamp, online: bool, status: serde_json::Value) {
        let heard = Heard { kit: kit_id(&patient.parse().unwrap()), at, online, status };
        self.store.heard(std::slice::from_ref(&heard)).await.unwrap();
        self.board.heard(heard);
    }
}

impl Core {
    async fn sit(&self, patient: &PatientId, at: Timestamp, recorded_at: Timestamp, sat: Sat<'_>) -> Outcome {
        let (readings, answers) = (readings(at, sat), answers(at, sat));
        let seq = self.seq.fetch_add(1, Ordering::Relaxed);
        let kit = kit_id(patient);
        let outcome = {
            let mut charts = self.charts.lock().await;
            let sitting = Sitting { kit: &kit, seq, readings: &readings, answers: &answers };
            assess(
                charts.entry(patient.clone()).or_default(),
                &self.plans[patient],
                &Event::Sitting(sitting),
                recorded_at,
            )
        };
        let entry = Entry {
            key: KitSeq { kit, seq },
            hash: [0; 32],
            patient: patient.clone(),
            session: uuid::Uuid::from_u128(u128::from(seq)),
            sent_at: at,
            recorded_at,
            readings,
            answers,
            receipts: Vec::new(),
        };
        self.record(recorded_at, vec![entry], outcome.clone()).await;
        outcome
    }

    async fn record(&self, recorded_at: Timestamp, entries: Vec<Entry>, outcome: Outcome) {
        let assessments: Vec<_> = outcome.assessment.into_iter().collect();
        let batch = Batch { recorded_at, entries, assessments, alerts: outcome.alerts, ..Batch::default() };
        self.store.commit(&batch).await.unwrap();
        let of_now = batch.assessments.iter().filter(|change| !change.late);
        let standing = |change: &AssessmentChange| Standing { colour: change.colour, blue: change.blue };
        let standings: Vec<_> = of_now.map(|change| (change.patient.clone(), Some(standing(change)))).collect();
        self.board.apply(&batch.alerts, &standings, recorded_at);
    }

    /// Answers actions, as the hub's pipeline does: decide, commit, show, reply.
    async fn answer(self: Arc<Self>, mut asked: mpsc::Receiver<ActionRequest>) {
        while let Some(request) = asked.recv().await {
            let answer = self.act(&request).await;
            let _ = request.reply.send(answer);
        }
    }

    async fn act(&self, request: &ActionRequest) -> Result<triage::AlertChange, ActionRefused> {
        let now = Timestamp::now();
        let mut charts = self.charts.lock().await;
        let chart = charts.get_mut(&request.patient).ok_or(ActionRefused::Unknown)?;
        let change = act(chart, request.alert, request.seen_version, &request.action, &request.by, now)?;
        let batch = Batch { recorded_at: now, alerts: vec![change.clone()], ..Batch::default() };
        self.store.commit(&batch).await.map_err(|error| ActionRefused::Store(error.to_string()))?;
        self.board.apply(&batch.alerts, &[], now);
        Ok(change)
    }
}

fn plan(patient: &Patient) -> Arc<Plan> {
    let programme = Arc::new(Programme::parse(COPD, "copd.toml").unwrap());
    let own: Own =
        if patient.own.is_null() { Own::default() } else { serde_json::from_value(patient.own.clone()).unwrap() };
    let zone = TimeZone::get("Europe/Copenhagen").unwrap();
    Arc::new(
        Plan::new(
            patient.id.clone(),
            vec![programme],
            Arc::new(triage::Clinic::shipped()),
            own,
            zone,
            patient.since.unwrap(),
        )
        .unwrap(),
    )
}

fn kit(patient: &Patient) -> Kit {
    Kit {
        id: kit_id(&patient.id),
        patient: Some(patient.id.clone()),
        patients: Vec::new(),
        secret_sha256: "0".repeat(64),
        since: patient.since,
        devices: vec![format!("pulse-oximeter:{}", patient.id)],
        revoked: false,
    }
}

fn kit_id(patient: &PatientId) -> KitId {
    format!("kit-{patient}").parse().unwrap()
}

fn readings(at: Timestamp, sat: Sat<'_>) -> Vec<Reading> {
    let device: DeviceId = "pulse-oximeter:sim-1".parse().unwrap();
    let one = |(vital, value): &(Vital, &str)| Reading {
        vital: *vital,
        value: value.parse().unwrap(),
        unit: vital.unit(),
        measured_at: at,
        clock: Clock::Device,
        device: device.clone(),
        flags: sat.flags.to_vec(),
    };
    sat.readings.iter().map(one).collect()
}

fn answers(at: Timestamp, sat: Sat<'_>) -> Vec<Answer> {
    let one = |(question, answer): &(&str, &str)| Answer {
        questionnaire: "copd-daily".to_owned(),
        version: 1,
        question: (*question).to_owned(),
        answer: (*answer).to_owned(),
        answered_at: at + SignedDuration::from_secs(40),
    };
    sat.answers.iter().map(one).collect()
}
