"""The evidence of any game that has a judge."""

from __future__ import annotations

from typing import Any

from convexwgan.arrays import Array
from convexwgan.certificates.line_games import LineEvidence, gather_line, is_line_game
from convexwgan.certificates.measures import MeasureEvidence, gather_measure
from convexwgan.certificates.moments import GameEvidence, Normalize, gather
from convexwgan.spec.latent import Latent
from convexwgan.spec.wgan import WGAN

Evidence = GameEvidence | LineEvidence | MeasureEvidence


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
    if _is_measure_game(wgan) and normalize in ("sum", "mean"):
        return gather_measure(wgan, X, n_fake, normalize)
    is_line = is_line_game(wgan, X) and latent is None and not isinstance(Z, Latent)
    collect = gather_line if is_line else gather
    return collect(wgan, X, Z=Z, latent=latent, n_fake=n_fake, normalize=normalize)


def _is_measure_game(wgan: WGAN) -> bool:
    """ReLU neurons against a distribution, or without bias against free samples, which are one as well."""
    discriminator, generator = wgan.players
    if discriminator.kind != "relu" or wgan.regularizer.kind != "output":
        return False
    is_free = generator.kind == "free" and not discriminator.bias
    return generator.kind == "distribution" or is_free
