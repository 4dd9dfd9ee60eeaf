//! The board: order, counts, the claim to be live, the heartbeat, what is heard of kits.

use super::*;
use crate::tests::alert;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn change(alert: &Alert) -> AlertChange {
    let event = serde_json::json!({ "kind": "raised", "at": at(1), "mark": "red", "text": "" });
    AlertChange { alert: alert.clone(), event: serde_json::from_value(event).unwrap() }
}

fn board(open: Vec<Alert>) -> Arc<Board> {
    let roster: Roster = serde_json::from_value(serde_json::json!({
        "patient": [{ "id": "p-1", "name": "One", "programme": "copd" }, { "id": "p-2", "name": "Two", "programme": "copd" }],
        "kit": [
            { "id": "kit-1", "patient": "p-1", "secret_sha256": "" },
            { "id": "kit-2", "patient": "p-2", "secret_sha256": "" },
            { "id": "kit-3", "patient": "p-2", "secret_sha256": "", "revoked": true },
        ],
    }))
    .unwrap();
    Board::new(open, roster, Vec::new(), HashMap::new())
}

/// A programme that knows risk levels.
const WITH_STRATA: &str = include_str!("../../../../config/programmes/heart-failure.toml");

fn heard(kit: &str, online: bool) -> Heard {
    Heard { kit: kit.parse().unwrap(), at: at(1), online, status: serde_json::Value::Null }
}

#[test]
fn a_heartbeat_that_stopped_is_not_live_and_a_store_in_trouble_is_told_first() {
    let board = board(Vec::new());
    let reason = |text: &str| Some(text.to_owned());
    let well = Intake { at: at(60), behind_since: None, reason: None, waiting: 0 };
    board.intake(well.clone());
    assert!(board.liveness(at(60)).live);
    board.heartbeat(Some(Stopped { since: at(5), reason: "not taken in".to_owned() }));
    let stopped = board.liveness(at(60));
    assert_eq!((stopped.live, stopped.behind_since, stopped.reason), (false, Some(at(5)), reason("not taken in")));
    board.intake(Intake { behind_since: Some(at(50)), reason: reason("no room"), ..well.clone() });
    assert_eq!(board.liveness(at(60)).reason, reason("no room"));
    board.intake(well);
    board.heartbeat(None);
    assert!(board.liveness(at(60)).live);
}

#[tokio::test]
async fn a_follower_hears_every_heartbeat_once_among_whatever_changes() {
    let board = board(Vec::new());
    let pulse = |seq| Pulse { seq, colour: Colour::Green, at: at(1) };
    board.pulse(pulse(1));
    let mut follower = board.follow();
    let one = change(&alert("p-1", Mark::Red, 1));
    let changes = vec![one; crate::feed::FEED_READ_CHANGES_MAX + 3];
    board.apply(&changes, &[], at(1));
    board.pulse(pulse(2));
    board.pulse(pulse(3));
    assert_eq!((follower.pulse().await.seq, follower.pulse().await.seq), (2, 3), "not the one from before it followed");
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), follower.pulse()).await;
    assert!(waiting.is_err(), "there is no other");
    board.pulse(pulse(4));
    assert_eq!(follower.pulse().await.seq, 4);
    assert_eq!(board.queue().1.len(), 1, "none of them is on the queue");
}

#[test]
fn who_left_the_roster_is_on_no_page_and_pages_load_again() {
    let board = board(vec![alert("p-1", Mark::Red, 1), alert("p-2", Mark::Red, 2)]);
    board.apply(&[change(&alert("p-1", Mark::Red, 1))], &[], at(1));
    let cursor = board.version();
    let roster = serde_json::json!({ "patient": [{ "id": "p-2", "name": "Two", "programme": "copd" }] });
    board.roster(serde_json::from_value(roster).unwrap(), HashMap::new());
    let left: Vec<_> = board.queue().1.iter().map(|alert| alert.patient.clone()).collect();
    assert_eq!(left, ["p-2".parse().unwrap()]);
    assert!(board.version() > cursor);
    let read = board.read();
    assert!(matches!(read.feed.after(cursor), crate::feed::Read::Resync(_)));
    assert!(!format!("{:?}", read.feed).contains("p-1"));
}

#[test]
fn worst_first_then_longest_waiting_and_missing_last() {
    let waiting = [(Mark::Blue, 1), (Mark::Yellow, 2), (Mark::Red, 9), (Mark::Yellow, 1), (Mark::Red, 3)];
    let board = board(
        waiting
            .iter()
            .map(|(mark, minute)| Alert { id: uuid::Uuid::new_v4(), ..alert("p-1", *mark, *minute) })
            .collect(),
    );
    let order: Vec<_> =
        board.queue().1.iter().map(|alert| (alert.mark, alert.waiting_since.as_second() / 60)).collect();
    assert_eq!(order, [(Mark::Red, 3), (Mark::Red, 9), (Mark::Yellow, 1), (Mark::Yellow, 2), (Mark::Blue, 1)]);
}

