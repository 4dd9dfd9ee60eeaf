//! The other programs of this project, which are installed beside this one.

use std::path::PathBuf;

use super::Ended;

/// The program of this name beside ours.
///
/// # Errors
/// [`Ended::Failed`], saying what to do.
pub fn find(name: &str) -> Result<PathBuf, Ended> {
    let ours = std::env::current_exe()?;
    let path = ours.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    let folder = ours.parent().unwrap_or(&ours).display();
    Err(Ended::Failed(format!("{name} is not in {folder}, beside vagt: install it there, or `cargo build --bins`")))
}

/// A program of the system, by the search path.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
