"""The two adversarial trainings that LagrangianGAN is compared with: non-saturating GAN and WGAN-GP."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convexwgan.models.neural_gan import NeuralGAN
from convexwgan.models.neural_parameters import within
from convexwgan.models.training import Losses, Run, squared_slope
from convexwgan.spec.validation import count, positive

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True, eq=False, repr=False)
class NonSaturatingGAN(NeuralGAN):
    """The standard GAN with the non-saturating generator loss, behind LagrangianGAN's interface.

    Problem, D = sigmoid of the discriminator's output; each iteration:
        one ascent step of the discriminator on   mean log D(x) + mean log(1 − D(G(z))) − γ/2 mean ‖∇t(x)‖²,
        one descent step of the generator on      −mean log D(G(z)),
    with t the discriminator's output.

    Args:
        slope_penalty: γ ≥ 0; 0 is the original method.
        All others as in ``LagrangianGAN``.

    Reference:
        Goodfellow et al., Generative adversarial nets, 2014, Section 3.

    >>> model = NonSaturatingGAN(iterations=10, hidden=(8,), random_state=0).fit([[0.0], [1.0]])
    >>> model.sample(3).shape, model.n_evaluations_
    ((3, 1), 20)
    """

    _own: ClassVar[tuple[str, ...]] = ("slope_penalty",)

    iterations: int = 7500
    slope_penalty: float = 0.0

    def _check_own(self) -> None:
        within("slope_penalty", self.slope_penalty, 0.0, math.inf, "it is the weight γ on the discriminator's slope")

    def _iterate(self, run: Run) -> Losses:
        import torch
        from torch.nn.functional import softplus

        D = run.discriminator
        with torch.no_grad():
            generated = run.generator(run.noise())
        x = run.batch().requires_grad_(self.slope_penalty > 0)
        real = D(x)
        # −log sigmoid(t) = softplus(−t), −log(1 − sigmoid(t)) = softplus(t).
        loss = softplus(-real).mean() + softplus(D(generated)).mean()
        if self.slope_penalty > 0:
            loss = loss + self.slope_penalty / 2 * squared_slope(real[:, 0], x).mean()
        ascent = run.descend_discriminator(loss)
        descent = run.descend_generator(softplus(-D(run.generator(run.noise()))).mean())
        return {"discriminator": ascent, "generator": descent}


@dataclass(kw_only=True, eq=False, repr=False)
class WGANGP(NeuralGAN):
    """The Wasserstein GAN with gradient penalty, behind LagrangianGAN's interface.

    Problem, D the discriminator's raw output; each iteration:
        discriminator_steps descent steps of the discriminator on
            mean D(G(z)) − mean D(x) + penalty · mean (‖∇D(x̂)‖ − 1)²,   x̂ uniform between x and G(z),
        one descent step of the generator on   −mean D(G(z)).

    Args:
        discriminator_steps: ascent steps of D for one of G.
        penalty: weight of the gradient penalty.
        All others as in ``LagrangianGAN``.

    Reference:
        Gulrajani et al., Improved training of Wasserstein GANs, 2017, Algorithm 1.

    >>> model = WGANGP(iterations=10, hidden=(8,), random_state=0).fit([[0.0], [1.0]])
    >>> model.sample(3).shape, model.n_evaluations_
    ((3, 1), 60)
    """

    _own: ClassVar[tuple[str, ...]] = ("discriminator_steps", "penalty")

    discriminator_steps: int = 5
    penalty: float = 10.0
    iterations: int = 2500
    betas: tuple[float, float] = (0.5, 0.9)

    def _check_own(self) -> None:
        count("discriminator_steps", self.discriminator_steps, "it is the number of steps of D for one of G")
        positive("penalty", self.penalty, "it is the weight of the gradient penalty")

    def _iterate(self, run: Run) -> Losses:
        import torch

        D, ascent = run.discriminator, 0.0
        for _ in range(self.discriminator_steps):
            x = run.batch()
            with torch.no_grad():
                generated = run.generator(run.noise())
            loss = D(generated).mean() - D(x).mean() + self.penalty * _gradient_penalty(run, x, generated)
            ascent = run.descend_discriminator(loss)
        return {"discriminator": ascent, "generator": run.descend_generator(-D(run.generator(run.noise())).mean())}


def _gradient_penalty(run: Run, x: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
    """mean (‖∇D(x̂)‖ − 1)² at uniform points between data and samples."""
    share = run.moved(run.rng.random((len(x), 1)))
    between = (share * x + (1 - share) * generated).requires_grad_(True)
    # The norm's own gradient at a slope of 0 would be 0/0.
    return ((squared_slope(run.discriminator(between)[:, 0], between) + 1e-12).sqrt() - 1).square().mean()
