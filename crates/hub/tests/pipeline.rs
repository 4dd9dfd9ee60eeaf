//! The pipeline over a real SQLite file, with arrivals in place of a source and a store that can be told to fail at its border.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use desk::{ActionRequest, Board};
use hub::{
    clock,
    directory::{Books, Directories, Directory, Programmes, hex},
    pipeline::{Parts, Pipeline, acks::Outbox},
    source::{Arrival, NotTaken, Taker, ToKits},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{
    Account, Batch, Change, Command, CommandState, Curve, Dump, Enrolled, Enrolment, Erased, Heard, History,
    HistoryFilter, InvalidReading, JournalEntry, JournalFilter, KitSeq, Load, MessagePages, ProgrammeVersion, Progress,
    QuarantinedEntry, Roster, ShadowAlert, Sqlite, Store, StoreError, Stored, StoredMessage, WebSession,
};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use triage::{Action, Alert, AlertEvent, AlertId, CloseReason, Mark};
use vitals::{Colour, KitId, PatientId, Vital};
use wire::{Acks, Topic};

/// A store whose commits can be made to fail, or to wait. Everything else is the real one.
struct Border {
    inner: Sqlite,
    refuses: AtomicBool,
    /// Once: commits, and says that it has not.
    lies: AtomicBool,
    /// So many commits of nothing fail: what was stored before them may not be safe yet.
    unsafe_for: AtomicUsize,
    held: tokio::sync::RwLock<()>,
}

#[async_trait]
#[rustfmt::skip]
impl Store for Border {
    async fn commit_shared(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        let _may = self.held.read().await;
        if self.refuses.load(Ordering::SeqCst) {
            let what = "no space left on device".to_owned();
            return Err(StoreError::Corrupt { table: "disk", row: "0".into(), what });
        }
        let one_less = |left: usize| left.checked_sub(1);
        if !batch.has_content() && self.unsafe_for.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(StoreError::Corrupt { table: "disk", row: "0".into(), what: "the standby is away".into() });
        }
        self.inner.commit_shared(batch).await?;
        if self.lies.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Corrupt { table: "disk", row: "0".into(), what: "the disk failed to sync".into() });
        }
        Ok(())
    }
    async fn seen(&self, messages: &[KitSeq]) -> Result<Vec<(KitSeq, [u8; 32])>, StoreError> { self.inner.seen(messages).await }
    async fn last_seqs(&self, kits: &[KitId]) -> Result<Vec<(KitId, u64)>, StoreError> { self.inner.last_seqs(kits).await }
    async fn messages(&self, patient: &PatientId, since: Timestamp) -> Result<Vec<StoredMessage>, StoreError> {
        if patient.as_str().starts_with("unreadable") {
            return Err(StoreError::Corrupt { table: "message", row: "1".into(), what: "nonsense".into() });
        }
        self.inner.messages(patient, since).await
    }
    async fn change(&self, change: &Change<'_>) -> Result<Vec<Timestamp>, StoreError> { self.inner.change(change).await }
    async fn journal(&self, filter: JournalFilter<'_>) -> Result<Vec<JournalEntry>, StoreError> { self.inner.journal(filter).await }
    async fn last_stamp(&self) -> Result<Option<Timestamp>, StoreError> { self.inner.last_stamp().await }
    async fn programme_versions(&self, id: Option<&str>) -> Result<Vec<ProgrammeVersion>, StoreError> { self.inner.programme_versions(id).await }
    async fn put_shadow(&self, alerts: &[ShadowAlert]) -> Result<(), StoreError> { self.inner.put_shadow(alerts).await }
    async fn shadow_alerts(&self, programme: &str, version: u32, since: Timestamp, until: Timestamp) -> Result<Vec<ShadowAlert>, StoreError> { self.inner.shadow_alerts(programme, version, since, until).await }
    async fn shadow_clear(&self, programme: &str, version: u32) -> Result<(), StoreError> { self.inner.shadow_clear(programme, version).await }
    async fn message_pages(&self, patient: &PatientId, since: Timestamp) -> Result<MessagePages, StoreError> {
        if patient.as_str().starts_with("unreadable") {
            return Err(StoreError::Corrupt { table: "message", row: "1".into(), what: "nonsense".into() });
        }
        self.inner.message_pages(patient, since).await
    }
    async fn newest_messages(&self, patient: &PatientId, since: Timestamp, before: Option<Timestamp>, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        if patient.as_str().starts_with("unreadable") {
            return Err(StoreError::Corrupt { table: "message", row: "1".into(), what: "nonsense".into() });
        }
        self.inner.newest_messages(patient, since, before, limit).await
    }
    async fn message(&self, key: &KitSeq) -> Result<Option<(PatientId, StoredMessage)>, StoreError> { self.inner.message(key).await }
    async fn invalidated(&self, patient: Option<&PatientId>) -> Result<Vec<InvalidReading>, StoreError> { self.inner.invalidated(patient).await }
    async fn history(&self, filter: &HistoryFilter) -> Result<History, StoreError> { self.inner.history(filter).await }
    async fn open_alerts(&self, patient: Option<&PatientId>) -> Result<Vec<Alert>, StoreError> { self.inner.open_alerts(patient).await }
    async fn alert(&self, id: AlertId) -> Result<Option<(Alert, Vec<AlertEvent>)>, StoreError> { self.inner.alert(id).await }
    async fn alerts_of(&self, patient: &PatientId, limit: u32) -> Result<Vec<Alert>, StoreError> { self.inner.alerts_of(patient, limit).await }
    async fn curves(&self, patient: &PatientId, vitals: &[Vital], since: Timestamp, limit: u32) -> Result<Vec<Curve>, StoreError> { self.inner.curves(patient, vitals, since, limit).await }
    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantinedEntry>, u64), StoreError> { self.inner.quarantine(limit).await }
    async fn quarantined(&self, id: i64) -> Result<Option<(QuarantinedEntry, Vec<u8>)>, StoreError> { self.inner.quarantined(id).await }
    async fn roster(&self) -> Result<Roster, StoreError> { self.inner.roster().await }
    async fn heard(&self, heard: &[Heard]) -> Result<(), StoreError> { self.inner.heard(heard).await }
    async fn last_heard(&self) -> Result<Vec<Heard>, StoreError> { self.inner.last_heard().await }
    async fn put_enrolment(&self, enrolment: &Enrolment) -> Result<(), StoreError> { self.inner.put_enrolment(enrolment).await }
    async fn enrol(&self, code: &str, secret: &str, now: Timestamp) -> Result<Enrolled, StoreError> { self.inner.enrol(code, secret, now).await }
    async fn enrolments(&self) -> Result<Vec<Enrolment>, StoreError> { self.inner.enrolments().await }
    async fn put_command(&self, command: &Command) -> Result<bool, StoreError> { self.inner.put_command(command).await }
    async fn open_commands(&self, now: Timestamp, limit: u32) -> Result<Vec<Command>, StoreError> { self.inner.open_commands(now, limit).await }
    async fn commands_of(&self, kit: &KitId, limit: u32) -> Result<Vec<CommandState>, StoreError> { self.inner.commands_of(kit, limit).await }
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> { self.inner.accounts().await }
    async fn account(&self, user: &str) -> Result<Option<Account>, StoreError> { self.inner.account(user).await }
    async fn put_web_session(&self, session: &WebSession) -> Result<(), StoreError> { self.inner.put_web_session(session).await }
    async fn web_session(&self, id: &str, now: Timestamp) -> Result<Option<WebSession>, StoreError> { self.inner.web_session(id, now).await }
    async fn end_web_session(&self, id: &str, now: Timestamp) -> Result<(), StoreError> { self.inner.end_web_session(id, now).await }
    async fn dump(&self, of: Option<&PatientId>) -> Result<Dump, StoreError> { self.inner.dump(of).await }
    async fn holdings(&self) -> Result<Vec<(&'static str, u64)>, StoreError> { self.inner.holdings().await }
    async fn load(&self) -> Result<Box<dyn Load + '_>, StoreError> { self.inner.load().await }
    async fn erase(&self, patient: &PatientId, said: &[JournalEntry]) -> Result<Erased, StoreError> { self.inner.erase(patient, said).await }
    async fn scrub(&self) -> Result<(), StoreError> { self.inner.scrub().await }
    async fn ping(&self) -> Result<(), StoreError> { self.inner.ping().await }
    async fn stored(&self) -> Result<Stored, StoreError> { self.inner.stored().await }
    async fn close(&self) { self.inner.close().await; }
}

#[derive(Default)]
struct Heardings(std::sync::Mutex<Vec<(String, Acks)>>);

#[async_trait]
impl ToKits for Heardings {
    async fn send(&self, topic: &Topic, payload: Vec<u8>) {
        let acks = serde_json::from_slice(&payload).unwrap();
        self.0.lock().unwrap().push((topic.to_string(), acks));
    }
}

struct Clinic {
    store: Arc<Border>,
    board: Arc<Board>,
    outbox: Arc<Outbox>,
    actions: mpsc::Sender<ActionRequest>,
    pipeline: Pipeline,
    taker: Arc<dyn Taker>,
    stop: CancellationToken,
}

/// A clinic with one patient and one kit, watched since `days` ago. Who is watched since now has missed nothing yet, whatever the day and the hour.
async fn open(folder: &TempDir, days: i64) -> Clinic {
    open_beside(folder, days, "").await
}

/// The same, with others in the roster.
async fn open_beside(folder: &TempDir, days: i64, others: &str) -> Clinic {
    open_by(folder, days, others, clock::wall()).await
}

/// The same, by this clock.
async fn open_by(folder: &TempDir, days: i64, others: &str, clock: clock::Clock) -> Clinic {
    let inner = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
    let store = Arc::new(Border {
        inner,
        refuses: AtomicBool::new(false),
        lies: AtomicBool::new(false),
        unsafe_for: AtomicUsize::new(0),
        held: Default::default(),
    });
    let since = (now() - SignedDuration::from_hours(24 * days)).to_string();
    let roster = format!(
        "[[patient]]\nid = \"p-1\"\nname = \"Test Person\"\nprogramme = \"copd\"\nsince = {since:?}\n\
         [[kit]]\nid = \"kit-1\"\npatient = \"p-1\"\nsecret_sha256 = \"{}\"\nsince = {since:?}\n{others}",
        hex(&[7; 32])
    );
    store.put_roster(&toml::from_str(&roster).unwrap(), now()).await.unwrap();
    let roster = store.roster().await.unwrap();
    let directory = Directory::new(roster.clone(), &copd(), &TimeZone::UTC).unwrap();
    let alerts = store.open_alerts(None).await.unwrap();
    let board = Board::new(alerts, roster, Vec::new(), directory.plans().clone());
    let (actions, acted) = mpsc::channel(8);
    let (outbox, stop) = (Arc::new(Outbox::default()), CancellationToken::new());
    let parts = Parts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        board: Arc::clone(&board),
        directories: Directories::fixed(directory),
        actions: acted,
        kits: mpsc::channel(1).1,
        remeasure: mpsc::channel(8).0,
        outbox: Arc::clone(&outbox),
        clock,
        stop: stop.clone(),
    };
    let pipeline = Pipeline::start(parts).await.unwrap();
    let taker = pipeline.taker();
    Clinic { store, board, outbox, actions, pipeline, taker, stop }
}

