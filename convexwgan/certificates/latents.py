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
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convexwgan.arrays import Float64

EPS = float(np.finfo(np.float64).eps)
BLOCK_NUMBERS = 4_000_000
"""Numbers in one float64 block (32 MB): data of any size passes through blocks of at most this many."""


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
        with np.errstate(over="ignore"):  # weights beyond float64 are refused where they are judged
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
