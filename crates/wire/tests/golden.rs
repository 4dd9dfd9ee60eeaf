//! What was ever sent is understood for ever: every golden file is read, and written again byte for byte. Files are only added.

use serde::{Serialize, de::DeserializeOwned};
use wire::{Acks, Command, Message, Status};

#[track_caller]
fn check<T: Serialize + DeserializeOwned>(name: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("golden file");
    let value: T = serde_json::from_str(&text).expect(name);
    assert_eq!(serde_json::to_string(&value).expect(name), text.trim_end(), "{name}");
}

#[test]
fn golden_files_are_read_and_written_byte_for_byte() {
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
        .expect("golden folder")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
        .collect();
    files.sort();
    assert!(files.len() >= 5, "golden files only grow, found {}", files.len());
    for name in files {
        match name.split(['-', '.']).nth(1) {
            Some("readings") => check::<Message>(&name),
            Some("status") => check::<Status>(&name),
            Some("acks") => check::<Acks>(&name),
            Some("commands") => check::<Command>(&name),
            other => panic!("{name}: no payload is called {other:?}"),
        }
    }
}
