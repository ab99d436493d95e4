"""Sums of the smallest outputs g = Bc, as linear functions of c: on one order exactly, on a cone of c from one side.

With Q_w(t) = ∫_0^t q_w and U_w = Q_w(1) − Q_w, dist ≤ β ⇔ Q_x − β ≤ Q_w ≤ Q_x + β and U_x − β ≤ U_w ≤ U_x + β. In c
Q_w is concave and homogeneous: Q_w ≥ Q_x − β is implied by no order and follows from all (a selection of outputs sums
to at least what the smallest do), Q_w ≤ Q_x + β is reverse convex. On a cone c = Rα, α ≥ 0,

    Q_w(t; Rα) ≥ Σ_j α_j Q_w(t; r_j)                                                                  (superadditive)

so that Σ_j α_j Q_w(t; r_j) ≤ Q_x(t) + β is a relaxation, exact where no order changes inside the cone. U_w alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.geometry.majorization import bottom_sums

Integers = npt.NDArray[np.int64]
_FEW = 64
_CLOSE = 1e-14
"""Rows at a time, and by how much, in units of the largest b, a row may be missed."""


class Rows(NamedTuple):
    """A c ≥ b + β·relief: linear conditions on c; ``relief`` −1 where dist is bounded, 0 for α ≥ 0."""

    A: Float64
    b: Float64
    relief: Float64

    @staticmethod
    def joined(*parts: Rows) -> Rows:
        """All of them."""
        return Rows(*(np.concatenate([part[i] for part in parts]) for i in range(3)))


@dataclass(frozen=True, eq=False)
class OrderedSums:
    """The game of outputs g = Bc against sorted data.

    ``B`` (m, r), ``weight`` w_f; at the kinks of Q_x, k/n_r, the last being 1: ``floor`` and ``part`` say where they
    are among the outputs, ``real`` is Q_x there; ``nodes`` is Q_x at j/m, j = 1, …, m.
    """

    B: Float64
    weight: float
    floor: Integers
    part: Float64
    real: Float64
    nodes: Float64

    @classmethod
    def of(cls, x: Float64, B: Float64, weight: float) -> OrderedSums:
        """From the samples x (n,), in any order."""
        x, n, m = np.sort(x), len(x), len(B)
        kinks = np.append(np.flatnonzero(np.diff(x) > 0.0) + 1, n)
        Q, places = weight * m * bottom_sums(x) / n, np.arange(n + 1) / n
        nodes = np.interp(np.arange(1, m + 1) / m, places, Q)
        return cls(B, weight, kinks * m // n, (kinks * m % n) / n, Q[kinks], nodes)

    @property
    def total(self) -> float:
        """Q_x(1), the first moment of the data."""
        return float(self.real[-1])

    def at_kinks(self, sums: Float64) -> Float64:
        """Partial sums (m, …) of the outputs, interpolated at the kinks of Q_x."""
        padded = np.concatenate([np.zeros_like(sums[:1]), sums, sums[-1:]])
        part = self.part.reshape(-1, *([1] * (sums.ndim - 1)))
        return np.asarray((1.0 - part) * padded[self.floor] + part * padded[self.floor + 1])

    def order(self, c: Float64) -> Integers:
        """The outputs of c, smallest first."""
        return np.argsort(self.B @ c, kind="stable")

    def sorted_sums(self, C: Float64) -> Float64:
        """Partial sums, smallest first, of the outputs of each column of C (r, k): shape (m, k)."""
        return self.weight * np.cumsum(np.sort(self.B @ C, axis=0), axis=0)

    def cuts(self, order: Integers) -> Rows:
        """The convex half, by one order: necessary for dist ≤ β whatever c is, sufficient where c has that order."""
        sums = self.weight * np.cumsum(self.B[order], axis=0)
        upper = sums[:-1] - sums[-1]  # −U_w
        A = np.concatenate([sums, upper])
        b = np.concatenate([self.nodes, self.nodes[:-1] - self.total])
        return Rows(A, b, np.full(len(b), -1.0))

    def restriction(self, order: Integers) -> Rows:
        """The reverse convex half made linear by one order: sufficient, exact where c has that order."""
        return self._reverse(self.at_kinks(self.weight * np.cumsum(self.B[order], axis=0)))

    def relaxation(self, rays: Float64, values: Float64) -> Rows:
        """The reverse convex half on the cone of the columns of ``rays`` (r, r), and the cone itself: necessary.

        ``values`` (K, r): Q_w at the kinks for each ray.
        """
        inverse = np.asarray(np.linalg.inv(rays), dtype=np.float64)
        cone = Rows(inverse, np.zeros(len(inverse)), np.zeros(len(inverse)))
        return Rows.joined(self._reverse(values @ inverse), cone)

    def _reverse(self, Q: Float64) -> Rows:
        """−Q_w ≥ −Q_x − β and U_w ≥ U_x − β at the kinks, Q_w given as linear functions (K, r)."""
        A = np.concatenate([-Q, Q[-1] - Q[:-1]])
        b = np.concatenate([-self.real, self.total - self.real[:-1]])
        return Rows(A, b, np.full(len(b), -1.0))

    def dist(self, c: Float64) -> float:
        """max |Q_w − Q_x|, |U_w − U_x| at every kink and node."""
        sums = self.sorted_sums(c[:, None])[:, 0]
        below = np.concatenate([self.at_kinks(sums) - self.real, sums - self.nodes])
        return float(max(np.abs(below).max(), np.abs(below[-1] - below).max()))


class LeastPoint(NamedTuple):
    """min ½‖c‖² s.t. A c ≥ b − β: the point, or None where there is none, and the prices u ≥ 0, up to a factor."""

    c: Float64 | None
    u: Float64


def least_point(rows: Rows, beta: float) -> LeastPoint:
    """Lawson and Hanson's least distance program, by nonnegative least squares: min ‖(Aᵀu, bᵀu − 1)‖ over u ≥ 0.

    Reference: Lawson and Hanson, Solving Least Squares Problems (1974), Chapter 23.
    """
    b = rows.b + beta * rows.relief
    lengths = np.linalg.norm(rows.A, axis=1)
    lengths[lengths == 0.0] = 1.0
    A, b = rows.A / lengths[:, None], b / lengths
    unit = float(np.abs(b).max()) or 1.0
    chosen = np.unique(np.linspace(0, len(b) - 1, _FEW, dtype=np.int64)) if len(b) > 2 * _FEW else np.arange(len(b))
    while True:  # a few rows at a time: those that are violated most join
        u = np.zeros(len(b))
        u[chosen], c = _solved(A[chosen], b[chosen] / unit)
        if c is None:
            return LeastPoint(None, u / lengths)
        missed = b / unit - A @ c
        missed[chosen] = 0.0
        worst = np.argpartition(missed, -min(len(b), _FEW // 4))[-_FEW // 4 :]
        worst = worst[missed[worst] > _CLOSE]
        if len(worst) == 0:
            return LeastPoint(unit * c, u / lengths)
        chosen = np.union1d(chosen, worst)


def _solved(A: Float64, b: Float64) -> tuple[Float64, Float64 | None]:
    """(u, c) of the least distance program with these rows; c None where they have no common point."""
    from scipy.optimize import nnls

    E = np.concatenate([A.T, b[None, :]])
    target = np.zeros(len(E))
    target[-1] = 1.0
    try:
        u, residual = nnls(E, target, maxiter=30 * len(E) + 100)
    except RuntimeError:  # too many steps: no price is claimed, so that the cone is split further
        return np.zeros(len(b)), np.zeros(A.shape[1])
    slack = 1.0 - float(b @ u)
    return u, None if residual <= 1e-9 or slack <= 1e-16 else A.T @ u / slack


def least_value(rows: Rows, beta: float, u: Float64) -> float:
    """max over s ≥ 0 of s·(b − β)ᵀu − ½s²‖Aᵀu‖²: what the prices u prove of ½‖c‖²."""
    gain = float((rows.b + beta * rows.relief) @ u)
    size = float(np.linalg.norm(rows.A.T @ u))
    if gain <= 0.0:
        return 0.0
    return 0.5 * (gain / size) ** 2 if size > 0.0 else np.inf


@dataclass(frozen=True)
class Goal:
    """min ½‖c‖² s.t. dist ≤ β, or with a price p in place of β (norm bound, p = 1/β_g) min ½‖c‖² + p·dist."""

    beta: float | None
    price: float = 0.0

    def cost(self, game: OrderedSums, c: Float64) -> float:
        """What c costs, inf where it is too far."""
        dist = game.dist(c)
        if self.beta is None:
            return 0.5 * float(c @ c) + self.price * dist
        return 0.5 * float(c @ c) if dist <= self.beta * (1.0 + 1e-9) else np.inf

    def point(self, rows: Rows) -> tuple[LeastPoint, float]:
        """The least point, and the distance t at which it is one: β, or where a longer t costs as much as it saves."""
        if self.beta is not None:
            return least_point(rows, self.beta), self.beta
        low, high = 0.0, float(np.maximum(rows.b, 0.0).max())  # at t = high c = 0 will do
        below, above = least_point(rows, low), least_point(rows, high)
        if self._saved(rows, below) <= self.price:
            return below, low
        for _ in range(40):
            middle = 0.5 * (low + high)
            point = least_point(rows, middle)
            if self._saved(rows, point) > self.price:
                low, below = middle, point
            else:
                high, above = middle, point
            if high - low <= 1e-11 * high:
                break
        return LeastPoint(above.c, self._mixed(rows, below, above)), high

    def _mixed(self, rows: Rows, below: LeastPoint, above: LeastPoint) -> Float64:
        """Prices of total p between those of two neighbouring distances, where −d(½‖c‖²)/dt jumps.

        Where nothing is as near as the first its prices are a ray, of which as much is added as p allows.
        """
        few, many = self._saved(rows, above), self._saved(rows, below)
        own, total = _of_total(rows, above.u, few), -float(rows.relief @ below.u)
        if below.c is None:
            return own + below.u * ((self.price - few) / total) if total > 0.0 else own
        share = min(1.0, max(0.0, (self.price - few) / (many - few))) if many > few else 0.0
        return own + share * (_of_total(rows, below.u, many) - own)

    @staticmethod
    def _saved(rows: Rows, point: LeastPoint) -> float:
        """−d(½‖c‖²)/dt, the prices of dist: inf where nothing is as near as t."""
        if point.c is None:
            return np.inf
        size = float(np.linalg.norm(rows.A.T @ point.u))
        total = -float(rows.relief @ point.u)
        return total * float(np.linalg.norm(point.c)) / size if size > 0.0 else 0.0

    def bound(self, rows: Rows, u: Float64) -> float:
        """What the prices u prove of the cost: with a price on dist s·Σu ≤ p in place of −βΣu."""
        if self.beta is not None:
            return least_value(rows, self.beta, u)
        gain, size, total = float(rows.b @ u), float(np.linalg.norm(rows.A.T @ u)), -float(rows.relief @ u)
        if gain <= 0.0 or total <= 0.0:
            return 0.0
        s = min(self.price / total, gain / size**2 if size > 0.0 else np.inf)
        return s * gain - 0.5 * (s * size) ** 2


def _of_total(rows: Rows, u: Float64, total: float) -> Float64:
    """u scaled so that the prices of dist sum to ``total``."""
    found = -float(rows.relief @ u)
    return u * (total / found) if found > 0.0 else u
