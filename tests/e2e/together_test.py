#!/usr/bin/env python3
"""Several load processes as on several machines: they begin together, each writes its run into a folder that they
share, and merge waits for all of them."""
import json
import pathlib
import socket
import subprocess
import time
import unittest

from programs import FORKECHOD, ProgramTest, wait_until


class Together(ProgramTest):
    def setUp(self):
        super().setUp()
        self.runs = self.folder / "runs"
        self.runs.mkdir()
        self.final = self.folder / "final-{host}.json"
        control = self.folder / "d.sock"
        self.server = subprocess.Popen([str(FORKECHOD), "run", "--listen", "127.0.0.1:0", "--control", str(control),
                                        "--final-status", str(self.final)], env=self.environment(),
                                       stderr=subprocess.DEVNULL)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        status = [str(FORKECHOD), "status", "--json", "--control", str(control)]
        wait_until(lambda: subprocess.run(status, capture_output=True, check=False).returncode == 0, "it serves")
        self.address = json.loads(subprocess.run(status, capture_output=True, check=True).stdout)["listen"][0]

    def tearDown(self):
        self.server.kill()
        self.server.wait()
        super().tearDown()

    def begin(self, name, moment, *more):
        return self.start("load", self.address, "--workload", "crr", "-c", "2", "-d", "300ms", "--warmup", "100ms",
                          "--start-at", f"@{moment}", "--json", self.runs / name, *more)

    def merge(self, *more, expect):
        return self.run_forkecho("merge", self.runs, "-o", self.folder / "merged.json", *more, expect=expect)

    def test_loses_nothing(self):
        moment = int(time.time()) + 3
        loads = [self.begin(f"{{host}}-{i}.json", moment) for i in range(3)]
        output, _ = self.merge("--wait-for-runs", "3", "--start-at", f"@{moment}", "--timeout", "60s", "--html",
                               self.folder / "merged.html", expect=0)
        for load in loads:
            self.assertIn(load.wait(timeout=60), (0, 2))  # a busy machine may rightly be called so
            load.communicate()
        self.assertIn("3 runs of " + self.address, output)
        merged = json.loads((self.folder / "merged.json").read_text())
        runs = [json.loads(path.read_text()) for path in sorted(self.runs.glob("*.json"))]
        self.assertEqual(len(list(self.runs.glob(socket.gethostname() + "-*.json"))), 3)
        self.assertEqual({run["plan"]["start_at"] for run in runs},
                         {time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))})
        for key in ("connections", "requests", "bytes_out", "bytes_in"):
            self.assertEqual(merged["totals"][key], sum(run["totals"][key] for run in runs), key)
        self.assertIn("</html>", (self.folder / "merged.html").read_text())
        self.server.terminate()
        self.assertEqual(self.server.wait(timeout=60), 0)
        final = json.loads(pathlib.Path(str(self.final).replace("{host}", socket.gethostname())).read_text())
        self.assertEqual(final["connections"]["accepted"], merged["totals"]["connections"])

    def test_takes_one_load_of_several_alone(self):
        moment = int(time.time()) + 3
        loads = [self.begin("old.json", moment), self.begin("new.json", moment + 1)]
        for load in loads:
            load.wait(timeout=60)
            load.communicate()
        _, errors = self.merge(expect=64)
        self.assertIn("start_at", errors)
        self.merge("--start-at", f"@{moment}", "--wait-for-runs", "1", expect=0)
        self.assertEqual((self.folder / "merged.json").read_text(), (self.runs / "old.json").read_text())
        _, errors = self.merge("--wait-for-runs", "1", expect=64)
        self.assertIn("there are 2 runs instead of 1", errors)

    def test_does_not_wait_for_ever(self):
        _, errors = self.merge("--wait-for-runs", "2", "--timeout", "200ms", expect=69)
        self.assertIn("0 of 2 runs came within 200ms", errors)
        self.merge(expect=64)

    def test_judges_the_whole(self):
        with self.double(FORKECHOD_DOUBLE="wrong") as address:
            self.run_forkecho("load", address, "-n", "20", "--warmup", "0", "--json", self.runs / "wrong.json", expect=1)
        self.merge(expect=0)
        self.merge("--judge", expect=1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
