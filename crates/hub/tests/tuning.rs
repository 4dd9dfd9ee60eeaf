//! Backtests over small histories whose figures can be counted by hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside the functions that the lint knows as tests")]

use std::sync::Arc;

use hub::{
    directory::Programmes,
    programmes::{self, Decider, Library, Refused},
    tuning::{
        agreement::Window,
        backtest::{Ask, Sides, run},
        beside::Beside,
        budget::{BudgetAsk, BudgetError, Proposal, find},
        compare::{Change, Span},
        fold::Watch,
        proposals,
        report::Report,
        rules::{self, RulesAsk},
        shadow::{self, Running, Shadows},
        shadow_report,
        shift::SHIFT,
        tally::ByMark,
    },
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{Account, Batch, Entry, Journal, JournalEntry, KitSeq, Patient, PatientOutcome, Roster, Sqlite, Store};
use triage::{Action, Alert, AlertChange, Chart, Clinic, CloseReason, Event, Plan, Programme, Sitting, act, assess};
use vitals::{Clock, PatientId, Reading, SessionId, Value, Vital};

/// SpO2 alone: red at 85 or less, yellow at `yellow` or less.
fn programme(version: u32, yellow: u32) -> Arc<Programme> {
    Arc::new(Programme::parse(&text(version, yellow), "t.toml").unwrap())
}

fn text(version: u32, yellow: u32) -> String {
    format!(
        r#"# Comments stay.
id = "t"
version = {version}
title = {{ en = "Test", da = "Test" }}
zone = "UTC"
[clinic]
late_after = "24h"
ease_after_sittings = 2
early = "2h"
grace = "2h"
[[rule]]
id = "spo2"
kind = "band"
family = "lungs"
vital = "spo2"
unit = "%"
bands = [
  {{ mark = "red", at_most = 85 }},
  {{ mark = "yellow", above = 85, at_most = {yellow} }},
  {{ mark = "green", above = {yellow} }},
]
"#
    )
}

/// Day 0 is a Thursday; sittings are at 8.
fn day(day: f64) -> Timestamp {
    Timestamp::from_second(1_735_718_400 + 8 * 3_600 + (day * 86_400.0) as i64).unwrap()
}

const DAYS: u32 = 60;

/// Sittings on every day, 95 % but for these.
fn sittings(patient: &str, number: u128, low: &[(u32, i64)]) -> Vec<Entry> {
    let sitting = |at: u32| {
        let value = low.iter().find(|(day, _)| *day == at).map_or(95, |(_, value)| *value);
        let recorded_at = day(f64::from(at)) + SignedDuration::from_micros(i64::try_from(number).unwrap());
        let reading = Reading {
            vital: Vital::Spo2,
            value: Value::new(value, 0),
            unit: Vital::Spo2.unit(),
            measured_at: day(f64::from(at)),
            clock: Clock::Device,
            device: "test:1".parse().unwrap(),
            flags: Vec::new(),
        };
        Entry {
            key: KitSeq { kit: format!("kit-{patient}").parse().unwrap(), seq: u64::from(at) + 1 },
            hash: [0; 32],
            patient: patient.parse().unwrap(),
            session: SessionId::from_u128(number << 64 | u128::from(at)),
            sent_at: recorded_at,
            recorded_at,
            readings: vec![reading],
            answers: Vec::new(),
            receipts: Vec::new(),
        }
    };
    (0..DAYS).map(sitting).collect()
}

struct Clinical {
    store: Arc<Sqlite>,
    _folder: tempfile::TempDir,
}

impl Clinical {
    async fn new(patients: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("vagt.db")).await.unwrap());
        let patients = patients.iter().map(|id| patient(id)).collect();
        store.put_roster(&Roster { patients, kits: Vec::new() }, day(-1.0)).await.unwrap();
        Self { store, _folder: folder }
    }

    /// Stores messages by stamp, and what triage makes of them as the service would; a nurse closes each red alert six hours later.
    async fn live(&self, programme: &Arc<Programme>, entries: Vec<Entry>, closes: Option<CloseReason>) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = Vec::new();
        let mut charts: std::collections::HashMap<PatientId, (Plan, Chart)> = std::collections::HashMap::new();
        let mut entries = entries;
        entries.sort_by_key(|entry| entry.recorded_at);
        for entry in entries {
            let (plan, chart) = charts.entry(entry.patient.clone()).or_insert_with(|| {
                let clinic = Arc::new(Clinic::shipped());
                let (id, since) = (entry.patient.clone(), day(-1.0));
                let plan =
                    Plan::new(id, vec![Arc::clone(programme)], clinic, triage::Own::default(), TimeZone::UTC, since);
                (plan.unwrap(), Chart::new().with_silence_judged(since))
            });
            let Entry { key, readings, answers, recorded_at, .. } = &entry;
            let event = Event::Sitting(Sitting { kit: &key.kit, seq: key.seq, readings, answers });
            let now = *recorded_at;
            let mut changes = assess(chart, plan, &event, now).alerts;
            let red = chart.open_alerts().find(|alert| alert.mark == triage::Mark::Red).cloned();
            let mut batch = Batch { recorded_at: now, entries: vec![entry.clone()], ..Batch::default() };
            if let (Some(red), Some(reason)) = (red, closes) {
                let action = Action::Close { reason, note: String::new() };
                let at = now + SignedDuration::from_hours(6);
                changes.push(act(chart, red.id, red.version, &action, "nurse", at).unwrap());
            }
            for AlertChange { alert, .. } in &changes {
                alerts.retain(|known| known.id != alert.id);
                alerts.push(alert.clone());
            }
            batch.alerts = changes;
            self.store.commit(&batch).await.unwrap();
        }
        alerts
    }

    async fn outcome(&self, patient: &str, at: f64) {
        let what = Journal::OutcomeRecorded {
            outcome: PatientOutcome::Exacerbation,
            at: day(at),
            note: "simulated".into(),
            alert: None,
        };
        let patient = Some(patient.parse().unwrap());
        let entry = JournalEntry { at: day(at + 1.0), by: Some("nurse".into()), patient, what };
        self.store.append(&[entry]).await.unwrap();
    }

    async fn account(&self, user: &str, role: &str) {
        let (user, name, role) = (user.to_owned(), "Simulated".to_owned(), role.to_owned());
        let account = Account { user, name, password_hash: String::new(), role, language: "en".into() };
        self.store.put_account(&account).await.unwrap();
    }

    async fn propose(&self, version: u32, yellow: u32, by: &str, at: f64) {
        let who = Decider { by, reason: "a test", now: day(at) };
        programmes::propose(&*self.store, &text(version, yellow), "t.toml", who).await.unwrap();
    }

    fn ask(&self, active: &Arc<Programme>, proposed: &Arc<Programme>) -> Ask {
        let clinic = Arc::new(Clinic::shipped());
        let (active, proposed) = (Arc::clone(active), Arc::clone(proposed));
        let sides = Sides { active, proposed, others: Programmes::new(), clinic };
        Ask { threads: 2, ..Ask::new(sides, day(0.0), day(f64::from(DAYS)), TimeZone::UTC) }
    }

    async fn backtest(&self, active: &Arc<Programme>, proposed: &Arc<Programme>) -> Report {
        self.backtest_watched(active, proposed, &Arc::default()).await
    }

    async fn backtest_watched(&self, active: &Arc<Programme>, proposed: &Arc<Programme>, watch: &Arc<Watch>) -> Report {
        let ask = self.ask(active, proposed);
        let (store, watch) = (Arc::clone(&self.store), Arc::clone(watch));
        let runtime = tokio::runtime::Handle::current();
        let running = tokio::task::spawn_blocking(move || runtime.block_on(run(&*store, &ask, &watch)));
        running.await.unwrap().unwrap()
    }
}

