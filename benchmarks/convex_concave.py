"""Brackets of free samples against ReLU neurons in the plane.

Run: python benchmarks/convex_concave.py [out.json [seeds]]. Standard normal data, sums, β_g = 1, three seeds a size by
default: the gap at the root of the convex–concave procedure, next to what a sketch reached on data of its own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Problem

GAMES = ((3, 0.1, 7.6), (5, 0.3, 0.6), (5, 1.0, 4.8), (8, 0.5, 2.4), (20, 0.5, 2.9), (60, 1.0, 0.9), (100, 1.0, None))
SEEDS = 3


def row(n: int, beta: float, sketch: float | None, seed: int) -> dict[str, Any]:
    X = np.random.default_rng(seed).standard_normal((n, 2))
    problem = Problem(Discriminator.relu(beta=beta) + Generator.free(), X)
    start = time.perf_counter()
    solution = problem.solve(time_limit=30.0)
    seconds = round(time.perf_counter() - start, 2)
    gap = round(100.0 * solution.relative_gap, 3)
    numbers = {"lower": solution.bound, "upper": solution.value, "gap_percent": gap, "sketch_percent": sketch}
    return {"n": n, "beta": beta, "seed": seed, "status": solution.status.name, **numbers, "seconds": seconds}


def main() -> None:
    rows, seeds = [], int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS
    for n, beta, sketch in GAMES:
        for seed in range(seeds):
            rows.append(row(n, beta, sketch, seed))
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
            sys.stdout.flush()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
