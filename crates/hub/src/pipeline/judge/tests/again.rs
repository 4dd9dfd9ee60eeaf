//! Judged again: by another plan, without a reading, after a restart; and the way of the judge retold from what is stored.

use desk::ActionRequest;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use store::JournalFilter;
use tokio::sync::oneshot;
use triage::{Action, CloseReason, EventKind, Mark};

use super::*;
use crate::{
    basis::ReadingPlace,
    cli::replay::verified,
    kits::KitHeard,
    programmes, readings,
    roster::{self, Decided},
    ward,
};

const PATIENT: &str = "p-1";

fn patient() -> PatientId {
    PATIENT.parse().unwrap()
}

/// What lasts, and is not news again for three days once somebody has closed it.
const LASTING: &str = r#"
[[rule]]
id = "lasting"
kind = "band"
family = "lasting"
again_after = "72h"
vital = "spo2"
unit = "%"
bands = [{ mark = "yellow", at_most = 92 }, { mark = "green", above = 92 }]
"#;

/// A clinic whose judge is turned by hand, with the keeper's eyes.
struct House {
    folder: TempDir,
    room: Room,
}

impl House {
    async fn open(hands: &Hands) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let room = room(&folder, hands).await;
        let mut house = Self { folder, room };
        let programmes = house.folder.path().join("programmes");
        std::fs::create_dir(&programmes).unwrap();
        let (rules, _) = triage::COPD.split_once("[[example]]").unwrap();
        std::fs::write(programmes.join("copd.toml"), format!("{rules}{LASTING}")).unwrap();
        programmes::bring_in(&*house.room.store, Some(&programmes), hands.now()).await.unwrap();
        house.look().await;
        house
    }

    /// What the keeper does: reads what is judged by, and tells the judge.
    async fn look(&mut self) {
        let store = &*self.room.store;
        let decided = Decided::read(store, self.room.hands.now()).await.unwrap();
        let directory = decided.directory(store.roster().await.unwrap(), &TimeZone::UTC).unwrap();
        self.room.judge.adopt(Arc::new(directory));
        self.settle().await;
    }

    /// Charts that are wanted are built and taken over, and everything is stored.
    async fn settle(&mut self) {
        let (loader, mut loaded) = mpsc::channel(8);
        self.room.commit().await;
        self.room.turn().await;
        loop {
            self.room.commit().await;
            self.room.judge.build(&loader);
            if self.room.judge.building == 0 {
                return;
            }
            let chart = loaded.recv().await.unwrap();
            self.room.judge.take_over(chart);
        }
    }

    /// The process ends, with what was not stored, and another begins.
    async fn restart(&mut self) {
        let hands = self.room.hands.clone();
        self.room.store.close().await;
        let store = Arc::new(Sqlite::open(&self.folder.path().join("vagt.db")).await.unwrap());
        let decided = Decided::read(&*store, hands.now()).await.unwrap();
        let directory = decided.directory(store.roster().await.unwrap(), &TimeZone::UTC).unwrap();
        self.room = judge_of(store, directory, &hands).await;
        self.settle().await;
    }

    async fn measures(&mut self, seq: u64, spo2: i64, flags: &str) {
        self.room.hands.turn(SignedDuration::from_millis(1));
        let at = self.room.hands.now();
        self.room.comes_as(seq, at, spo2, flags);
        self.room.take().await;
        self.room.commit().await;
    }

    async fn acts(&mut self, action: Action) {
        let open = self.room.store.open_alerts(Some(&patient())).await.unwrap();
        let Some(alert) = open.first() else { return };
        let (reply, _answer) = oneshot::channel();
        let (alert, seen_version) = (alert.id, alert.version);
        let request = ActionRequest { alert, patient: patient(), seen_version, action, by: "Nurse".to_owned(), reply };
        assert!(self.room.judge.act(request).await.is_none());
        self.room.commit().await;
    }

    async fn limit(&mut self, red_low: i64) {
        let own = serde_json::json!({ "limits": [{
            "rule": "spo2", "limit": "red_low", "value": red_low, "unit": "%", "author": "Dr Test", "reason": "his normal state",
            "from": "2026-01-01T00:00:00Z",
        }] });
        let (own, now) = (serde_json::from_value(own).unwrap(), self.room.hands.now());
        ward::set_own(&*self.room.store, &TimeZone::UTC, &patient(), &own, "Dr Test", now).await.unwrap();
        self.look().await;
    }

    async fn reading(&mut self, change: readings::Change, seq: u64) -> bool {
        let of = ReadingPlace { kit: "kit-1".parse().unwrap(), seq, place: 0 };
        let (by, now) = (("Ane", "not his finger"), self.room.hands.now());
        let done = readings::change(&*self.room.store, change, &of, None, by, now).await.is_ok();
        self.look().await;
        done
    }

    async fn kit(&mut self, silent_since: Option<Timestamp>) {
        let (patient, kit) = (patient(), "kit-1".parse().unwrap());
        self.room.judge.hear(KitHeard { patient, kit, silent_since }).await;
        self.room.commit().await;
    }

    async fn alerts(&self) -> Vec<(Mark, bool, u32)> {
        let alerts = self.room.store.alerts_of(&patient(), 99).await.unwrap();
        alerts.iter().rev().map(|alert| (alert.mark, alert.state.is_open(), alert.count)).collect()
    }

    async fn entries(&self, name: &str) -> Vec<JournalEntry> {
        let filter = JournalFilter { entries: Some(&[name]), ..JournalFilter::default() };
        self.room.store.journal(filter).await.unwrap()
    }

    /// What comes out of the store is what is in it; gives how many alerts and events that was.
    async fn is_retold(&self) -> (u64, u64) {
        let (sum, found) = verified(&*self.room.store, &[patient()]).await.unwrap();
        assert!(found.is_empty(), "{found:#?}");
        sum
    }
}

