"""The population game: sizes, certified gaps and times. Run: python benchmarks/population.py [out.json]"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Problem
from convexwgan.spec.recipes import ring

GAMES = (
    ("plane", 60, 2, 1.0, 60.0),
    ("plane", 500, 2, 10.0, 60.0),
    ("plane", 500, 2, 1.0, 60.0),
    ("space", 20, 3, 0.5, 60.0),
    ("space", 50, 3, 5.0, 120.0),
)
RING_BETAS = (0.01, 0.05, 0.3)


def row(name: str, problem: Problem, limit: float, tol: float) -> dict[str, Any]:
    start = time.perf_counter()
    solution = problem.solve(time_limit=limit, tol=tol)
    seconds = time.perf_counter() - start
    numbers = {"value": solution.value, "bound": solution.bound, "relative_gap": solution.relative_gap}
    stages = {stage: round(spent, 2) for stage, spent in solution.stats.times.items()}
    result = {"name": name, "status": solution.status.name, **numbers, "seconds": round(seconds, 2), "stages": stages}
    generator: Any = solution.generator
    if "ring" in name:
        angle = np.arange(8) * np.pi / 4
        centres = 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        near = np.linalg.norm(generator.atoms[:, None] - centres, axis=2) <= 0.25
        result["mass_on_modes"] = [round(float(generator.weights @ column), 4) for column in near.T]
    return result


def main() -> None:
    """All games, printed and, where a path is given, written as JSON."""
    rows = []
    for name, n, d, beta, limit in GAMES:
        X = np.random.default_rng(0).standard_normal((n, d))
        pair = Discriminator.relu(beta=beta) + Generator.distribution()
        rows.append(row(f"{name}, n = {n}, β = {beta}", Problem(pair, X), limit, 1e-6 if d == 2 else 1e-3))
        print(rows[-1], flush=True)
    for beta in RING_BETAS:
        pair = Discriminator.relu(bias=True, beta=beta) + Generator.distribution()
        problem = Problem(pair, ring(200, 8, 2.0, 0.05).X, normalize="mean")
        rows.append(row(f"ring with bias, n = 200, β = {beta}", problem, 30.0, 1e-4))
        print(rows[-1], flush=True)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
