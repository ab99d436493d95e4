"""What the judge knows of the latent side: features Z, their moments A and z̄, rank, ρ and the frame of A.

With w = 1 ("sum") or 1/n_f ("mean"): A = w ZᵀZ, z̄ = w Zᵀ1, N_f = w n_f, ρ = z̄ᵀA⁺z̄. A generator G = ZW has
S = w GᵀG = WᵀAW and s = w Gᵀ1 = Wᵀz̄, hence S ⪰ ssᵀ/ρ. A free generator is Z = I. Population noise has
moments only.

Rank and ρ do not change under Z ↦ ZD⁻¹, W ↦ DW, D > 0 diagonal: both are decided on columns of norm about 1, so
that small numbers are not taken for zeros. Where the cost does not see W, the frame is that of ZD⁻¹ too.
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
from convexwgan.certificates.columns import column_norms, powers_of_two, triangle
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

    Q (p, r) and roots (r,) are eigenvectors and square roots of eigenvalues of D⁻¹AD⁻¹ (Q None: the identity),
    D (p,) the scale of the columns, None for 1; e (r,) is the unit vector A^{−½}z̄/√ρ, None where z̄ = 0.
    """

    Q: Float64 | None
    roots: Float64
    e: Float64 | None
    rho: float
    scale: Float64 | None = None

    def coordinates(self, W: Float64) -> Float64:
        """Y = A^½W."""
        W = W if self.scale is None else self.scale[:, None] * W
        return self.roots[:, None] * (W if self.Q is None else self.Q.T @ W)

    def weights(self, Y: Float64) -> Float64:
        """W = A^{−½}Y, the least-norm weights with these coordinates."""
        Y = Y / self.roots[:, None]
        W = Y if self.Q is None else self.Q @ Y
        return W if self.scale is None else W / self.scale[:, None]

    def weights_transposed(self, B: Float64) -> Float64:
        """A^{−½}B, coordinates of the functional ⟨B, W⟩: A⁺B = weights(weights_transposed(B))."""
        B = B if self.scale is None else B / self.scale[:, None]
        return (B if self.Q is None else self.Q.T @ B) / self.roots[:, None]


