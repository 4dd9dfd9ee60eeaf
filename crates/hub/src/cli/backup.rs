//! `vagt backup` and `vagt restore`: a folder with the store in it and a manifest that says what it must hold.
//!
//! A file is copied as it is, page by page; of a server the whole clinic is written as a document (decision 0093).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{Place as StorePlace, Sqlite, Store};

use super::{
    Ended, block_on,
    carry::{Alone, Partial, all, bar, import_from, in_file, into_new_file, new_file},
    place::Place,
    roster::failed,
};
use crate::{
    carry::Holds,
    clock,
    config::Config,
    directory::hex,
    lock::{Lock, make_folder},
};

/// The manifest's own format.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const COPY: &str = "vagt.db";
const DOCUMENT: &str = "clinic.jsonl";

/// Backs up the store, beside a running service, into a new folder: what it held at one moment, looked through and with its checksum.
///
/// Not in it, since they are not in the store: the configuration file with what it names (roster, programmes, password files), and in the data
/// folder the clinic's certificate authority and keys (`authority`). Keep these where secrets are kept. How to rehearse a restore, and how a server
/// is brought back to a point in time: docs/guides/backup.md.
#[derive(clap::Args)]
pub struct BackupArgs {
    /// The folder, which must not be there yet.
    #[arg(value_name = "TO")]
    to: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Brings a backup back, into the store of a configuration that has none yet. The service must not run.
///
/// What the kits have sent since the backup, and was acknowledged, they no longer have: it is in the backup or lost. What they send again counts once.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The backup's folder.
    #[arg(value_name = "FROM")]
    from: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// What a backup must hold.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    vagt_backup: u32,
    made_at: Timestamp,
    /// The program that made it.
    version: String,
    /// The store's schema, of a copied file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<u32>,
    /// The file beside this one.
    file: String,
    bytes: u64,
    sha256: String,
    /// Rows of each section.
    rows: BTreeMap<String, u64>,
}

/// Runs `vagt backup`.
///
/// # Errors
/// The store can't be read, is damaged, or the folder can't be written.
pub fn backup(args: &BackupArgs) -> Result<(), Ended> {
    block_on(async {
        let config = args.place.config()?;
        let partial = Partial::of(&args.to)?;
        if partial.path().exists() {
            fs::remove_dir_all(partial.path()).map_err(|error| in_file(partial.path(), &error))?;
        }
        fs::create_dir(partial.path()).map_err(|error| in_file(partial.path(), &error))?;
        let manifest = match config.store() {
            StorePlace::File(path) => copied(&path, partial.path()).await?,
            place => written(&place, partial.path()).await?,
        };
        write_manifest(&partial.path().join(MANIFEST), &manifest)?;
        partial.name(&args.to)?;
        let rows: u64 = manifest.rows.values().sum();
        let words = format!(
            "{}: {rows} rows, {} bytes, looked through. Not in it: {} and what it names, and the authority's keys in {}",
            args.to.display(),
            manifest.bytes,
            args.place.config_file().display(),
            config.data.display()
        );
        args.place.done(&json!({ "backup": args.to, "manifest": manifest }), &words)
    })
}

fn write_manifest(path: &Path, manifest: &Manifest) -> Result<(), Ended> {
    let mut out = new_file(path)?;
    let written = serde_json::to_writer_pretty(&mut out, manifest).map_err(io::Error::from);
    written.and_then(|()| out.sync_all()).map_err(|error| in_file(path, &error))
}

async fn copied(path: &Path, folder: &Path) -> Result<Manifest, Ended> {
    let store = Sqlite::open_read_only(path).await.map_err(failed)?;
    let to = folder.join(COPY);
    // It is the person's data: nobody else reads it, not even while it is written.
    new_file(&to)?;
    let done = store.copy(&to).await;
    store.close().await;
    done.map_err(failed)?;
    File::open(&to).and_then(|file| file.sync_all()).map_err(|error| in_file(&to, &error))?;
    let copy = Sqlite::open_read_only(&to).await.map_err(failed)?;
    let rows = copy.holdings().await.map_err(failed)?;
    let schema = copy.stored().await.map_err(failed)?.schema;
    copy.close().await;
    let rows = rows.into_iter().map(|(section, rows)| (section.to_owned(), rows)).collect();
    manifest(folder, COPY, Some(schema), rows)
}

