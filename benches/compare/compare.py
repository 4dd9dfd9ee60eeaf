# Vagt beside its floors and beside what one would pick instead, under the same load in one run: `make bench`, or
#
#     target/venv-compare/bin/python benches/compare/compare.py --vagt target/release/vagt [--only NAME ...] [--seconds 20] [--json FILE]
#
# Rates swing from run to run on any machine; ratios within one run, and CPU microseconds a reading (of every server process, the broker's and the
# database's too), are what is claimed. Everything listens on loopback, lives in one temporary folder and is stopped at the end.
#
# Through a broker, the publisher's acknowledgement promises nothing, so what counts there is what is stored: first a probe says about how fast a
# service is, then it is offered a fifth more than that, and what it stored in the time is its rate. After that it is offered far more than it can take,
# killed with SIGKILL, started again, and what the broker had acknowledged is looked for in the store.

import argparse
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

HERE = pathlib.Path(__file__).parent
READINGS = 4
TICKS = os.sysconf("SC_CLK_TCK")
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
READY_SECONDS = 60
DRAIN_SECONDS = 240
FAR_MORE = 1.8
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


def cpu_seconds(roots):
    """What these processes and all below them have used, children that have ended included."""
    used, parents = {}, {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            process = int(stat.parent.name)
            used[process], parents[process] = sum(map(int, fields[11:15])) / TICKS, int(fields[1])

    def below(process):
        while process in parents and process not in roots:
            process = parents[process]
        return process in roots

    return sum(seconds for process, seconds in used.items() if below(process))


class Processes:
    """What was started, so that all of it is stopped."""

    def __init__(self):
        self.running = []

    def start(self, command, ready=None, **options):
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, **options)
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
        broker = self.processes.start(["mosquitto", "-c", folder / "conf"], lambda: answers(port))
        return port, broker

    def postgres(self):
        """A private cluster of the settings a clinic would have: everything durable."""
        folder, port = self.folder / f"postgres-{secrets.token_hex(4)}", free_port()
        folder.mkdir()
        shutil.chown(folder, "postgres")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run([*as_postgres, POSTGRES / "initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "--no-sync"],
                       check=True, stdout=subprocess.DEVNULL)
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "shared_buffers": "512MB", "max_wal_size": "4GB",
                   "checkpoint_timeout": "15min", "wal_compression": "lz4", "log_min_messages": "fatal"}
        command = [*as_postgres, POSTGRES / "postgres", "-D", folder / "data", *(f"--{name}={value}" for name, value in options.items())]
        server = self.processes.start(command, lambda: answers(port), stderr=subprocess.DEVNULL)
        dsn = f"postgres://postgres@127.0.0.1:{port}/postgres"
        wait_for("PostgreSQL", lambda: subprocess.run(["psql", "-qAtc", "SELECT 1", dsn], capture_output=True).returncode == 0)
        return dsn, server

    def hub(self, more=""):
        """A folder with a configuration and a roster of the kits; gives the configuration."""
        folder = self.folder / f"hub-{secrets.token_hex(4)}"
        (folder / "data").mkdir(parents=True)
        roster = "".join(
            f'[[patient]]\nid = "{kit}"\nname = "{kit}"\nprogramme = "copd"\nsimulated = true\n'
            f'[[kit]]\nid = "{kit}"\npatient = "{kit}"\nsecret_sha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"\n'
            for kit, secret in self.kits)
        (folder / "roster.toml").write_text(roster)
        (folder / "hub.toml").write_text(f'roster = "roster.toml"\nsimulated = true\n{more}[http]\nlisten = "127.0.0.1:0"\n')
        return folder / "hub.toml"

    def vagt(self, command, config):
        """Starts it; gives the process and what it says when it is ready."""
        process = subprocess.Popen([self.args.vagt, *command, "--config", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   env={**os.environ, "RUST_LOG": "error"})
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


def rows_of(query, place):
    if place.suffix == ".db":
        with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()
    raise ValueError(place)


class SqliteStore:
    def __init__(self, config):
        self.file = config.parent / "data/vagt.db"

    def count(self):
        return rows_of("SELECT coalesce(max(id), 0) FROM message", self.file)[0][0]

    def seqs(self):
        return rows_of("SELECT k.kit, m.seq FROM message m JOIN kit_key k ON k.key = m.kit", self.file)


class PostgresStore:
    """`count` and `seqs` are queries: Vagt's tables are not those of the others."""

    def __init__(self, dsn, count, seqs):
        self.dsn, self.queries = dsn, (count, seqs)

    def ask(self, query):
        out = subprocess.run(["psql", "-qAtF", " ", "-c", query, self.dsn], check=True, capture_output=True, text=True).stdout
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


def settle(store):
    """Waits until no more is being stored; gives how much there is, and when that was so."""
    before, since, end = store.count(), time.monotonic(), time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < end and time.monotonic() - since < 4:
        time.sleep(0.5)
        now = store.count()
        if now != before:
            before, since = now, time.monotonic()
    return before, since


# --- a service under load


def direct(stand, start, store):
    """The publisher talks to the service itself: acknowledged is stored, so the load's own count is the rate."""
    service, port, roots = start()
    before = cpu_seconds(roots())
    measured, acknowledged = finished(*stand.load(port, stand.args.seconds))
    used, all_of_it = cpu_seconds(roots()) - before, all_of(acknowledged, stand.after)
    stand.processes.stop(service, signal.SIGKILL)
    found = {"messages_per_second": measured["messages_per_second"], "cpu_us_per_reading": used * 1e6 / (all_of_it * READINGS),
             "p99_ms": measured["publish_to_ack_ms"]["p99"]}
    if store:
        found |= {"acknowledged": all_of_it, "lost": lost(store, acknowledged, stand.after)}
    return found


def brokered(stand, broker, start, store, roots, probe_seconds=4):
    port, _ = broker
    service = start()
    begun, first = time.monotonic(), store.count()
    finished(*stand.load(port, probe_seconds, warm_up=0))
    count, at = settle(store)
    about = (count - first) / max(at - begun, 0.1)
    load, file = stand.load(port, stand.args.seconds, about * 1.2, warm_up=2)
    time.sleep(2)
    before, used, begun = store.count(), cpu_seconds(roots()), time.monotonic()
    time.sleep(stand.args.seconds)
    seconds, stored, used = time.monotonic() - begun, store.count() - before, cpu_seconds(roots()) - used
    finished(load, file)
    settle(store)
    found = {"messages_per_second": stored / seconds, "cpu_us_per_reading": used * 1e6 / max(stored * READINGS, 1)}
    if store.seqs() is None:
        stand.processes.stop(service, signal.SIGKILL)
        return found
    found["lost"], found["acknowledged"] = killed(stand, port, service, start, store, about * FAR_MORE)
    return found


def killed(stand, port, service, start, store, rate):
    load, file = stand.load(port, 8, rate, warm_up=0)
    time.sleep(5)
    stand.processes.stop(service, signal.SIGKILL)
    _, acknowledged = finished(load, file)
    again = start()
    settle(store)
    missing = lost(store, acknowledged, stand.after)
    stand.processes.stop(again, signal.SIGKILL)
    return missing, all_of(acknowledged, stand.after)


# --- who is compared


def bare(stand):
    config = stand.hub('[mqtt]\nlisten = "127.0.0.1:0"\n')
    return direct(stand, lambda: of_hub(stand, ["bench", "bare"], config), None)


def of_hub(stand, command, config, *others):
    process, ready = stand.vagt(command, config)
    return process, int(ready["mqtt"].rsplit(":", 1)[1]), lambda: [process.pid, *(other.pid for other in others)]


def vagt_sqlite(stand):
    config = stand.hub('[mqtt]\nlisten = "127.0.0.1:0"\n')
    return direct(stand, lambda: of_hub(stand, ["serve", "--json"], config), SqliteStore(config))


def vagt_postgres(stand):
    dsn, server = stand.postgres()
    config = stand.hub(f'store = "{dsn}"\n[mqtt]\nlisten = "127.0.0.1:0"\n')
    found = direct(stand, lambda: of_hub(stand, ["serve", "--json"], config, server), PostgresStore(dsn, *VAGT_STORE))
    stand.processes.stop(server, signal.SIGINT)
    return found


def subscriber(stand):
    broker = stand.mosquitto()
    file = stand.folder / "counted"
    command = ["mosquitto_sub", "-p", broker[0], "-V", "mqttv5", "-q", "1", "-t", "vagt/v1/+/readings", "-F", "."]

    def start():
        return stand.processes.start(command, stdout=file.open("wb"))

    file.touch()
    found = brokered(stand, broker, start, LinesStore(file), lambda: [broker[1].pid])
    stand.processes.stop(broker[1])
    return found


def peer(stand, command, environment=None):
    """A service between Mosquitto and PostgreSQL; `command` takes the port and the database."""
    broker, (dsn, server) = stand.mosquitto(), stand.postgres()
    subprocess.run(["psql", "-qf", HERE / "schema.sql", dsn], check=True)
    started = []

    def start():
        more = environment(broker[0], dsn) if environment else {}
        started.append(stand.processes.start(command(broker[0], dsn), env={**os.environ, **more}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(5 if environment else 2)
        return started[-1]

    store = PostgresStore(dsn, *PEER_STORE)
    found = brokered(stand, broker, start, store, lambda: [broker[1].pid, server.pid, started[-1].pid])
    stand.processes.stop(broker[1])
    stand.processes.stop(server, signal.SIGINT)
    return found


def careful(stand):
    return peer(stand, lambda port, dsn: [sys.executable, HERE / "careful.py", port, dsn])


def node_red(stand):
    program = HERE / "nodered/node_modules/node-red/red.js"

    def environment(port, dsn):
        return {"COMPARE_MQTT_PORT": str(port), "COMPARE_DATABASE": dsn, "COMPARE_HTTP_PORT": str(free_port())}

    return peer(stand, lambda _port, _dsn: ["node", program, "--settings", HERE / "nodered/settings.js", "--userDir", stand.folder / "node-red"], environment)


WHO = {
    "bare front door": bare,
    "Vagt, SQLite": vagt_sqlite,
    "Vagt, PostgreSQL": vagt_postgres,
    "Mosquitto, bare subscriber": subscriber,
    "careful Python, PostgreSQL": careful,
    "Node-RED, PostgreSQL": node_red,
}


def table(found):
    lines = ["| service | messages/s | of the bare front door | of the careful service | CPU µs a reading | lost on kill -9 |", "| --- | ---: | ---: | ---: | ---: | ---: |"]

    def ratio(rate, to):
        return f"{rate / found[to]['messages_per_second']:.2f}" if to in found else ""

    for name, of in found.items():
        rate, missing = of["messages_per_second"], of.get("lost")
        told = "" if missing is None else f"{missing:,} of {of['acknowledged']:,}"
        cells = [name, f"{rate:,.0f}", ratio(rate, "bare front door"), ratio(rate, "careful Python, PostgreSQL"), f"{of['cpu_us_per_reading']:.1f}", told]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Vagt beside its floors and beside what one would pick instead, under the same load.")
    parser.add_argument("--vagt", type=pathlib.Path, default=pathlib.Path("target/release/vagt"), help="the program that is measured")
    parser.add_argument("--only", nargs="+", choices=WHO, default=list(WHO), help="these alone")
    parser.add_argument("--seconds", type=int, default=20, help="how long each is measured")
    parser.add_argument("--kits", type=int, default=200, help="how many kits send")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the figures as JSON lines")
    args = parser.parse_args()
    args.vagt = args.vagt.resolve()
    found = {}
    with tempfile.TemporaryDirectory(prefix="vagt-compare-") as folder:
        os.chmod(folder, 0o755)
        for name in args.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            stand = Stand(args, pathlib.Path(tempfile.mkdtemp(dir=folder)))
            os.chmod(stand.folder, 0o755)
            try:
                found[name] = WHO[name](stand)
            finally:
                stand.processes.stop_all()
            print(json.dumps({"service": name, **found[name]}), file=sys.stderr, flush=True)
    if args.json:
        args.json.write_text("".join(json.dumps({"service": name, **of}) + "\n" for name, of in found.items()))
    print(table(found))


if __name__ == "__main__":
    main()
