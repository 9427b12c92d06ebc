"""Connections per second and requests per second: ours over the ceiling, in interleaved rounds."""

import dataclasses
import os

import clients
import machine
import network
import processes
import servers
import stats
from servers import Ceiling, Daemon, PublicServer

WARM_S = 0.1
FORK = stats.Target(lowest=0.97)
ACCEPTORS = stats.Target(lowest=1.15)
POOL = stats.Target(lowest=0.97)
REQUEST_REPLY = stats.Target(lowest=0.97)
PUBLIC = stats.Target(lowest=1.0)
SAME = stats.Target(lowest=0.97, highest=1.03)
SANDBOX = stats.Target(lowest=0.97)
AHEAD = stats.Target(lowest=0.95)
NONE = stats.Target()


@dataclasses.dataclass(frozen=True)
class Load:
    workload: str  # crr: a connection for each request; rr: held connections
    connections: int
    size: int

    @property
    def unit(self):
        return "connection" if self.workload == "crr" else "request"

    def __str__(self):
        return f"{self.workload} {self.connections} x {self.size} B"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One line of the table. `ours` and `ceiling` have `name` and `running()`."""
    name: str
    ours: object
    ceiling: object
    load: Load
    target: stats.Target = NONE
    forks: bool = False  # a parent forks for each connection: its own share is worth a look


def pool_options(workers):
    return ["--pool-start", workers, "--pool-min-spare", 1, "--pool-max-spare", workers,
            "--pool-max", workers]


def connection_rates(build):
    load = Load("crr", 16, 64)
    fork_loop = Ceiling(build, "fork_loop")
    workers, one_worker = (Ceiling(build, "prefork_loop", n) for n in (4, 1))
    single_use = [*pool_options(4), "--connections-per-worker-life", 1]
    one, two = (Daemon(build, "fork", "--acceptors", n) for n in (1, 2))
    return [
        Comparison("fork", one, fork_loop, load, FORK, forks=True),
        Comparison("fork, 2 acceptors", two, fork_loop, load, ACCEPTORS),
        Comparison("fork, 2, over 2 parents", two, Ceiling(build, "fork_loop", 2), load),
        Comparison("pool", Daemon(build, "pool", *pool_options(4)), workers, load, POOL),
        Comparison("pool-single-use", Daemon(build, "pool", *single_use), fork_loop, load),
        Comparison("event", Daemon(build, "event"), workers, load),
        Comparison("iterative", Daemon(build, "iterative"), one_worker, load),
    ]


def request_rates(build):
    """Never at one connection: there wake-ups between processors are all that is measured."""
    result = []
    for connections in (2, 64):
        workers = max(4, connections)
        for size in (64, 4096):
            load = Load("rr", connections, size)
            result.append(Comparison("fork", Daemon(build, "fork"), Ceiling(build, "fork_loop"),
                                     load, REQUEST_REPLY))
            result.append(Comparison("pool", Daemon(build, "pool", *pool_options(workers)),
                                     Ceiling(build, "prefork_loop", workers), load, REQUEST_REPLY))
    return result


def public_rates(build, command, workers):
    """Event mode over a public echo server of as many `workers` (threads, processes); with as many
    of ours, where the machine's processors allow it, and with as many as we start by default."""
    public, by_default = PublicServer(command), len(os.sched_getaffinity(0))
    sides = {by_default: Daemon(build, "event")}
    if workers < by_default:
        sides[workers] = Daemon(build, "event", processors=workers)
    loads = [Load("rr", 64, size) for size in (64, 4096)]
    return [Comparison(f"event, {ours} over {workers}", daemon, public, load, PUBLIC)
            for load in loads for ours, daemon in sides.items()]


def between_daemons(build):
    """What a promise costs: a daemon over another one. The sandbox on over off; strict, whose cost
    is told and not bounded; workers forked ahead over children forked when their client comes."""
    short, held = Load("crr", 16, 64), Load("rr", 16, 64)
    result = []
    for mode, options in (("fork", []), ("pool", pool_options(16)), ("event", [])):
        off = Daemon(build, mode, *options, "--sandbox", "off")
        for load in (short, held):
            result.append(Comparison(f"{mode}, sandbox on", Daemon(build, mode, *options), off,
                                     load, SANDBOX))
    result.append(Comparison("fork, sandbox strict", Daemon(build, "fork", "--sandbox", "strict"),
                             Daemon(build, "fork", "--sandbox", "off"), short))
    single_use = Daemon(build, "pool", "--connections-per-worker-life", 1)
    one_acceptor = Daemon(build, "fork", "--acceptors", 1)
    result.append(Comparison("pool-single-use over fork", single_use, one_acceptor, short, AHEAD))
    return result


