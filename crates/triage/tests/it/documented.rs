//! `docs/rules.md` holds every kind of rule with its fields, as the types have them. With `VAGT_UPDATE=1` the page is written instead of compared.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value as Json;
use triage::{Programme, RULES};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md");
const BEGIN: &str = "<!-- the kinds: begin -->\n";
const END: &str = "<!-- the kinds: end -->\n";
/// What fields are made of, each with a table of its own.
const PARTS: [&str; 7] = ["BandFile", "BaselineFile", "FloorFile", "PartFile", "StepFile", "PathFile", "AskedFile"];

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

/// What may be written there.
fn form(schema: &Json, all: &Json) -> String {
    let schema = schema["anyOf"].get(0).unwrap_or(schema);
    if let Some(name) = text(schema, "$ref").rsplit('/').next().filter(|name| !name.is_empty()) {
        return match name {
            "Vital" => "a vital".to_owned(),
            "Unit" => "a unit".to_owned(),
            "Flag" => "a flag".to_owned(),
            "Number" => "a number".to_owned(),
            "Length" => "a time, as `72h`".to_owned(),
            "When" => "condition or list of them".to_owned(),
            part if part.ends_with("File") => format!("[{0}](#{0})", part.trim_end_matches("File").to_lowercase()),
            other => choices(&all["$defs"][other]).join(", "),
        };
    }
    match schema["type"].get(0).unwrap_or(&schema["type"]).as_str().unwrap_or_default() {
        "array" => format!("list: {}", form(&schema["items"], all)),
        "object" => format!("table: name = {}", form(&schema["additionalProperties"], all)),
        "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "a whole number".to_owned(),
        },
        "boolean" => "`true` or `false`".to_owned(),
        _ => "text".to_owned(),
    }
}

fn choices(schema: &Json) -> Vec<String> {
    let quoted = |one: &Json| one.as_str().map(|one| format!("`{one}`"));
    if let Some(list) = schema["enum"].as_array() {
        return list.iter().filter_map(quoted).collect();
    }
    schema["oneOf"]
        .as_array()
        .unwrap_or_else(|| panic!("no choices: {schema}"))
        .iter()
        .flat_map(|one| quoted(&one["const"]).map_or_else(|| choices(one), |one| vec![one]))
        .collect()
}

/// One row a field, those that are wanted first.
fn table(page: &mut String, schema: &Json, all: &Json, shown: impl Fn(&str) -> bool) {
    page.push_str("| field | | what may be written | |\n| --- | --- | --- | --- |\n");
    let wanted = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for first in [true, false] {
        let fields: BTreeMap<_, _> = schema["properties"].as_object().expect("fields").iter().collect();
        for (name, field) in fields {
            if shown(name) && wanted(name) == first {
                let (how, what) = (if first { "wanted" } else { "" }, text(field, "description").replace('\n', " "));
                writeln!(page, "| `{name}` | {how} | {} | {what} |", form(field, all)).unwrap();
            }
        }
    }
    page.push('\n');
}

fn wanted() -> String {
    let all = Programme::json_schema();
    let kinds = all["$defs"]["Rule"]["oneOf"].as_array().expect("the kinds").clone();
    let is_common = |name: &str| kinds.iter().all(|kind| kind["properties"][name].is_object());
    let mut page = String::from("### Every rule\n\n");
    table(&mut page, &kinds[0], &all, |name| name != "kind" && is_common(name));
    for (kind, schema) in RULES.iter().zip(&kinds) {
        assert_eq!(schema["properties"]["kind"]["const"], kind.name);
        writeln!(page, "### `kind = \"{}\"`\n\nIt {}.\n", kind.name, kind.does).unwrap();
        table(&mut page, schema, &all, |name| !is_common(name));
    }
    for part in PARTS {
        let schema = &all["$defs"][part];
        let (name, what) =
            (part.trim_end_matches("File").to_lowercase(), text(schema, "description").replace('\n', " "));
        writeln!(page, "### {name}\n\n{what}\n").unwrap();
        table(&mut page, schema, &all, |_| true);
    }
    page
}

#[test]
fn the_page_has_every_kind_with_its_fields() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("where it begins");
    let (found, after) = rest.split_once(END).expect("where it ends");
    let wanted = wanted();
    if std::env::var_os("VAGT_UPDATE").is_some() {
        return std::fs::write(PAGE, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    }
    assert!(found == wanted, "docs/rules.md is behind: VAGT_UPDATE=1 cargo nextest run -p triage documented\n{wanted}");
}

/// What the guide quotes, by the file that its first line names.
fn quoted(guide: &str) -> Vec<(&str, &str)> {
    let blocks = guide.split("```rust\n// ").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.filter_map(|(block, _)| block.split_once('\n')).collect()
}

#[test]
fn what_the_guide_quotes_is_in_the_source() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = std::fs::read_to_string(root.join("docs/guides/rule-author.md")).unwrap();
    let quoted = quoted(&guide);
    assert!(quoted.len() >= 4, "{} quotes", quoted.len());
    for (file, code) in quoted {
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(code), "{file} has no longer\n{code}");
    }
}

#[test]
fn every_shipped_programme_has_its_page() {
    let page = include_str!("../../../../docs/programmes.md");
    for (file, text) in triage::SHIPPED {
        let programme = Programme::parse(text, file).unwrap();
        let heading = format!("## {} (`{}`)\n", programme.title(), programme.id());
        assert!(page.contains(&heading), "docs/programmes.md, want {heading:?}");
    }
}

#[test]
fn the_programme_that_the_page_shows_is_taken() {
    let page = include_str!("../../../../docs/programmes.md");
    let shown = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let programme = Programme::parse(shown, "docs/programmes.md").unwrap_or_else(|fault| panic!("{fault}"));
    assert!(programme.examples() > 1);
    assert_eq!(triage::Clinic::shipped().passed_by(&programme), Vec::new());
}
