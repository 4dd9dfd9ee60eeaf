//! One patient's own settings over the programme's: single limits, each with who set it, why, and from when until when.
//!
//! They lie over the programme field by field and are never a copy of it: what the programme improves later reaches the patient too.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitals::{PatientId, Unit};

use crate::{
    Number, Problem, Programme, ProgrammeError,
    bands::Rung,
    bounds::{OWN_LIMITS_MAX, TEXT_CHARS_MAX},
    rules::{BandSpec, Spec},
};

/// One patient's own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// Own limits; of two that hold at the same time for the same limit, the one set later counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<OwnLimit>,
}

/// One limit of one rule, moved for one patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnLimit {
    /// The rule's id.
    pub rule: String,
    /// Which of its limits.
    pub limit: Rung,
    /// Where it lies for this patient.
    pub value: Number,
    /// In which unit: the vital's canonical one.
    pub unit: Unit,
    /// Who decided it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From when on.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// Until when (that moment excluded); until further notice where it says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
}

impl OwnLimit {
    /// Does it hold at this time?
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Checks own settings against their programme: every fault found, with the number of the limit as its place.
pub(crate) fn check(own: &Own, programme: &Programme, patient: &PatientId) -> Result<(), ProgrammeError> {
    let mut problems = Vec::new();
    let mut fault = |at: usize, field: &str, text: String| {
        let (file, field) = (format!("own settings of {patient}"), format!("limits[{at}]{field}"));
        problems.push(Problem { file, line: at + 1, column: 1, field, text });
    };
    if own.limits.len() > OWN_LIMITS_MAX {
        fault(OWN_LIMITS_MAX, "", format!("found {} limits, want at most {OWN_LIMITS_MAX}", own.limits.len()));
    }
    for (at, limit) in own.limits.iter().enumerate().take(OWN_LIMITS_MAX) {
        let Some(spec) = band_rule(programme, &limit.rule) else {
            fault(at, ".rule", format!("found {:?}, want a band rule of programme {}", limit.rule, programme.id()));
            continue;
        };
        if limit.unit != spec.vital.unit() {
            fault(at, ".unit", format!("found {:?}, want {:?}", limit.unit.ucum(), spec.vital.unit().ucum()));
        }
        for (field, text) in [(".author", &limit.author), (".reason", &limit.reason)] {
            let characters = text.chars().count();
            if text.trim().is_empty() || characters > TEXT_CHARS_MAX {
                fault(
                    at,
                    field,
                    format!("found {characters} characters, want 1 to {TEXT_CHARS_MAX}, and not only spaces"),
                );
            }
        }
        if limit.until.is_some_and(|until| until <= limit.from) {
            fault(at, ".until", format!("found an end before the start {}, want it after", limit.from));
        }
        // Limits change together only where one begins or ends: each of these moments is checked.
        for moment in [Some(limit.from), limit.until].into_iter().flatten() {
            if let Err(text) = ladder(own, &limit.rule, spec, moment).check(spec.vital) {
                fault(at, ".value", format!("{text} (from {moment} on)"));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ProgrammeError::new(problems)) }
}

fn band_rule<'p>(programme: &'p Programme, id: &str) -> Option<&'p BandSpec> {
    let rule = programme.rules().iter().find(|rule| *rule.id == *id)?;
    match &rule.spec {
        Spec::Band(spec) => Some(spec),
        _ => None,
    }
}

/// The rule's limits at a time, with the patient's own over them.
pub(crate) fn ladder(own: &Own, rule: &str, spec: &BandSpec, at: Timestamp) -> crate::bands::Ladder {
    let mut ladder = spec.ladder;
    let mut holding: Vec<&OwnLimit> = own.limits.iter().filter(|limit| limit.rule == rule && limit.holds(at)).collect();
    holding.sort_by_key(|limit| limit.from);
    for limit in holding {
        ladder.set(limit.limit, limit.value.0);
    }
    ladder
}
