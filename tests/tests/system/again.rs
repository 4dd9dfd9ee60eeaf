//! Judged again, beside a running service: a reading is invalidated and restored, a limit is moved, and what is stored is retold.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{
    clinic::{Clinic, KitLogin},
    load::{message, send_one},
    program,
};
use vitals::{Colour, Vital};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_and_a_limit_are_changed_while_the_service_runs_and_all_of_it_is_retold() -> Result<()> {
    let login = KitLogin::simulated(1);
    let mut clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let spo2 = |seq, value| message(seq, program::now(), &[(Vital::Spo2, value, &[])]);
    send_one(clinic.mqtt_port, &login, spo2(1, "96")).await?;
    send_one(clinic.mqtt_port, &login, spo2(2, "80")).await?;
    let red = |stored: &store::Stored| stored.open.get(&Colour::Red).copied().unwrap_or_default();
    clinic.stored_where(|stored| red(stored) == 1).await?;

    let change = |what: &'static str| ["reading", what, "kit-1", "2", "0", "--reason", "not his finger"];
    clinic.vagt(&change("invalidate")).await?;
    clinic.stored_where(|stored| red(stored) == 0).await?;
    let twice = clinic.vagt(&change("invalidate")).await.unwrap_err().to_string();
    ensure!(twice.contains("that reading is invalidated already"), "{twice}");
    clinic.vagt(&change("restore")).await?;
    clinic.stored_where(|stored| red(stored) == 1).await?;

    let own = clinic.path("own.toml");
    let limit = "[[limits]]\nrule = \"spo2\"\nlimit = \"red_low\"\nvalue = 84\nunit = \"%\"\nauthor = \"Dr Test\"\n\
                 reason = \"his normal state\"\nfrom = \"2025-01-01T00:00:00Z\"\n";
    std::fs::write(&own, limit)?;
    let own = own.to_str().context("UTF-8")?;
    clinic.vagt(&["patient", "own", "p-1", "--file", own]).await?;
    let overdue = clinic.vagt(&["limits", "--overdue", "--json"]).await?;
    ensure!(overdue.len() == 1 && overdue[0]["author"] == "Dr Test" && overdue[0]["overdue"] == true, "{overdue:?}");

    clinic.kill_9().await?;
    clinic.restart().await?;
    send_one(clinic.mqtt_port, &login, spo2(3, "82")).await?;
    clinic.stored_where(|stored| stored.messages == 3).await?;
    let changes = clinic.vagt(&["replay", "--stored", "--explain"]).await?;
    let why = &changes.first().context("a change")?["findings"];
    ensure!(changes.iter().any(|change| change["colour"] == "red"), "{changes:?}");
    ensure!(why.is_array(), "{why}");
    let said = clinic.vagt(&["replay", "--stored", "--verify"]).await.with_context(|| clinic.log())?;
    ensure!(said.last().is_some_and(|last| last["verified"] == true && last["alerts"] != json!(0)), "{said:?}");
    Ok(())
}
