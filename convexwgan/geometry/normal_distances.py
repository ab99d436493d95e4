"""Piecewise means of Gaussian output against data: an ellipsoid against a zonotope, and what tells them apart.

For z ~ N(0, I) and a linear generator x = Wᵀz a ReLU neuron sees E(xᵀu)₊ = c‖Wu‖, c = 1/√(2π): the support function
of an ellipsoid. Against data with h_X(u) = Σ_i w_i(x_iᵀu)₊

    dist(W) = max_{‖u‖≤1} |h_X(u) − c‖Wu‖|,

on each cell of the rows of X the difference of a linear function and a norm. On an arc of the circle its stationary
points are the roots of a quartic, so that in the plane the maximum is found exactly; above it is searched.
"""

from __future__ import annotations

import math

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.relu_distances import BELOW, EXACT, Excess, ReluDistance
from convexwgan.geometry.relu_sums import Maxima, relu_sum

NORMAL_MEAN = 1.0 / math.sqrt(2.0 * math.pi)
"""c = E(ζ)₊ for ζ ~ N(0, 1)."""
EXACT_DIMENSION = 2
_RANK = 1e-12
_GRID, _PROBES, _SHRINKS = 160, 24, 45


def normal_support(W: Float64, points: Float64) -> Float64:
    """c‖Wu‖ = E(zᵀWu)₊ at each row u of ``points`` (k, d), for W (p, d): shape (k,).

    >>> float(normal_support(np.array([[3.0, 4.0]]), np.array([[0.0, 1.0]]))[0].round(9))
    1.595769122
    """
    return np.asarray(NORMAL_MEAN * np.linalg.norm(points @ W.T, axis=1))


def normal_maxima(
    rows: Float64,
    weights: Float64,
    W: Float64,
    sign: float,
    rng: int | np.random.Generator = 0,
    starts: int = 24,
) -> Maxima:
    """Local maxima of F(u) = ±(Σ_i w_i(x_iᵀu)₊ − c‖Wu‖) over ‖u‖ = 1, the global one among them for d ≤ 2.

    Args:
        rows: x_i, shape (n, d). weights: w_i ≥ 0, shape (n,). W: shape (p, d).
        sign: 1.0 for neurons that see too little generated, −1.0 for too much.
        rng, starts: of the search for d > 2.

    Returns:
        Maxima, never empty, largest first.

    >>> found = normal_maxima(np.eye(2), np.ones(2), np.zeros((2, 2)), 1.0)
    >>> float(found.values[0].round(12)), found.points[0].round(6).tolist(), found.is_exact
    (1.414213562373, [0.707107, 0.707107], True)
    """
    d = rows.shape[1]
    if d == 1:
        points = np.array([[1.0], [-1.0]])
    elif d == 2:
        points = _plane_maxima(rows, weights, W, sign)
    else:
        points = _searched(rows, weights, W, sign, np.random.default_rng(rng), starts)
    values = sign * (relu_sum(rows, weights, points) - normal_support(W, points))
    order = np.argsort(-values, kind="stable")
    return Maxima(points[order], values[order], d <= EXACT_DIMENSION)


def _plane_maxima(rows: Float64, weights: Float64, W: Float64, sign: float) -> Float64:
    """Stationary points and kinks of F on the circle that no neighbour among them exceeds.

    Kinks are the ends of arcs and, for W of rank 1, where Wu = 0; for W = 0 the gradients are stationary.
    """
    middle, width, g = _arcs(rows, weights)
    phi = np.column_stack([_stationary(middle, g, W), _from(middle, np.arctan2(g[:, 1], g[:, 0]))])
    inside = np.isfinite(phi) & (np.abs(phi) <= 0.5 * width[:, None])
    angles = np.concatenate([(middle[:, None] + np.where(inside, phi, 0.0))[inside], middle - 0.5 * width])
    axes = np.linalg.eigh(W.T @ W)[1]
    axis = np.arctan2(axes[1], axes[0])
    angles = np.unique(np.concatenate([angles, middle, axis, axis + np.pi]) % (2 * np.pi))
    points = np.column_stack([np.cos(angles), np.sin(angles)])
    values = sign * (_arc_values(points, angles, middle - 0.5 * width, g) - normal_support(W, points))
    peak = (values >= np.roll(values, 1)) & (values >= np.roll(values, -1))
    return np.asarray(points[peak])


