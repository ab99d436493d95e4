"""The certificate of one stage of a progressive generator: quadratic discriminator, linear generator, output cost.

The judge takes X (in row blocks), the mean that is subtracted, and the generator's output on its own noise in factors,
G = LR with codes L (n, k) and R (k, d); S = Rᵀ(LᵀL)R. From these alone: ‖M − S‖₂ against β_d, the value ½ tr S, and
the lower bound ½ Σ(γ_i − β_d)₊ (weak duality with P = ½VVᵀ). M is formed where that is cheap, else bounded at random.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Array, Float64, namespace
from convexwgan.certificates.certificate import Certificate, Check
from convexwgan.certificates.randomised import EPS, randomised_distance
from convexwgan.geometry.rows import Rows

DENSE_LIMIT = 1024


@dataclass(frozen=True, eq=False)
class StageClaim:
    """What a solver claims of one stage.

    Attributes:
        beta: β_d > 0, in sums.
        factor: R (k, d).
        codes: blocks of L, in order: the generator's codes on its own noise, together n rows.
        basis: Q (d, l), range Q ⊃ rows of R; only a proposal. product: P (d, l), claimed MQ.
        mean_matched: whether s = m is part of the game (skip).
    """

    beta: float
    factor: Float64
    codes: Iterable[Float64]
    basis: Float64
    product: Float64
    mean_matched: bool = False


def stage_certificate(
    rows: Rows, mean: Float64, claim: StageClaim, tol: float, rng: np.random.Generator | None = None
) -> Certificate:
    """Bounds on the value of one stage, recomputed in float64 from the data.

    Problem:
        min ½‖G‖_F²  s.t.  ‖X_cᵀX_c − GᵀG‖₂ ≤ β_d  [, Gᵀ1 = X_cᵀ1],  X_c = X − 1·meanᵀ.

    Args:
        rows: X (n, d).
        mean: (d,), subtracted from every row.
        claim: what to judge.
        tol: of the status.
        rng: fresh randomness; None takes it from the system, which no claim can foresee.

    Returns:
        Certificate, scope "exhaustive" when M was formed (d ≤ 1024 or a basis of the whole space), else
        "randomised" with failure probability ≤ 1e-9.

    Reference:
        Sahiner et al. (ICLR 2022), Theorem 4.1; the mean: Corollary 3.3.

    >>> from convexwgan.geometry.rows import array_rows
    >>> X = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> L, R = X[:, :1] / np.sqrt(8.0), np.array([[np.sqrt(8.0 - 2.0), 0.0]])
    >>> claim = StageClaim(2.0, R, [L], np.eye(2), X.T @ X)
    >>> stage_certificate(array_rows(X), np.zeros(2), claim, 1e-9).status.name
    'CERTIFIED'
    """
    rng = np.random.default_rng() if rng is None else rng
    B, s, seen = _code_moments(claim.codes, len(claim.factor))
    n, d = rows.shape
    S_trace = float(np.einsum("ij,ik,kj->", claim.factor, B, claim.factor, optimize=True))
    if d <= DENSE_LIMIT or claim.basis.shape[1] >= d:
        distance, leading, failure, how = _dense(rows, mean, claim.factor, B)
    else:
        bound = randomised_distance(rows, mean, claim.factor, B, claim.basis, claim.product, claim.beta, rng)
        distance, leading, failure = bound.distance, bound.leading, bound.failure_probability
        how = f"‖MQ − P‖ ≤ {bound.product_error:.2g}, outside Q at most {bound.complement:.4g}, {bound.steps} steps"
    largest = float(max(leading[0], 0.0))
    violation = max(0.0, distance - claim.beta) / max(claim.beta, 1e-8 * largest, np.finfo(np.float64).tiny)
    rounding = 8.0 * EPS * math.sqrt(n + d) * largest
    lower = 0.5 * float(np.sum(np.maximum(leading - claim.beta - rounding, 0.0)))
    checks = [
        Check("dist bounded above", math.isfinite(distance), f"{distance:.9g} against β_d = {claim.beta:.9g}; {how}"),
        Check("one code for every sample", seen == n, f"{seen} codes for {n} samples"),
    ]
    if claim.mean_matched:
        checks.append(_mean_check(rows, mean, claim.factor, s, largest, tol))
    return Certificate(
        lower=lower,
        upper=0.5 * S_trace,
        violation=violation,
        scope="randomised" if failure > 0.0 else "exhaustive",
        checks=tuple(checks),
        failure_probability=failure,
        tol=tol,
        scale=0.5 * float(np.sum(np.maximum(leading, 0.0))),
    )


def _code_moments(codes: Iterable[Float64], k: int) -> tuple[Float64, Float64, int]:
    """LᵀL, Lᵀ1 and the number of rows."""
    B, s, n = np.zeros((k, k)), np.zeros(k), 0
    for block in codes:
        L = np.asarray(block, dtype=np.float64)
        B, s, n = B + L.T @ L, s + L.sum(axis=0), n + len(L)
    return 0.5 * (B + B.T), s, n


def _dense(rows: Rows, mean: Float64, R: Float64, B: Float64) -> tuple[float, Float64, float, str]:
    (M,) = rows.map_sum(_block_gram, mean)
    M = 0.5 * (M + M.T)
    n, d = rows.shape
    rounding = 8.0 * EPS * (math.sqrt(n + d) * float(np.trace(M)) + n * float(mean @ mean))
    distance = float(np.abs(np.linalg.eigvalsh(M - R.T @ B @ R)).max()) + rounding
    leading: Float64 = np.asarray(np.linalg.eigvalsh(M)[::-1], dtype=np.float64)
    return distance, leading, 0.0, "M formed in float64"


def _block_gram(block: Array, mean: Array) -> tuple[Array, ...]:
    xp = namespace(block)
    X = xp.astype(block, xp.float64) - mean
    return (X.T @ X,)


def _mean_check(rows: Rows, mean: Float64, R: Float64, s: Float64, largest: float, tol: float) -> Check:
    """‖s − m‖ ≤ tol·√(n‖M‖): √(n‖M‖) is the largest that a mean with this M can be."""
    (total,) = rows.map_sum(_block_sum)
    n = rows.shape[0]
    gap = float(np.linalg.norm(total - n * mean - s @ R))
    size = math.sqrt(n * largest)
    return Check("means match", gap <= tol * size, f"‖s − m‖ = {gap:.2g} of at most {size:.3g}")


def _block_sum(block: Array) -> tuple[Array, ...]:
    xp = namespace(block)
    return (xp.sum(block, axis=0, dtype=xp.float64),)
