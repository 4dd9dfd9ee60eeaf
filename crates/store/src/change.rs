//! Something that somebody decided: what it changes, and what the journal says of it, in one transaction or not at all.

use jiff::Timestamp;
use vitals::PatientId;

use crate::{Account, JournalEntry, ProgrammeVersion, Roster};

/// What is changed, and what the journal says of it. What is not said is not changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// Only if the journal has not gone on since it was read.
    pub as_of: Option<AsOf<'a>>,
    /// Patients and kits that are replaced (by id), now; others stay.
    pub roster: Option<(&'a Roster, Timestamp)>,
    /// A version of a programme that is kept.
    pub programme: Option<&'a ProgrammeVersion>,
    /// Somebody who may sign in, or may no longer.
    pub account: Option<AccountChange<'a>>,
    /// What the journal says of it. The stamps are given as by [`Store::append`](crate::Store::append).
    pub journal: &'a [JournalEntry],
}

/// What was known of the journal when something was decided: so many entries there were. It is append only, so that another number means that
/// somebody else has decided something since.
#[derive(Clone, Copy, Debug)]
pub struct AsOf<'a> {
    /// Of these names.
    pub entries: &'a [&'a str],
    /// Of this patient alone.
    pub patient: Option<&'a PatientId>,
    /// So many.
    pub count: u64,
}

/// A change of who may sign in.
#[derive(Clone, Copy, Debug)]
pub enum AccountChange<'a> {
    /// Created or replaced, by its user name.
    Put(&'a Account),
    /// Removed. One that is not there stays so.
    Remove(&'a str),
}