def _from(middle: Float64, angle: Float64) -> Float64:
    """angle − middle in [−π, π)."""
    return np.asarray((angle - middle + np.pi) % (2 * np.pi) - np.pi)


def _arcs(rows: Float64, weights: Float64) -> tuple[Float64, Float64, Float64]:
    """Middle angle, width and gradient Σ_{active} w_ix_i of every arc between kinks, by prefix sums; widths ≤ π/2."""
    used = rows.any(axis=1)
    rows, weighted = rows[used], (weights[:, None] * rows)[used]
    angles = np.arctan2(rows[:, 1], rows[:, 0])
    start, stop = (angles - 0.5 * np.pi) % (2 * np.pi), (angles + 0.5 * np.pi) % (2 * np.pi)
    ends = np.concatenate([start, stop, 0.5 * np.pi * np.arange(4)])
    order = np.argsort(ends, kind="stable")
    ends, jumps = ends[order], np.concatenate([weighted, -weighted, np.zeros((4, 2))])[order]
    g = weighted[stop < start].sum(axis=0) + np.cumsum(jumps, axis=0)  # on the arc that begins at ends[i]
    width = np.diff(ends, append=ends[0] + 2 * np.pi)
    wide = width > 0.0
    return (ends + 0.5 * width)[wide], width[wide], g[wide]


def _arc_values(points: Float64, angles: Float64, starts: Float64, g: Float64) -> Float64:
    """h_X = gᵀu with the gradient of the arc that holds u."""
    arc = np.searchsorted(starts % (2 * np.pi), angles, side="right") - 1
    return np.asarray(np.einsum("ij,ij->i", g[arc], points))


def _stationary(middle: Float64, g: Float64, W: Float64) -> Float64:
    """Angles φ from the middle p of each arc where gᵀu = c‖Wu‖ in slope, shape (arcs, 4); nan for complex roots.

    u = p cos φ + q sin φ, t = tan φ:   (gᵀq − t gᵀp)²(s_pp + 2t s_pq + t² s_qq) = c²((1 − t²)s_pq + t(s_qq − s_pp))².
    """
    p = np.column_stack([np.cos(middle), np.sin(middle)])
    q = np.column_stack([-np.sin(middle), np.cos(middle)])
    P, Q = p @ W.T, q @ W.T
    s_pp, s_pq, s_qq = (np.einsum("ij,ij->i", A, B) for A, B in ((P, P), (P, Q), (Q, Q)))
    a, b = np.einsum("ij,ij->i", g, q), np.einsum("ij,ij->i", g, p)
    squares = np.stack([a * a, -2 * a * b, b * b], axis=1)  # (a − bt)², constant first
    norms = np.stack([s_pp, 2 * s_pq, s_qq], axis=1)
    slopes = NORMAL_MEAN * np.stack([s_pq, s_qq - s_pp, -s_pq], axis=1)
    quartic = _products(squares, norms) - _products(slopes, slopes)
    size = np.abs(quartic).max(axis=1)
    top = np.where(np.abs(quartic[:, 4]) > 1e-14 * size, quartic[:, 4], np.where(size > 0.0, 1e-14 * size, 1.0))
    companion = np.zeros((len(g), 4, 4))
    companion[:, 1:, :3] = np.eye(3)
    companion[:, :, 3] = -quartic[:, :4] / top[:, None]
    roots = np.linalg.eigvals(companion)
    real = np.abs(roots.imag) <= 1e-5 * (1.0 + np.abs(roots.real))
    return np.where(real, np.arctan(roots.real), np.nan)


def _products(a: Float64, b: Float64) -> Float64:
    """Products of quadratics, row by row, coefficients constant first: (k, 3), (k, 3) ↦ (k, 5)."""
    out = np.zeros((len(a), 5))
    for i in range(3):
        for j in range(3):
            out[:, i + j] += a[:, i] * b[:, j]
    return out


