"""Why the defaults of LagrangianGAN fail on images, one change after another: digits, one seed, the benchmark's budget.

python benchmarks/lagrangian/diagnose.py --out benchmarks/results/lagrangian_diagnosis.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from run import BUDGET, SAMPLES, SHARED, task_of

from convexwgan.models.lagrangian_gan import LagrangianGAN
from convexwgan.report.quality import gaussian_frechet

SEED = 100
ONE: dict[str, Any] = {"generator_steps": 1}
WIDE: dict[str, Any] = {**ONE, "bandwidth": "auto"}
SHARES: dict[str, Any] = {**WIDE, "density": "assigned", "kernel_weight": 10.0}
FLAT: dict[str, Any] = {**SHARES, "slope_penalty": 1.0}
CHANGES: dict[str, dict[str, Any]] = {
    "defaults: 4 generator steps for 1 of the discriminator": {},
    "4 for 4": {"discriminator_steps": 4},
    "1 for 1": ONE,
    "1 for 1, λ = 1e-9": {**ONE, "kernel_weight": 1e-9},
    "1 for 1, bandwidth from the data": WIDE,
    "the same, p_g assigned, λ = 10": SHARES,
    "the same, slope penalty 1": FLAT,
    "the same, learning rates (1e-3, 3e-3)": {**FLAT, "learning_rate": (1e-3, 3e-3)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    task, results = task_of("digits", SEED, None), {}
    for name, change in CHANGES.items():
        steps = change.get("generator_steps", 4) + change.get("discriminator_steps", 1)
        model = LagrangianGAN(random_state=SEED, iterations=BUDGET["digits"] // steps, **SHARED["digits"], **change)
        G = model.fit(task.X).sample(SAMPLES)
        results[name] = {**task.judge(G), "frechet": gaussian_frechet(task.fresh, G)}
        print(name, results[name], flush=True)
        given.out.write_text(json.dumps({"seed": SEED, "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    main()
