"""One descent of the convex–concave procedure for outputs G = FY: with and without bias, under both regularisations.

    min (κ/2)‖Y‖_F²  s.t. |h_X − h_G| ≤ β on all neurons        [norm bound: min (κ/2)‖Y‖_F² + max |h_X − h_G|]

with h_A(u, b) = w Σ_i (a_iᵀu + b)₊. h_G is convex in Y, so that h_G ≤ h_X + β is cut by tangents, and h_G ≥ h_X − β
is replaced by the tangent at the iterate, which is stricter (MATH 4).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import circle_maxima
from convexwgan.geometry.relu_planes import affine_maxima, lifted
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima
from convexwgan.solvers.linearised_zonotopes import least_norm

_ROUNDS = 30
_ELASTIC_STEPS = 25
_PER_ROUND = 30
_KEPT_IDLE = 6
_STALLED, _NEARLY_STALLED = 1e-6, 1e-3
_LOOSE = 3e-3
"""Of β_d: how far outputs may be off until the descent has nearly stalled."""
_SLOPE = 1e-7

Gaps = tuple[tuple[Float64, Float64], tuple[Float64, Float64]]
"""Neurons (k, d [+ 1]) and values where h_X − h_G, and where h_G − h_X, is largest."""


@dataclass(frozen=True, eq=False)
class NeuronTarget:
    """The data X (n_r, d) with weight w_r each, outputs G = FY of weight w_f each, and what the discriminator allows.

    Attributes:
        F: features (n_f, p), None for the identity. beta: β_d, None under a norm bound. slack: β + slack is close
            enough. kappa: κ, the price of ‖Y‖² against dist under a norm bound. bias: whether neurons have one.
    """

    X: Float64
    real_weight: float
    F: Float64 | None
    n_fake: int
    fake_weight: float
    beta: float | None
    slack: float
    bias: bool
    kappa: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """(p, d), the shape of Y."""
        return (self.n_fake if self.F is None else int(self.F.shape[1])), int(self.X.shape[1])

    def output(self, Y: Float64) -> Float64:
        """G = FY, (n_f, d)."""
        return Y if self.F is None else self.F @ Y

    def h(self, neurons: Float64) -> Float64:
        """h_X on each neuron."""
        rows = lifted(self.X) if self.bias else self.X
        return relu_sum(rows, np.full(len(rows), self.real_weight), neurons)

    def gaps(self, G: Float64) -> Gaps:
        """The neurons that tell G from X, largest difference first on either side; all maxima are among them."""
        rows = np.concatenate([self.X, G])
        weights = np.concatenate([np.full(len(self.X), self.real_weight), np.full(len(G), -self.fake_weight)])
        if self.bias and rows.shape[1] == 2:
            return _planar_gaps(rows, weights)
        maxima = affine_maxima if self.bias else sphere_maxima
        above, below = (maxima(rows, sign * weights) for sign in (1.0, -1.0))
        return (above.points, above.values), (below.points, below.values)

    def tangents(self, G: Float64, neurons: Float64) -> tuple[Float64, Float64]:
        """h_G(u, b) ≥ ⟨A_k, Y⟩ + c_k, with equality at G: A (k, p·d) = w_fFᵀ1[Gu + b > 0]uᵀ, c = w_fb·#active."""
        p, d = self.shape
        active = self.fake_weight * ((neurons @ (lifted(G) if self.bias else G).T) > 0.0)
        along = active if self.F is None else active @ self.F
        A = np.asarray((along[:, :, None] * neurons[:, None, :d]).reshape(len(neurons), p * d))
        c = neurons[:, d] * active.sum(axis=1) if self.bias else np.zeros(len(neurons))
        return A, c

    def cost(self, Y: Float64, gaps: Gaps) -> float:
        """‖Y‖², under a norm bound (κ/2)‖Y‖² + dist."""
        size = float(np.sum(Y * Y))
        return size if self.beta is not None else 0.5 * self.kappa * size + max(worst(gaps), 0.0)

    def is_feasible(self, gaps: Gaps, slack: float | None = None) -> bool:
        """Whether no neuron tells more than β; always under a norm bound."""
        return self.beta is None or worst(gaps) <= self.beta + (self.slack if slack is None else slack)


