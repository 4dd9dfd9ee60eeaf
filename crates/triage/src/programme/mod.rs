//! A programme: a versioned set of rules, schedules and questionnaires for one condition, parsed from TOML, checked, its examples run.

mod check;
mod example;
mod file;
pub(crate) mod place;
mod words;

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use jiff::tz::TimeZone;

pub use file::{Choice, Length, Number, OnlyIf, Question, Questionnaire, Stratum, Text};
pub use place::{PROBLEMS_MAX, Problem, ProgrammeError, syntax};
pub use words::{found_and_wanted, plain};

pub(crate) use check::{SILENT_KIT_AFTER_MAX, SILENT_KIT_AFTER_MIN, name, nearest};
pub(crate) use file::{Clinic, Schedule};

use crate::{Mark, Rulebook, Rung, bounds::PROGRAMME_BYTES_MAX, plan::STAND_STILL, rules::Rule, series::in_words};

/// The text of the programme that is shipped for COPD: the Danish national plan.
pub const COPD: &str = include_str!("../../../../config/programmes/copd.toml");

/// The text of the programme that is shipped for a ward at home: NEWS2 and nothing else.
pub const NEWS2_HOME: &str = include_str!("../../../../config/programmes/news2-home.toml");

/// The text of the programme that is shipped for COPD with a personal baseline.
pub const COPD_BASELINE: &str = include_str!("../../../../config/programmes/copd-baseline.toml");

/// The text of the programme that is shipped for pulmonary fibrosis.
pub const PULMONARY_FIBROSIS: &str = include_str!("../../../../config/programmes/pulmonary-fibrosis.toml");

/// The text of the programme that is shipped for alpha-1 antitrypsin deficiency.
pub const ALPHA_1: &str = include_str!("../../../../config/programmes/alpha-1.toml");

/// The text of the programme that is shipped for heart failure.
pub const HEART_FAILURE: &str = include_str!("../../../../config/programmes/heart-failure.toml");

/// Every programme that is shipped: its file's name and its text.
pub const SHIPPED: &[(&str, &str)] = &[
    ("copd.toml", COPD),
    ("copd-baseline.toml", COPD_BASELINE),
    ("pulmonary-fibrosis.toml", PULMONARY_FIBROSIS),
    ("alpha-1.toml", ALPHA_1),
    ("heart-failure.toml", HEART_FAILURE),
    ("news2-home.toml", NEWS2_HOME),
];

/// A programme that can be used: parsed, checked, its examples have run.
#[derive(Clone, Debug)]
pub struct Programme {
    file: String,
    id: String,
    version: u32,
    title: Text,
    zone: TimeZone,
    source: Option<String>,
    clinic: Clinic,
    questionnaires: Vec<Questionnaire>,
    strata: Vec<Stratum>,
    rules: Vec<Rule>,
    examples: usize,
    /// The marks that its examples want.
    shown: BTreeSet<Mark>,
}

impl Programme {
    /// Reads a programme file; `file` is its name, for the faults.
    ///
    /// # Errors
    /// [`ProgrammeError`] with every fault found: each says file, line, column, field, what was found and what was wanted.
    pub fn parse(text: &str, file: &str) -> Result<Self, ProgrammeError> {
        check_length(text, file, PROGRAMME_BYTES_MAX)?;
        Self::read(place::Document::parse(text, file)).map(|(programme, _)| programme)
    }

    /// Reads a programme that was stored: it was checked when it came in, and is judged by whatever today's Vagt is stricter in. What would be
    /// refused today stands beside it: bounds that it does not keep, and worked examples that come out otherwise, which are left out of it.
    ///
    /// # Errors
    /// [`ProgrammeError`] with every other fault.
    pub fn stored(text: &str, file: &str) -> Result<(Self, Vec<Problem>), ProgrammeError> {
        check_length(text, file, PROGRAMME_BYTES_MAX)?;
        Self::read(place::Document::parse(text, file).of_stored())
    }

