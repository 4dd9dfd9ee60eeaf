//! What would have been green, had it been measured or answered otherwise; or what would end it.
//!
//! Of a value this is exact: the limits of green, or of the statistic that is judged. Where a statistic is the newest value's distance from
//! something that it is no part of, it is said of the value too. Of a path of answers it is what is certain, whatever else was answered
//! (`path.rs`). Where nothing of the kind is so without more ado (one part of a score is enough), nothing is said. `tests/it/otherwise` and
//! `tests/it/other_answers` hold each claim against what is then judged.

use std::sync::Arc;

use serde::Serialize;
use vitals::{Value, Vital};

use super::{
    path::{self, Given, Way},
    plain,
};
use crate::{
    CALL_RULE, Chart, Choice, Compared, Finding, Limit, Mark, Plan, Reason, Share, Text,
    bands::sentence,
    look::{Look, Memo},
    rules::Rule,
    series::{Sample, nanos},
};

/// What would have been green, or would end it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Otherwise {
    /// In an English sentence.
    pub said: String,
    /// The same as data.
    #[serde(flatten)]
    pub what: Would,
}

/// What would have been green, as data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "would", rename_all = "snake_case")]
pub enum Would {
    /// A value within these limits.
    Limits {
        /// The limits of green: both, where there are two.
        limits: Vec<Limit>,
        /// Their unit.
        unit: String,
        /// The same for the measured value itself, rounded to its digits, where the limits are those of a statistic and this is known.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        measured: Vec<Limit>,
    },
    /// One of these answers.
    Answers {
        /// The answers.
        answers: Vec<Chosen>,
    },
    /// Other answers on a path, in one of these ways.
    Path {
        /// The ways, the mildest first.
        ways: Vec<Way>,
    },
    /// Fewer of what was met.
    Fewer {
        /// How many were met.
        found: u32,
        /// Fewer than so many, and it would be milder.
        than: u32,
    },
    /// It ends when this has been measured and answered.
    Data {
        /// What is measured.
        vitals: Vec<Vital>,
        /// Which questionnaires are answered.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        questionnaires: Vec<String>,
    },
    /// A person ends it.
    Person,
}

/// An answer that can be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// Its id.
    pub id: String,
    /// As the person reads it.
    pub text: Text,
}

impl From<&Choice> for Chosen {
    fn from(choice: &Choice) -> Self {
        Self { id: choice.id.clone(), text: choice.text.clone() }
    }
}

