//! Why nobody was told: every rule as of some time, how near it was to its next limit, and what kept it quiet. The nearest come first.
//!
//! The chart holds what was known then; for a time in the past it is built again up to then. Rules are pure functions of it, so each is simply
//! asked.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use vitals::{Value, Vital};

use crate::{
    Chart, Limit, Mark, PauseKind, Plan, Reason, Text,
    bands::{Ladder, Rung, sentence},
    explain::plain,
    look::Look,
    own::Lasting,
    rules::{MissingSpec, Nothing, Told, Verdict},
    series::{nanos, time},
};

/// One rule as of a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quiet {
    /// The programme's id.
    pub programme: String,
    /// Its version.
    pub version: u32,
    /// Its title.
    pub title: Text,
    /// The rule's id.
    pub rule: String,
    /// Its kind.
    pub kind: &'static str,
    /// Whose alerts it feeds.
    pub family: String,
    /// What it says; nothing where it can't say anything.
    pub mark: Option<Mark>,
    /// When what it says that of was measured.
    pub at: Option<Timestamp>,
    /// Value, limit and unit in an English sentence, as an alert would say it.
    pub said: Option<String>,
    /// The same as data.
    pub reason: Option<Reason>,
    /// What kept it quiet.
    pub because: Because,
    /// In an English sentence.
    pub why: String,
    /// How near it was to the next worse mark, where that can be measured.
    pub near: Option<Near>,
}

/// What kept a rule quiet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Because {
    /// It was not quiet.
    Speaks,
    /// What was measured is green.
    Green,
    /// What it looks at had not been measured or answered.
    NoValue,
    /// It compares with something of which there was too little.
    TooLittle {
        /// How many there were.
        found: usize,
        /// How many it wants.
        want: usize,
    },
    /// No reference value was set for the patient.
    NoReference {
        /// When the last one that was set was over.
        expired: Option<Timestamp>,
    },
    /// A condition that it names was not met.
    NotNow,
    /// It is there for other rules, and tells nobody by itself.
    Ingredient,
    /// What it found is doubtful, and another measurement is waited for.
    Held {
        /// Until when.
        until: Timestamp,
    },
    /// Fewer of what it counts were so than it wants.
    Fewer {
        /// How many were.
        found: u32,
        /// How many it wants.
        want: u32,
    },
    /// Nothing is expected of the patient.
    Paused {
        /// Why.
        kind: PauseKind,
        /// Until when.
        until: Timestamp,
    },
    /// Everything that was due has come, or is not overdue yet.
    NotOverdue {
        /// When the next deadline passes.
        next: Option<Timestamp>,
    },
}

/// How near a value was to the next worse mark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Near {
    /// The limit, or how many it wants.
    pub limit: Limit,
    /// Its unit; empty for a number of things.
    pub unit: String,
    /// What it would have been beyond it.
    pub mark: Mark,
    /// How far the value lies from it, in that unit; 0 at the limit itself, where just beyond it begins the other mark.
    pub distance: Value,
    /// The same as a share: of half of green, where green has two ends; else of the limit's own size. 0 is at the limit.
    pub share: f64,
    /// In an English sentence: `yellow at 88 % or less, 3 % away`.
    pub said: String,
}

/// Every rule of the plan as of `at`, the nearest to its next limit first; before them those that were not quiet.
#[must_use]
pub fn why_not(chart: &Chart, plan: &Plan, at: Timestamp) -> Vec<Quiet> {
    let mut all: Vec<Quiet> = (0..plan.len()).map(|place| quiet(chart, plan, place, at)).collect();
    let order = |one: &Quiet| match (&one.because, &one.near) {
        (Because::Speaks, _) => (0, 0.0),
        (_, Some(near)) => (1, near.share),
        (Because::NotOverdue { .. } | Because::Green, None) => (2, 0.0),
        _ => (3, 0.0),
    };
    all.sort_by(|one, two| order(one).partial_cmp(&order(two)).expect("shares are numbers"));
    all
}

