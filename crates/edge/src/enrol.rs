//! `vagt-edge enrol CODE`: a one-time code becomes the kit's own credentials.
//!
//! The kit makes its secret first, on disk, and shows the clinic only the hash of it; so a lost answer or a power cut costs nothing: the same
//! code with the same secret gives the same answer. That it talks to the right clinic it knows by the code, which carries the beginning of
//! the hash of the clinic's authority (docs/decisions/0057-enrolment.md). Everything is written for the agent alone, each file whole or not
//! at all, and the secret takes its place last.

mod ask;
mod files;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use vitals::KitId;
use wire::Code;

use self::{
    ask::{Clinic, Refused},
    files::Folder,
};

/// Where the code's clinic is asked if its address names no port.
pub const ENROL_PORT: u16 = 8443;

/// What the clinic answers.
#[derive(Debug, Deserialize)]
struct Answer {
    kit: KitId,
    /// Absent: the host that was asked.
    mqtt_host: Option<String>,
    mqtt_port: u16,
    /// `host:port`, each; a service from before there were others names none.
    #[serde(default)]
    others: Vec<String>,
    zone: Option<String>,
}

/// What `edge.toml` is told.
struct Given {
    kit: KitId,
    host: String,
    port: u16,
    others: Vec<String>,
    zone: String,
}

/// Exchanges `code` at `clinic` (`https://host:port`) and writes what came of it into `folder`.
///
/// # Errors
/// A sentence: the code is none, the clinic can't be reached or is another, it refuses, or a file can't be written.
pub async fn run(code: &str, clinic: &str, folder: &Path, json: bool) -> anyhow::Result<()> {
    let code: Code = code.parse()?;
    let clinic = Clinic::parse(clinic)?;
    let folder = Folder::open(folder)?;
    folder.check_config()?;
    let (answer, authority) = exchange(&code, &clinic, &folder).await?;
    let given = Given {
        kit: answer.kit,
        host: answer.mqtt_host.unwrap_or_else(|| clinic.host.clone()),
        port: answer.mqtt_port,
        others: answer.others,
        zone: answer.zone.unwrap_or_else(|| "Europe/Copenhagen".to_owned()),
    };
    folder.write_authority(&authority)?;
    let config = folder.write_config(&given)?;
    folder.keep_secret()?;
    tell(&given, &config, json);
    Ok(())
}

/// With the secret that waits; and, where the code was used already, with the one that was kept: then only the files were lost.
async fn exchange(code: &Code, clinic: &Clinic, folder: &Folder) -> anyhow::Result<(Answer, Vec<u8>)> {
    let waiting = folder.waiting_secret()?;
    match clinic.ask(code, &sha256_hex(&waiting)).await {
        Err(Refused::Used(said)) => {
            let Some(kept) = folder.kept_secret()? else { return Err(Refused::Used(said).into()) };
            let answered = clinic.ask(code, &sha256_hex(&kept)).await?;
            folder.forget_waiting_secret()?;
            Ok(answered)
        }
        answered => Ok(answered?),
    }
}

fn sha256_hex(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tell(given: &Given, config: &PathBuf, json: bool) {
    if json {
        println!(
            "{}",
            serde_json::json!({
                "kit": given.kit, "host": given.host, "port": given.port, "others": given.others, "config": config
            })
        );
    } else {
        println!(
            "This is {} now, and sends to {}:{}{}. Its configuration: {}",
            given.kit,
            given.host,
            given.port,
            given.others.iter().map(|other| format!(", or {other}")).collect::<String>(),
            config.display()
        );
    }
}

#[cfg(test)]
mod tests;
