"""Classes of discriminators on a finite support, for the judge: how far −yᵀD goes in them, who belongs to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.pricing import price_scalar
from convexwgan.spec.finite_discriminator import (
    FeatureDiscriminator,
    FiniteDiscriminator,
    LipschitzDiscriminator,
    NeuronDiscriminator,
)

_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
Parts = dict[str, Float64]


@dataclass(frozen=True)
class Tilt:
    """y with −yᵀD ≤ ``cost`` + 2·``residual``·‖D‖₂ for every D of the class.

    The residual is the length of y's projection on what the class leaves free: zero but for rounding.
    """

    y: Float64
    cost: float
    residual: float = 0.0


@dataclass(frozen=True)
class Claimed:
    """What a solver says, to be judged: D, p_g and the parts of the class (w; Q_plus, Q_minus; a, b; flow, …)."""

    D: Float64
    p_g: Float64
    values: Parts = field(default_factory=dict)
    multipliers: Parts = field(default_factory=dict)


def tilts_of(
    discriminator: FiniteDiscriminator | None, y: Float64, curvature: Float64, flow: Float64
) -> tuple[Tilt, ...]:
    """Tilts near y that the class bounds, with their costs.

    In a ball two are tried: y as it is, and y with its moments removed, which costs nothing: better in large balls.

    Args:
        y: proposed, shape (n,).
        curvature: −(a f₀'' + b f₁'') ≥ 0, shape (n,): entries of curvature 0 are not to be moved.
        flow: Lipschitz only: π ≥ 0, shape (n, n), roughly with row sums − column sums = −y.
    """
    match discriminator:
        case FeatureDiscriminator(features=features, bound=None):
            return (_projected(y, features, curvature),)
        case FeatureDiscriminator(features=features):
            return _in_ball(discriminator, y), _in_ball(discriminator, _projected(y, features, curvature).y)
        case LipschitzDiscriminator():
            return (_transported(discriminator, y, curvature, flow),)
        case NeuronDiscriminator():
            free = discriminator.free_features
            found = [_projected(y, free, curvature)]
            if discriminator.discriminator.kind != "relu":
                found.append(_projected(y, np.hstack([free, _lifted(discriminator)]), curvature))
            bound = discriminator.bound
            return tuple(Tilt(t.y, bound * neuron_distance(discriminator, t.y), t.residual) for t in found)
    return (Tilt(np.zeros(len(y)), 0.0),)


def _in_ball(discriminator: FeatureDiscriminator, y: Float64) -> Tilt:
    """−yᵀΦw ≤ B‖Φᵀy‖₂ for ‖w‖₂ ≤ B."""
    return Tilt(y, (discriminator.bound or 0.0) * float(np.linalg.norm(discriminator.features.T @ y)) * (1 + 1e-13))


def _lifted(discriminator: NeuronDiscriminator) -> Float64:
    """x, or the entries of xxᵀ: D is linear in them."""
    X = discriminator.inputs
    return X if discriminator.discriminator.kind == "linear" else (X[:, :, None] * X[:, None, :]).reshape(len(X), -1)


def _projected(y: Float64, features: Float64, curvature: Float64) -> Tilt:
    """y moved until Φᵀy = 0, by the δ of least Σ δ_i²/curvature_i."""
    if features.shape[1] == 0:
        return Tilt(y, 0.0)
    U, sizes, _ = np.linalg.svd(features / (np.linalg.norm(features, axis=0) + _TINY), full_matrices=False)
    free = U[:, sizes > 1e-13 * sizes[0]]
    weight = curvature / (np.max(curvature) or 1.0)
    for _ in range(3):  # the second and third pass remove what rounding left
        y = y - weight * (free @ np.linalg.lstsq(free.T @ (weight[:, None] * free), free.T @ y, rcond=1e-13)[0])
    return Tilt(y, 0.0, float(np.linalg.norm(free.T @ y)))


def _transported(discriminator: LipschitzDiscriminator, y: Float64, curvature: Float64, flow: Float64) -> Tilt:
    """π repaired to transport exactly −y, the difference sent through one hub; cost L Σ π_ij d_ij."""
    d, L = discriminator.distances, discriminator.constant
    tilt = _projected(y, np.ones((len(y), 1)), curvature)
    flow = np.maximum(flow, 0.0)
    left = -tilt.y - (flow.sum(axis=1) - flow.sum(axis=0))
    to_hub = np.abs(left) @ d
    cost = float(np.sum(flow * d)) + float(np.min(to_hub))
    return Tilt(tilt.y, L * cost * (1 + 1e-13), tilt.residual)


def neuron_distance(discriminator: NeuronDiscriminator, y: Float64) -> float:
    """An upper bound on max_{‖u‖≤1} |Σ_i y_i σ(x_iᵀu)|: ‖Xᵀy‖, ‖XᵀdiagyX‖₂, or exact pricing (rank ≤ 4).

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> quadratic = NeuronDiscriminator([[1.0], [2.0]], Discriminator.quadratic(norm_bound=True))
    >>> round(neuron_distance(quadratic, np.array([1.0, -1.0])), 9)
    3.0
    """
    X, kind = discriminator.inputs, discriminator.discriminator.kind
    if kind == "linear":
        return float(np.linalg.norm(X.T @ y)) * (1 + 1e-13)
    if kind == "quadratic":
        rounding = 64 * _EPS * float(np.sum(np.abs(y) * np.sum(X**2, axis=1)))
        return float(np.max(np.abs(np.linalg.eigvalsh(X.T @ (y[:, None] * X))))) + rounding
    if not np.any(X):
        return 0.0
    cells = enumerate_cells(X)
    return max(price_scalar(cells, X, sign * y).upper for sign in (1.0, -1.0))


def free_features(discriminator: FiniteDiscriminator | None, n: int) -> Float64:
    """What costs nothing in the class, columns of shape (n,): every D pairs to 0 with a finite tilt there."""
    match discriminator:
        case FeatureDiscriminator(features=features, bound=None):
            return features
        case LipschitzDiscriminator():
            return np.ones((n, 1))
        case NeuronDiscriminator():
            return discriminator.free_features
    return np.empty((n, 0))


def has_constants(discriminator: FiniteDiscriminator | None) -> bool:
    """Whether every constant D belongs to the class by its definition."""
    match discriminator:
        case FeatureDiscriminator():
            return False
        case NeuronDiscriminator(intercept=intercept):
            return intercept
    return True


def member(discriminator: FiniteDiscriminator | None, claimed: Claimed, optimum: float, falling: bool) -> Float64:
    """A discriminator of the class near the claimed one, recomputed from its parts, shape (n,).

    Args:
        falling: whether f₁ falls at D*: then a Lipschitz repair lowers D, else it raises it.
    """
    values = claimed.values
    match discriminator:
        case None:
            return claimed.D
        case FeatureDiscriminator(features=features, bound=bound):
            return np.asarray(features @ _within(values["w"], float(np.linalg.norm(values["w"])), bound))
        case LipschitzDiscriminator():
            return _lipschitz(discriminator, claimed.D, falling)
        case NeuronDiscriminator():
            return _network(discriminator, values)


def _within(weights: Float64, size: float, bound: float | None) -> Float64:
    return weights if bound is None or size <= bound else weights * (bound / size * (1 - 1e-15))


def _lipschitz(discriminator: LipschitzDiscriminator, D: Float64, falling: bool) -> Float64:
    """McShane: min_j D_j + L d_ij (or max_j D_j − L d_ij) is L-Lipschitz for the metric that d generates."""
    from scipy.sparse.csgraph import floyd_warshall

    reach = discriminator.constant * discriminator.distances
    metric = np.asarray(floyd_warshall(_graph(reach), directed=False))
    return np.asarray(np.min(D + metric, axis=1) if falling else np.max(D - metric, axis=1))


def _graph(reach: Float64) -> Float64:
    """A dense graph for SciPy, which reads a zero as a missing edge: zero distances become the least positive."""
    tiny = np.where(reach > 0, reach, _TINY)
    np.fill_diagonal(tiny, 0.0)
    return tiny


def _network(discriminator: NeuronDiscriminator, values: Parts) -> Float64:
    """c + Σ_j σ(x·u_j) v_j from the solver's parts, its mass Σ|v_j| scaled into the ball."""
    X, B, free = discriminator.inputs, discriminator.bound, discriminator.free_features
    base = free @ values["free"][: free.shape[1]]
    match discriminator.discriminator.kind:
        case "linear":
            return np.asarray(base + X @ _within(values["w"], float(np.linalg.norm(values["w"])), B))
        case "quadratic":
            Q = values["Q_plus"] - values["Q_minus"]
            Q = _within((Q + Q.T) / 2, float(np.sum(np.abs(np.linalg.eigvalsh((Q + Q.T) / 2)))), B)
            return np.asarray(base + np.einsum("ij,jk,ik->i", X, Q, X))
    neurons = np.vstack([values["a"], values["b"]])
    sign = np.repeat([1.0, -1.0], [len(values["a"]), len(values["b"])])
    neurons = _within(neurons, float(np.sum(np.linalg.norm(neurons, axis=1))), B)
    return np.asarray(base + np.maximum(X @ neurons.T, 0.0) @ sign)
