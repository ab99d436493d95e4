"""The population game: certified gaps and times over n, d_r, kinds of data and β_d.

Run: python benchmarks/population.py [out.json], one thread (OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Problem
from convexwgan.spec.recipes import ring

PLANE_KINDS = ("normal", "log-normal", "heavy tails", "clustered", "outliers", "digits", "iris")
SPACE = (
    ("normal", 10, 0.01),
    ("normal", 20, 0.01),
    ("normal", 50, 0.01),
    ("normal", 50, 0.1),
    ("log-normal", 50, 0.01),
)
RING_BETAS = (0.01, 0.05, 0.3)
LIMIT = 150.0


def sample(kind: str, n: int, d: int) -> Any:
    """n rows of one kind, seed 0; heavy tails: Student's t with 2 degrees of freedom; outliers: 2 % times 100."""
    rng = np.random.default_rng(0)
    if kind == "log-normal":
        return np.exp(rng.standard_normal((n, d)))
    if kind == "heavy tails":
        return rng.standard_t(2, (n, d))
    if kind == "clustered":
        centres = 3.0 * rng.standard_normal((5, d))
        return centres[rng.integers(5, size=n)] + 0.1 * rng.standard_normal((n, d))
    if kind in ("digits", "iris"):
        return real(kind, d)[:n]
    X = rng.standard_normal((n, d))
    if kind == "outliers":
        X[: n // 50] *= 100.0
    return X


def real(kind: str, d: int) -> Any:
    """The first principal scores of the digits, or petal columns of the iris, as they are (all positive)."""
    from sklearn import datasets

    if kind == "iris":
        return datasets.load_iris().data[:, [2, 3, 0]][:, :d]
    images = datasets.load_digits().data
    images = images - images.mean(axis=0)
    return images @ np.linalg.svd(images, full_matrices=False)[2][:d].T


def row(name: dict[str, Any], problem: Problem, tol: float) -> dict[str, Any]:
    """One solve: status, bounds, gap, wall and processor seconds, atoms and neurons."""
    wall, cpu = time.perf_counter(), time.process_time()
    solution = problem.solve(time_limit=LIMIT, tol=tol)
    seconds = {"seconds": round(time.perf_counter() - wall, 2), "cpu_seconds": round(time.process_time() - cpu, 2)}
    numbers = {"value": solution.value, "bound": solution.bound, "relative_gap": solution.relative_gap}
    counts = {part: solution.stats.extra[part] for part in ("rounds", "atoms", "neurons")}
    result = {**name, "status": solution.status.name, **numbers, **seconds, **counts}
    if name["game"] == "ring with bias":
        result["mass_on_modes"] = on_modes(solution.generator)
    return result


def on_modes(generator: Any) -> list[float]:
    """Mass within 0.25 of each of the eight modes."""
    angle = np.arange(8) * np.pi / 4
    centres = 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    near = np.linalg.norm(generator.atoms[:, None] - centres, axis=2) <= 0.25
    return [round(float(share), 4) for share in generator.weights @ near]


def games() -> list[tuple[dict[str, Any], Problem, float]]:
    """Names, problems and tolerances; β_d is a fraction of Σ‖x_i‖ except on the ring."""
    cases = [("plane", kind, n, 2, f, 1e-6) for kind in PLANE_KINDS for n in (50, 500) for f in (0.001, 0.01, 0.1)]
    cases += [("space", kind, n, 3, f, 1e-3) for kind, n, f in SPACE]
    found = []
    for game, kind, n, d, fraction, tol in cases:
        X = sample(kind, n, d)
        beta = fraction * float(np.linalg.norm(X, axis=1).sum())
        name = {"game": game, "data": kind, "n": len(X), "d_r": d, "beta_over_size": fraction}
        found.append((name, Problem(Discriminator.relu(beta=beta) + Generator.distribution(), X), tol))
    for beta in RING_BETAS:
        pair = Discriminator.relu(bias=True, beta=beta) + Generator.distribution()
        name = {"game": "ring with bias", "data": "ring of 8", "n": 200, "d_r": 2, "beta": beta}
        found.append((name, Problem(pair, ring(200, 8, 2.0, 0.05).X, normalize="mean"), 1e-3))
    return found


def main() -> None:
    """All games, printed and, where a path is given, written as JSON after each."""
    rows = []
    for name, problem, tol in games():
        rows.append(row(name, problem, tol))
        print(rows[-1], flush=True)
        if len(sys.argv) > 1:
            Path(sys.argv[1]).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
