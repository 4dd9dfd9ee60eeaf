//! `vagt score`: a score of what was measured, with its parts and what is missing. NEWS2 is shipped; a local score is a file.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use triage::{
    Score, Scored,
    score::{Given, InputError, Inputs, Parameter, SCORES},
};
use vitals::{Plausibility, Value, check_value};

use super::{Ended, config::problem, json_line, out};

/// Work out a score from what was measured: its sum, its band, the points of each part, and what is missing.
///
/// Nothing is ever taken as normal because it was not measured. What is left out is listed as missing, and sum and band are then the least that
/// the whole can be ("at_least":true). The one exception is how oxygen is said: for a shipped score, without --oxygen the person breathes air;
/// --oxygen=unknown where that is not known.
///
/// A number is rounded to the digits that the score's table shows before it is looked up, halves away from zero: 38.05 counts as 38.1, 91.5 as
/// 92 (and is listed under "rounded"). A number that no body has is refused; one that is hardly believable is scored and listed under "doubtful".
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vagt score news2 --resp-rate 18 --spo2 93 --scale 2 --oxygen --systolic 125 --pulse 88 --consciousness A --temperature 37.0
  vagt score news2 --spo2 92 --pulse 112 --temperature 38.4        # partial: the least that it can be
  vagt score my-score.toml spo2=93 crp=12.5 cough=yes              # a local score, see `vagt config schema score`
  vagt config explain config/scores/news2.toml                     # the table in words, with its source

Prints {\"score\",\"total\",\"band\",\"complete\",\"missing\",\"parts\",\"says\"}. Bands of news2: low (0-4), single_3 (a 3 in one part, the
sum under 5), medium (5-6), high (7 and more). Scale 2 only where a clinician has documented hypercapnic respiratory failure and a target
of 88 to 92 %. Not for people under 16 years of age, and not in pregnancy.

Exit codes: 0 a score, partial or not; 1 a number that is impossible, or a score file with a fault; 2 no such score, parameter or choice, or
nothing measured.")]
pub struct Args {
    /// news2, or the file of a local score.
    #[arg(value_name = "SCORE|FILE")]
    score: String,
    /// What was measured or chosen, by its name in the score: the only way for parameters that have no option here. `unknown`: left out.
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    given: Vec<(String, String)>,
    /// Breaths a minute.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    resp_rate: Option<String>,
    /// Oxygen saturation, in %.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    spo2: Option<String>,
    /// The SpO2 scale: 1 or 2. Of news2 1 where nothing is said.
    #[arg(long, value_name = "1|2")]
    scale: Option<String>,
    /// The person is given oxygen; --oxygen=no: breathes air; --oxygen=unknown: that is missing.
    #[arg(long, value_name = "yes|no|unknown", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    oxygen: Option<String>,
    /// Systolic blood pressure, in mmHg.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    systolic: Option<String>,
    /// Beats a minute.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pulse: Option<String>,
    /// A alert, C newly confused, V responds to voice, P to pain, U unresponsive.
    #[arg(long, value_name = "A|C|V|P|U")]
    consciousness: Option<String>,
    /// In °C.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    temperature: Option<String>,
    /// Accepted for likeness with the other commands: the answer is one line of JSON in any case.
    #[arg(long)]
    json: bool,
}

/// What is printed: the contract's keys, and what a person wants to be told besides.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    scored: &'a Scored<'a>,
    says: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rounded: Vec<Rounded<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    doubtful: Vec<String>,
}

/// A number that counts as another.
#[derive(Serialize)]
struct Rounded<'a> {
    name: &'a str,
    given: Value,
    counts_as: Value,
}

/// Said of an input: it is not known.
const UNKNOWN: &str = "unknown";

