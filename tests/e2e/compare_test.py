#!/usr/bin/env python3
"""forkecho compare and report, as a user runs them: real servers, real signals, nothing left behind."""
import json
import os
import signal
import unittest

from programs import DOUBLE, ProgramTest, processes_that_name, soak, wait_until

SHORT = ["--rounds", "2", "-d", "100ms", "--warmup", "20ms", "-c", "4"]
DESIGNS = ["iterative", "fork", "pool-shared", "pool-lock", "pool-passing", "pool-reuseport", "pool-single-use",
           "event"]


class Compare(ProgramTest):
    def test_measures_every_design_and_leaves_nothing(self):
        file = self.folder / "c.json"
        table, _ = self.run_forkecho("compare", *SHORT, "--json", file, expect=0)
        comparison = json.loads(file.read_text())
        self.assertEqual([comparison["schema"], comparison["kind"]], [1, "comparison"])
        self.assertEqual([design["name"] for design in comparison["designs"]], DESIGNS)
        for design in comparison["designs"]:
            if not design["applicable"]:
                self.assertIn("this forkechod has no", design["reason"])
                continue
            self.check_design(design)
            self.assertRegex(table, rf"(?m)^{design['name']} +[0-9]")
        self.check_what_each_design_is(comparison["designs"])
        # Not of each: on a busy machine a short round may cost less than the kernel's tick.
        servers = [design["server"] for design in comparison["designs"] if design["applicable"]]
        self.assertGreater(sum(server["cpu_user_s"] + server["cpu_system_s"] for server in servers), 0)
        self.assertIn("On one machine the figure is the pair's capacity, not the server's.", table)

    def check_design(self, design):
        run = design["run"]
        self.assertEqual(len(design["rate"]["rounds"]), 2)
        self.assertGreater(design["rate"]["max"], 0)  # a busy machine may leave a short round nothing
        self.assertGreater(design["ratio_to_baseline"]["max"], 0)
        self.assertEqual(run["requests"]["scheduled"], run["requests"]["sent"] + run["requests"]["shed"])
        self.assertEqual(design["latency"]["from_intended"]["count"], run["requests"]["completed"])
        self.assertEqual(run["verification"]["checked"], run["requests"]["completed"])
        self.assertGreaterEqual(design["server"]["processes"], 1)
        self.assertGreater(design["server"]["pss_bytes"], 100_000)
        self.assertEqual(design["server"]["pss_bytes"], run["server"]["pss_bytes"])

    def check_what_each_design_is(self, designs):
        by_name = {design["name"]: design for design in designs}
        self.assertGreaterEqual(by_name["fork"]["server"]["forks_per_request"], 0.99)
        self.assertEqual(by_name["event"]["server"]["forks_per_request"], 0)
        for name in ("pool-shared", "event"):
            self.assertGreater(by_name[name]["server"]["fairness"], 0)
            self.assertLessEqual(by_name[name]["server"]["fairness"], 1)
            self.assertEqual(len(by_name[name]["process_control_s"]["rounds"]), 2)
        self.assertIsNone(by_name["iterative"]["process_control_s"])
        self.assertGreater(by_name["event"]["server"]["machine_switches_per_request"], 0)
        self.assertEqual(by_name["event"]["difference"], "too few to say")

    def test_measures_as_stevens_did(self):
        file = self.folder / "c.json"
        self.run_forkecho("compare", "--stevens", "--rounds", "1", "--designs", "iterative,event", "--json", file, expect=0)
        comparison = json.loads(file.read_text())
        settings = comparison["settings"]
        self.assertEqual([settings[key] for key in ("requests", "connections", "size", "workload", "warmup_ns")],
                         [5000, 10, 4000, "crr", 0])
        self.assertEqual(comparison["designs"][1]["run"]["totals"]["connections"], 5000)
        self.run_forkecho("compare", "--stevens", "-c", "3", expect=64)

    def test_places_servers_and_load_on_processors(self):
        file = self.folder / "c.json"
        table, _ = self.run_forkecho("compare", *SHORT, "--pin", "server:0,client:0", "--designs", "event", "--json",
                                     file, expect=0)
        settings = json.loads(file.read_text())["settings"]
        self.assertEqual([settings["pin"], settings["workers"]], ["server:0,client:0", 1])
        self.assertIn("(server:0,client:0)", table)

    def test_says_what_a_design_cannot_do(self):
        table, _ = self.run_forkecho("compare", *SHORT, "--workload", "rr", "--designs", "iterative,pool-shared",
                                     expect=0)
        self.assertRegex(table, "(?m)^iterative +not applicable")
        self.assertRegex(table, "(?m)^pool-shared +[0-9]")
        _, errors = self.run_forkecho("compare", *SHORT, "--workload", "rr", "--designs", "iterative", expect=64)
        self.assertIn("none of these designs can hold 4 connections", errors)

    def test_compares_servers_that_run_already(self):
        with self.double() as address:
            table, _ = self.run_forkecho("compare", *SHORT, "--targets", f"one={address},two={address}",
                                         "--wait-for", "5s", expect=0, TMPDIR="/nonexistent")
        self.assertRegex(table, r"(?m)^one .+ 1.00×  +–  .+ 0$")
        self.assertNotIn("CPU/", table)

    def test_fails_on_a_wrong_reply(self):
        with self.double(FORKECHOD_DOUBLE="wrong") as address:
            table, _ = self.run_forkecho("compare", *SHORT, "--targets", f"one={address}", expect=1)
        self.assertRegex(table, "Note: one: [0-9,]+ replies were wrong.")

    def test_says_why_a_server_does_not_start(self):
        _, errors = self.run_forkecho("compare", *SHORT, "--server", DOUBLE, expect=69, FORKECHOD_DOUBLE="dies")
        self.assertIn("the double was told to die", errors)

    def test_refuses_what_it_cannot_do(self):
        for arguments in (["--designs", "fork,prefork"], ["--designs", "fork,fork"], ["--targets", "x"],
                          ["--rounds", "0"], ["--server", "/nonexistent"],
                          ["--targets", "a=127.0.0.1:1", "--designs", "fork"], ["--targets", "a=nonsense"]):
            self.run_forkecho("compare", *SHORT, *arguments, expect=64)
        self.run_forkecho("compare", "--targets", "a=127.0.0.1:1", expect=69)

    def test_says_before_the_run_that_a_file_cannot_be_written(self):
        self.run_forkecho("compare", "--json", "/nonexistent/c.json", expect=71)

    def test_leaves_nothing_when_a_signal_ends_it(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            process = self.start("compare", "--rounds", "100", "-c", "4")
            wait_until(lambda: len(list(self.tmp.glob("*/*.sock"))) >= 5, "the servers listen")
            os.kill(process.pid, number)
            process.communicate(timeout=60)
            self.assertNotEqual(process.returncode, 0)
            wait_until(lambda: not processes_that_name(str(self.tmp)), f"nothing runs after {number}")
            wait_until(lambda: not list(self.tmp.iterdir()), f"no file is left after {number}")

    def test_shows_the_rounds_that_were_complete_when_it_is_interrupted(self):
        process = self.start("compare", "--rounds", "1000", "-d", "50ms", "--warmup", "0", "-c", "2", "--designs",
                             "event", "--html", "-")
        # The rounds are over when the server has served: its books are not seen here, so the first of
        # several signals that finds a complete round is the one that counts.
        wait_until(lambda: list(self.tmp.glob("*/event.sock")), "the server listens")
        wait_until(lambda: self.cpu_ticks_of(process.pid) > 5, "some rounds are over")
        process.send_signal(signal.SIGINT)
        page, errors = process.communicate(timeout=60)
        self.assertIn(process.returncode, (0, 1), errors)
        if process.returncode == 0:
            self.assertIn("of 1000 rounds were made", page)
        else:
            self.assertIn("interrupted before the first round was complete", errors)

    @staticmethod
    def cpu_ticks_of(pid):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15])


