"""Whether a machine has room for many processes and connections, and what it is that has none.

Asked before anything is started: a measurement that runs into a limit halfway tells nothing, and
one on a machine that is out of memory tells the wrong thing.
"""

import contextlib
import os
import resource

from processes import BenchError

_PID_MAX = "/proc/sys/kernel/pid_max"
_HIGHEST_PID_MAX = 4 * 1024 * 1024  # PID_MAX_LIMIT of a 64-bit kernel
_RESERVED_PIDS = 300                # given out once after the start, and never again
_OTHERS = 256                       # the benchmark's own processes, and what begins meanwhile
_FILES_OF_OTHERS = 10_000
EACH_BYTES = 110 * 1024             # a child, and both ends of its connection; with a tenth spare
_MEMORY_LEFT = 1 << 30


def _number(path):
    """What a file of /proc or of a cgroup says; None where it is not there or sets no limit."""
    try:
        with open(path, encoding="ascii") as file:
            word = file.read().split()[0]
        return int(word) if word != "max" else None
    except (OSError, IndexError):
        return None


def tasks():
    """How many processes and threads there are, whosever. Cheap, however many."""
    with open("/proc/loadavg", encoding="ascii") as file:
        return int(file.read().split()[3].partition("/")[2])


def _available_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def _cgroup_folders(controller):
    """Of this process's group for `controller` and of all above it, in either hierarchy."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            number, controllers, path = line.rstrip("\n").split(":", 2)
            if controller in controllers.split(","):
                root = f"/sys/fs/cgroup/{controller}"
            elif number == "0":
                root = "/sys/fs/cgroup"
            else:
                continue
            while True:
                yield root + path
                if path in ("", "/"):
                    break
                path = os.path.dirname(path)


def _cgroup_rooms(controller, files):
    """(file, what is left below its limit) for each limit that is set; `files`: pairs of limit and
    use by their names."""
    for folder in _cgroup_folders(controller):
        for limit_name, use_name in files:
            limit, use = _number(f"{folder}/{limit_name}"), _number(f"{folder}/{use_name}")
            if limit is not None and use is not None:
                yield f"{folder}/{limit_name}", max(0, limit - use)


def _pids_left(pid_max):
    return pid_max - _RESERVED_PIDS - tasks() - _OTHERS


def _limits():
    """(what limits, how many connections it lets be held), each."""
    yield "kernel.pid_max", _pids_left(_number(_PID_MAX))
    yield "kernel.threads-max", _number("/proc/sys/kernel/threads-max") - tasks() - _OTHERS
    for name, left in _cgroup_rooms("pids", [("pids.max", "pids.current")]):
        yield name, left - _OTHERS
    if os.geteuid() != 0:
        processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        if processes != resource.RLIM_INFINITY:
            yield "ulimit -u", processes - _OTHERS
    memory = [("memory (MemAvailable)", _available_memory())]
    memory += _cgroup_rooms("memory", [("memory.max", "memory.current"),
                                       ("memory.limit_in_bytes", "memory.usage_in_bytes")])
    for name, left in memory:
        yield name, (left - _MEMORY_LEFT) // EACH_BYTES
    with open("/proc/sys/fs/file-nr", encoding="ascii") as file:
        used, _, most = map(int, file.read().split())
    yield "fs.file-max", (most - used - _FILES_OF_OTHERS) // 2


def shortage(count):
    """One line on what does not let `count` connections be held with a process each, and how many
    could be; None when they can."""
    name, most = min(_limits(), key=lambda limit: limit[1])
    if most >= count:
        return None
    return f"{name} lets {max(0, most):,} connections be held here, not {count:,}"


@contextlib.contextmanager
def pids_for(count):
    """Inside, kernel.pid_max is high enough for `count` more processes; afterwards it is again what
    it was. It takes root where it is not high enough as it is."""
    before = _number(_PID_MAX)
    more = count - _pids_left(before)
    if more <= 0:
        yield
        return
    _set_pid_max(min(before + more + _OTHERS, _HIGHEST_PID_MAX))
    try:
        yield
    finally:
        _set_pid_max(before)


def _set_pid_max(value):
    try:
        with open(_PID_MAX, "w", encoding="ascii") as file:
            file.write(str(value))
    except OSError as error:
        raise BenchError(f"{_PID_MAX} cannot be set to {value}: {error.strerror}") from error
