"""How fast the server uppercases, over a copy of the same bytes and over ICU (uppercase_bench)."""

import json
import subprocess

import stats
from processes import BenchError, end_group, start

OVER_COPY = stats.Target(lowest=0.8)
OVER_ICU = stats.Target(lowest=3.0)
NONE = stats.Target()
# The other texts are for information.
TARGETS = {"ASCII": {"copy": OVER_COPY}, "mixed": {"icu": OVER_ICU}}


def _over(line, other, target):
    """Our speed over another's: the ratio of the times, the other way round."""
    if not line[f"{other}_s"]:
        return None
    ratio = stats.ratios(line[f"{other}_s"], line["ours_s"])
    return {"ratio": ratio, "target": target, "met": target.met_by(ratio.median)}


def _record(line):
    speeds = {key: stats.Spread.of([line["bytes"] / s / 1e9 for s in line[f"{key}_s"]])
              for key in ("ours", "copy", "icu") if line[f"{key}_s"]}
    over = {other: _over(line, other, TARGETS.get(line["text"], {}).get(other, NONE))
            for other in ("copy", "icu")}
    return {"text": line["text"], "bytes": line["bytes"], "ascii": line["ascii"],
            "gb_per_s": speeds, "over": over, "has_icu": line["has_icu"],
            "met": all(one["met"] for one in over.values() if one),
            "errors": 0 if line["same_as_icu"] else 1}


def measure(build, rounds):
    """Yields the record of each text as soon as it is measured."""
    process = start([build / "uppercase_bench", rounds], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True)
    try:
        lines = 0
        for line in process.stdout:
            lines += 1
            yield _record(json.loads(line))
        code = process.wait()
        # 1: the results differ, which the lines say as well.
        if lines == 0 or code not in (0, 1):
            raise BenchError(f"uppercase_bench ended with {code}: {process.stderr.read().strip()}")
    finally:
        end_group(process)
