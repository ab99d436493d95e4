"""The soft form of the ReLU weight problem against the package pyscnn: objective and time, interleaved in one run.

    python benchmarks/soft_form.py --out benchmarks/results/soft_form.json [--repeat 3] [--neurons 1000] [--large]

    F(u, v) = ½‖Σ_j (Zu_j)₊v_jᵀ − G‖_F² + λ n Σ_j ‖u_j‖‖v_j‖

evaluated in float64 by this file for both. pyscnn's ``optimize("relu", …, NeuronGL1(λ), unitize_data=False)`` minimises
F/n (squared loss over 2n plus λ times the group norm, no bias; its default ``unitize_data=True`` penalises weights of
column-scaled data, which is another problem) over the cones of randomly sampled gates in float32. Several outputs it
can only fit one by one; the sum of those objectives is the F of the joined network.

pyscnn lives in an environment of its own (--env, made on first use; a temporary folder by default) and is run as a
subprocess that times the call alone, not the import. One unmeasured call of ours comes first. Two times of ours: "s to
its F", a run of its own with ``solve_soft(…, target=F of pyscnn)``, which ends at the first network as good as pyscnn's
(what pyscnn delivers: a network, no bound), and "s certified", the run that goes on until the gap is closed.
Interleaved: pyscnn, ours to its F, ours certified, and again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.column_generation import solve_soft
from convexwgan.solvers.realization.types import RealizationResult, ReluNeurons

LAMBDA = 0.01
WORKER = """
import json, sys, time
import numpy as np
from scnn.optimize import optimize
from scnn.regularizers import NeuronGL1
data = np.load(sys.argv[1])
Z, G, lam, neurons = data["Z"], data["G"], float(sys.argv[2]), int(sys.argv[3])
start = time.perf_counter()
fits = [
    optimize("relu", neurons, Z, G[:, [c]], regularizer=NeuronGL1(lam), unitize_data=False)[0]
    for c in range(G.shape[1])
]
seconds = time.perf_counter() - start
first = np.concatenate([np.asarray(f.parameters[0], dtype=float).reshape(-1, Z.shape[1]) for f in fits])
second = np.zeros((len(first), G.shape[1]))
row = 0
for c, f in enumerate(fits):
    w = np.asarray(f.parameters[1], dtype=float).ravel()
    second[row : row + len(w), c] = w
    row += len(w)
np.savez(sys.argv[4], u=first, v=second, seconds=seconds)
"""


def instance(n: int, d: int, outputs: int, planted: int, seed: int) -> tuple[Float64, Float64]:
    """Gaussian Z (n, d) and the output of a planted network."""
    rng = np.random.default_rng(seed)
    Z, A, B = rng.standard_normal((n, d)), rng.standard_normal((d, planted)), rng.standard_normal((planted, outputs))
    return Z, np.maximum(Z @ A, 0.0) @ B / np.sqrt(planted)


def objective(Z: Float64, G: Float64, beta: float, u: Float64, v: Float64) -> float:
    """F for neurons of any scaling."""
    E = np.maximum(Z @ u.T, 0.0) @ v - G
    return 0.5 * float((E**2).sum()) + beta * float((np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)).sum())


def environment(folder: Path) -> Path:
    """The Python of an environment that has pyscnn; made on first use."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.EnvBuilder(with_pip=True).create(folder)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "pyscnn"], check=True)
    return python


def run_pyscnn(python: Path, Z: Float64, G: Float64, neurons: int) -> tuple[float, ReluNeurons]:
    """Seconds of the call and its network."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "data.npz", Path(folder) / "found.npz"
        np.savez(given, Z=Z, G=G)
        command = [str(python), "-c", WORKER, str(given), str(LAMBDA), str(neurons), str(found)]
        subprocess.run(command, check=True, capture_output=True)
        data = np.load(found)
        return float(data["seconds"]), ReluNeurons(data["u"], data["v"])


def compare(python: Path, n: int, d: int, outputs: int, repeat: int, neurons: int, tol: float) -> dict[str, Any]:
    """Both methods in turn, ``repeat`` times, on one instance."""
    Z, G = instance(n, d, outputs, planted=10, seed=0)
    beta = LAMBDA * n
    ours: list[float] = []
    theirs: list[float] = []
    line: dict[str, Any] = {"n": n, "d": d, "outputs": outputs, "beta": beta, "neurons_pyscnn": neurons}
    early: list[float] = []
    for _ in range(repeat):
        seconds, network = run_pyscnn(python, Z, G, neurons)
        theirs.append(seconds)
        line["objective_pyscnn"] = objective(Z, G, beta, network.u, network.v)
        seconds, result = run_ours(Z, G, beta, tol, line["objective_pyscnn"])
        early.append(seconds)
        line["objective_early"] = objective(Z, G, beta, result.neurons.u, result.neurons.v)
        seconds, result = run_ours(Z, G, beta, tol, None)
        ours.append(seconds)
        line["objective"] = objective(Z, G, beta, result.neurons.u, result.neurons.v)
        line |= {"gap": result.stats["gap"], "is_exact": result.stats["is_exact"], "k": len(result.neurons.u)}
    line |= {"all_seconds": ours, "all_seconds_early": early, "all_seconds_pyscnn": theirs}
    line |= {"seconds": statistics.median(ours), "seconds_early": statistics.median(early)}
    return line | {"seconds_pyscnn": statistics.median(theirs)}


def run_ours(Z: Float64, G: Float64, beta: float, tol: float, target: float | None) -> tuple[float, RealizationResult]:
    """Seconds of one call and its answer."""
    start = time.perf_counter()
    result = solve_soft(Z, G, beta, tol=tol, target=target)
    return time.perf_counter() - start, result


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown."""
    rows = [
        "| n | d | outputs | F ours | F pyscnn | s pyscnn | s to its F | ratio | s certified | ratio | gap |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in lines:
        gap = f"{line['gap']:.1e}" + ("" if line["is_exact"] else " (heuristic pricing)")
        rows.append(
            f"| {line['n']} | {line['d']} | {line['outputs']} "
            f"| {line['objective']:.8g} | {line['objective_pyscnn']:.8g} "
            f"| {line['seconds_pyscnn']:.3g} "
            f"| {line['seconds_early']:.3g} | {line['seconds_early'] / line['seconds_pyscnn']:.2g} "
            f"| {line['seconds']:.3g} | {line['seconds'] / line['seconds_pyscnn']:.2g} | {gap} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--neurons", type=int, default=1000, help="max_neurons of pyscnn")
    parser.add_argument("--large", action="store_true", help="also n = 500, d = 10 (minutes for pyscnn), once")
    parser.add_argument("--env", type=Path, default=Path(tempfile.gettempdir()) / "convexwgan-pyscnn")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/soft_form.json"))
    arguments = parser.parse_args()

    python = environment(arguments.env)
    solve_soft(*instance(20, 2, 1, 2, 1), beta=0.1)
    lines = [
        compare(python, n, d, outputs, arguments.repeat, arguments.neurons, 1e-6)
        for n, d, outputs in [(50, 2, 1), (200, 3, 1), (50, 2, 5), (200, 3, 5)]
    ]
    if arguments.large:
        lines.append(compare(python, 500, 10, 1, 1, arguments.neurons, 1e-3))
    print(table(lines))
    result = {
        "lines": lines,
        "lambda": LAMBDA,
        "python": platform.python_version(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "cpus": os.cpu_count(),
        "command": [Path(word).name for word in sys.argv],  # no paths of this machine
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
