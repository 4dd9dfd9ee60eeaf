//! What colleagues are called: what is stored carries the account's user name, and pages show the name that colleagues know.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use store::{Store, StoreError};

/// Names are read again after so long: an account may be added, or named otherwise, beside the running service.
const NAMES_AGE_MAX: SignedDuration = SignedDuration::from_secs(10);

/// Every account's name, by its user name. Bounded by the accounts.
#[derive(Debug, Default)]
pub struct Names(RwLock<(Option<Timestamp>, HashMap<String, String>)>);

impl Names {
    /// Reads them anew if they are old.
    pub async fn refresh(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let read_at = self.0.read().unwrap_or_else(PoisonError::into_inner).0;
        if read_at.is_some_and(|at| now.duration_since(at).abs() < NAMES_AGE_MAX) {
            return Ok(());
        }
        let accounts = store.accounts().await?.into_iter().map(|account| (account.user, account.name)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (Some(now), accounts);
        Ok(())
    }

    /// What `by` is called. What is no user name (of an account that is gone, or stored as a name by an earlier version) is said as it is.
    pub fn of(&self, by: &str) -> String {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.1.get(by).cloned().unwrap_or_else(|| by.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use store::{Account, Sqlite};

    use super::*;

    #[tokio::test]
    async fn a_user_name_becomes_a_name_and_what_was_stored_as_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let named = |name: &str| Account {
            user: "karen".to_owned(),
            name: name.to_owned(),
            password_hash: String::new(),
            role: "nurse".to_owned(),
            language: "en".to_owned(),
        };
        store.put_account(&named("Karen S.")).await.unwrap();
        let (names, now) = (Names::default(), "2026-11-22T08:00:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(names.of("karen"), "karen", "before anything was read");
        names.refresh(&store, now).await.unwrap();
        assert_eq!(["karen", "Karen S.", "gone"].map(|by| names.of(by)), ["Karen S.", "Karen S.", "gone"]);
        store.put_account(&named("Karen T.")).await.unwrap();
        for (seconds, wanted) in [(9, "Karen S."), (10, "Karen T.")] {
            names.refresh(&store, now + SignedDuration::from_secs(seconds)).await.unwrap();
            assert_eq!(names.of("karen"), wanted);
        }
    }
}
