#!/usr/bin/env python3
"""The logs that forkecho writes, read by the npm package hdr-histogram-js; and the log of that package's own
tests, read by forkecho. Runs are saved, cut and merged as a user does it.

./dev test puts the package under build/tools/node_modules; FORKECHO_NODE_MODULES says where else it is."""
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from programs import BUILD, ProgramTest  # noqa: E402

SCRIPT = HERE / "interval_log_beside_hdr_histogram_js.js"
MODULES = pathlib.Path(os.environ.get("FORKECHO_NODE_MODULES", BUILD.resolve().parent / "tools" / "node_modules"))
PACKAGE = MODULES / "hdr-histogram-js"
NODE = shutil.which("node") or shutil.which("nodejs")
WHY_NOT = ("needs node" if NODE is None else
           None if PACKAGE.is_dir() else f"needs hdr-histogram-js in {MODULES}: npm install hdr-histogram-js")


def ask(*arguments):
    return subprocess.run([NODE, SCRIPT, PACKAGE, *arguments], check=True, capture_output=True, text=True,
                          timeout=60).stdout


class IntervalLog(ProgramTest):
    def load(self, name, *arguments):
        """Files of a run against a server of the project's own, and its JSON."""
        files = {kind: self.folder / f"{name}.{kind}" for kind in ("json", "hlog", "hgrm", "csv")}
        with self.double() as address:
            self.run_forkecho("load", address, "-c", "2", "-w", "1", "--warmup", "0", "--quiet", "--json", files["json"],
                              "--hdr", files["hlog"], "--hgrm", files["hgrm"], "--csv", files["csv"], *arguments, expect=0)
        return files, json.loads(files["json"].read_text())

    def check_against(self, told, histogram):
        """The package reports the highest value of a bucket; our largest is exact."""
        self.assertEqual(told["count"], histogram["count"])
        for key, percentile in (("p50", "50"), ("p90", "90"), ("p99", "99"), ("p999", "99.9"), ("p9999", "99.99")):
            self.assertEqual(min(told["percentiles"][percentile], histogram["max"]), histogram[key], key)
        self.assertLessEqual(abs(told["mean"] - histogram["mean"]), histogram["mean"] / 1000)

    @unittest.skipIf(WHY_NOT, WHY_NOT)
    def test_is_read_by_hdr_histogram_js_with_equal_percentiles(self):
        files, run = self.load("run", "-d", "2500ms")
        told = json.loads(ask("read", files["hlog"]))
        self.check_against(told["from_intended"], run["latency"]["from_intended"])
        self.check_against(told["from_send"], run["latency"]["from_send"])
        self.check_against(told["first_byte"], run["first_byte"])
        points = [point for point in run["timeline"] if point["completed"]]
        self.assertEqual([interval[2] for interval in told["from_intended"]["intervals"]],
                         [point["completed"] for point in points])
        self.assertGreater(len(points), 1)

    @unittest.skipIf(WHY_NOT, WHY_NOT)
    def test_percentile_text_is_that_of_hdr_histogram_js(self):
        files, _ = self.load("run", "-n", "3000")
        ours = files["hgrm"].read_text().splitlines()
        theirs = ask("distribution", files["hlog"], "from_intended").splitlines()
        self.assertEqual(len(ours), len(theirs))
        for our_line, their_line in zip(ours, theirs):
            number = r"-?[0-9]+(?:\.[0-9]+)?"
            self.assertEqual(re.sub(number, "N", our_line), re.sub(number, "N", their_line))
            for one, other in zip(re.findall(number, our_line), re.findall(number, their_line)):
                # The last digit may be rounded the other way.
                self.assertLessEqual(abs(float(one) - float(other)), 0.0015 + 1e-9 * float(other), our_line)

    @unittest.skipIf(WHY_NOT, WHY_NOT)
    def test_reads_the_published_example(self):
        example, merged = self.folder / "example.hlog", self.folder / "merged.hlog"
        example.write_text(ask("examples"))
        self.run_forkecho("merge", example, "-o", merged, expect=0)
        theirs, ours = json.loads(ask("read", example)), json.loads(ask("read", merged))
        self.assertEqual(sorted(theirs), ["A", "NOT-EMPTY"])
        self.assertEqual(ours, theirs)
        self.assertGreater(ours["A"]["count"], 0)

    def test_merging_runs_equals_one_run_over_all(self):
        """A run's own intervals, each as a log of its own, in any order: together they are the run."""
        files, run = self.load("run", "-d", "2500ms")
        lines = files["hlog"].read_text().splitlines()
        head = [line for line in lines if not line.startswith("Tag=")]
        parts = []
        for number, line in enumerate(line for line in lines if line.startswith("Tag=")):
            parts.append(self.folder / f"part{number}.hlog")
            parts[-1].write_text("\n".join([*head, line]) + "\n")
        self.assertGreater(len(parts), 3)
        random.Random(3).shuffle(parts)
        merged = self.folder / "merged.hlog"
        self.run_forkecho("merge", *parts, "-o", merged, expect=0)
        intervals = [line for line in merged.read_text().splitlines() if line.startswith("Tag=")]
        self.assertEqual(sorted(intervals), sorted(line for line in lines if line.startswith("Tag=")))

    def test_merge_adds_up_saved_runs(self):
        self.load("a", "-n", "400")
        self.load("b", "-n", "600")
        self.load("c", "-n", "400", "-s", "32")
        merged = self.folder / "merged.json"
        _, errors = self.run_forkecho("merge", self.folder / "a.json", self.folder / "c.json", "-o", merged, expect=64)
        self.assertIn("its size is 32, that of the first 64", errors)
        self.run_forkecho("merge", self.folder / "a.json", self.folder / "b.json", "-o", merged, expect=0)
        self.assertEqual(json.loads(merged.read_text())["latency"]["from_send"]["count"], 1000)

    def test_refuses_what_is_no_run(self):
        files, _ = self.load("run", "-n", "10")
        for name, text in (("empty", ""), ("comment", "# nothing\n"), ("text", "hello\n"), ("list", "[]"),
                           ("schema", '{"schema":2}'), ("cut", files["hlog"].read_text()[:-9] + "\n")):
            wrong = self.folder / name
            wrong.write_text(text)
            _, errors = self.run_forkecho("merge", wrong, "-o", self.folder / "out", expect=64)
            self.assertIn(f"{name}: ", errors)
        for pair in ((files["json"], files["hlog"]), (files["hlog"], files["json"])):
            _, errors = self.run_forkecho("merge", *pair, "-o", "-", expect=64)
            self.assertIn("a log and a JSON cannot be merged", errors)
        self.run_forkecho("merge", self.folder / "absent", "-o", "-", expect=64)
        (self.folder / "folder").mkdir()
        _, errors = self.run_forkecho("merge", self.folder / "folder", "-o", "-", expect=64)
        self.assertIn("there is no run in this folder", errors)
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