async fn written(place: &StorePlace, folder: &Path) -> Result<Manifest, Ended> {
    let store = store::open_read_only(place).await.map_err(failed)?;
    let bar = bar(Some(all(&*store).await?));
    let done = into_new_file(&*store, &folder.join(DOCUMENT), &bar).await;
    store.close().await;
    let Holds { rows, .. } = done?;
    bar.finish_and_clear();
    manifest(folder, DOCUMENT, None, rows)
}

fn manifest(folder: &Path, file: &str, schema: Option<u32>, rows: BTreeMap<String, u64>) -> Result<Manifest, Ended> {
    let (bytes, sha256) = digest(&folder.join(file))?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Manifest {
        vagt_backup: FORMAT,
        made_at: clock::now(),
        version,
        schema,
        file: file.to_owned(),
        bytes,
        sha256,
        rows,
    })
}

fn digest(path: &Path) -> Result<(u64, String), Ended> {
    let mut file = File::open(path).map_err(|error| in_file(path, &error))?;
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(|error| in_file(path, &error))?;
    Ok((bytes, hex(&hash.finalize())))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `vagt restore`.
///
/// # Errors
/// The backup is damaged or newer than this program, or there is a store already.
pub fn restore(args: &RestoreArgs) -> Result<(), Ended> {
    block_on(async {
        let config = args.place.config()?;
        let manifest = read_manifest(&args.from)?;
        let file = args.from.join(&manifest.file);
        let (bytes, sha256) = digest(&file)?;
        if (bytes, &sha256) != (manifest.bytes, &manifest.sha256) {
            return Err(Ended::Failed(format!(
                "{}: found {bytes} bytes with SHA-256 {sha256}, want {} with {}: it is damaged, use another backup",
                file.display(),
                manifest.bytes,
                manifest.sha256
            )));
        }
        match (manifest.file.as_str(), config.store()) {
            (COPY, StorePlace::File(path)) => copy_back(&file, &path, &config, &manifest).await?,
            (COPY, StorePlace::Postgres(server)) => {
                return Err(Ended::Failed(format!(
                    "{}: found the copy of a file, and the store is {server}: restore it to a file first, then `vagt export` and `vagt import`",
                    args.from.display()
                )));
            }
            _ => {
                let alone = Alone::take(&config).await?;
                let done = import_from(&*alone.store, &file).await;
                alone.store.close().await;
                same_rows(&done?.rows, &manifest)?;
            }
        }
        let rows: u64 = manifest.rows.values().sum();
        let words =
            format!("{rows} rows of {} are back. What was sent since then is not among them.", manifest.made_at);
        args.place.done(&json!({ "restored": args.from, "manifest": manifest }), &words)
    })
}

fn read_manifest(folder: &Path) -> Result<Manifest, Ended> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|error| in_file(&path, &error))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| Ended::Failed(format!("{}: {error}, want a backup's manifest", path.display())))?;
    if manifest.vagt_backup > FORMAT {
        return Err(Ended::Failed(format!(
            "{}: format {} is newer than {FORMAT}, the newest this program knows: use the newer vagt ({})",
            path.display(),
            manifest.vagt_backup,
            manifest.version
        )));
    }
    if ![COPY, DOCUMENT].contains(&manifest.file.as_str()) {
        return Err(Ended::Failed(format!(
            "{}: found file {:?}, want {COPY} or {DOCUMENT}",
            path.display(),
            manifest.file
        )));
    }
    Ok(manifest)
}

