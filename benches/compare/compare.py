# Vagt beside its floors and beside what one would pick instead, under the same load in one run: `make bench`, or
#
#     target/venv-compare/bin/python benches/compare/compare.py --vagt target/release/vagt [--only NAME ...] [--rounds 2] [--seconds 15] [--json FILE]
#
# Rates swing from run to run on any machine; ratios within one run, and CPU microseconds a reading (of every server process, the broker's and the
# database's too), are what is claimed. So the services take turns: each round measures all of them, a ratio is taken within its round, and the
# median of the rounds is told.
#
# Through a broker, the publisher's acknowledgement promises nothing, so what counts there is what is stored: first a probe says about how fast a
# service is, then it is offered a fifth more than that, and what it stored in the time is its rate. In the last round each is offered far more
# than it can take, killed with SIGKILL, started again, and what the publisher had acknowledged is looked for in the store.

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from stand import (READINGS, LinesStore, PostgresStore, SqliteStore, Stand, all_of, cpu_seconds, finished, free_port, got, lost, lost_for_good, memory_mib,
                   settle, wait_for)

HERE = pathlib.Path(__file__).parent
FAR_MORE = 1.8
KILLED_AFTER_SECONDS = 5
FRONT_DOOR = '[mqtt]\nlisten = "127.0.0.1:0"\n'
PEER_STORE = ("SELECT count(*) FROM message", "SELECT kit, seq FROM message")
VAGT_STORE = ("SELECT count(*) FROM vagt.message", "SELECT k.kit, m.seq FROM vagt.message m JOIN vagt.kit_key k ON k.key = m.kit")


# --- a service under load


def direct(stand, start, store, kills):
    """The publisher talks to the service itself: acknowledged is stored, so the load's own count is the rate."""
    service, port, roots = start()
    idle, before = memory_mib(roots()), cpu_seconds(roots())
    measured, acknowledged = finished(*stand.load(port, stand.args.seconds))
    used, all_of_it = cpu_seconds(roots()) - before, all_of(acknowledged, stand.after)
    found = {"messages_per_second": measured["messages_per_second"], "cpu_us_per_reading": used * 1e6 / (all_of_it * READINGS),
             "p99_ms": measured["publish_to_ack_ms"]["p99"], "idle_mib": idle, "loaded_mib": memory_mib(roots())}
    if store and kills:
        load, file = stand.load(port, KILLED_AFTER_SECONDS + 5, warm_up=0)
        time.sleep(KILLED_AFTER_SECONDS)
        stand.processes.stop(service, signal.SIGKILL)
        _, acknowledged = finished(load, file)
        found |= {"acknowledged": all_of(acknowledged, stand.after), "lost": lost(store, acknowledged, stand.after)}
    stand.processes.stop(service, signal.SIGKILL)
    return found


def brokered(stand, broker, start, store, roots, kills, probe_seconds=4):
    port, _ = broker
    service = start()
    idle, begun, first = memory_mib(roots()), time.monotonic(), store.count()
    finished(*stand.load(port, probe_seconds, warm_up=0))
    count, at = settle(store)
    about = (count - first) / max(at - begun, 0.1)
    load, file = stand.load(port, stand.args.seconds, about * 1.2, warm_up=2)
    time.sleep(2)
    before, used, begun = store.count(), cpu_seconds(roots()), time.monotonic()
    time.sleep(stand.args.seconds)
    seconds, stored, used = time.monotonic() - begun, store.count() - before, cpu_seconds(roots()) - used
    if not stored:
        sys.exit("compare: nothing was stored behind the broker: what is measured there does not run")
    found = {"messages_per_second": stored / seconds, "cpu_us_per_reading": used * 1e6 / (stored * READINGS), "idle_mib": idle,
             "loaded_mib": memory_mib(roots())}
    finished(load, file)
    settle(store)
    if kills and store.seqs() is not None:
        found["lost"], found["acknowledged"] = killed(stand, port, service, start, store, about * FAR_MORE)
    stand.processes.stop(service, signal.SIGKILL)
    return found


def killed(stand, port, service, start, store, rate):
    load, file = stand.load(port, KILLED_AFTER_SECONDS + 3, rate, warm_up=0)
    time.sleep(KILLED_AFTER_SECONDS)
    stand.processes.stop(service, signal.SIGKILL)
    _, acknowledged = finished(load, file)
    again = start()
    missing = lost_for_good(store, acknowledged, stand.after)
    stand.processes.stop(again, signal.SIGKILL)
    return missing, all_of(acknowledged, stand.after)


