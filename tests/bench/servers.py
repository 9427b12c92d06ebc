"""The two sides of every ratio: forkechod, and the ceiling programs.

Each gives a fresh server on a port of the kernel's choice, ended on leaving the context. A fresh
one for each slice makes the rounds independent samples; where a process lands in memory is part of
the spread and not a constant of the run.
"""

import contextlib
import json
import os
import select
import subprocess
import tempfile

from processes import BenchError, children_by_parent, end_group, start, wait_until

START_S = 10
STOP_S = 30


class Server:
    """A running server: where it listens, and the processes that a measurement looks at."""

    def __init__(self, pid, port, status=None, show_status=None):
        self.pid = pid
        self.port = port
        self.status = status  # a function that returns the daemon's status, or None for a ceiling
        self.show_status = show_status  # one that runs the verb as a person does
        self.held = 0  # connections, for who closes some of them

    def acceptor(self):
        """The process that accepts and forks: a ceiling itself; the daemon's only child."""
        if self.status is None:
            return self.pid
        below = children_by_parent().get(self.pid, [])
        if not below:
            raise BenchError("the daemon has no acceptor")
        return min(below)


class Ceiling:
    """One of the programs of ceiling/ as a server."""

    def __init__(self, build, program, *arguments):
        self.name = " ".join([program, *map(str, arguments)])
        self._command = [build / "ceiling" / program, *arguments]

    @contextlib.contextmanager
    def running(self):
        process = start(self._command, stdout=subprocess.PIPE, text=True)
        try:
            if not select.select([process.stdout], [], [], START_S)[0]:
                raise BenchError(f"{self.name} does not say its port")
            yield Server(process.pid, int(process.stdout.readline()))
        finally:
            end_group(process)


class Daemon:
    """forkechod in one mode, at its defaults except for `options`."""

    def __init__(self, build, mode, *options):
        self.name = " ".join([mode, *map(str, options)])
        self._program = build / "forkechod"
        self._options = ["--mode", mode, *options]

    @contextlib.contextmanager
    def running(self):
        with tempfile.TemporaryDirectory(prefix="forkecho-bench-") as folder:
            control = os.path.join(folder, "control")
            with open(os.path.join(folder, "log"), "w+b") as log:
                process = start([self._program, "run", "--listen", "127.0.0.1:0",
                                 "--control", control, *self._options], stdout=log, stderr=log)
                try:
                    yield self._wait_for_start(process, control, log)
                    self._stop(process, control, log)
                finally:
                    end_group(process)

    def _ask(self, *arguments):
        try:
            return subprocess.run([self._program, *arguments], capture_output=True, check=False,
                                  timeout=STOP_S)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"forkechod {arguments[0]} does not answer") from error

    def _status(self, control):
        answer = self._ask("status", "--json", "--control", control)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def _fail(self, what, log):
        log.seek(0)
        tail = log.read().decode(errors="replace").splitlines()[-10:]
        raise BenchError("\n".join([f"forkechod {self.name}: {what}", *tail]))

    def _wait_for_start(self, process, control, log):
        status = wait_until(lambda: process.poll() is not None or self._status(control), START_S)
        if not isinstance(status, dict):
            self._fail("does not start", log)
        port = int(status["listen"][0].rpartition(":")[2])
        return Server(process.pid, port, lambda: self._status(control),
                      lambda: self._ask("status", "--control", control))

    def _stop(self, process, control, log):
        answer = self._ask("stop", "--control", control)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(START_S)
        if answer.returncode != 0 or process.returncode != 0:
            self._fail(f"stop gave {answer.returncode}, "
                       f"the daemon ended with {process.returncode}", log)


def accepted_matches(server, opened):
    """True once the daemon's books show exactly `opened` connections accepted, and none active."""
    def balanced():
        status = server.status()
        return (status is not None and status["connections"]["accepted"] == opened
                and status["connections"]["active"] == 0)
    return wait_until(balanced, 5, every=0.05)
