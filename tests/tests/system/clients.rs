//! Clients that nobody here wrote, `mosquitto_pub` and paho: a contract message, and a PUBACK only after the commit.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use tests::{
    clinic::{Clinic, KitLogin},
    program::Running,
};
use tokio::time::sleep;

/// How long a store that is stuck is watched for an acknowledgement that must not come.
const STUCK: Duration = Duration::from_secs(2);

fn python() -> Result<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/venv/bin/python");
    ensure!(path.is_file(), "paho is missing: run `make install-test` (make test does)");
    Ok(path)
}

fn message(seq: u64, spo2: u32) -> String {
    let now = tests::program::now();
    format!(
        r#"{{"seq":{seq},"sent_at":"{now}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{{"vital":"spo2","value":{spo2},"unit":"%","measured_at":"{now}","clock":"device","device":"nonin-3230:501234567"}}],"answers":[]}}"#
    )
}

/// A clinic whose store is stuck until told otherwise.
async fn stuck(clinic: &Clinic) -> Result<Running> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/hold_lock.py");
    let file = clinic.path("data/vagt.db");
    let mut lock =
        Running::start(&python()?, &[script, file.to_str().context("UTF-8")?], &[], &clinic.path("lock.log"))?;
    lock.line_of("held").await?;
    Ok(lock)
}

#[tokio::test]
async fn mosquitto_pub_gets_its_puback_only_after_the_commit() -> Result<()> {
    for (protocol, seq) in [("mqttv311", 1), ("mqttv5", 2)] {
        let login = KitLogin::simulated(1);
        let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
        let body = clinic.path("message.json");
        fs::write(&body, message(seq, 84))?;
        let topic = format!("vagt/v1/{}/readings", login.kit);
        let mut lock = stuck(&clinic).await?;
        let mut publisher = clinic.publish(&login, protocol, &topic, &body)?;
        sleep(STUCK).await;
        assert!(publisher.is_running()?, "{protocol}: a PUBACK came while the store was stuck");
        assert_eq!(clinic.store().await?.stored_now().await?, 0);
        lock.tell("").await?;
        let code = publisher.wait().await?;
        assert_eq!(code, 0, "{protocol}: {}", clinic.log());
        clinic.stored_where(|stored| stored.messages == 1 && stored.readings == 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn paho_gets_its_puback_and_acks_only_after_the_commit() -> Result<()> {
    for protocol in ["4", "5"] {
        let login = KitLogin::simulated(1);
        let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
        let payload = clinic.path("message.json");
        fs::write(&payload, message(42, 93))?;
        let (port, script) =
            (clinic.mqtt_port.to_string(), concat!(env!("CARGO_MANIFEST_DIR"), "/clients/paho_publish.py"));
        let payload = payload.to_str().context("UTF-8")?;
        let mut lock = stuck(&clinic).await?;
        let args = [script, &port, login.kit.as_str(), &login.secret, protocol, payload];
        let mut paho = Running::start(&python()?, &args, &[], &clinic.path("paho.log"))?;
        paho.line_where(|line| line["published"] == true).await.with_context(|| clinic.log())?;
        sleep(STUCK).await;
        assert_eq!(clinic.store().await?.stored_now().await?, 0);
        lock.tell("").await?;
        paho.line_where(|line| line["puback"] == "Success").await.with_context(|| clinic.log())?;
        assert_eq!(clinic.store().await?.stored_now().await?, 1, "a PUBACK means stored");
        assert_eq!(paho.wait().await?, 0, "{}", fs::read_to_string(clinic.path("paho.log"))?);
    }
    Ok(())
}

/// Messages in the store, now.
trait StoredNow {
    async fn stored_now(&self) -> Result<u64>;
}

impl StoredNow for store::Sqlite {
    async fn stored_now(&self) -> Result<u64> {
        Ok(store::Store::stored(self).await?.messages)
    }
}
