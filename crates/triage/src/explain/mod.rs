//! Why an alert's finding is as it is: the rule in words, the limit that decided and whose it is, and what would have been green.
//!
//! Pure and cheap: everything was kept in the finding when it was made; the plan adds where a limit comes from. Where the plan has another
//! version of the programme by now, its words are left out, since they may say something else than what was judged by.

use jiff::Timestamp;
use serde::Serialize;

mod otherwise;
mod path;

pub use otherwise::{Chosen, Otherwise, Would};
pub use path::{Given, Instead, Way, sitting_since};

use crate::{
    ClinicLimit, Compared, Finding, Limit, LimitKind, Mark, OwnLimit, OwnReference, Plan, Programme, Reason, Share,
    Text,
    bands::{Rung, sentence},
    own::Lasting,
    rules::Rule,
};

/// A finding, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// What was found, with its inputs.
    #[serde(flatten)]
    pub finding: Finding,
    /// Was it withdrawn, since a reading that it rested on was declared invalid?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
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
    /// The patient's own limits without which it would have been another mark, beside the one that decided: those that kept it milder too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
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

/// An own limit that changed what was found, and did not itself decide it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// As it was set: by whom, why, from when until when.
    pub setting: OwnLimit,
    /// Where it lies.
    pub limit: Limit,
    /// Where the programme has it, if it has it at all.
    pub programme: Option<Limit>,
    /// Where the clinic has it, if the programme has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clinic: Option<Limit>,
    /// Its unit.
    pub unit: String,
    /// What it means beyond it.
    pub mark: Mark,
    /// What would have been found without it.
    pub without: Mark,
    /// In an English sentence: `red at 81 % or less, where the programme has it at 85 % or less: without it this would be red`.
    pub said: String,
    /// Which of the clinic's safety floors it passes, in words.
    pub beyond_floor: Option<String>,
}

/// Whose a limit is: what is said of the patient comes before the programme, and that before the clinic. The clinic's floors lie under all.
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
    /// The clinic's, where the programme says none.
    Clinic {
        /// The version of the clinic's document.
        version: u32,
        /// As it stands there: why, and until when. None where the patient is judged by another version by now.
        setting: Option<ClinicLimit>,
    },
}

/// Explains a finding, one that was not withdrawn, of somebody who is judged by this plan.
#[must_use]
pub fn why(plan: &Plan, finding: &Finding) -> Why {
    why_given(plan, finding, &[])
}

/// The same, with what else was answered around it: then more is certain of what other answers would have been. See [`sitting_since`].
#[must_use]
pub fn why_given(plan: &Plan, finding: &Finding, given: &[Given<'_>]) -> Why {
    let programme = plan.programme_named(&finding.programme);
    let same = programme.filter(|programme| programme.version() == finding.version);
    let rule = same.and_then(|programme| programme.rules().iter().find(|rule| *rule.id == *finding.rule));
    Why {
        withdrawn: false,
        title: programme.map(|programme| programme.titles().clone()),
        version_now: programme.map(Programme::version).filter(|version| *version != finding.version),
        rule_kind: rule.map(|rule| rule.kind),
        explanation: rule.zip(same).map(|(rule, programme)| rule.judge.explain(programme)),
        source: rule.and_then(|rule| rule.source.clone()),
        limit: decided(plan, finding),
        moved: rule.map(|rule| moved(plan, finding, rule)).unwrap_or_default(),
        compared: compared(plan, finding),
        reference: reference(plan, finding),
        otherwise: otherwise::otherwise(plan, finding, rule, given),
        finding: finding.clone(),
    }
}

fn decided(plan: &Plan, finding: &Finding) -> Option<Decided> {
    let (limit, unit, own, clinic) = match &finding.reason {
        Reason::Band { limit, unit, own, clinic, .. } => ((*limit)?, unit.ucum().to_owned(), *own, *clinic),
        Reason::Trend { limit, unit, own, .. } | Reason::Sum { limit, unit, own, .. } => {
            ((*limit)?, unit.clone(), *own, None)
        }
        _ => return None,
    };
    let origin = match clinic {
        Some(version) => of_clinic(plan, finding, limit, version),
        None if own => of_patient(plan, finding, limit),
        None => Origin::Programme { programme: finding.programme.clone(), version: finding.version },
    };
    let said = format!("{} {}", finding.colour.name(), sentence(limit, plain(&unit)));
    Some(Decided { limit, unit, said, origin })
}

fn of_patient(plan: &Plan, finding: &Finding, limit: Limit) -> Origin {
    let Some(rung) = rung(finding.colour, limit) else {
        return Origin::Patient { setting: None, beyond_floor: None };
    };
    let setting = setting(plan, finding, rung).filter(|own| own.value.0 == limit.value).cloned();
    Origin::Patient { setting, beyond_floor: beyond_floor(plan, finding, rung, limit) }
}

fn of_clinic(plan: &Plan, finding: &Finding, limit: Limit, version: u32) -> Origin {
    let clinic = Some(plan.book().clinic()).filter(|clinic| clinic.version() == version);
    let setting = clinic.zip(rung(finding.colour, limit)).and_then(|(clinic, rung)| match finding.reason {
        Reason::Band { vital, .. } => clinic.limit(vital, rung),
        _ => None,
    });
    Origin::Clinic { version, setting: setting.cloned() }
}

/// The patient's own setting of a limit that held then: of several the one that was set last.
fn setting<'p>(plan: &'p Plan, finding: &Finding, rung: Rung) -> Option<&'p OwnLimit> {
    let is_it =
        |own: &&OwnLimit| own.is_of(&finding.programme, &finding.rule) && own.limit == rung && own.holds(finding.at);
    plan.own().limits.iter().filter(is_it).max_by_key(|own| own.from)
}