def self_ratios(build):
    """The method's own check: a ceiling over itself."""
    result = []
    for program in (["fork_loop"], ["prefork_loop", 4]):
        side = Ceiling(build, *program)
        result.append(Comparison(program[0], side, side, Load("crr", 16, 64), SAME,
                                 forks=program[0] == "fork_loop"))
    for connections in (2, 64):
        side = Ceiling(build, "prefork_loop", max(4, connections))
        result.append(Comparison("prefork_loop", side, side, Load("rr", connections, 64), SAME))
    return result


def _cost_per_unit(load, drive, whole, parents):
    """The parts of the cost of one connection or request, from the counters of one slice."""
    units = max(1, drive["connections" if load.workload == "crr" else "requests"])
    client_us = (drive["cpu_user_s"] + drive["cpu_system_s"]) * 1e6
    busy_us = whole["user_us"] + whole["system_us"] + whole["interrupt_us"]
    parts = {"CPU, whole machine, us": busy_us,
             "  in user mode, us": whole["user_us"],
             "  in the kernel, us": whole["system_us"],
             "  in interrupts, us": whole["interrupt_us"],
             "  of it the client's, us": client_us,
             "CPU idle, us": whole["idle_us"], "CPU stolen by other machines, us": whole["steal_us"],
             "context switches": whole["switches"],
             "  of them the client's": drive["context_switches"],
             "page faults": whole["faults"], "forks": whole["forks"]}
    for name, spent in parents.items():
        parts[f"{name}: CPU, us"] = spent["cpu_ns"] / 1000
        parts[f"{name}: page faults"] = spent["faults"]
        parts[f"{name}: context switches"] = spent["switches"]
    return {key: value / units for key, value in parts.items()}


def _watched_parents(comparison, server):
    """The processes above a connection's child; a ceiling has no supervisor, so it counts as 0."""
    if not comparison.forks:
        return {}
    acceptor = server.acceptor()
    return {"acceptor": acceptor, "supervisor": None if acceptor == server.pid else server.pid}


def _activities(parents):
    nothing = {"cpu_ns": 0, "faults": 0, "switches": 0}
    return {name: processes.activity(pid) if pid else nothing for name, pid in parents.items()}


def _slice(build, side, comparison, seconds):
    """One fresh server, warmed, driven for one slice."""
    load = comparison.load
    with side.running() as server:
        warm = clients.drive(build, server, load, WARM_S)
        parents = _watched_parents(comparison, server)
        lost = network.timeouts()
        before, activities = machine.counters(), _activities(parents)
        drive = clients.drive(build, server, load, seconds)
        whole = machine.difference(machine.counters(), before)
        spent = {name: machine.difference(now, activities[name])
                 for name, now in _activities(parents).items()}
        balanced = server.status is None or servers.accepted_matches(
            server, warm["opened"] + drive["opened"])
    return {"rate": drive["cps"] if load.workload == "crr" else drive["rps"],
            "errors": warm["errors"] + drive["errors"], "balanced": balanced,
            "lost": network.timeouts() - lost,
            "cost": _cost_per_unit(load, drive, whole, spent)}


def cannot_be_measured(comparison):
    """Why not, or None: a server that is not ours may not answer such a request at all."""
    size = comparison.load.size
    if isinstance(comparison.ceiling, PublicServer) and not comparison.ceiling.answers(size):
        return f"no figure: {comparison.ceiling.name} does not give {size:,} bytes back"
    return None


def measure(build, comparison, rounds, seconds):
    """Runs the rounds, the order of the sides alternating, and returns the line's record."""
    taken = {"ours": [], "ceiling": []}
    for turn in range(rounds):
        for key in ("ours", "ceiling") if turn % 2 == 0 else ("ceiling", "ours"):
            taken[key].append(_slice(build, getattr(comparison, key), comparison, seconds))
    rates = {key: [s["rate"] for s in slices] for key, slices in taken.items()}
    ratio = stats.ratios(rates["ours"], rates["ceiling"])
    every = taken["ours"] + taken["ceiling"]
    return {"name": comparison.name, "load": str(comparison.load), "unit": comparison.load.unit,
            "ours": comparison.ours.name, "ceiling": comparison.ceiling.name,
            "rates": {key: stats.Spread.of(values) for key, values in rates.items()},
            "ratio": ratio, "target": comparison.target,
            "met": comparison.target.met_by(ratio.median),
            "errors": sum(s["errors"] for s in every),
            "balanced": all(s["balanced"] for s in every),
            "lost": sum(s["lost"] for s in every),
            "cost": {key: stats.medians([s["cost"] for s in slices])
                     for key, slices in taken.items()}}
