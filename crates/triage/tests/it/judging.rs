//! The newest way of judging, and that what was judged in the first is still judged so.

use triage::{Action, ActionError, AlertChange, Chart, CloseReason, EventKind, Judging, Mark, Outcome, State, act};
use vitals::{Clock, Flag};

use crate::{
    call::asks,
    late::TEMPERATURE,
    person::{Person, events, reading, time},
    ward::{PULSE, Ward},
};

fn first() -> Person {
    let person = Person::new();
    Person { plan: person.plan.judged(Judging::First), ..person }
}

fn only(outcome: &Outcome) -> &AlertChange {
    let [change] = outcome.alerts.as_slice() else { panic!("{:?}", outcome.alerts) };
    change
}

fn acts(chart: &mut Chart, action: &Action, seen: u32) -> Result<AlertChange, ActionError> {
    let id = chart.open_alerts().next().expect("an open alert").id;
    act(chart, id, seen, action, "anna", time("2026-11-30T12:00:00Z"))
}

/// Somebody takes the only alert as it is; gives the version that they saw.
fn taken(chart: &mut Chart) -> u32 {
    let seen = chart.open_alerts().next().unwrap().version;
    acts(chart, &Action::Acknowledge, seen).unwrap().alert.version
}

fn closes(chart: &mut Chart, seen: u32) -> Result<AlertChange, ActionError> {
    acts(chart, &Action::Close { reason: CloseReason::Advice, note: String::new() }, seen)
}

/// It waits anew since this was judged, and what was seen before is not enough to close it.
fn waits_anew(chart: &mut Chart, outcome: &Outcome, seen: u32) {
    let AlertChange { alert, event } = only(outcome);
    assert_eq!((event.kind, &alert.state, alert.waiting_since), (EventKind::Reopened, &State::Open, event.at));
    assert!(matches!(closes(chart, seen), Err(ActionError::Changed { .. })));
    assert!(closes(chart, alert.version).is_ok());
}

#[test]
fn a_red_of_now_after_one_of_then_waits_anew() {
    let mut person = Person::new();
    person.sends("2026-11-21T03:00:00Z", "2026-11-22T08:00:00Z", &["84 spo2"]);
    let seen = taken(&mut person.chart);
    let now = person.measures("2026-11-22T09:00:00Z", &["80 spo2"]);
    waits_anew(&mut person.chart, &now, seen);
}

#[test]
fn a_red_after_all_was_well_waits_anew_and_the_same_red_does_not() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["84 spo2"]);
    let seen = taken(&mut person.chart);
    let same = person.measures("2026-11-22T09:00:00Z", &["83 spo2"]);
    assert_eq!(events(&same), [EventKind::Repeated]);
    assert!(matches!(only(&same).alert.state, State::Acknowledged { .. }));
    person.measures("2026-11-22T10:00:00Z", &["87 spo2"]);
    assert_eq!(
        events(&person.measures("2026-11-22T11:00:00Z", &["84 spo2"])),
        [EventKind::Repeated],
        "it was not well"
    );
    person.measures("2026-11-22T12:00:00Z", &["95 spo2"]);
    let again = person.measures("2026-11-22T13:00:00Z", &["78 spo2"]);
    waits_anew(&mut person.chart, &again, seen);
}

#[test]
fn another_rule_that_finds_red_waits_anew() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["84 spo2"]);
    let seen = taken(&mut person.chart);
    let pulse = person.measures("2026-11-22T08:02:00Z", &["135 pulse"]);
    waits_anew(&mut person.chart, &pulse, seen);
}

#[test]
fn every_call_is_to_be_seen() {
    let mut person = Person::new();
    asks(&mut person, "2026-11-22T08:10:00Z", "2026-11-22T08:10:00Z");
    let open = asks(&mut person, "2026-11-22T08:20:00Z", "2026-11-22T08:20:00Z");
    assert_eq!(
        (only(&open).event.kind, only(&open).alert.must_have_seen),
        (EventKind::Repeated, 2),
        "it waits already"
    );
    assert!(matches!(closes(&mut person.chart, 1), Err(ActionError::Changed { .. })));
    let seen = taken(&mut person.chart);
    let again = asks(&mut person, "2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z");
    waits_anew(&mut person.chart, &again, seen);
}

#[test]
fn what_goes_missing_beside_what_was_missing_waits_anew() {
    let missing = "[[rule]]\nid = \"own\"\nkind = \"missing\"\nfamily = \"missing\"\nschedule = \"daily\"\n\
                   vitals = [\"pulse\"]\nquestionnaires = [\"asked\"]\n";
    let mut ward = Ward::of(&format!("{PULSE}\n{missing}"));
    ward.on("02 07:00", "80 pulse");
    assert_eq!(only(&ward.ticks("02 13:00")).alert.mark, Mark::Blue);
    let seen = taken(&mut ward.chart);
    ward.on("03 07:00", "80 pulse");
    assert_eq!(events(&ward.ticks("03 13:00")), [EventKind::Repeated], "the answers are missing still");
    let more = ward.ticks("04 13:00");
    waits_anew(&mut ward.chart, &more, seen);
}

