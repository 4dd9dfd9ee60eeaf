# How long the clinic is away while a new version takes its store over, and how that grows with the store: part of `make bench`, or
#
#     target/venv-compare/bin/python benches/compare/upgrade.py --vagt target/release/vagt [--messages 1000000] [--stores sqlite postgres] [--json FILE]
#
# A store of the first version comes from the dump that the store's own tests open. To what it holds, SQL adds a history of many people as the program of that
# version would have left it: each sits down once a day, the last time yesterday. Then `vagt serve` is started, with nothing of the store in the machine's
# memory, and once more: what the second start takes is what any start takes. What was there before must be there afterwards.

import argparse
import contextlib
import json
import os
import pathlib
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from stand import SqliteStore, Stand, got, wait_for

DUMPS = pathlib.Path(__file__).parent.parent.parent / "crates/store/tests/fixtures"
# The version whose format is written here.
FIRST = 1
DAY_SECONDS = 86_400
SECOND = 1_000_000_000
DOOR = '[mqtt]\nlisten = "127.0.0.1:0"\n'
# Of each sitting: vital, unit, usual value without the point, digits after it.
MEASURED = [("spo2", "%", 94, 0), ("pulse", "/min", 76, 0), ("resp_rate", "/min", 15, 0), ("temperature", "Cel", 367, 1)]

# What the dump holds comes first. Messages are chained as commits chain them, by kit and by patient, with a mark at every 256th of a kit.
SQLITE_1 = """
CREATE TEMP TABLE dumped AS SELECT (SELECT max(key) FROM kit_key) AS kits, (SELECT max(key) FROM patient_key) AS people,
    (SELECT max(key) FROM channel) AS channels, (SELECT max(id) FROM message) AS messages, (SELECT max(id) FROM reading) AS readings;
CREATE TEMP VIEW person AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {patients}) SELECT i FROM n;
CREATE TEMP VIEW sitting AS
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {messages})
    SELECT i, messages + 1 + i AS id, iif(i < {patients}, NULL, messages + 1 + i - {patients}) AS previous, kits + 1 + i % {patients} AS kit,
        people + 1 + i % {patients} AS patient, i / {patients} + 1 AS seq, {first} + i / {patients} * {day} + i % {patients} * {apart} AS stamp,
        readings + 1 + {measured} * i AS reading_from, channels, (i + i / {patients}) % 3 AS swing
    FROM n CROSS JOIN dumped;
INSERT INTO channel (device, vital, unit, clock, flags) VALUES {channels_of_sqlite};
INSERT INTO patient_key (patient) SELECT 'bench-' || i FROM person;
INSERT INTO kit_key (kit) SELECT 'bench-' || i FROM person;
INSERT INTO patient SELECT 'bench-' || i, 'Simulated ' || i, NULL, 'copd', 'null', 1, {first} FROM person;
INSERT INTO kit SELECT 'bench-' || i, 'bench-' || i, hex(zeroblob(32)), {first}, '[]', 0 FROM person;
INSERT INTO message
    SELECT id, kit, seq, previous, zeroblob(32), patient, previous, zeroblob(16), stamp - {second}, stamp, stamp, reading_from, {measured}, 1, 0 FROM sitting;
WITH measured (place, usual, digits) AS (VALUES {usual})
INSERT INTO reading SELECT reading_from + place, channels + 1 + place, usual + swing, digits, stamp - 60 * {second} FROM sitting CROSS JOIN measured;
INSERT INTO kit_end SELECT m.kit, max(m.id), max(m.seq), max(m.seq) FROM message m CROSS JOIN dumped d WHERE m.kit > d.kits GROUP BY m.kit;
INSERT INTO patient_end SELECT m.patient, max(m.id), max(m.latest) FROM message m CROSS JOIN dumped d WHERE m.patient > d.people GROUP BY m.patient;
INSERT INTO kit_mark SELECT m.kit, m.seq, m.id FROM message m CROSS JOIN dumped d WHERE m.kit > d.kits AND m.seq % 256 = 0;
"""

