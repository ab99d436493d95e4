"""The judge of Gaussian noise: a ReLU discriminator without bias against Wᵀz, z ~ N(0, I), in population (MATH 4).

With c = 1/√(2π) every feasible S = WᵀW has (h_X(u) − β_d)₊² ≤ c²uᵀSu ≤ (h_X(u) + β_d)² on the unit sphere, so that for
λ, μ ≥ 0 on neurons u_k, K = Σ(λ_k − μ_k)u_ku_kᵀ and gain = Σλ_k(h_k − β_d)₊² − Σμ_k(h_k + β_d)²

    gain ≤ c²⟨K, S⟩ ≤ c² max(λ_max(K), 0) tr S:        value ≥ (β_g/2) gain / (c² λ_max(K)),

and no S is feasible where gain > 0 and K ⪯ 0. A claim holds v_k = 2λ_k(h_k − β_d) or −2μ_k(h_k + β_d).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64, as_samples, to_numpy64
from convexwgan.certificates.certificate import Infeasibility
from convexwgan.certificates.measures import PiecewiseEvidence, reduced_rows
from convexwgan.certificates.moments import real_moments
from convexwgan.certificates.relu_upper import sphere_upper
from convexwgan.geometry.normal_distances import NORMAL_MEAN, normal_maxima
from convexwgan.spec.latent import Latent
from convexwgan.spec.wgan import WGAN

EPS = float(np.finfo(np.float64).eps)
_FINE = {1: 0.0, 2: 1e-10, 3: 2e-9, 4: 6e-7}
"""Branch and bound stops this close, relative to the size of the data, by rank."""


@dataclass(frozen=True, eq=False)
class NormalEvidence(PiecewiseEvidence):
    """Data and spec of one game of means, z ~ N(0, I) in ``latent_dim`` dimensions.

    ``output`` and ``weights`` are one regulariser: (β_g/2)E‖Wᵀz‖² = (β_g/2)‖W‖_F².
    """

    latent_dim: int
    beta: float
    latents: Any = None

    @property
    def weights(self) -> Float64:
        """1/n_r for each sample."""
        return np.full(len(self.X), 1.0 / len(self.X))

    @property
    def size(self) -> float:
        """mean ‖x_i‖, the most that any neuron can tell."""
        return float(np.linalg.norm(self.X, axis=1).mean())

    @property
    def scale(self) -> float:
        """(β_g/2) tr M · π/2: no less than the value as β_d → 0, where c²S ⪯ M/4."""
        return 0.25 * math.pi * self.strength * self.real.trace

    def with_beta(self, beta: float) -> NormalEvidence:
        """The same game at another β_d."""
        discriminator = replace(self.discriminator, beta=beta, norm_bound=False)
        _, generator = self.wgan.players
        return replace(self, wgan=WGAN(discriminator, generator, self.wgan.chosen_regularizer), beta=beta)

    def support(self, U: Float64) -> tuple[Float64, float]:
        """h_X(u) at rows of U, and a bound on the rounding error of each."""
        h = np.maximum(U @ self.X.T, 0.0).mean(axis=1) if len(U) else np.zeros(0)
        return h, 4.0 * EPS * math.sqrt(len(self.X) + self.dim) * self.size


def is_normal_game(wgan: WGAN, Z: Any, latent: Latent | None) -> bool:
    """ReLU neurons without bias and under weight decay against a linear generator on a population."""
    discriminator, generator = wgan.players
    is_pair = discriminator.kind == "relu" and not discriminator.bias and generator.kind == "linear"
    is_population = Z is None and latent is not None and discriminator.beta is not None
    return is_pair and is_population and wgan.regularizer.kind in ("output", "weights")


def gather_normal(wgan: WGAN, X: Array, latent: Latent) -> NormalEvidence:
    """The evidence of such a game; populations know means only."""
    X = as_samples(X, "X")
    beta = wgan.players[0].beta
    assert beta is not None
    return NormalEvidence(wgan, to_numpy64(X), real_moments(X, "mean"), latent.dim, float(beta))


@dataclass(frozen=True, eq=False)
class AttainedNormal:
    """W (p, d) with a bound on its dist, its value and its violation."""

    W: Float64
    dist: float
    value: float
    violation: float
    is_proven: bool


def attain_normal(evidence: NormalEvidence, W: Float64, hopeless: float = math.inf) -> AttainedNormal:
    """(β_g/2)‖W‖_F² and max(0, dist − β_d)/max(β_d, 1e-8·size).

    Where a neuron already tells more than ``hopeless`` apart, its value takes the place of a proven bound.
    """
    dist, is_proven = normal_distance_bound(evidence.X, W, enough=evidence.beta, hopeless=hopeless)
    violation = max(0.0, dist - evidence.beta) / max(evidence.beta, 1e-8 * evidence.size)
    return AttainedNormal(W, dist, 0.5 * evidence.strength * float(np.vdot(W, W)), violation, is_proven)


def normal_distance_bound(
    X: Float64, W: Float64, *, enough: float = 0.0, hopeless: float = math.inf
) -> tuple[float, bool]:
    """(D, True) with D ≥ max_{‖u‖≤1}|h_X(u) − c‖Wu‖| proven, or (the largest found, False) above rank 4.

    Args:
        X: data (n, d), of equal weights 1/n. W: (p, d).
        enough: where D ≤ enough nothing finer is looked for, and D − enough > 0 to three digits only.
        hopeless: as for ``attain_normal``.

    >>> bound, is_proven = normal_distance_bound(np.array([[2.0], [-2.0]]), np.zeros((1, 1)))
    >>> round(bound, 9), is_proven
    (1.0, True)
    """
    unit = max(float(np.abs(X).max()), float(np.abs(W).max(initial=0.0))) or 1.0  # squares of it may overflow
    if unit != 1.0:
        scaled, is_proven = normal_distance_bound(X / unit, W / unit, enough=enough / unit, hopeless=hopeless / unit)
        return unit * scaled, is_proven
    n, weights = len(X), np.full(len(X), 1.0 / len(X))
    stacked, rest = reduced_rows(np.concatenate([X, W]))
    rows, root, rank = stacked[:n], stacked[n:], stacked.shape[1]
    size = float(np.linalg.norm(X, axis=1).mean())
    upper, is_proven = 0.0, rank in _FINE
    for sign in (1.0, -1.0):
        found = float(normal_maxima(rows, weights, root, sign).values[0])
        if found > hopeless:
            return found, is_proven
        if is_proven:
            slack = max(_FINE[rank] * size, (1e-3 if enough > 0.0 else 1e-6) * (found - enough))
            known = max(found, enough - slack, 0.0)
            found = sphere_upper(rows, sign * weights, known, slack, root=NORMAL_MEAN * root, sign=-sign)
        upper = max(upper, found)
    away = float(weights @ rest[:n]) + NORMAL_MEAN * float(np.linalg.norm(rest[n:]))
    size += NORMAL_MEAN * float(np.linalg.norm(W))
    return upper + away + 4.0 * EPS * math.sqrt(n + X.shape[1]) * size, is_proven


@dataclass(frozen=True, eq=False)
class Dual:
    """gain, λ_max(K) from above, and what rounding may have done to K; the neurons (u, v) that they come from."""

    gain: float
    top: float
    rounding: float
    u: Float64
    v: Float64


def read_dual(evidence: NormalEvidence, u: Float64, v: Float64) -> Dual:
    """λ, μ of claimed neurons, with gain rounded down and λ_max(K) rounded up.

    Neurons are scaled into the ball; one with v_k > 0 where h_k ≤ β_d earns nothing and is dropped.
    """
    u = u / np.maximum(np.linalg.norm(u, axis=1), 1.0)[:, None]
    h, delta = evidence.support(u)
    low, high = np.maximum(h - evidence.beta - delta, 0.0), h + evidence.beta + delta
    kept = (v < 0.0) | ((v > 0.0) & (low > 0.0))
    u, v, low, high = u[kept], v[kept], low[kept], high[kept]
    signed = np.where(v > 0.0, v / (2.0 * np.where(low > 0.0, low, 1.0)), v / (2.0 * high))  # λ, or −μ
    gains = signed * np.where(v > 0.0, low, high) ** 2
    gain = float(gains.sum()) - 8.0 * EPS * math.sqrt(len(v) + 1) * float(np.abs(gains).sum())
    K = (u.T * signed) @ u
    rounding = 4.0 * EPS * (len(v) + evidence.dim) * float(np.abs(signed) @ np.einsum("ij,ij->i", u, u))
    top = float(np.linalg.eigvalsh(K)[-1]) if len(v) else 0.0
    return Dual(gain, top, rounding, u, v)


@dataclass(frozen=True, eq=False)
class NormalBound:
    """What neurons prove after the factor that makes N = (β_g/2)I − c²K touch 0; ``excess``: λ_max(c²K)/(β_g/2) − 1."""

    value: float
    rounding: float
    u: Float64
    v: Float64
    excess: float


def normal_bound(
    evidence: NormalEvidence, u: Float64, v: Float64, scales: tuple[float, float] = (0.0, math.inf)
) -> NormalBound:
    """The lower bound s·gain with the largest s ≤ ``scales[1]`` for which (β_g/2)I − s c²K ⪰ 0; at least 0.

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> pair = Discriminator.relu(beta=0.5) + Generator.linear()
    >>> evidence = gather_normal(pair, np.array([[2.0], [-2.0]]), Latent.normal(1))
    >>> round(normal_bound(evidence, np.array([[1.0]]), np.array([1.0])).value / math.pi, 9)
    0.25
    """
    dual = read_dual(evidence, u, v)
    limit = 0.5 * evidence.strength / NORMAL_MEAN**2
    if not (dual.gain > 0.0 and dual.top + dual.rounding > 0.0):
        return NormalBound(0.0, 0.0, u[:0], v[:0], max(dual.top / limit - 1.0, -1.0))
    s = min(limit / (dual.top + dual.rounding), scales[1])
    value = s * dual.gain * (1.0 - 8.0 * EPS)
    rounding = value * (dual.rounding / (dual.top + dual.rounding) + 8.0 * EPS)
    return NormalBound(value, rounding, dual.u, s * dual.v, dual.top / limit - 1.0)


def normal_ray(evidence: NormalEvidence, u: Float64, v: Float64) -> Infeasibility | None:
    """The proof that no Gaussian output is within β_d, or None: gain > c²λ_max(K)₊T with tr S ≤ T for feasible S.

    T = Σ_i (min(h(e_i), h(−e_i)) + β_d)²/c² over the axes, so that a K that is ⪯ 0 but for rounding is enough.
    """
    dual = read_dual(evidence, u, v)
    if not dual.gain > 0.0:
        return None
    axes = np.eye(evidence.dim)
    sides = [evidence.support(part) for part in (axes, -axes)]
    reach = float(np.sum((np.minimum(sides[0][0], sides[1][0]) + sides[0][1] + evidence.beta) ** 2))
    margin, tolerance = dual.gain - max(dual.top, 0.0) * reach, dual.rounding * reach
    if not margin > tolerance:
        return None
    text = (
        f"Σλ(h − β_d)² − Σμ(h + β_d)² = {dual.gain:.6g} > 0 on {len(dual.v)} neurons with "
        f"Σ(λ − μ)uuᵀ ⪯ {max(dual.top, 0.0) + dual.rounding:.1e}, while tr S/(2π) ≤ {reach:.6g}"
    )
    return Infeasibility("ray", text, margin, tolerance)
