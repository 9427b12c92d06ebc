"""Starts and ends the programs of the benchmark, and reads what /proc says of them.

Everything is ended by its process id or by the process group that this module made for it. Nothing
outlives the benchmark: the context managers end it on any way out, and should the benchmark itself
be killed, the kernel ends what it started (PR_SET_PDEATHSIG).
"""

import ctypes
import os
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """The measurement cannot go on; the message is for the user."""


def start(arguments, **options):
    """Popen in a process group of its own that dies with the benchmark."""
    parent = os.getpid()

    def die_with_parent():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    try:
        return subprocess.Popen([str(a) for a in arguments], start_new_session=True,
                                preexec_fn=die_with_parent, **options)
    except OSError as error:
        raise BenchError(f"{arguments[0]}: {error.strerror}") from error


def end_group(process):
    """Kills the whole group of `process` and reaps it. May be called more than once."""
    if process.returncode is None:
        # Not reaped yet, so the id cannot belong to anyone else.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def wait_until(condition, seconds, every=0.01):
    """Asks `condition` until it is true or `seconds` have passed; returns its last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer or time.monotonic() >= deadline:
            return answer
        time.sleep(every)


def _stat_fields(pid):
    """The fields of /proc/PID/stat after the command's name (field 3 of proc(5) is index 0)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children_by_parent():
    """A picture of all processes: parent's id -> ids of its children, zombies left out."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        fields = _stat_fields(name)
        if fields and fields[0] != b"Z":
            children.setdefault(int(fields[1]), []).append(int(name))
    return children


def _below(pid, children):
    found, open_ends = [], [pid]
    while open_ends:
        below = children.get(open_ends.pop(), [])
        found += below
        open_ends += below
    return found


def descendants(pid):
    """The ids of all living processes below `pid`."""
    return _below(pid, children_by_parent())


def bystanders():
    """The ids of the living processes that are neither the kernel's nor started from here."""
    children = children_by_parent()
    ours = {os.getpid(), *_below(os.getpid(), children)}
    kernel = {2, *_below(2, children)}
    return {pid for below in children.values() for pid in below} - ours - kernel


def _cpu_ns(pid, fields):
    """schedstat is exact; where the kernel was built without it, ticks have to do."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0])
    except FileNotFoundError:
        return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def activity(pid):
    """What a process itself has used so far: CPU in ns, minor faults, context switches."""
    fields = _stat_fields(pid)
    if fields is None:
        raise BenchError(f"process {pid} of the server is gone")
    switches = 0
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if "ctxt_switches" in line:
                switches += int(line.split()[1])
    return {"cpu_ns": _cpu_ns(pid, fields), "faults": int(fields[7]), "switches": switches}


def memory(pid):
    """Bytes of a process: `private`, what no other has mapped, and `resident`, all."""
    sums = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if len(words) == 3 and words[2] == "kB":
                sums[words[0]] = int(words[1]) * 1024
    return {"private": sums["Private_Clean:"] + sums["Private_Dirty:"], "resident": sums["Rss:"]}
