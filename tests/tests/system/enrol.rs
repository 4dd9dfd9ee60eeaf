//! A kit enrols at the clinic's own authority, connects by TLS, measures, is shut out, and comes back with a new code.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{
    clinic::{Clinic, KitLogin},
    home::Home,
    program::{Running, debian, ours},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
    time::{Instant, sleep, timeout},
};
use wire::Code;

async fn clinic() -> Result<Clinic> {
    let mut clinic = Clinic::stopped(&[KitLogin::simulated(1)]).await?;
    clinic.add_authority().await?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    Ok(clinic)
}

async fn new_code(clinic: &Clinic, args: &[&str]) -> Result<String> {
    let lines = clinic.vagt(args).await?;
    Ok(lines[0]["code"].as_str().context("a code")?.to_owned())
}

/// `vagt-edge enrol`: whether it succeeded, and what it says on standard error.
async fn enrol(code: &str, clinic: &str, out: &Path) -> Result<(bool, String)> {
    let run = Command::new(ours("vagt-edge")?).args(["enrol", code, "--clinic", clinic, "--out"]).arg(out).output();
    let run = timeout(Duration::from_secs(60), run).await??;
    Ok((run.status.success(), String::from_utf8(run.stderr)?))
}

/// Mosquitto's client by TLS, with what the kit has on disk: does it get its PUBACK?
async fn publishes(clinic: &Clinic, folder: &Path, authority: &Path, seq: u64) -> Result<bool> {
    let secret = fs::read_to_string(folder.join("edge.secret"))?;
    let message = format!(
        r#"{{"seq":{seq},"sent_at":"{now}","session":"0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f","readings":[{{"vital":"spo2","value":93,"unit":"%","measured_at":"{now}","clock":"kit","device":"sim:1"}}]}}"#,
        now = tests::program::now()
    );
    let mut publish = Command::new(debian("mosquitto_pub", "mosquitto-clients")?);
    publish.args(["-h", "localhost", "-p", &clinic.mqtt_port.to_string(), "-V", "mqttv5", "-q", "1"]);
    publish.args(["-u", "kit-home", "-P", secret.trim(), "-i", "kit-home-by-hand", "-t", "vagt/v1/kit-home/readings"]);
    publish.arg("--cafile").arg(authority).args(["-m", &message]);
    let done = timeout(Duration::from_secs(30), publish.output()).await??;
    Ok(done.status.success())
}

async fn online(clinic: &Clinic, wanted: bool) -> Result<()> {
    let ours = |kits: &serde_json::Value| {
        kits.as_array().is_some_and(|kits| kits.iter().any(|kit| kit["id"] == "kit-home" && kit["online"] == wanted))
    };
    clinic.get_where("/api/v1/kits", ours).await.map(|_| ())
}