#[test]
fn of_one_colour_the_higher_risk_level_comes_first_and_a_red_before_all() {
    let in_stratum = |id: &str, stratum: Option<&str>| {
        let programme = Arc::new(triage::Programme::parse(WITH_STRATA, "heart-failure.toml").unwrap());
        let clinic = Arc::new(triage::Clinic::shipped());
        let (own, zone) = (triage::Own::default(), jiff::tz::TimeZone::UTC);
        let plan = Plan::new(id.parse().unwrap(), vec![programme], clinic, own, zone, at(0)).unwrap();
        (id.parse().unwrap(), Arc::new(plan.in_stratum(stratum)))
    };
    let roster: Roster = serde_json::from_value(serde_json::json!({
        "patient": [{ "id": "p-1", "name": "One", "programme": "heart-failure" }, { "id": "p-2", "name": "Two", "programme": "heart-failure" }],
    }))
    .unwrap();
    let plans = HashMap::from([in_stratum("p-1", None), in_stratum("p-2", Some("discharged"))]);
    let waiting = [("p-1", Mark::Yellow, 1), ("p-2", Mark::Yellow, 5), ("p-1", Mark::Red, 9), ("p-2", Mark::Yellow, 3)];
    let open =
        waiting.map(|(patient, mark, minute)| Alert { id: uuid::Uuid::new_v4(), ..alert(patient, mark, minute) });
    let board = Board::new(open.to_vec(), roster, Vec::new(), plans);
    let order: Vec<_> = board.queue().1.iter().map(|alert| alert.waiting_since.as_second() / 60).collect();
    assert_eq!(order, [9, 3, 5, 1]);
}

#[test]
fn an_ended_alert_leaves_and_every_change_is_one_version() {
    let board = board(Vec::new());
    let start = board.version();
    let open = alert("p-1", Mark::Red, 1);
    let closed = Alert { state: triage::State::Eased { at: at(5) }, version: 2, ..open.clone() };
    let woken = board.watch();
    board.apply(&[change(&open)], &[], at(1));
    assert_eq!((board.version(), board.counts().red), (start + 1, 1));
    board.apply(&[change(&closed)], &[], at(5));
    assert_eq!((board.version(), board.counts().red), (start + 2, 0));
    assert_eq!(*woken.borrow(), start + 2);
}

#[test]
fn a_red_that_came_late_is_counted_apart_until_it_is_red_now() {
    let board = board(Vec::new());
    let late = Alert { late: true, ..alert("p-1", Mark::Red, 1) };
    board.apply(&[change(&late)], &[], at(1));
    assert_eq!((board.counts().red, board.counts().red_late), (1, 1), "on the queue, and no news of now");
    let now = Alert { late: false, version: 2, ..late.clone() };
    board.apply(&[change(&now)], &[], at(2));
    assert_eq!((board.counts().red, board.counts().red_late), (1, 0));
}

#[test]
fn somebody_stands_as_was_said_last_whatever_the_roster_and_is_not_green_before() {
    let board = board(Vec::new());
    let one: PatientId = "p-1".parse().unwrap();
    let stands = || board.person(&one).unwrap().standing;
    assert_eq!(stands(), None);
    let [yellow, red] = [Colour::Yellow, Colour::Red].map(|colour| Some(Standing { colour, blue: false }));
    let nobody: PatientId = "p-of-nobody".parse().unwrap();
    board.apply(&[], &[(one.clone(), yellow), (one.clone(), red), (nobody, yellow)], at(60));
    assert_eq!(stands(), red);
    let patients = board.people().iter().map(|person| (*person.patient).clone()).collect();
    board.roster(Roster { patients, kits: Vec::new() }, HashMap::new());
    assert_eq!(stands(), red, "the roster says nothing of it");
    board.apply(&[], &[(one.clone(), None)], at(61));
    assert_eq!(stands(), None);
}

#[test]
fn a_new_roster_keeps_what_was_heard_and_revoked_kits_do_not_count() {
    let one = board(Vec::new());
    one.heard(heard("kit-1", true));
    one.heard(heard("kit-of-nobody", true));
    let roster = Roster { patients: Vec::new(), kits: one.kits().iter().map(|state| (*state.kit).clone()).collect() };
    one.roster(roster, HashMap::new());
    assert_eq!((one.counts().kits_online, one.counts().kits_offline), (1, 1));
}

#[test]
fn live_is_a_claim_that_runs_out() {
    let board = board(Vec::new());
    assert!(!board.liveness(clock::now()).live, "nothing was reported yet");
    let intake = |behind_since: Option<Timestamp>| Intake {
        at: at(100),
        behind_since,
        reason: Some("slow".to_owned()),
        waiting: 4,
    };
    board.intake(intake(None));
    assert_eq!(board.liveness(at(103)), Liveness { live: true, behind_since: None, reason: None, waiting: 4 });
    let late = board.liveness(at(104));
    assert_eq!((late.live, late.behind_since), (false, Some(at(100))));
    board.intake(intake(Some(at(90))));
    let behind = board.liveness(at(101));
    assert_eq!((behind.live, behind.behind_since, behind.reason.as_deref()), (false, Some(at(90)), Some("slow")));
}
