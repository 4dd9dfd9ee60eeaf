//! Real database servers for tests: each starts its own, on a free port, with its data in a temporary folder, and stops it.

#![allow(dead_code, clippy::unwrap_used, reason = "a test's helpers may panic, and no test uses all of them")]
#![allow(clippy::disallowed_methods, reason = "a server that starts or stops is waited for in a destructor too")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use tempfile::TempDir;

/// Where Debian has PostgreSQL 15.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Debian's `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// The cluster's user, who needs no password: working one out takes a test long. [`Cluster::locked`] makes one who does.
pub const USER: &str = "vagt";
/// How often, with 50 ms between, a server is asked whether it is there.
const TRIES: u32 = 1_200;

/// A private PostgreSQL 15.
pub struct Cluster {
    folder: TempDir,
    port: u16,
    fsync: &'static str,
    server: Option<Child>,
}

impl Cluster {
    /// Makes and starts one.
    pub fn start() -> Self {
        Self::start_with("on")
    }

    /// The same for tests that kill nothing: it does not wait for the disk.
    pub fn quick() -> Self {
        Self::start_with("off")
    }

    fn start_with(fsync: &'static str) -> Self {
        let initdb = Path::new(PROGRAMS).join("initdb");
        assert!(initdb.is_file(), "{} is missing: apt-get install postgresql", initdb.display());
        let folder = tempfile::Builder::new().prefix("vagt-postgres").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = folder.path().join("data");
        let made = as_nobody(&initdb)
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-U", USER])
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut cluster = Self { folder, port: free_port(), fsync, server: None };
        cluster.go_on();
        cluster
    }

    /// Starts it (again), on the same port.
    pub fn go_on(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        for _ in 0..20 {
            let mut server = as_nobody(&Path::new(PROGRAMS).join("postgres"))
                .arg("-D")
                .arg(self.folder.path().join("data"))
                .args([
                    "-p",
                    &self.port.to_string(),
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    &format!("unix_socket_directories={}", self.folder.path().display()),
                ])
                .args([
                    "-c",
                    &format!("fsync={}", self.fsync),
                    "-c",
                    "shared_buffers=128MB",
                    "-c",
                    "max_connections=50",
                    "-c",
                    "max_wal_size=2GB",
                    // Who is killed loses all that nobody waited for.
                    "-c",
                    "wal_writer_delay=10s",
                ])
                .stdout(Stdio::null())
                .stderr(log.try_clone().unwrap())
                .spawn()
                .unwrap();
            if self.is_ready(&mut server) {
                self.server = Some(server);
                return;
            }
            // The children of one that was killed are still there.
            sleep(Duration::from_millis(200));
        }
        panic!("PostgreSQL does not start: {}", self.log());
    }

    fn is_ready(&self, server: &mut Child) -> bool {
        for _ in 0..TRIES {
            let asked = Command::new(Path::new(PROGRAMS).join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, "-d", "postgres"])
                .status();
            if asked.unwrap().success() {
                return true;
            }
            if server.try_wait().unwrap().is_some() {
                return false;
            }
            sleep(Duration::from_millis(50));
        }
        false
    }

    /// Makes a database and gives its URL.
    pub fn database(&self, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\""));
        self.url(name)
    }

    /// The URL of a database.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }

    /// Makes a user who signs in with a password, owns this database, and is not asked for more than that.
    pub fn locked(&self, user: &str, password: &str, database: &str) -> String {
        let hba = self.folder.path().join("data/pg_hba.conf");
        let lines = fs::read_to_string(&hba).unwrap();
        fs::write(&hba, format!("host all {user} 127.0.0.1/32 scram-sha-256\n{lines}")).unwrap();
        self.psql("postgres", "SELECT pg_reload_conf()");
        self.psql("postgres", &format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"));
        self.psql("postgres", &format!("CREATE DATABASE {database} OWNER {user}"));
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// The same over a Unix socket.
    pub fn socket_url(&self, name: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}:{}/{name}", self.port)
    }

    /// What a statement answers, as text.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let asked = Command::new(Path::new(PROGRAMS).join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", USER, "-d", database, "-c", sql])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{sql}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().trim().to_owned()
    }

    /// Runs a file of statements.
    pub fn run(&self, database: &str, file: &Path) {
        let asked = Command::new(Path::new(PROGRAMS).join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", USER, "-d", database, "-f"])
            .arg(file)
            .output()
            .unwrap();
        assert!(asked.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&asked.stderr));
    }

    /// Everything in a database, as text.
    pub fn dump(&self, database: &str) -> String {
        let asked = Command::new(Path::new(PROGRAMS).join("pg_dump"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, database])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap()
    }

    /// `kill -9` of the whole server, every process of it.
    pub fn kill_9(&mut self) {
        let mut server = self.server.take().unwrap();
        let pids = children(server.id());
        signal("-KILL", server.id());
        pids.into_iter().for_each(|pid| signal("-KILL", pid));
        server.wait().unwrap();
    }

    /// All its processes.
    pub fn processes(&self) -> Vec<u32> {
        let server = self.server.as_ref().unwrap().id();
        children(server).into_iter().chain([server]).collect()
    }

    /// `kill -9` of one connection's process: the server then ends all others too, and recovers.
    pub fn kill_9_a_backend(&self) {
        let server = self.server.as_ref().unwrap();
        let is_backend =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("127.0.0.1"));
        if let Some(pid) = children(server.id()).into_iter().find(is_backend) {
            signal("-KILL", pid);
        }
    }

    /// Processor time of all its processes so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.processes().into_iter().map(cpu_of).sum()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        signal("-INT", server.id());
        for _ in 0..200 {
            if server.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        let pids = children(server.id());
        signal("-KILL", server.id());
        pids.into_iter().for_each(|pid| signal("-KILL", pid));
        let _ = server.wait();
    }
}

