"""One feature, ReLU neurons with bias: the evidence of a game, dist by its definition, the generator's cost."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64, as_samples, to_numpy64
from convexwgan.certificates.costs import cost_of
from convexwgan.certificates.features import ReluLatents
from convexwgan.certificates.latents import EPS, Latents
from convexwgan.certificates.moments import Normalize, latents_of
from convexwgan.errors import InputError
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.wgan import WGAN

_STRONGEST = 1e100


class LineEvidence:
    """Numbers x (n_r,), sorted, and the generated side of one game.

    ``real_weight``: w_r, 1 for sums and 1/n_r for means; ``latents``: the generator's side, its weight w_f and n_f.
    """

    dim = 1

    def __init__(self, wgan: WGAN, x: Float64, real_weight: float, latents: Latents) -> None:
        discriminator, generator = wgan.players
        self.wgan, self.x, self.real_weight, self.latents = wgan, np.sort(x), real_weight, latents
        self.discriminator: Discriminator = discriminator
        self.generator: Generator = generator
        self.regularizer: Regularizer = wgan.regularizer
        self.beta: float | None = discriminator.beta

    def with_beta(self, beta: float) -> LineEvidence:
        """The same game at another β_d."""
        other = copy.copy(self)
        other.__dict__.pop("of_outputs", None)
        other.discriminator = replace(self.discriminator, beta=beta, norm_bound=False)
        other.wgan = replace(self.wgan, discriminator=other.discriminator)
        other.beta = other.discriminator.beta
        return other

    @property
    def n_fake(self) -> int:
        """n_f."""
        return self.latents.width_of_output

    @property
    def size(self) -> float:
        """w_rΣ|x_i|, with the spread in place of it where all x are 0: the unit of dist."""
        return self.real_weight * float(np.abs(self.x).sum())

    @property
    def roundoff(self) -> float:
        """4·eps·√(n_r + n_f): the relative rounding error allowed for sums over samples."""
        return 4.0 * EPS * math.sqrt(len(self.x) + self.n_fake)

    def paid(self, W: Float64, hidden: tuple[Float64, Float64] | None = None) -> float:
        """R_g of weights W (p, 1), or of a network (W₁, W₂)."""
        regularizer = self.regularizer
        if regularizer.of == "output":
            return self.cost(self.latents.output(W)[:, 0])
        if self.generator.kind == "relu":
            total = math.inf if hidden is None else float(sum(np.vdot(part, part) for part in hidden))
            return 0.5 * regularizer.strength * total
        return 0.5 * regularizer.strength * float(np.vdot(W, W))

    @cached_property
    def of_outputs(self) -> LineEvidence:
        """The game whose cost of outputs is at most R_g: what it proves holds here.

        ‖ZW‖² ≤ λ_max(ZᵀZ)‖W‖², and β_gΣ‖v_j‖ ≥ β_g‖G‖/max‖(Nu)₊‖ for a network.
        """
        regularizer = self.regularizer
        if regularizer.of == "output":
            return self
        other, top = copy.copy(self), 0.0
        if isinstance(self.latents, ReluLatents):
            top = self.latents.longest_feature.upper
            other.regularizer = Regularizer.norm(2.0, _at_most(regularizer.strength, top))
        else:
            top = float(self.latents.eigenvalues[0]) if self.latents.rank > 0 else 0.0
            other.regularizer = Regularizer.output(_at_most(regularizer.strength, top))
        return other

    def cost(self, w: Float64) -> float:
        """R_g of outputs w (n_f,), where outputs are paid for; inf for a custom cost without ``value``."""
        if self.regularizer.kind == "output":
            return 0.5 * self.regularizer.strength * self.latents.weight * float(w @ w)
        paid = cost_of(self.regularizer, w[:, None])
        return math.inf if math.isnan(paid) else paid

    def dist(self, w: Float64) -> float:
        """max over u = ±1 and b of |w_rΣ(ux_i + b)₊ − w_fΣ(uw_j + b)₊|, at every kink b; inf for different masses.

        Between kinks f(b) = Σc_i(t_i + b)₊ is linear, it vanishes for b → −∞ and is constant for b → ∞.
        """
        c = np.concatenate([np.full(len(self.x), self.real_weight), np.full(len(w), -self.latents.weight)])
        if abs(c.sum()) > 1e-12 * self.real_weight * len(self.x):
            return math.inf
        t = np.concatenate([self.x, w])
        order = np.argsort(t, kind="stable")
        t, c = t[order], c[order]
        gaps = np.diff(t)
        looking_left = np.cumsum(np.cumsum(c)[:-1] * gaps)
        looking_right = np.cumsum(np.cumsum(c[::-1])[:-1] * gaps[::-1])
        return float(max(np.abs(looking_left).max(initial=0.0), np.abs(looking_right).max(initial=0.0)))

    @property
    def value_scale(self) -> float:
        """The size of the value as β_d → 0, the cost of the data themselves; dist at w = 0 under a norm bound."""
        if self.beta is None:
            return self.size
        places = ((np.arange(self.n_fake) + 0.5) * (len(self.x) / self.n_fake)).astype(np.int64)
        paid = abs(self.of_outputs.cost(self.x[places]))
        return paid if math.isfinite(paid) else 0.0

    def violation(self, dist: float) -> float:
        """max(0, dist − β_d)/max(β_d, 1e-8·w_rΣ|x_i|)."""
        if self.beta is None or dist <= self.beta:
            return 0.0 if math.isfinite(dist) else math.inf
        return (dist - self.beta) / max(self.beta, 1e-8 * self.size)


def _at_most(strength: float, gain: float) -> float:
    """strength/gain; where nothing but 0 is reached any factor will do."""
    return min(strength / gain, _STRONGEST) if gain > strength / _STRONGEST else _STRONGEST


def is_line_game(wgan: WGAN, X: Array) -> bool:
    """One feature, ReLU neurons with bias, and outputs that are finitely many numbers."""
    discriminator, generator = wgan.players
    is_line = discriminator.kind == "relu" and discriminator.bias and int(X.shape[1]) == 1
    is_judged = wgan.regularizer.of == "output" or wgan.regularizer.kind == "weights"
    return is_line and is_judged and generator.kind != "distribution"


def gather_line(
    wgan: WGAN,
    X: Array,
    *,
    Z: Any = None,
    latent: Latent | None = None,
    n_fake: int | None = None,
    normalize: Normalize = "sum",
) -> LineEvidence:
    """The evidence of a game on the line, from spec and data alone.

    Raises:
        InputError: X has several columns, or the noise does not fit.
    """
    X = as_samples(X, "X")
    if not is_line_game(wgan, X) or latent is not None:
        remedy = "other games have other evidence"
        raise InputError("wgan and X", wgan, "be ReLU neurons with bias on one feature", remedy)
    n = int(X.shape[0])
    latents = latents_of(wgan.players[1], Z, latent, n_fake or n, normalize, wgan.regularizer.of == "output")
    return LineEvidence(wgan, to_numpy64(X)[:, 0], 1.0 if normalize == "sum" else 1.0 / n, latents)
