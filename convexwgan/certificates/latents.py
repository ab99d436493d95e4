"""What the judge knows of the latent side: features Z, their moments A and z̄, rank, ρ and the frame of A.

With w = 1 ("sum") or 1/n_f ("mean"): A = w ZᵀZ, z̄ = w Zᵀ1, N_f = w n_f, ρ = z̄ᵀA⁺z̄. A generator G = ZW has
S = w GᵀG = WᵀAW and s = w Gᵀ1 = Wᵀz̄, hence S ⪰ ssᵀ/ρ. A free generator is Z = I. Population noise has
moments only.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from convexwgan.arrays import Array, Float64, eps_of, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.polynomials import lift, lifted_dimension, lifted_normal_moments
from convexwgan.geometry.reachability import reachable_basis
from convexwgan.geometry.spectra import LatentSpectrum, gram_latent_spectrum, latent_spectrum

if TYPE_CHECKING:
    from convexwgan.certificates.pricing import PriceBound

EPS = float(np.finfo(np.float64).eps)
BLOCK_NUMBERS = 4_000_000
"""Numbers in one float64 block (32 MB): data of any size passes through blocks of at most this many."""
Coefficients = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Frame:
    """Orthonormal coordinates Y = A^½W of the generator, shape (r, d): S = YᵀY and s = √ρ Yᵀe.

    Q (p, r) and roots (r,) are eigenvectors and square roots of eigenvalues of A (Q None: the identity);
    e (r,) is the unit vector A^{−½}z̄/√ρ, None where z̄ = 0.
    """

    Q: Float64 | None
    roots: Float64
    e: Float64 | None
    rho: float

    def coordinates(self, W: Float64) -> Float64:
        """Y = A^½W."""
        return self.roots[:, None] * (W if self.Q is None else self.Q.T @ W)

    def weights(self, Y: Float64) -> Float64:
        """W = A^{−½}Y, the least-norm weights with these coordinates."""
        Y = Y / self.roots[:, None]
        return Y if self.Q is None else self.Q @ Y

    def weights_transposed(self, B: Float64) -> Float64:
        """A^{−½}B, coordinates of the functional ⟨B, W⟩: A⁺B = weights(weights_transposed(B))."""
        return (B if self.Q is None else self.Q.T @ B) / self.roots[:, None]


class Latents(ABC):
    """The latent side of the game; the subclasses say where the features come from."""

    mass: float
    weight: float
    width: int

    @property
    @abstractmethod
    def z_bar(self) -> Float64:
        """z̄, shape (p,)."""

    @property
    @abstractmethod
    def second(self) -> Float64:
        """A, shape (p, p)."""

    @abstractmethod
    def output_moments(self, W: Float64) -> tuple[Float64, Float64]:
        """(S, s) of the output that weights W, shape (p, d), produce."""

    @abstractmethod
    def output(self, W: Float64) -> Float64:
        """G, shape (n_f, d)."""

    @property
    @abstractmethod
    def frame(self) -> Frame:
        """Orthonormal coordinates of the generator."""

    @property
    @abstractmethod
    def zero_tolerance(self) -> float:
        """‖z̄‖ at or below this counts as z̄ = 0: rounding of the samples explains it."""

    @property
    @abstractmethod
    def eigenvalues(self) -> Float64:
        """The nonzero eigenvalues λ_1 ≥ … ≥ λ_r of A."""

    is_rank_ambiguous: bool = False
    rank_text: str = ""

    @property
    def rank(self) -> int:
        """r, the rank of A: no output has a larger rank."""
        return len(self.frame.roots)

    @property
    def width_of_output(self) -> int:
        """n_f, the number of rows of G; 0 for a population."""
        return 0

    @property
    def rho(self) -> float:
        """ρ = z̄ᵀA⁺z̄, 0 where z̄ = 0."""
        return self.frame.rho

    @cached_property
    def z_norm(self) -> float:
        """‖z̄‖."""
        return float(np.linalg.norm(self.z_bar))

    @property
    def is_zero_ambiguous(self) -> bool:
        """Whether z̄ = 0 is a matter of judgement: ‖z̄‖ within a factor 10 of its tolerance."""
        return self.zero_tolerance > 0 and self.zero_tolerance / 10 <= self.z_norm <= 10 * self.zero_tolerance

    @property
    def is_rho_ambiguous(self) -> bool:
        """Whether ρ hangs on a rank or zero decision that could go the other way."""
        at_most = self.mass * (1 - 1e-12)
        return self.is_zero_ambiguous or (self.is_rank_ambiguous and 0.0 < self.rho < at_most)

    @cached_property
    def rho_upper(self) -> float:
        """ρ with its rounding error added, never above N_f: what lower bounds use."""
        if self.rho == 0.0:
            return 0.0
        roots = self.frame.roots
        inflated = self.rho * (1.0 + 16.0 * EPS * float(roots[0] / roots[-1]))
        return min(inflated, self.mass * (1.0 + 4.0 * EPS))


class FreeLatents(Latents):
    """A free generator: W is G itself, Z = I, A = wI, z̄ = w1, ρ = N_f, rank n_f."""

    zero_tolerance = 0.0

    def __init__(self, n: int, weight: float) -> None:
        self.width, self.weight, self.mass = n, weight, weight * n
        self.rank_text = f"n_f = {n}"

    @property
    def z_bar(self) -> Float64:
        return np.full(self.width, self.weight)

    @property
    def second(self) -> Float64:
        return self.weight * np.eye(self.width)

    @property
    def eigenvalues(self) -> Float64:
        return np.full(self.width, self.weight)

    def output_moments(self, W: Float64) -> tuple[Float64, Float64]:
        return self.weight * (W.T @ W), self.weight * W.sum(axis=0)

    def output(self, W: Float64) -> Float64:
        return W

    @property
    def width_of_output(self) -> int:
        return self.width

    @cached_property
    def frame(self) -> Frame:
        ones = np.full(self.width, 1.0 / math.sqrt(self.width))
        return Frame(None, np.full(self.width, math.sqrt(self.weight)), ones, self.mass)


class _SpectralLatents(Latents):
    """Latents whose frame comes from a spectrum with a rank tolerance."""

    @property
    @abstractmethod
    def spectrum(self) -> LatentSpectrum:
        """Nonzero eigenpairs of A, with the tolerance that decided their number."""

    @property
    def eigenvalues(self) -> Float64:
        return to_numpy64(self.spectrum.values)

    @property
    def is_rank_ambiguous(self) -> bool:  # type: ignore[override]
        return self.spectrum.is_ambiguous

    @property
    def rank_text(self) -> str:  # type: ignore[override]
        return f"rank(Z) = {self.rank} (singular values above {self.spectrum.tolerance:.1e})"

    @cached_property
    def frame(self) -> Frame:
        Q, roots = to_numpy64(self.spectrum.vectors), np.sqrt(self.eigenvalues)
        if self.z_norm <= self.zero_tolerance:
            return Frame(Q, roots, None, 0.0)
        e = (Q.T @ self.z_bar) / roots
        length = float(np.linalg.norm(e))
        # A mean outside the numerical range of A is no mean at all: only rounding can put it there.
        return Frame(Q, roots, e / length, length**2) if length > 0 else Frame(Q, roots, None, 0.0)


class SampledLatents(_SpectralLatents):
    """Sampled noise Z (n_f, d_f), lifted to Z̃ by the coefficients of a polynomial generator."""

    def __init__(self, Z: Array, weight: float, coefficients: Coefficients | None = None) -> None:
        self.Z, self.coefficients = Z, coefficients
        self.n, self.weight, self.mass = int(Z.shape[0]), weight, weight * int(Z.shape[0])
        self.width = lifted_dimension(Z.shape[1]) if coefficients is not None else int(Z.shape[1])
        self._dense = np.vstack(list(self._fresh_blocks())) if self.n * self.width <= BLOCK_NUMBERS else None

    def blocks(self) -> Iterator[Float64]:
        """The features in float64, block by block; data larger than a block is never copied whole."""
        return iter([self._dense]) if self._dense is not None else self._fresh_blocks()

    def _fresh_blocks(self) -> Iterator[Float64]:
        rows = max(1, BLOCK_NUMBERS // self.width)
        for start in range(0, self.n, rows):
            block = to_numpy64(self.Z[start : min(start + rows, self.n), :])
            yield block if self.coefficients is None else to_numpy64(lift(block, self.coefficients))

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
        if self.coefficients is None:
            return latent_spectrum(self.Z if self._dense is None or self.eps > EPS else self._dense, self.weight)
        features = self._dense if self._dense is not None else np.vstack(list(self.blocks()))
        return latent_spectrum(features, self.weight, eps=self.eps)

    @cached_property
    def eps(self) -> float:
        """Machine epsilon of the user's dtype: what a zero in the data may hide."""
        return eps_of(self.Z)

    @cached_property
    def zero_tolerance(self) -> float:
        """8·eps·w·√n_f·‖Z‖_F, the rounding of a column sum of centred samples."""
        frobenius = math.sqrt(sum(float(np.vdot(block, block)) for block in self.blocks()))
        return 8.0 * self.eps * self.weight * math.sqrt(self.n) * frobenius

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


class PopulationLatents(_SpectralLatents):
    """z ~ N(0, I) in population: A = I and z̄ = 0, or the moments of the lift. Masses are 1."""

    zero_tolerance = 0.0

    def __init__(self, dim: int, coefficients: Coefficients | None = None) -> None:
        self.weight, self.mass = 1.0, 1.0
        if coefficients is None:
            self._mean, self._second = np.zeros(dim), np.eye(dim)
        else:
            mean, second = lifted_normal_moments(dim, coefficients)
            self._mean, self._second = to_numpy64(mean), to_numpy64(second)
        self.width = len(self._mean)

    @property
    def z_bar(self) -> Float64:
        return self._mean

    @property
    def second(self) -> Float64:
        return self._second

    @cached_property
    def spectrum(self) -> LatentSpectrum:
        return gram_latent_spectrum(self._second)

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
        from convexwgan.certificates.relu_bounds import phi_star  # that module reads EPS from here

        return phi_star(self.network_input)

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
    latents = ReluFreeLatents(len(Z), weight) if basis is None else ReluSpanLatents(basis, weight)
    latents.network_input = N
    return latents
