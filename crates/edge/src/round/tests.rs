//! The person's side, scene by scene: what comes in, what the page shows, what is sent. No clock, no disk.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use vitals::{Clock, Colour, Flag, Reading, SessionId, Vital};
use wire::{CommandOutcome, Judged};

use super::{
    machine::{Out, Said},
    *,
};
use crate::spool::{Draft, Receipt, Spool};

fn at(second: i64) -> Timestamp {
    // A Sunday, 09:00 in Copenhagen.
    "2026-11-22T08:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

/// A kit whose spool is a list.
struct Kit {
    round: Round,
    kept: BTreeMap<String, String>,
    sent: Vec<Draft>,
    said: Vec<Said>,
}

fn rules(dues: &str) -> Rules {
    let dues = serde_json::from_str(dues).unwrap();
    Rules { dues, name: Some("Inger".to_owned()), ..Rules::plain(TimeZone::get("Europe/Copenhagen").unwrap()) }
}

fn station() -> Rules {
    let member = |name: &str| Member {
        code: name.to_owned(),
        patient: format!("p-{name}").parse().unwrap(),
        name: name.to_owned(),
    };
    let persons = ["a", "b", "c"].map(member).to_vec();
    let station = Some(Station { persons, idle: TURN_IDLE });
    Rules { station, ..rules(r#"[{"at":"08:00","vitals":["weight"],"questionnaires":["copd-daily"]}]"#) }
}

/// New ones also after a kill.
fn ids() -> Box<dyn FnMut(Timestamp) -> SessionId + Send> {
    static MADE: AtomicU64 = AtomicU64::new(1);
    Box::new(|_| SessionId::from_u128(MADE.fetch_add(1, Ordering::Relaxed).into()))
}

impl Kit {
    fn new(rules: Rules) -> Self {
        let kept = BTreeMap::new();
        Self { round: Round::new(rules, &kept, ids()), kept, sent: Vec::new(), said: Vec::new() }
    }

    /// As after a kill: only what was kept is there.
    fn restarted(self, rules: Rules) -> Self {
        Self { round: Round::new(rules, &self.kept, ids()), ..self }
    }

    fn out(&mut self) {
        let Out { changes, traces, said } = self.round.out();
        assert_eq!(changes.drafts.len(), traces.len());
        self.kept.extend(changes.kept);
        self.sent.extend(changes.drafts);
        self.said.extend(said);
    }

    fn measure(&mut self, readings: &[(Vital, &str, &[&'static str])], second: i64) -> bool {
        self.measure_as(readings, None, second)
    }

    fn measure_as(&mut self, readings: &[(Vital, &str, &[&'static str])], user: Option<u8>, second: i64) -> bool {
        let keyed = |(vital, value, flags): &(Vital, &str, &[&'static str])| {
            (reading(*vital, value, flags, at(second)), None::<crate::spool::SeenKey>)
        };
        let readings: Vec<Keyed> = readings.iter().map(keyed).collect();
        let device = readings[0].0.device.clone();
        let withheld = self.round.measured(Taken { device, user, readings }, at(second));
        self.out();
        withheld
    }

    fn act(&mut self, action: Action, second: i64) -> Acted {
        let acted = self.round.act(action, at(second));
        self.out();
        acted
    }

    fn command(&mut self, command: &str, second: i64) {
        self.round.command(serde_json::from_str(command).unwrap(), "{\"version\":1}", at(second));
        self.out();
    }

    fn tick(&mut self, second: i64) {
        self.round.tick(at(second));
        self.out();
    }

    fn page(&self, second: i64) -> Page {
        self.round.view(at(second)).page
    }

    fn answer(&mut self, question: &str, answer: &str, second: i64) -> Acted {
        let (questionnaire, question, answer) = ("copd-daily".to_owned(), question.to_owned(), answer.to_owned());
        self.act(Action::Answer { questionnaire, question, answer }, second)
    }

    fn choose(&mut self, code: &str, second: i64) -> Acted {
        self.act(Action::Choose { code: code.to_owned() }, second)
    }

    /// Every value that was sent, with whose it is and its doubts.
    fn values(&self) -> Vec<String> {
        let of = |draft: &Draft| {
            let whose = draft.patient.as_ref().map_or(String::new(), |patient| format!("{patient} "));
            draft
                .readings
                .iter()
                .map(move |r| format!("{whose}{}={} {:?}", r.vital, r.value, r.flags))
                .collect::<Vec<_>>()
        };
        self.sent.iter().flat_map(of).collect()
    }

    /// Every receipt that was sent.
    fn receipts(&self) -> Vec<(String, CommandOutcome)> {
        self.sent.iter().flat_map(|draft| &draft.receipts).map(|r| (r.command.clone(), r.outcome)).collect()
    }

    fn steps(&self, second: i64) -> Vec<StepState> {
        self.round.view(at(second)).steps.iter().map(|step| step.state).collect()
    }
}

fn reading(vital: Vital, value: &str, flags: &[&'static str], measured_at: Timestamp) -> Reading {
    Reading {
        vital,
        value: value.parse().unwrap(),
        unit: vital.unit(),
        measured_at,
        clock: Clock::Kit,
        device: "gatt-any:1".parse().unwrap(),
        flags: flags.iter().map(|flag| Flag::new(flag)).collect(),
    }
}

const ROUND: &str = r#"[{"at":"08:00","vitals":["spo2","pulse","weight"],"questionnaires":["copd-daily"]}]"#;

#[test]
fn a_round_from_the_first_step_to_the_end() {
    use StepState::{Done, Left, Now};
    let mut kit = Kit::new(rules(ROUND));
    assert_eq!(kit.steps(0), [Now, Left, Left]);
    assert_eq!(kit.page(0), Page::Measure { vitals: vec![Vital::Spo2, Vital::Pulse], asked: None });
    kit.measure(&[(Vital::Spo2, "93", &[]), (Vital::Pulse, "71", &[])], 10);
    assert!(matches!(kit.page(10), Page::Result { .. }));
    assert_eq!(kit.steps(10), [Done, Now, Left]);
    assert_eq!(kit.act(Action::Next, 12), Acted::Done);
    assert_eq!(kit.page(12), Page::Measure { vitals: vec![Vital::Weight], asked: None });
    assert_eq!(kit.act(Action::Skip, 13), Acted::Done);
    assert_eq!(kit.steps(13), [Done, StepState::Skipped, Now]);
    for (question, answer) in [
        ("breathless", "a_little"),
        ("cough", "not_at_all"),
        ("sputum", "no"),
        ("fever", "no"),
        ("prednisolone", "no"),
        ("antibiotics", "no"),
        ("other", "no"),
    ] {
        let Page::Question { question: asked, .. } = kit.page(20) else { panic!("{question} is asked") };
        assert_eq!(asked.id, question);
        assert_eq!(kit.answer(question, answer, 20), Acted::Done);
    }
    let Page::Answered { significance, .. } = kit.page(21) else { panic!("answered") };
    assert_eq!(significance, Colour::Yellow);
    assert_eq!(kit.sent[1].answers.len(), 7, "the answers are one message");
    assert_eq!(kit.sent[0].session, kit.sent[1].session, "of the same sitting");
    // The skipped step can be taken after all.
    kit.act(Action::Next, 22);
    assert!(matches!(kit.page(22), Page::Finished { next: Some(_) }));
    assert_eq!(kit.act(Action::Take { step: 1 }, 23), Acted::Done);
    assert_eq!(kit.page(23), Page::Measure { vitals: vec![Vital::Weight], asked: None });
    kit.measure(&[(Vital::Weight, "71.5", &[])], 30);
    assert_eq!(kit.steps(30), [Done, Done, Done]);
    // And all of it is still done after a kill.
    let kit = kit.restarted(rules(ROUND));
    assert_eq!(kit.steps(40), [Done, Done, Done]);
    assert!(matches!(kit.page(40), Page::Finished { .. }));
}

#[test]
fn what_comes_from_storage_is_spoken_of_only_if_a_clock_says_that_it_is_of_now() {
    for (clock, measured_at, spoken_of) in [
        (Clock::Device, 50, true),
        (Clock::Corrected, 50, true),
        (Clock::Device, -3600, false),
        (Clock::Kit, 60, false),
    ] {
        let mut kit = Kit::new(rules(ROUND));
        let reading =
            Reading { clock, ..reading(Vital::Spo2, "84", &["low_perfusion", "from_storage"], at(measured_at)) };
        let taken = Taken { device: reading.device.clone(), user: None, readings: vec![(reading, None)] };
        kit.round.measured(taken, at(60));
        kit.out();
        assert_eq!(matches!(kit.page(60), Page::Advice { .. }), spoken_of, "{clock:?} {measured_at}");
        assert_eq!(kit.values().len(), 1, "it is sent all the same");
    }
}

#[test]
fn a_poor_measurement_is_sent_and_asked_for_again_twice_and_then_let_be() {
    let mut kit = Kit::new(rules(ROUND));
    for attempt in [2, 3] {
        kit.measure(&[(Vital::Spo2, "82", &["low_perfusion"]), (Vital::Pulse, "71", &[])], attempt * 60);
        let Page::Advice { advice, attempt: next, .. } = kit.page(attempt * 60) else { panic!("advice") };
        assert_eq!((advice, i64::from(next)), ("warm-finger", attempt));
        assert_eq!(kit.steps(attempt * 60)[0], StepState::Now);
    }
    kit.measure(&[(Vital::Spo2, "84", &["low_perfusion"]), (Vital::Pulse, "71", &[])], 240);
    assert!(matches!(kit.page(240), Page::Result { .. }), "it goes on");
    assert_eq!(kit.steps(240)[0], StepState::Done);
    assert_eq!(kit.values().iter().filter(|value| value.contains("low_perfusion")).count(), 3, "all of them are sent");
    // A value that no body has is asked for again without a flag too; a skip of the advice skips the step.
    let mut kit = Kit::new(rules(ROUND));
    kit.measure(&[(Vital::Spo2, "62", &[])], 0);
    assert!(matches!(kit.page(0), Page::Advice { advice: "warm-finger", .. }));
    assert_eq!(kit.act(Action::Skip, 1), Acted::Done);
    assert_eq!(kit.steps(1)[0], StepState::Skipped);
    assert_eq!(kit.sent[0].priority, crate::spool::Priority::Urgent);
}

#[test]
fn a_measurement_going_on_is_shown_over_its_step_and_not_over_a_question() {
    let mut kit = Kit::new(rules(ROUND));
    let progress = |value: &str, flags: &[&'static str]| drivers::Progress {
        values: vec![drivers::Measured {
            vital: Vital::Spo2,
            value: value.parse().unwrap(),
            unit: Vital::Spo2.unit(),
            device_time: None,
            device_offset: None,
            flags: flags.iter().map(|flag| Flag::new(flag)).collect(),
        }],
        percent: Some(60),
    };
    let device = "gatt-any:1".parse().unwrap();
    kit.round.progress(&device, progress("84", &["low_perfusion"]), at(0));
    let Page::Measuring { values, percent, advice, .. } = kit.page(1) else { panic!("measuring") };
    assert_eq!((values[0].value.to_string(), percent, advice), ("84".to_owned(), Some(60), Some("warm-finger")));
    assert!(matches!(kit.page(20), Page::Measure { .. }), "without news it is over");
    kit.measure(&[(Vital::Spo2, "93", &[]), (Vital::Pulse, "71", &[]), (Vital::Weight, "70", &[])], 21);
    kit.act(Action::Next, 22);
    kit.round.progress(&device, progress("93", &[]), at(23));
    assert!(matches!(kit.page(23), Page::Question { .. }));
}

#[test]
fn questions_go_back_refuse_and_survive_a_kill_and_an_absence() {
    let mut kit = Kit::new(rules(r#"[{"at":"08:00","questionnaires":["copd-daily"]}]"#));
    assert_eq!(kit.answer("breathless", "perhaps", 0), Acted::Refused { why: Refusal::UnknownOption });
    assert_eq!(kit.answer("cough", "a_lot", 0), Acted::Stale, "that is not what is asked");
    kit.answer("breathless", "a_lot", 0);
    let back = Action::Back { questionnaire: "copd-daily".to_owned(), question: "cough".to_owned() };
    assert_eq!(kit.act(back.clone(), 1), Acted::Done);
    let Page::Question { question, back: more, .. } = kit.page(1) else { panic!("asked") };
    assert_eq!((question.answer.as_deref(), more), (Some("a_lot"), false), "what was answered is shown again");
    assert_eq!(kit.act(back, 1), Acted::Stale);
    kit.answer("breathless", "somewhat", 2);
    kit.act(Action::Skip, 3);
    let mut kit = kit.restarted(rules(r#"[{"at":"08:00","questionnaires":["copd-daily"]}]"#));
    let Page::Question { question, number, .. } = kit.page(4) else { panic!("asked") };
    assert_eq!((question.id.as_str(), number), ("sputum", 3));
    // The person goes away: what was answered is sent, and is one answer, the last given.
    kit.tick(1790);
    assert!(kit.sent.is_empty());
    kit.tick(1803);
    let answers: Vec<_> = kit.sent[0].answers.iter().map(|a| (a.question.as_str(), a.answer.as_str())).collect();
    assert_eq!(answers, [("breathless", "somewhat")]);
    assert_eq!(kit.steps(1804), [StepState::Skipped]);
}

#[test]
fn the_spouse_on_the_scale_is_asked_about_and_never_lost() {
    let mut kit = Kit::new(rules(ROUND));
    kit.measure(&[(Vital::Weight, "71.5", &[])], 0);
    assert!(!kit.measure(&[(Vital::Weight, "73", &[])], 60));
    // Yes.
    assert!(kit.measure(&[(Vital::Weight, "95", &[])], 120), "the device is not to forget it");
    let Page::Hold { id, why, values, .. } = kit.page(120) else { panic!("asked") };
    assert_eq!((why, values[0].value.to_string()), (Doubt::OtherWeight, "95".to_owned()));
    assert_eq!(kit.values().len(), 2);
    assert_eq!(kit.act(Action::Mine { id: id + 1 }, 121), Acted::Stale);
    assert_eq!(kit.act(Action::Mine { id }, 121), Acted::Done);
    assert_eq!(kit.act(Action::Mine { id }, 121), Acted::Stale);
    assert_eq!(kit.values()[2], "weight=95 [person_confirmed]");
    assert!(!kit.measure(&[(Vital::Weight, "94", &[])], 180), "a confirmed weight is accepted");
    // No.
    let mut kit = kit.restarted(rules(ROUND));
    kit.measure(&[(Vital::Weight, "40", &[])], 240);
    let Page::Hold { id, .. } = kit.page(240) else { panic!("asked") };
    assert_eq!(kit.act(Action::NotMine { id }, 241), Acted::Done);
    assert_eq!(kit.values().len(), 4);
    assert_eq!((kit.said.last(), kit.round.kit.not_mine), (Some(&Said::NotMine), 1));
    // No answer, and a kill in between.
    kit.measure_as(&[(Vital::Weight, "80", &["user_2"])], Some(1), 300);
    let mut kit = kit.restarted(rules(ROUND));
    assert!(matches!(kit.page(301), Page::Hold { why: Doubt::OtherUser, .. }));
    kit.tick(300 + 15 * 60 - 1);
    assert_eq!(kit.values().len(), 4);
    kit.tick(300 + 15 * 60);
    assert_eq!(kit.values()[4], "weight=80 [user_2, person_unconfirmed]");
    assert!(kit.sent.last().unwrap().readings[0].flags.last().unwrap().is_doubt());
}

#[test]
fn a_record_that_is_held_is_not_held_again_and_one_that_was_dropped_does_not_come_back() {
    let mut kit = Kit::new(rules(ROUND));
    let taken = || {
        let reading = reading(Vital::Weight, "80", &["user_2"], at(-600));
        let key = crate::spool::SeenKey {
            device: reading.device.clone(),
            person: None,
            device_time: "2026-11-22T08:50:00".parse().unwrap(),
            vital: reading.vital,
            value: reading.value,
        };
        Taken { device: reading.device.clone(), user: Some(1), readings: vec![(reading, Some(key))] }
    };
    for second in [0, 5] {
        assert!(kit.round.measured(taken(), at(second)));
    }
    assert_eq!(kit.round.held(), 1);
    kit.out();
    assert!(kit.round.act(Action::NotMine { id: 1 }, at(6)) == Acted::Done);
    assert_eq!(kit.round.out().changes.passed_over.len(), 1);
}

#[test]
fn what_is_held_is_bounded_and_the_oldest_goes_marked() {
    let mut kit = Kit::new(rules(ROUND));
    for second in 0..=HELD_MAX as i64 {
        kit.measure_as(&[(Vital::Weight, "80", &["user_2"])], Some(1), second);
    }
    assert_eq!((kit.round.held(), kit.values()), (HELD_MAX, vec!["weight=80 [user_2, person_unconfirmed]".to_owned()]));
}

#[test]
fn commands_are_done_once_answered_and_not_done_too_late() {
    use CommandOutcome::{Done, Expired, Failed, Read, Taken};
    let mut kit = Kit::new(rules("[]"));
    let remeasure = r#"{"id":"c1","command":"remeasure","vital":"spo2","text":"One more, please","by":"Mette"}"#;
    kit.command(remeasure, 0);
    let Page::Measure { vitals, asked: Some(asked) } = kit.page(0) else { panic!("asked for") };
    assert_eq!((vitals, asked.by.as_deref()), (vec![Vital::Spo2], Some("Mette")));
    let mut kit = kit.restarted(rules("[]"));
    kit.command(remeasure, 5);
    kit.measure(&[(Vital::Spo2, "93", &[])], 10);
    assert_eq!(kit.receipts(), [("c1".to_owned(), Taken), ("c1".to_owned(), Done)]);
    kit.act(Action::Next, 11);
    for (second, command, outcome) in [
        (20, r#"{"id":"c2","command":"message","text":"Drink well"}"#, Taken),
        (21, r#"{"id":"c3","command":"message","text":"late","expires_at":"2026-11-22T08:00:00Z"}"#, Expired),
        (22, r#"{"id":"c4","command":"message"}"#, Failed),
        (23, r#"{"id":"c5","command":"dance"}"#, Failed),
        (24, r#"{"id":"c6","command":"diagnostics"}"#, Done),
        (25, r#"{"id":"c7","command":"schedule","schedule":[{"at":"08:00","questionnaires":["x"]}]}"#, Failed),
        (26, r#"{"id":"c8","command":"schedule","schedule":[{"at":"08:30","vitals":["weight"]}]}"#, Done),
        (27, r#"{"id":"c9","command":"remeasure","vital":"weight","expires_at":"2026-11-22T08:01:00Z"}"#, Taken),
    ] {
        kit.command(command, second);
        assert_eq!(kit.receipts().last().unwrap().1, outcome, "{command}");
    }
    let details: Vec<_> = kit.sent.iter().flat_map(|d| &d.receipts).filter_map(|r| r.detail.as_deref()).collect();
    assert_eq!(
        details,
        [
            "message: found no text, want one",
            "this kit knows no command \"dance\"",
            "{\"version\":1}",
            "schedule[0]: found questionnaire \"x\", which this kit does not have"
        ]
    );
    kit.tick(60);
    assert_eq!(kit.receipts().last().unwrap(), &("c9".to_owned(), Expired));
    // The schedule and the message are there after a kill.
    let mut kit = kit.restarted(rules("[]"));
    let Page::Message { id, .. } = kit.page(70) else { panic!("a message: {:?}", kit.page(70)) };
    assert_eq!(kit.act(Action::Read { id: id.clone() }, 71), Acted::Done);
    assert_eq!(kit.act(Action::Read { id }, 71), Acted::Stale);
    assert_eq!(kit.receipts().last().unwrap(), &("c2".to_owned(), Read));
    assert_eq!(kit.page(72), Page::Measure { vitals: vec![Vital::Weight], asked: None });
    for id in 0..2 * COMMANDS_REMEMBERED {
        kit.command(&format!(r#"{{"id":"x{id}","command":"diagnostics"}}"#), 80);
    }
    assert!(kit.kept.values().map(String::len).sum::<usize>() < 64 * 1024, "bounded");
}

/// Gives what was sent since a receipt each, as the spool would.
async fn spooled(kit: &mut Kit, spool: &Spool) -> Vec<Receipt> {
    let Out { changes, traces, .. } = kit.round.out();
    let receipts = spool.commit(changes, at(0)).await;
    kit.round.spooled(&traces, &receipts);
    receipts
}

#[tokio::test]
async fn the_page_says_what_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = crate::spool::Bounds { bytes_max: 1 << 20, age_max: SignedDuration::from_hours(240) };
    let spool = Spool::open(dir.path(), bounds, at(0), crate::board::Board::default()).await.unwrap();
    let mut kit = Kit::new(rules("[]"));
    let device = "gatt-any:1".parse().unwrap();
    let readings = vec![(reading(Vital::Spo2, "86", &[], at(0)), None)];
    kit.round.measured(Taken { device, user: None, readings }, at(0));
    let receipts = spooled(&mut kit, &spool).await;
    let fate = |kit: &Kit| kit.round.view(at(5)).sent.unwrap();
    assert_eq!((fate(&kit).kept_at, fate(&kit).sent_at), (at(0), None));
    kit.round.act(Action::CallMe, at(1));
    let call = spooled(&mut kit, &spool).await;
    assert_eq!(kit.round.view(at(1)).call, Call::Asked { at: at(1) });
    assert_eq!(kit.round.act(Action::CallMe, at(2)), Acted::Done);
    assert!(kit.round.out().changes.drafts.is_empty(), "the same press");

    spool.acked(receipts[0].seq(), receipts[0].seq(), at(3)).await;
    kit.round.acked(*spool.acked_through().borrow(), at(3));
    assert_eq!(kit.round.view(at(3)).call, Call::Asked { at: at(1) }, "it has not arrived");
    kit.round.judged(&[Judged { seq: receipts[0].seq(), vital: Some(Vital::Spo2), colour: Colour::Yellow }]);
    let Page::Result { values, fate: of_result } = kit.page(4) else { panic!("the result") };
    assert_eq!(
        (values[0].colour, of_result.colour, of_result.sent_at),
        (Some(Colour::Yellow), Some(Colour::Yellow), Some(at(3)))
    );

    spool.acked(call[0].seq(), call[0].seq(), at(5)).await;
    kit.round.acked(*spool.acked_through().borrow(), at(5));
    assert_eq!(kit.round.view(at(5)).call, Call::Sent { asked_at: at(1), at: at(5) });
    kit.command(r#"{"id":"s1","command":"seen","by":"Mette","issued_at":"2026-11-22T08:01:00Z"}"#, 60);
    let seen = Sight { by: Some("Mette".to_owned()), at: at(60) };
    assert_eq!(kit.round.view(at(61)).call, Call::Seen { asked_at: at(1), seen: seen.clone() });
    assert_eq!(kit.round.view(at(61)).sent.unwrap().seen, Some(seen));
}

#[test]
fn at_a_station_nothing_is_taken_for_nobody() {
    let mut kit = Kit::new(station());
    assert_eq!(kit.page(0), Page::Choose { unclaimed: 0, unknown_code: false });
    assert!(kit.measure(&[(Vital::Weight, "70", &[])], 0));
    assert_eq!(kit.page(1), Page::Choose { unclaimed: 1, unknown_code: false });
    assert_eq!(kit.choose("x", 2), Acted::Refused { why: Refusal::UnknownCode });
    assert_eq!(kit.page(2), Page::Choose { unclaimed: 1, unknown_code: true });
    assert_eq!(kit.act(Action::CallMe, 2), Acted::Stale);
    // b says no, a says yes.
    kit.choose("b\n", 3);
    let Page::Hold { id, why: Doubt::Nobody, .. } = kit.page(3) else { panic!("whose is this?") };
    kit.act(Action::NotMine { id }, 4);
    assert_eq!(kit.page(4), Page::Measure { vitals: vec![Vital::Weight], asked: None });
    kit.choose("A", 5);
    assert_eq!(kit.round.view(at(5)).person.as_deref(), Some("a"));
    assert_eq!(kit.act(Action::Mine { id }, 6), Acted::Done);
    assert_eq!(kit.values(), ["p-a weight=70 [person_confirmed]"]);
    // What was begun in somebody else's turn, and what a device had stored, is nobody's.
    kit.act(Action::LeaveSitting, 7);
    kit.choose("c", 8);
    let device = "gatt-any:1".parse().unwrap();
    kit.round.progress(&device, drivers::Progress::default(), at(9));
    kit.choose("a", 10);
    assert!(kit.measure(&[(Vital::Spo2, "93", &[])], 11));
    assert!(kit.measure(&[(Vital::Spo2, "94", &["from_storage"])], 12));
    assert_eq!(kit.round.held(), 2);
    // Nobody claims them for a day.
    kit.tick(24 * 3600 + 12);
    assert_eq!((kit.round.held(), kit.round.kit.unclaimed, kit.values().len()), (0, 2, 1));
}

fn shows(kit: &mut Kit, second: i64) {
    kit.round.progress(&"gatt-any:1".parse().unwrap(), drivers::Progress::default(), at(second));
}

#[test]
fn a_finger_that_stays_in_the_clip_stays_somebodys() {
    let mut kit = Kit::new(station());
    kit.choose("a", 0);
    (1..60).for_each(|second| shows(&mut kit, second));
    assert!(!kit.measure(&[(Vital::Spo2, "84", &[])], 60));
    assert!(!matches!(kit.page(61), Page::Measuring { .. }), "it has been told");
    kit.choose("b", 61);
    (61..120).for_each(|second| shows(&mut kit, second));
    assert!(kit.measure(&[(Vital::Spo2, "85", &[])], 120), "the finger was never out");
    (121..180).for_each(|second| shows(&mut kit, second));
    assert!(kit.measure(&[(Vital::Spo2, "86", &[])], 180));
    assert_eq!(kit.values(), ["p-a spo2=84 []"]);
    // After a pause it is the one who stands there; nobody has to be asked.
    (220..280).for_each(|second| shows(&mut kit, second));
    assert!(!kit.measure(&[(Vital::Spo2, "97", &[])], 280));
    assert_eq!(kit.values().last().unwrap(), "p-b spo2=97 []");
}

#[test]
fn a_device_that_goes_on_for_somebody_else_keeps_no_turn_open() {
    let mut kit = Kit::new(station());
    kit.choose("a", 0);
    shows(&mut kit, 1);
    kit.choose("b", 2);
    (3..400).for_each(|second| {
        shows(&mut kit, second);
        kit.tick(second);
    });
    assert!(matches!(kit.page(400), Page::Choose { .. }));
}

#[test]
fn a_clock_that_is_set_back_keeps_nothing_waiting_and_no_turn_open() {
    let (mut kit, day) = (Kit::new(station()), 24 * 3600);
    kit.measure(&[(Vital::Spo2, "93", &[])], 3 * day);
    kit.choose("a", 3 * day + 1);
    // The clock was three days ahead, and is put right.
    (0..=TURN_IDLE.as_secs()).for_each(|second| kit.tick(second));
    assert_eq!(kit.round.view(at(400)).person.as_deref(), Some("Inger"), "a's turn is over");
    kit.tick(day + 1);
    assert_eq!(kit.round.held(), 0);

    let mut kit = Kit::new(rules(r#"[{"at":"08:00","vitals":["weight"]}]"#));
    kit.measure(&[(Vital::Weight, "70", &[])], 2 * day);
    kit.measure(&[(Vital::Weight, "80", &[])], 2 * day + 60);
    assert_eq!(kit.round.held(), 1);
    kit.tick(0);
    kit.tick(ANSWER_WITHIN.as_secs());
    assert_eq!(kit.values().last().unwrap(), "weight=80 [person_unconfirmed]");
    kit.act(Action::Next, 901);
    assert_eq!(kit.steps(901), [StepState::Now], "what was done the day after tomorrow says nothing of today");
}

#[test]
fn what_was_asked_for_is_done_also_by_a_clock_that_shows_minutes() {
    let mut kit = Kit::new(rules("[]"));
    kit.command(r#"{"id":"r1","command":"remeasure","vital":"spo2"}"#, 50);
    let stored = reading(Vital::Spo2, "90", &["from_storage"], at(40));
    let live = reading(Vital::Spo2, "93", &[], at(0));
    for (one, wanted) in [(stored, 1), (live, 2)] {
        let taken = Taken { device: one.device.clone(), user: None, readings: vec![(one, None)] };
        kit.round.measured(taken, at(58));
        kit.out();
        assert_eq!(kit.receipts().len(), wanted);
    }
    assert_eq!(kit.receipts()[1], ("r1".to_owned(), CommandOutcome::Done));
}

#[test]
fn a_command_that_cannot_be_read_is_answered_once() {
    let mut kit = Kit::new(station());
    for second in [0, 1] {
        kit.round.unreadable("s1".to_owned(), "p-a".parse().ok(), "at: 25:61".to_owned(), at(second));
        kit.out();
    }
    assert_eq!(kit.receipts(), [("s1".to_owned(), CommandOutcome::Failed)]);
    assert_eq!(kit.sent[0].patient, "p-a".parse().ok());
}

#[test]
fn a_turn_ends_by_itself_and_takes_its_answers_along() {
    let mut kit = Kit::new(station());
    kit.choose("a", 0);
    kit.measure(&[(Vital::Weight, "70", &[])], 1);
    kit.act(Action::Next, 2);
    assert_eq!(kit.answer("breathless", "a_lot", 3), Acted::Done);
    kit.command(r#"{"id":"m1","command":"message","text":"for b","patient":"p-b"}"#, 4);
    kit.command(r#"{"id":"m2","command":"message","text":"for whom?"}"#, 4);
    kit.command(r#"{"id":"m3","command":"message","text":"a stranger","patient":"p-x"}"#, 4);
    assert!(matches!(kit.page(5), Page::Question { .. }), "b's message is not shown to a");
    kit.tick(3 + 5 * 60);
    assert!(matches!(kit.page(304), Page::Choose { .. }));
    let answers = &kit.sent.last().unwrap();
    assert_eq!((answers.patient.as_ref().unwrap().as_str(), answers.answers.len()), ("p-a", 1));
    kit.choose("b", 310);
    assert!(matches!(kit.page(310), Page::Message { .. }));
    assert_eq!(kit.round.view(at(310)).sent, None, "what a sent is not shown to b");
    let outcomes: Vec<_> = kit.receipts().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [CommandOutcome::Taken, CommandOutcome::Failed, CommandOutcome::Failed]);
    assert_eq!(kit.sent.iter().find(|d| !d.receipts.is_empty()).unwrap().patient.as_ref().unwrap().as_str(), "p-b");
}

mod crossing {
    //! Whatever people and devices do in whatever order, nobody gets what is somebody else's.

    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// What can happen at a station. The value of a measurement names the person who stood there.
    #[derive(Clone, Debug)]
    enum Happens {
        Choose(usize),
        Leave,
        Begin(usize),
        Measure { device: usize, stored: bool },
        Yes,
        No,
        Answer,
        Call,
        Message(usize),
        Wait(i64),
        Kill,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            4 => (0..3_usize).prop_map(Happens::Choose),
            2 => Just(Happens::Leave),
            2 => (0..2_usize).prop_map(Happens::Begin),
            6 => (0..2_usize, any::<bool>()).prop_map(|(device, stored)| Happens::Measure { device, stored }),
            2 => Just(Happens::Yes),
            2 => Just(Happens::No),
            3 => Just(Happens::Answer),
            1 => Just(Happens::Call),
            1 => (0..3_usize).prop_map(Happens::Message),
            2 => (1..600_i64).prop_map(Happens::Wait),
            1 => Just(Happens::Kill),
        ]
    }

    /// The room as it really is: who stands at the kit, and whose finger each device last measured.
    struct Room {
        kit: Kit,
        second: i64,
        stands: Option<usize>,
        begun: BTreeMap<usize, Option<usize>>,
        whose: BTreeMap<String, Option<usize>>,
        answered: BTreeMap<String, usize>,
        claimed: BTreeSet<String>,
        measured: u32,
    }

    const NAMES: [&str; 3] = ["a", "b", "c"];

    impl Room {
        fn device(number: usize) -> vitals::DeviceId {
            format!("gatt-any:{number}").parse().unwrap()
        }

        fn does(&mut self, what: &Happens) {
            self.second += 1;
            let second = self.second;
            // The kit ends a turn by itself: then nobody is chosen, whoever stands there.
            self.kit.tick(second);
            if self.kit.round.turn.is_none() {
                self.stands = None;
            }
            match what {
                Happens::Choose(person) => {
                    self.kit.choose(NAMES[*person], second);
                    self.stands = Some(*person);
                }
                Happens::Leave => {
                    self.kit.act(Action::LeaveSitting, second);
                    self.stands = None;
                }
                Happens::Begin(device) => {
                    self.begun.insert(*device, self.stands);
                    self.kit.round.progress(&Self::device(*device), drivers::Progress::default(), at(second));
                }
                Happens::Measure { device, stored } => self.measures(*device, *stored),
                Happens::Yes => {
                    if let Page::Hold { id, values, .. } = self.kit.page(second) {
                        self.claimed.insert(values[0].value.to_string());
                        self.kit.act(Action::Mine { id }, second);
                    }
                }
                Happens::No => {
                    if let Page::Hold { id, .. } = self.kit.page(second) {
                        self.kit.act(Action::NotMine { id }, second);
                    }
                }
                Happens::Answer => self.answers(),
                Happens::Call => {
                    self.kit.act(Action::CallMe, second);
                }
                Happens::Message(person) => {
                    let (id, name) = (format!("m{second}"), NAMES[*person]);
                    let text =
                        format!(r#"{{"id":"{id}","command":"message","text":"for {name}","patient":"p-{name}"}}"#);
                    self.kit.command(&text, second);
                }
                Happens::Wait(seconds) => self.second += seconds,
                Happens::Kill => {
                    self.kit.round = Round::new(station(), &self.kit.kept, ids());
                    (self.stands, self.begun) = (None, BTreeMap::new());
                }
            }
            self.shows_only_their_own();
        }

        /// A measurement whose value is its number; stored ones were taken before anybody was chosen.
        fn measures(&mut self, device: usize, stored: bool) {
            self.measured += 1;
            // Far enough apart that weights would be doubted; a temperature-like vital has no guard.
            let value = format!("{}.{:03}", 36, self.measured);
            let whose = match self.begun.remove(&device) {
                Some(begun) => begun,
                None => self.stands,
            };
            self.whose.insert(value.clone(), whose.filter(|_| !stored));
            let flags: &[&'static str] = if stored { &["from_storage"] } else { &[] };
            let mut reading = reading(Vital::Temperature, &value, flags, at(self.second));
            reading.device = Self::device(device);
            let taken = Taken { device: reading.device.clone(), user: None, readings: vec![(reading, None)] };
            self.kit.round.measured(taken, at(self.second));
            self.kit.out();
        }

        fn answers(&mut self) {
            let Page::Question { questionnaire, question, .. } = self.kit.page(self.second) else { return };
            let person = self.stands.expect("a question is asked of somebody");
            let answer = match question.kind {
                QuestionKind::Choice { options } => options[person].id.clone(),
                QuestionKind::YesNo => "yes".to_owned(),
                QuestionKind::Number { min, .. } => min.to_string(),
                QuestionKind::Text { .. } => format!("said by {}", NAMES[person]),
            };
            let key = format!("{}@{}", question.id, at(self.second));
            self.answered.insert(key, person);
            let action = Action::Answer { questionnaire, question: question.id, answer };
            assert_eq!(self.kit.act(action, self.second), Acted::Done);
        }

        fn shows_only_their_own(&self) {
            if let Page::Message { text, .. } = self.kit.page(self.second) {
                let name = NAMES[self.stands.expect("a message is shown to somebody")];
                assert_eq!(text, format!("for {name}"));
            }
            let person = self.kit.round.view(at(self.second)).person;
            let chosen = self.stands.map(|person| NAMES[person].to_owned()).or(Some("Inger".to_owned()));
            if self.kit.round.turn.is_some() {
                assert_eq!(person, chosen);
            }
        }

        fn nothing_crossed_over(&self) {
            let (mut seen, mut sessions) = (BTreeSet::new(), BTreeMap::new());
            for draft in &self.kit.sent {
                let Some(patient) = &draft.patient else {
                    assert!(draft.readings.is_empty() && draft.answers.is_empty(), "nobody's: {draft:?}");
                    continue;
                };
                for reading in &draft.readings {
                    let value = reading.value.to_string();
                    assert!(seen.insert(value.clone()), "{value} was sent twice");
                    let whose = self.whose[&value].map(|person| format!("p-{}", NAMES[person]));
                    let claimed = self.claimed.contains(&value) && reading.has(&Flag::PERSON_CONFIRMED);
                    assert!(
                        claimed || whose.as_deref() == Some(patient.as_str()),
                        "{value} of {whose:?} went to {patient}"
                    );
                }
                for answer in draft.answers.iter().filter(|answer| answer.questionnaire != "kit") {
                    let person = self.answered[&format!("{}@{}", answer.question, answer.answered_at)];
                    assert_eq!(patient.as_str(), format!("p-{}", NAMES[person]), "{answer:?}");
                }
                if draft.receipts.is_empty() {
                    let of = sessions.entry(draft.session).or_insert_with(|| patient.clone());
                    assert_eq!(of, patient, "two people in one sitting");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_crosses_over(scene in proptest::collection::vec(happens(), 1..60)) {
            let mut room = Room {
                kit: Kit::new(station()),
                second: 0,
                stands: None,
                begun: BTreeMap::new(),
                whose: BTreeMap::new(),
                answered: BTreeMap::new(),
                claimed: BTreeSet::new(),
                measured: 0,
            };
            for what in &scene {
                room.does(what);
            }
            room.nothing_crossed_over();
        }
    }
}
