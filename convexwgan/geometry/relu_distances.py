"""dist_D of ReLU neurons: the Hausdorff distance of two zonotopes, exact in rank ≤ 3 and bracketed above."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from convexwgan.arrays import Array, Float64, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.distances import Distance
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.relu_brackets import local_maximum, upper_bounds
from convexwgan.geometry.spectra import EPS
from convexwgan.geometry.spheres import evaluate, maxima, work

MAX_WORK = 40_000_000
EXACT_RANK = 3
_RANK = 1e-12
_EQUAL_MASS = 1e-12
EXACT, BELOW, INFINITE = "exact", "lower bound by local search", "infinite: the masses differ"


@dataclass(frozen=True, eq=False)
class Excess:
    """value ≤ max over neurons of one sign of h_X − h_G ≤ upper; the neuron (u, b) attains ``value``."""

    value: float
    u: Float64
    b: float | None
    upper: float


@dataclass(frozen=True, eq=False)
class ReluDistance(Distance):
    """dist of ReLU neurons with both of its one-sided parts.

    value ≤ dist ≤ ``upper``, equal but for rounding where ``is_exact``; ``kind`` says in words what ``value`` is.
    real_excess: max(h_X − h_G); fake_excess: max(h_G − h_X); both at least 0, since u = 0 is a neuron.
    """

    upper: float = np.inf
    kind: str = EXACT
    real_excess: Excess = field(default_factory=lambda: Excess(0.0, np.zeros(0), None, np.inf))
    fake_excess: Excess = field(default_factory=lambda: Excess(0.0, np.zeros(0), None, np.inf))


def relu_distance(
    X: Array,
    G: Array,
    *,
    bias: bool = False,
    real_weights: Float64 | None = None,
    fake_weights: Float64 | None = None,
    max_work: int = MAX_WORK,
    starts: int = 24,
    rng: np.random.Generator | int = 0,
) -> ReluDistance:
    """dist of ReLU neurons: the Hausdorff distance of the zonotopes Σ[0, w_ix_i] and Σ[0, v_jg_j].

        max |h_X(u, b) − h_G(u, b)|   s.t.  ‖u‖ ≤ 1 (b free with bias, 0 without),   h_X = Σw_i(x_iᵀu + b)₊

    Exact where the rows of X and G together (their differences, with bias) have rank ≤ 3: arcs of a circle in rank
    2, O(n log n), cells between planes in rank 3, O(n² log n), and n times that with a bias beyond one dimension.
    Above, or where that is more than ``max_work`` arcs, ``value`` is what a local search attains and ``upper`` a
    proven upper bound. With bias and different masses dist is infinite: u = 0, b → ∞.

    Args:
        X, G: samples or atoms, shapes (n_r, d) and (n_f, d).
        bias: whether neurons have a bias.
        real_weights, fake_weights: w and v, nonnegative; 1 by default, give 1/n for means.
        max_work: up to how many arcs the exact search may look at.
        starts, rng: of the local search.

    Returns:
        ReluDistance; evaluating its neuron (u, b) gives ``value``.

    Raises:
        InputError: shapes or weights that do not fit, or are not finite.

    Reference:
        Sahiner et al. 2022, Corollary 3.4; MATH 1.5 and 1.6 (ours).

    >>> X, G = np.array([[3.0, 0.0], [0.0, 4.0]]), np.zeros((1, 2))
    >>> found = relu_distance(X, G)
    >>> found.value, found.u.tolist(), found.kind
    (5.0, [0.6, 0.8], 'exact')
    >>> relu_distance(np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]]), bias=True).value
    0.5
    """
    x, w = _measure(X, real_weights, "X")
    g, v = _measure(G, fake_weights, "G")
    if x.shape[1] != g.shape[1]:
        raise InputError("columns of X and G", (x.shape[1], g.shape[1]), "be equal", "use the same features for both")
    gap = float(w.sum() - v.sum())
    if bias and abs(gap) > _EQUAL_MASS * max(float(w.sum()), float(v.sum())):
        return _infinite(x.shape[1], gap)
    rows, weights = np.concatenate([x, g]), np.concatenate([w, -v])
    centre = rows.mean(axis=0) if bias else np.zeros(rows.shape[1])
    size = float(np.abs(rows - centre).max()) or 1.0
    basis = _span((rows - centre) / size)
    reduced = (rows - centre) @ basis / size
    exact = basis.shape[1] <= EXACT_RANK and work(len(rows), basis.shape[1], bias) <= max_work
    if exact:
        neurons, bounds = maxima(reduced, weights, bias), (0.0, 0.0)
    else:
        generator = np.random.default_rng(rng)
        found = [local_maximum(reduced, sign * weights, bias, generator, starts) for sign in (1.0, -1.0)]
        neurons, bounds = (found[0], found[1]), upper_bounds(reduced[: len(x)], reduced[len(x) :], w, v, bias)
    sides = []
    for sign, neuron, bound in zip((1.0, -1.0), neurons, bounds, strict=True):
        u, b = _unit(basis @ neuron.u), size * neuron.b
        value = max(0.0, float(evaluate(rows - centre, sign * weights, u[None], b)[0]))
        upper = max(value, size * bound) + size * _rounding(reduced, weights)
        sides.append(Excess(value, u, b - float(centre @ u) if bias else None, upper))
    return _distance(sides[0], sides[1], exact)


def _distance(real: Excess, fake: Excess, exact: bool) -> ReluDistance:
    larger = real if real.value >= fake.value else fake
    return ReluDistance(
        value=larger.value,
        u=larger.u,
        b=larger.b,
        is_exact=exact,
        scope="exhaustive" if exact else "sampled",
        evidence={"sign": 1.0 if larger is real else -1.0},
        upper=max(real.upper, fake.upper),
        kind=EXACT if exact else BELOW,
        real_excess=real,
        fake_excess=fake,
    )


def _unit(u: Float64) -> Float64:
    """u, shortened where rounding made it longer than 1."""
    return u / max(1.0, float(np.linalg.norm(u)))


def _infinite(d: int, gap: float) -> ReluDistance:
    """Different masses: the neuron u = 0 with a large bias tells real from generated as well as one likes."""
    sides = [Excess(np.inf if sign * gap > 0 else 0.0, np.zeros(d), 1.0, np.inf) for sign in (1.0, -1.0)]
    return ReluDistance(
        np.inf,
        np.zeros(d),
        1.0,
        evidence={"sign": float(np.sign(gap))},
        kind=INFINITE,
        real_excess=sides[0],
        fake_excess=sides[1],
    )


def _measure(A: Array, weights: Float64 | None, name: str) -> tuple[Float64, Float64]:
    """Rows and weights in float64, checked."""
    require_matrix(A, name)
    rows = to_numpy64(A)
    if not np.isfinite(rows).all():
        raise InputError(name, A, "be finite", "drop or impute its NaN and infinite entries")
    given = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (len(rows),) or not np.isfinite(given).all() or (given < 0.0).any():
        raise InputError(f"weights of {name}", given, f"be {len(rows)} finite numbers >= 0", "give one to each row")
    return rows, given


def _span(rows: Float64) -> Float64:
    """An orthonormal basis (d, r) of the span of the rows; the identity where that is everything."""
    d = rows.shape[1]
    _, sizes, V = np.linalg.svd(rows, full_matrices=False)
    rank = int((sizes > _RANK * sizes[0]).sum()) if sizes[0] > 0.0 else 0
    return np.eye(d) if rank == d else np.asarray(V[:rank].T)


def _rounding(rows: Float64, weights: Float64) -> float:
    """What rounding, and lines closer than 1e-11 taken for one, may hide of a maximum."""
    return float((1e-11 + 64.0 * EPS * np.sqrt(len(rows))) * (np.abs(weights) @ np.linalg.norm(rows, axis=1)))