/// Under another name until it has been looked through, counted and brought to this program's schema.
async fn copy_back(from: &Path, to: &Path, config: &Config, manifest: &Manifest) -> Result<(), Ended> {
    make_folder(&config.data)?;
    let _lock = Lock::take(&config.data)?;
    let there: Vec<_> = with_beside(to).filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    if !there.is_empty() {
        return Err(Ended::Failed(format!(
            "{} is there: a backup is brought back where no store is, move all of it away first",
            there.join(", ")
        )));
    }
    let restoring = Partial::beside(to, ".restoring");
    remove(with_beside(restoring.path()))?;
    if let Err(why) = verified(from, restoring.path(), manifest).await {
        remove(Sqlite::beside(restoring.path())).ok();
        return Err(why);
    }
    restoring.name(to)?;
    File::open(&config.data).and_then(|folder| folder.sync_all()).map_err(|error| in_file(&config.data, &error))
}

fn remove(files: impl IntoIterator<Item = PathBuf>) -> Result<(), Ended> {
    let remove = |path: PathBuf| match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(in_file(&path, &error)),
        _ => Ok(()),
    };
    files.into_iter().try_for_each(remove)
}

/// Copies it, looks through it, counts it and brings it to this program's schema.
async fn verified(from: &Path, to: &Path, manifest: &Manifest) -> Result<(), Ended> {
    let mut backup = File::open(from).map_err(|error| in_file(from, &error))?;
    io::copy(&mut backup, &mut new_file(to)?).map_err(|error| in_file(to, &error))?;
    Sqlite::check(to).await.map_err(failed)?;
    let store = Sqlite::open(to).await.map_err(failed)?;
    let rows = store.holdings().await;
    store.close().await;
    let rows = rows.map_err(failed)?.into_iter().map(|(section, rows)| (section.to_owned(), rows)).collect();
    same_rows(&rows, manifest)?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| in_file(to, &error))?;
    if let Some(left) = Sqlite::beside(to).into_iter().find(|path| path.exists()) {
        let what = "was still there, so the store was not closed in order, and nothing is brought back: try again";
        return Err(Ended::Failed(format!("{} {what}", left.display())));
    }
    Ok(())
}

/// A store's file, and what may lie beside it.
fn with_beside(file: &Path) -> impl Iterator<Item = PathBuf> {
    [file.to_owned()].into_iter().chain(Sqlite::beside(file))
}

/// A section that the backup's program did not know was empty then.
fn same_rows(found: &BTreeMap<String, u64>, manifest: &Manifest) -> Result<(), Ended> {
    let differs = found.iter().find(|(section, rows)| manifest.rows.get(*section).copied().unwrap_or(0) != **rows);
    match differs {
        Some((section, rows)) => {
            let wanted = manifest.rows.get(section).copied().unwrap_or(0);
            Err(Ended::Failed(format!("found {rows} rows of {section}, want {wanted}: don't use this store")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where SQLite keeps the version of the schema.
    const USER_VERSION: std::ops::Range<usize> = 60..64;

    #[tokio::test]
    async fn a_refused_store_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join(COPY);
        Sqlite::open(&from).await.unwrap().close().await;
        let mut bytes = fs::read(&from).unwrap();
        bytes[USER_VERSION].copy_from_slice(&77_u32.to_be_bytes());
        fs::write(&from, bytes).unwrap();
        let data = folder.path().join("data");
        let config = Config { data: data.clone(), ..Config::parse("", "hub.toml").unwrap() };
        let manifest = Manifest {
            vagt_backup: FORMAT,
            made_at: Timestamp::UNIX_EPOCH,
            version: String::new(),
            schema: None,
            file: COPY.to_owned(),
            bytes: 0,
            sha256: String::new(),
            rows: BTreeMap::new(),
        };
        match copy_back(&from, &data.join(COPY), &config, &manifest).await {
            Err(Ended::Failed(why)) => assert!(why.contains("schema version 77 is newer"), "{why}"),
            other => panic!("{other:?}"),
        }
        let names = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let left: Vec<_> = names.filter(|name| name.contains("restoring")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
