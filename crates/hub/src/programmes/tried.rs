//! A version as it is read and tried: whose worked examples don't come out can't be taken into use, and what it would do is looked at all the same.

use std::{collections::BTreeSet, sync::Arc};

use triage::{Clinic, ClinicLimit, Floor, Problem, Programme, ProgrammeError, Rung};

use crate::tuning::ladder::Text;

/// A programme, and which of its worked examples say otherwise.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The programme, with the examples that come out.
    pub programme: Arc<Programme>,
    /// Each example that does not, with its place. Until a person has changed them, in a version of their own, it can't be taken into use.
    pub failing: Vec<String>,
    /// Each bound of today's that a stored version does not keep, with its place.
    pub outgrown: Vec<String>,
}

impl Tried {
    /// Reads a programme's text, of which nothing but examples may be faulty; `file` is its name, for the faults.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn read(text: &str, file: &str) -> Result<Self, String> {
        let error = match Programme::parse(text, file) {
            Ok(programme) => return Ok(Self::of(programme, &[])),
            Err(error) => error,
        };
        let programme = failing(&error).and_then(|examples| without(text, &examples, file));
        let programme = programme.ok_or_else(|| error.to_string())?;
        Ok(Self::of(programme, error.problems()))
    }

    /// Reads what was stored, by a Vagt that may have been less strict: what is judged by goes on to be judged by.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub fn stored(text: &str, file: &str) -> Result<Self, String> {
        match Programme::stored(text, file) {
            Ok((programme, refused)) => Ok(Self::of(programme, &refused)),
            Err(_) => Self::read(text, file),
        }
    }

    fn of(programme: Programme, refused: &[Problem]) -> Self {
        let (failing, outgrown): (Vec<_>, Vec<_>) = refused.iter().partition(|problem| problem.example().is_some());
        let said = |problems: Vec<&Problem>| problems.into_iter().map(ToString::to_string).collect();
        Self { programme: Arc::new(programme), failing: said(failing), outgrown: said(outgrown) }
    }

    /// What it says, in plain English words.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut words = self.programme.explain();
        for said in [self.contradiction(), self.too_old()] {
            words.push_str(&said);
            words.push_str(if said.is_empty() { "" } else { "\n" });
        }
        words
    }

    /// That today's bounds would refuse it, and where; empty where they would not.
    #[must_use]
    pub fn too_old(&self) -> String {
        if self.outgrown.is_empty() {
            return String::new();
        }
        let outgrown: String = self.outgrown.iter().map(|fault| format!("\n- {fault}")).collect();
        format!(
            "this version of Vagt would refuse it, so it can't be taken into use anew; where it is in use, it stays:{outgrown}"
        )
    }

    /// That examples say otherwise, and which; empty where none does.
    #[must_use]
    pub fn contradiction(&self) -> String {
        if self.failing.is_empty() {
            return String::new();
        }
        let failing: String = self.failing.iter().map(|fault| format!("\n- {fault}")).collect();
        let told = match self.failing.len() {
            1 => "1 worked example says".to_owned(),
            found => format!("{found} worked examples say"),
        };
        format!("{told} otherwise, and until a person has changed them it can't be taken into use:{failing}")
    }
}

/// That no worked example shows a mark that its limits can give, in a sentence: what nothing shows, nothing holds still.
#[must_use]
pub fn unshown(programme: &Programme) -> Option<String> {
    let marks: Vec<String> = programme.unshown().iter().map(|mark| format!("{mark:?}").to_lowercase()).collect();
    (!marks.is_empty()).then(|| {
        let (file, marks) = (programme.file(), marks.join(" and none that is "));
        format!("{file}: found no worked example that is {marks}, want at least one [[example]] for each colour that its limits can give")
    })
}

/// The places of the examples that are faulty, if nothing else is.
fn failing(error: &ProgrammeError) -> Option<BTreeSet<usize>> {
    error.problems().iter().map(Problem::example).collect()
}

/// The programme without these examples; without any, where more are faulty than were told.
fn without(text: &str, examples: &BTreeSet<usize>, file: &str) -> Option<Programme> {
    let text = Text::read(text).ok()?;
    let texts = [text.without_examples_at(examples), text.without_examples()];
    texts.iter().find_map(|text| Programme::parse(text, file).ok())
}

