"""Six settings of each method on images: two pairs of learning rates times three of its own kind.

The same number for all, tried by tune.py on seeds that the reported runs do not use.
"""

from __future__ import annotations

from typing import Any

RATES: tuple[Any, ...] = (1e-3, (1e-3, 3e-3))
LAGRANGIAN = {"density": "assigned", "bandwidth": "auto", "generator_steps": 1}
OWN: dict[str, list[dict[str, Any]]] = {
    "lagrangian": [
        {**LAGRANGIAN, "slope_penalty": 0.1, "kernel_weight": 10.0},
        {**LAGRANGIAN, "slope_penalty": 1.0, "kernel_weight": 10.0},
        {**LAGRANGIAN, "slope_penalty": 1.0, "kernel_weight": 30.0},
    ],
    "non-saturating": [{"slope_penalty": 0.0}, {"slope_penalty": 0.1}, {"slope_penalty": 1.0}],
    "wgan-gp": [
        {"penalty": 10.0, "discriminator_steps": 5},
        {"penalty": 10.0, "discriminator_steps": 2},
        {"penalty": 1.0, "discriminator_steps": 5},
    ],
}
GRID = {
    method: [{**settings, "learning_rate": rate} for rate in RATES for settings in choices]
    for method, choices in OWN.items()
}
