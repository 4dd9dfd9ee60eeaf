//! What an enrolment leaves on disk: `edge.toml`, `edge.secret`, `clinic-authority.pem`. Each is written beside its place, synced and moved
//! there, readable by its owner alone; the owner is the folder's, so that root may enrol for the agent.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::Given;

const SECRET: &str = "edge.secret";
const WAITING: &str = "edge.secret.new";
const AUTHORITY: &str = "clinic-authority.pem";
const CONFIG: &str = "edge.toml";
/// Bytes of Base64 in a line of a PEM file.
const PEM_LINE_BYTES: usize = 64;

/// Where the kit's configuration lies.
pub(super) struct Folder {
    path: PathBuf,
    owner: (u32, u32),
}

impl Folder {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        let found = fs::metadata(path).with_context(|| path.display().to_string())?;
        Ok(Self { path: path.to_owned(), owner: (found.uid(), found.gid()) })
    }

    /// The secret that is to be exchanged: the one that an earlier try has left, else a new one, which is on disk before anybody hears of it.
    pub fn waiting_secret(&self) -> anyhow::Result<String> {
        if let Some(secret) = self.secret(WAITING)? {
            return Ok(secret);
        }
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        self.write(WAITING, &secret)?;
        Ok(secret)
    }

    /// The secret that the kit signs in with now.
    pub fn kept_secret(&self) -> anyhow::Result<Option<String>> {
        self.secret(SECRET)
    }

    fn secret(&self, name: &str) -> anyhow::Result<Option<String>> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|secret| !secret.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// From now on the kit signs in with the secret that waited; where none waits, the kept one is the clinic's.
    pub fn keep_secret(&self) -> anyhow::Result<()> {
        let (from, to) = (self.path.join(WAITING), self.path.join(SECRET));
        if from.exists() {
            fs::rename(&from, &to).with_context(|| to.display().to_string())?;
            self.sync().with_context(|| self.path.display().to_string())?;
        }
        Ok(())
    }

    pub fn forget_waiting_secret(&self) -> anyhow::Result<()> {
        let path = self.path.join(WAITING);
        fs::remove_file(&path).with_context(|| path.display().to_string())
    }

    /// The certificate of the clinic's authority, from DER to PEM.
    pub fn write_authority(&self, der: &[u8]) -> anyhow::Result<()> {
        let base64 = base64(der);
        let lines: Vec<&str> = base64
            .as_bytes()
            .chunks(PEM_LINE_BYTES)
            .map(|line| std::str::from_utf8(line).expect("Base64 is ASCII"))
            .collect();
        self.write(
            AUTHORITY,
            &format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")),
        )
    }

    /// Can the configuration that is there be completed? Asked before the code is used.
    pub fn check_config(&self) -> anyhow::Result<()> {
        let (host, zone, others) = Default::default();
        let nobody = Given { kit: "kit".parse()?, host, port: 0, others, zone };
        let path = self.path.join(CONFIG);
        match fs::read_to_string(&path) {
            Ok(text) => complete(&text, &nobody).map(drop).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Completes `edge.toml`, or writes the first. Comments, devices and whatever else stands in it stay.
    pub fn write_config(&self, given: &Given) -> anyhow::Result<PathBuf> {
        let path = self.path.join(CONFIG);
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => FRESH.to_owned(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let after = complete(&before, given).with_context(|| path.display().to_string())?;
        self.write(CONFIG, &after)?;
        Ok(path)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        self.replace(&path, text).with_context(|| path.display().to_string())
    }

    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != self.owner && made.uid() == 0 {
            chown(&beside, Some(self.owner.0), Some(self.owner.1))?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// The first configuration of a kit that had none.
const FRESH: &str = "\
# The kit's agent, as `vagt-edge enrol` made it. Devices are added with `vagt-edge device add`, or by hand: one [[device]] for each.
# Paths are relative to this file.
";

/// What the clinic gave, put into a configuration.
pub(super) fn complete(text: &str, given: &Given) -> anyhow::Result<String> {
    let mut config: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line = text[..error.span().map_or(0, |span| span.start.min(text.len()))].lines().count().max(1);
        anyhow::anyhow!("line {line}: {}", error.message())
    })?;
    set(config.as_table_mut(), "kit", given.kit.as_str());
    for (name, usual) in [("zone", given.zone.as_str()), ("data_dir", "/var/lib/vagt-edge")] {
        if !config.contains_key(name) {
            config[name] = value(usual);
        }
    }
    let broker = config.entry("broker").or_insert_with(|| Item::Table(Table::new()));
    let broker = broker.as_table_like_mut().context("broker: want a table, found something else")?;
    for (name, wanted) in [("host", given.host.as_str()), ("secret_file", SECRET), ("ca_file", AUTHORITY)] {
        set(broker, name, wanted);
    }
    set(broker, "port", i64::from(given.port));
    // Where the clinic names none, those that somebody wrote by hand stay.
    if !given.others.is_empty() {
        set(broker, "others", given.others.iter().map(String::as_str).collect::<Array>());
    }
    broker.remove("secret");
    Ok(config.to_string())
}

/// Sets a value where it stands, with the comments around it.
fn set(table: &mut dyn toml_edit::TableLike, name: &str, wanted: impl Into<toml_edit::Value>) {
    let mut wanted: toml_edit::Value = wanted.into();
    if let Some(before) = table.get(name).and_then(Item::as_value) {
        *wanted.decor_mut() = before.decor().clone();
    }
    match table.get_mut(name) {
        Some(item) => *item = Item::Value(wanted),
        None => drop(table.insert(name, Item::Value(wanted))),
    }
}

/// Base64 with padding (RFC 4648).
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}
