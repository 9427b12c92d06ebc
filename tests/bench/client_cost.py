"""What a request costs the load client in processor time, beside other clients of the same server.

The processor time is that of the client's processes from their start to their end (wait4), over all
the requests that they made, so that making connections and writing the result are in it. The server
is the same program on both sides of a round, fresh for each slice.
"""

import dataclasses
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import time

import stats
from processes import BenchError, end_group, start
from servers import Ceiling, Daemon

CONNECTIONS = 64
SIZE = 64
RATE = 50_000
WARM_S = 0.2
CLOSED = stats.Target(highest=1.0)
PACED = stats.Target(highest=0.5)
NONE = stats.Target()


def _read_to_end(process, seconds):
    deadline, output = time.monotonic() + seconds, b""
    while select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            return output.decode(errors="replace")
        output += part
    raise BenchError(f"{process.args[0]} does not end")


def _run(command, seconds):
    """The output of a program, and what it and its children used."""
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output = _read_to_end(process, seconds + 60)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        end_group(process)
    return output, usage, process.returncode


def _cost(requests, usage, errors=0, lag_us=None):
    if requests <= 0:
        raise BenchError("a client made no request")
    return {"us": (usage.ru_utime + usage.ru_stime) * 1e6 / requests,
            "user_us": usage.ru_utime * 1e6 / requests,
            "system_us": usage.ru_stime * 1e6 / requests,
            "switches": (usage.ru_nvcsw + usage.ru_nivcsw) / requests,
            "requests": requests, "errors": errors, "lag_us": lag_us}


class ForkechoLoad:
    """forkecho load, with every reply compared and all percentiles, as ever."""

    def __init__(self, build, *options):
        self.name = " ".join(["load", *map(str, options)])
        self._program = build / "forkecho"
        self._options = options

    def command(self, port, seconds):
        return [self._program, "load", f"127.0.0.1:{port}", "-c", CONNECTIONS, "-s", SIZE,
                "-d", f"{seconds - WARM_S:.3f}s", "--warmup", f"{WARM_S}s", "--quiet",
                "--json", "-", *self._options]

    def drive(self, port, seconds):
        output, usage, _ = _run(self.command(port, seconds), seconds)
        try:
            run = json.loads(output)
        except json.JSONDecodeError as error:
            raise BenchError(f"forkecho load: {output.strip()}") from error
        wrong = run["verification"]
        errors = (wrong["mismatched"] + wrong["short"] + wrong["extra"]
                  + sum(run["requests"]["failed"].values()))
        lag = run["generator"]["lag"]["p99"]
        return _cost(run["totals"]["requests"], usage, errors, None if lag is None else lag / 1000)


class EchoThreads:
    """The ceiling: a thread for each connection that looks at nothing."""

    def __init__(self, build):
        self.name = "echo_threads"
        self._program = build / "ceiling" / "echo_threads"

    def drive(self, port, seconds):
        output, usage, code = _run([self._program, "127.0.0.1", port, CONNECTIONS,
                                    f"{seconds:.3f}", SIZE], seconds)
        if code != 0:
            raise BenchError(f"echo_threads: {output.strip()}")
        return _cost(json.loads(output)["requests"], usage)


class RustEchoBench:
    """https://github.com/haraldh/rust_echo_bench; its times are whole seconds."""

    def __init__(self, program):
        self.name = "rust_echo_bench"
        self._program = program

    def drive(self, port, seconds):
        output, usage, _ = _run([self._program, "-a", f"127.0.0.1:{port}", "-l", SIZE,
                                 "-c", CONNECTIONS, "-t", max(1, round(seconds))], seconds)
        responses = re.search(r"Responses: (\d+)", output)
        if not responses:
            raise BenchError(f"rust_echo_bench: {output.strip()}")
        return _cost(int(responses[1]), usage)


