"""The paper's convex–concave game (eq 16) on one feature, by Appendix D.3: a saddle point inside, multipliers outside.

A neuron t ↦ (σat + c)₊, σ = ±1, a ≥ 0, sees a pattern A of the data (the |A| largest of σx) and a pattern B of the
outputs. On a pattern it is linear, and the game is

    min_w max_r  (β_g/2)‖w‖² + Σ_{A,B} ⟨(Σ_A σx_i, |A|) − (Σ_B σw_l, |B|), r_AB − r'_AB⟩ − β Σ(a_AB + a'_AB)
    s.t.         r, r' ∈ K_A = {(a, c) that see A},     (2·1_B − 1)_l (σa w_l + c) ≥ 0 for all l             (coupled)

With multipliers λ_AB ≥ 0 on the coupled constraints the inner game is bilinear. They turn 1_B into
m = 1_B + (1 − 2·1_B)λ_AB in the first half, so that all B with one m are one block, and every λ gives a restriction
of the game in w: its value is an upper bound. On the second half λ' = 0 loses nothing, h_w being convex.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64

Integers = npt.NDArray[np.int64]
_CHECK_EVERY = 50


@dataclass(frozen=True, eq=False)
class Blocks:
    """J neurons r_j = (a_j, c_j) with their patterns.

    ``side`` σ and ``sign`` (+1 for r, −1 for r') (J,); ``real`` |A| and ``fake`` |m| (J,); ``rays`` (J, 2, 2): the two
    generators of K_A as rows; ``q`` (J, 2) and ``K`` (J, n): ⟨q_j, r_j⟩ + a_j K_jw is what the block adds.
    """

    side: Integers
    sign: Integers
    real: Integers
    fake: Integers
    rays: Float64
    q: Float64
    K: Float64


@dataclass(frozen=True, eq=False)
class LineSaddle:
    """Sorted outputs w (n,), the distance β that is paid for, and the prices a_j (J,) of the last blocks.

    ``values``: of every round of tuning.
    """

    w: Float64
    beta: float
    blocks: Blocks
    prices: Float64
    values: tuple[float, ...]
    iterations: int
    stopped: str | None


def solve_line_game(
    x: Float64,
    beta: float | None,
    strength: float,
    *,
    tol: float = 1e-6,
    max_iter: int = 100_000,
    time_limit: float | None = None,
    start: Float64 | None = None,
    rounds: int = 20,
) -> LineSaddle:
    """Tune the multipliers of the coupled constraints until the inner saddle value stops falling.

    Problem, sums, as many outputs as samples:
        min (β_g/2)‖w‖²  s.t.  dist_D(x, w) ≤ β          norm bound (beta None): min (β_g/2)‖w‖² + dist_D(x, w)

    Under a norm bound Σ(a_j + a'_j) ≤ 1, whose multiplier is the distance β: it joins w as one more variable ≥ 0.

    ``start`` is a feasible w (default: x itself, at distance 0). Its best multipliers keep it feasible, so that no
    round raises the value. From x they are m = 1_B with |B| = |A|, which is optimal for every w: then the block says
    T_k(x) − T_k(w) ≤ β whatever the bias. So one round is enough from x, and a second one confirms it.

    Args:
        x: samples, shape (n,).
        beta: β > 0, for sums; None under a norm bound.
        strength: β_g > 0.
        tol: of the inner saddle point, on relative gap and violation.
        max_iter: inner iterations in all.
        time_limit: seconds in all.
        start: where the tuning starts, shape (n,).
        rounds: of tuning, at most.

    Reference:
        Sahiner et al. 2022, eq 16 and App. D.3; Chambolle and Pock, J. Math. Imaging Vis. 40 (2011), Algorithm 1.

    >>> solve_line_game(np.array([-1.0, 1.0]), 0.1, 2.0).w.round(4).tolist()
    [-0.9, 0.9]
    """
    unit = max(float(np.abs(x).max()), beta or 0.0) or 1.0
    x, level = np.sort(x) / unit, 0.0 if beta is None else beta / unit
    price = None if beta is not None else 1.0 / (strength * unit)
    w = x if start is None else np.sort(start) / unit
    scale = 1e-6 * _cost(strength, x, unit)
    values: list[float] = []
    used, stopped = 0, None
    until = None if time_limit is None else time.perf_counter() + time_limit
    best: LineSaddle | None = None
    while True:
        blocks = _blocks(x, w, 0.0 if price is not None else level)
        w, level, r, spent, stopped = _chambolle_pock(blocks, w, level, price, tol, max_iter - used, until)
        used += spent
        values.append(_cost(strength, w, unit) + (unit * level if price is not None else 0.0))
        found = LineSaddle(unit * w, unit * level, blocks, unit * strength * r[:, 0], tuple(values), used, stopped)
        if best is None or (stopped is None and values[-1] < values[-2]):
            best = found
        settled = len(values) > 1 and values[-2] - values[-1] <= tol * max(values[-2], scale)
        if stopped is not None or settled or len(values) == rounds:
            # A round that rises by more than its tolerance has multipliers of outputs that are equal but for rounding.
            return replace(best, values=tuple(values), iterations=used, stopped=stopped)


def _cost(strength: float, w: Float64, unit: float) -> float:
    """(β_g/2)‖w‖² in the user's units."""
    return 0.5 * strength * float(w @ w) * unit**2


def _blocks(x: Float64, w: Float64, beta: float) -> Blocks:
    """All pairs (A, B), both signs and sides; r with the best multipliers at w, r' with none."""
    parts: list[tuple[int, int, int, int, Float64]] = []
    for side in (1, -1):
        xs, ws = np.sort(side * x)[::-1], np.sort(side * w)[::-1]
        for k in _distinct_patterns(xs):
            rays = _rays(xs, k)
            parts.append((side, 1, k, _tuned(xs, ws, k), rays))
            parts += [(side, -1, k, size, rays) for size in range(len(x) + 1)]
    side_, sign, real, fake = (np.array([part[i] for part in parts], dtype=np.int64) for i in range(4))
    rays = np.stack([part[4] for part in parts])
    tops = {s: np.concatenate([[0.0], np.cumsum(np.sort(s * x)[::-1])]) for s in (1, -1)}
    sums = np.array([tops[s][k] for s, k in zip(side_, real, strict=True)])
    q = np.column_stack([sign * sums - beta, sign * (real - fake)])
    n, place = len(x), np.arange(len(x))  # w ascending: the largest of w are the last, of −w the first
    mask = np.where(side_[:, None] > 0, place >= n - fake[:, None], place < fake[:, None])
    K = -(sign * side_)[:, None] * mask.astype(np.float64)
    return Blocks(side_, sign, real, fake, rays, q.astype(np.float64), np.asarray(K, dtype=np.float64))


def _distinct_patterns(descending: Float64) -> list[int]:
    """|A| of every pattern of the data: 0, n and the places where neighbours differ."""
    inner = np.flatnonzero(descending[:-1] > descending[1:]) + 1
    return [0, *inner.tolist(), len(descending)]


def _rays(descending: Float64, k: int) -> Float64:
    """K_A for the k largest: a ≥ 0, ax_k + c ≥ 0 ≥ ax_{k+1} + c, as two unit rays."""
    upper = (1.0, -descending[k]) if k < len(descending) else (0.0, 1.0)
    lower = (1.0, -descending[k - 1]) if k > 0 else (0.0, -1.0)
    rays = np.array([lower, upper])
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))


