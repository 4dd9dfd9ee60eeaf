//! The kinds of configuration file, told apart by what is in them.

use std::{path::Path, sync::Arc};

use clap::ValueEnum;
use toml::de::{DeTable, DeValue};

use super::{
    edge,
    problem::{self, Problem},
    roster,
};
use crate::{cli::Ended, config::Config, programmes::tried::Tried};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Rules, schedules and questionnaires for a condition.
    Programme,
    /// The service's hub.toml.
    Hub,
    /// Patients and kits.
    Roster,
    /// A kit's edge.toml; the kit's own program is asked about it.
    Edge,
    /// A questionnaire of the kit's page; the kit's own program is asked about it.
    Questionnaire,
    /// A score as NEWS2: points, their sum, and what it asks for.
    Score,
    /// The clinic's defaults and safety floors.
    Clinic,
}

/// What stands at a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Value,
    Table,
    List,
}

impl Shape {
    fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::Table(_) => Self::Table,
            DeValue::Array(_) => Self::List,
            _ => Self::Value,
        }
    }
}

/// A file that has been read.
pub struct Text {
    /// As it was named on the command line.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Text {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with the file as a whole.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        Ok(Self { name: path.display().to_string(), text: problem::read(path)? })
    }

    /// The same, where there is nothing to do without it.
    ///
    /// # Errors
    /// [`Ended::Failed`], with the file's name.
    pub fn read_or_end(path: &Path) -> Result<Self, Ended> {
        Ok(Self { name: path.display().to_string(), text: problem::text(path).map_err(Ended::Failed)? })
    }

    /// What it is: as said, or by the keys at its top, or by its name.
    ///
    /// # Errors
    /// [`Ended::Usage`] when that can't be told.
    pub fn kind(&self, said: Option<Kind>) -> Result<Kind, Ended> {
        said.or_else(|| by_keys(&self.text)).or_else(|| by_name(&self.name)).ok_or_else(|| {
            let name = &self.name;
            Ended::Usage(format!(
                "{name}: found no key of a programme, clinic.toml, hub.toml, roster.toml or edge.toml: say what it is with --kind"
            ))
        })
    }
}

impl Kind {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Programme => "programme",
            Self::Hub => "hub",
            Self::Roster => "roster",
            Self::Edge => "edge",
            Self::Questionnaire => "questionnaire",
            Self::Score => "score",
            Self::Clinic => "clinic",
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Programme => "a programme",
            Self::Hub => "the service's configuration",
            Self::Roster => "a roster",
            Self::Edge => "a kit's configuration",
            Self::Questionnaire => "a questionnaire",
            Self::Score => "a score",
            Self::Clinic => "the clinic's defaults and safety floors",
        }
    }

    /// The keys at the top of such a file, each with what stands there.
    fn keys(self) -> &'static [(&'static str, Shape)] {
        use Shape::{List, Table, Value};
        match self {
            Self::Programme => &[
                ("id", Value),
                ("version", Value),
                ("title", Table),
                ("zone", Value),
                ("source", Value),
                ("clinic", Table),
                ("questionnaire", List),
                ("schedule", List),
                ("rule", List),
                ("example", List),
            ],
            Self::Hub => &[
                ("clinic", Value),
                ("zone", Value),
                ("data", Value),
                ("roster", Value),
                ("programmes", Value),
                ("simulated", Value),
                ("mqtt", Table),
                ("http", Table),
                ("broker", Table),
                ("limits", Table),
            ],
            Self::Roster => &[("patient", List), ("kit", List)],
            Self::Questionnaire => &[
                ("id", Value),
                ("version", Value),
                ("title", Table),
                ("source", Value),
                ("question", List),
                ("path", List),
                ("example", List),
            ],
            Self::Score => &[
                ("id", Value),
                ("version", Value),
                ("title", Table),
                ("source", Value),
                ("note", Table),
                ("parameter", List),
                ("setting", List),
                ("band", List),
                ("example", List),
            ],
            Self::Clinic => &[
                ("id", Value),
                ("version", Value),
                ("review_after", Value),
                ("override_max", Value),
                ("silent_kit_after", Value),
                ("floor", List),
                ("limit", List),
            ],
            Self::Edge => &[
                ("kit", Value),
                ("zone", Value),
                ("data_dir", Value),
                ("adapter", Value),
                ("broker", Table),
                ("spool", Table),
                ("device", List),
            ],
        }
    }

    /// Everything that is wrong with a file of this kind.
    ///
    /// # Errors
    /// A kit's file can't be checked, because the kit's program is missing.
    pub fn check(self, file: &Text) -> Result<Vec<Problem>, Ended> {
        let Text { name, text } = file;
        let broken = problem::syntax(text, name);
        if !broken.is_empty() {
            return Ok(broken);
        }
        Ok(match self {
            Self::Programme => programme(text, name),
            Self::Score => problems(triage::Score::parse(text, name)),
            Self::Clinic => problems(triage::Clinic::parse(text, name)),
            Self::Hub => toml::from_str::<Config>(text)
                .err()
                .map(|e| Problem::from_toml::<Config>(text, &e))
                .into_iter()
                .collect(),
            Self::Roster => roster::check(text),
            Self::Edge => edge::check(file)?,
            Self::Questionnaire => edge::check_questionnaire(file)?,
        })
    }
}

