//! Why an alert's finding is as it is: the rule in words, the limit that decided and whose it is, and what would have been green.
//!
//! Pure and cheap: everything was kept in the finding when it was made; the plan adds where a limit comes from. Where the plan has another
//! version of the programme by now, its words are left out, since they may say something else than what was judged by.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use vitals::{Value, Vital};

use crate::{
    CALL_RULE, Chart, Choice, Compared, Finding, Limit, LimitKind, Mark, OwnLimit, OwnReference, Plan, Programme,
    Reason, Share, Text,
    bands::{Rung, sentence},
    look::Look,
    own::Lasting,
    rules::Rule,
    series::{Sample, nanos},
};

/// A finding, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// What was found, with its inputs.
    #[serde(flatten)]
    pub finding: Finding,
    /// The programme's title, if the patient is still in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// The version that the patient is judged by now, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_now: Option<u32>,
    /// The rule's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_kind: Option<&'static str>,
    /// What the rule does, in plain English words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Where the rule comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The limit that decided, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Decided>,
    /// What the patient was compared with, in an English sentence with its dates; the data are in the finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<String>,
    /// The patient's own reference value that was compared with, and who set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<OwnReference>,
    /// What would have been green, or would end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Otherwise>,
}

/// The limit that decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decided {
    /// The limit.
    #[serde(flatten)]
    pub limit: Limit,
    /// Its unit.
    pub unit: String,
    /// In English words.
    pub said: String,
    /// Whose it is.
    pub origin: Origin,
}

