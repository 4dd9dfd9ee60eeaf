//! What truly happened to somebody, for the file that goes with a recording.

use jiff::civil::Date;
use serde::Serialize;
use vitals::{KitId, PatientId};

use super::{Cohort, Condition, Habitual, Kind, Simulated};

/// One line of the truth file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Who.
    pub patient: PatientId,
    /// Which kit.
    pub kit: KitId,
    /// Always true.
    pub simulated: bool,
    /// What distinguishes them.
    pub kind: Kind,
    /// What they have.
    pub condition: Condition,
    /// Their own normal.
    pub habitual: Habitual,
    /// Exacerbations or decompensations.
    pub events: Vec<TruthEvent>,
    /// Days that looked like an event and were none.
    pub bad_days: Vec<Date>,
    /// When nothing came, and whose fault it was.
    pub silences: Vec<TruthSilence>,
    /// Messages of the year.
    pub sittings: usize,
    /// Readings of the year.
    pub readings: usize,
    /// Readings with a technique error, and how many of them the device noticed.
    pub errors: (usize, usize),
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TruthEvent {
    /// Physiology begins to change.
    pub begins: Date,
    /// Symptoms meet the diary's criterion.
    pub onset: Date,
    /// Treatment starts.
    pub treated: Date,
    /// In hospital from that day.
    pub admitted: bool,
}

/// One silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TruthSilence {
    /// First silent day.
    pub from: Date,
    /// First day that is not silent any more.
    pub until: Date,
    /// `kit` is dead, or `person` is silent.
    pub of: &'static str,
}

impl Truth {
    /// The truth about somebody.
    #[must_use]
    pub fn of(cohort: &Cohort, simulated: &Simulated) -> Self {
        let Simulated { ids, person, course, sittings } = simulated;
        let readings = || sittings.iter().flat_map(|sitting| &sitting.measured);
        let wrong = readings().filter(|measured| measured.error.is_some());
        let events = course.events.iter().map(|event| TruthEvent {
            begins: cohort.date(event.begins),
            onset: cohort.date(event.onset),
            treated: cohort.date(event.treated),
            admitted: event.admitted,
        });
        let silences = course.silences.iter().map(|silence| TruthSilence {
            from: cohort.date(silence.from),
            until: cohort.date(silence.until),
            of: if silence.kit { "kit" } else { "person" },
        });
        Self {
            patient: ids.patient.clone(),
            kit: ids.kit.clone(),
            simulated: true,
            kind: person.kind,
            condition: person.condition,
            habitual: person.habitual.clone(),
            events: events.collect(),
            bad_days: course.bad_days.iter().map(|day| cohort.date(*day)).collect(),
            silences: silences.collect(),
            sittings: sittings.len(),
            readings: readings().count(),
            errors: (wrong.clone().count(), wrong.filter(|measured| measured.flag.is_some()).count()),
        }
    }
}