fn problems<T>(parsed: Result<T, triage::ProgrammeError>) -> Vec<Problem> {
    parsed.err().map(|error| error.problems().iter().map(Problem::from).collect()).unwrap_or_default()
}

/// What is wrong with a programme, the safety floors that it leaves open, and the clinic's limits that would be out of order with its own: also
/// where nothing but its examples fail.
fn programme(text: &str, name: &str) -> Vec<Problem> {
    let parsed = triage::Programme::parse(text, name).map(Arc::new);
    let programme = match &parsed {
        Ok(programme) => Some(Arc::clone(programme)),
        Err(_) => Tried::read(text, name).ok().map(|tried| tried.programme),
    };
    let mut problems = problems(parsed);
    if let Some(programme) = programme {
        problems.extend(clinic(name).unfit(&programme).iter().map(Problem::from));
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
}

/// The clinic's document that a programme's file is held against: the `clinic.toml` beside it, else the one that comes with Vagt.
fn clinic(programme: &str) -> triage::Clinic {
    let beside = Path::new(programme).with_file_name("clinic.toml");
    let text = std::fs::read_to_string(&beside).ok();
    let read = text.and_then(|text| triage::Clinic::parse(&text, &beside.display().to_string()).ok());
    read.unwrap_or_else(triage::Clinic::shipped)
}

/// The kind that knows the most of what stands at the file's top.
fn by_keys(text: &str) -> Option<Kind> {
    let (table, _) = DeTable::parse_recoverable(text);
    let found: Vec<_> =
        table.get_ref().iter().map(|(key, value)| (key.get_ref().as_ref(), Shape::of(value.get_ref()))).collect();
    let known = |kind: Kind| found.iter().filter(|pair| kind.keys().contains(pair)).count();
    let best = Kind::value_variants().iter().copied().rev().max_by_key(|kind| known(*kind))?;
    (known(best) > 0).then_some(best)
}

fn by_name(name: &str) -> Option<Kind> {
    let stem = Path::new(name).file_stem()?.to_str()?;
    Kind::value_variants().iter().copied().find(|kind| kind.name() == stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_seen_from_what_is_in_a_file_and_survive_a_typo() {
        for (text, wanted) in [
            ("id = \"copd\"\nversion = 1\n[[rule]]\n", Some(Kind::Programme)),
            ("zone = \"x\"\n[clinic]\n[[rule]]\n", Some(Kind::Programme)),
            ("clinic = \"x\"\nzoen = \"y\"\n", Some(Kind::Hub)),
            ("[[patient]]\nid = \"p-1\"\n[[kit]]\n", Some(Kind::Roster)),
            ("kit = \"kit-1\"\nzone = \"UTC\"\n[broker]\n[[device]]\n", Some(Kind::Edge)),
            ("id = \"q\"\nversion = 1\n[[question]]\n[[path]]\n", Some(Kind::Questionnaire)),
            ("id = \"s\"\nversion = 1\n[[parameter]]\n[[band]]\n", Some(Kind::Score)),
            (triage::CLINIC, Some(Kind::Clinic)),
            ("id = \"clinic\"\nversion = 1\nreview_after = \"9h\"\n", Some(Kind::Clinic)),
            ("", None),
            ("colour = 1\n", None),
        ] {
            assert_eq!(by_keys(text), wanted, "{text}");
        }
        assert_eq!(by_name("/etc/vagt/hub.toml"), Some(Kind::Hub));
    }

    #[test]
    fn the_clinics_document_is_checked_as_what_it_is() {
        let check = |text: &str| Kind::Clinic.check(&Text { name: "clinic.toml".into(), text: text.into() }).unwrap();
        assert!(check(triage::CLINIC).is_empty());
        let faults = check(&triage::CLINIC.replacen("\nversion = 1", "\nversion = 0", 1));
        assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["version"]);
    }
}
