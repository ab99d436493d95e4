"""The least weights of a ReLU network with a given output: agreement of two solvers, gaps reached, and high rank.

    python benchmarks/realization.py agreement [--seed 0] [--count 50]
    python benchmarks/realization.py gaps [--time-limit 120]
    python benchmarks/realization.py high [--latents pixels] [--components 48] [--time-limit 240]

* ``agreement``: random instances of rank 1 to 4 (planted networks, outputs linear in the latents, random reachable
  outputs), each solved by the semidefinite program (exact for rank ≤ 4) and by column generation. Both answers give an
  upper bound (a network, its output recomputed) and a lower bound (a multiplier, its price recomputed exactly).
* ``gaps``: planted and latent-aligned targets up to n_f = 200, rank 3, d_r = 10.
* ``high``: Z 500 × 48 from the digits of scikit-learn, pixels or principal scores; lower bound by the doubly
  nonnegative relaxation of pricing, upper bound by column generation; both beside the nuclear-norm bound and the 2k
  neurons of a target in range(Z).

Each part writes its lines into --out (benchmarks/results/realization.json) and leaves the others there as they are.
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

from convexwgan.arrays import Float64
from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.cones import triangulate
from convexwgan.geometry.pricing import price
from convexwgan.geometry.reachability import reachable_outputs
from convexwgan.solvers.column_generation import range_neurons, realize_weights
from convexwgan.solvers.conic import run
from convexwgan.solvers.conic.ki_neurons import neurons_from_sdp
from convexwgan.solvers.conic.ki_norm import ki_program
from convexwgan.solvers.conic.ki_pricing import weight_bound

ROWS = {1: (2, 12), 2: (3, 9), 3: (4, 7), 4: (5, 6)}
KINDS = ("planted", "latent", "reachable")
GAPS = [
    ("planted", 60, 3, 4, 3),
    ("latent", 60, 3, 5, 1),
    ("planted", 200, 2, 10, 5),
    ("latent", 200, 2, 10, 2),
    ("planted", 200, 3, 10, 2),
    ("planted", 200, 3, 10, 5),
    ("latent", 200, 3, 10, 1),
]


def target(kind: str, Z: Float64, d: int, k: int, rng: np.random.Generator) -> Float64:
    """G (n, d): a network of k neurons, a linear map of Z, or the nearest reachable output to Gaussian numbers."""
    r = Z.shape[1]
    if kind == "planted":
        return np.asarray(np.maximum(Z @ rng.standard_normal((r, k)), 0.0) @ rng.standard_normal((k, d)))
    if kind == "latent":
        return np.asarray(Z @ rng.standard_normal((r, d)))
    return np.asarray(reachable_outputs(Z).project(rng.standard_normal((len(Z), d))))


def small_instance(kind: str, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """Rank 1 to 4, few rows, a target that is not zero."""
    while True:
        r = int(rng.integers(1, 5))
        n, d, k = int(rng.integers(*ROWS[r], endpoint=True)), int(rng.integers(1, 4)), int(rng.integers(1, 5))
        Z = rng.standard_normal((n, r))
        G = target(kind, Z, d, k, rng)
        if np.linalg.norm(G) > 1e-6 * np.linalg.norm(Z):
            return Z, G


def bounds_of(Z: Float64, G: Float64, neurons: Any, R: Float64) -> tuple[float, float, float]:
    """Cost, ⟨R, G⟩ over the exact price, and ‖output − G‖/‖G‖, from the answer alone."""
    lower = float(np.vdot(R, G)) / price(enumerate_cells(Z), Z, R).value
    return neurons.cost, lower, float(np.linalg.norm(neurons.output(Z) - G) / np.linalg.norm(G))


def agreement(seed: int, count: int) -> list[dict[str, Any]]:
    """Both solvers on ``count`` instances; ``spread`` is (largest − smallest of the four bounds)/cost."""
    rng, lines = np.random.default_rng(seed), []
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        Z, G = small_instance(kind, rng)
        cones = triangulate(enumerate_cells(Z))
        start = time.perf_counter()
        exact = run(ki_program(Z, G, cones))
        sdp = bounds_of(Z, G, neurons_from_sdp(exact.values, cones, Z, G), exact.multipliers["R"])
        middle = time.perf_counter()
        found = realize_weights(Z, G)
        assert found.multiplier is not None
        ours = bounds_of(Z, G, found.neurons, found.multiplier)
        seconds = middle - start, time.perf_counter() - middle
        bounds = [*sdp[:2], *ours[:2], exact.objective]
        line = {"kind": kind, "n": len(Z), "rank": Z.shape[1], "outputs": G.shape[1], "sdp": sdp, "columns": ours}
        line |= {"spread": (max(bounds) - min(bounds)) / min(sdp[0], ours[0]), "seconds": seconds}
        line["crossing"] = max(sdp[1], ours[1]) / min(sdp[0], ours[0]) - 1.0
        lines.append(line)
    return lines


def gaps(seed: int, time_limit: float) -> list[dict[str, Any]]:
    """Column generation alone on the larger instances."""
    lines = []
    for kind, n, r, d, k in GAPS:
        rng = np.random.default_rng(seed)
        Z = rng.standard_normal((n, r))
        G = target(kind, Z, d, k, rng)
        start = time.process_time()
        found = realize_weights(Z, G, time_limit=time_limit)
        s = found.stats
        line = {"kind": kind, "n": n, "rank": r, "outputs": d, "planted": k, "cost": s["objective"]}
        line |= {"gap": s["gap"], "residual": found.residual, "neurons": len(found.neurons.u)}
        lines.append(line | {"seconds": s["seconds"], "cpu": time.process_time() - start, "stopped": found.stopped})
        print(f"| {kind} | {n} | {r} | {d} | {s['objective']:.8g} | {s['gap']:.1e} | {s['seconds']:.3g} |", flush=True)
    return lines


def digits(latents: str, components: int) -> tuple[Float64, Float64]:
    """Z (500, 48) and a target of that many principal components in its range, (500, 48).

    "pixels": Z the 48 pixels of largest variance, nonnegative; G their projection. "scores": Z the first 48 principal
    scores of the centred digits; G those pixels, centred, rebuilt from the first scores.
    """
    from sklearn.datasets import load_digits

    X = load_digits().data[:500].astype(np.float64)
    chosen = np.argsort(-X.var(axis=0))[:48]
    X = X[:, chosen] if latents == "pixels" else X - X.mean(axis=0)
    P, s, Qt = np.linalg.svd(X, full_matrices=False)
    G = (P[:, :components] * s[:components]) @ Qt[:components]
    return (X, G) if latents == "pixels" else (P[:, :48] * s[:48], G[:, chosen])


def high(latents: str, components: int, time_limit: float, bound_limit: float) -> list[dict[str, Any]]:
    """One line: every bound on the digits' target, and what it cost."""
    Z, G = digits(latents, components)
    pairs = range_neurons(Z, G)
    assert pairs is not None
    start = time.perf_counter()
    found = realize_weights(Z, G, time_limit=time_limit)
    middle = time.perf_counter()
    bound = weight_bound(Z, G, time_limit=bound_limit)
    seconds = middle - start, time.perf_counter() - middle
    nuclear = float(np.linalg.svd(G, compute_uv=False).sum() / np.linalg.norm(Z, 2))
    line = {"n": len(Z), "rank": 48, "outputs": 48, "latents": latents, "components": components, "nuclear": nuclear}
    line |= {"lower": bound.value, "upper": found.neurons.cost, "neurons": len(found.neurons.u)}
    line |= {"two_k": float(np.linalg.norm(pairs[1], axis=1).sum()), "residual": found.residual, "seconds": seconds}
    line["gap"] = 1.0 - bound.value / found.neurons.cost
    return [line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=("agreement", "gaps", "high"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--components", type=int, default=48)
    parser.add_argument("--latents", choices=("pixels", "scores"), default="pixels")
    parser.add_argument("--time-limit", type=float, default=120.0)
    parser.add_argument("--bound-limit", type=float, default=120.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/realization.json"))
    arguments = parser.parse_args()

    if arguments.part == "agreement":
        lines = agreement(arguments.seed, arguments.count)
        spread, crossing = max(line["spread"] for line in lines), max(line["crossing"] for line in lines)
        print(f"{len(lines)} instances: largest spread {spread:.1e}, largest crossing {crossing:.1e}")
    elif arguments.part == "gaps":
        lines = gaps(arguments.seed, arguments.time_limit)
    else:
        lines = high(arguments.latents, arguments.components, arguments.time_limit, arguments.bound_limit)
        print(json.dumps(lines, indent=2))
    old = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    key = arguments.part if arguments.part != "high" else f"high_{arguments.latents}_{arguments.components}"
    about = {"python": platform.python_version(), "threads": os.environ.get("OMP_NUM_THREADS", "default")}
    old[key] = {"lines": lines, "seed": arguments.seed, "cpus": os.cpu_count(), **about}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(old, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
