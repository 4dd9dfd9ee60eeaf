//! Runs a score's worked example: what is given in, what must come out.

use super::{
    Given, Score,
    file::{ExampleFile, GivenFile},
};

/// Runs it; a fault says which example it is and what came out.
pub(super) fn run(score: &Score, example: &ExampleFile) -> Result<(), String> {
    let mut inputs = score.inputs();
    for (name, given) in &example.given {
        let given = match given {
            GivenFile::Number(number) => Given::Number(number.0),
            GivenFile::Choice(id) => Given::Choice(id),
        };
        inputs.give(name, given).map_err(|fault| format!("example {:?}: {fault}", example.name))?;
    }
    let scored = inputs.scored();
    let want = &example.want;
    let missing: Vec<&str> = scored.missing().map(|parameter| parameter.name()).collect();
    let same_missing =
        missing.len() == want.missing.len() && want.missing.iter().all(|name| missing.contains(&name.as_str()));
    let part = |name: &str| scored.parts().find(|(parameter, _)| parameter.name() == name).map(|(_, points)| points);
    let same_parts = want.parts.iter().all(|(name, points)| part(name) == Some(*points));
    if scored.total() == want.total && scored.band() == want.band && same_missing && same_parts {
        return Ok(());
    }
    let parts: Vec<String> =
        scored.parts().map(|(parameter, points)| format!("{} {points}", parameter.name())).collect();
    Err(format!(
        "example {:?} failed: found total {}, band {} ({}), missing {missing:?}; want total {}, band {}{}, missing {:?}",
        example.name,
        scored.total(),
        scored.band(),
        parts.join(", "),
        want.total,
        want.band,
        want.parts.iter().map(|(name, points)| format!(", {name} {points}")).collect::<String>(),
        want.missing,
    ))
}
