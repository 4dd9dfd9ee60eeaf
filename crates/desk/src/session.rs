//! Who is signed in: a random token in a cookie, and its SHA-256 in the store. A copy of the store signs nobody in.
//!
//! A session is absolute: twelve hours after signing in it ends, whatever is done meanwhile. Signing in always makes a new token.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Account, Store, StoreError, WebSession};

use crate::words::{Language, Words};

/// A session ends so long after signing in.
pub const SESSION_AGE_MAX: SignedDuration = SignedDuration::from_hours(12);
/// The cookie that carries the token.
pub const SESSION_COOKIE: &str = "vagt_session";
/// The cookie that ties the sign-in form to a browser before there is a session.
pub const FORM_COOKIE: &str = "vagt_form";

/// What the store keeps of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the token, in hex.
    #[serde(skip)]
    pub id: String,
    /// When it ends.
    #[serde(skip)]
    pub expires_at: Timestamp,
    /// The account.
    pub user: String,
    /// Shown to colleagues.
    pub name: String,
    /// The account's role.
    pub role: String,
    /// Language of the pages.
    pub language: String,
    /// The synchroniser token of every form.
    pub csrf: String,
    /// SHA-256 of the password's hash: another password ends the session.
    #[serde(default)]
    pub password: String,
}

impl Session {
    /// A new session of an account, and the token for its cookie.
    pub fn new(account: &Account, now: Timestamp) -> (Self, String) {
        let token = token();
        let session = Self {
            id: sha256_hex(&[&token]),
            expires_at: now + SESSION_AGE_MAX,
            user: account.user.clone(),
            name: account.name.clone(),
            role: account.role.clone(),
            language: account.language.clone(),
            csrf: self::token(),
            password: sha256_hex(&[&account.password_hash]),
        };
        (session, token)
    }

    /// The session of a request's cookie, if it has one that still lasts. What the person may do is the account's word of now: an account that was
    /// taken away, or got another password, has no session any more; one that was given another role has it at once.
    pub async fn find(store: &dyn Store, headers: &HeaderMap, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let Some(token) = cookie(headers, SESSION_COOKIE) else { return Ok(None) };
        let id = sha256_hex(&[token]);
        let stored = store.web_session(&id, now).await?;
        match stored.filter(|stored| stored.expires_at > now).and_then(Self::read) {
            Some(session) => session.of_account(store).await,
            None => Ok(None),
        }
    }

    /// Does it last still, and its account too?
    pub async fn lasts(&self, store: &dyn Store, now: Timestamp) -> Result<bool, StoreError> {
        if self.expires_at <= now || store.web_session(&self.id, now).await?.is_none() {
            return Ok(false);
        }
        Ok(self.clone().of_account(store).await?.is_some_and(|session| session.role == self.role))
    }

    async fn of_account(self, store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let account = store.account(&self.user).await?;
        let account = account.filter(|account| same(&sha256_hex(&[&account.password_hash]), &self.password));
        Ok(account.map(|account| Self { name: account.name, role: account.role, ..self }))
    }

    fn read(stored: WebSession) -> Option<Self> {
        let session: Self = serde_json::from_str(&stored.data).ok()?;
        Some(Self { id: stored.id, expires_at: stored.expires_at, ..session })
    }

    /// Keeps it.
    pub async fn save(&self, store: &dyn Store) -> Result<(), StoreError> {
        let data = serde_json::to_string(self).expect("plain texts are JSON");
        store.put_web_session(&WebSession { id: self.id.clone(), data, expires_at: self.expires_at }).await
    }

    /// The words of its language.
    pub fn words(&self) -> &'static Words {
        Language::of(&self.language).unwrap_or_default().words()
    }
}

/// The most sessions that are remembered.
const SESSIONS_MAX: usize = 4096;
/// What the store said of a session holds for so long while it does not answer: a shift may end meanwhile, an account that was taken away is not
/// one for much longer.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Sessions that the store found lately, by their id, with when.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, (Timestamp, Session)>>);

impl Sessions {
    /// What the store said of a request's session.
    pub fn note(&self, headers: &HeaderMap, found: Option<&Session>, now: Timestamp) {
        let Some(token) = cookie(headers, SESSION_COOKIE) else { return };
        let mut known = self.lock();
        if known.len() >= SESSIONS_MAX {
            known.clear();
        }
        match found {
            Some(session) => drop(known.insert(session.id.clone(), (now, session.clone()))),
            None => drop(known.remove(&sha256_hex(&[token]))),
        }
    }

    /// A session that ends is not remembered.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// The session of a request, if the store found it lately.
    pub fn lately(&self, headers: &HeaderMap, now: Timestamp) -> Option<Session> {
        let id = sha256_hex(&[cookie(headers, SESSION_COOKIE)?]);
        let known = self.lock();
        let (found_at, session) = known.get(&id)?;
        let holds = session.expires_at > now && now.duration_since(*found_at) < REMEMBERED_FOR;
        holds.then(|| session.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, Session)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 random bits, in hex.
pub fn token() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// SHA-256 of the parts, in hex.
pub fn sha256_hex(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part.as_bytes()));
    hex(&hash.finalize())
}

/// Are two secrets the same? Compares their hashes, so that the time it takes tells nothing of them.
pub fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()) == Sha256::digest(other.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A cookie of a request.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// A `Set-Cookie` that scripts can't read and other sites can't use. `seconds` 0 takes it away.
pub fn set_cookie(name: &str, value: &str, seconds: i64, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    line.parse().expect("our cookies are hex")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_256_bits_and_never_the_same() {
        assert_eq!(token().len(), 64);
        assert_ne!(token(), token());
    }

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; vagt_session=abc; b=2".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION_COOKIE), Some("abc"));
        assert_eq!(cookie(&headers, "session"), None);
    }

    #[test]
    fn a_cookie_is_locked_down() {
        let line = set_cookie(SESSION_COOKIE, "ab", 60, true);
        assert_eq!(line, "vagt_session=ab; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
    }
}
