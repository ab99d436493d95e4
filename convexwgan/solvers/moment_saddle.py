"""The quadratic discriminator's game in moments, min over S ⪰ 0, max over R, by the primal–dual method."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64

_CHECK_EVERY = 10
_WEIGHT = 10.0


@dataclass(frozen=True, eq=False)
class MomentSaddle:
    """A nearly optimal pair: S (d, d) of the generator, R (d, d) of the discriminator xᵀRx; why it stopped."""

    S: Float64
    R: Float64
    iterations: int
    stopped: str | None


def solve_moment_game(
    M: Float64,
    beta: float | None,
    strength: float,
    *,
    tol: float = 1e-6,
    max_iter: int = 20_000,
    time_limit: float | None = None,
) -> MomentSaddle:
    """The saddle point of covariance matching.

    Problem: min_{S ⪰ 0} max_R (β_g/2) tr S + ⟨R, M − S⟩ − β_d‖R‖_*        (norm bound: ‖R‖_* ≤ 1 and no β_d)

        S⁺ = (S − τ((β_g/2)I − R))₊,   R⁺ = prox(R + σ(M − 2S⁺ + S)),   στ < 1,

    prox: eigenvalues pulled to 0 by σβ_d, or projected on the ℓ₁ ball. Each step is one eigendecomposition.

    Args:
        M: second moment of the data, shape (d, d).
        beta: β_d > 0, or None for the norm bound.
        strength: β_g > 0.
        tol: stop at a tenth of it, on relative gap and on both players' violations.
        max_iter, time_limit: limits; on hitting one the last iterates are returned.

    Reference:
        MATH 3.2, dual side; Chambolle and Pock, J. Math. Imaging Vis. 40 (2011), Algorithm 1.

    >>> saddle = solve_moment_game(np.diag([3.0, 1.0]), 2.0, 1.0)
    >>> saddle.S.round(6).tolist(), saddle.R.round(6).tolist()
    ([[1.0, 0.0], [0.0, 0.0]], [[0.5, 0.0], [0.0, 0.0]])
    """
    unit = float(np.linalg.norm(M, 2))
    half = 0.5 * strength
    if unit == 0.0:
        return MomentSaddle(np.zeros_like(M), np.zeros_like(M), 0, None)
    game = _Game(M / unit, None if beta is None else beta / unit, 1.0 / half)
    S, R, iterations, stopped = game.run(0.1 * tol, max_iter, time_limit)
    return MomentSaddle(unit * S, half * R, iterations, stopped)


@dataclass(frozen=True, eq=False)
class _Game:
    """In units of ‖M‖₂ for S and of β_g/2 for R: tr S + ⟨R, M − S⟩ − β‖R‖_*, or ‖R‖_* ≤ budget where β is None."""

    M: Float64
    beta: float | None
    budget: float

    def run(self, tol: float, max_iter: int, time_limit: float | None) -> tuple[Float64, Float64, int, str | None]:
        """Chambolle–Pock. Eigenvalues near β ask for long steps of R: σ/τ = 1/β, measured to be near the best."""
        weight = _WEIGHT if self.beta is None else min(max(1.0 / math.sqrt(self.beta), 1.0), 1e4)
        tau, sigma = 0.99 / weight, 0.99 * weight
        eye, begin = np.eye(len(self.M)), time.perf_counter()
        S = R = np.zeros_like(self.M)
        for k in range(1, max_iter + 1):
            e, V = np.linalg.eigh(S - tau * (eye - R))
            ahead = (V * np.maximum(e, 0.0)) @ V.T
            e, V = np.linalg.eigh(R + sigma * (self.M - 2.0 * ahead + S))
            r = self.prox(e, sigma)
            S, R = ahead, (V * r) @ V.T
            if k % _CHECK_EVERY == 0 and self.is_saddle(S, R, r, tol):
                return S, R, k, None
            if time_limit is not None and time.perf_counter() - begin > time_limit:
                return S, R, k, "time_limit"
        return S, R, max_iter, "max_iter"

    def prox(self, e: Float64, sigma: float) -> Float64:
        """argmin ½‖r − e‖² + σβ‖r‖₁, or the projection on ‖r‖₁ ≤ budget: e is pulled to 0 by a common amount."""
        size = np.abs(e)
        if self.beta is not None:
            pull = sigma * self.beta
        elif size.sum() <= self.budget:
            pull = 0.0
        else:
            down = np.sort(size)[::-1]
            pulls = (np.cumsum(down) - self.budget) / np.arange(1, len(e) + 1)
            pull = float(pulls[np.flatnonzero(down > pulls)[-1]])
        return np.asarray(np.sign(e) * np.maximum(size - pull, 0.0))

    def is_saddle(self, S: Float64, R: Float64, r: Float64, tol: float) -> bool:
        """Gap, dist beyond β and the largest eigenvalue of R beyond 1 (then S would grow without end) are small."""
        dist = float(np.abs(np.linalg.eigvalsh(self.M - S)).max())
        price = 0.0 if self.beta is None else self.beta * float(np.abs(r).sum())
        lower = float(np.vdot(R, self.M)) - price
        upper = float(np.trace(S)) + (dist * self.budget if self.beta is None else 0.0)
        gap = abs(upper - lower) <= tol * max(upper, abs(lower), 1e-6)
        excess = 0.0 if self.beta is None else max(0.0, dist / self.beta - 1.0)
        return gap and excess <= tol and float(r.max()) - 1.0 <= tol
