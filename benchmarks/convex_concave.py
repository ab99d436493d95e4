"""Brackets of sampled outputs against ReLU neurons in the plane.

Run: python benchmarks/convex_concave.py [out.json [seeds]] [--pairs [--limit SECONDS]]. Standard normal data, sums,
β_g = 1, three seeds a size by default: the gap at the root of the procedure, next to what a sketch reached
on data of its own. ``--pairs``: the other pairs of the procedure in place of free samples without bias, two seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Problem, Regularizer

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


def pairs(n: int, beta: float, rng: np.random.Generator) -> dict[str, tuple[Any, Any]]:
    """Each pair with its noise: linear: half as many columns as rows, ReLU: three; β_g = β without β_d."""
    half, three = rng.standard_normal((n, (n + 1) // 2)), rng.standard_normal((n, 3))
    plain, bias = Discriminator.relu(beta=beta), Discriminator.relu(beta=beta, bias=True)
    return {
        "free, bias": (bias + Generator.free(), None),
        "free, norm bound": (Discriminator.relu(norm_bound=True) + Generator.free() + Regularizer.output(beta), None),
        "linear": (plain + Generator.linear(), half),
        "linear, weights": (plain + Generator.linear() + Regularizer.weights(1.0), half),
        "relu": (plain + Generator.relu(), three),
    }


def pair_rows(n: int, beta: float, seed: int, limit: float) -> list[dict[str, Any]]:
    rng, rows = np.random.default_rng(seed), []
    X = rng.standard_normal((n, 2))
    for name, (wgan, Z) in pairs(n, beta, rng).items():
        start = time.perf_counter()
        solution = Problem(wgan, X, Z).solve(time_limit=limit)
        seconds = round(time.perf_counter() - start, 2)
        gap = round(100.0 * solution.relative_gap, 3) if np.isfinite(solution.relative_gap) else None
        numbers = {"lower": solution.bound, "upper": solution.value if np.isfinite(solution.value) else None}
        known = {"pair": name, "n": n, "beta": beta, "seed": seed, "status": solution.status.name}
        run = {"starts": solution.stats.extra["starts"], "seconds": seconds}
        rows.append({**known, **numbers, "gap_percent": gap, **run})
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
        sys.stdout.flush()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?")
    parser.add_argument("seeds", nargs="?", type=int)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--limit", type=float, default=15.0)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if given.pairs:
        for n in (5, 20, 60):
            for beta in (0.3, 0.5, 1.0):
                for seed in range(given.seeds or 2):
                    rows += pair_rows(n, beta, seed, given.limit)
    else:
        for n, beta, sketch in GAMES:
            for seed in range(given.seeds or SEEDS):
                rows.append(row(n, beta, sketch, seed))
                sys.stdout.write(json.dumps(rows[-1]) + "\n")
                sys.stdout.flush()
    if given.out:
        Path(given.out).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