def worst(gaps: Gaps) -> float:
    """The largest difference found: dist where the oracle is exact."""
    return max(float(values[0]) for _, values in gaps)


def _planar_gaps(rows: Float64, weights: Float64) -> Gaps:
    """With bias in the plane: for every row i the best neurons with b = −a_iᵀu, and those that see every row."""
    values, u = circle_maxima(rows[None, :, :] - rows[:, None, :], weights)
    shift, reach = weights @ rows, float(np.linalg.norm(rows, axis=1).max())
    length = float(np.linalg.norm(shift))
    found = []
    for side, sign in enumerate((1.0, -1.0)):
        points = np.column_stack([u[side], -np.einsum("ij,ij->i", u[side], rows)])
        ahead = sign * shift / length if length > 0.0 else np.eye(2)[0]
        points = np.concatenate([points, np.append(ahead, reach)[None]])
        found_values = np.append(values[side], length)
        _, once = np.unique(np.round(points, 10), axis=0, return_index=True)
        order = once[np.argsort(-found_values[once], kind="stable")]
        found.append((points[order], found_values[order]))
    return found[0], found[1]


@dataclass(eq=False)
class _Cuts:
    """Neurons of the reverse-convex half, tangents ⟨A, Y⟩ + c ≤ h_X + β of the convex half, and how long each was idle."""

    below: Float64
    above: Float64
    A: Float64
    c: Float64
    idle_below: Float64
    idle_above: Float64

    @classmethod
    def empty(cls, target: NeuronTarget) -> _Cuts:
        (p, d), width = target.shape, target.shape[1] + target.bias
        none = np.zeros((0, width))
        return cls(none, none, np.zeros((0, p * d)), np.zeros(0), np.zeros(0), np.zeros(0))

    def add(self, target: NeuronTarget, gaps: Gaps, level: float, G: Float64) -> int:
        """The neurons beyond ``level``, those of the convex half with their tangent at G; how many."""
        low, high = (points[values > level][:_PER_ROUND] for points, values in gaps)
        A, c = target.tangents(G, high)
        self.below, self.above = np.concatenate([self.below, low]), np.concatenate([self.above, high])
        self.A, self.c = np.concatenate([self.A, A]), np.concatenate([self.c, c])
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
        self.above, self.A, self.c = self.above[held], self.A[held], self.c[held]
        self.idle_above = self.idle_above[held]

    def program(self, target: NeuronTarget, G0: Float64) -> tuple[Float64, Float64]:
        """(A, r) with A y ≥ r − β: the linearised half at G₀ and the tangents collected so far."""
        A, c = target.tangents(G0, self.below)
        r = np.concatenate([target.h(self.below) - c, self.c - target.h(self.above)])
        return np.concatenate([A, -self.A]), r


Offer = Callable[[Float64, Gaps], None]


