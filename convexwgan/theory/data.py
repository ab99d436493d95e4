"""GameData: the data of one game, factored lazily and once, for theorems' conditions and solvers."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from convexwgan.arrays import Array, Float64, eps_of, like, namespace, to_numpy64
from convexwgan.geometry.moments import Moments, moments_of
from convexwgan.geometry.polynomials import lift, lifted_normal_moments
from convexwgan.geometry.reachability import reachable_basis
from convexwgan.geometry.spectra import (
    LatentSpectrum,
    components_threshold,
    eigh_descending,
    gram_latent_spectrum,
    gram_spectrum,
    latent_spectrum,
)
from convexwgan.geometry.zonotopes import FarthestVertex, farthest_vertex
from convexwgan.spec.latent import Latent
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.forms import Normalize


class GameData:
    """X, noise and convention of one game.

    Normalised moments make one set of formulas serve both conventions: with weights w = 1 (sums) or 1/n (means),

        M = w_r XᵀX,  m = w_r Xᵀ1,  A = w_f ZᵀZ,  z̄ = w_f Zᵀ1,  N = n or 1,  ρ = z̄ᵀA⁺z̄   (free: ρ = N_f).

    Args:
        wgan: the complete specification.
        X: real data (n_r, d_r), of any array library.
        Z: noise (n_f, d_f) of the same library, or None (free generator, population noise).
        latent: the population, when the noise is one.
        n_fake: number of generated samples n_f.
        normalize: "sum" or "mean".
    """

    def __init__(
        self, wgan: WGAN, X: Array, Z: Array | None, latent: Latent | None, n_fake: int, normalize: Normalize
    ) -> None:
        self.wgan, self.X, self.Z, self.latent = wgan, X, Z, latent
        self.n_fake, self.normalize = n_fake, normalize
        self.n_real, self.dim = int(X.shape[0]), int(X.shape[1])
        self.is_population = latent is not None and Z is None and wgan.players[1].needs_noise

    def at_beta(self, wgan: WGAN) -> GameData:
        """The same data under another β_d; factorisations are shared."""
        twin = GameData(wgan, self.X, self.Z, self.latent, self.n_fake, self.normalize)
        shared = {name: value for name, value in self.__dict__.items() if name not in ("wgan", "beta")}
        twin.__dict__.update(shared)
        return twin

    # ---- real data -------------------------------------------------------------------------------------------

    @property
    def real_weight(self) -> float:
        """w_r: 1 for sums, 1/n_r for means."""
        return 1.0 if self.normalize == "sum" else 1.0 / self.n_real

    @property
    def fake_weight(self) -> float:
        """w_f: 1 for sums, 1/n_f for means."""
        return 1.0 if self.normalize == "sum" else 1.0 / self.n_fake

    @cached_property
    def largest(self) -> float:
        """max |x_ij|, 1 where all are 0: the size of the data's numbers."""
        return float(np.abs(to_numpy64(self.X)).max()) or 1.0

    @property
    def mass_fake(self) -> float:
        """N_f: n_f for sums, 1 for means."""
        return float(self.n_fake) if self.normalize == "sum" else 1.0

    @property
    def mass_gap(self) -> float:
        """N_r − N_f."""
        return float(self.n_real - self.n_fake) if self.normalize == "sum" else 0.0

    @cached_property
    def moments(self) -> Moments:
        """N_r, m and M of the real data, in float64."""
        return moments_of(self.X, normalize=self.normalize)

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues σ_i² of M, descending, and eigenvectors V as columns."""
        if self.n_real < self.dim:
            return gram_spectrum(self.X, self.real_weight)
        values, vectors = eigh_descending(self.moments.second)
        return namespace(values).clip(values, min=0.0), vectors

    @cached_property
    def data_rank(self) -> int:
        """rank(X): eigenvalues of M above rounding, σ_i > 1e-12 σ_1 in the precision of M."""
        values = to_numpy64(self.spectrum[0])
        return int((values > max(self.spectral_tolerance, 1e-24 * float(values[0]))).sum()) if values[0] > 0 else 0

    @cached_property
    def centred_spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues γ_i of C = M − mmᵀ/ρ (MATH 3.5), descending, any sign, and eigenvectors; ρ = 0 gives C = M."""
        m, M = self.moments.first, self.moments.second
        return eigh_descending(M if self.mean_is_zero else M - m[:, None] * m[None, :] / self.rho)

    @cached_property
    def mean_norm(self) -> float:
        """‖m‖₂."""
        xp = namespace(self.moments.first)
        return float(xp.linalg.vector_norm(self.moments.first))

    @cached_property
    def beta(self) -> float:
        """β_d: given, or for ``components=k`` a certified upper bound on σ²_{k+1}."""
        discriminator = self.wgan.players[0]
        if discriminator.components is not None:
            return components_threshold(self.spectrum[0], discriminator.components)
        return float(discriminator.beta) if discriminator.beta is not None else math.inf

    @property
    def spectral_tolerance(self) -> float:
        """Rounding error of the eigenvalues of M: eps · max(n_r, d_r) · ‖M‖₂, at the precision of the data."""
        values = self.spectrum[0]
        return max(self.n_real, self.dim) * eps_of(values) * float(values[0])

    # ---- noise -----------------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether every output is reachable: a free generator, or a ReLU one on noise in general position."""
        kind = self.wgan.players[1].kind
        return kind == "free" or (kind == "relu" and self.reachable_basis is None)

    @cached_property
    def network_input(self) -> Array:
        """Z, with a constant column for a ReLU generator with bias: what the first layer sees, (n_f, d_f [+ 1])."""
        assert self.Z is not None
        xp = namespace(self.Z)
        if not self.wgan.players[1].bias:
            return self.Z
        return xp.concat([self.Z, xp.ones_like(self.Z[:, :1])], axis=1)

    @cached_property
    def farthest_vertex(self) -> FarthestVertex:
        """φ* = max_{‖u‖≤1} 1ᵀ(Nu)₊ of the network input, with the u that attains it (MATH 3.7)."""
        return farthest_vertex(to_numpy64(self.network_input))

    @cached_property
    def reachable_basis(self) -> Array | None:
        """An orthonormal basis (n_f, q) of F = span{(Zu)₊} for a ReLU generator; None when F is all of ℝ^{n_f}."""
        basis = reachable_basis(to_numpy64(self.network_input))
        if basis is not None and basis.shape[1] == 0:  # zero noise reaches zero only
            basis = np.zeros((self.n_fake, 1))
        return None if basis is None else like(self.X, basis, dtype=namespace(self.X).float64)

    @cached_property
    def features(self) -> Array | None:
        """What the weights act on, (n_f, p): Z, lifted for a polynomial generator, a basis of F for a ReLU one.

        Its columns are divided by ``column_scale``. None for free outputs and for population noise.
        """
        if self.wgan.players[1].kind == "relu":
            return self.reachable_basis
        if self._raw_features is None or self.column_scale is None:
            return self._raw_features
        return self._raw_features / like(self._raw_features, self.column_scale)[None, :]

    @cached_property
    def _raw_features(self) -> Array | None:
        coefficients = self.wgan.players[1].coefficients
        return self.Z if self.Z is None or coefficients is None else lift(self.Z, coefficients)

    @cached_property
    def column_scale(self) -> Float64 | None:
        """Powers of two near the norms of the features' columns, (p,), where the cost does not see the weights.

        The game is then invariant under Z ↦ ZD⁻¹, W ↦ DW, and a column of small numbers is not taken for a zero
        one. None where the weights are paid for, and for population noise.
        """
        if self._raw_features is None or self.wgan.regularizer.of == "weights":
            return None
        xp = namespace(self._raw_features)
        norms = to_numpy64(xp.linalg.vector_norm(xp.astype(self._raw_features, xp.float64), axis=0))
        return np.exp2(np.round(np.log2(np.where(norms > 0.0, norms, 1.0))))

    def in_scaled_units(self, weights: Array) -> Array:
        """W' = DW: the user's weights as weights on the scaled features."""
        if self.column_scale is None or self.wgan.players[1].kind == "relu":
            return weights
        return weights * like(weights, self.column_scale)[:, None]

    def in_users_units(self, weights: Array) -> Array:
        """W = D⁻¹W': weights on the scaled features as weights on the user's own."""
        if self.column_scale is None or self.wgan.players[1].kind == "relu":
            return weights
        return weights / like(weights, self.column_scale)[:, None]

    @cached_property
    def latent_spectrum(self) -> LatentSpectrum:
        """Eigenvalues λ_i > 0 of A and eigenvectors Q (p, r)."""
        if self.features is not None:
            return latent_spectrum(self.features, self.fake_weight, eps=self._noise_eps)
        return gram_latent_spectrum(self._population_moments[1])

    @property
    def feature_count(self) -> int:
        """Columns that the weights act on: d_f, lifted for a polynomial generator; 0 for a free one."""
        return 0 if self.is_free else int(self.latent_mean.shape[0])

    @cached_property
    def input_spectrum(self) -> LatentSpectrum:
        """Eigenpairs of w NᵀN for the network input N of a ReLU generator: its range holds the cheap outputs."""
        return latent_spectrum(self.network_input, self.fake_weight, eps=self._noise_eps)

    @cached_property
    def latent_mean(self) -> Array:
        """z̄ (p,)."""
        if self.features is None:
            return self._population_moments[0]
        xp = namespace(self.features)
        return self.fake_weight * xp.sum(xp.astype(self.features, xp.float64), axis=0)

    @cached_property
    def _population_moments(self) -> tuple[Array, Array]:
        """(z̄, A) of the population noise, in the array library of X."""
        xp = namespace(self.X)
        assert self.latent is not None
        coefficients = self.wgan.players[1].coefficients
        if coefficients is None:
            return xp.zeros(self.latent.dim, dtype=xp.float64), xp.eye(self.latent.dim, dtype=xp.float64)
        mean, second = lifted_normal_moments(self.latent.dim, coefficients)
        return xp.asarray(mean, dtype=xp.float64), xp.asarray(second, dtype=xp.float64)

    @cached_property
    def latent_direction(self) -> Array:
        """y₀ = Λ^{−½}Qᵀz̄ (r,): the direction of 1 in the frame of range(Z); ‖y₀‖² = ρ."""
        spectrum = self.latent_spectrum
        xp = namespace(spectrum.vectors)
        return (xp.matrix_transpose(spectrum.vectors) @ self.latent_mean) / xp.sqrt(spectrum.values)

    @cached_property
    def rho(self) -> float:
        """ρ = z̄ᵀA⁺z̄ = ‖P_Z 1‖²; N_f for a free generator; exactly 0 when z̄ vanishes to rounding."""
        if self.is_free:
            return self.mass_fake
        xp = namespace(self.latent_mean)
        size = float(xp.linalg.vector_norm(self.latent_mean))
        # 8·eps·w·√n_f·‖Z‖_F, the rounding of a column sum of centred samples: below it z̄ is zero.
        energy = float(xp.sum(self.latent_spectrum.singular_values**2))
        if size <= 8.0 * self._noise_eps * math.sqrt(self.mass_fake * energy):
            return 0.0
        return float(xp.sum(self.latent_direction**2))

    @property
    def _noise_eps(self) -> float:
        return eps_of(self.Z if self.Z is not None else self.latent_mean)

    @property
    def mean_is_zero(self) -> bool:
        """Whether z̄ = 0: then no weights can move the mean of the output."""
        return self.rho == 0.0

    @property
    def rank(self) -> int:
        """How much rank the output can have: rank(Z), or n_f for a free generator."""
        return self.n_fake if self.is_free else self.latent_spectrum.rank
