"""What figures 1 and 5 share: the constraint set of Theorem 2.2, its optimum, and the paper's sentence next to ours.

    min ‖w‖₂²  s.t.  |a_jᵀw − c_j| ≤ β_d,  j = 1, …, m          (the paper's eq 17 and eq 19)

The set is drawn from the paper's inequalities. Independent of them, the optimum comes from ``Problem.solve`` with its
certificate, and every point of a grid is put to the oracle of dist_D.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection

from convexwgan import Discriminator, Generator, Problem, Regularizer
from convexwgan.report.style import GENERATED, REAL, tidy

Float64 = npt.NDArray[np.float64]
BETAS = (0.1, 1.0)


@dataclass(frozen=True)
class Case:
    """Samples x (n,), the paper's rows a (m, n) and right-hand sides c (m,), and what the paper says."""

    x: Float64
    rows: Float64
    right: Float64
    statement: str
    optima: dict[float, list[float]]


def problem(case: Case, beta: float) -> Problem:
    """The game with R_g = ‖w‖₂², that is β_g = 2."""
    wgan = Discriminator.relu(beta=beta, bias=True) + Generator.free() + Regularizer.output(2.0)
    return Problem(wgan, case.x[:, None])


def vertices(case: Case, beta: float) -> Float64:
    """Vertices of |a_jᵀw − c_j| ≤ β_d; the data x are strictly inside."""
    halfspaces = np.vstack(
        [np.column_stack([sign * case.rows, -sign * case.right - beta]) for sign in (1.0, -1.0)],
    )
    found = HalfspaceIntersection(halfspaces, case.x).intersections
    return np.unique(np.round(found, 12), axis=0)


def least_norm_vertex_bound(case: Case, beta: float, w: Float64) -> float:
    """min 2wᵀy − wᵀw over the paper's set: equal to ‖w‖² iff w is its point of least norm, and a lower bound always."""
    A = np.vstack([case.rows, -case.rows])
    b = np.concatenate([case.right + beta, beta - case.right])
    found = linprog(2.0 * w, A_ub=A, b_ub=b, bounds=(None, None))
    return float(found.fun - w @ w)


def grid_check(case: Case, beta: float, steps: int) -> dict[str, Any]:
    """The paper's inequalities against dist_D ≤ β_d on the grid x ± 2β_d, and the least norm among the feasible points.

    dist_D does not see the order of w: a point within β_d outside the paper's set should be inside once it is sorted.
    """
    game, n = problem(case, beta), len(case.x)
    axis = 2.0 * beta * np.linspace(-1.0, 1.0, steps)
    counts = {"in_both": 0, "in_the_papers_set_only": 0, "within_beta_only": 0, "of_those_inside_once_sorted": 0}
    least = np.inf

    def is_inside(w: Float64) -> bool:
        return float(np.abs(case.rows @ w - case.right).max()) <= beta + 1e-9

    for step in product(axis, repeat=n):
        w = case.x + np.array(step)
        by_paper, by_dist = is_inside(w), game.dist(w[:, None]).value <= beta + 1e-9
        counts["in_both"] += by_paper and by_dist
        counts["in_the_papers_set_only"] += by_paper and not by_dist
        counts["within_beta_only"] += by_dist and not by_paper
        counts["of_those_inside_once_sorted"] += by_dist and not by_paper and is_inside(np.sort(w))
        least = min(least, float(w @ w)) if by_dist else least
    return {"points": steps**n, **counts, "least_squared_norm_within_beta": least}


def numbers(case: Case, beta: float, steps: int) -> dict[str, Any]:
    """One β_d: the paper's optimum, ours with its certificate, and the checks of both."""
    game = problem(case, beta)
    solutions = {method: game.solve(method=method) for method in ("closed_form", "conic")}
    best = solutions["closed_form"]
    w = np.sort(np.asarray(best.generator.output)[:, 0])
    corners = vertices(case, beta)
    return {
        "beta_d": beta,
        "paper_optimum": case.optima[beta],
        "our_optimum": (w + 0.0).tolist(),
        "difference": float(np.abs(w - np.sort(case.optima[beta])).max()),
        "status": {name: solution.status.name for name, solution in solutions.items()},
        "value": best.value,
        "bound": best.bound,
        "conic_value": solutions["conic"].value,
        "least_squared_norm_on_the_papers_set_at_least": least_norm_vertex_bound(case, beta, w),
        "optimum_is_a_vertex": bool(np.abs(corners - w).max(axis=1).min() < 1e-9),
        "vertices": corners.tolist(),
        "grid": grid_check(case, beta, steps),
    }


def draw_samples(ax: Any, case: Case, row: dict[str, Any], title: str) -> None:
    """Real and generated samples on a line."""
    ax.plot(case.x, np.zeros(len(case.x)), "+", color=REAL, markersize=16, markeredgewidth=2.2, label="real")
    ax.plot(row["our_optimum"], np.zeros(len(case.x)), "x", color=GENERATED, markersize=11, markeredgewidth=2.2,
            label="generated")  # fmt: skip
    ax.set_xlim(-1.5, 1.5)
    ax.set_ylim(-0.5, 0.5)
    ax.set_yticks([])
    ax.legend(loc="upper right", fontsize=9)
    tidy(ax, title, "x, w", "")


def main(case: Case, name: str, draw: Any, steps: int) -> None:
    """Solve, check, draw and write NAME.png and NAME.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/paper") / name)
    parser.add_argument("--steps", type=int, default=steps, help="grid points a coordinate")
    arguments = parser.parse_args()
    rows = [numbers(case, beta, arguments.steps) for beta in BETAS]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(rows, arguments.out.with_suffix(".png"))
    report = {
        "x": case.x.tolist(),
        "paper": case.statement,
        "cases": rows,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "command": sys.argv,
    }
    arguments.out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        print({key: row[key] for key in ("beta_d", "paper_optimum", "our_optimum", "difference", "status", "grid")})