fn quiet(chart: &Chart, plan: &Plan, place: usize, at: Timestamp) -> Quiet {
    let look = Look { plan, chart, place, at: nanos(at), rank: 0, memo: None };
    if let Some(spec) = look.rule().judge.missing() {
        return silent(&look, spec);
    }
    match look.judge() {
        Ok(verdict) => judged(&look, verdict),
        Err(nothing) => {
            let because = nothing_found(&look, nothing);
            let why = nothing_in_words(&look, &because);
            empty(&look, because, why)
        }
    }
}

fn empty(look: &Look<'_>, because: Because, why: String) -> Quiet {
    let (programme, rule) = (look.programme(), look.rule());
    Quiet {
        programme: programme.id().to_owned(),
        version: programme.version(),
        title: programme.titles().clone(),
        rule: rule.id.to_string(),
        kind: rule.kind,
        family: rule.family.to_string(),
        mark: None,
        at: None,
        said: None,
        reason: None,
        because,
        why,
        near: None,
    }
}

fn judged(look: &Look<'_>, verdict: Verdict) -> Quiet {
    // What a rule says is said as of the newest of what decided it.
    let then = Look { at: verdict.at, ..*look };
    let Told { why: said, reason, .. } = look.rule().judge.tell(look, &verdict);
    let near = near(&then, &verdict, &reason);
    let (because, why) = kept_quiet(look, &verdict, &reason);
    Quiet {
        mark: Some(verdict.mark),
        at: Some(time(verdict.at)),
        said: Some(said),
        reason: Some(reason),
        near,
        ..empty(look, because, why)
    }
}

fn kept_quiet(look: &Look<'_>, verdict: &Verdict, reason: &Reason) -> (Because, String) {
    if look.rule().ingredient {
        return (Because::Ingredient, "it is there for other rules, and tells nobody by itself".to_owned());
    }
    if let Some(until) = held(look, verdict) {
        let why = format!("what it found is doubtful: another measurement is waited for until {}", local(look, until));
        return (Because::Held { until }, why);
    }
    match reason {
        _ if verdict.mark > Mark::Green => (Because::Speaks, "it was not quiet".to_owned()),
        Reason::Together { found, want, .. } if found < want => {
            (Because::Fewer { found: *found, want: *want }, format!("{found} were so, it wants {want}"))
        }
        _ => (Because::Green, "what was measured is green".to_owned()),
    }
}

/// Until when a doubtful finding waits for another measurement, where it does.
fn held(look: &Look<'_>, verdict: &Verdict) -> Option<Timestamp> {
    let memory = look.chart.rules.get(look.place).filter(|memory| memory.stands && memory.at == verdict.at)?;
    memory.held_until().filter(|until| *until > look.at).map(time)
}

fn nothing_found(look: &Look<'_>, nothing: Nothing) -> Because {
    match nothing {
        Nothing::NoValue => Because::NoValue,
        Nothing::TooLittle { found, want } | Nothing::Partial { found, want } => Because::TooLittle { found, want },
        Nothing::NoReference => {
            let (programme, rule) = (look.programme().id(), &look.rule().id);
            let set = look.plan.own().references.iter().filter(|own| own.is_of(programme, rule));
            let over = set.filter_map(Lasting::until).filter(|until| *until <= look.time());
            Because::NoReference { expired: over.max() }
        }
        Nothing::NotNow => Because::NotNow,
    }
}

fn nothing_in_words(look: &Look<'_>, because: &Because) -> String {
    match because {
        Because::TooLittle { found, want } => {
            format!("there is too little to compare with: found {found}, want {want}")
        }
        Because::NoReference { expired: Some(over) } => {
            format!("the reference value that was set ended on {}, and there is no other", local(look, *over))
        }
        Because::NoReference { expired: None } => "no reference value is set for this patient".to_owned(),
        Because::NotNow => "a condition that it names is not met".to_owned(),
        _ => {
            let watches = &look.rule().watches;
            let vitals = watches.vitals.iter().map(|vital| vital.info().label.to_owned());
            let questions = watches.questions.iter().map(|(_, question)| format!("the answer to {question}"));
            let what: Vec<String> = vitals.chain(questions).collect();
            format!("there is no value of {}", what.join(", "))
        }
    }
}

