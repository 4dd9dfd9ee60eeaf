//! Runs a programme's worked example: a person watched from that day on, one sitting, then a tick; what stands must be exactly what is wanted.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil};
use vitals::{Answer, Clock, DeviceId, KitId, PatientId, Plausibility, Reading, check_value};

use super::{Programme, file::Example};
use crate::{Chart, Clinic, Event, Finding, Mark, Own, Plan, Sitting, assess};

/// When an example takes place where it does not say: a Monday.
const MONDAY: civil::DateTime = civil::date(2026, 11, 23).at(8, 0, 0, 0);

/// Runs it; a fault says which example it is and what came out.
pub(super) fn run(programme: &Arc<Programme>, example: &Example) -> Result<(), String> {
    let name = &example.name;
    let standing = standing(programme, example).map_err(|fault| format!("example {name:?}: {fault}"))?;
    let found: BTreeMap<&str, Mark> = standing.iter().map(|finding| (finding.rule.as_str(), finding.colour)).collect();
    let wanted: BTreeMap<&str, Mark> = example.want.iter().map(|(rule, mark)| (rule.as_str(), *mark)).collect();
    if found == wanted {
        return Ok(());
    }
    let why: Vec<&str> = standing.iter().map(|finding| finding.why.as_str()).collect();
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
    Err(format!("example {name:?} failed: found {}{why}, want {}", words(&found), words(&wanted)))
}

fn words(marks: &BTreeMap<&str, Mark>) -> String {
    if marks.is_empty() {
        return "no finding".to_owned();
    }
    let each: Vec<String> =
        marks.iter().map(|(rule, mark)| format!("{rule} {}", format!("{mark:?}").to_lowercase())).collect();
    each.join(", ")
}

fn standing(programme: &Arc<Programme>, example: &Example) -> Result<Vec<Finding>, String> {
    let local = |at: civil::DateTime| {
        programme.zone.to_timestamp(at).map_err(|_| format!("found time {at}, want one of a calendar"))
    };
    let taken = example.at.unwrap_or(MONDAY);
    let (at, since) = (local(taken)?, local(taken.date().at(0, 0, 0, 0))?);
    let now = example.now.map_or(Ok(at), local)?;
    if now < at {
        return Err(format!("found now {} before at {taken}, want it at or after", example.now.unwrap_or(taken)));
    }
    let patient: PatientId = "example".parse().expect("an id");
    let clinic = Arc::new(Clinic::shipped());
    let plan = Plan::new(patient, vec![Arc::clone(programme)], clinic, Own::default(), programme.zone.clone(), since)
        .map_err(|fault| fault.to_string())?;
    let (readings, answers) = (readings(example, at)?, answers(programme, example, at)?);
    let kit: KitId = "example".parse().expect("an id");
    let mut chart = Chart::new();
    if !readings.is_empty() || !answers.is_empty() {
        let sitting = Sitting { kit: &kit, seq: 1, readings: &readings, answers: &answers };
        assess(&mut chart, &plan, &Event::Sitting(sitting), at);
    }
    assess(&mut chart, &plan, &Event::Tick, now);
    Ok(chart.standing(&plan))
}

fn readings(example: &Example, at: Timestamp) -> Result<Vec<Reading>, String> {
    let device: DeviceId = "example:1".parse().expect("an id");
    let read = |given: &super::file::ExampleReading| {
        let clock = Clock::Device;
        let reading = Reading {
            vital: given.vital,
            value: given.value.0,
            unit: given.unit,
            measured_at: at,
            clock,
            device: device.clone(),
            flags: vec![],
        };
        let reading = reading.into_canonical().map_err(|fault| fault.to_string())?;
        match check_value(reading.vital, reading.value) {
            Plausibility::Reject(fault) => Err(fault),
            _ => Ok(reading),
        }
    };
    example.readings.iter().map(read).collect()
}

/// The answers, each of the questionnaire that asks its question.
fn answers(programme: &Programme, example: &Example, at: Timestamp) -> Result<Vec<Answer>, String> {
    let answer = |(question, answer): (&String, &String)| {
        let asks = |other: &&super::Questionnaire| other.question.iter().any(|asked| asked.id == *question);
        let Some(asked_in) = programme.questionnaires.iter().find(asks) else {
            return Err(format!("found question {question:?}, want one of a questionnaire"));
        };
        let (question, answer) = (question.clone(), answer.clone());
        Ok(Answer { questionnaire: asked_in.id.clone(), version: asked_in.version, question, answer, answered_at: at })
    };
    example.answers.iter().map(answer).collect()
}
