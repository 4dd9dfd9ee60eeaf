//! What a score file means: every part read by itself, so that all faults are found, and then checked against the others.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{
    Choice, Does, PARAMETERS_MAX, Parameter, ROWS_MAX, Response, SETTINGS_MAX, Scale, Score, Setting, Table, When,
    file::{ChoiceFile, ExampleFile, ParameterFile, PointsFile, ResponseFile, SettingFile},
    table::{self, Cell, Cells},
};
use crate::{
    Number, Text,
    bounds::{EXAMPLES_MAX, TEXT_CHARS_MAX},
    programme::place::{Document, Step, steps},
};

const KEYS: [&str; 9] = ["id", "version", "title", "source", "note", "parameter", "setting", "band", "example"];
/// A finer display than this is none that a person reads.
const DIGITS_MAX: u32 = 3;
/// No part gives more.
const POINTS_MAX: u8 = 100;

/// The score at a path, and its examples, not yet run. Faults are noted in the document.
pub(super) fn score(document: &mut Document<'_>, path: &[Step]) -> Option<(Score, Vec<ExampleFile>)> {
    for key in document.keys_at(path).into_iter().filter(|key| !KEYS.contains(&key.as_str())) {
        let text = format!("found unknown field `{key}`, want one of {}", KEYS.join(", "));
        document.problem_of_key_at(path, &key, text);
    }
    let id = document.read::<String>(&under(path, steps!["id"]));
    if let Some(id) = &id {
        name(document, &under(path, steps!["id"]), id);
    }
    let version = document.read::<u32>(&under(path, steps!["version"]));
    if version == Some(0) {
        document.problem(&under(path, steps!["version"]), "found 0, want 1 or more");
    }
    let title = document.read::<Text>(&under(path, steps!["title"]));
    let source = document.read::<String>(&under(path, steps!["source"]));
    let note_path = under(path, steps!["note"]);
    let note = document.has(&note_path).then(|| document.read::<Text>(&note_path)).flatten();
    texts(document, path, "title", title.iter());
    texts(document, path, "note", note.iter());
    let written = each::<ParameterFile>(document, path, "parameter", PARAMETERS_MAX, true);
    let settings_written = each::<SettingFile>(document, path, "setting", SETTINGS_MAX, false);
    let settings: Vec<Option<Setting>> =
        settings_written.iter().map(|(here, setting)| check_setting(document, here, setting)).collect();
    let names = written.iter().map(|(here, parameter)| (here, parameter.name.as_str()));
    let names: Vec<_> =
        names.chain(settings_written.iter().map(|(here, setting)| (here, setting.name.as_str()))).collect();
    unique(document, &names, "name");
    let known = Known { parameters: &written, settings: &settings_written };
    let parameters: Vec<Option<Parameter>> =
        written.iter().map(|(here, parameter)| check_parameter(document, here, parameter, &known)).collect();
    let parameters: Option<Vec<Parameter>> = parameters.into_iter().collect();
    let most = parameters.as_ref().map(|known| known.iter().map(|parameter| u16::from(parameter.most())).sum());
    let responses = responses(document, path, most);
    let examples = each::<ExampleFile>(document, path, "example", EXAMPLES_MAX, false);
    let score = Score {
        id: id?,
        version: version?,
        title: title?,
        source: source?,
        note,
        parameters: parameters?,
        settings: settings.into_iter().collect::<Option<_>>()?,
        responses: responses?,
        examples: examples.len(),
    };
    Some((score, examples.into_iter().map(|(_, example)| example).collect()))
}

/// A path with more steps.
pub(super) fn under(path: &[Step], more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    path.iter().cloned().chain(more).collect()
}

/// Reads each element of an array of tables, with its path; one that can't be read is left out, and has been noted.
fn each<T: DeserializeOwned + JsonSchema>(
    document: &mut Document<'_>,
    path: &[Step],
    key: &str,
    most: usize,
    wanted: bool,
) -> Vec<(Vec<Step>, T)> {
    let here = under(path, steps![key]);
    if !document.is_list(&here) {
        return Vec::new();
    }
    let found = document.len(&here);
    if found > most {
        document.problem(&here, format!("found {found}, want at most {most}"));
        return Vec::new();
    }
    if found == 0 && (wanted || document.has(&here)) {
        document.problem(&here, format!("found nothing, want [[{key}]] tables"));
    }
    (0..found)
        .map(|at| under(&here, steps![at]))
        .filter_map(|at| Some((at.clone(), document.read::<T>(&at)?)))
        .collect()
}