def descend(target: NeuronTarget, Y: Float64, offer: Offer, max_steps: int, deadline: float = np.inf) -> int:
    """Steps of the procedure from Y; every feasible point met on the way is offered with its gaps.

    An infeasible start first takes elastic steps, whose violations are paid for ever more dearly.

    Returns:
        The number of steps.
    """
    cuts = _Cuts.empty(target)
    G = target.output(Y)
    gaps = target.gaps(G)
    if target.is_feasible(gaps):
        offer(Y, gaps)
    yardstick = target.beta if target.beta is not None else max(worst(gaps), 1e-12)
    cost, price, loose = np.inf, 1e2, _LOOSE * yardstick
    for step in range(1, max_steps + 1):
        slack = max(loose, target.slack)
        is_near = target.is_feasible(gaps, 2.0 * slack)
        level = target.beta * (1.0 - 1e-3) if target.beta is not None else 0.9 * worst(gaps)
        cuts.add(target, gaps, level, G)
        found = _closed(target, Y, cuts, slack, None if is_near else price, deadline)
        if found is None:
            if loose == 0.0 or not is_near:
                return step
            loose = 0.0
            continue
        Y, gaps = found
        G = target.output(Y)
        if target.is_feasible(gaps):
            offer(Y, gaps)
        elif time.perf_counter() > deadline or (loose == 0.0 and is_near) or (not is_near and step >= _ELASTIC_STEPS):
            return step
        if time.perf_counter() > deadline:
            return step
        if is_near:
            last, cost = cost, target.cost(Y, gaps)
            if loose == 0.0 and last - cost <= _STALLED * cost:
                return step
            if last - cost <= _NEARLY_STALLED * cost:
                loose = 0.0
        price *= 3.0
    return max_steps


def _closed(
    target: NeuronTarget, Y0: Float64, cuts: _Cuts, slack: float, price: float | None, deadline: float
) -> tuple[Float64, Gaps] | None:
    """The program linearised at Y₀, with cuts until the oracle finds none; None where it has no solution."""
    G0, found = target.output(Y0), None
    size = 1.0 / (float(np.linalg.norm(Y0)) or 1.0)
    for _ in range(_ROUNDS if price is None else 3):
        A, r = cuts.program(target, G0)
        if target.beta is None:
            y, multipliers, t = least_penalised(A, r, target.kappa)
        else:
            solved = least_norm(A, r - target.beta, size, price)
            if solved is None:
                return found
            (y, multipliers), t = solved, target.beta
        Y = y.reshape(target.shape)
        cuts.age(multipliers)
        G = target.output(Y)
        gaps = target.gaps(G)
        found = Y, gaps
        if worst(gaps) <= t + slack or time.perf_counter() > deadline:
            break
        if not cuts.add(target, gaps, t + 0.5 * slack, G):
            break
    return found


def least_penalised(A: Float64, r: Float64, kappa: float) -> tuple[Float64, Float64, float]:
    """min (κ/2)‖x‖² + t  s.t.  Ax ≥ r − t, t ≥ 0, by the root of V'(t) = −1 with V(t) = min (κ/2)‖x‖², Ax ≥ r − t.

    V is convex with V'(t) = −Σ multipliers, which bisection brings to 1.

    Args:
        A, r: (k, m) and (k,). kappa: κ > 0.

    Returns:
        (x, multipliers, t).

    >>> x, y, t = least_penalised(np.array([[1.0]]), np.array([2.0]), 1.0)
    >>> x.round(6).tolist(), round(t, 6)
    ([1.0], 1.0)
    """
    m = A.shape[1]
    top = float(r.max(initial=0.0))
    low, high = 0.0, max(top, 0.0)
    best: tuple[Float64, Float64, float] = (np.zeros(m), np.zeros(len(r)), high)
    if high == 0.0:
        return best
    for step in range(60):
        t = low if step == 0 else 0.5 * (low + high)
        found = least_norm(A, r - t)
        multipliers = None if found is None else _multipliers(A, found, kappa)
        if found is None or multipliers is None or multipliers.sum() > 1.0:
            low = t
        else:
            high, best = t, (found[0], multipliers, t)
            if step == 0:
                break
        if high - low <= _SLOPE * top:
            break
    return best


def _multipliers(A: Float64, found: tuple[Float64, Float64], kappa: float) -> Float64:
    """y ≥ 0 with Aᵀy = κx, from the direction that nonnegative least squares gives."""
    x, y = found
    combined = A.T @ y
    length = float(combined @ combined)
    return np.zeros(len(y)) if length == 0.0 else y * (kappa * float(combined @ x) / length)