def _tuned(xs: Float64, ws: Float64, k: int) -> int:
    """|m| of the best multipliers at w: a supergradient of h_x − h_w where it is largest over the biases of A.

    h_x is linear there, of slope k, and h_w convex, so that the outputs that are active at the maximiser b, ties
    counted up to k, hold for all of A (minimax over b and m).
    """
    if k in (0, len(xs)):
        return k  # b → −∞ or ∞: none or all of both are active
    ends = -xs[k - 1], -xs[k]
    biases = np.concatenate([ends, -ws[(-ws > ends[0]) & (-ws < ends[1])]])
    heights = xs[:k].sum() + k * biases - np.maximum(ws[None, :] + biases[:, None], 0.0).sum(axis=1)
    b = float(biases[np.argmax(heights)])
    return int(np.clip(k, (ws + b > 0.0).sum(), (ws + b >= 0.0).sum()))


def _chambolle_pock(
    blocks: Blocks,
    w: Float64,
    level: float,
    price: float | None,
    tol: float,
    max_iter: int,
    until: float | None,
) -> tuple[Float64, float, Float64, int, str | None]:
    """min over sorted w, max over r_j ∈ K_j of (β_g/2)‖w‖² + Σ⟨q_j, r_j⟩ + a_j K_jw, in units of 1/β_g for r.

    r ← P_K(r + σ(q + Kw̄)),   w⁺ ← isotonic((w − τKᵀa)/(1 + τ)),   w̄ = 2w⁺ − w,   στ‖K‖² < 1
    With a price on the distance β (norm bound): K_jw − β in place of K_jw, β⁺ ← (β − τ(price − Σa))₊.
    """
    K, q = blocks.K, blocks.q
    pays = price is not None
    size = float(np.linalg.norm(np.column_stack([K, -np.ones(len(K))]) if pays else K, 2))
    tau = sigma = 0.99 / size
    r, bar, bar_level = np.zeros_like(q), w, level
    for k in range(1, max_iter + 1):
        ahead = r + sigma * q
        ahead[:, 0] += sigma * (K @ bar - (bar_level if pays else 0.0))
        r = _projected(ahead, blocks.rays)
        new = _isotonic((w - tau * (r[:, 0] @ K)) / (1.0 + tau))
        w, bar = new, 2.0 * new - w
        if price is not None:
            lower = max(0.0, level - tau * (price - float(r[:, 0].sum())))
            level, bar_level = lower, 2.0 * lower - level
        if k % _CHECK_EVERY == 0:
            if _is_saddle(blocks, w, level, price, r, tol):
                return w, level, r, k, None
            if until is not None and time.perf_counter() > until:
                return w, level, r, k, "time_limit"
    return w, level, r, max(max_iter, 0), "max_iter"


