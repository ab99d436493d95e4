"""The evidence: everything that the bounds need, recomputed in float64 from spec and data alone."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from convexwgan.arrays import Array, Float64, as_samples, eps_of, to_numpy64
from convexwgan.certificates.features import PopulationLatents, SampledLatents, relu_latents
from convexwgan.certificates.latents import BLOCK_NUMBERS, EPS, FreeLatents, Latents
from convexwgan.errors import InputError
from convexwgan.geometry.spectra import components_threshold
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import DrawnNoise, Latent
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.wgan import WGAN

Normalize = Literal["sum", "mean"]


@dataclass(eq=False)
class RealMoments:
    """m = w Xᵀ1 and M = w XᵀX of the data X (n, d), in float64, with the epsilon of the data's own dtype."""

    mass: float
    n: int
    m: Float64
    M: Float64
    eps: float

    @cached_property
    def eigenvalues(self) -> Float64:
        """σ_1² ≥ … ≥ σ_d², clipped at 0."""
        eigenvalues: Float64 = np.maximum(np.linalg.eigvalsh(self.M)[::-1], 0.0)
        return eigenvalues

    @cached_property
    def frobenius(self) -> float:
        """‖M‖_F, within √d of the spectral norm and cheap."""
        return float(np.linalg.norm(self.M))

    @cached_property
    def trace(self) -> float:
        """tr M."""
        return float(np.trace(self.M))

    @cached_property
    def m_norm(self) -> float:
        """‖m‖₂."""
        return float(np.linalg.norm(self.m))

    @property
    def mean_scale(self) -> float:
        """√(N_r‖M‖_F) ≥ ‖m‖: how long the first moment of such data can be."""
        return math.sqrt(self.mass * self.frobenius)

    @property
    def zero_tolerance(self) -> float:
        """‖m‖ ≤ 8·eps·√(N_r tr M) = 8·eps·w√n_r‖X‖_F counts as m = 0: rounding of centred samples."""
        return 8.0 * self.eps * math.sqrt(self.mass * self.trace)


class GameEvidence:
    """Data moments, latent side and spec of one game; spectra are computed when first asked for and kept.

    Attributes:
        wgan: the architecture; discriminator, generator, regularizer: its parts.
        real: moments of X. latents: the latent side. beta: β_d, None under a norm bound.
    """

    def __init__(self, wgan: WGAN, real: RealMoments, latents: Latents) -> None:
        discriminator, generator = wgan.players
        self.wgan, self.real, self.latents = wgan, real, latents
        self.discriminator: Discriminator = discriminator
        self.generator: Generator = generator
        self.regularizer: Regularizer = wgan.regularizer
        self.beta: float | None = discriminator.beta
        if discriminator.components is not None:
            self.beta = components_threshold(real.eigenvalues, discriminator.components)

    def with_beta(self, beta: float) -> GameEvidence:
        """The same game at another β_d, sharing every factorisation."""
        other = copy.copy(self)  # cached spectra do not depend on β_d and travel along
        other.discriminator = replace(self.discriminator, beta=beta, components=None, norm_bound=False)
        other.wgan = replace(self.wgan, discriminator=other.discriminator)
        other.beta = other.discriminator.beta
        return other

    @property
    def dim(self) -> int:
        """d_r."""
        return len(self.real.m)

    @property
    def strength(self) -> float:
        """β_g."""
        return self.regularizer.strength

    @property
    def mass_gap(self) -> float:
        """N_r − N_f."""
        return self.real.mass - self.latents.mass

    @cached_property
    def roundoff(self) -> float:
        """4·eps·√(n_r + d): the relative rounding error allowed for sums over samples or features."""
        return 4.0 * EPS * math.sqrt(self.real.n + self.dim)

    @property
    def distance_rounding(self) -> float:
        """The rounding error of dist: an excess over β_d up to this is not repaired."""
        if self.discriminator.kind == "linear":
            return 4.0 * self.roundoff * self.real.mean_scale
        a, b, _ = self.discriminator.activation
        rounding = abs(a) * self.real.frobenius + abs(b) * self.real.mean_scale
        return 4.0 * self.roundoff * rounding

    @cached_property
    def spectrum_error(self) -> float:
        """How far a computed eigenvalue of M or C may be off: 4·d·eps·‖M‖ by LAPACK, and the sums."""
        return 4.0 * self.dim * EPS * self.real.frobenius + self.roundoff * self.real.trace

    @property
    def centred_error(self) -> float:
        """How far an eigenvalue of C = M − mmᵀ/ρ may be off: that of M, and what errors of m, ρ and C itself move.

        With δ = roundoff·√(N_r‖M‖_F) the error of m: (2‖m‖δ + δ²)/ρ + ‖m‖²·|error of 1/ρ| + (eigensolver)·‖m‖²/ρ.
        inf where ρ is not known to be positive.
        """
        if not self.uses_skip_mean:
            return self.spectrum_error
        norm, delta = self.real.m_norm, self.roundoff * self.real.mean_scale
        rho, inverse_error = self.latents.rho, self.latents.inverse_rho_error
        moved = norm**2 * inverse_error if norm > 0.0 else 0.0
        solver = (4.0 * self.dim * EPS + self.roundoff) * norm**2 / rho
        return self.spectrum_error + (2.0 * norm * delta + delta**2) / rho + moved + solver

    @property
    def uses_skip_mean(self) -> bool:
        """Whether m has to be matched exactly and the generator can do it (ρ > 0)."""
        return self.discriminator.skip and self.latents.rho > 0

    @cached_property
    def centred_eigenvalues(self) -> Float64:
        """γ_1 ≥ … ≥ γ_d of C = M − mmᵀ/ρ with skip, σ_i² without it or where ρ = 0."""
        if not self.uses_skip_mean:
            return self.real.eigenvalues
        C = self.real.M - np.outer(self.real.m, self.real.m) / self.latents.rho
        gamma: Float64 = np.asarray(np.linalg.eigvalsh(C), dtype=np.float64)[::-1]
        return gamma

    @property
    def free_rank(self) -> int:
        """The rank left for the generator's spectrum: r, or r − 1 once the skip has fixed the mean."""
        return self.latents.rank - (1 if self.uses_skip_mean else 0)

    @property
    def mean_cost(self) -> float:
        """(β_g/2)‖m‖²/ρ, what matching the mean costs with skip; 0 without."""
        if not self.uses_skip_mean:
            return 0.0
        return 0.5 * self.strength * self.real.m_norm**2 / self.latents.rho_upper


