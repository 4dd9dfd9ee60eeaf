//! A clinic that runs is backed up, restored, carried to a server and back, and one of its people is handed out and erased: by command, with real
//! programs.

#[path = "../../../crates/store/tests/servers/mod.rs"]
mod servers;

use std::{fs, path::Path, sync::LazyLock, time::Duration};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use servers::Cluster;
use tests::{
    clinic::{Clinic, KitLogin},
    load::{message, send_all},
    program::now,
};
use tokio::time::timeout;
use vitals::Vital;

/// How long a kit tries to send.
const SEND_MAX: Duration = Duration::from_secs(20);

/// When everything here was measured, so that the same message is the same.
static SINCE: LazyLock<Timestamp> = LazyLock::new(now);

/// Sends these values of oxygen saturation, with these numbers.
async fn send(clinic: &Clinic, login: &KitLogin, values: &[(u64, &str)]) -> Result<()> {
    let at = |seq: u64| *SINCE + SignedDuration::from_secs(seq.cast_signed() - 60);
    let mut messages = values.iter().map(|(seq, value)| message(*seq, at(*seq), &[(Vital::Spo2, value, &[])]));
    let sent = send_all(clinic.mqtt_port, login, || messages.next());
    timeout(SEND_MAX, sent).await.context("nothing was acknowledged")?
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

fn found(folder: &Path, word: &str) -> Result<bool> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let bytes = if path.is_file() { fs::read(&path)? } else { Vec::new() };
        if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A clinic in which two people have an alert each.
async fn with_two_alerts(logins: &[KitLogin]) -> Result<Clinic> {
    let clinic = Clinic::start(logins).await?;
    clinic.sign_in().await?;
    for login in logins {
        send(&clinic, login, &[(1, "94"), (2, "82"), (3, "81")]).await?;
        clinic.alert_where(|alert| alert["patient"] == login.patient.as_str()).await?;
    }
    Ok(clinic)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_comes_back_and_what_is_sent_again_counts_once() -> Result<()> {
    let logins = [KitLogin::simulated(1), KitLogin::simulated(2)];
    let mut clinic = with_two_alerts(&logins).await?;
    let backup = clinic.path("backup");
    let said = clinic.vagt(&["backup", text(&backup), "--json"]).await?;
    ensure!(said[0]["manifest"]["rows"]["message"] == 6, "{said:?}");
    let refused = clinic.vagt_refuses(&["backup", text(&backup)]).await?;
    ensure!(refused.ends_with("backup is there already: name another"), "{refused}");
    let unmounted = clinic.path("mnt/backup");
    for command in ["backup", "export"] {
        let refused = clinic.vagt_refuses(&[command, text(&unmounted)]).await?;
        ensure!(refused.contains("mnt: make it, or mount what belongs there"), "{refused}");
    }
    ensure!(!clinic.path("mnt").exists(), "a folder was made where a disk is not mounted");
    let refused = clinic.vagt_refuses(&["restore", text(&backup)]).await?;
    ensure!(refused.contains("another vagt serve is running"), "{refused}");

    // After the backup, and then everything is gone.
    send(&clinic, &logins[0], &[(4, "80")]).await?;
    clinic.kill_9().await?;
    let refused = clinic.vagt_refuses(&["restore", text(&backup)]).await?;
    ensure!(refused.contains("vagt.db-shm is there: a backup is brought back where no store is"), "{refused}");
    // Of a store that was killed, what it had not yet copied lies beside it: below another, that would ruin it.
    let log = clinic.path("data/vagt.db-wal");
    ensure!(fs::metadata(&log)?.len() > 0, "nothing lies beside the store");
    fs::rename(clinic.path("data/vagt.db"), clinic.path("vagt.db"))?;
    let refused = clinic.vagt_refuses(&["restore", text(&backup)]).await?;
    ensure!(refused.contains("vagt.db-wal") && refused.contains("move all of it away first"), "{refused}");
    ensure!(fs::metadata(&log)?.len() > 0, "it was left as it is");
    fs::rename(clinic.path("data"), clinic.path("lost"))?;
    let copy = backup.join("vagt.db");
    let whole = fs::read(&copy)?;
    fs::write(&copy, &whole[..whole.len() - 1])?;
    let refused = clinic.vagt_refuses(&["restore", text(&backup)]).await?;
    ensure!(refused.contains("it is damaged, use another backup"), "{refused}");
    fs::write(&copy, &whole)?;
    clinic.vagt(&["restore", text(&backup)]).await?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    ensure!(clinic.alerts().await?.len() == 2, "both wait again");
    for login in &logins {
        send(&clinic, login, &[(2, "82"), (3, "81"), (5, "83")]).await?;
    }
    let stored = clinic.stored_where(|stored| stored.messages >= 8).await?;
    ensure!(stored.messages == 8 && stored.quarantined == 0, "{stored:?}");
    clinic.retold().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clinic_moves_to_a_server_and_back_and_is_the_same() -> Result<()> {
    let logins = [KitLogin::simulated(1), KitLogin::simulated(2)];
    let mut clinic = with_two_alerts(&logins).await?;
    clinic.stop().await?;
    let cluster = Cluster::quick();
    let mut moved = Clinic::without_store(&logins, Some(cluster.database("clinic")))?;
    let mut back = Clinic::without_store(&logins, None)?;
    let [first, second, third] = ["1", "2", "3"].map(|name| clinic.path(name));

    clinic.vagt(&["export", text(&first)]).await?;
    let said = moved.vagt(&["import", text(&first), "--json"]).await?;
    ensure!(said[0]["rows"]["message"] == 6 && said[0]["rows"]["alert"] == 2, "{said:?}");
    let refused = moved.vagt_refuses(&["import", text(&first)]).await?;
    ensure!(refused.contains("want an empty store"), "{refused}");
    moved.vagt(&["export", text(&second)]).await?;
    back.vagt(&["import", text(&second)]).await?;
    back.vagt(&["export", text(&third)]).await?;
    let document = fs::read_to_string(&first)?;
    ensure!(fs::read_to_string(&second)? == document && fs::read_to_string(&third)? == document, "byte for byte");

    // Cut off, or changed on the way: nothing comes in.
    let cut = clinic.path("cut");
    fs::write(&cut, &document[..document.len() / 2])?;
    let elsewhere = Clinic::without_store(&logins, None)?;
    let refused = elsewhere.vagt_refuses(&["import", text(&cut)]).await?;
    ensure!(refused.ends_with("nothing came in"), "{refused}");
    elsewhere.vagt(&["import", text(&first)]).await?;

    for clinic in [&mut moved, &mut back] {
        clinic.retold().await?;
        clinic.restart().await?;
        clinic.sign_in().await?;
        ensure!(clinic.alerts().await?.len() == 2, "both wait there");
        send(clinic, &logins[0], &[(3, "81"), (4, "80")]).await?;
        let stored = clinic.stored_where(|stored| stored.messages >= 7).await?;
        ensure!(stored.messages == 7, "{stored:?}");
        clinic.retold().await?;
    }
    // A server's backup is a document, and comes back into another database.
    let backup = moved.path("backup");
    moved.vagt(&["backup", text(&backup)]).await?;
    let restored = Clinic::without_store(&logins, Some(cluster.database("restored")))?;
    let said = restored.vagt(&["restore", text(&backup), "--json"]).await?;
    ensure!(said[0]["manifest"]["rows"]["message"] == 7, "{said:?}");
    let refused = moved.vagt_refuses(&["restore", text(&backup)]).await?;
    ensure!(refused.contains("another vagt serve is running"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_handed_out_and_forgotten_while_the_clinic_runs() -> Result<()> {
    let logins = [KitLogin::simulated(1), KitLogin::simulated(2)];
    let clinic = with_two_alerts(&logins).await?;
    clinic.add_account("bo", "operator").await?;
    let file = clinic.path("p-1.json");
    let refused = clinic.vagt_refuses(&["patient", "export", "p-1", text(&file), "--by", "mette"]).await?;
    ensure!(refused.contains("mette is a nurse, want operator or admin"), "{refused}");
    clinic.vagt(&["patient", "export", "p-1", text(&file), "--by", "bo"]).await?;
    let person: Value = serde_json::from_slice(&fs::read(&file)?)?;
    ensure!(person["message"].as_array().is_some_and(|list| list.len() == 3) && person["alert"][0]["patient"] == "p-1");
    ensure!(person["kit"][0]["secret_sha256"].is_null() && person["journal"].is_array(), "{person}");
    let (printed, _) = clinic.vagt_says(&["patient", "export", "p-1", "-", "--by", "bo"]).await?;
    let printed: Value = serde_json::from_slice(&printed.stdout)?;
    ensure!(printed["message"] == person["message"] && !Path::new("-").exists(), "{printed}");

    let erase = ["person", "erase", "p-1", "--by", "bo", "--reason", "asked for by letter", "--yes"];
    let refused = clinic.vagt_refuses(&erase).await?;
    ensure!(refused.contains("names p-1 and would bring them back"), "{refused}");
    clinic.write_roster(&logins[1..])?;
    let refused = clinic.vagt_refuses(&erase[..7]).await?;
    ensure!(refused.contains("want --yes, or a terminal to ask at"), "{refused}");
    let named = ["person", "erase", "p-1", "--by", "bo", "--reason", "p-1 asked", "--yes"];
    let refused = clinic.vagt_refuses(&named).await?;
    ensure!(refused.contains("without the person's id or any part of their name"), "{refused}");
    let erased = clinic.vagt(&[&erase[..], &["--json"]].concat()).await?;

    let alerts = clinic.alerts().await?;
    ensure!(alerts.len() == 1 && alerts[0]["patient"] == "p-2", "{alerts:?}");
    ensure!(send(&clinic, &logins[0], &[(3, "81")]).await.is_err(), "their kit is no longer let in");
    send(&clinic, &logins[1], &[(4, "80")]).await?;
    let store = clinic.any_store().await?;
    ensure!(store.seen(&[store::KitSeq { kit: logins[0].kit.clone(), seq: 2 }]).await?.len() == 1, "the mark stays");
    let said = store.journal(store::JournalFilter { entries: Some(&["person_erased"]), ..Default::default() }).await?;
    ensure!(said.len() == 1 && said[0].by.as_deref() == Some("bo") && said[0].patient.is_none(), "{said:?}");
    let store::Journal::PersonErased { rows, .. } = &said[0].what else { anyhow::bail!("{said:?}") };
    ensure!(erased[0]["rows_in_journal"] == *rows, "{erased:?}");
    for word in ["\"p-1\"", "Simulated p-1"] {
        ensure!(!found(&clinic.path("data"), word)?, "{word} is still in a file of the store");
    }
    let refused = clinic.vagt_refuses(&erase).await?;
    ensure!(refused.ends_with("found nothing of patient p-1"), "{refused}");
    clinic.retold().await?;
    Ok(())
}
