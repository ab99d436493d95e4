"""One atom, and a discriminator whose slope at the generated points is exactly zero: who still moves?

The data are the single point 3. The discriminator is a table over cells of width 0.2, so D is constant around almost
every point and ∇D(G(z)) = 0: what a saturated discriminator is to a generator far from the data. Baselines follow
∇D at generated points and stay where they start; LagrangianGAN asks at the *data* point for more p_g and follows
the kernel, whose width falls from 3 to 0.1. The toy is ours.

python benchmarks/lagrangian/toy.py --out benchmarks/results/lagrangian_toy.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convexwgan.baselines.adversarial import WGANGP, NonSaturatingGAN
from convexwgan.models.lagrangian_gan import LagrangianGAN

ATOM, WIDTH, REACH = 3.0, 0.2, 10.0
BANDWIDTH = (3.0, 0.1)
COMMON: dict[str, Any] = {
    "latent_dim": 1,
    "hidden": (),
    "standardize": False,
    "learning_rate": 0.02,
    "batch_size": 32,
    "report_every": 10,
}


class Cells(torch.nn.Module):
    """D(x) = t[cell of x]: cells of width 0.2, one of them centred on the atom."""

    def __init__(self) -> None:
        super().__init__()
        self.half = int(REACH / WIDTH)
        self.table = torch.nn.Parameter(torch.zeros(2 * self.half + 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cell = torch.round((x - ATOM) / WIDTH).long().clamp(-self.half, self.half)
        return self.table[cell + self.half]


def models(seed: int) -> dict[str, Any]:
    """1,500 optimiser steps each."""
    given = {**COMMON, "discriminator": lambda d: Cells(), "random_state": seed}
    return {
        "lagrangian": LagrangianGAN(bandwidth=BANDWIDTH, iterations=300, **given),
        "non-saturating": NonSaturatingGAN(iterations=750, **given),
        "wgan-gp": WGANGP(iterations=250, **given),
    }


def run(seed: int) -> dict[str, dict[str, Any]]:
    """For each method: farthest of 500 fixed samples from the atom at every report, and how far the samples moved."""
    found: dict[str, dict[str, Any]] = {}
    for name, model in models(seed).items():
        path: list[np.ndarray] = []
        model.set_params(callback=lambda progress, path=path: path.append(progress.sample(500)[:, 0])).fit([[ATOM]])
        found[name] = {
            "steps": model.n_evaluations_,
            "mean": [float(G.mean()) for G in path],
            "farthest": [float(np.abs(G - ATOM).max()) for G in path],
            "moved": float(np.abs(path[-1] - path[0]).max()),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/lagrangian_toy.json"))
    arguments = parser.parse_args()
    found = {seed: run(seed) for seed in range(arguments.seeds)}
    arguments.out.write_text(json.dumps({"bandwidth": BANDWIDTH, "seeds": found}) + "\n", encoding="utf-8")
    for name in models(0):
        worst = max(run[name]["farthest"][-1] for run in found.values())
        moved = max(run[name]["moved"] for run in found.values())
        print(f"{name:15} farthest sample from the atom {worst:.4f}, moved after the first report {moved:.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
