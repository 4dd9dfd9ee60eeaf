//! One service at a time on a data folder: two would each keep charts of their own, and neither would know what the other tells.
//!
//! The lock is the kernel's, on an open file: it ends with the process, however that ends. The file stays, and means nothing by itself.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::DirBuilderExt as _,
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

/// Makes a data folder, which its owner alone may enter, if it is not there.
///
/// # Errors
/// It can't be made.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("data folder {}", folder.display()))
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
    fn a_data_folder_is_its_owners() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("of/vagt");
        make_folder(&data).unwrap();
        make_folder(&data).unwrap();
        assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

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
