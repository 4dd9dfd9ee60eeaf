# What the measuring scripts start, and what they ask of it: brokers, databases, Vagt, the load. Everything listens on loopback, lives in one
# temporary folder and is stopped at the end.

import contextlib
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

READINGS = 4
TICKS = os.sysconf("SC_CLK_TCK")
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
READY_SECONDS = 120
DRAIN_SECONDS = 240
# A service that was killed reads the history of everybody who is heard of before the first new message of theirs is stored.
LOST_SECONDS = 150
SEQS_OF_A_LOAD = 10_000_000


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, check, seconds=READY_SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if check():
                return
        time.sleep(0.05)
    sys.exit(f"compare: {what} was not ready within {seconds} s")


def answers(port):
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def got(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def all_below(roots):
    """These processes and all below them, with the fields of their stat that follow the name."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found[int(stat.parent.name)] = stat.read_text().rsplit(")", 1)[1].split()

    def below(process):
        while process in found and process not in roots:
            process = int(found[process][1])
        return process in roots

    return {process: fields for process, fields in found.items() if below(process)}


def cpu_seconds(roots):
    """What these processes and all below them have used, children that have ended included."""
    return sum(sum(map(int, fields[11:15])) for fields in all_below(roots).values()) / TICKS


def memory_mib(roots):
    """What these processes and all below them have in memory; what several share is divided among them."""
    kib = 0
    for process in all_below(roots):
        with contextlib.suppress(OSError):
            lines = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


class Processes:
    """What was started, so that all of it is stopped."""

    def __init__(self):
        self.running = []

    def start(self, command, ready=None, stdin=subprocess.DEVNULL, **options):
        process = subprocess.Popen([str(part) for part in command], stdin=stdin, **options)
        self.running.append(process)
        if ready:
            wait_for(command[0], lambda: process.poll() is not None or ready())
            if process.poll() is not None:
                sys.exit(f"compare: {command[0]} ended at once with {process.returncode}")
        return process

    def stop(self, process, how=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        if process in self.running:
            self.running.remove(process)

    def stop_all(self):
        for process in reversed(self.running.copy()):
            self.stop(process)


class Stand:
    @classmethod
    @contextlib.contextmanager
    def within(cls, args, folder):
        """One in a folder of its own below this one; what it started is stopped, and its files are removed."""
        own = pathlib.Path(tempfile.mkdtemp(dir=folder))
        os.chmod(own, 0o755)
        stand = cls(args, own)
        try:
            yield stand
        finally:
            stand.processes.stop_all()
            shutil.rmtree(own, ignore_errors=True)

    def __init__(self, args, folder):
        self.args, self.folder, self.processes = args, folder, Processes()
        self.after = 0
        self.kits = [(f"bench-{number}", secrets.token_hex(32)) for number in range(1, args.kits + 1)]
        (folder / "kits").write_text("".join(f"{kit} {secret}\n" for kit, secret in self.kits))

    def mosquitto(self):
        port, folder = free_port(), self.folder / f"mosquitto-{secrets.token_hex(4)}"
        folder.mkdir()
        (folder / "conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 0\nmax_queued_messages 0\n"
            f"max_queued_bytes 0\nmax_packet_size 300000\npersistence false\nuser root\nlog_dest none\n")
        broker = self.processes.start(["mosquitto", "-c", folder / "conf"], lambda: answers(port), stderr=subprocess.DEVNULL)
        return port, broker

    def postgres(self, folder=None, environment=None):
        """A private cluster of the settings a clinic would have: everything durable. The one in `folder`, or a new one."""
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        port, is_new = free_port(), folder is None or not folder.exists()
        folder = folder or self.folder / f"postgres-{secrets.token_hex(4)}"
        if is_new:
            folder.mkdir()
            shutil.chown(folder, "postgres")
            subprocess.run([*as_postgres, POSTGRES / "initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "--no-sync"],
                           check=True, stdout=subprocess.DEVNULL)
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "shared_buffers": "512MB", "max_wal_size": "4GB",
                   "checkpoint_timeout": "15min", "wal_compression": "lz4", "log_min_messages": "fatal"}
        # Not in the environment of `setpriv` too: what is preloaded must begin as the user that it stays.
        preset = ["env", *(f"{name}={value}" for name, value in (environment or {}).items())]
        command = [*as_postgres, *preset, POSTGRES / "postgres", "-D", folder / "data", *(f"--{name}={value}" for name, value in options.items())]
        server = self.processes.start(command, lambda: answers(port), stderr=subprocess.DEVNULL)
        server.data = folder / "data"
        dsn = f"postgres://postgres@127.0.0.1:{port}/postgres"
        wait_for("PostgreSQL", lambda: subprocess.run(["psql", "-qAtc", "SELECT 1", dsn], capture_output=True).returncode == 0)
        return dsn, server

    def hub(self, more="", store=None, roster=True):
        """A folder with a configuration, and a roster of the kits unless the store has one; gives the configuration."""
        folder = self.folder / f"hub-{secrets.token_hex(4)}"
        (folder / "data").mkdir(parents=True)
        named = ('roster = "roster.toml"\n' if roster else "") + (f'store = "{store}"\n' if store else "")
        (folder / "hub.toml").write_text(f'{named}simulated = true\n{more}[http]\nlisten = "127.0.0.1:0"\n[heartbeat]\nperiod_seconds = 0\n')
        if roster:
            (folder / "roster.toml").write_text(self.roster())
        return folder / "hub.toml"

    def roster(self):
        return "".join(
            f'[[patient]]\nid = "{kit}"\nname = "{kit}"\nprogramme = "copd"\nsimulated = true\n'
            f'[[kit]]\nid = "{kit}"\npatient = "{kit}"\nsecret_sha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"\n'
            for kit, secret in self.kits)

    def vagt(self, command, config):
        """Starts it; gives the process and what it says when it is ready."""
        process = subprocess.Popen([self.args.vagt, *command, "--config", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   env={**os.environ, "RUST_LOG": os.environ.get("RUST_LOG", "error")})
        self.processes.running.append(process)
        line = process.stdout.readline()
        if not line:
            sys.exit(f"compare: vagt {' '.join(command)} ended before it was ready")
        return process, json.loads(line)

    def load(self, port, seconds, rate=None, warm_up=2):
        """Starts the load; numbers go on beyond those of the load before it."""
        self.after += SEQS_OF_A_LOAD
        acknowledged = self.folder / "acknowledged.json"
        acknowledged.unlink(missing_ok=True)
        command = [self.args.vagt, "bench", "load", "--to", f"127.0.0.1:{port}", "--kits", self.folder / "kits", "--readings", str(READINGS),
                   "--seconds", str(seconds), "--warm-up", str(warm_up), "--acknowledged", acknowledged,
                   "--after", str(self.after)]
        if rate:
            command += ["--rate", str(rate)]
        return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE), acknowledged


def finished(load, acknowledged):
    """Waits for a load; gives what it measured, and up to which seq each kit was acknowledged."""
    out, error = load.communicate()
    if not acknowledged.exists():
        sys.exit(f"compare: the load failed: {error.decode().strip()}")
    return json.loads(out) if out.strip() else {}, json.loads(acknowledged.read_text())


def all_of(acknowledged, after):
    return sum(seq - after for seq in acknowledged.values())


# --- counting what is stored: how many messages, and of each kit up to which seq without a hole


class SqliteStore:
    def __init__(self, config):
        self.file = config.parent / "data/vagt.db"

    def rows(self, query):
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def count(self):
        return self.rows("SELECT coalesce(max(id), 0) FROM message")[0][0]

    def seqs(self):
        return self.rows("SELECT k.kit, m.seq FROM message m JOIN kit_key k ON k.key = m.kit")


class PostgresStore:
    """`count` and `seqs` are queries: Vagt's tables are not those of the others."""

    def __init__(self, dsn, count, seqs):
        self.dsn, self.queries = dsn, (count, seqs)

    def ask(self, query):
        out = subprocess.run(["psql", "-qAtF", " ", "-c", query, self.dsn], check=True, stdout=subprocess.PIPE, text=True).stdout
        return [line.split(" ") for line in out.splitlines()]

    def count(self):
        return int(self.ask(self.queries[0])[0][0])

    def seqs(self):
        return ((kit, int(seq)) for kit, seq in self.ask(self.queries[1]))


class LinesStore:
    """A subscriber that only counts."""

    def __init__(self, file):
        self.file = file

    def count(self):
        return self.file.stat().st_size // 2

    def seqs(self):
        return None


PEER_STORE = ("SELECT count(*) FROM message", "SELECT kit, seq FROM message")
VAGT_STORE = ("SELECT count(*) FROM vagt.message", "SELECT k.kit, m.seq FROM vagt.message m JOIN vagt.kit_key k ON k.key = m.kit")


def lost(store, acknowledged, after):
    """How many messages acknowledged in the last load are not stored; None where nothing is kept to look at."""
    seqs = store.seqs()
    if seqs is None:
        return None
    kept = {}
    for kit, seq in seqs:
        kept.setdefault(kit, set()).add(seq)
    return sum(up_to - after - sum(1 for seq in kept.get(kit, ()) if after < seq <= up_to) for kit, up_to in acknowledged.items())


def lost_for_good(store, acknowledged, after):
    """The same, once nothing is missing or nothing has come for long: who was killed may have much to do before the first is stored again."""
    missing, since = lost(store, acknowledged, after), time.monotonic()
    while missing and time.monotonic() - since < LOST_SECONDS:
        time.sleep(2)
        now = lost(store, acknowledged, after)
        if now != missing:
            missing, since = now, time.monotonic()
    return missing


def settle(store):
    """Waits until no more is being stored; gives how much there is, and when that was so."""
    before, since, end = store.count(), time.monotonic(), time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < end and time.monotonic() - since < 6:
        time.sleep(0.5)
        now = store.count()
        if now != before:
            before, since = now, time.monotonic()
    return before, since
