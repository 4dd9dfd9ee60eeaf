//! What a programme file means: every part read by itself, so that all faults are found, and then checked against the others.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, tz::TimeZone};
use vitals::Vital;

use super::{
    Programme, Question, Questionnaire, Text,
    file::{AnswerRule, BandFile, BandRule, Clinic, Example, MissingRule, Schedule},
    place::{Document, Step, steps},
};
use crate::{
    bands::{Band, Cut, Ladder},
    bounds::{
        CHOICES_MAX, EXAMPLES_MAX, QUESTIONNAIRES_MAX, QUESTIONS_MAX, RULES_MAX, SCHEDULES_MAX, TEXT_CHARS_MAX,
        VITALS_EXPECTED_MAX,
    },
    rules::{AnswerSpec, BandSpec, MissingSpec, RULES, Rule, Spec},
};

const KEYS: [&str; 10] =
    ["id", "version", "title", "zone", "source", "clinic", "questionnaire", "schedule", "rule", "example"];
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The programme and its examples, not yet run. Faults are noted in the document.
pub(super) fn programme(document: &mut Document<'_>) -> Option<(Programme, Vec<Example>)> {
    if document.is_faulty() {
        return None;
    }
    for key in document.keys() {
        if !KEYS.contains(&key.as_str()) {
            document.problem_of_key(&key, format!("found unknown field `{key}`, want one of {}", KEYS.join(", ")));
        }
    }
    let id = document.read::<String>(&steps!["id"]);
    let version = document.read::<u32>(&steps!["version"]);
    let title = document.read::<Text>(&steps!["title"]);
    let source = document.has(&steps!["source"]).then(|| document.read::<String>(&steps!["source"])).flatten();
    if let Some(id) = &id {
        name(document, &steps!["id"], id);
    }
    if version == Some(0) {
        document.problem(&steps!["version"], "found 0, want 1 or more");
    }
    let zone = zone(document);
    let clinic = document.read::<Clinic>(&steps!["clinic"]);
    if let Some(clinic) = &clinic {
        check_clinic(document, clinic);
    }
    let questionnaires = each(document, "questionnaire", QUESTIONNAIRES_MAX, check_questionnaire);
    let schedules = each(document, "schedule", SCHEDULES_MAX, check_schedule);
    unique(
        document,
        "questionnaire",
        questionnaires.iter().map(|(at, questionnaire)| (*at, questionnaire.id.as_str())),
    );
    unique(document, "schedule", schedules.iter().map(|(at, schedule)| (*at, schedule.id.as_str())));
    if !document.has(&steps!["rule"]) {
        document.problem(&steps!["rule"], "found nothing, want at least one [[rule]]");
    }
    let known = Known { questionnaires: &questionnaires, schedules: &schedules, clinic };
    let rules = rules(document, &known);
    unique(document, "rule", rules.iter().map(|(at, rule)| (*at, &*rule.id)));
    let examples: Vec<Example> = each(document, "example", EXAMPLES_MAX, |_, _, _: &Example| ())
        .into_iter()
        .map(|(_, example)| example)
        .collect();
    let programme = Programme {
        id: id?,
        version: version?,
        title: title?,
        zone: zone?,
        source,
        clinic: clinic?,
        questionnaires: questionnaires.into_iter().map(|(_, questionnaire)| questionnaire).collect(),
        rules: rules.into_iter().map(|(_, rule)| rule).collect(),
        examples: examples.len(),
    };
    Some((programme, examples))
}

fn zone(document: &mut Document<'_>) -> Option<TimeZone> {
    let name = document.read::<String>(&steps!["zone"])?;
    let zone = TimeZone::get(&name).ok();
    if zone.is_none() {
        document
            .problem(&steps!["zone"], format!("found {name:?}, want an IANA time zone, e.g. \"Europe/Copenhagen\""));
    }
    zone
}

