"""Audit: what the judge returns, a certificate with the arrays that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Certificate


@dataclass(frozen=True, eq=False)
class Audit:
    """A certificate with the arrays that it is about: repaired weights, discriminator attaining ``lower``.

    The discriminator is None where no discriminator attains the lower bound (a spectral bound does), or none
    was given; ``tree`` is the branch and bound that proves it where that is better. ``repaired`` says whether the
    weights differ from the claimed ones.
    """

    certificate: Certificate
    weights: Any | None
    neurons_u: Float64 | None = None
    neurons_v: Float64 | None = None
    skip: Float64 | None = None
    output_multiplier: Float64 | None = None
    repaired: bool = False
    neurons_b: Float64 | None = None
    tree: Mapping[str, Float64] | None = None
