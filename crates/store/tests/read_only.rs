//! A disk or a folder that can't be written is refused in one sentence, and opens again once it can.
//!
//! Permissions don't bind root, so the opening is done by this same test in a process of its own, as nobody where the tests run as root.

#![allow(clippy::unwrap_used, reason = "a test's helpers may panic")]

use std::{
    env, fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use store::{Sqlite, Store};

/// Names the file for the process that opens.
const FILE: &str = "VAGT_TEST_FILE";
/// Debian's `nobody`.
const NOBODY: u32 = 65_534;

async fn outcome(path: &Path) -> String {
    let write = match Sqlite::open(path).await {
        Ok(_) => "opened for writing".to_owned(),
        Err(error) => error.to_string(),
    };
    let read = match Sqlite::open_read_only(path).await {
        Ok(store) => format!("{:?} messages", store.stored().await.map(|stored| stored.messages)),
        Err(error) => error.to_string(),
    };
    format!("write: {write}\nread: {read}\n")
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn as_nobody(path: &Path) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["what_cannot_be_written_is_said", "--exact", "--nocapture"]).env(FILE, path);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn what_cannot_be_written_is_said() {
    if let Some(path) = env::var_os(FILE) {
        println!("{}", outcome(Path::new(&path)).await);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vagt.db");
    Sqlite::open(&path).await.unwrap().close().await;

    allow(&path, 0o444);
    allow(folder.path(), 0o555);
    let said = as_nobody(&path);
    assert!(
        said.contains("vagt.db: can't be written: the disk or the file is read-only; make it and its folder writable"),
        "{said}"
    );

    let said = as_nobody(&folder.path().join("new.db"));
    assert!(said.contains("new.db: can't be opened or created: the folder must exist and be writable"), "{said}");

    allow(folder.path(), 0o777);
    allow(&path, 0o666);
    let said = as_nobody(&path);
    assert!(said.contains("write: opened for writing") && said.contains("read: Ok(0) messages"), "{said}");
}
