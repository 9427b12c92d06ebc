"""The Debian package: what is in it, what lintian says, and what installing and purging it leaves behind.

The last needs root and a Debian 12 base system: FORKECHO_BASE_SYSTEM names one, which is copied; in a soak
(FORKECHO_SOAK) debootstrap makes one. No systemd runs in it, so that the daemon is started by hand.
"""

import contextlib
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["FORKECHO_BUILD"])
TOP = pathlib.Path(__file__).resolve().parent.parent
CONFIGURATION = "/etc/forkecho/forkechod.conf"
FILES = {
    CONFIGURATION: "-rw-r--r--",
    "/lib/systemd/system/forkechod.service": "-rw-r--r--",
    "/lib/systemd/system/forkechod.socket": "-rw-r--r--",
    "/usr/bin/forkecho": "-rwxr-xr-x",
    "/usr/bin/forkechod": "-rwxr-xr-x",
    "/usr/share/doc/forkecho/changelog.gz": "-rw-r--r--",
    "/usr/share/doc/forkecho/copyright": "-rw-r--r--",
    "/usr/share/lintian/overrides/forkecho": "-rw-r--r--",
    "/usr/share/man/man1/forkecho.1.gz": "-rw-r--r--",
    "/usr/share/man/man8/forkechod.8.gz": "-rw-r--r--",
}


def run(*command, timeout=240, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def one_line_summary(manual_page):
    return re.search(r"^\.Nd (.*)$", manual_page, re.MULTILINE)[1]


class DebianPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="forkecho-debian-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", cls.folder)
        cls.package = next(cls.folder.glob("*.deb"))
        cls.tree = cls.folder / "tree"
        run("dpkg-deb", "--extract", cls.package, cls.tree)
        cls.control = cls.folder / "control"
        run("dpkg-deb", "--control", cls.package, cls.control)

    def field(self, name):
        return run("dpkg-deb", "--field", self.package, name).strip()

    def test_it_has_these_files_and_no_other(self):
        entries = [line.split(maxsplit=5) for line in run("dpkg-deb", "--contents", self.package).splitlines()]
        files = {entry[5].removeprefix("."): entry[0] for entry in entries if not entry[5].endswith("/")}
        self.assertEqual(files, FILES)
        self.assertEqual({entry[1] for entry in entries}, {"root/root"})
        self.assertEqual({entry[0] for entry in entries if entry[5].endswith("/")}, {"drwxr-xr-x"})

    def test_its_version_is_the_programs(self):
        version = self.field("Version")
        for program in ("forkechod", "forkecho"):
            self.assertEqual(run(self.tree / "usr/bin" / program, "--version"), f"{program} {version}\n")
        changelog = gzip.decompress((self.tree / "usr/share/doc/forkecho/changelog.gz").read_bytes()).decode()
        self.assertTrue(changelog.startswith(f"forkecho ({version}) "), changelog.partition("\n")[0])
        self.assertEqual(self.package.name, f"forkecho_{version}_{self.field('Architecture')}.deb")

    def test_its_programs_are_those_of_the_build_without_their_symbols(self):
        for program in ("forkechod", "forkecho"):
            packed = self.tree / "usr/bin" / program
            self.assertLess(packed.stat().st_size, (BUILD / program).stat().st_size)
            self.assertNotIn("INTERP", run("readelf", "--program-headers", "--wide", packed))
        self.assertEqual(self.field("Depends"), "")

    def test_its_manual_pages_are_ours(self):
        for name in ("usr/share/man/man8/forkechod.8", "usr/share/man/man1/forkecho.1"):
            packed = gzip.decompress((self.tree / f"{name}.gz").read_bytes())
            source = TOP / ("server" if name.endswith("8") else "client") / pathlib.Path(name).name
            self.assertEqual(packed, source.read_bytes())
        self.assertTrue(self.field("Description").startswith(
            one_line_summary((TOP / "server/forkechod.8").read_text(encoding="utf-8")) + "\n"))

    def test_its_configuration_is_the_administrators(self):
        self.assertEqual((self.control / "conffiles").read_text(encoding="utf-8"), CONFIGURATION + "\n")

    def test_its_unit_starts_what_is_in_it(self):
        unit = (self.tree / "lib/systemd/system/forkechod.service").read_text(encoding="utf-8")
        command = re.search(r"^ExecStart=(.*)", unit, re.MULTILINE)[1].split()
        self.assertEqual(command[0], "/usr/bin/forkechod")
        self.assertEqual(command[command.index("--config") + 1], CONFIGURATION)
        self.assertNotIn("@", unit.replace("@system-service", ""))

    def test_its_licence_is_the_projects(self):
        def words(text):
            return text.replace("\n .\n", "\n").split()
        packed = (self.tree / "usr/share/doc/forkecho/copyright").read_text(encoding="utf-8")
        licence = (TOP / "LICENSE").read_text(encoding="utf-8")
        self.assertEqual(words(packed.partition("License: Expat\n\nLicense: Expat\n")[2]),
                         words(licence.partition("authors\n")[2]))

    def test_lintian_finds_nothing(self):
        self.assertEqual(run("lintian", "--allow-root", "--fail-on", "error,warning", self.package), "")


