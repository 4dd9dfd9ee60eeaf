//! What lies under every programme: the clinic's own safety floors, and how long personal settings may stand unlooked at.
//!
//! A floor is a red limit that no programme may pass at all, and no patient's own limit without a reason and an end.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use vitals::{Unit, Value, Vital};

use crate::{
    Length, Number, Own, Programme, ProgrammeError,
    bands::Rung,
    bounds::{FLOORS_MAX, PROGRAMME_BYTES_MAX, TEXT_CHARS_MAX},
    own::Lasting,
    programme::{
        check_length,
        place::{Document, Step, steps},
    },
};

/// The text of the clinic's document that is shipped.
pub const CLINIC: &str = include_str!("../../../config/clinic.toml");

/// The id under which it is versioned, beside the programmes.
pub const CLINIC_ID: &str = "clinic";

/// The clinic's defaults, checked.
#[derive(Clone, Debug)]
pub struct Clinic {
    version: u32,
    review_after: SignedDuration,
    floors: Vec<Floor>,
}

/// It as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the schema of the whole; each part is read by itself, so that every fault is found")]
struct ClinicFile {
    /// `clinic`.
    id: String,
    /// Grows with every change that is put into use.
    #[schemars(range(min = 1))]
    version: u32,
    /// A personal setting without an end is listed as overdue for review when it has stood so long.
    review_after: Length,
    /// Safety floors.
    #[serde(default)]
    floor: Vec<Floor>,
}

/// A red limit that must not be passed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Of which vital.
    pub vital: Vital,
    /// In its canonical unit.
    pub unit: Unit,
    /// On which side: `red_low` may not be set lower than `value`, `red_high` not higher.
    pub limit: Rung,
    /// How far.
    pub value: Number,
    /// Where it comes from.
    pub source: String,
}

impl Clinic {
    /// Reads the clinic's document; `file` is its name, for the faults.
    ///
    /// # Errors
    /// [`ProgrammeError`] with every fault found.
    pub fn parse(text: &str, file: &str) -> Result<Self, ProgrammeError> {
        check_length(text, file, PROGRAMME_BYTES_MAX)?;
        let mut document = Document::parse(text, file);
        let read = read(&mut document);
        document.finish(read)
    }

    /// The JSON Schema of the file.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(ClinicFile).to_value()
    }

    /// One without floors, for what floors don't matter to.
    pub(crate) fn bare() -> Self {
        Self { version: 1, review_after: SignedDuration::MAX, floors: Vec::new() }
    }

    /// The document that is shipped.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn shipped() -> Self {
        Self::parse(CLINIC, "clinic.toml").expect("the shipped document is checked by a test")
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// After how long a personal setting without an end is overdue for review.
    #[must_use]
    pub fn review_after(&self) -> SignedDuration {
        self.review_after
    }

    /// Its floors.
    #[must_use]
    pub fn floors(&self) -> &[Floor] {
        &self.floors
    }

    /// What a limit of a vital's absolute value passes, in words; `None` where it passes no floor.
    #[must_use]
    pub fn passed(&self, vital: Vital, rung: Rung, value: Value) -> Option<String> {
        let floor = self.floors.iter().find(|floor| floor.vital == vital && floor.limit == rung)?;
        let passes = if rung == Rung::RedLow { value < floor.value.0 } else { value > floor.value.0 };
        passes.then(|| {
            let (unit, limit) = (floor.unit.plain(), floor.value.0);
            format!("{} at {value} {unit} passes the safety floor of {limit} {unit} ({})", rung.name(), floor.source)
        })
    }

    /// Every floor that a programme passes, in words. A programme may pass none.
    #[must_use]
    pub fn passed_by(&self, programme: &Programme) -> Vec<String> {
        let mut passed = Vec::new();
        for rule in programme.rules() {
            let (Some(vital), Some(ladder)) = (rule.judge.absolute(), rule.judge.ladder()) else { continue };
            for rung in [Rung::RedLow, Rung::RedHigh] {
                let fault = ladder.at(rung).and_then(|value| self.passed(vital, rung, value));
                passed.extend(fault.map(|fault| format!("rule {}: {fault}", rule.id)));
            }
        }
        passed
    }

    /// Is a personal setting overdue: over, or without an end and older than the review says?
    #[must_use]
    pub fn is_overdue(&self, setting: &impl Lasting, now: Timestamp) -> bool {
        match setting.until() {
            Some(until) => until <= now,
            None => now.duration_since(setting.from()) > self.review_after,
        }
    }

    /// How many personal settings are overdue.
    #[must_use]
    pub fn overdue(&self, own: &Own, now: Timestamp) -> usize {
        own.limits.iter().filter(|it| self.is_overdue(*it, now)).count()
            + own.references.iter().filter(|it| self.is_overdue(*it, now)).count()
            + own.oxygen.iter().filter(|it| self.is_overdue(*it, now)).count()
    }
}

