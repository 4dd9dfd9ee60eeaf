//! A roster file: its form, as a schema, and what can be wrong beyond it: ids that are used twice, kits of nobody, secrets that are none.

use std::collections::HashSet;

use schemars::JsonSchema;
use store::Roster;
use triage::Own;
use vitals::{KitId, PatientId};

use super::{own, problem::Problem};

/// Length of a SHA-256 in hex, in characters.
const SHA256_HEX_LEN: usize = 64;

/// Patients and kits: the form of [`Roster`], as a schema.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it is read as a Roster; a test holds the two together")]
pub struct RosterForm {
    /// People.
    #[serde(default)]
    patient: Vec<PatientForm>,
    /// Kits.
    #[serde(default)]
    kit: Vec<KitForm>,
}

/// A person being monitored.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "see RosterForm")]
struct PatientForm {
    /// Opaque id: never a national identity number.
    id: PatientId,
    /// Shown to staff.
    name: String,
    /// Year of birth, for the age.
    born: Option<i16>,
    /// The programme's id, e.g. `copd`; a list of them for somebody who is in several.
    #[serde(alias = "programmes")]
    programme: OneOrMore,
    /// The risk level: one of the strata of the programmes, e.g. `high`.
    stratum: Option<String>,
    /// Own limits over the programme's.
    own: Option<Own>,
    /// A person that does not exist, for demonstration and test.
    #[serde(default)]
    simulated: bool,
    /// Watched since, as "2026-11-22T08:00:00Z"; when the file was first read, if it does not say.
    since: Option<String>,
}

/// One id, or a list of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "see RosterForm")]
enum OneOrMore {
    /// The only one.
    One(String),
    /// Each of them.
    More(Vec<String>),
}

/// A home gateway.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "see RosterForm")]
struct KitForm {
    /// The MQTT client id and user name.
    id: KitId,
    /// Given to. A kit that several people share has `patients` instead.
    patient: Option<PatientId>,
    /// Those who share it (station mode).
    #[serde(default)]
    patients: Vec<PatientId>,
    /// SHA-256 of its password, in hex. Without it: the kit enrols itself, with a code from `vagt kit renew`.
    #[serde(default)]
    #[schemars(regex(pattern = r"^([0-9a-fA-F]{64})?$"))]
    secret_sha256: String,
    /// Handed out at, as "2026-11-22T08:00:00Z": readings before are rejected. When the file was first read, if it does not say.
    since: Option<String>,
    /// Its devices, as configured.
    #[serde(default)]
    devices: Vec<String>,
    /// May it no longer connect?
    #[serde(default)]
    revoked: bool,
}

/// Everything that is wrong with the text of a roster.
#[must_use]
pub fn check(text: &str) -> Vec<Problem> {
    match toml::from_str::<Roster>(text) {
        Ok(roster) => consistency(text, &roster),
        Err(error) => vec![Problem::from_toml::<RosterForm>(text, &error)],
    }
}

fn consistency(text: &str, roster: &Roster) -> Vec<Problem> {
    let mut problems = twice(text, "patient", roster.patients.iter().map(|patient| patient.id.as_str()));
    problems.extend(twice(text, "kit", roster.kits.iter().map(|kit| kit.id.as_str())));
    problems.extend(patients(text, roster));
    problems.extend(kits(text, roster));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
}

fn twice<'a>(text: &str, list: &str, ids: impl Iterator<Item = &'a str>) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let again = ids.enumerate().filter(|(_, id)| !seen.insert(*id)).collect::<Vec<_>>();
    let say = |(index, id): (usize, &str)| {
        Problem::at_field(text, list, index, "id", format!("found {id:?} a second time, want each {list} once"))
    };
    again.into_iter().map(say).collect()
}

fn patients(text: &str, roster: &Roster) -> Vec<Problem> {
    let wrong = |(index, patient): (usize, &store::Patient)| {
        let error = form(&patient.own).err()?;
        Some(
            own::form(text, index)
                .unwrap_or_else(|| Problem::at_field(text, "patient", index, "own", error.to_string())),
        )
    };
    roster.patients.iter().enumerate().filter_map(wrong).collect()
}

