"""The population game in the plane as one second-order cone program: a shortest tour of discs.

The zonotope of X is a polygon with vertices v_j. A zonotope Q of atoms satisfies h_X ≤ h_Q + β when it meets every
disc of radius β around a vertex. Q is symmetric about c/2, c the sum of its atoms, so that it meets the disc of the
antipode v'_j where c − Q meets it: half a turn around Q passes points P_i for all discs, in a known order. Every slot
between two points holds two atoms, g and −f, whose partial sums walk along the boundary of Q:

    min Σ‖g_i‖ + ‖f_i‖  s.t.  P_0 = −Σf_i,  P_{i+1} = P_i + g_i + f_i,  c = P_0 + P_N,
    ‖P_i − v_j‖ ≤ β for the discs of vertices,  ‖c − P_i − v'_j‖ ≤ β for those of antipodes.

With 0 far inside the polygon Q has its centre, c = m = Σx_i, and P_j meets both discs of vertex j. Near the boundary,
or where all data are in one half plane, δ = c − m is not 0. In a direction u normal at v_j one of the two discs is then
nearer by uᵀδ: only the other one is met from outside, and only the vertex at which uᵀδ changes its sign keeps two
points. The multipliers of the discs are neurons. The programs propose, both oracles of the game judge: that Q never
sticks out of the polygon by more than β is not asked for, and where it would the exchange goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.bitsets import Bools
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima
from convexwgan.solvers.conic.tour_program import Discs, TourPoint, solve_tour

_ROUNDS = 12
_FULL_STEPS = 3
_CORNER = 1e-7
_OUTSIDE = 1e-7
_ACTIVE = 1e-9
_SMALLEST = 1e-10
_STRAIGHT = 1e-9
_INSIDE = 1e-8
_EXACT = 1e-13
_CENTRED = 1e-6


@dataclass(frozen=True, eq=False)
class Tour:
    """Atoms as vectors (k, 2), neurons as unit vectors (m, 2) with multipliers λ > 0."""

    vectors: Float64
    neurons: Float64
    multipliers: Float64


@dataclass(frozen=True, eq=False)
class _Walk:
    """Vertices v_j and their antipodes v'_j (n, 2), and the sample that is passed after each (n, 2)."""

    corners: Float64
    opposite: Float64
    steps: Float64

    @property
    def count(self) -> int:
        """n."""
        return len(self.steps)

    def facing(self, shift: Float64) -> tuple[Bools, Bools]:
        """Which discs can be met where c − m = shift, (n, 2) for v_j and v'_j; whether v'_j is then met first, (n,).

        That of v_j where uᵀshift < 0 for a normal u at v_j, that of v'_j where uᵀshift ≥ 0. Walking counterclockwise u
        is the tangent turned by −π/2. v'_j is met first where the tangent points against the shift.
        """
        unit = self.steps / np.linalg.norm(self.steps, axis=1)[:, None]
        before = np.concatenate([-unit[-1:], unit[:-1]])
        across = np.array([-shift[1], shift[0]])  # uᵀshift = tangentᵀacross
        ahead, behind = unit @ across, before @ across
        chosen = np.column_stack([np.minimum(ahead, behind) < 0.0, np.maximum(ahead, behind) >= 0.0])
        return chosen, np.asarray((before + unit) @ shift < 0.0)

    def discs(self, asked: Bools, antipode_first: Bools | None) -> Discs:
        """Discs asked for (n, 2), each met by its own point; with no order both discs of a vertex by one."""
        n = self.count
        role = np.tile([False, True], (n, 1)) if antipode_first is None else antipode_first[:, None] ^ [False, True]
        owner = np.repeat(np.arange(n), 2)
        flat = role.ravel()
        kept = asked[owner, flat.astype(np.int64)]
        owner, flat = owner[kept], flat[kept]
        centres = np.where(flat[:, None], self.opposite[owner], self.corners[owner])
        at = owner if antipode_first is None else np.arange(len(owner))
        return Discs(centres, flat, owner, at, n if antipode_first is None else len(owner))


