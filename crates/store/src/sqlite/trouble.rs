//! What SQLite's result codes mean to the person who runs the clinic: one sentence that says what to do.

use std::path::Path;

use super::history::Stopped;
use crate::StoreError;

/// Primary result codes (<https://sqlite.org/rescode.html>) and what to do about each.
#[rustfmt::skip]
const SENTENCES: &[(i32, &str)] = &[
    (3,  "permission denied: let the account that vagt runs under read and write it"),
    (5,  "locked by another program for too long: stop that program, or wait for its backup to finish"),
    (8,  "can't be written: the disk or the file is read-only; make it and its folder writable for the account that vagt runs under"),
    (10, "the disk failed to read or write: check the disk and the system's log"),
    (11, "damaged: stop vagt, keep a copy of the file, and restore the last backup"),
    (13, "the disk is full: free some space; nothing that was acknowledged is lost"),
    (14, "can't be opened or created: the folder must exist and be writable for the account that vagt runs under"),
    (26, "not a database: another file has this name; name another file, or move this one away"),
];

/// The error of a database file, with a sentence where there is one.
pub(crate) fn of(path: &Path, error: sqlx::Error) -> StoreError {
    let sentence = code(&error).and_then(sentence);
    match sentence {
        Some(what) => StoreError::Unusable { path: path.display().to_string(), what: what.to_owned(), source: error },
        None => StoreError::Database(error),
    }
}

/// The same of what works with a connection of its own, in a thread.
pub(super) fn of_stopped(path: &Path, stopped: Stopped) -> StoreError {
    let error = match stopped {
        Stopped::Known(error) => return error,
        Stopped::Database(error) => error,
    };
    let code = error.sqlite_error().map(|error| error.extended_code & 0xff);
    let source = sqlx::Error::AnyDriverError(Box::new(error));
    match code.and_then(sentence) {
        Some(what) => StoreError::Unusable { path: path.display().to_string(), what: what.to_owned(), source },
        None => StoreError::Database(source),
    }
}

/// An SQLite file that another program made.
pub(super) fn not_ours(path: &Path) -> StoreError {
    let what = "a database of another program: name another file, or move this one away";
    said(path, what, "the file's application id is not vagt's")
}

/// Something else about a file, in a sentence.
pub(super) fn said(path: &Path, what: &str, cause: &'static str) -> StoreError {
    let source = sqlx::Error::Configuration(cause.into());
    StoreError::Unusable { path: path.display().to_string(), what: what.to_owned(), source }
}

/// Is it a uniqueness that was violated? (2067: a unique index, 1555: a primary key)
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| matches!(error.extended_code, 2067 | 1555))
}

/// The primary result code: the lowest byte of the extended one.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

fn sentence(code: i32) -> Option<&'static str> {
    SENTENCES.iter().find(|(known, _)| *known == code).map(|(_, sentence)| *sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sqlite;

    async fn refusal(path: &Path) -> String {
        Sqlite::open(path).await.err().expect("this can't be opened").to_string()
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_refused_in_a_sentence_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("letter.txt");
        let long = "Dear nurse, this is a letter and no database. ".repeat(40);
        std::fs::write(&text, &long).unwrap();
        assert!(refusal(&text).await.ends_with(
            "letter.txt: not a database: another file has this name; name another file, or move this one away"
        ));
        assert_eq!(std::fs::read_to_string(&text).unwrap(), long);

        let nowhere = folder.path().join("no/such/folder/vagt.db");
        assert!(refusal(&nowhere).await.contains("vagt.db: can't be opened or created: the folder must exist"));
        assert!(refusal(folder.path()).await.contains("can't be opened"));
        assert!(refusal(Path::new("/proc/vagt.db")).await.contains("can't be opened or created"));
    }

    #[tokio::test]
    async fn another_programs_database_is_refused() {
        use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photos.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE photo (id INTEGER)").execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        assert!(refusal(&path).await.contains("photos.db: a database of another program"));
    }

    #[test]
    fn every_sentence_is_for_one_code() {
        for (code, text) in SENTENCES {
            assert_eq!(sentence(*code), Some(*text));
            assert!(!text.ends_with('.'));
        }
        assert_eq!(sentence(1), None);
    }
}
