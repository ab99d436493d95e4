"""One feature, ReLU neurons with bias: the closed form and the conic program, certificate included.

    python benchmarks/one_dimension.py --out benchmarks/results/one_dimension.json

Problem: min ½‖w‖² s.t. |T_k(w) − T_k(x)| ≤ β_d, |B_k(w) − B_k(x)| ≤ β_d, x standard normal rounded to two digits,
β_d = 0.05·Σ|x|/2. The conic program has the prefix sums as variables and runs on Clarabel; the two values and their
certificates are compared. Columns of real data (scikit-learn) are drawn with replacement up to n = 10,000, which ties
most of them, and matched by as many outputs, twice as many, and a number that is no multiple (the conic program).
A linear generator on normal noise of rank 1 to 4 is solved to the global optimum by cones of weights.
Also dist in two and three dimensions: its time against n.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Problem
from convexwgan.geometry.relu_distances import relu_distance

REAL = (("load_digits", 20), ("load_iris", 3), ("load_diabetes", 1), ("load_wine", 12), ("load_breast_cancer", 6))
"""Loader and column: a pixel, petal width, sex, proline, concavity."""
CLOSED, CONIC = (100, 1_000, 10_000, 100_000), (100, 1_000, 10_000)
PLANE, SPACE, PLANE_WITH_BIAS = (100, 500, 2_000, 10_000), (20, 50, 100, 200), (50, 200, 500)


def games() -> list[dict[str, Any]]:
    rows = []
    for n in CLOSED:
        x = np.random.default_rng(n).standard_normal((n, 1)).round(2)
        problem = Problem(Discriminator.relu(beta=0.025 * float(np.abs(x).sum()), bias=True) + Generator.free(), x)
        for method in ("closed_form", "conic") if n in CONIC else ("closed_form",):
            problem.solve(method=method)
            start = time.perf_counter()
            solution = problem.solve(method=method)
            seconds = time.perf_counter() - start
            rows.append({"n": n, "method": method, "seconds": seconds, "status": solution.status.name,
                         "value": solution.value, "relative_gap": solution.relative_gap})  # fmt: skip
    return rows


def real_data(n: int = 10_000) -> list[dict[str, Any]]:
    """β_d a tenth of the mean absolute value, means; n_f = n, 2n, and 0.7·n on n_r = n."""
    from sklearn import datasets

    rows = []
    for loader, index in REAL:
        own = np.asarray(getattr(datasets, loader)().data[:, index], dtype=np.float64)
        x = np.random.default_rng(0).choice(own, size=(n, 1))
        wgan = Discriminator.relu(beta=0.1 * float(np.abs(x).mean()), bias=True) + Generator.free()
        for n_fake in (n, 2 * n, 7 * n // 10):
            problem = Problem(wgan, x, n_fake=n_fake, normalize="mean")
            start = time.perf_counter()
            solution = problem.solve()
            seconds = time.perf_counter() - start
            dist = problem.dist(solution.generator.output).value
            rows.append({"data": f"{loader}[:, {index}]", "n": n, "n_fake": n_fake, "distinct": len(np.unique(x)),
                         "method": solution.stats.method, "seconds": seconds, "status": solution.status.name,
                         "relative_gap": solution.relative_gap,
                         "dist": dist, "beta": wgan.players[0].beta})  # fmt: skip
    return rows


def linear_generators() -> list[dict[str, Any]]:
    """β_d = 0.1·Σ|x|/2, x and Z standard normal: which of these are infeasible is a result too."""
    rows = []
    for rank, sizes in ((1, (100, 1_000)), (2, (100, 1_000)), (3, (30, 100, 300)), (4, (20, 50))):
        for n in sizes:
            rng = np.random.default_rng(n)
            x, Z = rng.standard_normal((n, 1)), rng.standard_normal((n, rank))
            D = Discriminator.relu(beta=0.05 * float(np.abs(x).sum()), bias=True)
            problem = Problem(D + Generator.linear(), x, Z)
            start = time.perf_counter()
            solution = problem.solve(time_limit=60.0)
            seconds = time.perf_counter() - start
            rows.append({"rank": rank, "n": n, "seconds": seconds, "status": solution.status.name,
                         "value": solution.value, "bound": solution.bound, "relative_gap": solution.relative_gap,
                         "cones": solution.stats.extra["cones"]})  # fmt: skip
    return rows


def distances() -> list[dict[str, Any]]:
    rows = []
    cases = [(2, False, PLANE), (3, False, SPACE), (2, True, PLANE_WITH_BIAS)]
    for d, bias, sizes in cases:
        for n in sizes:
            X, G = np.random.default_rng(n).standard_normal((2, n, d))
            start = time.perf_counter()
            found = relu_distance(X, G, bias=bias)
            seconds = time.perf_counter() - start
            rows.append({"d": d, "bias": bias, "n": n, "seconds": seconds, "value": found.value, "kind": found.kind})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    machine = {
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "python": platform.python_version(),
    }
    report = {
        "machine": machine,
        "games": games(),
        "real_data": real_data(),
        "linear_generators": linear_generators(),
        "distances": distances(),
    }
    for row in [row for part in ("games", "real_data", "linear_generators", "distances") for row in report[part]]:
        print(
            "  ".join(
                f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in row.items()
            )
        )
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