fn unique(document: &mut Document<'_>, names: &[(&Vec<Step>, &str)], key: &str) {
    let mut seen = BTreeSet::new();
    for (path, text) in names {
        if !seen.insert(*text) {
            document.problem(&under(path, steps![key]), format!("found {text:?} a second time, want each once"));
        }
    }
}

/// A name: 1 to 64 of a-z, 0-9, - and _.
fn name(document: &mut Document<'_>, path: &[Step], text: &str) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !(1..=64).contains(&text.len()) || !text.chars().all(fits) {
        document.problem(path, format!("found {text:?}, want 1 to 64 of a-z, 0-9, - and _"));
    }
}

fn texts<'t>(document: &mut Document<'_>, path: &[Step], key: &str, texts: impl Iterator<Item = &'t Text>) {
    for found in texts.flat_map(|text| [&text.en, &text.da]).map(|text| text.chars().count()) {
        if found > TEXT_CHARS_MAX {
            let text = format!("found {found} characters, want at most {TEXT_CHARS_MAX}");
            document.problem(&under(path, steps![key]), text);
        }
    }
}

/// What tables may hang on, as it was written.
struct Known<'k> {
    parameters: &'k [(Vec<Step>, ParameterFile)],
    settings: &'k [(Vec<Step>, SettingFile)],
}

impl Known<'_> {
    /// An input by its name: its place, and what can be chosen.
    fn input(&self, name: &str) -> Option<(usize, &[ChoiceFile])> {
        let parameters = self.parameters.iter().map(|(_, parameter)| (&parameter.name, &parameter.choice));
        let settings = self.settings.iter().map(|(_, setting)| (&setting.name, &setting.choice));
        let (place, (_, choices)) = parameters.chain(settings).enumerate().find(|(_, (known, _))| *known == name)?;
        (!choices.is_empty()).then_some((place, choices.as_slice()))
    }
}

fn check_setting(document: &mut Document<'_>, path: &[Step], written: &SettingFile) -> Option<Setting> {
    let SettingFile { name: called, title, choice, default, note } = written.clone();
    name(document, &under(path, steps!["name"]), &called);
    texts(document, path, "title", [&title].into_iter().chain(&note));
    let choices = choices(document, path, &choice, false)?;
    let Some(default) = choices.iter().position(|choice| choice.id == default) else {
        document.problem(&under(path, steps!["default"]), format!("found {default:?}, want the id of a choice"));
        return None;
    };
    Some(Setting { name: called, title, choices, default: u8::try_from(default).ok()?, note })
}

