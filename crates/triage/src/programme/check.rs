//! What a programme file means: every part read by itself, so that all faults are found, and then checked against the others.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, tz::TimeZone};

use super::{
    Programme, Question, Questionnaire, Text,
    file::{Clinic, Example, Schedule, Stratum},
    place::{Document, Step, steps},
};
use crate::{
    Score, TOGETHER,
    bounds::{
        CHOICES_MAX, EXAMPLES_MAX, QUESTIONNAIRES_MAX, QUESTIONS_MAX, RULES_MAX, SCHEDULES_MAX, SCORES_MAX, STRATA_MAX,
        TEXT_CHARS_MAX,
    },
    rules::{Known, Rule, rule},
};

const KEYS: [&str; 12] = [
    "id",
    "version",
    "title",
    "zone",
    "source",
    "clinic",
    "questionnaire",
    "schedule",
    "stratum",
    "score",
    "rule",
    "example",
];
/// A name that is as many letters away may be a slip of the pen.
const APART_MAX: usize = 2;
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// What comes so soon after it was measured is of the same sitting: were that late, nobody could be told of anything in time.
const LATE_AFTER_MIN: SignedDuration = TOGETHER;
/// A kit that is not heard for less than this may just be on its way through the house.
pub(crate) const SILENT_KIT_AFTER_MIN: SignedDuration = SignedDuration::from_mins(15);
/// A kit that is not heard for longer than this is silent, whatever is written.
pub(crate) const SILENT_KIT_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24 * 14);

