# The page of the figures, docs/benchmarks.md, from what `make bench` has measured:
#
#     python3 benches/compare/write.py target/bench/figures.jsonl docs/benchmarks.md

import json
import pathlib
import sys

import compare
import growth
import upgrade

INTRO = """\
# Measured

Written by `make bench` from what it measured (`target/bench/figures.jsonl`); no figure here was typed. Rates swing from run to run, and on two
cores the load takes its share of them: **ratios within this run, and CPU µs a reading** (user and system time of all server processes, the broker's and the
database's too) are what is claimed. Messages have four readings. Everything is durable when it is acknowledged: `synchronous=FULL`, `fsync` and
`synchronous_commit` on. Why it is measured so: [decision 0097](decisions/0097-figures-of-one-run.md).
"""

BESIDE = """\
## Beside its floors, and beside what one would pick instead

The bare front door is the same MQTT door with one synced append for each batch and no triage; the bare COPY is the rows that Vagt has just stored, once more,
by one `COPY` into a table like theirs; the bare subscriber is `mosquitto_sub` counting. The careful service (Python: manual acknowledgements in order, batches, COPY,
acknowledged after the commit) and Node-RED (MQTT in, one statement a message) store in PostgreSQL; neither triages. Killed was each with SIGKILL while it was
offered more than it can take; lost is what its publisher had an acknowledgement for, and the store has not.
"""

GROWTH = """\
## As the store grows

Simulated people, eight readings a day each, over as many days as it takes, the last one yesterday. The backtest is of all of them over 90 days, the
COPD programme on both sides. A page is asked for over HTTP as a browser does; p50 / p99. Last over first is of rates and of medians: 1 is unchanged, 0.8 a fifth slower.
"""

STORAGE = """\
## Storage

A simulated cohort of people with COPD and heart failure over a year (`vagt cohort`): two sittings a day where somebody keeps to them, and their answers. The
messages with their marks and indexes; what the triage adds (alerts, assessments, journal) is not in it. TimescaleDB is the real extension, compiled to WebAssembly: its
sizes are its own, and rates are not measured on it.
"""

UPGRADE = """\
## Upgrading

A store of the first version with a history of simulated people, written as a program of that version left it; then this program: from the start of `vagt serve` until `/readyz`
says that it takes readings in. So long is the clinic away. The next start finds nothing to migrate. Before both, nothing of the store is in the machine's memory. Most memory
is what the service had until it was ready. On PostgreSQL the size has what is added up by hour and day in it.
"""


def read(file):
    lines = [json.loads(line) for line in pathlib.Path(file).read_text().splitlines()]
    return {bench: [line for line in lines if line["bench"] == bench] for bench in dict.fromkeys(line["bench"] for line in lines)}


def where(of, steps):
    """A step that was measured by itself says when, and of what."""
    quick = " QUICK=1: fewer and smaller steps than the figures that are claimed." if of["quick"] else ""
    runs = {(step["date"], step["commit"], step["quick"]) for step in steps}
    if len(runs) > 1:
        quick += " Not all in one run: " + ", ".join(f"{step['step']} on {step['date']} at {step['commit']}" for step in steps) + "."
    return (f"{of['date']}, {of['cores']} cores ({of['cpu']}), {of['memory_gib']} GiB, Linux {of['kernel']}, {of['disk']}; {', '.join(of['versions'])}. "
            f"Again: `make bench` (a step: `make bench ONLY=growth`).{quick}\n")


def latency(lines):
    rows = ["| store | load | messages/s | stored p50 | p99 | p99.9 | on the page p50 | p99 | p99.9 |", f"| --- | --- |{' ---: |' * 7}"]
    most = {of["store"]: of["messages_per_second"] for of in lines if of["phase"] == "pipeline"}
    for of in lines:
        if of["phase"] != "paced":
            continue
        stored, page = of["publish_to_ack_ms"], of["publish_to_visible_ms"]
        numbers = [f"{one[name]:,.1f} ms" if one["count"] else "none seen" for one in (stored, page) for name in ("p50", "p99", "p999")]
        rows.append(f"| {of['store']} | {of['percent']} % | {of['messages_per_second']:,.0f} | {' | '.join(numbers)} |")
    return "\n".join(["## From being published to the nurse's page", "", "At a part of the most that was measured just before by the same load"
                      + (": " + ", ".join(f"{store} {rate:,.0f} messages/s" for store, rate in most.items()) if most else "") + ".", "", *rows, ""])


