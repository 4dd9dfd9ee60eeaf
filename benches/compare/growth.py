# How the figures change as a store grows, and what a person costs in storage: part of `make bench`, or
#
#     target/venv-compare/bin/python benches/compare/growth.py --vagt target/release/vagt [--sizes 10 100] [--stores sqlite postgres] [--json FILE]
#
# For each size a clinic of its own is filled through the store's own commit, the same people over as many days as it takes, the last of them yesterday
# (on PostgreSQL the server's clock is set back meanwhile, so that months lie in their partitions as if they had been lived). Then, at every size the
# same, in turns: the load of `vagt bench load` against `vagt serve`, pages and curves over HTTP as a browser asks for them, a backtest of everybody over 90
# days.
#
# Storage is measured on a cohort (`vagt cohort --into`): what simulated people of a COPD and heart failure clinic send in a year.

import argparse
import contextlib
import glob
import http.client
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from stand import Stand, all_of, finished, free_port, wait_for

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
SITTING = 8
SENDING = 200
BYTES_A_READING = {"sqlite": 40, "postgres": 500}
# Millions of readings. A server adds everything up by hour and day beside the commits: of 100 million that alone takes half an hour.
SIZES = {"sqlite": [10, 100, 1000], "postgres": [10, 30]}
DISK_LEFT_BYTES = 8e9
UPKEEP_SECONDS = 3600
PAGE_WARM_UP = 20
BACKTEST_DAYS = 90


class Browser:
    """Signs in as a nurse and asks for pages, on one connection."""

    def __init__(self, address, password):
        self.host = address.removeprefix("http://").rstrip("/")
        self.connection, self.cookies = http.client.HTTPConnection(self.host, timeout=60), {}
        page = self.get("/sign-in")
        csrf = re.search(r'name="csrf" value="([^"]*)"', page).group(1)
        self.ask("POST", "/sign-in", urllib.parse.urlencode({"user": "bench", "password": password, "csrf": csrf}))
        if "vagt_session" not in self.cookies:
            sys.exit("growth: not signed in")

    def ask(self, method, path, form=None):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "Origin": f"http://{self.host}"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, form, headers)
        answer = self.connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, kept = value.split(";")[0].partition("=")
                self.cookies[cookie] = kept
        return answer.status, answer.read().decode()

    def get(self, path):
        status, body = self.ask("GET", path)
        if status != 200:
            sys.exit(f"growth: {path} answered {status}: {body[:200]}")
        return body