def gather(
    wgan: WGAN,
    X: Array,
    *,
    Z: Any = None,
    latent: Latent | None = None,
    n_fake: int | None = None,
    normalize: Normalize = "sum",
) -> GameEvidence:
    """The evidence of one game, from spec and data alone.

    Args:
        wgan: a complete architecture with a linear, quadratic or polynomial discriminator.
        X: data, shape (n_r, d_r); any array library, float32 is accumulated in float64 block by block.
        Z: sampled noise, shape (n_f, d_f), unlifted; exactly one of Z and latent for a generator with noise.
        latent: population noise, with normalize="mean" only.
        n_fake: n_f of a free generator, n_r by default.
        normalize: "sum" (w = 1) or "mean" (w = 1/n).

    Raises:
        InputError: an incomplete or unsupported architecture, or noise that does not fit it.

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> wgan = Discriminator.quadratic(beta=1.0) + Generator.free()
    >>> gather(wgan, np.eye(2)).real.M.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if normalize not in ("sum", "mean"):
        raise InputError("normalize", normalize, 'be "sum" or "mean"', "it says whether moments are sums or means")
    discriminator, generator = wgan.players
    if discriminator.kind == "relu" or generator.kind == "distribution":
        remedy = "linear, quadratic and polynomial discriminators with free, linear, polynomial and ReLU generators are"
        raise InputError("wgan", wgan, "be covered by the moment bounds", remedy)
    X = as_samples(X, "X")
    real = real_moments(X, normalize)
    sees_weights = wgan.regularizer.of == "weights"
    return GameEvidence(wgan, real, latents_of(generator, Z, latent, n_fake or real.n, normalize, not sees_weights))


def real_moments(X: Array, normalize: Normalize) -> RealMoments:
    """Sums over row blocks in float64: no full float64 copy of X is made."""
    n, d = int(X.shape[0]), int(X.shape[1])
    weight, m, M = 1.0 if normalize == "sum" else 1.0 / n, np.zeros(d), np.zeros((d, d))
    rows = max(1, BLOCK_NUMBERS // d)
    for start in range(0, n, rows):
        block = to_numpy64(X[start : min(start + rows, n), :])
        m += block.sum(axis=0)
        M += block.T @ block
    M *= weight
    return RealMoments(weight * n, n, weight * m, 0.5 * (M + M.T), eps_of(X))


def latents_of(
    generator: Generator, Z: Any, latent: Latent | None, n_fake: int, normalize: Normalize, is_scaled: bool
) -> Latents:
    """The latent side; columns of features are scaled where the cost does not see the weights."""
    if isinstance(Z, Latent):
        Z, latent = None, Z
    if not generator.needs_noise:
        return FreeLatents(n_fake, 1.0 if normalize == "sum" else 1.0 / n_fake)
    if (Z is None) == (latent is None):
        given = "neither" if Z is None else "both"
        raise InputError("Z and latent", given, "be exactly one of the two", "give sampled noise or a population")
    if latent is not None:
        if normalize != "mean":
            raise InputError("normalize", normalize, 'be "mean" for population noise', "a population has no sum")
        return PopulationLatents(latent.dim, generator.coefficients, is_scaled=is_scaled)
    Z = as_samples(Z.array if isinstance(Z, DrawnNoise) else Z, "Z")
    if generator.kind == "relu":
        return relu_latents(to_numpy64(Z), generator.bias, normalize)
    weight = 1.0 if normalize == "sum" else 1.0 / int(Z.shape[0])
    return SampledLatents(Z, weight, generator.coefficients, is_scaled=is_scaled)
