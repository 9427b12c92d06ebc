#!/usr/bin/env python3
"""forkecho search against a server whose limit is known: it answers no more than so many requests a second."""
import json
import unittest

from programs import ProgramTest, soak

LIMIT = 100


class Search(ProgramTest):
    def search(self, *arguments, limit=LIMIT, expect=(0, 1, 2)):
        saved = self.folder / "search.json"
        with self.double(FORKECHOD_DOUBLE=f"limit={limit}") as address:
            process = self.start("search", address, "--slo", "p99<100ms", "-c", "8", "-w", "1", "--json", saved, *arguments)
            output, errors = process.communicate(timeout=soak(60, 600))
        self.assertIn(process.returncode, expect, output + errors)
        return output, json.loads(saved.read_text()), process.returncode

    def test_prints_the_curve_and_the_answer(self):
        output, search, code = self.search("-r", "40", "-d", "300ms", "--warmup", "0", "--repeats", "1")
        self.assertEqual([search["schema"], search["kind"], search["slo"]], [1, "search", ["p99<100ms"]])
        self.assertGreater(len(search["steps"]), 2)
        rates = [step["rps"] for step in search["steps"]]
        self.assertEqual(rates[0], 40)
        for rate in sorted(set(rates)):
            self.assertRegex(output, rf"(?m)^ +{rate:,.3g}".replace(".", r"\."))
        if code == 0:
            self.assertIn("The highest rate that holds p99<100ms: ", output)
            self.assertEqual(search["best"]["rate"]["requested_rps"], search["highest_holding_rps"])
        # Held back by other programs it may find less, but never what the server cannot do.
        self.assertLess(search["highest_holding_rps"] or 0, 1.5 * LIMIT)

    @unittest.skipIf(soak(True, False), "measures: in ./dev soak")
    def test_finds_the_limit_within_5_percent(self):
        _, search, code = self.search("-r", "30", "-d", "4s", "--warmup", "200ms", expect=(0,))
        self.assertAlmostEqual(search["highest_holding_rps"], LIMIT, delta=0.05 * LIMIT)

    def test_refuses_what_it_cannot_do(self):
        for arguments in ([], ["--slo", "fast"], ["--slo", "p99<5ms", "--repeats", "2"], ["--slo", "p99<5ms", "-r", "0"]):
            self.run_forkecho("search", "127.0.0.1:1", *arguments, expect=64)
        self.run_forkecho("search", "127.0.0.1:1", "--slo", "p99<5ms", expect=69)


if __name__ == "__main__":
    unittest.main()
