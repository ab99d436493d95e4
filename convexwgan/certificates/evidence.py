"""The evidence of any game that has a judge."""

from __future__ import annotations

from typing import Any

from convexwgan.arrays import Array
from convexwgan.certificates.line_games import LineEvidence, gather_line, is_line_game
from convexwgan.certificates.measures import MeasureEvidence, gather_measure
from convexwgan.certificates.moments import GameEvidence, Normalize, gather
from convexwgan.certificates.normal_games import NormalEvidence, gather_normal, is_normal_game
from convexwgan.certificates.sampled_outputs import gather_sampled
from convexwgan.spec.latent import Latent
from convexwgan.spec.wgan import WGAN

Evidence = GameEvidence | LineEvidence | MeasureEvidence | NormalEvidence
"""``SampledEvidence`` is a ``MeasureEvidence``: outputs on sampled noise are measures as well."""


def gather_evidence(
    wgan: WGAN,
    X: Array,
    *,
    Z: Any = None,
    latent: Latent | None = None,
    n_fake: int | None = None,
    normalize: Normalize = "sum",
) -> Evidence:
    """Moments where they are all that the discriminator sees, sorted numbers for ReLU neurons with bias on the line.

    Raises:
        InputError: no judge knows the game.
    """
    if is_line_game(wgan, X) and latent is None and not isinstance(Z, Latent):
        return gather_line(wgan, X, Z=Z, latent=latent, n_fake=n_fake, normalize=normalize)
    if normalize in ("sum", "mean") and _is_measure_game(wgan):
        return gather_measure(wgan, X, n_fake, normalize)
    if latent is not None and normalize == "mean" and is_normal_game(wgan, Z, latent):
        return gather_normal(wgan, X, latent)
    if normalize in ("sum", "mean") and latent is None and _is_sampled_game(wgan):
        return gather_sampled(wgan, X, Z, normalize)
    return gather(wgan, X, Z=Z, latent=latent, n_fake=n_fake, normalize=normalize)


def _is_measure_game(wgan: WGAN) -> bool:
    """ReLU neurons against a distribution, or against free samples, which are one as well."""
    discriminator, generator = wgan.players
    if discriminator.kind != "relu" or wgan.regularizer.kind != "output":
        return False
    return generator.kind in ("distribution", "free")


def _is_sampled_game(wgan: WGAN) -> bool:
    """ReLU neurons against outputs on sampled noise, paid for by their second moment or, where linear, by weights."""
    discriminator, generator = wgan.players
    if discriminator.kind != "relu" or not generator.needs_noise:
        return False
    is_linear = generator.kind in ("linear", "polynomial")
    return wgan.regularizer.kind == "output" or (wgan.regularizer.kind == "weights" and is_linear)
