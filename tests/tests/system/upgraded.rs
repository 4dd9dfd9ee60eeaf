//! A store of every version that was ever judged by is brought up to this program's, goes on, and the judge's way can be gone again: what was raised
//! by a program of that version comes out byte for byte. The dumps are those of the store's own tests.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use store::{Place, postgres::Server};
use tests::{
    clinic::{Clinic, KitLogin},
    load::{message, send_one},
    program::now,
    servers::{Cluster, Timescale},
};
use vitals::Vital;

/// Every dump of this kind: its version, and the file.
fn dumps(kind: &str) -> Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/store/tests/fixtures"))? {
        let path = file?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).context("UTF-8")?;
        if let Some(version) = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-')) {
            found.push((version.parse()?, path));
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no dump of {kind}");
    Ok(found)
}

/// A clinic for the first kit of each dump.
fn clinic(database: Option<String>) -> Result<(Clinic, KitLogin)> {
    let login = KitLogin::simulated(1);
    Ok((Clinic::without_store(std::slice::from_ref(&login), database)?, login))
}

/// The judge's way again; what is said of it.
async fn retold(clinic: &Clinic) -> Result<Value> {
    let said = clinic.vagt(&["replay", "--stored", "--verify"]).await?;
    let last = said.last().context("a line")?;
    ensure!(last["verified"] == true && last["patients"] == 2, "{last}");
    Ok(last.clone())
}

/// The service opens what was left, and takes in a red reading; all of it can be told again. (What is older than the journal was not judged by what
/// can be gone again: there it is counted, and left.)
async fn goes_on(clinic: &mut Clinic, login: &KitLogin) -> Result<()> {
    clinic.restart().await?;
    let before = retold(clinic).await?;
    if before["alerts_before"] == 0 {
        let red = message(1_000, now(), &[(Vital::Spo2, "79", &[])]);
        send_one(clinic.mqtt_port, login, red).await?;
        let after = retold(clinic).await?;
        ensure!(after["events"].as_u64() > before["events"].as_u64(), "a red reading is an event: {before}, {after}");
    }
    clinic.kill_9().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_version_are_told_again() -> Result<()> {
    for (version, dump) in dumps("sqlite")? {
        let (mut clinic, login) = clinic(None)?;
        fs::create_dir_all(clinic.path("data"))?;
        rusqlite::Connection::open(clinic.path("data/vagt.db"))?.execute_batch(&fs::read_to_string(dump)?)?;
        goes_on(&mut clinic, &login).await.with_context(|| format!("version {version}\n{}", clinic.log()))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_every_version_are_told_again() -> Result<()> {
    let cluster = Cluster::quick();
    for (version, dump) in dumps("postgres")? {
        let name = format!("clinic_{version}");
        let (mut clinic, login) = clinic(Some(cluster.database(&name)))?;
        cluster.run(&name, &dump);
        goes_on(&mut clinic, &login).await.with_context(|| format!("version {version}\n{}", clinic.log()))?;
    }
    Ok(())
}

/// The TimescaleDB of these tests has one connection, which is too little for a service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_with_timescaledb_are_told_again() -> Result<()> {
    let server = Timescale::start();
    for (version, dump) in dumps("timescale")? {
        server.psql("DROP SCHEMA IF EXISTS vagt CASCADE");
        server.run(&dump);
        let place = Place::Postgres(Server::new(&server.url()).map_err(anyhow::Error::msg)?);
        store::open(&place).await?.close().await;
        let (clinic, _) = clinic(Some(server.url()))?;
        let said = retold(&clinic).await.with_context(|| format!("version {version}"))?;
        ensure!(said["alerts"] == 2 && said["events"] == 9 && said["alerts_before"] == 0, "version {version}: {said}");
    }
    Ok(())
}