fn check_clinic(document: &mut Document<'_>, clinic: &Clinic) {
    if !(1..=100).contains(&clinic.ease_after_sittings) {
        let found = clinic.ease_after_sittings;
        document.problem(&steps!["clinic", "ease_after_sittings"], format!("found {found}, want 1 to 100"));
    }
    let bounds = [
        ("early", clinic.early, DAY / 2),
        ("grace", clinic.grace, DAY * 2),
        ("late_after", clinic.late_after, DAY * 366),
    ];
    for (key, length, most) in bounds {
        if length.0 > most {
            document.problem(&steps!["clinic", key], format!("found {:#}, want at most {most:#}", length.0));
        }
    }
}

/// Reads and checks each element of an array of tables; one that can't be read is left out.
fn each<T: serde::de::DeserializeOwned>(
    document: &mut Document<'_>,
    key: &str,
    most: usize,
    check: impl Fn(&mut Document<'_>, &[Step], &T),
) -> Vec<(usize, T)> {
    if !few(document, key, most) {
        return Vec::new();
    }
    let mut elements = Vec::new();
    for at in 0..document.len(&steps![key]) {
        let path = steps![key, at];
        if let Some(element) = document.read::<T>(&path) {
            check(document, &path, &element);
            elements.push((at, element));
        }
    }
    elements
}

fn few(document: &mut Document<'_>, key: &str, most: usize) -> bool {
    let found = document.len(&steps![key]);
    if found > most {
        document.problem(&steps![key], format!("found {found}, want at most {most}"));
    } else if found == 0 && document.has(&steps![key]) {
        document.problem(&steps![key], format!("found no element, want [[{key}]] tables"));
    }
    found <= most
}

fn unique<'i>(document: &mut Document<'_>, key: &str, ids: impl Iterator<Item = (usize, &'i str)>) {
    let mut seen = BTreeSet::new();
    for (at, id) in ids {
        if !seen.insert(id) {
            document.problem(&steps![key, at, "id"], format!("found {id:?} a second time, want an id of its own"));
        }
    }
}

/// A name of the programme: 1 to 64 of a-z, 0-9, - and _.
fn name(document: &mut Document<'_>, path: &[Step], text: &str) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !(1..=64).contains(&text.len()) || !text.chars().all(fits) {
        document.problem(path, format!("found {text:?}, want 1 to 64 of a-z, 0-9, - and _"));
    }
}

fn under(path: &[Step], more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    path.iter().cloned().chain(more).collect()
}

fn check_questionnaire(document: &mut Document<'_>, path: &[Step], questionnaire: &Questionnaire) {
    name(document, &under(path, steps!["id"]), &questionnaire.id);
    if questionnaire.question.len() > QUESTIONS_MAX {
        let found = questionnaire.question.len();
        document.problem(
            &under(path, steps!["question"]),
            format!("found {found} questions, want at most {QUESTIONS_MAX}"),
        );
    }
    let mut seen: Vec<&Question> = Vec::new();
    for (at, question) in questionnaire.question.iter().enumerate() {
        let here = under(path, steps!["question", at]);
        check_question(document, &here, question, &seen);
        seen.push(question);
    }
}

