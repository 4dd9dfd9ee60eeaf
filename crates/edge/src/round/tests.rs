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
fn what_was_kept_and_could_not_be_read_at_the_start_is_there_when_it_can() {
    let (held, asked) = ([(Vital::Weight, "80", &[][..])], r#"{"id":"r1","command":"remeasure","vital":"spo2"}"#);
    let mut before = Kit::new(rules(ROUND));
    before.measure(&[(Vital::Weight, "70", &[])], 0);
    assert!(before.measure(&held, 60));
    before.command(asked, 61);
    // The disk is full at the start: the kit begins with nothing.
    let mut kit = Kit::new(rules(ROUND));
    kit.measure(&[(Vital::Weight, "75", &[])], 120);
    kit.command(r#"{"id":"r2","command":"remeasure","vital":"spo2"}"#, 121);
    kit.round.adopt(&before.kept, at(180));
    kit.out();
    let mut kit = kit.restarted(rules(ROUND));
    let Page::Hold { id, .. } = kit.page(181) else { panic!("whose is it?") };
    kit.command(asked, 182);
    kit.act(Action::Mine { id }, 183);
    assert_eq!(kit.values(), ["weight=75 []", "weight=80 [person_confirmed]"]);
    let taken: Vec<_> = kit.receipts().into_iter().map(|(id, _)| id).collect();
    assert_eq!(taken, ["r2"], "r1 was done before");
}

mod crossing;
mod station;
