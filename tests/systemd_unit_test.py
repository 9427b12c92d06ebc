"""The units of server/systemd: installed where systemd looks for them, and found good by it."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["FORKECHO_BUILD"])


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)


def values_of(unit, key):
    return [line.partition("=")[2] for line in unit.read_text(encoding="utf-8").splitlines()
            if line.startswith(key + "=")]


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="forkecho-units-"))
        self.addCleanup(shutil.rmtree, self.folder)
        installed = run("cmake", "--install", BUILD, "--prefix", self.folder, "--component", "programs")
        self.assertEqual(installed.returncode, 0, installed.stderr)
        self.units = self.folder / "lib" / "systemd" / "system"
        self.service = self.units / "forkechod.service"

    def command_of(self, key):
        (command,) = values_of(self.service, key)
        return command.split()

    def test_both_are_installed(self):
        self.assertEqual({unit.name for unit in self.units.iterdir()}, {"forkechod.service", "forkechod.socket"})

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed (package systemd)")
    def test_systemd_finds_nothing_to_say(self):
        # It looks for the program, too, which is not where a real installation has it.
        text = self.service.read_text(encoding="utf-8")
        program = self.command_of("ExecStart")[0]
        self.service.write_text(text.replace(program, str(self.folder / "bin" / "forkechod")), encoding="utf-8")
        verified = run("systemd-analyze", "verify", "--man=no", *sorted(self.units.iterdir()))
        self.assertEqual((verified.returncode, verified.stdout + verified.stderr), (0, ""))

    def test_its_commands_are_understood_by_the_program(self):
        for key in ("ExecStart",):
            program, verb, *arguments = self.command_of(key)
            self.assertTrue(program.endswith("/bin/forkechod"), program)
            shown = run(BUILD / "forkechod", verb, "--help")
            self.assertEqual(shown.returncode, 0, shown.stderr)
            for option in (argument for argument in arguments if argument.startswith("--")):
                self.assertIn(option, shown.stdout)

    def test_it_leaves_time_for_the_drain(self):
        shown = run(BUILD / "forkechod", "run", "--help").stdout
        self.assertIn("--drain-timeout TEXT=30s", " ".join(shown.split()))
        (patience,) = values_of(self.service, "TimeoutStopSec")
        self.assertGreater(int(patience.removesuffix("s")), 30 + 5)


if __name__ == "__main__":
    unittest.main()
