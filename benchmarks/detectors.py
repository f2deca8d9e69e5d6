"""How often does a drift detector cry wolf, and how soon does it see a real change? By simulation.

    python benchmarks/detectors.py [--streams 40] [--seed 0]

False alarms: independent values of one distribution, streams of 10,000. Delay: values until the
alarm after a fall of a share, 200 streams with 2,500 values before it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from random import Random

from _machine import describe

from graphroute.learners import adwin, page_hinkley
from graphroute.protocols import DriftDetector

LENGTH, BEFORE, MOST = 10_000, 2_500, 1_000
FALLS = ((0.85, 0.45), (0.85, 0.6), (0.9, 0.7), (0.5, 0.25))

Build = Callable[[], DriftDetector]


def streams(random: Random) -> dict[str, Callable[[], float]]:
    """Sources of values by name."""

    def share(p: float) -> Callable[[], float]:
        return lambda: float(random.random() < p)

    return {
        "share 0.5": share(0.5),
        "share 0.8": share(0.8),
        "share 0.95": share(0.95),
        "share 0.99": share(0.99),
        "normal": lambda: random.gauss(0.0, 0.5),
        "3 % far off": lambda: random.gauss(0.0, 0.3) + (2.5 if random.random() < 0.03 else 0.0),
        "log of exponential": lambda: math.log(random.expovariate(1.0) + 0.05),
    }


def false_alarms(name: str, build: Build, count: int, seed: int) -> None:
    """Alarms where nothing changes."""
    random = Random(f"streams {seed}")
    found = {}
    for kind, draw in streams(random).items():
        alarms = 0
        for _ in range(count):
            detector = build()
            alarms += sum(detector.update(draw()) is not None for _ in range(LENGTH))
        found[kind] = alarms
    told = ", ".join(f"{kind} {alarms}" for kind, alarms in found.items() if alarms) or "none"
    total = len(found) * count * LENGTH
    print(f"{name}: {sum(found.values())} false alarms in {total:,} values ({told})", flush=True)


def delays(name: str, build: Build, seed: int, streams_each: int) -> None:
    """Values until a fall is seen."""
    for high, low in FALLS:
        random, waits = Random(f"falls {seed} {high} {low}"), []
        for _ in range(streams_each):
            detector = build()
            for _ in range(BEFORE):
                detector.update(float(random.random() < high))
            wait = next(
                (k for k in range(1, MOST) if detector.update(float(random.random() < low))), MOST
            )
            waits.append(wait)
        waits.sort()
        middle, most = waits[len(waits) // 2], waits[int(0.95 * len(waits))]
        seen = sum(w <= 100 for w in waits) / len(waits)
        print(
            f"  {name}: {high:g} to {low:g} seen after {middle} (median), {most} (95 %), "
            f"within 100 in {seen:.0%}",
            flush=True,
        )


def amounts() -> DriftDetector:
    """As it is built for money, tokens, seconds and lengths."""
    return page_hinkley.build(**page_hinkley.FOR_AMOUNTS)  # type: ignore[arg-type]


def main() -> None:
    """All detectors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--streams", type=int, default=40, help="per distribution")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(seed=options.seed))
    ways: dict[str, tuple[Build, int]] = {
        "page_hinkley": (page_hinkley.build, 1),
        "page_hinkley, amounts": (amounts, 1),
        "adwin": (adwin.build, 8),
    }
    for name, (build, part) in ways.items():
        false_alarms(name, build, max(1, options.streams // part), options.seed)
        delays(name, build, options.seed, max(20, 200 // part))


if __name__ == "__main__":
    main()
