"""Every step of common/mp (FORKECHO_MP_STEP in step.h) is one at which a test here kills.

The tests themselves fail when a step that they chose was never reached; this one fails when a step was
never chosen.
"""

import pathlib
import re
import unittest

TESTS = pathlib.Path(__file__).resolve().parent
SOURCES = TESTS.parents[2] / "common" / "mp"
STEP = re.compile(r'FORKECHO_MP_STEP\("([^"]+)"\)')


def texts(folder):
    return [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.suffix in (".h", ".cpp")]


class Steps(unittest.TestCase):
    def test_each_is_chosen_by_a_kill_test(self):
        documented = re.compile(r"^\s*//.*$", re.MULTILINE)
        steps = {step for text in texts(SOURCES) for step in STEP.findall(documented.sub("", text))}
        self.assertGreater(len(steps), 30)
        chosen = "".join(texts(TESTS))
        self.assertEqual([], sorted(step for step in steps if f'"{step}"' not in chosen))


if __name__ == "__main__":
    unittest.main()
