#!/usr/bin/env python3
"""What keeps the load test from running is told in one clear line, with an exit code that says whose it is."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

from compose_project import ROOT, call, docker


DISK = "/out:size=4k,mode=0700,uid=65532,gid=65532"


class ErrorLines(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="forkecho-errors-"))
        self.folder.chmod(0o755)

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def copy(self):
        """Of what `./dev compose` reads, so that this run of it is not in its own way."""
        copy = self.folder / "copy"
        shutil.copytree(ROOT / "docker", copy / "docker", ignore=shutil.ignore_patterns("out"))
        shutil.copy(ROOT / "dev", copy / "dev")
        return copy

    def run_compose(self, copy, *prefix, code, **environment):
        done = call(*prefix, copy / "dev", "compose", "quick", check=False, cwd=copy,
                    env={**os.environ, "FORKECHO_IMAGES": "present", "COMPOSE_PROJECT_NAME": f"forkecho-test-{os.getpid()}",
                         **environment})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("compose: ")]
        self.assertEqual(lines, done.stderr.splitlines(), "nothing but its own words")
        return lines

    def test_missing_engine(self):
        lines = self.run_compose(self.copy(), code=69, DOCKER_HOST=f"unix://{self.folder}/nobody.sock")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("does not answer: start it, or unset DOCKER_HOST", lines[0])

    @unittest.skipUnless(os.geteuid() == 0, "becomes another user")
    def test_no_permission(self):
        copy = self.copy()
        for path in [copy, *copy.rglob("*")]:
            os.chown(path, 65534, 65534)
        # No way to become root: neither sudo nor a terminal.
        lines = self.run_compose(copy, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                                 "--no-new-privs", code=69, HOME=str(self.folder))
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("no permission to use the container engine", lines[0])

    @unittest.skipUnless(os.geteuid() == 0, "mounts a small disk")
    def test_disk_full_in_the_reports_folder(self):
        copy = self.copy()
        out = copy / "docker" / "out"
        out.mkdir()
        with self.small_disk(out):
            lines = self.run_compose(copy, code=71)
        self.assertRegex(lines[-1], f"the disk is full: {out} has [01] MiB free, 16 are needed for the reports$")

    @contextlib.contextmanager
    def small_disk(self, folder):
        call("mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "tmpfs", folder)
        try:
            yield
        finally:
            call("umount", folder)

    def test_disk_that_is_full_only_after_the_run(self):
        """The report does not fit: nothing is left of it, and the load says so."""
        done = docker("run", "--rm", "--network", "none", "--tmpfs", DISK,
                      "forkecho/client", "load", "127.0.0.1:1", "--json", "/out/run.json", check=False)
        self.assertEqual(done.returncode, 69, "nothing answers; the file could be made: " + done.stderr)
        name = f"forkecho-test-{os.getpid()}-full"
        docker("run", "--detach", "--name", name, "forkecho/server")
        try:
            done = docker("run", "--rm", "--network", f"container:{name}", "--tmpfs", DISK,
                          "forkecho/client", "load", "127.0.0.1:9001", "--wait-for", "10s", "-d", "200ms", "--json",
                          "/out/run.json", "--quiet", check=False)
        finally:
            docker("rm", "--force", name)
        self.assertEqual(done.returncode, 71, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "forkecho: cannot write /out/run.json: No space left on device\n")

    def test_port_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = docker("run", "--rm", "--publish", f"127.0.0.1:{port}:9001", "forkecho/server", check=False)
        self.assertNotEqual(done.returncode, 0)
        log = self.folder / "up.log"
        log.write_text(done.stderr)
        words = ROOT / "docker" / "compose" / "words.sh"
        said = subprocess.run(["bash", "-c", 'source "$1"; explain "$2"', "explain", words, log], text=True,
                              stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(len(said.splitlines()), 1, said)
        self.assertIn("a port is taken: ", said)
        self.assertIn(str(port), said)

    def test_unknown_words(self):
        done = call(ROOT / "docker" / "compose.sh", "fast", check=False)
        self.assertEqual(done.returncode, 64)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