/// The choices of a parameter, each with points, or of a setting, without.
fn choices(document: &mut Document<'_>, path: &[Step], written: &[ChoiceFile], pointed: bool) -> Option<Vec<Choice>> {
    let here = under(path, steps!["choice"]);
    if !(2..=ROWS_MAX).contains(&written.len()) {
        document.problem(&here, format!("found {} choices, want 2 to {ROWS_MAX}", written.len()));
        return None;
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut good = true;
    for (at, choice) in written.iter().enumerate() {
        let here = under(&here, steps![at]);
        let id = &choice.id;
        let mut fault = |field: &str, text: String| {
            document.problem(&under(&here, steps![field]), text);
            good = false;
        };
        if !(1..=64).contains(&id.len()) || !id.chars().all(fits) {
            fault("id", format!("found {id:?}, want 1 to 64 letters, digits, - and _"));
        }
        if written[..at].iter().any(|other| other.id == *id) {
            fault("id", format!("found {id:?} a second time, want each once"));
        }
        match choice.points {
            None if pointed => fault("points", "found nothing, want it".to_owned()),
            Some(points) if !pointed => {
                fault("points", format!("found {points}, want none: a setting gives no points"))
            }
            Some(points) if points > POINTS_MAX => {
                fault("points", format!("found {points}, want at most {POINTS_MAX}"))
            }
            _ => {}
        }
        texts(document, &here, "title", [&choice.title].into_iter());
    }
    let choice = |choice: &ChoiceFile| Choice {
        id: choice.id.clone(),
        title: choice.title.clone(),
        points: choice.points.unwrap_or(0),
    };
    good.then(|| written.iter().map(choice).collect())
}

fn check_parameter(
    document: &mut Document<'_>,
    path: &[Step],
    written: &ParameterFile,
    known: &Known<'_>,
) -> Option<Parameter> {
    name(document, &under(path, steps!["name"]), &written.name);
    texts(document, path, "title", [&written.title].into_iter());
    let tables = usize::from(written.bands.is_some()) + usize::from(!written.table.is_empty());
    let does = match (tables, written.choice.is_empty()) {
        (0, false) => Does::Choice(choice_parameter(document, path, written)?),
        (1, true) => Does::Number(number_parameter(document, path, written, known)?),
        _ => {
            let found: Vec<&str> = [
                ("`bands`", written.bands.is_some()),
                ("[[parameter.table]]", !written.table.is_empty()),
                ("`choice`", !written.choice.is_empty()),
            ]
            .into_iter()
            .filter_map(|(name, there)| there.then_some(name))
            .collect();
            let found = if found.is_empty() { "nothing that gives points".to_owned() } else { found.join(" and ") };
            let wanted = "want one of `bands`, [[parameter.table]] or `choice`";
            document.problem(path, format!("found {found}, {wanted}"));
            return None;
        }
    };
    Some(Parameter { name: written.name.clone(), title: written.title.clone(), does })
}

fn choice_parameter(document: &mut Document<'_>, path: &[Step], written: &ParameterFile) -> Option<Vec<Choice>> {
    for (field, there) in [
        ("vital", written.vital.is_some()),
        ("unit", written.unit.is_some()),
        ("digits", written.digits.is_some()),
        ("possible", written.possible.is_some()),
    ] {
        if there {
            document.problem(&under(path, steps![field]), "found it beside `choice`, want it with numbers alone");
        }
    }
    choices(document, path, &written.choice, true)
}

fn number_parameter(
    document: &mut Document<'_>,
    path: &[Step],
    written: &ParameterFile,
    known: &Known<'_>,
) -> Option<Scale> {
    let unit = required(document, path, "unit", written.unit.clone());
    if let (Some(vital), Some(unit)) = (written.vital, &unit)
        && unit != vital.unit().ucum()
    {
        let text = format!("found {unit:?}, want {:?}, the unit in which {vital} is judged", vital.unit().ucum());
        document.problem(&under(path, steps!["unit"]), text);
    }
    let digits = required(document, path, "digits", written.digits)?;
    if digits > DIGITS_MAX {
        document.problem(&under(path, steps!["digits"]), format!("found {digits}, want at most {DIGITS_MAX}"));
        return None;
    }
    let possible = written.possible.map(|possible| (possible.from.0, possible.at_most.0));
    if possible.is_some() && written.vital.is_some() {
        let text = "found it beside `vital`, want none: what is possible for a vital is known";
        document.problem(&under(path, steps!["possible"]), text);
    }
    if let Some((least, most)) = possible.filter(|(least, most)| least > most) {
        let text = format!("found {least} to {most}, want `from` at or under `at_most`");
        document.problem(&under(path, steps!["possible"]), text);
    }
    let tables = match &written.bands {
        Some(bands) => {
            let cells = cells(document, &under(path, steps!["bands"]), bands, digits)?;
            vec![Table { when: Vec::new(), cells }]
        }
        None => tables(document, path, written, digits, known)?,
    };
    Some(Scale { vital: written.vital, unit: unit?, digits, possible, tables })
}

fn required<T>(document: &mut Document<'_>, path: &[Step], field: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        document.problem(&under(path, steps![field]), "found nothing, want it");
    }
    found
}