class BaseSystem:
    """A Debian of its own in a folder, in which a package can be installed."""

    def __init__(self, folder):
        self.root = folder / "root"
        given = os.environ.get("FORKECHO_BASE_SYSTEM")
        if given:
            run("cp", "-a", given, self.root)
        else:
            run("debootstrap", "--variant=minbase", "bookworm", self.root, timeout=1200)

    def run(self, *command):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        return run("chroot", self.root, *command, env=environment)

    def files(self):
        """All but dpkg's own notes, and logs."""
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        return {name for name in found if not name.startswith(("var/lib/dpkg/", "var/cache/", "var/log/"))}

    def accounts(self):
        return [(self.root / "etc" / name).read_text(encoding="utf-8") for name in ("passwd", "group")]


class Installation(unittest.TestCase):
    def setUp(self):
        if not ("FORKECHO_BASE_SYSTEM" in os.environ or "FORKECHO_SOAK" in os.environ):
            self.skipTest("in a soak, or with FORKECHO_BASE_SYSTEM")
        if os.geteuid() != 0:
            self.skipTest("needs root")
        if "FORKECHO_BASE_SYSTEM" not in os.environ and shutil.which("debootstrap") is None:
            self.skipTest("needs debootstrap")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="forkecho-debian-"))
        self.addCleanup(shutil.rmtree, self.folder)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", self.folder)
        self.system = BaseSystem(self.folder)
        shutil.copy(next(self.folder.glob("*.deb")), self.system.root / "forkecho.deb")

    def status(self):
        """As dpkg sees it: `install ok installed`, or nothing."""
        with contextlib.suppress(AssertionError):
            return self.system.run("dpkg-query", "--show", "--showformat=${Status}", "forkecho")
        return ""

    def serve_once(self):
        control = "/tmp/forkechod.sock"
        self.system.run("forkechod", "start", "--config", CONFIGURATION, "--listen", "unix:/tmp/echo.sock",
                        "--control", control)
        try:
            reply = self.system.run("forkecho", "connect", "unix:/tmp/echo.sock", "--message", "straße")
            self.assertEqual(reply, "STRASSE\n")
        finally:
            self.system.run("forkechod", "stop", "--control", control)
            for left in (self.system.root / "tmp").glob("*.log"):
                left.unlink()

    def test_it_comes_serves_goes_and_leaves_nothing(self):
        before, accounts = self.system.files(), self.system.accounts()
        self.system.run("dpkg", "--install", "/forkecho.deb")
        self.assertEqual(self.status(), "install ok installed")
        added = self.system.files() - before
        for name in FILES:
            self.assertTrue((self.system.root / name[1:]).is_file(), name)
        self.assertIn("etc/systemd/system/multi-user.target.wants/forkechod.service", added)
        self.serve_once()

        self.system.run("dpkg", "--install", "/forkecho.deb")  # once more, as an upgrade
        self.assertEqual(self.status(), "install ok installed")

        self.system.run("dpkg", "--remove", "forkecho")
        self.assertEqual(self.status(), "deinstall ok config-files")
        left = {name for name in self.system.files() - before if (self.system.root / name).is_file()}
        self.assertIn(CONFIGURATION[1:], left)
        self.assertEqual([name for name in left if name.startswith("usr/")], [])

        self.system.run("dpkg", "--purge", "forkecho")
        self.assertEqual(self.status(), "")
        self.assertEqual(self.system.files() - before, set())
        self.assertEqual(before - self.system.files(), set())
        self.assertEqual(self.system.accounts(), accounts)

    def test_what_an_administrator_changed_stays(self):
        self.system.run("dpkg", "--install", "/forkecho.deb")
        configuration = self.system.root / CONFIGURATION[1:]
        configuration.write_text("max-connections=7\n", encoding="utf-8")
        self.system.run("dpkg", "--force-confold", "--install", "/forkecho.deb")
        self.assertEqual(configuration.read_text(encoding="utf-8"), "max-connections=7\n")
        self.system.run("dpkg", "--remove", "forkecho")
        self.assertTrue(configuration.exists())
        self.system.run("dpkg", "--purge", "forkecho")
        self.assertFalse(configuration.exists())


if __name__ == "__main__":
    unittest.main()
