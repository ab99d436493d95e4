"""Upper bounds on pricing at any rank from multipliers, checked by one eigendecomposition each.

a = (Zu)₊ and b = (−Zu)₊ = a − Zu are nonnegative with a_ib_i = 0. So for N₁, N₃ ≥ 0 entrywise and N₂ ≥ 0 off its
diagonal (its diagonal is free)

    ‖Rᵀa‖² ≤ ‖Rᵀa‖² + aᵀN₁a + aᵀN₂b + bᵀN₃b = −aᵀPa − aᵀCu + uᵀZᵀN₃Zu
    P = −(RRᵀ + N₁ + ½(N₂ + N₂ᵀ) + N₃),   C = (N₂ + 2N₃)Z

and where P ≻ 0 the maximum over a gives  ‖Rᵀ(Zu)₊‖² ≤ uᵀ(¼CᵀP⁻¹C + ZᵀN₃Z)u ≤ λ_max‖u‖².
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.latents import EPS
from convexwgan.errors import InputError


@dataclass(frozen=True, eq=False)
class Multipliers:
    """N₁ (a with a), N₂ (a with b), N₃ (b with b), each (n, n); None for 0. N₂ = −diag(D) alone is enough.

    Negative entries of N₁, N₃ and off the diagonal of N₂ are raised to 0 before use: any arrays are safe.
    """

    ab: Float64
    aa: Float64 | None = None
    bb: Float64 | None = None


def relaxation_bound(Z: Float64, R: Float64, multipliers: Multipliers) -> float:
    """An upper bound on max_{‖u‖≤1} ‖Rᵀ(Zu)₊‖₂, valid whatever the multipliers.

    Where P is not positive definite the diagonal of N₂ is lowered until it is.

    Args:
        Z: shape (n, d). R: shape (n, d_r). multipliers: shapes (n, n).

    Returns:
        the bound, with an allowance for rounding; inf if the multipliers are not finite.

    Raises:
        InputError: a multiplier has another shape.

    >>> Z, R = np.eye(2), np.array([[3.0], [4.0]])
    >>> 5.0 <= relaxation_bound(Z, R, Multipliers(ab=-50.0 * np.eye(2))) < 5.0 + 1e-9
    True
    """
    n, scale = len(Z), float(np.linalg.norm(R, 2)) ** 2
    aa, bb = (_nonnegative(N, name, n) for name, N in (("aa", multipliers.aa), ("bb", multipliers.bb)))
    ab = _nonnegative(multipliers.ab, "ab", n)
    ab[np.diag_indices(n)] = np.diagonal(multipliers.ab)
    if not all(np.isfinite(N).all() for N in (aa, ab, bb)):
        return math.inf
    P = -(R @ R.T + aa + 0.5 * (ab + ab.T) + bb)
    w, V = np.linalg.eigh(0.5 * (P + P.T))
    spread = max(float(np.abs(w).max()), scale)
    shift = max(0.0, 1e-9 * spread - float(w[0]))  # on the diagonal of P and of −N₂
    w, C = w + shift, (ab + 2.0 * bb) @ Z - shift * Z
    half = (V.T @ C) / (2.0 * np.sqrt(w))[:, None]
    largest = float(np.linalg.eigvalsh(half.T @ half + Z.T @ bb @ Z)[-1])
    # Eigenvalues of P are exact to n·eps·‖P‖, the forms to n·eps; both enter relative to the smallest eigenvalue.
    rounding = 16.0 * (n + Z.shape[1]) * EPS * (1.0 + spread / float(w[0]))
    return math.sqrt(max(largest, 0.0) * (1.0 + rounding)) if spread > 0.0 else 0.0


def _nonnegative(N: Float64 | None, name: str, n: int) -> Float64:
    if N is None:
        return np.zeros((n, n))
    if N.shape != (n, n):
        raise InputError(f"multiplier {name}", N, f"have shape ({n}, {n})", "one number for each pair of rows of Z")
    return np.maximum(N, 0.0)
