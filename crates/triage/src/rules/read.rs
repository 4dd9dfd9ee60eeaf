//! How a rule is read from a programme: what every rule has, and its bands; the rest is read by its kind.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, de::DeserializeOwned};
use vitals::Colour;

use super::{RULES, Rule, RuleKind, Watches, When, Written};
use crate::{
    Score,
    bands::{Band, Cut, Ladder},
    programme::{
        Clinic, Length, Number, Questionnaire, Schedule,
        place::{self, Document, Step, steps},
    },
};

/// What every rule has, whatever its kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Common {
    /// Its id.
    id: String,
    /// The family of alerts that it feeds.
    family: String,
    /// Where it comes from.
    source: Option<String>,
    /// It is there for other rules to refer to, and feeds no alert and no colour itself.
    #[serde(default)]
    ingredient: bool,
    /// When it applies at all: `on_oxygen`, `on_air`, `target_88_92`, `no_target_88_92`, or several of them. Always where it says nothing.
    #[serde(default)]
    when: When,
    /// Once a person has closed an alert of it, it raises none for so long, unless it becomes worse or passes and comes again. For what lasts:
    /// a decline over months is not news every day.
    again_after: Option<Length>,
}

/// The keys of [`Common`], and the kind.
const COMMON: [&str; 7] = ["kind", "id", "family", "source", "ingredient", "when", "again_after"];

/// What rules may refer to.
pub(crate) struct Known<'k> {
    pub questionnaires: &'k [(usize, Questionnaire)],
    pub schedules: &'k [(usize, Schedule)],
    pub clinic: Option<Clinic>,
    /// The programme's own; those that are shipped are known everywhere.
    pub scores: &'k [Arc<Score>],
}

/// A rule that is being read.
pub(crate) struct Reader<'d, 'a, 'k> {
    pub document: &'d mut Document<'a>,
    /// Where it stands.
    pub path: &'d [Step],
    pub known: &'d Known<'k>,
    /// The rules before it, with their places, which are the numbers that [`crate::look::Look::other`] wants.
    pub before: &'d [(usize, Rule)],
}

impl Reader<'_, '_, '_> {
    /// What is particular to its kind.
    pub fn file<T: DeserializeOwned + JsonSchema>(&mut self) -> Option<T> {
        self.document.read_without(self.path, &COMMON)
    }

    /// Notes a fault at a field of the rule.
    pub fn fault(&mut self, field: impl IntoIterator<Item = Step>, text: impl Into<String>) {
        let path: Vec<Step> = self.path.iter().cloned().chain(field).collect();
        self.document.problem(&path, text);
    }

    /// The same of what an earlier version of Vagt took in: no fault of a programme that is stored.
    pub fn refuse_new(&mut self, field: impl IntoIterator<Item = Step>, text: impl Into<String>) {
        let path: Vec<Step> = self.path.iter().cloned().chain(field).collect();
        self.document.refuse_new(&path, text);
    }

    /// Is the unit the one that is wanted? `what` is judged in it.
    pub fn unit(&mut self, found: &str, wanted: &str, what: &str) {
        if found != wanted {
            self.fault(steps!["unit"], format!("found {found:?}, want {wanted:?}, the unit in which {what} is judged"));
        }
    }

    /// The ladder of the bands as they are written.
    pub fn ladder(&mut self, bands: &[BandFile]) -> Option<Ladder> {
        let mut ends = Vec::new();
        for (at, written) in bands.iter().enumerate() {
            match cuts(written) {
                Ok(band) => ends.push(band),
                Err(fault) => self.fault(steps!["bands", at], fault),
            }
        }
        if ends.len() < bands.len() {
            return None;
        }
        match Ladder::new(&ends) {
            Ok(ladder) => Some(ladder),
            Err(faults) => {
                faults.into_iter().for_each(|(at, fault)| self.fault(steps!["bands", at], fault));
                None
            }
        }
    }

    /// A question of one of the programme's questionnaires.
    pub fn question(&mut self, questionnaire: &str, question: &str) -> Option<crate::Question> {
        let Some((_, asked_in)) = self.known.questionnaires.iter().find(|(_, other)| other.id == *questionnaire) else {
            self.unknown(steps!["questionnaire"], "questionnaire", questionnaire);
            return None;
        };
        let asked = asked_in.question.iter().find(|other| other.id == *question).cloned();
        if asked.is_none() {
            self.fault(steps!["question"], format!("found {question:?}, want a question of {questionnaire:?}"));
        }
        asked
    }

    /// Notes that nothing of the programme has this id, where `array` should. One that is written and could not be read has faults of its own.
    pub fn unknown(&mut self, field: impl IntoIterator<Item = Step>, array: &str, id: &str) {
        if self.document.place_of(array, id).is_none() {
            self.fault(field, format!("found {id:?}, want the id of a [[{array}]]"));
        }
    }

    /// The place of an earlier rule that is referred to.
    pub fn earlier(&mut self, field: impl IntoIterator<Item = Step>, id: &str) -> Option<usize> {
        let found = self.before.iter().position(|(_, rule)| *rule.id == *id);
        if found.is_none() && !self.is_written_before(id) {
            self.fault(field, format!("found {id:?}, want the id of a rule that stands before this one"));
        }
        found
    }

    /// Does a rule of this id stand before this one, though it could not be read?
    fn is_written_before(&self, id: &str) -> bool {
        self.document.place_of("rule", id).is_some_and(|at| self.path > steps!["rule", at].as_slice())
    }
}