/// A rule of silence: is it paused, is it overdue, when is the next deadline?
fn silent(look: &Look<'_>, spec: &MissingSpec) -> Quiet {
    let memory = look.chart.rules.get(look.place).filter(|memory| memory.stands && memory.mark > Mark::Green);
    if let Some(finding) = memory.and_then(|memory| memory.finding()) {
        return Quiet {
            mark: Some(finding.colour),
            at: Some(finding.at),
            said: Some(finding.why.clone()),
            reason: Some(finding.reason.clone()),
            ..empty(look, Because::Speaks, "it was not quiet".to_owned())
        };
    }
    let now = look.time();
    if let Some(pause) = look.plan.pause(now) {
        let (kind, until) = (pause.kind, pause.until);
        let why = format!("nothing is expected until {}: {}", local(look, until), pause.reason);
        return empty(look, Because::Paused { kind, until }, why);
    }
    let until = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let next = spec.slots(look.zone(), now, until).first().map(|slot| slot.overdue);
    let why = match next {
        Some(next) => format!("nothing is overdue; the next deadline is {}", local(look, next)),
        None => "nothing is overdue, and nothing is expected soon".to_owned(),
    };
    empty(look, Because::NotOverdue { next }, why)
}

/// A week holds every day of a schedule; its deadline comes at most some days later.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 15);

