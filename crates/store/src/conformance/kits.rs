//! Kits that several people share, kits that enrol, and what is asked of kits.

use serde_json::json;

use super::{
    Failure, Open, ensure,
    people::{kit, patient},
    same,
    sample::{at, batch, of, plain},
};
use crate::{Command, Enrolled, Enrolment, Entry, Kit, Progress, Receipt, Roster, Store, StoreError};

async fn with_two_kits(store: &dyn Store) -> Result<(), StoreError> {
    let kits = vec![kit("kit-1", "p-1"), Kit { secret_sha256: String::new(), ..kit("kit-2", "p-1") }];
    store.put_roster(&Roster { patients: vec![patient("p-1", "Ane"), patient("p-2", "Bo")], kits }, at(0)).await
}

pub(super) async fn a_kit_may_be_shared(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    with_two_kits(&*store).await?;
    let people = vec![of("p-2"), of("p-1")];
    let station = Kit { patient: None, patients: people, ..kit("kit-2", "p-1") };
    store.put_roster(&Roster { patients: Vec::new(), kits: vec![station.clone()] }, at(5)).await?;
    let found = store.roster().await?.kits.remove(1);
    same("station", found.clone(), Kit { since: Some(at(5)), ..station.clone() })?;
    ensure(found.is_station() && found.serves(&of("p-2")) && !found.serves(&of("p-3")), "whom it serves")?;
    let stranger = Kit { patients: vec![of("p-1"), of("p-3")], ..station };
    let refused = store.put_roster(&Roster { patients: Vec::new(), kits: vec![stranger] }, at(6)).await;
    ensure(matches!(refused, Err(StoreError::UnknownPatient { .. })), "a station of a stranger was not refused")
}

pub(super) async fn a_code_is_exchanged_once(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    with_two_kits(&*store).await?;
    let (code, mine, theirs) = ("c0".repeat(32), "aa".repeat(32), "bb".repeat(32));
    let enrolment = Enrolment { kit: of("kit-2"), code_sha256: code.clone(), expires_at: at(100), secret_sha256: None };
    store.put_enrolment(&enrolment).await?;
    same("codes", store.enrolments().await?, vec![enrolment])?;
    same("another code", store.enrol(&"c1".repeat(32), &mine, at(1)).await?, Enrolled::No)?;
    same("too late", store.enrol(&code, &mine, at(100)).await?, Enrolled::No)?;
    same("no secret yet", store.roster().await?.kits[1].secret_sha256.clone(), String::new())?;
    same("exchanged", store.enrol(&code, &mine, at(1)).await?, Enrolled::Yes(of("kit-2")))?;
    drop(store);
    let store = open().await?;
    same("the answer was lost", store.enrol(&code, &mine, at(2)).await?, Enrolled::Yes(of("kit-2")))?;
    same("somebody else", store.enrol(&code, &theirs, at(2)).await?, Enrolled::Used(of("kit-2")))?;
    same("secret", store.roster().await?.kits[1].secret_sha256.clone(), mine.clone())?;
    let roster =
        Roster { patients: Vec::new(), kits: vec![Kit { secret_sha256: String::new(), ..kit("kit-2", "p-1") }] };
    store.put_roster(&roster, at(3)).await?;
    same("secret after a roster without one", store.roster().await?.kits[1].secret_sha256.clone(), mine)
}

pub(super) async fn a_revoked_kit_comes_back_with_a_new_code_alone(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    with_two_kits(&*store).await?;
    let give = |code: &str| Enrolment {
        kit: of("kit-1"),
        code_sha256: code.repeat(32),
        expires_at: at(100),
        secret_sha256: None,
    };
    store.put_enrolment(&give("c1")).await?;
    let revoked = Roster { patients: Vec::new(), kits: vec![Kit { revoked: true, ..kit("kit-1", "p-1") }] };
    store.put_roster(&revoked, at(1)).await?;
    same("the code from before", store.enrol(&"c1".repeat(32), &"aa".repeat(32), at(2)).await?, Enrolled::No)?;
    ensure(store.roster().await?.kits[0].revoked, "a code from before brought it back")?;
    store.put_enrolment(&give("c2")).await?;
    store.put_roster(&revoked, at(3)).await?;
    ensure(store.roster().await?.kits[0].revoked, "a code that was not used yet brought it back")?;
    let new = store.enrol(&"c2".repeat(32), &"bb".repeat(32), at(4)).await?;
    same("the new code", new, Enrolled::Yes(of("kit-1")))?;
    let kit = store.roster().await?.kits.remove(0);
    same("the kit", (kit.revoked, kit.secret_sha256), (false, "bb".repeat(32)))
}

pub(super) fn command(id: &str, second: i64) -> Command {
    Command {
        id: id.to_owned(),
        kit: of("kit-1"),
        patient: (second > 1).then(|| of("p-1")),
        command: "message".to_owned(),
        by: Some("Mette".to_owned()),
        issued_at: at(second),
        expires_at: at(second + 100),
        body: json!({ "text": "Vi ringer kl. 10 – bliv hjemme" }),
    }
}

pub(super) fn receipt(command: &str, outcome: Progress, second: i64) -> Receipt {
    Receipt { command: command.to_owned(), outcome, at: at(second), detail: None }
}

