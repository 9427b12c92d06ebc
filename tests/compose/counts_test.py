#!/usr/bin/env python3
"""What the load in containers counts is what the servers have in their books; a wrong reply is exit code 1."""
import json
import time
import unittest

from compose_project import SERVERS, ComposeTest, quantity

SHORT = {"FORKECHO_QUICK_DURATION": "500ms", "FORKECHO_QUICK_ROUNDS": "2", "FORKECHO_QUICK_PAUSE": "100ms"}


class Counts(ComposeTest):
    def run_quick(self):
        self.settings.update(SHORT)
        self.up("quick")
        code = self.end_of("quick")
        self.stop()
        return code, json.loads((self.out / "report.json").read_text())

    def test_of_the_client_are_those_of_each_server(self):
        code, report = self.run_quick()
        self.assertEqual(code, 0)
        self.assertEqual([design["name"] for design in report["designs"]], SERVERS)
        self.assertEqual(report["settings"]["pause_ns"], 100_000_000)
        for design in report["designs"]:
            run, final = design["run"], self.final_status(design["name"])
            self.assertEqual(final["connections"]["accepted"], run["totals"]["connections"], design["name"])
            self.assertEqual(final["connections"]["served"], run["totals"]["connections"], design["name"])
            self.assertEqual(final["bytes"], {"in": run["totals"]["bytes_out"], "out": run["totals"]["bytes_in"]})
            self.assertEqual(run["verification"]["checked"], run["requests"]["completed"])
            self.assertGreater(run["requests"]["completed"], 0)
            self.assertEqual(quantity(run["requests"]["failed"]) + quantity(run["connections"]["failed"]), 0)
            self.assertEqual(self.state(design["name"])["ExitCode"], 0)
        page = (self.out / "report.html").read_text()
        self.assertIn("pool-single-use", page)

    def test_of_several_clients_add_up(self):
        self.up("fork")
        moment = f"@{time.time() + 6:.3f}"
        options = ["--start-at", moment, "--workload", "crr", "-d", "1s", "--warmup", "200ms"]
        with self.load("fork:9001", *options) as first, self.load("fork:9001", *options, "-c", "3") as second:
            runs = [first(), second()]
        self.assertEqual(runs[0]["plan"]["start_at"], runs[1]["plan"]["start_at"])
        self.stop()
        final = self.final_status("fork")
        self.assertEqual(final["connections"]["accepted"], sum(run["totals"]["connections"] for run in runs))
        self.assertEqual(final["bytes"]["in"], sum(run["totals"]["bytes_out"] for run in runs))

    def test_a_server_that_answers_wrongly_is_found_out(self):
        self.settings["FORKECHO_TRANSFORM"] = "none"
        code, report = self.run_quick()
        self.assertEqual(code, 1)
        for design in report["designs"]:
            self.assertGreater(design["run"]["verification"]["mismatched"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
