//! What one patient is judged by: a programme, the patient's own settings over it, a time zone, and since when they are watched.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use vitals::{PatientId, Vital};

use crate::{
    BandView, Own, Programme, ProgrammeError,
    bands::Ladder,
    own,
    rules::{BandSpec, Rule, Spec},
};

/// What one patient is judged by.
#[derive(Clone, Debug)]
pub struct Plan {
    patient: PatientId,
    programme: Arc<Programme>,
    own: Own,
    zone: TimeZone,
    since: Timestamp,
}

impl Plan {
    /// `zone` is the patient's; nothing is expected before `since`.
    ///
    /// # Errors
    /// [`ProgrammeError`] when the patient's own settings don't fit the programme: an unknown rule, a wrong unit, limits that cross.
    pub fn new(
        patient: PatientId,
        programme: Arc<Programme>,
        own: Own,
        zone: TimeZone,
        since: Timestamp,
    ) -> Result<Self, ProgrammeError> {
        own::check(&own, &programme, &patient)?;
        Ok(Self { patient, programme, own, zone, since })
    }

    /// The bands of a vital, from low to high, as they are until further notice: with the own limits that have no end. Empty where no rule
    /// judges the vital.
    #[must_use]
    pub fn bands(&self, vital: Vital) -> Vec<BandView> {
        let lasting = Own { limits: self.own.limits.iter().filter(|limit| limit.until.is_none()).cloned().collect() };
        self.first_ladder(vital, &lasting, Timestamp::MAX)
    }

    /// The bands of a vital as they are at one time, own limits of limited time included.
    #[must_use]
    pub fn bands_at(&self, vital: Vital, at: Timestamp) -> Vec<BandView> {
        self.first_ladder(vital, &self.own, at)
    }

    /// The programme.
    #[must_use]
    pub fn programme(&self) -> &Programme {
        &self.programme
    }

    /// Whose plan.
    #[must_use]
    pub fn patient(&self) -> &PatientId {
        &self.patient
    }

    /// The patient's own settings.
    #[must_use]
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// The patient's time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Since when the patient is watched.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    pub(crate) fn ladder(&self, rule: &Rule, spec: &BandSpec, at: Timestamp) -> Ladder {
        if self.own.limits.is_empty() { spec.ladder } else { own::ladder(&self.own, &rule.id, spec, at) }
    }

    fn first_ladder(&self, vital: Vital, own: &Own, at: Timestamp) -> Vec<BandView> {
        let of_vital = self.programme.rules().iter().find_map(|rule| match &rule.spec {
            Spec::Band(spec) if spec.vital == vital => Some((rule, spec)),
            _ => None,
        });
        of_vital.map(|(rule, spec)| own::ladder(own, &rule.id, spec, at).views()).unwrap_or_default()
    }
}
