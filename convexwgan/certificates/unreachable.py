"""Proofs that no ReLU network of any width has the target as its output on the given noise."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Infeasibility
from convexwgan.certificates.latents import EPS
from convexwgan.geometry.flats import TIE
from convexwgan.geometry.parallel import parallel_classes

LARGEST_COST = 1e6
"""In units of ‖G‖_F/‖Z‖_F: a target that needs weights beyond this, by a multiplier, counts as unreachable."""


def annihilation_bound(Z: Float64, R: Float64) -> float:
    """An upper bound on max_{‖u‖≤1} ‖Rᵀ(Zu)₊‖₂ that is rounding where R vanishes on all features (Zu)₊.

    Rows on one ray ẑ_ρ add up: c_ρ = Σ‖z_i‖r_i. On opposite rays t₊c₊ + (−t)₊c₋ = (−t)₊(c₊ + c₋) + t c₊. So

        ‖Rᵀ(Zu)₊‖ ≤ Σ_lone ‖c_ρ‖ + Σ_pairs ‖c₊ + c₋‖ + ‖Σ_pairs ẑ_ℓ c_{ℓ+}ᵀ‖₂ + Σ_i ‖r_i‖ ‖z_i − ‖z_i‖ẑ_ρ(i)‖

    Valid for any grouping of the rows into rays, since the last term pays for its errors.

    Args:
        Z: shape (n, d). R: shape (n, d_r).

    Reference:
        MATH §2.4, Reachability.

    >>> Z = np.array([[1.0, 2.0], [2.0, 4.0]])
    >>> annihilation_bound(Z, np.array([[2.0], [-1.0]])) < 1e-12
    True
    """
    lengths, sizes = np.linalg.norm(Z, axis=1), np.linalg.norm(R, axis=1)
    inside = lengths > 0.0
    Z, R, lengths, sizes = Z[inside], R[inside], lengths[inside], sizes[inside]
    if len(Z) == 0:
        return 0.0
    unit = Z / lengths[:, None]
    first, orientation = parallel_classes(unit, TIE)
    code, ray = np.unique(2 * first + (orientation < 0), return_inverse=True)
    error = np.linalg.norm(unit - orientation[:, None] * unit[first], axis=1)
    c = np.zeros((len(code), R.shape[1]))
    np.add.at(c, ray.reshape(-1), lengths[:, None] * R)
    minus = np.flatnonzero((np.diff(code, prepend=-2) == 1) & (code % 2 == 1))
    alone = np.setdiff1d(np.arange(len(code)), np.concatenate([minus, minus - 1]))
    linear = unit[code[minus] // 2].T @ c[minus - 1]
    kinks = np.linalg.norm(c[alone], axis=1).sum() + np.linalg.norm(c[minus] + c[minus - 1], axis=1).sum()
    spread = float(kinks + (np.linalg.norm(linear, 2) if len(minus) else 0.0))
    return spread + float((sizes * lengths) @ (error + 8 * (Z.shape[1] + np.sqrt(len(Z))) * EPS))


def find_unreachable(Z: Float64, G: Float64, R: Float64) -> Infeasibility | None:
    """The proof that R gives, None if it gives none: R vanishes on all features, but ⟨R, G⟩ > 0.

    In floating point "vanishes" is a bound b on ‖Rᵀ(Zu)₊‖. Weak duality makes the weights cost at least
    ⟨R, G⟩/b; the target counts as unreachable where that exceeds ``LARGEST_COST`` ‖G‖_F/‖Z‖_F.

    Args:
        Z: shape (n, d). G, R: shape (n, d_r).
    """
    size = float(np.linalg.norm(R)) * float(np.linalg.norm(G))
    if size == 0.0:
        return None
    gain, bound = float(np.sum(R * G)), annihilation_bound(Z, R)
    relative = bound / (float(np.linalg.norm(R)) * max(float(np.linalg.norm(Z)), np.finfo(np.float64).tiny))
    margin, tolerance = gain / size, LARGEST_COST * relative + 16 * len(Z) * EPS
    if not margin > tolerance:
        return None
    cost = "be infinite" if bound == 0.0 else f"be at least {gain / bound:.1e}"
    text = f"a multiplier R with ‖Rᵀ(Zu)₊‖ ≤ {bound:.1e} for all unit u has ⟨R, G⟩ = {gain:.6g} > 0: a network with "
    text += f"output G would cost {cost}; whatever is reachable is at least {margin:.3g}·‖G‖_F away"
    return Infeasibility("unreachable", text, margin, tolerance)
