//! The person's side in `edge.toml`: `person`, `[[round]]`, `questionnaires`, `[station]`.

use jiff::{SignedDuration, tz::TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;
use vitals::PatientId;
use wire::Due;

use super::{Config, ConfigError, Source};
use crate::{
    questionnaire,
    round::{CODE_CHARS_MAX, DUES_MAX, Member, PERSONS_MAX, Rules, Station, check_dues},
};

/// Letters of a first name on the page.
const NAME_CHARS_MAX: usize = 40;
/// The longest turn at a station without anything happening, in minutes.
const IDLE_MINUTES_MAX: u16 = 60;

/// `[station]`: one kit for many people. Nothing is taken before somebody was chosen by code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StationConfig {
    /// A turn ends after this long without anything.
    #[serde(default = "idle_minutes")]
    #[schemars(range(min = 1, max = 60), with = "u16")]
    pub idle_minutes: Spanned<u16>,
    /// The people.
    #[serde(rename = "person")]
    #[schemars(with = "Vec<PersonConfig>", length(min = 1, max = 500))]
    pub persons: Vec<Spanned<PersonConfig>>,
}

/// One `[[station.person]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonConfig {
    /// What is typed, or scanned by a scanner that types like a keyboard. Never a national identity number.
    pub code: String,
    /// The patient's id at the clinic.
    pub patient: PatientId,
    /// What the page calls the person: a first name.
    pub name: String,
}

fn idle_minutes() -> Spanned<u16> {
    Spanned::new(0..0, 5)
}

