"""A dual point is a discriminator: reading a claimed one, and the matrices that the bounds see of it.

D(x) = Σ_j σ(xᵀu_j)v_j + xᵀskip with σ(t) = at² + bt + c and ‖u_j‖ ≤ 1 enters every bound through
R = aΣv_ju_ju_jᵀ, y = bΣv_ju_j + skip, κ = cΣv_j and Σ|v_j| alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.claim import Claim
from convexwgan.certificates.measures import MeasureEvidence
from convexwgan.certificates.moments import GameEvidence
from convexwgan.certificates.normal_games import NormalEvidence

ORTHONORMAL = 1e-12


@dataclass(frozen=True, eq=False)
class Adversary:
    """Neurons u (k, d), v (k,), a skip (d,) or None, and the output multiplier H (n_f, d) or None."""

    u: Float64
    v: Float64
    skip: Float64 | None = None
    multiplier: Float64 | None = None

    @property
    def variation(self) -> float:
        """Σ|v_j|."""
        return float(np.abs(self.v).sum())

    def combined(self) -> Float64:
        """Σ v_ju_j, shape (d,)."""
        return self.v @ self.u


def no_adversary(dim: int, skip: bool = False) -> Adversary:
    """The discriminator that is 0 everywhere."""
    return Adversary(np.zeros((0, dim)), np.zeros(0), np.zeros(dim) if skip else None)


def read_adversary(
    evidence: GameEvidence | MeasureEvidence | NormalEvidence, claim: Claim
) -> tuple[Adversary | None, tuple[Check, ...]]:
    """The claimed discriminator as float64 arrays, None when there is none; malformed arrays fail a check."""
    skip = claim.skip if evidence.discriminator.skip else None
    multiplier = claim.output_multiplier if isinstance(evidence, GameEvidence) else None
    given = (claim.neurons_u, claim.neurons_v, skip, multiplier)
    if all(part is None for part in given):
        return None, ()
    d, width = evidence.dim, evidence.dim + int(evidence.discriminator.kind == "relu" and evidence.discriminator.bias)
    u, v, y, H = (None if part is None else read_array(part) for part in given)
    u = np.zeros((0, width)) if u is None else u
    v = np.zeros(0) if v is None else v
    expected = v.ndim == 1 and u.shape == (len(v), width) and (y is None or y.shape == (d,))
    if H is not None and isinstance(evidence, GameEvidence):
        expected = expected and H.shape == (evidence.latents.width_of_output, d)
    if not (expected and all(part is None or bool(np.isfinite(part).all()) for part in (u, v, y, H))):
        shapes = ", ".join(str(part.shape) for part in (u, v, y, H) if part is not None)
        return None, (Check("the discriminator is well formed", False, f"shapes {shapes}, or not finite"),)
    return Adversary(u, v, y, H), ()


def read_array(array: Any) -> Float64:
    """A claimed array as float64; whatever is no array of numbers becomes nan, which no check lets pass."""
    try:
        return to_numpy64(array)
    except (TypeError, ValueError):
        return np.full((1, 1), np.nan)


def clip_to_ball(u: Float64) -> Float64:
    """u_j with ‖u_j‖ ≤ 1: longer ones are scaled to norm 1."""
    clipped: Float64 = u / np.maximum(np.linalg.norm(u, axis=1), 1.0)[:, None]
    return clipped


def quadratic_core(adversary: Adversary) -> tuple[Float64, Float64, float]:
    """R = Σ v_ju_ju_jᵀ as Q diag(r) Qᵀ: Q (d, k) and r (k,), and δ ≥ ‖QᵀQ − I‖₂.

    Neurons that are orthonormal already are their own decomposition. Otherwise k < d neurons cost O(dk²): a
    QR factorisation and a k×k core, never a d×d eigendecomposition.
    """
    u, v = adversary.u, adversary.v
    k, d = u.shape
    if k <= d:
        delta = float(np.linalg.norm(u @ u.T - np.eye(k)))
        if delta <= ORTHONORMAL:
            return u.T, v, delta
        Q, T = np.linalg.qr(u.T)
        values, E = np.linalg.eigh((T * v) @ T.T)
        vectors = Q @ E
    else:
        values, vectors = np.linalg.eigh((u.T * v) @ u)
    return vectors, values, 8.0 * d * float(np.finfo(np.float64).eps)
