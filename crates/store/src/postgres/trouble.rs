//! What PostgreSQL's error codes mean to the person who runs the clinic: one sentence that says what to do.

use std::io;

use super::conn;
use crate::StoreError;

/// SQLSTATE codes, or the two characters of their class (<https://www.postgresql.org/docs/15/errcodes-appendix.html>), and what to do about each.
#[rustfmt::skip]
const SENTENCES: &[(&str, &str)] = &[
    ("28P01", "wrong password for this user: mend `store_password_file`, PGPASSWORD or the URL"),
    ("28",    "the server does not let this user in: see its pg_hba.conf, and whether it wants TLS (`?sslmode=require`)"),
    ("3D000", "there is no such database: make it with `createdb --owner=USER DATABASE`"),
    ("42501", "permission denied: the database's owner, or somebody with CREATE on it, must be the user in the URL"),
    ("25006", "the server only reads: it is a standby, or was told to be read-only; name the primary"),
    ("53100", "the server's disk is full: free some space there; nothing that was acknowledged is lost"),
    ("53200", "the server is out of memory"),
    ("53300", "the server has no connection left: raise its max_connections, vagt needs 6"),
    ("55P03", "locked by another program for longer than 30 s: stop that program, or wait for it"),
    ("57P01", "the server was told to end this connection"),
    ("57P03", "the server is starting or stopping"),
    ("58030", "the server's disk failed to read or write: check the disk and the server's log"),
    ("XX001", "damaged: stop vagt, keep a copy of the server's data, and restore the last backup"),
    ("XX002", "damaged: stop vagt, keep a copy of the server's data, and restore the last backup"),
];

/// The error of a database, with a sentence where there is one.
pub(crate) fn of(name: &str, error: sqlx::Error) -> StoreError {
    let what = match &error {
        sqlx::Error::Database(inner) => inner.code().and_then(|code| sentence(&code)).map(str::to_owned),
        sqlx::Error::Io(inner) if conn::is_late(inner) => {
            Some(format!("{inner}: it has too much to do, or the line to it was cut"))
        }
        sqlx::Error::Io(inner) if inner.kind() == io::ErrorKind::InvalidData => Some(no_handshake(&inner.to_string())),
        sqlx::Error::Io(inner) => {
            Some(format!("the server can't be reached ({inner}): is it running, and is this its address"))
        }
        sqlx::Error::Tls(inner) => Some(format!("no TLS with this server ({inner}): see `sslmode` and `sslrootcert`")),
        sqlx::Error::PoolTimedOut => Some("no connection became free within 30 s".to_owned()),
        sqlx::Error::PoolClosed => return StoreError::Closed,
        _ => None,
    };
    match what {
        Some(what) => StoreError::Unusable { path: name.to_owned(), what, source: error },
        None => StoreError::Database(error),
    }
}

/// What to do about a handshake that failed: the driver tells of it as of bytes that are none.
fn no_handshake(found: &str) -> String {
    let what = if found.contains("UnknownIssuer") {
        "the server's certificate is of an authority that is not trusted here: name that authority's certificate as `sslrootcert`"
    } else if found.contains("not valid for name") || found.contains("NotValidForName") {
        "the server's certificate is not for this host name: name the server in the URL as its certificate does"
    } else if found.starts_with("invalid peer certificate") {
        "the server's certificate is not good: give the server a new one"
    } else {
        "no TLS with this server: see `sslmode`, `sslrootcert`, `sslcert` and `sslkey`"
    };
    format!("{what} ({found})")
}

/// A server that lacks what is needed.
pub(super) fn too_old(name: &str, found: i32, wanted: i32) -> StoreError {
    let what = format!("PostgreSQL {}, want {} or newer", found / 10_000, wanted / 10_000);
    refused(name, what, "an older server")
}

/// A sentence of ours.
pub(super) fn refused(name: &str, what: String, why: &'static str) -> StoreError {
    StoreError::Unusable { path: name.to_owned(), what, source: sqlx::Error::Configuration(why.into()) }
}

/// Is it a uniqueness that was violated?
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Was a lock waited for too long?
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|inner| inner.code()).is_some_and(|code| code == "55P03")
}

/// Is the connection itself of no use any more?
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(inner) => {
            inner.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

/// The code's own, else its class's.
fn sentence(code: &str) -> Option<&'static str> {
    let of = |wanted: &str| SENTENCES.iter().find(|(known, _)| *known == wanted).map(|(_, sentence)| *sentence);
    of(code).or_else(|| code.get(..2).and_then(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_believed_is_no_server_that_is_away() {
        let said = |kind, text: &str| of("db", io::Error::new(kind, text.to_owned()).into()).to_string();
        let invalid = io::ErrorKind::InvalidData;
        for (found, wanted) in [
            ("invalid peer certificate: UnknownIssuer", "name that authority's certificate as `sslrootcert`"),
            ("invalid peer certificate: certificate not valid for name \"db\"", "not for this host name"),
            ("invalid peer certificate: Expired", "is not good"),
            ("received fatal alert: HandshakeFailure", "no TLS with this server"),
        ] {
            let said = said(invalid, found);
            assert!(said.contains(wanted) && said.contains(found) && !said.contains("is it running"), "{said}");
        }
        assert!(said(io::ErrorKind::ConnectionRefused, "connection refused").contains("is it running"));
    }

    #[test]
    fn every_sentence_is_for_one_code_and_a_class_has_the_rest() {
        for (code, text) in SENTENCES {
            assert_eq!(sentence(code), Some(*text));
            assert!(!text.ends_with('.'));
        }
        assert!(sentence("28000").unwrap().contains("pg_hba.conf"));
        assert_eq!(sentence("42P01"), None);
    }
}