def _projected(points: Float64, rays: Float64) -> Float64:
    """The nearest points of cones of two rays (angle ≤ 180°): inside, on one ray, or 0; rows (J, 2)."""
    lower, upper = rays[:, 0], rays[:, 1]
    left = lower[:, 0] * points[:, 1] - lower[:, 1] * points[:, 0] >= 0.0
    right = points[:, 0] * upper[:, 1] - points[:, 1] * upper[:, 0] >= 0.0
    inside = left & right
    along = np.maximum(np.einsum("jik,jk->ji", rays, points), 0.0)
    nearest = np.where((along[:, :1] >= along[:, 1:]), along[:, :1] * lower, along[:, 1:] * upper)
    return np.asarray(np.where(inside[:, None], points, nearest))


def _isotonic(values: Float64) -> Float64:
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values).x, dtype=np.float64)


def _is_saddle(blocks: Blocks, w: Float64, level: float, price: float | None, r: Float64, tol: float) -> bool:
    """Relative gap and violation of the inner game, each against 0.1·tol: min_w L(w, r) is an isotonic regression."""
    slopes = blocks.q.copy()
    slopes[:, 0] += blocks.K @ w - (level if price is not None else 0.0)
    excess = float(np.einsum("jik,jk->ji", blocks.rays, slopes).max())
    upper = 0.5 * float(w @ w) + (price or 0.0) * level
    if price is not None and float(r[:, 0].sum()) > price * (1.0 + 0.1 * tol):
        return False
    nearest = _isotonic(-(r[:, 0] @ blocks.K))
    lower = float((blocks.q * r).sum()) - 0.5 * float(nearest @ nearest)
    return excess <= 0.1 * tol and abs(upper - lower) <= 0.1 * tol * max(upper, abs(lower), 1e-6)
