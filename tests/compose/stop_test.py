#!/usr/bin/env python3
"""A server that is stopped in the middle of a run drains: exit code 0, and not a single reset."""
import time
import unittest

from compose_project import ComposeTest, docker


class Stop(ComposeTest):
    def stop_in_the_middle(self, server):
        self.up(server)
        self.wait_until_serving(server)
        # Half a kilobyte, so that some requests are under way at any moment.
        with self.load(f"{server}:9001", "--workload", "crr", "-c", "32", "-d", "6s", "--warmup", "0", "-s", "512",
                       "--timeout", "2s") as run:
            time.sleep(3)
            begin = time.monotonic()
            docker("stop", "--time", "20", self.container(server))
            took = time.monotonic() - begin
            result = run()
        self.assertEqual(self.state(server)["ExitCode"], 0)
        self.assertLess(took, 15, "it drained, and was not killed at the end of the grace period")
        self.assertEqual(result["connections"]["failed"]["reset"], 0)
        self.assertEqual(result["requests"]["failed"], {"timeout": 0, "reset": 0, "short": 0, "other": 0})
        self.assertEqual(result["requests"]["sent"], result["requests"]["completed"])
        self.assertGreater(result["requests"]["completed"], 100)
        final = self.final_status(server)
        self.assertEqual(final["connections"]["accepted"], result["totals"]["connections"])
        self.assertEqual(final["connections"]["served"], final["connections"]["accepted"])
        self.assertEqual(final["bytes"]["out"], result["totals"]["bytes_in"])

    def test_fork(self):
        self.stop_in_the_middle("fork")

    def test_pool(self):
        self.stop_in_the_middle("pool-shared")

    def test_pool_single_use(self):
        self.stop_in_the_middle("pool-single-use")

    def test_event(self):
        self.stop_in_the_middle("event")


if __name__ == "__main__":
    unittest.main(verbosity=2)
