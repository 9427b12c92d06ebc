"""What the tests of the load test in containers share: a compose project of their own, which is gone after
each test by its own name, and readers of what servers and clients leave."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker" / "docker-compose.yml"
SERVERS = ["fork", "pool-shared", "pool-single-use", "event"]
KINDS = ["refused", "timeout", "reset", "short", "wrong", "other"]
COMMAND_S = 120  # no command of the engine may take longer


def call(*arguments, check=True, timeout=COMMAND_S, **more):
    """Standard output of a command that must end with 0 (unless not `check`)."""
    done = subprocess.run([str(one) for one in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout if check else done


def docker(*arguments, **more):
    return call("docker", *arguments, **more)


def compose_command():
    done = call("docker", "compose", "version", check=False)
    return ["docker", "compose"] if done.returncode == 0 else ["docker-compose"]


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain until " + what)
        time.sleep(0.05)


def quantity(counts):
    """The sum of all numbers in nested counts."""
    return sum(quantity(value) if isinstance(value, dict) else value for value in counts.values())


def points_between(run, begin_s, end_s):
    return [point for point in run["timeline"] if begin_s < point["t_s"] <= end_s]


def rate_between(run, begin_s, end_s):
    points = points_between(run, begin_s, end_s)
    return sum(point["completed"] for point in points) / max(1, len(points))


def errors_between(run, begin_s, end_s):
    """By kind."""
    return {kind: sum(point[kind] for point in points_between(run, begin_s, end_s)) for kind in KINDS}


class ComposeTest(unittest.TestCase):
    """A test has a project: docker-compose.yml with `override`, its reports in a folder of its own."""

    override = {}
    bound_s = 180

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="forkecho-compose-"))
        self.folder.chmod(0o755)
        self.out = self.folder / "out"
        self.out.mkdir()
        self.out.chmod(0o777)
        self.project = f"forkecho-test-{os.getpid()}-{int(time.monotonic() * 1000) % 1_000_000}"
        self.command = compose_command()
        self.settings = {}
        self.more = json.loads(json.dumps(self.override))
        signal.signal(signal.SIGALRM, self.too_long)
        signal.alarm(self.bound_s)

    def too_long(self, *_):
        raise AssertionError(f"the test took longer than {self.bound_s} s")

    def tearDown(self):
        signal.alarm(0)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)
        left = docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        if left:
            docker("rm", "--force", "--volumes", *left.split())
        shutil.rmtree(self.folder, ignore_errors=True)
        self.assertEqual(left, "", "containers of the test were left")

    def environment(self):
        mine = {"COMPOSE_PROFILES": "quick,full", "FORKECHO_USER": "65532:65532", **self.settings}
        if os.cpu_count() == 1:
            mine["FORKECHO_CLIENT_CPUS"] = "0"
        return {**os.environ, **mine}

    def compose(self, *arguments, check=True):
        more = self.folder / "override.json"
        services = {name: {"volumes": [f"{self.out}:/out"]} for name in ("quick", "full")}
        for name, service in self.more.get("services", {}).items():
            services[name] = {**services.get(name, {}), **service}
        more.write_text(json.dumps({"services": services}))
        return call(*self.command, "--project-name", self.project, "--file", COMPOSE_FILE, "--file", more, *arguments,
                    check=check, env=self.environment(), cwd=ROOT / "docker")

    def up(self, *services):
        """Starts these, and those that they depend on."""
        self.compose("up", "--detach", "--no-build", *services)

    def container(self, service):
        return self.compose("ps", "--all", "--quiet", service).strip()

    def network(self):
        return f"{self.project}_load"

    def state(self, service):
        return json.loads(docker("inspect", self.container(service)))[0]["State"]

    def status(self, service):
        """Of a server that runs."""
        return json.loads(docker("exec", self.container(service), "/forkechod", "status", "--json"))

    def wait_until_serving(self, *services):
        for service in services:
            container = self.container(service)
            wait_until(lambda: docker("exec", container, "/forkechod", "status", check=False).returncode == 0,
                       service + " serves")

    def end_of(self, service):
        """Its exit code, once it has ended."""
        return int(docker("wait", self.container(service)))

    def stop(self, *services):
        self.compose("stop", *services)

    def final_status(self, service):
        target = self.folder / f"{service}.json"
        docker("cp", f"{self.container(service)}:/final/{service}.json", target)
        return json.loads(target.read_text())

    @contextlib.contextmanager
    def load(self, target, *options):
        """A load client of its own in the project's network; gives a function that waits for its run."""
        name = f"{self.project}-load-{time.monotonic_ns()}"
        docker("run", "--detach", "--name", name, "--network", self.network(), "--init", "--read-only", "--cap-drop",
               "ALL", "--label", f"com.docker.compose.project={self.project}", "--sysctl",
               "net.ipv4.ip_local_port_range=1024 65535", "forkecho/client", "load", target, "--wait-for", "20s",
               "--json", "-", "--quiet", *options)

        def run():
            docker("wait", name)
            return json.loads(docker("logs", name))

        try:
            yield run
        finally:
            docker("rm", "--force", name, check=False)
