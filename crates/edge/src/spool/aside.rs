//! A damaged file is set aside, not deleted: somebody may be able to read it. A few of them are kept.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::Inner;
use crate::board::Board;

/// Damaged files that are set aside and kept.
pub const ASIDE_FILES_MAX: usize = 3;
/// How their names begin; then the time in milliseconds, and a number.
const ASIDE_START: &str = "spool.db.damaged-";

impl Inner {
    /// Moves a damaged file out of the way, with its log, and returns where it is. It is not deleted: somebody may be able to read it. Its
    /// name tells when, and the how-manieth of this kit it is.
    pub(super) fn set_aside(&mut self, now: Timestamp, why: &str, board: &Board) -> PathBuf {
        let files = self.aside_files();
        let count = files.iter().filter_map(|file| file.to_str()?.rsplit_once('-')?.1.parse::<u64>().ok()).max();
        let count = count.unwrap_or(0) + 1;
        let aside = self.path.with_file_name(format!("{ASIDE_START}{}-{count}", now.as_millisecond()));
        let sentence = format!(
            "{} was damaged ({why}) and set aside as {}; what could not be read of it is not sent; it is the {count}. of this kit",
            self.path.display(),
            aside.display()
        );
        board.problem("spool file", Some(sentence));
        remove(&with_suffix(&self.path, "-shm"));
        for suffix in ["-wal", ""] {
            let (from, to) = (with_suffix(&self.path, suffix), with_suffix(&aside, suffix));
            if let Err(error) = fs::rename(&from, &to)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                let sentence = format!("{} is damaged and can't be set aside: {error}", from.display());
                board.problem("spool file", Some(sentence));
            }
        }
        for old in files.iter().rev().skip(ASIDE_FILES_MAX - 1) {
            ["", "-wal", "-shm"].iter().for_each(|suffix| remove(&with_suffix(old, suffix)));
        }
        aside
    }

    /// Oldest first.
    pub(super) fn aside_files(&self) -> Vec<PathBuf> {
        let dir = self.path.parent().and_then(|dir| fs::read_dir(dir).ok());
        let mut files: Vec<PathBuf> = dir.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with(ASIDE_START) && !name.ends_with("-wal") && !name.ends_with("-shm")
        });
        files.sort();
        files
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "spool: can't remove a file");
    }
}
