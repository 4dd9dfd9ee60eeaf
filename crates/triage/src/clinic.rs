//! What lies under every programme: the clinic's own safety floors and limits, and how long personal settings may stand unlooked at.
//!
//! A floor is a red limit that no programme may pass at all, and no patient's own limit without a reason and an end. A limit is one that holds
//! where a programme says none (`fill.rs`).

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitals::{Plausibility, Unit, Vital, check_value};

use crate::{
    Length, Number, Own, ProgrammeError,
    bands::{Ladder, Rung},
    bounds::{CLINIC_LIMITS_MAX, FLOORS_MAX, PROGRAMME_BYTES_MAX, TEXT_CHARS_MAX},
    floor::OVERRIDE_MAX,
    own::{Lasting, Moment},
    programme::{
        SILENT_KIT_AFTER_MAX, SILENT_KIT_AFTER_MIN, check_length,
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
    override_max: SignedDuration,
    silent_kit_after: SignedDuration,
    floors: Vec<Floor>,
    limits: Vec<ClinicLimit>,
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
    /// An own limit that passes a safety floor must end within so long of being set. 400 days, which is the most, where it says nothing.
    override_max: Option<Length>,
    /// A kit of which nothing was heard for so long is silent, where a programme says nothing of its own. 12 hours where it says nothing.
    silent_kit_after: Option<Length>,
    /// Safety floors.
    #[serde(default)]
    floor: Vec<Floor>,
    /// Limits that hold where a programme says none.
    #[serde(default)]
    limit: Vec<ClinicLimit>,
}

/// A red limit that must not be passed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Of which vital.
    pub vital: Vital,
    /// In its canonical unit.
    pub unit: Unit,
    /// On which side: of `red_low`, `value` and all below it is red; of `red_high`, `value` and all above it.
    pub limit: Rung,
    /// How far.
    pub value: Number,
    /// Where it comes from.
    pub source: String,
}

/// A limit that holds where a programme looks at the vital by a rule of kind `band` and says nothing of this limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClinicLimit {
    /// Of which vital.
    pub vital: Vital,
    /// In its canonical unit.
    pub unit: Unit,
    /// Which limit: of a low one, `value` and all below it lies beyond it; of a high one, `value` and all above it.
    pub limit: Rung,
    /// Where it lies.
    pub value: Number,
    /// Why, or where it comes from.
    pub source: String,
    /// Until when (that moment excluded); until further notice where it says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub until: Option<Timestamp>,
}

impl ClinicLimit {
    /// Does it hold at this time?
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }
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

    /// One without floors and limits, for what is a programme's alone.
    pub(crate) fn bare() -> Self {
        let (review_after, override_max, silent_kit_after) = (SignedDuration::MAX, OVERRIDE_MAX, SILENT_KIT_AFTER);
        let (floors, limits) = (Vec::new(), Vec::new());
        Self { version: 1, review_after, override_max, silent_kit_after, floors, limits }
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

    /// Within how long of being set an own limit must end that passes a floor.
    #[must_use]
    pub fn override_max(&self) -> SignedDuration {
        self.override_max
    }

    /// After how long a kit of which nothing is heard is silent, where a programme does not say.
    #[must_use]
    pub fn silent_kit_after(&self) -> SignedDuration {
        self.silent_kit_after
    }

    /// Its floors.
    #[must_use]
    pub fn floors(&self) -> &[Floor] {
        &self.floors
    }

    /// Its limits, those that are over too.
    #[must_use]
    pub fn limits(&self) -> &[ClinicLimit] {
        &self.limits
    }

    /// Its limit on one rung of a vital.
    #[must_use]
    pub fn limit(&self, vital: Vital, rung: Rung) -> Option<&ClinicLimit> {
        self.limits.iter().find(|limit| limit.vital == vital && limit.limit == rung)
    }

    /// Is a personal setting overdue: over, or without an end that anybody sees coming and older than the review says? One that just ends is
    /// overdue while it holds and is older than that, whatever its end.
    #[must_use]
    pub fn is_overdue(&self, setting: &dyn Lasting, now: Timestamp) -> bool {
        let from = setting.from();
        let is_old = now.duration_since(from) > self.review_after;
        match setting.until() {
            _ if setting.just_ends() => setting.holds(now) && is_old,
            Some(until) if until <= now => true,
            Some(until) if until.duration_since(from) <= OVERRIDE_MAX => false,
            _ => is_old,
        }
    }

    /// How many personal settings are overdue.
    #[must_use]
    pub fn overdue(&self, own: &Own, now: Timestamp) -> usize {
        own.settings().filter(|it| self.is_overdue(*it, now)).count()
    }
}

