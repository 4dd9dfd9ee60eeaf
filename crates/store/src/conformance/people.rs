//! The roster, what was heard of kits, and signing in.

use serde_json::json;

use super::{
    Failure, Open, ensure, same,
    sample::{at, of},
};
use crate::{Account, Heard, Kit, Patient, Roster, StoreError, WebSession};

pub(super) fn patient(id: &str, name: &str) -> Patient {
    Patient {
        id: of(id),
        name: name.to_owned(),
        born: Some(1948),
        programmes: vec!["copd".to_owned()],
        stratum: None,
        own: json!({ "spo2": { "red_below": 85 } }),
        simulated: true,
        since: None,
    }
}

pub(super) fn kit(id: &str, patient: &str) -> Kit {
    let devices = vec!["nonin-3230:501234567".to_owned()];
    let (patient, patients) = (Some(of(patient)), Vec::new());
    Kit { id: of(id), patient, patients, secret_sha256: "5e".repeat(32), since: None, devices, revoked: false }
}

pub(super) async fn the_roster_is_replaced_by_id(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let first = Roster {
        patients: vec![patient("p-2", "Børge Ægir"), patient("p-1", "Ane")],
        kits: vec![kit("kit-1", "p-1"), kit("kit-2", "p-2")],
    };
    store.put_roster(&first, at(1)).await?;
    let second = Roster {
        patients: vec![Patient { born: None, own: json!(null), since: Some(at(-9)), ..patient("p-1", "Ane Å.") }],
        kits: vec![Kit { revoked: true, ..kit("kit-1", "p-1") }, kit("kit-2", "p-1")],
    };
    store.put_roster(&second, at(2)).await?;

    let found = store.roster().await?;
    let wanted = Roster {
        patients: vec![second.patients[0].clone(), Patient { since: Some(at(1)), ..first.patients[0].clone() }],
        kits: vec![
            Kit { since: Some(at(1)), ..second.kits[0].clone() },
            Kit { since: Some(at(2)), ..second.kits[1].clone() },
        ],
    };
    same("roster", found, wanted.clone())?;
    store.put_roster(&Roster::default(), at(3)).await?;
    drop(store);
    same("roster after opening again", open().await?.roster().await?, wanted)
}

pub(super) async fn a_kit_needs_its_patient(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let roster = Roster { patients: vec![patient("p-1", "Ane")], kits: vec![kit("kit-9", "p-9")] };
    let refused = store.put_roster(&roster, at(0)).await;
    ensure(matches!(refused, Err(StoreError::UnknownPatient { .. })), "a kit of nobody was not refused as such")?;
    same("roster", store.roster().await?, Roster::default())
}

pub(super) async fn a_patient_may_be_in_several_programmes(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let programmes = vec!["copd".to_owned(), "heart-failure".to_owned()];
    let both = Patient { programmes, stratum: Some("high".to_owned()), ..patient("p-1", "Ane") };
    let none = Patient { programmes: Vec::new(), ..patient("p-2", "Bo") };
    store.put_roster(&Roster { patients: vec![both.clone(), none.clone()], kits: Vec::new() }, at(1)).await?;
    let found = store.roster().await?.patients;
    let wanted = [both.clone(), none].map(|one| Patient { since: Some(at(1)), ..one });
    same("stored", found, wanted.to_vec())?;

    let read = |text: &str| serde_json::from_str::<Patient>(text).map_err(|error| Failure(error.to_string()));
    for (written, wanted) in [
        (r#""programme":"copd""#, vec!["copd"]),
        (r#""programme":["copd","asthma"]"#, vec!["copd", "asthma"]),
        (r#""programmes":["copd"]"#, vec!["copd"]),
        (r#""programmes":"copd""#, vec!["copd"]),
    ] {
        let found = read(&format!(r#"{{"id":"p-1","name":"Ane",{written}}}"#))?;
        same(written, found.programmes.iter().map(String::as_str).collect(), wanted)?;
    }
    ensure(read(r#"{"id":"p-1","name":"Ane","programme":7}"#).is_err(), "a number is no programme")?;
    ensure(read(r#"{"id":"p-1","name":"Ane"}"#).is_err(), "a patient without a programme was read")?;
    let written = |patient: &Patient| serde_json::to_value(patient).unwrap_or_default()["programme"].clone();
    same("one is written as before", written(&patient("p-1", "Ane")), json!("copd"))?;
    same("several are a list", written(&both), json!(["copd", "heart-failure"]))
}

pub(super) async fn the_last_that_was_heard_of_a_kit(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let heard = |kit: &str, second, online| {
        let status = json!({ "version": "0.1.0", "spooled": second });
        Heard { kit: of(kit), at: at(second), online, status }
    };
    store.heard(&[]).await?;
    store.heard(&[heard("kit-2", 1, true), heard("kit-1", 2, true)]).await?;
    store.heard(&[heard("kit-1", 5, false), heard("kit-2", 0, false)]).await?;
    same("last heard", store.last_heard().await?, vec![heard("kit-1", 5, false), heard("kit-2", 1, true)])
}

pub(super) async fn accounts_are_replaced_by_user(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let account = |user: &str, role: &str| Account {
        user: user.to_owned(),
        name: "Ane Ørum".to_owned(),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA".to_owned(),
        role: role.to_owned(),
        language: "da".to_owned(),
    };
    store.put_account(&account("ane", "nurse")).await?;
    store.put_account(&account("bo", "operator")).await?;
    store.put_account(&account("ane", "admin")).await?;
    same("ane", store.account("ane").await?, Some(account("ane", "admin")))?;
    same("bo", store.account("bo").await?, Some(account("bo", "operator")))?;
    same("nobody", store.account("ANE' OR 1=1 --").await?, None)
}

pub(super) async fn web_sessions_expire(open: Open<'_>) -> Result<(), Failure> {
    let store = open().await?;
    let session =
        |id: &str, data: &str, second| WebSession { id: id.to_owned(), data: data.to_owned(), expires_at: at(second) };
    for one in
        [session("a", "{}", 10), session("b", "{}", 20), session("b", "{\"user\":1}", 30), session("c", "{}", 99)]
    {
        store.put_web_session(&one).await?;
    }
    same("a in time", store.web_session("a", at(9)).await?, Some(session("a", "{}", 10)))?;
    same("a expired", store.web_session("a", at(10)).await?, None)?;
    same("b replaced", store.web_session("b", at(29)).await?, Some(session("b", "{\"user\":1}", 30)))?;
    store.end_web_session("c", at(15)).await?;
    same("c ended", store.web_session("c", at(0)).await?, None)?;
    same("a swept away", store.web_session("a", at(0)).await?, None)?;
    same("b still there", store.web_session("b", at(16)).await?.is_some(), true)
}