/// The safety floor that a limit passes, where it is one of a value itself.
fn beyond_floor(plan: &Plan, finding: &Finding, rung: Rung, limit: Limit) -> Option<String> {
    let Reason::Band { vital, .. } = finding.reason else { return None };
    plan.book().clinic().passed(vital, rung, limit)
}

/// The own limits without which it would have been another mark, but the one that decided.
fn moved(plan: &Plan, finding: &Finding, rule: &Rule) -> Vec<Moved> {
    let (value, unit, limit, own) = match &finding.reason {
        Reason::Band { value, unit, limit, own, .. } => (*value, unit.ucum(), *limit, *own),
        Reason::Trend { value, unit, limit, own, .. } | Reason::Sum { value, unit, limit, own, .. } => {
            (*value, unit.as_str(), *limit, *own)
        }
        _ => return Vec::new(),
    };
    let Some((base, place)) = rule.judge.ladder().zip(plan.place(&finding.programme, &finding.rule)) else {
        return Vec::new();
    };
    let (base, ladder) = (plan.book().ladder(place, base, finding.at), plan.ladder(place, base, finding.at));
    let decided = limit.filter(|_| own).and_then(|limit| rung(finding.colour, limit));
    let mark = ladder.judge(value).mark;
    let others = Rung::ALL.into_iter().filter(|rung| Some(*rung) != decided);
    let one = |rung: Rung| {
        let setting = setting(plan, finding, rung)?.clone();
        let without = ladder.with(rung, base).judge(value).mark;
        let limit = ladder.limit_at(rung)?;
        let (clinic, programme) =
            if base.is_clinics(rung) { (base.limit_at(rung), None) } else { (None, base.limit_at(rung)) };
        (without != mark).then(|| Moved {
            setting,
            limit,
            programme,
            clinic,
            unit: unit.to_owned(),
            mark: rung.colour().into(),
            without,
            said: moved_in_words(rung, limit, (programme, clinic), without, plain(unit)),
            beyond_floor: beyond_floor(plan, finding, rung, limit),
        })
    };
    others.filter_map(one).collect()
}

fn moved_in_words(
    rung: Rung,
    limit: Limit,
    before: (Option<Limit>, Option<Limit>),
    without: Mark,
    unit: &str,
) -> String {
    let (colour, without) = (rung.colour().name(), without.name());
    let has = match before {
        (Some(programme), _) => format!("the programme has it {}", sentence(programme, unit)),
        (None, Some(clinic)) => format!("the clinic has it {}", sentence(clinic, unit)),
        (None, None) => "the programme has none".to_owned(),
    };
    format!("{colour} {}, where {has}: without it this would be {without}", sentence(limit, unit))
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

/// A unit as it is read aloud.
pub(crate) fn plain(unit: &str) -> &str {
    match unit {
        "1" => "times",
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
    use std::sync::Arc;

    use vitals::{Answer, Clock, Reading, Unit, Vital};

    use super::*;
    use crate::{COPD, Chart, Clinic, Event, Own, Sitting, assess};

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
    fn an_own_limit_that_kept_it_milder_is_named_with_who_set_it_and_the_floor_that_it_passes() {
        let plan = plan(&OWN.replace("\"value\":82", "\"value\":81"));
        let why = why(&plan, &found(&plan, "82", &[]));
        assert!(matches!(why.limit.unwrap().origin, Origin::Programme { .. }), "the yellow limit is not moved");
        let [moved] = why.moved.as_slice() else { panic!("{:?}", why.moved) };
        let wanted = "red at 81 % or less, where the programme has it at 85 % or less: without it this would be red";
        assert_eq!(moved.said, wanted);
        assert_eq!((moved.setting.author.as_str(), moved.setting.reason.as_str()), ("Dr Holm", "stable at 84"));
        assert!(moved.beyond_floor.as_ref().unwrap().starts_with("red at 81 % or less passes the safety floor"));
        for same in ["81", "86"] {
            assert_eq!(super::why(&plan, &found(&plan, same, &[])).moved, [], "{same} % would be the same without it");
        }
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
}
