"""How the gap of free samples against ReLU neurons falls with their number, before any branching.

Run: python benchmarks/root_gap.py run [out.json [seeds]], then draw out.json out.png.
Standard normal data in the plane, n_r = n_f = n, sums, β_g = 1; the bracket of the convex–concave procedure, 8 s each.
K is the number of atoms of the population optimum: rounding it to n_f samples costs at most K/n_f (MATH 7.6).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Problem

SIZES = (3, 4, 5, 6, 8, 12, 20, 40, 100, 200)
BETAS = (0.1, 0.3, 1.0)
SEEDS = 3
LIMIT = 8.0


def row(n: int, beta: float, seed: int) -> dict[str, Any]:
    X = np.random.default_rng(seed).standard_normal((n, 2))
    discriminator = Discriminator.relu(beta=beta)
    start = time.perf_counter()
    solution = Problem(discriminator + Generator.free(), X).solve(time_limit=LIMIT)
    seconds = round(time.perf_counter() - start, 2)
    population: Any = Problem(discriminator + Generator.distribution(), X).solve(time_limit=LIMIT).generator
    numbers = {"lower": solution.bound, "upper": solution.value, "gap": solution.relative_gap}
    atoms = int((population.weights > 1e-4 / n).sum())
    return {"n": n, "beta": beta, "seed": seed, **numbers, "atoms": atoms, "seconds": seconds}


def run(path: str, seeds: int) -> None:
    rows = []
    for seed in range(seeds):
        for n in SIZES:
            for beta in BETAS:
                rows.append(row(n, beta, seed))
                sys.stdout.write(json.dumps(rows[-1]) + "\n")
                sys.stdout.flush()
        Path(path).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def draw(source: str, target: str) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = json.loads(Path(source).read_text(encoding="utf-8"))
    figure, axis = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for k, beta in enumerate(sorted({row["beta"] for row in rows})):
        mine = [row for row in rows if row["beta"] == beta]
        sizes = sorted({row["n"] for row in mine})
        gaps = [[100.0 * row["gap"] for row in mine if row["n"] == n] for n in sizes]
        share = [float(np.median([100.0 * row["atoms"] / n for row in mine if row["n"] == n])) for n in sizes]
        axis.plot(sizes, [float(np.median(gap)) for gap in gaps], "o-", color=f"C{k}", label=f"β_d = {beta:g}")
        axis.fill_between(sizes, [min(gap) for gap in gaps], [max(gap) for gap in gaps], color=f"C{k}", alpha=0.2)
        axis.plot(sizes, share, ":", color=f"C{k}", label="K / n_f" if k == 0 else None)
    axis.axhline(1.0, color="0.6", linewidth=0.8)
    axis.set(
        xscale="log",
        yscale="log",
        ylim=(3e-3, 4e2),
        xlabel="samples, n = n_r = n_f",
        ylabel="relative gap at the root, %",
    )
    axis.legend(frameon=False)
    figure.savefig(target, dpi=150)


def main() -> None:
    if sys.argv[1:2] == ["draw"]:
        draw(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["run"]:
        default = "benchmarks/results/root_gap.json"
        run(sys.argv[2] if len(sys.argv) > 2 else default, int(sys.argv[3]) if len(sys.argv) > 3 else SEEDS)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