def idle(of):
    said = (f"{of['connected']:,} kits connected, signed in and subscribed with nothing to send: {of['kib_per_connection']:.1f} KiB of the service's memory each "
            f"({of['idle_mib']:,.0f} MiB before, with their roster; {of['connected_mib']:,.0f} MiB after). After a restart they were all back in "
            f"{of['connect_seconds']:.0f} s, {of['connections_per_second']:,.0f} a second (p99 {of['connect_ms']['p99']:,.0f} ms, "
            f"{of['server_cpu_us_per_connection']:,.0f} CPU µs each).")
    stopped = f" Not all {of['kits']:,}: {of['stopped_by']}." if of["stopped_by"] else ""
    return f"## Idle kits\n\n{said}{stopped} The kernel's socket buffers are not in it.\n"


def aims(found):
    """What was aimed at, and what was measured: name, aim, figure, is it met?"""
    of = {line["service"]: line for line in found.get("compare", [])}
    embedded, postgres, broker = (of.get(name) for name in (compare.VAGT_SQLITE, compare.VAGT_POSTGRES, compare.VAGT_BROKER))
    rows = []

    def at_least(what, aim, line, key, digits=2):
        if line and line.get(key) is not None:
            rows.append((what, f"{aim:,} or more", f"{line[key]:,.{digits}f}", line[key] >= aim))

    def at_most(what, aim, line, key, digits=2):
        if line and line.get(key) is not None:
            rows.append((what, f"{aim:,} or less", f"{line[key]:,.{digits}f}", line[key] <= aim))

    at_least("embedded, of the bare front door", 0.7, embedded, "of_the_floor")
    at_least("embedded, messages/s", 30_000, embedded, "messages_per_second", 0)
    at_most("embedded, CPU µs a reading", 9, embedded, "cpu_us_per_reading", 1)
    at_least("PostgreSQL, messages/s", 20_000, postgres, "messages_per_second", 0)
    at_most("PostgreSQL, CPU µs a reading", 14, postgres, "cpu_us_per_reading", 1)
    at_least("broker source, of a bare subscriber", 0.7, broker, "of_the_floor")
    at_least("embedded, of the careful service", 3.5, embedded, "of_the_careful_service")
    at_least("PostgreSQL, of the careful service", 2.5, postgres, "of_the_careful_service")
    at_most("embedded, CPU of the careful service's", 0.25, embedded, "cpu_of_the_careful_service")
    for line in found.get("latency", []):
        if line["phase"] == "paced" and line["percent"] == 50 and line["publish_to_visible_ms"]["count"]:
            at_most(f"{line['store']}, on the page at half load, p99 in ms", 250, line["publish_to_visible_ms"], "p99", 0)
    for line in found.get("growth-ratio", []):
        for name, ratio in line["last_over_first"].items():
            span = f"{line['from'] // 1_000_000} to {line['to'] // 1_000_000} million readings"
            at_least(f"{line['store']}, {name.replace('_', ' ')}, {span}", 0.8, {"ratio": ratio}, "ratio")
    return rows


def aims_table(rows):
    lines = ["## Aims", "", "| figure | aim | measured | |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {what} | {aim} | {figure} | {'met' if met else '**not met**'} |" for what, aim, figure, met in rows]
    return "\n".join([*lines, ""])


def page(found):
    parts = [INTRO, where(found["machine"][0], found.get("measured", []))]
    if rows := aims(found):
        parts.append(aims_table(rows))
    if "compare" in found:
        parts += [BESIDE, compare.table(found["compare"]) + "\n"]
    if "latency" in found:
        parts.append(latency(found["latency"]))
    if "idle" in found:
        parts.append(idle(found["idle"][0]))
    if "growth" in found:
        parts += [GROWTH, growth.growth_table(found["growth"]) + "\n"]
    if "storage" in found:
        parts += [STORAGE, growth.storage_table(found["storage"]) + "\n"]
    if "upgrade" in found:
        parts += [UPGRADE, upgrade.table(found["upgrade"]) + "\n"]
    return "\n".join(parts)


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(page(read(sys.argv[1])))
