//! The score file as it is written: typed TOML, unknown fields refused. What it means is checked in `check.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use vitals::Vital;

use crate::{Number, Text};

/// A score: points for each of its parameters, their sum, and what the sum asks for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the schema of the whole; each part is read by itself, so that every fault is found")]
pub struct ScoreFile {
    /// Its id: a-z, 0-9, - and _.
    pub id: String,
    /// Grows with every change that is put into use.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// Its title.
    pub title: Text,
    /// Where its numbers come from.
    pub source: String,
    /// For whom it is not, and what else has to be known before it is used.
    pub note: Option<Text>,
    /// What gives points, in the order of the table.
    pub parameter: Vec<ParameterFile>,
    /// What chooses between tables and gives no points itself.
    #[serde(default)]
    pub setting: Vec<SettingFile>,
    /// What the sum asks for, mildest first.
    pub band: Vec<ResponseFile>,
    /// Worked examples: they run whenever the file is loaded, and it is refused when one comes out otherwise.
    #[serde(default)]
    pub example: Vec<ExampleFile>,
}

/// What gives points: a number with `unit`, `digits` and `bands` (or several `table`s), or one of some `choice`s.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterFile {
    /// Its name, as in the parts of a score.
    pub name: String,
    /// Its title.
    pub title: Text,
    /// The vital that it is, if it is measured by a device.
    pub vital: Option<Vital>,
    /// The unit of its bands; a vital's must be the canonical one.
    pub unit: Option<String>,
    /// So many digits after the point are shown; a finer number is rounded to them first, halves away from zero.
    #[schemars(range(max = 3))]
    pub digits: Option<u32>,
    /// Which numbers are possible at all, where it is no vital. Others are refused.
    pub possible: Option<PossibleFile>,
    /// Its points, where there is one table.
    pub bands: Option<Vec<PointsFile>>,
    /// Its points, where there are several tables: exactly one must fit whatever is chosen.
    #[serde(default)]
    pub table: Vec<TableFile>,
    /// What can be chosen.
    #[serde(default)]
    pub choice: Vec<ChoiceFile>,
}

/// The numbers that are possible, both ends included.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PossibleFile {
    /// The least.
    pub from: Number,
    /// The most.
    pub at_most: Number,
}

/// One cell of a table as it is printed: both ends belong to it, and the next cell begins one displayed step after it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsFile {
    /// What it gives.
    #[schemars(range(max = 100))]
    pub points: u8,
    /// Its least number; none: no lower end.
    pub from: Option<Number>,
    /// Its greatest number; none: no upper end.
    pub at_most: Option<Number>,
}

/// One of several tables.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableFile {
    /// What must be chosen for it: setting or parameter = choice.
    pub when: BTreeMap<String, String>,
    /// Its points.
    pub bands: Vec<PointsFile>,
}

/// Something that can be chosen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoiceFile {
    /// As it is given: letters, digits, - and _.
    pub id: String,
    /// What it says.
    pub title: Text,
    /// What it gives; a setting's choices give nothing.
    #[schemars(range(max = 100))]
    pub points: Option<u8>,
}

/// What chooses between tables.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingFile {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: Text,
    /// What can be chosen.
    pub choice: Vec<ChoiceFile>,
    /// The choice where none is made.
    pub default: String,
    /// What has to be known before another is chosen.
    pub note: Option<Text>,
}

/// What a sum asks for. The last in the list that holds is the score's band.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseFile {
    /// Its id, as in a score's band.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// What is to be done.
    pub response: Text,
    /// The least sum; none: no lower end.
    pub from: Option<u16>,
    /// The greatest sum; none: no upper end.
    pub at_most: Option<u16>,
    /// It holds only where one part alone gives at least so many points.
    pub any_part: Option<u8>,
}

/// A worked example: what is given, and what must come out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleFile {
    /// What it shows.
    pub name: String,
    /// What is given: parameter or setting = number or choice.
    pub given: BTreeMap<String, GivenFile>,
    /// What must come out.
    pub want: WantFile,
}

/// A number or a choice.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GivenFile {
    /// A number, in the parameter's unit.
    Number(Number),
    /// A choice's id.
    Choice(String),
}

/// What must come out of an example.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantFile {
    /// The sum of what is known.
    pub total: u16,
    /// The band's id.
    pub band: String,
    /// Exactly the parameters whose points can't be known; none where it says none.
    #[serde(default)]
    pub missing: Vec<String>,
    /// The points of some parameters.
    #[serde(default)]
    pub parts: BTreeMap<String, u8>,
}
