//! What the alert budget found becomes a proposal like any other: a version in the store, with who asked for it and what was found.
//!
//! It is kept even where a worked example says otherwise, since a person has to see that: such a version can't be activated.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use store::{ProgrammeVersion, Store};

use super::budget::Proposal;
use crate::{
    directory::hex,
    programmes::{
        Refused,
        office::{REASON_CHARS_MAX, propose_kept},
    },
};

/// May this person propose? An operator or an admin may.
///
/// # Errors
/// [`Refused`].
pub async fn may_propose(store: &dyn Store, user: &str) -> Result<(), Refused> {
    let account = store.account(user).await?.ok_or_else(|| Refused::Nobody(user.to_owned()))?;
    match account.role.as_str() {
        "operator" | "admin" => Ok(()),
        _ => Err(Refused::Role { user: account.user, role: account.role }),
    }
}

/// Keeps what was found as a proposed version.
///
/// # Errors
/// [`Refused`]: the person may not, the number was taken meanwhile, the store.
pub async fn keep(store: &dyn Store, found: &Proposal, by: &str, now: Timestamp) -> Result<ProgrammeVersion, Refused> {
    may_propose(store, by).await?;
    let Proposal { programme, version, text, note, .. } = found;
    let note: String = format!("alert budget: {note}").chars().take(REASON_CHARS_MAX).collect();
    let kept = ProgrammeVersion {
        id: programme.clone(),
        version: *version,
        text: text.clone(),
        sha256: hex(&Sha256::digest(text)),
        proposed_by: by.to_owned(),
        proposed_at: now,
        note,
    };
    propose_kept(store, &kept).await?;
    Ok(kept)
}
