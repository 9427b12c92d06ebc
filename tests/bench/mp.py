"""common/mp against the bare system calls beneath it, and against CPython, in interleaved rounds."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import stats
from processes import BenchError, end_group, start

PI_TERMS = 100_000_000
CPYTHON = pathlib.Path(__file__).with_name("cpython.py")


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table: two commands that each print {"ns_each": ...}."""
    name: str
    ours: tuple
    other: tuple
    target: stats.Target  # of ours / other, in time


def lines(build):
    ours, ceiling = build / "mp_speed", build / "ceiling"
    cpython = (sys.executable, CPYTHON)
    return [
        Line("Process start + join / bare fork + wait", (ours, "process", 3000),
             (ceiling / "fork_exit_wait", 3000), stats.Target(highest=1.15)),
        Line("Lock / bare robust mutex", (ours, "lock", 5_000_000),
             (ceiling / "robust_mutex", 5_000_000), stats.Target(highest=1.5)),
        Line("locked Value / bare robust mutex", (ours, "value", 5_000_000),
             (ceiling / "robust_mutex", 5_000_000), stats.Target(highest=1.5)),
        Line("Queue / CPython's Queue", (ours, "queue", 1_000_000),
             (*cpython, "queue", 50_000), stats.Target(highest=0.2)),
        Line("Pool.apply / bare round trip", (ours, "apply", 20_000),
             (ceiling / "round_trip", 20_000), stats.Target(highest=1.25)),
        Line("Pool.apply / CPython's Pool.apply", (ours, "apply", 20_000),
             (*cpython, "apply", 3000), stats.Target(highest=0.5)),
        Line("Pool(8) / eight bare forks", (ours, "pool", 200),
             (ceiling / "eight_forks", 200), stats.Target(highest=2.0)),
        Line("pi by ten processes / ten bare forks", (ours, "pi", PI_TERMS),
             (ceiling / "pi_by_forks", PI_TERMS), stats.Target(highest=1 / 0.95)),
    ]


def _run(command):
    process = start(list(command), stdout=subprocess.PIPE)
    try:
        output = process.communicate(timeout=120)[0]
    finally:
        end_group(process)
    if process.returncode != 0:
        raise BenchError(f"{command[0]} ended with {process.returncode}")
    return json.loads(output)


def measure(line, rounds):
    taken = {"ours": [], "other": []}
    for turn in range(rounds):
        for key in ("ours", "other") if turn % 2 == 0 else ("other", "ours"):
            taken[key].append(_run(getattr(line, key)))
    times = {key: [one["ns_each"] for one in runs] for key, runs in taken.items()}
    ratio = stats.ratios(times["ours"], times["other"])
    results = {one["pi"] for runs in taken.values() for one in runs if "pi" in one}
    return {"name": line.name, "ns_each": {key: stats.Spread.of(t) for key, t in times.items()},
            "ratio": ratio, "target": line.target, "same_result": len(results) <= 1,
            "met": line.target.met_by(ratio.median) and len(results) <= 1}