#[tokio::test]
async fn a_kit_enrols_measures_by_tls_is_revoked_and_comes_back() -> Result<()> {
    let clinic = clinic().await?;
    let at = format!("https://127.0.0.1:{}", clinic.enrol_port.context("kits enrol")?);
    let code = new_code(&clinic, &["kit", "add", "kit-home", "--patient", "p-1", "--json"]).await?;
    let login = KitLogin { kit: "kit-home".parse()?, ..KitLogin::simulated(1) };
    let mut home = Home::without_kit(&login, "oximeter", 0).await?;
    let said = home.enrol_and_start(&code, &at).await?;
    assert_eq!((&said["kit"], said["port"].as_u64()), (&json!("kit-home"), Some(clinic.mqtt_port.into())));
    assert_eq!(said["others"], json!(["127.0.0.1:9"]), "every address that the clinic has");
    assert!(fs::read_to_string(home.path("edge.toml"))?.contains("others = [\"127.0.0.1:9\"]"));
    for file in ["edge.toml", "edge.secret", "clinic-authority.pem"] {
        assert_eq!(fs::metadata(home.path(file))?.permissions().mode() & 0o777, 0o600, "{file}");
    }
    online(&clinic, true).await.with_context(|| home.log())?;
    home.tell(&json!({ "measure": "oximeter", "spo2": 84, "pulse": 118 })).await?;
    let alert = clinic.alert_where(|alert| alert["mark"] == "red").await.with_context(|| home.log())?;
    assert_eq!(alert["patient"], "p-1");

    let folder = home.path("");
    let (mine, strangers) = (home.path("clinic-authority.pem"), tempfile::tempdir()?);
    assert!(publishes(&clinic, &folder, &mine, 1).await?, "{}", clinic.log());
    let mut other = Clinic::stopped(&[]).await?;
    other.add_authority().await?;
    let foreign = other.path("data/authority/authority.crt");
    assert!(!publishes(&clinic, &folder, &foreign, 2).await?, "a certificate of another authority was taken");

    let before = Instant::now();
    clinic.vagt(&["kit", "revoke", "kit-home"]).await?;
    online(&clinic, false).await?;
    let took = before.elapsed();
    ensure!(took < Duration::from_secs(30), "revoked after {took:?}");
    assert!(!publishes(&clinic, &folder, &mine, 3).await?, "a revoked kit was let in");
    let (again, why) = enrol(&code, &at, strangers.path()).await?;
    assert!(!again && why.contains("this code is not good, or no longer"), "{why}");

    let renewed = new_code(&clinic, &["kit", "renew", "kit-home", "--json"]).await?;
    assert!(!publishes(&clinic, &folder, &mine, 4).await?, "a code that was not used yet brought it back");
    let (came_back, why) = enrol(&renewed, &at, &folder).await?;
    assert!(came_back, "{why}");
    assert!(publishes(&clinic, &folder, &mine, 5).await?, "{}", clinic.log());
    Ok(())
}

/// Where kits must show certificates none is wanted to enrol: the kit comes in as soon as it has been brought its own.
#[tokio::test]
async fn a_kit_enrols_without_a_certificate_and_comes_in_with_its_own() -> Result<()> {
    let mut clinic = Clinic::stopped(&[KitLogin::simulated(1)]).await?;
    clinic.add_authority().await?;
    clinic.set_more(
        "[mqtt.tls]\ncert = \"data/authority/server.crt\"\nkey = \"data/authority/server.key\"\n\
         client_ca = \"data/authority/authority.crt\"\n[enrolment]\nlisten = \"127.0.0.1:0\"\n",
    )?;
    clinic.restart().await?;
    clinic.sign_in().await?;
    let at = format!("https://127.0.0.1:{}", clinic.enrol_port.context("kits enrol")?);
    let code = new_code(&clinic, &["kit", "add", "kit-home", "--patient", "p-1", "--json"]).await?;
    let login = KitLogin { kit: "kit-home".parse()?, ..KitLogin::simulated(1) };
    let mut home = Home::without_kit(&login, "oximeter", 0).await?;
    home.enrol_and_start(&code, &at).await?;
    let until = Instant::now() + Duration::from_secs(60);
    while !clinic.log().contains("no certificate by which a kit is known") {
        ensure!(Instant::now() < until, "{}\n{}", clinic.log(), home.log());
        sleep(Duration::from_millis(20)).await;
    }
    online(&clinic, false).await?;

    home.kill_9_edge().await?;
    let made = clinic.vagt(&["ca", "kit", "kit-home", "--json"]).await?;
    let file = |name: &str| made[0][name].as_str().with_context(|| format!("{name} in {made:?}"));
    home.say_of_broker(&format!("cert_file = \"{}\"\nkey_file = \"{}\"\n", file("certificate")?, file("key")?));
    home.enrol_and_start(&code, &at).await?;
    online(&clinic, true).await.with_context(|| format!("{}\n{}", clinic.log(), home.log()))?;
    home.tell(&json!({ "measure": "oximeter", "spo2": 84, "pulse": 118 })).await?;
    let alert = clinic.alert_where(|alert| alert["mark"] == "red").await.with_context(|| home.log())?;
    assert_eq!(alert["patient"], "p-1");
    Ok(())
}