fn local(look: &Look<'_>, at: Timestamp) -> String {
    at.to_zoned(look.zone().clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn near(look: &Look<'_>, verdict: &Verdict, reason: &Reason) -> Option<Near> {
    match reason {
        Reason::Band { value, unit, .. } => on_ladder(look, *value, unit.ucum(), verdict.mark),
        Reason::Trend { value, unit, .. } | Reason::Sum { value, unit, .. } => {
            on_ladder(look, *value, unit, verdict.mark)
        }
        Reason::Together { found, want, .. } if found < want => Some(Near {
            limit: Limit { kind: crate::LimitKind::From, value: Value::new(i64::from(*want), 0) },
            unit: String::new(),
            mark: Mark::Yellow,
            distance: Value::new(i64::from(want - found), 0),
            share: f64::from(want - found) / f64::from(*want),
            said: format!("{} more of {want}", want - found),
        }),
        _ => None,
    }
}

/// The nearest limit beyond which it would have been worse.
fn on_ladder(look: &Look<'_>, value: Value, unit: &str, mark: Mark) -> Option<Near> {
    let ladder = look.ladder(look.rule().judge.ladder()?);
    let worse = [Rung::RedLow, Rung::YellowLow, Rung::YellowHigh, Rung::RedHigh].into_iter().filter_map(|rung| {
        let limit = ladder.limit_at(rung)?;
        let beyond = Mark::from(rung.colour());
        (beyond > mark).then_some((limit, beyond))
    });
    let far = |limit: &Limit| (limit.value.decimal() - value.decimal()).abs();
    let (limit, mark) = worse.min_by_key(|(limit, mark)| (far(limit), *mark))?;
    let distance: Value = far(&limit).into();
    let said = in_words(mark, limit, distance, unit);
    Some(Near { limit, unit: unit.to_owned(), mark, distance, share: share(&ladder, &limit, distance), said })
}

fn share(ladder: &Ladder, limit: &Limit, distance: Value) -> f64 {
    let number = |value: Value| value.to_string().parse::<f64>().expect("a decimal number is one");
    let of = match ladder.green() {
        (Some(low), Some(high)) => (number(high.value) - number(low.value)) / 2.0,
        _ => number(limit.value).abs(),
    };
    let of = if of > 0.0 { of } else { 1.0 };
    (number(distance) / of * 1_000.0).round() / 1_000.0
}

/// `yellow at 88 % or less, 3 % away`.
fn in_words(mark: Mark, limit: Limit, distance: Value, unit: &str) -> String {
    let unit = plain(unit);
    let mark = mark.colour().map_or("blue", vitals::Colour::name);
    format!("{mark} {}, {distance} {unit} away", sentence(limit, unit)).replace("  ", " ")
}

impl Quiet {
    /// The vital that it is about, where it is about one.
    #[must_use]
    pub fn vital(&self) -> Option<Vital> {
        match &self.reason {
            Some(Reason::Band { vital, .. } | Reason::Trend { vital, .. }) => Some(*vital),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{COPD, Clinic, Event, Own, Programme, Sitting, assess};
    use vitals::{Clock, Reading};

    fn time_of(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn plan(own: &str) -> Plan {
        let programme = Arc::new(Programme::parse(COPD, "copd.toml").unwrap());
        let own: Own = serde_json::from_str(own).unwrap();
        let (patient, clinic) = ("p-1".parse().unwrap(), Arc::new(Clinic::shipped()));
        let since = time_of("2026-11-01T00:00:00Z");
        Plan::new(patient, vec![programme], clinic, own, jiff::tz::TimeZone::UTC, since).unwrap()
    }

    fn chart(plan: &Plan, values: &[(Vital, &str)]) -> Chart {
        let at = time_of("2026-11-22T08:00:00Z");
        let reading = |(vital, value): &(Vital, &str)| Reading {
            vital: *vital,
            value: value.parse().unwrap(),
            unit: vital.unit(),
            measured_at: at,
            clock: Clock::Device,
            device: "nonin-3230:1".parse().unwrap(),
            flags: Vec::new(),
        };
        let readings: Vec<Reading> = values.iter().map(reading).collect();
        let kit = "kit-1".parse().unwrap();
        let mut chart = Chart::new().with_silence_judged(at);
        let sitting = Sitting { kit: &kit, seq: 1, readings: &readings, answers: &[] };
        assess(&mut chart, plan, &Event::Sitting(sitting), at);
        chart
    }

    #[test]
    fn the_nearest_come_first_and_each_says_what_kept_it_quiet() {
        let plan = plan("{}");
        let chart = chart(&plan, &[(Vital::Spo2, "90"), (Vital::Pulse, "85")]);
        let all = why_not(&chart, &plan, time_of("2026-11-22T09:00:00Z"));
        assert_eq!(all.len(), plan.len());
        let (spo2, pulse) = (&all[0], &all[1]);
        assert_eq!((spo2.rule.as_str(), &spo2.because), ("spo2", &Because::Green));
        let near = spo2.near.as_ref().unwrap();
        assert_eq!((near.said.as_str(), near.mark), ("yellow at 88 % or less, 2 % away", Mark::Yellow));
        assert_eq!(pulse.rule, "pulse");
        assert!(pulse.near.as_ref().unwrap().share > near.share);
        let unasked = all.iter().find(|one| one.kind == "answer").unwrap();
        assert!(unasked.because == Because::NoValue && unasked.why.starts_with("there is no value of the answer to"));
    }

    #[test]
    fn what_was_not_quiet_comes_first_and_a_time_before_knows_nothing() {
        let plan = plan("{}");
        let chart = chart(&plan, &[(Vital::Spo2, "87"), (Vital::Pulse, "100")]);
        let now = why_not(&chart, &plan, time_of("2026-11-22T09:00:00Z"));
        assert_eq!((now[0].rule.as_str(), &now[0].because), ("spo2", &Because::Speaks));
        assert_eq!(now[0].near.as_ref().unwrap().said, "red at 85 % or less, 2 % away");
        let before = why_not(&chart, &plan, time_of("2026-11-22T07:59:59Z"));
        let spo2 = before.iter().find(|one| one.rule == "spo2").unwrap();
        assert_eq!((&spo2.because, spo2.why.as_str()), (&Because::NoValue, "there is no value of SpO2"));
    }

    #[test]
    fn a_pause_is_named_with_its_end() {
        let own = r#"{"pauses":[{"kind":"holiday","author":"Karen Smith","reason":"in Spain","from":"2026-11-20T00:00:00Z",
            "until":"2026-11-30T00:00:00Z"}]}"#;
        let silent = |own: &str| {
            let plan = plan(own);
            let all = why_not(&chart(&plan, &[]), &plan, time_of("2026-11-22T09:00:00Z"));
            all.into_iter().find(|one| one.kind == "missing").unwrap()
        };
        assert_eq!(silent(own).why, "nothing is expected until 2026-11-30 00:00: in Spain");
        assert!(matches!(silent("{}").because, Because::NotOverdue { next: Some(_) }));
    }
}