fn check_question(document: &mut Document<'_>, path: &[Step], question: &Question, before: &[&Question]) {
    let id = under(path, steps!["id"]);
    name(document, &id, &question.id);
    if before.iter().any(|other| other.id == question.id) {
        document.problem(&id, format!("found {:?} a second time, want an id of its own", question.id));
    }
    if question.choice.len() > CHOICES_MAX {
        document.problem(
            &under(path, steps!["choice"]),
            format!("found {} choices, want at most {CHOICES_MAX}", question.choice.len()),
        );
    }
    for text in [&question.text.en, &question.text.da] {
        if text.chars().count() > TEXT_CHARS_MAX {
            document.problem(
                &under(path, steps!["text"]),
                format!("found {} characters, want at most {TEXT_CHARS_MAX}", text.chars().count()),
            );
        }
    }
    for (at, choice) in question.choice.iter().enumerate() {
        let id = under(path, steps!["choice", at, "id"]);
        name(document, &id, &choice.id);
        if question.choice[..at].iter().any(|other| other.id == choice.id) {
            document.problem(&id, format!("found {:?} a second time, want an id of its own", choice.id));
        }
    }
    if let Some(only) = &question.only_if {
        let offered = before
            .iter()
            .any(|other| other.id == only.question && other.choice.iter().any(|choice| choice.id == only.answer));
        if !offered {
            let text =
                format!("found answer {:?} to {:?}, want a choice of an earlier question", only.answer, only.question);
            document.problem(&under(path, steps!["only_if"]), text);
        }
    }
}

fn check_schedule(document: &mut Document<'_>, path: &[Step], schedule: &Schedule) {
    name(document, &under(path, steps!["id"]), &schedule.id);
    if schedule.days.is_empty() {
        document.problem(&under(path, steps!["days"]), "found no day, want at least one");
    }
    if schedule.window.0 > DAY || schedule.window.0.is_zero() {
        let found = schedule.window.0;
        document.problem(
            &under(path, steps!["window"]),
            format!("found {found:#}, want more than nothing and at most {DAY:#}"),
        );
    }
}

/// What rules may refer to.
struct Known<'k> {
    questionnaires: &'k [(usize, Questionnaire)],
    schedules: &'k [(usize, Schedule)],
    clinic: Option<Clinic>,
}

fn rules(document: &mut Document<'_>, known: &Known<'_>) -> Vec<(usize, Rule)> {
    if !few(document, "rule", RULES_MAX) {
        return Vec::new();
    }
    let count = document.len(&steps!["rule"]);
    (0..count).filter_map(|at| Some((at, rule(document, &steps!["rule", at], known)?))).collect()
}

fn rule(document: &mut Document<'_>, path: &[Step], known: &Known<'_>) -> Option<Rule> {
    let kind_path = under(path, steps!["kind"]);
    let kinds: Vec<&str> = RULES.iter().map(|kind| kind.name).collect();
    let Some(kind) = document.text(&kind_path) else {
        document.problem(&kind_path, format!("found nothing, want one of {}", kinds.join(", ")));
        return None;
    };
    let rule = match kind.as_str() {
        "band" => band(document, path)?,
        "answer" => answer(document, path, known)?,
        "missing" => missing(document, path, known)?,
        other => {
            document.problem(&kind_path, format!("found {other:?}, want one of {}", kinds.join(", ")));
            return None;
        }
    };
    name(document, &under(path, steps!["id"]), &rule.id);
    name(document, &under(path, steps!["family"]), &rule.family);
    for (field, found, own) in [("id", &*rule.id, crate::CALL_RULE), ("family", &*rule.family, crate::CALL_FAMILY)] {
        if found == own {
            let text = format!("found {found:?}, want another: this one is built in, for people who ask to be called");
            document.problem(&under(path, steps![field]), text);
        }
    }
    Some(rule)
}

fn band(document: &mut Document<'_>, path: &[Step]) -> Option<Rule> {
    let BandRule { id, family, vital, unit, bands, source } = document.read_without(path, Some("kind"))?;
    if unit != vital.unit() {
        let text =
            format!("found {:?}, want {:?}, the unit in which {vital} is judged", unit.ucum(), vital.unit().ucum());
        document.problem(&under(path, steps!["unit"]), text);
    }
    let here = under(path, steps!["bands"]);
    let mut ends = Vec::new();
    for (at, written) in bands.iter().enumerate() {
        match cuts(written) {
            Ok(band) => ends.push(band),
            Err(fault) => document.problem(&under(&here, steps![at]), fault),
        }
    }
    if ends.len() < bands.len() {
        return None;
    }
    match Ladder::new(&ends) {
        Ok(ladder) => {
            Some(Rule { id: id.into(), family: family.into(), source, spec: Spec::Band(BandSpec { vital, ladder }) })
        }
        Err(faults) => {
            faults.into_iter().for_each(|(at, fault)| document.problem(&under(&here, steps![at]), fault));
            None
        }
    }
}

