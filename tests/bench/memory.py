"""Memory per held connection.

The figure is the growth of kernel stacks, page tables, unreclaimable slab and anonymous pages over
the whole machine: what a process costs is mostly in the kernel, where no process's own figures show
it. It is never the free memory, of which the previous run is still giving back. The client's
sockets are in it, on both sides alike.
"""

import time

import clients
import machine
import processes
import stats
from servers import Ceiling, Daemon

PARTS = ("KernelStack", "PageTables", "SUnreclaim", "AnonPages")
PER_CONNECTION = stats.Target(highest=1.05)
SAME = stats.Target(lowest=0.97, highest=1.03)
DEFAULT_MAX_CONNECTIONS = 10000
_CLOSE_ENOUGH = 64 * 1024
_SETTLE_S = 4  # on a machine that is never still, so that a run ends all the same
_CHILDREN_S = 30
_TRIES = 2
_TIME_WAIT_S = 65


def _fold_counters():
    """Makes the kernel add up what its processors count apart. True if it did (it takes root)."""
    try:
        with open("/proc/sys/vm/stat_refresh", "rb") as file:
            file.read()
        return True
    except OSError:
        return False


def read_parts():
    """Each part in bytes."""
    found = {}
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key in PARTS:
                found[key] = int(value.split()[0]) * 1024
    return found


def settled_parts():
    """The parts once they stand still: three readings in a row that are close; or the last one.

    Without root the readings are apart by more than the second after which the kernel adds up.
    """
    every = 0.1 if _fold_counters() else 1.1
    deadline = time.monotonic() + _SETTLE_S
    last, same = read_parts(), 0
    while same < 2 and time.monotonic() < deadline:
        time.sleep(every)
        _fold_counters()
        now = read_parts()
        still = all(abs(now[key] - last[key]) <= _CLOSE_ENOUGH for key in PARTS)
        same = same + 1 if still else 0
        last = now
    return last


def wait_for_quiet_sockets(count):
    """Sockets in TIME_WAIT that expire during a measurement would be taken for savings."""
    def forgotten():
        return machine.closed_connections_remembered() <= count // 4
    if not forgotten():
        print("  (waiting for connections of earlier runs to leave TIME_WAIT)", flush=True)
        processes.wait_until(forgotten, _TIME_WAIT_S, every=0.25)


def _wait_for_processes(pid, count):
    """Waits until `pid` has `count` processes below it; returns how many it has."""
    processes.wait_until(lambda: len(processes.descendants(pid)) == count,
                         _CHILDREN_S, every=0.2)
    return len(processes.descendants(pid))


def measure_held(build, side, count):
    """Holds `count` connections at a fresh server. Returns the growth per connection by part in
    bytes, how many processes that took, and how long. Where programs of others started or ended
    meanwhile, whose memory would be in it, it is done again; the last try stands, and says so."""
    for _ in range(_TRIES):
        others = processes.bystanders()
        record = _measure_held_once(build, side, count)
        record["disturbed"] = processes.bystanders() != others
        if not record["disturbed"]:
            break
    return record


def _measure_held_once(build, side, count):
    with side.running() as server:
        with clients.holding(build, server.port, 1):
            pass  # so that what the server does only once is not a connection's cost
        before = settled_parts()
        idle = len(processes.descendants(server.pid))
        begin = time.monotonic()
        with clients.holding(build, server.port, count):
            seconds = time.monotonic() - begin
            added = _wait_for_processes(server.pid, idle + count) - idle
            after = settled_parts()
        _wait_for_processes(server.pid, idle)
    growth = {key: (after[key] - before[key]) / count for key in PARTS}
    return {"processes": added, "seconds": seconds, "parts": growth, "sum": sum(growth.values())}


def _sides(build, count):
    # Room for one more: the warm-up's connection may not be counted out yet.
    limit = [] if count < DEFAULT_MAX_CONNECTIONS - 1 else ["--max-connections", count + 1]
    return {"ours": Daemon(build, "fork", *limit), "ceiling": Ceiling(build, "fork_loop")}


def compare(build, count, rounds, sides=None, target=PER_CONNECTION):
    """Memory per held connection, ours over the ceiling, in interleaved rounds."""
    sides = sides or _sides(build, count)
    wait_for_quiet_sockets(count)
    measure_held(build, sides["ceiling"], count)  # fills the kernel's caches; not counted
    taken = {"ours": [], "ceiling": []}
    for turn in range(rounds):
        for key in ("ours", "ceiling") if turn % 2 == 0 else ("ceiling", "ours"):
            taken[key].append(measure_held(build, sides[key], count))
    ratio = stats.ratios([r["sum"] for r in taken["ours"]], [r["sum"] for r in taken["ceiling"]])
    every = taken["ours"] + taken["ceiling"]
    return {"held": count, "ratio": ratio, "target": target,
            "met": target.met_by(ratio.median),
            "disturbed": sum(r["disturbed"] for r in every),
            "process_each": all(r["processes"] == count for r in every),
            "parts": {key: stats.medians([r["parts"] for r in records])
                      for key, records in taken.items()},
            "sum": {key: stats.Spread.of([r["sum"] for r in records])
                    for key, records in taken.items()}}


def compare_ceiling_with_itself(build, count, rounds):
    """The method's own check."""
    side = Ceiling(build, "fork_loop")
    return compare(build, count, rounds, {"ours": side, "ceiling": side}, SAME)
