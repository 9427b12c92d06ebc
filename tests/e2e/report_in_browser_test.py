#!/usr/bin/env python3
"""The pages that forkecho writes, opened in headless Chromium: no error, no request to any host, and every
number in their tables equal to the JSON's."""
import html.parser
import json
import re
import shutil
import socket
import subprocess
import unittest

from programs import ProgramTest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
         "--hide-scrollbars", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--virtual-time-budget=3000"]
WIDE, NARROW = "1280,2400", "420,2400"
LIGHT, DARK = "1", "0"
# Told by the page itself, in a copy of it: what a person would see to be wrong.
PROBE = """<script>
const root = document.documentElement;
root.dataset.overflow = String(root.scrollWidth > innerWidth);
root.dataset.scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
root.dataset.blank = String([...document.querySelectorAll("canvas")].filter(canvas => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return !pixels.some(value => value !== 0);
}).length);
</script>"""


class Dom(html.parser.HTMLParser):
    """The cells that have a place in the JSON, and what else the test asks for."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.root, self.tags, self.unnamed_pictures = {}, {}, [], 0
        self.settings, self.open_setting = {}, None
        self.open_cell = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag == "html":
            self.root = attributes
        if tag == "canvas" and not attributes.get("aria-label"):
            self.unnamed_pictures += 1
        if tag == "small":
            self.open_cell = None
        if "data-setting" in attributes:
            self.open_setting = attributes["data-setting"]
            self.settings[self.open_setting] = ""
        if "data-path" in attributes:
            self.open_cell = attributes["data-path"]
            self.cells[self.open_cell] = [attributes.get("data-value"), ""]

    def handle_endtag(self, tag):
        if tag in ("td", "span"):
            self.open_cell = self.open_setting = None

    def handle_data(self, text):
        if self.open_setting:
            self.settings[self.open_setting] += text
        if self.open_cell:
            self.cells[self.open_cell][1] += text


def follow(documents, path):
    value = documents
    for key in path.split("/"):
        if value is None:
            return None
        value = value[int(key)] if isinstance(value, list) else value.get(key)
    return value


def requests_in(net_log):
    """Every address that the page asked for, also in vain, and every name that was looked up for it."""
    text = net_log.read_text()
    try:
        log = json.loads(text)
    except ValueError:  # Chromium was ended before it closed the list
        log = json.loads(text.rstrip().rstrip(",") + "]}")
    asked = set()
    for event in log["events"]:
        parameters = event.get("params", {})
        keys = str(parameters.get("network_isolation_key", "")) + str(parameters.get("network_anonymization_key", ""))
        # Chromium asks its maker for updates and the time, whatever it is told: that is not the page's doing,
        # has no page for its initiator, and finds nobody (--host-resolver-rules).
        of_page = "file:" in keys or parameters.get("initiator", "not an origin") != "not an origin"
        for address in (str(parameters.get("url", "")), str(parameters.get("host", ""))):
            if of_page and address and not re.match(r"(file|data|chrome|devtools|about|blob):", address):
                asked.add(address)
    return asked


class Page(ProgramTest):
    def setUp(self):
        super().setUp()
        self.assertIsNotNone(CHROMIUM, "this test needs Chromium: apt-get install chromium")

    def chromium(self, page, *arguments, size=WIDE, scheme=LIGHT):
        """What Chromium prints and says about `page`."""
        profile = self.folder / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        result = subprocess.run([CHROMIUM, *QUIET, f"--user-data-dir={profile}", f"--window-size={size}",
                                 f"--blink-settings=preferredColorScheme={scheme}", *arguments, page.as_uri()],
                                env=self.environment(HOME=str(self.folder)), capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def open(self, page, **how):
        """Opens a copy of the page with the probe at its end; gives its document as it then is."""
        probed = self.folder / "probed.html"
        probed.write_text(page.read_text().replace("</body>", PROBE + "</body>"))
        net_log = self.folder / "net.json"
        result = self.chromium(probed, "--dump-dom", f"--log-net-log={net_log}", **how)
        self.assertNotIn("CONSOLE", result.stderr)
        self.assertEqual(requests_in(net_log), set())
        dom = Dom(result.stdout)
        self.assertEqual(dom.root.get("data-ready"), "yes", "the page's script came to its end")
        return dom

    def check(self, page, documents):
        for size, scheme in ((WIDE, LIGHT), (NARROW, DARK)):
            dom = self.open(page, size=size, scheme=scheme)
            self.assertEqual(dom.root["data-scheme"], "dark" if scheme == DARK else "light")
            self.assertEqual(dom.root["data-overflow"], "false", "nothing is wider than the window")
            self.assertEqual(dom.root["data-blank"], "0", "every chart shows something")
            self.assertEqual(dom.unnamed_pictures, 0, "every chart is described in words")
            self.assertEqual(dom.tags.count("h1"), len(documents))
            self.check_cells(dom.cells, documents)
            self.check_settings(dom.settings, documents)
        return dom

    def check_settings(self, shown, documents):
        """Every setting and the machine are on the page, as they are in the JSON."""
        for index, document in enumerate(documents):
            if document.get("kind") == "pair":
                continue
            place = "settings" if document.get("kind") == "comparison" else "plan"
            for part in (place, "machine"):
                for key, value in document[part].items():
                    text = shown[f"{index}/{part}/{key}"]
                    if value is None:
                        self.assertEqual(text, "not set")
                    elif isinstance(value, str):
                        self.assertEqual(text, value)
                    elif not key.endswith("_ns"):
                        self.assertEqual(float(text.replace(",", "")), value)
                    elif value:
                        self.check_shown(text, value, key)

    def check_cells(self, cells, documents):
        self.assertGreater(len(cells), 0)
        for path, (raw, shown) in cells.items():
            if path.endswith("/errors"):
                continue
            value = follow(documents, path)
            if value is None:
                self.assertIsNone(raw, path)
                self.assertEqual(shown, "not measured", path)
            else:
                self.assertEqual(float(raw), float(value), path)
                self.check_shown(shown, float(value), path)

    def check_shown(self, shown, value, path):
        """The text says the value within the three digits that it has."""
        units = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
        number, unit = re.match(r"(-?[0-9.,]+)(?: ?([a-zA-Zµ×]+))?", shown).groups()
        scale = 1 if path.endswith(("cpu_us_per_request", "process_control_s/median")) else units.get(unit, 1)
        said = float(number.replace(",", "")) * scale
        digits = len(number.partition(".")[2])
        self.assertLessEqual(abs(said - value), max(0.006 * abs(value), 0.51 * scale * 10 ** -digits), (path, shown))

    def compare(self, *arguments, expect=0):
        saved, page = self.folder / "c.json", self.folder / "c.html"
        self.run_forkecho("compare", "--rounds", "2", "-d", "100ms", "--warmup", "20ms", "-c", "4", "--json", saved,
                          "--html", page, *arguments, expect=expect)
        return page, json.loads(saved.read_text())

    def test_of_a_comparison_says_what_its_json_says(self):
        page, comparison = self.compare()
        dom = self.check(page, [comparison])
        applicable = [design for design in comparison["designs"] if design["applicable"]]
        self.assertGreaterEqual(len(applicable), 5)
        self.assertEqual(len([path for path in dom.cells if path.endswith("rate/median")]), len(applicable))
        self.assertEqual(dom.cells["0/designs/1/errors"][1], "0")

    def test_says_where_a_value_is_missing(self):
        page, comparison = self.compare("--workload", "rr", "--designs", "iterative,event")
        comparison["designs"][1]["server"] = None
        saved = self.folder / "missing.json"
        saved.write_text(json.dumps(comparison))
        self.run_forkecho("report", saved, "--html", page, expect=0)
        dom = self.check(page, [comparison])
        self.assertEqual(dom.cells["0/designs/1/server/pss_bytes"], [None, "not measured"])

    def test_of_a_run_beside_a_comparison(self):
        _, comparison = self.compare("--designs", "event")
        files = [self.folder / "c.json", self.folder / "run.json"]
        run = comparison["designs"][0]["run"]
        files[1].write_text(json.dumps(run))
        page = self.folder / "both.html"
        self.run_forkecho("report", *files, "--html", page, expect=0)
        dom = self.check(page, [comparison, run])
        self.assertEqual(dom.cells["1/requests/completed"][0], str(run["requests"]["completed"]))

    def test_draws_every_percentile_that_was_saved(self):
        page, comparison = self.compare("--designs", "event")
        text = page.read_text()
        curves = json.loads(re.search(r'id="curves">(.*?)</script>', text)[1])
        latency = comparison["designs"][0]["latency"]["from_intended"]
        curve = curves[0]["designs/0/latency/from_intended"]
        self.assertGreater(len(curve), 10)
        for key, quantile in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            # Quantiles between two points of the curve have the value of one of them, or between.
            below = max(value for at, value in curve if at <= quantile)
            above = min(value for at, value in curve if at >= quantile)
            self.assertLessEqual(below, latency[key] * 1.001)
            self.assertGreaterEqual(above, latency[key])
        self.assertGreaterEqual(curve[-1][1], latency["max"])

    def test_of_two_saved_results(self):
        _, comparison = self.compare("--designs", "fork,event")
        saved, pair_file, page = self.folder / "c.json", self.folder / "pair.json", self.folder / "pair.html"
        self.run_forkecho("compare", saved, saved, "--json", pair_file, "--html", page, expect=0)
        pair = json.loads(pair_file.read_text())
        for figure in pair["figures"]:
            figure["interval"] = {"low": 0.9, "high": 1.2}
        pair_file.write_text(json.dumps(pair))
        self.run_forkecho("report", pair_file, saved, "--html", page, expect=0)
        dom = self.check(page, [pair, comparison])
        self.assertEqual(dom.cells["0/figures/0/interval/high"], ["1.2", "1.200×"])

    def test_of_an_open_loop(self):
        saved, page = self.folder / "run.json", self.folder / "run.html"
        with self.double(FORKECHOD_DOUBLE="limit=100") as address:
            # Twice what the server can do: the clocks part, and terms are missed.
            process = self.start("load", address, "-r", "200", "-d", "2s", "--warmup", "0", "-c", "2", "-w", "1", "--slo",
                                 "p99<1ms", "--slo", "errors<1%", "--json", saved, "--html", page)
            process.communicate(timeout=60)
        self.assertIn(process.returncode, (1, 2))
        run = json.loads(saved.read_text())
        dom = self.check(page, [run])
        self.assertEqual(float(dom.cells["0/slo/0/value"][0]), run["slo"][0]["value"])
        self.assertIn("0/latency/from_send/p99", dom.cells)

    def test_would_notice_a_request_and_an_error(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            page = self.folder / "bad.html"
            page.write_text(f"<link rel=preconnect href=http://localhost:1><img src='http://127.0.0.1:{listener.getsockname()[1]}/x.png'><script>nonsense()</script>")
            net_log = self.folder / "net.json"
            result = self.chromium(page, "--dump-dom", f"--log-net-log={net_log}", "--timeout=2000")
        self.assertIn("CONSOLE", result.stderr)
        asked = requests_in(net_log)
        self.assertTrue(any("/x.png" in address for address in asked), asked)
        self.assertTrue(any("notfound" in address for address in asked), asked)


if __name__ == "__main__":
    unittest.main()
