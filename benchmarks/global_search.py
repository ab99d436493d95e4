"""Free samples against ReLU neurons in the plane: the gap before and after branching, and SCIP on the same games.

Run: python benchmarks/global_search.py [out.json [seeds [seconds]]], with "scip" as a further argument for SCIP as
well (pip install pyscipopt). Standard normal data, sums, β_g = 1. SCIP gets the mixed-integer program over the signs of
g_iᵀu_k for finitely many neurons u_k; the exact oracle adds neurons to its optimum until the time is up, and the
largest of its dual bounds is a bound of the game.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan import Discriminator, Generator, Problem, verify
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima

GAMES = ((3, 0.1), (5, 0.3), (5, 1.0), (8, 0.5), (20, 0.5), (60, 1.0))
SEEDS, SECONDS = 2, 60.0


def row(n: int, beta: float, seed: int, seconds: float, with_scip: bool) -> dict[str, Any]:
    X = np.random.default_rng(seed).standard_normal((n, 2))
    problem = Problem(Discriminator.relu(beta=beta) + Generator.free(), X)
    root = problem.solve(time_limit=30.0)
    began, spent = time.perf_counter(), time.process_time()
    found = problem.solve(method="global", time_limit=seconds)
    times = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(time.process_time() - spent, 1)}
    began = time.perf_counter()
    status = verify(problem, found).status.name
    numbers = {
        "root_gap": root.relative_gap,
        "gap": found.relative_gap,
        "lower": found.bound,
        "upper": found.value,
        "status": status,
        "verify_seconds": round(time.perf_counter() - began, 2),
    }
    counts = {name: found.stats.extra.get(name) for name in ("nodes", "proof", "relaxations", "descents")}
    extra = {"scip": scip(X, beta, seconds)} if with_scip and n <= 5 else {}
    return {"n": n, "beta": beta, "seed": seed, **numbers, **times, **counts, "stopped": found.stats.stopped} | extra


def scip(X: np.ndarray[Any, Any], beta: float, seconds: float) -> dict[str, Any]:
    """The largest dual bound that SCIP proves, and over how many neurons."""
    deadline, bound, angles = time.perf_counter() + seconds, 0.0, 2.0 * np.pi * np.arange(8) / 8
    U, rounds = np.column_stack([np.cos(angles), np.sin(angles)]), 0
    while time.perf_counter() < deadline:
        lower, G = _milp(X, beta, U, deadline - time.perf_counter())
        bound, rounds = max(bound, lower), rounds + 1
        if G is None:
            break
        rows, signs = np.concatenate([X, G]), np.concatenate([np.ones(len(X)), -np.ones(len(G))])
        found = [sphere_maxima(rows, side * signs) for side in (1.0, -1.0)]
        if max(part.values[0] for part in found) <= beta * (1.0 + 1e-6):
            break
        U = np.concatenate([U, *(part.points[part.values > beta * (1.0 + 1e-6)][:2] for part in found)])
    return {"bound": bound, "rounds": rounds, "neurons": len(U)}


def _milp(X: Any, beta: float, U: Any, seconds: float) -> tuple[float, Any]:
    """min ½Σt s.t. t ≥ ‖g_i‖², |h_X(u_k) − Σ_ip_ik| ≤ β, p_ik = (g_iᵀu_k)₊ with one sign bit each."""
    from pyscipopt import Model, quicksum

    n, h = len(X), relu_sum(X, np.ones(len(X)), U)
    reach = float(np.linalg.norm(X, axis=1).sum()) + np.pi * beta
    model = Model()
    model.hideOutput()
    model.setParam("limits/time", max(seconds, 1.0))
    model.setParam("limits/gap", 1e-3)
    g = [[model.addVar(lb=-reach, ub=reach) for _ in range(2)] for _ in range(n)]
    t = [model.addVar(lb=0.0) for _ in range(n)]
    for i in range(n):
        model.addCons(g[i][0] * g[i][0] + g[i][1] * g[i][1] <= t[i])
    for i in range(n - 1):  # samples are exchangeable
        model.addCons(g[i][0] <= g[i + 1][0])
    for u, value in zip(U, h, strict=True):
        parts = []
        for i in range(n):
            p, b = model.addVar(lb=0.0, ub=reach), model.addVar(vtype="B")
            inner = float(u[0]) * g[i][0] + float(u[1]) * g[i][1]
            model.addCons(p >= inner)
            model.addCons(p <= inner + reach * (1 - b))
            model.addCons(p <= reach * b)
            parts.append(p)
        model.addCons(quicksum(parts) >= float(value) - beta)
        model.addCons(quicksum(parts) <= float(value) + beta)
    model.setObjective(0.5 * quicksum(t))
    model.optimize()
    if model.getNSols() == 0:
        return max(model.getDualbound(), 0.0), None
    best = model.getBestSol()
    return max(model.getDualbound(), 0.0), np.array([[best[part] for part in pair] for pair in g])


def main() -> None:
    given = [argument for argument in sys.argv[1:] if argument != "scip"]
    seeds = int(given[1]) if len(given) > 1 else SEEDS
    seconds = float(given[2]) if len(given) > 2 else SECONDS
    rows = []
    for seed in range(seeds):
        for n, beta in GAMES:
            rows.append(row(n, beta, seed, seconds, "scip" in sys.argv))
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
            sys.stdout.flush()
            if given:
                Path(given[0]).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