fn kits(text: &str, roster: &Roster) -> Vec<Problem> {
    let people: HashSet<_> = roster.patients.iter().map(|patient| &patient.id).collect();
    let mut problems = Vec::new();
    for (index, kit) in roster.kits.iter().enumerate() {
        let field = if kit.patient.is_some() { "patient" } else { "patients" };
        for patient in kit.people().filter(|patient| !people.contains(patient)) {
            let message = format!("found {:?}, want the id of a patient of this file", patient.as_str());
            problems.push(Problem::at_field(text, "kit", index, field, message));
        }
        if kit.patient.is_some() != kit.patients.is_empty() {
            let found = if kit.patient.is_some() { "both" } else { "neither" };
            let message = format!("found {found}, want `patient`, or `patients` on a kit that several people share");
            problems.push(Problem::at_field(text, "kit", index, field, message));
        }
        let enrols = kit.secret_sha256.is_empty();
        let is_hash =
            kit.secret_sha256.len() == SHA256_HEX_LEN && kit.secret_sha256.chars().all(|c| c.is_ascii_hexdigit());
        if !enrols && !is_hash {
            let found = kit.secret_sha256.chars().count();
            let message =
                format!("found {found} characters, want {SHA256_HEX_LEN} hexadecimal digits: see `vagt kit add`");
            problems.push(Problem::at_field(text, "kit", index, "secret_sha256", message));
        }
    }
    problems
}

/// A patient's own limits, as a roster holds them.
///
/// # Errors
/// What is wrong with their form; whether they fit a programme is the plan's business.
pub fn form(value: &serde_json::Value) -> Result<Own, serde_json::Error> {
    if value.is_null() { Ok(Own::default()) } else { serde_json::from_value(value.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[patient]]
id = "p-1"
name = "Test Person"
born = 1948
programme = "copd"
own = { limits = [] }
stratum = "high"
simulated = true
since = "2026-11-22T08:00:00Z"
[[kit]]
id = "kit-1"
patient = "p-1"
secret_sha256 = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
since = "2026-11-22T08:00:00Z"
devices = ["gatt-plx:AA:BB"]
revoked = true
"#;

    /// The roster with one piece of its text replaced, and the only problem that this makes.
    #[track_caller]
    fn check_one(from: &str, to: &str, wanted: &str) {
        let problems = check(&GOOD.replacen(from, to, 1));
        let sentences: Vec<_> = problems.iter().map(|problem| problem.sentence("r.toml")).collect();
        assert_eq!(sentences, [wanted]);
    }

    #[test]
    fn a_good_roster_has_no_problem_and_each_fault_has_its_place() {
        assert_eq!(check(GOOD), []);
        check_one(
            "patient = \"p-1\"",
            "patient = \"p-2\"",
            r#"r.toml:13:11: kit[0].patient: found "p-2", want the id of a patient of this file"#,
        );
        check_one(
            "a5a5",
            "a5",
            "r.toml:14:17: kit[0].secret_sha256: found 62 characters, want 64 hexadecimal digits: see `vagt kit add`",
        );
        check_one(
            "born =",
            "bron =",
            "r.toml:5:1: patient[0].bron: found unknown field `bron`, want one of `id`, `name`, `born`, `programme`, `programmes`, `stratum`, `own`, `simulated`, `since`",
        );
        check_one(
            "limits =",
            "limit =",
            "r.toml:7:9: patient[0].own.limit: found unknown field `limit`, want one of `limits`, `references`, `oxygen`, `pauses`",
        );
        check_one(
            "limits = []",
            "pauses = [{ kind = \"holiday\", author = 7 }]",
            "r.toml:7:48: patient[0].own.pauses[0].author: found 7, want a text in quotes",
        );
        check_one(
            "[[kit]]",
            "[[patient]]\nid = \"p-1\"\nname = \"Again\"\nprogramme = \"copd\"\n[[kit]]",
            r#"r.toml:12:6: patient[1].id: found "p-1" a second time, want each patient once"#,
        );
    }

    /// The schema and the type that reads: the same fields.
    #[test]
    fn the_schema_is_of_what_is_read() {
        let schema = schemars::schema_for!(RosterForm).to_value();
        let mut read: Roster = toml::from_str(GOOD).unwrap();
        read.kits[0].patients.push("p-1".parse().unwrap());
        let read = serde_json::to_value(read).unwrap();
        for (list, form) in [("patient", "PatientForm"), ("kit", "KitForm")] {
            let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<HashSet<_>>();
            assert_eq!(keys(&read[list][0]), keys(&schema["$defs"][form]["properties"]));
        }
    }
}
