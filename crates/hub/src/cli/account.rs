//! `vagt account`: the staff who sign in on the pages.

use std::io::{IsTerminal as _, Read as _, Write as _};

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use store::Account;

use super::{
    Ended, block_on, json_line, out,
    roster::{Where, failed},
    secret,
};

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
/// When the store can't be written, or the password is too short.
pub fn run(args: &Args) -> Result<(), Ended> {
    let Command::Add { user, name, role, language, json, place } = &args.command;
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
    let put = store.put_account(account).await;
    store.close().await;
    put.map_err(failed)
}
