//! The habits of this tree, checked: who may use whom, what the pure crates must not know, that every file opens with its purpose, and
//! that golden files only grow.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Who may use whom, among our own crates. The folders are the architecture (docs/ARCHITECTURE.md).
const MAY_USE: &[(&str, &[&str])] = &[
    ("vitals", &[]),
    ("drivers", &["vitals"]),
    ("wire", &["vitals"]),
    ("triage", &["vitals"]),
    ("edge", &["vitals", "drivers", "wire"]),
    ("store", &["vitals", "triage"]),
    ("desk", &["vitals", "wire", "triage", "store"]),
    ("hub", &["vitals", "drivers", "wire", "triage", "store", "desk"]),
    ("firmware-sim", &[]),
    ("tests", &["vitals", "wire", "triage", "store"]),
    ("benches", &[]),
];

/// What a pure crate may use besides: numbers, time as data, text formats. No IO, no clock, no async.
const PURE: &[&str] = &["vitals", "drivers", "wire", "triage"];
const PURE_MAY_USE: &[&str] = &[
    "jiff",
    "rust_decimal",
    "schemars",
    "serde",
    "serde_json",
    "serde_spanned",
    "strsim",
    "thiserror",
    "toml",
    "uuid",
];

/// What a kit must not carry, however deep: brokers, database server clients, and of the web what its own page does not need.
const KIT_MUST_NOT_CARRY: &[&str] =
    &["actix-web", "mqtt5", "sqlx-postgres", "sqlx-mysql", "tokio-postgres", "postgres", "tower-http"];

/// Golden files of the wire with the first 16 hex digits of their SHA-256. Lines are added, never changed.
const GOLDEN: &[(&str, &str)] = &[
    ("v1-acks-judged.json", "8643adf762ebeb9f"),
    ("v1-acks.json", "5adc6aea7a81e30c"),
    ("v1-commands-message.json", "b117763cdbe5cb7d"),
    ("v1-commands.json", "6a06e9cb4bfff1c0"),
    ("v1-readings-oldest.json", "8e1693744e00eda8"),
    ("v1-readings-precision.json", "9a9b3049a0a7b768"),
    ("v1-readings-receipts.json", "88b7fe588c3004dc"),
    ("v1-readings.json", "e3b396e0c4b90a54"),
    ("v1-status.json", "7ca88b122a997bf1"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Our packages, each with the names of its direct, normal dependencies.
fn direct(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().expect("members").iter().filter_map(Value::as_str).collect();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| members.contains(text(package, "id")))
        .map(|package| {
            let normal = package["dependencies"].as_array().expect("dependencies").iter();
            let names = normal.filter(|d| d["kind"].is_null()).map(|d| text(d, "name").to_owned());
            (text(package, "name").to_owned(), names.collect())
        })
        .collect()
}

/// What a program is linked with when it is built by itself: the features that other members ask for are not among it.
fn carried(package: &str) -> BTreeSet<String> {
    let output = Command::new("cargo")
        .args(["tree", "--offline", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("UTF-8");
    listed.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let direct = direct(&metadata());
    let ours: BTreeSet<_> = direct.keys().cloned().collect();
    assert_eq!(ours, MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect(), "a crate without a line in MAY_USE");
    for (name, allowed) in MAY_USE {
        for used in direct[*name].intersection(&ours) {
            assert!(allowed.contains(&used.as_str()), "{name} uses {used}, which its line in MAY_USE does not allow");
        }
    }
}

#[test]
fn pure_crates_know_no_io_no_clock_and_no_async() {
    let direct = direct(&metadata());
    for name in PURE {
        for used in &direct[*name] {
            let ours = MAY_USE.iter().any(|(known, _)| known == used);
            assert!(ours || PURE_MAY_USE.contains(&used.as_str()), "{name} is pure and may not use {used}");
        }
    }
}

#[test]
fn a_kit_carries_no_broker_no_database_server_client_and_no_more_web_than_its_page() {
    let carried = carried("edge");
    assert!(carried.contains("rumqttc-next"), "the list is that of a kit: {carried:?}");
    for name in KIT_MUST_NOT_CARRY {
        assert!(!carried.contains(*name), "vagt-edge carries {name}");
    }
}

/// Every file that git knows, or would.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("UTF-8 names");
    let files: Vec<_> = listed.lines().map(|line| root().join(line)).filter(|path| path.is_file()).collect();
    assert!(files.len() > 50, "found only {} files", files.len());
    files
}

/// How a file of this kind begins when it says what it is for; `None` for kinds that can't.
fn opening(path: &Path) -> Option<&'static [&'static str]> {
    match path.extension()?.to_str()? {
        "rs" => Some(&["//!"]),
        "sql" => Some(&["--"]),
        "css" => Some(&["/*"]),
        "js" | "mjs" => Some(&["//", "/*"]),
        "html" => Some(&["{#", "<!--"]),
        "ftl" => Some(&["#"]),
        "py" | "sh" | "yml" | "yaml" | "conf" | "service" => Some(&["#"]),
        "md" => Some(&["# "]),
        "toml" if path.file_name() != Some("Cargo.toml".as_ref()) => Some(&["#"]),
        _ => None,
    }
}

#[test]
fn every_file_opens_with_its_purpose() {
    let mut without = Vec::new();
    for path in files() {
        let Some(openings) = opening(&path) else { continue };
        let content = fs::read_to_string(&path).expect("readable");
        if !openings.iter().any(|opening| content.starts_with(opening)) {
            without.push(path);
        }
    }
    assert!(without.is_empty(), "files that do not open with what they are for: {without:#?}");
}

#[test]
fn golden_files_only_grow() {
    let folder = root().join("crates/wire/tests/golden");
    let found: BTreeMap<String, String> = fs::read_dir(&folder)
        .expect("golden folder")
        .map(|entry| {
            let entry = entry.expect("entry");
            let digest = Sha256::digest(fs::read(entry.path()).expect("readable"));
            let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            (entry.file_name().into_string().expect("UTF-8"), hex)
        })
        .collect();
    let known: BTreeMap<String, String> = GOLDEN.iter().map(|(n, h)| ((*n).to_owned(), (*h).to_owned())).collect();
    assert_eq!(found, known, "a golden file was changed or has no line in GOLDEN");
}

#[test]
fn published_schemas_are_those_of_the_types() {
    let made = tempfile::tempdir().expect("a folder");
    let vagt = tests::program::ours("vagt").expect("built");
    let all = Command::new(vagt).args(["config", "schema", "--all"]).arg(made.path()).output().expect("vagt runs");
    assert!(all.status.success(), "{}", String::from_utf8_lossy(&all.stderr));
    let names = |folder: &Path| -> BTreeSet<_> {
        fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").file_name()).collect()
    };
    let published = root().join("docs/schemas");
    assert_eq!(names(&published), names(made.path()));
    for name in names(made.path()) {
        let read = |folder: &Path| fs::read_to_string(folder.join(&name)).expect("readable");
        assert_eq!(read(&published), read(made.path()), "{name:?} is behind its type: run `make schemas`");
    }
}

/// The pages that people read, each with its text. What was decided once may speak of what there is no more.
fn pages() -> Vec<(PathBuf, String)> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let pages = files().into_iter().filter(is_page);
    pages.map(|path| (path.clone(), fs::read_to_string(&path).expect("readable"))).collect()
}

