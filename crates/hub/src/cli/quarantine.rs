//! `vagt quarantine`: what came and could not be used, with the reasons and the bytes as they came.

use std::io::Write as _;

use clap::Subcommand;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::QuarantinedEntry;
use vitals::KitId;

use super::{Ended, backtest::failed, block_on, json_line, out, place::Place, why::local};
use crate::directory::hex;

/// What kits sent and nobody could use. It is kept with its bytes and blocks nobody.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  vagt quarantine list                      the newest, with the reasons
  vagt quarantine list --kit kit-17 --json  of one kit, one JSON line each
  vagt quarantine show 12                   number 12, with what was sent")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The newest first: number, kit, its number of the message, size and reason.
    List {
        /// Of this kit alone.
        #[arg(long)]
        kit: Option<KitId>,
        /// Look at so many of the newest.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        to: Place,
    },
    /// One of them, with its bytes as they came: as text where they are text, else in hexadecimal. Somebody's measurements may be in them.
    Show {
        /// Its number, as `list` says it.
        id: i64,
        #[command(flatten)]
        to: Place,
    },
}

/// Runs `vagt quarantine`.
///
/// # Errors
/// The store can't be read, or nothing in it has this number.
pub fn run(args: &Args) -> Result<(), Ended> {
    block_on(async {
        match &args.command {
            Command::List { kit, limit, to } => list(kit.as_ref(), *limit, to).await,
            Command::Show { id, to } => show(*id, to).await,
        }
    })
}

async fn list(kit: Option<&KitId>, limit: u32, to: &Place) -> Result<(), Ended> {
    let (store, zone) = to.read().await?;
    let found = store.quarantine(limit).await;
    store.close().await;
    let (mut entries, total) = found.map_err(failed)?;
    entries.retain(|entry| kit.is_none_or(|kit| entry.kit == *kit));
    let mut out = out();
    for entry in &entries {
        if to.json {
            json_line(&mut out, entry)?;
        } else {
            writeln!(out, "{}", line(entry, &zone))?;
        }
    }
    if total == 0 && !to.json {
        writeln!(out, "Nothing is in quarantine: every message that came could be understood.")?;
    } else if !to.json {
        writeln!(out, "{} shown, {total} in quarantine.", entries.len())?;
    }
    Ok(out.flush()?)
}

async fn show(id: i64, to: &Place) -> Result<(), Ended> {
    let (store, zone) = to.read().await?;
    let found = store.quarantined(id).await;
    store.close().await;
    let none =
        || Ended::Failed(format!("found nothing in quarantine with the number {id}: see `vagt quarantine list`"));
    let (entry, bytes) = found.map_err(failed)?.ok_or_else(none)?;
    let (kind, payload) = readable(bytes);
    let mut shown = serde_json::to_value(&entry).map_err(failed)?;
    if let Value::Object(fields) = &mut shown {
        fields.insert(kind.to_owned(), json!(payload));
    }
    to.done(&shown, &format!("{}\n{payload}", line(&entry, &zone)))
}

fn line(entry: &QuarantinedEntry, zone: &TimeZone) -> String {
    let QuarantinedEntry { id, kit, seq, recorded_at, reason, bytes } = entry;
    let seq = seq.map_or("-".to_owned(), |seq| seq.to_string());
    format!("{id}  {}  {kit}  {seq}  {bytes} bytes  {reason}", local(*recorded_at, zone))
}

/// As a terminal may show them: control characters would change it.
fn readable(bytes: Vec<u8>) -> (&'static str, String) {
    let is_text = |text: &str| text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace());
    match String::from_utf8(bytes) {
        Ok(text) if is_text(&text) => ("text", text),
        Ok(text) => ("hex", hex(text.as_bytes())),
        Err(error) => ("hex", hex(error.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_where_they_are_text() {
        for (bytes, shown) in [
            (b"".as_slice(), ("text", "")),
            ("{\"seq\":\t1,\n\"text\":\"åndenød\"}".as_bytes(), ("text", "{\"seq\":\t1,\n\"text\":\"åndenød\"}")),
            (b"\x1b[2J", ("hex", "1b5b324a")),
            (b"\xff\x00{", ("hex", "ff007b")),
        ] {
            let (kind, text) = readable(bytes.to_vec());
            assert_eq!((kind, text.as_str()), shown);
        }
    }
}
