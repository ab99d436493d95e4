"""Descent with anchored corners: every corner of the zonotope of X keeps the point of the zonotope of G nearest to it.

h_X ≤ h_G + β says that every corner p_k of Σ_i[0, x_i] is within β of a point Σ_iλ_ig_i, 0 ≤ λ_i ≤ 1. With λ fixed that
is convex in G, and stays true at the G where λ was read off: another inner approximation of the reverse-convex half,
finer than a pattern of signs where a corner is nearest to the middle of an edge.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import TURN
from convexwgan.geometry.sectors import rays
from convexwgan.solvers.linearised_zonotopes import Target, least_norm

_STEPS, _CUTS = 60, 60
_STALLED, _SLOW, _HOPELESS = 1e-6, 3e-3, 1.03
_NEAR = 0.7
"""Corners farther than this part of β at the iterate get their cut at once."""
_FLAT = 1e-9


def corners(X: Float64) -> Float64:
    """Corners of the zonotope Σ_i[0, x_i] in the plane, each at least once, shape (2k, 2) for k rows that are not 0.

    >>> corners(np.eye(2)).astype(int).tolist()
    [[1, 1], [0, 1], [0, 0], [1, 0]]
    """
    rows = X[X.any(axis=1)]
    if len(rows) == 0:
        return np.zeros((1, 2))
    return np.asarray(_sides(rows)[2] @ rows)


def _sides(rows: Float64) -> tuple[Float64, Float64, Float64]:
    """The edges of Σ[0, r_i] counterclockwise: normals (2k, 2), and which rows its first and its last corner add up."""
    angle = np.arctan2(rows[:, 1], rows[:, 0])
    turn = np.sort(np.mod(np.concatenate([angle - 0.5 * np.pi, angle + 0.5 * np.pi]), TURN))
    middle = turn + 0.5 * np.diff(turn, append=turn[0] + TURN)
    last = (rays(middle) @ rows.T > 0.0).astype(np.float64)
    return rays(turn), np.roll(last, 1, axis=0), last


def anchors(G: Float64, P: Float64) -> Float64:
    """λ (k, n) in [0, 1] with Σ_iλ_{ki}g_i the point of Σ_i[0, g_i] nearest to p_k, p_k itself where that is inside.

    >>> anchors(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 0.5]])).round(9).tolist()
    [[0.5, 1.0], [0.5, 0.5]]
    """
    size = np.linalg.norm(G, axis=1)
    kept = np.flatnonzero(size > _FLAT * float(size.max(initial=0.0)))
    found = np.zeros((len(P), len(G)))
    if len(kept):
        found[:, kept] = _anchors(G[kept], P)
    return found


def _anchors(G: Float64, P: Float64) -> Float64:
    normals, first, last = _sides(G)
    start, edge = first @ G, (last - first) @ G
    each = np.arange(len(P))
    along = _along(P[:, None, :] - start, edge)
    nearest = np.linalg.norm(P[:, None, :] - start - along[:, :, None] * edge, axis=2).argmin(axis=1)
    found = first[nearest] + along[each, nearest][:, None] * (last - first)[nearest]
    centre = 0.5 * G.sum(axis=0)
    support = 0.5 * np.abs(normals @ G.T).sum(axis=1)  # of the zonotope around its centre
    reach = ((P - centre) @ normals.T) / np.maximum(support, 1e-300)
    side = reach.argmax(axis=1)
    rho = reach[each, side]
    inside = rho < 1.0
    border = centre + (P - centre) / np.maximum(rho, 1e-12)[:, None]
    t = _along((border - start[side])[:, None, :], edge[side][:, None, :])
    through = first[side] + t * (last - first)[side]
    found[inside] = (0.5 + rho[:, None] * (through - 0.5))[inside]  # on the ray from the centre, where λ = ½
    return np.asarray(found)


def _along(D: Float64, edge: Float64) -> Float64:
    """Where the foot of D is on the edge: 0 at its first end, 1 at its last."""
    part = (D * edge).sum(axis=-1) / np.maximum((edge * edge).sum(axis=-1), 1e-300)
    return np.asarray(np.clip(part, 0.0, 1.0))


def anchored(
    target: Target,
    G: Float64,
    offer: Callable[[Float64], None],
    best: float = np.inf,
    deadline: float = np.inf,
    max_steps: int = _STEPS,
) -> bool:
    """Steps from any G, feasible or not, each a least-norm problem closed by cuts; every feasible output is offered.

    ``best``: the cost ½‖G‖_F² to beat; a descent that slows down far above it is given up.

    Returns:
        Whether a feasible output was met.
    """
    P, cost, is_met = corners(target.X), np.inf, False
    for _ in range(max_steps):
        found = _step(target, G, P, anchors(G, P), deadline)
        if found is None or not target.is_feasible(found):
            return is_met
        G, last, cost, is_met = found, cost, float(np.sum(found * found)), True
        offer(G)
        slow = _STALLED if 0.5 * cost < _HOPELESS * best else _SLOW
        if cost >= last * (1.0 - slow) or time.perf_counter() > deadline:
            return True
    return is_met


def _step(target: Target, G: Float64, P: Float64, weights: Float64, deadline: float) -> Float64 | None:
    """min ‖G'‖ s.t. ‖p_k − Σλ_{ki}g'_i‖ ≤ β and h_{G'} ≤ h_X + β, by cuts; None where there is no such G'."""
    rows, bounds = np.zeros((0, G.size)), np.zeros(0)
    for turn in range(_CUTS):
        rest = P - weights @ G
        length = np.linalg.norm(rest, axis=1)
        far = length > target.beta * (_NEAR if turn == 0 else 1.0 + 1e-9)
        u = rest[far] / np.maximum(length[far], 1e-300)[:, None]
        above = _above(target, G, 1.0 - 1e-3 if turn == 0 else 1.0)
        if turn and not far.any() and len(above) == 0:
            return G
        near = (weights[far][:, :, None] * u[:, None, :]).reshape(len(u), G.size)
        active = (above @ G.T > 0.0).astype(np.float64)
        over = (active[:, :, None] * above[:, None, :]).reshape(len(above), G.size)
        rows = np.concatenate([rows, near, -over])
        below = np.einsum("ij,ij->i", P[far], u) - target.beta
        bounds = np.concatenate([bounds, below, -target.h(above) - target.beta])
        found = least_norm(rows, bounds, float(np.sqrt(len(G))))
        if found is None or time.perf_counter() > deadline:
            return None
        held = found[1] > 0.0  # the norm only grows: cuts that were idle are not missed, or come back
        G, rows, bounds = found[0].reshape(G.shape), rows[held], bounds[held]
    return G


def _above(target: Target, G: Float64, part: float) -> Float64:
    """Neurons with h_G > h_X + part·β."""
    points, values = target.gaps(G)[1]
    return points[values > part * target.beta + (target.slack if part == 1.0 else 0.0)]
