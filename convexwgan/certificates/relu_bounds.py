"""Two numbers about features (Zu)₊ that bound whole games: how long they can be, and how large their sum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Array, Float64, to_numpy64
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.pricing import MAX_CELLS, MAX_RANK, PriceBound, price_bound
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import Arrangement, cell_count_formula
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.spectra import latent_spectrum
from convexwgan.geometry.zonotopes import farthest_vertex, farthest_vertex_bound


@dataclass(frozen=True, eq=False)
class FactorBracket:
    """lower ≤ the least weights over all factors L (and over all weights of the game) ≤ upper.

    ``length``: the bound on max_{‖u‖≤1}‖(Zu)₊‖₂ that divides. ``upper`` is what the 2k neurons of the latent
    factor cost, inf where rank(Z) < k. Both in units of ½(‖W₁‖² + ‖W₂‖²).
    """

    lower: float
    upper: float
    length: PriceBound


def phi_star(Z: Array, *, arrangement: Arrangement | None = None, max_cells: int = MAX_CELLS) -> PriceBound:
    """φ* = max_{‖u‖≤1} 1ᵀ(Zu)₊, all that a ReLU generator's weights mean to a linear discriminator.

    attained ≤ φ* ≤ upper;    linear × ReLU, weight decay, weights: value β_g(‖m‖ − β_d)₊/φ*

    Equal up to 1e-10 for rank(Z) ≤ 4 (every cell checked), within √(π/2) at any rank, by sign weights.

    Args:
        Z: noise, shape (n, d_f).
        arrangement, max_cells: as in ``pricing.price_bound``.

    Raises:
        InputError: Z is not a non-empty finite matrix.

    Reference:
        MATH 3.7.

    >>> round(phi_star(np.array([[3.0, 0.0], [0.0, 4.0], [-1.0, 0.0]])).attained, 9)
    5.0
    """
    rows = _finite(Z)
    if arrangement is not None or _is_small(len(rows), latent_spectrum(rows).rank, max_cells):
        return price_bound(rows, np.ones((len(rows), 1)), arrangement=arrangement, max_cells=max_cells)
    found = farthest_vertex(rows, max_cells=0)
    upper = farthest_vertex_bound(rows, found.sign_weights)
    attained = float(np.maximum(rows @ found.u, 0.0).sum())
    return PriceBound(upper, attained, found.u, (Check("φ* bounded above", True, "sign weights, checked"),))


def factor_bracket(
    Z: Array, excess: Array, *, arrangement: Arrangement | None = None, max_cells: int = MAX_CELLS
) -> FactorBracket:
    """Bounds on the least weights with which a ReLU generator reaches S = (M − β_d)₊, over all factors.

    Σ d_i / max_{‖u‖≤1}‖(Zu)₊‖₂  ≤  min over LᵀL = I of the weights for G = L diag(d) Vᵀ  ≤  2 Σ d_i/√λ_i

    with d_i = (σ_i² − β_d)₊^½ and λ_i the eigenvalues of ZᵀZ, both descending. R = LVᵀ is the lower bound's
    multiplier; the upper bound writes Zw = (Zw)₊ − (−Zw)₊ for the k columns of the latent factor.

    Args:
        Z: noise, shape (n, d_f).
        excess: (σ_i² − β_d)₊, any order, shape (d_r,) or fewer.
        arrangement, max_cells: as in ``pricing.price_bound``; the length is exact for rank(Z) ≤ 4, else
            bounded by ‖Z‖₂.

    Raises:
        InputError: Z is not a non-empty finite matrix, or ``excess`` has a negative or infinite entry.

    Reference:
        MATH 3.8.

    >>> bracket = factor_bracket(np.eye(2), [4.0])
    >>> round(bracket.lower, 9), round(bracket.upper, 9)
    (2.0, 4.0)
    """
    rows = _finite(Z)
    values = np.sort(np.asarray(excess, dtype=np.float64).reshape(-1))[::-1]
    if not (np.isfinite(values).all() and (values >= 0.0).all()):
        raise InputError("excess", excess, "be finite and >= 0", "pass (σ_i² − β_d)₊, singular values thresholded")
    d = np.sqrt(values[values > 0.0])
    spectrum = latent_spectrum(rows)
    length = longest_feature(rows, arrangement=arrangement, max_cells=max_cells)
    total = float(d.sum()) * (1.0 - 4.0 * EPS * math.sqrt(len(d) + 1))
    lower = total / length.upper if length.upper > 0.0 else (0.0 if total == 0.0 else math.inf)
    if len(d) > spectrum.rank:
        return FactorBracket(lower, math.inf, length)
    upper = 2.0 * float(np.sum(d / np.sqrt(spectrum.values[: len(d)])))
    return FactorBracket(lower, upper, length)


def longest_feature(Z: Float64, *, arrangement: Arrangement | None = None, max_cells: int = MAX_CELLS) -> PriceBound:
    """max_{‖u‖≤1} ‖(Zu)₊‖₂: pricing with R = I, or ‖Z‖₂ from above.

    >>> round(longest_feature(np.diag([3.0, 4.0])).attained, 9)
    4.0
    """
    spectrum = latent_spectrum(Z)
    norm = float(spectrum.singular_values[0]) * (1.0 + 8 * sum(Z.shape) * EPS)
    if arrangement is not None or _is_small(len(Z), spectrum.rank, max_cells):
        bound = price_bound(Z, np.eye(len(Z)), arrangement=arrangement, max_cells=max_cells)
        return bound if bound.upper <= norm else PriceBound(norm, bound.attained, bound.u, bound.checks)
    leading = np.linalg.eigh(Z.T @ Z)[1][:, -1]
    values = [float(np.linalg.norm(np.maximum(Z @ u, 0.0))) for u in (leading, -leading)]
    u = leading if values[0] >= values[1] else -leading
    return PriceBound(norm, max(values), u, (Check("longest feature bounded above", True, "‖Z‖₂"),))


def _is_small(n: int, rank: int, max_cells: int) -> bool:
    return rank <= MAX_RANK and cell_count_formula(n, rank) <= max_cells


def _finite(Z: Array) -> Float64:
    require_matrix(Z, "Z")
    rows = to_numpy64(Z)
    if not np.isfinite(rows).all():
        raise InputError("Z", Z, "be finite", "drop or impute its NaN and infinite entries")
    return rows