const KEYS: [&str; 7] = ["id", "version", "review_after", "override_max", "silent_kit_after", "floor", "limit"];
/// A kit that was heard within this is not silent, where nobody says otherwise: the clinic's own default.
const SILENT_KIT_AFTER: SignedDuration = SignedDuration::from_hours(12);

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
    let override_max = length(document, "override_max", (DAY, OVERRIDE_MAX), OVERRIDE_MAX);
    let bounds = (SILENT_KIT_AFTER_MIN, SILENT_KIT_AFTER_MAX);
    let silent_kit_after = length(document, "silent_kit_after", bounds, SILENT_KIT_AFTER);
    let mut floors: Vec<Floor> = Vec::new();
    for at in 0..count(document, "floor", FLOORS_MAX)? {
        let path = steps!["floor", at];
        let Some(floor) = document.read::<Floor>(&path) else { continue };
        check_floor(document, &path, &floor, &floors);
        floors.push(floor);
    }
    let mut clinic = Clinic { floors, ..Clinic::bare() };
    for at in 0..count(document, "limit", CLINIC_LIMITS_MAX)? {
        let path = steps!["limit", at];
        let Some(limit) = document.read::<ClinicLimit>(&path) else { continue };
        check_limit(document, &path, &limit, &clinic);
        clinic.limits.push(limit);
    }
    let (override_max, silent_kit_after) = (override_max?, silent_kit_after?);
    Some(Clinic { version: version?, review_after: review_after?.0, override_max, silent_kit_after, ..clinic })
}

/// How many there are of a list; a fault is noted where there are more than may be.
fn count(document: &mut Document<'_>, key: &str, most: usize) -> Option<usize> {
    document.is_list(&steps![key]);
    let found = document.len(&steps![key]);
    if found > most {
        document.problem(&steps![key], format!("found {found}, want at most {most}"));
    }
    (found <= most).then_some(found)
}