/// Whose a limit is: what is said of the patient comes before the programme, and that before the clinic.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Origin {
    /// The patient's own.
    Patient {
        /// As it was set: by whom, why, from when until when. None where it has been set anew since.
        setting: Option<OwnLimit>,
        /// Which of the clinic's safety floors it passes, in words.
        beyond_floor: Option<String>,
    },
    /// The programme's.
    Programme {
        /// Its id.
        programme: String,
        /// Its version.
        version: u32,
    },
}

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
    /// Fewer of what was met.
    Fewer {
        /// How many were met.
        found: u32,
        /// Fewer than so many, and it would be milder.
        than: u32,
    },
    /// It ends when this has been measured.
    Data {
        /// What.
        vitals: Vec<Vital>,
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

/// Explains a finding of somebody who is judged by this plan.
#[must_use]
pub fn why(plan: &Plan, finding: &Finding) -> Why {
    let programme = plan.programme_named(&finding.programme);
    let same = programme.filter(|programme| programme.version() == finding.version);
    let rule = same.and_then(|programme| programme.rules().iter().find(|rule| *rule.id == *finding.rule));
    Why {
        title: programme.map(|programme| programme.titles().clone()),
        version_now: programme.map(Programme::version).filter(|version| *version != finding.version),
        rule_kind: rule.map(|rule| rule.kind),
        explanation: rule.zip(same).map(|(rule, programme)| rule.judge.explain(programme)),
        source: rule.and_then(|rule| rule.source.clone()),
        limit: decided(plan, finding),
        compared: compared(plan, finding),
        reference: reference(plan, finding),
        otherwise: otherwise(plan, finding, rule),
        finding: finding.clone(),
    }
}

fn decided(plan: &Plan, finding: &Finding) -> Option<Decided> {
    let (limit, unit, own) = match &finding.reason {
        Reason::Band { limit, unit, own, .. } => ((*limit)?, unit.ucum().to_owned(), *own),
        Reason::Trend { limit, unit, own, .. } | Reason::Sum { limit, unit, own, .. } => {
            ((*limit)?, unit.clone(), *own)
        }
        _ => return None,
    };
    let origin = if own {
        of_patient(plan, finding, limit)
    } else {
        Origin::Programme { programme: finding.programme.clone(), version: finding.version }
    };
    let said = format!("{} {}", mark_name(finding.colour), sentence(limit, plain(&unit)));
    Some(Decided { limit, unit, said, origin })
}

fn of_patient(plan: &Plan, finding: &Finding, limit: Limit) -> Origin {
    let Some(rung) = rung(finding.colour, limit) else {
        return Origin::Patient { setting: None, beyond_floor: None };
    };
    let set = plan.own().limits.iter().filter(|own| {
        own.rule == finding.rule
            && own.programme.as_deref().is_none_or(|of| of == finding.programme)
            && own.limit == rung
            && own.value.0 == limit.value
            && own.holds(finding.at)
    });
    let vital = match finding.reason {
        Reason::Band { vital, .. } => Some(vital),
        _ => None,
    };
    let beyond_floor = vital.and_then(|vital| plan.book().clinic().passed(vital, rung, limit));
    Origin::Patient { setting: set.max_by_key(|own| own.from).cloned(), beyond_floor }
}

/// Which limit it is, by its side and its colour.
fn rung(mark: Mark, limit: Limit) -> Option<Rung> {
    let low = matches!(limit.kind, LimitKind::AtMost | LimitKind::Below);
    match (mark, low) {
        (Mark::Red, true) => Some(Rung::RedLow),
        (Mark::Red, false) => Some(Rung::RedHigh),
        (Mark::Yellow, true) => Some(Rung::YellowLow),
        (Mark::Yellow, false) => Some(Rung::YellowHigh),
        (Mark::Green | Mark::Blue, _) => None,
    }
}

fn compared(plan: &Plan, finding: &Finding) -> Option<String> {
    match &finding.reason {
        Reason::Trend { vital, compared: Some(compared), .. } => Some(in_words(plan, compared, vital.unit().plain())),
        Reason::Sum { shares, .. } => {
            let unit = |share: &Share| share.vital.map_or("points a day", |vital| vital.unit().plain());
            let words = |share: &Share| format!("{}: {}", share.name(), in_words(plan, &share.usual, unit(share)));
            Some(shares.iter().map(words).collect::<Vec<_>>().join("; "))
        }
        _ => None,
    }
}

/// `baseline: 1.41 L, spread 0.10 L, of 14 values or days, 2026-10-20 to 2026-11-08`.
fn in_words(plan: &Plan, compared: &Compared, unit: &str) -> String {
    let Compared { what, value, spread, count, from, until } = compared;
    let day = |at: &Timestamp| at.to_zoned(plan.zone().clone()).date();
    let spread = spread.map(|spread| format!(", spread {spread} {unit}")).unwrap_or_default();
    let of = match count {
        0 => String::new(),
        1 => ", of 1 value".to_owned(),
        _ => format!(", of {count} values or days"),
    };
    format!("{}: {value} {unit}{spread}{of}, {} to {}", what.replace('_', " "), day(from), day(until))
}

fn reference(plan: &Plan, finding: &Finding) -> Option<OwnReference> {
    let Reason::Trend { compared: Some(compared), .. } = &finding.reason else { return None };
    let place = plan.place(&finding.programme, &finding.rule)?;
    plan.reference(place, finding.at).filter(|own| own.value.0 == compared.value).cloned()
}

fn otherwise(plan: &Plan, finding: &Finding, rule: Option<&Rule>) -> Option<Otherwise> {
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
        Reason::Together { how, found, want, parts, .. } => together(finding.colour, how, *found, *want, parts),
        Reason::Missing { vitals, .. } => {
            let labels: Vec<&str> = vitals.iter().map(|vital| vital.info().label).collect();
            let said = format!("ends when {} has been measured", labels.join(" and "));
            Some(Otherwise { said, what: Would::Data { vitals: vitals.clone() } })
        }
    }
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
        let look = Look { plan, chart: &chart, place, at: nanos(finding.at), rank: 0, memo: None };
        look.judge().is_ok_and(|verdict| verdict.mark == Mark::Green)
    };
    let chosen = |choice: &Choice| Chosen { id: choice.id.clone(), text: choice.text.clone() };
    let green: Vec<Chosen> = choices.iter().filter(is_green).map(chosen).collect();
    let words: Vec<String> = green.iter().map(|choice| format!("{:?}", choice.text.en)).collect();
    if green.is_empty() {
        return None;
    }
    let said = format!("green if the answer were {}", words.join(" or "));
    Some(Otherwise { said, what: Would::Answers { answers: green } })
}