/// Runs the command.
///
/// # Errors
/// [`Ended::Usage`] for what the score does not know, [`Ended::Failed`] for an impossible number or a faulty file.
pub fn run(args: &Args) -> Result<(), Ended> {
    let (score, shipped) = find(&args.score)?;
    let mut given = args.all()?;
    let has_oxygen = score.parameters().iter().any(|parameter| parameter.name() == "oxygen");
    if shipped && has_oxygen && given.iter().all(|(name, _)| *name != "oxygen") {
        given.push(("oxygen", "no"));
    }
    let mut inputs = score.inputs();
    let (mut rounded, mut doubtful, mut measured) = (Vec::new(), Vec::new(), false);
    for (name, text) in given.iter().filter(|(_, text)| !text.eq_ignore_ascii_case(UNKNOWN)) {
        let parameter = score.parameters().iter().find(|parameter| parameter.name() == *name);
        let number = give(&mut inputs, parameter, name, text)?;
        measured |= parameter.is_some() && (*name, *text) != ("oxygen", "no");
        let Some((parameter, value)) = parameter.zip(number) else { continue };
        let counts_as = inputs.counts_as(parameter, value);
        rounded.extend(counts_as.map(|counts_as| Rounded { name: parameter.name(), given: value, counts_as }));
        if let Some(Plausibility::Suspect(why)) = parameter.vital().map(|vital| check_value(vital, value)) {
            doubtful.push(why);
        }
    }
    if !measured {
        let names: Vec<&str> = score.parameters().iter().map(Parameter::name).collect();
        return Err(Ended::Usage(format!(
            "nothing was measured: {} wants one or more of {}",
            score.id(),
            names.join(", ")
        )));
    }
    let scored = inputs.scored();
    json_line(&mut out(), &Line { scored: &scored, says: scored.to_string(), rounded, doubtful })
}

/// The score that is shipped under this name, or that is in this file; is it shipped?
fn find(name: &str) -> Result<(Score, bool), Ended> {
    if let Some(score) = Score::shipped(name) {
        return Ok((score.as_ref().clone(), true));
    }
    let path = Path::new(name);
    if !path.exists() && path.extension().is_none() {
        let names: Vec<&str> = SCORES.iter().map(|(name, _)| *name).collect();
        return Err(Ended::Usage(format!("{name:?} is no file, and no score: there are {}", names.join(", "))));
    }
    let text = problem::text(path).map_err(Ended::Failed)?;
    let score = Score::parse(&text, name).map_err(|error| {
        let more = match error.problems().len() {
            0 | 1 => String::new(),
            found => format!(" (and {} more, see `vagt config check`)", found - 1),
        };
        let first = error.problems().first().map(ToString::to_string).unwrap_or_default();
        Ended::Failed(format!("{first}{more}"))
    })?;
    Ok((score, false))
}

/// Gives one input; the number, if it is one.
fn give(
    inputs: &mut Inputs<'_>,
    parameter: Option<&Parameter>,
    name: &str,
    text: &str,
) -> Result<Option<Value>, Ended> {
    let choice = parameter.and_then(|parameter| parameter.choices().find(|id| id.eq_ignore_ascii_case(text)));
    let number = match parameter {
        Some(parameter) if parameter.choices().next().is_none() => {
            let number: Result<Value, _> = text.parse();
            Some(number.map_err(|error| Ended::Usage(format!("{name}: {error}")))?)
        }
        _ => None,
    };
    let given = number.map_or(Given::Choice(choice.unwrap_or(text)), Given::Number);
    match inputs.give(name, given) {
        Ok(()) => Ok(number),
        Err(InputError::Impossible(why)) => {
            json_line(&mut out(), &json!({ "error": why }))?;
            Err(Ended::Failed(why))
        }
        Err(error) => Err(Ended::Usage(error.to_string())),
    }
}

/// `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let parted = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    let (name, value) = parted.ok_or_else(|| format!("found {text:?}, want NAME=VALUE, as spo2=93"))?;
    Ok((name.replace('-', "_"), value.to_owned()))
}

impl Args {
    /// Everything that was given, each once.
    fn all(&self) -> Result<Vec<(&str, &str)>, Ended> {
        let options = [
            ("resp_rate", &self.resp_rate),
            ("spo2", &self.spo2),
            ("scale", &self.scale),
            ("oxygen", &self.oxygen),
            ("systolic", &self.systolic),
            ("pulse", &self.pulse),
            ("consciousness", &self.consciousness),
            ("temperature", &self.temperature),
        ];
        let options = options.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
        let mut all: Vec<(&str, &str)> = Vec::new();
        for (name, text) in options.chain(self.given.iter().map(|(name, text)| (name.as_str(), text.as_str()))) {
            if all.iter().any(|(before, _)| *before == name) {
                return Err(Ended::Usage(format!("{name} is given twice, want it once")));
            }
            all.push((name, text));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_a_name_and_a_value() {
        assert_eq!(pair("resp-rate=18"), Ok(("resp_rate".into(), "18".into())));
        for text in ["spo2", "=93", "spo2=", ""] {
            assert!(pair(text).is_err(), "{text}");
        }
    }
}