pub(super) fn brings(kit: &str, seq: u64, receipts: Vec<Receipt>) -> Entry {
    Entry { receipts, readings: Vec::new(), ..plain(kit, seq, "p-1") }
}

pub(super) async fn a_command_waits_for_its_receipt(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    with_two_kits(&*store).await?;
    for (id, second, kept) in [("c-2", 2, true), ("c-1", 1, true), ("c-1", 50, false)] {
        same(id, store.put_command(&command(id, second)).await?, kept)?;
    }
    let of_another = Command { kit: of("kit-2"), ..command("c-1", 1) };
    ensure(!store.put_command(&of_another).await?, "another kit's id was said to be kept")?;
    let seen = Command { command: "seen".to_owned(), ..command("c-0", 0) };
    ensure(store.put_command(&seen).await?, "a look was not kept")?;
    let waiting = store.open_commands(at(3), 10).await?;
    same("what is asked for comes before a look", waiting[2].id.as_str(), "c-0")?;
    let looked = vec![receipt("c-0", Progress::Taken, 3)];
    store.commit(&batch(3, vec![brings("kit-1", 9, looked)])).await?;
    drop(store);
    let store = open().await?;
    same("open", store.open_commands(at(3), 10).await?, vec![command("c-1", 1), command("c-2", 2)])?;
    same("bounded", store.open_commands(at(3), 1).await?, vec![command("c-1", 1)])?;
    let said = vec![receipt("c-1", Progress::Taken, 5), receipt("nobody-knows", Progress::Done, 5)];
    store.commit(&batch(6, vec![brings("kit-1", 10, said)])).await?;
    same("open after a receipt", store.open_commands(at(6), 10).await?, vec![command("c-2", 2)])?;
    let said = vec![receipt("c-1", Progress::Read, 8), receipt("c-1", Progress::Taken, 5)];
    store.commit(&batch(9, vec![brings("kit-1", 11, said)])).await?;
    let states = store.commands_of(&of("kit-1"), 10).await?;
    let found: Vec<_> = states.iter().map(|one| (one.command.id.as_str(), one.state, one.receipts.len())).collect();
    let wanted = vec![("c-2", Progress::Waiting, 0), ("c-1", Progress::Read, 2), ("c-0", Progress::Taken, 1)];
    same("newest first", found, wanted)?;
    same("as it was asked", states[1].command.clone(), command("c-1", 1))?;
    same("changed", states[1].changed_at, at(8))
}

pub(super) async fn a_command_expires_and_nobody_elses_receipt_counts(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    with_two_kits(&*store).await?;
    for (id, second) in [("c-1", 1), ("c-2", 2)] {
        store.put_command(&command(id, second)).await?;
    }
    store.commit(&batch(3, vec![brings("kit-2", 1, vec![receipt("c-1", Progress::Done, 3)])])).await?;
    same("still open", store.open_commands(at(4), 10).await?.len(), 2)?;
    same("one expired", store.open_commands(at(101), 10).await?, vec![command("c-2", 2)])?;
    let state = async || Ok::<_, StoreError>(store.commands_of(&of("kit-1"), 10).await?.remove(1).state);
    same("expired", state().await?, Progress::Expired)?;
    store.commit(&batch(120, vec![brings("kit-1", 1, vec![receipt("c-1", Progress::Done, 90)])])).await?;
    same("done in time, heard of later", state().await?, Progress::Done)
}

async fn give(store: &dyn Store, kit: Kit, second: i64) -> Result<(), StoreError> {
    store.put_roster(&Roster { patients: Vec::new(), kits: vec![kit] }, at(second)).await
}

pub(super) async fn what_is_for_somebody_who_gave_the_kit_back_expires(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    with_two_kits(&*store).await?;
    let named = command("c-1", 2);
    let as_it_was_kept_before = Command { patient: None, ..command("c-2", 3) };
    let of_no_kit = Command { kit: of("kit-9"), ..command("c-9", 2) };
    for one in [&named, &as_it_was_kept_before, &of_no_kit] {
        store.put_command(one).await?;
    }
    same("of p-1", store.open_commands(at(4), 10).await?, vec![named, as_it_was_kept_before])?;

    give(&*store, kit("kit-1", "p-2"), 5).await?;
    let next = Command { patient: Some(of("p-2")), ..command("c-3", 6) };
    store.put_command(&next).await?;
    same("of p-2", store.open_commands(at(7), 10).await?, vec![next.clone()])?;
    let states = store.commands_of(&of("kit-1"), 10).await?;
    let found: Vec<_> = states.iter().map(|one| (one.command.id.as_str(), one.state, one.changed_at)).collect();
    let expired = Progress::Expired;
    same("ended", found, vec![("c-3", Progress::Waiting, at(6)), ("c-2", expired, at(7)), ("c-1", expired, at(7))])?;

    let shared_by = |people: &[&str]| Kit {
        patient: None,
        patients: people.iter().map(|id| of(id)).collect(),
        ..kit("kit-1", "p-1")
    };
    give(&*store, shared_by(&["p-1", "p-2"]), 8).await?;
    same("shared", store.open_commands(at(9), 10).await?, vec![next])?;
    give(&*store, shared_by(&["p-1"]), 10).await?;
    same("shared without p-2", store.open_commands(at(11), 10).await?, Vec::new())
}
