//! `--patient FILE`: what is particular to a patient. TOML or JSON: a patient as in a roster, or own limits alone.

use std::path::Path;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, de::IgnoredAny};
use triage::{Own, OwnLimit};
use vitals::PatientId;

use crate::cli::{Ended, config::problem};

/// What is particular to a patient; to every patient of the recording, where no id is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Whose; `None`: everybody's.
    pub id: Option<PatientId>,
    /// Own limits.
    pub own: Own,
    /// The zone of the schedules; `None`: the programme's.
    pub zone: Option<TimeZone>,
    /// Watched since; `None`: since the first message.
    pub since: Option<Timestamp>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: Option<PatientId>,
    #[serde(default)]
    own: Own,
    #[serde(default)]
    limits: Vec<OwnLimit>,
    zone: Option<String>,
    since: Option<Timestamp>,
    // The rest of a roster's patient says nothing to a replay.
    #[serde(rename = "name")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "born")]
    _born: Option<IgnoredAny>,
    #[serde(rename = "programme", alias = "programmes")]
    _programme: Option<IgnoredAny>,
    #[serde(rename = "stratum")]
    _stratum: Option<IgnoredAny>,
    #[serde(rename = "simulated")]
    _simulated: Option<IgnoredAny>,
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Ended::Failed`], with file and place.
    pub fn read(path: &Path) -> Result<Self, Ended> {
        let name = path.display().to_string();
        let text = problem::text(path).map_err(Ended::Failed)?;
        Self::parse(&text, &name).map_err(Ended::Failed)
    }

    fn parse(text: &str, name: &str) -> Result<Self, String> {
        let file: File = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))?
        } else {
            problem::toml::<_, serde_json::Value>(text, name)?
        };
        let zone = file.zone.map(|zone| {
            TimeZone::get(&zone)
                .map_err(|_| format!("{name}: zone: found {zone:?}, want one such as \"Europe/Copenhagen\""))
        });
        let mut own = file.own;
        own.limits.extend(file.limits);
        Ok(Self { id: file.id, own, zone: zone.transpose()?, since: file.since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: &str = r#"rule = "spo2"
limit = "red_low"
value = 80
unit = "%"
author = "Dr Test"
reason = "his normal state"
from = "2026-01-01T00:00:00Z"
"#;

    #[test]
    fn a_patient_or_limits_alone_in_toml_or_json() {
        let bare = Settings::parse(&format!("[[limits]]\n{LIMIT}"), "own.toml").unwrap();
        let patient = format!(
            "id = \"p-1\"\nname = \"Test\"\nprogramme = \"copd\"\nzone = \"Europe/Oslo\"\n[[own.limits]]\n{LIMIT}"
        );
        let patient = Settings::parse(&patient, "p.toml").unwrap();
        assert_eq!(bare.own, patient.own);
        assert_eq!((bare.id, patient.id.unwrap().as_str()), (None, "p-1"));
        let json = serde_json::json!({ "own": patient.own, "since": "2026-01-01T00:00:00Z" }).to_string();
        assert_eq!(Settings::parse(&json, "p.json").unwrap().own, patient.own);
    }

    #[test]
    fn a_typo_has_its_place() {
        let error = Settings::parse("id = \"p-1\"\nlimit = 1\n", "p.toml").unwrap_err();
        assert!(
            error.starts_with("p.toml:2:1: limit: found unknown field `limit`, want one of `id`, `own`, `limits`"),
            "{error}"
        );
        let error = Settings::parse("zone = \"Mars\"\n", "p.toml").unwrap_err();
        assert_eq!(error, "p.toml: zone: found \"Mars\", want one such as \"Europe/Copenhagen\"");
    }
}
