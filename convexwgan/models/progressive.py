"""A progressive linear generator in factors: codes from noise, stage by stage, and images from codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.extras import require
from convexwgan.geometry.spectra import fix_signs, orthogonal_complement
from convexwgan.models.pyramid import upsample

if TYPE_CHECKING:
    import torch

NOISE_ROWS = 4096
"""Rows of noise drawn by one seed, whatever the blocks of the data are."""
_RANK_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage: G_i = Z_iW_i with Z_i = [upsampled G_{i−1}, r_i fresh normal columns, 1], in factors.

    Codes L_i = [L_{i−1}, F_i]·T + t (LᵀL = I on the training noise) and G_i = L_i R, R = diag(scale)·Vᵀ.

    Attributes:
        shape: (height, width, channels).
        fresh: r_i, columns of noise that this stage draws (latent_dim for the first).
        T: (k_{i−1} + r_i, k_i). shift: t (k_i,), zeros without a constant column.
        vectors: V (d_i, k_i). scale: (σ² − β_d)₊^½ (k_i,).
        mean: μ_i (d_i,). beta: β_d in sums. values: σ² of the components that stay (k_i,).
    """

    shape: tuple[int, int, int]
    fresh: int
    T: Float64
    shift: Float64
    vectors: Float64
    scale: Float64
    mean: Float64
    beta: float
    values: Float64

    @property
    def components(self) -> int:
        """k_i."""
        return len(self.scale)

    @property
    def factor(self) -> Float64:
        """R (k_i, d_i)."""
        return self.scale[:, None] * self.vectors.T


def solve_codes(
    gram: Float64, total: Float64, n: int, sizes: Float64, k: int, *, bias: bool, skip: bool
) -> tuple[Float64, Float64]:
    """T and t of L = YT + 1tᵀ with LᵀL = I: the k largest left singular vectors of the latent Z = [Y·diag(sizes), 1].

    With a constant column (bias) or s = m = 0 (skip) L ⟂ 1: no component is spent on the mean.

    Args:
        gram: YᵀY (q, q), Y = [L_{i−1}, F_i]. total: Yᵀ1 (q,). n: rows.
        sizes: (q,) singular values that the orthonormal columns of Y have in Z: ‖up(v_j)‖·scale_j, and 1 for noise.

    Raises:
        InputError: Z has less than k (+ 1 with bias) linearly independent columns.

    Reference:
        Sahiner et al. (ICLR 2022), Theorem 4.1: W = Q_kΛ_k^(−½)(Σ² − β_d)^½V_kᵀ, largest matched with largest.
    """
    if k == 0:
        return np.zeros((len(total), 0)), np.zeros(0)
    A = gram - np.outer(total, total) / n if bias else gram
    values, vectors = np.linalg.eigh(A)
    keep = values > _RANK_TOLERANCE * max(float(values[-1]), np.finfo(np.float64).tiny)
    W = vectors[:, keep] / np.sqrt(values[keep])  # Y_c W is orthonormal
    ones = W.T @ total
    if skip and not bias and np.linalg.norm(ones) > 1e-9 * np.sqrt(n):
        W = W @ orthogonal_complement(ones)
    if W.shape[1] < k:
        remedy = "a linear stage cannot raise the rank: leave fresh_noise='auto', or keep fewer components"
        raise InputError("components", k, f"be at most {W.shape[1]}, the rank of the stage's latent", remedy)
    U, _, _ = np.linalg.svd((W.T @ A) * sizes)
    T = fix_signs(W @ U[:, :k])
    return T, (-(total / n) @ T if bias else np.zeros(k))


