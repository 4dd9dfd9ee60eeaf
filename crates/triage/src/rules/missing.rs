//! Rule kind `missing`: silence is a finding. A schedule expects vitals and answers at a local time; they may be taken a little early, and in
//! a window after it; a grace later, what has not come is missing. Times are local, so a change to or from summer time moves with the clock
//! on the wall: a time that does not exist that day is the same distance later, one that exists twice is the first.
//!
//! A questionnaire has come with any answer of it: which of its questions are asked hangs on the answers before, and on the person.
//!
//! A rule tells what is late (its window is over) or what is missed (its grace too): one of each may stand side by side. What is missed several
//! times in a row, or by somebody who was yellow or red when they were last heard of, may be more serious than blue; and where the kit itself
//! is silent, it is said that it is the kit: nobody knows whether the person has measured.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Colour, Vital};

use super::{Judge, Nothing, Reader, Told, Verdict, Watches, read};
use crate::{
    Mark, Programme, Reason,
    bounds::{EXPECTED_MAX, VITALS_EXPECTED_MAX},
    look::Look,
    programme::place::steps,
    series::{Need, in_words},
};

/// It as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// By which schedule.
    schedule: String,
    /// Which vitals are expected, each of them. It expects at least one vital or one questionnaire.
    #[serde(default)]
    vitals: Vec<Vital>,
    /// Which of the programme's questionnaires are expected, each of them: any answer of one will do.
    #[serde(default)]
    questionnaires: Vec<String>,
    /// Is it told as soon as the window is over, or (where it says nothing) once the grace is over too?
    #[serde(default)]
    tell: Tell,
    /// From so many times in a row on it means `then`.
    #[schemars(range(min = 2, max = 14))]
    in_a_row: Option<u32>,
    /// What it means from `in_a_row` times on.
    then: Option<Colour>,
    /// What it means for somebody whose last known colour is yellow.
    after_yellow: Option<Colour>,
    /// What it means for somebody whose last known colour is red.
    after_red: Option<Colour>,
    /// What it means while the kit itself is silent, in the place of `then`: nobody knows then whether the person measured. Whoever was yellow
    /// or red when last heard of is no less serious for it.
    kit_silent: Option<Mark>,
}

/// When silence is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Tell {
    /// When the window is over.
    Late,
    /// When window and grace are over.
    #[default]
    Missed,
}

/// A deadline that passed without data.
pub(crate) struct Deadline {
    pub slot: Slot,
    /// What was not measured.
    pub vitals: Vec<Vital>,
    /// What was not answered.
    pub questionnaires: Vec<String>,
    pub last_at: Option<Timestamp>,
    /// How many times in a row, this one counted: as far as the rule asks.
    pub in_a_row: u32,
    /// The worst of what was found of what was measured and answered.
    pub colour: Colour,
    /// Since when the kit is silent, if it is.
    pub kit_silent_since: Option<Timestamp>,
}

/// A checked rule of silence, with its schedule.
#[derive(Clone, Debug)]
pub(crate) struct MissingSpec {
    pub schedule: String,
    pub vitals: Vec<Vital>,
    pub questionnaires: Vec<String>,
    pub days: Vec<Weekday>,
    pub at: Time,
    pub early: SignedDuration,
    pub window: SignedDuration,
    pub grace: SignedDuration,
    /// So many occurrences in a row are looked back on; 1: none before this one.
    pub in_a_row: u32,
}

/// One occurrence of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// From when on a measurement counts for it.
    pub opens: Timestamp,
    /// When it is expected.
    pub expected: Timestamp,
    /// When it is missing: window and grace over.
    pub overdue: Timestamp,
}

