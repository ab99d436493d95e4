"""What each discriminator class can and cannot distinguish: a ring of 8 atoms, every generated distribution on a grid.

Each panel solves one finite game (Wasserstein, ε = 0) whose discriminators are a class of the package. The class leaves
a whole set of distributions that it cannot tell from the data; an interior-point solver returns one in its middle.

    python benchmarks/lagrangian/ring_convex.py --figure docs/figures/ring_convex.png
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import (
    Discriminator,
    Divergence,
    FiniteGame,
    LipschitzDiscriminator,
    NeuronDiscriminator,
)

RADIUS, MODES, HALF = 2.0, 8, 3.0


def ring() -> np.ndarray[Any, Any]:
    angle = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])


def classes(points: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {
        "linear": NeuronDiscriminator(points, Discriminator.linear(norm_bound=True)),
        "quadratic, skip": NeuronDiscriminator(points, Discriminator.quadratic(norm_bound=True, skip=True)),
        "ReLU, bias": NeuronDiscriminator(points, Discriminator.relu(norm_bound=True, bias=True)),
        "1-Lipschitz": LipschitzDiscriminator.of_points(points),
    }


def solve(side: int) -> tuple[np.ndarray[Any, Any], list[dict[str, Any]]]:
    line = np.linspace(-HALF, HALF, side)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    points = np.vstack([ring(), grid])
    p_data = np.r_[np.full(MODES, 1 / MODES), np.zeros(len(grid))]
    divergence = Divergence.named("wasserstein", epsilon=0.0)
    rows = []
    for where, support in (("anywhere", p_data >= 0), ("on the grid only", p_data == 0)):
        for name, discriminator in classes(points).items():
            start = time.perf_counter()
            solution = FiniteGame(p_data, divergence, discriminator, support).solve()
            p = solution.generated
            near = np.linalg.norm(points[:, None] - ring()[None], axis=2) <= 0.5 * 2 * HALF / (side - 1) * np.sqrt(2)
            mass = np.array([p[near[:, mode]].sum() for mode in range(MODES)])
            rows.append(
                {
                    "class": name,
                    "generator": where,
                    "status": solution.status.name,
                    "value": solution.value,
                    "gap": solution.gap,
                    "modes": int(np.sum(mass >= 0.05)),
                    "mass at the atoms": float(p[:MODES].sum()),
                    "seconds": round(time.perf_counter() - start, 2),
                    "generated": p.tolist(),
                }
            )
    return points, rows


def draw(points: np.ndarray[Any, Any], rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(11, 5.9), sharex=True, sharey=True, layout="constrained")
    for axis, row in zip(axes.flat, rows, strict=True):
        p = np.asarray(row["generated"])
        on = p > 1e-5
        axis.scatter(*points[on].T, s=1500 * p[on], color="#2a6f97", alpha=0.75, linewidths=0)
        axis.scatter(*ring().T, marker="x", s=28, color="#c1121f", linewidths=1.2)
        axis.set_title(f"{row['class']}: value {max(row['value'], 0):.3f}", fontsize=10)
        axis.set_aspect("equal")
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, text in zip(axes[:, 0], ("generator anywhere", "generator on the grid only"), strict=True):
        axis.set_ylabel(text)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=12, help="points of the grid along each axis")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    points, rows = solve(options.side)
    for row in rows:
        print({key: value for key, value in row.items() if key != "generated"})
    if options.figure:
        draw(points, rows, options.figure)
    if options.json:
        options.json.write_text(
            json.dumps([{k: v for k, v in row.items() if k != "generated"} for row in rows], indent=1)
        )


if __name__ == "__main__":
    main()
