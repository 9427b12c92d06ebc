"""Many connections held with a process each: what they take, and whether what is done for one costs
more where there are many.

A run opens the connections a thousand at a time, looks at the server while all are held, asks on
each once more, and closes them: a thousand while the others are there, then all but a thousand at
once, then the last. What the first third cost is compared with what the last did. Beside it the
ceiling does the same, whose growth is the kernel's. What it has no figure for is None.
"""

import contextlib
import mmap
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
SEVERAL_ROUNDS_TO = 50_000  # above, one takes minutes
STATUS_SAMPLES = 9
STATUS_MS = stats.Target(highest=100)
OWN_BYTES = stats.Target(highest=128)  # a cache line or two
GROWTH = stats.Target(highest=1.25)    # "does not grow", with room for cold caches
MOST_BYTES = stats.Target(highest=15 * 2**30)
MOST_BYTES_FROM = 100_000  # connections
_COLD = 3                  # the first thousands pay for memory that nobody has used lately
_QUIET_S = 0.3             # what is done later for an end is in its cost
_ENDED_S = 120
_MAP_NORESERVE = 0x4000
_BYTES_OF_A_TABLE = 2 * 2**20  # of addresses
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


class _Ballast:
    """Kernel memory for `count` connections that this machine has at hand. A virtual machine gets
    from its host page by page what it has not used for a while, at several times the price of a
    fork: what grows then is not the server's cost. Let go bit by bit, it is what the connections
    take. It is page tables, each of which one look at an empty page makes: memory of a program's
    own the kernel would keep apart from what processes are made of."""

    def __init__(self, count):
        pages = STEP * room.EACH_BYTES // mmap.PAGESIZE
        self._parts = [_page_tables(pages) for _ in range(0, count, STEP)]

    def let_go(self):
        if self._parts:
            self._parts.pop().close()

    def close(self):
        while self._parts:
            self.let_go()


def _page_tables(pages):
    part = mmap.mmap(-1, pages * _BYTES_OF_A_TABLE, prot=mmap.PROT_READ,
                     flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    part.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, len(part), _BYTES_OF_A_TABLE):
        part[at]  # pylint: disable=pointless-statement
    return part


def _open(server, holder, count):
    """Opens until `count` are held. Returns what each thousand took, and status after the first."""
    steps, status_ms = [], None
    with contextlib.closing(_Ballast(count)) as ballast:
        while holder.count < count:
            more = min(STEP, count - holder.count)
            ballast.let_go()
            watch = _Watch(server)
            holder.open(more)
            steps.append(watch.since(more))
            status_ms = status_ms or _status_ms(server)
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
            steps, first_status_ms = _open(server, holder, count)
            running = len(processes.descendants(server.pid))
            parts, held_own = memory.settled_parts(), _own_memory(server)
            status_ms = _status_ms(server)
            begin = time.monotonic()
            holder.ask()
            asked_s = time.monotonic() - begin
            ends = _close_all(server, holder)
    above = 0 if server.status is None else 1
    return {"processes": running - above, "asked_s": asked_s,
            "parts": machine.difference(parts, before),
            "bytes": sum(parts.values()) - sum(before.values()),
            "own": {key: (held_own[key] - own[key]) / (count - 1) for key in own},
            "steps": steps, "status_ms": {"first": first_status_ms, "held": status_ms},
            "ends": ends}


def _figures(record):
    """What is compared and told of one run of a side: a name to a number, None where it has none."""
    first, last = map(_typical, _first_and_last(record["steps"]))
    ends = record["ends"]
    status, own = record["status_ms"], record["own"]
    figures = {
        "accept_first_us": first["acceptor_us"], "accept_last_us": last["acceptor_us"],
        "accept_growth": last["acceptor_us"] / first["acceptor_us"],
        "machine_first_us": first["machine_us"], "machine_last_us": last["machine_us"],
        "opened_first_s": STEP / first["seconds"] if first["seconds"] else 0,
        "opened_last_s": STEP / last["seconds"],
        "opening_s": sum(step["seconds"] for step in record["steps"]),
        "steal_share": _steal_share(record["steps"]),
        "bytes": record["bytes"], "asked_s": record["asked_s"],
        "own_bytes": own["private"], "own_resident_bytes": own["resident"],
        "ended_s": ends["most"]["seconds"], "ended_each_us": ends["most"]["machine_us"]}
    if status["held"] is not None:  # books are kept, and children reaped
        figures.update(status_first_ms=status["first"], status_ms=status["held"],
                       reap_few_us=ends["last"]["acceptor_us"],
                       reap_many_us=ends["first"]["acceptor_us"],
                       reap_most_us=ends["most"]["acceptor_us"],
                       reap_growth=ends["first"]["acceptor_us"] / ends["last"]["acceptor_us"])
    return figures


def _first_and_last(steps):
    """The first and the last third, without what is cold in the first, if that leaves anything."""
    third = max(1, len(steps) // 3)
    return steps[_COLD:third] or steps[:third], steps[-third:]


def _typical(steps):
    """A thousand connections are opened in an eighth of a second: of a few such the median."""
    return stats.medians(steps)


def _steal_share(steps):
    """The share of all processors' time that the host gave to others while connections opened."""
    stolen = sum(step["steal_us"] * STEP for step in steps)
    return stolen / (sum(step["seconds"] for step in steps) * 1e6 * machine.describe()["processors"])


def _targets(count):
    targets = {"accept_growth": GROWTH, "reap_growth": GROWTH, "status_ms": STATUS_MS,
               "own_bytes": OWN_BYTES}
    if count >= MOST_BYTES_FROM:
        targets["bytes"] = MOST_BYTES
    return targets


def _spreads(records):
    figures = [_figures(record) for record in records]
    return {key: stats.Spread.of([one[key] for one in figures]) for key in figures[0]}


def _measure(build, count, rounds):
    sides = {"ours": Daemon(build, "fork", "--acceptors", 1, "--max-connections", count + 1),
             "ceiling": Ceiling(build, "fork_loop")}
    memory.wait_for_quiet_sockets(count)
    taken = {"ours": [], "ceiling": []}
    for turn in range(rounds):
        for key in ("ours", "ceiling") if turn % 2 == 0 else ("ceiling", "ours"):
            taken[key].append(_hold_once(build, sides[key], count))
    figures = {key: _spreads(records) for key, records in taken.items()}
    verdicts = {key: target.met_by(figures["ours"][key].median)
                for key, target in _targets(count).items()}
    process_each = all(record["processes"] == count for record in taken["ours"])
    return {"held": count, "done": True, "rounds": rounds, "figures": figures,
            "targets": _targets(count), "verdicts": verdicts, "process_each": process_each,
            "met": process_each and all(verdicts.values()), "samples": taken}


def hold_many(build, count, rounds, asked_for):
    """`count` connections in fork mode. Unless they were `asked_for`, nothing is done where the
    machine has no room for them as it is; if they were, kernel.pid_max is raised meanwhile, and
    BenchError says what else is in the way."""
    if not asked_for:
        reason = room.shortage(count)
        return ({"held": count, "done": False, "reason": reason} if reason
                else _measure(build, count, rounds))
    with room.pids_for(count):
        reason = room.shortage(count)
        if reason:
            raise processes.BenchError(f"held: {reason}")
        return _measure(build, count, rounds)
