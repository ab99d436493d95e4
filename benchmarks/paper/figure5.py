"""The paper's Figure 5: Theorem 2.2 on x = (−1, 0, 1), R_g = ‖w‖₂²: constraint polytope and optimum, β_d = 0.1 and 1.

PYTHONPATH=. python benchmarks/paper/figure5.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from line_figures import Case, draw_samples, main
from scipy.spatial import ConvexHull

from convexwgan.report.style import BAND, GENERATED, REAL, THRESHOLD, save

# eq 19: |w₁+w₂+w₃| ≤ β_d, |1−(w₂+w₃)| ≤ β_d, |w₁+w₂+1| ≤ β_d, |w₃−1| ≤ β_d, |w₁+1| ≤ β_d
CASE = Case(
    x=np.array([-1.0, 0.0, 1.0]),
    rows=np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    right=np.array([0.0, 1.0, -1.0, 1.0, -1.0]),
    statement=(
        "Figure 5, x = (-1, 0, 1), R_g = ||w||_2^2, constraint set eq 19: similar trends, compared to the case with "
        "two samples in Figure 1 (a vertex at beta_d = 0.1, all outputs at 0 for beta_d = 1). The optimum is read off "
        "eq 19 by us; the paper prints none."
    ),
    optima={0.1: [-0.9, 0.0, 0.9], 1.0: [0.0, 0.0, 0.0]},
)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Left: samples; right: the polytope in the space of (w₁, w₂, w₃) and the optimum."""
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    figure = Figure(figsize=(10.0, 8.0), layout="constrained")
    for index, (row, labels) in enumerate(zip(rows, (("a", "b"), ("c", "d")), strict=True)):
        left = figure.add_subplot(2, 2, 2 * index + 1)
        draw_samples(left, CASE, row, f"({labels[0]}) β_d = {row['beta_d']:g}")
        right = figure.add_subplot(2, 2, 2 * index + 2, projection="3d")
        corners, w = np.array(row["vertices"]), row["our_optimum"]
        faces = [corners[triangle] for triangle in ConvexHull(corners).simplices]
        right.add_collection3d(Poly3DCollection(faces, facecolor=BAND, edgecolor=REAL, linewidth=0.3, alpha=0.35))
        right.plot(*[[entry] for entry in CASE.x], "+", color=THRESHOLD, markersize=12, markeredgewidth=2.0, label="x")
        right.plot(*[[entry] for entry in w], "x", color=GENERATED, markersize=10, markeredgewidth=2.4, label="optimum")
        low, high = corners.min(axis=0) - 0.05, corners.max(axis=0) + 0.05
        right.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
        right.set(xlabel="w₁", ylabel="w₂", zlabel="w₃")
        right.set_title(f"({labels[1]}) generator space, eq 19", loc="left", fontsize=11)
        right.legend(loc="upper right", fontsize=8)
    save(figure.axes[0], path, dpi=110)


if __name__ == "__main__":
    main(CASE, "figure5", draw, steps=21)
