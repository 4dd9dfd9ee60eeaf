//! `vagt config schema`: the JSON Schema of every configuration file and of every payload on the wire, made from the types that read them.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use schemars::schema_for;
use serde_json::Value;

use super::{
    kind::{Kind, Text},
    roster,
};
use crate::{
    cli::{Ended, out},
    config::Config,
};

/// Print the JSON Schema of a kind of file, or of a payload on the wire.
///
/// It is made from the types that read them, so that it can't be behind them. For a file, the schema of its kind.
#[derive(clap::Args)]
pub struct Args {
    /// programme, score, clinic, hub, roster, edge, questionnaire, own, readings, status, acks or commands; or a file.
    #[arg(value_name = "KIND|FILE", required_unless_present = "all", conflicts_with = "all")]
    of: Option<String>,
    /// Write them all into this folder, as KIND.json.
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
    /// Accepted for likeness with the other commands: a schema is JSON in any case.
    #[arg(long)]
    json: bool,
}

/// Makes a schema.
type MakeSchema = fn() -> Result<Value, Ended>;

/// Every schema, by name.
const SCHEMAS: &[(&str, MakeSchema)] = &[
    ("programme", || Ok(triage::Programme::json_schema())),
    ("score", || Ok(triage::Score::json_schema())),
    ("clinic", || Ok(triage::Clinic::json_schema())),
    ("hub", || Ok(schema_for!(Config).to_value())),
    ("roster", || Ok(schema_for!(roster::RosterForm).to_value())),
    ("edge", super::edge::schema),
    ("questionnaire", super::edge::questionnaire_schema),
    ("own", || Ok(schema_for!(triage::Own).to_value())),
    ("readings", || Ok(schema_for!(wire::Message).to_value())),
    ("status", || Ok(schema_for!(wire::Status).to_value())),
    ("acks", || Ok(schema_for!(wire::Acks).to_value())),
    ("commands", || Ok(schema_for!(wire::Command).to_value())),
];

/// Runs the command.
///
/// # Errors
/// [`Ended::Usage`] for what is neither a kind nor a file.
pub fn run(args: &Args) -> Result<(), Ended> {
    if let Some(folder) = &args.all {
        return write_all(folder);
    }
    let of = args.of.as_deref().unwrap_or_default();
    let schema = by_name(of).map_or_else(|| of_file(of), Ok)?;
    let mut out = out();
    out.write_all(pretty(&schema()?).as_bytes())?;
    Ok(out.flush()?)
}

fn by_name(name: &str) -> Option<MakeSchema> {
    SCHEMAS.iter().find(|(known, _)| *known == name).map(|(_, schema)| *schema)
}

fn of_file(name: &str) -> Result<MakeSchema, Ended> {
    if !Path::new(name).exists() {
        let known: Vec<_> = SCHEMAS.iter().map(|(known, _)| *known).collect();
        return Err(Ended::Usage(format!("{name:?} is no file, and no kind: there are {}", known.join(", "))));
    }
    let kind: Kind = Text::read_or_end(Path::new(name))?.kind(None)?;
    Ok(by_name(kind.name()).expect("every kind that is read here has a schema"))
}

fn write_all(folder: &Path) -> Result<(), Ended> {
    let failed = |path: &Path, error: std::io::Error| Ended::Failed(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, schema) in SCHEMAS {
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, pretty(&schema()?)).map_err(|error| failed(&path, error))?;
        writeln!(out(), "{}", path.display())?;
    }
    Ok(())
}

fn pretty(schema: &Value) -> String {
    let mut text = serde_json::to_string_pretty(schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