/// A length of time within its bounds, or what counts where it says none.
fn length(
    document: &mut Document<'_>,
    key: &str,
    (least, most): (SignedDuration, SignedDuration),
    default: SignedDuration,
) -> Option<SignedDuration> {
    if !document.has(&steps![key]) {
        return Some(default);
    }
    let found = document.read::<Length>(&steps![key])?.0;
    if found < least || found > most {
        document.problem(&steps![key], format!("found {found:#}, want {least:#} to {most:#}"));
    }
    Some(found)
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn at(path: &[Step], key: &str) -> Vec<Step> {
    path.iter().cloned().chain(steps![key]).collect()
}

fn check_floor(document: &mut Document<'_>, path: &[Step], floor: &Floor, before: &[Floor]) {
    let at = |key: &str| at(path, key);
    if !matches!(floor.limit, Rung::RedLow | Rung::RedHigh) {
        document.problem(&at("limit"), format!("found {:?}, want red_low or red_high", floor.limit.name()));
    }
    check_unit(document, path, floor.unit, floor.vital);
    if before.iter().any(|other| other.vital == floor.vital && other.limit == floor.limit) {
        document.problem(&at("limit"), "found a second floor for this limit of this vital, want one");
    }
    check_source(document, path, &floor.source);
}

/// Checks a limit against the floors and the limits before it.
fn check_limit(document: &mut Document<'_>, path: &[Step], limit: &ClinicLimit, clinic: &Clinic) {
    let ClinicLimit { vital, unit, limit: rung, value, source, .. } = limit;
    check_unit(document, path, *unit, *vital);
    check_source(document, path, source);
    if let Plausibility::Reject(text) = check_value(*vital, value.0) {
        document.problem(&at(path, "value"), format!("found a limit that nothing can cross: {text}"));
    }
    if clinic.limit(*vital, *rung).is_some() {
        document.problem(&at(path, "limit"), "found a second one for this limit of this vital, want one");
        return;
    }
    let before = clinic.limits.iter().filter(|before| before.vital == *vital);
    let ladder = before.fold(Ladder::default(), |ladder, before| ladder.filled(before.limit, before.value.0));
    let ladder = ladder.filled(*rung, value.0);
    let passed = || ladder.limit_at(*rung).and_then(|limit| clinic.passed(*vital, *rung, limit));
    if let Some(text) = ladder.check(unit.plain()).err().or_else(passed) {
        document.problem(&at(path, "value"), text);
    }
}

fn check_unit(document: &mut Document<'_>, path: &[Step], unit: Unit, vital: Vital) {
    if unit != vital.unit() {
        let text = format!("found {:?}, want {:?}", unit.ucum(), vital.unit().ucum());
        document.problem(&at(path, "unit"), text);
    }
}

fn check_source(document: &mut Document<'_>, path: &[Step], source: &str) {
    let characters = source.chars().count();
    if source.trim().is_empty() || characters > TEXT_CHARS_MAX {
        document.problem(&at(path, "source"), format!("found {characters} characters, want 1 to {TEXT_CHARS_MAX}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limit, LimitKind, Programme};

    #[test]
    fn the_shipped_document_is_taken_and_no_shipped_programme_passes_a_floor() {
        let clinic = Clinic::shipped();
        assert!(clinic.floors().len() > 5);
        for (file, text) in crate::SHIPPED {
            let programme = Programme::parse(text, file).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(clinic.unfit(&programme), Vec::new(), "{file}");
        }
    }

    #[test]
    fn a_limit_passes_a_floor_on_the_far_side_of_it_alone() {
        let clinic = Clinic::shipped();
        let passed =
            |rung, kind, value: &str| clinic.passed(Vital::Spo2, rung, Limit { kind, value: value.parse().unwrap() });
        assert_eq!(passed(Rung::RedLow, LimitKind::AtMost, "83"), None);
        let said = passed(Rung::RedLow, LimitKind::AtMost, "82.9").unwrap();
        assert!(said.starts_with("red at 82.9 % or less passes the safety floor of 83 % or less ("), "{said}");
        assert!(passed(Rung::RedLow, LimitKind::Below, "83").is_some());
        assert_eq!(passed(Rung::YellowLow, LimitKind::AtMost, "60"), None);
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
        let fault = refused("override_max = \"9600h\"", "override_max = \"9601h\"");
        assert!(
            fault.contains("override_max: found 400d 1h, want 24h") || fault.contains("override_max: found 9601h"),
            "{fault}"
        );
        let fault = refused("silent_kit_after = \"12h\"", "silent_kit_after = \"1m\"");
        assert!(fault.contains("silent_kit_after: found 1m, want 15m to 336h"), "{fault}");
        let fault = refused("limit = \"red_low\"", "limit = \"yellow_low\"");
        assert!(fault.contains("found \"yellow_low\", want red_low or red_high"), "{fault}");
    }

    #[test]
    fn a_limit_says_why_in_its_unit_in_order_and_within_the_floors() {
        let limit = |vital: &str, unit: &str, rung: &str, rest: &str| {
            format!("\n[[limit]]\nvital = \"{vital}\"\nunit = \"{unit}\"\nlimit = \"{rung}\"\n{rest}\n")
        };
        let parse = |limits: &[String]| Clinic::parse(&(CLINIC.to_owned() + &limits.concat()), "clinic.toml");
        let high = limit("spo2", "%", "yellow_high", "value = 99\nsource = \"on oxygen\"");
        let ending = "value = 100\nsource = \"s\"\nuntil = \"2027-01-01T00:00:00Z\"";
        let both = parse(&[high.clone(), limit("spo2", "%", "red_high", ending)]).unwrap();
        assert_eq!(both.limits().len(), 2);
        let ends = both.limit(Vital::Spo2, Rung::RedHigh).unwrap();
        let at = |text: &str| ends.holds(text.parse().unwrap());
        assert!(at("2026-12-31T23:59:59Z") && !at("2027-01-01T00:00:00Z"));
        for (refused, wanted) in [
            (
                limit("spo2", "kg", "yellow_high", "value = 99\nsource = \"s\""),
                "limit[1].unit: found \"kg\", want \"%\"",
            ),
            (limit("spo2", "%", "red_high", "value = 99\nsource = \" \""), "limit[1].source: found 1 characters"),
            (limit("spo2", "%", "red_high", "value = 99"), "limit[1].source: found nothing, want"),
            (high.clone(), "limit[1].limit: found a second one for this limit of this vital"),
            (
                limit("spo2", "%", "red_high", "value = 98\nsource = \"s\""),
                "limit[1].value: found yellow_high at 99 % and red_high at 98 %: these bands overlap",
            ),
            (
                limit("spo2", "%", "red_low", "value = 80\nsource = \"s\""),
                "limit[1].value: red at 80 % or less passes the safety floor of 83 % or less",
            ),
            (limit("spo2", "%", "red_high", "value = 391\nsource = \"s\""), "found a limit that nothing can cross"),
            (limit("spo2", "%", "red_high", &format!("{ending}\nfrom = 1")), "found unknown field `from`"),
        ] {
            let fault = parse(&[high.clone(), refused]).unwrap_err().to_string();
            assert!(fault.contains(wanted), "{fault} lacks {wanted}");
        }
    }
}
