//! On a patient's page: own settings, each with who set it and why; and what is recorded of what happened.

use jiff::Timestamp;
use store::{Journal, JournalEntry, PatientOutcome};
use triage::{Clinic, Lasting, NoBaseline, Own, OwnLimit, PauseKind, Plan};
use vitals::Vital;

use crate::{pages::reasons::set_by, say::Say};

/// One setting, in words.
pub struct OwnLine {
    /// What is set.
    pub what: String,
    /// By whom and why, until when.
    pub set: String,
    /// Since when.
    pub from: String,
    /// Does it hold now?
    pub holds: bool,
    /// Should somebody look at it again?
    pub overdue: bool,
    /// Does it pass one of the clinic's safety floors now?
    pub beyond_floor: bool,
}

/// Every setting: those that are overdue first, then those that pass a safety floor.
pub fn lines(say: &Say<'_>, plan: &Plan) -> Vec<OwnLine> {
    let (own, clinic) = (plan.own(), plan.book().clinic());
    let limits = own.limits.iter().map(|one| {
        let line = line(say, limit(say, plan, one), &one.author, &one.reason, one, clinic);
        OwnLine { beyond_floor: line.holds && plan.floor_passed_by(one).is_some(), ..line }
    });
    let references = own.references.iter().map(|one| {
        let value = format!("{}\u{a0}{}", say.value(one.value.0), one.unit.plain());
        let what = format!("{}: {}", one.rule, say.words.with("own-references", &[("value", value.into())]));
        line(say, what, &one.author, &one.reason, one, clinic)
    });
    let oxygen = own.oxygen.iter().map(|one| {
        let home = say.words.say(if one.at_home { "own-oxygen-home" } else { "own-oxygen-none" });
        let target = one.target_88_92.then(|| say.words.say("own-oxygen-target"));
        let what: Vec<String> = [home].into_iter().chain(target).collect();
        line(say, what.join(", "), &one.author, &one.reason, one, clinic)
    });
    let pauses = own.pauses.iter();
    let pauses = pauses.map(|one| line(say, pause(say, one.kind), &one.author, &one.reason, one, clinic));
    let mut all: Vec<OwnLine> = limits.chain(references).chain(oxygen).chain(pauses).collect();
    all.sort_by_key(|line| (!line.overdue, !line.beyond_floor, !line.holds));
    all
}

fn line(say: &Say<'_>, what: String, author: &str, reason: &str, setting: &dyn Lasting, clinic: &Clinic) -> OwnLine {
    let (set, from) = (set_by(say, author, reason, setting.until()), say.date(setting.from()));
    let (holds, overdue) = (setting.holds(say.now), clinic.is_overdue(setting, say.now));
    OwnLine { what, set, from, holds, overdue, beyond_floor: false }
}

/// "SpO₂: red downwards at 82 %".
fn limit(say: &Say<'_>, plan: &Plan, limit: &OwnLimit) -> String {
    let vital = limit.rule.parse::<Vital>().ok().filter(|vital| vital.unit().ucum() == limit.unit);
    let name = vital.map_or_else(|| limit.rule.clone(), |vital| say.vital(vital));
    let number = match vital {
        Some(vital) => say.quantity(limit.value.0, vital.unit()),
        None => say.of_statistic(limit.value.0, &limit.unit, Vital::Spo2),
    };
    let rung = serde_json::to_value(limit.limit).ok().and_then(|name| name.as_str().map(str::to_owned));
    let key = format!("own-rung-{}", rung.unwrap_or_default());
    let of = limit.programme.as_ref().filter(|_| plan.programmes().len() > 1).map(|of| format!(" ({of})"));
    format!("{name}{}: {}", of.unwrap_or_default(), say.words.with(&key, &[("value", number.into())]))
}

/// "unlike-usual: no usual values to compare with, 3 of 7 stable days".
pub fn no_baseline(say: &Say<'_>, lacking: &NoBaseline) -> String {
    let NoBaseline { rule, found, want, last_said_at, .. } = lacking;
    let days = [("found", (*found as u64).into()), ("want", (*want as u64).into())];
    let days = say.words.with("own-baseline-days", &days);
    let since = last_said_at.map(|at| say.words.with("own-baseline-since", &[("when", say.date(at).into())]));
    let what: Vec<String> = [say.words.say("own-baseline-none")].into_iter().chain(since).chain([days]).collect();
    format!("{rule}: {}", what.join(", "))
}

/// Why nothing is expected, in words.
pub fn pause(say: &Say<'_>, kind: PauseKind) -> String {
    say.words.say(match kind {
        PauseKind::Holiday => "pause-holiday",
        PauseKind::InHospital => "pause-in_hospital",
        PauseKind::Other => "pause-other",
    })
}

/// Does a pause hold?
pub fn is_paused(own: &Own, now: Timestamp) -> bool {
    own.pauses.iter().any(|pause| pause.holds(now))
}

/// What happened, in words, with the note.
pub fn outcome(say: &Say<'_>, entry: &JournalEntry) -> Option<(String, String)> {
    let Journal::OutcomeRecorded { outcome, at, note, .. } = &entry.what else { return None };
    let args = [
        ("what", say.words.say(outcome_key(*outcome)).into()),
        ("when", say.date(*at).into()),
        ("by", say.colleague(entry.by.as_deref().unwrap_or_default()).into()),
    ];
    Some((say.words.with("outcome-line", &args), note.clone()))
}

fn outcome_key(outcome: PatientOutcome) -> &'static str {
    match outcome {
        PatientOutcome::Exacerbation => "outcome-exacerbation",
        PatientOutcome::Decompensation => "outcome-decompensation",
        PatientOutcome::Admission => "outcome-admission",
        PatientOutcome::Death => "outcome-death",
        PatientOutcome::Other => "outcome-other",
    }
}
