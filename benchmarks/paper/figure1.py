"""The paper's Figure 1: Theorem 2.2 on x = (−1, 1), R_g = ‖w‖₂²: constraint polygon and optimum at β_d = 0.1 and 1.

PYTHONPATH=. python benchmarks/paper/figure1.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from line_figures import Case, draw_samples, main

from convexwgan.report.style import BAND, CUT, GENERATED, REAL, THRESHOLD, new_axes, save, tidy

# eq 17: |w₁ + w₂| ≤ β_d, |w₂ − 1| ≤ β_d, |w₁ + 1| ≤ β_d
CASE = Case(
    x=np.array([-1.0, 1.0]),
    rows=np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]),
    right=np.array([0.0, 1.0, -1.0]),
    statement=(
        "Figure 1, x = (-1, 1), R_g = ||w||_2^2: for beta_d = 0.1 the constraint set of eq 17 is a convex polyhedron "
        "and the optimal output is its vertex w1 = -1 + beta_d, w2 = 1 - beta_d; for beta_d = 1 the set includes the "
        "origin, the optimum is w1 = w2 = 0: mode collapse."
    ),
    optima={0.1: [-0.9, 0.9], 1.0: [0.0, 0.0]},
)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Left: samples; right: the polygon in the plane of (w₁, w₂), the circle of the optimal cost and the optimum."""
    axes = new_axes(10.0, 8.0, rows=2, columns=2)
    for row, (left, right), labels in zip(rows, (axes[:2], axes[2:]), (("a", "b"), ("c", "d")), strict=True):
        beta, w = row["beta_d"], np.array(row["our_optimum"])
        draw_samples(left, CASE, row, f"({labels[0]}) β_d = {beta:g}")
        corners = np.array(row["vertices"])
        middle = corners.mean(axis=0)
        around = corners[np.argsort(np.arctan2(*(corners - middle).T[::-1]))]
        right.fill(*around.T, facecolor=BAND, edgecolor=REAL, linewidth=1.2, label="eq 17")
        turn = np.linspace(0.0, 2.0 * np.pi, 200)
        radius = float(np.linalg.norm(w))
        right.plot(radius * np.cos(turn), radius * np.sin(turn), "--", color=CUT, label="‖w‖₂ at the optimum")
        right.plot(*CASE.x, "+", color=THRESHOLD, markersize=13, markeredgewidth=2.0, label="x")
        right.plot(*w, "x", color=GENERATED, markersize=11, markeredgewidth=2.4, label="optimum")
        right.set_aspect("equal")
        reach = 3.0 * beta
        right.set_xlim(-1.0 - reach, -1.0 + reach)
        right.set_ylim(1.0 - reach, 1.0 + reach)
        right.legend(loc="upper right", fontsize=8)
        tidy(right, f"({labels[1]}) generator space", "w₁", "w₂")
    save(axes[0], path, dpi=110)


if __name__ == "__main__":
    main(CASE, "figure1", draw, steps=41)
