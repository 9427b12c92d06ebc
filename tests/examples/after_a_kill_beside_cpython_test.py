"""Reports what becomes of each object after a kill, ours beside CPython's. Only ours is judged."""

import os
import pathlib
import subprocess
import sys
import unittest

TWIN = pathlib.Path(__file__).resolve().parents[2] / "common" / "mp" / "examples" / "after_a_kill.py"
OURS = pathlib.Path(os.environ["FORKECHO_BUILD"]) / "examples" / "after_a_kill"


def outcomes(*command):
    """The program's lines "object: outcome"."""
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    lines = [line.split(": ", 1) for line in output.splitlines()]
    return {name: outcome for name, outcome in lines if name != "The document"}


class BesideCpython(unittest.TestCase):
    def test_ours_goes_on_everywhere(self):
        ours, theirs = outcomes(OURS), outcomes(sys.executable, TWIN)
        print(f"\n{'':<16}{'mp':<36}CPython {sys.version.split()[0]}")
        for name, outcome in ours.items():
            print(f"{name:<16}{outcome:<36}{theirs.get(name, 'not told')}")
        self.assertEqual(ours.keys(), theirs.keys())
        self.assertEqual([], [name for name, outcome in ours.items() if not outcome.startswith("goes on")])


if __name__ == "__main__":
    unittest.main()
