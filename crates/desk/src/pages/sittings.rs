//! The last sittings as a table: what was measured and answered together, newest first.

use jiff::{SignedDuration, Timestamp};
use store::{JournalEntry, StoredMessage};
use triage::Plan;
use vitals::{Answer, Reading, Vital};

use crate::{
    api::records::Invalid,
    pages::readings::invalid,
    say::{Say, question_text},
    spark::mark_of,
};

/// Readings further apart than this belong to different sittings.
const SITTING_GAP_MAX: SignedDuration = SignedDuration::from_mins(15);

/// The table.
pub struct Sittings {
    /// Its columns: name and unit of each vital.
    pub columns: Vec<(String, &'static str)>,
    /// Its rows, newest first.
    pub rows: Vec<Sitting>,
}

/// One row.
pub struct Sitting {
    /// When, in words.
    pub when: String,
    /// One for each column, as [`told`] chooses.
    pub cells: Vec<Vec<Cell>>,
    /// What was answered.
    pub answers: Vec<String>,
}

/// One value.
pub struct Cell {
    /// The value in words.
    pub value: String,
    /// Its colour.
    pub mark: &'static str,
    /// Its colour's name, for those who don't see colours.
    pub word: String,
    /// What was odd about it.
    pub odd: Option<String>,
    /// Was it declared invalid?
    pub invalid: bool,
}

enum Item<'a> {
    /// With who declared it invalid, if somebody did.
    Reading(&'a Reading, Option<&'a JournalEntry>),
    Answer(&'a Answer),
}

impl Item<'_> {
    fn at(&self) -> Timestamp {
        match self {
            Self::Reading(reading, _) => reading.measured_at,
            Self::Answer(answer) => answer.answered_at,
        }
    }
}

/// The last `most` sittings of these messages.
pub fn sittings(
    say: &Say<'_>,
    messages: &[StoredMessage],
    invalid: &Invalid,
    plan: Option<&Plan>,
    most: usize,
) -> Sittings {
    let groups = groups(messages, invalid, most);
    let readings = || {
        groups.iter().flatten().filter_map(|item| match item {
            Item::Reading(reading, _) => Some(reading.vital),
            Item::Answer(_) => None,
        })
    };
    let mut vitals: Vec<Vital> = readings().collect();
    vitals.sort_unstable();
    vitals.dedup();
    Sittings {
        columns: vitals.iter().map(|vital| (say.vital(*vital), vital.unit().plain())).collect(),
        rows: groups.iter().map(|group| row(say, group, &vitals, plan)).collect(),
    }
}

/// Newest first, each group newest first.
fn groups<'m>(messages: &'m [StoredMessage], invalid: &'m Invalid, most: usize) -> Vec<Vec<Item<'m>>> {
    let readings = messages.iter().flat_map(|message| {
        message.readings.iter().enumerate().map(|(at, reading)| {
            let place = u16::try_from(at).unwrap_or(u16::MAX);
            Item::Reading(reading, invalid.get(&(message.key.clone(), place)))
        })
    });
    let answers = messages.iter().flat_map(|message| &message.answers).map(Item::Answer);
    let mut items: Vec<Item<'_>> = readings.chain(answers).collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.at()));
    let mut groups: Vec<Vec<Item<'_>>> = Vec::new();
    for item in items {
        let near = |last: &Item<'_>| last.at().duration_since(item.at()) <= SITTING_GAP_MAX;
        let full = groups.len() == most;
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(near) => group.push(item),
            _ if full => break,
            _ => groups.push(vec![item]),
        }
    }
    groups
}

fn row(say: &Say<'_>, group: &[Item<'_>], vitals: &[Vital], plan: Option<&Plan>) -> Sitting {
    let readings = |wanted: Vital| {
        group.iter().filter_map(move |item| match item {
            Item::Reading(reading, invalid) if reading.vital == wanted => Some(cell(say, reading, *invalid, plan)),
            _ => None,
        })
    };
    let mut answers: Vec<String> = Vec::new();
    for item in group.iter().rev() {
        if let Item::Answer(answer) = item {
            let line = answer_line(answer, say, plan);
            // Who presses twice has said it once.
            if !answers.contains(&line) {
                answers.push(line);
            }
        }
    }
    Sitting {
        when: group.first().map(|item| say.when(item.at())).unwrap_or_default(),
        cells: vitals.iter().map(|vital| told(readings(*vital))).collect(),
        answers,
    }
}

