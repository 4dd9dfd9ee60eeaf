//! What every backend promises, as named cases. A new backend passes when [`run`] finds nothing for each of [`CASES`].
//!
//! A case gets a way to open one store, empty at first; opening it again finds what was committed.

mod alerts;
mod carried;
mod chains;
mod changes;
mod history;
mod journal;
mod kits;
mod messages;
mod people;
mod programmes;
pub(crate) mod sample;

use std::{fmt::Debug, pin::Pin};

use crate::{Store, StoreError};

/// A store being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Store>, StoreError>> + Send>>;
/// Opens one and the same store, each time it is called.
pub type Open<'a> = &'a (dyn Fn() -> Opening + Send + Sync);
/// A case being tried.
pub type Trial<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One promise.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Tries it on an empty store.
    pub check: for<'a> fn(Open<'a>) -> Trial<'a>,
}

/// What a backend did instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(format!("the store refused: {error}"))
    }
}

/// Tries every case, each on what `fresh` gives for it, and says which failed.
pub async fn run(fresh: impl Fn(&Case) -> Box<dyn Fn() -> Opening + Send + Sync>) -> Vec<String> {
    let mut failed = Vec::new();
    for case in CASES {
        let open = fresh(case);
        if let Err(failure) = (case.check)(&*open).await {
            failed.push(format!("{}: {failure}", case.name));
        }
    }
    failed
}

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Every promise.
        pub const CASES: &[Case] = &[
            $(Case { name: stringify!($name), check: |open| Box::pin($module::$name(open)) }),*
        ];
    };
}

cases! {
    messages::an_empty_store_has_nothing,
    messages::what_was_committed_comes_back_as_it_was,
    messages::digits_and_nanoseconds_are_kept,
    messages::messages_come_in_the_order_in_which_they_were_recorded,
    messages::messages_are_found_by_when_they_were_recorded,
    messages::a_duplicate_stores_nothing_of_its_batch,
    messages::seen_knows_the_hash,
    messages::the_last_seq_of_each_kit,
    messages::quarantine_keeps_the_bytes_and_the_mark,
    messages::curves_are_by_time_of_measurement,
    messages::curves_keep_the_newest,
    messages::what_was_committed_survives_closing,
    messages::what_was_committed_survives_dropping,
    messages::a_reader_sees_whole_batches_while_another_writes,
    messages::a_big_batch,
    messages::a_closed_store_refuses,
    chains::a_stray_below_the_last_is_kept_and_known,
    chains::a_repeat_is_known_however_long_ago,
    chains::a_repeat_of_a_stray_is_refused,
    chains::a_patients_history_goes_across_kits,
    chains::a_refused_batch_leaves_every_end_where_it_was,
    chains::a_clock_set_back_hides_nothing,
    chains::another_writers_messages_are_known,
    alerts::an_alert_comes_back_with_its_history,
    alerts::only_the_open_ones_are_open,
    alerts::a_closed_alert_makes_room_for_the_next_in_one_batch,
    alerts::a_second_open_alert_of_a_family_stores_nothing,
    alerts::a_patients_alerts_newest_first,
    kits::a_kit_may_be_shared,
    kits::a_code_is_exchanged_once,
    kits::a_revoked_kit_comes_back_with_a_new_code_alone,
    kits::a_command_waits_for_its_receipt,
    kits::a_command_expires_and_nobody_elses_receipt_counts,
    kits::what_is_for_somebody_who_gave_the_kit_back_expires,
    people::the_roster_is_replaced_by_id,
    people::a_kit_needs_its_patient,
    people::the_last_that_was_heard_of_a_kit,
    people::accounts_are_replaced_by_user,
    people::web_sessions_expire,
    people::a_patient_may_be_in_several_programmes,
    changes::a_change_and_its_journal_are_one,
    changes::a_change_is_refused_when_somebody_was_faster,
    changes::an_account_is_removed_with_a_word,
    journal::entries_are_found_by_patient_name_and_stamp,
    journal::an_entry_is_stored_with_its_batch_once,
    journal::a_stamp_is_given_once,
    journal::a_wrong_clock_is_not_waited_for,
    journal::a_reading_is_invalid_until_it_is_restored,
    programmes::a_version_is_never_edited,
    programmes::a_shadow_alert_has_its_latest_state,
    carried::what_is_carried_is_the_same,
    carried::a_line_that_is_wrong_brings_nothing,
    carried::a_person_is_handed_out_and_erased,
    carried::a_kit_that_changed_hands_takes_nothing_along,
    carried::what_comes_late_is_of_whoever_had_the_kit,
    history::a_history_is_everything_in_order,
    history::a_history_ends_where_it_began,
    history::a_history_finds_what_a_clock_misplaced,
    history::a_patients_messages_come_in_pages,
}

/// Fails unless both are the same.
fn same<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Result<(), Failure> {
    if found == wanted { Ok(()) } else { Err(Failure(format!("{what}: found {found:?}, want {wanted:?}"))) }
}

/// Fails unless it is so.
fn ensure(so: bool, what: &str) -> Result<(), Failure> {
    if so { Ok(()) } else { Err(Failure(what.to_owned())) }
}