#[test]
fn links_of_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in pages() {
        let folder = path.parent().expect("a file lies in a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default();
            let is_ours = !file.is_empty() && !file.contains("://") && !file.contains(char::is_whitespace);
            if is_ours && !folder.join(file).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

/// The pieces of code of a page: lines of its blocks, and what stands between backticks.
fn code(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut pieces = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            pieces.push(line.trim());
        } else {
            pieces.extend(line.split('`').skip(1).step_by(2));
        }
    }
    pieces
}

/// The words of a command line that say which command it is, and its options. What follows is for a shell.
fn command_and_options(words: &[&str]) -> (Vec<String>, Vec<String>) {
    let is_name = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let command = words.iter().take_while(is_name).take(2).map(|word| (*word).to_owned()).collect();
    let is_ours = |word: &&&str| !["#", "|", ">", "<", "&&", "2>"].contains(word);
    let options = words.iter().take_while(is_ours).filter(|word| word.starts_with("--"));
    let name = |word: &&str| word.split(['=', '[', ',', ';', ')']).next().unwrap_or_default().to_owned();
    (command, options.map(name).filter(|name| name.len() > 2).collect())
}

/// What a command says of itself; none if there is no such command.
fn help(program: &str, command: &[String], known: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let key = format!("{program} {}", command.join(" "));
    let ask = || {
        let output = Command::new(tests::program::ours(program).expect("built")).args(command).arg("--help").output();
        let output = output.expect("it runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    known.entry(key).or_insert_with(ask).clone()
}

#[test]
fn pages_name_only_commands_and_options_that_exist() {
    let (mut known, mut wrong, mut found) = (BTreeMap::new(), Vec::new(), 0);
    for (path, text) in pages().into_iter().filter(|(path, _)| !path.starts_with(root().join("docs/decisions"))) {
        for piece in code(&text) {
            let words: Vec<&str> = piece.split_whitespace().collect();
            let Some((program, words)) = words.split_first().filter(|(first, _)| ["vagt", "vagt-edge"].contains(first))
            else {
                continue;
            };
            let (mut command, options) = command_and_options(words);
            // A word may be the command's first argument.
            let mut said = help(program, &command, &mut known);
            if said.is_none() && command.len() == 2 {
                command.pop();
                said = help(program, &command, &mut known).filter(|said| !said.contains("<COMMAND>"));
            }
            found += 1;
            let unknown = |said: &String| options.iter().find(|option| !said.contains(option.as_str())).cloned();
            match said.as_ref().map(unknown) {
                Some(None) => {}
                Some(Some(option)) => wrong.push(format!("{}: `{piece}`: no {option}", path.display())),
                None => wrong.push(format!("{}: `{piece}`: no such command", path.display())),
            }
        }
    }
    assert!(found > 50, "found only {found} commands in the pages");
    assert!(wrong.is_empty(), "commands that do not exist: {wrong:#?}");
}
