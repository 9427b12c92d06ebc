"""What the end-to-end tests share: the programs that were built, and a check that nothing of them is left."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

BUILD = pathlib.Path(os.environ.get("FORKECHO_BUILD", "."))
FORKECHO = BUILD / "forkecho"
FORKECHOD = BUILD / "forkechod"
DOUBLE = pathlib.Path(__file__).resolve().parent.parent / "support" / "forkechod_double.py"
DEADLINE_S = 60


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain until " + what)
        time.sleep(0.01)


def processes_that_name(text):
    """Pids of living processes whose command line or environment holds `text`."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in known:
            found.append(int(entry.name))
    return found


def soak(normal, longer):
    """As tests/support/soak.h."""
    return longer if "FORKECHO_SOAK" in os.environ else normal


class ProgramTest(unittest.TestCase):
    """Each test has a folder of its own, which is also TMPDIR of what it runs, and must leave no process."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fe-"))
        self.tmp = self.folder / "tmp"
        self.tmp.mkdir()

    def tearDown(self):
        wait_until(lambda: not processes_that_name(str(self.folder)), "no process of the test is left")
        wait_until(lambda: not list(self.tmp.iterdir()), "no temporary file of the test is left")
        subprocess.run(["rm", "-rf", str(self.folder)], check=True)

    def environment(self, **more):
        return {**os.environ, "TMPDIR": str(self.tmp), **more}

    @contextlib.contextmanager
    def double(self, **environment):
        """The address of a double of the daemon that runs."""
        control = self.folder / f"double{environment.get('FORKECHOD_DOUBLE', '')}.sock"
        process = subprocess.Popen([str(DOUBLE), "run", "--control", str(control)], env=self.environment(**environment))
        try:
            wait_until(control.exists, "the double listens")
            yield json.loads(control.read_text())["listen"][0]
        finally:
            process.kill()
            process.wait()
            control.unlink(missing_ok=True)

    def start(self, *arguments, **environment):
        return subprocess.Popen([str(FORKECHO), *map(str, arguments)], env=self.environment(**environment),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_forkecho(self, *arguments, expect, timeout=DEADLINE_S, **environment):
        """Output and errors of a run that must end with exit code `expect`."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=timeout)
        self.assertEqual(process.returncode, expect, f"{arguments}: {output}{errors}")
        if expect not in (0, 1, 2):
            self.assertEqual(len(errors.splitlines()), 1, "one clear line, not: " + errors)
        return output, errors