fn together(mark: Mark, how: &str, found: u32, want: u32, parts: &[String]) -> Option<Otherwise> {
    // Another path may lead as far.
    if want == 0 || found < want || how == "path" {
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

fn mark_name(mark: Mark) -> &'static str {
    mark.colour().map_or("blue", vitals::Colour::name)
}

/// A unit as it is read aloud.
pub(crate) fn plain(unit: &str) -> &str {
    match unit {
        "{z}" => "spreads",
        "{points}" => "points",
        "Cel" => "°C",
        "mm[Hg]" => "mmHg",
        "%/a" => "% a year",
        "L/a" => "L a year",
        "kg/a" => "kg a year",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{COPD, Clinic, Event, Own, Sitting, assess};
    use vitals::{Answer, Clock, Reading, Unit};

    fn plan(own: &str) -> Plan {
        let programme = Arc::new(Programme::parse(COPD, "copd.toml").unwrap());
        let own: Own = serde_json::from_str(own).unwrap();
        let since = "2026-11-01T00:00:00Z".parse().unwrap();
        let (patient, clinic) = ("p-1".parse().unwrap(), Arc::new(Clinic::shipped()));
        Plan::new(patient, vec![programme], clinic, own, jiff::tz::TimeZone::UTC, since).unwrap()
    }

    fn found(plan: &Plan, spo2: &str, answers: &[(&str, &str)]) -> Finding {
        let at: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let reading = Reading {
            vital: Vital::Spo2,
            value: spo2.parse().unwrap(),
            unit: Unit::Percent,
            measured_at: at,
            clock: Clock::Device,
            device: "nonin-3230:1".parse().unwrap(),
            flags: Vec::new(),
        };
        let answers: Vec<Answer> = answers
            .iter()
            .map(|(question, answer)| Answer {
                questionnaire: "copd-daily".to_owned(),
                version: 1,
                question: (*question).to_owned(),
                answer: (*answer).to_owned(),
                answered_at: at,
            })
            .collect();
        let kit = "kit-1".parse().unwrap();
        let mut chart = Chart::new().with_silence_judged(at);
        let sitting = Sitting { kit: &kit, seq: 1, readings: &[reading], answers: &answers };
        let outcome = assess(&mut chart, plan, &Event::Sitting(sitting), at);
        outcome.assessment.unwrap().findings.remove(0)
    }

    const OWN: &str = r#"{"limits":[{"rule":"spo2","limit":"red_low","value":82,"unit":"%","author":"Dr Holm","reason":"stable at 84",
        "from":"2026-11-10T00:00:00Z","until":"2026-12-10T00:00:00Z","version":2}]}"#;

    #[test]
    fn a_limit_of_the_programme_and_what_would_be_green() {
        let plan = plan("{}");
        let why = why(&plan, &found(&plan, "84", &[]));
        let decided = why.limit.unwrap();
        assert_eq!(decided.said, "red at 85 % or less");
        assert_eq!(
            decided.origin,
            Origin::Programme { programme: "copd".to_owned(), version: plan.programme().version() }
        );
        assert_eq!(why.otherwise.unwrap().said, "green if SpO2 were above 88 %");
        assert!(why.explanation.unwrap().starts_with("SpO2 is red at 85 % or less"));
        assert_eq!((why.version_now, why.rule_kind), (None, Some("band")));
    }

    #[test]
    fn an_own_limit_names_who_set_it_and_the_floor_that_it_passes() {
        let plan = plan(OWN);
        let why = why(&plan, &found(&plan, "82", &[]));
        let Origin::Patient { setting, beyond_floor } = why.limit.unwrap().origin else {
            panic!("it is the patient's own")
        };
        let setting = setting.unwrap();
        assert_eq!((setting.author.as_str(), setting.version), ("Dr Holm", 2));
        assert!(beyond_floor.unwrap().starts_with("red at 82 % or less passes the safety floor of 83 %"));
        let yellow = super::why(&plan, &found(&plan, "84", &[]));
        assert!(matches!(yellow.limit.unwrap().origin, Origin::Programme { .. }), "the yellow limit is not moved");
    }

    #[test]
    fn the_answers_that_would_be_green_are_named() {
        let plan = plan("{}");
        let finding = found(&plan, "95", &[("breathless", "a_lot")]);
        let Otherwise { said, what } = why(&plan, &finding).otherwise.unwrap();
        let Would::Answers { answers } = what else { panic!("{said}") };
        assert!(!answers.is_empty() && answers.iter().all(|answer| answer.id != "a_lot"));
        assert!(said.starts_with("green if the answer were \"") && said.contains(&answers[0].text.en), "{said}");
    }

    #[test]
    fn words_of_another_version_are_left_out() {
        let plan = plan("{}");
        let finding = Finding { version: 99, ..found(&plan, "84", &[]) };
        let why = why(&plan, &finding);
        assert_eq!((why.version_now, why.explanation), (Some(plan.programme().version()), None));
        assert_eq!(why.otherwise.unwrap().said, "green if SpO2 were above 88 %", "that is known from the finding");
    }

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
