"""Medians, ranges and verdicts."""

import dataclasses
import statistics

from processes import BenchError


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median of some samples with their lowest and highest."""
    median: float
    lowest: float
    highest: float
    samples: tuple

    @classmethod
    def of(cls, samples):
        return cls(statistics.median(samples), min(samples), max(samples), tuple(samples))


@dataclasses.dataclass(frozen=True)
class Target:
    """What a median must reach: at least `lowest` and at most `highest`, where given."""
    lowest: float = None
    highest: float = None

    def met_by(self, value):
        return ((self.lowest is None or value >= self.lowest)
                and (self.highest is None or value <= self.highest))

    def __str__(self):
        parts = []
        if self.lowest is not None:
            parts.append(f">= {self.lowest:.2f}")
        if self.highest is not None:
            parts.append(f"<= {self.highest:.2f}")
        return ", ".join(parts) or "none"


def ratios(ours, ceiling):
    """The ratio within each round: what disturbs a round disturbs both of its sides.

    Raises BenchError if a sample is not above 0: then it is no measurement, and its ratio could
    look like a good one.
    """
    if min(*ours, *ceiling) <= 0:
        raise BenchError("a sample is not above 0: nothing was served, or it was disturbed")
    return Spread.of([a / b for a, b in zip(ours, ceiling)])


def medians(records):
    """The median of each key over a list of records with the same keys."""
    return {key: statistics.median(r[key] for r in records) for key in records[0]}
