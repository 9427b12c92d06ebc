"""How long a client waits for a fresh process: pool-single-use beside pool-shared.

Both at half of what pool-single-use can do at most, in an open loop of connections that carry one
request each: from the moment at which a connection is due, by way of its connect, to its reply of
one segment, as `forkecho load` records it. What of it is the load client's own lateness is told
beside it, as are the parts: the connect, and from the request's send to the first byte.
"""

import json
import statistics
import subprocess

import clients
import machine
import stats
from processes import BenchError, end_group, start
from rates import Load
from servers import Daemon

TARGET = stats.Target(highest=1.25)
CAPACITY_SLICES = 3
CLOSED = Load("crr", 16, 64)
AT_ONCE = 64  # the most connections that may be open
WARM_S = 0.3
VALID, WRONG, INVALID = 0, 1, 2  # exit codes of forkecho


def _sides(build):
    return {"single": Daemon(build, "pool", "--connections-per-worker-life", 1),
            "shared": Daemon(build, "pool")}


def _capacity(build, side, seconds):
    """Connections per second of a closed loop, the median of a few fresh servers."""
    rates = []
    for _ in range(CAPACITY_SLICES):
        with side.running() as server:
            clients.drive(build, server, CLOSED, WARM_S)
            rates.append(clients.drive(build, server, CLOSED, seconds)["cps"])
    return statistics.median(rates)


def _load(build, port, rate, seconds):
    command = [build / "forkecho", "load", f"127.0.0.1:{port}", "--workload", "crr",
               "--rate", rate, "--connections", AT_ONCE, "--workers", 1, "--size", CLOSED.size,
               "--duration", f"{seconds}s", "--warmup", f"{WARM_S}s", "--quiet", "--json", "-"]
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=seconds + 60)
    except subprocess.TimeoutExpired as error:
        raise BenchError("forkecho load does not end") from error
    finally:
        end_group(process)
    if process.returncode not in (VALID, WRONG, INVALID):
        raise BenchError(f"forkecho load: {errors.strip()}")
    return json.loads(output), process.returncode


def _slice(build, side, rate, seconds):
    with side.running() as server:
        before = machine.counters()
        run, status = _load(build, server.port, rate, seconds)
        whole = machine.difference(machine.counters(), before)
    wait, first = run["latency"]["from_intended"], run["first_byte"]
    all_us = sum(whole[f"{kind}_us"] for kind in ("user", "system", "interrupt", "idle", "steal"))
    return {"wait_p50_us": wait["p50"] / 1000, "wait_p99_us": wait["p99"] / 1000,
            "connect_p99_us": run["connect"]["p99"] / 1000,
            "first_byte_p50_us": first["p50"] / 1000, "first_byte_p99_us": first["p99"] / 1000,
            "lag_p99_us": run["generator"]["lag"]["p99"] / 1000,
            "idle_share": whole["idle_us"] / all_us, "steal_share": whole["steal_us"] / all_us,
            "wrong": status == WRONG, "invalid": run["generator"]["verdict"] != "VALID"}


def measure(build, rounds, seconds):
    """Both sides in interleaved rounds, the order alternating."""
    sides = _sides(build)
    capacity = _capacity(build, sides["single"], seconds)
    rate = max(1, int(capacity / 2))
    taken = {key: [] for key in sides}
    for turn in range(rounds):
        for key in sides if turn % 2 == 0 else reversed(sides):
            taken[key].append(_slice(build, sides[key], rate, seconds))
    ratios = {name: stats.ratios(*([one[name] for one in taken[key]]
                                   for key in ("single", "shared")))
              for name in ("wait_p99_us", "first_byte_p99_us")}
    every = taken["single"] + taken["shared"]
    ratio = ratios["wait_p99_us"]
    return {"capacity": capacity, "rate": rate, "rounds": rounds, "ratio": ratio,
            "first_byte_ratio": ratios["first_byte_p99_us"], "target": TARGET,
            "met": TARGET.met_by(ratio.median), "errors": sum(one["wrong"] for one in every),
            "invalid": sum(one["invalid"] for one in every),
            "figures": {key: {name: stats.Spread.of([one[name] for one in slices])
                              for name in slices[0] if name not in ("wrong", "invalid")}
                        for key, slices in taken.items()}}