    fn read(mut document: place::Document<'_>) -> Result<(Self, Vec<Problem>), ProgrammeError> {
        let Some((programme, examples)) = check::programme(&mut document) else { return document.finish(None) };
        let programme = Arc::new(programme);
        if !document.is_faulty() && !examples.is_empty() {
            let book = Rulebook::new(vec![Arc::clone(&programme)], Arc::new(crate::Clinic::bare()))?;
            for (at, example) in examples.iter().enumerate() {
                if let Err(fault) = example::run(&programme, &book, example) {
                    document.refuse_new(&place::steps!["example", at], fault);
                }
            }
        }
        let refused = document.take_outgrown();
        let failing = refused.iter().filter(|problem| problem.example().is_some()).count();
        let programme = document.finish(Some(Arc::unwrap_or_clone(programme)))?;
        Ok((Self { examples: programme.examples - failing, ..programme }, refused))
    }

    /// The marks that its limits can give and that no worked example of it wants; of one without limits, yellow where no example wants anybody.
    #[must_use]
    pub fn unshown(&self) -> Vec<Mark> {
        let ladders = || self.rules.iter().filter(|rule| !rule.ingredient).filter_map(|rule| rule.judge.ladder());
        let gives = |mark: Mark| {
            ladders().any(|ladder| {
                Rung::ALL.iter().any(|rung| mark == Mark::from(rung.colour()) && ladder.at(*rung).is_some())
            })
        };
        let unshown = |mark: &Mark| gives(*mark) && !self.shown.contains(mark);
        let marks: Vec<Mark> = [Mark::Yellow, Mark::Red].into_iter().filter(unshown).collect();
        let shows_nobody = self.shown.iter().all(|mark| *mark == Mark::Green);
        if marks.is_empty() && shows_nobody { vec![Mark::Yellow] } else { marks }
    }