/// A band's ends as cuts; at most one of each pair may be written.
fn cuts(written: &BandFile) -> Result<Band, &'static str> {
    let BandFile { mark, from, above, at_most, below } = *written;
    let cut = |open: Option<super::Number>, shut: Option<super::Number>| {
        open.map(|number| Cut { value: number.0, after: false })
            .or(shut.map(|number| Cut { value: number.0, after: true }))
    };
    if from.is_some() && above.is_some() {
        return Err("found both `from` and `above`, want one lower end");
    }
    if below.is_some() && at_most.is_some() {
        return Err("found both `below` and `at_most`, want one upper end");
    }
    Ok(Band { mark, lower: cut(from, above), upper: cut(below, at_most) })
}

fn answer(document: &mut Document<'_>, path: &[Step], known: &Known<'_>) -> Option<Rule> {
    let AnswerRule { id, family, questionnaire, question, marks, source } =
        document.read_without(path, Some("kind"))?;
    let Some((_, asked_in)) = known.questionnaires.iter().find(|(_, other)| other.id == questionnaire) else {
        document.problem(
            &under(path, steps!["questionnaire"]),
            format!("found {questionnaire:?}, want the id of a [[questionnaire]]"),
        );
        return None;
    };
    let Some(asked) = asked_in.question.iter().find(|other| other.id == question) else {
        document.problem(
            &under(path, steps!["question"]),
            format!("found {question:?}, want a question of {questionnaire:?}"),
        );
        return None;
    };
    for answer in marks.keys().filter(|answer| asked.choice.iter().all(|choice| choice.id != **answer)) {
        let text = format!("found {answer:?}, want a choice of question {question:?}");
        document.problem(&under(path, steps!["marks", answer.as_str()]), text);
    }
    for choice in asked.choice.iter().filter(|choice| !marks.contains_key(&choice.id)) {
        document.problem(
            &under(path, steps!["marks"]),
            format!("found no mark for answer {:?}, want one for each", choice.id),
        );
    }
    let spec = Spec::Answer(AnswerSpec { questionnaire, question, marks });
    Some(Rule { id: id.into(), family: family.into(), source, spec })
}

fn missing(document: &mut Document<'_>, path: &[Step], known: &Known<'_>) -> Option<Rule> {
    let MissingRule { id, family, schedule, vitals, source } = document.read_without(path, Some("kind"))?;
    let distinct: BTreeSet<Vital> = vitals.iter().copied().collect();
    if !(1..=VITALS_EXPECTED_MAX).contains(&vitals.len()) || distinct.len() < vitals.len() {
        let text = format!(
            "found {} vitals, {} of them different, want 1 to {VITALS_EXPECTED_MAX}, each once",
            vitals.len(),
            distinct.len()
        );
        document.problem(&under(path, steps!["vitals"]), text);
    }
    let Some((_, expected)) = known.schedules.iter().find(|(_, other)| other.id == schedule) else {
        document
            .problem(&under(path, steps!["schedule"]), format!("found {schedule:?}, want the id of a [[schedule]]"));
        return None;
    };
    let clinic = known.clinic?;
    let spec = Spec::Missing(MissingSpec {
        schedule,
        vitals,
        days: expected.days.iter().map(|day| day.weekday()).collect(),
        at: expected.at,
        early: clinic.early.0,
        window: expected.window.0,
        grace: clinic.grace.0,
    });
    let source = source.or_else(|| expected.source.clone());
    Some(Rule { id: Arc::from(id), family: family.into(), source, spec })
}