class Claims(ProgramTest):
    """What is said of two servers whose speed is known. The short form has too few rounds to say anything."""
    rounds, times = soak(2, 15), soak(1, 20)

    def claims(self, first, second):
        """How often a difference of the rate was claimed."""
        saved, claimed = self.folder / "c.json", 0
        with self.double(FORKECHOD_DOUBLE=first) as one, self.double(FORKECHOD_DOUBLE=second) as other:
            for _ in range(self.times):
                self.run_forkecho("compare", "--targets", f"one={one},two={other}", "--workload", "rr", "-c", "4", "-w", "1",
                                  "-d", "200ms", "--warmup", "20ms", "--rounds", str(self.rounds), "--json", saved, expect=0)
                claimed += json.loads(saved.read_text())["designs"][1]["difference"] in ("more", "less")
        return claimed

    def test_two_of_the_same_are_seldom_told_apart(self):
        self.assertLessEqual(self.claims("delay=0.00500", "delay=0.005"), soak(0, 1))

    def test_a_tenth_slower_is_found(self):
        self.assertGreaterEqual(self.claims("delay=0.0050", "delay=0.0055"), soak(0, 19))


class Saved(ProgramTest):
    def save(self, name, *arguments):
        saved = self.folder / name
        self.run_forkecho("compare", *SHORT, "--designs", "fork,event", "--json", saved, *arguments, expect=0)
        return saved, json.loads(saved.read_text())

    def test_two_comparisons_are_compared(self):
        saved, _ = self.save("c.json")
        result = self.folder / "pair.json"
        table, _ = self.run_forkecho("compare", saved, saved, "--json", result, expect=0)
        self.assertRegex(table, r"(?m)^fork .+ 1\.000×  +–  too few to say$")
        self.assertEqual([figure["name"] for figure in json.loads(result.read_text())["figures"]], ["fork", "event"])

    def test_runs_with_other_settings_refuse(self):
        saved, comparison = self.save("c.json")
        run = self.folder / "run.json"
        run.write_text(json.dumps(comparison["designs"][0]["run"]))
        table, _ = self.run_forkecho("compare", run, run, expect=0)
        self.assertRegex(table, r"(?m)^p99 .+ 1\.000×")
        other, _ = self.save("other.json", "-s", "65")
        _, errors = self.run_forkecho("compare", saved, other, expect=64)
        self.assertIn("their settings differ: size is 64 in the first and 65 in the second", errors)
        _, errors = self.run_forkecho("compare", saved, run, expect=64)
        self.assertIn("results of different kinds", errors)
        self.run_forkecho("compare", saved, expect=64)
        self.run_forkecho("compare", saved, saved, "--designs", "fork", expect=64)
        self.run_forkecho("merge", saved, "-o", self.folder / "out", expect=64)


class Report(ProgramTest):
    def test_makes_a_page_of_saved_results(self):
        saved, page, again = self.folder / "c.json", self.folder / "c.html", self.folder / "again.html"
        self.run_forkecho("compare", *SHORT, "--designs", "fork", "--json", saved, "--html", page, expect=0)
        self.run_forkecho("report", saved, "--html", again, expect=0)
        self.assertEqual(page.read_text(), again.read_text())

    def test_refuses_what_is_no_result(self):
        for text in ("", "{", "[]", '{"schema":2}', '{"schema":1,"kind":"comparison"}'):
            file = self.folder / "x.json"
            file.write_text(text)
            _, errors = self.run_forkecho("report", file, "--html", self.folder / "x.html", expect=64)
            self.assertIn("x.json: ", errors)
        self.run_forkecho("report", self.folder / "absent.json", "--html", "-", expect=64)
        self.run_forkecho("report", self.folder, "--html", "-", expect=64)
        self.assertFalse((self.folder / "x.html").exists())


if __name__ == "__main__":
    unittest.main()
