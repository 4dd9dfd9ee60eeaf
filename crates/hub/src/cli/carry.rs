//! `vagt export` and `vagt import`: a whole clinic from any store into any other, verified by checksum.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, IsTerminal as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use store::{Lead, Place as StorePlace, Store};

use super::{Ended, block_on, place::Place, roster::failed};
use crate::{
    carry::{self, CarryError, Holds},
    config::Config,
    lock::{Lock, make_folder},
};

/// Writes a whole clinic as one document of JSON lines, as the store has it at one moment, beside a running service.
///
/// Everything that is stored is in it: people with their names, readings, answers, alerts, the journal, programmes, kits with the hashes of their
/// secrets, accounts with the hashes of their passwords, what is in quarantine. Not in it are signed-in browsers, files beside the store
/// (configuration, certificates), and on a PostgreSQL server how long it keeps. What each line is: docs/guides/backup.md.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// The file that is written, which must not be there yet; `-` is standard output.
    #[arg(value_name = "TO")]
    to: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Reads a clinic's document into an empty store: all of it, or nothing.
///
/// Everything comes in in one transaction, which is committed when the checksums at the document's end are right: an import that was interrupted
/// before has left nothing, and is begun again. Afterwards the store is written out once more, to nowhere, and must give the same checksum: if
/// that is interrupted, everything is in, and `vagt export -` must give the document again.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// The document; `-` is standard input.
    #[arg(value_name = "FROM")]
    from: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Runs `vagt export`.
///
/// # Errors
/// The store can't be read, or the file not be written.
pub fn export(args: &ExportArgs) -> Result<(), Ended> {
    block_on(async {
        let (store, _) = args.place.read().await?;
        let done = export_to(&*store, &args.to).await;
        store.close().await;
        let holds = done?;
        if is_stdout(&args.to) {
            eprintln!("{} rows, SHA-256 {}", holds.all(), holds.sha256);
            return Ok(());
        }
        let words = format!("{}: {} rows, SHA-256 {}", args.to.display(), holds.all(), holds.sha256);
        args.place.done(&json!({ "exported": args.to, "rows": holds.rows, "sha256": holds.sha256 }), &words)
    })
}

async fn export_to(store: &dyn Store, to: &Path) -> Result<Holds, Ended> {
    let bar = bar(Some(all(store).await?));
    let holds = if is_stdout(to) {
        carry::write(store, &mut io::stdout().lock(), |rows| bar.inc(rows)).await.map_err(said_of_stdout)?
    } else {
        into_new_file(store, to, &bar).await?
    };
    bar.finish_and_clear();
    Ok(holds)
}

/// Under another name until it is whole and on the disk; only this user reads it.
pub(super) async fn into_new_file(store: &dyn Store, to: &Path, bar: &ProgressBar) -> Result<Holds, Ended> {
    let partial = Partial::of(to)?;
    let mut out = BufWriter::new(new_file(partial.path())?);
    let holds = carry::write(store, &mut out, |rows| bar.inc(rows)).await;
    let holds = holds.map_err(|error| said_of(partial.path(), error))?;
    let file = out.into_inner().map_err(|error| in_file(partial.path(), error.error()))?;
    file.sync_all().map_err(|error| in_file(partial.path(), &error))?;
    partial.name(to)?;
    Ok(holds)
}

/// Runs `vagt import`.
///
/// # Errors
/// The store is not empty or can't be written, or the document is damaged.
pub fn import(args: &ImportArgs) -> Result<(), Ended> {
    block_on(async {
        let config = args.place.config()?;
        let holder = Alone::take(&config).await?;
        let done = import_from(&*holder.store, &args.from).await;
        holder.store.close().await;
        let holds = done?;
        let words =
            format!("{} rows came in, and the store gives the same SHA-256 again: {}", holds.all(), holds.sha256);
        args.place.done(&json!({ "imported": args.from, "rows": holds.rows, "sha256": holds.sha256 }), &words)
    })
}

/// Reads the document in, and compares what the store then gives.
pub(super) async fn import_from(store: &dyn Store, from: &Path) -> Result<Holds, Ended> {
    let bar = bar(None);
    let mut load = store.load().await.map_err(failed)?;
    let read = if from == Path::new("-") {
        carry::read(io::stdin().lock(), &mut *load, |rows| bar.inc(rows)).await
    } else {
        let file = File::open(from).map_err(|error| in_file(from, &error))?;
        carry::read(BufReader::new(file), &mut *load, |rows| bar.inc(rows)).await
    };
    let holds = read.map_err(|error| Ended::Failed(format!("{}: {error}; nothing came in", from.display())))?;
    load.finish().await.map_err(failed)?;
    bar.finish_and_clear();
    let again = carry::write(store, &mut io::sink(), |_| {}).await.map_err(said)?;
    if again != holds {
        let (found, wanted) = (again.sha256, &holds.sha256);
        return Err(Ended::Failed(format!(
            "the store gives SHA-256 {found}, want {wanted}: don't use it, and report this as a fault of vagt"
        )));
    }
    Ok(holds)
}

/// A store that no service uses as long as this is held.
pub(super) struct Alone {
    pub(super) store: Arc<dyn Store>,
    _lead: Lead,
    _lock: Lock,
}