fn cells(document: &mut Document<'_>, path: &[Step], written: &[PointsFile], digits: u32) -> Option<Cells> {
    if !(1..=ROWS_MAX).contains(&written.len()) {
        document.problem(path, format!("found {} bands, want 1 to {ROWS_MAX}", written.len()));
        return None;
    }
    let mut good = true;
    let mut cells = Vec::new();
    for (at, band) in written.iter().enumerate() {
        let here = under(path, steps![at]);
        let mut end = |field: &str, number: Option<Number>| {
            let number = number?.0;
            let step = table::step(number, digits);
            if table::number(step, digits) != number {
                let text = format!("found {number}, want at most {digits} digits after the point, as `digits` says");
                document.problem(&under(&here, steps![field]), text);
                good = false;
            }
            Some(step)
        };
        let (from, at_most) = (end("from", band.from), end("at_most", band.at_most));
        if band.points > POINTS_MAX {
            let text = format!("found {}, want at most {POINTS_MAX}", band.points);
            document.problem(&under(&here, steps!["points"]), text);
        }
        cells.push(Cell { from, at_most, points: band.points });
    }
    if !good {
        return None;
    }
    let faults = match Cells::new(&cells, digits) {
        Ok(cells) => return Some(cells),
        Err(faults) => faults,
    };
    faults.into_iter().for_each(|(at, fault)| document.problem(&under(path, steps![at]), fault));
    None
}

/// Several tables: all hang on the same inputs, and exactly one fits whatever is chosen of them.
fn tables(
    document: &mut Document<'_>,
    path: &[Step],
    written: &ParameterFile,
    digits: u32,
    known: &Known<'_>,
) -> Option<Vec<Table>> {
    let here = under(path, steps!["table"]);
    if written.table.len() > ROWS_MAX {
        document.problem(&here, format!("found {} tables, want at most {ROWS_MAX}", written.table.len()));
        return None;
    }
    let mut tables = Vec::new();
    for (at, table) in written.table.iter().enumerate() {
        let here = under(&here, steps![at]);
        let when: Vec<Option<When>> = table
            .when
            .iter()
            .map(|(input, choice)| when(document, &under(&here, steps!["when", input.as_str()]), known, input, choice))
            .collect();
        let cells = cells(document, &under(&here, steps!["bands"]), &table.bands, digits);
        tables.push(when.into_iter().collect::<Option<Vec<_>>>().zip(cells).map(|(when, cells)| Table { when, cells }));
    }
    let tables = tables.into_iter().collect::<Option<Vec<Table>>>()?;
    let faults = uncovered(&tables, known);
    let good = faults.is_empty();
    faults.into_iter().for_each(|fault| document.problem(&here, fault));
    good.then_some(tables)
}

fn when(document: &mut Document<'_>, path: &[Step], known: &Known<'_>, input: &str, choice: &str) -> Option<When> {
    let Some((place, choices)) = known.input(input) else {
        document.problem(path, format!("found {input:?}, want a setting, or a parameter with choices"));
        return None;
    };
    let Some(at) = choices.iter().position(|known| known.id == choice) else {
        let wanted: Vec<&str> = choices.iter().map(|known| known.id.as_str()).collect();
        document.problem(path, format!("found {choice:?}, want one of {}", wanted.join(", ")));
        return None;
    };
    Some(When { input: place, choice: u8::try_from(at).ok()? })
}

/// So many combinations of choices are tried.
const COMBINATIONS_MAX: usize = 1024;

/// Each combination of choices that no table fits, or more than one.
fn uncovered(tables: &[Table], known: &Known<'_>) -> Vec<String> {
    let inputs: BTreeSet<usize> = tables.iter().flat_map(|table| table.when.iter().map(|when| when.input)).collect();
    let names = known.parameters.iter().map(|(_, parameter)| (&parameter.name, &parameter.choice));
    let names: Vec<_> =
        names.chain(known.settings.iter().map(|(_, setting)| (&setting.name, &setting.choice))).collect();
    let count = inputs.iter().map(|input| names[*input].1.len()).product::<usize>();
    if count > COMBINATIONS_MAX {
        return vec![format!("found {count} combinations of choices, want at most {COMBINATIONS_MAX}")];
    }
    let mut faults = Vec::new();
    for number in 0..count {
        let mut rest = number;
        let mut chosen = Vec::new();
        for &input in &inputs {
            let of = names[input].1.len();
            chosen.push(When { input, choice: u8::try_from(rest % of).unwrap_or(u8::MAX) });
            rest /= of;
        }
        let fit = tables.iter().filter(|table| table.when.iter().all(|when| chosen.contains(when))).count();
        if fit != 1 {
            let words: Vec<String> = chosen
                .iter()
                .map(|when| format!("{} {}", names[when.input].0, names[when.input].1[usize::from(when.choice)].id))
                .collect();
            let words = if words.is_empty() { "anything".to_owned() } else { words.join(", ") };
            faults.push(format!("found {fit} tables for {words}, want exactly one"));
        }
    }
    faults
}

