//! `vagt ca`: the clinic's own authority, which signs what kits trust.

use std::{io::Write as _, path::PathBuf};

use clap::Subcommand;
use serde_json::json;
use vitals::KitId;

use super::{Ended, block_on, json_line, out};
use crate::{
    authority::{Authority, ends},
    clock,
    config::Config,
    directory::hex,
    lock::make_folder,
};

/// The clinic's own authority: what kits trust, and what the front door and the enrolment show them.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the authority, in the data folder, and the first certificate of the server.
    Init(Names),
    /// Issues the server's certificate anew: for other names, or because the old one ends. Restart the service after it.
    Issue(Names),
    /// Issues a certificate by which the front door (`client_ca` in `[mqtt.tls]`) or a broker that demands one knows a kit: its common name is
    /// the kit's id. Prints the paths of the certificate and its key, which are brought to the kit.
    Kit {
        /// The kit, as in the roster.
        #[arg(value_name = "KIT")]
        kit: String,
        /// The service's configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Issues a certificate by which a broker knows this service (its common name is `user` of `[broker]`), for a broker that demands one.
    Service {
        /// The service's configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows the authority: its certificate's fingerprint, and where its files are.
    Show {
        /// The service's configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Under which names kits reach the clinic.
#[derive(clap::Args)]
struct Names {
    /// A host name or an address by which kits reach the clinic; may be repeated.
    #[arg(long = "name", value_name = "HOST", required = true)]
    names: Vec<String>,
    /// The service's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `vagt ca`.
///
/// # Errors
/// The authority can't be made, or not be read.
pub fn run(args: &Args) -> Result<(), Ended> {
    match &args.command {
        Command::Init(names) => {
            let config = load(&names.config)?;
            Authority::check_names(&names.names).map_err(failed)?;
            make_folder(&config.data)?;
            let authority = Authority::init(&config.data, &config.clinic, clock::now()).map_err(failed)?;
            issue(&authority, names)
        }
        Command::Issue(names) => issue(&Authority::open(&load(&names.config)?.data).map_err(failed)?, names),
        Command::Kit { kit, config, json } => issue_kit(kit, &load(config)?, *json),
        Command::Service { config, json } => issue_service(&load(config)?, *json),
        Command::Show { config, json } => show(&Authority::open(&load(config)?.data).map_err(failed)?, *json),
    }
}

fn load(config: &std::path::Path) -> Result<Config, Ended> {
    Config::load(config).map_err(|e| Ended::Failed(e.to_string()))
}

fn issue(authority: &Authority, names: &Names) -> Result<(), Ended> {
    authority.issue_server(&names.names, clock::now()).map_err(failed)?;
    show(authority, names.json)
}

/// For a kit of the roster that is not revoked: whoever is issued one can come in.
fn issue_kit(kit: &str, config: &Config, json: bool) -> Result<(), Ended> {
    let kit: KitId = kit.parse().map_err(|error| Ended::Usage(format!("{kit:?}: {error}")))?;
    let authority = Authority::open(&config.data).map_err(failed)?;
    let mut roster = store::Roster::default();
    block_on(async {
        let wrong = |error: store::StoreError| Ended::Failed(error.to_string());
        let store = store::open_read_only(&config.store()).await.map_err(wrong)?;
        let read = store.roster().await;
        store.close().await;
        roster = read.map_err(wrong)?;
        Ok(())
    })?;
    match roster.kits.iter().find(|known| known.id == kit) {
        Some(known) if known.revoked => return Err(Ended::Failed(format!("kit {kit} is revoked"))),
        Some(_) => {}
        None => return Err(Ended::Failed(format!("kit {kit} is not in the roster"))),
    }
    let made = authority.issue_kit(&kit, clock::now()).map_err(failed)?;
    let ends = ends(&made.certificate).map_err(failed)?;
    let (certificate, key) = (whole(made.certificate), whole(made.key));
    let mut out = out();
    if json {
        json_line(&mut out, &json!({ "kit": kit, "certificate": certificate, "key": key, "ends": ends }))?;
    } else {
        let (certificate, key) = (certificate.display(), key.display());
        writeln!(
            out,
            "Kit {kit} is known by {certificate} until {ends}.\nIts key is {key}: bring both to the kit, and remove the key here."
        )?;
    }
    Ok(out.flush()?)
}

fn issue_service(config: &Config, json: bool) -> Result<(), Ended> {
    let user = config.broker.as_ref().and_then(|broker| broker.user.as_deref());
    let user =
        user.ok_or_else(|| Ended::Failed("the configuration has no `user` in `[broker]`: as whom?".to_owned()))?;
    let made = Authority::open(&config.data).and_then(|authority| authority.issue_service(user, clock::now()));
    let made = made.map_err(failed)?;
    let ends = ends(&made.certificate).map_err(failed)?;
    let (certificate, key) = (whole(made.certificate), whole(made.key));
    let mut out = out();
    if json {
        json_line(&mut out, &json!({ "user": user, "certificate": certificate, "key": key, "ends": ends }))?;
    } else {
        let (certificate, key) = (certificate.display(), key.display());
        writeln!(
            out,
            "The service is known as {user} until {ends}. For [broker]:\ncert_file = \"{certificate}\"\nkey_file = \"{key}\""
        )?;
    }
    Ok(out.flush()?)
}

fn show(authority: &Authority, json: bool) -> Result<(), Ended> {
    let (certificate, key) = (whole(authority.server_certificate()), whole(authority.server_key()));
    let fingerprint = hex(&authority.fingerprint());
    let mut out = out();
    if json {
        json_line(&mut out, &json!({ "sha256": fingerprint, "server_certificate": certificate, "server_key": key }))?;
    } else {
        writeln!(
            out,
            "The authority's certificate has the SHA-256 {fingerprint}.\nFor hub.toml, with the \
             port that kits can reach:\n[mqtt.tls]\ncert = {:?}\nkey = {:?}\n[enrolment]\nlisten = \"0.0.0.0:8443\"\n{}",
            certificate.display().to_string(),
            key.display().to_string(),
            authority.pem().trim_end()
        )?;
    }
    Ok(out.flush()?)
}

/// From the root: `hub.toml` counts paths from its own folder, not from where this was called.
fn whole(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn failed(error: crate::authority::AuthorityError) -> Ended {
    Ended::Failed(error.to_string())
}
