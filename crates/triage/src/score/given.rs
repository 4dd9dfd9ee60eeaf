//! What is given to a score: numbers and choices, each checked against what is possible when it is given. What is not given stays missing.

use vitals::{Plausibility, Value, check_value};

use super::{Does, INPUTS_MAX, PARAMETERS_MAX, Parameter, Scale, Score, Scored, Table, table};

/// A number or a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given<'a> {
    /// A number, in the parameter's unit.
    Number(Value),
    /// A choice's id.
    Choice(&'a str),
}

/// Why something can't be given to a score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The score knows no such input.
    #[error("score {score} has no {name:?}; it has {known}")]
    Unknown {
        /// The score.
        score: String,
        /// What was named.
        name: String,
        /// What there is.
        known: String,
    },
    /// A number where one of some choices is wanted, or another choice.
    #[error("{name} is {found:?}, want one of {wanted}")]
    NoChoice {
        /// The input.
        name: String,
        /// What was given.
        found: String,
        /// What there is.
        wanted: String,
    },
    /// A choice where a number is wanted.
    #[error("{name} is {found:?}, want a number in {unit}")]
    NoNumber {
        /// The input.
        name: String,
        /// What was given.
        found: String,
        /// The unit of its bands.
        unit: String,
    },
    /// No body has such a value.
    #[error("{0}")]
    Impossible(String),
}

/// What is given, as the score keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The step that the number counts as.
    Step(i64),
    /// The choice, by its place.
    Choice(u8),
}

/// What is given to one score.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'s> {
    score: &'s Score,
    kept: [Option<Kept>; INPUTS_MAX],
}

impl<'s> Inputs<'s> {
    pub(super) fn new(score: &'s Score) -> Self {
        let mut kept = [None; INPUTS_MAX];
        for (at, setting) in score.settings.iter().enumerate() {
            kept[score.parameters.len() + at] = Some(Kept::Choice(setting.default));
        }
        Self { score, kept }
    }

    /// Gives a number or a choice to a parameter or a setting; what was given before is forgotten.
    ///
    /// # Errors
    /// [`InputError`] when there is no such input, or it can't be that.
    pub fn give(&mut self, name: &str, given: Given<'_>) -> Result<(), InputError> {
        let input = self.score.place(name).ok_or_else(|| self.unknown(name))?;
        self.give_at(input, given)
    }

    /// The same by the input's place.
    pub(crate) fn give_at(&mut self, input: usize, given: Given<'_>) -> Result<(), InputError> {
        let name = self.score.name(input).unwrap_or_default();
        let does = self.score.parameters.get(input).map(|parameter| &parameter.does);
        let kept = match (does, given) {
            (Some(Does::Number(scale)), Given::Number(value)) => {
                possible(name, scale, value)?;
                Kept::Step(table::step(value, scale.digits))
            }
            (Some(Does::Number(scale)), Given::Choice(found)) => {
                let (name, found, unit) = (name.to_owned(), found.to_owned(), scale.plain_unit().to_owned());
                return Err(InputError::NoNumber { name, found, unit });
            }
            (_, given) => Kept::Choice(self.choice(input, given)?),
        };
        self.kept[input] = Some(kept);
        Ok(())
    }

    /// What the number of a parameter counts as, where that is another than the one given.
    #[must_use]
    pub fn counts_as(&self, parameter: &Parameter, given: Value) -> Option<Value> {
        let Does::Number(scale) = &parameter.does else { return None };
        let counted = table::number(table::step(given, scale.digits), scale.digits);
        (counted != given).then_some(counted)
    }

    /// Has anything been given that gives points?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept[..self.score.parameters.len()].iter().all(Option::is_none)
    }

    /// The score of what was given: nothing is imputed.
    #[must_use]
    pub fn scored(&self) -> Scored<'s> {
        let mut points = [None; PARAMETERS_MAX];
        for (at, parameter) in self.score.parameters.iter().enumerate() {
            points[at] = self.kept[at].and_then(|kept| self.points(parameter, kept));
        }
        Scored::new(self.score, points)
    }

    /// A parameter's points; `None` where they hang on something that is not known.
    fn points(&self, parameter: &Parameter, kept: Kept) -> Option<u8> {
        match (&parameter.does, kept) {
            (Does::Choice(choices), Kept::Choice(at)) => choices.get(usize::from(at)).map(|choice| choice.points),
            (Does::Number(scale), Kept::Step(step)) => {
                let mut fit = scale.tables.iter().filter(|table| self.may_fit(table)).map(|t| t.cells.points(step));
                let first = fit.next()?;
                fit.all(|other| other == first).then_some(first)
            }
            _ => None,
        }
    }

    /// Does nothing that is known speak against this table?
    fn may_fit(&self, table: &Table) -> bool {
        table.when.iter().all(|when| self.kept[when.input].is_none_or(|kept| kept == Kept::Choice(when.choice)))
    }

    fn choice(&self, input: usize, given: Given<'_>) -> Result<u8, InputError> {
        let number;
        let found = match given {
            Given::Choice(id) => id,
            Given::Number(value) => {
                number = value.to_string();
                &number
            }
        };
        let choices = self.score.choices(input);
        let at = choices.iter().position(|choice| choice.id == found);
        at.and_then(|at| u8::try_from(at).ok()).ok_or_else(|| {
            let wanted = choices.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>().join(", ");
            let name = self.score.name(input).unwrap_or_default().to_owned();
            InputError::NoChoice { name, found: found.to_owned(), wanted }
        })
    }

    fn unknown(&self, name: &str) -> InputError {
        let known: Vec<&str> = (0..INPUTS_MAX).map_while(|input| self.score.name(input)).collect();
        InputError::Unknown { score: self.score.id.clone(), name: name.to_owned(), known: known.join(", ") }
    }
}

/// Can it be measured at all?
fn possible(name: &str, scale: &Scale, value: Value) -> Result<(), InputError> {
    if let Some(Plausibility::Reject(why)) = scale.vital.map(|vital| check_value(vital, value)) {
        return Err(InputError::Impossible(why));
    }
    match scale.possible {
        Some((least, most)) if value < least || value > most => {
            let unit = scale.plain_unit();
            Err(InputError::Impossible(format!("{name} {value} {unit} is impossible: want {least} to {most} {unit}")))
        }
        _ => Ok(()),
    }
}