impl Clinic {
    async fn takes(&self, payload: &str) -> Result<(), NotTaken> {
        self.taker.take(arrival(payload)).await
    }

    /// What is told to the kit. Whoever waits for a PUBACK has it a moment before.
    async fn told(&self) -> Vec<Acks> {
        let heard = Heardings::default();
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.outbox.flush(&heard).await;
        heard.0.into_inner().unwrap().into_iter().map(|(_, acks)| acks).collect()
    }

    /// The page shows the patient in this colour.
    async fn shows(&self, colour: Colour) {
        let patient = "p-1".parse().unwrap();
        let standing = || self.board.person(&patient).and_then(|person| person.standing);
        let shown = async {
            while standing().map(|standing| standing.colour) != Some(colour) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), shown).await.expect("it is shown");
    }

    /// The one alert that waits, with this version at least.
    async fn waits(&self, version: u32) -> Alert {
        let seen = || self.board.queue().1.first().filter(|alert| alert.version >= version).cloned();
        let shown = async {
            loop {
                if let Some(alert) = seen() {
                    return Alert::clone(&alert);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), shown).await.expect("an alert is shown")
    }

    async fn close(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(30), self.pipeline.finished()).await.unwrap();
        self.store.close().await;
    }

    async fn asks(&self, alert: &Alert, action: Action) -> Result<triage::AlertChange, desk::ActionRefused> {
        let (reply, answer) = oneshot::channel();
        let request = ActionRequest {
            alert: alert.id,
            patient: alert.patient.clone(),
            seen_version: alert.version,
            action,
            by: "Nurse".to_owned(),
            reply,
        };
        self.actions.send(request).await.unwrap();
        answer.await.unwrap()
    }
}

