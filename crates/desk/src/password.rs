//! Passwords: argon2id with the library's recommended costs, on a blocking thread, a few at a time.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

/// Passwords checked at the same time: each takes 19 MiB for its moment.
const CHECKS_MAX: usize = 2;

static CHECKS: Semaphore = Semaphore::const_new(CHECKS_MAX);

/// What a user that does not exist is checked against, so that the answer takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| password_hash(&crate::session::token()));

/// The argon2id PHC string of a password, with a new random salt.
#[must_use]
pub fn password_hash(password: &str) -> String {
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .expect("default costs are valid and the system has random numbers");
    hash.to_string()
}

/// Is this the password of `hash`? `None` stands for a user that does not exist, and costs the same.
pub(crate) async fn verify(password: String, hash: Option<String>) -> bool {
    let _turn = CHECKS.acquire().await.expect("never closed");
    let check = move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        known && matches(&password, &hash)
    };
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_salted_and_fits_its_password_alone() {
        let (one, other) = (password_hash("correct horse"), password_hash("correct horse"));
        assert!(one.starts_with("$argon2id$v=19$"));
        assert_ne!(one, other);
        assert!(matches("correct horse", &one));
        assert!(!matches("Correct horse", &one));
        assert!(!matches("", "not a hash"));
    }
}
