"""The paper's Figure 4: descent–ascent on x = (−1, 1) with ReLU players, a stable and an unstable run.

Writes benchmarks/results/figure4.png and .json. Beside every run stands its distance from the certified optimum: what
``verify`` says of its final generator (cost, violation, and the cost of the nearest feasible output against the
certified bound), and along the run the exact one-dimensional dist (with equal counts the largest difference of the
sums of the k smallest or k largest points), which must agree with the certificate's.

    python benchmarks/paper/figure4.py --seeds 8 --steps 10000 --paper-seeds 2 --paper-steps 60000
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Status, verify
from convexwgan.baselines.descent_ascent import PAPER, DescentAscentRun, DescentAscentSettings, descend_ascend
from convexwgan.report.style import CUT, GENERATED, REAL, new_axes, save, tidy

Float64 = npt.NDArray[np.float64]

X = np.array([[-1.0], [1.0]])
BETA = 1e-3
STATEMENT = (
    "Figure 4: Adam with (m_g, m_d, beta_d, mu) = (150, 150, 1e-3, 4e-6). Unlike the stable convex approach, the "
    "non-convex training is unstable and leads to undamped oscillations depending on the initialization: in trial 1 "
    "the generator is unable to capture the trend in the real data, in trial 2 it is able to match the real data as "
    "predicted by Theorem 2.2."
)


def distance(x: Float64, w: Float64) -> float:
    """dist = max_k max(|B_k(w) − B_k(x)|, |T_k(w) − T_k(x)|), B_k and T_k the sums of the k smallest and largest."""
    x, w = np.sort(x.ravel()), np.sort(w.ravel())
    smallest = np.abs(np.cumsum(w) - np.cumsum(x)).max()
    largest = np.abs(np.cumsum(w[::-1]) - np.cumsum(x[::-1])).max()
    return float(max(smallest, largest))


def optimum() -> Float64:
    """The certified output of Theorem 2.2's convex program, w = ±(1 − β_d)."""
    solution = problem(0).solve()
    assert solution.status is Status.CERTIFIED
    return np.sort(solution.generator.output, axis=0)


def problem(seed: int) -> Problem:
    """Two noise samples in the plane; the paper does not say how many dimensions its noise has."""
    wgan = Discriminator.relu(beta=BETA, bias=True) + Generator.relu(bias=True) + Regularizer.output(1.0)
    return Problem(wgan, X, Latent.normal(2).draw(2, rng=seed))


def run(seed: int, settings: DescentAscentSettings) -> tuple[dict[str, Any], DescentAscentRun]:
    """One run and its numbers."""
    game = problem(seed)
    done = descend_ascend(game, replace(settings, seed=seed))
    judged, verdict = verify(game, done), done.distance(game, game.solve().bound)
    distances, final = [distance(X, output) for output in done.outputs], distance(X, done.output)
    assert abs(judged.violation - max(0.0, final - BETA) / BETA) <= 1e-6 * (1.0 + judged.violation)
    last = distances[-max(1, len(distances) // 4) :]
    numbers = {
        "seed": seed,
        "learning_rate": settings.learning_rate,
        "steps": done.steps,
        "seconds": done.seconds,
        "output": np.sort(done.output.ravel()).tolist(),
        "distance": final,
        "median_distance_last_quarter": float(np.median(last)),
        "largest_distance_last_quarter": max(last),
        "violation": judged.violation,
        "cost": judged.upper,
        "status": judged.status.name,
        "certified_bound": verdict.bound,
        "cost_of_the_repaired_output": verdict.repaired_cost,
        "excess_over_the_bound": verdict.excess,
        "distance_of_outputs_from_optimum": float(np.abs(np.sort(done.output.ravel()) - optimum().ravel()).max()),
        "oscillation": done.oscillation,
        "is_stable": max(last) < 0.25,
    }
    return numbers, done


def draw(stable: tuple[dict[str, Any], DescentAscentRun], unstable: tuple[dict[str, Any], DescentAscentRun]) -> Any:
    """Top: outputs over the steps; bottom: both players' losses."""
    axes = new_axes(11.0, 7.0, rows=2, columns=2)
    for column, (title, (numbers, done)) in enumerate((("Unstable", unstable), ("Stable", stable))):
        upper, lower, steps = axes[column], axes[2 + column], done.records[:, 0]
        outputs = np.sort(done.outputs[:, :, 0], axis=1)
        upper.plot(steps, outputs, color=GENERATED, linewidth=1.2, label="generator output")
        upper.hlines(optimum().ravel(), steps[0], steps[-1], color=REAL, linestyle="--", label="optimum of Theorem 2.2")
        upper.set_ylim(-4.0, 4.0)
        note = f"seed {numbers['seed']}, Adam {numbers['learning_rate']:g}"
        tidy(upper, f"{title} ({note}): dist at the end {numbers['distance']:.2g}", "step", "w")
        lower.plot(steps, done.records[:, 2] - done.records[:, 1], color=CUT, label="1ᵀD(G) − 1ᵀD(X)")
        lower.plot(steps, done.records[:, 3], color=GENERATED, label="R_g")
        tidy(lower, "Losses", "step", "value")
    for ax in (axes[0], axes[2]):
        handles, labels = ax.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        ax.legend(unique.values(), unique.keys(), loc="upper left", fontsize=8)
    return axes[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--paper-seeds", type=int, default=2, help="runs with the paper's 4e-6")
    parser.add_argument("--paper-steps", type=int, default=60_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/figure4"))
    arguments = parser.parse_args()

    faster = replace(PAPER, learning_rate=arguments.learning_rate, steps=arguments.steps)
    slower = replace(PAPER, steps=arguments.paper_steps, record_every=max(1, arguments.paper_steps // 400))
    runs = [run(seed, faster) for seed in range(arguments.seeds)]
    papers = [run(seed, slower)[0] for seed in range(arguments.paper_seeds)]
    by_distance = sorted(runs, key=lambda pair: pair[0]["largest_distance_last_quarter"])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save(draw(by_distance[0], by_distance[-1]), arguments.out.with_suffix(".png"), dpi=110)
    result = {
        "paper": STATEMENT,
        "optimum": optimum().ravel().tolist(),
        "beta_d": BETA,
        "stable": sum(numbers["is_stable"] for numbers, _ in runs),
        "runs": [numbers for numbers, _ in runs],
        "runs_at_the_papers_learning_rate": papers,
        "settings": asdict(faster),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "command": sys.argv,
    }
    arguments.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for numbers, _ in runs:
        print({name: numbers[name] for name in ("seed", "output", "distance", "is_stable")})


if __name__ == "__main__":
    main()
