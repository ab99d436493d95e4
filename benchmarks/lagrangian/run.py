"""Modes covered by LagrangianGAN, the non-saturating GAN and WGAN-GP on the same data with the same budget.

The budget is optimiser steps of generator and discriminator together, the same for all three; batch size, networks,
latent dimension, data and seeds are the same too.
Settings of each method: SETTINGS below; what was tried: docs/lagrangian_gan.md.

python benchmarks/lagrangian/run.py ring --seeds 10 --out benchmarks/results/lagrangian.json
python benchmarks/lagrangian/run.py grid --seeds 10 --out benchmarks/results/lagrangian_grid.json
python benchmarks/lagrangian/run.py digits fashion --seeds 2 --fashion DIR \\
    --out benchmarks/results/lagrangian_images.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from data import Task, digits, fashion, grid, ring

from convexwgan.baselines.adversarial import WGANGP, NonSaturatingGAN
from convexwgan.models.lagrangian_gan import LagrangianGAN
from convexwgan.report.quality import gaussian_frechet

SAMPLES = 2500
METHODS: dict[str, Callable[..., Any]] = {
    "lagrangian": LagrangianGAN,
    "non-saturating": NonSaturatingGAN,
    "wgan-gp": WGANGP,
}
# Optimiser steps of both players together, and what all methods share on a task.
BUDGET = {"ring": 6000, "grid": 8000, "digits": 2000, "fashion": 2000}
SHARED: dict[str, dict[str, Any]] = {
    "ring": {"hidden": (64, 64), "latent_dim": 2, "batch_size": 64},
    "grid": {"hidden": (64, 64, 64), "latent_dim": 2, "batch_size": 192},
    "digits": {"hidden": (128, 128), "latent_dim": 16, "batch_size": 64},
    "fashion": {"hidden": (128, 128), "latent_dim": 16, "batch_size": 64},
}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "ring": {
        "lagrangian": {
            "bandwidth": (0.5, 0.1),
            "generator_steps": 5,
            "kernel_weight": 10.0,
            "learning_rate": (1e-3, 2e-3),
        },
        "non-saturating": {"learning_rate": (1e-3, 3e-3)},
        "wgan-gp": {"learning_rate": 2e-3},
    },
    "grid": {
        "lagrangian": {
            "bandwidth": (0.4, 0.2),
            "generator_steps": 1,
            "kernel_weight": 100.0,
            "clip": 0.05,
            "drift": 0.001,
            "learning_rate": 3e-3,
        },
        "non-saturating": {"learning_rate": (1e-3, 3e-3)},
        "wgan-gp": {"learning_rate": (1e-3, 3e-3)},
    },
    # Not tuned: defaults, but σ ends at 0.2, below which the kernel of images sees nothing but themselves.
    "digits": {"lagrangian": {"bandwidth": (0.5, 0.2)}, "non-saturating": {}, "wgan-gp": {}},
    "fashion": {"lagrangian": {"bandwidth": (0.5, 0.2)}, "non-saturating": {}, "wgan-gp": {}},
}


def task_of(name: str, seed: int, folder: Path | None) -> Task:
    """The data of one seed."""
    if name == "fashion":
        if folder is None:
            raise SystemExit("fashion needs --fashion DIR with the IDX files of Fashion-MNIST")
        return fashion(seed, folder)
    return {"ring": ring, "grid": grid, "digits": digits}[name](seed)


def iterations(name: str, method: str, settings: dict[str, Any], quick: bool) -> int:
    """As many as the budget pays for."""
    steps = {"lagrangian": 1 + settings.get("generator_steps", 4), "non-saturating": 2, "wgan-gp": 6}[method]
    return max(1, BUDGET[name] // steps // (50 if quick else 1))


def measure(task: Task, name: str, method: str, seed: int, quick: bool) -> tuple[dict[str, float], np.ndarray]:
    """One fit; its numbers, and samples for the picture."""
    settings = SETTINGS[name][method]
    given = {**SHARED[name], **settings, "iterations": iterations(name, method, settings, quick)}
    model = METHODS[method](random_state=seed, report_every=given["iterations"], **given)
    clock = time.process_time()
    model.fit(task.X)
    seconds = time.process_time() - clock
    G = model.sample(SAMPLES)
    numbers = {**task.judge(G), "frechet": gaussian_frechet(task.fresh, G)}
    return {**numbers, "steps": model.n_evaluations_, "cpu_seconds": round(seconds, 2)}, G


def row(name: str, method: str, seed: int, numbers: dict[str, float]) -> str:
    text = "  ".join(f"{key} {value:.4g}" for key, value in numbers.items())
    return f"{name:8} {method:15} seed {seed}  {text}"


def shown(task: Task, points: np.ndarray) -> np.ndarray:
    """1,000 points of the plane, or 64 images."""
    return (points[:1000] if task.picture is None else task.picture(points[:64])).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=list(BUDGET))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--fashion", type=Path, help="folder with train-images-idx3-ubyte[.gz] and the labels")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the budget: does it run?")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    results: list[dict[str, Any]] = []
    pictures: dict[str, np.ndarray] = {}
    for name in given.tasks:
        for seed in range(given.first, given.first + given.seeds):
            task = task_of(name, seed, given.fashion)
            for method in given.methods:
                numbers, G = measure(task, name, method, seed, given.quick)
                results.append({"task": name, "method": method, "seed": seed, **numbers})
                print(row(name, method, seed, numbers), flush=True)
                if seed == given.first:
                    pictures[f"{name}/{method}"] = shown(task, G)
                    pictures[f"{name}/data"] = shown(task, task.X)
                    np.savez_compressed(given.out.with_suffix(".npz"), **pictures)
                write(given.out, results)


def write(path: Path, results: list[dict[str, Any]]) -> None:
    """After every fit, so that an interrupted run keeps what it has."""
    about = {"budget": BUDGET, "shared": SHARED, "settings": SETTINGS, "samples": SAMPLES}
    versions = {"torch": torch.__version__, "numpy": np.__version__, "cores": os.cpu_count()}
    path.write_text(json.dumps({**about, **versions, "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # far from the data a narrow kernel is denormal, and arithmetic on such numbers slow
    main()
