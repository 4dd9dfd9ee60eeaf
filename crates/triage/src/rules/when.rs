//! When a rule applies at all: on oxygen or on air, with or without a target of 88 to 92 %.
//!
//! Who breathes oxygen is what the newest flow of the last day says, else the patient's own settings, else nobody: whoever is not known to
//! breathe oxygen breathes air, and whoever is not known to have a target of 88 to 92 % has none, so that of two rules that part the
//! patients between them one always applies. A flow that was measured in the same sitting counts, whichever came first.

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use vitals::Vital;

use crate::{
    OwnOxygen,
    assess::TOGETHER,
    look::Look,
    own::Lasting,
    series::{Need, length, nanos},
};

/// A flow says so long whether somebody breathes oxygen.
const FLOW_COUNTS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// One condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    OnOxygen,
    OnAir,
    #[serde(rename = "target_88_92")]
    Target,
    #[serde(rename = "no_target_88_92")]
    NoTarget,
}

/// All of these; none: always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct When(Vec<Condition>);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = When;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a condition or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<When, E> {
                Condition::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| When(vec![one]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<When, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(When(all))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

impl JsonSchema for When {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "When".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Condition>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl When {
    /// What it needs to be known.
    pub fn needs(&self) -> Option<(Vital, Need)> {
        let asks = |one: &Condition| matches!(one, Condition::OnOxygen | Condition::OnAir);
        self.0.iter().any(asks).then(|| (Vital::OxygenFlow, Need::raw(FLOW_COUNTS_FOR)))
    }

    /// Two conditions that are never met together.
    pub fn contradicts_itself(&self) -> bool {
        use Condition::{NoTarget, OnAir, OnOxygen, Target};
        [(OnOxygen, OnAir), (Target, NoTarget)].iter().any(|(one, two)| self.0.contains(one) && self.0.contains(two))
    }

    /// Is it met?
    pub fn holds(&self, look: &Look<'_>) -> bool {
        self.0.is_empty() || self.holds_for(on_oxygen(look), own(look).is_some_and(|own| own.target_88_92))
    }

    /// Is it met by somebody who breathes oxygen or not, and has a target of 88 to 92 % or not?
    pub fn holds_for(&self, on_oxygen: bool, target: bool) -> bool {
        self.0.iter().all(|one| match one {
            Condition::OnOxygen => on_oxygen,
            Condition::OnAir => !on_oxygen,
            Condition::Target => target,
            Condition::NoTarget => !target,
        })
    }

    /// `Applies on oxygen and with a target of 88 to 92 %. `, or nothing.
    pub fn explain(&self) -> String {
        let words = |one: &Condition| match one {
            Condition::OnOxygen => "on oxygen",
            Condition::OnAir => "on air",
            Condition::Target => "with a target of 88 to 92 %",
            Condition::NoTarget => "without a target of 88 to 92 %",
        };
        let all: Vec<&str> = self.0.iter().map(words).collect();
        if all.is_empty() { String::new() } else { format!("Applies {}. ", all.join(" and ")) }
    }
}

/// Does the patient breathe oxygen, as far as is known?
fn on_oxygen(look: &Look<'_>) -> bool {
    let flows = look.chart.series(Vital::OxygenFlow);
    let flow = flows.and_then(|flows| flows.until(look.at.saturating_add(length(TOGETHER))).last());
    match flow.filter(|flow| flow.at >= look.at.saturating_sub(length(FLOW_COUNTS_FOR))) {
        Some(flow) => !flow.value().decimal().is_zero(),
        None => own(look).is_some_and(|own| own.at_home),
    }
}

/// What was set last of what holds now.
fn own<'a>(look: &Look<'a>) -> Option<&'a OwnOxygen> {
    let own = look.plan.own().oxygen.iter();
    own.filter(|own| nanos(own.from) <= look.at && own.holds(look.time())).max_by_key(|own| own.from)
}