fn arrival(payload: &str) -> Arrival {
    Arrival {
        kit: "kit-1".parse().unwrap(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        refused: None,
        received_at: clock::now(),
        wants_ack: true,
    }
}

fn message(seq: u64, spo2: &str, measured_at: Timestamp) -> String {
    format!(
        r#"{{"seq":{seq},"sent_at":"{}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[
            {{"vital":"spo2","value":{spo2},"unit":"%","measured_at":"{measured_at}","clock":"device","device":"sim:1"}},
            {{"vital":"pulse","value":75,"unit":"/min","measured_at":"{measured_at}","clock":"device","device":"sim:1"}}]}}"#,
        clock::now()
    )
}

fn now() -> Timestamp {
    clock::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_before_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    clinic.takes(&message(1, "95", now())).await.unwrap();
    assert_eq!(clinic.store.stored().await.unwrap().readings, 2);

    clinic.store.refuses.store(true, Ordering::SeqCst);
    let (taker, payload) = (Arc::clone(&clinic.taker), message(2, "84", now()));
    let waits = tokio::spawn(async move { taker.take(arrival(&payload)).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!waits.is_finished(), "acknowledged, and not stored");
    assert!(clinic.board.queue().1.is_empty(), "shown, and not stored");
    let live = clinic.board.liveness(now());
    assert!(!live.live && live.behind_since.is_some());
    assert!(live.reason.unwrap().contains("no space left"));

    clinic.store.refuses.store(false, Ordering::SeqCst);
    timeout(Duration::from_secs(30), waits).await.unwrap().unwrap().unwrap();
    assert_eq!(clinic.store.stored().await.unwrap().messages, 2);
    assert_eq!(clinic.waits(1).await.mark, Mark::Red);
    assert!(clinic.board.liveness(now()).live);
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn again_is_acknowledged_again_and_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let began = now() - SignedDuration::from_mins(1);
    let at = |seq: i64| began + SignedDuration::from_secs(seq);
    let clinic = open(&folder, 1).await;
    for (seq, spo2) in [(1, "95"), (2, "94"), (1, "95"), (4, "93"), (4, "93"), (2, "94")] {
        clinic.takes(&message(seq, spo2, at(seq.cast_signed()))).await.unwrap();
    }
    let acks = clinic.told().await;
    assert_eq!((acks.len(), acks[0].through, acks[0].rejected.len()), (1, 2, 0), "3 may still come");
    let colours: Vec<_> = acks[0].judged.iter().map(|one| (one.seq, one.vital, one.colour)).collect();
    let judged = |seq| [Vital::Spo2, Vital::Pulse].map(|vital| (seq, Some(vital), Colour::Green));
    assert_eq!(colours, [judged(1), judged(2), judged(4)].concat());
    clinic.takes(&message(3, "94", at(3))).await.unwrap();
    assert_eq!(clinic.told().await[0].through, 4);
    clinic.takes(&message(2, "50", at(2))).await.unwrap();
    let rejected = &clinic.told().await[0].rejected;
    assert_eq!((rejected[0].seq, &*rejected[0].reason), (2, "seq 2 was used before with other content"));
    let stored = clinic.store.stored().await.unwrap();
    assert_eq!((stored.messages, stored.readings, stored.quarantined), (4, 8, 1));
    clinic.close().await;

    let clinic = open(&folder, 1).await;
    clinic.takes(&message(3, "94", at(3))).await.unwrap();
    clinic.takes(&message(5, "94", at(5))).await.unwrap();
    assert_eq!(clinic.store.stored().await.unwrap().messages, 5, "known after a restart too");
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_kept_told_and_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    for payload in ["", "not json", "{\"seq\":1}"] {
        clinic.takes(payload).await.unwrap();
    }
    clinic.takes(&message(2, "930", now())).await.unwrap();
    clinic.takes(&message(3, "95", now())).await.unwrap();
    let acks = &clinic.told().await[0];
    assert_eq!(acks.through, 3);
    let reasons: Vec<_> = acks.rejected.iter().map(|one| (one.seq, one.reason.as_str())).collect();
    assert_eq!(reasons[0], (1, "message: missing field `sent_at` at line 1 column 9"));
    assert_eq!(reasons[1], (2, "readings[0]: spo2 930 % is impossible: want 50 to 100 %"));
    let (rows, total) = clinic.store.quarantine(10).await.unwrap();
    assert_eq!((rows.len(), total), (4, 4));
    let stored = clinic.store.stored().await.unwrap();
    assert_eq!((stored.messages, stored.readings), (2, 3), "the pulse beside the impossible SpO2 is kept");
    clinic.takes("{\"seq\":1}").await.unwrap();
    clinic.takes("not json").await.unwrap();
    let reused = message(3, "50", now());
    for _ in 0..3 {
        clinic.takes(&reused).await.unwrap();
    }
    assert_eq!(clinic.store.quarantine(10).await.unwrap().1, 5, "the same poison again is the same");
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_reading_is_an_alert_a_nurse_acts_and_a_restart_knows() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    clinic.takes(&message(1, "84", now())).await.unwrap();
    let alert = clinic.waits(1).await;
    assert_eq!(alert.mark, Mark::Red);
    let change = clinic.asks(&alert, Action::Acknowledge).await.unwrap();
    let stale = clinic.asks(&alert, Action::Close { reason: CloseReason::Advice, note: String::new() }).await;
    assert!(stale.is_err(), "it was decided on an older version");
    assert_eq!(clinic.store.open_alerts(None).await.unwrap(), std::slice::from_ref(&change.alert));
    clinic.close().await;

    let clinic = open(&folder, 0).await;
    clinic.takes(&message(2, "83", now())).await.unwrap();
    let again = clinic.waits(change.alert.version + 1).await;
    assert_eq!((again.id, again.count), (alert.id, 2), "the same episode goes on");
    let close = Action::Close { reason: CloseReason::Advice, note: "called".to_owned() };
    clinic.asks(&again, close.clone()).await.unwrap();
    assert!(clinic.board.queue().1.is_empty(), "shown before the nurse is told that it is done");
    assert!(clinic.asks(&again, close).await.is_err(), "it is done once");
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_somebody_stands_is_on_the_page_after_a_restart_though_no_alert_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    clinic.takes(&message(1, "84", now())).await.unwrap();
    clinic.shows(Colour::Red).await;
    let alert = clinic.waits(1).await;
    let close = Action::Close { reason: CloseReason::Advice, note: "called".to_owned() };
    clinic.asks(&alert, close).await.unwrap();
    clinic.close().await;

    let clinic = open(&folder, 0).await;
    clinic.shows(Colour::Red).await;
    assert!(clinic.board.queue().1.is_empty());
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nurse_who_asks_twice_is_not_told_that_it_is_done_before_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    clinic.takes(&message(1, "84", now())).await.unwrap();
    let alert = clinic.waits(1).await;
    let held = clinic.store.held.write().await;
    let asks = || Box::pin(clinic.asks(&alert, Action::Acknowledge));
    let (mut first, mut second) = (asks(), asks());
    let a_while = Duration::from_millis(500);
    let early = tokio::join!(timeout(a_while, &mut first), timeout(a_while, &mut second));
    assert!(early.0.is_err() && early.1.is_err(), "answered, and nothing is stored: {early:?}");
    drop(held);
    let (first, second) = timeout(Duration::from_secs(30), async move { tokio::join!(first, second) }).await.unwrap();
    let (first, second) = (first.unwrap().alert, second.unwrap().alert);
    assert_eq!(first, second, "it is done once");
    assert_eq!(clinic.store.open_alerts(None).await.unwrap(), [first]);
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_failed_and_happened_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    clinic.store.lies.store(true, Ordering::SeqCst);
    timeout(Duration::from_secs(30), clinic.takes(&message(1, "84", now()))).await.unwrap().unwrap();
    let alert = clinic.waits(1).await;
    let (stored, history) = clinic.store.alert(alert.id).await.unwrap().unwrap();
    assert_eq!((stored.version, history.len()), (1, 1), "{history:?}");
    let stored = clinic.store.stored().await.unwrap();
    assert_eq!((stored.messages, stored.alerts), (1, 1));
    clinic.close().await;
}

/// What a store shows after a commit that was cut off may not be safe yet: nobody is answered before another commit has come through.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_safe_yet_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    clinic.store.lies.store(true, Ordering::SeqCst);
    clinic.store.unsafe_for.store(3, Ordering::SeqCst);
    timeout(Duration::from_secs(30), clinic.takes(&message(1, "84", now()))).await.unwrap().unwrap();
    assert_eq!(clinic.store.unsafe_for.load(Ordering::SeqCst), 0, "it was acknowledged before it was safe");
    assert_eq!(clinic.store.stored().await.unwrap().messages, 1);
    clinic.close().await;
}

