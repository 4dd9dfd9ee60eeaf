//! Flags and their words: every flag that a driver, the kit or the core can set is said in both languages on the clinic's pages, and every
//! one that speaks against a value has an advice on the kit's page.

use std::{collections::BTreeSet, fs, path::Path};

use vitals::Flag;

/// Doubts for which no row of the advice table helps more than what the instrument of the value asks for: measure again, quietly.
const AS_THE_INSTRUMENT: &[&str] = &[
    "above_device_range",
    "below_device_range",
    "device_mark",
    "invalid_measurement",
    "measurement_unavailable",
    "result_too_high",
    "result_too_low",
];
/// Doubts that no person can do anything about when they are met, or that no reading of a session has: set by the core or after the person
/// was asked, of a stored recording, and of what isn't a measurement.
const NOBODYS: &[&str] =
    &["control_solution", "cuff_pressure", "person_unconfirmed", "removed", "suspect", "suspect_step", "time_unknown"];
/// Words of the shape of a flag in the drivers that are none.
const NO_FLAGS: &[&str] = &["snake_case"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The source files under a folder, without their tests and comments.
fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let program = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let lines = program.lines().filter(|line| !line.trim_start().starts_with("//"));
            found.push(lines.collect::<Vec<_>>().join("\n"));
        }
    }
    found
}

/// The flags that a source names: texts of their shape with an underscore, those given to `Flag::new`, and the second of a pair. Those
/// with a number put in (`user_{id}`) end in `_n`.
fn named(source: &str) -> BTreeSet<String> {
    let parts: Vec<&str> = source.split('"').collect();
    let mut flags = BTreeSet::new();
    for at in (1..parts.len()).step_by(2) {
        let literal = parts[at];
        let (before, after) = (parts[at - 1], parts.get(at + 1).copied().unwrap_or_default());
        let shaped = |text: &str| text.parse::<Flag>().is_ok() && text.starts_with(|c: char| c.is_ascii_lowercase());
        let second_of_pair = before.ends_with(", ") && after.starts_with(')');
        if let Some((name, _)) = literal.split_once("_{") {
            if shaped(name) && literal.ends_with('}') {
                flags.insert(format!("{name}_n"));
            }
        } else if shaped(literal) && (literal.contains('_') || before.ends_with("::new(") || second_of_pair) {
            flags.insert(literal.to_owned());
        }
    }
    flags
}

/// Flags `pef_status_0` to `_15` are one with a number in it.
fn numbered(flag: String) -> String {
    match flag.rsplit_once('_') {
        Some((name, number)) if number.parse::<u16>().is_ok() => format!("{name}_n"),
        _ => flag,
    }
}

fn known() -> BTreeSet<String> {
    let mut sources = sources(&root().join("crates/drivers/src"));
    sources.push(text("crates/vitals/src/flag.rs").split("#[cfg(test)]").next().unwrap_or_default().to_owned());
    let flags = sources.iter().flat_map(|source| named(source)).map(numbered);
    let endings = |flag: &String| flag.ends_with('_') || NO_FLAGS.contains(&flag.as_str());
    flags.filter(|flag| !endings(flag)).collect()
}

#[test]
fn every_flag_is_said_in_both_languages() {
    let flags = known();
    assert!(flags.len() > 100, "found only {} flags: {flags:?}", flags.len());
    for some in
        ["artifact", "cuff_loose", "device_mark", "drug", "time_unknown", "unsettled", "user_n", "measurement_status_n"]
    {
        assert!(flags.contains(some), "{some} was not found in the sources: {flags:?}");
    }
    for language in ["da", "en"] {
        let words = text(&format!("crates/desk/locales/{language}.ftl"));
        let said: BTreeSet<&str> = words.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
        let without: Vec<_> = flags.iter().filter(|flag| !said.contains(format!("flag-{flag}").as_str())).collect();
        assert!(without.is_empty(), "no words in {language}.ftl for {without:?}");
    }
}

#[test]
fn every_doubt_has_an_advice() {
    let table = text("crates/edge/src/round/advice.rs");
    let has_row = |flag: &str| table.contains(&format!("(\"{flag}\","));
    let settled = |flag: &str| AS_THE_INSTRUMENT.contains(&flag) || NOBODYS.contains(&flag) || flag.ends_with("_n");
    let doubts = known().into_iter().filter(|flag| flag.parse::<Flag>().is_ok_and(|flag| flag.is_doubt()));
    let without: Vec<_> = doubts.filter(|flag| !has_row(flag) && !settled(flag)).collect();
    assert!(without.is_empty(), "no row in crates/edge/src/round/advice.rs for {without:?}");
    let idle: Vec<_> = AS_THE_INSTRUMENT.iter().chain(NOBODYS).filter(|flag| !known().contains(**flag)).collect();
    assert!(idle.is_empty(), "flags that nothing sets: {idle:?}");
}
