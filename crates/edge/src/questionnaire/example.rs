//! The worked examples of a file, run.

use std::collections::BTreeMap;

use super::{file::ExampleFile, walk::Questionnaire};
use crate::config::{ConfigError, Source};

/// Runs every example.
///
/// # Errors
/// The first that does not come out as it says.
pub(super) fn run(source: &Source<'_>, questionnaire: &Questionnaire) -> Result<(), ConfigError> {
    for example in &questionnaire.examples {
        if let Err(reason) = one(questionnaire, example.get_ref()) {
            let reason = format!("{:?}: {reason}", example.get_ref().name);
            return Err(source.error(example.span().start, "example", reason));
        }
    }
    Ok(())
}

fn one(questionnaire: &Questionnaire, example: &ExampleFile) -> Result<(), String> {
    let (mut asked, mut given) = (Vec::new(), BTreeMap::new());
    let mut question = Some(questionnaire.first());
    while let Some(id) = question {
        asked.push(id.to_owned());
        let answer = example.answers.get(id).map(|answer| questionnaire.take(id, answer).map(|taken| (answer, taken)));
        let answer = answer.transpose().map_err(|why| format!("the answer to {id} can't be taken: {why:?}"))?;
        question = questionnaire.next(id, answer.as_ref().map(|(_, taken)| taken.as_str()));
        given.extend(answer.map(|(_, taken)| (id.to_owned(), taken)));
    }
    if let Some(unasked) = example.answers.keys().find(|id| !asked.contains(id)) {
        return Err(format!("answers {unasked}, which is not asked; asked were {}", asked.join(", ")));
    }
    let want = &example.want;
    if asked != want.asked {
        return Err(format!("asked {}, want {}", asked.join(", "), want.asked.join(", ")));
    }
    let found = questionnaire.significance(given.iter().map(|(id, answer)| (id.as_str(), answer.as_str())));
    if found != want.significance {
        return Err(format!("is {found}, want {}", want.significance));
    }
    Ok(())
}
