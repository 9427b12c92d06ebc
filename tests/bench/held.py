"""Many connections held with a process each: what they take, and whether what is done for one costs
more where there are many.

A run opens the connections a thousand at a time, looks at the server while all are held, asks on
each once more, and closes them: a thousand while the others are there, then all but a thousand at
once, then the last. What the first thousand cost is compared with what the last did. Beside it the
ceiling does the same, whose growth is the kernel's. What it has no figure for is None.
"""

import statistics
import time

import clients
import machine
import memory
import processes
import room
import stats
from servers import Ceiling, Daemon

DEFAULT_COUNT = 30_000  # what the stock pid_max of 32,768 has room for
STEP = 1000
ROUNDS = 3
STATUS_SAMPLES = 9
STATUS_MS = stats.Target(highest=100)
OWN_BYTES = stats.Target(highest=128)  # a cache line or two
GROWTH = stats.Target(highest=1.25)    # "does not grow", with room for cold caches
MOST_BYTES = stats.Target(highest=15 * 2**30)
MOST_BYTES_FROM = 100_000  # connections
_QUIET_S = 0.3             # what is done later for an end is in its cost
_ENDED_S = 120
_OTHERS = 20  # processes that may have begun elsewhere meanwhile


class _Watch:
    """What a server's parents and the whole machine spend."""

    def __init__(self, server):
        self._acceptor = server.acceptor()
        self._begin = self._read()

    def _read(self):
        whole = machine.counters()
        return {"seconds": time.monotonic(), "steal_us": whole["steal_us"],
                "machine_us": whole["user_us"] + whole["system_us"] + whole["interrupt_us"],
                "acceptor_us": processes.activity(self._acceptor)["cpu_ns"] / 1000}

    def since(self, connections):
        """Since the last call: the seconds, and the others for each of `connections`."""
        now = self._read()
        spent = machine.difference(now, self._begin)
        self._begin = now
        return {key: value if key == "seconds" else value / connections
                for key, value in spent.items()}


def _own_memory(server):
    """Of the processes that a server has above its children: bytes that nobody else has, and all
    that they have."""
    pids = {server.pid, server.acceptor()}
    found = [processes.memory(pid) for pid in pids]
    return {key: sum(one[key] for one in found) for key in ("private", "resident")}


def _status_ms(server):
    if server.show_status is None:
        return None
    samples = []
    for _ in range(STATUS_SAMPLES):
        begin = time.monotonic()
        server.show_status()
        samples.append((time.monotonic() - begin) * 1000)
    return statistics.median(samples)


def _open(server, holder, count):
    """Opens until `count` are held. Returns what each thousand took, and status after the first."""
    watch, steps, status_ms = _Watch(server), [], None
    while holder.count < count:
        more = min(STEP, count - holder.count)
        holder.open(more)
        steps.append(watch.since(more))
        if len(steps) == 1:
            status_ms = _status_ms(server)
            watch.since(1)
    return steps, status_ms


def _wait_for_ends(server, before, ends):
    """Until `ends` of the `before` tasks of the machine are gone, and the books show it. Neither
    looks at each process, which would take longer than the ends do."""
    def gone():
        return room.tasks() <= before - ends + _OTHERS
    def booked():
        if server.status is None:
            return True
        status = server.status()
        return status["connections"]["active"] == status["children"]["busy"] == server.held - ends
    if not (processes.wait_until(gone, _ENDED_S) and processes.wait_until(booked, _ENDED_S, 0.02)):
        raise processes.BenchError(f"{ends} connections were closed, and their processes remain")


def _close(server, holder, fewer):
    """Closes `fewer` at once. What that took until the books show it, and the acceptor for each."""
    watch, begin, tasks = _Watch(server), time.monotonic(), room.tasks()
    server.held = holder.count
    holder.close(fewer)
    _wait_for_ends(server, tasks, fewer)
    seconds = time.monotonic() - begin
    time.sleep(_QUIET_S)
    return {**watch.since(fewer), "seconds": seconds}


def _close_all(server, holder):
    """A thousand of many, most of them, and the last thousand."""
    few = min(STEP, holder.count // 3)
    first = _close(server, holder, few)
    most_count = holder.count - few
    most = _close(server, holder, most_count)
    return {"first": first, "most": most, "most_count": most_count,
            "last": _close(server, holder, holder.count)}


def _hold_once(build, side, count):
    with side.running() as server:
        # What is done only once, and what parent and child share, is no connection's cost.
        with clients.holding(build, server.port, 1) as holder:
            before, own = memory.settled_parts(), _own_memory(server)
            begin = time.monotonic()
            steps, first_status_ms = _open(server, holder, count)
            seconds = time.monotonic() - begin
            running = len(processes.descendants(server.pid))
            parts, held_own = memory.settled_parts(), _own_memory(server)
            status_ms = _status_ms(server)
            begin = time.monotonic()
            holder.ask()
            asked_s = time.monotonic() - begin
            ends = _close_all(server, holder)
    above = 0 if server.status is None else 1
    return {"processes": running - above, "seconds": seconds, "asked_s": asked_s,
            "parts": machine.difference(parts, before),
            "bytes": sum(parts.values()) - sum(before.values()),
            "own": {key: (held_own[key] - own[key]) / (count - 1) for key in own},
            "steps": steps, "status_ms": {"first": first_status_ms, "held": status_ms},
            "ends": ends}


def _figures(record):
    """The figures of one run of a side that are compared."""
    first, last = record["steps"][0], record["steps"][-1]
    ends = record["ends"]
    return {"accept_us": {"first": first["acceptor_us"], "last": last["acceptor_us"]},
            "reap_us": {"first": ends["last"]["acceptor_us"], "last": ends["first"]["acceptor_us"],
                        "most": ends["most"]["acceptor_us"]},
            "machine_us": {"first": first["machine_us"], "last": last["machine_us"]},
            "step_s": {"first": first["seconds"], "last": last["seconds"]}}
