//! What was said beside a measurement: meal, exercise, medication. All of it becomes flags, none of it speaks against the value.

use vitals::{Flag, Value};

use crate::{DecodeError, gatt::Fields};

const WHAT: &str = "glucose context";

const CARBOHYDRATE: u8 = 0;
const MEAL: u8 = 1;
const TESTER: u8 = 2;
const EXERCISE: u8 = 3;
const MEDICATION: u8 = 4;
const LITRES: u8 = 5;
const HBA1C: u8 = 6;
const MORE_FLAGS: u8 = 7;
const OPTIONAL: &[(u8, usize)] =
    &[(MORE_FLAGS, 1), (CARBOHYDRATE, 3), (MEAL, 1), (TESTER, 1), (EXERCISE, 3), (MEDICATION, 3), (HBA1C, 2)];

const CARBOHYDRATES: [&str; 7] = [
    "carbohydrate_breakfast",
    "carbohydrate_lunch",
    "carbohydrate_dinner",
    "carbohydrate_snack",
    "carbohydrate_drink",
    "carbohydrate_supper",
    "carbohydrate_brunch",
];
const MEALS: [&str; 5] = ["meal_before", "meal_after", "meal_fasting", "meal_casual", "meal_bedtime"];
const TESTERS: [&str; 3] = ["tester_self", "tester_professional", "tester_laboratory"];
const HEALTH: [&str; 5] =
    ["health_minor_issues", "health_major_issues", "health_menses", "health_stress", "health_no_issues"];
const MEDICATIONS: [&str; 5] = [
    "medication_rapid_insulin",
    "medication_short_insulin",
    "medication_middle_insulin",
    "medication_long_insulin",
    "medication_premixed_insulin",
];

/// One value of 2A34.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The number of its measurement.
    pub number: u16,
    /// What was eaten, and kilograms of it.
    pub carbohydrate: Option<(u8, Option<Value>)>,
    /// When, beside the meal.
    pub meal: Option<u8>,
    /// Who measured, and how that person is.
    pub tester_and_health: Option<(u8, u8)>,
    /// Seconds of exercise, and how hard, percent.
    pub exercise: Option<(u16, u8)>,
    /// Which medicine, and how much of it.
    pub medication: Option<(u8, Option<Value>)>,
    /// Is that in litres, not kilograms?
    pub litres: bool,
    /// HbA1c, percent.
    pub hba1c: Option<Value>,
}

impl Context {
    /// Reads a value of 2A34.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`] and [`DecodeError::TooLong`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (bits, mut fields) = Fields::after_flags(WHAT, bytes, 3, OPTIONAL)?;
        let has = |bit: u8| bits & (1 << bit) != 0;
        let number = fields.u16();
        if has(MORE_FLAGS) {
            fields.u8();
        }
        Ok(Self {
            number,
            carbohydrate: has(CARBOHYDRATE).then(|| (fields.u8(), fields.sfloat())),
            meal: has(MEAL).then(|| fields.u8()),
            tester_and_health: has(TESTER).then(|| fields.u8()).map(|both| (both & 0x0f, both >> 4)),
            exercise: has(EXERCISE).then(|| (fields.u16(), fields.u8())),
            medication: has(MEDICATION).then(|| (fields.u8(), fields.sfloat())),
            litres: has(LITRES),
            hba1c: if has(HBA1C) { fields.sfloat() } else { None },
        })
    }

    /// The same as flags. How much of it has no flag.
    pub fn flags(&self) -> impl Iterator<Item = Flag> {
        let named = |names: &[&'static str], code: Option<u8>| {
            names.get(usize::from(code?).checked_sub(1)?).map(|name| Flag::new(name))
        };
        let (tester, health) = self.tester_and_health.unzip();
        let flags = [
            named(&CARBOHYDRATES, self.carbohydrate.map(|(what, _)| what)),
            named(&MEALS, self.meal),
            named(&TESTERS, tester),
            named(&HEALTH, health),
            self.exercise.map(|_| Flag::new("exercise")),
            named(&MEDICATIONS, self.medication.map(|(what, _)| what)),
        ];
        flags.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape;

    #[track_caller]
    fn check(hex: &str, wanted: &str) {
        let read = Context::parse(&tape::bytes(hex));
        let said = read.map_or_else(
            |error| error.to_string(),
            |read| {
                format!("{} {}", read.number, read.flags().map(|flag| flag.to_string()).collect::<Vec<_>>().join(" "))
            },
        );
        assert_eq!(said, wanted);
    }

    #[test]
    fn a_context_becomes_flags_that_speak_against_nothing() {
        check("000100", "1 ");
        check("020500 03", "5 meal_fasting");
        check(
            "ff0200 00 0164b0 05 51 1e0032 0410b0 4ff0",
            "2 carbohydrate_breakfast meal_bedtime tester_self health_no_issues exercise medication_long_insulin",
        );
        check("020500 09", "5 ");
        check("020500", "glucose context: 3 bytes, need at least 4");
        check("0005000a", "glucose context: 4 bytes, at most 3 are meant by its flags");
        let all = Context::parse(&tape::bytes("ff0200000164b005511e00320410b04ff0")).unwrap();
        assert!(all.litres && all.flags().all(|flag| !flag.is_doubt()));
        assert_eq!(all.hba1c.unwrap().to_string(), "7.9");
    }
}
