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
    chart::Memory,
    episode::fed_it,
    explain::plain,
    look::{Look, Memo},
    own::Lasting,
    rules::{MissingSpec, Nothing, Told, Verdict},
    series::{length, nanos, time},
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
    /// It was not quiet: an alert that it fed was open.
    Speaks,
    /// It was not quiet, and a person has closed the alert that it fed: nothing worse has come since.
    Closed {
        /// When.
        at: Timestamp,
        /// Until when it raises none that is no worse, where the rule says so.
        again_at: Option<Timestamp>,
    },
    /// It was not quiet, and yet no alert of it was open: what is taken in as history raises none.
    NotRaised,
    /// What was measured is green.
    Green,
    /// What it looks at had not been measured or answered.
    NoValue,
    /// What it looks at was measured or answered so long ago that it does not count any more.
    TooOld {
        /// When the newest of it was.
        newest: Timestamp,
        /// So many hours it counts.
        counts_hours: f64,
    },
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
        (Because::Speaks | Because::Closed { .. } | Because::NotRaised, _) => (0, 0.0),
        (_, Some(near)) => (1, near.share),
        (Because::NotOverdue { .. } | Because::Green, None) => (2, 0.0),
        _ => (3, 0.0),
    };
    all.sort_by(|one, two| order(one).partial_cmp(&order(two)).expect("shares are numbers"));
    all
}

fn quiet(chart: &Chart, plan: &Plan, place: usize, at: Timestamp) -> Quiet {
    let look = Look { plan, chart, place, at: nanos(at), rank: 0, memo: &Memo::default() };
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
        _ if verdict.mark > Mark::Green => spoke(look, verdict.mark),
        Reason::Together { found, want, .. } if found < want => {
            let why = format!("{found} of what it counts were met, it wants {want}");
            (Because::Fewer { found: *found, want: *want }, why)
        }
        _ => (Because::Green, "what was measured is green".to_owned()),
    }
}

/// What became of something above green: an alert of it is open, or a person has closed it, or none was raised.
fn spoke(look: &Look<'_>, mark: Mark) -> (Because, String) {
    let (rule, place) = (look.rule(), look.place);
    if look.chart.alerts.get(&rule.family).is_some_and(|alert| fed_it(alert, look.plan, place)) {
        return (Because::Speaks, "it was not quiet".to_owned());
    }
    let handled = look.chart.rules.get(place).and_then(Memory::handled).filter(|(_, closed)| mark <= *closed);
    let Some((closed, _)) = handled else {
        let why = "it was not quiet, and yet no alert of it was open, as of history that was taken in";
        return (Because::NotRaised, why.to_owned());
    };
    let again_at = rule.again_after.map(|after| closed.saturating_add(length(after))).filter(|at| *at > look.at);
    let (at, again_at) = (time(closed), again_at.map(time));
    let held_back = |until| format!("; it raises none that is no worse until {}", local(look, until));
    let why = format!("its alert was closed on {}{}", local(look, at), again_at.map(held_back).unwrap_or_default());
    (Because::Closed { at, again_at }, why)
}

/// Until when a doubtful finding waits for another measurement, where it does.
fn held(look: &Look<'_>, verdict: &Verdict) -> Option<Timestamp> {
    let memory = look.chart.rules.get(look.place).filter(|memory| memory.stands && memory.at == verdict.at)?;
    memory.held_until().filter(|until| *until > look.at).map(time)
}

fn nothing_found(look: &Look<'_>, nothing: Nothing) -> Because {
    match nothing {
        Nothing::NoValue => too_old(look).unwrap_or(Because::NoValue),
        Nothing::TooLittle { found, want }
        | Nothing::NoBaseline { found, want, .. }
        | Nothing::Partial { found, want } => Because::TooLittle { found, want },
        Nothing::NoReference => {
            let (programme, rule) = (look.programme().id(), &look.rule().id);
            let set = look.plan.own().references.iter().filter(|own| own.is_of(programme, rule));
            let over = set.filter_map(Lasting::until).filter(|until| *until <= look.time());
            Because::NoReference { expired: over.max() }
        }
        Nothing::NotNow => Because::NotNow,
    }
}

/// The newest of what it looks at, where that is older than what counts.
fn too_old(look: &Look<'_>) -> Option<Because> {
    let within = look.rule().judge.within()?;
    let newest =
        look.chart.watched(&look.rule().watches).filter_map(|series| series.until(look.at).last()).map(|it| it.at);
    let newest = newest.max().filter(|newest| *newest < look.at.saturating_sub(length(within)))?;
    Some(Because::TooOld { newest: time(newest), counts_hours: within.as_secs_f64() / 3600.0 })
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
        Because::TooOld { newest, counts_hours } => {
            let age = look.time().duration_since(*newest).as_secs_f64() / 3600.0;
            format!("the newest value of {} is {age:.0} h old, it counts for {counts_hours} h", watched(look))
        }
        _ => format!("there is no value of {}", watched(look)),
    }
}

/// What it looks at, in words.
fn watched(look: &Look<'_>) -> String {
    let watches = &look.rule().watches;
    let vitals = watches.vitals.iter().map(|vital| vital.info().label.to_owned());
    let questions = watches.questions.iter().map(|(_, question)| format!("the answer to {question}"));
    vitals.chain(questions).collect::<Vec<String>>().join(", ")
}

