//! The programme file as it is written: typed TOML, unknown fields refused. What it means is checked in `check.rs`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, civil};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vitals::{Flag, Unit, Value, Vital};

use crate::{Mark, Own};

/// A programme: a versioned set of rules, schedules and questionnaires for one condition.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the schema of the whole; each part is read by itself, so that every fault is found")]
pub struct ProgrammeFile {
    /// Its id: a-z, 0-9 and -.
    pub id: String,
    /// Grows with every change that is put into use.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// Its title.
    pub title: Text,
    /// The IANA time zone of its schedules, where the clinic does not say another.
    pub zone: String,
    /// Where its limits come from.
    pub source: Option<String>,
    /// What the clinic chose itself: no published plan states these.
    pub clinic: Clinic,
    /// Its questionnaires.
    #[serde(default)]
    pub questionnaire: Vec<Questionnaire>,
    /// When something is expected.
    #[serde(default)]
    pub schedule: Vec<Schedule>,
    /// Its risk levels.
    #[serde(default)]
    pub stratum: Vec<Stratum>,
    /// Scores of its own, for rules of the kind `score`. Those that are shipped are known everywhere.
    #[serde(default)]
    pub score: Vec<crate::score::File>,
    /// Its rules.
    pub rule: Vec<AnyRule>,
    /// Worked examples: they run whenever the file is loaded, and it is refused when one comes out otherwise.
    #[serde(default)]
    pub example: Vec<Example>,
}

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Danish.
    pub da: String,
}

/// What the clinic chose itself: no published plan states these.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clinic {
    /// Readings older than this when they arrive are judged as late.
    pub late_after: Length,
    /// So many normal sittings in a row ease a yellow alert.
    #[schemars(range(min = 1, max = 100))]
    pub ease_after_sittings: u32,
    /// How long before its time a scheduled measurement may be taken.
    pub early: Length,
    /// How long after its window expected data may still arrive before it is missing.
    pub grace: Length,
    /// What is doubtful is to be measured again: a yellow waits so long for it before anybody is told, a red is told at once as provisional.
    /// Without it nothing waits.
    pub repeat_within: Option<Length>,
    /// A kit of which nothing was heard for so long is silent, and what does not come is put down to it. The clinic's own default where it
    /// says nothing; of a patient's programmes the strictest counts.
    pub silent_kit_after: Option<Length>,
    /// So long after a red, what is measured says nothing of the patient's normal state.
    #[serde(default = "frozen")]
    pub baseline_frozen: Length,
    /// So does a red of doubtful values that another measurement, in time and beyond doubt, has refuted: yes where it says nothing, as in
    /// versions from before this could be said.
    #[serde(default = "yes")]
    pub refuted_reds_freeze: bool,
}

fn yes() -> bool {
    true
}

fn frozen() -> Length {
    Length(SignedDuration::from_hours(24 * 7))
}

/// A length of time with its unit, e.g. `4h` or `90m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub SignedDuration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wanted = "want a length of time with its unit, e.g. \"4h\" or \"90m\"";
        let length = text
            .parse::<SignedDuration>()
            .map_err(|_| serde::de::Error::custom(format!("found {text:?}, {wanted}")))?;
        if length.is_negative() {
            return Err(serde::de::Error::custom(format!("found {text:?}, which is negative, {wanted}")));
        }
        Ok(Self(length))
    }
}

impl JsonSchema for Length {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a length of time with its unit", "examples": ["4h", "90m"] })
    }
}

/// For the schema: a time of day.
struct TimeOfDay;

impl JsonSchema for TimeOfDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a time of day in quotes", "examples": ["08:00", "17:30"] })
    }
}

/// For the schema: a local time.
struct LocalTime;

impl JsonSchema for LocalTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LocalTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let what = "a day and time, without zone, in quotes";
        json_schema!({ "type": "string", "description": what, "examples": ["2026-11-23T08:00"] })
    }
}

/// A number of a limit, read by its shortest decimal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub Value);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl serde::de::Visitor<'_> for Visit {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(Value::new(number, 0)))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Number, E> {
                number.to_string().parse().map(Number).map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Number, E> {
                number.to_string().parse().map(Number).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        match text.parse::<i64>() {
            Ok(whole) => serializer.serialize_i64(whole),
            Err(_) => serializer.serialize_f64(self.0.to_f64()),
        }
    }
}

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

/// Questions that a patient answers together.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Questionnaire {
    /// Its id, as in an answer.
    pub id: String,
    /// Its version, as in an answer.
    pub version: u32,
    /// Its title.
    pub title: Text,
    /// Its questions, in order.
    pub question: Vec<Question>,
}

