"""The leading eigenpairs of X_cᵀX_c when X is large: dense, or thick-restarted block Lanczos on streamed rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError, SolveError
from convexwgan.geometry.rows import Rows, centred_gram, centred_gram_product
from convexwgan.geometry.spectra import EPS, eigh_descending, fix_signs

Method = Literal["dense", "krylov"]
Progress = Callable[[int, float], None]
"""Called after each pass with (pass, relative excess): the estimate of (dist − β)/β that remains."""

DENSE_LIMIT = 1024
"""Up to this dimension a Gram matrix in float64 and its eigendecomposition are cheaper than Krylov steps."""
_KEPT = 0.5
"""Ritz values above this fraction of β come with the result: the certificate deflates them."""
_MARGIN = 0.2
"""β minus the largest eigenvalue outside the basis, relative to β, that the stopping rule assumes."""


@dataclass(frozen=True)
class SpectrumPlan:
    """How the leading eigenpairs are computed, and what it costs.

    Attributes:
        method: "dense" or "krylov".
        block: columns multiplied in one pass (krylov).
        basis: the most columns kept (krylov); beyond, the basis is compressed and the iteration goes on.
        workspace: bytes beside the data.
        text: one line for people.
    """

    method: Method
    block: int
    basis: int
    workspace: int
    text: str


@dataclass(frozen=True, eq=False)
class TopSpectrum:
    """Leading eigenpairs of M = X_cᵀX_c, and more of the basis than was asked for.

    Attributes:
        values: (l,) Ritz values, descending; ``vectors`` (d, l), orthonormal; ``product`` (d, l) ≈ M·vectors.
        residuals: (l,) ‖M q_i − θ_i q_i‖.
        count: k, how many are kept.
        beta: an estimated upper bound on σ²_{k+1} (or the β that was given); the certificate decides.
        passes: over the data.
    """

    values: Float64
    vectors: Float64
    product: Float64
    residuals: Float64
    count: int
    beta: float
    passes: int
    plan: SpectrumPlan


def plan_spectrum(n: int, d: int, wanted: int, memory: int | None = None, method: Method | None = None) -> SpectrumPlan:
    """The cheaper of the two methods that fits ``memory`` bytes of workspace.

    >>> plan_spectrum(50_000, 768, 41).method, plan_spectrum(50_000, 12_288, 176).method
    ('dense', 'krylov')
    """
    dense = 8 * d * d * 4
    if method is None:
        fits = memory is None or dense <= memory
        method = "dense" if d <= DENSE_LIMIT and fits else "krylov"
    if method == "dense":
        return SpectrumPlan("dense", d, d, dense, f"dense: float64 Gram matrix {d} × {d}, one pass")
    block = min(n, d, max(16, 8 * math.ceil(wanted / 24)), 96)
    reach = min(d, n + block)
    basis = min(reach, max(6 * wanted, wanted + 8 * block))
    if memory is not None:
        basis = min(basis, memory // (8 * d * 4))
    if basis < min(reach, wanted + block):
        # The smallest basis that can hold the wanted directions and one block beside them.
        block = max(1, min(block, basis - wanted))
        if basis < min(reach, wanted + 1):
            needed = 8 * d * 4 * (wanted + 16)
            must = f"leave {needed:,} bytes of workspace for {wanted} eigenvectors of length {d}"
            raise InputError("memory_budget", memory, must, "raise it, or keep fewer components")
    text = f"krylov: blocks of {block} columns, at most {basis} kept, rows streamed"
    return SpectrumPlan("krylov", block, basis, 8 * d * basis * 4, text)


def top_eigenpairs(
    rows: Rows,
    mean: Float64,
    *,
    count: int | None = None,
    beta: float | None = None,
    tol: float = 1e-4,
    rng: np.random.Generator,
    plan: SpectrumPlan | None = None,
    dtype: str = "float32",
    progress: Progress | None = None,
    max_passes: int = 200,
) -> TopSpectrum:
    """The eigenpairs of M = X_cᵀX_c that stay: the first ``count``, or those above ``beta``.

    Krylov: K ← [K, B], B an orthonormal basis of the part of M·B_last outside K; Ritz pairs (θ, KU) of KᵀMK. Stops
    when the residuals Rᵀ R =: N prove, up to directions outside K, that min(θ, β) + N/(0.2 β) ⪯ β(1 + tol).

    Args:
        rows: X (n, d) in blocks.
        mean: (d,) subtracted from every row.
        count: k; β becomes an upper bound on σ²_{k+1}.
        beta: keep what exceeds it.
        tol: relative excess of ‖M − S‖₂ over β at which to stop.
        rng: of the start block.
        plan: from ``plan_spectrum``.
        dtype: of the products over a block; their sums and everything else are float64.
        progress: called after each pass.
        max_passes: after so many the best basis is returned; the certificate will tell.

    Raises:
        InputError: not exactly one of count and beta. SolveError: the data are not finite.

    >>> from convexwgan.geometry.rows import array_rows
    >>> X = np.diag([3.0, 2.0, 1.0])
    >>> top_eigenpairs(array_rows(X), np.zeros(3), count=1, rng=np.random.default_rng(0)).values[:2].tolist()
    [9.0, 4.0]
    """
    if (count is None) == (beta is None):
        raise InputError("count", count, "be given exactly when beta is not", "choose one of the two")
    n, d = rows.shape
    plan = plan or plan_spectrum(n, d, (count or min(d, 64)) + 1)
    if plan.method == "dense":
        return _dense(rows, mean, count, beta, plan)
    krylov = _Krylov(rows, mean, plan, dtype, rng)
    block = _orthonormal(rng.standard_normal((min(plan.block, n, d), d)), 0.0)
    history: list[float] = []
    for step in range(max_passes):
        krylov.extend(block)
        excess = krylov.excess(count, beta)
        history.append(excess)
        if progress is not None:
            progress(step + 1, excess)
        if excess <= tol or _has_stalled(history):
            break
        block = krylov.next_block()
        if len(block) == 0:
            break
    return krylov.result(count, beta, tol)


def _has_stalled(history: list[float], patience: int = 10) -> bool:
    """No progress for a while: the rounding of the products, not the iteration, is what remains."""
    if len(history) <= patience or not math.isfinite(history[-patience - 1]):
        return False
    return min(history[-patience:]) > 0.9 * min(history[:-patience])


def _dense(rows: Rows, mean: Float64, count: int | None, beta: float | None, plan: SpectrumPlan) -> TopSpectrum:
    (M,) = rows.map_sum(centred_gram, mean)
    _require_finite(M)
    values, V = eigh_descending(M)
    values = np.clip(values, 0.0, None)
    d = len(values)
    error = 4.0 * d * EPS * float(values[0])
    beta, count = _threshold(values, count, beta, error)
    product = V * values
    residuals = np.full(d, error)
    return TopSpectrum(values, V, product, residuals, count, beta, 1, plan)


def _threshold(values: Float64, count: int | None, beta: float | None, error: float) -> tuple[float, int]:
    """β from k or k from β; strictly positive, and k counts strictly larger eigenvalues only."""
    if beta is None:
        following = float(values[count]) if count is not None and count < len(values) else 0.0
        beta = max(following + error, np.finfo(np.float64).tiny)
    return beta, int(np.count_nonzero(values > beta))


class _Krylov:
    """A growing orthonormal basis K, its product P = MK, and the Ritz pairs of KᵀMK; all transposed, (m, d)."""

    def __init__(self, rows: Rows, mean: Float64, plan: SpectrumPlan, dtype: str, rng: np.random.Generator) -> None:
        self.rows, self.plan, self.dtype, self.rng = rows, plan, np.dtype(dtype), rng
        self.mean = mean.astype(self.dtype)
        d = rows.shape[1]
        self.K, self.P = np.empty((0, d)), np.empty((0, d))
        self.G, self.PP = np.empty((0, 0)), np.empty((0, 0))  # KᵀP, which rounding makes unsymmetric, and PᵀP
        self.theta, self.U = np.empty(0), np.empty((0, 0))
        self.passes, self.last = 0, 0
        self.is_injected = self.is_exhausted = False

    def extend(self, block: Float64) -> None:
        """K ← [K, B], P ← [P, MB], Ritz pairs again."""
        (product,) = self.rows.map_sum(centred_gram_product, self.mean, block.T.astype(self.dtype))
        _require_finite(product)
        self.passes, self.last = self.passes + 1, len(block)
        below = block @ self.P.T
        self.K, self.P = np.vstack([self.K, block]), np.vstack([self.P, product.T])
        right, squares = self.K @ product, self.P @ product
        self.G = np.block([[np.vstack([self.G, below]), right]])
        self.PP = np.block([[np.vstack([self.PP, squares[: -self.last].T]), squares]])
        theta, U = np.linalg.eigh(0.5 * (self.G + self.G.T))
        self.theta, self.U = theta[::-1], U[:, ::-1]
        # Random directions outside an invariant K that M sends to zero: nothing is left of M.
        self.is_exhausted = self.is_injected and float(np.linalg.norm(product, axis=0).max()) <= self.noise

    @property
    def noise(self) -> float:
        """What products in ``dtype`` leave where there is nothing."""
        return 4.0 * float(np.finfo(self.dtype).eps) * float(self.theta[0])

    def coupling(self, size: int) -> Float64:
        """N = Uᵀ(PᵀP − GᵀG)U for the leading ``size`` Ritz vectors KU: the Gram matrix of the part of MKU outside K."""
        U = self.U[:, :size]
        GU = self.G @ U
        N: Float64 = U.T @ (self.PP @ U) - GU.T @ GU
        return N

    def excess(self, count: int | None, beta: float | None) -> float:
        """The estimate of (‖M − S‖₂ − β)/β if one stopped now; infinite while fewer than k + 1 pairs are there."""
        m, d = len(self.theta), self.rows.shape[1]
        if self.is_exhausted or m == d:
            return 0.0
        if count is not None and m <= count:
            return math.inf
        level = beta if beta is not None else (float(self.theta[count]) if count is not None else 0.0)
        if level <= 1e-14 * float(self.theta[0]) or (beta is not None and float(self.theta[-1]) > 0.8 * beta):
            return math.inf
        return max(0.0, self._top(level) / level - 1.0)

    def _top(self, level: float) -> float:
        """λ_max(min(Θ, level) + N/(0.2·level)) over the Ritz values above level/2: what the residuals may still add."""
        size = max(1, int(np.count_nonzero(self.theta > _KEPT * level)))
        A = self.coupling(size) / (_MARGIN * level)
        A[np.diag_indices_from(A)] += np.minimum(self.theta[:size], level)
        return float(np.linalg.eigvalsh(0.5 * (A + A.T))[-1])

    def next_block(self) -> Float64:
        """An orthonormal basis of what M·B adds to K, random where K is invariant; compresses K when it is full.

        An invariant K may miss copies of a multiple eigenvalue, which only fresh directions can find.
        """
        room = self.rows.shape[1] - len(self.K)
        block = self._outside(self.P[-self.last :], self.noise)[:room]
        self.is_injected = len(block) == 0
        if self.is_injected and room:
            wanted = min(self.plan.block, room)
            block = self._outside(self.rng.standard_normal((wanted, self.rows.shape[1])), 1e-8)
        if len(block) and len(self.K) + len(block) > max(self.plan.basis, len(block) + 1):
            self._compress(self.plan.basis - len(block))
        return block

    def _outside(self, W: Float64, noise: float) -> Float64:
        """An orthonormal basis of the part of W outside K, directions of size ≤ noise dropped."""
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            W = W - (W @ self.K.T) @ self.K
        block = _orthonormal(W, noise)
        if len(block):  # what was small came out of cancellation: clean it once more
            block = _orthonormal(block - (block @ self.K.T) @ self.K, 1e-8)
        return block

    def _compress(self, keep: int) -> None:
        """K ← KU of the leading Ritz vectors: their residuals lie in the span of the next block (thick restart)."""
        U = self.U[:, : max(keep, 1)]
        self.K, self.P = U.T @ self.K, U.T @ self.P
        self.G, self.PP = U.T @ self.G @ U, U.T @ self.PP @ U
        theta, V = np.linalg.eigh(0.5 * (self.G + self.G.T))
        self.theta, self.U = theta[::-1], V[:, ::-1]

    def result(self, count: int | None, beta: float | None, tol: float) -> TopSpectrum:
        """The Ritz pairs down to half of β, with β a little above θ_{k+1} by what the residuals may still add."""
        # Rounding of single products averages out in KᵀMK: eps^1.5 for float32, never below what eigh leaves.
        noise = 4.0 * len(self.theta) * max(float(np.finfo(self.dtype).eps) ** 1.5, EPS) * float(self.theta[0])
        values = np.clip(self.theta, 0.0, None)
        if beta is None and count is not None and count < len(values):
            level = float(values[count])
            if level > 1e-14 * float(values[0]):
                beta = min(self._top(level), level * (1.0 + tol)) + noise
        beta, kept = _threshold(values, count, beta, noise)
        size = max(kept + 1, int(np.count_nonzero(values > _KEPT * beta)))
        U = self.U[:, : min(size, len(values))]
        V = fix_signs(self.K.T @ U)
        signs = np.sign(np.sum(V * (self.K.T @ U), axis=0))
        product = (self.P.T @ U) * signs
        residuals = np.linalg.norm(product - V * self.theta[: U.shape[1]], axis=0)
        return TopSpectrum(values[: U.shape[1]], V, product, residuals, kept, beta, self.passes, self.plan)


def _orthonormal(W: Float64, noise: float) -> Float64:
    """Orthonormal rows spanning those of W, directions of size ≤ noise dropped."""
    Q, R = np.linalg.qr(W.T)
    left, s, _ = np.linalg.svd(R)
    return np.ascontiguousarray((Q @ left[:, s > noise]).T)


def _require_finite(array: Float64) -> None:
    if not np.all(np.isfinite(array)):
        raise SolveError("the data hold NaN or infinity, or their squares overflow: clean or rescale them.")
