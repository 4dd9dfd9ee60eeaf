//! What somebody decides is one with what the journal says of it; and of two who decide at once, one is told.

use super::{
    Failure, Open, ensure,
    people::{kit, patient},
    programmes::version,
    same,
    sample::{at, of},
};
use crate::{Account, AccountChange, AsOf, Change, Journal, JournalEntry, JournalFilter, Roster, StoreError};

fn said(second: i64, patient: Option<&str>, what: Journal) -> JournalEntry {
    JournalEntry { at: at(second), by: Some("ane".to_owned()), patient: patient.map(of), what }
}

fn proposed(version: u32) -> Journal {
    Journal::ProgrammeProposed { programme: "copd".to_owned(), version, note: "softer".to_owned() }
}

fn plan(second: i64, patient: &str) -> JournalEntry {
    let (programmes, own) = (vec!["copd".to_owned()], serde_json::Value::Null);
    said(second, Some(patient), Journal::PlanChanged { programmes, own, stratum: None, reason: None })
}

pub(super) async fn a_change_and_its_journal_are_one(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let people = Roster { patients: vec![patient("p-1", "Ane")], kits: Vec::new() };
    let kept = version("copd", 1, "a");
    let journal = [plan(1, "p-1"), said(1, None, proposed(1))];
    let all = Change { roster: Some((&people, at(1))), programme: Some(&kept), journal: &journal, ..Change::default() };
    let stamps = store.change(&all).await?;
    let found = store.journal(JournalFilter::default()).await?;
    same("stamps", stamps, found.iter().map(|entry| entry.at).collect())?;
    same(
        "journal",
        found.iter().map(|entry| &entry.what).collect::<Vec<_>>(),
        journal.iter().map(|entry| &entry.what).collect(),
    )?;
    same("people", store.roster().await?.patients.len(), 1)?;
    same("versions", store.programme_versions(None).await?, vec![kept.clone()])?;

    // What is refused in one part has changed nothing in any.
    let people = Roster { patients: vec![patient("p-2", "Bo")], kits: vec![kit("kit-9", "p-9")] };
    let more = [said(2, None, proposed(2))];
    let refused = store.change(&Change { roster: Some((&people, at(2))), journal: &more, ..Change::default() }).await;
    ensure(matches!(refused, Err(StoreError::UnknownPatient { .. })), "a kit of nobody was not refused as such")?;
    let other = version("copd", 1, "b");
    let people = Roster { patients: vec![patient("p-2", "Bo")], kits: Vec::new() };
    let both = Change { roster: Some((&people, at(2))), programme: Some(&other), journal: &more, ..Change::default() };
    let refused = store.change(&both).await;
    ensure(matches!(refused, Err(StoreError::VersionTaken { .. })), "another text was not refused as such")?;
    drop(store);
    let store = open().await?;
    same("people after that", store.roster().await?.patients.len(), 1)?;
    same("versions after that", store.programme_versions(None).await?, vec![kept])?;
    same("journal after that", store.journal(JournalFilter::default()).await?.len(), 2)
}

pub(super) async fn a_change_is_refused_when_somebody_was_faster(open: Open<'_>) -> Result<(), Failure> {
    let (one, two) = (open().await?, open().await?);
    one.append(&[plan(1, "p-1"), plan(1, "p-2"), said(2, None, proposed(1))]).await?;
    let known = |count| AsOf { entries: &["programme_proposed", "programme_rejected"], patient: None, count };
    let decide = async |store: &dyn crate::Store, as_of: AsOf<'_>| {
        let journal = [said(3, None, proposed(2))];
        store.change(&Change { as_of: Some(as_of), journal: &journal, ..Change::default() }).await.map(|_| ())
    };
    decide(&*one, known(1)).await?;
    match decide(&*two, known(1)).await {
        Err(StoreError::Overtaken { found: 2, known: 1 }) => {}
        other => return Err(Failure(format!("who was slower got {other:?}"))),
    }
    let (patient, stranger) = (of("p-1"), of("p-9"));
    let of_one = |patient, count| AsOf { entries: &["plan_changed"], patient: Some(patient), count };
    decide(&*two, of_one(&patient, 1)).await?;
    decide(&*two, of_one(&stranger, 0)).await?;
    ensure(decide(&*one, of_one(&patient, 2)).await.is_err(), "fewer than were known of is no other number")?;
    let (four, five) = tokio::join!(decide(&*one, known(4)), decide(&*two, known(4)));
    same("one of two at once", [four.is_ok(), five.is_ok()].iter().filter(|done| **done).count(), 1)?;
    same(
        "proposals",
        one.journal(JournalFilter { entries: Some(&["programme_proposed"]), ..JournalFilter::default() }).await?.len(),
        5,
    )
}

pub(super) async fn an_account_is_removed_with_a_word(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let account = |user: &str, role: &str| Account {
        user: user.to_owned(),
        name: "Ane Ørum".to_owned(),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA".to_owned(),
        role: role.to_owned(),
        language: "da".to_owned(),
    };
    for user in ["bo", "ane"] {
        let account = account(user, "nurse");
        let journal = [said(1, None, Journal::AccountPut { user: user.to_owned(), role: "nurse".to_owned() })];
        let put = AccountChange::Put(&account);
        store.change(&Change { account: Some(put), journal: &journal, ..Change::default() }).await?;
    }
    same("both", store.accounts().await?, vec![account("ane", "nurse"), account("bo", "nurse")])?;
    let journal = [said(2, None, Journal::AccountRemoved { user: "ane".to_owned() })];
    let remove = Change { account: Some(AccountChange::Remove("ane")), journal: &journal, ..Change::default() };
    store.change(&remove).await?;
    store.change(&Change { journal: &[], ..remove }).await?;
    same("one", store.accounts().await?, vec![account("bo", "nurse")])?;
    same("gone", store.account("ane").await?, None)?;
    same("journal", store.journal(JournalFilter::default()).await?.len(), 3)
}