/// Of one vital's values, newest first: the newest, and before it the worst where that was worse. A second try hides no first one. Before
/// these, struck out, the newest that was declared invalid.
fn told(cells: impl Iterator<Item = Cell>) -> Vec<Cell> {
    let (invalid, valid): (Vec<Cell>, Vec<Cell>) = cells.partition(|cell| cell.invalid);
    invalid.into_iter().take(1).chain(told_valid(valid.into_iter())).collect()
}

fn told_valid(mut cells: impl Iterator<Item = Cell>) -> Vec<Cell> {
    let Some(newest) = cells.next() else { return Vec::new() };
    let worst = cells
        .filter(|cell| rank(cell) > rank(&newest))
        .reduce(|worst, cell| if rank(&cell) >= rank(&worst) { cell } else { worst });
    worst.into_iter().chain([newest]).collect()
}

fn rank(cell: &Cell) -> u8 {
    match cell.mark {
        "red" => 2,
        "yellow" => 1,
        _ => 0,
    }
}

fn answer_line(answer: &Answer, say: &Say<'_>, plan: Option<&Plan>) -> String {
    if triage::asks_to_be_called(answer) {
        return say.words.say("call-me");
    }
    let (question, said) =
        question_text(say.words.language, plan, Some(&answer.questionnaire), &answer.question, &answer.answer);
    format!("{question} {said}")
}

fn cell(say: &Say<'_>, reading: &Reading, invalidated: Option<&JournalEntry>, plan: Option<&Plan>) -> Cell {
    if let Some(entry) = invalidated {
        let (value, odd) = (say.value(reading.value), Some(invalid(say, entry)));
        return Cell { value, mark: "none", word: String::new(), odd, invalid: true };
    }
    let bands = plan.map(|plan| plan.bands_at(reading.vital, reading.measured_at)).unwrap_or_default();
    let mark = mark_of(&bands, reading.value);
    let odd: Vec<String> = reading.flags.iter().filter(|flag| flag.is_doubt()).map(|flag| say.flag(flag)).collect();
    Cell {
        value: say.value(reading.value),
        mark: mark.map_or("none", triage::Mark::name),
        word: mark.map(|mark| say.mark(mark)).unwrap_or_default(),
        odd: (!odd.is_empty()).then(|| odd.join(", ")),
        invalid: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_to_be_called_says_so_in_words_and_once() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let say = Say { words: crate::words::Language::Da.words(), zone: &jiff::tz::TimeZone::UTC, now, names: None };
        let call = Answer {
            questionnaire: "kit".to_owned(),
            version: 1,
            question: "call_me".to_owned(),
            answer: "now".to_owned(),
            answered_at: now,
        };
        let row = row(&say, &[Item::Answer(&call), Item::Answer(&call)], &[], None);
        assert_eq!(row.answers, ["Beder om at blive ringet op"]);
    }

    fn check(newest_first: &[(&str, &'static str)], wanted: &[&str]) {
        let cell = |(value, mark): &(&str, &'static str)| Cell {
            value: (*value).to_owned(),
            mark,
            word: String::new(),
            odd: None,
            invalid: *mark == "invalid",
        };
        let told: Vec<_> = told(newest_first.iter().map(cell)).into_iter().map(|cell| cell.value).collect();
        assert_eq!(told, wanted, "{newest_first:?}");
    }

    #[test]
    fn a_second_try_hides_no_worse_first_one() {
        check(&[], &[]);
        check(&[("93", "green")], &["93"]);
        check(&[("93", "green"), ("84", "red")], &["84", "93"]);
        check(&[("93", "green"), ("87", "yellow"), ("84", "red"), ("82", "red")], &["82", "93"]);
        check(&[("84", "red"), ("93", "green"), ("83", "red")], &["84"]);
        check(&[("72.1", "none"), ("72", "none")], &["72.1"]);
        check(&[("70", "invalid"), ("93", "green"), ("71", "invalid")], &["70", "93"]);
    }
}
