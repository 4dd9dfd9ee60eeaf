//! Serial devices on pseudo-terminals: a port is a symbolic link in a folder, and the device knows whether a host has it open.

pub mod nonin;
pub mod phd;
pub mod spirometer;

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};

/// A port that can be plugged in and out.
#[derive(Debug)]
pub struct Port {
    link: PathBuf,
    master: Option<OwnedFd>,
}

impl Port {
    /// A port at `dir/name`, plugged in.
    ///
    /// # Errors
    /// When no pseudo-terminal can be had, or the link not be made.
    pub fn plugged(dir: &Path, name: &str) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut port = Self { link: dir.join(name), master: None };
        port.plug()?;
        Ok(port)
    }

    /// Where the host finds it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.link
    }

    /// Plugs it in: a new terminal under the same name, as a USB adapter gets.
    ///
    /// # Errors
    /// When no pseudo-terminal can be had, or the link not be made.
    pub fn plug(&mut self) -> io::Result<()> {
        if self.master.is_some() {
            return Ok(());
        }
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&master, true)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        make_raw(&name)?;
        let fresh = self.link.with_extension("plugging");
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(Path::new(name.to_str().map_err(io::Error::other)?), &fresh)?;
        std::fs::rename(&fresh, &self.link)?;
        self.master = Some(master);
        Ok(())
    }

    /// Pulls it out: the host's reads fail, and the name is gone.
    pub fn unplug(&mut self) {
        if self.master.take().is_some() {
            let _ = std::fs::remove_file(&self.link);
        }
    }

    /// Whether a host has it open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let Some(master) = &self.master else { return false };
        let mut fds = [PollFd::new(master, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&at_once)).is_ok() && !fds[0].revents().contains(PollFlags::HUP)
    }

    /// What the host has written, up to the buffer's size; nothing if it has not.
    pub fn read(&self, buffer: &mut [u8]) -> usize {
        self.master.as_ref().and_then(|master| rustix::io::read(master, buffer).ok()).unwrap_or(0)
    }

    /// Writes what the host's side has room for; the rest is lost, as on a serial line.
    pub fn write(&self, bytes: &[u8]) -> usize {
        self.master.as_ref().and_then(|master| rustix::io::write(master, bytes).ok()).unwrap_or(0)
    }

    /// Drops what a host left behind, so that the next one does not read it.
    pub fn flush(&self) {
        if let Some(master) = &self.master {
            let _ = tcflush(master, QueueSelector::IOFlush);
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// No echo and no line editing from the first byte on. Opening and closing the host's side once also makes the kernel tell us, from then
/// on, whether somebody has it open.
fn make_raw(name: &std::ffi::CStr) -> io::Result<()> {
    let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut settings = tcgetattr(&slave)?;
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::OpenOptions,
        io::{Read as _, Write as _},
    };

    use super::*;

    #[test]
    fn a_port_knows_its_host_and_comes_back_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut port = Port::plugged(dir.path(), "nonin").unwrap();
        assert!(!port.is_open());
        let mut host = OpenOptions::new().read(true).write(true).open(port.path()).unwrap();
        assert!(port.is_open());
        assert_eq!(port.write(b"\x01\x81\r\n"), 4);
        let mut bytes = [0; 4];
        host.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"\x01\x81\r\n", "raw");
        host.write_all(&[0x80, 0x00]).unwrap();
        let mut bytes = [0; 16];
        assert_eq!(port.read(&mut bytes), 2, "what the host wrote and no echo of ours");
        drop(host);
        assert!(!port.is_open());
        port.unplug();
        assert!(!port.path().exists());
        port.plug().unwrap();
        let mut host = OpenOptions::new().read(true).write(true).open(port.path()).unwrap();
        assert!(port.is_open());
        port.unplug();
        assert!(!matches!(host.read(&mut bytes), Ok(1..)), "the host sees the end");
    }
}
