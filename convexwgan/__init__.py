"""convexwgan: Wasserstein GANs as convex programs, solved to a certificate.

>>> from convexwgan import Discriminator, Generator
>>> print(Discriminator.quadratic(beta=2.0) + Generator.free())
min (1/2)‖G‖_F²  s.t.  ‖XᵀX − GᵀG‖₂ ≤ 2
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convexwgan.certificates.certificate import Certificate as Certificate
    from convexwgan.certificates.certificate import Status as Status
    from convexwgan.certificates.verify import verify as verify
    from convexwgan.errors import ConvexWGANError as ConvexWGANError
    from convexwgan.fitted import FittedDiscriminator as FittedDiscriminator
    from convexwgan.fitted import FittedGenerator as FittedGenerator
    from convexwgan.models.estimator import ConvexWGAN as ConvexWGAN
    from convexwgan.models.finite_game import FiniteGame as FiniteGame
    from convexwgan.models.lagrangian_gan import LagrangianGAN as LagrangianGAN
    from convexwgan.models.procogan import ProCoGAN as ProCoGAN
    from convexwgan.problem import Problem as Problem
    from convexwgan.solution import Solution as Solution
    from convexwgan.spec.discriminator import Discriminator as Discriminator
    from convexwgan.spec.divergence import Divergence as Divergence
    from convexwgan.spec.finite_discriminator import FeatureDiscriminator as FeatureDiscriminator
    from convexwgan.spec.finite_discriminator import LipschitzDiscriminator as LipschitzDiscriminator
    from convexwgan.spec.finite_discriminator import NeuronDiscriminator as NeuronDiscriminator
    from convexwgan.spec.generator import Generator as Generator
    from convexwgan.spec.latent import Latent as Latent
    from convexwgan.spec.regularizer import Regularizer as Regularizer

__version__ = "0.1.0"

_HOME = {
    "Certificate": "certificates.certificate",
    "ConvexWGAN": "models.estimator",
    "ConvexWGANError": "errors",
    "Discriminator": "spec.discriminator",
    "Divergence": "spec.divergence",
    "FeatureDiscriminator": "spec.finite_discriminator",
    "FiniteGame": "models.finite_game",
    "FittedDiscriminator": "fitted",
    "FittedGenerator": "fitted",
    "Generator": "spec.generator",
    "LagrangianGAN": "models.lagrangian_gan",
    "Latent": "spec.latent",
    "LipschitzDiscriminator": "spec.finite_discriminator",
    "NeuronDiscriminator": "spec.finite_discriminator",
    "ProCoGAN": "models.procogan",
    "Problem": "problem",
    "Regularizer": "spec.regularizer",
    "Solution": "solution",
    "Status": "certificates.certificate",
    "load_problem": "load",
    "verify": "certificates.verify",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    """Public names, imported when first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'convexwgan' has no attribute {name!r}")
    return getattr(importlib.import_module(f"convexwgan.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
