"""What the machine as a whole is and does: its name for the report, and its counters.

The parts of a connection's cost come from these counters and not from the server's processes,
because the children of a parent that ignores SIGCHLD leave their times to nobody. So nothing else
may run while a slice is measured; `busy_share` tells.
"""

import os
import platform
import time

_TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def describe():
    """Processor, kernel and memory, as a report needs them."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"processor": model, "processors": os.cpu_count(), "kernel": platform.release(),
            "memory_bytes": memory, "date": time.strftime("%Y-%m-%d")}


def counters():
    """Since boot, over all processors: CPU time by kind in us, context switches, forks, faults."""
    result = {}
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            key, *values = line.split()
            if key == "cpu":
                user, nice, system, idle, iowait, irq, softirq, steal = map(int, values[:8])
                result.update(user_us=(user + nice) * _TICK_US, system_us=system * _TICK_US,
                              interrupt_us=(irq + softirq) * _TICK_US,
                              idle_us=(idle + iowait) * _TICK_US, steal_us=steal * _TICK_US)
            elif key == "ctxt":
                result["switches"] = int(values[0])
            elif key == "processes":
                result["forks"] = int(values[0])
    with open("/proc/vmstat", encoding="ascii") as file:
        for line in file:
            if line.startswith("pgfault "):
                result["faults"] = int(line.split()[1])
    return result


def difference(after, before):
    return {key: after[key] - before[key] for key in before}


def busy_share(seconds=0.5):
    """The share of all processors (0 to 1) that was in use over the next `seconds`."""
    before = counters()
    time.sleep(seconds)
    spent = difference(counters(), before)
    busy = spent["user_us"] + spent["system_us"] + spent["interrupt_us"] + spent["steal_us"]
    return busy / max(1.0, busy + spent["idle_us"])


def closed_connections_remembered():
    """How many sockets are in TIME_WAIT."""
    with open("/proc/net/sockstat", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0] == "TCP:":
                return int(words[words.index("tw") + 1])
    return 0
