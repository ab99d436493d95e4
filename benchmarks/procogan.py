"""ProCoGAN at the paper's scale, and its last stage against scikit-learn and torch: time, certificates, residuals.

    OMP_NUM_THREADS=2 python benchmarks/procogan.py --out benchmarks/results/procogan.json            (full size)
    OMP_NUM_THREADS=1 python benchmarks/procogan.py --n 5000 --side 32 --components 20,30,40,100

Images are synthetic, with the 1/f amplitude spectrum of natural images and correlated colours, in [0, 1] up to rare
outliers; making them is not timed. All ratios are taken within one run.
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

from convexwgan import ProCoGAN, __version__
from convexwgan.geometry.rows import array_rows, centred_gram_product, row_sum
from convexwgan.geometry.top_spectra import plan_spectrum, top_eigenpairs

COLOURS = np.array([[1.0, 0.35, 0.1], [1.0, 0.0, -0.2], [1.0, -0.35, 0.1]])  # luminance and two opponent axes


def natural_images(n: int, side: int, seed: int) -> np.ndarray:
    """(n, side, side, 3) float32: Gaussian fields with amplitude 1/f, three colour planes mixed."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * side
    amplitude = (1.0 / np.maximum(f, 0.7)).astype(np.float32)
    images = np.empty((n, side, side, 3), np.float32)
    for start in range(0, n, 1000):
        b = min(1000, n - start)
        white = rng.standard_normal((b, 3, side, side // 2 + 1), np.float32)
        white = white + 1j * rng.standard_normal((b, 3, side, side // 2 + 1), np.float32)
        planes = np.fft.irfft2(white * amplitude, s=(side, side)).astype(np.float32)
        images[start : start + b] = np.moveaxis(planes, 1, 3) @ COLOURS.T.astype(np.float32)
    images *= 0.2 / images.std()
    images += 0.5
    return images


def fit(images: np.ndarray, components: tuple[int, ...], tol: float) -> dict[str, Any]:
    steps: list[tuple[int, str, float]] = []
    model = ProCoGAN(
        components=components,
        resolutions=tuple(images.shape[1] // 2**i for i in reversed(range(len(components)))),
        random_state=0,
        tol=tol,
        progress=lambda p: steps.append((p.stage, p.step, p.seconds)),
    )
    start, cpu = time.perf_counter(), time.process_time()
    model.fit(images)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    stages = []
    began = 0.0
    for i, (stage, certificate) in enumerate(zip(model.stages_, model.certificates_, strict=True)):
        mine = [(step, t) for number, step, t in steps if number == i + 1]
        judged = next(t for step, t in mine if step == "certificate")
        done = next(t for step, t in mine if step == "done")
        stages.append(
            {
                "side": stage.shape[0],
                "dim": len(stage.mean),
                "components": stage.components,
                "beta": stage.beta,
                "passes": sum(step == "spectrum" for step, _ in mine),
                "solve_seconds": judged - began,
                "certificate_seconds": done - judged,
                "violation": certificate.violation,
                "relative_gap": certificate.relative_gap,
                "scope": certificate.scope,
                "failure_probability": certificate.failure_probability,
                "status": certificate.status.name,
            }
        )
        began = done
    return {"seconds": seconds, "process_seconds": cpu, "stages": stages, "plans": list(model.plans_)}


def last_stage(images: np.ndarray, k: int) -> list[dict[str, Any]]:
    """The k leading eigenpairs of the last stage by ours, scikit-learn and torch.svd_lowrank, on the same array."""
    X = images.reshape(len(images), -1)
    rows, results = array_rows(X), []
    mean = rows.map_sum(row_sum)[0] / len(X)

    def record(name: str, run: Any) -> None:
        start, cpu = time.perf_counter(), time.process_time()
        _, V = run()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        results.append({"method": name, "seconds": seconds, "process_seconds": cpu, **residuals(rows, mean, V)})
        print(json.dumps(results[-1]), flush=True)

    def ours() -> tuple[np.ndarray, np.ndarray]:
        mean = rows.map_sum(row_sum)[0] / len(X)
        plan = plan_spectrum(*X.shape, k + 1)
        found = top_eigenpairs(rows, mean, count=k, plan=plan, rng=np.random.default_rng(0))
        return found.values[:k], found.vectors[:, :k]

    def sklearn() -> tuple[np.ndarray, np.ndarray]:
        from sklearn.decomposition import PCA

        pca = PCA(k, svd_solver="randomized", random_state=0).fit(X)
        return pca.singular_values_.astype(float) ** 2, pca.components_.T.astype(float)

    def torch_lowrank(niter: int) -> tuple[np.ndarray, np.ndarray]:
        import torch

        torch.manual_seed(0)
        A = torch.from_numpy(X)
        _, s, V = torch.svd_lowrank(A, q=k + 10, niter=niter, M=A.mean(dim=0, keepdim=True))
        return s[:k].double().numpy() ** 2, V[:, :k].double().numpy()

    record("convexwgan top_eigenpairs", ours)
    record("torch.svd_lowrank niter=2", lambda: torch_lowrank(2))
    record("torch.svd_lowrank niter=4", lambda: torch_lowrank(4))
    record("sklearn PCA randomized", sklearn)
    return results


def residuals(rows: Any, mean: np.ndarray, V: np.ndarray) -> dict[str, float]:
    """Largest and root-mean-square ‖Mv − θv‖ over σ²_k, in float64 on the data."""
    V = np.linalg.qr(V)[0]
    (MV,) = rows.map_sum(centred_gram_product, mean, V)
    theta, U = np.linalg.eigh(0.5 * (V.T @ MV + MV.T @ V))
    gaps = np.linalg.norm((MV - V @ (V.T @ MV)) @ U, axis=0) / theta[0]  # theta[0] is the smallest kept
    return {"largest_residual": float(gaps.max()), "rms_residual": float(np.sqrt(np.mean(gaps**2)))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--components", default="20,30,40,100,175")
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", action="store_true", help="the last stage against scikit-learn and torch too")
    parser.add_argument("--no-fit", action="store_true", help="only the peers")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    components = tuple(int(k) for k in options.components.split(","))
    images = natural_images(options.n, options.side, options.seed)
    result: dict[str, Any] = {
        "n": options.n,
        "side": options.side,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "cores": os.cpu_count(),
        "load_average_before": os.getloadavg()[0],
        "versions": {"convexwgan": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }
    if not options.no_fit:
        result["fit"] = fit(images, components, options.tol)
        print(json.dumps(result["fit"], indent=1), flush=True)
    if options.peers:
        result["last_stage"] = last_stage(images, components[-1])
    result["load_average_after"] = os.getloadavg()[0]
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