impl Source<'_> {
    /// What the file says of the person's side.
    pub(super) fn rules(&self, config: &Config, zone: TimeZone) -> Result<Rules, ConfigError> {
        let folder = config.questionnaires.as_ref().map(|folder| self.beside(folder.get_ref()));
        let questionnaires = questionnaire::all(folder.as_deref())?;
        let dues: Vec<Due> = config.rounds.iter().map(|due| due.get_ref().clone()).collect();
        check_dues(&dues, |id| questionnaires.contains_key(id)).map_err(|(index, reason)| {
            let at = config.rounds.get(index.min(DUES_MAX)).map_or(0, |due| due.span().start);
            self.error(at, "round", reason)
        })?;
        if let Some(name) = &config.person {
            self.first_name(name.span().start, "person", name.get_ref())?;
        }
        let name = config.person.as_ref().map(|name| name.get_ref().clone());
        let station = config.station.as_ref().map(|station| self.station(station)).transpose()?;
        Ok(Rules { zone, name, dues, questionnaires, station })
    }

    fn station(&self, station: &Spanned<StationConfig>) -> Result<Station, ConfigError> {
        let (at, StationConfig { idle_minutes, persons }) = (station.span().start, station.get_ref());
        let minutes = *idle_minutes.get_ref();
        if !(1..=IDLE_MINUTES_MAX).contains(&minutes) {
            let reason = format!("found {minutes}, want 1 to {IDLE_MINUTES_MAX}");
            return Err(self.error(idle_minutes.span().start, "station.idle_minutes", reason));
        }
        if !(1..=PERSONS_MAX).contains(&persons.len()) {
            let reason = format!("found {} people, want 1 to {PERSONS_MAX}", persons.len());
            return Err(self.error(at, "station.person", reason));
        }
        let mut members: Vec<Member> = Vec::with_capacity(persons.len());
        for person in persons {
            let member = self.member(person)?;
            if members.iter().any(|other| other.code.to_lowercase() == member.code.to_lowercase()) {
                let reason = "found a code again, want one for each person";
                return Err(self.error(person.span().start, "station.person.code", reason));
            }
            members.push(member);
        }
        Ok(Station { persons: members, idle: SignedDuration::from_mins(minutes.into()) })
    }

    fn member(&self, person: &Spanned<PersonConfig>) -> Result<Member, ConfigError> {
        let (at, PersonConfig { code, patient, name }) = (person.span().start, person.get_ref());
        let chars = code.chars().count();
        if !(1..=CODE_CHARS_MAX).contains(&chars) || code.trim() != code || code.chars().any(char::is_control) {
            let reason = format!("found {chars} characters, want 1 to {CODE_CHARS_MAX} without blanks around them");
            return Err(self.error(at, "station.person.code", reason));
        }
        self.first_name(at, "station.person.name", name)?;
        Ok(Member { code: code.clone(), patient: patient.clone(), name: name.clone() })
    }

    fn first_name(&self, at: usize, field: &str, name: &str) -> Result<(), ConfigError> {
        let chars = name.trim().chars().count();
        if (1..=NAME_CHARS_MAX).contains(&chars) {
            return Ok(());
        }
        Err(self.error(at, field, format!("found {chars} characters, want 1 to {NAME_CHARS_MAX}")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Settings, parse};
    use super::*;

    const HEAD: &str = "kit = \"kit-1\"\nzone = \"Europe/Copenhagen\"\ndata_dir = \"d\"\n";
    const BROKER: &str = "[broker]\nhost = \"h\"\nport = 1883\nsecret = \"s\"\n";

    fn settings(top: &str, blocks: &str) -> Result<Settings, ConfigError> {
        parse(Path::new("edge.toml"), &format!("{HEAD}{top}\n{BROKER}{blocks}"))
    }

    #[test]
    fn rounds_and_a_station_are_read() {
        let round = "[[round]]\nat = \"08:00\"\ndays = [1, 3, 5]\nvitals = [\"spo2\", \"pulse\"]\nquestionnaires = [\"copd-daily\"]\n";
        let person = "[[station.person]]\ncode = \"17\"\npatient = \"p-17\"\nname = \"Inger\"\n";
        let rules = settings("person = \"Inger\"", &format!("{round}[station]\n{person}")).unwrap().rules;
        assert_eq!((rules.name.as_deref(), rules.dues.len()), (Some("Inger"), 1));
        assert_eq!(rules.station.unwrap().find(" 17\n").unwrap().patient.as_str(), "p-17");
        assert!(rules.questionnaires.contains_key("heart-failure-daily"));
    }

    #[test]
    fn what_is_refused_says_where() {
        let station = |person: &str| format!("[station]\n[[station.person]]\n{person}\n");
        #[rustfmt::skip]
        let cases = [
            ("", "[[round]]\nat = \"08:00\"\n".to_owned(), "edge.toml:9:1: round: found neither vitals nor questionnaires, want at least one"),
            ("", "[[round]]\nat = \"08:00\"\nquestionnaires = [\"x\"]\n".to_owned(), "edge.toml:9:1: round: found questionnaire \"x\", which this kit does not have"),
            ("", "[[round]]\nat = \"25:00\"\nvitals = [\"spo2\"]\n".to_owned(), "edge.toml:10:6: round.at: "),
            ("person = \"\"", String::new(), "edge.toml:4:10: person: found 0 characters, want 1 to 40"),
            ("questionnaires = \"nowhere\"", String::new(), "nowhere: No such file or directory"),
            ("", station("code = \" 17\"\npatient = \"p-17\"\nname = \"Inger\""), "edge.toml:10:1: station.person.code: found 3 characters"),
            ("", station("code = \"17\"\npatient = \"p-17\"\nname = \"\""), "edge.toml:10:1: station.person.name: found 0 characters"),
            ("", "[station]\nidle_minutes = 0\nperson = []\n".to_owned(), "edge.toml:10:16: station.idle_minutes: found 0, want 1 to 60"),
            ("", "[station]\nperson = []\n".to_owned(), "edge.toml:9:1: station.person: found 0 people, want 1 to 500"),
        ];
        for (top, blocks, wanted) in cases {
            let said = settings(top, &blocks).unwrap_err().to_string();
            assert!(said.starts_with(wanted), "{blocks}{top}: {said}");
        }
        let twice = format!(
            "{}{}",
            station("code = \"a\"\npatient = \"p-1\"\nname = \"A\""),
            "[[station.person]]\ncode = \"A\"\npatient = \"p-2\"\nname = \"B\"\n"
        );
        let said = settings("", &twice).unwrap_err().to_string();
        assert!(said.starts_with("edge.toml:14:1: station.person.code: found a code again"), "{said}");
    }
}