# Here the dump's messages come last, as kept today: `kept_at` never goes back. What is added up by hour and day is done, as in a clinic that has lived.
POSTGRES_1 = """
SET TIME ZONE 'UTC';
SET search_path = vagt, public;
CREATE TEMP TABLE dumped AS SELECT (SELECT max(key) FROM kit_key) AS kits, (SELECT max(key) FROM patient_key) AS people,
    (SELECT max(key) FROM channel) AS channels;
CREATE TEMP VIEW sitting AS
    SELECT 1 + i AS id, kits + 1 + i % {patients} AS kit, people + 1 + i % {patients} AS patient, i / {patients} + 1 AS seq,
        {first} + i / {patients} * {day} + i % {patients} * {apart} AS stamp, channels, (i + i / {patients}) % 3 AS swing
    FROM generate_series(0::bigint, {messages} - 1) i CROSS JOIN dumped;
SELECT make_month(month::date) FROM generate_series(date_trunc('month', to_timestamp({first} / 1e9)), to_timestamp({today}), interval '1 month') AS month;
UPDATE message SET id = id + {messages}, kept_at = to_timestamp({today});
UPDATE message_day SET day = to_timestamp({today})::date, first_id = first_id + {messages}, last_id = last_id + {messages};
UPDATE book SET last_id = last_id + {messages}, kept_at = to_timestamp({today});
INSERT INTO channel (device, vital, unit, clock, flags, doubt) VALUES {channels_of_postgres};
INSERT INTO patient_key (patient) SELECT 'bench-' || i FROM generate_series(1, {patients}) i;
INSERT INTO kit_key (kit) SELECT 'bench-' || i FROM generate_series(1, {patients}) i;
INSERT INTO patient SELECT 'bench-' || i, 'Simulated ' || i, NULL, '["copd"]', NULL, 'null', true, {first} FROM generate_series(1, {patients}) i;
INSERT INTO kit SELECT 'bench-' || i, 'bench-' || i, '[]', repeat('0', 64), {first}, '[]', false FROM generate_series(1, {patients}) i;
INSERT INTO message (id, kept_at, kit, patient, seq, recorded_at, newest, sent_at, session, hash, readings)
    SELECT id, to_timestamp(stamp / 1e9), kit, patient, seq, stamp, stamp, stamp - {second}, '00000000-0000-0000-0000-000000000000'::uuid,
        decode(repeat('00', 32), 'hex'), ARRAY[{readings}] FROM sitting;
INSERT INTO kit_end SELECT kit, max(seq) FROM message WHERE id <= {messages} GROUP BY kit;
INSERT INTO message_day SELECT (kept_at AT TIME ZONE 'UTC')::date, min(id), max(id), min(recorded_at), max(recorded_at), max(newest)
    FROM message WHERE id <= {messages} GROUP BY 1;
INSERT INTO reading_hour
    SELECT m.patient, c.vital, date_trunc('hour', t), count(*), sum(c.doubt::int), min(r.value), max(r.value), sum(r.value)
    FROM message m CROSS JOIN LATERAL unfold(m.readings, m.odd) r JOIN channel c ON c.key = r.channel CROSS JOIN LATERAL to_timestamp(r.measured_at / 1e9) t
    WHERE m.id <= {messages} GROUP BY 1, 2, 3;
INSERT INTO reading_day
    SELECT patient, vital, date_trunc('day', bucket), sum(readings), sum(doubtful), min(low), max(high), sum(total) FROM reading_hour GROUP BY 1, 2, 3;
UPDATE unfolded SET up_to = {messages};
"""