/// The real TimescaleDB, compiled to WebAssembly: one connection at a time, no `COPY`.
pub struct Timescale {
    server: Child,
    port: u16,
}

impl Timescale {
    /// Starts one, empty.
    pub fn start() -> Self {
        // Tests of the whole system use it too.
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let places = above.map(|folder| folder.join("crates/store/tests/timescale"));
        let folder = places.into_iter().find(|place| place.is_dir()).expect("the store's tests lie beside these");
        let modules = folder.join("node_modules");
        assert!(modules.is_dir(), "{} is missing: run `npm ci` beside it (make test does)", modules.display());
        let port = free_port();
        // It ends when its standard input does: with this process, however that ends.
        let mut server = Command::new("node")
            .current_dir(folder)
            .args(["serve.mjs", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is missing: install Node 20 or newer");
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said.trim(), "ready", "TimescaleDB does not start");
        Self { server, port }
    }

    /// What a statement answers, as text.
    pub fn psql(&self, sql: &str) -> String {
        self.ask(&["-c", sql])
    }

    /// Runs a file of statements.
    pub fn run(&self, file: &Path) {
        self.ask(&["-f", file.to_str().unwrap()]);
    }

    fn ask(&self, what: &[&str]) -> String {
        let psql = Path::new(PROGRAMS).join("psql");
        assert!(psql.is_file(), "{} is missing: apt-get install postgresql", psql.display());
        let asked = Command::new(psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", &self.url()])
            .args(what)
            .env("PGGSSENCMODE", "disable")
            .output()
            .unwrap();
        assert!(asked.status.success(), "{what:?}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().trim().to_owned()
    }

    /// Its one database.
    pub fn url(&self) -> String {
        format!("postgres://postgres:postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

impl Drop for Timescale {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn signal(which: &str, pid: u32) {
    let _ = Command::new("kill").args([which, &pid.to_string()]).stderr(Stdio::null()).status();
}

fn children(of: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Fields 14 and 15 of a process' stat, in hundredths of a second; with those of its ended children, 16 and 17.
fn cpu_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Stands between a client and a server, and cuts their connection around a `COMMIT`; or leaves all of them half open.
pub struct Proxy {
    pub port: u16,
    way: std::sync::Arc<Way>,
}

/// What happens to what goes through.
#[derive(Default)]
struct Way {
    cut: std::sync::atomic::AtomicU8,
    /// A question with these bytes in it still reaches the server, and from then on nobody hears anything of it.
    last_question: std::sync::Mutex<Option<&'static str>>,
    silent: std::sync::atomic::AtomicBool,
}

impl Way {
    /// Is nothing told any more, now that this was asked?
    fn is_silent_after(&self, asked: &[u8]) -> bool {
        let mut last = self.last_question.lock().unwrap();
        let has = |wanted: &str| asked.windows(wanted.len()).any(|bytes| bytes == wanted.as_bytes());
        if last.is_some_and(has) {
            *last = None;
            self.silent.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        self.silent.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// A plain question, `COMMIT`, as the protocol has it.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

impl Proxy {
    /// Starts one before the server of this port.
    pub async fn start(server: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = std::sync::Arc::<Way>::default();
        let shared = way.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = tokio::net::TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(between(client, server, shared.clone()));
            }
        });
        Self { port, way }
    }

    /// The next question with this in it still reaches the server. Its answer does not come, and no other: the server has lost its power, and what
    /// is between says nothing of it.
    pub fn fall_silent_after(&self, question: &'static str) {
        *self.way.last_question.lock().unwrap() = Some(question);
    }

    /// The server is back. Connections of before stay as they are.
    pub fn answer_again(&self) {
        self.way.silent.store(false, std::sync::atomic::Ordering::SeqCst);
    }

    /// The next commit happens, and its answer is lost.
    pub fn cut_after_commit(&self) {
        self.way.cut.store(1, std::sync::atomic::Ordering::SeqCst);
    }

    /// The next commit does not reach the server.
    pub fn cut_before_commit(&self) {
        self.way.cut.store(2, std::sync::atomic::Ordering::SeqCst);
    }
}

async fn between(mut client: tokio::net::TcpStream, mut server: tokio::net::TcpStream, way: std::sync::Arc<Way>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_silent = way.silent.load(std::sync::atomic::Ordering::SeqCst);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(len @ 1..) = read else { return };
                is_silent |= way.is_silent_after(&asked[..len]);
                let what = if asked[..len].ends_with(COMMIT) { way.cut.swap(0, std::sync::atomic::Ordering::SeqCst) } else { 0 };
                if what == 2 || server.write_all(&asked[..len]).await.is_err() {
                    return;
                }
                if what == 1 {
                    // The server's answer comes, and goes no further.
                    let _ = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(len @ 1..) = read else { return };
                is_silent |= way.silent.load(std::sync::atomic::Ordering::SeqCst);
                if !is_silent && client.write_all(&answered[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}