class Tcpkali:
    """https://github.com/satori-com/tcpkali, paced; it waits for no reply before it sends on, and
    joins what is due on a connection into one write."""

    def __init__(self, program, *options):
        self.name = " ".join(["tcpkali", *options])
        self._program = program
        self._options = options

    def drive(self, port, seconds):
        output, usage, _ = _run([self._program, "-c", CONNECTIONS, "--connect-rate", 10000,
                                 "-T", f"{seconds:.3f}s", "-r", RATE / CONNECTIONS,
                                 "-m", "a" * (SIZE - 1) + "z", *self._options,
                                 f"127.0.0.1:{port}"], seconds)
        sent = re.search(r"Total data sent:.*\((\d+) bytes\)", output)
        if not sent:
            raise BenchError(f"tcpkali: {output.strip()}")
        return _cost(int(sent[1]) // SIZE, usage)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One line. `server` has `name` and `running()`; `ours` and `other` have `drive`."""
    load: str
    server: object
    ours: object
    other: object
    target: stats.Target = NONE


def comparisons(build, rust_echo_bench=None, tcpkali=None):
    """Against a server of one blocking process for each connection, and one that multiplexes."""
    result = []
    for server in (Ceiling(build, "prefork_loop", CONNECTIONS), Daemon(build, "event")):
        closed = [EchoThreads(build)]
        if rust_echo_bench:
            closed.append(RustEchoBench(rust_echo_bench))
        for other in closed:
            result.append(Comparison("closed loop", server, ForkechoLoad(build), other, CLOSED))
        if tcpkali:
            result.append(Comparison(f"{RATE:,}/s", server, ForkechoLoad(build, "-r", RATE),
                                     Tcpkali(tcpkali), PACED))
            result.append(Comparison(f"{RATE:,}/s", server,
                                     ForkechoLoad(build, "-r", RATE, "-w", 1),
                                     Tcpkali(tcpkali, "--latency-marker", "z")))
    return result


def measure(comparison, rounds, seconds):
    """Runs the rounds, the order of the sides alternating, and returns the line's record."""
    taken = {"ours": [], "other": []}
    for turn in range(rounds):
        for key in ("ours", "other") if turn % 2 == 0 else ("other", "ours"):
            with comparison.server.running() as server:
                taken[key].append(getattr(comparison, key).drive(server.port, seconds))
    costs = {key: [s["us"] for s in slices] for key, slices in taken.items()}
    ratio = stats.ratios(costs["ours"], costs["other"])
    lags = [s["lag_us"] for s in taken["ours"] if s["lag_us"] is not None]
    keys = ("us", "user_us", "system_us", "switches")
    return {"load": comparison.load, "server": comparison.server.name,
            "ours": comparison.ours.name, "other": comparison.other.name,
            "us": {key: stats.Spread.of(values) for key, values in costs.items()},
            "parts": {key: stats.medians([{k: s[k] for k in keys} for s in slices])
                      for key, slices in taken.items()},
            "lag_p99_us": stats.Spread.of(lags) if lags else None,
            "ratio": ratio, "target": comparison.target,
            "met": comparison.target.met_by(ratio.median),
            "errors": sum(s["errors"] for s in taken["ours"])}


def _calls_of(summary):
    """strace -c's table as name -> calls."""
    calls = {}
    for line in summary.splitlines():
        words = line.split()
        if len(words) >= 5 and words[0].replace(".", "").isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    return calls


def system_calls(build, seconds=1.0):
    """The client's system calls per request, closed and paced, from strace -c; None without strace.
    strace slows the client some tenfold, so that a paced run is one at a tenth of the rate."""
    if not shutil.which("strace"):
        return None
    result = {}
    for name, client in (("closed loop", ForkechoLoad(build)),
                         (f"{RATE // 10:,}/s", ForkechoLoad(build, "-r", RATE // 10))):
        with tempfile.TemporaryDirectory(prefix="forkecho-bench-") as folder, \
                Daemon(build, "event").running() as server:
            table = pathlib.Path(folder) / "calls"
            output, _, _ = _run(["strace", "-f", "-c", "-o", table,
                                 *client.command(server.port, seconds)], seconds)
            try:
                requests = json.loads(output)["totals"]["requests"]
            except json.JSONDecodeError as error:
                raise BenchError(f"strace forkecho load: {output.strip()}") from error
            calls = _calls_of(table.read_text(encoding="utf-8"))
        result[name] = {"requests": requests,
                        "per_request": {call: count / requests for call, count in calls.items()}}
    return result