def numbers(args):
    """What stands in the statements above. Times are nanoseconds, `today` is seconds."""
    today, days = int(time.time()) // DAY_SECONDS * DAY_SECONDS, -(-args.messages // args.patients)
    channels = [f"'bench:1', '{vital}', '{unit}', 'device', ''" for vital, unit, _, _ in MEASURED]
    numbers_of = [f"(channels + {place}) * 256 + {digits}, {usual} + swing, stamp - 60 * {SECOND}::bigint"
                  for place, (_, _, usual, digits) in enumerate(MEASURED, 1)]
    return {"messages": args.messages, "patients": args.patients, "days": days, "today": today, "first": (today - days * DAY_SECONDS) * SECOND,
            "day": DAY_SECONDS * SECOND, "second": SECOND,
            # Whole microseconds, as stamps are.
            "apart": DAY_SECONDS * 1_000_000 // args.patients * 1_000,
            "measured": len(MEASURED), "channels_of_sqlite": ", ".join(f"({channel})" for channel in channels),
            "channels_of_postgres": ", ".join(f"({channel}, false)" for channel in channels),
            "usual": ", ".join(f"({place}, {usual}, {digits})" for place, (_, _, usual, digits) in enumerate(MEASURED)),
            "readings": ", ".join(numbers_of)}


