"""LagrangianGAN: a neural generator trained along the dual updates of a convex program.

A reconstruction from the abstract of Chen, Wang, Ge (2018), arXiv:1802.01765, which states the idea (discriminator
outputs as primal, generated distribution as dual variables; an objective that moves the generated distribution along
the primal–dual subgradient direction). The formulas, the schedule and every default below are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.errors import InputError
from convexwgan.models.networks import bounded_output, kernel_density
from convexwgan.models.neural_gan import NeuralGAN, Progress
from convexwgan.models.neural_parameters import sequence, within
from convexwgan.models.training import Losses, Run
from convexwgan.spec.divergence import Divergence, as_divergence
from convexwgan.spec.validation import count, positive, real

if TYPE_CHECKING:
    import torch

    from convexwgan.models.neural_gan import MakeDiscriminator


class LagrangianGAN(NeuralGAN):
    """A GAN whose generator moves its distribution *at the data points*, also where it has no sample yet.

    Problem:
        the saddle point of L(D, p_g) = Σ p_d f₀(D) + Σ p_g f₁(D), the Lagrangian of max Σ p_d f₀(D) s.t. f₁(D) ≥ 0.
        Each iteration, with x_i a batch of data, g_j = G(z_j) and p_g(x_i) = mean_j exp(−‖x_i − g_j‖²/(2σ²)):
            one ascent step of the discriminator on     mean_i f₀(D(x_i)) + mean_j f₁(D(g_j)) − δ mean t²,
            the dual target, frozen:                    p̃_i = p_g(x_i) − α f₁(D(x_i)),
            generator_steps descent steps on            mean_j f₁(D(g_j)) + λ mean_i (p̃_i − p_g(x_i))².
        σ falls geometrically from bandwidth[0] to bandwidth[1] in the course of the run.

    Ordinary training follows ∇D at generated samples only. The second term sees a data point that the generator
    misses: there D(x_i) > D*, f₁(D(x_i)) < 0, and the target asks for more p_g.

    Args:
        divergence: one of the seven names, or a ``Divergence``.
        latent_dim: dimension of the noise z ~ N(0, I).
        hidden: widths of the hidden layers of both networks.
        bandwidth: (first, last) σ, in units of the root-mean-square distance of the data from their mean
            (of X itself with ``standardize=False``). Start about as wide as the gaps between modes.
        alpha: α > 0, the dual step.
        kernel_weight: λ > 0.
        generator_steps: descent steps for each frozen target; one alone would see a gradient proportional to α only.
        clip: c in (0, 0.5): how near D may come to the ends of its domain, see ``networks.bounded_output``.
        drift: δ ≥ 0 on the squares of the discriminator's raw outputs t (D = D* at t = 0, so the saddle stays):
            without it D grows sure of itself, its slope dies, and samples that left the data never return.
        iterations, batch_size, learning_rate, betas: of Adam; learning_rate is one number or (generator,
            discriminator), constant for half of the run and then falling linearly.
        standardize: train on (X − x̄)/scale, one scale for all columns.
        discriminator: d ↦ torch module of one real output, instead of a perceptron; not saved.
        random_state: None, an int, a numpy Generator or RandomState. With an int, fits and samples repeat exactly
            on a CPU.
        device: "cpu", "cuda", …
        checkpoint, checkpoint_every: file that holds the whole state of the run, and how often it is replaced.
        report_every: iterations between reports to the log "convexwgan", ``history_`` and the callback.
        modes, mode_radius: centres (k, d_r) whose coverage a report tells.
        callback: shown a ``Progress``; returning True stops the run.

    Reference:
        Chen, Wang, Ge, Training Generative Adversarial Networks via Primal-Dual Subgradient Methods: A Lagrangian
        Perspective on GAN, 2018 (its abstract); docs/lagrangian_gan.md.

    >>> X = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 50, axis=0)
    >>> model = LagrangianGAN(iterations=20, hidden=(16,), batch_size=32, random_state=0).fit(X)
    >>> model.sample(5).shape, model.n_evaluations_
    ((5, 2), 100)
    """

    _own = ("bandwidth", "alpha", "kernel_weight", "generator_steps", "clip", "drift")

    def __init__(
        self,
        divergence: str | Divergence = "jensen-shannon",
        *,
        latent_dim: int = 8,
        hidden: tuple[int, ...] = (64, 64),
        bandwidth: tuple[float, float] = (0.5, 0.05),
        alpha: float = 0.1,
        kernel_weight: float = 100.0,
        generator_steps: int = 4,
        clip: float = 1e-3,
        drift: float = 0.01,
        iterations: int = 3000,
        batch_size: int = 128,
        learning_rate: float | tuple[float, float] = 1e-3,
        betas: tuple[float, float] = (0.5, 0.999),
        standardize: bool = True,
        discriminator: MakeDiscriminator | None = None,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        device: str = "cpu",
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 500,
        report_every: int = 100,
        modes: Any = None,
        mode_radius: float | None = None,
        callback: Callable[[Progress], bool | None] | None = None,
    ) -> None:
        self.divergence = divergence
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.bandwidth = bandwidth
        self.alpha = alpha
        self.kernel_weight = kernel_weight
        self.generator_steps = generator_steps
        self.clip = clip
        self.drift = drift
        self.iterations = iterations
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.betas = betas
        self.standardize = standardize
        self.discriminator = discriminator
        self.random_state = random_state
        self.device = device
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.report_every = report_every
        self.modes = modes
        self.mode_radius = mode_radius
        self.callback = callback

    def _check_own(self) -> None:
        as_divergence(self.divergence)
        if len(sequence("bandwidth", self.bandwidth, "as (first, last) σ")) != 2:
            raise InputError("bandwidth", self.bandwidth, "be two numbers", "as (first, last) σ")
        for sigma in self.bandwidth:
            positive("bandwidth", sigma, "it is σ of the Gaussian kernel, first and last")
        if self.bandwidth[1] > self.bandwidth[0]:
            raise InputError("bandwidth", self.bandwidth, "not increase", "σ is annealed from wide to narrow")
        positive("alpha", self.alpha, "it is the dual step α")
        positive("kernel_weight", self.kernel_weight, "it is the weight λ of the squared term")
        count("generator_steps", self.generator_steps, "it is the number of descent steps a target")
        within("drift", self.drift, 0.0, math.inf, "it is the weight δ on the discriminator's squared outputs")
        within("clip", self.clip, 1e-6, 0.5, "it is how near D may come to the ends of its domain")

    def bandwidth_at(self, fraction: float) -> float:
        """σ after this share of a run: first^(1−t) · last^t, in the units of ``bandwidth``.

        >>> round(LagrangianGAN(bandwidth=(1.0, 0.01)).bandwidth_at(0.5), 9)
        0.1
        """
        t = real("fraction", fraction, "be a number", "0 is the start of a run, 1 its end")
        first, last = self.bandwidth
        return float(first ** (1 - t) * last**t)

    def _iterate(self, run: Run) -> Losses:
        f, unit = as_divergence(self.divergence), math.sqrt(run.data.shape[1]) if self.standardize else 1.0
        sigma = unit * self.bandwidth_at(run.fraction)
        ascent = self._discriminator_step(run, f)
        return {"discriminator": ascent, **self._generator_steps(run, f, sigma)}

    def _discriminator_step(self, run: Run, f: Divergence) -> float:
        """max mean f₀(D(x)) + mean f₁(D(G(z))) − δ mean t²."""
        import torch

        with torch.no_grad():
            generated = run.generator(run.noise())
        real, fake = run.discriminator(run.batch())[:, 0], run.discriminator(generated)[:, 0]
        game = f.f0(bounded_output(real, f, self.clip)).mean() + f.f1(bounded_output(fake, f, self.clip)).mean()
        return run.descend_discriminator(self.drift * ((real**2).mean() + (fake**2).mean()) / 2 - game)

    def _generator_steps(self, run: Run, f: Divergence, sigma: float) -> Losses:
        """min mean f₁(D(G(z))) + λ mean (p̃ − p_g)², p̃ = p_g − α f₁(D(x)) frozen."""
        import torch

        def f1_of(points: torch.Tensor) -> Any:
            return f.f1(bounded_output(run.discriminator(points)[:, 0], f, self.clip))

        x, z = run.batch(), run.noise()
        with torch.no_grad():
            target = kernel_density(x, run.generator(z), sigma) - self.alpha * f1_of(x)
        first = second = 0.0
        for _ in range(self.generator_steps):
            generated = run.generator(z)
            game = f1_of(generated).mean()
            square = ((target - kernel_density(x, generated, sigma)) ** 2).mean()
            run.descend_generator(game + self.kernel_weight * square)
            first, second = float(game.detach()), float(square.detach())
        return {"generator": first, "kernel": second}

    # ---- files: a divergence by its name -------------------------------------------------------------------------

    def _own_description(self) -> dict[str, Any]:
        f = as_divergence(self.divergence)
        return {**super()._own_description(), "divergence": f.name, "epsilon": f.epsilon}

    def _own_from(self, parameters: dict[str, Any]) -> dict[str, Any]:
        name, epsilon = parameters["divergence"], parameters["epsilon"]
        f: str | Divergence = name if epsilon is None else Divergence.named(name, epsilon=epsilon)
        return {**super()._own_from(parameters), "divergence": f}
