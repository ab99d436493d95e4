"""Candidates: raw arrays that a solver proposes and that each theorem's inverse carries back. Never a verdict."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from convexwgan.arrays import Array, Float64


@dataclass(frozen=True)
class MomentPoint:
    """Output moments in factored form: S = ssᵀ/ρ + V diag(τ) Vᵀ.

    ``directions`` V (d, k) orthonormal, ``variances`` τ (k,) > 0, ``mean`` s (d,) or None for s not constrained.
    """

    directions: Array
    variances: Array
    mean: Array | None = None


@dataclass(frozen=True)
class Neurons:
    """A discriminator read off a dual point: ‖u_j‖ ≤ 1 as rows (k, d), v (k,), skip y (d,) or None.

    ``b`` (k,): biases, or None where the neurons have none.
    """

    u: Array
    v: Array
    skip: Array | None = None
    b: Array | None = None


@dataclass(frozen=True)
class Candidate:
    """What a solver found, at some stage of the route.

    ``moments`` before the generator is realised, ``weights`` after (W, W̃, or G for a free generator);
    ``multipliers`` of the reduced problem before its discriminator is read off, ``neurons`` after.
    ``infeasible`` carries the reason why a solver believes that no generator is feasible; ``certificates/``
    proves or drops it. ``unreachable``: the output (n_f, d_r) that a given factor asks for where no ReLU network on
    this noise has it; ``weights`` then give the nearest one.
    """

    moments: MomentPoint | None = None
    weights: Array | None = None
    hidden: tuple[Array, Array] | None = None
    multipliers: dict[str, Array] = field(default_factory=dict)
    neurons: Neurons | None = None
    infeasible: str | None = None
    unreachable: Float64 | None = None
    stopped: str | None = None
    stats: dict[str, Any] = field(default_factory=dict)

    def having(self, **changes: Any) -> Candidate:
        """A copy with some fields changed."""
        return replace(self, **changes)
