"""Latent sides that come from features: sampled noise, population noise, the reachable outputs of a ReLU network."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from convexwgan.arrays import Array, Float64, eps_of, to_numpy64
from convexwgan.certificates.columns import column_norms, powers_of_two, triangle
from convexwgan.certificates.latents import BLOCK_NUMBERS, EPS, Frame, FreeLatents, Latents
from convexwgan.errors import InputError
from convexwgan.geometry.polynomials import lift, lifted_dimension, lifted_normal_moments
from convexwgan.geometry.reachability import reachable_basis
from convexwgan.geometry.spectra import LatentSpectrum, gram_latent_spectrum, latent_spectrum

if TYPE_CHECKING:
    from convexwgan.certificates.pricing import PriceBound

FEW_CELLS = 20_000
"""Cells up to which the longest feature is priced exactly: beyond, ‖N‖₂ is near enough and costs nothing."""
Coefficients = tuple[float, float, float]


class SpectralLatents(Latents):
    """Latents whose frame comes from a spectrum with a rank tolerance."""

    @property
    @abstractmethod
    def spectrum(self) -> LatentSpectrum:
        """Nonzero eigenpairs of A, with the tolerance that decided their number."""

    @property
    @abstractmethod
    def equilibrated(self) -> SpectralLatents: ...

    @cached_property
    def eigenvalues(self) -> Float64:
        s = to_numpy64(self.spectrum.singular_values)[: self.rank]
        return (s + 16.0 * EPS * s[:1]) ** 2

    @property
    def is_rank_ambiguous(self) -> bool:  # type: ignore[override]
        return self.equilibrated.spectrum.is_ambiguous

    @property
    def is_truncated(self) -> bool:  # type: ignore[override]
        return self.rank < len(self.equilibrated.spectrum.singular_values)

    @property
    def rank_text(self) -> str:  # type: ignore[override]
        judged = self.equilibrated
        scaled = "" if judged.column_scale is None else ", columns scaled to norm 1"
        return f"rank(Z) = {self.rank} (singular values above {judged.spectrum.tolerance:.1e}{scaled})"

    @cached_property
    def _mean_coordinates(self) -> Float64:
        """A^{−½}z̄ in the frame, shape (r,)."""
        roots = np.sqrt(to_numpy64(self.spectrum.values))
        return np.asarray((to_numpy64(self.spectrum.vectors).T @ self.scaled_mean) / roots, dtype=np.float64)

    @property
    def mean_length(self) -> float:
        return float(np.linalg.norm(self._mean_coordinates))

    @cached_property
    def frame(self) -> Frame:
        Q, roots = to_numpy64(self.spectrum.vectors), np.sqrt(to_numpy64(self.spectrum.values))
        length = self.mean_length
        # A mean outside the numerical range of A is no mean at all: only rounding can put it there.
        if self.scaled_norm <= self.zero_tolerance or length == 0.0:
            return Frame(Q, roots, None, 0.0, self.column_scale)
        return Frame(Q, roots, self._mean_coordinates / length, length**2, self.column_scale)


class SampledLatents(SpectralLatents):
    """Sampled noise Z (n_f, d_f), lifted to Z̃ by the coefficients of a polynomial generator.

    ``is_scaled``: rank, ρ and frame are those of ZD⁻¹, D the powers of two nearest to the column norms.
    """

    def __init__(
        self, Z: Array, weight: float, coefficients: Coefficients | None = None, *, is_scaled: bool = False
    ) -> None:
        self.Z, self.coefficients = Z, coefficients
        self.n, self.weight, self.mass = int(Z.shape[0]), weight, weight * int(Z.shape[0])
        self.width = lifted_dimension(Z.shape[1]) if coefficients is not None else int(Z.shape[1])
        self._dense = np.vstack(list(self._fresh_blocks())) if self.n * self.width <= BLOCK_NUMBERS else None
        if is_scaled:
            self.column_scale = self._nearest_scale

    def blocks(self) -> Iterator[Float64]:
        """The features in float64, block by block; data larger than a block is never copied whole."""
        return iter([self._dense]) if self._dense is not None else self._fresh_blocks()

    def _fresh_blocks(self) -> Iterator[Float64]:
        rows = max(1, BLOCK_NUMBERS // self.width)
        for start in range(0, self.n, rows):
            block = to_numpy64(self.Z[start : min(start + rows, self.n), :])
            yield block if self.coefficients is None else to_numpy64(lift(block, self.coefficients))

    def _scaled_blocks(self) -> Iterator[Float64]:
        D = self.column_scale
        return self.blocks() if D is None else (block / D for block in self.blocks())

    @cached_property
    def _column_norms(self) -> Float64:
        return column_norms(self.blocks())

    @cached_property
    def _nearest_scale(self) -> Float64:
        return powers_of_two(self._column_norms)

    @cached_property
    def equilibrated(self) -> SampledLatents:
        if self.column_scale is not None or np.ptp(self._nearest_scale) == 0.0:
            return self  # one common factor decides nothing
        return SampledLatents(self.Z, self.weight, self.coefficients, is_scaled=True)

    @cached_property
    def z_bar(self) -> Float64:
        total: Float64 = np.sum([block.sum(axis=0) for block in self.blocks()], axis=0)
        return self.weight * total

    @cached_property
    def second(self) -> Float64:
        total: Float64 = np.sum([block.T @ block for block in self.blocks()], axis=0)
        return self.weight * total

    @cached_property
    def spectrum(self) -> LatentSpectrum:
        if self._dense is not None:
            return latent_spectrum(next(self._scaled_blocks()), self.weight, eps=self.eps)
        # The triangle has fewer rows than the features: its tolerance is told of the sums over n.
        eps = max(self.eps, self.n * EPS / max(self.width, 64))
        return latent_spectrum(triangle(self._scaled_blocks()), self.weight, eps=eps)

    @cached_property
    def eps(self) -> float:
        """Machine epsilon of the user's dtype: what a zero in the data may hide."""
        return eps_of(self.Z)

    @cached_property
    def zero_tolerance(self) -> float:
        """8·eps·w·√n_f·‖Z‖_F, the rounding of a column sum of centred samples."""
        return 8.0 * self.eps * self._mean_size

    @property
    def mean_rounding(self) -> float:
        """8·EPS·w·√n_f·‖Z‖_F: the same for the samples as they stand in float64."""
        return 8.0 * EPS * self._mean_size

    @cached_property
    def _mean_size(self) -> float:
        norms = self._column_norms if self.column_scale is None else self._column_norms / self.column_scale
        return self.weight * math.sqrt(self.n) * float(np.linalg.norm(norms))

    def output_moments(self, W: Float64) -> tuple[Float64, Float64]:
        S, s = np.zeros((W.shape[1], W.shape[1])), np.zeros(W.shape[1])
        for block in self.blocks():
            G = block @ W
            S += G.T @ G
            s += G.sum(axis=0)
        return self.weight * S, self.weight * s

    def output(self, W: Float64) -> Float64:
        return np.vstack([block @ W for block in self.blocks()])

    @property
    def width_of_output(self) -> int:
        return self.n

    def transposed(self, H: Float64) -> Float64:
        """ZᵀH for H of shape (n_f, d)."""
        total, start = np.zeros((self.width, H.shape[1])), 0
        for block in self.blocks():
            total += block.T @ H[start : start + len(block)]
            start += len(block)
        return total