impl MissingSpec {
    /// The occurrences whose deadline lies after `after` and not after `until`, in order.
    pub fn slots(&self, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Vec<Slot> {
        let reach = self.window + self.grace + SignedDuration::from_hours(24);
        let date = |at: Timestamp| zone.to_datetime(at).date();
        let first = after.checked_sub(reach).unwrap_or(Timestamp::MIN);
        let (mut day, last) = (date(first), date(until));
        let mut slots = Vec::new();
        while day <= last {
            if self.days.contains(&day.weekday())
                && let Some(slot) = self.slot(zone, day).filter(|slot| slot.overdue > after && slot.overdue <= until)
            {
                slots.push(slot);
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        slots
    }

    fn slot(&self, zone: &TimeZone, day: jiff::civil::Date) -> Option<Slot> {
        let expected = zone.to_timestamp(day.to_datetime(self.at)).ok()?;
        let overdue = expected.checked_add(self.window).ok()?.checked_add(self.grace).ok()?;
        Some(Slot { opens: self.opens(expected), expected, overdue })
    }

    /// From when on a measurement counts for what is expected at `expected`.
    pub fn opens(&self, expected: Timestamp) -> Timestamp {
        expected.checked_sub(self.early).unwrap_or(Timestamp::MIN)
    }

    /// The bit of a vital among what is expected.
    pub fn bit(&self, vital: Vital) -> u16 {
        bit(self.vitals.iter().position(|expected| *expected == vital))
    }

    /// The bit of a questionnaire among what is expected: they come after the vitals.
    pub fn bit_of_answers(&self, questionnaire: &str) -> u16 {
        let place = self.questionnaires.iter().position(|expected| expected.as_str() == questionnaire);
        bit(place.map(|place| self.vitals.len() + place))
    }

    /// Those of the expected vitals whose bit is not in `met`.
    pub fn unmet(&self, met: u16) -> Vec<Vital> {
        self.vitals.iter().copied().filter(|vital| met & self.bit(*vital) == 0).collect()
    }

    /// Those of the expected questionnaires whose bit is not in `met`.
    pub fn unanswered(&self, met: u16) -> Vec<String> {
        self.questionnaires.iter().filter(|one| met & self.bit_of_answers(one) == 0).cloned().collect()
    }

    /// Has everything come?
    pub fn is_met(&self, met: u16) -> bool {
        self.vitals.iter().all(|vital| met & self.bit(*vital) != 0)
            && self.questionnaires.iter().all(|one| met & self.bit_of_answers(one) != 0)
    }

    /// How far back it asks for what came before: nothing, where it counts none in a row. So many occurrences lie within so many weeks,
    /// whatever the days of the schedule: a chart that is built again must know of as much.
    pub fn back(&self) -> SignedDuration {
        if self.in_a_row < 2 {
            return SignedDuration::ZERO;
        }
        SignedDuration::from_hours(24 * 7 * (i64::from(self.in_a_row) + 1))
    }
}

fn bit(place: Option<usize>) -> u16 {
    place.filter(|place| *place < EXPECTED_MAX).map_or(0, |place| 1 << place)
}

const _: () = assert!(EXPECTED_MAX <= u16::BITS as usize, "each has a bit");

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<Arc<dyn Judge>> {
    let File { schedule, vitals, questionnaires, tell, in_a_row, then, after_yellow, after_red, kit_silent } =
        reader.file()?;
    check_expected(reader, &vitals, &questionnaires);
    graver(reader, in_a_row, &[("then", then), ("after_yellow", after_yellow), ("after_red", after_red)]);
    if in_a_row.is_some() != then.is_some() {
        let (found, wanted) = if then.is_some() { ("then", "in_a_row") } else { ("in_a_row", "then") };
        reader.fault(steps![wanted], format!("found nothing beside `{found}`, want both or neither"));
    }
    if kit_silent.is_some_and(|mark| !matches!(mark, Mark::Blue | Mark::Yellow)) {
        reader.fault(steps!["kit_silent"], format!("found {}, want blue or yellow", name_of(kit_silent)));
    }
    let Some((_, expected)) = reader.known.schedules.iter().find(|(_, other)| other.id == schedule) else {
        reader.unknown(steps!["schedule"], "schedule", &schedule);
        return None;
    };
    let clinic = reader.known.clinic?;
    let source = expected.source.clone();
    let spec = MissingSpec {
        schedule,
        vitals,
        questionnaires,
        days: expected.days.iter().map(|day| day.weekday()).collect(),
        at: expected.at,
        early: clinic.early.0,
        window: expected.window.0,
        grace: if tell == Tell::Late { SignedDuration::ZERO } else { clinic.grace.0 },
        in_a_row: in_a_row.unwrap_or(1),
    };
    read::judge(Missing { spec, source, then, after_yellow, after_red, kit_silent, late: tell == Tell::Late })
}

/// Something is expected, each once, and not too much; and each questionnaire is one of the programme's.
fn check_expected(reader: &mut Reader<'_, '_, '_>, vitals: &[Vital], questionnaires: &[String]) {
    if vitals.is_empty() && questionnaires.is_empty() {
        reader.fault(steps!["vitals"], "found neither `vitals` nor `questionnaires`, want one of them or both");
    }
    let (found, distinct) = (vitals.len(), vitals.iter().collect::<BTreeSet<_>>().len());
    if found > VITALS_EXPECTED_MAX || distinct < found {
        let text =
            format!("found {found} vitals, {distinct} of them different, want 1 to {VITALS_EXPECTED_MAX}, each once");
        reader.fault(steps!["vitals"], text);
    }
    let asked = questionnaires.len();
    if asked > 0 && found + asked > EXPECTED_MAX {
        let text = format!("found {found} vitals and {asked} questionnaires, want at most {EXPECTED_MAX} together");
        reader.fault(steps!["questionnaires"], text);
    }
    for (at, id) in questionnaires.iter().enumerate() {
        if questionnaires[..at].contains(id) {
            reader.fault(steps!["questionnaires", at], format!("found {id:?} a second time, want each once"));
        } else if !reader.known.questionnaires.iter().any(|(_, known)| known.id == *id) {
            reader.unknown(steps!["questionnaires", at], "questionnaire", id);
        }
    }
}

/// What is expected or missing, in words; a questionnaire by its id.
fn labels(vitals: &[Vital], questionnaires: &[String]) -> Vec<String> {
    let measured = vitals.iter().map(|vital| vital.info().label.to_owned());
    measured.chain(questionnaires.iter().map(|one| format!("answers ({one})"))).collect()
}

/// Occurrences in a row that are looked back on, at most.
const IN_A_ROW_MAX: u32 = 14;

fn graver(reader: &mut Reader<'_, '_, '_>, in_a_row: Option<u32>, marks: &[(&str, Option<Colour>)]) {
    if let Some(found) = in_a_row.filter(|found| !(2..=IN_A_ROW_MAX).contains(found)) {
        reader.fault(steps!["in_a_row"], format!("found {found}, want 2 to {IN_A_ROW_MAX}"));
    }
    for (field, mark) in marks {
        if *mark == Some(Colour::Green) {
            reader.fault(steps![*field], "found green, want yellow or red: without it silence is blue");
        }
    }
}

fn name_of(mark: Option<Mark>) -> &'static str {
    mark.map_or("blue", Mark::name)
}

#[derive(Debug)]
struct Missing {
    spec: MissingSpec,
    then: Option<Colour>,
    after_yellow: Option<Colour>,
    after_red: Option<Colour>,
    kit_silent: Option<Mark>,
    late: bool,
    /// Where the schedule comes from.
    source: Option<String>,
}

impl Judge for Missing {
    fn watches(&self) -> Watches {
        Watches::default()
    }

    fn judge(&self, _: &Look<'_>) -> Result<Verdict, Nothing> {
        Err(Nothing::NoValue)
    }

    fn tell(&self, _: &Look<'_>, _: &Verdict) -> Told {
        unreachable!("a rule of silence gives no verdict on what was measured")
    }

    fn missing(&self) -> Option<&MissingSpec> {
        Some(&self.spec)
    }

    fn needs(&self) -> Vec<(Vital, Need)> {
        if self.spec.in_a_row < 2 {
            return Vec::new();
        }
        let back = Need::days(7 * (i64::from(self.spec.in_a_row) + 1));
        self.spec.vitals.iter().map(|vital| (*vital, back)).collect()
    }

    fn overdue(&self, look: &Look<'_>, deadline: &Deadline) -> Option<(Mark, Told)> {
        if deadline.vitals.is_empty() && deadline.questionnaires.is_empty() {
            return None;
        }
        let local = |at: Timestamp| at.to_zoned(look.zone().clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let labels = labels(&deadline.vitals, &deadline.questionnaires);
        let Slot { expected, overdue, .. } = deadline.slot;
        let heard = deadline
            .last_at
            .map_or_else(|| "never heard of before".to_owned(), |at| format!("last heard of {}", local(at)));
        let word = if self.late { "late" } else { "overdue" };
        let mut why =
            format!("no {} for {}, {word} since {}, {heard}", labels.join(" and no "), local(expected), local(overdue));
        if let Some(since) = deadline.kit_silent_since {
            why.push_str(&format!(", and the kit itself has been silent since {}", local(since)));
        }
        let (mark, because) = self.mark(deadline);
        why.push_str(&because);
        let reason = Reason::Missing {
            schedule: self.spec.schedule.clone(),
            vitals: deadline.vitals.clone(),
            questionnaires: deadline.questionnaires.clone(),
            expected_at: expected,
            overdue_at: overdue,
            last_at: deadline.last_at,
            kit_silent_since: deadline.kit_silent_since,
            in_a_row: (deadline.in_a_row > 1).then_some(deadline.in_a_row),
        };
        Some((mark, Told { why, reason, inputs: Vec::new() }))
    }

    fn explain(&self, programme: &Programme) -> String {
        let spec = &self.spec;
        let labels = labels(&spec.vitals, &spec.questionnaires);
        let days: Vec<String> = spec.days.iter().map(|day| format!("{day:?}")).collect();
        let on = if days.len() == 7 { "every day".to_owned() } else { format!("on {}", days.join(", ")) };
        let graver = self.graver_in_words();
        let told = if self.late { "late" } else { "missing" };
        format!(
            "{} expected {} at {} ({}), from {} before until {} after. What has not come {} later is {told} and blue.{graver} \
             Further measurements may be sent at any time.{}",
            labels.join(" and "),
            on,
            spec.at.strftime("%H:%M"),
            programme.zone().iana_name().unwrap_or("local time"),
            in_words(spec.early),
            in_words(spec.window),
            in_words(spec.grace),
            self.source.as_ref().map(|source| format!(" (Source of the schedule: {source})")).unwrap_or_default(),
        )
    }
}

impl Missing {
    /// What it means, and why it is more than blue.
    fn mark(&self, deadline: &Deadline) -> (Mark, String) {
        let after = match deadline.colour {
            Colour::Green => None,
            Colour::Yellow => self.after_yellow,
            Colour::Red => self.after_red,
        };
        let kit = self.kit_silent.filter(|_| deadline.kit_silent_since.is_some());
        let in_a_row = self.then.filter(|_| kit.is_none() && deadline.in_a_row >= self.spec.in_a_row);
        let mut because = String::new();
        if in_a_row.is_some() {
            because.push_str(&format!(", {} times in a row", deadline.in_a_row));
        }
        if after.is_some() {
            because.push_str(&format!(", {} when last heard of", deadline.colour.name()));
        }
        let mark = after.max(in_a_row).map_or(Mark::Blue, Mark::from);
        (kit.map_or(mark, |kit| kit.max(mark)), because)
    }

    fn graver_in_words(&self) -> String {
        let mut words = String::new();
        if let Some(then) = self.then {
            words.push_str(&format!(" {} times in a row it is {}.", self.spec.in_a_row, then.name()));
        }
        for (colour, mark) in [(Colour::Yellow, self.after_yellow), (Colour::Red, self.after_red)] {
            if let Some(mark) = mark {
                words.push_str(&format!(" For somebody last known {} it is {}.", colour.name(), mark.name()));
            }
        }
        if let Some(mark) = self.kit_silent {
            words.push_str(&format!(" While the kit itself is silent it is {}.", name_of(Some(mark))));
        }
        words
    }
}
