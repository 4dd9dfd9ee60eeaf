//! What a programme makes of a recording is the same with every later version of the program, byte for byte.
//!
//! `tests/golden/recording.jsonl` holds two simulated people: "sim-day" measures everything for six weeks, with a doubtful value that is measured
//! again, a message sent twice, one two days late, three silent days, somebody else on the scale, and eleven days of being ill; "sim-year" blows for
//! a year, and gets worse slowly. For each version of a shipped programme `ID-VERSION.txt` holds what `vagt replay --alerts` said: of each line the
//! time, what it is, and the beginning of its SHA-256. `ID-VERSION-judging-N.txt` holds the same in a later way of judging.
//!
//! Files are added, never changed: what patients were judged by must be readable, and mean the same, for as long as their records are kept. `KEPT`
//! holds the beginning of the SHA-256 of each, and of each version of a programme that was ever shipped. After a new version of a programme was
//! shipped, keep the text of the one before as `ID-VERSION.toml` there, and run
//! `VAGT_GOLDEN=add cargo nextest run -p tests --test golden`: it writes what is missing, and changes nothing that is there.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tests::program::ours;
use triage::Judging;

/// Until when time passes after the recording.
const UNTIL: &str = "2025-04-19T00:00:00Z";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

fn golden() -> PathBuf {
    root().join("tests/golden")
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Every version of a programme, by `ID-VERSION`: those that are shipped now, and those kept here.
fn programmes() -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for folder in [root().join("config/programmes"), golden()] {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let Ok(Ok(table)) = fs::read_to_string(&path).map(|text| text.parse::<toml::Table>()) else { continue };
            let (Some(id), Some(version)) = (table.get("id"), table.get("version")) else { continue };
            found.insert(format!("{}-{version}", id.as_str().expect("an id")), path);
        }
    }
    found
}

fn replayed(programme: &Path, judging: u32) -> String {
    let (golden, vagt) = (golden(), ours("vagt").expect("built"));
    let mut replay = Command::new(vagt);
    replay
        .args(["replay", "--alerts", "--judging", &judging.to_string(), "--until", UNTIL, "--programme"])
        .arg(programme);
    let output = replay.arg("--patient").arg(golden.join("sim-year.toml")).arg(golden.join("recording.jsonl")).output();
    let output = output.expect("vagt runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A line for each line: when, what, of whom, and what its bytes are known by.
fn told(lines: &str) -> String {
    let mut all = String::new();
    for line in lines.lines() {
        let value: Value = serde_json::from_str(line).expect("a JSON line");
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let said = if value["event"].is_object() {
            let (family, patient) = (text("/alert/family"), text("/alert/patient"));
            format!("{} {patient} alert {family} {}: {}", text("/event/at"), text("/event/kind"), text("/event/mark"))
        } else {
            format!("{} {} {} -> {}", text("/at"), text("/patient"), text("/was"), text("/colour"))
        };
        writeln!(all, "{said} {}", hash(line.as_bytes())).expect("a string takes all");
    }
    all
}

/// Are files that are missing to be written?
fn adds() -> bool {
    std::env::var("VAGT_GOLDEN").is_ok_and(|said| said == "add")
}

#[test]
fn every_version_that_was_ever_shipped_says_of_the_recording_what_it_always_said() {
    let mut differs = Vec::new();
    let ways = |(name, path): (String, PathBuf)| {
        let of_way = |judging: &Judging| match judging {
            Judging::First => name.clone(),
            later => format!("{name}-judging-{}", u32::from(*later)),
        };
        Judging::ALL.map(|judging| (of_way(&judging), path.clone(), judging))
    };
    for (name, path, judging) in programmes().into_iter().flat_map(ways) {
        let (file, now) = (golden().join(format!("{name}.txt")), told(&replayed(&path, judging.into())));
        if adds() && !file.exists() {
            fs::write(&file, &now).expect("written");
        }
        let then = fs::read_to_string(&file).unwrap_or_default();
        if now != then {
            let at = now.lines().zip(then.lines()).position(|(now, then)| now != then);
            let at = at.unwrap_or_else(|| now.lines().count().min(then.lines().count()));
            differs.push(format!("{name}.txt:{}: {:?}, was {:?}", at + 1, now.lines().nth(at), then.lines().nth(at)));
        }
    }
    assert!(differs.is_empty(), "{differs:#?}");
    what_was_kept_only_grows();
}

fn what_was_kept_only_grows() {
    let mut found: BTreeMap<String, String> =
        programmes().into_iter().map(|(name, path)| (name, hash(&fs::read(path).expect("readable")))).collect();
    for entry in fs::read_dir(golden()).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if name != "KEPT" && !found.contains_key(name.trim_end_matches(".toml")) {
            found.insert(name, hash(&fs::read(entry.path()).expect("readable")));
        }
    }
    let list = golden().join("KEPT");
    let text = fs::read_to_string(&list).unwrap_or_default();
    let mut known: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(hash, name)| (name.to_owned(), hash.to_owned()))
        .collect();
    if adds() {
        found.iter().for_each(|(name, hash)| _ = known.entry(name.clone()).or_insert_with(|| hash.clone()));
        let lines: Vec<String> = known.iter().map(|(name, hash)| format!("{hash} {name}\n")).collect();
        fs::write(&list, lines.concat()).expect("written");
    }
    assert_eq!(
        found, known,
        "a shipped version, or a file kept of it, was changed or has no line in tests/golden/KEPT"
    );
}
