"""The two sides of every ratio: forkechod, and the ceiling programs or a public server.

Each gives a fresh server on a port of the kernel's choice, ended on leaving the context. A fresh
one for each slice makes the rounds independent samples; where a process lands in memory is part of
the spread and not a constant of the run.
"""

import contextlib
import json
import os
import select
import shlex
import socket
import subprocess
import tempfile

from processes import (BenchError, children_by_parent, descendants, end_group, start,
                       wait_until)

START_S = 10
STOP_S = 30


class Server:
    """A running server: where it listens, and the processes that a measurement looks at."""

    def __init__(self, pid, port, status=None, show_status=None, reply="uppercase"):
        self.pid = pid
        self.port = port
        self.status = status  # a function that returns the daemon's status; None: no forkechod
        self.show_status = show_status  # one that runs the verb as a person does
        self.reply = reply    # as ceiling/drive names it
        self.held = 0  # connections, for who closes some of them

    def acceptor(self):
        """The process that accepts and forks: a ceiling itself; the daemon's child, where
        there is one (--acceptors 1)."""
        if self.status is None:
            return self.pid
        below = children_by_parent().get(self.pid, [])
        if len(below) != 1:
            raise BenchError(f"the daemon has {len(below)} acceptors, and not one")
        return below[0]


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


class PublicServer:
    """An echo server that is not ours and gives every byte back as it came: a command whose word
    {port} becomes the number of a free port."""

    def __init__(self, command):
        self.name = command
        self._command = command

    @staticmethod
    def _free_port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    @staticmethod
    def _listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @contextlib.contextmanager
    def running(self):
        port = self._free_port()
        process = start(shlex.split(self._command.replace("{port}", str(port))),
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not wait_until(lambda: process.poll() is not None or self._listens(port), START_S):
                raise BenchError(f"{self.name} does not listen")
            if process.poll() is not None:
                raise BenchError(f"{self.name} ended with {process.returncode}")
            yield Server(process.pid, port, reply="as-sent")
        finally:
            end_group(process)

    def answers(self, size, seconds=2):
        """Whether a request of `size` bytes comes back."""
        request = b"x" * size
        with self.running() as server, \
                socket.create_connection(("127.0.0.1", server.port), seconds) as connection:
            try:
                connection.sendall(request)
                return connection.recv(size, socket.MSG_WAITALL) == request
            except OSError:
                return False


class Daemon:
    """forkechod in one mode, at its defaults except for `options`. With `processors` it takes the
    machine for one that has so many, when it decides how many processes to start; where they run
    is not bound by that."""

    def __init__(self, build, mode, *options, processors=None):
        self.name = " ".join([mode, *map(str, options)])
        self._program = build / "forkechod"
        self._options = ["--mode", mode, *options]
        self._processors = processors

    @contextlib.contextmanager
    def running(self):
        with tempfile.TemporaryDirectory(prefix="forkecho-bench-") as folder:
            control = os.path.join(folder, "control")
            with open(os.path.join(folder, "log"), "w+b") as log:
                with self._fewer_processors():
                    process = start([self._program, "run", "--listen", "127.0.0.1:0",
                                     "--control", control, *self._options], stdout=log, stderr=log)
                try:
                    server = self._wait_for_start(process, control, log)
                    self._let_run_anywhere(process)
                    yield server
                    self._stop(process, control, log)
                finally:
                    end_group(process)

    @contextlib.contextmanager
    def _fewer_processors(self):
        all_of_them = os.sched_getaffinity(0)
        if self._processors is not None:
            os.sched_setaffinity(0, sorted(all_of_them)[:self._processors])
        try:
            yield
        finally:
            os.sched_setaffinity(0, all_of_them)

    def _let_run_anywhere(self, process):
        if self._processors is not None:
            os.sched_setaffinity(process.pid, os.sched_getaffinity(0))  # and what it starts later
            for pid in descendants(process.pid):
                os.sched_setaffinity(pid, os.sched_getaffinity(0))

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
