"""Installs the multiprocessing library and builds a program outside the project against it."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["FORKECHO_BUILD"])
TESTS = pathlib.Path(__file__).resolve().parent
README = TESTS.parent / "common" / "mp" / "README.md"


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def first_program():
    """The C++ of the README, from its first line to its last."""
    return re.search(r"^```cpp\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]


class Package(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="forkecho-package-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.prefix = self.folder / "prefix"
        run("cmake", "--install", BUILD, "--prefix", self.prefix, "--component", "mp")

    def test_the_readmes_first_program_is_built_outside_and_runs(self):
        source, build = self.folder / "outside", self.folder / "build"
        shutil.copytree(TESTS / "package", source)
        (source / "main.cpp").write_text(first_program(), encoding="utf-8")
        run("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", build)
        self.assertEqual(run(build / "outside"), "hello\n" * 3)

    def test_nothing_but_headers_the_library_and_the_package_is_installed(self):
        folders = {path.relative_to(self.prefix).parts[0] for path in self.prefix.rglob("*")}
        self.assertEqual(folders, {"include", "lib"})
        suffixes = {path.suffix for path in self.prefix.rglob("*") if path.is_file()}
        self.assertEqual(suffixes, {".h", ".a", ".cmake"})

    def test_every_installed_header_stands_alone(self):
        include = self.prefix / "include"
        lines = [f'#include "{path.relative_to(include / "forkecho")}"'
                 for path in sorted(include.rglob("*.h"))]
        self.assertGreater(len(lines), 10)
        for line in lines:
            source = self.folder / "alone.cpp"
            source.write_text(line + "\n", encoding="utf-8")
            run("c++", "-std=c++20", "-fsyntax-only", "-I", include / "forkecho", source)


if __name__ == "__main__":
    unittest.main()
