//! A Mosquitto that speaks TLS with a certificate of the clinic's own authority, and one that demands certificates too: the service and a kit get
//! in with what `vagt ca` issues, and who has none does not.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{
    clinic::{Clinic, KitLogin},
    home::Home,
    mosquitto::Mosquitto,
};

/// What a file's path is in TOML, and in Mosquitto's configuration.
fn text(path: &std::path::Path) -> Result<String> {
    Ok(path.to_str().context("UTF-8")?.to_owned())
}

/// The authority, the broker's certificate, the service's and the kit's, as `vagt ca` says where they are.
struct Issued {
    ca: String,
    server: [String; 2],
    service: [String; 2],
    kit: [String; 2],
}

async fn issued(clinic: &mut Clinic, login: &KitLogin) -> Result<Issued> {
    let issued = async |args: &[&str], [cert, key]: [&str; 2]| {
        let said = clinic.vagt(args).await?;
        let file =
            |name: &str| said[0][name].as_str().with_context(|| format!("{name} in {said:?}")).map(str::to_owned);
        Ok::<_, anyhow::Error>([file(cert)?, file(key)?])
    };
    let names = ["ca", "init", "--name", "127.0.0.1", "--json"];
    let server = issued(&names, ["server_certificate", "server_key"]).await?;
    let kit = issued(&["ca", "kit", login.kit.as_str(), "--json"], ["certificate", "key"]).await?;
    let service = issued(&["ca", "service", "--json"], ["certificate", "key"]).await?;
    Ok(Issued { ca: text(&clinic.path("data/authority/authority.crt"))?, server, service, kit })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_come_over_tls_and_by_certificates_alone() -> Result<()> {
    let login = KitLogin::simulated(1);
    for mutual in [false, true] {
        let mut clinic = Clinic::start(std::slice::from_ref(&login)).await?;
        clinic.stop().await?;
        // Before the broker is there, its account is named, for `vagt ca service`.
        clinic.configure("[broker]\nhost = \"127.0.0.1\"\nuser = \"vagt-hub\"\n")?;
        let Issued { ca, server: [cert, key], service, kit } = issued(&mut clinic, &login).await?;
        let files = [format!("cafile {ca}"), format!("certfile {cert}"), format!("keyfile {key}")];
        let settings: Vec<&str> = files.iter().map(String::as_str).collect();
        let more = if mutual { "require_certificate true\nuse_identity_as_username true\n" } else { "" };
        let broker = Mosquitto::start_with(std::slice::from_ref(&login), &settings, more).await?;

        let shown = |[cert, key]: &[String; 2]| match mutual {
            true => format!("ca_file = \"{ca}\"\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n"),
            false => format!("ca_file = \"{ca}\"\n"),
        };
        clinic.set_more(&format!("{}{}", broker.of_hub()?, shown(&service)))?;
        clinic.restart().await?;
        let mut home = Home::without_kit(&login, "oximeter", 0).await?;
        home.say_of_broker(&shown(&kit));
        home.start_edge(broker.port)?;
        home.tell(&json!({"measure": "oximeter", "spo2": 83, "pulse": 101})).await?;
        let told = || format!("{}\n{}\n{}", clinic.log(), home.log(), broker.log());
        clinic.sign_in().await?;
        let alert = clinic.alert_where(|alert| alert["mark"] == "red").await.with_context(told)?;
        ensure!(alert["patient"] == "p-1", "{alert}");
        let doctor = clinic.vagt(&["doctor", "--quick", "--json"]).await?;
        let said = doctor.iter().find(|line| line["check"] == "broker").context("a line of the broker")?;
        ensure!(said["state"] == "ok", "{said}");

        if mutual {
            // Without a certificate nobody gets in, with the right password neither.
            clinic.stop().await?;
            clinic.set_more(&format!("{}ca_file = \"{ca}\"\n", broker.of_hub()?))?;
            let (_, doctor) = clinic.vagt_says(&["doctor", "--quick", "--json"]).await?;
            let said = doctor.iter().find(|line| line["check"] == "broker").context("a line of the broker")?;
            ensure!(said["state"] == "fail", "{said}");
        }
    }
    Ok(())
}

/// A certificate without what belongs to it is a sentence, not a connection without it.
#[tokio::test]
async fn half_a_certificate_is_refused() -> Result<()> {
    let login = KitLogin::simulated(1);
    let mut clinic = Clinic::stopped(std::slice::from_ref(&login)).await?;
    let file: PathBuf = clinic.path("roster.toml");
    clinic.configure(&format!("[broker]\nhost = \"127.0.0.1\"\ncert_file = \"{}\"\n", text(&file)?))?;
    let said = clinic.vagt_refuses(&["serve"]).await?;
    ensure!(said.contains("broker.cert_file: want broker.key_file and broker.ca_file beside it"), "{said}");
    Ok(())
}
