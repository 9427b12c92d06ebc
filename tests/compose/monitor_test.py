#!/usr/bin/env python3
"""The profile monitor: Prometheus asks every server, and keeps what the load left in their books."""
import unittest

from compose_project import SERVERS, ComposeTest, docker, wait_until


class Monitor(ComposeTest):
    def setUp(self):
        super().setUp()
        self.settings["COMPOSE_PROFILES"] = "quick,full,monitor"
        self.up("prometheus", *SERVERS)
        self.wait_until_serving(*SERVERS)
        self.prometheus = self.container("prometheus")

    def check(self):
        return docker("exec", self.prometheus, "/check", check=False)

    def values_of(self, query):
        """Of each server."""
        text = docker("exec", self.prometheus, "promtool", "query", "instant", "http://localhost:9090", query)
        values = {}
        for line in text.splitlines():
            labels, _, value = line.partition(" => ")
            values[labels.split('instance="')[1].split(":")[0]] = float(value.split(" ")[0])
        return values

    def test_keeps_the_series_of_every_server(self):
        wait_until(lambda: docker("exec", self.prometheus, "promtool", "query", "instant", "http://localhost:9090", "up",
                                  check=False).returncode == 0, "Prometheus answers")
        self.assertEqual(self.check().returncode, 1, "nobody was served yet")
        counted = {}
        for server in SERVERS:
            with self.load(f"{server}:9001", "--workload", "crr", "-n", "200", "-c", "4", "--warmup", "0") as run:
                counted[server] = run()["totals"]["connections"]
        wait_until(lambda: self.values_of("forkecho_connections_accepted_total") == counted, "it has the last counts")
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        docker("kill", "--signal", "KILL", self.container("fork"))
        wait_until(lambda: self.values_of("up")["fork"] == 0, "it sees that the server has gone")
        self.assertEqual(self.values_of("max_over_time(forkecho_connections_accepted_total[5m])"), counted,
                         "what it has kept stays")


if __name__ == "__main__":
    unittest.main(verbosity=2)
