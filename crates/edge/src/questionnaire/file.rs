//! A questionnaire's file, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;
use vitals::Colour;

use crate::round::Text;

/// Questions that a person answers together, with branches, significances and worked examples.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its id, as in an answer: 1 to 64 of a-z, 0-9 and -.
    #[schemars(with = "String")]
    pub id: Spanned<String>,
    /// Its version, as in an answer. It grows when a question changes its meaning.
    pub version: u32,
    /// Its title.
    pub title: Text,
    /// Where its questions and significances come from.
    pub source: String,
    /// Its questions, the first of which is asked first.
    #[serde(rename = "question")]
    #[schemars(with = "Vec<QuestionFile>", length(min = 1, max = 64))]
    pub questions: Vec<Spanned<QuestionFile>>,
    /// What answers mean together.
    #[serde(default, rename = "path")]
    #[schemars(with = "Vec<PathFile>", length(max = 64))]
    pub paths: Vec<Spanned<PathFile>>,
    /// Worked examples: they are run whenever the file is read.
    #[serde(default, rename = "example")]
    #[schemars(with = "Vec<ExampleFile>", length(max = 256))]
    pub examples: Vec<Spanned<ExampleFile>>,
}

/// One question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionFile {
    /// Its id, as in an answer: 1 to 64 of a-z, 0-9 and _.
    #[schemars(with = "String")]
    pub id: Spanned<String>,
    /// The question.
    pub text: Text,
    /// What may help to answer it.
    #[serde(default)]
    pub help: Option<Text>,
    /// How it is answered.
    pub kind: Kind,
    /// Of a choice: what can be chosen, in order.
    #[serde(default, rename = "choice")]
    #[schemars(with = "Vec<ChoiceFile>", length(max = 32))]
    pub choices: Vec<Spanned<ChoiceFile>>,
    /// Of yes or no: what yes means.
    #[serde(default)]
    #[schemars(with = "Option<Branch>")]
    pub yes: Option<Spanned<Branch>>,
    /// Of yes or no: what no means.
    #[serde(default)]
    #[schemars(with = "Option<Branch>")]
    pub no: Option<Spanned<Branch>>,
    /// Of a number: in what.
    #[serde(default)]
    pub unit: Option<Text>,
    /// Of a number: the smallest that is taken.
    #[serde(default)]
    pub min: Option<f64>,
    /// Of a number: the largest that is taken.
    #[serde(default)]
    pub max: Option<f64>,
    /// Of a number: digits after the decimal sign, at most 3; none if left out.
    #[serde(default)]
    pub decimals: Option<u8>,
    /// Of a number: what ranges of it mean.
    #[serde(default, rename = "range")]
    #[schemars(with = "Vec<RangeFile>", length(max = 16))]
    pub ranges: Vec<Spanned<RangeFile>>,
    /// Of a text: characters, at most 2000; 500 if left out.
    #[serde(default)]
    pub length_max: Option<u16>,
    /// The question after this, or `end`; the one that follows in the file if left out. An answer's own `next` goes before it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub next: Option<Spanned<String>>,
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One of several.
    Choice,
    /// A number within a range.
    Number,
    /// Yes or no.
    YesNo,
    /// Words.
    Text,
}

/// One possible choice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoiceFile {
    /// The answer: 1 to 64 of a-z, 0-9 and _.
    pub id: String,
    /// What it says.
    pub text: Text,
    /// What it means by itself.
    #[serde(default)]
    pub significance: Option<Colour>,
    /// The question after it, or `end`.
    #[serde(default)]
    pub next: Option<String>,
}

/// What an answer means.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// By itself.
    #[serde(default)]
    pub significance: Option<Colour>,
    /// The question after it, or `end`.
    #[serde(default)]
    pub next: Option<String>,
}

/// What a range of numbers means: from `from` on (included) and below `below` (not included).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeFile {
    /// Its lower end, included.
    #[serde(default)]
    pub from: Option<f64>,
    /// Its upper end, not included.
    #[serde(default)]
    pub below: Option<f64>,
    /// By itself.
    #[serde(default)]
    pub significance: Option<Colour>,
    /// The question after it, or `end`.
    #[serde(default)]
    pub next: Option<String>,
}

/// What answers mean together: it holds when each of these questions has one of the answers listed for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathFile {
    /// Question to answers. Numbers and texts can't be listed.
    pub when: BTreeMap<String, Vec<String>>,
    /// What it means.
    pub significance: Colour,
    /// Where that comes from.
    pub source: String,
}

/// A worked example.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleFile {
    /// What it shows.
    pub name: String,
    /// Question to answer; a question that is asked and not listed is skipped.
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
    /// What must come of it.
    pub want: Want,
}

/// What must come of an example.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Want {
    /// The questions that are asked, in order.
    pub asked: Vec<String>,
    /// What the answers mean.
    pub significance: Colour,
}
