"""What the solvers of the weight problem exchange: neurons in, neurons and a dual multiplier out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convexwgan.arrays import Float64


@dataclass(frozen=True, eq=False)
class ReluNeurons:
    """Σ_j (Zu_j)₊ v_jᵀ: u (k, d_f) rows of unit norm, v (k, d_r)."""

    u: Float64
    v: Float64

    @property
    def cost(self) -> float:
        """Σ_j ‖v_j‖ = ½(‖W₁‖_F² + ‖W₂‖_F²) of the balanced network."""
        return float(np.linalg.norm(self.v, axis=1).sum())

    def output(self, Z: Float64) -> Float64:
        """(ZUᵀ)₊V, shape (n, d_r)."""
        return np.maximum(Z @ self.u.T, 0.0) @ self.v

    def weights(self) -> tuple[Float64, Float64]:
        """(W₁, W₂) with ‖w_{1j}‖ = ‖w_{2j}‖ = √‖v_j‖: the balanced network of the same output and least weights."""
        size = np.linalg.norm(self.v, axis=1)
        root = np.sqrt(size)
        return self.u.T * root[None, :], self.v / np.where(root > 0, root, 1.0)[:, None]


@dataclass(frozen=True, eq=False)
class RealizationResult:
    """A network and the multiplier R of its output, both unproven: ``certificates/`` judges them.

    ``history`` holds one dict a round: iteration, upper, lower (by the pricing used), neurons, seconds.
    """

    neurons: ReluNeurons
    multiplier: Float64 | None
    residual: float
    stopped: str | None = None
    history: tuple[dict[str, Any], ...] = ()
    stats: dict[str, Any] = field(default_factory=dict)
