"""‖M − S‖₂ bounded above with probability ≥ 1 − 1e-9 when M = X_cᵀX_c is too large to form: scope "randomised".

Let Q (d, l) be orthonormal with range S ⊂ range Q, and P a claim of MQ. With H = QᵀMQ, N the Gram matrix of
(I − QQᵀ)MQ and c ≥ ‖(I − QQᵀ)M(I − QQᵀ)‖₂, Schur complements give for every t > c

    λ_max(M − S) ≤ t  ⇐  H − QᵀSQ + N/(t − c) ⪯ t,        λ_min(M − S) ≥ −t  ⇐  H − QᵀSQ − N/t ⪰ −t.

Two numbers come from fresh random vectors, in float64, on blocks of rows:
* e ≥ ‖MQ − P‖₂ by 21 Gaussian vectors, failing with probability ≤ 3⁻²¹ < 10⁻¹⁰ (Halko, Martinsson, Tropp, SIAM
  Review 53 (2011), Lemma 4.1): P may come from float32 and from anybody. Its first columns, where float32 errs most,
  are multiplied again in float64.
* c by b independent Lanczos runs of q steps, each started uniformly on the sphere (Kuczyński, Woźniakowski, SIAM J.
  Matrix Anal. 13 (1992), Theorem 3): λ_max ≤ θ/(1 − ε), each failing with probability ≤ 1.648 √d exp(−√ε(2q − 1)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Array, Float64, namespace
from convexwgan.certificates.certificate import LARGEST_FAILURE_PROBABILITY
from convexwgan.geometry.rows import Rows

PROBES, ALPHA = 21, 3.0
RUNS = 16
RECOMPUTED = 16
"""Columns of P that are not believed at all."""
_PROBE_FAILURE = ALPHA**-PROBES
_STEPS = (6, 16, 60)
"""Lanczos steps after which a bound is tried; each may fail with its share of the probability."""
_CAST_ENTRIES = 1 << 20
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class DistanceBound:
    """``distance`` ≥ ‖M − S‖₂ except with ``failure_probability``; ``leading`` are λ_i(M) bounded below.

    ``product_error`` e, ``complement`` c, ``rounding`` as in the module's formulas; ``steps`` Lanczos steps.
    """

    distance: float
    leading: Float64
    product_error: float
    complement: float
    rounding: float
    steps: int
    failure_probability: float


def randomised_distance(
    rows: Rows, mean: Float64, R: Float64, B: Float64, Q: Float64, P: Float64, level: float, rng: np.random.Generator
) -> DistanceBound:
    """An upper bound on ‖M − S‖₂, S = RᵀBR, for M = Σ (x − mean)(x − mean)ᵀ.

    Args:
        rows: X (n, d).
        mean: (d,).
        R: (k, d), rows in the span of Q up to rounding (what is outside counts as an error).
        B: (k, k), positive semidefinite.
        Q: (d, l) proposed basis; orthonormalised here. P: (d, l) claimed MQ.
        level: β_d: more Lanczos steps are made while they could still bring the bound within 1e-4 of it.
        rng: must not have been used for Q and P.

    Raises:
        ValueError: l = d leaves nothing to bound at random; form M instead.
    """
    d, width = Q.shape
    if width >= d:
        raise ValueError(f"a basis of {width} vectors fills the space of dimension {d}: form M instead")
    Q, triangle = np.linalg.qr(Q)
    P = np.linalg.solve(triangle.T, P.T).T
    probes = rng.standard_normal((width, PROBES))
    lanczos = _Lanczos(Q, rng)
    own = min(RECOMPUTED, width)
    products = _product(rows, mean, np.hstack([Q @ probes, Q[:, :own], lanczos.start]))
    P = np.hstack([products[:, PROBES : PROBES + own], P[:, own:]])
    # HMT, Lemma 4.1: ‖E‖ ≤ α √(2/π) max_j ‖E g_j‖ except with probability α^(−PROBES), for E = MQ − P fixed before g.
    gaps = products[:, :PROBES] - P @ probes
    error = ALPHA * math.sqrt(2.0 / math.pi) * float(np.linalg.norm(gaps, axis=0).max())
    blocks = _blocks(Q, P, R, B)
    rounding = _rounding(rows, mean, Q, R, B, float(blocks.leading[0]))
    lanczos.append(products[:, PROBES + own :])
    share = (0.999 * LARGEST_FAILURE_PROBABILITY - _PROBE_FAILURE) / len(_STEPS)
    inner, c = math.inf, math.inf
    for steps in _STEPS:
        while lanczos.steps < min(steps, d - width):
            lanczos.append(_product(rows, mean, lanczos.current))
        c = lanczos.bound(share)
        inner = min(inner, _schur(blocks, c))
        if inner <= level * (1.0 + 1e-4) or lanczos.steps >= d - width:
            break
    failure = _PROBE_FAILURE + share * len(_STEPS)
    leading = blocks.leading - error - rounding
    return DistanceBound(inner + 2.0 * error + rounding, leading, error, c, rounding, lanczos.steps, failure)


# ---- the blocks of M − S in the basis [Q, Q⊥] ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Blocks:
    difference: Float64  # H − QᵀSQ
    coupling: Float64  # N
    leading: Float64  # eigenvalues of H, descending


def _blocks(Q: Float64, P: Float64, R: Float64, B: Float64) -> _Blocks:
    G = Q.T @ P
    H = 0.5 * (G + G.T)
    N = P.T @ P - G.T @ G
    RQ = R @ Q
    leading: Float64 = np.asarray(np.linalg.eigvalsh(H)[::-1], dtype=np.float64)
    return _Blocks(H - RQ.T @ B @ RQ, 0.5 * (N + N.T), leading)


def _schur(blocks: _Blocks, c: float) -> float:
    """The smallest t, up to bisection, for which both Schur complements have the right sign."""
    if not math.isfinite(c):
        return math.inf
    A, N = blocks.difference, blocks.coupling
    low = max(c, float(np.abs(np.linalg.eigvalsh(A)).max()))
    excess = 1e-7 * low
    while not _is_bound(A, N, c, low + excess):  # ends: the left sides tend to A while t grows
        excess *= 2.0
    below, above = (0.0 if excess <= 1e-7 * low else 0.5 * excess), excess
    for _ in range(4):
        middle = 0.5 * (below + above)
        below, above = (below, middle) if _is_bound(A, N, c, low + middle) else (middle, above)
    return low + above


def _is_bound(A: Float64, N: Float64, c: float, t: float) -> bool:
    if t <= c or t <= 0.0:
        return t == c == 0.0 and not A.any() and not N.any()
    upper = np.linalg.eigvalsh(A + N / (t - c))[-1]
    lower = np.linalg.eigvalsh(A - N / t)[0]
    return bool(upper <= t and lower >= -t)


def _rounding(rows: Rows, mean: Float64, Q: Float64, R: Float64, B: Float64, largest: float) -> float:
    """What float64 leaves uncertain: in sums of uncentred size n‖mean‖² + λ₁, and the part of S outside range Q."""
    n, d = rows.shape
    uncentred = n * float(mean @ mean) + largest
    outside = R - (R @ Q) @ Q.T
    size = float(np.linalg.norm(B, 2)) * float(np.linalg.norm(R))
    return 8.0 * EPS * math.sqrt(n + d) * uncentred + 2.0 * size * float(np.linalg.norm(outside))


# ---- Lanczos on the complement of Q --------------------------------------------------------------------------------


class _Lanczos:
    """RUNS independent Lanczos runs for (I − QQᵀ)M(I − QQᵀ), fully reorthogonalised, one column each."""

    def __init__(self, Q: Float64, rng: np.random.Generator) -> None:
        self.Q = Q
        start = self._outside(rng.standard_normal((Q.shape[0], RUNS)))
        self.start = start / np.linalg.norm(start, axis=0)
        self.basis: list[Float64] = [self.start]
        self.alpha: list[Float64] = []
        self.beta: list[Float64] = []

    @property
    def current(self) -> Float64:
        return self.basis[-1]

    @property
    def steps(self) -> int:
        return len(self.alpha)

    def append(self, product: Float64) -> None:
        """One step of every run, given M times the current vectors."""
        w = self._outside(product)
        self.alpha.append(np.sum(self.current * w, axis=0))
        for _ in range(2):
            for v in self.basis:
                w = w - v * np.sum(v * w, axis=0)
        w = self._outside(w)
        norm = np.linalg.norm(w, axis=0)
        self.beta.append(norm)
        safe = np.where(norm > 0.0, norm, 1.0)  # an exhausted run goes on with zeros: its θ stays what it is
        self.basis.append(w / safe)

    def bound(self, failure: float) -> float:
        """c with P(‖(I − QQᵀ)M(I − QQᵀ)‖ > c) ≤ failure: all runs would have to fail at once."""
        q, d = self.steps, self.Q.shape[0] - self.Q.shape[1]
        theta = max(self._ritz(run) for run in range(RUNS))
        if q >= d:
            return theta
        each = failure ** (1.0 / RUNS)
        epsilon = (math.log(1.648 * math.sqrt(d) / each) / (2 * q - 1)) ** 2
        return theta / (1.0 - epsilon) if epsilon < 1.0 else math.inf

    def _ritz(self, run: int) -> float:
        T = np.diag([alpha[run] for alpha in self.alpha])
        off = np.array([beta[run] for beta in self.beta[:-1]])
        T[np.arange(len(off)), np.arange(1, len(off) + 1)] = off
        T[np.arange(1, len(off) + 1), np.arange(len(off))] = off
        return max(0.0, float(np.linalg.eigvalsh(T)[-1]))

    def _outside(self, w: Float64) -> Float64:
        return w - self.Q @ (self.Q.T @ w)


# ---- products with M, in float64 ---------------------------------------------------------------------------------


def _product(rows: Rows, mean: Float64, V: Float64) -> Float64:
    return rows.map_sum(_block_product, mean, V)[0]


def _block_product(block: Array, mean: Array, V: Array) -> tuple[Array, ...]:
    """Σ over the rows of a block of (x − mean)((x − mean)ᵀV), in float64 whatever the block's dtype."""
    xp = namespace(block)
    shift, total = mean @ V, xp.zeros_like(V)
    step = max(1, _CAST_ENTRIES // int(block.shape[1]))
    for start in range(0, int(block.shape[0]), step):  # few rows at a time: their float64 copy stays in the cache
        X = xp.astype(block[start : start + step, :], xp.float64, copy=False)
        Y = X @ V - shift
        total += X.T @ Y - mean[:, None] * xp.sum(Y, axis=0)[None, :]
    return (total,)
