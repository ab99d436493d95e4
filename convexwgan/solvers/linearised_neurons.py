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

_ROUNDS, _CHEAP_ROUNDS, _DEAR_ROUNDS = 40, 3, 10
_PER_ROUND = 30
_KEPT_IDLE = 6
_STALLED, _STALLED_AT_MARGIN = 1e-6, 0.3
_MARGINS = (3e-3, 3e-4, 3e-5, 0.0)
"""Of β_d: how far inside programs are solved, and how closely, until the descent has nearly stalled."""
_SLOPE, _ROOT_STEPS, _NEWTON_STEPS = 1e-7, 60, 40
_PATIENCE, _LEAST_PROGRESS = 5, 0.95
"""Elastic steps without a smaller violation, after which a start is given up."""
_CHEAPEST, _DEAR, _DEAREST, _TIGHT = 1e2, 1e5, 1e8, 3e-3
"""The range of the elastic price, and by how much of itself β is made smaller there."""

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
    """Neurons of the reverse-convex half, tangents ⟨A, Y⟩ + c ≤ h_X + β of the convex half; how long each idled."""

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

    An infeasible start first takes elastic steps, whose violations are paid for ever more dearly. A program for β less
    a margin is closed to within that margin, so that its optimum is feasible; margins shrink as the descent stalls.

    Returns:
        The number of steps.
    """
    cuts, walk = _Cuts.empty(target), _Walk(target, Y)
    if target.is_feasible(walk.gaps):
        offer(Y, walk.gaps)
    for step in range(1, max_steps + 1):
        level = 0.9 * worst(walk.gaps) if target.beta is None else target.beta * (1.0 - 1e-3)
        cuts.add(target, walk.gaps, level, walk.G)
        found = _closed(target, walk, cuts, deadline)
        walk.move(found)
        if found is not None and target.is_feasible(found[1]):
            offer(*found)
        if walk.is_over or time.perf_counter() > deadline:
            return step
    return max_steps


class _Walk:
    """Where the descent is: the iterate, whether steps are elastic, the margin of β, what the last step gained."""

    def __init__(self, target: NeuronTarget, Y: Float64) -> None:
        self.target, self.Y = target, Y
        self.G = target.output(Y)
        self.gaps = target.gaps(self.G)
        yardstick = target.beta if target.beta is not None else max(worst(self.gaps), 1e-12)
        self.margins = [margin * yardstick for margin in _MARGINS]
        self.price, self.cost, self.least, self.waited = _CHEAPEST, np.inf, np.inf, 0
        self.is_elastic = not target.is_feasible(self.gaps)
        self.is_over = False

    @property
    def slack(self) -> float:
        """How far the closed program may be off."""
        return max(self.margins[0], self.target.slack)

    @property
    def beta(self) -> float:
        """What the program asks for."""
        assert self.target.beta is not None
        return self.target.beta * (1.0 - _TIGHT) if self.is_elastic else self.target.beta - self.margins[0]

    @property
    def rounds(self) -> int:
        """How often cuts may be added to one program."""
        return _ROUNDS if not self.is_elastic else _DEAR_ROUNDS if self.price > _DEAR else _CHEAP_ROUNDS

    def move(self, found: tuple[Float64, Gaps] | None) -> None:
        """On to what the program found; ``is_over`` where nothing more is to be gained."""
        if self.is_elastic and found is not None:
            self._go(*found)
            self._after_elastic()
        elif found is None or not self.target.is_feasible(found[1]):  # no solution this far inside, or never closed
            self._next_margin()
        else:
            self._go(*found)
            last, self.cost = self.cost, self.target.cost(*found)
            if last - self.cost <= max(_STALLED, self.margins[0] * _STALLED_AT_MARGIN) * self.cost:
                self._next_margin()

    def _go(self, Y: Float64, gaps: Gaps) -> None:
        self.Y, self.G, self.gaps = Y, self.target.output(Y), gaps

    def _next_margin(self) -> None:
        """A smaller margin; after the last the descent is over."""
        self.is_over = len(self.margins) == 1
        self.margins = self.margins[1:] or self.margins

    def _after_elastic(self) -> None:
        """Feasible: on without prices. Else dearer; over where the violation has stopped falling."""
        if self.target.is_feasible(self.gaps):
            self.is_elastic = False
            return
        excess = worst(self.gaps) - (self.target.beta or 0.0)
        self.waited = 0 if excess < _LEAST_PROGRESS * self.least else self.waited + 1
        self.least = min(self.least, excess)
        self.is_over = self.waited >= _PATIENCE
        self.price = min(3.0 * self.price, _DEAREST)


def _closed(target: NeuronTarget, walk: _Walk, cuts: _Cuts, deadline: float) -> tuple[Float64, Gaps] | None:
    """The program linearised at the iterate, with cuts until the oracle finds none; None where it has no solution."""
    G0, found = walk.G, None
    size = 1.0 / (float(np.linalg.norm(walk.Y)) or 1.0)
    for _ in range(walk.rounds):
        A, r = cuts.program(target, G0)
        if target.beta is None:
            y, multipliers, t = least_penalised(A, r, target.kappa)
        elif walk.is_elastic:
            t = walk.beta
            y, multipliers = least_elastic(A, r - t, walk.price, (walk.Y if found is None else found[0]).ravel())
        else:
            t = walk.beta
            solved = least_norm(A, r - t, size)
            if solved is None:
                return None
            y, multipliers = solved
        Y = y.reshape(target.shape)
        cuts.age(multipliers)
        G = target.output(Y)
        gaps = target.gaps(G)
        found = Y, gaps
        if worst(gaps) <= t + walk.slack or time.perf_counter() > deadline:
            break
        if not cuts.add(target, gaps, t + 0.5 * walk.slack, G):
            break
    return found


def least_elastic(A: Float64, b: Float64, price: float, start: Float64) -> tuple[Float64, Float64]:
    """min ½‖x‖² + (price/2)‖(b − Ax)₊‖² by Newton's method: quadratic once the violated rows J are known.

    x ← x + t((I + price·A_JᵀA_J)⁻¹ price·A_Jᵀb_J − x), t halved until the objective falls.

    Args:
        A, b: (k, m) and (k,). start: (m,).

    Returns:
        (x, multipliers price·(b − Ax)₊).

    >>> x, y = least_elastic(np.array([[1.0]]), np.array([2.0]), 1.0, np.zeros(1))
    >>> x.tolist(), y.tolist()
    ([1.0], [1.0])
    """
    x = start

    def objective(point: Float64) -> float:
        return 0.5 * float(point @ point) + 0.5 * price * float(np.sum(np.maximum(b - A @ point, 0.0) ** 2))

    value = objective(x)
    for _ in range(_NEWTON_STEPS):
        J = A @ x < b
        H = np.eye(len(x)) + price * (A[J].T @ A[J])
        step = np.linalg.solve(H, price * (A[J].T @ b[J])) - x
        for t in 0.5 ** np.arange(20):
            moved = x + t * step
            following = objective(moved)
            if following < value:
                break
        if not following < value * (1.0 - 1e-12):
            break
        x, value = moved, following
    return x, np.asarray(price * np.maximum(b - A @ x, 0.0))


def least_penalised(A: Float64, r: Float64, kappa: float) -> tuple[Float64, Float64, float]:
    """min (κ/2)‖x‖² + t  s.t.  Ax ≥ r − t, t ≥ 0, by the root of V'(t) = −1 with V(t) = min (κ/2)‖x‖², Ax ≥ r − t.

    −V'(t) is the sum of the multipliers, decreasing and piecewise linear, so that false position ends soon.

    Args:
        A, r: (k, m) and (k,). kappa: κ > 0.

    Returns:
        (x, multipliers, t).

    >>> x, y, t = least_penalised(np.array([[1.0]]), np.array([2.0]), 1.0)
    >>> x.round(6).tolist(), round(t, 6)
    ([1.0], 1.0)
    """
    low, high = 0.0, max(float(r.max(initial=0.0)), 0.0)
    best: tuple[Float64, Float64, float] = (np.zeros(A.shape[1]), np.zeros(len(r)), high)
    above, below, tiny = np.inf, -1.0, _SLOPE * high  # Σ multipliers − 1 at low and at high
    t = low
    for _ in range(_ROOT_STEPS):
        if high - low <= tiny:
            break
        found = least_norm(A, r - t)
        multipliers = None if found is None else _multipliers(A, found, kappa)
        excess = np.inf if multipliers is None else float(multipliers.sum()) - 1.0
        if found is not None and multipliers is not None and excess <= _SLOPE:
            high, below, best = t, excess, (found[0], multipliers, t)
            above *= 0.5  # Illinois: the other end loses weight
            if t == 0.0 or excess >= -_SLOPE:
                break
        else:
            low, above, below = t, excess, 0.5 * below
        t = 0.5 * (low + high) if np.isinf(above) else (low * below - high * above) / (below - above)
        t = min(max(t, low + 0.01 * (high - low)), high - 0.01 * (high - low))
    return best


def _multipliers(A: Float64, found: tuple[Float64, Float64], kappa: float) -> Float64:
    """y ≥ 0 with Aᵀy = κx, from the direction that nonnegative least squares gives."""
    x, y = found
    combined = A.T @ y
    length = float(combined @ combined)
    return np.zeros(len(y)) if length == 0.0 else y * (kappa * float(combined @ x) / length)