const KEYS: [&str; 4] = ["id", "version", "review_after", "floor"];

fn read(document: &mut Document<'_>) -> Option<Clinic> {
    if document.is_faulty() {
        return None;
    }
    document.refuse_other_keys(&KEYS);
    let id = document.read::<String>(&steps!["id"]);
    if id.as_ref().is_some_and(|id| id != CLINIC_ID) {
        document.problem(&steps!["id"], format!("found {:?}, want {CLINIC_ID:?}", id.unwrap_or_default()));
    }
    let version = document.read::<u32>(&steps!["version"]);
    if version == Some(0) {
        document.problem(&steps!["version"], "found 0, want 1 or more");
    }
    let review_after = document.read::<Length>(&steps!["review_after"]);
    let found = document.len(&steps!["floor"]);
    if found > FLOORS_MAX {
        document.problem(&steps!["floor"], format!("found {found}, want at most {FLOORS_MAX}"));
        return None;
    }
    let mut floors: Vec<Floor> = Vec::new();
    for at in 0..found {
        let path = steps!["floor", at];
        let Some(floor) = document.read::<Floor>(&path) else { continue };
        check_floor(document, &path, &floor, &floors);
        floors.push(floor);
    }
    Some(Clinic { version: version?, review_after: review_after?.0, floors })
}

fn check_floor(document: &mut Document<'_>, path: &[Step], floor: &Floor, before: &[Floor]) {
    let at = |key: &str| path.iter().cloned().chain(steps![key]).collect::<Vec<Step>>();
    if !matches!(floor.limit, Rung::RedLow | Rung::RedHigh) {
        document.problem(&at("limit"), format!("found {:?}, want red_low or red_high", floor.limit.name()));
    }
    if floor.unit != floor.vital.unit() {
        let text = format!("found {:?}, want {:?}", floor.unit.ucum(), floor.vital.unit().ucum());
        document.problem(&at("unit"), text);
    }
    if before.iter().any(|other| other.vital == floor.vital && other.limit == floor.limit) {
        document.problem(&at("limit"), "found a second floor for this limit of this vital, want one");
    }
    let characters = floor.source.chars().count();
    if floor.source.trim().is_empty() || characters > TEXT_CHARS_MAX {
        document.problem(&at("source"), format!("found {characters} characters, want 1 to {TEXT_CHARS_MAX}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_document_is_taken_and_no_shipped_programme_passes_a_floor() {
        let clinic = Clinic::shipped();
        assert!(clinic.floors().len() > 5);
        for (file, text) in crate::SHIPPED {
            let programme = Programme::parse(text, file).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(clinic.passed_by(&programme), Vec::<String>::new(), "{file}");
        }
    }

    #[test]
    fn a_limit_passes_a_floor_on_the_far_side_of_it_alone() {
        let clinic = Clinic::shipped();
        let passed = |rung, value: &str| clinic.passed(Vital::Spo2, rung, value.parse().unwrap());
        assert_eq!(passed(Rung::RedLow, "83"), None);
        let said = passed(Rung::RedLow, "82.9").unwrap();
        assert!(said.starts_with("red_low at 82.9 % passes the safety floor of 83 % ("), "{said}");
        assert_eq!(passed(Rung::YellowLow, "60"), None);
        assert!(clinic.passed(Vital::Pulse, Rung::RedHigh, "132".parse().unwrap()).is_some());
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let refused = |from: &str, to: &str| {
            let text = CLINIC.replacen(from, to, 1);
            assert_ne!(text, CLINIC, "{from:?} is not in the file");
            Clinic::parse(&text, "clinic.toml").unwrap_err().to_string()
        };
        let fault = refused("unit = \"%\"", "unit = \"kg\"");
        assert!(fault.contains("floor[0].unit: found \"kg\", want \"%\""), "{fault}");
        let fault = refused("review_after", "review_aft");
        assert!(fault.contains("review_aft: found unknown field `review_aft`, want one of id"), "{fault}");
        let fault = refused("limit = \"red_low\"", "limit = \"yellow_low\"");
        assert!(fault.contains("found \"yellow_low\", want red_low or red_high"), "{fault}");
    }
}