class PopulationLatents(SpectralLatents):
    """z ~ N(0, I) in population: A = I and z̄ = 0, or the moments of the lift. Masses are 1."""

    zero_tolerance = 0.0

    def __init__(self, dim: int, coefficients: Coefficients | None = None, *, is_scaled: bool = False) -> None:
        self.dim, self.coefficients = dim, coefficients
        self.weight, self.mass = 1.0, 1.0
        if coefficients is None:
            self._mean, self._second = np.zeros(dim), np.eye(dim)
        else:
            mean, second = lifted_normal_moments(dim, coefficients)
            self._mean, self._second = to_numpy64(mean), to_numpy64(second)
        self.width = len(self._mean)
        if is_scaled:
            self.column_scale = self._nearest_scale

    @cached_property
    def _nearest_scale(self) -> Float64:
        return powers_of_two(np.sqrt(np.diagonal(self._second)))

    @cached_property
    def equilibrated(self) -> PopulationLatents:
        if self.column_scale is not None or np.ptp(self._nearest_scale) == 0.0:
            return self
        return PopulationLatents(self.dim, self.coefficients, is_scaled=True)

    @property
    def mean_rounding(self) -> float:
        """Each entry of z̄ is one number of the lift."""
        return 4.0 * EPS * self.scaled_norm

    @property
    def z_bar(self) -> Float64:
        return self._mean

    @property
    def second(self) -> Float64:
        return self._second

    @cached_property
    def spectrum(self) -> LatentSpectrum:
        D = self.column_scale
        return gram_latent_spectrum(self._second if D is None else self._second / D[:, None] / D)

    def output_moments(self, W: Float64) -> tuple[Float64, Float64]:
        S = W.T @ (self._second @ W)
        return 0.5 * (S + S.T), W.T @ self._mean

    def output(self, W: Float64) -> Float64:
        remedy = "regularise the weights, or draw a sample of the noise"
        raise InputError("output of population noise", "no samples", "not be asked for", remedy)


class ReluLatents:
    """What a ReLU generator adds: its network input N = Z or [Z 1], and coordinates of a network's output."""

    network_input: Float64

    @cached_property
    def phi_star(self) -> PriceBound:
        """A proven upper bound on φ* = max_{‖u‖≤1} 1ᵀ(Nu)₊: what one unit of weights moves the mean by."""
        from convexwgan.certificates.relu_bounds import phi_star  # needed here only, and not small

        return phi_star(self.network_input)

    @cached_property
    def longest_feature(self) -> PriceBound:
        """A proven upper bound on max_{‖u‖≤1} ‖(Nu)₊‖₂: what one unit of weights moves the output by."""
        from convexwgan.certificates.relu_bounds import longest_feature

        return longest_feature(self.network_input, max_cells=FEW_CELLS)

    def coordinates_of(self, G: Float64) -> Float64:
        """The weights, in the sense of this latent side, whose output is G."""
        return G


class ReluFreeLatents(ReluLatents, FreeLatents):
    """A ReLU generator on noise in general position: every output G is reachable."""


class ReluSpanLatents(ReluLatents, SampledLatents):
    """A ReLU generator whose outputs fill F ⊗ ℝ^d, F = span{(Nu)₊} ≠ ℝ^n: linear on an orthonormal basis of F."""

    def coordinates_of(self, G: Float64) -> Float64:
        return self.transposed(G)


def relu_latents(Z: Float64, bias: bool, normalize: str) -> ReluFreeLatents | ReluSpanLatents:
    """The reachable outputs of (NW₁)₊W₂ as a free generator, or as a linear one on a basis (MATH 2.4)."""
    N = np.hstack([Z, np.ones((len(Z), 1))]) if bias else Z
    weight = 1.0 if normalize == "sum" else 1.0 / len(Z)
    basis = reachable_basis(N)
    if basis is not None and basis.shape[1] == 0:  # zero noise reaches zero only: one feature that is zero says so
        basis = np.zeros((len(Z), 1))
    latents = ReluFreeLatents(len(Z), weight) if basis is None else ReluSpanLatents(basis, weight)
    latents.network_input = N
    return latents