def bare_copy(stand, store, server):
    """The rows that Vagt has just stored, by one COPY into a table like theirs: what the database could do at best."""
    rows = server.data / "rows"
    store.ask(f"COPY (SELECT * FROM vagt.message) TO '{rows}' (FORMAT binary)")
    store.ask("CREATE TABLE copied (LIKE vagt.message INCLUDING ALL)")
    store.ask("CHECKPOINT")
    count, readings = (int(number) for number in store.ask("SELECT count(*), sum(cardinality(readings) / 3) FROM vagt.message")[0])
    before, begun = cpu_seconds([server.pid]), time.monotonic()
    store.ask(f"COPY copied FROM '{rows}' (FORMAT binary)")
    seconds = time.monotonic() - begun
    return {"messages_per_second": count / seconds, "cpu_us_per_reading": (cpu_seconds([server.pid]) - before) * 1e6 / max(readings, 1)}


# --- who is compared


def of_hub(stand, command, config, *others):
    process, ready = stand.vagt(command, config)
    return process, int(ready["mqtt"].rsplit(":", 1)[1]), lambda: [process.pid, *(other.pid for other in others)]


def bare(stand, kills):
    config = stand.hub(FRONT_DOOR)
    return {BARE: direct(stand, lambda: of_hub(stand, ["bench", "bare"], config), None, kills)}


def vagt_sqlite(stand, kills):
    config = stand.hub(FRONT_DOOR)
    return {VAGT_SQLITE: direct(stand, lambda: of_hub(stand, ["serve", "--json"], config), SqliteStore(config), kills)}


def vagt_postgres(stand, kills):
    dsn, server = stand.postgres()
    config, store = stand.hub(FRONT_DOOR, store=dsn), PostgresStore(dsn, *VAGT_STORE)
    found = direct(stand, lambda: of_hub(stand, ["serve", "--json"], config, server), store, kills)
    copied = bare_copy(stand, store, server)
    stand.processes.stop(server, signal.SIGINT)
    return {VAGT_POSTGRES: found, COPY: copied}


def vagt_broker(stand, kills):
    broker = stand.mosquitto()
    config = stand.hub(f'[broker]\nhost = "127.0.0.1"\nport = {broker[0]}\n{FRONT_DOOR}')
    started = []

    def start():
        process, ready = stand.vagt(["serve", "--json"], config)
        started.append(process)
        wait_for("the broker's subscription", lambda: "vagt_broker_connected 1" in got(f"{ready['http']}/metrics"))
        return process

    found = brokered(stand, broker, start, SqliteStore(config), lambda: [broker[1].pid, started[-1].pid], kills)
    stand.processes.stop(broker[1])
    return {VAGT_BROKER: found}


def subscriber(stand, kills):
    broker = stand.mosquitto()
    file = stand.folder / "counted"
    command = ["mosquitto_sub", "-p", broker[0], "-V", "mqttv5", "-q", "1", "-t", "vagt/v1/+/readings", "-F", "."]
    started = []

    def start():
        started.append(stand.processes.start(command, stdout=file.open("wb")))
        return started[-1]

    file.touch()
    found = brokered(stand, broker, start, LinesStore(file), lambda: [broker[1].pid, started[-1].pid], kills)
    stand.processes.stop(broker[1])
    return {SUBSCRIBER: found}


