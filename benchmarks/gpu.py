"""On a CUDA device: check, then time, the closed form, the Krylov solver, all stages and ReLU pricing's product.

    python benchmarks/gpu.py --out benchmarks/results/gpu.json          (a machine with a CUDA device)
    python benchmarks/gpu.py --device cpu --n 2000 --side 32            (the same checks without one)

Every result is checked against NumPy before it is timed. Times are medians of CUDA events after a warm-up; bandwidth
and flops are fractions of the peaks given with --bandwidth (GB/s) and --flops (TFLOP/s, float32).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from procogan import natural_images

from convexwgan import Discriminator, Generator, Problem, ProCoGAN
from convexwgan.geometry.rows import array_rows, centred_gram_product, row_sum
from convexwgan.geometry.top_spectra import top_eigenpairs


def median_seconds(run: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Median over repeats, after two warm-ups; CUDA events on a GPU, the clock elsewhere."""
    for _ in range(2):
        run()
    times = []
    for _ in range(repeats):
        if device.type == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            run()
            end.record()
            torch.cuda.synchronize()
            times.append(begin.elapsed_time(end) / 1e3)
        else:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def product_row(X: torch.Tensor, device: torch.device, repeats: int, width: int) -> dict[str, Any]:
    """X_cᵀ(X_cQ): the product that the Krylov solver spends its time in."""
    rng = np.random.default_rng(0)
    Q = torch.from_numpy(rng.standard_normal((X.shape[1], width)).astype(np.float32)).to(device)
    mean = X.mean(dim=0)
    (found,) = centred_gram_product(X, mean, Q)
    small, here = X[:200].cpu().numpy().astype(np.float64), mean.cpu().numpy().astype(np.float64)
    (part,) = centred_gram_product(X[:200], mean, Q)
    exact = (small - here).T @ ((small - here) @ Q.cpu().numpy().astype(np.float64))
    error = float(np.linalg.norm(part.cpu().numpy() - exact) / np.linalg.norm(exact))
    assert error < 1e-4, f"the product is wrong: relative error {error:.1e}"
    assert bool(torch.isfinite(found).all())
    seconds = median_seconds(lambda: centred_gram_product(X, mean, Q), device, repeats)
    return {
        "name": f"product with {width} columns",
        "relative_error": error,
        "seconds": seconds,
        "flops": 4.0 * X.shape[0] * X.shape[1] * width,
        "bytes": 2.0 * X.numel() * X.element_size(),
    }


def krylov_row(X: torch.Tensor, device: torch.device, repeats: int, k: int) -> dict[str, Any]:
    rows = array_rows(X)
    mean = rows.map_sum(row_sum)[0] / X.shape[0]

    def run() -> Any:
        return top_eigenpairs(rows, mean, count=k, rng=np.random.default_rng(0))

    found = run()
    (MV,) = rows.map_sum(centred_gram_product, mean, found.vectors[:, :k])
    residual = float(np.linalg.norm(MV - found.vectors[:, :k] * found.values[:k], axis=0).max() / found.values[k - 1])
    assert residual < 0.1, f"the eigenpairs are wrong: residual {residual:.1e}"
    return {"name": f"Krylov, k = {k}", "residual": residual, "seconds": median_seconds(run, device, repeats)}


def stages_row(images: np.ndarray, device: torch.device, repeats: int, components: tuple[int, ...]) -> dict[str, Any]:
    """All stages, from host memory: blocks are pinned and streamed to the device."""

    def run() -> ProCoGAN:
        return ProCoGAN(components=components, random_state=0, device=str(device)).fit(images)

    model = run()
    violations = [c.violation for c in model.certificates_]
    assert model.status_.name == "CERTIFIED", f"not certified: {violations}"
    return {"name": "all stages", "violations": violations, "seconds": median_seconds(run, device, repeats)}


def closed_form_row(device: torch.device, repeats: int, d: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    X, Z = (torch.randn(10 * d, d, generator=generator, dtype=torch.float64) for _ in range(2))
    problem = Problem(Discriminator.quadratic(beta=5.0 * d) + Generator.linear(), X.to(device), Z.to(device))
    solution = problem.solve()
    expected = Problem(problem.wgan, X.numpy(), Z.numpy()).solve()
    assert solution.status.name == "CERTIFIED"
    assert abs(solution.value - expected.value) <= 1e-8 * abs(expected.value)
    return {"name": f"closed form, d = {d}", "seconds": median_seconds(problem.solve, device, repeats)}


def pricing_row(device: torch.device, repeats: int) -> dict[str, Any]:
    """The batch product of ReLU pricing, ‖Rᵀ(ZU)₊‖ for many directions at once."""
    generator = torch.Generator().manual_seed(0)
    Z, R, U = (torch.randn(*shape, generator=generator) for shape in ((20_000, 64), (20_000, 32), (64, 4096)))

    def run(Z: torch.Tensor, R: torch.Tensor, U: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vector_norm(R.T @ torch.relu(Z @ U), dim=0)

    there = tuple(part.to(device) for part in (Z, R, U))
    exact = run(*(part.double() for part in (Z, R, U[:, :16])))
    error = float(((run(*there)[:16].cpu() - exact) / exact).abs().max())
    assert error < 1e-4, f"pricing is wrong: relative error {error:.1e}"
    seconds = median_seconds(lambda: run(*there), device, repeats)
    return {"name": "ReLU pricing, 4096 directions", "relative_error": error, "seconds": seconds,
            "flops": 2.0 * 20_000 * 4096 * (64 + 32)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--components", default="20,30,40,100,175")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bandwidth", type=float, help="peak of the device, GB/s")
    parser.add_argument("--flops", type=float, help="peak of the device, TFLOP/s in float32")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device: nothing is measured and the row stays empty (--device cpu runs the checks)")
    components = tuple(int(k) for k in options.components.split(","))
    components = components[: len(bin(options.side // 4)) - 2]
    images = natural_images(options.n, options.side, 0)
    X = torch.from_numpy(images.reshape(len(images), -1)).to(device)
    rows = [
        closed_form_row(device, options.repeats, 200),
        product_row(X, device, options.repeats, 64),
        krylov_row(X, device, options.repeats, components[-1]),
        stages_row(images, device, options.repeats, components),
        pricing_row(device, options.repeats),
    ]
    for row in rows:
        if options.flops and "flops" in row:
            row["fraction_of_peak_flops"] = row["flops"] / row["seconds"] / (options.flops * 1e12)
        if options.bandwidth and "bytes" in row:
            row["fraction_of_bandwidth"] = row["bytes"] / row["seconds"] / (options.bandwidth * 1e9)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    text = json.dumps({"device": name, "torch": torch.__version__, "n": options.n, "rows": rows}, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