/// The response bands: those without `any_part` hold every sum once, from mild to severe, and one with it is milder than those above its end.
/// So a greater sum, or one part more, never gives a milder band, and the band of a partial score is the mildest that it can be.
fn responses(document: &mut Document<'_>, path: &[Step], most: Option<u16>) -> Option<Vec<Response>> {
    let written = each::<ResponseFile>(document, path, "band", ROWS_MAX, true);
    let ids: Vec<_> = written.iter().map(|(here, band)| (here, band.id.as_str())).collect();
    unique(document, &ids, "id");
    for (here, band) in &written {
        name(document, &under(here, steps!["id"]), &band.id);
        texts(document, here, "title", [&band.title, &band.response].into_iter());
    }
    // The greatest sum there can be; where parameters are faulty, the bands' turn comes when they are not.
    let most = most?;
    let sums: Vec<usize> = (0..written.len()).filter(|&at| written[at].1.any_part.is_none()).collect();
    let cell = |at: &usize| {
        let ResponseFile { from, at_most, .. } = written[*at].1;
        let at_most = at_most.filter(|end| *end < most);
        Cell { from: from.filter(|from| *from > 0).map(i64::from), at_most: at_most.map(i64::from), points: 0 }
    };
    let cells: Vec<Cell> = sums.iter().map(cell).collect();
    let mut faults: Vec<(usize, String)> = match Cells::new(&cells, 0) {
        _ if written.is_empty() => return None,
        _ if sums.is_empty() => vec![(0, "found no band without `any_part`, want every sum in one".to_owned())],
        Ok(_) => order_faults(&cells, &sums),
        Err(faults) => faults.into_iter().map(|(at, fault)| (sums[at], fault)).collect(),
    };
    if faults.is_empty() {
        faults = any_part_faults(&written);
    }
    let good = faults.is_empty();
    faults.into_iter().for_each(|(at, fault)| document.problem(&written[at].0, fault));
    let response = |(_, band): (Vec<Step>, ResponseFile)| Response {
        id: band.id,
        title: band.title,
        response: band.response,
        from: band.from.unwrap_or(0),
        at_most: band.at_most.filter(|end| band.any_part.is_some() || *end < most).unwrap_or(u16::MAX),
        any_part: band.any_part,
    };
    good.then(|| written.into_iter().map(response).collect())
}

fn order_faults(cells: &[Cell], sums: &[usize]) -> Vec<(usize, String)> {
    let falls = |pair: &[usize]| cells[pair[0]].from > cells[pair[1]].from;
    let places: Vec<usize> = (0..cells.len()).collect();
    let fault =
        |pair: &[usize]| (sums[pair[1]], "found it after a band of greater sums, want the mildest first".to_owned());
    places.windows(2).filter(|pair| falls(pair)).map(fault).collect()
}

fn any_part_faults(written: &[(Vec<Step>, ResponseFile)]) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for (at, (_, band)) in written.iter().enumerate().filter(|(_, (_, band))| band.any_part.is_some()) {
        let sums = || written.iter().enumerate().filter(|(_, (_, other))| other.any_part.is_none());
        let end = band.at_most.unwrap_or(u16::MAX);
        let from = band.from.unwrap_or(0);
        if from > end {
            faults.push((at, format!("found {from} to {end}, which holds no sum, want `from` at or under `at_most`")));
            continue;
        }
        if sums().any(|(place, (_, other))| place < at && other.at_most.unwrap_or(u16::MAX) > end) {
            let text =
                "found it after a band of greater sums than its own, want it before: a greater sum must not be milder";
            faults.push((at, text.to_owned()));
        }
        if sums().all(|(place, _)| place > at) {
            faults.push((at, "found it before every band that it could stand for, want it after the first".to_owned()));
        }
    }
    faults
}
