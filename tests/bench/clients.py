"""The neutral clients of ceiling/, driven from here."""

import contextlib
import json
import os
import select
import subprocess

from processes import BenchError, end_group, start

HOLD_S = 300


def drive(build, server, load, seconds):
    """Runs one slice of `load` and returns the JSON that drive printed.

    drive runs as many processes as there are processors: with one, the client and not the server is
    the limit of the faster servers.
    """
    command = [build / "ceiling" / "drive", "127.0.0.1", server.port, load.workload,
               load.connections, f"{seconds:.3f}", load.size, min(os.cpu_count(), 64),
               server.reply]
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=seconds + 60)
    except subprocess.TimeoutExpired as error:
        raise BenchError("drive does not end") from error
    finally:
        end_group(process)
    if not output:
        raise BenchError(f"drive: {errors.strip()}")
    return json.loads(output)


class Holder:
    """A running hold: `count` connections, each answered."""

    def __init__(self, process):
        self._process = process
        self.count = 0

    def open(self, more):
        self._order(f"open {more}\n", "held", self.count + more)

    def ask(self):
        """A request and its reply on each connection; every byte is compared."""
        self._order("ask\n", "answered", self.count)

    def close(self, fewer):
        self._order(f"close {fewer}\n", "held", self.count - fewer)

    def _order(self, line, what, count):
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has said why on standard error
        self.expect(what, count)

    def expect(self, what, count):
        ready = select.select([self._process.stdout], [], [], HOLD_S)[0]
        line = self._process.stdout.readline() if ready else ""
        if line != f"{what} {count}\n":
            raise BenchError(f"hold: {count} connections are not {what}")
        self.count = count


@contextlib.contextmanager
def holding(build, port, count):
    """`count` connections, each answered once, are held while inside."""
    process = start([build / "ceiling" / "hold", "127.0.0.1", port, count],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder = Holder(process)
        holder.expect("held", count)
        yield holder
        process.stdin.close()
        if process.wait(HOLD_S) != 0:
            raise BenchError("hold failed at the end")
    finally:
        end_group(process)