def _searched(
    rows: Float64, weights: Float64, W: Float64, sign: float, rng: np.random.Generator, starts: int
) -> Float64:
    """The best of many directions, each moved to the best of random neighbours at shrinking distances.

    −h_X has ridges, on which gradients zigzag; a search by values alone does not.
    """
    d = rows.shape[1]

    def value(points: Float64) -> Float64:
        return np.asarray(sign * (relu_sum(rows, weights, points) - normal_support(W, points)))

    P = _unit(
        np.concatenate([rng.standard_normal((_GRID * starts, d)), rows[:500], -rows[:500], np.eye(d), -np.eye(d)])
    )
    P = _spread(P, value(P), starts, 0.3 if starts < 100 else 0.15)
    values, radius = value(P), np.full(len(P), 0.3)
    probes = max(_PROBES, 8 * d)
    for step in range(_SHRINKS):
        if step in (10, 18):  # several have found the same maximum
            P = _spread(P, values, len(P), 0.05 if step == 10 else 1e-3)
            values, radius = value(P), np.full(len(P), float(np.median(radius)))
        moved = P[:, None] + radius[:, None, None] * rng.standard_normal((len(P), probes, d)) / math.sqrt(d)
        moved = _unit(moved.reshape(-1, d))
        found = value(moved).reshape(len(P), probes)
        best = found.argmax(axis=1)
        top = found[np.arange(len(P)), best]
        better = top > values
        P[better] = moved.reshape(len(P), probes, d)[better, best[better]]
        values = np.where(better, top, values)
        radius = np.where(better, radius, 0.5 * radius)
    return P


def _spread(P: Float64, values: Float64, count: int, angle: float) -> Float64:
    """The ``count`` best directions that are not within an angle of a better one."""
    kept: list[int] = []
    cosine = math.cos(angle)
    for index in np.argsort(-values, kind="stable")[: 20 * count]:
        if not kept or float((P[kept] @ P[index]).max()) < cosine:
            kept.append(int(index))
        if len(kept) == count:
            break
    return P[kept].copy()


def _unit(P: Float64) -> Float64:
    length = np.linalg.norm(P, axis=1)
    return np.asarray(P[length > 0.0] / length[length > 0.0][:, None])


def normal_distance(X: Float64, W: Float64, weights: Float64) -> ReluDistance:
    """dist of data and the output Wᵀz, z ~ N(0, I): the Hausdorff distance of a zonotope and an ellipsoid.

        max |Σ_i w_i(x_iᵀu)₊ − c‖Wu‖|   s.t.  ‖u‖ ≤ 1

    Args:
        X: data (n, d). W: weights of the generator (p, d). weights: w_i, shape (n,), 1/n for means.

    Returns:
        ReluDistance; exact where the rows of X and W together have rank ≤ 2, else found by search, with
        ``upper`` infinite (``Problem.dist`` puts the proven bound in its place where there is one).

    Reference:
        MATH 4, linear generator and Gaussian noise.

    >>> found = normal_distance(np.array([[2.0], [-2.0]]), np.array([[math.sqrt(2 * math.pi)]]), np.full(2, 0.5))
    >>> found.value, found.kind
    (0.0, 'exact')
    """
    basis = _span(np.concatenate([X, W]))
    unit = max(float(np.abs(X).max(initial=0.0)), float(np.abs(W).max(initial=0.0))) or 1.0
    rows, root = X @ basis / unit, W @ basis / unit
    sides = []
    for sign in (1.0, -1.0):
        found = normal_maxima(rows, weights, root, sign)
        value, u = unit * float(found.values[0]), basis @ found.points[0]
        sides.append(Excess(value, u, None, value) if value > 0.0 else Excess(0.0, np.zeros(len(basis)), None, 0.0))
    larger = sides[0] if sides[0].value >= sides[1].value else sides[1]
    exact = basis.shape[1] <= EXACT_DIMENSION
    return ReluDistance(
        value=larger.value,
        u=larger.u,
        is_exact=exact,
        scope="exhaustive" if exact else "sampled",
        evidence={"sign": 1.0 if larger is sides[0] else -1.0},
        upper=larger.value if exact else np.inf,
        kind=EXACT if exact else BELOW,
        real_excess=sides[0],
        fake_excess=sides[1],
    )


def _span(rows: Float64) -> Float64:
    """An orthonormal basis (d, r) of the span of the rows, r ≥ 1; the identity where that is everything."""
    d = rows.shape[1]
    _, sizes, V = np.linalg.svd(rows, full_matrices=False)
    rank = max(int((sizes > _RANK * sizes[0]).sum()), 1) if sizes[0] > 0.0 else 1
    return np.eye(d) if rank == d else np.asarray(V[:rank].T)
