#!/usr/bin/env python3
"""The images: the programs alone, a few megabytes, and the same bytes from the same sources."""
import hashlib
import io
import json
import os
import subprocess
import tarfile
import unittest

from compose_project import ROOT, call, docker


def program_in(image, name):
    holder = docker("create", image).strip()
    try:
        archive = call_bytes("docker", "cp", f"{holder}:{name}", "-")
    finally:
        docker("rm", holder)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.extractfile(tar.getmembers()[0]).read()


def digest(image, name):
    return hashlib.sha256(program_in(image, name)).hexdigest()


def call_bytes(*arguments):
    return subprocess.run(arguments, stdout=subprocess.PIPE, check=True).stdout


class Images(unittest.TestCase):
    def test_hold_one_program_and_run_as_nobody(self):
        for image, program in (("forkecho/server", "/forkechod"), ("forkecho/client", "/forkecho")):
            about = json.loads(docker("image", "inspect", image))[0]
            self.assertEqual(about["Config"]["User"], "65532:65532")
            self.assertEqual(about["Config"]["Entrypoint"], [program])
            self.assertLess(about["Size"], 16 << 20, "a few megabytes")
            self.assertIn("org.opencontainers.image.title", about["Config"]["Labels"])
            self.assertEqual(program_in(image, program)[:4], b"\x7fELF")
            done = docker("run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", image, check=False)
            self.assertNotEqual(done.returncode, 0, "there is no shell")

    @unittest.skipUnless("FORKECHO_SOAK" in os.environ, "compiles everything anew: ./dev compose test with FORKECHO_SOAK=1")
    def test_are_the_same_when_built_again(self):
        arguments = [f"--build-arg={name}={os.environ[name]}" for name in ("http_proxy", "https_proxy", "no_proxy")
                     if os.environ.get(name)]
        again = f"forkecho/build-again-{os.getpid()}"
        call("docker", "build", "--network", "host", "--no-cache", "--force-rm", "--file", ROOT / "docker" / "Dockerfile",
             "--target", "build", "--tag", again, *arguments, ROOT, timeout=1500)
        try:
            for image, name in (("server", "forkechod"), ("client", "forkecho")):
                self.assertEqual(digest(again, f"/image/{image}/{name}"), digest(f"forkecho/{image}", f"/{name}"), name)
        finally:
            docker("image", "rm", again)


if __name__ == "__main__":
    unittest.main(verbosity=2)
