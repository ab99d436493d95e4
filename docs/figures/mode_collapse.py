"""Draws docs/figures/mode_collapse.png: what is left of a ring of eight modes, by β_d and by the discriminator's class.

Each panel is one certified game on the same 200 points (means). The numbers go to mode_collapse.json beside it.
Run it from the root of the repository: OMP_NUM_THREADS=1 python docs/figures/mode_collapse.py
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Latent, Problem
from convexwgan.report import style
from convexwgan.spec.recipes import ring

FOLDER = Path(__file__).parent
MODES, RADIUS, SPREAD, NEAR = 8, 2.0, 0.05, 0.25
BETAS = (0.01, 0.05, 0.15, 0.3, 0.7)
CLASSES = ("quadratic × free", "quadratic × linear", "ReLU, bias × distribution")
DRAWN = 2000
Floats = np.ndarray[Any, np.dtype[np.float64]]


def game(name: str, X: Floats, beta: float) -> Problem:
    if name == "quadratic × free":
        return Problem(Discriminator.quadratic(beta=beta) + Generator.free(), X, n_fake=len(X), normalize="mean")
    if name == "quadratic × linear":
        return Problem(Discriminator.quadratic(beta=beta) + Generator.linear(), X, Latent.normal(2), normalize="mean")
    return Problem(Discriminator.relu(bias=True, beta=beta) + Generator.distribution(), X, normalize="mean")


def law(name: str, generator: Any) -> tuple[Floats, Floats]:
    """Points and probabilities: the generator's own where it has finitely many, fresh samples where noise is normal."""
    if name == "quadratic × linear":
        points = np.asarray(generator.sample(DRAWN, rng=0))
        return points, np.full(len(points), 1 / len(points))
    if name == "quadratic × free":
        points = np.asarray(generator.output)
        return points, np.full(len(points), 1 / len(points))
    return np.asarray(generator.atoms), np.asarray(generator.weights)


def panel(name: str, X: Floats, beta: float) -> tuple[dict[str, Any], tuple[Floats, Floats]]:
    start = time.perf_counter()
    solution = game(name, X, beta).solve(time_limit=120.0, tol=1e-3)
    seconds = time.perf_counter() - start
    points, p = law(name, solution.generator)
    angle = 2 * np.pi * np.arange(MODES) / MODES
    centres = RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])
    shares = p @ (np.linalg.norm(points[:, None] - centres, axis=2) <= NEAR)
    S = (points.T * p) @ points
    return {
        "class": name,
        "beta": beta,
        "status": solution.status.name,
        "value": solution.value,
        "bound": solution.bound,
        "points": len(p),
        "mass on modes": round(float(shares.sum()), 4),
        "share of each mode": [round(float(share), 4) for share in shares],
        "mean radius": round(float(p @ np.linalg.norm(points, axis=1)), 4),
        "second moment": np.round(S, 4).tolist(),
        "seconds": round(seconds, 2),
    }, (points, p)


def ellipse(points: Floats, p: Floats) -> Floats:
    """√d S^{1/2} of the unit circle, shape (2, 200): second moments are all that this discriminator sees."""
    eigenvalues, V = np.linalg.eigh((points.T * p) @ points)
    angle = np.linspace(0.0, 2 * np.pi, 200)
    return (V * np.sqrt(2 * eigenvalues)) @ np.stack([np.cos(angle), np.sin(angle)])


def draw(X: Floats, panels: list[tuple[dict[str, Any], tuple[Floats, Floats]]], path: Path) -> None:
    axes = style.new_axes(2.1 * len(BETAS), 2.3 * len(CLASSES), len(CLASSES), len(BETAS))
    for axis, (row, (points, p)) in zip(axes, panels, strict=True):
        axis.scatter(*X.T, s=5, color=style.REAL, linewidths=0)
        size = 3.0 if row["class"] == "quadratic × linear" else np.maximum(400 * p, 1.0)
        axis.scatter(*points.T, s=size, color=style.GENERATED, alpha=0.45, linewidths=0)
        if "quadratic" in row["class"]:
            axis.plot(*ellipse(points, p), color=style.THRESHOLD, linewidth=0.8, linestyle="--")
        axis.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
        axis.set_title(f"on modes {100 * row['mass on modes']:.0f} %, radius {row['mean radius']:.2f}", fontsize=8)
    for k, beta in enumerate(BETAS):
        axes[k].set_title(f"β = {beta}\n" + axes[k].get_title(), fontsize=8)
    for k, name in enumerate(CLASSES):
        axes[k * len(BETAS)].set_ylabel(name)
    style.save(axes[0], path, dpi=110)


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    X = ring(200, MODES, RADIUS, SPREAD).X
    panels = []
    for name in CLASSES:
        for beta in BETAS:
            panels.append(panel(name, X, beta))
            print(panels[-1][0], flush=True)
    rows = [row for row, _ in panels]
    (FOLDER / "mode_collapse.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(X, panels, FOLDER / "mode_collapse.png")


if __name__ == "__main__":
    main()
