"""The doubly nonnegative relaxation of pricing at any rank, minimised over multipliers that prove it (MATH 2.4).

Write y = Zu, w = |y|, a = (Zu)₊ = (w + y)/2 and b = (−Zu)₊ = (w − y)/2. Then a, b ≥ 0 and w_i² = y_i², so for
every D (n,) and all entrywise nonnegative N_aa, N_bb (symmetric) and N_ab, shapes (n, n),

    ‖Rᵀa‖² ≤ ‖Rᵀa‖² + aᵀN_aa a + bᵀN_bb b + 2aᵀN_ab b + ¼Σ_i D_i(y_i² − w_i²) = [u; w]ᵀ Q [u; w] ≤ λ‖u‖²

whenever K(λ) = [[λI, 0], [0, 0]] − Q ⪰ 0: a proof, checked by one Cholesky factorisation. With P = RRᵀ,

    4Q = [[ Zᵀ(D + P + N_aa + N_bb − N_ab − N_abᵀ)Z,    ZᵀT ],         T = P + N_aa − N_bb + N_ab − N_abᵀ
          [ TᵀZ,                                         −L ]]         L = D − P − N_aa − N_bb − N_ab − N_abᵀ

**No constraint is left in the search.** Let ‖Z‖₂ = 1. D may be shifted: Q(D + 2μ) = Q(D) + (μ/2)[[ZᵀZ, 0], [0, −I]].
So if Q(D) ⪯ μ [[I − ½ZᵀZ, 0], [0, ½I]] then K(μ) ⪰ 0 at D + 2μ, and the least such μ is the largest eigenvalue of
Q in that metric: a convex function of (D, N, R) together, minimised by a quasi-Newton method on its log-sum-exp.
The least λ over all multipliers is the dual of the semidefinite program over the moments of (u, w) in which the
moments of (a, b) are nonnegative.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError, MemoryLimitError, SolveError
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.spectra import EPS
from convexwgan.solvers.conic.ki_descent import descend
from convexwgan.solvers.conic.memory import available_bytes

Evidence = Mapping[str, Float64]
_PAIRS = ("N_aa", "N_bb", "N_ab")
_TEMPERATURES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
_VECTORS = 36  # of all the variables that the descent keeps
_FLOOR = 1e-12  # keeps L positive definite where the price is 0
_MARGIN = 1e-9
_MARGINS = (2e-9, 1e-7, 1e-5, 1e-3)  # what λ gives away so that K(λ) is positive definite in float64


@dataclass(frozen=True, eq=False)
class PricingBound:
    """max_{‖u‖≤1} ‖Rᵀ(Zu)₊‖₂ ≤ value, proved by ``multiplier_bound(Z, R, evidence)``."""

    value: float
    evidence: dict[str, Float64]


@dataclass(frozen=True, eq=False)
class WeightBound:
    """Every network with output G weighs at least ``value`` = ⟨R, G⟩ / price, with the proof of the price."""

    value: float
    multiplier: Float64
    price: PricingBound


@dataclass(frozen=True, eq=False)
class _Point:
    """Multipliers D, (N_aa, N_bb, N_ab) of shape (3, n, n) or None, and R."""

    D: Float64
    pairs: Float64 | None
    R: Float64


def pricing_relaxation(
    Z: Float64, R: Float64, *, pairs: bool = True, max_iter: int = 200, time_limit: float | None = None
) -> PricingBound:
    """An upper bound on pricing at any rank, with its proof.

    Problem:  min √λ  s.t.  K(λ; D, N) ⪰ 0, N ≥ 0      (K: see the module)
    Near exact where it was compared (1e-9 to 6e-3 above a local search at n ≤ 100); with ``pairs=False``, N = 0,
    faster and 30 to 90 % above it.

    Args:
        Z: latent samples, shape (n, d_f).
        R: multiplier, shape (n, d_r).
        pairs: whether to use the n × n multipliers N.
        max_iter: quasi-Newton steps at each of five temperatures.
        time_limit: seconds; what has been proved by then is returned.

    Returns:
        PricingBound: evidence "level" λ (), "D" (n,) and, with pairs, "N_aa", "N_bb", "N_ab" (n, n).

    Raises:
        InputError: shapes that do not fit.
        MemoryLimitError: n too large for n × n multipliers.
        SolveError: the multipliers found cannot be proved in float64.

    Reference: MATH 2.4 "High rank"; Burer 2009 (doubly nonnegative relaxations of completely positive programs).

    >>> bound = pricing_relaxation(np.eye(2), np.array([[3.0], [4.0]]))
    >>> bool(5.0 <= bound.value <= 5.0001)
    True
    """
    _check(Z, R, "R")
    if not (np.any(Z) and np.any(R)):
        return PricingBound(0.0, {"level": np.zeros(()), "D": np.zeros(len(Z))})
    size = float(np.linalg.norm(R, 2))
    point = _search(Z / np.linalg.norm(Z, 2), R / size, None, pairs, max_iter, time_limit)
    N = None if point.pairs is None else size**2 * point.pairs
    return _proved(Z, _Point(size**2 * point.D, N, R))


def weight_bound(
    Z: Float64,
    G: Float64,
    *,
    start: Float64 | None = None,
    pairs: bool = True,
    max_iter: int = 200,
    time_limit: float | None = None,
) -> WeightBound:
    """A lower bound on the weights of every ReLU network with output G, at any rank: the multiplier and its price.

    Problem:  max ⟨R, G⟩  s.t.  K(1; D, N, R) ⪰ 0, N ≥ 0       (convex; solved as min λ s.t. ⟨R, G⟩ = 1)

    Args:
        Z: latent samples, shape (n, d_f).
        G: target output, shape (n, d_r), not 0.
        start: a multiplier R with ⟨R, G⟩ > 0; the polar factor of G where left out.
        pairs, max_iter, time_limit: as in ``pricing_relaxation``.

    Returns:
        WeightBound: R scaled to price 1.

    Raises:
        InputError: shapes that do not fit, G = 0, or ⟨start, G⟩ not > 0.

    Reference: Lemma C.1 (weak duality); MATH 2.4.

    >>> bound = weight_bound(np.eye(2), np.array([[3.0], [4.0]]))
    >>> bool(4.999 <= bound.value <= 5.0)
    True
    """
    _check(Z, G, "G")
    if not (np.any(G) and np.any(Z)):
        raise InputError("G", G, "not be 0 (nor Z)", "a zero target needs no network")
    left, _, right = np.linalg.svd(G, full_matrices=False)
    R = left @ right if start is None else np.asarray(start, dtype=np.float64)
    if R.shape != G.shape:
        raise InputError("shape of start", R.shape, f"be {G.shape}", "it is a multiplier of G")
    gain = float(np.sum(R * G)) / float(np.linalg.norm(R, 2))
    if not gain > 0:
        raise InputError("inner product of start and G", gain, "be > 0", "leave start out")
    unit = Z / np.linalg.norm(Z, 2)
    point = _search(unit, R / np.linalg.norm(R, 2), G / gain, pairs, max_iter, time_limit)
    price = _proved(Z, point)
    evidence = {name: array / price.value**2 for name, array in price.evidence.items()}
    scaled = PricingBound(multiplier_bound(Z, point.R / price.value, evidence), evidence)
    return WeightBound(float(np.sum(point.R * G)) / price.value / scaled.value, point.R / price.value, scaled)


def multiplier_bound(Z: Float64, R: Float64, evidence: Evidence) -> float:
    """The bound on max_{‖u‖≤1} ‖Rᵀ(Zu)₊‖₂ that multipliers prove, rounding errors included.

    A Cholesky factorisation of K(λ) that succeeds in float64 shows K(λ) ⪰ −ηI, and ‖w‖ = ‖Zu‖, so the bound is
    (λ + η(1 + ‖Z‖²))^½; η also covers the forming of K.

    Args:
        Z: shape (n, d_f).
        R: shape (n, d_r).
        evidence: "level" λ ≥ 0, "D" (n,) and optionally "N_aa", "N_bb", "N_ab" (n, n), nonnegative.

    Raises:
        InputError: a negative or missing multiplier, or K(λ) not positive definite: nothing is proved.

    Reference: Rump 2006 (verification of positive definiteness).

    >>> evidence = {"level": np.array(1.0 + 1e-9), "D": np.array([2.0 + 1e-9])}
    >>> round(multiplier_bound(np.eye(1), np.eye(1), evidence), 6)
    1.0
    """
    _check(Z, R, "R")
    level, point = _read(Z, R, evidence)
    if not (np.any(Z) and np.any(R)):
        return 0.0
    zeta, size = float(np.linalg.norm(Z, 2)), float(np.linalg.norm(R, 2))
    pairs = None if point.pairs is None else point.pairs / size**2
    K, eta = _form(Z / zeta, _Point(point.D / size**2, pairs, R / size), level / (zeta * size) ** 2)
    try:
        np.linalg.cholesky(K)
    except np.linalg.LinAlgError as error:
        remedy = "these multipliers prove no bound at this level; take the evidence of pricing_relaxation"
        raise InputError("K(level) of a pricing bound", K, "be positive definite", remedy) from error
    allowed = eta * (1 + float(np.sum(Z**2)) / zeta**2)
    return zeta * size * float(np.sqrt(level / (zeta * size) ** 2 + allowed)) * (1 + 8 * EPS)


def _form(Z: Float64, point: _Point, level: float) -> tuple[Float64, float]:
    """K(λ) and an allowance for rounding: of its factorisation, and of the products that form it."""
    n, d = Z.shape
    corner, L, T = _blocks(point)
    ZT = Z.T @ T
    K = np.block([[4 * level * np.eye(d) - Z.T @ corner @ Z, -ZT], [-ZT.T, L]]) / 4
    size = sum(float(np.linalg.norm(block)) for block in (corner, L, T)) + float(np.sum(point.R**2))
    operations = n + d + point.R.shape[1] + 8
    return K, 2 * operations * EPS * ((1 + float(np.linalg.norm(Z))) ** 2 * size + float(np.trace(K)))


def _blocks(point: _Point) -> tuple[Float64, Float64, Float64]:
    """D + P + N_aa + N_bb − S, L = D − P − N_aa − N_bb − S and T, with P = RRᵀ and S = N_ab + N_abᵀ."""
    D, P = np.diag(point.D), point.R @ point.R.T
    if point.pairs is None:
        return D + P, D - P, P
    aa, bb, ab = point.pairs
    both, S = P + aa + bb, ab + ab.T
    return D + both - S, D - both - S, P + aa - bb + ab - ab.T


@dataclass(frozen=True, eq=False)
class _Leading:
    """The log-sum-exp of the eigenvalues of Q in its metric, and Σ_k p_k(·) over its directions y_k, w_k."""

    value: float
    p: Float64
    Y: Float64
    W: Float64


def _metric_root(Z: Float64) -> Float64:
    """H = (I − ½ZᵀZ)^{−½}: u = Hu', w = √2 w' turn the metric into the identity."""
    values, vectors = np.linalg.eigh(np.eye(Z.shape[1]) - Z.T @ Z / 2)
    return np.asarray(vectors / np.sqrt(values) @ vectors.T)


def _leading(ZH: Float64, point: _Point, temperature: float) -> _Leading:
    from scipy.linalg import eigh

    n, d = ZH.shape
    corner, L, T = _blocks(point)
    Q = np.empty((d + n, d + n))
    Q[:d, :d], Q[:d, d:], Q[d:, d:] = ZH.T @ corner @ ZH / 4, np.sqrt(2) / 4 * ZH.T @ T, -L / 2
    Q[d:, :d] = Q[:d, d:].T
    values, vectors = eigh(Q, driver="evd", overwrite_a=True, check_finite=False)
    p = np.exp((values - values[-1]) / temperature)
    kept = p > 1e-9
    Y, W = ZH @ vectors[:d, kept], np.sqrt(2) * vectors[d:, kept]
    return _Leading(float(values[-1] + temperature * np.log(p.sum())), p[kept] / p.sum(), Y, W)


def _largest(ZH: Float64, point: _Point) -> float:
    return _leading(ZH, point, 1e-300).value


def _check_memory(n: int, d: int, pairs: bool) -> None:
    """The search holds its past steps and gradients, and a few matrices of side n + d.

    Raises:
        MemoryLimitError: with the number of bytes.
    """
    needed = 8 * (_VECTORS * (3 * n * n if pairs else n) + 10 * (n + d) ** 2)
    allowed = available_bytes()
    if needed > allowed:
        cheaper = "pairs=False, or " if pairs else ""
        raise MemoryLimitError(
            f"the pricing relaxation of {n} rows needs about {needed:,} bytes ({needed / 2**30:.1f} GiB) and "
            f"{allowed:,} are available: use {cheaper}the cheap bound geometry.pricing.price_upper_bound."
        )


def _search(Z: Float64, R: Float64, G: Float64 | None, pairs: bool, max_iter: int, time_limit: float | None) -> _Point:
    """min μ over D, N ≥ 0 and (G given) R with ⟨R, G⟩ = 1, from D = 2‖R‖², N = 0; ‖Z‖ = 1. The best D is shifted."""
    n, d = Z.shape
    _check_memory(n, d, pairs)
    deadline = None if time_limit is None else time.monotonic() + time_limit
    count = 3 * n * n if pairs else 0
    unit = 1 / np.sqrt(n)  # of N and R, measured best: it doubles the gain over 1 at n = 500
    off, ZH = 1 - np.eye(n), Z @ _metric_root(Z)

    def read(x: Float64) -> _Point:
        N = unit * x[n : n + count].reshape(3, n, n) if pairs else None
        return _Point(x[:n], N, R if G is None else _on_plane(unit * x[n + count :].reshape(G.shape), G))

    def fun(x: Float64, temperature: float, scale: float) -> tuple[float, Float64]:
        point = read(x)
        top = _leading(ZH, point, temperature)
        a, b = (top.W + top.Y) / 2, (top.W - top.Y) / 2
        ap, bp = a * top.p, b * top.p
        gradient = [(top.Y**2 - top.W**2) @ top.p / 4]
        if pairs:
            gradient += [(unit * off * slope).ravel() for slope in (ap @ a.T, bp @ b.T, 2 * ap @ b.T)]
        if G is not None:
            gradient.append(unit * _off_plane(2 * ap @ (a.T @ point.R), G).ravel())
        return top.value / scale, np.concatenate(gradient) / scale

    free = [] if G is None else R.ravel() / unit
    x = np.concatenate([np.full(n, 2 * np.linalg.norm(R, 2) ** 2), np.zeros(count), free])
    for temperature in _TEMPERATURES:
        scale = _largest(ZH, read(x))
        x = descend(
            partial(fun, temperature=temperature * scale, scale=scale), x, slice(n, n + count), max_iter, deadline
        )
    point = read(x)
    return _Point(point.D + 2 * (1 + _MARGIN) * max(_largest(ZH, point), 0.0) + _FLOOR, point.pairs, point.R)


def _on_plane(R: Float64, G: Float64) -> Float64:
    """The nearest R with ⟨R, G⟩ = 1."""
    return R + (1 - np.sum(R * G)) / np.sum(G**2) * G


def _off_plane(gradient: Float64, G: Float64) -> Float64:
    return gradient - np.sum(gradient * G) / np.sum(G**2) * G


def _proved(Z: Float64, point: _Point) -> PricingBound:
    """The bound of multipliers with L ≻ 0: λ is the largest eigenvalue of the Schur complement of −L in Q."""
    from scipy.linalg import cho_factor, cho_solve

    corner, L, T = _blocks(point)
    TZ = T.T @ Z
    A = (Z.T @ corner @ Z + TZ.T @ cho_solve(cho_factor(L), TZ)) / 4
    level = max(float(np.linalg.eigvalsh((A + A.T) / 2)[-1]), 0.0)
    pairs = {} if point.pairs is None else dict(zip(_PAIRS, point.pairs, strict=True))
    floor = _FLOOR * (float(np.linalg.norm(Z, 2)) * float(np.linalg.norm(point.R, 2))) ** 2
    for margin in _MARGINS:
        evidence = {"level": np.asarray(level * (1 + margin) + floor), "D": point.D, **pairs}
        try:
            return PricingBound(multiplier_bound(Z, point.R, evidence), evidence)
        except InputError:
            continue
    raise SolveError(f"the pricing relaxation of {len(Z)} rows is too ill-conditioned to be proved in float64.")


def _read(Z: Float64, R: Float64, evidence: Evidence) -> tuple[float, _Point]:
    """The multipliers as given, checked.

    Raises:
        InputError: one is missing, misshapen, not finite or (level, the N) negative.
    """
    n, remedy = len(Z), "take the evidence of pricing_relaxation"
    shapes: dict[str, tuple[int, ...]] = {"level": (), "D": (n,)} | dict.fromkeys(_PAIRS, (n, n))
    given: dict[str, Float64] = {}
    for name, shape in shapes.items():
        if name not in evidence and name in _PAIRS:
            continue
        array = np.asarray(evidence.get(name), dtype=np.float64)
        is_fine = array.shape == shape and np.all(np.isfinite(array)) and (name == "D" or np.all(array >= 0))
        if not is_fine:
            raise InputError(f"evidence {name}", array, f"be finite{'' if name == 'D' else ', >= 0'}, {shape}", remedy)
        given[name] = array
    zero = np.zeros((n, n))
    aa, bb, ab = (given.get(name, zero) for name in _PAIRS)
    pairs = np.array([(aa + aa.T) / 2, (bb + bb.T) / 2, ab]) if len(given) > 2 else None
    return float(given["level"]), _Point(given["D"], pairs, R)


def _check(Z: Float64, R: Float64, name: str) -> None:
    require_matrix(Z, "Z")
    require_matrix(R, name)
    if len(Z) != len(R):
        raise InputError(f"rows of {name}", len(R), f"be {len(Z)}", "pass one row for each latent row")