#[tokio::test]
async fn another_limit_is_judged_by_at_once_and_by_the_judge() {
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    house.measures(1, 87, "").await;
    let before = house.alerts().await;
    assert!(before.iter().all(|(mark, ..)| *mark < Mark::Red), "{before:?}");
    house.limit(87).await;
    let after = house.alerts().await;
    assert!(after.iter().any(|(mark, open, _)| *mark == Mark::Red && *open), "{after:?}");
    let judged = house.entries("judged_by").await;
    let whys: Vec<_> = judged
        .iter()
        .map(|entry| match &entry.what {
            Journal::JudgedBy { why, fresh, .. } => (why.as_str(), *fresh),
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(whys, [("watched from now on", true), ("own settings have changed", false)]);
    let changed = house.entries("plan_changed").await;
    assert_eq!(changed.last().unwrap().by.as_deref(), Some("Dr Test"));
    house.is_retold().await;
}

#[tokio::test]
async fn what_rested_on_an_invalid_reading_is_withdrawn_and_comes_back_with_it() {
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    house.measures(1, 96, "").await;
    house.measures(2, 80, "").await;
    assert!(house.alerts().await.contains(&(Mark::Red, true, 1)));
    assert!(house.reading(readings::Change::Invalidate, 2).await);
    assert!(!house.reading(readings::Change::Invalidate, 2).await, "it is so already");
    assert!(house.alerts().await.iter().all(|(_, open, _)| !open), "{:?}", house.alerts().await);
    assert_eq!(house.room.store.stored().await.unwrap().readings, 2, "it stays stored");
    assert!(house.reading(readings::Change::Restore, 2).await);
    assert!(
        house.alerts().await.iter().any(|(mark, open, _)| *mark == Mark::Red && *open),
        "{:?}",
        house.alerts().await
    );
    let (alerts, _) = house.is_retold().await;
    assert!(alerts >= 1);
}

/// What stands of the patient, as it is told.
fn standing(house: &House) -> String {
    let watched = &house.room.judge.charts[&patient()];
    serde_json::to_string(&watched.chart.standing(&watched.plan)).unwrap()
}

#[tokio::test]
async fn what_stood_of_somebody_who_fell_silent_stands_after_a_restart_however_long_that_was() {
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    house.measures(1, 95, "").await;
    house.room.hands.turn(DAY);
    house.measures(2, 84, "").await;
    for _ in 0..3 {
        house.room.hands.turn(DAY * 100);
        house.settle().await;
        let before = standing(&house);
        assert!(before.contains("SpO2 84 %"), "{before}");
        house.restart().await;
        assert_eq!(standing(&house), before);
        house.limit(if before.contains("own limit") { 83 } else { 84 }).await;
        assert!(standing(&house).contains("SpO2 84 %"), "{}", standing(&house));
    }
    house.is_retold().await;
}

#[tokio::test]
async fn what_a_nurse_closed_has_been_handled_after_a_restart_too() {
    for restarts in [false, true] {
        let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
        house.measures(1, 90, "").await;
        house.room.hands.turn(SignedDuration::from_hours(1));
        house.acts(Action::Close { reason: CloseReason::Advice, note: "called".to_owned() }).await;
        house.room.hands.turn(SignedDuration::from_hours(1));
        house.measures(2, 91, "").await;
        if restarts {
            house.restart().await;
        }
        house.room.hands.turn(SignedDuration::from_hours(1));
        house.measures(3, 90, "").await;
        let yellow = house.alerts().await.into_iter().filter(|(mark, ..)| *mark == Mark::Yellow).collect::<Vec<_>>();
        assert_eq!(yellow, [(Mark::Yellow, false, 1)], "restarts: {restarts}");
        house.is_retold().await;
    }
}

#[tokio::test]
async fn a_patient_is_judged_as_before_until_the_new_chart_is_there_and_nothing_that_came_meanwhile_is_lost() {
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    house.measures(1, 87, "").await;
    let own = serde_json::json!({ "limits": [{ "rule": "spo2", "limit": "red_low", "value": 87, "unit": "%",
        "author": "Dr Test", "reason": "test", "from": "2026-01-01T00:00:00Z" }] });
    let (own, now) = (serde_json::from_value(own).unwrap(), house.room.hands.now());
    ward::set_own(&*house.room.store, &TimeZone::UTC, &patient(), &own, "Dr Test", now).await.unwrap();
    let decided = Decided::read(&*house.room.store, now).await.unwrap();
    let directory = decided.directory(house.room.store.roster().await.unwrap(), &TimeZone::UTC).unwrap();
    house.room.judge.adopt(Arc::new(directory));
    house.measures(2, 96, "").await;
    let raised = |alerts: Vec<(Mark, bool, u32)>| alerts.iter().any(|(mark, ..)| *mark == Mark::Red);
    assert!(!raised(house.alerts().await), "judged as before");
    let (loader, mut loaded) = mpsc::channel(8);
    house.room.judge.build(&loader);
    let chart = loaded.recv().await.unwrap();
    house.measures(3, 87, "").await;
    assert!(!raised(house.alerts().await), "the new chart is there, and has not taken over");
    house.room.judge.take_over(chart);
    house.room.commit().await;
    assert!(raised(house.alerts().await), "the last of them counts, which came meanwhile");
    house.is_retold().await;
}

#[tokio::test]
async fn an_idle_service_changes_over_without_waiting_for_anything_to_come() {
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    house.measures(1, 95, "").await;
    let before = house.room.store.roster().await.unwrap();
    let mut after = before.clone();
    after.patients[0].stratum = Some("high".to_owned());
    roster::put(&*house.room.store, &after, &before, ("roster", None), house.room.hands.now()).await.unwrap();
    let decided = Decided::read(&*house.room.store, house.room.hands.now()).await.unwrap();
    house.room.judge.adopt(Arc::new(decided.directory(after, &TimeZone::UTC).unwrap()));
    let (loader, _loaded) = mpsc::channel(8);
    house.room.judge.build(&loader);
    assert_eq!(house.room.judge.building, 1);
}

#[tokio::test]
async fn a_silent_kit_is_in_the_journal_once() {
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    let since = house.room.hands.now();
    for silent_since in [None, Some(since), Some(since), None] {
        house.kit(silent_since).await;
    }
    assert_eq!((house.entries("kit_silent").await.len(), house.entries("kit_back").await.len()), (1, 1));
    house.kit(Some(since)).await;
    house.restart().await;
    house.kit(Some(since)).await;
    assert_eq!(house.entries("kit_silent").await.len(), 2, "known after a restart too");
}

/// A life of a patient: measuring, silence, nurses, other limits, invalid readings, a silent kit, restarts.
async fn live(seed: u64) -> (u64, u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    let mut seq = 0;
    for _ in 0..60 {
        match random.random_range(0..14) {
            0..=5 => {
                seq += 1;
                let flags = if random.random_range(0..4) == 0 { "\"low_perfusion\"" } else { "" };
                house.measures(seq, random.random_range(80..98), flags).await;
            }
            6 | 7 => {
                house.room.hands.turn(SignedDuration::from_hours(random.random_range(1..40)));
                house.room.turn().await;
                house.room.commit().await;
            }
            8 => house.acts(Action::Acknowledge).await,
            9 => house.acts(Action::Close { reason: CloseReason::Advice, note: "called".to_owned() }).await,
            10 => house.limit(random.random_range(83..88)).await,
            11 if seq > 0 => {
                let change = [readings::Change::Invalidate, readings::Change::Restore][random.random_range(0..2)];
                house.reading(change, random.random_range(1..=seq)).await;
            }
            12 => house.restart().await,
            _ => {
                let since = house.room.hands.now() - DAY;
                house.kit((random.random_range(0..2) == 0).then_some(since)).await;
            }
        }
    }
    house.is_retold().await
}

#[tokio::test]
async fn whatever_happened_the_way_of_the_judge_is_retold_byte_for_byte() {
    let (mut alerts, mut events) = (0, 0);
    for seed in 0..12 {
        let (some, more) = live(seed).await;
        (alerts, events) = (alerts + some, events + more);
    }
    assert!(alerts > 30 && events > 150, "{alerts} alerts with {events} events prove too little");
}

#[tokio::test]
async fn a_retelling_sees_what_was_changed_behind_the_judge() {
    let mut house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    house.measures(1, 80, "").await;
    house.is_retold().await;
    let mut alert = house.room.store.open_alerts(None).await.unwrap().remove(0);
    alert.count += 1;
    let event = triage::AlertEvent {
        kind: EventKind::Repeated,
        at: house.room.hands.now(),
        by: None,
        mark: alert.mark,
        text: "forged".to_owned(),
    };
    let alerts = vec![triage::AlertChange { alert, event }];
    let batch = store::Batch { recorded_at: house.room.hands.now(), alerts, ..store::Batch::default() };
    house.room.store.commit(&batch).await.unwrap();
    let (_, found) = verified(&*house.room.store, &[patient()]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("forged"), "{found:?}");
}

#[tokio::test]
async fn the_roster_says_in_the_journal_who_is_judged_otherwise() {
    let house = House::open(&Hands::at("2026-03-02T08:00:00Z")).await;
    let store = &*house.room.store;
    let before = store.roster().await.unwrap();
    roster::put(store, &before, &before, ("roster", None), house.room.hands.now()).await.unwrap();
    assert!(house.entries("plan_changed").await.is_empty(), "nothing has changed");
    let mut after = before.clone();
    after.patients[0].stratum = Some("high".to_owned());
    roster::put(store, &after, &before, ("roster", None), house.room.hands.now()).await.unwrap();
    assert_eq!(house.entries("plan_changed").await.len(), 1);
}
