"""One feature, ReLU neurons with bias: the closed form and the conic program, certificate included.

    python benchmarks/one_dimension.py --out benchmarks/results/one_dimension.json

Problem: min ½‖w‖² s.t. |T_k(w) − T_k(x)| ≤ β_d, |B_k(w) − B_k(x)| ≤ β_d, x standard normal rounded to two digits,
β_d = 0.05·Σ|x|/2. The conic program has the prefix sums as variables and runs on Clarabel; the two values and their
certificates are compared. Also dist in two and three dimensions: its time against n.
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
    report = {"machine": machine, "games": games(), "distances": distances()}
    for row in [*report["games"], *report["distances"]]:
        print(
            "  ".join(
                f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in row.items()
            )
        )
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
