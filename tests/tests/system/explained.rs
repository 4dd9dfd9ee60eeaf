//! Why, why not, and what really happened, on the command line: the same as over HTTP, beside a running service and without one, on both stores.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{
    clinic::{Clinic, KitLogin, NURSE},
    load::{message, send_one},
    program::{now, ours},
    servers::Cluster,
};
use vitals::Vital;

#[tokio::test]
async fn the_command_line_explains_as_http_does_beside_a_running_service_and_without_one() -> Result<()> {
    let kits = [KitLogin::simulated(1)];
    explains(Clinic::start(&kits).await?, &kits[0]).await
}

#[tokio::test]
async fn the_same_of_a_store_on_a_server() -> Result<()> {
    let kits = [KitLogin::simulated(1)];
    let cluster = Cluster::start();
    explains(Clinic::on_postgres(&kits, &cluster.database("explained")).await?, &kits[0]).await
}

async fn explains(mut clinic: Clinic, kit: &KitLogin) -> Result<()> {
    clinic.sign_in().await?;
    send_one(clinic.mqtt_port, kit, message(1, now(), &[(Vital::Spo2, "84", &[]), (Vital::Pulse, "90", &[])])).await?;
    let alert = clinic.alert_where(|alert| alert["mark"] == "red").await?;
    let id = alert["id"].as_str().context("an id")?.to_owned();
    let http = clinic.get(&format!("/api/v1/alerts/{id}/why")).await?;
    let listed = clinic.vagt(&["why", "--json"]).await?;
    assert_eq!(listed, std::slice::from_ref(&alert));

    // Who acts is stored as the user name, and shown as colleagues know her.
    let path = format!("/api/v1/alerts/{id}/actions");
    let taken = clinic.post(&path, &json!({ "action": "acknowledge", "seen_version": alert["version"] })).await?;
    assert_eq!(taken["alert"]["state"]["by"], NURSE.0, "{taken}");
    assert_eq!(taken["event"]["by"], NURSE.0, "{taken}");
    let http = json!({ "state": taken["alert"]["state"], "rest": http });

    for running in [true, false] {
        if !running {
            assert_eq!(clinic.stop().await?, 0);
        }
        let told = clinic.vagt(&["why", &id, "--json"]).await?.remove(0);
        assert_eq!(told["findings"], http["rest"]["findings"], "as over HTTP");
        assert_eq!(told["state"], http["state"]);
        in_words(&clinic, &id).await?;
        outcomes(&clinic, &id).await?;
        refusals(&clinic).await?;
    }
    clinic.retold().await?;
    Ok(())
}

/// What a command prints for a person.
async fn printed(clinic: &Clinic, args: &[&str]) -> Result<String> {
    let config = clinic.path("hub.toml");
    let run = tokio::process::Command::new(ours("vagt")?).args(args).arg("--config").arg(config).output().await?;
    ensure!(run.status.success(), "vagt {args:?}: {}", String::from_utf8_lossy(&run.stderr));
    Ok(String::from_utf8(run.stdout)?)
}

async fn in_words(clinic: &Clinic, id: &str) -> Result<()> {
    let told = printed(clinic, &["why", id]).await?;
    for part in
        ["RED alert of p-1", "mette has it since", "version 1", "measured", "84 %", "limit", "otherwise", "green if"]
    {
        ensure!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    let quiet = printed(clinic, &["why-not", "p-1"]).await?;
    ensure!(quiet.contains("pulse (band)") && quiet.contains("next ") && quiet.contains("quiet "), "{quiet}");
    let rules = clinic.vagt(&["why-not", "p-1", "--json"]).await?;
    let pulse = rules.iter().find(|rule| rule["rule"] == "pulse").context("pulse")?;
    assert_eq!(pulse["mark"], "green", "{pulse}");
    Ok(())
}

async fn outcomes(clinic: &Clinic, id: &str) -> Result<()> {
    let before = clinic.vagt(&["outcome", "list", "p-1", "--json"]).await?.len();
    let add = ["outcome", "add", "p-1", "exacerbation", "--note", "coughs", "--alert", id, "--by", NURSE.0, "--json"];
    let added = clinic.vagt(&add).await?.remove(0);
    let told = |entry: &Value| (entry["by"].clone(), entry["what"]["outcome"].clone(), entry["what"]["note"].clone());
    assert_eq!(told(&added), (json!(NURSE.0), json!("exacerbation"), json!("coughs")));
    let all = clinic.vagt(&["outcome", "list", "--json"]).await?;
    assert_eq!((all.len(), &all[0]), (before + 1, &added));
    let words = printed(clinic, &["outcome", "list", "p-1"]).await?;
    ensure!(words.contains("exacerbation, by mette") && words.contains("coughs"), "{words}");
    Ok(())
}

async fn refusals(clinic: &Clinic) -> Result<()> {
    let nobody = uuid::Uuid::nil().to_string();
    for (args, wanted) in [
        (&["why", nobody.as_str()][..], "found no alert 00000000-"),
        (&["why", "--patient", "p-9"], "patient p-9 is not in the roster"),
        (&["why-not", "p-9"], "patient p-9 is not in the roster"),
        (&["why-not", "p-1", "--at", "2199-01-01T00:00:00Z"], "want a time that has passed"),
        (
            &["why-not", "p-1", "--at", "2020-01-01T00:00:00Z"],
            "nobody was judging p-1 at 2020-01-01T00:00:00Z: that began at",
        ),
        (&["outcome", "add", "p-9", "death"], "patient p-9 is not in the roster"),
        (&["outcome", "add", "p-1", "other"], "found no note"),
        (&["outcome", "add", "p-1", "death", "--at", "2199-01-01"], "want a time that has passed"),
        (&["outcome", "add", "p-1", "death", "--by", "nobody"], "found no account \"nobody\""),
        (&["outcome", "add", "p-1", "death", "--alert", nobody.as_str()], "of patient p-1"),
        (&["kit", "command", "kit-1", "diagnostics", "--by", "nobody"], "found no account \"nobody\""),
    ] {
        let refused = clinic.vagt_refuses(args).await?;
        ensure!(refused.contains(wanted) && refused.lines().count() == 1, "{args:?}: {refused}");
    }
    Ok(())
}
