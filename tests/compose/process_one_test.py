#!/usr/bin/env python3
"""The server as process 1 of its container: what it may do, whom it reaps, how it ends."""
import os
import pathlib
import signal
import socket
import time
import unittest

from compose_project import ComposeTest, docker, wait_until


def status_of(pid):
    """/proc/PID/status as a dictionary; empty when it has gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def parent_of(pid):
    return int(status_of(pid).get("PPid", 0))


class ProcessOne(ComposeTest):
    def setUp(self):
        super().setUp()
        self.up("fork")
        self.wait_until_serving("fork")
        self.server = self.container("fork")

    def pid(self):
        return int(docker("inspect", "--format", "{{.State.Pid}}", self.server))

    def processes(self):
        """Pids, as seen from outside, of all in the container."""
        return [int(line.split()[0]) for line in docker("top", self.server, "-eo", "pid").splitlines()[1:]]

    def zombies(self):
        return [pid for pid in self.processes() if status_of(pid).get("State", "").startswith("Z")]

    def address(self):
        form = "{{(index .NetworkSettings.Networks \"" + self.network() + "\").IPAddress}}"
        return docker("inspect", "--format", form, self.server).strip(), 9001

    @unittest.skipUnless(os.geteuid() == 0, "reads other users' processes")
    def test_has_no_rights(self):
        wait_until(lambda: len(self.processes()) >= 3, "the acceptor and the exporter run")
        for pid in self.processes():
            status = status_of(pid)
            self.assertEqual(status["Uid"].split(), ["65532"] * 4)
            self.assertEqual(status["Gid"].split(), ["65532"] * 4)
            for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[kind], 16), 0, kind)
            self.assertEqual(status["NoNewPrivs"], "1")
        made = pathlib.Path(f"/proc/{self.pid()}/mounts").read_text()
        root = next(line.split() for line in made.splitlines() if line.split()[1] == "/")
        self.assertIn("ro", root[3].split(","))

    def test_ends_on_term(self):
        begin = time.monotonic()
        docker("kill", "--signal", "TERM", self.server)
        self.assertEqual(self.end_of("fork"), 0)
        self.assertLess(time.monotonic() - begin, 10)

    @unittest.skipUnless(os.geteuid() == 0, "kills another user's process")
    def test_reaps_orphans(self):
        """Children whose acceptor was killed are left to process 1."""
        held = [socket.create_connection(self.address(), timeout=10) for _ in range(5)]
        for client in held:
            self.addCleanup(client.close)
            client.sendall(b"a")
            self.assertEqual(client.recv(10), b"A")
        server, all_of_them = self.pid(), set(self.processes())
        children = {pid for pid in all_of_them - {server} if parent_of(pid) != server}
        parents = {parent_of(pid) for pid in children}
        self.assertEqual((len(children), len(parents)), (5, 1))
        acceptor = parents.pop()
        os.kill(acceptor, signal.SIGKILL)
        wait_until(lambda: all(parent_of(pid) == server for pid in children), "they are left to it")
        for client in held:
            client.sendall(b"b")
            self.assertEqual(client.recv(10), b"B")
            client.close()
        wait_until(lambda: not children & set(self.processes()), "they are reaped")
        self.assertEqual(self.zombies(), [])
        wait_until(lambda: self.status("fork")["connections"]["active"] == 0, "the books are closed")

    def test_leaves_no_zombie_after_ten_thousand_connections(self):
        with self.load("fork:9001", "--workload", "crr", "-n", "10000", "-c", "16", "--warmup", "0") as run:
            result = run()
        self.assertEqual(result["requests"]["completed"], 10000)
        wait_until(lambda: self.status("fork")["connections"]["active"] == 0, "nobody is served")
        wait_until(lambda: not self.zombies(), "there is no zombie", 5)
        status = self.status("fork")
        self.assertGreaterEqual(status["connections"]["served"], 10000)
        self.assertEqual(status["children"]["forked"], status["children"]["reaped"])
        self.assertLess(len(self.processes()), 6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