def agreeing_signs(before: Stage | None, T: Float64, vectors: Float64, factor: int) -> Float64:
    """±1 for each column of T, so that a component of G_i looks like what it inherits from G_{i−1}, not its negative.

    The sign of v_jᵀ·up(R_{i−1})ᵀ·T_j; the closed form leaves it free.
    """
    if before is None:
        return np.ones(T.shape[1])
    inherited = upsample(before.factor, before.shape, factor).T @ T[: before.components]
    return np.where(np.sum(vectors * inherited, axis=0) < 0.0, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class ProgressiveGenerator:
    """All stages of a fit. ``n`` rows of noise were drawn from ``seed``; samples have the training images' scale."""

    stages: tuple[Stage, ...]
    n: int
    seed: int

    @property
    def noise_dim(self) -> int:
        """Columns of noise over all stages: latent_dim + Σ r_i."""
        return sum(stage.fresh for stage in self.stages)

    def codes(self, noise: Float64, stages: int | None = None) -> Float64:
        """L (b, k) of the last of the first ``stages`` stages, from noise (b, ≥ the columns they draw)."""
        L, used = np.zeros((len(noise), 0)), 0
        for stage in self.stages[:stages]:
            L = np.hstack([L, noise[:, used : used + stage.fresh]]) @ stage.T + stage.shift
            used += stage.fresh
        return L

    def images(self, codes: Float64, stage: int = -1) -> Float64:
        """μ + L·R as images (b, height, width, channels)."""
        chosen = self.stages[stage]
        rows = chosen.mean + (codes * chosen.scale) @ chosen.vectors.T
        return rows.reshape(len(rows), *chosen.shape)

    def sample(self, n: int, rng: np.random.Generator, stage: int = -1) -> Float64:
        """``n`` images of fresh noise, (n, height, width, channels), not clipped."""
        last = range(len(self.stages))[stage]
        noise = rng.standard_normal((n, self.noise_dim))
        return self.images(self.codes(noise, last + 1), last)

    def training_codes(self, stages: int) -> Iterator[Float64]:
        """The codes L of the training noise, in blocks: together n rows with LᵀL = I."""
        widths = [stage.fresh for stage in self.stages[:stages]]
        for noise in training_noise(self.n, widths, self.seed):
            yield self.codes(noise, stages)

    def latent(self, stage: int, output: Float64, fresh: Float64) -> Float64:
        """Z_i = [upsampled G_{i−1}, F_i, 1] formed in full: for small checks, never used by a fit."""
        before, here = self.stages[stage - 1], self.stages[stage]
        up = upsample(output, before.shape, here.shape[0] // before.shape[0])
        return np.hstack([up, fresh, np.ones((len(output), 1))])

    def to_torch(self) -> torch.nn.Module:
        """``torch.nn.Module``: noise (b, noise_dim) → images (b, channels, height, width), float32.

        A chain of linear layers, one for the codes of every stage and one for the pixels of the last; ``outputs``
        returns the images of all stages.
        """
        require("torch", "torch", "to_torch")
        from convexwgan.models.progressive_torch import progressive_module

        return progressive_module(self)


def training_noise(n: int, widths: list[int], seed: int) -> Iterator[Float64]:
    """Blocks of N = [F_1, F_2, …] (b, Σ widths): block j of stage i has a seed of its own, so nothing is stored."""
    for block, start in enumerate(range(0, n, NOISE_ROWS)):
        rows = min(NOISE_ROWS, n - start)
        parts = [
            np.random.default_rng([seed, stage, block]).standard_normal((rows, width))
            for stage, width in enumerate(widths)
        ]
        yield np.hstack(parts)


def noise_moments(generator: ProgressiveGenerator, fresh: int) -> tuple[Float64, Float64]:
    """YᵀY and Yᵀ1 of Y = [L_{i−1}, F_i], F_i the ``fresh`` columns of the stage that comes next."""
    widths = [stage.fresh for stage in generator.stages]
    total: Any = 0.0
    gram: Any = 0.0
    for noise in training_noise(generator.n, [*widths, fresh], generator.seed):
        Y = np.hstack([generator.codes(noise), noise[:, sum(widths) :]])
        gram, total = gram + Y.T @ Y, total + Y.sum(axis=0)
    return gram, total
