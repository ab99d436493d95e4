"""One descent of the convex–concave procedure: quadratic programs over linearised zonotopes, closed by the oracle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima

_ROUNDS = 40
_ELASTIC_STEPS = 25
_PER_ROUND = 30
_KEPT_IDLE = 6
_STALLED, _NEARLY_STALLED = 1e-6, 1e-3
_LOOSE = 3e-3
"""Of β_d: how far outputs may be off until the descent has nearly stalled."""


@dataclass(frozen=True, eq=False)
class Target:
    """min ‖G‖_F² s.t. |h_X(u) − h_G(u)| ≤ β for ‖u‖ ≤ 1: X (n_r, d), n_f rows of G; β + slack is close enough."""

    X: Float64
    n_fake: int
    beta: float
    slack: float

    def h(self, u: Float64) -> Float64:
        """h_X at each row of u."""
        return relu_sum(self.X, np.ones(len(self.X)), u)

    def gaps(self, G: Float64) -> list[tuple[Float64, Float64]]:
        """Local maxima (u, value) of h_X − h_G and of h_G − h_X, largest first."""
        rows, weights = np.concatenate([self.X, G]), np.concatenate([np.ones(len(self.X)), -np.ones(len(G))])
        found = [sphere_maxima(rows, sign * weights) for sign in (1.0, -1.0)]
        return [(part.points, part.values) for part in found]

    def is_feasible(self, G: Float64) -> bool:
        """Whether no neuron tells G from X by more than β."""
        return _worst(self.gaps(G)) <= self.beta + self.slack


@dataclass(eq=False)
class _Cuts:
    """Directions of the reverse-convex half, cuts ⟨A_k, G⟩ ≤ h_X + β of the convex half, and how long each was idle."""

    below: Float64
    above: Float64
    rows: Float64
    idle_below: Float64
    idle_above: Float64

    @classmethod
    def empty(cls, n: int, d: int) -> _Cuts:
        return cls(np.zeros((0, d)), np.zeros((0, d)), np.zeros((0, n * d)), np.zeros(0), np.zeros(0))

    def add(self, gaps: list[tuple[Float64, Float64]], level: float, G: Float64) -> int:
        """The neurons beyond ``level``: h_G(u) ≥ ⟨1[g_iᵀu > 0]uᵀ, G'⟩-cuts need no more than the pattern at G."""
        (low, low_values), (high, high_values) = gaps
        low, high = low[low_values > level][:_PER_ROUND], high[high_values > level][:_PER_ROUND]
        self.below = np.concatenate([self.below, low])
        self.above = np.concatenate([self.above, high])
        self.rows = np.concatenate([self.rows, _active_rows(G, high)])
        self.idle_below = np.concatenate([self.idle_below, np.zeros(len(low))])
        self.idle_above = np.concatenate([self.idle_above, np.zeros(len(high))])
        return len(low) + len(high)

    def age(self, multipliers: Float64) -> None:
        """Drop what no program has needed for a while."""
        k = len(self.below)
        self.idle_below = np.where(multipliers[:k] > 0.0, 0.0, self.idle_below + 1.0)
        self.idle_above = np.where(multipliers[k:] > 0.0, 0.0, self.idle_above + 1.0)
        kept, held = self.idle_below < _KEPT_IDLE, self.idle_above < _KEPT_IDLE
        self.below, self.idle_below = self.below[kept], self.idle_below[kept]
        self.above, self.rows, self.idle_above = self.above[held], self.rows[held], self.idle_above[held]


def _active_rows(G: Float64, u: Float64) -> Float64:
    """The gradient of h_G(u) in G, flattened: 1[g_iᵀu > 0]u in row i; shape (k, n·d)."""
    active = (u @ G.T > 0.0).astype(np.float64)
    return np.asarray((active[:, :, None] * u[:, None, :]).reshape(len(u), G.size))