#[test]
fn what_is_confirmed_must_have_been_seen() {
    let mut ward = Ward::repeating(PULSE);
    ward.on("10 08:00", "140 pulse low_perfusion");
    let seen = taken(&mut ward.chart);
    assert_eq!(events(&ward.on("10 08:05", "140 pulse")), [EventKind::Confirmed]);
    assert!(matches!(closes(&mut ward.chart, seen), Err(ActionError::Changed { .. })));
}

#[test]
fn what_was_taken_together_is_one_sitting() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["112 pulse"]);
    person.measures("2026-11-22T12:00:00Z", &["90 pulse"]);
    assert_eq!(events(&person.measures("2026-11-22T12:02:00Z", &["88 pulse"])), [], "oximeter, then cuff");
    assert_eq!(events(&person.measures("2026-11-22T12:20:00Z", &["88 pulse"])), [EventKind::Eased]);
}

#[test]
fn what_is_doubtful_is_no_normal_sitting() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["87 spo2"]);
    for hour in ["09", "10", "11"] {
        person.measures(&format!("2026-11-22T{hour}:00:00Z"), &["95 spo2 low_perfusion"]);
    }
    let open: Vec<_> = person.chart.open_alerts().map(|alert| (alert.now_mark, alert.normal_in_row)).collect();
    assert_eq!(open, [(Mark::Green, 0)]);
    person.measures("2026-11-22T12:00:00Z", &["95 spo2"]);
    assert_eq!(events(&person.measures("2026-11-22T13:00:00Z", &["95 spo2"])), [EventKind::Eased]);
}

#[test]
fn a_doubtful_red_on_a_yellow_is_in_doubt_and_can_be_denied() {
    let mut ward = Ward::repeating(&format!("{PULSE}{TEMPERATURE}"));
    ward.on("10 08:00", "38.5 temperature");
    let red = ward.on("10 08:02", "140 pulse low_perfusion");
    assert_eq!((only(&red).event.kind, only(&red).alert.provisional), (EventKind::Worsened, true));
    let denied = ward.on("10 08:05", "80 pulse");
    assert_eq!((only(&denied).event.kind, only(&denied).alert.mark), (EventKind::NotConfirmed, Mark::Yellow));
}

#[test]
fn a_red_that_waits_does_not_grow_with_every_normal_reading() {
    let mut person = Person::new();
    person.measures("2026-11-22T08:00:00Z", &["84 spo2", "112 pulse"]);
    assert_eq!(events(&person.measures("2026-11-22T09:00:00Z", &["93 spo2", "80 pulse"])), [EventKind::Improved]);
    for (hour, reading) in [("10", "93 spo2"), ("11", "80 pulse"), ("12", "94 spo2"), ("13", "81 pulse")] {
        assert_eq!(events(&person.measures(&format!("2026-11-22T{hour}:00:00Z"), &[reading])), [], "{hour}");
    }
}

#[test]
fn what_was_measured_nobody_knows_when_ends_no_silence() {
    for (clock, flag) in [(Clock::Kit, Flag::FROM_STORAGE), (Clock::Device, Flag::TIME_UNKNOWN)] {
        let mut person = Person::new();
        assert_eq!(events(&person.ticks("2026-11-23T13:00:00Z")), [EventKind::Raised]);
        let at = "2026-11-23T14:00:00Z";
        let mut stored = ["95 spo2", "70 pulse"].map(|text| reading(text, time(at)));
        stored.iter_mut().for_each(|reading| (reading.clock, reading.flags) = (clock, vec![flag.clone()]));
        person.gives(&stored, &[], at);
        assert_eq!(person.chart.open_alerts().filter(|alert| alert.mark == Mark::Blue).count(), 1, "{flag:?}");
        assert_eq!(events(&person.measures("2026-11-23T15:00:00Z", &["95 spo2", "70 pulse"])), [EventKind::Eased]);
    }
}

#[test]
fn what_was_judged_in_the_first_way_is_still_judged_so() {
    let mut person = first();
    person.measures("2026-11-22T08:00:00Z", &["84 spo2"]);
    taken(&mut person.chart);
    person.measures("2026-11-22T12:00:00Z", &["95 spo2"]);
    assert_eq!(events(&person.measures("2026-11-22T13:00:00Z", &["78 spo2"])), [EventKind::Repeated]);
    let mut person = first();
    person.measures("2026-11-22T08:00:00Z", &["112 pulse"]);
    person.measures("2026-11-22T12:00:00Z", &["90 pulse"]);
    let eased = person.measures("2026-11-22T12:02:00Z", &["88 pulse"]);
    assert_eq!((events(&eased), only(&eased).alert.normal_at), (vec![EventKind::Eased], None));
}
