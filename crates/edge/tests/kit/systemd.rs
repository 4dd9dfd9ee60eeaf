//! What systemd hears of the agent: ready once it runs, alive while its spool is tended, stopping when it is told to.

use std::{
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::SOON;

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// Everything that is told until `last` is.
fn told_until(socket: &UnixDatagram, last: &str) -> String {
    let (mut told, mut buffer) = (String::new(), [0; 4096]);
    while !told.lines().any(|line| line == last) {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {last} in time ({error}): {told}"));
        told.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        told.push('\n');
    }
    told
}

#[test]
fn systemd_is_told_ready_alive_and_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let file = dir.path().join("edge.toml");
    let config = "kit = \"kit-1\"\nzone = \"UTC\"\ndata_dir = \"data\"\n[broker]\nhost = \"127.0.0.1\"\nport = 9\nsecret = \"s\"\n";
    std::fs::write(&file, config).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_vagt-edge"))
        .args(["run", "--config"])
        .arg(&file)
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stderr(Stdio::null())
        .spawn();
    let agent = Agent(child.unwrap());
    told_until(&socket, "READY=1");
    let told = told_until(&socket, "WATCHDOG=1");
    assert!(told.contains("0 messages wait for the clinic"), "{told}");
    kill_process(Pid::from_child(&agent.0), Signal::TERM).unwrap();
    told_until(&socket, "STOPPING=1");
}
