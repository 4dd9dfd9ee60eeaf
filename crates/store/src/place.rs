//! Where a store is, and how it is opened, whichever backend keeps it.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::{
    Postgres, Sqlite, Store, StoreError,
    postgres::{self, Server},
    sqlite,
};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A database on a PostgreSQL server.
    Postgres(Server),
}

impl Place {
    /// An error of this store, with what to do about it where that is known.
    #[must_use]
    pub fn in_words(&self, error: StoreError) -> StoreError {
        match (self, error) {
            (Self::File(path), StoreError::Database(error)) => sqlite::trouble::of(path, error),
            (Self::Postgres(server), StoreError::Database(error)) => postgres::trouble::of(&server.to_string(), error),
            (_, error) => error,
        }
    }
}

/// Without a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(server) => server.fmt(f),
        }
    }
}

/// Opens a store, or makes it, and brings its schema up to this program's.
///
/// # Errors
/// [`StoreError::NewerSchema`], or [`StoreError::Unusable`] in a sentence that says what to do.
pub async fn open(place: &Place) -> Result<Arc<dyn Store>, StoreError> {
    match place {
        Place::File(path) => Ok(Arc::new(Sqlite::open(path).await?)),
        Place::Postgres(server) => Ok(Arc::new(Postgres::open(server).await?)),
    }
}

/// Opens a store as it is, for reading only; beside a running service too.
///
/// # Errors
/// As [`open`]; and a store of an older schema is refused, since reading may not migrate it.
pub async fn open_read_only(place: &Place) -> Result<Arc<dyn Store>, StoreError> {
    match place {
        Place::File(path) => Ok(Arc::new(Sqlite::open_read_only(path).await?)),
        Place::Postgres(server) => Ok(Arc::new(Postgres::open_read_only(server).await?)),
    }
}
