//! `vagt account`: the staff who sign in on the pages.

use std::io::{IsTerminal as _, Read as _, Write as _};

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use store::{Account, AccountChange, Change, Journal, JournalEntry, Store};

use super::{
    Ended, block_on, json_line, out,
    roster::{Where, failed},
    secret,
    who::{EVERYBODY, who},
};
use crate::clock;

/// Accounts: the staff who sign in on the pages.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Adds an account, or replaces it. The password is read from standard input; without any, one is made and printed once.
    Add {
        /// The name to sign in with.
        user: String,
        /// Shown to colleagues.
        #[arg(long)]
        name: String,
        /// What the person may do.
        #[arg(long, value_enum, default_value = "nurse")]
        role: Role,
        /// Of the pages.
        #[arg(long, value_enum, default_value = "da")]
        language: Language,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Removes an account: its sessions end at once. What it did stays in the journal under its name.
    Remove {
        /// The name that was signed in with.
        user: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Every account, with what the person may do.
    List {
        /// Print JSON lines.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Nurse,
    Doctor,
    Operator,
    Admin,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    Da,
    En,
}

/// The shortest password that is taken, in characters.
const PASSWORD_CHARS_MIN: usize = 10;
/// The longest, in bytes.
const PASSWORD_BYTES_MAX: usize = 256;
/// The longest user name, in bytes.
const USER_BYTES_MAX: usize = 64;

/// Runs `vagt account`.
///
/// # Errors
/// When the store can't be written, the password is too short, or there is no such account.
pub fn run(args: &Args) -> Result<(), Ended> {
    let (user, name, role, language, json, place) = match &args.command {
        Command::Add { user, name, role, language, json, place } => (user, name, role, language, json, place),
        Command::Remove { user, json, place } => return block_on(remove(user, *json, place)),
        Command::List { json, place } => return block_on(list(*json, place)),
    };
    if user.is_empty() || user.len() > USER_BYTES_MAX || user.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Ended::Usage(format!("found user {user:?}, want 1 to {USER_BYTES_MAX} characters without spaces")));
    }
    let given = given_password()?;
    let password = given.clone().unwrap_or_else(secret::new);
    let account = Account {
        user: user.clone(),
        name: name.clone(),
        password_hash: desk::password_hash(&password),
        role: value_name(*role),
        language: value_name(*language),
    };
    block_on(add(&account, place))?;
    let mut out = out();
    match (given, json) {
        (Some(_), true) => json_line(&mut out, &json!({ "user": user }))?,
        (None, true) => json_line(&mut out, &json!({ "user": user, "password": password }))?,
        (Some(_), false) => writeln!(out, "{user} can sign in.")?,
        (None, false) => writeln!(out, "{user} can sign in with this password (shown this once):\n{password}")?,
    }
    Ok(out.flush()?)
}

fn value_name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// The first line of standard input, unless that is a terminal or empty.
fn given_password() -> Result<Option<String>, Ended> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut text = String::new();
    stdin.take(PASSWORD_BYTES_MAX as u64 + 2).read_to_string(&mut text)?;
    let password = text.lines().next().unwrap_or_default();
    let (characters, bytes) = (password.chars().count(), password.len());
    match characters {
        0 => Ok(None),
        _ if bytes > PASSWORD_BYTES_MAX => {
            Err(Ended::Failed(format!("the password has more than {PASSWORD_BYTES_MAX} bytes")))
        }
        1..PASSWORD_CHARS_MIN => {
            Err(Ended::Failed(format!("the password has {characters} characters, want at least {PASSWORD_CHARS_MIN}")))
        }
        _ => Ok(Some(password.to_owned())),
    }
}

async fn add(account: &Account, place: &Where) -> Result<(), Ended> {
    let (_, store) = place.write().await?;
    let what = Journal::AccountPut { user: account.user.clone(), role: account.role.clone() };
    let put = changed(&*store, AccountChange::Put(account), what).await;
    store.close().await;
    put
}

/// With its word in the journal.
async fn changed(store: &dyn Store, account: AccountChange<'_>, what: Journal) -> Result<(), Ended> {
    let by = Some(who(store, None, EVERYBODY).await?);
    let journal = [JournalEntry { at: clock::now(), by, patient: None, what }];
    let change = Change { account: Some(account), journal: &journal, ..Change::default() };
    store.change(&change).await.map(drop).map_err(failed)
}

async fn remove(user: &str, json: bool, place: &Where) -> Result<(), Ended> {
    let (_, store) = place.write().await?;
    let removed = async {
        if store.account(user).await.map_err(failed)?.is_none() {
            let known: Vec<String> = store.accounts().await.map_err(failed)?.into_iter().map(|one| one.user).collect();
            return Err(Ended::Failed(format!("found no account {user:?}, want one of {}", known.join(", "))));
        }
        let what = Journal::AccountRemoved { user: user.to_owned() };
        changed(&*store, AccountChange::Remove(user), what).await
    };
    let removed = removed.await;
    store.close().await;
    removed?;
    let mut out = out();
    if json {
        json_line(&mut out, &json!({ "removed": user }))?;
    } else {
        writeln!(out, "{user} can no longer sign in, and is signed out.")?;
    }
    Ok(out.flush()?)
}

async fn list(json: bool, place: &Where) -> Result<(), Ended> {
    let (_, store) = place.read().await?;
    let accounts = store.accounts().await;
    store.close().await;
    let mut out = out();
    for Account { user, name, role, language, .. } in accounts.map_err(failed)? {
        if json {
            json_line(&mut out, &json!({ "user": user, "name": name, "role": role, "language": language }))?;
        } else {
            writeln!(out, "{user}  {role}  {language}  {name}")?;
        }
    }
    Ok(out.flush()?)
}