class Clinic:
    """One store of one size, with what starts and stops its service."""

    def __init__(self, stand, kind, readings):
        self.stand, self.kind, self.readings = stand, kind, readings
        self.password, self.filled, self.server, self.last = secrets.token_hex(12), None, None, 0
        self.secrets = stand.folder / f"secrets-{kind}-{readings}"
        self.bytes, self.rates, self.backtests, self.took = 0, [], [], {}

    def fill(self):
        fills = {"sqlite": self.fill_sqlite, "postgres": self.fill_postgres}
        self.filled = fills[self.kind]()
        self.last = self.filled["days"]

    def add_account(self):
        """Which makes the schema too."""
        add = [self.stand.args.vagt, "account", "add", "bench", "--name", "Bench", "--language", "en", "--config", self.config]
        subprocess.run(add, input=self.password, text=True, check=True, stdout=subprocess.DEVNULL)

    def fill_sqlite(self):
        self.config = self.stand.hub('[mqtt]\nlisten = "127.0.0.1:0"\n', roster=False)
        self.add_account()
        return self.run_fill()

    def fill_postgres(self):
        clock, folder = self.stand.folder / f"clock-{self.readings}", self.stand.folder / f"cluster-{self.readings}"
        days = -(-self.readings // (self.stand.args.patients * SITTING))
        clock.write_text(f"-{86_400 * days}\n")
        preload = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not preload:
            sys.exit("growth: libfaketime is missing: apt-get install libfaketime")
        set_back = {"LD_PRELOAD": preload[0], "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.database = folder
        self.start_database(set_back)
        self.add_account()
        self.psql(f"SELECT vagt.make_month(month::date) FROM generate_series(date_trunc('month', now()), now() + interval '{days} days', "
                  "interval '1 month') AS month")
        filled = self.run_fill(["--clock-file", clock])
        self.stop_database()
        self.start_database()
        return filled

    def start_database(self, environment=None):
        self.dsn, self.server = self.stand.postgres(self.database, environment)
        self.config = self.stand.hub('[mqtt]\nlisten = "127.0.0.1:0"\n', store=self.dsn, roster=False)

    def stop_database(self):
        if self.server:
            self.stand.processes.stop(self.server, 2)
            self.server = None

    def run_fill(self, more=()):
        command = [self.stand.args.vagt, "bench", "fill", "--config", self.config, "--readings", str(self.readings), "--patients", str(self.stand.args.patients),
                   "--sitting", str(SITTING), "--kits", str(SENDING), "--secrets", self.secrets, *more]
        return json.loads(subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout)

    def psql(self, query):
        return subprocess.run(["psql", "-qAtc", query, self.dsn], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def settle(self):
        """What is added up by hour and day beside the commits is done first: a clinic that has lived has no such backlog."""
        if self.kind != "postgres":
            return
        process, _ = self.stand.vagt(["serve", "--json"], self.config)
        done = "SELECT u.up_to >= b.last_id FROM vagt.unfolded u, vagt.book b"
        wait_for("what PostgreSQL adds up", lambda: self.psql(done) == "t", UPKEEP_SECONDS)
        self.stand.processes.stop(process)
        for what in ("VACUUM ANALYZE", "CHECKPOINT"):
            self.psql(what)

    def disk_bytes(self):
        if self.kind == "postgres":
            return int(self.psql("SELECT pg_database_size('postgres')"))
        return sum(file.stat().st_size for file in (self.config.parent / "data").glob("vagt.db*"))

    @contextlib.contextmanager
    def serving(self):
        process, ready = self.stand.vagt(["serve", "--json"], self.config)
        try:
            yield ready
        finally:
            self.stand.processes.stop(process)

    def ingest(self, ready, seconds):
        self.stand.after = max(self.stand.after, self.last)
        shutil.copy(self.secrets, self.stand.folder / "kits")
        load, file = self.stand.load(ready["mqtt"].rsplit(":", 1)[1], seconds)
        measured, acknowledged = finished(load, file)
        return measured["messages_per_second"], all_of(acknowledged, self.stand.after)

    def pages(self, ready, count):
        """Milliseconds of the page of a patient, of its curves over four weeks, and of its long ones over a quarter."""
        browser, chosen = Browser(ready["http"], self.password), random.Random(len(self.rates))
        asked = {"page_ms": "/patients/{}", "curves_28_days_ms": "/api/v1/patients/{}/curves?days=28", "long_curves_ms": "/api/v1/patients/{}/long-curves?days=90"}
        took = {name: [] for name in asked}
        for number in range(count + PAGE_WARM_UP):
            # Not those that the load has written to.
            patient = f"bench-{chosen.randrange(SENDING, self.stand.args.patients)}"
            for name, path in asked.items():
                begun = time.perf_counter()
                browser.get(path.format(patient))
                if number >= PAGE_WARM_UP:
                    took[name].append((time.perf_counter() - begun) * 1e3)
        return took

    def backtest(self):
        """Readings a second, with the COPD programme on both sides."""
        programme = ROOT / "config/programmes/copd.toml"
        command = [self.stand.args.vagt, "backtest", "--programme", programme, "--active", programme, "--since", f"{BACKTEST_DAYS}d",
                   "--config", self.config, "--json"]
        report = json.loads(subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout)
        return report["readings"] / report["seconds"]

    def measure(self, ready, args):
        """One round of what a service does."""
        for name, took in self.pages(ready, -(-args.pages // args.rounds)).items():
            self.took.setdefault(name, []).extend(took)
        self.rates.append(self.ingest(ready, args.seconds)[0])

    def found(self):
        found = {"bench": "growth", "store": self.kind, **{key: self.filled[key] for key in ("readings", "patients", "days")},
                 "fill_readings_per_second": self.filled["readings_per_second"], "disk_bytes": self.bytes, "bytes_per_reading": self.bytes / self.filled["readings"]}
        for name, took in self.took.items():
            found[name] = {"p50": statistics.median(took), "p99": sorted(took)[int(len(took) * 0.99)]}
        return found | {"backtest_readings_per_second": statistics.median(self.backtests), "backtests": self.backtests,
                        "ingest_messages_per_second": statistics.median(self.rates), "rates": self.rates}


def affordable(kind, sizes, folder):
    """The sizes that the disk holds, beside each other; says where it ends."""
    free, fit = shutil.disk_usage(folder).free - DISK_LEFT_BYTES, []
    for size in sorted(sizes):
        wanted = sum([*fit, size]) * BYTES_A_READING[kind]
        if wanted <= free:
            fit.append(size)
        else:
            print(f"growth: {kind} does without {size:,} readings: found {free / 1e9:.0f} GB of disk to use, want {wanted / 1e9:.0f} GB", file=sys.stderr)
    return fit


def grow(kind, args, folder):
    """All sizes are measured in turns: what else the machine does meets them alike."""
    with contextlib.ExitStack() as stands:
        clinics = []
        for size in affordable(kind, [int(size * 1_000_000) for size in args.sizes or SIZES[kind]], folder):
            print(f"growth: {kind}, {size:,} readings ...", file=sys.stderr, flush=True)
            clinic = Clinic(stands.enter_context(Stand.within(args, folder)), kind, size)
            clinic.fill()
            clinic.settle()
            clinic.bytes = clinic.disk_bytes()
            clinics.append(clinic)
        for _ in range(args.rounds):
            for clinic in clinics:
                clinic.backtests.append(clinic.backtest())
        # Their services run beside each other: one that starts reads the history of those that it hears of first.
        serving = [stands.enter_context(clinic.serving()) for clinic in clinics]
        for number in range(args.rounds):
            for clinic, ready in zip(clinics, serving):
                clinic.measure(ready, args)
                print(f"growth: {kind}, {clinic.readings:,} readings, round {number + 1} of {args.rounds}: {clinic.rates[-1]:,.0f} messages/s",
                      file=sys.stderr, flush=True)
        return [clinic.found() for clinic in clinics]


# --- what a person costs


def storage(kind, args, folder):
    """Bytes a person and year: a cohort's messages, over what an empty store takes."""
    with Stand.within(args, folder) as stand:
        people, clinic = args.people[kind], Clinic(stand, {"timescale": "postgres"}.get(kind, kind), 0)
        server = None
        if kind == "timescale":
            clinic.dsn, server = timescale(stand)
        elif kind == "postgres":
            clinic.dsn, server = stand.postgres()
        clinic.config = stand.hub(store=None if kind == "sqlite" else clinic.dsn, roster=False)
        clinic.add_account()
        empty = clinic.disk_bytes()
        command = [args.vagt, "cohort", "--patients", str(people), "--days", "365", "--into", clinic.config]
        subprocess.run(command, check=True, capture_output=True)
        found = {"bench": "storage", "store": kind, "people": people, "days": 365}
        if kind == "sqlite":
            counted = sqlite_counts(clinic.config.parent / "data/vagt.db")
        else:
            counted = tuple(int(number) for number in clinic.psql("SELECT count(*) || ' ' || sum(cardinality(readings) / 3) FROM vagt.message").split())
            if kind == "postgres":
                clinic.psql("VACUUM ANALYZE")
        lines = [(kind, clinic.disk_bytes() - empty)]
        if kind == "timescale":
            lines = list(compressed(clinic))
        return [found | {"store": name, "messages": counted[0], "readings": counted[1], "bytes_per_person_and_year": bytes_ / people,
                         "bytes_per_reading": bytes_ / counted[1], "readings_per_person_and_day": counted[1] / people / 365} for name, bytes_ in lines]


def sqlite_counts(file):
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return database.execute("SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM reading)").fetchone()


def timescale(stand):
    """The real TimescaleDB, compiled to WebAssembly: one connection at a time, good for sizes, not for rates."""
    port, folder = free_port(), ROOT / "crates/store/tests/timescale"
    server = stand.processes.start(["node", "serve.mjs", port], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if server.stdout.readline().strip() != b"ready":
        sys.exit("growth: TimescaleDB does not start")
    os.environ["PGGSSENCMODE"] = "disable"
    return f"postgres://postgres:postgres@127.0.0.1:{port}/postgres?sslmode=disable", server


def compressed(clinic):
    """The hypertable as it is, and with every chunk compressed, as the policy does it with what is older than a spool."""
    size = "SELECT hypertable_size('vagt.message')"
    yield "TimescaleDB, not yet compressed", int(clinic.psql(size))
    clinic.psql("SELECT compress_chunk(chunk) FROM show_chunks('vagt.message') AS chunk")
    yield "TimescaleDB, compressed", int(clinic.psql(size))


# --- what is told


def growth_table(lines):
    head = ["store", "readings", "people", "days", "bytes a reading", "ingest, messages/s", "page p50 / p99", "curves 28 days", "long curves, 90 days", "backtest, readings/s"]
    rows = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]

    def both(of):
        return f"{of['p50']:.1f} / {of['p99']:.1f} ms"

    for of in lines:
        rows.append(f"| {of['store']} | {of['readings']:,} | {of['patients']:,} | {of['days']:,} | {of['bytes_per_reading']:.1f} | {of['ingest_messages_per_second']:,.0f} | {both(of['page_ms'])} | "
                    f"{both(of['curves_28_days_ms'])} | {both(of['long_curves_ms'])} | {of['backtest_readings_per_second']:,.0f} |")
    for last_over_first in ratios(lines):
        store, of = last_over_first["store"], last_over_first["last_over_first"]
        rows.append(f"| {store}, last over first | | | | | {of['ingest']:.2f} | {of['page']:.2f} | {of['curves_28_days']:.2f} | {of['long_curves']:.2f} | "
                    f"{of['backtest']:.2f} |")
    return "\n".join(rows)


def ratios(lines):
    """How fast each is at the greatest size, of what it is at the least: 1 is unchanged, 0.8 a fifth slower."""
    for store in dict.fromkeys(of["store"] for of in lines):
        of = [line for line in lines if line["store"] == store]
        if len(of) < 2:
            continue
        first, last = of[0], of[-1]
        fast = {name: last[f"{key}_per_second"] / first[f"{key}_per_second"] for name, key in (("ingest", "ingest_messages"), ("backtest", "backtest_readings"))}
        slow = {name: first[f"{name}_ms"]["p50"] / last[f"{name}_ms"]["p50"] for name in ("page", "curves_28_days", "long_curves")}
        yield {"bench": "growth-ratio", "store": store, "from": first["readings"], "to": last["readings"], "last_over_first": fast | slow}


def storage_table(lines):
    rows = ["| store | kB a person and year | bytes a reading | readings a person and day |", "| --- | ---: | ---: | ---: |"]
    rows += [f"| {of['store']} | {of['bytes_per_person_and_year'] / 1e3:,.0f} | {of['bytes_per_reading']:.1f} | {of['readings_per_person_and_day']:.1f} |" for of in lines]
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description="How the figures change as a store grows, and what a person costs in storage.")
    parser.add_argument("--vagt", type=pathlib.Path, default=pathlib.Path("target/release/vagt"), help="the program that is measured")
    parser.add_argument("--sizes", type=float, nargs="+", help="millions of readings; 10, 100 and 1000, on a server 10 and 30, if left out")
    parser.add_argument("--patients", type=int, default=10_000, help="how many people: with fewer the same readings go further back")
    parser.add_argument("--stores", nargs="*", choices=BYTES_A_READING, default=list(BYTES_A_READING))
    parser.add_argument("--storage", nargs="*", choices=["sqlite", "postgres", "timescale"], default=["sqlite", "postgres", "timescale"])
    parser.add_argument("--seconds", type=int, default=8, help="how long ingestion is measured each time")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured, at all sizes in turns")
    parser.add_argument("--pages", type=int, default=300, help="how many patients are looked at")
    parser.add_argument("--dir", type=pathlib.Path, help="where the stores go; the system's temporary folder, if left out")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the figures as JSON lines")
    args = parser.parse_args()
    args.vagt, args.kits, args.people = args.vagt.resolve(), 1, {"sqlite": 500, "postgres": 500, "timescale": 12}
    with tempfile.TemporaryDirectory(prefix="vagt-growth-", dir=args.dir) as folder:
        os.chmod(folder, 0o755)
        stored = [line for kind in args.storage for line in storage(kind, args, folder)]
        grown = [line for kind in args.stores for line in grow(kind, args, folder)]
    if args.json:
        args.json.write_text("".join(json.dumps(line) + "\n" for line in [*stored, *grown, *ratios(grown)]))
    print("\n\n".join(table(lines) for table, lines in ((storage_table, stored), (growth_table, grown)) if lines))


if __name__ == "__main__":
    main()