def peer(stand, kills, name, command, environment=None):
    """A service between Mosquitto and PostgreSQL; `command` takes the port and the database."""
    broker, (dsn, server) = stand.mosquitto(), stand.postgres()
    subprocess.run(["psql", "-qf", HERE / "schema.sql", dsn], check=True)
    started = []

    def start():
        more = environment(broker[0], dsn) if environment else {}
        started.append(stand.processes.start(command(broker[0], dsn), env={**os.environ, **more}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(5 if environment else 2)
        if started[-1].poll() is not None:
            sys.exit(f"compare: {name} ended at once with {started[-1].returncode}: start it by hand, and look at what it says")
        return started[-1]

    store = PostgresStore(dsn, *PEER_STORE)
    found = brokered(stand, broker, start, store, lambda: [broker[1].pid, server.pid, started[-1].pid], kills)
    stand.processes.stop(broker[1])
    stand.processes.stop(server, signal.SIGINT)
    return {name: found}


def careful(stand, kills):
    return peer(stand, kills, CAREFUL, lambda port, dsn: [sys.executable, HERE / "careful.py", port, dsn])


def node_red(stand, kills):
    program = HERE / "nodered/node_modules/node-red/red.js"

    def environment(port, dsn):
        return {"COMPARE_MQTT_PORT": str(port), "COMPARE_DATABASE": dsn, "COMPARE_HTTP_PORT": str(free_port())}

    def command(_port, _dsn):
        return ["node", program, "--settings", HERE / "nodered/settings.js", "--userDir", stand.folder / "node-red"]

    return peer(stand, kills, NODE_RED, command, environment)


BARE, VAGT_SQLITE, VAGT_POSTGRES, COPY = "bare front door", "Vagt, SQLite", "Vagt, PostgreSQL", "bare COPY, PostgreSQL"
SUBSCRIBER, VAGT_BROKER = "Mosquitto, bare subscriber", "Mosquitto, Vagt, SQLite"
CAREFUL, NODE_RED = "Mosquitto, careful Python, PostgreSQL", "Mosquitto, Node-RED, PostgreSQL"
WHO = {"bare": bare, "vagt-sqlite": vagt_sqlite, "vagt-postgres": vagt_postgres, "subscriber": subscriber, "vagt-broker": vagt_broker,
       "careful": careful, "node-red": node_red}
# What each is beside, and how many times as fast it is meant to be.
FLOORS = {VAGT_SQLITE: BARE, VAGT_POSTGRES: COPY, VAGT_BROKER: SUBSCRIBER}


def summary(name, rounds):
    """The medians of one service's rounds, its ratios taken within each round."""
    of = [found[name] for found in rounds if name in found]

    def median(key):
        return statistics.median(one[key] for one in of) if key in of[0] else None

    def ratio(to, key):
        pairs = [(found[name][key], found[to][key]) for found in rounds if name in found and to in found]
        return statistics.median(one / max(other, 1e-9) for one, other in pairs) if pairs else None

    floor = FLOORS.get(name)
    lines = {"bench": "compare", "service": name, "rounds": len(of), "floor": floor, "of_the_floor": ratio(floor, "messages_per_second") if floor else None,
             "of_the_careful_service": ratio(CAREFUL, "messages_per_second"), "cpu_of_the_careful_service": ratio(CAREFUL, "cpu_us_per_reading")}
    lines |= {key: median(key) for key in ("messages_per_second", "cpu_us_per_reading", "p99_ms", "idle_mib", "loaded_mib")}
    lines["rates"] = [one["messages_per_second"] for one in of]
    return lines | {key: of[-1].get(key) for key in ("acknowledged", "lost")}


def table(lines):
    head = ["service", "messages/s", "of its floor", "of the careful service", "CPU µs a reading", "idle MiB", "loaded MiB", "lost on kill -9"]
    rows = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    for of in lines:
        told = "" if of["lost"] is None else f"{of['lost']:,} of {of['acknowledged']:,}"
        cells = [of["service"], f"{of['messages_per_second']:,.0f}", shown(of["of_the_floor"], 2), shown(of["of_the_careful_service"], 2),
                 f"{of['cpu_us_per_reading']:.1f}", shown(of["idle_mib"], 0), shown(of["loaded_mib"], 0), told]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def shown(number, digits):
    return "" if number is None else f"{number:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description="Vagt beside its floors and beside what one would pick instead, under the same load.")
    parser.add_argument("--vagt", type=pathlib.Path, default=pathlib.Path("target/release/vagt"), help="the program that is measured")
    parser.add_argument("--only", nargs="+", choices=WHO, default=list(WHO), help="these alone")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured, in turns")
    parser.add_argument("--seconds", type=int, default=15, help="how long each is measured in a round")
    parser.add_argument("--kits", type=int, default=200, help="how many kits send")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the figures as JSON lines")
    args = parser.parse_args()
    args.vagt = args.vagt.resolve()
    rounds = []
    with tempfile.TemporaryDirectory(prefix="vagt-compare-") as folder:
        os.chmod(folder, 0o755)
        for number in range(1, args.rounds + 1):
            rounds.append({})
            for who in args.only:
                print(f"round {number} of {args.rounds}: {who} ...", file=sys.stderr, flush=True)
                with Stand.within(args, folder) as stand:
                    rounds[-1] |= WHO[who](stand, kills=number == args.rounds)
    names = list(dict.fromkeys(name for found in rounds for name in found))
    lines = [summary(name, rounds) for name in names]
    if args.json:
        args.json.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(table(lines))


if __name__ == "__main__":
    main()
