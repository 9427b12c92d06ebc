#!/usr/bin/env python3
"""A server in trouble in the middle of a run: the load tells what happened and when, the other designs' results
are untouched, and once it is well again, the rates are back."""
import time
import unittest

from compose_project import ComposeTest, docker, errors_between, quantity, rate_between

RATE = 200  # requests per second of each of the two loads: far below what any machine does
BEGIN_S, TROUBLE_S, LENGTH_S = 4, 3, 16


class Chaos(ComposeTest):
    """`fork` is the victim; `event` is driven at the same time."""

    OPTIONS = ["--workload", "crr", "--rate", str(RATE), "-c", "20", "-d", f"{LENGTH_S}s", "--warmup", "0", "--timeout",
               "1s"]

    def run_with(self, trouble, heal, options=()):
        self.up("fork", "event")
        self.wait_until_serving("fork", "event")
        begin = time.time() + 4
        start = ["--start-at", f"@{begin:.3f}"]
        with self.load("fork:9001", *self.OPTIONS, *options, *start) as victim, \
                self.load("event:9001", *self.OPTIONS, *start) as other:
            time.sleep(max(0, begin + BEGIN_S - time.time()))
            trouble()
            time.sleep(max(0, begin + BEGIN_S + TROUBLE_S - time.time()))
            heal()
            self.healed_s = time.time() - begin
            return victim(), other()

    def check(self, victim, other, kinds):
        """Errors of `kinds` (None: perhaps) between the trouble and some seconds after its end, and none before or
        after."""
        before = errors_between(victim, 0, BEGIN_S - 1)
        meanwhile = errors_between(victim, BEGIN_S - 1, self.healed_s + 4)
        after = errors_between(victim, self.healed_s + 4, LENGTH_S - 0.5)
        told = f"before {before}, meanwhile {meanwhile}, after {after}"
        self.assertEqual(quantity(before), 0, told)
        if kinds is not None:
            self.assertGreater(sum(meanwhile[kind] for kind in kinds), 0, told)
        self.assertEqual(meanwhile["wrong"], 0, told)
        self.assertEqual(quantity(after), 0, told)
        self.assertGreater(rate_between(victim, 0, BEGIN_S - 1), 0.8 * RATE)
        self.assertGreater(rate_between(victim, self.healed_s + 4, LENGTH_S - 0.5), 0.8 * RATE, told)
        for point in victim["timeline"]:
            self.assertEqual(point["errors"], sum(point[kind] for kind in meanwhile))
        self.assertEqual(quantity(other["requests"]["failed"]) + quantity(other["connections"]["failed"]), 0)
        self.assertEqual(quantity(errors_between(other, 0, LENGTH_S + 5)), 0)
        self.assertGreater(other["requests"]["completed"], 0.95 * RATE * LENGTH_S)
        self.assertEqual(other["requests"]["sent"], other["requests"]["completed"])

    def test_killed_and_started_again(self):
        server = lambda: self.container("fork")
        self.check(*self.run_with(lambda: docker("kill", "--signal", "KILL", server()),
                                  lambda: docker("start", server())),
                   ["refused", "timeout", "reset", "short", "other"])

    def test_paused(self):
        self.check(*self.run_with(lambda: docker("pause", self.container("fork")),
                                  lambda: docker("unpause", self.container("fork"))), ["timeout"])

    def test_cut_off_the_network(self):
        server = lambda: self.container("fork")
        address = []

        def cut():
            address.append(docker("inspect", "--format", "{{(index .NetworkSettings.Networks \"" + self.network() +
                                  "\").IPAddress}}", server()).strip())
            docker("network", "disconnect", self.network(), server())

        def heal():
            docker("network", "connect", "--alias", "fork", self.network(), server())
            self.assertEqual(docker("inspect", "--format", "{{(index .NetworkSettings.Networks \"" + self.network() +
                                    "\").IPAddress}}", server()).strip(), address[0])

        self.check(*self.run_with(cut, heal), ["timeout", "other"])

    def test_limit_of_processes_met(self):
        """Its children cannot be forked: the clients are told by a close, the server goes on."""
        self.check(*self.run_with(lambda: docker("update", "--pids-limit", "1", self.container("fork")),
                                  lambda: docker("update", "--pids-limit", "10500", self.container("fork"))),
                   ["short", "reset", "timeout"])
        self.assertGreater(self.status("fork")["connections"]["fork_failed"], 0)

    def test_limit_of_memory_met(self):
        """By connections that are held, more than there is memory for. The kernel kills processes of the
        container; whoever they were, clients are served again afterwards."""
        self.more = {"services": {"fork": {"mem_limit": "24m", "memswap_limit": "24m"}}}
        greedy, container, met = [], [], []

        def crowd():
            container.append(self.container("fork"))
            load = self.load("fork:9001", "--workload", "rr", "-c", "600", "--think", "100ms", "-d", f"{TROUBLE_S - 1}s",
                             "--warmup", "0", "--timeout", "500ms", "--close", "rst")
            greedy.append(load.__enter__()())
            load.__exit__(None, None, None)

        def relieve():
            state = self.state("fork")
            met.append(state["OOMKilled"])
            if not state["Running"]:
                docker("start", container[0])

        victim, other = self.run_with(crowd, relieve)
        told = greedy[0]
        self.assertGreater(quantity(told["requests"]["failed"]) + quantity(told["connections"]["failed"]), 0)
        self.assertGreater(quantity(errors_between(told, 0, LENGTH_S)), 0, "and when")
        books = self.status("fork")["connections"]
        self.assertTrue(met[0] or books["crashed"] + books["fork_failed"] > 0, f"it was met: {met} {books}")
        self.check(victim, other, None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
