//! Where a clinic's data lies: a small disk that can be filled (a tmpfs), or the machine's disk, slowed down on demand (the kernel's own
//! throttling of a control group). Both need root; what can't be had is not chosen, and the report says so.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use crate::clinic::Clinic;

/// How large the small disk is.
const SMALL_MIB: u64 = 96;
/// Where control groups for disks are, version 1.
const GROUPS: &str = "/sys/fs/cgroup/blkio";
/// Debian's `libfaketime`: a program that loads it reads its clock through a file.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The place of one round. Dropped, it leaves nothing behind.
pub struct Place {
    folder: PathBuf,
    small: Option<SmallDisk>,
    slow: Option<ThrottledDisk>,
    has_clocks: bool,
}

impl Place {
    /// Prepares the data folder of a clinic that does not run yet: a small disk, or the machine's.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn prepare(clinic: &mut Clinic, small: bool) -> Result<Self> {
        let folder = clinic.path("");
        let data = clinic.path("data");
        fs::create_dir_all(&data)?;
        let has_clocks = Path::new(FAKETIME).exists();
        let small = if small { SmallDisk::mount(&data).ok() } else { None };
        let slow = if small.is_none() { ThrottledDisk::of(&data).ok() } else { None };
        let place = Self { folder, small, slow, has_clocks };
        if has_clocks {
            for who in ["hub", "edge"] {
                fs::write(place.clock_of(who), "+0\n")?;
            }
            clinic.set_env(&place.clock_env("hub")?);
        }
        Ok(place)
    }

    /// The file that says how far off a program's clock is.
    #[must_use]
    pub fn clock_of(&self, who: &str) -> PathBuf {
        self.folder.join(format!("{who}.clock"))
    }

    /// What a program has in its environment whose clock can be set wrong; nothing where that can't be had.
    ///
    /// # Errors
    /// When the folder's name is no text.
    pub fn clock_env(&self, who: &str) -> Result<Vec<(&'static str, String)>> {
        if !self.has_clocks {
            return Ok(Vec::new());
        }
        let file = self.clock_of(who).to_str().context("UTF-8")?.to_owned();
        let fixed = [
            ("LD_PRELOAD", FAKETIME),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
        Ok(fixed.chain([("FAKETIME_TIMESTAMP_FILE", file)]).collect())
    }

    /// Can its disk be filled?
    #[must_use]
    pub fn can_fill(&self) -> bool {
        self.small.is_some()
    }

    /// Can its disk be slowed down?
    #[must_use]
    pub fn can_slow(&self) -> bool {
        self.slow.is_some()
    }

    /// Can clocks be set wrong?
    #[must_use]
    pub fn can_set_clocks(&self) -> bool {
        self.has_clocks
    }

    /// Fills the small disk to the last byte, for so long.
    ///
    /// # Errors
    /// When it can't be filled or emptied.
    pub async fn full_for(&self, moment: Duration) -> Result<()> {
        let disk = self.small.as_ref().context("a small disk")?;
        let filler = disk.at.join("filler");
        // `dd` ends when there is no space: that is what is wanted.
        let filled = Command::new("dd")
            .args(["if=/dev/zero", "bs=64K", "status=none", &format!("of={}", filler.display())])
            .stderr(std::process::Stdio::null())
            .status()?;
        ensure!(!filled.success(), "the small disk took everything");
        sleep(moment).await;
        Ok(fs::remove_file(filler)?)
    }

    /// Slows the disk down for these processes and what they start, for so long.
    ///
    /// # Errors
    /// When the control group refuses.
    pub async fn slow_for(&self, programs: &[u32], moment: Duration) -> Result<()> {
        let disk = self.slow.as_ref().context("a disk that can be slowed down")?;
        let group = disk.group.join("cgroup.procs");
        // One that has ended meanwhile (a server's helper) is in no group.
        let slowed = programs.iter().filter(|id| fs::write(&group, id.to_string()).is_ok()).count();
        ensure!(slowed > 0, "no process of {programs:?} can be slowed down");
        sleep(moment).await;
        // What was started meanwhile comes too.
        for id in fs::read_to_string(&group)?.split_whitespace() {
            _ = fs::write(Path::new(GROUPS).join("cgroup.procs"), id);
        }
        Ok(())
    }
}

/// A tmpfs.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self> {
        let size = format!("size={SMALL_MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "vagt-chaos"]).arg(at).output()?;
        ensure!(mounted.status.success(), "mount: {}", String::from_utf8_lossy(&mounted.stderr));
        Ok(Self { at: at.to_owned() })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program that is being killed may still hold a file.
        if let Err(error) = Command::new("umount").arg("-l").arg(&self.at).status() {
            eprintln!("umount {}: {error}", self.at.display());
        }
    }
}

/// A control group whose members write 64 KiB a second.
struct ThrottledDisk {
    group: PathBuf,
}

impl ThrottledDisk {
    fn of(folder: &Path) -> Result<Self> {
        let device = fs::metadata(folder)?.dev();
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff_ff00));
        let group = Path::new(GROUPS).join(format!("vagt-chaos-{}", std::process::id()));
        if !group.exists() {
            fs::create_dir(&group)?;
        }
        let disk = Self { group };
        fs::write(disk.group.join("blkio.throttle.write_bps_device"), format!("{major}:{minor} 65536"))?;
        Ok(disk)
    }
}

impl Drop for ThrottledDisk {
    fn drop(&mut self) {
        // A group with a member that has just been killed goes with the next round.
        _ = fs::remove_dir(&self.group);
    }
}