/// A tick holds no message: what it stored is known by its stamp.
#[tokio::test(flavor = "multi_thread")]
async fn a_tick_whose_commit_was_reported_as_failed_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 15).await;
    let missing = clinic.waits(1).await;
    let before = clinic.store.alert(missing.id).await.unwrap().unwrap().1.len();
    clinic.store.lies.store(true, Ordering::SeqCst);
    clinic.asks(&missing, Action::Acknowledge).await.unwrap();
    let (stored, history) = clinic.store.alert(missing.id).await.unwrap().unwrap();
    assert!(!clinic.store.lies.load(Ordering::SeqCst), "the commit was not the one that was reported as failed");
    assert_eq!((stored.version, history.len()), (missing.version + 1, before + 1), "{history:?}");
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_once_also_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 15).await;
    let missing = clinic.waits(1).await;
    assert_eq!(missing.mark, Mark::Blue);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let missing =
        clinic.store.open_alerts(None).await.unwrap().into_iter().find(|alert| alert.id == missing.id).unwrap();
    clinic.asks(&missing, Action::Close { reason: CloseReason::Technical, note: String::new() }).await.unwrap();
    clinic.close().await;

    let clinic = open(&folder, 15).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(clinic.board.queue().1.is_empty(), "what was told and closed is not told again");
    assert_eq!(clinic.store.alerts_of(&missing.patient, 10).await.unwrap().len(), 1);
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_judged_of_everybody_whose_chart_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let unreadable = |n| format!("[[patient]]\nid = \"unreadable-{n}\"\nname = \"Test\"\nprogramme = \"copd\"\n");
    let others: String = (0..40).map(unreadable).collect();
    let clinic = open_beside(&folder, 15, &others).await;
    assert_eq!(clinic.waits(1).await.mark, Mark::Blue, "one chart that can't be read keeps nobody else's waiting");
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_that_makes_no_sense_stops_its_own_patient_alone() {
    let folder = tempfile::tempdir().unwrap();
    let since = (clock::now() - SignedDuration::from_hours(24)).to_string();
    let others = format!(
        "[[patient]]\nid = \"unreadable-1\"\nname = \"Test\"\nprogramme = \"copd\"\n\
         [[kit]]\nid = \"kit-2\"\npatient = \"unreadable-1\"\nsecret_sha256 = \"{}\"\nsince = {since:?}\n",
        hex(&[8; 32])
    );
    let clinic = open_beside(&folder, 0, &others).await;
    let from_other = Arrival { kit: "kit-2".parse().unwrap(), ..arrival(&message(1, "84", now())) };
    let bytes = from_other.payload.len() as u64;
    timeout(Duration::from_secs(30), clinic.taker.take(from_other)).await.expect("it is acknowledged").unwrap();
    timeout(Duration::from_secs(30), clinic.takes(&message(1, "95", now()))).await.expect("others go on").unwrap();
    let reason = "the chart of patient unreadable-1 can't be read: message row 1: nonsense";
    let rejected: Vec<_> = clinic.told().await.into_iter().flat_map(|acks| acks.rejected).collect();
    assert_eq!((rejected.len(), rejected[0].seq, &*rejected[0].reason), (1, 1, reason));
    let (rows, total) = clinic.store.quarantine(10).await.unwrap();
    assert_eq!((total, rows[0].kit.as_str(), &*rows[0].reason, rows[0].bytes), (1, "kit-2", reason, bytes));
    assert_eq!(clinic.store.stored().await.unwrap().readings, 2);
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_leapt_and_came_back_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let hours = Arc::clone(&ahead);
    let clock = Arc::new(move || now() + SignedDuration::from_hours(hours.load(Ordering::SeqCst)));
    let clinic = open_by(&folder, 1, "", clock).await;
    for (seq, hours) in [(1, 0), (2, 24 * 365), (3, 0), (4, 0)] {
        ahead.store(hours, Ordering::SeqCst);
        let taken = timeout(Duration::from_secs(30), clinic.takes(&message(seq, "95", now()))).await;
        taken.expect("it is taken in and acknowledged").unwrap();
    }
    let stored = clinic.store.messages(&"p-1".parse().unwrap(), Timestamp::MIN).await.unwrap();
    let in_future: Vec<_> = stored.iter().map(|message| message.recorded_at > now()).collect();
    assert_eq!(in_future, [false, true, false, false], "the clock is followed");
    let before = clinic.waits(1).await;
    ahead.store(24 * 15, Ordering::SeqCst);
    assert_eq!(clinic.waits(before.version + 1).await.mark, Mark::Blue, "who is silent now is missed");
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_in_is_finished_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    let waiting: Vec<_> = (1..=50)
        .map(|seq| {
            let (taker, payload) = (Arc::clone(&clinic.taker), message(seq, "95", now()));
            tokio::spawn(async move { taker.take(arrival(&payload)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let store = Arc::clone(&clinic.store);
    clinic.stop.cancel();
    timeout(Duration::from_secs(30), clinic.pipeline.finished()).await.unwrap();
    let mut acknowledged = 0;
    for one in waiting {
        acknowledged += u64::from(one.await.unwrap().is_ok());
    }
    assert_eq!(store.stored().await.unwrap().messages, acknowledged, "acknowledged is stored, and nothing else");
}

fn told_by_a_kit(kit: &str, seq: u64, patient: &str, what: &str) -> Arrival {
    let payload = format!(
        r#"{{"seq":{seq},"sent_at":"{}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[]{patient},{what}}}"#,
        now()
    );
    Arrival { kit: kit.parse().unwrap(), ..arrival(&payload) }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_stored_with_their_message_and_whoever_asks_to_be_called_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = open(&folder, 0).await;
    let kit = clinic.store.roster().await.unwrap().kits.remove(0);
    let wanted = desk::Ask { command: "message".into(), text: Some("hello".into()), ..desk::Ask::default() };
    let id = desk::ask(&*clinic.store, &kit, wanted, Some("Mette Larsen"), now()).await.unwrap().id;
    let at = now();
    let receipts = format!(
        r#""receipts":[{{"command":"{id}","outcome":"read","at":"{at}"}},{{"command":"unknown","outcome":"done","at":"{at}"}}]"#
    );
    let call = format!(
        r#"{receipts},"answers":[{{"questionnaire":"kit","version":1,"question":"call_me","answer":"now","answered_at":"{at}"}}]"#
    );
    clinic.taker.take(told_by_a_kit("kit-1", 1, "", &call)).await.unwrap();
    clinic.taker.take(told_by_a_kit("kit-1", 1, "", &call)).await.unwrap();
    let state = clinic.store.commands_of(&kit.id, 9).await.unwrap().remove(0);
    assert_eq!((state.state, state.receipts.len(), state.command.by.as_deref()), (Progress::Read, 1, Some("Mette")));
    let alert = clinic.waits(1).await;
    assert_eq!((alert.family.as_str(), alert.mark, alert.count), ("call", Mark::Yellow, 1));
    clinic.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_that_several_share_says_whose_it_measured() {
    let folder = tempfile::tempdir().unwrap();
    let others = "[[patient]]\nid = \"p-2\"\nname = \"Bo\"\nprogramme = \"copd\"\n[[kit]]\nid = \"bus\"\npatients = [\"p-1\", \"p-2\"]\n";
    let clinic = open_beside(&folder, 0, others).await;
    let measured = message(1, "84", now());
    let readings = &measured[measured.find("\"readings\"").unwrap()..measured.len() - 1];
    for (seq, patient) in [(1, r#","patient":"p-2""#), (2, ""), (3, r#","patient":"p-9""#)] {
        let mut arrival = told_by_a_kit("bus", seq, patient, "\"x\":0");
        arrival.payload =
            String::from_utf8(arrival.payload.to_vec()).unwrap().replace("\"readings\":[]", readings).into();
        clinic.taker.take(arrival).await.unwrap();
    }
    assert_eq!(clinic.waits(1).await.patient.as_str(), "p-2");
    let rejected: Vec<_> = clinic.told().await[0].rejected.iter().map(|one| one.reason.clone()).collect();
    assert_eq!(
        rejected,
        [
            "kit bus is shared by several people: want `patient` in the message, found none",
            "message is for patient p-9, who is not among those who share kit bus"
        ]
    );
    let stored = clinic.store.stored().await.unwrap();
    assert_eq!((stored.messages, stored.readings, stored.quarantined), (1, 2, 2));
    let receipts = format!(r#""receipts":[{{"command":"c","outcome":"done","at":"{}"}}]"#, now());
    clinic.taker.take(told_by_a_kit("bus", 4, "", &receipts)).await.unwrap();
    assert_eq!(clinic.told().await[0].rejected.len(), 0, "receipts measure nobody");
    clinic.close().await;
}

/// The COPD programme alone.
fn copd() -> Books {
    let programme = Arc::new(triage::Programme::parse(triage::COPD, "copd.toml").unwrap());
    let programmes = Programmes::from([(programme.id().to_owned(), programme)]);
    Books::new(programmes, Arc::new(triage::Clinic::shipped()))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_of_the_store_what_is_fresh_is_judged_before_another_ones_backlog() {
    let folder = tempfile::tempdir().unwrap();
    let since = now() - SignedDuration::from_hours(48);
    let others = format!(
        "[[patient]]\nid = \"p-2\"\nname = \"Other Person\"\nprogramme = \"copd\"\nsince = \"{since}\"\n\
         [[kit]]\nid = \"kit-2\"\npatient = \"p-2\"\nsecret_sha256 = \"{}\"\nsince = \"{since}\"\n",
        hex(&[8; 32])
    );
    let clinic = open_beside(&folder, 2, &others).await;
    clinic.takes(&message(1, "84", now())).await.unwrap();
    let shown = clinic.waits(1).await;

    let hangs = clinic.store.held.write().await;
    let takes = |kit: &str, payload: String| {
        let (taker, arrival) = (Arc::clone(&clinic.taker), Arrival { kit: kit.parse().unwrap(), ..arrival(&payload) });
        tokio::spawn(async move { taker.take(arrival).await })
    };
    // One in the hands of the store that hangs, one in the open batch, until that takes nothing more.
    let mut waiting = vec![takes("kit-1", message(2, "95", now()))];
    tokio::time::sleep(Duration::from_millis(100)).await;
    waiting.push(takes("kit-1", message(3, "95", now())));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let long_ago = |seq: i64| now() - SignedDuration::from_hours(20) + SignedDuration::from_secs(seq);
    for seq in 1..=1500_u64 {
        waiting.push(takes("kit-2", message(seq, "95", long_ago(seq.cast_signed()))));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    waiting.push(takes("kit-1", message(4, "83", now())));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(waiting.iter().all(|one| !one.is_finished()), "acknowledged, and not stored");
    let live = clinic.board.liveness(now());
    assert!(!live.live && live.behind_since.is_some(), "{live:?}");
    assert!(live.waiting > 0 && live.waiting <= hub::pipeline::QUEUE_MESSAGES_MAX, "{live:?}");
    assert_eq!(clinic.board.queue().1[0].id, shown.id, "what was known is still shown");

    drop(hangs);
    for one in waiting {
        timeout(Duration::from_secs(60), one).await.unwrap().unwrap().unwrap();
    }
    let recorded = async |patient: &str| {
        let messages = clinic.store.messages(&patient.parse().unwrap(), Timestamp::UNIX_EPOCH).await.unwrap();
        messages.iter().map(|message| (message.recorded_at, message.key.seq)).collect::<Vec<_>>()
    };
    let (mine, others) = (recorded("p-1").await, recorded("p-2").await);
    assert_eq!((mine.len(), others.len()), (4, 1500));
    let fresh_red = mine[3].0;
    let before = others.iter().filter(|(at, _)| *at < fresh_red).count();
    assert_eq!(before, 0, "a red of this minute waited for {before} of another's yesterday");
    assert!(clinic.board.liveness(now()).live);
    clinic.close().await;
}