    /// The name of the file that it was read from.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its id, e.g. `copd`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Its English title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title.en
    }

    /// Its title in both languages.
    #[must_use]
    pub fn titles(&self) -> &Text {
        &self.title
    }

    /// The zone of its schedules, where the clinic does not say another.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Its questionnaires, for the kit's pages.
    #[must_use]
    pub fn questionnaires(&self) -> &[Questionnaire] {
        &self.questionnaires
    }

    /// Its risk levels.
    #[must_use]
    pub fn strata(&self) -> &[Stratum] {
        &self.strata
    }

    /// How many examples ran.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The whole programme in plain English words.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = format!("{} ({}), version {}.\n", self.title.en, self.id, self.version);
        let mut line = |words: String| writeln!(text, "{words}").expect("a String takes any text");
        if let Some(source) = &self.source {
            line(format!("Source: {source}"));
        }
        line("\nRules:".to_owned());
        for rule in &self.rules {
            let source = rule.source.as_ref().map(|source| format!(" (Source: {source})")).unwrap_or_default();
            let words = rule.judge.explain(self);
            let feeds = match rule.ingredient {
                true => "for other rules".to_owned(),
                false => format!("alerts of family {}", rule.family),
            };
            let when = rule.when.explain();
            line(format!("- {} [{}, {feeds}]: {when}{words}{source}", rule.id, rule.kind));
        }
        if !self.strata.is_empty() {
            line("\nRisk levels:".to_owned());
        }
        for level in &self.strata {
            let source = level.source.as_ref().map(|source| format!(" (Source: {source})")).unwrap_or_default();
            let schedules = if level.schedules.is_empty() {
                String::new()
            } else {
                format!(", schedules {}", level.schedules.join(", "))
            };
            line(format!("- {} {:?}: rank {}{schedules}{source}", level.id, level.title.en, level.rank));
        }
        for questionnaire in &self.questionnaires {
            line(format!(
                "\nQuestionnaire {:?} ({} {}):",
                questionnaire.title.en, questionnaire.id, questionnaire.version
            ));
            questionnaire.question.iter().for_each(|question| line(self.question_in_words(questionnaire, question)));
        }
        let clinic = &self.clinic;
        line("\nChosen by the clinic itself, stated by no published plan:".to_owned());
        line(format!("- A reading older than {} when it arrives is judged as late.", in_words(clinic.late_after.0)));
        line(format!(
            "- {} normal sittings in a row ease a yellow alert. A red one is ended by a person alone.",
            clinic.ease_after_sittings
        ));
        line(format!("- A scheduled measurement may be taken {} early.", in_words(clinic.early.0)));
        line(format!("- Data is missing {} after its window has ended.", in_words(clinic.grace.0)));
        if self.rules.iter().any(|rule| STAND_STILL.contains(&rule.kind)) {
            let frozen = in_words(clinic.baseline_frozen.0);
            let refuted =
                if clinic.refuted_reds_freeze { "" } else { " One that was measured again and refuted is none." };
            line(format!(
                "- For {frozen} after a red, what is measured does not count as usual for the person.{refuted}"
            ));
        }
        if let Some(within) = clinic.repeat_within {
            line(format!("- A doubtful value is measured again; a yellow one waits {} for it.", in_words(within.0)));
        }
        if let Some(after) = clinic.silent_kit_after {
            line(format!("- A kit of which nothing was heard for {} is silent.", in_words(after.0)));
        }
        line(format!("\n{} worked examples came out as they should.", self.examples));
        text
    }

    /// The JSON Schema of the file format.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(file::ProgrammeFile).to_value()
    }

    pub(crate) fn clinic(&self) -> &Clinic {
        &self.clinic
    }

    /// Does a schedule hold for people of this risk level?
    pub(crate) fn expects(&self, schedule: &str, stratum: Option<&str>) -> bool {
        let names = |level: &Stratum| level.schedules.iter().any(|named| named == schedule);
        let known = self.strata.iter().find(|level| stratum.is_some_and(|id| id == level.id));
        known.is_none_or(names) || !self.strata.iter().any(names)
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The text and choices of a question.
    pub(crate) fn question(&self, questionnaire: &str, question: &str) -> Option<(&Text, &[Choice])> {
        let questionnaire = self.questionnaires.iter().find(|other| other.id == *questionnaire)?;
        let question = questionnaire.question.iter().find(|other| other.id == *question)?;
        Some((&question.text, &question.choice))
    }

    /// `"More cough?" answered "A lot", red`.
    pub(crate) fn answer_in_words(
        &self,
        questionnaire: &str,
        question: &str,
        answer: &str,
        colour: vitals::Colour,
    ) -> String {
        format!("{}, {colour}", self.answer(questionnaire, question, answer))
    }

    /// `"More cough?" answered "A lot"`.
    pub(crate) fn answer(&self, questionnaire: &str, question: &str, answer: &str) -> String {
        let found = self.question(questionnaire, question);
        let question = found.map_or(question, |(text, _)| &text.en);
        let choice = found.and_then(|(_, choices)| choices.iter().find(|choice| choice.id == answer));
        let answer = choice.map_or(answer, |choice| &choice.text.en);
        format!("{question:?} answered {answer:?}")
    }

    fn question_in_words(&self, questionnaire: &Questionnaire, question: &Question) -> String {
        let is_it = |(of, it): &(Arc<str>, Arc<str>)| **of == *questionnaire.id && **it == *question.id;
        let judged = self.rules.iter().any(|rule| rule.watches.questions.iter().any(is_it));
        let choices: Vec<&str> = question.choice.iter().map(|choice| choice.text.en.as_str()).collect();
        let choices = if choices.is_empty() { "free text".to_owned() } else { choices.join(" / ") };
        let asked = question
            .only_if
            .as_ref()
            .map(|only| format!(", asked if {} is {}", only.question, only.answer))
            .unwrap_or_default();
        let context = if judged { "" } else { "; no significance, for context" };
        format!("- {}: {} [{choices}{asked}{context}]", question.id, question.text.en)
    }
}

/// Refuses a file that is longer than anybody writes.
pub(crate) fn check_length(text: &str, file: &str, most: usize) -> Result<(), ProgrammeError> {
    if text.len() <= most {
        return Ok(());
    }
    let text = format!("found {} bytes, want at most {most}", text.len());
    let problem = Problem { file: file.to_owned(), line: 1, column: 1, field: String::new(), text };
    Err(ProgrammeError::new(vec![problem]))
}
