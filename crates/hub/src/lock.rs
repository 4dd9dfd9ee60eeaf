//! One service at a time on a data folder: two would each keep charts of their own, and neither would know what the other tells.
//!
//! The lock is the kernel's, on an open file: it ends with the process, however that ends. The file stays, and means nothing by itself.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use anyhow::{Context as _, bail};

/// The file in the data folder.
const LOCK_FILE: &str = "vagt.lock";

/// Holds a data folder until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder.
    ///
    /// # Errors
    /// Another service has it, or the file can't be opened.
    pub fn take(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(LOCK_FILE);
        let shown = path.display();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| {
            format!("{shown} can't be written: choose another `data`, or let this user write there")
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "{shown}: another vagt serve is running on this folder: stop it first, or give this one its own `data`"
                )
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| shown.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_held_once_and_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        let wanted =
            "vagt.lock: another vagt serve is running on this folder: stop it first, or give this one its own `data`";
        assert!(refused.ends_with(wanted), "{refused}");
        drop(first);
        assert!(Lock::take(folder.path()).is_ok());

        let nowhere = format!("{:#}", Lock::take(&folder.path().join("nowhere")).unwrap_err());
        assert!(nowhere.contains("nowhere/vagt.lock can't be written: choose another `data`"), "{nowhere}");
    }
}