def forget(folder):
    """The machine keeps nothing of these files in memory."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Sqlite:
    """A file of the first version."""

    version, views = "PRAGMA user_version", "main"
    holds = "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM reading)"

    def __init__(self, stand):
        self.stand, self.config = stand, stand.hub(DOOR, roster=False)
        self.data = self.config.parent / "data"

    def make(self, values):
        with contextlib.closing(sqlite3.connect(self.data / "vagt.db")) as database:
            database.executescript((DUMPS / f"sqlite-{FIRST}.sql").read_text())
            database.executescript(f"PRAGMA synchronous = OFF; BEGIN; {SQLITE_1.format(**values)} COMMIT; PRAGMA journal_mode = WAL;")

    def ask(self, query):
        return [int(value) for value in SqliteStore(self.config).rows(query)[0]]

    def rest(self):
        forget(self.data)

    def disk_bytes(self):
        return sum(file.stat().st_size for file in self.data.glob("vagt.db*"))


class Postgres:
    """A database of the first version, without TimescaleDB."""

    version, views = "SELECT version FROM vagt.vagt_schema", "vagt"
    holds = "SELECT count(*), sum(cardinality(readings) / 3) FROM vagt.message"

    def __init__(self, stand):
        self.stand, self.folder = stand, stand.folder / "cluster"
        self.start()

    def start(self):
        self.dsn, self.server = self.stand.postgres(self.folder)
        self.config = self.stand.hub(DOOR, store=self.dsn, roster=False)

    def make(self, values):
        self.psql("-f", DUMPS / f"postgres-{FIRST}.sql")
        for what in (POSTGRES_1.format(**values), "VACUUM ANALYZE", "CHECKPOINT"):
            self.psql("-c", what)

    def psql(self, *what):
        return subprocess.run(["psql", "-qAtX", "-F", " ", "-v", "ON_ERROR_STOP=1", *what, self.dsn], check=True, stdout=subprocess.PIPE, text=True).stdout

    def ask(self, query):
        return [int(float(value)) for value in self.psql("-c", query).split()]

    def rest(self):
        self.stand.processes.stop(self.server, signal.SIGINT)
        forget(self.folder)
        self.start()

    def disk_bytes(self):
        return self.ask("SELECT pg_database_size(current_database())")[0]


STORES = {"sqlite": Sqlite, "postgres": Postgres}


def start(clinic):
    """Starts the service and stops it: the seconds until it takes readings in, and the most memory that it had until then."""
    clinic.rest()
    begun = time.monotonic()
    process, ready = clinic.stand.vagt(["serve", "--json"], clinic.config)
    wait_for("the service", lambda: got(f"{ready['http']}/readyz"))
    seconds = time.monotonic() - begun
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    clinic.stand.processes.stop(process)
    return {"seconds": seconds, "peak_mib": peak_kib / 1024}


def exported(vagt, clinic, people):
    """What this program hands out of each: how many readings, and ten times their sum."""
    place = ["--config", clinic.config]
    add = [vagt, "account", "add", "bench", "--name", "Bench", "--role", "operator", *place]
    subprocess.run(add, input=secrets.token_hex(12), text=True, check=True, stdout=subprocess.DEVNULL)
    found = []
    for person in people:
        export = [vagt, "patient", "export", person, "-", "--by", "bench", *place]
        document = json.loads(subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout)
        values = [reading["value"] for message in document["message"] for reading in message["readings"]]
        found.append([len(values), round(sum(values) * 10)])
    return found


def as_before(kind, what, found, wanted):
    if found != wanted:
        sys.exit(f"upgrade: {kind}: {what}: found {found} afterwards, want {wanted} as before")


def upgrade(kind, args, folder):
    with Stand.within(args, folder) as stand:
        clinic, values = STORES[kind](stand), numbers(args)
        print(f"upgrade: {kind}, {args.messages:,} messages over {values['days']:,} days ...", file=sys.stderr, flush=True)
        clinic.make(values)
        people = [f"bench-{number}" for number in sorted({1, (args.patients + 1) // 2, args.patients})]
        # By the view that was published then.
        theirs = f"SELECT count(*), round(sum(value) * 10) FROM {clinic.views}.v_readings WHERE patient = "
        of_people = [clinic.ask(f"{theirs}'{person}'") for person in people]
        held, disk_bytes = clinic.ask(clinic.holds), clinic.disk_bytes()
        first, again = start(clinic), start(clinic)
        as_before(kind, "messages, readings", clinic.ask(clinic.holds), held)
        as_before(kind, f"readings of {', '.join(people)}, ten times their sum", exported(args.vagt, clinic, people), of_people)
        return {"bench": "upgrade", "store": kind, "from": FIRST, "to": clinic.ask(clinic.version)[0], "messages": held[0], "readings": held[1],
                "patients": args.patients, "days": values["days"], "disk_bytes": disk_bytes, "disk_bytes_after": clinic.disk_bytes(),
                "first": first, "again": again}


def table(lines):
    head = ["store", "schema", "messages", "readings", "people", "days", "MB before", "MB after", "ready after the upgrade",
            "ready at the next start", "most memory, MiB", "at the next"]
    rows = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * (len(head) - 2)}"]
    for of in lines:
        first, again = of["first"], of["again"]
        rows.append(f"| {of['store']} | {of['from']} to {of['to']} | {of['messages']:,} | {of['readings']:,} | {of['patients']:,} | {of['days']:,} | {of['disk_bytes'] / 1e6:,.0f} | "
                    f"{of['disk_bytes_after'] / 1e6:,.0f} | {first['seconds']:.2f} s | {again['seconds']:.2f} s | {first['peak_mib']:,.0f} | {again['peak_mib']:,.0f} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description="How long the clinic is away while a new version takes its store over.")
    parser.add_argument("--vagt", type=pathlib.Path, default=pathlib.Path("target/release/vagt"), help="the program that is measured")
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many there are, of four readings each")
    parser.add_argument("--patients", type=int, default=2_000, help="how many people: with fewer the same messages go further back")
    parser.add_argument("--stores", nargs="*", choices=STORES, default=list(STORES))
    parser.add_argument("--dir", type=pathlib.Path, help="where the stores go; the system's temporary folder, if left out")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the figures as JSON lines")
    args = parser.parse_args()
    if not 1 <= args.patients <= args.messages:
        parser.error(f"found {args.patients} patients, want 1 to {args.messages}, as many as there are messages")
    args.vagt, args.kits = args.vagt.resolve(), 1
    with tempfile.TemporaryDirectory(prefix="vagt-upgrade-", dir=args.dir) as folder:
        os.chmod(folder, 0o755)
        lines = [upgrade(kind, args, folder) for kind in args.stores]
    if args.json:
        args.json.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(table(lines))


if __name__ == "__main__":
    main()
