//! A private D-Bus: Debian's `dbus-daemon` as a child process, which ends with us.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

const START_MAX: Duration = Duration::from_secs(10);

/// `--address` takes the place of the `listen` that the format demands. Everybody may own, send, receive and listen: the socket's folder is what keeps others out.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <keep_umask/>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The program is missing.
    #[error("dbus-daemon not found: install Debian's dbus: apt-get install dbus")]
    NotInstalled,
    /// The folder can't be used.
    #[error("could not write the bus's configuration to {path}")]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It did not start.
    #[error("could not start dbus-daemon")]
    Start(#[source] io::Error),
    /// It started and went away, or never opened its socket.
    #[error("dbus-daemon did not open {path} within {} seconds; what it said is in {path}.log", START_MAX.as_secs())]
    NoSocket {
        /// The socket.
        path: PathBuf,
    },
}

/// A running bus; it is killed when this is dropped.
#[derive(Debug)]
pub struct PrivateBus {
    address: String,
    child: Child,
}

impl PrivateBus {
    /// Starts a bus on `dir/bus`.
    ///
    /// # Errors
    /// [`BusError`] when `dbus-daemon` is missing, or does not come up.
    pub async fn start(dir: &Path) -> Result<Self, BusError> {
        let socket = dir.join("bus");
        let config = dir.join("bus.conf");
        let unusable = |source| BusError::Config { path: config.clone(), source };
        tokio::fs::create_dir_all(dir).await.map_err(unusable)?;
        tokio::fs::write(&config, CONFIG).await.map_err(unusable)?;
        // a socket left by a killed bus would look like a running one
        let _ = tokio::fs::remove_file(&socket).await;
        let address = format!("unix:path={}", escaped(&socket));
        let log = std::fs::File::create(dir.join("bus.log")).map_err(unusable)?;
        let child = spawn(&config, &address, log)?;
        let mut bus = Self { address, child };
        bus.wait_for(&socket).await?;
        Ok(bus)
    }

    /// Where clients find it: `unix:path=...`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the bus ends by itself, which it should not.
    ///
    /// # Errors
    /// When the child can't be waited for.
    pub async fn ended(&mut self) -> io::Result<()> {
        self.child.wait().await.map(drop)
    }

    async fn wait_for(&mut self, socket: &Path) -> Result<(), BusError> {
        let opened = async {
            while tokio::net::UnixStream::connect(socket).await.is_err() {
                if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            true
        };
        match tokio::time::timeout(START_MAX, opened).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(BusError::NoSocket { path: socket.to_owned() }),
        }
    }
}

/// A path as a D-Bus address writes it: all but some plain characters as %xx.
fn escaped(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02x}").expect("a string takes all");
        }
        text
    })
}

/// Through util-linux's `setpriv`, where it is, so that the bus ends even when we are killed.
fn spawn(config: &Path, address: &str, log: std::fs::File) -> Result<Child, BusError> {
    let arguments = [format!("--config-file={}", config.display()), format!("--address={address}")];
    let fixed = ["--nofork", "--nopidfile", "--nosyslog"];
    if on_path("dbus-daemon").is_none() {
        return Err(BusError::NotInstalled);
    }
    let mut command = match on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "dbus-daemon"]);
            command
        }
        None => Command::new("dbus-daemon"),
    };
    command.args(fixed).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().map_err(BusError::Start)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
