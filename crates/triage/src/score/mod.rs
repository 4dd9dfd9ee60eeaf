//! A score as data: points for each of its parameters, their sum, and what the sum asks for; parsed from TOML, checked, its examples run.
//!
//! Nothing is ever imputed. What was not measured is missing, and says so; the sum of the rest is then the least that the whole can be, since
//! no part takes points away, and so is its band.
//!
//! NEWS2 is shipped (`config/scores/news2.toml`); a national or local score is another file of the same form.

mod check;
mod example;
mod file;
mod given;
mod scored;
mod table;
mod words;

use std::sync::{Arc, LazyLock};

use vitals::{Value, Vital};

pub use file::ScoreFile as File;
pub use given::{Given, InputError, Inputs};
pub use scored::Scored;

use crate::{
    Text,
    bounds::PROGRAMME_BYTES_MAX,
    programme::{
        Problem, ProgrammeError,
        place::{Document, Step, steps},
    },
};
use table::Cells;

/// Parameters of a score.
pub const PARAMETERS_MAX: usize = 16;
/// Settings of a score.
pub const SETTINGS_MAX: usize = 4;
/// Response bands of a score, tables and choices of a parameter.
pub const ROWS_MAX: usize = 32;
/// Everything that can be given to a score.
const INPUTS_MAX: usize = PARAMETERS_MAX + SETTINGS_MAX;

/// The text of NEWS2 (Royal College of Physicians, 2017), as it is shipped.
pub const NEWS2: &str = include_str!("../../../../config/scores/news2.toml");

/// Every score that is shipped: its id and its text.
pub const SCORES: &[(&str, &str)] = &[("news2", NEWS2)];

/// A score that can be used: parsed, checked, its examples have run.
#[derive(Clone, Debug)]
pub struct Score {
    id: String,
    version: u32,
    title: Text,
    source: String,
    note: Option<Text>,
    parameters: Vec<Parameter>,
    settings: Vec<Setting>,
    responses: Vec<Response>,
    examples: usize,
}

/// What gives points.
#[derive(Clone, Debug)]
pub struct Parameter {
    name: String,
    title: Text,
    does: Does,
}

/// How a parameter gives points.
#[derive(Clone, Debug)]
enum Does {
    Number(Scale),
    Choice(Vec<Choice>),
}

/// A number's points.
#[derive(Clone, Debug)]
struct Scale {
    vital: Option<Vital>,
    unit: String,
    digits: u32,
    possible: Option<(Value, Value)>,
    tables: Vec<Table>,
}

/// One table of points, and what must be chosen for it.
#[derive(Clone, Debug)]
struct Table {
    when: Vec<When>,
    cells: Cells,
}

/// The choice of another input, both by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct When {
    input: usize,
    choice: u8,
}

/// Something that can be chosen.
#[derive(Clone, Debug)]
struct Choice {
    id: String,
    title: Text,
    points: u8,
}

/// What chooses between tables.
#[derive(Clone, Debug)]
struct Setting {
    name: String,
    title: Text,
    choices: Vec<Choice>,
    default: u8,
    note: Option<Text>,
}

/// What a sum asks for.
#[derive(Clone, Debug)]
struct Response {
    id: String,
    title: Text,
    response: Text,
    from: u16,
    at_most: u16,
    any_part: Option<u8>,
}

impl Score {
    /// Reads a score file; `file` is its name, for the faults.
    ///
    /// # Errors
    /// [`ProgrammeError`] with every fault found: each says file, line, column, field, what was found and what was wanted.
    pub fn parse(text: &str, file: &str) -> Result<Self, ProgrammeError> {
        if text.len() > PROGRAMME_BYTES_MAX {
            let text = format!("found {} bytes, want at most {PROGRAMME_BYTES_MAX}", text.len());
            let problem = Problem { file: file.to_owned(), line: 1, column: 1, field: String::new(), text };
            return Err(ProgrammeError::new(vec![problem]));
        }
        let mut document = Document::parse(text, file);
        let score = if document.is_faulty() { None } else { Self::read(&mut document, &steps![]) };
        document.finish(score)
    }