/// The programme and its examples, not yet run. Faults are noted in the document.
pub(super) fn programme(document: &mut Document<'_>) -> Option<(Programme, Vec<Example>)> {
    if document.is_faulty() {
        return None;
    }
    document.refuse_other_keys(&KEYS);
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
    let strata = strata(document, &schedules);
    let scores = scores(document);
    if !document.has(&steps!["rule"]) {
        document.problem(&steps!["rule"], "found nothing, want at least one [[rule]]");
    }
    let known = Known { questionnaires: &questionnaires, schedules: &schedules, clinic, scores: &scores };
    let rules = rules(document, &known);
    unique(document, "rule", rules.iter().map(|(at, rule)| (*at, &*rule.id)));
    let examples: Vec<Example> = each(document, "example", EXAMPLES_MAX, |document, path, example: &Example| {
        check_example(document, path, example, &rules);
    })
    .into_iter()
    .map(|(_, example)| example)
    .collect();
    let programme = Programme {
        file: document.file().to_owned(),
        id: id?,
        version: version?,
        title: title?,
        zone: zone?,
        source,
        clinic: clinic?,
        questionnaires: questionnaires.into_iter().map(|(_, questionnaire)| questionnaire).collect(),
        strata,
        rules: rules.into_iter().map(|(_, rule)| rule).collect(),
        examples: examples.len(),
        shown: examples.iter().flat_map(|example| example.want.values().copied()).collect(),
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
    let none = SignedDuration::ZERO;
    let bounds = [
        ("early", Some(clinic.early), none, DAY / 2),
        ("grace", Some(clinic.grace), none, DAY * 2),
        ("late_after", Some(clinic.late_after), none, DAY * 366),
        ("baseline_frozen", Some(clinic.baseline_frozen), none, DAY * 366),
        ("repeat_within", clinic.repeat_within, none, DAY),
        ("silent_kit_after", clinic.silent_kit_after, SILENT_KIT_AFTER_MIN, SILENT_KIT_AFTER_MAX),
    ];
    for (key, length, least, most) in bounds {
        let Some(found) = length.map(|length| length.0) else { continue };
        let wanted = match found {
            found if found > most => format!("at most {most:#}"),
            found if found < least => format!("at least {least:#}"),
            _ => continue,
        };
        document.problem(&steps!["clinic", key], format!("found {found:#}, want {wanted}"));
    }
    let late_after = clinic.late_after.0;
    if late_after < LATE_AFTER_MIN {
        let text = format!("found {late_after:#}, want at least {LATE_AFTER_MIN:#}");
        document.refuse_new(&steps!["clinic", "late_after"], text);
    }
}

/// Reads and checks each element of an array of tables; one that can't be read is left out.
fn each<T: serde::de::DeserializeOwned + schemars::JsonSchema>(
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
    if !document.is_list(&steps![key]) {
        return false;
    }
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
pub(crate) fn name(document: &mut Document<'_>, path: &[Step], text: &str) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !(1..=64).contains(&text.len()) || !text.chars().all(fits) {
        document.problem(path, format!("found {text:?}, want 1 to 64 of a-z, 0-9, - and _"));
    }
}

/// Of some names the one that somebody may have meant.
pub(crate) fn nearest<'n>(meant: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = names.into_iter().map(|name| (strsim::damerau_levenshtein(meant, name), name));
    near.filter(|(apart, _)| *apart <= APART_MAX && apart * 2 < meant.len()).min().map(|(_, name)| name)
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

/// The risk levels: each with an id and a rank of its own, and schedules that there are.
fn strata(document: &mut Document<'_>, schedules: &[(usize, Schedule)]) -> Vec<Stratum> {
    let strata = each(document, "stratum", STRATA_MAX, |document, path, stratum: &Stratum| {
        name(document, &under(path, steps!["id"]), &stratum.id);
        if stratum.rank == 0 {
            document.problem(&under(path, steps!["rank"]), "found 0, want 1 or more");
        }
        for (at, schedule) in stratum.schedules.iter().enumerate() {
            let is_known = schedules.iter().any(|(_, known)| known.id == *schedule);
            if !is_known && document.place_of("schedule", schedule).is_none() {
                let text = format!("found {schedule:?}, want the id of a [[schedule]]");
                document.problem(&under(path, steps!["schedules", at]), text);
            }
        }
    });
    unique(document, "stratum", strata.iter().map(|(at, stratum)| (*at, stratum.id.as_str())));
    for (place, (at, stratum)) in strata.iter().enumerate() {
        if strata[..place].iter().any(|(_, other)| other.rank == stratum.rank) {
            let text = format!("found {} a second time, want a rank of its own", stratum.rank);
            document.problem(&steps!["stratum", *at, "rank"], text);
        }
    }
    strata.into_iter().map(|(_, stratum)| stratum).collect()
}

/// The programme's own scores: each with an id that is none of those shipped.
fn scores(document: &mut Document<'_>) -> Vec<Arc<Score>> {
    let mut scores: Vec<Arc<Score>> = Vec::new();
    if few(document, "score", SCORES_MAX) {
        for at in 0..document.len(&steps!["score"]) {
            let path = steps!["score", at];
            let Some(score) = Score::read(document, &path) else { continue };
            if Score::shipped(score.id()).is_some() || scores.iter().any(|other| other.id() == score.id()) {
                document.problem(
                    &under(&path, steps!["id"]),
                    format!("found {:?}, which is another score, want an id of its own", score.id()),
                );
            }
            scores.push(Arc::new(score));
        }
    }
    scores
}

/// What it wants and sets must be of a rule.
fn check_example(document: &mut Document<'_>, path: &[Step], example: &Example, rules: &[(usize, Rule)]) {
    let named =
        [("want", example.want.keys().collect::<Vec<_>>()), ("references", example.references.keys().collect())];
    for (field, ids) in named {
        for id in ids {
            let is_known = rules.iter().any(|(_, rule)| *rule.id == **id) || id == crate::CALL_RULE;
            if !is_known && document.place_of("rule", id).is_none() {
                let known: Vec<&str> = rules.iter().map(|(_, rule)| &*rule.id).collect();
                let wanted = nearest(id, known.iter().copied()).map_or_else(
                    || "the id of a [[rule]]".to_owned(),
                    |near| format!("the id of a [[rule]], e.g. {near:?}"),
                );
                document.problem(&under(path, steps![field, id.as_str()]), format!("found {id:?}, want {wanted}"));
            }
        }
    }
}

fn rules(document: &mut Document<'_>, known: &Known<'_>) -> Vec<(usize, Rule)> {
    let mut rules = Vec::new();
    if few(document, "rule", RULES_MAX) {
        for at in 0..document.len(&steps!["rule"]) {
            rules.extend(rule(document, &steps!["rule", at], known, &rules).map(|rule| (at, rule)));
        }
    }
    rules
}