#[tokio::test]
async fn a_code_is_for_one_clinic_one_kit_and_one_time() -> Result<()> {
    let clinic = clinic().await?;
    let at = format!("https://localhost:{}", clinic.enrol_port.context("kits enrol")?);
    let code = new_code(&clinic, &["kit", "add", "kit-home", "--patient", "p-1", "--json"]).await?;
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let refused = async |code: &str, at: &str, wanted: &str| {
        let (done, why) = enrol(code, at, one.path()).await?;
        ensure!(!done && why.contains(wanted), "{code} at {at}: {why}");
        Ok(())
    };
    let slip = code.replacen(&code[..1], if code.starts_with('7') { "8" } else { "7" }, 1);
    refused(&slip, &at, "the code is mistyped").await?;
    refused(&code, "http://localhost", "want https://host").await?;
    let elsewhere = Code::new(7, &[9; 32]).to_string();
    refused(&elsewhere, &at, "is not the clinic that gave out this code").await?;
    let shown = clinic.vagt(&["ca", "show", "--json"]).await?;
    let hash = shown[0]["sha256"].as_str().context("a fingerprint")?;
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16)).collect::<Result<_, _>>()?;
    let guessed = Code::new(7, bytes.as_slice().try_into()?).to_string();
    refused(&guessed, &at, "this code is not good, or no longer").await?;

    let typed = code.to_lowercase().replace('-', " ");
    let (done, why) = enrol(&typed, &at, one.path()).await?;
    assert!(done, "{why}");
    let (secret, config) = (fs::read(one.path().join("edge.secret"))?, one.path().join("edge.toml"));
    fs::remove_file(&config)?;
    let (done, why) = enrol(&code, &at, one.path()).await?;
    assert!(done && config.exists() && fs::read(one.path().join("edge.secret"))? == secret, "{why}");
    let (done, why) = enrol(&code, &at, two.path()).await?;
    assert!(!done && why.contains("used already, for kit kit-home"), "{why}");

    // Whoever goes on guessing is told to wait, in problem details that the kit reads out.
    for _ in 0..40 {
        let (done, why) = enrol(&guessed, &at, two.path()).await?;
        assert!(!done);
        if why.contains("too many tries from this address") {
            return Ok(());
        }
    }
    anyhow::bail!("forty guesses in a row were all answered: {}", clinic.log())
}

/// Lets everything through to `to`, and the answers late, so that there is time to pull the plug.
async fn slow_line(to: u16) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
            let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = from_far.read(&mut bytes).await {
                    sleep(Duration::from_secs(2)).await;
                    if to_near.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(port)
}

#[tokio::test]
async fn a_power_cut_between_exchange_and_answer_strands_nobody() -> Result<()> {
    let clinic = clinic().await?;
    let port = clinic.enrol_port.context("kits enrol")?;
    let code = new_code(&clinic, &["kit", "add", "kit-home", "--patient", "p-1", "--json"]).await?;
    let folder = tempfile::tempdir()?;
    let (slow, out) = (slow_line(port).await?, folder.path().to_str().context("UTF-8")?.to_owned());
    let args = ["enrol", &code, "--clinic", &format!("https://127.0.0.1:{slow}"), "--out", &out];
    let enrolling = Running::start(&ours("vagt-edge")?, &args, &[], &clinic.path("enrol.log"))?;
    let until = Instant::now() + Duration::from_secs(60);
    while !clinic.log().contains("a kit has enrolled") {
        ensure!(Instant::now() < until, "{}\n{}", clinic.log(), fs::read_to_string(clinic.path("enrol.log"))?);
        sleep(Duration::from_millis(20)).await;
    }
    enrolling.kill_9().await?;
    assert!(!folder.path().join("edge.toml").exists(), "the answer was not lost: the test has lost its teeth");
    let (done, why) = enrol(&code, &format!("https://127.0.0.1:{port}"), folder.path()).await?;
    assert!(done, "{why}");
    assert!(
        publishes(&clinic, folder.path(), &folder.path().join("clinic-authority.pem"), 1).await?,
        "{}",
        clinic.log()
    );
    Ok(())
}
