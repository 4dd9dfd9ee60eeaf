//! One kit for many people, and what the clinic asks of it; and a clock that is set while somebody stands there.

use super::*;

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
    assert!(matches!(kit.page(400), Page::Choose { .. }), "a's turn is over");
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