/// What the clinic's document says, in plain English words.
#[must_use]
pub fn clinic_in_words(clinic: &Clinic) -> String {
    let floors: String = clinic.floors().iter().map(|floor| format!("- {}\n", floor_in_words(floor))).collect();
    let limits: String = clinic.limits().iter().map(|limit| format!("- {}\n", limit_in_words(limit))).collect();
    let limits = match limits.is_empty() {
        true => limits,
        false => format!("\nLimits that hold where a programme looks at the value and has none of its own:\n{limits}"),
    };
    format!(
        "The clinic's defaults and safety floors, version {}.\n\n\
         - A personal setting without an end is listed for review when it has stood for {:#}.\n\
         - An own limit that passes a safety floor ends within {:#} of being set.\n\
         - A kit of which nothing was heard for {:#} is silent, where a programme does not say.\n\n\
         Safety floors, which no programme may pass, and no own limit without a reason and an end:\n{floors}{limits}",
        clinic.version(),
        clinic.review_after(),
        clinic.override_max(),
        clinic.silent_kit_after(),
    )
}

fn floor_in_words(Floor { vital, unit, limit, value, source }: &Floor) -> String {
    let side = if matches!(limit, Rung::RedLow) { "or less" } else { "or more" };
    format!("{vital}: red at {} {unit} {side} (Source: {source})", value.0)
}

fn limit_in_words(ClinicLimit { vital, unit, limit, value, source, until }: &ClinicLimit) -> String {
    let (colour, side) = match limit {
        Rung::RedLow => ("red", "or less"),
        Rung::YellowLow => ("yellow", "or less"),
        Rung::YellowHigh => ("yellow", "or more"),
        Rung::RedHigh => ("red", "or more"),
    };
    let until = until.map(|until| format!(", until {until}")).unwrap_or_default();
    format!("{vital}: {colour} at {} {unit} {side}{until} (Source: {source})", value.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programme_whose_examples_alone_fail_is_read_and_says_which() {
        assert_eq!(Tried::read(triage::COPD, "copd.toml").unwrap().contradiction(), "");
        let example = "\n[[example]]\nname = \"wrong\"\nreadings = [{ vital = \"spo2\", value = 80, unit = \"%\" }]\nwant = { spo2 = \"yellow\" }\n";
        let stays = triage::COPD.to_owned() + example;
        let tried = Tried::read(&stays, "copd.toml").unwrap();
        assert!(tried.failing.len() == 1 && tried.failing[0].contains("example["), "{:?}", tried.failing);
        let came_out = Programme::parse(triage::COPD, "copd.toml").unwrap().examples();
        assert_eq!(tried.programme.examples(), came_out);
        let words = tried.explain();
        assert!(words.contains("until a person has changed them it can't be taken into use:\n- copd.toml:"), "{words}");
        let faulty = stays.replacen("[clinic]", "[clinix]", 1);
        assert!(Tried::read(&faulty, "copd.toml").unwrap_err().contains("clinix"));
    }

    #[test]
    fn every_shipped_programme_shows_what_its_limits_can_give() {
        for (file, text) in triage::SHIPPED {
            assert_eq!(unshown(&Programme::parse(text, file).unwrap()), None);
        }
        let bare = Text::read(triage::COPD).unwrap().without_examples();
        let said = unshown(&Programme::parse(&bare, "copd.toml").unwrap()).unwrap();
        assert!(
            said.starts_with("copd.toml: found no worked example that is yellow and none that is red, want"),
            "{said}"
        );
    }

    #[test]
    fn the_clinics_document_has_words() {
        let words = clinic_in_words(&Clinic::shipped());
        assert!(words.contains("- spo2: red at 83 % or less (Source: NEWS2, SpO2 scale 2"), "{words}");
        assert!(words.contains("- pulse: red at 131 /min or more"), "{words}");
        assert!(!words.contains("Limits that hold"), "{words}");
        let limit = "\n[[limit]]\nvital = \"temperature\"\nunit = \"Cel\"\nlimit = \"yellow_high\"\nvalue = 38.5\n\
                     source = \"fever\"\nuntil = \"2027-04-01T00:00:00Z\"\n";
        let words = clinic_in_words(&Clinic::parse(&(triage::CLINIC.to_owned() + limit), "clinic.toml").unwrap());
        let wanted = "- temperature: yellow at 38.5 Cel or more, until 2027-04-01T00:00:00Z (Source: fever)\n";
        assert!(words.ends_with(wanted), "{words}");
    }
}