    /// Reads the score that stands at a path of a document, and runs its examples; faults are noted there.
    pub(crate) fn read(document: &mut Document<'_>, path: &[Step]) -> Option<Self> {
        let (score, examples) = check::score(document, path)?;
        if !document.is_faulty() {
            for (at, example) in examples.iter().enumerate() {
                if let Err(fault) = example::run(&score, example) {
                    document.problem(&check::under(path, steps!["example", at]), fault);
                }
            }
        }
        Some(score)
    }

    /// A score that is shipped.
    #[must_use]
    pub fn shipped(id: &str) -> Option<Arc<Self>> {
        static PARSED: LazyLock<Vec<Arc<Score>>> = LazyLock::new(|| {
            let parse = |(id, text): &(&str, &str)| Score::parse(text, id).expect("a test parses each");
            SCORES.iter().map(parse).map(Arc::new).collect()
        });
        PARSED.iter().find(|score| score.id == id).cloned()
    }

    /// Its id, e.g. `news2`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Its title in both languages.
    #[must_use]
    pub fn title(&self) -> &Text {
        &self.title
    }

    /// Where its numbers come from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What gives points, in the order of its table.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The ids of its response bands, mildest first.
    pub fn bands(&self) -> impl Iterator<Item = &str> {
        self.responses.iter().map(|response| response.id.as_str())
    }

    /// How many examples ran.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Nothing given yet, but for the settings' defaults.
    #[must_use]
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs::new(self)
    }

    /// The JSON Schema of the file format.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(file::ScoreFile).to_value()
    }

    /// The most points that there are.
    pub(crate) fn most(&self) -> u16 {
        self.parameters.iter().map(|parameter| u16::from(parameter.most())).sum()
    }

    /// The place of a setting.
    pub(crate) fn setting(&self, name: &str) -> Option<usize> {
        self.place(name).filter(|place| *place >= self.parameters.len())
    }

    /// The place of an input that has these choices, among others.
    pub(crate) fn place_with_choices(&self, name: &str, choices: &[&str]) -> Option<usize> {
        let place = self.place(name)?;
        let known = self.choices(place);
        choices.iter().all(|choice| known.iter().any(|other| other.id == *choice)).then_some(place)
    }

    /// The name of an input by its place: parameters first, then settings.
    fn name(&self, input: usize) -> Option<&str> {
        let setting = || self.settings.get(input - self.parameters.len()).map(|setting| setting.name.as_str());
        self.parameters.get(input).map(|parameter| parameter.name.as_str()).or_else(setting)
    }

    /// The place of an input.
    fn place(&self, name: &str) -> Option<usize> {
        (0..self.parameters.len() + self.settings.len()).find(|&input| self.name(input) == Some(name))
    }

    /// What can be chosen for an input; nothing for a number.
    fn choices(&self, input: usize) -> &[Choice] {
        match self.parameters.get(input).map(|parameter| &parameter.does) {
            Some(Does::Choice(choices)) => choices,
            Some(Does::Number(_)) => &[],
            None => self.settings.get(input - self.parameters.len()).map_or(&[], |setting| &setting.choices),
        }
    }
}

impl Parameter {
    /// Its name, as in the parts of a score.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its title in both languages.
    #[must_use]
    pub fn title(&self) -> &Text {
        &self.title
    }

    /// Its name in an English sentence.
    #[must_use]
    pub fn label(&self) -> &str {
        self.vital().map_or(self.title.en.as_str(), |vital| vital.info().label)
    }

    /// The vital that it is, if it is measured by a device.
    #[must_use]
    pub fn vital(&self) -> Option<Vital> {
        match &self.does {
            Does::Number(scale) => scale.vital,
            Does::Choice(_) => None,
        }
    }

    /// The ids of what can be chosen; none for a number.
    pub fn choices(&self) -> impl Iterator<Item = &str> {
        let choices: &[Choice] = match &self.does {
            Does::Choice(choices) => choices,
            Does::Number(_) => &[],
        };
        choices.iter().map(|choice| choice.id.as_str())
    }

    /// The most points that it gives.
    fn most(&self) -> u8 {
        match &self.does {
            Does::Number(scale) => scale.tables.iter().map(|table| table.cells.most()).max().unwrap_or(0),
            Does::Choice(choices) => choices.iter().map(|choice| choice.points).max().unwrap_or(0),
        }
    }
}

impl Scale {
    fn plain_unit(&self) -> &str {
        self.vital.map_or(self.unit.as_str(), |vital| vital.unit().plain())
    }
}