def improved(
    target: Target, G: Float64, offer: Callable[[Float64], None], max_steps: int, deadline: float = np.inf
) -> int:
    """Steps of the procedure from G; every feasible output met on the way is offered.

    An infeasible start first takes elastic steps, whose violations are paid for ever more dearly.

    Returns:
        The number of steps.
    """
    cuts = _Cuts.empty(target.n_fake, target.X.shape[1])
    gaps = target.gaps(G)
    is_feasible = _worst(gaps) <= target.beta + target.slack
    if is_feasible:
        offer(G)
    cost, price, loose = np.inf, 1e2, _LOOSE * target.beta
    for step in range(1, max_steps + 1):
        is_near = _worst(gaps) <= target.beta + 2.0 * max(loose, target.slack)
        cuts.add(gaps, target.beta * (1.0 - 1e-3), G)
        found = _closed(target, G, cuts, max(loose, target.slack), None if is_near else price, deadline)
        if found is None:
            if loose == 0.0 or not is_near:
                return step
            loose = 0.0
            continue
        G, gaps = found
        if _worst(gaps) <= target.beta + target.slack:
            offer(G)
        elif time.perf_counter() > deadline or (loose == 0.0 and is_near) or (not is_near and step >= _ELASTIC_STEPS):
            return step
        if is_near:
            last, cost = cost, float(np.sum(G * G))
            if loose == 0.0 and last - cost <= _STALLED * cost:
                return step
            if last - cost <= _NEARLY_STALLED * cost:
                loose = 0.0
        price *= 3.0
    return max_steps


def _worst(gaps: list[tuple[Float64, Float64]]) -> float:
    return max(float(values[0]) for _, values in gaps)


def _closed(
    target: Target, G0: Float64, cuts: _Cuts, slack: float, price: float | None, deadline: float
) -> tuple[Float64, list[tuple[Float64, Float64]]] | None:
    """The program linearised at G₀, with cuts until the oracle finds none; None where it has no solution."""
    G, gaps = G0, None
    for _ in range(_ROUNDS if price is None else 3):
        lifted = _active_rows(G0, cuts.below)
        A = np.concatenate([lifted, -cuts.rows])
        b = np.concatenate([target.h(cuts.below) - target.beta, -target.h(cuts.above) - target.beta])
        found = least_norm(A, b, float(np.sqrt(target.n_fake)), price)
        if found is None:
            return None
        G = found[0].reshape(target.n_fake, -1)
        cuts.age(found[1])
        gaps = target.gaps(G)
        if _worst(gaps) <= target.beta + slack or time.perf_counter() > deadline:
            break
        if not cuts.add(gaps, target.beta + 0.5 * slack, G):
            break
    return None if gaps is None else (G, gaps)


def least_norm(A: Float64, b: Float64, size: float = 1.0, price: float | None = None) -> tuple[Float64, Float64] | None:
    """min ½‖x‖² s.t. Ax ≥ b as nonnegative least squares; with a price, + (price/2)‖violation‖².

    y ≥ 0 minimises ‖(Aᵀy, bᵀy − 1)‖; the residual r gives x = −r_x/r_b, and r = 0 says that nothing is feasible.

    Args:
        A, b: (k, m) and (k,). size: 1/the expected ‖x‖, which scales the problem.

    Returns:
        (x, y), or None where no x is feasible or the method does not end.

    Reference:
        Lawson and Hanson, Solving Least Squares Problems, chapter 23.

    >>> least_norm(np.array([[1.0, 0.0]]), np.array([2.0]))[0].round(12).tolist()
    [2.0, 0.0]
    """
    from scipy.optimize import nnls

    k, m = A.shape
    if k == 0:
        return np.zeros(m), np.zeros(0)
    E = np.vstack([A.T, size * b])
    if price is not None:  # A x + s/√price ≥ b with ½‖s‖² in the objective
        E = np.vstack([A.T, np.eye(k) / np.sqrt(price), size * b])
    f = np.zeros(len(E))
    f[-1] = 1.0
    try:
        y, norm = nnls(E, f, maxiter=20 * (k + m))
    except RuntimeError:
        return None
    r = E @ y - f
    if norm < 1e-7 or -r[-1] < 1e-14:
        return None
    return np.asarray(-r[:m] / r[-1] / size), np.asarray(y)
