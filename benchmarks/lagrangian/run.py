"""Modes covered by LagrangianGAN, the non-saturating GAN and WGAN-GP on the same data with the same budget.

The budget is optimiser steps of generator and discriminator together, the same for all three; batch size, networks,
latent dimension, data and seeds are the same too. On images there is a control, "no-dual-term": LagrangianGAN with
λ = 1e-9. Settings of each method: SETTINGS below; what was tried: docs/lagrangian_gan.md, and for images tune.py.
An interrupted run goes on where it was: fits that the file already holds are not repeated.

python benchmarks/lagrangian/run.py ring --seeds 10 --out benchmarks/results/lagrangian.json
python benchmarks/lagrangian/run.py grid --seeds 10 --out benchmarks/results/lagrangian_grid.json
python benchmarks/lagrangian/run.py digits --seeds 10 --out benchmarks/results/lagrangian_digits.json
python benchmarks/lagrangian/run.py fashion --seeds 10 --fashion DIR --out benchmarks/results/lagrangian_fashion.json
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
from image_settings import GRID

from convexwgan.baselines.adversarial import WGANGP, NonSaturatingGAN
from convexwgan.models.lagrangian_gan import LagrangianGAN
from convexwgan.report.quality import gaussian_frechet

SAMPLES = 2500
METHODS: dict[str, Callable[..., Any]] = {
    "lagrangian": LagrangianGAN,
    "non-saturating": NonSaturatingGAN,
    "wgan-gp": WGANGP,
    "no-dual-term": LagrangianGAN,
}
# Optimiser steps of both players together, and what all methods share on a task.
BUDGET = {"ring": 6000, "grid": 8000, "digits": 6000, "fashion": 4000}
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
}
# The best of tune.py's six settings for each method, by the mean Fréchet distance of seeds 200 and 201.
CHOSEN: dict[str, dict[str, int]] = {
    "digits": {"lagrangian": 4, "non-saturating": 5, "wgan-gp": 4},
    "fashion": {"lagrangian": 4, "non-saturating": 5, "wgan-gp": 3},
}
for image_task, places in CHOSEN.items():
    SETTINGS[image_task] = {method: GRID[method][place] for method, place in places.items()}
    SETTINGS[image_task]["no-dual-term"] = {**SETTINGS[image_task]["lagrangian"], "kernel_weight": 1e-9}


def task_of(name: str, seed: int, folder: Path | None) -> Task:
    """The data of one seed."""
    if name == "fashion":
        if folder is None:
            raise SystemExit("fashion needs --fashion DIR with the IDX files of Fashion-MNIST")
        return fashion(seed, folder)
    return {"ring": ring, "grid": grid, "digits": digits}[name](seed)


def iterations(name: str, method: str, settings: dict[str, Any], quick: bool) -> int:
    """As many as the budget pays for."""
    own = 1 + settings.get("generator_steps", 4)
    critic = 1 + settings.get("discriminator_steps", 5)
    steps = {"lagrangian": own, "no-dual-term": own, "non-saturating": 2, "wgan-gp": critic}[method]
    return max(1, BUDGET[name] // steps // (50 if quick else 1))


def measure(
    task: Task, name: str, method: str, settings: dict[str, Any], seed: int, quick: bool = False
) -> tuple[dict[str, float], np.ndarray]:
    """One fit; its numbers, and samples for the picture."""
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
    results, pictures = earlier(given.out, given.quick)
    for name in given.tasks:
        for seed in range(given.first, given.first + given.seeds):
            wanted = [m for m in given.methods if m in SETTINGS[name]]
            missing = [m for m in wanted if seed == given.first and f"{name}/{m}" not in pictures]
            done = {fit["method"] for fit in results if (fit["task"], fit["seed"]) == (name, seed)}
            methods = [m for m in wanted if m in missing or m not in done]
            task = task_of(name, seed, given.fashion) if methods else None
            for method in methods:
                numbers, G = measure(task, name, method, SETTINGS[name][method], seed, given.quick)
                fit = {"task": name, "method": method, "seed": seed, **numbers}
                results = [old for old in results if any(old[key] != fit[key] for key in ("task", "method", "seed"))]
                results.append(fit)
                print(row(name, method, seed, numbers), flush=True)
                if seed == given.first:
                    pictures |= {f"{name}/{method}": shown(task, G), f"{name}/data": shown(task, task.X)}
                    np.savez_compressed(given.out.with_suffix(".npz"), **pictures)
                write(given.out, results, given.quick)


def about(results: list[dict[str, Any]], quick: bool) -> dict[str, Any]:
    """What was run."""
    tasks = list(dict.fromkeys(fit["task"] for fit in results))
    tables = {"budget": BUDGET, "shared": SHARED, "settings": SETTINGS}
    found = {key: {task: values[task] for task in tasks} for key, values in tables.items()}
    return json.loads(json.dumps({**found, "quick": quick, "samples": SAMPLES}))


def earlier(path: Path, quick: bool) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """The fits and pictures of an interrupted run, if it was one with these settings."""
    if not path.is_file():
        return [], {}
    found = json.loads(path.read_text(encoding="utf-8"))
    for key, here in about(found["results"], quick).items():
        if found.get(key, False) != here:
            raise SystemExit(f"{path} holds fits with another {key}: write to another file")
    drawn = path.with_suffix(".npz")
    return list(found["results"]), dict(np.load(drawn)) if drawn.is_file() else {}


def write(path: Path, results: list[dict[str, Any]], quick: bool) -> None:
    """After every fit, so that an interrupted run keeps what it has."""
    versions = {"torch": torch.__version__, "numpy": np.__version__, "cores": os.cpu_count()}
    found = {**about(results, quick), **versions, "results": results}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # far from the data a narrow kernel is denormal, and arithmetic on such numbers slow
    main()