/// One question.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its id, as in an answer.
    pub id: String,
    /// The question.
    pub text: Text,
    /// What can be answered, in order; none: free text.
    #[serde(default)]
    pub choice: Vec<Choice>,
    /// It is asked only when another question has been answered so.
    pub only_if: Option<OnlyIf>,
}

/// A condition for asking.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnlyIf {
    /// The other question.
    pub question: String,
    /// Its answer.
    pub answer: String,
}

/// One possible answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its id, as in an answer.
    pub id: String,
    /// What it says.
    pub text: Text,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    /// The same, as the calendar's library names it.
    pub fn weekday(self) -> civil::Weekday {
        civil::Weekday::from_monday_zero_offset(self as i8).expect("seven days, from Monday on")
    }
}

/// When something is expected.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// On which days.
    pub days: Vec<Day>,
    /// At which local time.
    #[schemars(with = "TimeOfDay")]
    pub at: civil::Time,
    /// How long after it the measurement may be taken.
    pub window: Length,
    /// Where it comes from.
    pub source: Option<String>,
}

/// A risk level of the people in the programme.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stratum {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// How urgent: of people who wait with the same mark, those of a higher rank come first. From 1 on; nobody's level is 0.
    #[schemars(range(min = 1))]
    pub rank: u8,
    /// Schedules that hold for it: ids. A schedule that some risk level names holds for those that name it, and for people of whom no level
    /// is known; one that none names holds for everybody.
    #[serde(default)]
    pub schedules: Vec<String>,
    /// Where it comes from.
    pub source: Option<String>,
}

/// One rule, of any kind.
#[derive(Deserialize)]
#[serde(transparent)]
#[allow(dead_code, reason = "for the schema; a rule is read as its kind's own struct, so that a fault keeps its place")]
pub struct AnyRule(serde_json::Value);

impl JsonSchema for AnyRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        crate::rules::rule_schema(generator)
    }
}

/// A worked example: what is given, at once or over days, and exactly which findings must come out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// When its first readings are taken: local time in the programme's zone. Monday 2026-11-23 08:00 where it says none. The person is
    /// watched from that day's beginning on.
    #[schemars(with = "Option<LocalTime>")]
    pub at: Option<civil::DateTime>,
    /// When it is judged: local time. As soon as the last of it has come where it says none.
    #[schemars(with = "Option<LocalTime>")]
    pub now: Option<civil::DateTime>,
    /// What is measured first.
    #[serde(default)]
    pub readings: Vec<ExampleReading>,
    /// What is answered first: question = answer.
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
    /// What comes after it.
    #[serde(default)]
    pub step: Vec<ExampleStep>,
    /// The person's own reference values, which hold all the time: rule = value.
    #[serde(default)]
    pub references: BTreeMap<String, ExampleReference>,
    /// The person's own settings, whole.
    #[serde(default)]
    pub own: Own,
    /// The person's risk level.
    pub stratum: Option<String>,
    /// Since when the kit is silent: local time. What comes later says that it is there again.
    #[schemars(with = "Option<LocalTime>")]
    pub silent_kit: Option<civil::DateTime>,
    /// The findings that must stand at the end: rule = mark.
    pub want: BTreeMap<String, Mark>,
    /// The alerts that must be open at the end: family = mark. Not looked at where it says nothing.
    pub alerts: Option<BTreeMap<String, Mark>>,
}

/// A person's own reference value in an example.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleReference {
    /// How much.
    pub value: Number,
    /// In which unit.
    pub unit: Unit,
}

/// One sitting of an example, or several that are like each other.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleStep {
    /// How long after what came before it, on the clock on the wall.
    pub after: Option<Length>,
    /// Or when: local time.
    #[schemars(with = "Option<LocalTime>")]
    pub at: Option<civil::DateTime>,
    /// It happens so many times: once where it says nothing.
    #[serde(default = "once")]
    #[schemars(range(min = 1))]
    pub repeat: u32,
    /// How far apart: as `after`, where it says nothing, and a day where that says nothing either.
    pub every: Option<Length>,
    /// What is measured.
    #[serde(default)]
    pub readings: Vec<ExampleReading>,
    /// What is answered: question = answer.
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
}

fn once() -> u32 {
    1
}

/// A measured value of an example.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleReading {
    /// Which vital.
    pub vital: Vital,
    /// How much.
    pub value: Option<Number>,
    /// Or how much at each repetition of its step, in turn and then from the first on again.
    #[serde(default)]
    pub values: Vec<Number>,
    /// How much it changes with each repetition of its step.
    pub drift: Option<Number>,
    /// In which unit.
    pub unit: Unit,
    /// What the device says of it.
    #[serde(default)]
    pub flags: Vec<Flag>,
}