@dataclass(eq=False)
class _Request:
    """Which discs the next program asks for: (n, 2), for v_j and v'_j.

    ``shift``: c − m of the last solution, None while Q has the centre of the data. ``extra``: discs that were missed
    though they do not face the shift. ``dropped``: discs that other points of Q meet.
    """

    shift: Float64 | None
    extra: Bools
    dropped: Bools

    def discs(self, walk: _Walk) -> Discs:
        """All but the dropped ones around the centre of the data, else those facing the shift and the extra ones."""
        if self.shift is None:
            return walk.discs(~self.dropped, None)
        facing, antipode_first = walk.facing(self.shift)
        return walk.discs((facing | self.extra) & ~self.dropped, antipode_first)

    def revised(self, moved: Float64, missed: Bools, strange: Bools, damp: bool) -> _Request:
        """The next request: a full step to the new shift first, half steps where it went to and fro."""
        shift = moved if self.shift is None or not damp else 0.5 * (self.shift + moved)
        return _Request(shift, (self.extra | missed) & ~strange, (self.dropped | strange) & ~missed)


def tours(X: Float64, beta: float | None, kappa: float = 1.0) -> Iterator[Tour]:
    """Better and better candidates for min Σ‖g_i‖ + ‖f_i‖ [norm bound: (κ/2)(·)² + t with discs of radius t].

    First with the centre of the data, then with the centre that the last one chose; ends when no disc is missed and no
    force is strange, or after some rounds.

    Args:
        X: data, weights included, shape (n, 2), no row 0, of total length near 1. beta: β_d, None under a norm bound.
    """
    walk, m, none = _walk(X), X.sum(axis=0), np.zeros((len(X), 2), dtype=np.bool_)
    request = _Request(None, none, none)
    radius = None if beta is None else beta * (1.0 - _INSIDE)  # feasible in spite of rounding
    for turn in range(_ROUNDS):
        discs = request.discs(walk)
        found = solve_tour(discs, radius, kappa) if len(discs.at) else None
        if found is None:
            return
        tour = _tour_of(found)
        yield tour
        moved = tour.vectors.sum(axis=0) - m
        if request.shift is None and np.linalg.norm(moved) > _CENTRED * found.radius:
            request = _Request(moved, none, none)
            continue
        missed, strange = _missed(X, walk, tour, found.radius), _strange(X, found, discs)
        if not (missed.any() or strange.any()):
            return
        revised = request.revised(moved, missed, strange, turn >= _FULL_STEPS)
        request = replace(revised, shift=None) if request.shift is None else revised


def _tour_of(found: TourPoint) -> Tour:
    """Atoms that are not 0, neurons along the forces of the discs."""
    lam = np.linalg.norm(found.forces, axis=1)
    active = lam > _ACTIVE * max(float(lam.max(initial=0.0)), 1e-300)
    vectors = fewer_atoms(found.vectors)
    vectors = vectors[np.linalg.norm(vectors, axis=1) > _SMALLEST]
    return Tour(vectors, found.forces[active] / lam[active][:, None], lam[active])