/// One band: half-open, `from`/`below` or `above`/`at_most`, or one of each.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BandFile {
    /// What a value in it means.
    pub mark: Colour,
    /// Its lower end, which belongs to it.
    pub from: Option<Number>,
    /// Its lower end, which does not belong to it.
    pub above: Option<Number>,
    /// Its upper end, which belongs to it.
    pub at_most: Option<Number>,
    /// Its upper end, which does not belong to it.
    pub below: Option<Number>,
}

/// A band's ends as cuts; at most one of each pair may be written.
fn cuts(written: &BandFile) -> Result<Band, &'static str> {
    let BandFile { mark, from, above, at_most, below } = *written;
    let cut = |open: Option<Number>, shut: Option<Number>| {
        open.map(|number| Cut { value: number.0, after: false })
            .or(shut.map(|number| Cut { value: number.0, after: true }))
    };
    if from.is_some() && above.is_some() {
        return Err("found both `from` and `above`, want one lower end");
    }
    if below.is_some() && at_most.is_some() {
        return Err("found both `below` and `at_most`, want one upper end");
    }
    Ok(Band { mark, lower: cut(from, above), upper: cut(below, at_most) })
}

/// Reads one rule; faults are noted in the document.
pub(crate) fn rule(
    document: &mut Document<'_>,
    path: &[Step],
    known: &Known<'_>,
    before: &[(usize, Rule)],
) -> Option<Rule> {
    let at = |key: &str| path.iter().cloned().chain(steps![key]).collect::<Vec<Step>>();
    let kinds: Vec<&str> = RULES.iter().map(|kind| kind.name).collect();
    let Some(written) = document.text(&at("kind")) else {
        let found = document.written(&at("kind"));
        document.problem(&at("kind"), format!("found {found}, want one of {}", kinds.join(", ")));
        return None;
    };
    let Some(kind) = RULES.iter().find(|kind| kind.name == written) else {
        document.problem(&at("kind"), format!("found {written:?}, want one of {}", kinds.join(", ")));
        return None;
    };
    let common = document.read_only::<Common>(path, &COMMON[1..]);
    let judge = (kind.read)(&mut Reader { document, path, known, before });
    let (Common { id, family, source, ingredient, when, again_after }, judge) = (common?, judge?);
    if when.contradicts_itself() {
        document.problem(&at("when"), "found two conditions that are never met together, want others");
    }
    if when != When::default() && judge.missing().is_some() {
        document.problem(
            &at("when"),
            "found a condition on a rule of silence, want none: nothing is measured that could meet it",
        );
    }
    for (key, found, own) in [("id", &id, crate::CALL_RULE), ("family", &family, crate::CALL_FAMILY)] {
        crate::programme::name(document, &at(key), found);
        if *found == own {
            let text = format!("found {found:?}, want another: this one is built in, for people who ask to be called");
            document.problem(&at(key), text);
        }
    }
    let watches: Watches = judge.watches();
    let (id, family, again_after) = (id.into(), family.into(), again_after.map(|length| length.0));
    let of = |field: &str| if field.is_empty() { document.place(path) } else { document.place(&at(field)) };
    let written = Written { path: place::field(path), places: Written::FIELDS.map(of) };
    Some(Rule { id, family, source, ingredient, again_after, when, kind: kind.name, watches, judge, written })
}

/// What may be written of a kind, of its own struct.
pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// What may be written as a rule: one of the kinds, each with what every rule has.
pub(crate) fn rule_schema(generator: &mut SchemaGenerator) -> Schema {
    let common = Common::json_schema(generator);
    let kinds: Vec<serde_json::Value> = RULES.iter().map(|kind| kind_schema(generator, kind, &common)).collect();
    json_schema!({ "description": "One rule.", "oneOf": kinds })
}

fn kind_schema(generator: &mut SchemaGenerator, kind: &RuleKind, common: &Schema) -> serde_json::Value {
    let mut schema = (kind.schema)(generator).to_value();
    let common = common.as_value();
    let merge = |schema: &mut serde_json::Value| {
        for (name, property) in common["properties"].as_object().into_iter().flatten() {
            schema["properties"][name] = property.clone();
        }
        schema["properties"]["kind"] = serde_json::json!({ "const": kind.name });
        let mut required: Vec<serde_json::Value> = vec!["kind".into()];
        for one in [&common["required"], &schema["required"]] {
            required.extend(one.as_array().into_iter().flatten().cloned());
        }
        schema["required"] = required.into();
        schema["description"] = format!("It {}.", kind.does).into();
    };
    merge(&mut schema);
    schema
}

/// For kinds that are kept behind a pointer.
pub(super) fn judge<J: super::Judge + 'static>(judge: J) -> Option<Arc<dyn super::Judge>> {
    Some(Arc::new(judge))
}