fn patient(id: &str) -> Patient {
    Patient {
        id: id.parse().unwrap(),
        name: "Simulated".into(),
        born: None,
        programmes: vec!["t".into()],
        stratum: None,
        own: serde_json::Value::Null,
        simulated: true,
        since: Some(day(-1.0)),
    }
}

/// p-1: 87 on day 20, two days before an exacerbation, and 84 on day 40. p-2: 87 on day 30, 84 on day 50.
fn two_people() -> Vec<Entry> {
    let mut entries = sittings("p-1", 1, &[(20, 87), (40, 84)]);
    entries.extend(sittings("p-2", 2, &[(30, 87), (50, 84)]));
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_as_counted_by_hand() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    let (active, proposed) = (programme(1, 88), programme(2, 86));
    clinic.live(&active, two_people(), None).await;
    clinic.outcome("p-1", 22.0).await;
    let report = clinic.backtest(&active, &proposed).await;

    assert_eq!((report.patients, report.simulated_patients, report.messages, report.readings), (2, 2, 120, 120));
    assert_eq!(report.active.alerts, ByMark { red: 2, yellow: 2, blue: 0 });
    assert_eq!(report.proposed.alerts, ByMark { red: 2, yellow: 0, blue: 0 });
    // 4 alerts in 2 x 60 days, which are 17.1429 weeks; 180 shifts of 8 hours, from 8 o'clock on in the first.
    assert_eq!((report.patient_weeks, report.active.per_patient_week.all), (17.1429, 0.2333));
    assert_eq!((report.active.per_shift.shifts, report.active.per_shift.max), (181, 1));
    let ended = report.active.ended;
    assert_eq!((ended.eased, ended.by_stand_in, ended.by_nurse, ended.open), (2, 2, 0, 0));

    let (of_active, of_proposed) = (&report.active.agreement, &report.proposed.agreement);
    assert_eq!((of_active.events, of_active.detected, of_active.sensitivity), (1, 1, Some(1.0)));
    assert_eq!((of_active.alerts, of_active.true_alerts, of_active.ppv), (4, 1, Some(0.25)));
    assert_eq!(of_active.lead_days_median, Some(2.0));
    assert_eq!((of_proposed.sensitivity, of_proposed.ppv, of_proposed.lead_days_median), (Some(0.0), Some(0.0), None));

    assert_eq!(report.changes.len(), 1);
    assert_eq!(report.changes[&Change::Lost], ByMark { red: 0, yellow: 2, blue: 0 });
    assert_eq!((report.patients_with_more, report.patients_with_fewer), (0, 2));
    let worst = &report.worst[0];
    assert_eq!((worst.patient.as_str(), worst.change, worst.decides_event), ("p-1", Change::Lost, true));
    assert_eq!(worst.before.as_ref().map(|before| before.days), Some(2.0));
    assert_eq!(worst.active.as_ref().unwrap().why, "SpO2 87 %, yellow at 88 % or less");
    let quiet = worst.quiet.as_deref().unwrap();
    assert!(quiet.contains("87 %") && quiet.contains("86 %"), "{quiet}");
    assert!(!report.partial && report.to_string().contains("SIMULATED"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_in_use_beside_itself_differs_in_nothing_and_is_what_live_triage_stored() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    let active = programme(1, 88);
    let stored = clinic.live(&active, two_people(), Some(CloseReason::Admitted)).await;
    let report = clinic.backtest(&active, &active).await;
    assert!(report.is_same() && report.worst.is_empty());
    assert_eq!(serde_json::to_value(&report.active).unwrap(), serde_json::to_value(&report.proposed).unwrap());
    assert_eq!(report.active.alerts.all(), stored.len() as u64);
    let red = stored.iter().filter(|alert| alert.mark == triage::Mark::Red).count();
    assert_eq!((report.active.alerts.red, report.active.ended.by_nurse), (red as u64, red as u64));
    let admitted = report.closings["admitted"];
    assert_eq!((admitted.closed, admitted.active, admitted.proposed), (2, 2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_one_tells_what_it_knows_and_says_that_it_is_partial() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    let active = programme(1, 88);
    clinic.live(&active, two_people(), None).await;
    let watch = Arc::new(Watch::default());
    watch.cancel();
    let report = clinic.backtest_watched(&active, &programme(2, 86), &watch).await;
    assert!(report.partial && report.to_string().contains("PARTIAL"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_reading_is_left_out_on_both_sides() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    let active = programme(1, 88);
    clinic.live(&active, two_people(), None).await;
    let what = Journal::ReadingInvalidated {
        kit: "kit-p-1".parse().unwrap(),
        seq: 41,
        place: 0,
        reason: "somebody else's finger".into(),
    };
    let entry = JournalEntry { at: day(41.5), by: Some("nurse".into()), patient: Some("p-1".parse().unwrap()), what };
    clinic.store.append(&[entry]).await.unwrap();
    let report = clinic.backtest(&active, &active).await;
    assert_eq!(report.active.alerts, ByMark { red: 1, yellow: 2, blue: 0 });
}

/// Yellow at 88 % on five days that nothing follows, 87 % two days before an exacerbation.
fn noisy() -> Vec<Entry> {
    let mut entries = sittings("p-1", 1, &[(5, 88), (10, 88), (15, 88), (20, 87), (30, 88), (35, 88)]);
    entries.extend(sittings("p-2", 2, &[]));
    entries
}

const EXAMPLE: &str = r#"
[[example]]
name = "88 is yellow"
readings = [{ vital = "spo2", value = 88, unit = "%" }]
want = { spo2 = "yellow" }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_moves_the_limit_that_loses_nothing_and_the_example_that_says_otherwise_stops_it() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    clinic.account("ane", "operator").await;
    clinic.account("bo", "operator").await;
    let text = text(1, 88) + EXAMPLE;
    let active = Arc::new(Programme::parse(&text, "t.toml").unwrap());
    clinic.live(&active, noisy(), None).await;
    clinic.outcome("p-1", 22.0).await;

    // 6 alerts in 181 shifts; at most 2 are asked for.
    let ask = clinic.ask(&active, &active);
    let asked = BudgetAsk { ask, text: text.clone(), per_shift: 2.0 / 181.0, move_red: false, version: 2 };
    let (store, watch) = (Arc::clone(&clinic.store), Arc::new(Watch::default()));
    let runtime = tokio::runtime::Handle::current();
    let found = tokio::task::spawn_blocking(move || runtime.block_on(find(&*store, &asked, &watch)));
    let found = found.await.unwrap().unwrap();

    assert!(found.met, "{}", found.note);
    assert_eq!(found.moved.iter().map(ToString::to_string).collect::<Vec<_>>(), ["spo2 yellow_low from 88 to 87"]);
    assert_eq!((found.before.detected, found.after.detected), (1, 1));
    assert_eq!((found.before.per_shift, found.after.per_shift), (0.0331, 0.0055));
    assert_eq!(found.reference, "the outcomes that nurses recorded");
    let wanted = text.replace("at_most = 88", "at_most = 87").replace("above = 88", "above = 87");
    // It says who moved the number: no source did.
    let wanted = wanted.replace("\n]\n", "\n]\nsource = \"moved by the alert budget: yellow_low from 88 to 87\"\n");
    assert_eq!(found.text, wanted.replace("version = 1", "version = 2"));
    assert_eq!(found.contradicts.len(), 1);
    assert!(found.contradicts[0].contains("88 is yellow"), "{:?}", found.contradicts);

    let kept = proposals::keep(&*clinic.store, &found, "ane", day(61.0)).await.unwrap();
    assert!(kept.note.starts_with("alert budget: meets at most") && kept.proposed_by == "ane");
    let who = Decider { by: "bo", reason: "fewer", now: day(62.0) };
    let refused = programmes::activate(&*clinic.store, &TimeZone::UTC, ("t", 2), None, who).await.unwrap_err();
    assert!(matches!(refused, Refused::Faulty(_)), "{refused}");

    // What can't be activated is read, and tried as a shadow.
    let library = Library::open(&*clinic.store, day(62.0)).await.unwrap();
    let explained = library.explained("t", 2).unwrap();
    assert!(explained.contains("1 worked example says otherwise") && explained.contains("88 is yellow"), "{explained}");
    shadow::start(&*clinic.store, ("t", 2), "bo", day(62.0)).await.unwrap();
    assert_eq!(shadow::running(&*clinic.store, day(62.0)).await.unwrap().len(), 1);
    // And on the history, with what says otherwise.
    let tried = library.tried("t", 2).unwrap();
    assert_eq!(tried.failing.len(), 1);
    let report = clinic.backtest(&active, &tried.programme).await.of_failing(tried.failing.clone());
    assert_eq!(report.proposed.alerts.yellow, 1);
    assert!(report.to_string().contains("EXAMPLES FAIL: version 2 can't be taken into use"), "{report}");
}

/// A budget's answer to "at most 2 alerts in 181 shifts".
async fn budget_of_two(
    clinic: &Clinical,
    active: &Arc<Programme>,
    text: String,
    watch: Arc<Watch>,
) -> Result<Proposal, BudgetError> {
    let ask = clinic.ask(active, active);
    let asked = BudgetAsk { ask, text, per_shift: 2.0 / 181.0, move_red: false, version: 2 };
    let (store, runtime) = (Arc::clone(&clinic.store), tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || runtime.block_on(find(&*store, &asked, &watch))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_keeps_what_a_rule_said_of_its_source_and_says_what_it_can_not_change() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    let text = text(1, 88).replace("unit = \"%\"\n", "unit = \"%\"\nsource = \"the national plan\"\n");
    let active = Arc::new(Programme::parse(&text, "t.toml").unwrap());
    clinic.live(&active, noisy(), None).await;
    clinic.outcome("p-1", 22.0).await;
    let watch = Arc::new(Watch::default());
    let found = budget_of_two(&clinic, &active, text, Arc::clone(&watch)).await.unwrap();
    let source = "source = \"moved by the alert budget: yellow_low from 88 to 87; before that: the national plan\"";
    assert!(found.text.contains(source), "{}", found.text);
    assert_eq!(
        (found.before.alerts, found.before.lead_days_median),
        (ByMark { red: 0, yellow: 6, blue: 0 }, Some(7.0))
    );
    assert!(found.note.contains("0 of 1 alerts are blue (missing data), which no limit changes"), "{}", found.note);
    assert!(
        found.note.contains("all lead times together 2.0 days instead of 7.0, their median 2.0 instead of 7.0"),
        "{}",
        found.note
    );
    // How far it is was known while it was at it.
    assert!(watch.share() > 0.1 && watch.counts().0 == 120, "{} {:?}", watch.share(), watch.counts());

    watch.cancel();
    let cancelled = budget_of_two(&clinic, &active, found.text, watch).await.unwrap_err();
    assert!(matches!(cancelled, BudgetError::Cancelled), "{cancelled}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_outcomes_a_budget_says_what_it_is_measured_against() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    let active = programme(1, 88);
    clinic.live(&active, two_people(), None).await;
    let ask = clinic.ask(&active, &active);
    let asked = BudgetAsk { ask, text: text(1, 88), per_shift: 2.0 / 181.0, move_red: false, version: 2 };
    let (store, watch) = (Arc::clone(&clinic.store), Arc::new(Watch::default()));
    let runtime = tokio::runtime::Handle::current();
    let found = tokio::task::spawn_blocking(move || runtime.block_on(find(&*store, &asked, &watch)));
    let found = found.await.unwrap().unwrap();
    assert!(found.reference.starts_with("the version in use itself"), "{}", found.reference);
    // Both reds are events, and stay; red never moves, so 86 is as far as yellow goes.
    assert_eq!((found.before.events, found.after.detected, found.met), (2, 2, true));
    assert_eq!(found.moved[0].to.to_string(), "86");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_lives_on_what_is_stored_and_a_restart_changes_nothing() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    clinic.account("ane", "operator").await;
    let active = programme(1, 88);
    clinic.propose(1, 88, "ane", -0.9).await;
    clinic.propose(2, 86, "ane", -0.8).await;
    let (early, late): (Vec<Entry>, Vec<Entry>) =
        two_people().into_iter().partition(|entry| entry.recorded_at < day(14.5));
    clinic.live(&active, early, None).await;
    shadow::start(&*clinic.store, ("t", 2), "ane", day(14.6)).await.unwrap();
    let twice = shadow::start(&*clinic.store, ("t", 2), "ane", day(14.7)).await.unwrap_err();
    assert!(twice.to_string().contains("runs as a shadow already"), "{twice}");

    let (first, rest): (Vec<Entry>, Vec<Entry>) = late.into_iter().partition(|entry| entry.recorded_at < day(44.5));
    clinic.live(&active, first, None).await;
    let store: Arc<dyn Store> = Arc::clone(&clinic.store) as Arc<dyn Store>;
    let (now, shadows) = hands(&store, 45.0);
    let mut running = shadows();
    running.round().await.unwrap();
    let raised = async || clinic.store.shadow_alerts("t", 2, day(0.0), day(100.0)).await.unwrap();
    assert_eq!(raised().await.len(), 1);

    clinic.live(&active, rest, None).await;
    now.set(60.0);
    running.round().await.unwrap();
    let as_it_went = raised().await;
    assert_eq!(as_it_went.len(), 2);
    shadows().round().await.unwrap();
    assert_eq!(raised().await, as_it_went, "a restart changes nothing");

    let running: Vec<Running> = shadow::running(&*store, day(62.0)).await.unwrap();
    let report = shadow_report::report(&*store, &running[0], None, day(60.0), &TimeZone::UTC).await.unwrap();
    assert_eq!(report.total.active, ByMark { red: 2, yellow: 2, blue: 0 });
    assert_eq!(report.total.shadow, ByMark { red: 2, yellow: 0, blue: 0 });
    assert_eq!((report.total.only_active, report.total.only_shadow), (2, 0));
    let on_day_20 = report.days.iter().find(|of| of.day == TimeZone::UTC.to_datetime(day(20.0)).date()).unwrap();
    assert_eq!((on_day_20.counted.active.yellow, on_day_20.counted.only_active), (1, 1));

    shadow::stop(&*store, ("t", 2), "ane", day(61.0)).await.unwrap();
    assert!(shadow::running(&*store, day(62.0)).await.unwrap().is_empty());
}

/// A clock that is set by hand, in days, and shadows that look at it.
fn hands(store: &Arc<dyn Store>, at: f64) -> (Hands, impl Fn() -> Shadows) {
    let hands = Hands(Arc::new(std::sync::Mutex::new(at)));
    let (store, of_shadows) = (Arc::clone(store), hands.clone());
    let shadows = move || {
        let hands = of_shadows.clone();
        let clock = Arc::new(move || day(*hands.0.lock().unwrap()));
        let beside = Beside::new(tokio_util::sync::CancellationToken::new());
        Shadows::new(Arc::clone(&store), TimeZone::UTC, clock, beside)
    };
    (hands, shadows)
}

#[derive(Clone)]
struct Hands(Arc<std::sync::Mutex<f64>>);

impl Hands {
    fn set(&self, at: f64) {
        *self.0.lock().unwrap() = at;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_goes_on_after_a_clock_that_leapt_and_is_built_again_where_somebody_is_judged_otherwise() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    clinic.account("ane", "operator").await;
    let active = programme(1, 88);
    clinic.propose(1, 88, "ane", -0.9).await;
    clinic.propose(2, 86, "ane", -0.8).await;
    let (mut early, late): (Vec<Entry>, Vec<Entry>) =
        two_people().into_iter().partition(|entry| entry.recorded_at < day(45.5));
    // The last that comes before the clock goes back is stamped a year ahead.
    early.last_mut().unwrap().recorded_at = day(400.0);
    clinic.live(&active, early, None).await;
    shadow::start(&*clinic.store, ("t", 2), "ane", day(14.6)).await.unwrap();
    let store: Arc<dyn Store> = Arc::clone(&clinic.store) as Arc<dyn Store>;
    let raised = async || clinic.store.shadow_alerts("t", 2, day(0.0), day(500.0)).await.unwrap();
    let (now, shadows) = hands(&store, 45.4);
    let mut running = shadows();
    running.round().await.unwrap();
    now.set(400.1);
    running.round().await.unwrap();
    now.set(45.6);
    running.round().await.unwrap();
    clinic.live(&active, late, None).await;
    now.set(60.0);
    running.round().await.unwrap();
    let as_it_went = raised().await;
    let of = |patient: &str| as_it_went.iter().filter(|one| one.patient.as_str() == patient).count();
    assert_eq!((of("p-1"), of("p-2")), (1, 1), "84 on day 40, and on day 50 after the leap");
    shadows().round().await.unwrap();
    assert_eq!(raised().await, as_it_went, "one that begins now says the same");

    // Red is at 83 for p-1 from now on, and was at 85 on day 40.
    let own = serde_json::json!({ "limits": [{ "rule": "spo2", "limit": "red_low", "value": 83, "unit": "%", "author": "Dr Test",
        "reason": "his normal state", "from": "2024-01-01T00:00:00Z" }] });
    let patients = vec![Patient { own, ..patient("p-1") }, patient("p-2")];
    clinic.store.put_roster(&Roster { patients, kits: Vec::new() }, day(60.0)).await.unwrap();
    now.set(60.1);
    running.round().await.unwrap();
    let anew = raised().await;
    assert!(anew != as_it_went, "p-1 is judged otherwise");
    assert!(anew.iter().all(|one| one.patient.as_str() != "p-1" || one.alert.mark < triage::Mark::Red), "{anew:#?}");
    let of_other = |all: &[store::ShadowAlert]| {
        all.iter().filter(|one| one.patient.as_str() == "p-2").cloned().collect::<Vec<_>>()
    };
    assert_eq!(of_other(&anew), of_other(&as_it_went), "and nobody else");
    shadows().round().await.unwrap();
    assert_eq!(raised().await, anew, "as one that begins now would");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_is_worth_as_counted_by_hand() {
    let clinic = Clinical::new(&["p-1", "p-2"]).await;
    clinic.live(&programme(1, 88), two_people(), Some(CloseReason::Admitted)).await;
    clinic.outcome("p-1", 22.0).await;
    let span = Span { since: day(0.0), until: day(f64::from(DAYS)) };
    let ask = RulesAsk { programme: None, span, window: Window::default(), zone: TimeZone::UTC, shift: SHIFT };
    let told = rules::report(&*clinic.store, &ask).await.unwrap();
    assert_eq!((told.alerts, told.simulated, told.rules.len()), (4, true, 1));
    let row = &told.rules[0];
    assert_eq!((row.programme.as_str(), row.version, row.rule.as_str()), ("t", 1, "spo2"));
    assert_eq!(row.fired, ByMark { red: 2, yellow: 2, blue: 0 });
    assert_eq!((row.alone, row.acted_on, row.closed_as_false, row.eased, row.open), (4, 2, 0, 2, 0));
    assert_eq!((row.ppv, row.ppv_by_outcomes), (Some(1.0), Some(0.25)));
    // The reds were closed after 6 hours, the yellows eased with the second normal sitting.
    assert_eq!((row.minutes_open_median, row.hours_open), (Some(360.0), 108.0));
    assert_eq!(row.per_shift, 0.0221);
}
