#!/usr/bin/env python3
"""docker/stack.yml on a swarm of one machine: load clients that begin together, one report of all of them, and
servers that come and go meanwhile."""
import json
import os
import pathlib
import shutil
import tempfile
import time
import unittest

from compose_project import ROOT, call, docker, quantity, wait_until

LOADS, LEAD_S, LENGTH_S = 3, 20, 12


def settings_of(path):
    lines = (line.split("=", 1) for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(lines)


class Stack(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="forkecho-stack-"))
        self.name = f"forkecho-test-{os.getpid()}"
        self.made_swarm = docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip() != "active"
        if self.made_swarm:
            docker("swarm", "init", "--advertise-addr", "127.0.0.1")

    def tearDown(self):
        docker("stack", "rm", self.name, check=False)
        wait_until(lambda: not self.containers(everything=True), "the stack's containers are gone")
        time.sleep(1)
        for volume in ("final", "runs", "reports"):
            docker("volume", "rm", "--force", f"{self.name}_{volume}", check=False)
        if self.made_swarm:
            docker("swarm", "leave", "--force", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def containers(self, service=None, everything=False):
        label = f"com.docker.stack.namespace={self.name}" if service is None else \
            f"com.docker.swarm.service.name={self.name}_{service}"
        return docker("ps", *(["--all"] if everything else []), "--quiet", "--filter", f"label={label}").split()

    def deploy(self, **settings):
        self.begin = int(time.time()) + LEAD_S
        environment = {**os.environ, **settings_of(ROOT / "docker" / ".env"), "FORKECHO_LOADS": str(LOADS),
                       "FORKECHO_START_AT": f"@{self.begin}", "FORKECHO_STACK_DURATION": f"{LENGTH_S}s", **settings}
        call("docker", "stack", "deploy", "--resolve-image", "never", "--compose-file", ROOT / "docker" / "stack.yml",
             self.name, env=environment)

    def words(self):
        """Of all tasks, for a failure's message."""
        said = [docker("stack", "ps", "--no-trunc", self.name)]
        for container in self.containers(everything=True):
            done = docker("logs", "--tail", "5", container, check=False)
            said.append(done.stdout + done.stderr)
        return "\n".join(said)

    def scale(self, servers):
        docker("service", "scale", "--detach", f"{self.name}_server={servers}")

    def report(self):
        """Its container, once it has ended, and its exit code."""
        wait_until(lambda: self.containers("report", everything=True), "the report waits")
        container = self.containers("report", everything=True)[0]
        return container, int(docker("wait", container))

    def files(self, volume, folder):
        """What is on the stack's volume: a container that is never started has it."""
        holder = docker("create", "--volume", f"{self.name}_{volume}:/{folder}", "forkecho/client").strip()
        docker("cp", f"{holder}:/{folder}/.", self.folder / volume)
        docker("rm", holder)
        return [json.loads(path.read_text()) for path in sorted((self.folder / volume).glob("*.json"))]

    def final_statuses(self):
        self.scale(0)
        wait_until(lambda: not self.containers("server"), "the servers have drained")
        time.sleep(1)
        return self.files("final", "final")

    def test_merges_what_all_clients_counted(self):
        self.deploy(FORKECHO_SERVERS="2")
        container, code = self.report()
        text = docker("logs", container)
        self.assertEqual(code, 0, text + self.words())
        self.assertIn(f"{LOADS} runs of server:9001", text)
        merged, runs = self.files("reports", "out")[0], self.files("runs", "runs")
        self.assertEqual(len(runs), LOADS)
        self.assertEqual(merged["merged_from"], LOADS)
        for place in ("totals", "requests", "connections", "verification"):
            for key, value in merged[place].items():
                if isinstance(value, int):
                    self.assertEqual(value, sum(run[place][key] for run in runs), (place, key))
        self.assertEqual(sum(point["completed"] for point in merged["timeline"]), merged["requests"]["completed"])
        for run in runs:
            begun = run["started_at"]
            self.assertEqual(begun[:19], time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.begin + 1)), "after warm-up")
            self.assertEqual(len(run["address"].split(",")), 2, "both servers")
        finals = self.final_statuses()
        self.assertEqual(len(finals), 2)
        self.assertEqual(sum(final["connections"]["accepted"] for final in finals), merged["totals"]["connections"])
        self.assertEqual(sum(final["bytes"]["in"] for final in finals), merged["totals"]["bytes_out"])
        for final in finals:
            self.assertGreater(final["connections"]["served"], 0)

    def test_loses_no_accepted_request_when_servers_come_and_go(self):
        self.deploy(FORKECHO_SERVERS="2", FORKECHO_RATE="100")
        time.sleep(max(0, self.begin + 3 - time.time()))
        self.scale(3)
        time.sleep(3)
        self.scale(1)
        container, code = self.report()
        self.assertIn(code, (0, 1, 2), "connects to a server that has gone fail; nothing else may")
        merged = self.files("reports", "out")[0]
        self.assertEqual(quantity(merged["requests"]["failed"]), 0, docker("logs", container))
        self.assertEqual(merged["connections"]["failed"]["reset"], 0)
        self.assertEqual(merged["requests"]["sent"], merged["requests"]["completed"])
        self.assertGreater(merged["requests"]["completed"], 0)
        finals = self.final_statuses()
        self.assertEqual(len(finals), 3)
        self.assertEqual(sum(final["connections"]["served"] for final in finals), merged["totals"]["connections"])
        self.assertEqual(sum(final["bytes"]["out"] for final in finals), merged["totals"]["bytes_in"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
