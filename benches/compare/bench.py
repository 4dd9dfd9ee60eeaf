# Every figure in one run: `make bench` (about an hour), `QUICK=1 make bench` (about 8, with fewer and smaller steps), or
#
#     target/venv-compare/bin/python benches/compare/bench.py --vagt target/release/vagt [--quick] [--only compare latency idle growth upgrade]
#
# What is measured goes to target/bench/figures.jsonl, a JSON object a line, and from there into the page by write.py: no figure is typed by hand.

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import write
from stand import Stand

HERE = pathlib.Path(__file__).parent
STEPS = {
    "compare": {"whole": ["--rounds", "2", "--seconds", "15"], "quick": ["--rounds", "1", "--seconds", "6"]},
    "latency": {"whole": ["--seconds", "12"], "quick": ["--seconds", "5"]},
    "idle": {"whole": ["--kits", "100000"], "quick": ["--kits", "20000", "--seconds", "40"]},
    "growth": {"whole": [], "quick": ["--sizes", "1", "10", "--patients", "1000", "--seconds", "5", "--rounds", "1", "--pages", "150"]},
    "upgrade": {"whole": ["--messages", "1000000"], "quick": ["--messages", "100000"]},
}


def vagt(args, *command):
    """The JSON lines that it prints."""
    out = subprocess.run([args.vagt, "bench", *command, "--json"], check=True, stdout=subprocess.PIPE, text=True,
                         env={**os.environ, "RUST_LOG": "error"}).stdout
    return [json.loads(line) for line in out.splitlines()]


def script(args, name, more):
    """The same of a script beside this one."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        subprocess.run([sys.executable, HERE / f"{name}.py", "--vagt", args.vagt, "--json", file.name, *more], check=True)
        return [json.loads(line) for line in pathlib.Path(file.name).read_text().splitlines()]


def compare(args, more):
    return script(args, "compare", more)


def growth(args, more):
    return script(args, "growth", more)


def upgrade(args, more):
    return script(args, "upgrade", more)


def idle(args, more):
    return vagt(args, "idle", *more)


def latency(args, more):
    """From being published to being stored, and to being on the page, at a part of what was just measured as the most."""
    lines = [{"bench": "latency", "store": "sqlite", **line} for line in vagt(args, "ingest", *more)]
    args.kits = 1
    with tempfile.TemporaryDirectory(prefix="vagt-bench-") as folder:
        os.chmod(folder, 0o755)
        with Stand.within(args, folder) as stand:
            found = vagt(args, "ingest", "--store", stand.postgres()[0], *more)
    return lines + [{"bench": "latency", "store": "postgres", **line} for line in found]


def machine(args):
    """Where it was measured, and with what."""

    def said(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip().splitlines()[0]

    cpu = next(line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = next(line for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {"bench": "machine", "date": time.strftime("%Y-%m-%d"), "commit": said("git", "describe", "--always", "--dirty"), "quick": args.quick, "cpu": cpu.split(":")[1].strip(), "cores": os.cpu_count(),
            "memory_gib": round(int(memory.split()[1]) / 2**20), "kernel": platform.release(),
            "disk": said("findmnt", "-no", "FSTYPE", "-T", tempfile.gettempdir()),
            "versions": [said(args.vagt, "--version"), said("psql", "--version"), said("mosquitto", "-h"), f"Python {platform.python_version()}",
                         f"Node {said('node', '--version')}"]}


def main():
    parser = argparse.ArgumentParser(description="Every figure in one run.")
    parser.add_argument("--vagt", type=pathlib.Path, default=pathlib.Path("target/release/vagt"), help="the program that is measured")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller steps")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), help="these steps alone; the figures of the others stay as they were")
    parser.add_argument("--into", type=pathlib.Path, default=pathlib.Path("target/bench"), help="where the figures go")
    parser.add_argument("--page", type=pathlib.Path, help="the page to write; beside the figures, if left out")
    args = parser.parse_args()
    args.vagt = args.vagt.resolve()
    args.into.mkdir(parents=True, exist_ok=True)
    here = machine(args)
    (args.into / "machine.jsonl").write_text(json.dumps(here) + "\n")
    for step in args.only:
        begun = time.monotonic()
        print(f"{step} ...", file=sys.stderr, flush=True)
        lines = globals()[step](args, STEPS[step]["quick" if args.quick else "whole"])
        measured = {"bench": "measured", "step": step, **{key: here[key] for key in ("date", "commit", "quick")}}
        (args.into / f"{step}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [measured, *lines]))
        print(f"{step}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    figures = args.into / "figures.jsonl"
    files = [args.into / f"{step}.jsonl" for step in ["machine", *STEPS]]
    figures.write_text("".join(file.read_text() for file in files if file.exists()))
    page = args.page or args.into / "benchmarks.md"
    page.write_text(write.page(write.read(figures)))
    print(page.read_text())


if __name__ == "__main__":
    main()
