//! Runs a programme's worked example: a person watched from that day on, one sitting or several over days, then a tick; what stands must be
//! exactly what is wanted.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp, civil};
use vitals::{Answer, Clock, DeviceId, KitId, PatientId, Plausibility, Reading, Value, check_value};

use super::{
    Programme,
    file::{Example, ExampleReading, ExampleReference, ExampleStep},
};
use crate::{
    Chart, Event, Finding, Mark, Own, OwnReference, Plan, Rulebook, Sitting, assess, bounds::EXAMPLE_SITTINGS_MAX,
};

/// When an example takes place where it does not say: a Monday.
const MONDAY: civil::DateTime = civil::date(2026, 11, 23).at(8, 0, 0, 0);

/// Runs it; a fault says which example it is and what came out.
pub(super) fn run(programme: &Programme, book: &Arc<Rulebook>, example: &Example) -> Result<(), String> {
    let name = &example.name;
    let (chart, standing) = standing(programme, book, example).map_err(|fault| format!("example {name:?}: {fault}"))?;
    let found: BTreeMap<&str, Mark> = standing.iter().map(|finding| (finding.rule.as_str(), finding.colour)).collect();
    let wanted: BTreeMap<&str, Mark> = example.want.iter().map(|(rule, mark)| (rule.as_str(), *mark)).collect();
    if found != wanted {
        let why: Vec<&str> = standing.iter().map(|finding| finding.why.as_str()).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        let (found, wanted) = (words(&found, "finding"), words(&wanted, "finding"));
        return Err(format!("example {name:?} failed: found {found}{why}, want {wanted}"));
    }
    let Some(wanted) = &example.alerts else { return Ok(()) };
    let found: BTreeMap<&str, Mark> = chart.open_alerts().map(|alert| (alert.family.as_str(), alert.mark)).collect();
    let wanted: BTreeMap<&str, Mark> = wanted.iter().map(|(family, mark)| (family.as_str(), *mark)).collect();
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (words(&found, "open alert"), words(&wanted, "open alert"));
    Err(format!("example {name:?} failed: found {found}, want {wanted}"))
}

fn words(marks: &BTreeMap<&str, Mark>, what: &str) -> String {
    if marks.is_empty() {
        return format!("no {what}");
    }
    let each: Vec<String> =
        marks.iter().map(|(rule, mark)| format!("{rule} {}", format!("{mark:?}").to_lowercase())).collect();
    each.join(", ")
}

fn standing(programme: &Programme, book: &Arc<Rulebook>, example: &Example) -> Result<(Chart, Vec<Finding>), String> {
    let local = |at: civil::DateTime| {
        programme.zone.to_timestamp(at).map_err(|_| format!("found time {at}, want one of a calendar"))
    };
    let taken = example.at.unwrap_or(MONDAY);
    let given = sittings(example, taken)?;
    let first = given.first().map_or(taken, |given| given.at).min(taken);
    let (last, since) = (given.last().map_or(taken, |given| given.at), local(first.date().at(0, 0, 0, 0))?);
    let now = example.now.unwrap_or(last);
    if now < last {
        return Err(format!("found now {now} before at {last}, want it at or after"));
    }
    let plan = plan(programme, book, example, since)?;
    let kit: KitId = "example".parse().expect("an id");
    let mut chart = Chart::new();
    let mut silent = example.silent_kit.map(|since| local(since).map(|at| (since, at))).transpose()?;
    for (seq, given) in (1..).zip(&given) {
        let at = local(given.at)?;
        if let Some((_, since)) = silent.take_if(|(since, _)| *since < given.at) {
            assess(&mut chart, &plan, &Event::Kit(Some(since)), since);
            assess(&mut chart, &plan, &Event::Kit(None), at);
        }
        let (readings, answers) = (readings(given, at)?, answers(programme, given, at)?);
        let sitting = Sitting { kit: &kit, seq, readings: &readings, answers: &answers };
        assess(&mut chart, &plan, &Event::Sitting(sitting), at);
    }
    if let Some((_, since)) = silent {
        assess(&mut chart, &plan, &Event::Kit(Some(since)), since);
    }
    assess(&mut chart, &plan, &Event::Tick, local(now)?);
    let standing = chart.standing(&plan);
    Ok((chart, standing))
}

fn plan(programme: &Programme, book: &Arc<Rulebook>, example: &Example, since: Timestamp) -> Result<Plan, String> {
    let patient: PatientId = "example".parse().expect("an id");
    let plan = Plan::with(patient, Arc::clone(book), own(example), programme.zone.clone(), since)
        .map_err(|fault| fault.to_string())?;
    Ok(plan.in_stratum(example.stratum.as_deref()))
}

/// The person's own settings.
fn own(example: &Example) -> Own {
    let said = || "example".to_owned();
    let reference = |(rule, given): (&String, &ExampleReference)| OwnReference {
        programme: None,
        rule: rule.clone(),
        value: given.value,
        unit: given.unit,
        author: said(),
        reason: said(),
        version: 1,
        from: Timestamp::UNIX_EPOCH,
        until: Timestamp::MAX,
    };
    let mut own = example.own.clone();
    own.references.extend(example.references.iter().map(reference));
    own
}

