"""Bounds on the weights of a ReLU network with a given output, from the noise, the network and a multiplier.

    min ½(‖W₁‖_F² + ‖W₂‖_F²) s.t. (ZW₁)₊W₂ = G  =  max ⟨R, G⟩ s.t. ‖Rᵀ(Zu)₊‖₂ ≤ 1 for all ‖u‖₂ ≤ 1

Any network is an upper bound and any R, divided by its pricing maximum, a lower one; both are recomputed here.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from convexwgan.arrays import Array, Float64, to_numpy64
from convexwgan.certificates.certificate import Certificate, Check, Infeasibility
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.pricing import MAX_CELLS, PriceBound, price_bound
from convexwgan.certificates.relaxation import Multipliers
from convexwgan.certificates.unreachable import find_unreachable
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import Arrangement
from convexwgan.geometry.moments import require_matrix

Norm = Literal["weights", "path"]


def certify_realization(
    Z: Array,
    G: Array,
    W1: Array | None,
    W2: Array | None,
    R: Array | None,
    *,
    tol: float = 1e-6,
    norm: Norm = "weights",
    arrangement: Arrangement | None = None,
    multipliers: Multipliers | None = None,
    max_cells: int = MAX_CELLS,
) -> Certificate:
    """What a network and a multiplier prove about the least weights of a ReLU network with output G on Z.

    ½(‖W₁‖_F² + ‖W₂‖_F²)  ≥  min s.t. (ZW₁)₊W₂ = G'  ≥  ⟨R, G'⟩ / max_{‖u‖≤1} ‖Rᵀ(Zu)₊‖₂

    The equality cannot be repaired exactly in floating point, so both bounds are for the output G' = (ZW₁)₊W₂
    of the network as stored, and ``violation`` is ‖G' − G‖_F/‖G‖_F. Without a network the lower bound is for G.
    Where R vanishes on every feature (Zu)₊ but ⟨R, G⟩ > 0, G is proven unreachable.

    Args:
        Z: noise, shape (n, d_f). G: target, shape (n, d_r).
        W1: shape (d_f, k), W2: shape (k, d_r); both None where there is no network.
        R: multiplier, shape (n, d_r), of any length; None: the lower bound is 0.
        tol: the tolerance of the status, for gap and violation.
        norm: "weights", or "path" for Σ‖w₁_j‖‖w₂_j‖, which has the same optimum and is blind to balance.
        arrangement, multipliers, max_cells: evidence for the pricing maximum, see ``pricing.price_bound``.

    Returns:
        Certificate, scope "priced".

    Raises:
        InputError: shapes do not fit, or Z or G is not finite.

    Reference:
        Sahiner et al. (ICLR 2022), Lemma C.1; MATH §2.4.

    >>> Z, G = np.eye(2), np.array([[3.0], [4.0]])
    >>> W1, W2 = G / 5**0.5, np.array([[5**0.5]])
    >>> certificate = certify_realization(Z, G, W1, W2, R=G)
    >>> certificate.status.name, round(certificate.lower, 6), round(certificate.upper, 6)
    ('CERTIFIED', 5.0, 5.0)
    """
    Z, G = _finite(Z, "Z"), _finite(G, "G")
    _require_shape(G, "G", (len(Z), G.shape[1]))
    multiplier, checks = _multiplier(R, G)
    infeasibility = find_unreachable(Z, G, multiplier)
    output, upper, ok = _network(Z, G, W1, W2, norm)
    target = G if output is None else output
    bound = price_bound(Z, multiplier, arrangement=arrangement, multipliers=multipliers, max_cells=max_cells)
    lower = math.inf if infeasibility is not None else _lower(multiplier, target, bound)
    equality = (Check("output equals the target", True, f"relative residual {ok:.1e}"),) if output is not None else ()
    return Certificate(
        lower,
        upper,
        ok,
        "priced",
        checks + equality + (_proof_check(infeasibility) if infeasibility is not None else bound.checks),
        infeasibility=infeasibility,
        tol=tol,
        scale=upper if math.isfinite(upper) else 0.0,
        has_candidate=output is not None,
    )


def certify_soft(
    Z: Array,
    G: Array,
    u: Array,
    v: Array,
    R: Array | None,
    beta: float,
    *,
    tol: float = 1e-6,
    arrangement: Arrangement | None = None,
    multipliers: Multipliers | None = None,
    max_cells: int = MAX_CELLS,
) -> Certificate:
    """What neurons and a multiplier prove about the best compromise between output and weights.

    min ½‖Σ(Zu_j)₊v_jᵀ − G‖_F² + β Σ‖u_j‖‖v_j‖  =  max ⟨R, G⟩ − ½‖R‖_F² s.t. ‖Rᵀ(Zu)₊‖₂ ≤ β for all ‖u‖₂ ≤ 1

    R is scaled by the best factor t that its pricing maximum allows; there is no constraint to violate.

    Args:
        Z: noise, shape (n, d_f). G: target, shape (n, d_r).
        u: shape (k, d_f), v: shape (k, d_r): the neurons, u of any length.
        R: multiplier, shape (n, d_r); None: the residual G − Σ(Zu_j)₊v_jᵀ, optimal at the optimum.
        beta: β > 0.
        tol, arrangement, multipliers, max_cells: as in ``certify_realization``.

    Returns:
        Certificate, scope "priced"; ``scale`` is ½‖G‖_F², the value at no neurons.

    Raises:
        InputError: shapes do not fit, Z or G is not finite, or β is not positive.

    >>> Z, G = np.eye(2), np.array([[3.0], [4.0]])
    >>> u, v = G.T / 5.0, np.array([[4.0]])
    >>> round(certify_soft(Z, G, u, v, None, beta=1.0).lower, 6)
    4.5
    """
    Z, G = _finite(Z, "Z"), _finite(G, "G")
    _require_shape(G, "G", (len(Z), G.shape[1]))
    if not (beta > 0.0 and math.isfinite(beta)):
        raise InputError("beta", beta, "be > 0", "it is the price of the weights; use certify_realization for β → 0")
    u, v = to_numpy64(u), to_numpy64(v)
    _require_shape(u, "u", (len(v), Z.shape[1]))
    _require_shape(v, "v", (len(u), G.shape[1]))
    finite = bool(np.isfinite(u).all() and np.isfinite(v).all())
    upper, residual = math.inf, G
    if finite:
        residual = G - np.maximum(Z @ u.T, 0.0) @ v
        upper = 0.5 * float(np.sum(residual**2)) + beta * _path(u, v)
    multiplier, checks = _multiplier(residual if R is None else R, G)
    bound = price_bound(Z, multiplier, arrangement=arrangement, multipliers=multipliers, max_cells=max_cells)
    neurons = Check("neurons are finite", finite, f"{len(u)} neurons")
    lower = _soft_lower(multiplier, G, bound, beta)
    return Certificate(
        lower, upper, 0.0, "priced", (neurons, *checks, *bound.checks), tol=tol, scale=0.5 * float(np.sum(G**2))
    )


def _network(
    Z: Float64, G: Float64, W1: Array | None, W2: Array | None, norm: Norm
) -> tuple[Float64 | None, float, float]:
    """(output, cost, relative residual) of the stored network; (None, ∞, 0) without one."""
    if (W1 is None) != (W2 is None):
        raise InputError("W1 and W2", (W1, W2), "be given together", "pass both layers, or None for both")
    if norm not in ("weights", "path"):
        raise InputError("norm", norm, 'be "weights" or "path"', "both have the same optimum")
    if W1 is None or W2 is None:
        return None, math.inf, 0.0
    W1, W2 = to_numpy64(W1), to_numpy64(W2)
    _require_shape(W1, "W1", (Z.shape[1], W1.shape[-1]))
    _require_shape(W2, "W2", (W1.shape[1], G.shape[1]))
    if not (np.isfinite(W1).all() and np.isfinite(W2).all()):
        return np.zeros_like(G), math.inf, math.inf
    cost = 0.5 * float(np.sum(W1**2) + np.sum(W2**2)) if norm == "weights" else _path(W1.T, W2)
    output = np.maximum(Z @ W1, 0.0) @ W2
    norm_G, miss = float(np.linalg.norm(G)), float(np.linalg.norm(output - G))
    return output, cost, miss / norm_G if norm_G > 0.0 else (0.0 if miss == 0.0 else math.inf)


def _path(u: Float64, v: Float64) -> float:
    """Σ‖u_j‖‖v_j‖."""
    return float(np.linalg.norm(u, axis=1) @ np.linalg.norm(v, axis=1))


def _multiplier(R: Array | None, G: Float64) -> tuple[Float64, tuple[Check, ...]]:
    """R scaled to Frobenius norm 1, or zeros with the reason: the bound does not depend on its length."""
    if R is None:
        return np.zeros_like(G), (Check("multiplier", True, "none: the lower bound is 0"),)
    R = to_numpy64(R)
    _require_shape(R, "R", G.shape)
    if not np.isfinite(R).all():
        return np.zeros_like(G), (Check("multiplier is finite", False, "it has NaN or infinite entries"),)
    peak = float(np.abs(R).max(initial=0.0))
    return (R / peak / float(np.linalg.norm(R / peak)) if peak > 0.0 else R), ()


def _inner(R: Float64, G: Float64) -> float:
    """⟨R, G⟩ less an allowance for the rounding of the sum and of G = (ZW₁)₊W₂."""
    allowance = 4.0 * EPS * math.sqrt(R.size) * float(np.linalg.norm(R)) * float(np.linalg.norm(G))
    return float(np.sum(R * G)) - allowance


def _lower(R: Float64, G: Float64, bound: PriceBound) -> float:
    """⟨R, G⟩/price, 0 where that says nothing."""
    gain = _inner(R, G)
    return gain / bound.upper if gain > 0.0 and bound.upper > 0.0 else 0.0


def _soft_lower(R: Float64, G: Float64, bound: PriceBound, beta: float) -> float:
    """max_t t⟨R, G⟩ − ½t²‖R‖² over 0 ≤ t ≤ β/price."""
    gain, square = max(_inner(R, G), 0.0), float(np.sum(R**2))
    if square == 0.0:
        return 0.0
    t = min(gain / square, beta / bound.upper if bound.upper > 0.0 else math.inf)
    return t * gain - 0.5 * t**2 * square


def _proof_check(infeasibility: Infeasibility) -> tuple[Check, ...]:
    detail = f"⟨R, G⟩/(‖R‖‖G‖) = {infeasibility.margin:.3g} > {infeasibility.tolerance:.1e}"
    return (Check("the multiplier vanishes on every feature", True, detail),)


def _finite(array: Array, name: str) -> Float64:
    require_matrix(array, name)
    values = to_numpy64(array)
    if not np.isfinite(values).all():
        raise InputError(name, array, "be finite", "drop or impute its NaN and infinite entries")
    return values


def _require_shape(array: Array, name: str, shape: tuple[int, ...]) -> None:
    if tuple(array.shape) != shape:
        raise InputError(name, array, f"have shape {shape}", "rows of Z, G and R, and both layers, must fit")