class Latents(ABC):
    """The latent side of the game; the subclasses say where the features come from."""

    mass: float
    weight: float
    width: int
    column_scale: Float64 | None = None
    """D, shape (p,), powers of two: rank, ρ and frame are those of ZD⁻¹. None for 1."""

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
        """‖D⁻¹z̄‖ at or below this counts as z̄ = 0: rounding of the samples explains it."""

    @property
    @abstractmethod
    def mean_rounding(self) -> float:
        """How far D⁻¹z̄ may be off, summed in float64."""

    @property
    @abstractmethod
    def eigenvalues(self) -> Float64:
        """λ_1 ≥ … ≥ λ_r > 0 of A for its rank r, rounded up."""

    is_rank_ambiguous: bool = False
    is_truncated: bool = False
    """Whether the rank is a decision: less than n_f and p."""
    rank_text: str = ""

    @property
    def equilibrated(self) -> Latents:
        """The same noise with columns of norm about 1: where rank and ρ are decided."""
        return self

    @property
    def rank(self) -> int:
        """r, the rank of A: no output has a larger rank."""
        return len(self.equilibrated.frame.roots)

    @property
    def width_of_output(self) -> int:
        """n_f, the number of rows of G; 0 for a population."""
        return 0

    @property
    def rho(self) -> float:
        """ρ = z̄ᵀA⁺z̄, 0 where z̄ = 0."""
        return self.equilibrated.frame.rho

    @cached_property
    def z_norm(self) -> float:
        """‖z̄‖."""
        return float(np.linalg.norm(self.z_bar))

    @cached_property
    def scaled_mean(self) -> Float64:
        """D⁻¹z̄."""
        return self.z_bar if self.column_scale is None else self.z_bar / self.column_scale

    @cached_property
    def scaled_norm(self) -> float:
        """‖D⁻¹z̄‖."""
        return float(np.linalg.norm(self.scaled_mean))

    @property
    def z_norm_upper(self) -> float:
        """‖z̄‖ with its rounding error added, where the columns are not scaled."""
        return self.z_norm * (1.0 + 4.0 * EPS) + self.mean_rounding

    @property
    def mean_text(self) -> str:
        """‖z̄‖ with the tolerance at which it counts as 0."""
        judged = self.equilibrated
        scaled = "" if judged.column_scale is None else " of columns scaled to norm 1"
        return f"‖z̄‖ = {judged.scaled_norm:.3g}{scaled}, zero tolerance {judged.zero_tolerance:.1e}"

    @property
    def is_zero_ambiguous(self) -> bool:
        """Whether z̄ = 0 is a matter of judgement: ‖z̄‖ within a factor 10 of its tolerance."""
        size, tolerance = self.equilibrated.scaled_norm, self.equilibrated.zero_tolerance
        return tolerance > 0 and tolerance / 10 <= size <= 10 * tolerance

    @property
    def is_rho_ambiguous(self) -> bool:
        """Whether ρ hangs on a rank or zero decision that could go the other way."""
        at_most = self.mass * (1 - 1e-12)
        return self.is_zero_ambiguous or (self.is_rank_ambiguous and 0.0 < self.rho < at_most)

    @property
    def is_rho_decided(self) -> bool:
        """Whether ρ hangs on any decision at a tolerance, ambiguous or not."""
        is_zeroed = self.rho == 0.0 and self.equilibrated.scaled_norm > 0.0
        return is_zeroed or self.is_rho_ambiguous or (self.is_truncated and 0.0 < self.rho < self.mass * (1 - 1e-12))

    @cached_property
    def rho_bounds(self) -> tuple[float, float]:
        """ρ_lower ≤ ρ ≤ ρ_upper = (√ρ ± δ)², never above N_f: how far rounding may have moved ρ.

        e = A^{−½}z̄ with ‖e‖ = √ρ is off by 16·eps·cond(A^½)√ρ from A, and by the rounding of z̄ over √λ_r.
        """
        judged = self.equilibrated
        roots = judged.frame.roots
        if judged.scaled_norm == 0.0 and judged.mean_rounding == 0.0:
            return 0.0, 0.0
        if len(roots) == 0:
            return 0.0, self.mass * (1.0 + 4.0 * EPS)
        length = judged.mean_length
        delta = 16.0 * EPS * float(roots[0] / roots[-1]) * length + judged.mean_rounding / float(roots[-1])
        at_most = self.mass * (1.0 + 4.0 * EPS)
        return max(0.0, length - delta) ** 2, min((length + delta) ** 2, at_most)

    @property
    def mean_length(self) -> float:
        """√ρ as measured, before it is decided whether it is 0."""
        return math.sqrt(self.frame.rho)

    @property
    def rho_upper(self) -> float:
        """ρ with its rounding error added: what lower bounds use."""
        return self.rho_bounds[1]

    @property
    def inverse_rho_error(self) -> float:
        """How far rounding may have moved 1/ρ; inf where it may be all of it."""
        lower, upper = self.rho_bounds
        return 1.0 / lower - 1.0 / upper if lower > 0.0 else math.inf


class FreeLatents(Latents):
    """A free generator: W is G itself, Z = I, A = wI, z̄ = w1, ρ = N_f, rank n_f."""

    zero_tolerance = 0.0
    mean_rounding = 0.0

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
    def rho_bounds(self) -> tuple[float, float]:
        return self.mass * (1.0 - 4.0 * EPS), self.mass * (1.0 + 4.0 * EPS)

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
    @abstractmethod
    def equilibrated(self) -> _SpectralLatents: ...

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


class SampledLatents(_SpectralLatents):
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


class PopulationLatents(_SpectralLatents):
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
