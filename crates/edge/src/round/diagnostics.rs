//! What the kit tells of itself when the clinic asks: a bounded JSON text without a person and without a value.

use std::{path::Path, time::Duration};

use serde::Serialize;
use wire::{DeviceStatus, Status};

/// The text's size, in bytes. Devices and problems are left out from the end until it fits, and that is said.
pub const DIAGNOSTICS_BYTES_MAX: usize = 16 * 1024;

#[derive(Serialize)]
struct Diagnostics<'a> {
    version: &'a str,
    uptime_seconds: u64,
    /// By the kit's clock.
    clock: Option<jiff::Timestamp>,
    spooled: u64,
    dropped: u64,
    disk_free_bytes: Option<u64>,
    problems: &'a [String],
    devices: &'a [DeviceStatus],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shortened: bool,
}

/// Everything, as JSON.
#[must_use]
pub fn text(status: &Status, uptime: Duration, data_dir: &Path) -> String {
    let disk_free_bytes = rustix::fs::statvfs(data_dir).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let (mut devices, mut problems) = (status.devices.as_slice(), status.problems.as_slice());
    loop {
        let shortened = devices.len() + problems.len() < status.devices.len() + status.problems.len();
        let diagnostics = Diagnostics {
            version: &status.version,
            uptime_seconds: uptime.as_secs(),
            clock: status.at,
            spooled: status.spooled,
            dropped: status.dropped,
            disk_free_bytes,
            problems,
            devices,
            shortened,
        };
        let text = serde_json::to_string(&diagnostics).expect("text keys and parts that can't fail");
        if text.len() <= DIAGNOSTICS_BYTES_MAX || (devices.is_empty() && problems.is_empty()) {
            return text;
        }
        if devices.len() >= problems.len() {
            devices = &devices[..devices.len() - 1];
        } else {
            problems = &problems[..problems.len() - 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_says_when_something_was_left_out() {
        let mut status = Status { problems: vec!["spool: the disk is full".to_owned()], ..Status::default() };
        let small = text(&status, Duration::from_secs(60), Path::new("/"));
        let read: serde_json::Value = serde_json::from_str(&small).unwrap();
        assert_eq!((read["uptime_seconds"].as_u64(), read.get("shortened")), (Some(60), None));
        assert!(read["disk_free_bytes"].as_u64().unwrap() > 0);
        status.problems = vec!["x".repeat(3000); 20];
        let large = text(&status, Duration::ZERO, Path::new("/"));
        assert!(large.len() <= DIAGNOSTICS_BYTES_MAX);
        let read: serde_json::Value = serde_json::from_str(&large).unwrap();
        assert_eq!((read["shortened"].as_bool(), read["problems"].as_array().unwrap().len()), (Some(true), 5));
    }
}
