//! What the kit remembers besides its messages, by name: in memory as it should be on the disk, and what the disk has behind or ahead of that.

use super::{
    Inner,
    disk::{Disk, DiskError, Kept},
};

/// The most names under which the kit remembers something besides its messages.
pub const KEPT_NAMES_MAX: usize = 1024;

impl Inner {
    /// What the disk knows and memory does not is taken from it; the disk gets the rest.
    pub(super) async fn remember_kept(&mut self, mut disk: Disk) -> Result<(), DiskError> {
        let on_disk = disk.kept().await?;
        self.came_late(&on_disk);
        self.kept_behind =
            self.kept.keys().filter(|name| on_disk.get(*name) != self.kept.get(*name)).cloned().collect();
        if self.kept.is_empty() {
            self.kept = on_disk;
        }
        self.disk = Some(disk);
        Ok(())
    }

    /// The kit has begun with nothing, because the file could not be opened (a full disk is enough), and must not write over this.
    pub(super) fn came_late(&mut self, kept: &Kept) {
        if !self.opened && self.troubled && !kept.is_empty() {
            self.late.get_or_insert_with(|| kept.clone());
        }
    }

    pub(super) fn keep(&mut self, changed: Vec<(String, String)>) {
        for (name, value) in changed {
            if self.kept.get(&name).map_or("", String::as_str) == value {
                continue;
            }
            if self.kept.len() >= KEPT_NAMES_MAX && !self.kept.contains_key(&name) {
                tracing::warn!("spool: more is to be remembered than {KEPT_NAMES_MAX} names");
                continue;
            }
            self.kept_behind.insert(name.clone());
            self.kept.insert(name, value);
        }
    }
}
