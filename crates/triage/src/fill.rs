//! The clinic's limits in a programme: they hold where it looks at their vital by a rule of kind `band` and says nothing of their rung.
//!
//! It says something where any of its band rules of that vital has the rung, an ingredient too: what it leaves to a second reading, or to one
//! variant of a rule, it leaves so on purpose. Where none has it, one rule that counts alone takes the limit, the first of those that most people
//! are judged by; and after it each that is for people whom no other one is for. So everybody has it, and nobody twice but by rules whose
//! conditions overlap. What would not be in order with the rule's own limits is refused where a document comes into use, and left out where it
//! is in use all the same (decision 0113).

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    Clinic, ClinicLimit, Plan, Problem, Programme,
    bands::{Ladder, Rung},
    floor::{EVERYBODY, problem_at},
    rules::Rule,
};

/// One rule's limits with the clinic's among them: until when each ladder holds (that moment excluded), the last without an end where some of
/// the clinic's has none.
#[derive(Clone, Debug)]
pub(crate) struct Filled(Vec<(Option<Timestamp>, Ladder)>);

/// One of the clinic's limits, with the rule that takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FromClinic {
    /// The programme's id.
    pub programme: String,
    /// The rule's id.
    pub rule: String,
    /// The version of the clinic's document.
    pub version: u32,
    /// It.
    #[serde(flatten)]
    pub limit: ClinicLimit,
}

impl Filled {
    fn of(rule: &Rule, limits: Vec<&ClinicLimit>) -> Self {
        let (ladder, (fit, _)) = (rule.judge.ladder(), parted(rule, limits));
        let Some(ladder) = ladder.filter(|_| !fit.is_empty()) else { return Self(Vec::new()) };
        let mut ends: Vec<Option<Timestamp>> = fit.iter().map(|limit| limit.until).collect();
        ends.sort_by_key(|end| (end.is_none(), *end));
        ends.dedup();
        let up_to = |end: Option<Timestamp>| {
            let lasts = |limit: &&&ClinicLimit| limit.until.is_none() || (end.is_some() && limit.until >= end);
            let limits = fit.iter().filter(lasts);
            (end, limits.fold(*ladder, |ladder, limit| ladder.filled(limit.limit, limit.value.0)))
        };
        Self(ends.into_iter().map(up_to).collect())
    }

    /// The ladder of a time; none where none of the clinic's limits is in it.
    pub fn at(&self, at: Timestamp) -> Option<&Ladder> {
        self.0.iter().find(|(until, _)| until.is_none_or(|until| at < until)).map(|(_, ladder)| ladder)
    }
}

impl Clinic {
    /// Everything in which a programme does not go together with the clinic's document, with the place in its file, what was found and what is
    /// wanted: floors that it leaves open, and limits of the clinic's that would not be in order with its own.
    #[must_use]
    pub fn unfit(&self, programme: &Programme) -> Vec<Problem> {
        let mut problems = self.passed_by(programme);
        for (rule, limits) in programme.rules().iter().zip(self.taken(programme)) {
            let (_, unfit) = parted(rule, limits);
            problems.extend(unfit.into_iter().map(|(limit, found)| {
                let (rung, value, unit, source) =
                    (limit.limit.name(), limit.value.0, limit.unit.plain(), &limit.source);
                let text = format!("{found}; {rung} at {value} {unit} is the clinic's ({source})");
                problem_at(programme, rule, "bands", text)
            }));
        }
        problems
    }

    /// Each rule's limits with the clinic's among them, in the rules' order.
    pub(crate) fn filled(&self, programme: &Programme) -> Vec<Filled> {
        let taken = self.taken(programme);
        programme.rules().iter().zip(taken).map(|(rule, limits)| Filled::of(rule, limits)).collect()
    }

    /// What each rule takes of the clinic's limits, in the rules' order.
    fn taken(&self, programme: &Programme) -> Vec<Vec<&ClinicLimit>> {
        let mut taken = vec![Vec::new(); programme.rules().len()];
        for limit in self.limits() {
            takers(programme, limit).into_iter().for_each(|rule| taken[rule].push(limit));
        }
        taken
    }
}

impl Plan {
    /// The clinic's limits that the person is judged by at a time: those that no own limit lies over then.
    #[must_use]
    pub fn clinic_limits(&self, at: Timestamp) -> Vec<FromClinic> {
        let (clinic, mut all) = (self.book().clinic(), Vec::new());
        for (place, (programme, rule)) in self.book().rules().enumerate() {
            let Some((vital, base)) = rule.judge.absolute().zip(rule.judge.ladder()) else { continue };
            let ladder = self.ladder(place, base, at);
            let rungs = Rung::ALL.into_iter().filter(|rung| ladder.is_clinics(*rung));
            all.extend(rungs.filter_map(|rung| clinic.limit(vital, rung)).map(|limit| FromClinic {
                programme: programme.id().to_owned(),
                rule: rule.id.to_string(),
                version: clinic.version(),
                limit: limit.clone(),
            }));
        }
        all
    }
}

/// The numbers of the rules that take a limit.
fn takers(programme: &Programme, limit: &ClinicLimit) -> Vec<usize> {
    let of_vital = |(_, rule): &(usize, &Rule)| rule.judge.absolute() == Some(limit.vital);
    let mut bands: Vec<(usize, &Rule)> = programme.rules().iter().enumerate().filter(of_vital).collect();
    let says = |rule: &Rule| rule.judge.ladder().is_some_and(|ladder| ladder.at(limit.limit).is_some());
    if bands.iter().any(|(_, rule)| says(rule)) {
        return Vec::new();
    }
    let is_for = |rule: &Rule, (oxygen, target): (bool, bool)| rule.when.holds_for(oxygen, target);
    bands.retain(|(_, rule)| !rule.ingredient);
    bands.sort_by_key(|(_, rule)| EVERYBODY.iter().filter(|who| !is_for(rule, **who)).count());
    let mut left = EVERYBODY.to_vec();
    bands.retain(|(_, rule)| {
        let before = left.len();
        left.retain(|who| !is_for(rule, *who));
        left.len() < before
    });
    bands.into_iter().map(|(at, _)| at).collect()
}

/// A limit, and why a rule can't take it.
type Unfit<'c> = (&'c ClinicLimit, String);

/// Those of the clinic's limits that are in order with a rule's own and with one another, and the others.
fn parted<'c>(rule: &Rule, limits: Vec<&'c ClinicLimit>) -> (Vec<&'c ClinicLimit>, Vec<Unfit<'c>>) {
    let (mut fit, mut unfit) = (Vec::new(), Vec::new());
    let Some(mut ladder) = rule.judge.ladder().copied() else { return (fit, unfit) };
    for limit in limits {
        let (with, unit) = (ladder.filled(limit.limit, limit.value.0), limit.unit.plain());
        match with.check(unit).and_then(|()| rule.judge.hysteresis().fits(&with, unit)) {
            Ok(()) => {
                ladder = with;
                fit.push(limit);
            }
            Err(found) => unfit.push((limit, found)),
        }
    }
    (fit, unfit)
}