/// A rule of silence: is it paused, is it overdue, when is the next deadline?
fn silent(look: &Look<'_>, spec: &MissingSpec) -> Quiet {
    let memory = look.chart.rules.get(look.place).filter(|memory| memory.stands && memory.mark > Mark::Green);
    if let Some(finding) = memory.and_then(|memory| memory.finding()) {
        let (because, why) = spoke(look, finding.colour);
        return Quiet {
            mark: Some(finding.colour),
            at: Some(finding.at),
            said: Some(finding.why.clone()),
            reason: Some(finding.reason.clone()),
            ..empty(look, because, why)
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
        Reason::Together { found, .. } if look.rule().judge.ladder().is_some() => {
            on_ladder(look, Value::new(i64::from(*found), 0), "1", verdict.mark)
        }
        Reason::Together { found, want, .. } if found < want => {
            let mark = look.rule().judge.means().filter(|mark| *mark > verdict.mark)?;
            Some(Near {
                limit: Limit { kind: crate::LimitKind::From, value: Value::new(i64::from(*want), 0) },
                unit: String::new(),
                mark,
                distance: Value::new(i64::from(want - found), 0),
                share: f64::from(want - found) / f64::from(*want),
                said: format!("{} at {want} of them, {} more", mark.name(), want - found),
            })
        }
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
    format!("{} {}, {distance} {unit} away", mark.name(), sentence(limit, unit)).replace("  ", " ")
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
    use crate::{Action, COPD, Clinic, CloseReason, Event, Own, Programme, Sitting, act, assess};
    use vitals::{Clock, Reading};

    fn time_of(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn plan(own: &str) -> Plan {
        of(COPD, own)
    }

    fn of(text: &str, own: &str) -> Plan {
        let programme = Arc::new(Programme::parse(text, "copd.toml").unwrap_or_else(|fault| panic!("{fault}")));
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
    fn what_a_person_has_closed_is_told_so_and_until_when_it_is_held_back() {
        for (again_after, until) in [("", None), ("again_after = \"72h\"\n", Some("2026-11-25T09:00:00Z"))] {
            let text = COPD.replacen("id = \"pulse\"\n", &format!("id = \"pulse\"\n{again_after}"), 1);
            let plan = of(&text, "{}");
            let mut chart = chart(&plan, &[(Vital::Pulse, "130")]);
            let (id, closed) = (chart.open_alerts().next().unwrap().id, time_of("2026-11-22T09:00:00Z"));
            let action = Action::Close { reason: CloseReason::FalseAlarm, note: String::new() };
            act(&mut chart, id, 1, &action, "anna", closed).unwrap();
            let pulse = why_not(&chart, &plan, time_of("2026-11-22T10:00:00Z")).remove(0);
            assert_eq!(pulse.rule, "pulse");
            assert_eq!(pulse.because, Because::Closed { at: closed, again_at: until.map(time_of) });
            assert!(pulse.why.starts_with("its alert was closed on 2026-11-22 09:00"), "{}", pulse.why);
            assert_eq!(pulse.why.contains("until 2026-11-25 09:00"), until.is_some(), "{}", pulse.why);
        }
    }

    #[test]
    fn what_was_taken_in_as_history_was_not_quiet_and_told_nobody() {
        let plan = plan("{}");
        let chart = chart(&plan, &[(Vital::Spo2, "80")]).with_alerts(Vec::new());
        let spo2 = why_not(&chart, &plan, time_of("2026-11-22T09:00:00Z")).remove(0);
        assert_eq!((spo2.rule.as_str(), spo2.mark, spo2.because), ("spo2", Some(Mark::Red), Because::NotRaised));
        assert!(spo2.why.contains("no alert of it was open"), "{}", spo2.why);
    }

    #[test]
    fn a_value_that_is_too_old_to_count_is_told_with_its_age() {
        let text = COPD.split("[[example]]").next().unwrap().to_owned() + TOGETHER;
        let plan = of(&text, "{}");
        let chart = chart(&plan, &[(Vital::Spo2, "95"), (Vital::Pulse, "80")]);
        let asked = |at| why_not(&chart, &plan, time_of(at)).into_iter().find(|one| one.rule == "both").unwrap();
        assert_eq!(asked("2026-11-22T09:00:00Z").because, Because::Fewer { found: 0, want: 2 });
        let old = asked("2026-11-23T21:00:00Z");
        let newest = time_of("2026-11-22T08:00:00Z");
        assert_eq!(old.because, Because::TooOld { newest, counts_hours: 36.0 });
        assert_eq!(old.why, "the newest value of SpO2, pulse is 37 h old, it counts for 36 h");
        let never = why_not(&Chart::new(), &plan, newest).into_iter().find(|one| one.rule == "both").unwrap();
        assert_eq!(never.because, Because::NoValue);
    }

    #[test]
    fn a_number_of_times_has_no_unit_of_one() {
        let limit = Limit { kind: crate::LimitKind::From, value: Value::new(4, 0) };
        assert_eq!(in_words(Mark::Yellow, limit, Value::new(1, 0), "1"), "yellow at 4 times or more, 1 times away");
    }

    #[test]
    fn what_wants_several_says_what_it_would_be() {
        let text = COPD.split("[[example]]").next().unwrap().to_owned() + &TOGETHER.replace("yellow", "red");
        let chart = chart(&of(&text, "{}"), &[(Vital::Spo2, "87"), (Vital::Pulse, "80")]);
        let all = why_not(&chart, &of(&text, "{}"), time_of("2026-11-22T09:00:00Z"));
        let near = all.into_iter().find(|one| one.rule == "both").unwrap().near.unwrap();
        assert_eq!((near.mark, near.said.as_str()), (Mark::Red, "red at 2 of them, 1 more"));
    }

    const TOGETHER: &str = r#"
        [[rule]]
        id = "both"
        kind = "all"
        family = "copd"
        of = [{ rule = "spo2" }, { rule = "pulse" }]
        within = "36h"
        mark = "yellow"
    "#;

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