impl Alone {
    /// Opens the store of a configuration, or makes it.
    pub(super) async fn take(config: &Config) -> Result<Self, Ended> {
        make_folder(&config.data)?;
        let lock = Lock::take(&config.data)?;
        let store = store::open(&config.store()).await.map_err(failed)?;
        let lead = store.take_lead(&format!("a command, process {}", std::process::id()), None).await;
        Ok(Self { _lead: lead.map_err(failed)?, store, _lock: lock })
    }
}

/// Does a service use the store of this configuration now?
pub(super) async fn is_served(config: &Config, store: &dyn Store) -> Result<bool, Ended> {
    match config.store() {
        StorePlace::File(_) => Ok(Lock::take(&config.data).is_err()),
        StorePlace::Postgres(_) => match store.take_lead("a command", None).await {
            Ok(_) => Ok(false),
            Err(store::StoreError::Led { .. }) => Ok(true),
            Err(error) => Err(failed(error)),
        },
    }
}

/// Rows in all.
pub(super) async fn all(store: &dyn Store) -> Result<u64, Ended> {
    Ok(store.holdings().await.map_err(failed)?.iter().map(|(_, rows)| rows).sum())
}

pub(super) fn bar(rows: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = rows.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = if rows.is_some() { "{bar:40} {pos}/{len} rows, {eta} to go" } else { "{spinner} {pos} rows" };
    bar.set_style(ProgressStyle::with_template(style).expect("the template is a constant"));
    bar
}

/// A file that only this user may read: people's names are in it.
pub(super) fn new_file(path: &Path) -> Result<File, Ended> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| in_file(path, &error))
}

/// What a file or folder is called until it is whole. One that never is gets removed: it is of no use, and on a full disk it takes the room
/// that the store needs.
pub(super) struct Partial(PathBuf);

impl Partial {
    /// For something new, in a folder that is there: a folder that is not is mostly a disk that is not mounted.
    ///
    /// # Errors
    /// There is something already, or there is no such folder.
    pub(super) fn of(to: &Path) -> Result<Self, Ended> {
        if to.try_exists().map_err(|error| in_file(to, &error))? {
            return Err(Ended::Failed(format!("{} is there already: name another", to.display())));
        }
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Ended::Failed(format!(
                "{}: there is no folder {}: make it, or mount what belongs there",
                to.display(),
                folder.display()
            )));
        }
        Ok(Self::beside(to, ".partial"))
    }

    /// The same path with something after it.
    pub(super) fn beside(to: &Path, more: &str) -> Self {
        // Without a slash at its end.
        let mut name = to.components().collect::<PathBuf>().into_os_string();
        name.push(more);
        Self(name.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it its name.
    pub(super) fn name(self, to: &Path) -> Result<(), Ended> {
        std::fs::rename(&self.0, to).map_err(|error| in_file(to, &error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Once it has its name, there is nothing here.
        let removed = if self.0.is_dir() { std::fs::remove_dir_all(&self.0) } else { std::fs::remove_file(&self.0) };
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("{}: is of no use and can't be removed: {error}", self.0.display());
        }
    }
}

/// Is this not a file, but standard output?
pub(super) fn is_stdout(to: &Path) -> bool {
    to == Path::new("-")
}

pub(super) fn in_file(path: &Path, error: &io::Error) -> Ended {
    Ended::Failed(format!("{}: {error}", path.display()))
}

pub(super) fn said(error: CarryError) -> Ended {
    match error {
        CarryError::Io(error) => error.into(),
        error => Ended::Failed(error.to_string()),
    }
}

/// The same of what was written to standard output, which is of no use unless it is whole.
pub(super) fn said_of_stdout(error: CarryError) -> Ended {
    match error {
        CarryError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Ended::Failed(
            "standard output was closed before everything was written: what was written is not whole".to_owned(),
        ),
        error => said(error),
    }
}

/// The same of what was written into a file.
pub(super) fn said_of(path: &Path, error: CarryError) -> Ended {
    match error {
        CarryError::Io(error) => in_file(path, &error),
        error => said(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_to_a_pipe_that_was_closed_has_failed() {
        let closed = CarryError::Io(io::ErrorKind::BrokenPipe.into());
        assert!(matches!(said_of_stdout(closed), Ended::Failed(said) if said.contains("is not whole")));
    }

    #[test]
    fn what_was_never_whole_is_removed_and_a_folder_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| Partial::of(&folder.path().join(name));
        let (file, inside) = (of("file").unwrap(), of("inside/").unwrap());
        std::fs::write(file.path(), "half").unwrap();
        std::fs::create_dir(inside.path()).unwrap();
        std::fs::write(inside.path().join("half"), "half").unwrap();
        drop((file, inside));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let whole = of("file").unwrap();
        std::fs::write(whole.path(), "whole").unwrap();
        whole.name(&folder.path().join("file")).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "whole");
        let refused = |name: &str| of(name).err().map(|ended| format!("{ended:?}")).unwrap_or_default();
        assert!(refused("file").contains("file is there already: name another"));
        assert!(
            refused("mnt/backup").contains("mnt: make it, or mount what belongs there"),
            "{}",
            refused("mnt/backup")
        );
        assert!(!folder.path().join("mnt").exists());
    }
}