pub(super) fn otherwise(plan: &Plan, finding: &Finding, rule: Option<&Rule>, given: &[Given<'_>]) -> Option<Otherwise> {
    if finding.colour == Mark::Green {
        return None;
    }
    match &finding.reason {
        Reason::Band { vital, unit, green, .. } => {
            limits(vital.info().label, green, unit.ucum(), Vec::new(), unit.plain())
        }
        Reason::Trend { statistic, vital, of, value, unit, green, compared, .. } => {
            let measured = match OF_THE_VALUE.contains(&statistic.as_str()) {
                true => measured(*of, *value, unit, green, compared.as_ref()),
                false => Vec::new(),
            };
            let what = format!("the {} of {}", statistic.replace('_', " "), vital.info().label);
            limits(&what, green, unit, measured, vital.unit().plain())
        }
        Reason::Sum { value, unit, green, shares, .. } => sum(*value, unit, green, shares),
        Reason::Answer { .. } if finding.rule == CALL_RULE => {
            Some(Otherwise { said: "ends when somebody closes it".to_owned(), what: Would::Person })
        }
        Reason::Answer { questionnaire, question, .. } => {
            rule?;
            answers(plan, finding, questionnaire, question)
        }
        Reason::Together { how, .. } if how == "path" => path::otherwise(plan, finding, rule?.judge.paths()?, given),
        Reason::Together { how, found, want, parts, .. } => together(finding.colour, how, *found, *want, parts),
        Reason::Missing { vitals, questionnaires, .. } => Some(data(vitals, questionnaires)),
    }
}

fn data(vitals: &[Vital], questionnaires: &[String]) -> Otherwise {
    let labels: Vec<&str> = vitals.iter().map(|vital| vital.info().label).collect();
    let measured = (!labels.is_empty()).then(|| format!("{} has been measured", labels.join(" and ")));
    let answered = (!questionnaires.is_empty()).then(|| format!("{} has been answered", questionnaires.join(" and ")));
    let both: Vec<String> = measured.into_iter().chain(answered).collect();
    let (vitals, questionnaires) = (vitals.to_vec(), questionnaires.to_vec());
    Otherwise { said: format!("ends when {}", both.join(" and ")), what: Would::Data { vitals, questionnaires } }
}

fn limits(what: &str, green: &[Limit], unit: &str, measured: Vec<Limit>, unit_of_value: &str) -> Option<Otherwise> {
    if green.is_empty() {
        return None;
    }
    let words = |limits: &[Limit], unit: &str| {
        limits.iter().map(|limit| sentence(*limit, unit)).collect::<Vec<_>>().join(" and ")
    };
    let mut said = format!("green if {what} were {}", words(green, plain(unit)));
    if !measured.is_empty() {
        said = format!("{said}, that is about a value {}", words(&measured, unit_of_value));
    }
    Some(Otherwise { said, what: Would::Limits { limits: green.to_vec(), unit: unit.to_owned(), measured } })
}

/// The limits of green for a sum, and what of it would do alone, were it as usual: each part as it was added, so that this is exact.
fn sum(value: Value, unit: &str, green: &[Limit], shares: &[Share]) -> Option<Otherwise> {
    let mut otherwise = limits("the sum", green, unit, Vec::new(), "")?;
    let would_do = |share: &&Share| {
        let left = Value::from(value.decimal() - share.points.decimal());
        share.points.decimal() > Value::new(0, 0).decimal() && green.iter().all(|limit| limit.is_met(left))
    };
    let alone: Vec<&str> = shares.iter().filter(would_do).map(Share::name).collect();
    if !alone.is_empty() {
        otherwise.said = format!("{}, for instance if {} were as usual", otherwise.said, alone.join(" or "));
    }
    Some(otherwise)
}

/// The limits of green for the value itself, where the statistic is its difference from what it was compared with, its percent of it, or so
/// many spreads from it; which of these it is, the numbers say.
fn measured(of: Value, value: Value, unit: &str, green: &[Limit], compared: Option<&Compared>) -> Vec<Limit> {
    let Some(Compared { value: centre, spread, .. }) = compared else { return Vec::new() };
    let (of, centre) = (of.decimal(), centre.decimal());
    let spread = spread.map(|spread| spread.decimal()).unwrap_or_default();
    // A statistic gives this value back, in one of three ways.
    let ways = [centre + value.decimal(), centre * value.decimal() / hundred(), centre + value.decimal() * spread];
    let way = match unit {
        "{z}" => 2,
        "%" if (ways[1] - of).abs() < (ways[0] - of).abs() => 1,
        _ => 0,
    };
    // What was told is rounded: half a percent of the value is near enough to be the same thing.
    if (ways[way] - of).abs() * hundred() * two() > of.abs() {
        return Vec::new();
    }
    let back = |limit: &Limit| {
        let number = limit.value.decimal();
        let at = [centre + number, centre * number / hundred(), centre + number * spread][way];
        Limit { kind: limit.kind, value: at.round_dp(of.scale().max(1)).into() }
    };
    green.iter().map(back).collect()
}

/// The statistics that are the newest value's distance from something that it is no part of. The others go over several values.
const OF_THE_VALUE: [&str; 4] = ["baseline", "personal_best", "difference", "control"];

fn hundred() -> vitals::Decimal {
    Value::new(100, 0).decimal()
}

fn two() -> vitals::Decimal {
    Value::new(2, 0).decimal()
}

/// The answers that the rule, asked alone, calls green.
fn answers(plan: &Plan, finding: &Finding, questionnaire: &str, question: &str) -> Option<Otherwise> {
    let place = plan.place(&finding.programme, &finding.rule)?;
    let (_, choices) = plan.programme_of(place).question(questionnaire, question)?;
    let (of, asked, ..) = plan.of_question(questionnaire, question)?;
    let is_green = |choice: &&Choice| {
        let mut chart = Chart::new();
        let sample = Sample::answer(finding.at, &choice.id, &mut chart.names);
        chart.asked_mut(&Arc::clone(of), &Arc::clone(asked)).insert(sample);
        let look = Look { plan, chart: &chart, place, at: nanos(finding.at), rank: 0, memo: &Memo::default() };
        look.judge().is_ok_and(|verdict| verdict.mark == Mark::Green)
    };
    let green: Vec<Chosen> = choices.iter().filter(is_green).map(Chosen::from).collect();
    let words: Vec<String> = green.iter().map(|choice| format!("{:?}", choice.text.en)).collect();
    if green.is_empty() {
        return None;
    }
    let said = format!("green if the answer were {}", words.join(" or "));
    Some(Otherwise { said, what: Would::Answers { answers: green } })
}

fn together(mark: Mark, how: &str, found: u32, want: u32, parts: &[String]) -> Option<Otherwise> {
    if want == 0 || found < want {
        return None;
    }
    let milder = if mark == Mark::Yellow { "green or milder" } else { "milder" };
    let listed = if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) };
    let said = match (how, want) {
        ("score", _) => format!("{milder} if the score were less than {want}"),
        (_, 1) => format!("{milder} if none of these were so{listed}"),
        (_, want) if want == found => format!("{milder} if one of these were not so{listed}"),
        _ => format!("{milder} if fewer than {want} of these were so{listed}"),
    };
    Some(Otherwise { said, what: Would::Fewer { found, than: want } })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::LimitKind;

    #[track_caller]
    fn green_value(
        of: &str,
        value: &str,
        unit: &str,
        limit: &str,
        (centre, spread): (&str, Option<&str>),
        wanted: &[&str],
    ) {
        let number = |text: &str| text.parse::<Value>().unwrap();
        let compared = Compared {
            what: "baseline".to_owned(),
            value: number(centre),
            spread: spread.map(number),
            count: 14,
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        };
        let green = [Limit { kind: LimitKind::Below, value: number(limit) }];
        let found = measured(number(of), number(value), unit, &green, Some(&compared));
        assert_eq!(found.iter().map(|limit| limit.value.to_string()).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_limit_of_a_statistic_is_told_as_a_value_where_the_numbers_say_how() {
        green_value("82.4", "2.4", "kg", "2.0", ("80.0", None), &["82.0"]);
        green_value("1.20", "60", "%", "80", ("2.00", None), &["1.60"]);
        green_value("1.11", "-3.0", "{z}", "-2.5", ("1.41", Some("0.10")), &["1.16"]);
        green_value("86", "-6", "%", "-4", ("92.0", None), &["88.0"]);
        green_value("82.4", "0.3", "kg/a", "2.0", ("80.0", None), &[]);
    }

    #[test]
    fn of_several_parts_it_says_how_many_must_be_milder() {
        let parts = ["SpO2 84 %".to_owned(), "pulse 120 /min".to_owned()];
        let said = |mark, how, found, want| together(mark, how, found, want, &parts).unwrap().said;
        assert_eq!(said(Mark::Red, "all", 2, 2), "milder if one of these were not so: SpO2 84 %; pulse 120 /min");
        assert_eq!(
            said(Mark::Yellow, "any", 1, 1),
            "green or milder if none of these were so: SpO2 84 %; pulse 120 /min"
        );
        assert_eq!(said(Mark::Red, "score", 8, 7), "milder if the score were less than 7");
        assert_eq!(together(Mark::Red, "all", 0, 2, &parts), None);
    }
}