def fewer_atoms(vectors: Float64) -> Float64:
    """The same zonotope from fewer atoms: slots [g; −f] (2N, 2) in, at most N + 2 vectors that are not 0 out.

    Atoms a θ and −b θ of one slot add (a + b)|θᵀu|/2 + (a − b)θᵀu/2 to h: only a + b and Σ(a − b)θ matter. Moving the
    differences t = a − b along Σ v_iθ_i = 0 until one reaches ±(a + b) ends with two of them inside.

    >>> fewer = fewer_atoms(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [-1.0, -1.0]]))
    >>> int(fewer.any(axis=1).sum()) <= 5, fewer.sum(axis=0).tolist()
    (True, [0.0, 0.0])
    """
    g, f = vectors[: len(vectors) // 2], -vectors[len(vectors) // 2 :]
    a, b = np.linalg.norm(g, axis=1), np.linalg.norm(f, axis=1)
    edge = np.linalg.norm(g + f, axis=1)
    straight = np.flatnonzero((a + b - edge <= _STRAIGHT * (a + b)) & (edge > 0.0))
    theta, most = (g + f)[straight] / edge[straight][:, None], (a + b)[straight]
    total = (g - f)[straight].sum(axis=0)
    t = _at_bounds(theta, total, (a - b)[straight], most)
    if not ((np.abs(t) <= most).all() and np.abs(t @ theta - total).max(initial=0.0) <= _EXACT * most.sum()):
        return vectors  # directions too close to each other for exact steps
    out = vectors.copy()
    out[straight], out[len(g) + straight] = 0.5 * (most + t)[:, None] * theta, -0.5 * (most - t)[:, None] * theta
    return out


def _at_bounds(theta: Float64, total: Float64, t: Float64, most: Float64) -> Float64:
    """t' near t in that Σ t'_iθ_i = total, and with |t'_i| = most_i for all but two i."""
    t, free = np.clip(t, -most, most), [int(i) for i in np.flatnonzero(np.abs(t) < most)]
    while len(free) > 2:
        three = free[-3:]
        v = np.cross(theta[three, 0], theta[three, 1])
        if not np.abs(v).max() > _STRAIGHT:  # parallel: two of them are enough
            v = np.array([1.0, -float(theta[three[0]] @ theta[three[1]]), 0.0])
        room = np.where(v > 0.0, most[three] - t[three], most[three] + t[three])
        steps = np.where(v != 0.0, room / np.where(v != 0.0, np.abs(v), 1.0), np.inf)
        first = int(steps.argmin())
        t[three] += steps[first] * v
        t[three[first]] = np.copysign(most[three[first]], v[first])
        free.remove(three[first])
    if len(free) == 2 and abs(np.linalg.det(theta[free])) > _STRAIGHT:  # what rounding left
        t[free] += np.linalg.solve(theta[free].T, total - t @ theta)
    return np.asarray(t)


def _strange(X: Float64, found: TourPoint, discs: Discs) -> Bools:
    """Discs whose force does not point where their vertex is the zonotope's corner: other points of Q meet them."""
    lam = np.linalg.norm(found.forces, axis=1)
    active = lam > _ACTIVE * max(float(lam.max(initial=0.0)), 1e-300)
    u = found.forces / np.where(active, lam, 1.0)[:, None]
    excess = relu_sum(X, np.ones(len(X)), u) - np.einsum("ij,ij->i", u, discs.centres)
    bad = active & (excess > _CORNER)
    strange = np.zeros((len(X), 2), dtype=np.bool_)
    strange[discs.owner[bad], discs.is_opposite[bad].astype(np.int64)] = True
    return strange


def _missed(X: Float64, walk: _Walk, tour: Tour, radius: float) -> Bools:
    """Discs around the corners in all directions in which the zonotope is farther from Q than ``radius``."""
    rows, weights = np.concatenate([X, tour.vectors]), np.repeat([1.0, -1.0], [len(X), len(tour.vectors)])
    found = sphere_maxima(rows, weights)
    u = found.points[found.values > radius * (1.0 + _OUTSIDE) + 1e-12]
    heights = relu_sum(X, np.ones(len(X)), u)
    corners = [u @ points.T > heights[:, None] - _CORNER for points in (walk.corners, walk.opposite)]
    return np.column_stack([found.any(axis=0) for found in corners])


def _walk(X: Float64) -> _Walk:
    upper = (X[:, 1] > 0.0) | ((X[:, 1] == 0.0) & (X[:, 0] > 0.0))
    turned = np.where(upper[:, None], X, -X)
    order = np.argsort(np.arctan2(turned[:, 1], turned[:, 0]), kind="stable")
    turned, upper = turned[order], upper[order][:, None]
    zero = np.zeros((1, 2))
    up = np.concatenate([zero, np.cumsum(np.where(upper, turned, 0.0), axis=0)])
    down = np.concatenate([zero, np.cumsum(np.where(upper, 0.0, turned), axis=0)])
    return _Walk((up - (down[-1] - down))[:-1], ((up[-1] - up) - down)[:-1], turned)
