//! Who does something by a command, for the journal: the user name of an account that may do it, where one is said; else `command:` and the
//! machine's own user, since whoever can run this beside the store has the store in their hands.

use store::{Account, Store};

use super::{Ended, roster::failed};

/// Every role: everybody who signs in may.
pub const EVERYBODY: &[&str] = &["nurse", "doctor", "operator", "admin"];
/// Those who may set a patient's own limits.
pub const LIMITS: &[&str] = &["doctor", "operator", "admin"];

/// Who does it.
///
/// # Errors
/// There is no such account, or it has none of these roles.
pub async fn who(store: &dyn Store, by: Option<&str>, roles: &[&str]) -> Result<String, Ended> {
    let Some(by) = by else { return Ok(format!("command:{}", machine_user())) };
    Ok(account(store, by, roles).await?.user)
}

/// An account that may do it.
///
/// # Errors
/// There is no such account, or it has none of these roles.
pub async fn account(store: &dyn Store, by: &str, roles: &[&str]) -> Result<Account, Ended> {
    let Some(account) = store.account(by).await.map_err(failed)? else {
        return Err(Ended::Failed(format!(
            "found no account {by:?}, want the user name of somebody who signs in here"
        )));
    };
    if !roles.contains(&account.role.as_str()) {
        return Err(Ended::Failed(format!("{by} is a {}, want {}", account.role, roles.join(" or "))));
    }
    Ok(account)
}

/// By the system's own list; the number, where it has no name.
fn machine_user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    user_of(&users, &uid).unwrap_or(uid)
}

fn user_of(users: &str, uid: &str) -> Option<String> {
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(uid))?;
    Some(line.split(':').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use store::Sqlite;

    use super::*;

    #[test]
    fn the_machine_knows_its_users_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nvagt:x:998:998::/var/lib/vagt:/usr/sbin/nologin\n";
        assert_eq!(user_of(users, "998").as_deref(), Some("vagt"));
        assert_eq!(user_of(users, "99"), None);
    }

    #[tokio::test]
    async fn a_name_must_be_an_account_that_may() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        let (user, name, role) = ("mette".to_owned(), "Mette L.".to_owned(), "nurse".to_owned());
        let account = Account { user, name, password_hash: String::new(), role, language: "da".to_owned() };
        store.put_account(&account).await.unwrap();
        let said = |result: Result<String, Ended>| match result {
            Ok(who) => who,
            Err(Ended::Failed(sentence)) => sentence,
            Err(_) => panic!("a sentence is wanted"),
        };
        assert_eq!(said(who(&store, Some("mette"), EVERYBODY).await), "mette");
        assert_eq!(
            said(who(&store, Some("mette"), LIMITS).await),
            "mette is a nurse, want doctor or operator or admin"
        );
        let nobody = "found no account \"Mette L.\", want the user name of somebody who signs in here";
        assert_eq!(said(who(&store, Some("Mette L."), EVERYBODY).await), nobody);
        assert!(said(who(&store, None, LIMITS).await).starts_with("command:"));
    }
}
