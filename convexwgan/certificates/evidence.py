"""The evidence of any game: moments for most discriminators, the data themselves for a distribution against ReLUs."""

from __future__ import annotations

from typing import Any

from convexwgan.arrays import Array
from convexwgan.certificates.measures import MeasureEvidence, gather_measure
from convexwgan.certificates.moments import GameEvidence, Normalize, gather_moments
from convexwgan.spec.latent import Latent
from convexwgan.spec.wgan import WGAN

Evidence = GameEvidence | MeasureEvidence


def gather(
    wgan: WGAN,
    X: Array,
    *,
    Z: Any = None,
    latent: Latent | None = None,
    n_fake: int | None = None,
    normalize: Normalize = "sum",
) -> Any:
    """The evidence of one game, from spec and data alone; see ``gather_moments`` and ``gather_measure``.

    Returns:
        GameEvidence, or MeasureEvidence for ``Discriminator.relu`` with ``Generator.distribution``.

    Raises:
        InputError: an incomplete or unsupported architecture, or noise that does not fit it.

    >>> import numpy as np
    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> gather(Discriminator.relu(beta=1.0) + Generator.distribution(), np.eye(2)).mass
    2.0
    """
    discriminator, generator = wgan.players
    if discriminator.kind == "relu" and generator.kind == "distribution" and normalize in ("sum", "mean"):
        return gather_measure(wgan, X, n_fake, normalize)
    return gather_moments(wgan, X, Z=Z, latent=latent, n_fake=n_fake, normalize=normalize)