/// One sitting of an example.
struct Given<'e> {
    at: civil::DateTime,
    /// Which repetition of its step it is, from 0.
    turn: usize,
    readings: &'e [ExampleReading],
    answers: &'e BTreeMap<String, String>,
}

/// Its sittings, in the order in which they are written.
fn sittings(example: &Example, taken: civil::DateTime) -> Result<Vec<Given<'_>>, String> {
    let mut given = Vec::new();
    let mut last = None;
    if !example.readings.is_empty() || !example.answers.is_empty() {
        given.push(Given { at: taken, turn: 0, readings: &example.readings, answers: &example.answers });
        last = Some(taken);
    }
    for (place, step) in example.step.iter().enumerate() {
        repeat(step, taken, &mut last, &mut given).map_err(|fault| format!("step[{place}]: {fault}"))?;
    }
    Ok(given)
}

fn repeat<'e>(
    step: &'e ExampleStep,
    taken: civil::DateTime,
    last: &mut Option<civil::DateTime>,
    given: &mut Vec<Given<'e>>,
) -> Result<(), String> {
    let turns = usize::try_from(step.repeat).unwrap_or(usize::MAX);
    if turns == 0 || turns.saturating_add(given.len()) > EXAMPLE_SITTINGS_MAX {
        return Err(format!(
            "found repeat {turns}, want 1 or more, and at most {EXAMPLE_SITTINGS_MAX} sittings in all"
        ));
    }
    let mut at = first_of(step, taken, *last)?;
    if let Some(last) = last.filter(|last| at < *last) {
        return Err(format!("found time {at} before {last}, that of what comes before it, want it at or after"));
    }
    let every = step.every.or(step.after).map_or(SignedDuration::from_hours(24), |every| every.0);
    for turn in 0..turns {
        if turn > 0 {
            at = later(at, every)?;
        }
        given.push(Given { at, turn, readings: &step.readings, answers: &step.answers });
    }
    *last = Some(at);
    Ok(())
}

/// When a step first happens.
fn first_of(
    step: &ExampleStep,
    taken: civil::DateTime,
    last: Option<civil::DateTime>,
) -> Result<civil::DateTime, String> {
    match (step.at, step.after, last) {
        (Some(_), Some(_), _) => Err("found both at and after, want one of them".to_owned()),
        (Some(at), None, _) => Ok(at),
        (None, Some(after), last) => later(last.unwrap_or(taken), after.0),
        (None, None, None) => Ok(taken),
        (None, None, Some(_)) => Err("found neither at nor after, want one of them".to_owned()),
    }
}

fn later(at: civil::DateTime, by: SignedDuration) -> Result<civil::DateTime, String> {
    at.checked_add(by).map_err(|_| format!("found {by:#} after {at}, want a time of a calendar"))
}

fn readings(given: &Given<'_>, at: Timestamp) -> Result<Vec<Reading>, String> {
    given.readings.iter().map(|written| reading(written, given.turn, at)).collect()
}

fn reading(written: &ExampleReading, turn: usize, at: Timestamp) -> Result<Reading, String> {
    let device: DeviceId = "example:1".parse().expect("an id");
    let (vital, value) = (written.vital, value(written, turn)?);
    let (unit, flags) = (written.unit, written.flags.clone());
    let reading = Reading { vital, value, unit, measured_at: at, clock: Clock::Device, device, flags };
    let reading = reading.into_canonical().map_err(|fault| fault.to_string())?;
    match check_value(reading.vital, reading.value) {
        Plausibility::Reject(fault) => Err(fault),
        _ => Ok(reading),
    }
}

/// Its value at a repetition of its step.
fn value(written: &ExampleReading, turn: usize) -> Result<Value, String> {
    let of_turn = match (written.value, written.values.as_slice()) {
        (Some(value), []) => value.0,
        (None, values @ [_, ..]) => values[turn % values.len()].0,
        _ => {
            let vital = written.vital.name();
            return Err(format!("found neither or both of value and values for {vital}, want one of them"));
        }
    };
    let drift = written.drift.map_or(Value::new(0, 0), |drift| drift.0).decimal();
    Ok((0..turn).fold(of_turn.decimal(), |value, _| value + drift).into())
}

/// The answers, each of the questionnaire that asks its question.
fn answers(programme: &Programme, given: &Given<'_>, at: Timestamp) -> Result<Vec<Answer>, String> {
    let answer = |(question, answer): (&String, &String)| {
        let asks = |other: &&super::Questionnaire| other.question.iter().any(|asked| asked.id == *question);
        let Some(asked_in) = programme.questionnaires.iter().find(asks) else {
            return Err(format!("found question {question:?}, want one of a questionnaire"));
        };
        let (question, answer) = (question.clone(), answer.clone());
        Ok(Answer { questionnaire: asked_in.id.clone(), version: asked_in.version, question, answer, answered_at: at })
    };
    given.answers.iter().map(answer).collect()
}
