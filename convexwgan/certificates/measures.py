"""The judge of the population game: a ReLU discriminator against any distribution ν (MATH 4).

For every distribution ν of mass N_f and every discriminator D(x) = Σ v_k(xᵀu_k + b_k)₊ with ‖u_k‖ ≤ 1

    R_g(ν) + max_D ≥ ⟨v, h_X⟩ − β_d‖v‖₁ − N_f max_g [Σ v_k(gᵀu_k + b_k)₊ − (β_g/2)‖g‖²],

without bias N_f a(v)₊²/(2β_g) for the last term, a(v) = max_{‖θ‖=1} Σ v_k(θᵀu_k)₊. A claimed distribution is the table
[atoms | probabilities]; both its dist and the discriminator's price are bounded from above by ``relu_upper``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from convexwgan.arrays import Array, Float64, as_samples, to_numpy64
from convexwgan.certificates.certificate import Check, Scope
from convexwgan.certificates.moments import RealMoments, real_moments
from convexwgan.certificates.relu_upper import affine_upper, quadratic_upper, sphere_upper
from convexwgan.errors import InputError
from convexwgan.geometry.relu_planes import affine_maxima, lifted, quadratic_maxima
from convexwgan.geometry.relu_sums import sphere_maxima
from convexwgan.spec.wgan import WGAN

EPS = float(np.finfo(np.float64).eps)
_RANK = 1e-12
_FINE = 1e-8
"""Branch and bound stops this close, relative to the size of the data."""


@dataclass(frozen=True, eq=False)
class PiecewiseEvidence:
    """What every game of ReLU neurons is judged on: the architecture, X (n, d) in float64 and its moments."""

    wgan: WGAN
    X: Float64
    real: RealMoments

    @property
    def discriminator(self) -> Any:
        """The discriminator of the pair."""
        return self.wgan.players[0]

    @property
    def regularizer(self) -> Any:
        """The regulariser."""
        return self.wgan.regularizer

    @property
    def strength(self) -> float:
        """β_g."""
        return float(self.wgan.regularizer.strength)

    @property
    def dim(self) -> int:
        """d_r."""
        return int(self.X.shape[1])


@dataclass(frozen=True, eq=False)
class MeasureEvidence(PiecewiseEvidence):
    """Data and spec of one population game.

    Attributes:
        wgan: the architecture. X: data (n, d), float64. normalize: the convention. mass: N_f.
        real: moments of the data. beta: β_d, None under a norm bound. latents: None, there is no noise.
        samples: n_f of a free generator, whose output is a measure of n_f equal masses; None for a distribution.
    """

    mass: float
    normalize: Literal["sum", "mean"]
    beta: float | None
    latents: Any = None
    samples: int | None = None

    @property
    def has_bias(self) -> bool:
        """Whether neurons have a bias."""
        return bool(self.discriminator.bias)

    @property
    def weights(self) -> Float64:
        """w_r of each sample."""
        return np.full(len(self.X), self.real.mass / len(self.X))

    @property
    def size(self) -> float:
        """Σ w_i‖x_i‖, the most that any neuron without bias can tell."""
        return float(self.weights @ np.linalg.norm(self.X, axis=1))

    @property
    def scale(self) -> float:
        """(β_g/2) tr M: the value as β_d → 0 is no larger; dist at ν = δ₀ under a norm bound."""
        return self.size if self.beta is None else 0.5 * self.strength * self.real.trace

    def with_beta(self, beta: float) -> MeasureEvidence:
        """The same game at another β_d."""
        discriminator = replace(self.discriminator, beta=beta, norm_bound=False)
        _, generator = self.wgan.players
        return replace(self, wgan=WGAN(discriminator, generator, self.wgan.chosen_regularizer), beta=beta)


def gather_measure(wgan: WGAN, X: Array, n_fake: int | None, normalize: Literal["sum", "mean"]) -> MeasureEvidence:
    """The evidence of a population game with a ReLU discriminator.

    Raises:
        InputError: a bias with sums over different counts, where dist is infinite.
    """
    X = as_samples(X, "X")
    real = real_moments(X, normalize)
    mass = float(n_fake or real.n) if normalize == "sum" else 1.0
    discriminator = wgan.players[0]
    if discriminator.bias and mass != real.mass:
        remedy = 'dist is infinite otherwise, as b → ∞; set normalize="mean", or leave n_fake out'
        raise InputError("n_fake", n_fake, f"equal n_r = {real.n} for a discriminator with bias", remedy)
    samples = (n_fake or real.n) if wgan.players[1].kind == "free" else None
    return MeasureEvidence(wgan, to_numpy64(X), real, mass, normalize, discriminator.beta, samples=samples)


@dataclass(frozen=True, eq=False)
class AttainedMeasure:
    """A distribution [atoms | probabilities] with a bound on its dist, its value and its violation."""

    table: Float64
    dist: float
    value: float
    violation: float
    is_proven: bool


def attain_measure(evidence: MeasureEvidence, table: Float64, hopeless: float = math.inf) -> AttainedMeasure:
    """Value and violation of the distribution in the table (k, d + 1); the probabilities sum to 1.

    Where a neuron already tells more than ``hopeless`` apart, its value takes the place of a proven bound.
    """
    atoms, p = table[:, :-1], table[:, -1]
    cost = 0.5 * evidence.strength * evidence.mass * float(p @ np.einsum("ij,ij->i", atoms, atoms))
    dist, is_proven = distance_bound(evidence, atoms, evidence.mass * p, hopeless)
    if evidence.beta is None:
        return AttainedMeasure(table, dist, cost + dist, 0.0, is_proven)
    yardstick = max(evidence.beta, 1e-8 * evidence.size)
    return AttainedMeasure(table, dist, cost, max(0.0, dist - evidence.beta) / yardstick, is_proven)


def distance_bound(
    evidence: MeasureEvidence, atoms: Float64, masses: Float64, hopeless: float = math.inf
) -> tuple[float, bool]:
    """(D, True) with D ≥ dist_D(X, ν) proven, or (the largest difference found, False) in too many dimensions."""
    rows = np.concatenate([evidence.X, atoms])
    weights = np.concatenate([evidence.weights, -masses])
    reduced, rest = reduced_rows(rows)
    slack = _FINE * evidence.size * (1e-2 if evidence.samples is None or reduced.shape[1] < 3 else 10.0)
    limit = 2 if evidence.has_bias else 3
    maxima = affine_maxima if evidence.has_bias else sphere_maxima
    upper, is_proven = 0.0, reduced.shape[1] <= limit
    for sign in (1.0, -1.0):
        found = float(maxima(reduced, sign * weights).values[0])
        if found > hopeless:
            return found, is_proven
        if is_proven:
            bound = affine_upper if evidence.has_bias else sphere_upper
            found = bound(reduced, sign * weights, max(found, 0.0), slack)
        upper = max(upper, found)
    return upper + float(np.abs(weights) @ rest), is_proven


def reduced_rows(rows: Float64) -> tuple[Float64, Float64]:
    """Coordinates on the range of the rows, and how far each row is from it."""
    if rows.shape[1] == 1 or len(rows) == 0:
        return rows, np.zeros(len(rows))
    _, s, Vt = np.linalg.svd(rows, full_matrices=False)
    rank = max(int((s > _RANK * s[0]).sum()), 1) if s[0] > 0.0 else 1
    if rank == rows.shape[1]:
        return rows, np.zeros(len(rows))
    V = Vt[:rank].T
    return rows @ V, np.linalg.norm(rows - (rows @ V) @ V.T, axis=1)


@dataclass(frozen=True, eq=False)
class DualBound:
    """What the discriminator (u [, b], v) proves after repair; ``is_proven`` unless pricing was only searched."""

    value: float
    rounding: float
    u: Float64
    v: Float64
    is_proven: bool


def measure_bound(
    evidence: MeasureEvidence, u: Float64, v: Float64, scales: tuple[float, float] = (0.0, math.inf)
) -> DualBound:
    """The lower bound that a discriminator proves against every distribution, hence against every finite n_f.

    max over s of s(⟨v,h_X⟩ − β_d‖v‖₁) − s²N_f a(v)₊²/(2β_g) without bias; s = 1 with bias. Neurons outside the ball
    are scaled into it first; a norm bound has ‖sv‖₁ ≤ 1 in place of β_d‖v‖₁.

    Args:
        evidence: the game, or that of a generator with n_f samples: the bound holds for it as well.
        u: neurons (k, d), with bias (k, d + 1) whose last column is b. v: weights (k,). scales: allowed factors s.

    Reference:
        MATH 4, the population game.
    """
    d = evidence.dim
    u = u / np.maximum(np.linalg.norm(u[:, :d], axis=1), 1.0)[:, None]
    zero = DualBound(0.0, 0.0, u[:0], v[:0], True)
    variation = float(np.abs(v).sum())
    if variation == 0.0:
        return zero
    X = lifted(evidence.X) if evidence.has_bias else evidence.X
    h = evidence.weights @ np.maximum(X @ u.T, 0.0)
    most = min(scales[1], 1.0 / variation) if evidence.beta is None else scales[1]
    slope = float(v @ h) - (evidence.beta or 0.0) * variation
    rounding = 4.0 * EPS * math.sqrt(len(X) + d) * (float(np.abs(v) @ h) + (evidence.beta or 0.0) * variation)
    if evidence.has_bias:
        s = min(1.0, most)
        price, is_proven = _quadratic_price(evidence, u, s * v)
        value, rounding = s * slope - evidence.mass * price - s * rounding, s * rounding
    else:
        a, is_proven = _linear_price(u, v)
        a = max(a, 0.0)
        curvature = evidence.mass * (a * a) / evidence.strength  # a * a overflows to ∞, a ** 2 raises
        s = slope / curvature if curvature > 0.0 else most
        s = min(max(s, scales[0]), most)
        s = s if math.isfinite(s) else 1.0
        rounding = s * rounding + 4.0 * EPS * s * s * curvature
        value = s * slope - 0.5 * s * s * curvature - rounding
    if not value > 0.0:
        return zero
    return DualBound(value, rounding, u, s * v, is_proven)


def _linear_price(u: Float64, v: Float64) -> tuple[float, bool]:
    """a(v) = max_{‖θ‖=1} Σ v_k(θᵀu_k)₊, from above where the neurons have rank ≤ 3."""
    reduced, rest = reduced_rows(u)
    found = float(sphere_maxima(reduced, v).values[0])
    if reduced.shape[1] > 3:
        return found, False
    slack = 1e-3 * _FINE * float(np.abs(v).sum())
    return sphere_upper(reduced, v, max(found, 0.0), slack) + float(np.abs(v) @ rest), True


def _quadratic_price(evidence: MeasureEvidence, u: Float64, v: Float64) -> tuple[float, bool]:
    """max_g Σ v_k(gᵀu_k + b_k)₊ − (β_g/2)‖g‖², from above in the plane and on the line."""
    reduced, rest = reduced_rows(u[:, :-1])
    neurons = np.column_stack([reduced, u[:, -1]])
    found = float(quadratic_maxima(neurons, v, evidence.strength).values[0])
    if reduced.shape[1] > 2 or rest.any():
        return found, reduced.shape[1] <= 2 and float(rest.max()) <= 1e-14
    slack = _FINE * max(evidence.scale / evidence.mass, abs(found)) if evidence.beta is not None else _FINE * abs(found)
    return quadratic_upper(neurons, v, evidence.strength, found, 0.1 * slack), True


def mixed_with_data(evidence: MeasureEvidence, attained: AttainedMeasure) -> Float64:
    """(1 − t)ν + tν_X with t = 1 − β_d/dist: feasible, since dist is convex in ν and 0 at the data."""
    beta = evidence.beta or 0.0
    t = min(1.0, (1.0 - beta / attained.dist) * (1.0 + 1e-9)) if attained.dist > beta else 0.0
    atoms, p = attained.table[:, :-1], attained.table[:, -1]
    if evidence.has_bias:
        share = evidence.weights / evidence.real.mass
        return np.column_stack([np.concatenate([atoms, evidence.X]), np.concatenate([(1 - t) * p, t * share])])
    vectors = np.concatenate([(1 - t) * evidence.mass * p[:, None] * atoms, t * evidence.weights[:, None] * evidence.X])
    return equal_norms(vectors, evidence.mass)


def equal_norms(vectors: Float64, mass: float) -> Float64:
    """The table of the cheapest distribution with ∫g dν = the given vectors, direction by direction: equal norms."""
    lengths = np.linalg.norm(vectors, axis=1)
    kept = lengths > 0.0
    total = float(lengths[kept].sum())
    if total == 0.0:
        return np.column_stack([np.zeros((1, vectors.shape[1])), np.ones(1)])
    return np.column_stack([vectors[kept] / lengths[kept][:, None] * (total / mass), lengths[kept] / total])


def scope_of(is_proven: bool) -> Scope:
    """priced where both oracles are proven, sampled where one was only searched."""
    return "priced" if is_proven else "sampled"


def bound_checks(attained: AttainedMeasure, dual: DualBound) -> tuple[Check, ...]:
    """What was proven about each side; a search proves nothing, and then the scope says sampled."""
    how = "by branch and bound" if attained.is_proven else "searched only"
    price = "by branch and bound" if dual.is_proven else "searched only"
    return (
        Check("dist bounded over all neurons", True, f"{attained.dist:.9g}, {how}"),
        Check("pricing bounded over all atoms", True, f"lower bound {dual.value:.9g}, {price}"),
    )
